//! Call records in the store: one row for each call, leg and conference, as JSON in the words of `docs/cdr.md`. The row of a call is there from its
//! beginning; what a killed process leaves in progress is found at the next start.
//!
//! A record is written as it is: who writes it has cut what came from far ends.
use super::database::{Database, Row, Value};
use super::error::StoreError;
use super::{Store, stamp};
use serde_json::{Value as Json, json};
use std::time::SystemTime;

/// Its table, as it was first.
pub(super) const TABLE: &str = "
    CREATE TABLE cdr (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        record TEXT NOT NULL,
        type TEXT AS (record ->> '$.type'),
        call TEXT AS (record ->> '$.call'),
        state TEXT AS (record ->> '$.state'),
        began TEXT AS (record ->> '$.began'),
        caller TEXT AS (record ->> '$.from'),
        callee TEXT AS (record ->> '$.to')
    );
    CREATE INDEX cdr_by_call ON cdr (call);
    CREATE INDEX cdr_by_type ON cdr (type, id);
    CREATE INDEX cdr_by_began ON cdr (began);
    CREATE INDEX cdr_by_caller ON cdr (caller, id);
    CREATE INDEX cdr_by_callee ON cdr (callee, id);
    CREATE INDEX cdr_in_progress ON cdr (state) WHERE state = 'in_progress';";

/// What is asked for becomes columns of their own: computed, each change of a row read its record again for each of them and each index.
pub(super) const COLUMNS: &str = "
    CREATE TABLE cdr_of_columns (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        record TEXT NOT NULL,
        type TEXT, call TEXT, state TEXT, began TEXT, caller TEXT, callee TEXT
    );
    INSERT INTO cdr_of_columns SELECT id, record, type, call, state, began, caller, callee FROM cdr;
    DROP TABLE cdr;
    ALTER TABLE cdr_of_columns RENAME TO cdr;
    CREATE INDEX cdr_by_call ON cdr (call);
    CREATE INDEX cdr_by_type ON cdr (type, id);
    CREATE INDEX cdr_by_began ON cdr (began);
    CREATE INDEX cdr_by_caller ON cdr (caller, id);
    CREATE INDEX cdr_by_callee ON cdr (callee, id);
    CREATE INDEX cdr_in_progress ON cdr (state) WHERE state = 'in_progress';";

/// Keys of a record that are columns, in their order behind the record.
const KEYS: [&str; 6] = ["type", "call", "state", "began", "from", "to"];

/// Rows that are changed or deleted at once.
const PORTION: usize = 1000;
/// The most rows of one page.
pub const MAX_CDR_PAGE: usize = 1000;

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub struct Cdr {
    /// Grows with each row; where the next page begins.
    pub id: i64,
    /// The record.
    pub record: Json,
}

/// What is asked for. The default asks for the newest calls.
#[derive(Debug, Clone, Default)]
pub struct CdrQuery {
    /// `call`, `leg` or `conference`; `None`: calls.
    pub kind: Option<String>,
    /// Calls from or to this number, as it stands in the record.
    pub number: Option<String>,
    /// That began then or later.
    pub since: Option<SystemTime>,
    /// That began earlier.
    pub until: Option<SystemTime>,
    /// Only those before this row: the [`Cdr::id`] that the page before ended with.
    pub before: Option<i64>,
    /// At most so many, and at most [`MAX_CDR_PAGE`]; 0: that many.
    pub limit: usize,
}

fn cdr(row: &Row) -> Result<Cdr, StoreError> {
    Ok(Cdr {
        id: row.integer(0)?,
        record: row.json(1)?,
    })
}

impl Store {
    /// Writes the record of a call that begins, some time soon.
    pub fn post_cdr_begun(&self, record: Json) {
        self.post(move |database| insert(database, &record));
    }

    /// Notes when a call in progress was answered, some time soon.
    pub fn post_cdr_answered(&self, call: String, at: SystemTime) {
        self.post(move |database| {
            let sql = "UPDATE cdr SET record = json_set(record, '$.answered', ?2) \
                       WHERE call = ?1 AND type = 'call' AND state = 'in_progress'";
            let values = [call.into(), stamp(at).into()];
            database.execute(sql, &values).map(|_| ())
        });
    }

    /// Writes a record that is complete, some time soon: in place of what stood there while the call was in progress.
    pub fn post_cdr(&self, record: Json) {
        self.post(move |database| {
            if record["type"] == "call" {
                let sql = "SELECT id FROM cdr WHERE call = ?1 AND type = 'call' AND state = 'in_progress' LIMIT 1";
                let begun = database.query(sql, &[record["call"].as_str().into()])?;
                if let Some(row) = begun.first() {
                    return replace(database, row.integer(0)?, &record);
                }
            }
            insert(database, &record)
        });
    }

