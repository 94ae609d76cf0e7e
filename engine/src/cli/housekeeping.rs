//! What is done every hour and concerns no call: deletes what was kept long enough.
use crate::archive::{self, Kept};
use crate::config::Config;
use crate::store::{Store, StoreError};
use crate::voicemail::Boxes;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

const EVERY: Duration = Duration::from_secs(3600);

/// Goes on as long as the process.
pub(super) async fn keep_house(config: Arc<Config>, store: Store, boxes: Arc<Boxes>) {
    loop {
        // The store has told what went wrong.
        if let Ok(deleted) = sweep(&config, &store, SystemTime::now()).await
            && deleted > 0
        {
            tracing::info!(
                deleted,
                "call records and documents whose time was over are deleted"
            );
        }
        if let Ok(messages) = boxes.sweep(SystemTime::now()).await
            && messages > 0
        {
            tracing::info!(
                messages,
                "messages of voicemail whose time was over are deleted"
            );
        }
        tokio::time::sleep(EVERY).await;
    }
}

async fn sweep(config: &Config, store: &Store, now: SystemTime) -> Result<usize, StoreError> {
    let mut deleted = store.sweep_documents(now).await? + store.sweep_scheduled(now).await?;
    if let Some(before) = config.cdr.keep.and_then(|keep| now.checked_sub(keep)) {
        deleted += store.delete_cdrs_before(before).await?;
    }
    let kept = Kept {
        most_octets: config.recordings.most_octets,
    };
    archive::sweep(store, kept, now).await?;
    Ok(deleted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::stamp;
    use serde_json::json;

    #[tokio::test]
    async fn records_are_kept_as_long_as_they_should() {
        let store = Store::in_memory().unwrap();
        let began = stamp(SystemTime::UNIX_EPOCH);
        store.post_cdr(json!({"type": "call", "call": "c-1", "began": began}));
        for (text, left) in [("keep_days = 0", 1), ("keep_days = 30000", 1), ("", 0)] {
            let config = Config::from_str("t", &format!("[cdr]\n{text}")).unwrap();
            sweep(&config, &store, SystemTime::now()).await.unwrap();
            let calls = store.cdrs(Default::default()).await.unwrap();
            assert_eq!(calls.len(), left, "{text}");
        }
    }
}
