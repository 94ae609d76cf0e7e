//! The service that understands: asks the first back end that can, and when that fails the next one, which hears the same from its beginning.
//!
//! Limits: [`MAX_PENDING`] pieces at the same time; programs and services as many at a time as the configuration says. A back end that failed rests for
//! [`REST`](super::super::asked::REST) while another one can serve instead.
use super::super::asked::{Alarm, Asked, Failed};
use super::super::ssml::is_language;
use super::{Backend, Spoken, Transcript, Wanted, build, tidy};
use crate::config;
use crate::fetch::Fetcher;
use crate::media::Prompt;
use arc_swap::ArcSwap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Semaphore;

/// The most pieces of speech at the same time.
const MAX_PENDING: usize = 2000;

/// Why nothing was understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecogniserError {
    /// There is no back end at all.
    #[error("nothing understands speech here: name a [[recognition.backend]]")]
    Nobody,
    /// None understands the language.
    #[error("no [[recognition.backend]] understands {0}")]
    Language(String),
    /// Each that does has failed.
    #[error("{0}")]
    Failed(String),
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(String),
    /// Too many are speaking.
    #[error("more than {MAX_PENDING} are being understood")]
    Busy,
}

/// What was done, since the start.
#[derive(Debug, Default)]
pub struct RecognitionCounters {
    /// Pieces that were understood to be words.
    pub understood: AtomicU64,
    /// In which there were no words.
    pub wordless: AtomicU64,
    /// That nobody could understand.
    pub lost: AtomicU64,
}

/// See the module's text. Clones are the same one.
#[derive(Clone)]
pub struct Recogniser(Arc<Inner>);

struct Inner {
    /// `None`: made-up back ends.
    fetcher: Option<Fetcher>,
    service: ArcSwap<Service>,
    pending: Semaphore,
    counters: RecognitionCounters,
    alarm: Alarm,
}

/// What a configuration makes of it: exchanged as a whole.
#[derive(Debug)]
struct Service {
    language: String,
    backends: Vec<Asked<dyn Backend>>,
}

impl std::fmt::Debug for Recogniser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recogniser")
            .field("service", &self.0.service.load())
            .finish_non_exhaustive()
    }
}

impl Service {
    fn new(language: &str, backends: Vec<Arc<dyn Backend>>) -> Service {
        let asked = |backend: Arc<dyn Backend>| Asked::new(backend.name().to_owned(), backend);
        Service {
            language: language.to_owned(),
            backends: backends.into_iter().map(asked).collect(),
        }
    }
}

impl Recogniser {
    /// The service of a configuration.
    pub fn new(config: &config::Recognition, fetcher: &Fetcher) -> Recogniser {
        let backends = build(&config.backends, config.parallel, fetcher);
        Recogniser::with(&config.language, backends, Some(fetcher.clone()))
    }

    pub(super) fn with(
        language: &str,
        backends: Vec<Arc<dyn Backend>>,
        fetcher: Option<Fetcher>,
    ) -> Recogniser {
        Recogniser(Arc::new(Inner {
            fetcher,
            service: ArcSwap::from_pointee(Service::new(language, backends)),
            pending: Semaphore::new(MAX_PENDING),
            counters: RecognitionCounters::default(),
            alarm: Alarm::default(),
        }))
    }

    /// Speech is understood by this configuration from now on; what is under way by the one before.
    pub fn apply(&self, config: &config::Recognition) {
        if let Some(fetcher) = &self.0.fetcher {
            let backends = build(&config.backends, config.parallel, fetcher);
            let service = Service::new(&config.language, backends);
            self.0.service.store(Arc::new(service));
        }
    }

    /// Is told each time that a back end fails. The first one to ask for it is.
    pub fn on_failed(&self, tell: impl Fn(&Failed) + Send + Sync + 'static) {
        self.0.alarm.is_for(tell);
    }

