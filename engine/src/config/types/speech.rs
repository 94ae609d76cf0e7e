//! `[speech]` and `[recognition]`: what speaks texts, and what understands speech.
use crate::config::{At, Secret};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// `[speech]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Speech {
    /// The language of texts that name none.
    pub language: String,
    /// The voice of texts that name none; `None`: the back end's own.
    pub voice: Option<String>,
    /// Folder of what was made; relative to the working folder. `None`: `"off"`.
    pub cache_dir: Option<PathBuf>,
    /// The most it holds, in octets.
    pub cache_octets: u64,
    /// How many texts are made at the same time.
    pub parallel: usize,
    /// What speaks, first come first asked; empty: what is installed of espeak-ng and flite.
    pub backends: Vec<SpeechBackend>,
}

/// `[[speech.backend]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpeechBackend {
    /// Its name, for logs and metrics.
    pub name: String,
    /// What it is.
    pub kind: SpeechKind,
    /// Languages it speaks, by their tags without region or with it; empty: all.
    pub languages: Vec<String>,
    /// Its own names of voices, by a voice or a language of texts.
    pub voices: BTreeMap<String, String>,
    /// Its voice for all else.
    pub voice: Option<String>,
    /// Longest time for one text.
    pub timeout: Duration,
    /// Where it stands.
    pub at: At,
}

/// What speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpeechKind {
    /// espeak-ng of this machine.
    Espeak,
    /// flite of this machine: English only.
    Flite,
    /// Any program that writes a sound file.
    Command {
        /// The program and its arguments, with `{placeholders}`.
        command: Vec<String>,
    },
    /// Amazon Polly.
    Polly {
        /// As `eu-central-1`.
        region: String,
        /// The access key's id.
        access_key: String,
        /// The access key.
        secret: Secret,
        /// `standard`, `neural`, `long-form` or `generative`.
        engine: String,
        /// Where it is; `None`: Amazon's address for the region.
        url: Option<String>,
    },
    /// Any service with the `/v1/audio/speech` of OpenAI.
    OpenAi {
        /// Up to and including `/v1`.
        url: String,
        /// Sent as `Authorization: Bearer`.
        key: Option<Secret>,
        /// The model.
        model: String,
    },
    /// Any service that answers a request with a sound file.
    Http {
        /// With `{placeholders}`.
        url: String,
        /// Whether it is asked by POST.
        post: bool,
        /// Name and value.
        headers: Vec<(String, String)>,
        /// With `{placeholders}`.
        body: Option<String>,
        /// For the placeholder `{key}`.
        key: Option<Secret>,
    },
}

impl SpeechKind {
    /// As `type` has it.
    pub fn name(&self) -> &'static str {
        match self {
            SpeechKind::Espeak => "espeak-ng",
            SpeechKind::Flite => "flite",
            SpeechKind::Command { .. } => "command",
            SpeechKind::Polly { .. } => "polly",
            SpeechKind::OpenAi { .. } => "openai",
            SpeechKind::Http { .. } => "http",
        }
    }
}

/// `[recognition]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recognition {
    /// The language of speech that names none.
    pub language: String,
    /// How many pieces of speech programs and services are given at the same time; those that hear it as it is spoken are not counted.
    pub parallel: usize,
    /// What understands, first come first asked; empty: nothing does.
    pub backends: Vec<RecognitionBackend>,
}

/// `[[recognition.backend]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecognitionBackend {
    /// Its name, for logs and metrics.
    pub name: String,
    /// What it is.
    pub kind: RecognitionKind,
    /// Languages it understands; empty: all.
    pub languages: Vec<String>,
    /// Longest time for one piece of speech, once it is over.
    pub timeout: Duration,
    /// Where it stands.
    pub at: At,
}

/// What understands speech.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecognitionKind {
    /// Any program that reads a WAV file and writes what was said.
    Command {
        /// The program and its arguments, with `{placeholders}`.
        command: Vec<String>,
    },
    /// Any service with the `/v1/audio/transcriptions` of OpenAI.
    OpenAi {
        /// Up to and including `/v1`.
        url: String,
        /// Sent as `Authorization: Bearer`.
        key: Option<Secret>,
        /// The model.
        model: String,
    },
    /// A service that hears the speech as it is spoken (see docs/voices.md).
    WebSocket {
        /// `ws://` or `wss://`.
        url: String,
        /// Sent as `Authorization: Bearer`.
        key: Option<Secret>,
    },
}
