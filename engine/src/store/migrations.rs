//! The tables, in the order in which they came. A migration that was released is never changed: what is wrong with it is put right by a later one.
//!
//! Each is known by its name, so that two that were written at the same time may land in either order.
use super::database::{Bracket, Database};
use super::error::{Cause, StoreError};
use std::collections::BTreeSet;

/// A step that brings a file up to date; runs once in the life of a file, whole or not at all.
pub(super) struct Migration {
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

/// New ones go to the end.
pub(super) const ALL: &[Migration] = &[
    Migration {
        name: "documents",
        sql: super::documents::TABLE,
    },
    Migration {
        name: "cdr",
        sql: super::cdr::TABLE,
    },
    Migration {
        name: "recordings",
        sql: super::recordings::TABLE,
    },
    Migration {
        name: "webhook_spool",
        sql: super::webhooks::TABLE,
    },
    Migration {
        name: "webhook_turns",
        sql: super::webhooks::TURNS,
    },
    Migration {
        name: "voicemail",
        sql: super::voicemail::TABLE,
    },
    Migration {
        name: "scheduled_calls",
        sql: super::scheduled::TABLE,
    },
    Migration {
        name: "cdr_columns",
        sql: super::cdr::COLUMNS,
    },
    Migration {
        name: "webhook_spool_by_id",
        sql: "CREATE INDEX webhook_spool_by_id ON webhook_spool (id)",
    },
    Migration {
        name: "scheduled_calls_without_secrets",
        sql: super::scheduled::WITHOUT_SECRETS,
    },
];

/// Runs what has not been run.
pub(super) fn run(database: &mut dyn Database, list: &[Migration]) -> Result<(), StoreError> {
    database.script(
        "CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID",
    )?;
    let done = database.query("SELECT name FROM migrations", &[])?;
    let done: BTreeSet<String> = done
        .iter()
        .map(|row| row.text(0))
        .collect::<Result<_, _>>()?;
    if let Some(name) = done
        .iter()
        .find(|name| !list.iter().any(|step| step.name == **name))
    {
        let text = format!("it was written by a newer Trunkline: it has {name:?}");
        return Err(StoreError::new(Cause::Corrupt, text));
    }
    for step in list.iter().filter(|step| !done.contains(step.name)) {
        database.bracket(Bracket::Begin { durably: true })?;
        let ran = database.script(step.sql).and_then(|()| {
            let note = "INSERT INTO migrations VALUES (?1, unixepoch() * 1000)";
            database.execute(note, &[step.name.into()])
        });
        if let Err(error) = ran {
            let _ = database.bracket(Bracket::RollBack);
            return Err(error);
        }
        database.bracket(Bracket::Commit)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::sqlite::Sqlite;
    use super::super::{CdrQuery, Store};
    use super::*;

    const TWO: &[Migration] = &[
        Migration {
            name: "b",
            sql: "CREATE TABLE b (x)",
        },
        Migration {
            name: "a",
            sql: "CREATE TABLE a (x)",
        },
    ];

    #[test]
    fn names_are_unique_and_each_runs_once() {
        let names: BTreeSet<_> = ALL.iter().map(|step| step.name).collect();
        assert_eq!(names.len(), ALL.len());
        let mut database = Sqlite::in_memory().unwrap();
        run(&mut database, &TWO[1..]).unwrap();
        run(&mut database, TWO).unwrap();
        run(&mut database, TWO).unwrap();
        let names = database.query("SELECT name FROM migrations ORDER BY 1", &[]);
        assert_eq!(names.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_file_of_the_first_version_opens_with_what_was_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("first.db");
        let mut first = Sqlite::open(&path).unwrap();
        run(&mut first, &ALL[..3]).unwrap();
        let record = r#"{"type":"call","call":"c-1","state":"complete","began":"2026-01-01T00:00:00.000Z","from":"1","to":"2"}"#;
        let sql = "INSERT INTO cdr (record) VALUES (?1)";
        first.execute(sql, &[record.into()]).unwrap();
        let sql = "INSERT INTO recordings (id, path, state, format, began) VALUES ('r-1', '/a', 'complete', 'wav', 1)";
        first.execute(sql, &[]).unwrap();
        drop(first);
        let store = Store::open(&path).unwrap();
        let query = CdrQuery {
            number: Some("2".to_owned()),
            ..CdrQuery::default()
        };
        let found = store.cdrs(query).await.unwrap();
        assert_eq!(found[0].record["call"], "c-1");
        let recording = store.recording("r-1").await.unwrap().unwrap();
        assert_eq!((recording.began_ms, recording.octets), (1, None));
        assert_eq!(store.cdrs_of_call("c-1").await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn scheduled_calls_that_were_over_lose_their_secrets() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("before.db");
        let mut before = Sqlite::open(&path).unwrap();
        let last = ALL.iter().position(|step| step.name == "cdr_columns");
        run(&mut before, &ALL[..=last.unwrap()]).unwrap();
        let body = r#"{"webhook":{"url":"u","secret":"s"}}"#;
        for (state, body) in [("placed", body), ("waiting", body), ("failed", "{")] {
            let sql = "INSERT INTO scheduled_calls (id, at, late, due, state, body) VALUES (?1, 1, 1, 1, ?1, ?2)";
            before.execute(sql, &[state.into(), body.into()]).unwrap();
        }
        drop(before);
        let store = Store::open(&path).unwrap();
        let bare = r#"{"webhook":{"url":"u"}}"#;
        for (state, after) in [("placed", bare), ("waiting", body), ("failed", "{")] {
            let kept = store.scheduled(state).await.unwrap().unwrap();
            assert_eq!(kept.body, after, "{state}");
        }
    }

    #[test]
    fn a_step_that_fails_leaves_nothing() {
        let wrong = [Migration {
            name: "half",
            sql: "CREATE TABLE half (x); CREATE TABLE half (x)",
        }];
        let mut database = Sqlite::in_memory().unwrap();
        assert_eq!(run(&mut database, &wrong).unwrap_err().cause, Cause::Defect);
        assert!(database.query("SELECT * FROM half", &[]).is_err());
        assert!(!database.in_transaction());
    }

    #[test]
    fn a_file_of_a_newer_version_is_refused() {
        let mut database = Sqlite::in_memory().unwrap();
        run(&mut database, TWO).unwrap();
        let refused = run(&mut database, &TWO[..1]).unwrap_err();
        assert!(refused.to_string().contains("newer"), "{refused}");
    }
}
