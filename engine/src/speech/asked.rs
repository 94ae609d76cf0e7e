//! Back ends in their order: which of them is passed over for a while because it failed, and who is told of failures. Knows neither speaking nor
//! understanding.
use super::SpeechError;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// How long a back end that failed is passed over while another one can serve instead.
pub(super) const REST: Duration = Duration::from_secs(15);

/// A back end that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// What it was to do: `speak` or `recognise`.
    pub task: &'static str,
    /// Its name.
    pub backend: String,
    /// Why.
    pub reason: String,
    /// Who is asked instead; `None`: nobody is left.
    pub next: Option<String>,
    /// The call it was for, where that is known.
    pub call: Option<String>,
}

/// One back end and how it does.
#[derive(Debug)]
pub(super) struct Asked<B: ?Sized> {
    /// Its name in the configuration.
    pub(super) name: String,
    pub(super) backend: Arc<B>,
    failures: AtomicU64,
    rests_until: Mutex<Option<Instant>>,
}

impl<B: ?Sized> Asked<B> {
    pub(super) fn new(name: String, backend: Arc<B>) -> Asked<B> {
        Asked {
            name,
            backend,
            failures: AtomicU64::new(0),
            rests_until: Mutex::new(None),
        }
    }

    /// Whether it is passed over just now.
    pub(super) fn rests(&self) -> bool {
        let until = self.rests_until.lock();
        let until = until.unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| Instant::now() < until)
    }

    /// How often it failed.
    pub(super) fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    fn fails(&self, error: &SpeechError) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        if matches!(error, SpeechError::Failed(_)) {
            let until = self.rests_until.lock();
            *until.unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + REST);
        }
    }
}

/// Who is told each time that a back end fails.
#[derive(Default)]
pub(super) struct Alarm(OnceLock<Box<dyn Fn(&Failed) + Send + Sync>>);

impl Alarm {
    /// The first one to ask for it is told.
    pub(super) fn is_for(&self, tell: impl Fn(&Failed) + Send + Sync + 'static) {
        let _ = self.0.set(Box::new(tell));
    }

    /// Counts, logs and tells a failure.
    pub(super) fn ring<B: ?Sized>(
        &self,
        task: &'static str,
        asked: &Asked<B>,
        error: &SpeechError,
        next: Option<&Asked<B>>,
        call: Option<&str>,
    ) {
        asked.fails(error);
        let failed = Failed {
            task,
            backend: asked.name.clone(),
            reason: error.to_string(),
            next: next.map(|next| next.name.clone()),
            call: call.map(str::to_owned),
        };
        tracing::warn!(
            task,
            backend = failed.backend,
            reason = failed.reason,
            next = failed.next,
            rule = "speech-failed",
            "a back end has failed"
        );
        if let Some(tell) = self.0.get() {
            tell(&failed);
        }
    }
}
