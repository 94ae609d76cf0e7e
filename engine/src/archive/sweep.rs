//! Deletes recordings: those that are old, the oldest where they are too much, and one that somebody has asked for.
use crate::store::{RecordingRow, Store, StoreError};
use std::time::SystemTime;

/// What may be kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct Kept {
    /// Octets of all recordings together; `None`: as the disk has it.
    pub most_octets: Option<u64>,
}

/// Deletes what is due at `now`; returns how many files. What cannot be deleted is said in the log and tried again with the next sweep.
///
/// # Errors
/// Those of the store.
pub async fn sweep(store: &Store, kept: Kept, now: SystemTime) -> Result<usize, StoreError> {
    let deleted = clear(store, Due::Over(now)).await?;
    Ok(match kept.most_octets {
        Some(most) => deleted + clear(store, Due::Beyond(most)).await?,
        None => deleted,
    })
}

/// Why files go.
#[derive(Debug, Clone, Copy)]
enum Due {
    /// Their time was over at this moment.
    Over(SystemTime),
    /// All are more than so many octets.
    Beyond(u64),
}

/// Deletes what is due until nothing of it can be deleted; returns how many files.
async fn clear(store: &Store, due: Due) -> Result<usize, StoreError> {
    let mut deleted = 0;
    loop {
        let before = deleted;
        let rows = match due {
            Due::Over(now) => store.recordings_over(now).await?,
            Due::Beyond(most) => store.recordings_beyond(most).await?,
        };
        for row in rows {
            let why = "its time is over, or there is too much";
            if delete(store, &row, why).await? {
                deleted += 1;
            }
        }
        if deleted == before {
            return Ok(deleted);
        }
    }
}

/// Deletes a recording that is over; whether it is gone. `why` is for the log. One whose file cannot be deleted stays in the index.
///
/// # Errors
/// Those of the store.
pub async fn delete(store: &Store, row: &RecordingRow, why: &str) -> Result<bool, StoreError> {
    match tokio::fs::remove_file(&row.path).await {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            let path = row.path.display();
            tracing::warn!(rule = "recording-not-deleted", %path, %error, "a recording could not be deleted ({why})");
            Ok(false)
        }
        _ => {
            store.forget_recording(&row.id).await?;
            tracing::info!(path = %row.path.display(), recording = row.id, "recording deleted: {why}");
            Ok(true)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{RecordingBegun, RecordingDone, RecordingQuery};
    use std::time::Duration;

    #[tokio::test]
    async fn what_is_old_goes_and_what_cannot_go_stays_in_the_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory().unwrap();
        let now = SystemTime::now();
        for (name, keep) in [("old.wav", 0), ("stuck.wav", 0), ("new.wav", 3600)] {
            let path = folder.path().join(name);
            match name {
                // A folder cannot be deleted as a file is.
                "stuck.wav" => std::fs::create_dir(&path).unwrap(),
                _ => std::fs::write(&path, [0; 10]).unwrap(),
            }
            store.post_recording_begun(RecordingBegun {
                path: path.clone(),
                call: None,
                conference: None,
                format: "wav".to_owned(),
                at: now,
                keep_until: Some(now + Duration::from_secs(keep)),
            });
            let done = RecordingDone {
                ms: 1,
                lost_ms: 0,
                failed: false,
            };
            store.post_recording_done(&path, done);
        }
        store.flush().await;
        assert_eq!(sweep(&store, Kept::default(), now).await.unwrap(), 1);
        let rows = store.recordings(RecordingQuery::default()).await.unwrap();
        assert_eq!(rows.len(), 2);
        assert!(!folder.path().join("old.wav").exists() && folder.path().join("new.wav").exists());
        // What cannot go does not save the others from the limit of size.
        let kept = Kept {
            most_octets: Some(0),
        };
        assert_eq!(sweep(&store, kept, now).await.unwrap(), 1);
        assert!(!folder.path().join("new.wav").exists());
    }
}
