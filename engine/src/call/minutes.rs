//! The minutes of a conference: who came, and what was recorded; its record is written when nobody is there any more and the files are complete.
//!
//! Limits: the first [`MAX_CALLS`] calls are named.
use super::cdr::{ConferenceRecord, Records, Times};
use super::events::{EventKind, Events};
use super::recorded::{RecordedFile, RecordedFiles};
use crate::media::{MediaEvent, MediaEvents};
use serde_json::json;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Calls that a record names.
const MAX_CALLS: usize = 100;

/// See the module's text. The last who holds it writes the record by dropping it.
#[derive(Debug)]
pub(super) struct Minutes {
    room: String,
    times: Times,
    attended: Mutex<Attended>,
    files: RecordedFiles,
    records: Arc<Records>,
    events: Arc<Events>,
}

#[derive(Debug, Default)]
struct Attended {
    /// In the order in which they came, each once.
    calls: Vec<String>,
    most: usize,
    ended: Option<SystemTime>,
}

impl Minutes {
    pub(super) fn begin(room: &str, records: Arc<Records>, events: Arc<Events>) -> Arc<Minutes> {
        Arc::new(Minutes {
            room: room.to_owned(),
            times: Times::begin(),
            attended: Mutex::default(),
            files: RecordedFiles::default(),
            records,
            events,
        })
    }

    fn attended(&self) -> MutexGuard<'_, Attended> {
        self.attended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call has come.
    pub(super) fn came(&self, call: &str) {
        let mut attended = self.attended();
        if attended.calls.len() < MAX_CALLS && !attended.calls.iter().any(|other| other == call) {
            attended.calls.push(call.to_owned());
        }
    }

    /// Nobody is there any more.
    pub(super) fn end(&self, most: usize) {
        let mut attended = self.attended();
        (attended.most, attended.ended) = (most, Some(self.times.now()));
    }

    /// A recording to `file` has begun: that of the mix, or of what a call's side says. Waits for its end.
    pub(super) fn await_file(
        self: &Arc<Self>,
        mut events: MediaEvents,
        file: &str,
        of: Option<String>,
    ) {
        let begun = || json!({"recording": null, "file": file, "conference": self.room});
        self.events
            .tell(EventKind::RecordingStarted, of.as_deref(), begun);
        let minutes = self.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                if let MediaEvent::RecordDone(done) = event {
                    let call = of.clone();
                    let file = RecordedFile::of(*done, of);
                    let said = || {
                        let mut said = file.as_json();
                        said["conference"] = minutes.room.clone().into();
                        said
                    };
                    minutes
                        .events
                        .tell(EventKind::RecordingFinished, call.as_deref(), said);
                    minutes.files.note(file);
                    return;
                }
            }
        });
    }
}

impl Drop for Minutes {
    fn drop(&mut self) {
        let attended = self.attended();
        let record = ConferenceRecord {
            room: &self.room,
            began: self.times.began,
            ended: attended.ended.unwrap_or_else(|| self.times.now()),
            most: attended.most,
            calls: &attended.calls,
            recordings: self.files.as_json(),
        };
        self.records.write(record.value());
    }
}
