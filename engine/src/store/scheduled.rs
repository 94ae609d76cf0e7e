//! Calls that are to be placed later: when, what was asked for, and what became of it.
//!
//! A call is claimed before it is placed, so that it is placed once at most, however the process ends.
//! Limits: [`MOST_SCHEDULED`] wait; what became of the others is kept for thirty days.
use super::database::Row;
use super::error::{Cause, StoreError};
use super::{Store, ms_of};
use std::time::{Duration, SystemTime};

/// Its table. Times in ms since 1970; `due` is when it is tried next, `ended` when nothing was to be done any more.
pub(super) const TABLE: &str = "
    CREATE TABLE scheduled_calls (
        id TEXT PRIMARY KEY, at INTEGER NOT NULL, late INTEGER NOT NULL, due INTEGER NOT NULL,
        state TEXT NOT NULL, body TEXT NOT NULL, call TEXT, reason TEXT, ended INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX scheduled_calls_due ON scheduled_calls (state, due);
    CREATE INDEX scheduled_calls_by_time ON scheduled_calls (at, id);";

const COLUMNS: &str = "id, at, late, state, body, call, reason";
/// Calls that may wait to be placed.
pub const MOST_SCHEDULED: usize = 10_000;
/// How long it is kept what became of them.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// What was over before settling took the secret away.
pub(super) const WITHOUT_SECRETS: &str = "
    UPDATE scheduled_calls SET body = json_remove(body, '$.webhook.secret')
    WHERE state NOT IN ('waiting', 'placing') AND json_valid(body);";

/// What is over needs its secret no more.
const NO_SECRET: &str = "body = json_remove(body, '$.webhook.secret')";

/// Where a scheduled call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScheduledState {
    /// It waits for its time.
    Waiting,
    /// It is being placed.
    Placing,
    /// It was placed.
    Placed,
    /// Its time was over before it could be placed.
    Missed,
    /// It could not be placed.
    Failed,
}

impl ScheduledState {
    /// All of them.
    pub const ALL: [ScheduledState; 5] = [
        Self::Waiting,
        Self::Placing,
        Self::Placed,
        Self::Missed,
        Self::Failed,
    ];

    /// `waiting`, `placing`, `placed`, `missed` or `failed`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Placing => "placing",
            Self::Placed => "placed",
            Self::Missed => "missed",
            Self::Failed => "failed",
        }
    }

    /// The reverse of [`ScheduledState::word`].
    pub fn named(word: &str) -> Option<ScheduledState> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }
}

/// A call that is to be placed, or was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduled {
    /// Its id.
    pub id: String,
    /// When it is to be placed, in ms since 1970.
    pub at_ms: i64,
    /// How much later it may still be placed, in ms.
    pub late_ms: i64,
    /// Where it stands.
    pub state: ScheduledState,
    /// What was asked for.
    pub body: String,
    /// The call's id, once it was placed.
    pub call: Option<String>,
    /// Why it was not.
    pub reason: Option<String>,
}

fn scheduled(of: &Row) -> Result<Scheduled, StoreError> {
    let state = of.text(3)?;
    let odd = || StoreError::new(Cause::Corrupt, format!("{state:?} is no state"));
    Ok(Scheduled {
        id: of.text(0)?,
        at_ms: of.integer(1)?,
        late_ms: of.integer(2)?,
        state: ScheduledState::named(&state).ok_or_else(odd)?,
        body: of.text(4)?,
        call: of.maybe_text(5)?,
        reason: of.maybe_text(6)?,
    })
}

