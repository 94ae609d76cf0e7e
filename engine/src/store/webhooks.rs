//! The spool of webhooks: what is still to be delivered, by hook, in the order in which it happened.
use super::database::{Database, Row};
use super::error::StoreError;
use super::queue::Pace;
use super::{Store, ms_of, piece};
use std::time::SystemTime;

/// Its table. What concerns no call has an empty one.
pub(super) const TABLE: &str = "
    CREATE TABLE webhook_spool (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        hook TEXT NOT NULL, call TEXT NOT NULL,
        id TEXT NOT NULL, event TEXT NOT NULL, body TEXT NOT NULL,
        created INTEGER NOT NULL, due INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX webhook_spool_by_call ON webhook_spool (hook, call, number);";

/// What waits behind another delivery of its call is due never ([`BEHIND`]), so that whose turn it is stands in an index.
pub(super) const TURNS: &str = "
    UPDATE webhook_spool SET due = 9223372036854775807
        WHERE number NOT IN (SELECT min(number) FROM webhook_spool GROUP BY hook, call);
    CREATE INDEX webhook_spool_by_turn ON webhook_spool (hook, due, number);";

/// `due` of what waits behind another delivery of its call.
const BEHIND: i64 = i64::MAX;

const COLUMNS: &str = "number, hook, call, id, event, body, created, due, attempts";

/// A delivery that waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spooled {
    /// Its place.
    pub number: i64,
    /// The hook's name.
    pub hook: String,
    /// The call, or empty.
    pub call: String,
    /// By which the receiver knows it again.
    pub id: String,
    /// The event's name.
    pub event: String,
    /// What is sent.
    pub body: String,
    /// When it happened, in ms since 1970.
    pub created_ms: i64,
    /// When it is to be tried next.
    pub due_ms: i64,
    /// Times it was tried.
    pub attempts: u32,
}

impl Spooled {
    /// When it is to be tried next; `None`: when those of its call are through that came before it.
    pub fn due(&self) -> Option<SystemTime> {
        (self.due_ms != BEHIND).then(|| super::time_of(self.due_ms))
    }
}

fn spooled(of: &Row) -> Result<Spooled, StoreError> {
    Ok(Spooled {
        number: of.integer(0)?,
        hook: of.text(1)?,
        call: of.text(2)?,
        id: of.text(3)?,
        event: of.text(4)?,
        body: of.text(5)?,
        created_ms: of.integer(6)?,
        due_ms: of.integer(7)?,
        attempts: u32::try_from(of.integer(8)?).unwrap_or(u32::MAX),
    })
}

impl Store {
    /// Spools a delivery some time soon, to be tried at once. `done` is told, by the store's thread, when it is there or why it never will be.
    /// Returns whether it was taken; `done` is not told where it was not. `number`, `due_ms` and `attempts` do not count.
    pub fn post_webhook(
        &self,
        spooled: Spooled,
        done: impl FnOnce(Result<(), StoreError>) + Send + 'static,
    ) -> bool {
        let insert = move |database: &mut dyn Database| {
            let sql = "INSERT INTO webhook_spool (hook, call, id, event, body, created, due) VALUES (?1, ?2, ?3, ?4, ?5, ?6, \
                       iif(EXISTS (SELECT 1 FROM webhook_spool WHERE hook = ?1 AND call = ?2), ?7, ?6))";
            let values = [
                spooled.hook.into(),
                spooled.call.into(),
                spooled.id.into(),
                spooled.event.into(),
                spooled.body.into(),
                spooled.created_ms.into(),
                BEHIND.into(),
            ];
            database.execute(sql, &values).map(|_| ())
        };
        self.queue(true, piece(Pace::Soon, insert, done)).is_ok()
    }

