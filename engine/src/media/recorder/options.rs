//! What a recording is to be. Plain values.

use std::path::{Path, PathBuf};

/// A recording to begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingSpec {
    /// Returned in the event.
    pub id: u32,
    /// The file, created or truncated.
    pub path: PathBuf,
    /// Which sides of the call it holds.
    pub tracks: Tracks,
    /// The kind of file.
    pub format: RecordingFormat,
    /// What the file holds for the time of a pause.
    pub pause: Pause,
    /// Ends at this length in ms, pauses that leave nothing in the file not counted; 0: no limit.
    pub max_ms: u32,
    /// Ends after this much silence of the peer in ms; 0: never.
    pub silence_ms: u32,
}

impl RecordingSpec {
    /// What the peer says, as a WAV file without limits.
    pub fn new(id: u32, path: impl Into<PathBuf>) -> RecordingSpec {
        RecordingSpec {
            id,
            path: path.into(),
            tracks: Tracks::default(),
            format: RecordingFormat::default(),
            pause: Pause::default(),
            max_ms: 0,
            silence_ms: 0,
        }
    }
}

/// Which sides of a call a recording holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tracks {
    /// What the peer says; mono.
    #[default]
    Received,
    /// What the peer says and what it is sent, added up; mono.
    Mixed,
    /// What the peer says on the left, what it is sent on the right.
    Stereo,
}

impl Tracks {
    /// Channels of the file.
    pub(crate) fn channels(self) -> usize {
        match self {
            Tracks::Received | Tracks::Mixed => 1,
            Tracks::Stereo => 2,
        }
    }
}

/// The kind of file a recording becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RecordingFormat {
    /// RIFF/WAVE, PCM of 16 bits at 8 or 16 kHz.
    #[default]
    Wav,
    /// Ogg/Opus (RFC 7845) at 16 kHz, 32 kbit/s for each channel.
    Opus,
}

impl RecordingFormat {
    /// The kind that the name of a file asks for: Opus by `.opus` and `.ogg`, else WAV.
    pub fn named_by(path: &Path) -> RecordingFormat {
        let extension = path.extension().and_then(|extension| extension.to_str());
        match extension.map(str::to_ascii_lowercase).as_deref() {
            Some("opus" | "ogg") => RecordingFormat::Opus,
            _ => RecordingFormat::Wav,
        }
    }

    /// What the names of its files end with.
    pub fn extension(self) -> &'static str {
        match self {
            RecordingFormat::Wav => "wav",
            RecordingFormat::Opus => "opus",
        }
    }
}

/// What a recording holds for the time it is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Pause {
    /// Nothing: what comes after follows what was before.
    #[default]
    Nothing,
    /// Silence: the length of the file stays that of the call.
    Silence,
}
