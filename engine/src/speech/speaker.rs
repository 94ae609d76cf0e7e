//! The service that speaks: finds audio in memory, then on disk, and else has it made by the first back end that can. Texts that are asked for by
//! several at once are made once, and to the end, whoever still waits.
//!
//! Limits: [`MAX_PENDING`] utterances in the making; [`MEMORY_OCTETS`] of audio in memory; as many at a time as the configuration says. A back end
//! that failed rests for [`REST`] while another one can speak instead.
use super::backend::{self, Backend};
use super::cache::Cache;
use super::script::{Part, Script, Usual, Utterance};
use super::{Speech, SpeechError};
use crate::config;
use crate::fetch::Fetcher;
use crate::media::Prompt;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};

/// The most utterances in the making.
const MAX_PENDING: usize = 5000;
/// The most audio in memory, in octets.
const MEMORY_OCTETS: usize = 64 << 20;
/// How long a back end that failed is passed over.
const REST: Duration = Duration::from_secs(15);
/// Stands in each key: another one when what is kept changes its meaning.
const CACHE_VERSION: &str = "1";

/// A back end that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its name.
    pub backend: String,
    /// Why.
    pub reason: String,
    /// Who is asked instead; `None`: nobody is left.
    pub next: Option<String>,
}

/// Why nothing is heard.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpeakerError {
    /// There is no back end at all.
    #[error("nothing speaks here: install espeak-ng, or name a [[speech.backend]]")]
    Nobody,
    /// None speaks the language.
    #[error("no [[speech.backend]] speaks {0}")]
    Language(String),
    /// Each that does has failed.
    #[error("{0}")]
    Failed(String),
    /// Too many texts are in the making.
    #[error("more than {MAX_PENDING} texts are being spoken")]
    Busy,
}

/// What was done, since the start.
#[derive(Debug, Default)]
pub struct SpeechCounters {
    /// Utterances found in memory.
    pub memory: AtomicU64,
    /// Found on disk.
    pub disk: AtomicU64,
    /// Made.
    pub made: AtomicU64,
    /// That nobody could speak.
    pub unspoken: AtomicU64,
}

/// One back end and how it does.
#[derive(Debug)]
struct Asked {
    backend: Arc<dyn Backend>,
    failures: AtomicU64,
    rests_until: Mutex<Option<Instant>>,
}

impl Asked {
    fn rests(&self) -> bool {
        let until = self.rests_until.lock();
        let until = until.unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }
}

type Outcome = Option<Result<Arc<Prompt>, SpeakerError>>;
type OnFailed = Box<dyn Fn(&Failed) + Send + Sync>;

/// See the module's text. Clones are the same one.
#[derive(Clone)]
pub struct Speaker(Arc<Inner>);

struct Inner {
    usual: Usual,
    backends: Vec<Asked>,
    cache: Option<Cache>,
    memory: Mutex<Memory>,
    turns: Semaphore,
    counters: SpeechCounters,
    on_failed: OnceLock<OnFailed>,
}

#[derive(Default)]
struct Memory {
    kept: HashMap<Utterance, Kept>,
    octets: usize,
    pending: HashMap<Utterance, watch::Receiver<Outcome>>,
}

struct Kept {
    prompt: Arc<Prompt>,
    used: Instant,
    /// Made by a fallback: good until then.
    until: Option<Instant>,
}

impl std::fmt::Debug for Speaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speaker")
            .field("backends", &self.0.backends)
            .finish_non_exhaustive()
    }
}

impl Speaker {
    /// The service of a configuration. A folder that cannot be used is told in the log, and nothing is kept on disk then.
    pub fn new(config: &config::Speech, fetcher: &Fetcher) -> Speaker {
        let backends = backend::build(&config.backends, fetcher);
        if backends.is_empty() {
            tracing::warn!(
                rule = "no-voice",
                "nothing speaks texts here: install espeak-ng, or name a [[speech.backend]]"
            );
        }
        Speaker::with(config, backends)
    }

