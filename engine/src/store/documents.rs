//! Documents: JSON values by space and key, for small tables that need no more. A space belongs to one part of Trunkline.
//!
//! Limits: a key of 256 octets, a document of 1 MiB. Documents past their time are as good as gone, and are deleted by [`Store::sweep_documents`].
use super::database::Row;
use super::error::{Cause, StoreError};
use super::{Store, ms_of};
use serde_json::Value as Json;
use std::time::SystemTime;

/// Its table.
pub(super) const TABLE: &str = "
    CREATE TABLE documents (
        space TEXT NOT NULL, key TEXT NOT NULL, body TEXT NOT NULL,
        changed INTEGER NOT NULL, expires INTEGER,
        PRIMARY KEY (space, key)
    ) WITHOUT ROWID;
    CREATE INDEX documents_by_expiry ON documents (expires) WHERE expires IS NOT NULL;";

const LONGEST_KEY: usize = 256;
const LONGEST_BODY: usize = 1 << 20;

/// What is kept below a key.
#[derive(Debug, Clone, PartialEq)]
pub struct Document {
    /// Its key.
    pub key: String,
    /// It.
    pub body: Json,
    /// When it was last put, in ms since 1970.
    pub changed_ms: i64,
}

fn document(row: &Row) -> Result<Document, StoreError> {
    Ok(Document {
        key: row.text(0)?,
        body: row.json(1)?,
        changed_ms: row.integer(2)?,
    })
}

fn checked(key: &str, body: &Json) -> Result<String, StoreError> {
    let body = body.to_string();
    if key.len() > LONGEST_KEY || body.len() > LONGEST_BODY {
        let text = format!(
            "a document is longer than {LONGEST_BODY} octets, or its key than {LONGEST_KEY}"
        );
        return Err(StoreError::new(Cause::Defect, text));
    }
    Ok(body)
}

