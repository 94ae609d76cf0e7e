//! The index of recordings: one row for each file that a call or conference has made, from the moment it is begun.
//!
//! Owns the rows, never the files. Paths are absolute.
use super::database::{Row, Value};
use super::error::StoreError;
use super::{Store, fresh_id, ms_of};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Its table. `ended` says as well whether it is complete.
pub(super) const TABLE: &str = "
    CREATE TABLE recordings (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        path TEXT NOT NULL,
        call TEXT, conference TEXT,
        state TEXT NOT NULL,
        format TEXT NOT NULL,
        began INTEGER NOT NULL,
        ms INTEGER, lost_ms INTEGER, octets INTEGER,
        keep_until INTEGER
    );
    CREATE INDEX recordings_by_path ON recordings (path, state);
    CREATE INDEX recordings_by_call ON recordings (call, number);
    CREATE INDEX recordings_by_end ON recordings (keep_until) WHERE keep_until IS NOT NULL;
    CREATE INDEX recordings_in_progress ON recordings (state) WHERE state = 'recording';";

const COLUMNS: &str =
    "number, id, path, call, conference, state, format, began, ms, lost_ms, octets, keep_until";
/// The most rows of one page.
pub const MAX_RECORDINGS_PAGE: usize = 1000;

/// What is known of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingRow {
    /// Grows with each; where the next page begins.
    pub number: i64,
    /// By which it is asked for: `r-` and 16 hexadecimal digits that cannot be guessed.
    pub id: String,
    /// The file.
    pub path: PathBuf,
    /// The call it is of; of a conference's mix: none.
    pub call: Option<String>,
    /// The conference it is of.
    pub conference: Option<String>,
    /// `recording`, `complete`, `interrupted` (the process was killed meanwhile) or `failed` (what the disk took is there).
    pub state: String,
    /// `wav` or `opus`.
    pub format: String,
    /// When it was begun, in ms since 1970.
    pub began_ms: i64,
    /// Its length.
    pub ms: Option<i64>,
    /// Audio that is missing in it.
    pub lost_ms: Option<i64>,
    /// Its size.
    pub octets: Option<i64>,
    /// When it is deleted, in ms since 1970; `None`: not by its age.
    pub keep_until_ms: Option<i64>,
}

/// A file that is begun.
#[derive(Debug, Clone)]
pub struct RecordingBegun {
    /// The file.
    pub path: PathBuf,
    /// See [`RecordingRow`].
    pub call: Option<String>,
    /// See [`RecordingRow`].
    pub conference: Option<String>,
    /// `wav` or `opus`.
    pub format: String,
    /// When.
    pub at: SystemTime,
    /// When it is to be deleted.
    pub keep_until: Option<SystemTime>,
}

/// How it ended.
#[derive(Debug, Clone, Copy)]
pub struct RecordingDone {
    /// Its length, and what is missing in it.
    pub ms: i64,
    /// See above.
    pub lost_ms: i64,
    /// The disk did not take all of it.
    pub failed: bool,
}

/// What is asked for. The default asks for the newest.
#[derive(Debug, Clone, Default)]
pub struct RecordingQuery {
    /// Those of this call.
    pub call: Option<String>,
    /// Only those before this [`RecordingRow::number`].
    pub before: Option<i64>,
    /// At most so many, and at most [`MAX_RECORDINGS_PAGE`]; 0: that many.
    pub limit: usize,
}

fn row(of: &Row) -> Result<RecordingRow, StoreError> {
    Ok(RecordingRow {
        number: of.integer(0)?,
        id: of.text(1)?,
        path: of.text(2)?.into(),
        call: of.maybe_text(3)?,
        conference: of.maybe_text(4)?,
        state: of.text(5)?,
        format: of.text(6)?,
        began_ms: of.integer(7)?,
        ms: of.maybe_integer(8)?,
        lost_ms: of.maybe_integer(9)?,
        octets: of.maybe_integer(10)?,
        keep_until_ms: of.maybe_integer(11)?,
    })
}

