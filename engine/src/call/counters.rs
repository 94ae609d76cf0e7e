//! Counters of calls: what the metrics page shows and draining waits for.
use super::leg::End;
use super::program::Direction;
use super::verb::DigitSource;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::Notify;
use trunkline_dsp::progress::Kind;

/// See the module's text. All counters only grow, but `active`.
#[derive(Debug, Default)]
pub struct CallCounters {
    /// Calls in progress.
    pub active: AtomicUsize,
    /// Inbound calls begun.
    pub inbound: AtomicU64,
    /// Outbound calls begun.
    pub outbound: AtomicU64,
    /// Call records that could not be written.
    pub cdr_lost: Arc<AtomicU64>,
    keys: [AtomicU64; 3],
    ended: Mutex<BTreeMap<(&'static str, &'static str), u64>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    tones: Mutex<BTreeMap<&'static str, u64>>,
    answered_by: Mutex<BTreeMap<&'static str, u64>>,
    /// Text messages that a program took, and that a phone did.
    pub(super) messages: [AtomicU64; 2],
    now_idle: Notify,
}

/// Holds a call in the `active` gauge; dropping it, also by a panic, takes it out.
#[derive(Debug)]
pub(super) struct Active {
    counters: Arc<CallCounters>,
    /// Calls in progress when this one began, itself included.
    pub(super) rank: usize,
}

impl Drop for Active {
    fn drop(&mut self) {
        if self.counters.active.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.counters.now_idle.notify_waiters();
        }
    }
}

/// Counts a call whose session panics; to be held by the session's task.
pub(super) struct PanicWatch(pub(super) Arc<CallCounters>);

impl Drop for PanicWatch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.ended(&End::by("us", "panic"));
            tracing::error!(
                rule = "panic",
                "a call ended by a defect of Trunkline: its far ends are hung up"
            );
        }
    }
}

impl CallCounters {
    pub(super) fn begin(self: &Arc<Self>, direction: Direction) -> Active {
        let counter = match direction {
            Direction::Inbound => &self.inbound,
            Direction::Outbound => &self.outbound,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        Active {
            counters: self.clone(),
            rank: self.active.fetch_add(1, Ordering::Relaxed) + 1,
        }
    }

    pub(super) fn ended(&self, end: &End) {
        let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        *ended.entry((end.by, end.cause)).or_default() += 1;
    }

    pub(super) fn refused(&self, rule: &'static str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(rule).or_default() += 1;
    }

    pub(super) fn key(&self, source: DigitSource) {
        self.keys[source as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Key presses, by the source that reported each first.
    pub fn keys_by(&self) -> [(&'static str, u64); 3] {
        let count = |source: DigitSource| self.keys[source as usize].load(Ordering::Relaxed);
        [
            ("inband", count(DigitSource::InBand)),
            ("rfc4733", count(DigitSource::Rfc4733)),
            ("info", count(DigitSource::Info)),
        ]
    }

    pub(super) fn tone(&self, kind: Kind) {
        count_in(&self.tones, kind.name());
    }

    pub(super) fn answered_by(&self, answerer: &'static str) {
        count_in(&self.answered_by, answerer);
    }

    /// Tones of networks and fax machines that were heard, by name.
    pub fn tones_by(&self) -> BTreeMap<&'static str, u64> {
        counts_of(&self.tones)
    }

    /// Calls that machine detection has judged, by who answered.
    pub fn answered_by_counts(&self) -> BTreeMap<&'static str, u64> {
        counts_of(&self.answered_by)
    }

    /// Text messages, by who took them; the others are among the refused.
    pub fn messages_by(&self) -> [(&'static str, u64); 2] {
        let count = |at: usize| self.messages[at].load(Ordering::Relaxed);
        [("program", count(0)), ("phone", count(1))]
    }

    /// Calls ended, by who ended them and the cause.
    pub fn ended_by(&self) -> BTreeMap<(&'static str, &'static str), u64> {
        self.ended
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Calls, transfers and text messages refused, by rule.
    pub fn refused_by(&self) -> BTreeMap<&'static str, u64> {
        self.refused
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Returns when no call is in progress.
    pub async fn idle(&self) {
        loop {
            let notified = self.now_idle.notified();
            tokio::pin!(notified);
            // Registered before the look, so that a call which ends in between is not missed.
            notified.as_mut().enable();
            if self.active.load(Ordering::Relaxed) == 0 {
                return;
            }
            notified.await;
        }
    }
}

fn count_in(counts: &Mutex<BTreeMap<&'static str, u64>>, name: &'static str) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    *counts.entry(name).or_default() += 1;
}

fn counts_of(counts: &Mutex<BTreeMap<&'static str, u64>>) -> BTreeMap<&'static str, u64> {
    counts
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone()
}