    pub(super) fn with(config: &config::Speech, backends: Vec<Arc<dyn Backend>>) -> Speaker {
        let open = |folder: &std::path::PathBuf| match Cache::open(folder, config.cache_octets) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, rule = "speech-cache", "the folder of spoken texts cannot be used; see [speech] cache_dir");
                None
            }
        };
        let asked = |backend| Asked {
            backend,
            failures: AtomicU64::new(0),
            rests_until: Mutex::new(None),
        };
        Speaker(Arc::new(Inner {
            usual: Usual {
                language: config.language.clone(),
                voice: config.voice.clone(),
            },
            backends: backends.into_iter().map(asked).collect(),
            cache: config.cache_dir.as_ref().and_then(open),
            memory: Mutex::default(),
            turns: Semaphore::new(config.parallel),
            counters: SpeechCounters::default(),
            on_failed: OnceLock::new(),
        }))
    }

    /// Is told each time that a back end fails. The first one to ask for it is.
    pub fn on_failed(&self, tell: impl Fn(&Failed) + Send + Sync + 'static) {
        let _ = self.0.on_failed.set(Box::new(tell));
    }

    /// What was done.
    pub fn counters(&self) -> &SpeechCounters {
        &self.0.counters
    }

    /// Names of the back ends, and how often each failed.
    pub fn failures(&self) -> impl Iterator<Item = (&str, u64)> {
        let each = self.0.backends.iter();
        each.map(|asked| (asked.backend.name(), asked.failures.load(Ordering::Relaxed)))
    }

    /// Octets and files on disk.
    pub fn kept(&self) -> (u64, usize) {
        self.0.cache.as_ref().map_or((0, 0), Cache::size)
    }

    /// The parts of a text, in what is usual here.
    pub fn script(&self, speech: &Speech) -> Script {
        Script::of(speech, &self.0.usual)
    }

    /// The audio of an utterance, if it is in memory. Never blocks.
    pub fn in_memory(&self, said: &Utterance) -> Option<Arc<Prompt>> {
        let prompt = self.0.remembered(said)?;
        self.0.counters.memory.fetch_add(1, Ordering::Relaxed);
        Some(prompt)
    }

    /// The audio of an utterance.
    ///
    /// # Errors
    /// When nobody can speak it.
    pub async fn utter(&self, said: &Utterance) -> Result<Arc<Prompt>, SpeakerError> {
        if let Some(prompt) = self.in_memory(said) {
            return Ok(prompt);
        }
        let mut outcome = self.begin(said)?;
        // An error means that its task is gone: only when the server ends.
        let gone = SpeakerError::Failed("speaking was interrupted".to_owned());
        match outcome.wait_for(Option::is_some).await {
            Ok(outcome) => outcome.clone().unwrap_or(Err(gone)),
            Err(_) => Err(gone),
        }
    }

    /// The whole text as one piece, for files.
    ///
    /// # Errors
    /// When a part of it cannot be spoken.
    pub async fn whole(&self, speech: &Speech) -> Result<Prompt, SpeakerError> {
        let script = self.script(speech);
        let mut wide = Vec::new();
        for part in &script.parts {
            match part {
                Part::Pause { ms } => wide.resize(wide.len() + *ms as usize * 16, 0),
                Part::Say(said) => wide.extend(self.utter(said).await?.wide_samples()),
            }
        }
        let key: String = speech.text.chars().take(60).collect();
        Ok(Prompt::from_wide(key, &wide))
    }

    /// Has texts made that will be wanted, one after the other, in the background.
    pub fn prepare(&self, texts: Vec<Speech>) {
        if self.0.backends.is_empty() || texts.is_empty() {
            return;
        }
        let speaker = self.clone();
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            return;
        };
        runtime.spawn(async move {
            let (begun, texts_count) = (Instant::now(), texts.len());
            let mut unspoken = 0;
            for text in texts {
                for part in speaker.script(&text).parts {
                    if let Part::Say(said) = part
                        && speaker.utter(&said).await.is_err()
                    {
                        unspoken += 1;
                    }
                }
            }
            let ms = begun.elapsed().as_millis() as u64;
            tracing::info!(
                texts = texts_count,
                unspoken,
                ms,
                "the texts of flows are spoken in advance"
            );
        });
    }

    fn begin(&self, said: &Utterance) -> Result<watch::Receiver<Outcome>, SpeakerError> {
        if self.0.backends.is_empty() {
            self.0.counters.unspoken.fetch_add(1, Ordering::Relaxed);
            return Err(SpeakerError::Nobody);
        }
        let mut memory = self.0.memory();
        if let Some(pending) = memory.pending.get(said) {
            return Ok(pending.clone());
        }
        if memory.pending.len() >= MAX_PENDING {
            self.0.counters.unspoken.fetch_add(1, Ordering::Relaxed);
            return Err(SpeakerError::Busy);
        }
        let (tell, outcome) = watch::channel(None);
        memory.pending.insert(said.clone(), outcome.clone());
        drop(memory);
        let (inner, said) = (self.0.clone(), said.clone());
        tokio::spawn(async move {
            let made = inner.make(&said).await;
            let mut memory = inner.memory();
            if let Ok((prompt, until)) = &made {
                memory.keep(&said, prompt.clone(), *until);
            }
            memory.pending.remove(&said);
            drop(memory);
            tell.send_replace(Some(made.map(|(prompt, _)| prompt)));
        });
        Ok(outcome)
    }
}