impl Store {
    /// Keeps a document, in place of what was there; once this returns, also over a loss of power.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put_document(
        &self,
        space: &'static str,
        key: &str,
        body: &Json,
        expires: Option<SystemTime>,
    ) -> Result<(), StoreError> {
        let (key, body) = (key.to_owned(), checked(key, body)?);
        let (now, expires) = (ms_of(SystemTime::now()), expires.map(ms_of));
        self.write_durably(move |database| {
            let sql = "INSERT INTO documents VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (space, key) \
                       DO UPDATE SET body = ?3, changed = ?4, expires = ?5";
            let values = [
                space.into(),
                key.into(),
                body.into(),
                now.into(),
                expires.into(),
            ];
            database.execute(sql, &values).map(|_| ())
        })
        .await
    }

    /// Keeps a document if there is none; returns the one that was there. Of two who try, one is first.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn put_document_if_new(
        &self,
        space: &'static str,
        key: &str,
        body: &Json,
        expires: Option<SystemTime>,
    ) -> Result<Option<Document>, StoreError> {
        let (key, body) = (key.to_owned(), checked(key, body)?);
        let (now, expires) = (ms_of(SystemTime::now()), expires.map(ms_of));
        self.write_durably(move |database| {
            let place = [space.into(), key.as_str().into(), now.into()];
            let old = "DELETE FROM documents WHERE space = ?1 AND key = ?2 AND expires <= ?3";
            database.execute(old, &place)?;
            let sql = "SELECT key, body, changed FROM documents WHERE space = ?1 AND key = ?2";
            if let Some(row) = database.query(sql, &place[..2])?.first() {
                return document(row).map(Some);
            }
            let values = [
                space.into(),
                key.into(),
                body.into(),
                now.into(),
                expires.into(),
            ];
            let sql = "INSERT INTO documents VALUES (?1, ?2, ?3, ?4, ?5)";
            database.execute(sql, &values).map(|_| None)
        })
        .await
    }

    /// The document of a key.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn document(
        &self,
        space: &'static str,
        key: &str,
    ) -> Result<Option<Document>, StoreError> {
        let (key, now) = (key.to_owned(), ms_of(SystemTime::now()));
        self.read(move |database| {
            let sql = "SELECT key, body, changed FROM documents WHERE space = ?1 AND key = ?2 \
                       AND (expires IS NULL OR expires > ?3)";
            let rows = database.query(sql, &[space.into(), key.into(), now.into()])?;
            rows.first().map(document).transpose()
        })
        .await
    }

    /// The documents of a space in the order of their keys, those after the key `after` (`""`: from the first), at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn documents(
        &self,
        space: &'static str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Document>, StoreError> {
        let (after, now) = (after.to_owned(), ms_of(SystemTime::now()));
        self.read(move |database| {
            let sql = "SELECT key, body, changed FROM documents WHERE space = ?1 AND key > ?2 \
                       AND (expires IS NULL OR expires > ?3) ORDER BY key LIMIT ?4";
            let values = [space.into(), after.into(), now.into(), limit.into()];
            database.query(sql, &values)?.iter().map(document).collect()
        })
        .await
    }

    /// Deletes a document; returns whether there was one.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delete_document(
        &self,
        space: &'static str,
        key: &str,
    ) -> Result<bool, StoreError> {
        let key = key.to_owned();
        self.write_durably(move |database| {
            let sql = "DELETE FROM documents WHERE space = ?1 AND key = ?2";
            Ok(database.execute(sql, &[space.into(), key.into()])? > 0)
        })
        .await
    }

    /// Deletes the documents whose time was over at `now`; returns how many.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn sweep_documents(&self, now: SystemTime) -> Result<usize, StoreError> {
        let now = ms_of(now);
        self.write(move |database| {
            database.execute("DELETE FROM documents WHERE expires <= ?1", &[now.into()])
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[tokio::test]
    async fn documents_are_kept_by_space_and_key() {
        let store = Store::in_memory().unwrap();
        for (key, body) in [("b", json!(2)), ("a", json!({"x": 1})), ("b", json!(3))] {
            store.put_document("t", key, &body, None).await.unwrap();
        }
        store
            .put_document("other", "c", &json!(9), None)
            .await
            .unwrap();
        let all = store.documents("t", "", 10).await.unwrap();
        let all: Vec<_> = all.iter().map(|of| (of.key.as_str(), &of.body)).collect();
        assert_eq!(all, [("a", &json!({"x": 1})), ("b", &json!(3))]);
        assert_eq!(store.documents("t", "a", 10).await.unwrap().len(), 1);
        assert!(store.delete_document("t", "a").await.unwrap());
        assert!(!store.delete_document("t", "a").await.unwrap());
        assert_eq!(store.document("t", "a").await.unwrap(), None);
        let long = json!("x".repeat(LONGEST_BODY));
        assert!(store.put_document("t", "a", &long, None).await.is_err());
    }

    #[tokio::test]
    async fn one_of_two_is_first_and_time_frees_the_key() {
        let store = Store::in_memory().unwrap();
        let later = Some(SystemTime::now() + Duration::from_secs(3600));
        let first = store
            .put_document_if_new("keys", "k", &json!(1), later)
            .await;
        assert_eq!(first.unwrap(), None);
        let second = store
            .put_document_if_new("keys", "k", &json!(2), later)
            .await;
        assert_eq!(second.unwrap().unwrap().body, json!(1));
        let over = Some(SystemTime::UNIX_EPOCH);
        store
            .put_document("keys", "old", &json!(1), over)
            .await
            .unwrap();
        assert_eq!(store.document("keys", "old").await.unwrap(), None);
        assert_eq!(store.documents("keys", "", 9).await.unwrap().len(), 1);
        let again = store
            .put_document_if_new("keys", "old", &json!(3), over)
            .await;
        assert_eq!(again.unwrap(), None);
        assert_eq!(store.sweep_documents(SystemTime::now()).await.unwrap(), 1);
    }
}