/// The file's name in the index.
fn place(path: &Path) -> String {
    let whole = std::path::absolute(path);
    whole.as_deref().unwrap_or(path).display().to_string()
}

impl Store {
    /// A file is begun; noted some time soon.
    pub fn post_recording_begun(&self, begun: RecordingBegun) {
        self.post(move |database| {
            let sql = "INSERT INTO recordings (id, path, call, conference, state, format, began, keep_until) \
                       VALUES (?1, ?2, ?3, ?4, 'recording', ?5, ?6, ?7)";
            let values = [
                fresh_id::<8>("r-").into(),
                place(&begun.path).into(),
                begun.call.into(),
                begun.conference.into(),
                begun.format.into(),
                ms_of(begun.at).into(),
                begun.keep_until.map(ms_of).into(),
            ];
            database.execute(sql, &values).map(|_| ())
        });
    }

    /// It is complete, or as complete as it will be; noted some time soon.
    pub fn post_recording_done(&self, path: &Path, done: RecordingDone) {
        let path = place(path);
        self.post(move |database| {
            let octets = std::fs::metadata(&path).ok().map(|file| file.len());
            let state = if done.failed { "failed" } else { "complete" };
            let sql = "UPDATE recordings SET state = ?2, ms = ?3, lost_ms = ?4, octets = ?5 \
                       WHERE path = ?1 AND state = 'recording'";
            let values = [
                path.into(),
                state.into(),
                done.ms.into(),
                done.lost_ms.into(),
                octets.into(),
            ];
            database.execute(sql, &values).map(|_| ())
        });
    }

    /// The file was not to be kept; forgotten some time soon.
    pub fn post_recording_gone(&self, path: &Path) {
        let path = place(path);
        self.post(move |database| {
            let sql = "DELETE FROM recordings WHERE path = ?1";
            database.execute(sql, &[path.into()]).map(|_| ())
        });
    }