impl Inner {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remembered(&self, said: &Utterance) -> Option<Arc<Prompt>> {
        let mut memory = self.memory();
        let (kept, now) = (memory.kept.get_mut(said)?, Instant::now());
        if kept.until.is_some_and(|until| until <= now) {
            return None;
        }
        kept.used = now;
        Some(kept.prompt.clone())
    }

    /// From disk or a back end, and until when it is good.
    async fn make(
        self: &Arc<Self>,
        said: &Utterance,
    ) -> Result<(Arc<Prompt>, Option<Instant>), SpeakerError> {
        let able: Vec<usize> = (0..self.backends.len())
            .filter(|at| self.backends[*at].backend.speaks(&said.language))
            .collect();
        let mut last = SpeakerError::Language(said.language.clone());
        for (turn, at) in able.iter().enumerate() {
            let asked = &self.backends[*at];
            let until = (turn > 0).then(|| Instant::now() + REST);
            let key = key(&asked.backend.tells(said), said);
            if let Some(prompt) = self.on_disk(&key, said).await {
                self.counters.disk.fetch_add(1, Ordering::Relaxed);
                return Ok((prompt, until));
            }
            let next = able.get(turn + 1).map(|at| &self.backends[*at]);
            if asked.rests() && next.is_some() {
                continue;
            }
            match self.made_by(asked, &key, said).await {
                Ok(prompt) => {
                    self.counters.made.fetch_add(1, Ordering::Relaxed);
                    return Ok((prompt, until));
                }
                Err(error) => {
                    last = SpeakerError::Failed(format!("{}: {error}", asked.backend.name()));
                    self.failed(asked, &error, next);
                }
            }
        }
        self.counters.unspoken.fetch_add(1, Ordering::Relaxed);
        Err(last)
    }

    fn failed(&self, asked: &Asked, error: &SpeechError, next: Option<&Asked>) {
        asked.failures.fetch_add(1, Ordering::Relaxed);
        if matches!(error, SpeechError::Failed(_)) {
            let until = asked.rests_until.lock();
            *until.unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
        }
        let failed = Failed {
            backend: asked.backend.name().to_owned(),
            reason: error.to_string(),
            next: next.map(|next| next.backend.name().to_owned()),
        };
        tracing::warn!(
            backend = failed.backend,
            reason = failed.reason,
            next = failed.next,
            rule = "speech-failed",
            "a text was not spoken"
        );
        if let Some(tell) = self.on_failed.get() {
            tell(&failed);
        }
    }