impl Store {
    /// Takes note of a call that waits. `false`: as many wait as may.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn schedule(&self, of: Scheduled) -> Result<bool, StoreError> {
        self.write_durably(move |database| {
            let sql = "INSERT INTO scheduled_calls (id, at, late, due, state, body) \
                       SELECT ?1, ?2, ?3, ?2, 'waiting', ?4 \
                       WHERE (SELECT count(*) FROM scheduled_calls WHERE state = 'waiting') < ?5";
            let values = [
                of.id.into(),
                of.at_ms.into(),
                of.late_ms.into(),
                of.body.into(),
                MOST_SCHEDULED.into(),
            ];
            Ok(database.execute(sql, &values)? > 0)
        })
        .await
    }

    /// A scheduled call.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn scheduled(&self, id: &str) -> Result<Option<Scheduled>, StoreError> {
        let id = id.to_owned();
        self.read(move |database| {
            let sql = format!("SELECT {COLUMNS} FROM scheduled_calls WHERE id = ?1");
            let rows = database.query(&sql, &[id.into()])?;
            rows.first().map(scheduled).transpose()
        })
        .await
    }

    /// Scheduled calls in the order of their times, those after that time and id; `state`: of that only.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn all_scheduled(
        &self,
        state: Option<ScheduledState>,
        after: (i64, String),
        limit: usize,
    ) -> Result<Vec<Scheduled>, StoreError> {
        self.read(move |database| {
            let sql = format!(
                "SELECT {COLUMNS} FROM scheduled_calls WHERE (at, id) > (?1, ?2) \
                 AND (?3 = '' OR state = ?3) ORDER BY at, id LIMIT ?4"
            );
            let state = state.map_or("", ScheduledState::word);
            let values = [after.0.into(), after.1.into(), state.into(), limit.into()];
            database
                .query(&sql, &values)?
                .iter()
                .map(scheduled)
                .collect()
        })
        .await
    }

    /// Another time for a call that waits. `false`: it does not.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn reschedule(&self, id: &str, at_ms: i64, late_ms: i64) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write_durably(move |database| {
            let sql = "UPDATE scheduled_calls SET at = ?2, due = ?2, late = ?3 \
                       WHERE id = ?1 AND state = 'waiting'";
            Ok(database.execute(sql, &[id.into(), at_ms.into(), late_ms.into()])? > 0)
        })
        .await
    }

    /// Deletes one that is in this state, unless it is being placed. `false`: it is not deleted.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn unschedule(&self, id: &str, state: ScheduledState) -> Result<bool, StoreError> {
        let id = id.to_owned();
        self.write_durably(move |database| {
            let sql =
                "DELETE FROM scheduled_calls WHERE id = ?1 AND state = ?2 AND state <> 'placing'";
            Ok(database.execute(sql, &[id.into(), state.word().into()])? > 0)
        })
        .await
    }

    /// Claims those that are due, the oldest first, and says when the next one is (ms since 1970).
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn claim_scheduled(
        &self,
        now: SystemTime,
        limit: usize,
    ) -> Result<(Vec<Scheduled>, Option<i64>), StoreError> {
        let now = ms_of(now);
        // Durably: one that has rung must not wait again after a loss of power.
        self.write_durably(move |database| {
            let sql = format!(
                "SELECT {COLUMNS} FROM scheduled_calls WHERE state = 'waiting' AND due <= ?1 \
                 ORDER BY due LIMIT ?2"
            );
            let rows = database.query(&sql, &[now.into(), limit.into()])?;
            let due: Vec<Scheduled> = rows.iter().map(scheduled).collect::<Result<_, _>>()?;
            for of in &due {
                let sql = "UPDATE scheduled_calls SET state = 'placing' WHERE id = ?1";
                database.execute(sql, &[of.id.as_str().into()])?;
            }
            let sql = "SELECT min(due) FROM scheduled_calls WHERE state = 'waiting'";
            let next = database.query(sql, &[])?;
            let next = next.first().map(|row| row.maybe_integer(0)).transpose()?;
            Ok((due, next.flatten()))
        })
        .await
    }

    /// What became of a call that was claimed: where it stands from now on, its id or the reason.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn settle_scheduled(
        &self,
        id: &str,
        state: ScheduledState,
        call: Option<String>,
        reason: Option<String>,
    ) -> Result<(), StoreError> {
        let (id, now) = (id.to_owned(), ms_of(SystemTime::now()));
        let text = |text: Option<String>| text.map_or(super::Value::Null, Into::into);
        let (call, reason) = (text(call), text(reason));
        self.write(move |database| {
            let sql = format!(
                "UPDATE scheduled_calls SET state = ?2, call = ?3, reason = ?4, ended = ?5, {NO_SECRET} WHERE id = ?1"
            );
            let values = [id.into(), state.word().into(), call, reason, now.into()];
            database.execute(&sql, &values).map(|_| ())
        })
        .await
    }

    /// A call that was claimed waits again, to be tried at that time.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put_off_scheduled(&self, id: &str, due: SystemTime) -> Result<(), StoreError> {
        let (id, due) = (id.to_owned(), ms_of(due));
        self.write_durably(move |database| {
            let sql = "UPDATE scheduled_calls SET state = 'waiting', due = ?2 WHERE id = ?1";
            database.execute(sql, &[id.into(), due.into()]).map(|_| ())
        })
        .await
    }

    /// Those that a process before this one was placing when it was killed: they may have rung, and are given up. Returns them.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn interrupt_scheduled(&self, reason: &str) -> Result<Vec<Scheduled>, StoreError> {
        let (reason, now) = (reason.to_owned(), ms_of(SystemTime::now()));
        self.write(move |database| {
            let sql = format!("SELECT {COLUMNS} FROM scheduled_calls WHERE state = 'placing'");
            let rows = database.query(&sql, &[])?;
            let sql = format!(
                "UPDATE scheduled_calls SET state = 'failed', reason = ?1, ended = ?2, {NO_SECRET} WHERE state = 'placing'"
            );
            database.execute(&sql, &[reason.into(), now.into()])?;
            rows.iter().map(scheduled).collect()
        })
        .await
    }

    /// Deletes those that have been over for thirty days; returns how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn sweep_scheduled(&self, now: SystemTime) -> Result<usize, StoreError> {
        let before = ms_of(now.checked_sub(KEPT).unwrap_or(SystemTime::UNIX_EPOCH));
        self.write(move |database| {
            let sql = "DELETE FROM scheduled_calls WHERE ended < ?1";
            database.execute(sql, &[before.into()])
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::super::time_of;
    use super::*;

    fn call(id: &str, at_ms: i64) -> Scheduled {
        Scheduled {
            id: id.to_owned(),
            at_ms,
            late_ms: 10,
            state: ScheduledState::Waiting,
            body: "{}".to_owned(),
            call: None,
            reason: None,
        }
    }

    fn ids(of: &[Scheduled]) -> Vec<&str> {
        of.iter().map(|of| of.id.as_str()).collect()
    }

    #[tokio::test]
    async fn each_is_claimed_once_and_in_the_order_of_time() {
        let store = Store::in_memory().unwrap();
        for (id, at) in [("c", 30), ("a", 20), ("b", 10)] {
            let body = r#"{"webhook":{"url":"u","secret":"s"}}"#.to_owned();
            let of = Scheduled {
                body,
                ..call(id, at)
            };
            assert!(store.schedule(of).await.unwrap());
        }
        let all = store
            .all_scheduled(None, (0, String::new()), 9)
            .await
            .unwrap();
        assert_eq!(ids(&all), ["b", "a", "c"]);
        let after = store.all_scheduled(None, (20, "a".to_owned()), 9).await;
        assert_eq!(ids(&after.unwrap()), ["c"]);
        let (due, next) = store.claim_scheduled(time_of(20), 9).await.unwrap();
        assert_eq!((ids(&due), next), (vec!["b", "a"], Some(30)));
        assert!(
            !store
                .unschedule("a", ScheduledState::Placing)
                .await
                .unwrap(),
            "it is being placed"
        );
        assert!(!store.reschedule("a", 99, 1).await.unwrap());
        let (due, _) = store.claim_scheduled(time_of(20), 9).await.unwrap();
        assert!(due.is_empty());
        store.put_off_scheduled("a", time_of(25)).await.unwrap();
        let placed = ScheduledState::Placed;
        store
            .settle_scheduled("b", placed, Some("c-1".to_owned()), None)
            .await
            .unwrap();
        let (due, next) = store.claim_scheduled(time_of(25), 9).await.unwrap();
        assert_eq!((ids(&due), next), (vec!["a"], Some(30)));
        let b = store.scheduled("b").await.unwrap().unwrap();
        assert_eq!((b.state, b.call.as_deref()), (placed, Some("c-1")));
        assert_eq!(b.body, r#"{"webhook":{"url":"u"}}"#);
        let a = store.scheduled("a").await.unwrap().unwrap();
        assert!(a.body.contains("secret"), "it is to be placed yet");
        let cut = store.interrupt_scheduled("killed").await.unwrap();
        assert_eq!(ids(&cut), ["a"]);
        let failed = Some(ScheduledState::Failed);
        let failed = store.all_scheduled(failed, (0, String::new()), 9).await;
        assert_eq!(failed.unwrap()[0].reason.as_deref(), Some("killed"));
        assert!(store.reschedule("c", 99, 1).await.unwrap());
        assert!(
            store
                .unschedule("c", ScheduledState::Waiting)
                .await
                .unwrap()
        );
        let later = SystemTime::now() + 2 * KEPT;
        assert_eq!(store.sweep_scheduled(later).await.unwrap(), 2);
    }
}
