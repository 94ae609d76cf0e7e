//! Voices: texts become audio.
//!
//! A text ([`Speech`]) becomes a [`Script`] of sentences and pauses; a [`Speaker`] makes the audio of each, by the back ends of the configuration
//! in their order, and keeps it in memory and on disk. Never decides what is said, and knows no call. Limits: [`MAX_TEXT`] characters and [`script::MAX_PARTS`] parts of one text.
mod asked;
mod backend;
mod cache;
mod memory;
mod money;
mod placeholders;
pub mod program;
pub mod recognition;
mod said;
pub mod script;
mod sentences;
pub mod sigv4;
mod speaker;
pub mod ssml;
mod voices;

pub use asked::Failed;
pub use backend::{Backend, Sound, Speaking};
pub use recognition::{Recogniser, RecogniserError, Transcript};
pub use script::{Part, Script, Utterance};
pub use speaker::{Speaker, SpeakerError, SpeechCounters};
pub use voices::Gender;

pub(crate) use placeholders::{Written, write};
pub(crate) use voices::base as base_language;

/// The longest text, in characters, with its tags.
pub const MAX_TEXT: usize = 10_000;

/// A text to be said.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Speech {
    /// The text: plain, or SSML.
    pub text: String,
    /// Whether it is SSML (<https://www.w3.org/TR/speech-synthesis11/>), as far as [`ssml`] understands it.
    pub ssml: bool,
    /// The voice asked for: `Polly.Joanna`, `WOMAN`, `MAN`, or a back end's own name; `None`: the language's.
    pub voice: Option<String>,
    /// An IETF tag; `None`: the voice's, else that of the configuration.
    pub language: Option<String>,
    /// How fast, in percent of the voice's own speed; 0: as it is.
    pub rate_percent: u16,
    /// The `[[speech.backend]]` that is asked before all others, by its name or type; `None`: the order of the configuration.
    pub by: Option<String>,
}

impl Speech {
    /// Plain text.
    pub fn plain(text: impl Into<String>) -> Speech {
        Speech {
            text: text.into(),
            ..Speech::default()
        }
    }

    /// The same in a language, by a voice.
    pub fn in_voice(self, language: Option<&str>, voice: Option<&str>) -> Speech {
        let given = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
        Speech {
            language: given(language).or(self.language),
            voice: given(voice).or(self.voice),
            ..self
        }
    }
}

/// Why a text was not said or speech not understood by one back end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpeechError {
    /// The back end refuses this text; another one may be fine.
    #[error("{0}")]
    Refused(String),
    /// The back end is not there, too slow, or gives no sense.
    #[error("{0}")]
    Failed(String),
}