    /// Whether there is any back end.
    pub fn hears(&self) -> bool {
        !self.0.service.load().backends.is_empty()
    }

    /// What was done.
    pub fn counters(&self) -> &RecognitionCounters {
        &self.0.counters
    }

    /// Names of the back ends in force, and how often each failed.
    pub fn failures(&self) -> Vec<(String, u64)> {
        let service = self.0.service.load();
        let each = service.backends.iter();
        each.map(|asked| (asked.name.clone(), asked.failures()))
            .collect()
    }

    /// What is said in a recording: samples at 16 kHz, as far as the first 13 minutes. `language` is an IETF tag; `None`: the configuration's.
    ///
    /// # Errors
    /// When nobody can understand it.
    pub async fn transcribe(
        &self,
        samples: Vec<i16>,
        language: Option<&str>,
    ) -> Result<Transcript, RecogniserError> {
        self.understand(&Wanted::of(Spoken::whole(samples), language))
            .await
    }

    /// What is said in a sound file of any kind that can be played.
    ///
    /// # Errors
    /// When it cannot be read, or nobody can understand it.
    pub async fn transcribe_file(
        &self,
        file: &Path,
        language: Option<&str>,
    ) -> Result<Transcript, RecogniserError> {
        let path = file.to_owned();
        let read = move || {
            let unreadable = |reason: String| {
                RecogniserError::Unreadable(format!("{}: {reason}", path.display()))
            };
            let content = std::fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
            let extension = path.extension().unwrap_or_default().to_string_lossy();
            let sound = Prompt::from_file(path.display().to_string(), &extension, &content);
            let sound = sound.map_err(|error| unreadable(error.to_string()))?;
            Ok(sound.wide_samples())
        };
        let samples = tokio::task::spawn_blocking(read).await;
        let interrupted = |_| RecogniserError::Unreadable("reading was interrupted".to_owned());
        self.transcribe(samples.map_err(interrupted)??, language)
            .await
    }

    /// What is said in a piece of speech, which may still be going on. Dropped: back ends are told to end, nothing is counted.
    ///
    /// # Errors
    /// When nobody can understand it.
    pub async fn understand(&self, wanted: &Wanted) -> Result<Transcript, RecogniserError> {
        let inner = &*self.0;
        let counters = &inner.counters;
        let understood = match inner.pending.try_acquire() {
            Ok(_turn) => inner.ask(wanted).await,
            Err(_) => Err(RecogniserError::Busy),
        };
        let counter = match &understood {
            Ok(transcript) if transcript.text.is_empty() => &counters.wordless,
            Ok(_) => &counters.understood,
            Err(_) => &counters.lost,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        understood
    }
}

impl Inner {
    async fn ask(&self, wanted: &Wanted) -> Result<Transcript, RecogniserError> {
        let service = self.service.load_full();
        if service.backends.is_empty() {
            return Err(RecogniserError::Nobody);
        }
        let language = wanted.language.as_ref().filter(|tag| is_language(tag));
        let language = language.unwrap_or(&service.language);
        let understands = |asked: &&Asked<dyn Backend>| asked.backend.understands(language);
        let able: Vec<_> = service.backends.iter().filter(understands).collect();
        let mut last = RecogniserError::Language(language.clone());
        for (turn, asked) in able.iter().enumerate() {
            let next = able.get(turn + 1).copied();
            if asked.rests() && next.is_some() {
                continue;
            }
            match asked.backend.understand(wanted, language).await {
                Ok(words) => {
                    return Ok(Transcript {
                        text: tidy(&words.text),
                        confidence: words.confidence,
                        language: language.clone(),
                        backend: asked.name.clone(),
                    });
                }
                Err(error) => {
                    last = RecogniserError::Failed(format!("{}: {error}", asked.name));
                    let call = wanted.call.as_deref();
                    self.alarm.ring("recognise", asked, &error, next, call);
                }
            }
        }
        Err(last)
    }
}
