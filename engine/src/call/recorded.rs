//! The files that a call has recorded, for its record.
//!
//! Limit: the first [`MAX_FILES`] are named; the log has them all.
use crate::media::{RecordDone, RecordingEnd, RecordingFormat};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Files that a record names.
const MAX_FILES: usize = 100;

/// A file that is complete, or as complete as it will be.
#[derive(Debug)]
pub(super) struct RecordedFile {
    pub(super) path: PathBuf,
    pub(super) format: RecordingFormat,
    pub(super) duration_ms: u32,
    pub(super) lost_ms: u32,
    pub(super) end: RecordingEnd,
    /// In a conference: the call whose side it is; else `None`.
    pub(super) of: Option<String>,
}

impl RecordedFile {
    /// `of` is the call whose side it is, in a conference.
    pub(super) fn of(done: RecordDone, of: Option<String>) -> RecordedFile {
        RecordedFile {
            path: done.path,
            format: done.format,
            duration_ms: done.duration_ms,
            lost_ms: done.lost_ms,
            end: done.end,
            of,
        }
    }
}

/// All of a call.
#[derive(Debug, Default)]
pub(super) struct RecordedFiles(Mutex<Files>);

#[derive(Debug, Default)]
struct Files {
    complete: Vec<RecordedFile>,
    /// Messages of voicemail that are not complete yet: none of the call's recordings.
    messages: Vec<PathBuf>,
}

impl RecordedFiles {
    /// A message of voicemail is recorded there from now on; [`note`](Self::note) is told when it is complete.
    pub(super) fn expect_message(&self, path: &Path) {
        self.files().messages.push(path.to_owned());
    }

    /// Takes note of a file; returns whether it is a recording, and no message of voicemail. What is missing in it is said in the call's log.
    pub(super) fn note(&self, file: RecordedFile) -> bool {
        let (path, lost_ms) = (file.path.display(), file.lost_ms);
        match &file.end {
            RecordingEnd::WriteFailed(reason) => {
                tracing::warn!(rule = "recording-failed", %path, reason, "a recording of this call could not be written")
            }
            end if lost_ms > 0 => {
                tracing::warn!(rule = "recording-incomplete", %path, lost_ms, ?end, "a recording of this call misses audio")
            }
            end => {
                tracing::info!(%path, duration_ms = file.duration_ms, ?end, "recording complete")
            }
        }
        let mut files = self.files();
        let at = files.messages.iter().position(|path| *path == file.path);
        match at {
            Some(at) => _ = files.messages.swap_remove(at),
            None if files.complete.len() < MAX_FILES => files.complete.push(file),
            None => {}
        }
        at.is_none()
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves out a file that does not stay.
    pub(super) fn forget(&self, path: &Path) {
        self.files().complete.retain(|file| file.path != path);
    }

    /// As the record has them.
    pub(super) fn as_json(&self) -> Value {
        let files = self.files();
        files.complete.iter().map(RecordedFile::as_json).collect()
    }
}

impl RecordedFile {
    pub(super) fn as_json(&self) -> Value {
        let ended = match &self.end {
            RecordingEnd::Stopped => "stopped",
            RecordingEnd::Silence => "silence",
            RecordingEnd::MaxLength => "max-length",
            RecordingEnd::WriteFailed(_) => "write-failed",
        };
        let mut said = json!({
            "file": self.path.display().to_string(),
            "format": self.format.extension(),
            "ms": self.duration_ms,
            "lost_ms": self.lost_ms,
            "ended": ended,
        });
        if let Some(call) = &self.of {
            said["call"] = json!(call);
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_what_stays_and_what_it_misses() {
        let files = RecordedFiles::default();
        // The call was sent elsewhere while the first was left, and leaves another there.
        files.expect_message(Path::new("message.wav"));
        files.expect_message(Path::new("message-2.wav"));
        for (name, lost_ms) in [
            ("a.wav", 0),
            ("b.opus", 40),
            ("message.wav", 0),
            ("c.wav", 0),
            ("message-2.wav", 0),
        ] {
            let path = PathBuf::from(name);
            let is_recording = files.note(RecordedFile {
                format: RecordingFormat::named_by(&path),
                path,
                duration_ms: 1500,
                lost_ms,
                end: RecordingEnd::Stopped,
                of: (lost_ms > 0).then(|| "c-1".to_owned()),
            });
            assert_eq!(is_recording, !name.starts_with("message"));
        }
        files.forget(Path::new("c.wav"));
        let said = files.as_json();
        assert_eq!(said.as_array().unwrap().len(), 2);
        let b = json!({"file": "b.opus", "format": "opus", "ms": 1500, "lost_ms": 40, "ended": "stopped", "call": "c-1"});
        assert_eq!(said[1], b);
    }
}
