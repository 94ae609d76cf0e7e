//! Recognition: speech becomes text.
//!
//! A [`Recogniser`] has a piece of speech understood by the back ends of the configuration in their order. The piece is [`Spoken`]: all there already,
//! or still being said; a back end that hears it live begins while it is. Never decides when somebody has finished speaking, and knows no call.
//! Limits: [`spoken::MAX_SECONDS`] of one piece, [`MAX_TEXT`] characters of its text, [`MAX_HINTS`] hints.
mod command;
mod grammar;
mod openai;
pub mod protocol;
mod recogniser;
pub mod spoken;
mod websocket;

pub use recogniser::{Recogniser, RecogniserError, RecognitionCounters};
pub use spoken::Spoken;

use super::SpeechError;
use super::backend::covers;
use crate::config::{RecognitionBackend, RecognitionKind};
use crate::fetch::Fetcher;
use std::fmt::Debug;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{Semaphore, watch};

/// The longest text that is understood, in characters; more is cut.
pub const MAX_TEXT: usize = 10_000;
/// The most words or phrases that are expected.
pub const MAX_HINTS: usize = 500;
/// The longest of them, in characters.
pub const MAX_HINT: usize = 100;

/// What was understood.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Transcript {
    /// The words; empty: nothing that is any.
    pub text: String,
    /// How sure it is, 0 to 1; `None`: the back end does not say.
    pub confidence: Option<f32>,
    /// The language it was taken to be in.
    pub language: String,
    /// Who understood it.
    pub backend: String,
}

/// A piece of speech, and what is known of it.
#[derive(Debug, Clone)]
pub struct Wanted {
    /// The speech.
    pub spoken: Spoken,
    /// An IETF tag; `None`: the configuration's.
    pub language: Option<String>,
    /// Words and phrases that are expected, at most [`MAX_HINTS`] of [`MAX_HINT`] characters.
    pub hints: Arc<[String]>,
    /// Is told what is understood so far, by back ends that hear it live.
    pub so_far: Option<watch::Sender<String>>,
    /// The call it belongs to, for events.
    pub call: Option<String>,
}

impl Wanted {
    /// A piece that nothing else is known of.
    pub fn of(spoken: Spoken, language: Option<&str>) -> Wanted {
        Wanted {
            spoken,
            language: language.map(str::to_owned),
            hints: Arc::default(),
            so_far: None,
            call: None,
        }
    }
}

/// What a back end understood: words and confidence.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Words {
    /// The text, as the back end has it.
    pub text: String,
    /// 0 to 1.
    pub confidence: Option<f32>,
}

/// Words to come.
pub type Understanding<'a> = Pin<Box<dyn Future<Output = Result<Words, SpeechError>> + Send + 'a>>;

/// Something that understands speech. Asked by several tasks at once.
pub trait Backend: Send + Sync + Debug {
    /// Its name in the configuration.
    fn name(&self) -> &str;
    /// Whether it understands that language.
    fn understands(&self, language: &str) -> bool;
    /// Understands a piece, within its own time limit from the end of the speech. Dropped: whatever was begun ends.
    fn understand<'a>(&'a self, wanted: &'a Wanted, language: &'a str) -> Understanding<'a>;
}

/// What all back ends have of the configuration.
#[derive(Debug, Clone)]
struct Common {
    config: RecognitionBackend,
    /// Whose turn it is; not for those that hear live.
    turns: Arc<Semaphore>,
}

impl Common {
    fn understands(&self, language: &str) -> bool {
        let languages = &self.config.languages;
        languages.is_empty() || languages.iter().any(|each| covers(each, language))
    }

    /// What is asked of a back end, all of it within its time limit: callers wait in silence.
    async fn within<T>(
        &self,
        asking: impl Future<Output = Result<T, SpeechError>>,
    ) -> Result<T, SpeechError> {
        let limit = self.config.timeout;
        let late = |_| SpeechError::Failed(format!("no answer within {} s", limit.as_secs_f32()));
        tokio::time::timeout(limit, asking).await.map_err(late)?
    }
}

/// Makes the back ends of a configuration.
fn build(
    configured: &[RecognitionBackend],
    parallel: usize,
    fetcher: &Fetcher,
) -> Vec<Arc<dyn Backend>> {
    let turns = Arc::new(Semaphore::new(parallel));
    let one = |config: &RecognitionBackend| -> Arc<dyn Backend> {
        let common = Common {
            config: config.clone(),
            turns: turns.clone(),
        };
        match &config.kind {
            RecognitionKind::Command { command } => {
                Arc::new(command::Command::new(common, command.clone()))
            }
            RecognitionKind::OpenAi { url, key, model } => Arc::new(openai::OpenAi {
                common,
                fetcher: fetcher.clone(),
                url: url.clone(),
                key: key.clone(),
                model: model.clone(),
            }),
            RecognitionKind::WebSocket { url, key } => Arc::new(websocket::Live::new(
                common,
                fetcher.clone(),
                url,
                key.clone(),
            )),
        }
    };
    configured.iter().map(one).collect()
}

/// A text of outside as one line of words: control characters and spaces in a row become one space; cut at [`MAX_TEXT`].
fn tidy(text: &str) -> String {
    let words = text.split(|char: char| char.is_whitespace() || char.is_control());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join(" ").chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests;
