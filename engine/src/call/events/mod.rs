//! Events: what happens to calls, told to whoever listens. One declared list ([`EventKind::ALL`]), in `docs/events.md` word for word.
//!
//! Emitting never waits: watchers get events from a bounded ring and are told how many they missed; an [`EventSink`] is called in place and
//! must only take note. Nothing here writes, sends or logs events.
//! Limits: [`RING`] events wait for the slowest watcher, then it loses the oldest; texts of far ends are cut at `MAX_TEXT` characters.
mod kind;
#[cfg(test)]
mod tests;

pub use kind::EventKind;

use crate::store::stamp;
use arc_swap::ArcSwap;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use tokio::sync::broadcast;

/// Events that wait for the slowest watcher.
pub const RING: usize = 4096;
/// Longest text of a far end, in characters.
const MAX_TEXT: usize = 256;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// What.
    pub kind: EventKind,
    /// When.
    pub at: SystemTime,
    /// The call it happened to; `None`: to none.
    pub call: Option<String>,
    /// An object with the fields that the kind's text names.
    pub data: Value,
}

impl Event {
    /// It happens now.
    pub fn now(kind: EventKind, call: Option<&str>, data: Value) -> Event {
        Event {
            kind,
            at: SystemTime::now(),
            call: call.map(str::to_owned),
            data,
        }
    }

    /// As it is sent: `event`, `at`, `call` and `data`.
    pub fn to_json(&self) -> Value {
        json!({
            "event": self.kind.name(),
            "at": stamp(self.at),
            "call": self.call,
            "data": self.data,
        })
    }
}

/// Takes note of every event, in the order in which each call's happen.
pub trait EventSink: Send + Sync {
    /// Called in place by whoever emits: must neither wait nor emit. `number` counts all events of this process.
    fn take(&self, number: u64, event: &Arc<Event>);
}

/// An event and its number, which counts all events of this process from 1.
pub type Numbered = (u64, Arc<Event>);

/// The bus. Cheap to share.
pub struct Events {
    ring: broadcast::Sender<Numbered>,
    sinks: ArcSwap<Vec<Arc<dyn EventSink>>>,
    emitted: AtomicU64,
    missed: AtomicU64,
}

impl Default for Events {
    fn default() -> Events {
        Events {
            ring: broadcast::Sender::new(RING),
            sinks: ArcSwap::default(),
            emitted: AtomicU64::new(0),
            missed: AtomicU64::new(0),
        }
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Events")
            .field("emitted", &self.emitted())
            .finish_non_exhaustive()
    }
}

impl Events {
    /// Tells an event to everybody. Never waits.
    pub fn emit(&self, event: Event) {
        let number = self.emitted.fetch_add(1, Ordering::Relaxed) + 1;
        let sinks = self.sinks.load();
        if sinks.is_empty() && self.ring.receiver_count() == 0 {
            return;
        }
        let event = Arc::new(event);
        for sink in sinks.iter() {
            sink.take(number, &event);
        }
        // An error says that nobody watches.
        let _ = self.ring.send((number, event));
    }

    /// Tells that something happened now. `data` is asked only where somebody listens.
    pub fn tell(&self, kind: EventKind, call: Option<&str>, data: impl FnOnce() -> Value) {
        if self.is_heard() {
            self.emit(Event::now(kind, call, data()));
        } else {
            self.emitted.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether anybody listens.
    pub fn is_heard(&self) -> bool {
        self.ring.receiver_count() > 0 || !self.sinks.load().is_empty()
    }

    /// Adds a sink, for good.
    pub fn sink(&self, sink: Arc<dyn EventSink>) {
        self.sinks.rcu(|sinks| {
            let mut all = Vec::clone(sinks);
            all.push(sink.clone());
            all
        });
    }

    /// Watches from now on.
    pub fn watch(self: &Arc<Self>) -> Watcher {
        Watcher {
            events: self.clone(),
            ring: self.ring.subscribe(),
        }
    }

    /// Events so far.
    pub fn emitted(&self) -> u64 {
        self.emitted.load(Ordering::Relaxed)
    }

    /// Events that watchers were too slow for.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// Who watches now.
    pub fn watchers(&self) -> usize {
        self.ring.receiver_count()
    }
}

/// Gets every event from the moment it was made.
#[derive(Debug)]
pub struct Watcher {
    events: Arc<Events>,
    ring: broadcast::Receiver<Numbered>,
}

/// What a watcher gets.
#[derive(Debug, Clone, PartialEq)]
pub enum Watched {
    /// The next event, with its number.
    Event(u64, Arc<Event>),
    /// It was too slow: so many events are lost to it.
    Missed(u64),
}

impl Watcher {
    /// The next event. Can be dropped at any await without losing one.
    pub async fn next(&mut self) -> Watched {
        match self.ring.recv().await {
            Ok((number, event)) => Watched::Event(number, event),
            Err(broadcast::error::RecvError::Lagged(missed)) => self.late(missed),
            // We hold the bus, so its sender lives.
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }

    /// The next event that is there already.
    pub fn try_next(&mut self) -> Option<Watched> {
        match self.ring.try_recv() {
            Ok((number, event)) => Some(Watched::Event(number, event)),
            Err(broadcast::error::TryRecvError::Lagged(missed)) => Some(self.late(missed)),
            Err(_) => None,
        }
    }

    fn late(&self, missed: u64) -> Watched {
        self.events.missed.fetch_add(missed, Ordering::Relaxed);
        Watched::Missed(missed)
    }
}

/// A far end's text, not longer than an event carries.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}
