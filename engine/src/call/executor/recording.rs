//! The verbs that record, and the files a call has made.
use super::super::events::EventKind;
use super::super::leg::Input;
use super::super::verb::{
    Audio, Outcome, Record, RecordCall, RecordEnd, Recorded, RecordingControl, RecordingId,
};
use super::{Executor, VerbResult, failed};
use crate::media::{Command, MediaAudio, RecordingEnd, RecordingFormat, RecordingSpec};
use crate::voicemail::Take;
use serde_json::json;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The beep before a recording.
const BEEP: MediaAudio = MediaAudio::Tone {
    hz: [1000.0, 0.0],
    dbm0: -13.0,
    ms: 250,
};

/// The recordings of one call; the call id makes the names of their files unique.
#[derive(Debug)]
pub(in super::super) struct Recordings {
    folder: PathBuf,
    call: String,
    /// The one in the background, as last begun.
    running: Option<u32>,
    /// File, and what becomes of it when the call is over.
    made: HashMap<RecordingId, (PathBuf, Stay)>,
    /// The message of voicemail that is being recorded, or about to be.
    pub(super) take: Option<Take>,
    /// Messages that the call was sent away from: their files may still be written to. As many as boxes have room for.
    pub(super) left: Vec<Take>,
}

/// What becomes of a file when its call is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stay {
    /// It stays.
    Kept,
    /// It goes.
    WithCall,
    /// It is a message of voicemail, and no recording.
    Message,
}

impl Recordings {
    pub(in super::super) fn new(folder: &Path, call: &str) -> Self {
        Recordings {
            folder: folder.to_owned(),
            call: call.to_owned(),
            running: None,
            made: HashMap::new(),
            take: None,
            left: Vec::new(),
        }
    }

    /// The one in the background, as last begun.
    pub(super) fn running(&self) -> Option<u32> {
        self.running
    }

    fn begin(&mut self, id: u32, format: RecordingFormat, keep: bool) -> PathBuf {
        let name = format!("{}-{id}.{}", self.call, format.extension());
        let path = self.folder.join(name);
        let stay = if keep { Stay::Kept } else { Stay::WithCall };
        self.made.insert(RecordingId(id), (path.clone(), stay));
        path
    }

    fn begin_message(&mut self, id: u32, path: PathBuf) -> PathBuf {
        let made = (path.clone(), Stay::Message);
        self.made.insert(RecordingId(id), made);
        path
    }

    /// A file that another call has recorded, to be played in this one.
    pub(super) fn lend(&mut self, id: u32, path: PathBuf) -> Audio {
        self.made.insert(RecordingId(id), (path, Stay::Kept));
        Audio::Recording(RecordingId(id))
    }

    /// Where a recording of this call is.
    pub(super) fn path(&self, id: RecordingId) -> Result<PathBuf, String> {
        match self.made.get(&id) {
            Some((path, _)) => Ok(path.clone()),
            None => Err(format!("there is no recording {} in this call", id.0)),
        }
    }

    /// The files that go with the call.
    pub(in super::super) fn unkept(&self) -> impl Iterator<Item = &Path> {
        let made = self.made.values();
        made.filter(|(_, stay)| *stay != Stay::Kept)
            .map(|(path, _)| path.as_path())
    }

    /// Recordings that were only for this call go with it. To be called when the channel is closed: until then a recording
    /// may be written.
    pub(in super::super) async fn delete_unkept(self) {
        for (path, stay) in self.made.into_values() {
            if stay != Stay::WithCall {
                continue;
            }
            match tokio::fs::remove_file(&path).await {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    tracing::warn!(path = %path.display(), %error, "a recording that was not to be kept could not be deleted");
                }
                _ => {}
            }
        }
    }
}