    /// The first delivery of each call that waits for `hook`, those due soonest first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn webhook_heads(
        &self,
        hook: &str,
        limit: usize,
    ) -> Result<Vec<Spooled>, StoreError> {
        let hook = hook.to_owned();
        self.read(move |database| {
            let sql = format!(
                "SELECT {COLUMNS} FROM webhook_spool \
                 WHERE hook = ?1 AND due < ?2 ORDER BY due, number LIMIT ?3"
            );
            let values = [hook.into(), BEHIND.into(), limit.into()];
            database.query(&sql, &values)?.iter().map(spooled).collect()
        })
        .await
    }

    /// It was delivered, or is given up: the next of its call has its turn. Returns whether it was still there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn webhook_settled(&self, number: i64) -> Result<bool, StoreError> {
        self.write(move |database| {
            let sql = "DELETE FROM webhook_spool WHERE number = ?1 RETURNING hook, call, due";
            let gone = database.query(sql, &[number.into()])?;
            let Some(gone) = gone.first() else {
                return Ok(false);
            };
            if gone.integer(2)? == BEHIND {
                return Ok(true);
            }
            let sql = "UPDATE webhook_spool SET due = created WHERE number = \
                       (SELECT min(number) FROM webhook_spool WHERE hook = ?1 AND call = ?2)";
            let values = [gone.text(0)?.into(), gone.text(1)?.into()];
            database.execute(sql, &values).map(|_| true)
        })
        .await
    }

    /// What waits, the oldest first, from after that number on; `hook`: for that only.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn webhook_spool(
        &self,
        hook: Option<String>,
        after: i64,
        limit: usize,
    ) -> Result<Vec<Spooled>, StoreError> {
        self.read(move |database| {
            let sql = format!(
                "SELECT {COLUMNS} FROM webhook_spool WHERE number > ?1 AND (?2 = '' OR hook = ?2) \
                 ORDER BY number LIMIT ?3"
            );
            let values = [after.into(), hook.unwrap_or_default().into(), limit.into()];
            database.query(&sql, &values)?.iter().map(spooled).collect()
        })
        .await
    }

    /// A delivery that waits, by its id.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn webhook_delivery(&self, id: &str) -> Result<Option<Spooled>, StoreError> {
        let id = id.to_owned();
        self.read(move |database| {
            let sql = format!("SELECT {COLUMNS} FROM webhook_spool WHERE id = ?1");
            let rows = database.query(&sql, &[id.into()])?;
            rows.first().map(spooled).transpose()
        })
        .await
    }

    /// It is to be tried now, or when it has its turn.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn webhook_due(&self, number: i64) -> Result<(), StoreError> {
        let now = ms_of(SystemTime::now());
        self.write(move |database| {
            let sql = "UPDATE webhook_spool SET due = ?2 WHERE number = ?1 AND due < ?3";
            let values = [number.into(), now.into(), BEHIND.into()];
            database.execute(sql, &values).map(|_| ())
        })
        .await
    }

    /// It was tried in vain.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn webhook_put_off(&self, number: i64, due: SystemTime) -> Result<(), StoreError> {
        let due = ms_of(due);
        self.write(move |database| {
            let sql =
                "UPDATE webhook_spool SET due = ?2, attempts = attempts + 1 WHERE number = ?1";
            database
                .execute(sql, &[number.into(), due.into()])
                .map(|_| ())
        })
        .await
    }

    /// How many wait for each hook.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn webhooks_waiting(&self) -> Result<Vec<(String, usize)>, StoreError> {
        self.read(|database| {
            let sql = "SELECT hook, count(*) FROM webhook_spool GROUP BY hook";
            let count = |row: &Row| {
                let count = usize::try_from(row.integer(1)?).unwrap_or(0);
                Ok((row.text(0)?, count))
            };
            database.query(sql, &[])?.iter().map(count).collect()
        })
        .await
    }

    /// Deletes what waits for a hook.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn forget_webhook(&self, hook: &str) -> Result<usize, StoreError> {
        let hook = hook.to_owned();
        self.write(move |database| {
            database.execute("DELETE FROM webhook_spool WHERE hook = ?1", &[hook.into()])
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn delivery(hook: &str, call: &str, id: &str) -> Spooled {
        Spooled {
            number: 0,
            hook: hook.to_owned(),
            call: call.to_owned(),
            id: id.to_owned(),
            event: "call.started".to_owned(),
            body: "{}".to_owned(),
            created_ms: 5,
            due_ms: 0,
            attempts: 0,
        }
    }

    #[tokio::test]
    async fn a_later_delivery_of_a_call_waits_for_the_first() {
        let store = Store::in_memory().unwrap();
        for (hook, call, id) in [
            ("h", "c1", "1"),
            ("h", "c1", "2"),
            ("h", "c2", "3"),
            ("g", "c1", "4"),
        ] {
            assert!(store.post_webhook(delivery(hook, call, id), |_| ()));
        }
        let heads = async || {
            let heads = store.webhook_heads("h", 10).await.unwrap();
            let ids: Vec<_> = heads.iter().map(|head| head.id.clone()).collect();
            (heads, ids.join(" "))
        };
        let (first, ids) = heads().await;
        assert_eq!(ids, "1 3");
        let later = super::super::time_of(99);
        store.webhook_put_off(first[0].number, later).await.unwrap();
        let (first, ids) = heads().await;
        assert_eq!(
            (ids.as_str(), first[1].attempts, first[1].due_ms),
            ("3 1", 1, 99)
        );
        store.webhook_settled(first[1].number).await.unwrap();
        assert_eq!(heads().await.1, "2 3");
        let waiting = store.webhooks_waiting().await.unwrap();
        assert_eq!(waiting, [("g".to_owned(), 1), ("h".to_owned(), 2)]);
        assert_eq!(store.forget_webhook("h").await.unwrap(), 2);
    }
}