    /// The recording of that id.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn recording(&self, id: &str) -> Result<Option<RecordingRow>, StoreError> {
        let found = self.rows("WHERE id = ?1", vec![id.into()]).await?;
        Ok(found.into_iter().next())
    }

    /// Recordings by what `query` says, the newest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn recordings(&self, query: RecordingQuery) -> Result<Vec<RecordingRow>, StoreError> {
        let limit = match query.limit {
            0 => MAX_RECORDINGS_PAGE,
            limit => limit.min(MAX_RECORDINGS_PAGE),
        };
        let before = query.before.unwrap_or(i64::MAX);
        let mut values: Vec<Value> = vec![limit.into(), before.into()];
        let of_call = match query.call {
            Some(call) => {
                values.push(call.into());
                "AND call = ?3"
            }
            None => "",
        };
        let rest = format!("WHERE number < ?2 {of_call} ORDER BY number DESC LIMIT ?1");
        self.rows(&rest, values).await
    }

    /// Files that were begun and not completed, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn recordings_begun(&self, limit: usize) -> Result<Vec<RecordingRow>, StoreError> {
        let rest = "WHERE state = 'recording' LIMIT ?1";
        self.rows(rest, vec![limit.into()]).await
    }

    /// Those whose time was over at `now`, at most [`MAX_RECORDINGS_PAGE`]; those being written are none of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn recordings_over(&self, now: SystemTime) -> Result<Vec<RecordingRow>, StoreError> {
        let rest = "WHERE keep_until <= ?1 AND state <> 'recording' ORDER BY keep_until LIMIT ?2";
        let values = vec![ms_of(now).into(), MAX_RECORDINGS_PAGE.into()];
        self.rows(rest, values).await
    }

    /// The oldest, so many of them that what stays is not larger than `most` octets, and at most [`MAX_RECORDINGS_PAGE`]; those being written
    /// are none of them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn recordings_beyond(&self, most: u64) -> Result<Vec<RecordingRow>, StoreError> {
        let limit = MAX_RECORDINGS_PAGE;
        // What is newer than a row, and it, must fit.
        let rest = "JOIN (SELECT number AS n, sum(octets) OVER (ORDER BY number DESC) AS newer FROM recordings) \
                    ON n = number WHERE newer > ?1 AND state <> 'recording' ORDER BY number LIMIT ?2";
        self.rows(rest, vec![most.into(), limit.into()]).await
    }

    /// The process was killed while it was written; it has this length now.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn recording_interrupted(
        &self,
        id: &str,
        ms: Option<u64>,
        octets: u64,
    ) -> Result<(), StoreError> {
        let values = [id.into(), ms.into(), octets.into()];
        self.write_durably(move |database| {
            let sql =
                "UPDATE recordings SET state = 'interrupted', ms = ?2, octets = ?3 WHERE id = ?1";
            database.execute(sql, &values).map(|_| ())
        })
        .await
    }

    /// Its file is deleted.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget_recording(&self, id: &str) -> Result<(), StoreError> {
        let id = id.to_owned();
        self.write(move |database| {
            let sql = "DELETE FROM recordings WHERE id = ?1";
            database.execute(sql, &[id.into()]).map(|_| ())
        })
        .await
    }

    async fn rows(&self, rest: &str, values: Vec<Value>) -> Result<Vec<RecordingRow>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM recordings {rest}");
        self.read(move |database| database.query(&sql, &values)?.iter().map(row).collect())
            .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn begun(path: &Path, call: &str, keep: Option<u64>) -> RecordingBegun {
        RecordingBegun {
            path: path.to_owned(),
            call: Some(call.to_owned()),
            conference: None,
            format: "wav".to_owned(),
            at: UNIX_EPOCH,
            keep_until: keep.map(|seconds| UNIX_EPOCH + Duration::from_secs(seconds)),
        }
    }

    const DONE: RecordingDone = RecordingDone {
        ms: 1500,
        lost_ms: 20,
        failed: false,
    };

    #[tokio::test]
    async fn a_file_is_in_the_index_from_its_beginning() {
        let store = Store::in_memory().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        std::fs::write(&path, [0; 100]).unwrap();
        store.post_recording_begun(begun(&path, "c-1", None));
        store.flush().await;
        let open = store.recordings_begun(10).await.unwrap();
        assert_eq!((open.len(), open[0].octets), (1, None));
        store.post_recording_done(&path, DONE);
        store.flush().await;
        let row = store.recording(&open[0].id).await.unwrap().unwrap();
        assert_eq!(
            (row.state.as_str(), row.ms, row.octets),
            ("complete", Some(1500), Some(100))
        );
        assert_eq!(store.recordings_begun(10).await.unwrap(), []);
        store.post_recording_gone(&path);
        store.flush().await;
        assert_eq!(
            store.recordings(RecordingQuery::default()).await.unwrap(),
            []
        );
    }

    #[tokio::test]
    async fn what_is_due_is_old_or_too_much() {
        let store = Store::in_memory().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for (name, keep) in [("a", None), ("b", Some(10)), ("c", None), ("d", None)] {
            let path = folder.path().join(name);
            std::fs::write(&path, [0; 100]).unwrap();
            store.post_recording_begun(begun(&path, name, keep));
            store.post_recording_done(&path, DONE);
        }
        store.post_recording_begun(begun(&folder.path().join("e"), "e", Some(10)));
        store.flush().await;
        let due = async |second, most| {
            let now = UNIX_EPOCH + Duration::from_secs(second);
            let rows = match most {
                None => store.recordings_over(now).await.unwrap(),
                Some(most) => store.recordings_beyond(most).await.unwrap(),
            };
            let names = rows.iter().map(|row| row.call.clone().unwrap());
            names.collect::<Vec<_>>().join("")
        };
        assert_eq!(due(9, None).await, "");
        assert_eq!(due(10, None).await, "b");
        assert_eq!(due(9, Some(400)).await, "");
        assert_eq!(due(9, Some(250)).await, "ab");
        let page = RecordingQuery {
            call: Some("c".to_owned()),
            ..RecordingQuery::default()
        };
        assert_eq!(store.recordings(page).await.unwrap().len(), 1);
    }
}
