//! The messages of voicemail: one row for each, from the moment it is begun; the row is also what says that a mail of it is still to be sent.
//!
//! Owns the rows, never the files.
use super::database::{Database, Row, Value};
use super::error::StoreError;
use super::fresh_id;
use super::{Store, ms_of};
use std::path::PathBuf;
use std::time::SystemTime;

/// Its table. `work_due` says when its transcript and its mail are to be made; null: they are, or none is wanted.
pub(super) const TABLE: &str = "
    CREATE TABLE voicemail (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        mailbox TEXT NOT NULL,
        call TEXT NOT NULL, caller TEXT NOT NULL, caller_name TEXT,
        state TEXT NOT NULL,
        path TEXT NOT NULL,
        at INTEGER NOT NULL, ms INTEGER NOT NULL DEFAULT 0, octets INTEGER NOT NULL DEFAULT 0,
        keep_until INTEGER, transcript TEXT,
        work_due INTEGER, attempts INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX voicemail_by_box ON voicemail (mailbox, state, number);
    CREATE INDEX voicemail_by_end ON voicemail (keep_until) WHERE keep_until IS NOT NULL;
    CREATE INDEX voicemail_by_work ON voicemail (work_due) WHERE work_due IS NOT NULL;";

const COLUMNS: &str = "number, id, mailbox, call, caller, caller_name, state, path, at, ms, octets, keep_until, transcript, attempts";
/// The most rows of one page.
pub const MAX_VOICEMAIL_PAGE: usize = 1000;

/// Whether a message was heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoicemailState {
    /// It is being recorded, or the process was killed meanwhile.
    Recording,
    /// Nobody has heard it.
    New,
    /// It was heard.
    Saved,
}

impl VoicemailState {
    /// Each by its name.
    pub const ALL: [(&'static str, VoicemailState); 3] = [
        ("recording", VoicemailState::Recording),
        ("new", VoicemailState::New),
        ("saved", VoicemailState::Saved),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, each)| *each == self);
        named.map_or("", |(name, _)| name)
    }
}

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoicemailRow {
    /// Grows with each; where the next page begins.
    pub number: i64,
    /// By which it is asked for: `v-` and 16 hexadecimal digits.
    pub id: String,
    /// The box.
    pub mailbox: String,
    /// The call that left it.
    pub call: String,
    /// Whose it was.
    pub caller: String,
    /// The caller's name.
    pub caller_name: Option<String>,
    /// Whether it was heard.
    pub state: VoicemailState,
    /// Its file.
    pub path: PathBuf,
    /// When it was begun, in ms since 1970.
    pub at_ms: i64,
    /// Its length.
    pub ms: i64,
    /// The size of its file.
    pub octets: i64,
    /// When it is deleted, in ms since 1970; `None`: not by its age.
    pub keep_until_ms: Option<i64>,
    /// What was said, as far as it was understood.
    pub transcript: Option<String>,
    /// Times its mail was tried in vain.
    pub attempts: u32,
}

/// A message that is begun.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoicemailBegun {
    /// See [`VoicemailRow`].
    pub id: String,
    /// See above.
    pub mailbox: String,
    /// See above.
    pub call: String,
    /// See above.
    pub caller: String,
    /// See above.
    pub caller_name: Option<String>,
    /// See above.
    pub path: PathBuf,
    /// When.
    pub at: SystemTime,
}

/// One that is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VoicemailLeft {
    /// Its length.
    pub ms: u64,
    /// The size of its file.
    pub octets: u64,
    /// When it is to be deleted.
    pub keep_until: Option<SystemTime>,
    /// When its transcript and mail are due.
    pub work_due: Option<SystemTime>,
}

/// Which messages. The default asks for the newest of all boxes.
#[derive(Debug, Clone, Default)]
pub struct VoicemailQuery {
    /// Those of this box.
    pub mailbox: Option<String>,
    /// Those in this state; `None`: all that are complete.
    pub state: Option<VoicemailState>,
    /// Only those before this [`VoicemailRow::number`].
    pub before: Option<i64>,
    /// At most so many, and at most [`MAX_VOICEMAIL_PAGE`]; 0: that many.
    pub limit: usize,
}