    async fn on_disk(self: &Arc<Self>, key: &str, said: &Utterance) -> Option<Arc<Prompt>> {
        self.cache.as_ref()?;
        let (inner, key, said) = (self.clone(), key.to_owned(), said.clone());
        let read = move || {
            let cache = inner.cache.as_ref()?;
            let content = cache.read(&key)?;
            match decoded(&said, "wav", &content) {
                Ok(prompt) => Some(prompt),
                Err(_) => {
                    cache.remove(&key);
                    None
                }
            }
        };
        tokio::task::spawn_blocking(read).await.ok()?
    }

    async fn made_by(
        self: &Arc<Self>,
        asked: &Asked,
        key: &str,
        said: &Utterance,
    ) -> Result<Arc<Prompt>, SpeechError> {
        let gone = |_| SpeechError::Failed("interrupted".to_owned());
        let sound = {
            // Never closed.
            let _turn = self.turns.acquire().await;
            asked.backend.speak(said).await?
        };
        let (inner, key, said) = (self.clone(), key.to_owned(), said.clone());
        let keep = move || {
            let plain = Utterance {
                volume_db: 0,
                ..said.clone()
            };
            let prompt = decoded(&plain, &sound.extension, &sound.content)?;
            if let Some(cache) = &inner.cache
                && let Err(error) = cache.write(&key, &prompt.to_wav())
            {
                tracing::warn!(%error, rule = "speech-cache", "a spoken text could not be kept on disk");
            }
            Ok(in_volume(prompt, &said))
        };
        tokio::task::spawn_blocking(keep).await.map_err(gone)?
    }
}

impl Memory {
    fn keep(&mut self, said: &Utterance, prompt: Arc<Prompt>, until: Option<Instant>) {
        self.forget(said);
        let octets = prompt.octets();
        if octets > MEMORY_OCTETS {
            return;
        }
        if self.octets + octets > MEMORY_OCTETS {
            // A tenth more than is needed: the table is sorted for many at a time.
            let mut all: Vec<_> = self
                .kept
                .iter()
                .map(|(said, kept)| (kept.used, said.clone()))
                .collect();
            all.sort_by_key(|(used, _)| *used);
            for (_, said) in all {
                if self.octets + octets <= MEMORY_OCTETS / 10 * 9 {
                    break;
                }
                self.forget(&said);
            }
        }
        self.octets += octets;
        let used = Instant::now();
        let kept = Kept {
            prompt,
            used,
            until,
        };
        self.kept.insert(said.clone(), kept);
    }

    fn forget(&mut self, said: &Utterance) {
        if let Some(kept) = self.kept.remove(said) {
            self.octets -= kept.prompt.octets();
        }
    }
}

/// What the file of an utterance is called; its volume is not in it.
fn key(tells: &str, said: &Utterance) -> String {
    let mut hash = Sha256::new();
    let (rate, pitch) = (
        said.rate_percent.to_string(),
        said.pitch_percent.to_string(),
    );
    for part in [
        CACHE_VERSION,
        tells,
        &said.voice,
        &said.language.to_ascii_lowercase(),
        &rate,
        &pitch,
        &said.text,
    ] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    HEXLOWER.encode(&hash.finalize())
}

fn decoded(said: &Utterance, extension: &str, content: &[u8]) -> Result<Arc<Prompt>, SpeechError> {
    let key: String = said.text.chars().take(60).collect();
    let prompt = Prompt::from_file(key, extension, content);
    let prompt = prompt.map_err(|error| SpeechError::Failed(error.to_string()))?;
    if prompt.slin8.is_empty() {
        return Err(SpeechError::Failed("the audio is empty".to_owned()));
    }
    Ok(in_volume(Arc::new(prompt), said))
}

fn in_volume(prompt: Arc<Prompt>, said: &Utterance) -> Arc<Prompt> {
    match said.volume_db {
        0 => prompt,
        db => Arc::new(prompt.louder(f32::from(db))),
    }
}

#[cfg(test)]
#[path = "speaker_tests.rs"]
mod tests;