    /// The records of one call: its own and those of its legs, in the order in which they were begun.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn cdrs_of_call(&self, call: &str) -> Result<Vec<Cdr>, StoreError> {
        let call = call.to_owned();
        self.read(move |database| {
            let sql = "SELECT id, record FROM cdr WHERE call = ?1 ORDER BY id LIMIT ?2";
            let values = [call.into(), MAX_CDR_PAGE.into()];
            database.query(sql, &values)?.iter().map(cdr).collect()
        })
        .await
    }

    /// Records by what `query` says, the newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn cdrs(&self, query: CdrQuery) -> Result<Vec<Cdr>, StoreError> {
        self.read(move |database| {
            let mut sql = "SELECT id, record FROM cdr WHERE type = ?1".to_owned();
            let mut values = vec![query.kind.unwrap_or_else(|| "call".to_owned()).into()];
            let mut and = |condition: &str, value| {
                values.push(value);
                sql += &condition.replace('?', &format!("?{}", values.len()));
            };
            if let Some(number) = query.number {
                and(" AND (caller = ? OR callee = ?)", number.into());
            }
            if let Some(since) = query.since {
                and(" AND began >= ?", stamp(since).into());
            }
            if let Some(until) = query.until {
                and(" AND began < ?", stamp(until).into());
            }
            if let Some(before) = query.before {
                and(" AND id < ?", before.into());
            }
            let limit = match query.limit {
                0 => MAX_CDR_PAGE,
                limit => limit.min(MAX_CDR_PAGE),
            };
            and(" ORDER BY id DESC LIMIT ?", limit.into());
            database.query(&sql, &values)?.iter().map(cdr).collect()
        })
        .await
    }

    /// Calls that a process left in progress when it was killed are `interrupted` from now on. Each record is given to `tell` before it counts,
    /// so that it is told at least once. Blocks: for the start, before there are calls. Returns how many there were.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn interrupt_cdrs(
        &self,
        noticed: SystemTime,
        tell: impl Fn(&Json) + Send + Clone + 'static,
    ) -> Result<usize, StoreError> {
        let mut count = 0;
        loop {
            let tell = tell.clone();
            let done = self.write_blocking(move |database| {
                let sql = "SELECT id, record FROM cdr WHERE state = 'in_progress' LIMIT ?1";
                let rows = database.query(sql, &[PORTION.into()])?;
                for row in &rows {
                    let Cdr { id, mut record } = cdr(row)?;
                    interrupt(&mut record, noticed);
                    tell(&record);
                    replace(database, id, &record)?;
                }
                Ok(rows.len())
            })?;
            count += done;
            if done < PORTION {
                return Ok(count);
            }
        }
    }

    /// Deletes records that began before `before`, a portion at a time; returns how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delete_cdrs_before(&self, before: SystemTime) -> Result<usize, StoreError> {
        let before = stamp(before);
        let mut count = 0;
        loop {
            let before = before.clone();
            let sql = "DELETE FROM cdr WHERE id IN (SELECT id FROM cdr \
                       WHERE began < ?1 AND state IS NOT 'in_progress' LIMIT ?2)";
            let done =
                self.write(move |database| database.execute(sql, &[before.into(), PORTION.into()]));
            let done = done.await?;
            count += done;
            if done < PORTION {
                return Ok(count);
            }
        }
    }
}

fn insert(database: &mut dyn Database, record: &Json) -> Result<(), StoreError> {
    let sql = "INSERT INTO cdr (record, type, call, state, began, caller, callee) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    let mut values = vec![record.into()];
    values.extend(columns(record));
    database.execute(sql, &values).map(|_| ())
}

fn replace(database: &mut dyn Database, id: i64, record: &Json) -> Result<(), StoreError> {
    let sql = "UPDATE cdr SET record = ?2, type = ?3, call = ?4, state = ?5, began = ?6, caller = ?7, callee = ?8 \
               WHERE id = ?1";
    let mut values = vec![id.into(), record.into()];
    values.extend(columns(record));
    database.execute(sql, &values).map(|_| ())
}

fn columns(record: &Json) -> impl Iterator<Item = Value> {
    KEYS.into_iter().map(|key| record[key].as_str().into())
}