impl Executor<'_> {
    pub(super) async fn record(&mut self, record: Record) -> VerbResult {
        self.record_to(record, None).await
    }

    /// `message`: the file, where it is a message of voicemail.
    pub(super) async fn record_to(
        &mut self,
        record: Record,
        message: Option<PathBuf>,
    ) -> VerbResult {
        if record.beep {
            match self.play_media(vec![BEEP], Some(1)) {
                Err(reason) => return Ok(failed("record", reason)),
                Ok(id) => {
                    while !matches!(self.idle(None).await?, Some(Input::PlayDone(done)) if done == id)
                    {
                    }
                }
            }
        }
        let (id, format) = (self.fresh_id(), record.format);
        let is_message = message.is_some();
        let path = match message {
            Some(path) => self.recordings.begin_message(id, path),
            None => self.recordings.begin(id, format, record.keep),
        };
        let spec = RecordingSpec {
            max_ms: record.max_ms,
            silence_ms: record.silence_ms,
            tracks: record.tracks,
            format,
            ..RecordingSpec::new(id, path)
        };
        let file = spec.path.clone();
        match self.leg.media(Command::Record(Box::new(spec))) {
            Ok(()) => {
                // A message is none of the call's recordings: they are listed and deleted by rules of their own.
                match is_message {
                    true => self.call.recorded.expect_message(&file),
                    false => self.say_recording(id, &file),
                }
                self.recording = Some(id);
                self.until_recorded(id, &record.stop_keys).await
            }
            Err(reason) => Ok(failed("record", reason)),
        }
    }

    async fn until_recorded(&mut self, id: u32, stop_keys: &str) -> VerbResult {
        let mut stopped_by = None;
        loop {
            match self.next().await {
                Input::Key(key) => {
                    self.leg.say_key(&key, false);
                    // A refused stop (the shard is far behind) may be asked for again by the next key.
                    if stop_keys.contains(key.digit)
                        && stopped_by.is_none()
                        && self.leg.media(Command::StopRecord { id }).is_ok()
                    {
                        stopped_by = Some(key.digit);
                    }
                }
                Input::RecordDone {
                    id: done,
                    duration_ms,
                    end,
                    lost_ms,
                } if done == id => {
                    self.recording = None;
                    tracing::info!(recording = id, duration_ms, lost_ms, ?end, "recorded");
                    return Ok(match recorded(end, stopped_by) {
                        Ok(end) => Outcome::Recorded(Recorded {
                            recording: RecordingId(id),
                            duration_ms,
                            lost_ms,
                            end,
                        }),
                        Err(reason) => failed("record", reason),
                    });
                }
                Input::Replaced => return Ok(failed("record", "the leg was replaced by another")),
                Input::Ended(end) => return Err(end),
                _ => {}
            }
        }
    }

    pub(super) fn record_call(&mut self, record: RecordCall) -> VerbResult {
        Ok(match self.record_background(record) {
            Ok(_) => Outcome::Done,
            Err(reason) => failed("record_call", reason),
        })
    }

    /// Begins to record in the background: its number and its file.
    pub(super) fn record_background(
        &mut self,
        record: RecordCall,
    ) -> Result<(u32, PathBuf), String> {
        let (id, format) = (self.fresh_id(), record.format);
        let path = record.path;
        let path = path.unwrap_or_else(|| self.recordings.begin(id, format, true));
        let spec = RecordingSpec {
            tracks: record.tracks,
            format,
            pause: record.pause,
            ..RecordingSpec::new(id, path)
        };
        let file = spec.path.clone();
        self.leg.media(Command::Record(Box::new(spec)))?;
        self.say_recording(id, &file);
        self.recordings.running = Some(id);
        self.call.facts(|facts| facts.recording = Some((id, false)));
        Ok((id, file))
    }

    pub(super) fn control_recording(&mut self, control: RecordingControl) -> VerbResult {
        Ok(match self.control_background(control) {
            Ok(()) => Outcome::Done,
            Err(reason) => failed("recording_control", reason),
        })
    }

    /// Pauses, resumes or stops what is recorded in the background; nothing happens where nothing is.
    pub(super) fn control_background(&mut self, control: RecordingControl) -> Result<(), String> {
        let Some(id) = self.recordings.running else {
            return Ok(());
        };
        tracing::info!(recording = id, ?control, "recording");
        let (command, paused, kind) = match control {
            RecordingControl::Pause => (
                Command::PauseRecord { id, paused: true },
                true,
                Some(EventKind::RecordingPaused),
            ),
            RecordingControl::Resume => (
                Command::PauseRecord { id, paused: false },
                false,
                Some(EventKind::RecordingResumed),
            ),
            // Told when the file is complete.
            RecordingControl::Stop => (Command::StopRecord { id }, false, None),
        };
        self.leg.media(command)?;
        if control == RecordingControl::Stop {
            self.recordings.running = None;
        }
        self.call.facts(|facts| {
            facts.recording = self.recordings.running.map(|id| (id, paused));
        });
        if let Some(kind) = kind {
            self.call.tell(kind, || json!({ "recording": id }));
        }
        Ok(())
    }

    fn say_recording(&self, id: u32, file: &Path) {
        let keep_days = self.program.keep_days();
        self.call.tell(EventKind::RecordingStarted, || {
            let mut said = json!({"recording": id, "file": file.display().to_string()});
            if let Some(days) = keep_days {
                said["keep_days"] = days.into();
            }
            said
        });
    }
}

/// Why a recording ended, as the program is told; `Err` when it could not be written.
fn recorded(end: RecordingEnd, stopped_by: Option<char>) -> Result<RecordEnd, String> {
    match (end, stopped_by) {
        (RecordingEnd::WriteFailed(reason), _) => Err(reason),
        (_, Some(key)) => Ok(RecordEnd::Key(key)),
        (RecordingEnd::Silence, None) => Ok(RecordEnd::Silence),
        (_, None) => Ok(RecordEnd::MaxLength),
    }
}