/// How many messages a box has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct VoicemailCount {
    /// Nobody has heard them.
    pub new: u64,
    /// They were heard.
    pub saved: u64,
}

fn row(of: &Row) -> Result<VoicemailRow, StoreError> {
    let state = of.text(6)?;
    let state = VoicemailState::ALL.iter().find(|(name, _)| *name == state);
    Ok(VoicemailRow {
        number: of.integer(0)?,
        id: of.text(1)?,
        mailbox: of.text(2)?,
        call: of.text(3)?,
        caller: of.text(4)?,
        caller_name: of.maybe_text(5)?,
        state: state.map_or(VoicemailState::Saved, |(_, state)| *state),
        path: of.text(7)?.into(),
        at_ms: of.integer(8)?,
        ms: of.integer(9)?,
        octets: of.integer(10)?,
        keep_until_ms: of.maybe_integer(11)?,
        transcript: of.maybe_text(12)?,
        attempts: u32::try_from(of.integer(13)?).unwrap_or(u32::MAX),
    })
}

/// A new id of a message.
pub fn voicemail_id() -> String {
    fresh_id::<8>("v-")
}

impl Store {
    /// A message is begun, unless the box holds `most` already: whether it may be.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn voicemail_begun(
        &self,
        begun: VoicemailBegun,
        most: usize,
    ) -> Result<bool, StoreError> {
        self.write(move |database| {
            let sql = "INSERT INTO voicemail (id, mailbox, call, caller, caller_name, state, path, at) \
                       SELECT ?1, ?2, ?3, ?4, ?5, 'recording', ?6, ?7 \
                       WHERE (SELECT count(*) FROM voicemail WHERE mailbox = ?2) < ?8";
            let values = [
                begun.id.into(),
                begun.mailbox.into(),
                begun.call.into(),
                begun.caller.into(),
                begun.caller_name.into(),
                begun.path.display().to_string().into(),
                ms_of(begun.at).into(),
                most.into(),
            ];
            Ok(database.execute(sql, &values)? > 0)
        })
        .await
    }

    /// It is complete, unless it was already. Outlives a loss of power.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn voicemail_left(&self, id: &str, left: VoicemailLeft) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write_durably(move |database| {
            let sql = "UPDATE voicemail SET state = 'new', ms = ?2, octets = ?3, keep_until = ?4, work_due = ?5 \
                       WHERE id = ?1 AND state = 'recording'";
            let values = [
                id.into(),
                left.ms.into(),
                left.octets.into(),
                left.keep_until.map(ms_of).into(),
                left.work_due.map(ms_of).into(),
            ];
            database.execute(sql, &values).map(|_| ())
        })
        .await
    }

    /// The message of that id.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn voicemail(&self, id: &str) -> Result<Option<VoicemailRow>, StoreError> {
        let found = self.messages("WHERE id = ?1", vec![id.into()]).await?;
        Ok(found.into_iter().next())
    }

    /// Messages by what `query` says, the newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn voicemails(&self, query: VoicemailQuery) -> Result<Vec<VoicemailRow>, StoreError> {
        let limit = match query.limit {
            0 => MAX_VOICEMAIL_PAGE,
            limit => limit.min(MAX_VOICEMAIL_PAGE),
        };
        let values: Vec<Value> = vec![
            limit.into(),
            query.before.unwrap_or(i64::MAX).into(),
            query.mailbox.into(),
            query.state.map(|state| state.name().to_owned()).into(),
        ];
        let rest = "WHERE number < ?2 AND (?3 IS NULL OR mailbox = ?3) \
                    AND (state = ?4 OR (?4 IS NULL AND state <> 'recording')) ORDER BY number DESC LIMIT ?1";
        self.messages(rest, values).await
    }

    /// How many messages a box has.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn voicemail_count(&self, mailbox: &str) -> Result<VoicemailCount, StoreError> {
        let mailbox = mailbox.to_owned();
        self.read(move |database| count(database, &mailbox)).await
    }

    /// Whether it was heard; returns whether that is a change.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn mark_voicemail(&self, id: &str, saved: bool) -> Result<bool, StoreError> {
        let id = id.to_owned();
        let state = if saved { "saved" } else { "new" };
        self.write(move |database| {
            let sql =
                "UPDATE voicemail SET state = ?2 WHERE id = ?1 AND state NOT IN (?2, 'recording')";
            Ok(database.execute(sql, &[id.into(), state.into()])? > 0)
        })
        .await
    }

    /// It is gone; returns whether it was there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget_voicemail(&self, id: &str) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write(move |database| {
            Ok(database.execute("DELETE FROM voicemail WHERE id = ?1", &[id.into()])? > 0)
        })
        .await
    }

    /// Messages whose time was over at `now`, at most [`MAX_VOICEMAIL_PAGE`].
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn voicemails_over(&self, now: SystemTime) -> Result<Vec<VoicemailRow>, StoreError> {
        let rest = "WHERE keep_until <= ?1 AND state <> 'recording' ORDER BY keep_until LIMIT ?2";
        let values = vec![ms_of(now).into(), MAX_VOICEMAIL_PAGE.into()];
        self.messages(rest, values).await
    }

    /// Messages that were begun and not completed, those behind the number `after`, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn voicemails_begun(
        &self,
        after: i64,
        limit: usize,
    ) -> Result<Vec<VoicemailRow>, StoreError> {
        let rest = "WHERE state = 'recording' AND number > ?1 ORDER BY number LIMIT ?2";
        self.messages(rest, vec![after.into(), limit.into()]).await
    }

    /// Messages whose transcript or mail is due at `now`, and when the next is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn voicemail_work(
        &self,
        now: SystemTime,
        limit: usize,
    ) -> Result<(Vec<VoicemailRow>, Option<i64>), StoreError> {
        let now = ms_of(now);
        self.read(move |database| {
            let sql = format!(
                "SELECT {COLUMNS} FROM voicemail WHERE work_due <= ?1 ORDER BY work_due LIMIT ?2"
            );
            let rows = database.query(&sql, &[now.into(), limit.into()])?;
            let rows: Result<Vec<_>, _> = rows.iter().map(row).collect();
            let next = "SELECT min(work_due) FROM voicemail WHERE work_due > ?1";
            let next = database.query(next, &[now.into()])?;
            let next = next.first().map(|row| row.maybe_integer(0)).transpose()?;
            Ok((rows?, next.flatten()))
        })
        .await
    }

    /// When its work is due next; `None`: it is done, or given up. With `failed` it was tried in vain.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put_off_voicemail(
        &self,
        id: &str,
        due: Option<SystemTime>,
        failed: bool,
    ) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(move |database| {
            let sql = "UPDATE voicemail SET work_due = ?2, attempts = attempts + ?3 WHERE id = ?1";
            let values = [id.into(), due.map(ms_of).into(), i64::from(failed).into()];
            database.execute(sql, &values).map(|_| ())
        })
        .await
    }

    /// What was said in it.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn transcribe_voicemail(&self, id: &str, text: String) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(move |database| {
            let sql = "UPDATE voicemail SET transcript = ?2 WHERE id = ?1";
            database.execute(sql, &[id.into(), text.into()]).map(|_| ())
        })
        .await
    }

    async fn messages(
        &self,
        rest: &str,
        values: Vec<Value>,
    ) -> Result<Vec<VoicemailRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM voicemail {rest}");
        self.read(move |database| database.query(&sql, &values)?.iter().map(row).collect())
            .await
    }
}