/// When it ended nobody knows; when that was noticed is said.
fn interrupt(record: &mut Json, noticed: SystemTime) {
    if let Json::Object(fields) = record {
        let more = [
            ("state", json!("interrupted")),
            ("ended_by", json!("us")),
            ("cause", json!("interrupted")),
            ("noticed", json!(stamp(noticed))),
        ];
        fields.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, UNIX_EPOCH};

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(1_700_000_000 + second)
    }

    fn call(id: &str, state: &str, second: u64, from: &str, to: &str) -> Json {
        json!({"type": "call", "call": id, "state": state, "began": stamp(at(second)), "from": from, "to": to})
    }

    async fn found(store: &Store, query: CdrQuery) -> Vec<String> {
        let rows = store.cdrs(query).await.unwrap();
        let id = |row: &Cdr| row.record["call"].as_str().unwrap().to_owned();
        rows.iter().map(id).collect()
    }

    #[tokio::test]
    async fn a_call_in_progress_becomes_its_record_and_an_old_one_of_that_name_stays() {
        let store = Store::in_memory().unwrap();
        store.post_cdr(call("c-1", "complete", 0, "old", "x"));
        store.post_cdr_begun(call("c-1", "in_progress", 1, "a", "x"));
        store.post_cdr_answered("c-1".to_owned(), at(2));
        store.flush().await;
        let rows = store.cdrs_of_call("c-1").await.unwrap();
        assert_eq!(rows[1].record["answered"], stamp(at(2)));
        assert_eq!(rows[0].record["answered"], Json::Null);
        store.post_cdr(json!({"type": "leg", "call": "c-1", "state": "complete"}));
        store.post_cdr(call("c-1", "complete", 1, "a", "x"));
        store.flush().await;
        let rows = store.cdrs_of_call("c-1").await.unwrap();
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (&row.record["from"], &row.record["type"]))
            .collect();
        assert_eq!(
            seen,
            [
                (&json!("old"), &json!("call")),
                (&json!("a"), &json!("call")),
                (&Json::Null, &json!("leg"))
            ]
        );
    }

    #[tokio::test]
    async fn what_a_killed_process_left_is_interrupted_and_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("s.db")).unwrap();
        for n in 0..PORTION + 2 {
            store.post_cdr_begun(call(&format!("c-{n}"), "in_progress", 1, "a", "b"));
        }
        store.post_cdr(call("done", "complete", 1, "a", "b"));
        let told = Arc::new(Mutex::new(Vec::new()));
        let kept = told.clone();
        let tell = move |record: &Json| kept.lock().unwrap().push(record.clone());
        let count = store.interrupt_cdrs(at(9), tell.clone()).unwrap();
        assert_eq!(count, PORTION + 2);
        let record = told.lock().unwrap()[0].clone();
        assert_eq!(
            (&record["state"], &record["noticed"]),
            (&json!("interrupted"), &json!(stamp(at(9))))
        );
        assert_eq!(store.interrupt_cdrs(at(9), tell).unwrap(), 0);
        let row = &store.cdrs_of_call("c-5").await.unwrap()[0].record;
        assert_eq!(row["cause"], "interrupted");
    }

    #[tokio::test]
    async fn records_are_found_by_number_time_and_page() {
        let store = Store::in_memory().unwrap();
        for (id, second, from, to) in [("1", 1, "a", "b"), ("2", 2, "b", "c"), ("3", 3, "c", "d")] {
            store.post_cdr(call(id, "complete", second, from, to));
        }
        store.post_cdr(json!({"type": "leg", "call": "1"}));
        store.flush().await;
        let all = CdrQuery::default();
        assert_eq!(found(&store, all.clone()).await, ["3", "2", "1"]);
        let number = CdrQuery {
            number: Some("b".to_owned()),
            ..all.clone()
        };
        assert_eq!(found(&store, number).await, ["2", "1"]);
        let time = CdrQuery {
            since: Some(at(2)),
            until: Some(at(3)),
            ..all.clone()
        };
        assert_eq!(found(&store, time).await, ["2"]);
        let first = store
            .cdrs(CdrQuery {
                limit: 2,
                ..all.clone()
            })
            .await
            .unwrap();
        let next = CdrQuery {
            before: Some(first[1].id),
            ..all.clone()
        };
        assert_eq!(found(&store, next).await, ["1"]);
        let legs = CdrQuery {
            kind: Some("leg".to_owned()),
            ..all.clone()
        };
        assert_eq!(found(&store, legs).await, ["1"]);
        assert_eq!(store.delete_cdrs_before(at(3)).await.unwrap(), 2);
        assert_eq!(found(&store, all).await, ["3"]);
    }
}
