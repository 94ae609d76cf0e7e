//! The service that speaks: finds audio in memory, then on disk, and else has it made by the first back end that can. Texts that are asked for by
//! several at once are made once, and to the end, whoever still waits.
//!
//! Limits: [`MAX_PENDING`] utterances in the making; [`MEMORY_OCTETS`] of audio in memory; as many at a time as the configuration says. A back end
//! that failed rests for [`REST`] while another one can speak instead.
use super::asked::{Alarm, Asked, Failed, REST};
use super::backend::{self, Backend};
use super::cache::Cache;
use super::memory::Memory;
use super::script::{Part, Script, Usual, Utterance};
use super::{Speech, SpeechError};
use crate::config;
use crate::fetch::Fetcher;
use crate::media::Prompt;
use arc_swap::ArcSwap;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::{Semaphore, watch};

/// The most utterances in the making.
const MAX_PENDING: usize = 5000;
/// Stands in each key: another one when what is kept changes its meaning.
const CACHE_VERSION: &str = "1";

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

type Outcome = Option<Result<Arc<Prompt>, SpeakerError>>;

/// See the module's text. Clones are the same one.
#[derive(Clone)]
pub struct Speaker(Arc<Inner>);

struct Inner {
    /// `None`: made-up back ends.
    fetcher: Option<Fetcher>,
    service: ArcSwap<Service>,
    memory: Mutex<Memory>,
    pending: Mutex<HashMap<Utterance, watch::Receiver<Outcome>>>,
    counters: SpeechCounters,
    alarm: Alarm,
}

/// What a configuration makes of it: exchanged as a whole.
struct Service {
    usual: Usual,
    backends: Vec<Asked<dyn Backend>>,
    cache: Option<Cache>,
    turns: Semaphore,
}

impl std::fmt::Debug for Speaker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Speaker")
            .field("backends", &self.0.service.load().backends)
            .finish_non_exhaustive()
    }
}

impl Speaker {
    /// The service of a configuration. A folder that cannot be used is told in the log, and nothing is kept on disk then.
    pub fn new(config: &config::Speech, fetcher: &Fetcher) -> Speaker {
        Speaker::with(config, built(config, fetcher), Some(fetcher.clone()))
    }

    pub(super) fn with(
        config: &config::Speech,
        backends: Vec<Arc<dyn Backend>>,
        fetcher: Option<Fetcher>,
    ) -> Speaker {
        Speaker(Arc::new(Inner {
            fetcher,
            service: ArcSwap::from_pointee(Service::new(config, backends)),
            memory: Mutex::default(),
            pending: Mutex::default(),
            counters: SpeechCounters::default(),
            alarm: Alarm::default(),
        }))
    }

    /// Texts are spoken by this configuration from now on; those in the making by the one before.
    pub fn apply(&self, config: &config::Speech) {
        if let Some(fetcher) = &self.0.fetcher {
            self.apply_with(config, built(config, fetcher));
        }
    }

    pub(super) fn apply_with(&self, config: &config::Speech, backends: Vec<Arc<dyn Backend>>) {
        let service = Service::new(config, backends);
        self.0.service.store(Arc::new(service));
        *self.0.memory() = Memory::default();
    }

    /// Is told each time that a back end fails. The first one to ask for it is.
    pub fn on_failed(&self, tell: impl Fn(&Failed) + Send + Sync + 'static) {
        self.0.alarm.is_for(tell);
    }

    /// What was done.
    pub fn counters(&self) -> &SpeechCounters {
        &self.0.counters
    }

    /// Names of the back ends in force, and how often each failed.
    pub fn failures(&self) -> Vec<(String, u64)> {
        let service = self.0.service.load();
        let each = service.backends.iter();
        each.map(|asked| (asked.name.clone(), asked.failures()))
            .collect()
    }

    /// Octets and files on disk.
    pub fn kept(&self) -> (u64, usize) {
        let service = self.0.service.load();
        service.cache.as_ref().map_or((0, 0), Cache::size)
    }

    /// The language of texts that name none.
    pub fn language(&self) -> String {
        self.0.service.load().usual.language.clone()
    }

    /// The parts of a text, in what is usual here.
    pub fn script(&self, speech: &Speech) -> Script {
        Script::of(speech, &self.0.service.load().usual)
    }

