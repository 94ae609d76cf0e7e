//! The archive: keeps the index of recordings in step with the files. Takes note of each file that is begun and completed, puts right what a
//! killed process left, and deletes what is old, too much or unwanted.
//!
//! It never records and never serves a file. Limit of one sweep: it goes on until nothing is due.
mod sweep;

pub use sweep::{Kept, delete, sweep};

use crate::call::events::{Event, EventKind, EventSink};
use crate::media::repair_recording;
use crate::store::{RecordingBegun, RecordingDone, Store, StoreError};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Files that are put right at once.
const PORTION: usize = 1000;

/// Takes note of recordings as they are told.
#[derive(Debug)]
pub struct Archive {
    store: Store,
    /// How long recordings are kept; `None`: for ever.
    keep: Option<Duration>,
}

impl Archive {
    /// An index in `store` of recordings that are kept so long.
    pub fn new(store: Store, keep: Option<Duration>) -> Archive {
        Archive { store, keep }
    }
}

impl EventSink for Archive {
    fn take(&self, _: u64, event: &Arc<Event>) {
        let said = &event.data;
        let Some(path) = said["file"].as_str().map(PathBuf::from) else {
            return;
        };
        match event.kind {
            EventKind::RecordingStarted => self.store.post_recording_begun(RecordingBegun {
                call: event.call.clone(),
                conference: said["conference"].as_str().map(str::to_owned),
                format: extension(&path),
                at: event.at,
                keep_until: own_time(said)
                    .or(self.keep)
                    .and_then(|keep| event.at.checked_add(keep)),
                path,
            }),
            EventKind::RecordingFinished => {
                let ms = |field: &str| said[field].as_i64().unwrap_or(0);
                let done = RecordingDone {
                    ms: ms("ms"),
                    lost_ms: ms("lost_ms"),
                    failed: said["ended"] == "write-failed",
                };
                self.store.post_recording_done(&path, done);
            }
            _ => {}
        }
    }
}

/// How long its program keeps it.
fn own_time(said: &Value) -> Option<Duration> {
    let days = said["keep_days"].as_u64()?;
    Some(Duration::from_secs(days.saturating_mul(86_400)))
}

fn extension(path: &Path) -> String {
    let extension = path.extension().unwrap_or_default();
    extension.to_string_lossy().into_owned()
}

/// Puts right the recordings that a killed process left. To be called before there are new ones. Returns how many there were.
///
/// # Errors
/// Those of the store.
pub async fn repair(store: &Store) -> Result<usize, StoreError> {
    let mut count = 0;
    loop {
        let left = store.recordings_begun(PORTION).await?;
        if left.is_empty() {
            return Ok(count);
        }
        count += left.len();
        for row in left {
            let path = row.path.clone();
            let repaired = tokio::task::spawn_blocking(move || repair_recording(&path)).await;
            match repaired {
                Ok(Ok(file)) => {
                    store
                        .recording_interrupted(&row.id, file.ms, file.octets)
                        .await?;
                }
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                    store.forget_recording(&row.id).await?;
                }
                failed => {
                    let path = row.path.display();
                    tracing::warn!(rule = "recording-not-repaired", %path, ?failed, "a recording that was cut could not be put right");
                    store.recording_interrupted(&row.id, None, 0).await?;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RecordingQuery;
    use serde_json::json;

    #[tokio::test]
    async fn the_index_follows_the_events_and_what_was_cut_is_put_right() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_memory().unwrap();
        let archive = Archive::new(store.clone(), Some(Duration::from_secs(60)));
        let tell = |kind, call, data| archive.take(1, &Arc::new(Event::now(kind, call, data)));
        let file = |name: &str| folder.path().join(name);
        for name in ["a.wav", "b.opus", "gone.wav"] {
            let mut data = json!({"recording": 1, "file": file(name)});
            if name == "b.opus" {
                data["keep_days"] = 2.into();
            }
            tell(EventKind::RecordingStarted, Some("c-1"), data);
        }
        std::fs::write(file("a.wav"), "x").unwrap();
        std::fs::write(file("b.opus"), "OggS").unwrap();
        let done = json!({"file": file("a.wav"), "ms": 1500, "lost_ms": 3, "ended": "stopped"});
        tell(EventKind::RecordingFinished, Some("c-1"), done);
        tell(EventKind::CallEnded, Some("c-1"), json!({}));
        store.flush().await;
        assert_eq!(repair(&store).await.unwrap(), 2);
        assert_eq!(repair(&store).await.unwrap(), 0);
        let rows = store.recordings(RecordingQuery::default()).await.unwrap();
        let seen: Vec<_> = rows
            .iter()
            .map(|row| (row.format.as_str(), row.state.as_str(), row.ms))
            .collect();
        assert_eq!(
            seen,
            [
                ("opus", "interrupted", None),
                ("wav", "complete", Some(1500))
            ]
        );
        let kept = rows
            .iter()
            .map(|row| row.keep_until_ms.unwrap() - row.began_ms);
        assert_eq!(kept.collect::<Vec<_>>(), [2 * 86_400_000, 60_000]);
    }
}