fn count(database: &mut dyn Database, mailbox: &str) -> Result<VoicemailCount, StoreError> {
    let sql = "SELECT count(*) FILTER (WHERE state = 'new'), count(*) FILTER (WHERE state = 'saved') \
               FROM voicemail WHERE mailbox = ?1";
    let rows = database.query(sql, &[mailbox.into()])?;
    let number = |row: &Row, column| Ok(u64::try_from(row.integer(column)?).unwrap_or(0));
    rows.first().map_or(Ok(VoicemailCount::default()), |row| {
        Ok(VoicemailCount {
            new: number(row, 0)?,
            saved: number(row, 1)?,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn begun(id: &str, mailbox: &str) -> VoicemailBegun {
        VoicemailBegun {
            id: id.to_owned(),
            mailbox: mailbox.to_owned(),
            call: "c-1".to_owned(),
            caller: "201".to_owned(),
            caller_name: None,
            path: format!("/v/{id}.wav").into(),
            at: UNIX_EPOCH,
        }
    }

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    fn left(keep_until: Option<u64>, work_due: Option<u64>) -> VoicemailLeft {
        VoicemailLeft {
            ms: 3000,
            octets: 48_044,
            keep_until: keep_until.map(at),
            work_due: work_due.map(at),
        }
    }

    async fn ids(store: &Store, state: Option<VoicemailState>) -> Vec<String> {
        let query = VoicemailQuery {
            mailbox: Some("a".to_owned()),
            state,
            ..VoicemailQuery::default()
        };
        let rows = store.voicemails(query).await.unwrap();
        rows.into_iter().map(|row| row.id).collect()
    }

    #[tokio::test]
    async fn a_message_goes_from_its_beginning_to_its_end_and_a_full_box_takes_none() {
        let store = Store::in_memory().unwrap();
        for (id, taken) in [("v-1", true), ("v-2", true), ("v-3", false)] {
            assert_eq!(
                store.voicemail_begun(begun(id, "a"), 2).await.unwrap(),
                taken
            );
        }
        assert!(store.voicemail_begun(begun("v-4", "b"), 2).await.unwrap());
        assert_eq!(ids(&store, None).await, [""; 0]);
        store.voicemail_left("v-1", left(None, None)).await.unwrap();
        store
            .voicemail_left("v-2", left(Some(9), None))
            .await
            .unwrap();
        assert_eq!(store.voicemails_begun(0, 9).await.unwrap().len(), 1);
        assert!(store.mark_voicemail("v-1", true).await.unwrap());
        assert!(!store.mark_voicemail("v-1", true).await.unwrap());
        assert_eq!(ids(&store, None).await, ["v-2", "v-1"]);
        assert_eq!(ids(&store, Some(VoicemailState::New)).await, ["v-2"]);
        let count = store.voicemail_count("a").await.unwrap();
        assert_eq!(count, VoicemailCount { new: 1, saved: 1 });
        assert_eq!(store.voicemails_over(at(8)).await.unwrap(), []);
        assert_eq!(store.voicemails_over(at(9)).await.unwrap()[0].id, "v-2");
        assert!(store.forget_voicemail("v-2").await.unwrap());
        assert!(!store.forget_voicemail("v-2").await.unwrap());
    }

    #[tokio::test]
    async fn its_work_is_due_until_it_is_done() {
        let store = Store::in_memory().unwrap();
        for (id, due) in [("v-1", 5), ("v-2", 7)] {
            store.voicemail_begun(begun(id, "a"), 9).await.unwrap();
            store
                .voicemail_left(id, left(None, Some(due)))
                .await
                .unwrap();
        }
        let work = async |second| {
            let (rows, next) = store.voicemail_work(at(second), 9).await.unwrap();
            let rows: Vec<_> = rows
                .iter()
                .map(|row| (row.id.clone(), row.attempts))
                .collect();
            (rows, next)
        };
        assert_eq!(work(4).await, (vec![], Some(5000)));
        assert_eq!(work(5).await, (vec![("v-1".to_owned(), 0)], Some(7000)));
        store
            .put_off_voicemail("v-1", Some(at(8)), true)
            .await
            .unwrap();
        store.put_off_voicemail("v-2", None, false).await.unwrap();
        assert_eq!(work(8).await, (vec![("v-1".to_owned(), 1)], None));
        store
            .transcribe_voicemail("v-1", "hello".to_owned())
            .await
            .unwrap();
        let row = store.voicemail("v-1").await.unwrap().unwrap();
        assert_eq!(row.transcript.as_deref(), Some("hello"));
    }
}