    /// The audio of an utterance, if it is in memory. Never blocks.
    pub fn in_memory(&self, said: &Utterance) -> Option<Arc<Prompt>> {
        let prompt = self.0.memory().recall(said)?;
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
        if self.0.service.load().backends.is_empty() || texts.is_empty() {
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
        if self.0.service.load().backends.is_empty() {
            self.0.counters.unspoken.fetch_add(1, Ordering::Relaxed);
            return Err(SpeakerError::Nobody);
        }
        let mut pending = self.0.pending();
        if let Some(outcome) = pending.get(said) {
            return Ok(outcome.clone());
        }
        if pending.len() >= MAX_PENDING {
            self.0.counters.unspoken.fetch_add(1, Ordering::Relaxed);
            return Err(SpeakerError::Busy);
        }
        let (tell, outcome) = watch::channel(None);
        pending.insert(said.clone(), outcome.clone());
        drop(pending);
        let (inner, said) = (self.0.clone(), said.clone());
        tokio::spawn(async move {
            let made = inner.make_and_keep(&said).await;
            inner.pending().remove(&said);
            tell.send_replace(Some(made));
        });
        Ok(outcome)
    }
}

fn built(config: &config::Speech, fetcher: &Fetcher) -> Vec<Arc<dyn Backend>> {
    let backends = backend::build(&config.backends, fetcher);
    if backends.is_empty() {
        tracing::warn!(
            rule = "no-voice",
            "nothing speaks texts here: install espeak-ng, or name a [[speech.backend]]"
        );
    }
    backends
}

impl Service {
    fn new(config: &config::Speech, backends: Vec<Arc<dyn Backend>>) -> Service {
        let open = |folder: &std::path::PathBuf| match Cache::open(folder, config.cache_octets) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, rule = "speech-cache", "the folder of spoken texts cannot be used; see [speech] cache_dir");
                None
            }
        };
        let asked = |backend: Arc<dyn Backend>| Asked::new(backend.name().to_owned(), backend);
        Service {
            usual: Usual {
                language: config.language.clone(),
                voice: config.voice.clone(),
            },
            backends: backends.into_iter().map(asked).collect(),
            cache: config.cache_dir.as_ref().and_then(open),
            turns: Semaphore::new(config.parallel),
        }
    }

    /// Who can say it, in the order in which they are asked: whom the text names, by name or type, before all others.
    fn able(&self, said: &Utterance) -> Vec<&Asked<dyn Backend>> {
        let speaks = |asked: &&Asked<dyn Backend>| asked.backend.speaks(&said.language);
        let mut able: Vec<_> = self.backends.iter().filter(speaks).collect();
        if !said.by.is_empty() {
            able.sort_by_key(|asked| {
                ![asked.name.as_str(), asked.backend.kind()].contains(&said.by.as_str())
            });
        }
        able
    }
}

impl Inner {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, HashMap<Utterance, watch::Receiver<Outcome>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn make_and_keep(
        self: &Arc<Self>,
        said: &Utterance,
    ) -> Result<Arc<Prompt>, SpeakerError> {
        let service = self.service.load_full();
        let (prompt, until) = self.make(&service, said).await?;
        let mut memory = self.memory();
        // What another configuration has made is not what is wanted now.
        if Arc::ptr_eq(&service, &self.service.load()) {
            memory.keep(said, prompt.clone(), until);
        }
        Ok(prompt)
    }

    /// From disk or a back end, and until when it is good.
    async fn make(
        self: &Arc<Self>,
        service: &Arc<Service>,
        said: &Utterance,
    ) -> Result<(Arc<Prompt>, Option<Instant>), SpeakerError> {
        let able = service.able(said);
        let mut last = SpeakerError::Language(said.language.clone());
        for (turn, asked) in able.iter().enumerate() {
            let until = (turn > 0).then(|| Instant::now() + REST);
            let key = key(&asked.backend.tells(said), said);
            if let Some(prompt) = service.on_disk(&key, said).await {
                self.counters.disk.fetch_add(1, Ordering::Relaxed);
                return Ok((prompt, until));
            }
            let next = able.get(turn + 1).copied();
            if asked.rests() && next.is_some() {
                continue;
            }
            match service.made_by(&asked.backend, &key, said).await {
                Ok(prompt) => {
                    self.counters.made.fetch_add(1, Ordering::Relaxed);
                    return Ok((prompt, until));
                }
                Err(error) => {
                    last = SpeakerError::Failed(format!("{}: {error}", asked.name));
                    self.alarm.ring("speak", asked, &error, next, None);
                }
            }
        }
        self.counters.unspoken.fetch_add(1, Ordering::Relaxed);
        Err(last)
    }
}

impl Service {
    async fn on_disk(self: &Arc<Self>, key: &str, said: &Utterance) -> Option<Arc<Prompt>> {
        self.cache.as_ref()?;
        let (service, key, said) = (self.clone(), key.to_owned(), said.clone());
        let read = move || {
            let cache = service.cache.as_ref()?;
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
        backend: &Arc<dyn Backend>,
        key: &str,
        said: &Utterance,
    ) -> Result<Arc<Prompt>, SpeechError> {
        let gone = |_| SpeechError::Failed("interrupted".to_owned());
        let sound = {
            // Never closed.
            let _turn = self.turns.acquire().await;
            backend.speak(said).await?
        };
        let (service, key, said) = (self.clone(), key.to_owned(), said.clone());
        let keep = move || {
            let plain = Utterance {
                volume_db: 0,
                ..said.clone()
            };
            let prompt = decoded(&plain, &sound.extension, &sound.content)?;
            if let Some(cache) = &service.cache
                && let Err(error) = cache.write(&key, &prompt.to_wav())
            {
                tracing::warn!(%error, rule = "speech-cache", "a spoken text could not be kept on disk");
            }
            Ok(in_volume(prompt, &said))
        };
        tokio::task::spawn_blocking(keep).await.map_err(gone)?
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
