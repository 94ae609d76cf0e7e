//! Webhooks: what happens is sent to the addresses of the configuration, signed, until it is delivered or too old.
//!
//! An event is written to the store's spool first and sent from there: a hook that is dead or slow costs calls nothing, and a process that is
//! killed delivers the rest after its start. What belongs to one call is delivered in its order; whatever fails is tried again, so a
//! receiver may see a delivery twice and knows it by its id.
//! Limits: 100,000 deliveries wait for each hook, 8 are under way for each, 4 for each host; what does not fit is dropped, counted and named.
mod deliver;

#[cfg(test)]
mod tests;

use crate::call::events::{Event, EventKind, EventSink};
use crate::config::Webhook;
use crate::fetch::Fetcher;
use crate::store::{Spooled, Store, StoreError, fresh_id, ms_of};
use deliver::Courier;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, Semaphore};

/// Deliveries that wait for one hook.
const MOST_WAITING: usize = 100_000;
/// Deliveries to one host at a time.
const PER_HOST: usize = 4;
/// Between two lines in the log about drops.
const COMPLAIN: Duration = Duration::from_secs(60);

/// Why a delivery is dropped.
#[derive(Debug, Clone, Copy)]
enum Drop {
    /// Too many wait.
    SpoolFull,
    /// The store does not take it.
    Store,
    /// It was tried for as long as it may.
    TooOld,
    /// The receiver says 410: it wants no more of this.
    Gone,
    /// The hook is no longer in the configuration.
    HookRemoved,
    /// Somebody has given it up from outside.
    Deleted,
}

const DROPS: [(Drop, &str); 6] = [
    (Drop::SpoolFull, "spool-full"),
    (Drop::Store, "store"),
    (Drop::TooOld, "too-old"),
    (Drop::Gone, "gone"),
    (Drop::HookRemoved, "hook-removed"),
    (Drop::Deleted, "deleted"),
];

/// What the metrics page shows of all hooks.
#[derive(Debug, Default)]
pub struct WebhookCounters {
    /// Deliveries that wait.
    pub waiting: AtomicUsize,
    /// Deliveries that a receiver has taken.
    pub delivered: AtomicU64,
    /// Tries that failed.
    pub failed: AtomicU64,
    dropped: [AtomicU64; DROPS.len()],
    told: Mutex<Option<Instant>>,
}

impl WebhookCounters {
    /// Deliveries dropped, by cause.
    pub fn dropped_by(&self) -> [(&'static str, u64); DROPS.len()] {
        DROPS.map(|(why, name)| (name, self.dropped[why as usize].load(Ordering::Relaxed)))
    }

    fn dropped(&self, why: Drop, hook: &str, count: u64) {
        self.dropped[why as usize].fetch_add(count, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|at| at.elapsed() >= COMPLAIN) {
            *told = Some(Instant::now());
            let cause = DROPS[why as usize].1;
            tracing::warn!(
                rule = "webhook-dropped",
                hook,
                cause,
                count,
                "what a webhook should have been sent is dropped; the metrics count all"
            );
        }
    }
}

/// One hook.
#[derive(Debug)]
struct Hook {
    config: Webhook,
    kinds: Vec<EventKind>,
    waiting: AtomicUsize,
    /// Something was spooled.
    spooled: Notify,
}

/// All hooks: takes events.
#[derive(Debug)]
pub struct Webhooks {
    hooks: Vec<Arc<Hook>>,
    store: Store,
    counters: Arc<WebhookCounters>,
}

/// Why hooks cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WebhookError {
    /// A pattern that nothing fits.
    #[error("[[webhook]] {hook}: no event is named \"{pattern}\"; docs/events.md lists them")]
    NoSuchEvent {
        /// The hook's name.
        hook: String,
        /// The pattern.
        pattern: String,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Webhooks {
    /// Serves the hooks of the configuration in the background: first what an earlier process has left for them.
    ///
    /// # Errors
    /// See [`WebhookError`].
    pub async fn start(
        hooks: &[Webhook],
        store: Store,
        fetcher: Fetcher,
    ) -> Result<Arc<Webhooks>, WebhookError> {
        let counters = Arc::<WebhookCounters>::default();
        let mut left: HashMap<_, _> = store.webhooks_waiting().await?.into_iter().collect();
        let mut served = Vec::new();
        for config in hooks {
            let waiting = left.remove(&config.name).unwrap_or(0);
            counters.waiting.fetch_add(waiting, Ordering::Relaxed);
            served.push(Arc::new(Hook {
                config: config.clone(),
                kinds: kinds(config)?,
                waiting: waiting.into(),
                spooled: Notify::new(),
            }));
        }
        for (hook, count) in left {
            store.forget_webhook(&hook).await?;
            counters.dropped(Drop::HookRemoved, &hook, count as u64);
        }
        let mut hosts = HashMap::<String, Arc<Semaphore>>::new();
        for hook in &served {
            let places = || Arc::new(Semaphore::new(PER_HOST));
            let host = hosts
                .entry(host_of(&hook.config.url))
                .or_insert_with(places);
            let courier = Courier {
                hook: hook.clone(),
                store: store.clone(),
                fetcher: fetcher.clone(),
                host: host.clone(),
                counters: counters.clone(),
            };
            tokio::spawn(courier.work());
        }
        Ok(Arc::new(Webhooks {
            hooks: served,
            store,
            counters,
        }))
    }

    /// Its counters.
    pub fn counters(&self) -> &Arc<WebhookCounters> {
        &self.counters
    }

    /// Tries a delivery that waits at once, as soon as those of its call are through that came before. `false`: it is not there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn retry(&self, id: &str) -> Result<bool, StoreError> {
        let Some(found) = self.store.webhook_delivery(id).await? else {
            return Ok(false);
        };
        self.store.webhook_due(found.number).await?;
        if let Some(hook) = self.hook(&found.hook) {
            hook.spooled.notify_one();
        }
        Ok(true)
    }

    /// Gives up a delivery that waits; one that is under way may still arrive. `false`: it is not there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub async fn delete(&self, id: &str) -> Result<bool, StoreError> {
        let Some(found) = self.store.webhook_delivery(id).await? else {
            return Ok(false);
        };
        let there = self.store.webhook_settled(found.number).await?;
        if there {
            self.counters.dropped(Drop::Deleted, &found.hook, 1);
            self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
            if let Some(hook) = self.hook(&found.hook) {
                hook.waiting.fetch_sub(1, Ordering::Relaxed);
                hook.spooled.notify_one();
            }
        }
        Ok(there)
    }

    fn hook(&self, name: &str) -> Option<&Arc<Hook>> {
        self.hooks.iter().find(|hook| hook.config.name == name)
    }

    fn spool(&self, hook: &Arc<Hook>, event: &Event) {
        let name = &hook.config.name;
        if hook.waiting.load(Ordering::Relaxed) >= MOST_WAITING {
            return self.counters.dropped(Drop::SpoolFull, name, 1);
        }
        let id = fresh_id::<12>("evt-");
        let mut body = event.to_json();
        body["id"] = id.as_str().into();
        let spooled = Spooled {
            number: 0,
            hook: name.clone(),
            call: event.call.clone().unwrap_or_default(),
            id,
            event: event.kind.name().to_owned(),
            body: body.to_string(),
            created_ms: ms_of(event.at),
            due_ms: 0,
            attempts: 0,
        };
        let (counters, there) = (self.counters.clone(), hook.clone());
        let done = move |spooled: Result<(), StoreError>| match spooled {
            Ok(()) => {
                counters.waiting.fetch_add(1, Ordering::Relaxed);
                there.waiting.fetch_add(1, Ordering::Relaxed);
                there.spooled.notify_one();
            }
            // As on a full disk; the store has told why.
            Err(_) => counters.dropped(Drop::Store, &there.config.name, 1),
        };
        if !self.store.post_webhook(spooled, done) {
            self.counters.dropped(Drop::Store, name, 1);
        }
    }
}

impl EventSink for Webhooks {
    fn take(&self, _: u64, event: &Arc<Event>) {
        for hook in self
            .hooks
            .iter()
            .filter(|hook| hook.kinds.contains(&event.kind))
        {
            self.spool(hook, event);
        }
    }
}

/// The events that a hook wants.
fn kinds(hook: &Webhook) -> Result<Vec<EventKind>, WebhookError> {
    let mut wanted = Vec::new();
    for pattern in &hook.events {
        let fits = |kind: &&EventKind| match pattern.strip_suffix('*') {
            Some(beginning) => kind.name().starts_with(beginning),
            None => kind.name() == pattern,
        };
        let before = wanted.len();
        wanted.extend(EventKind::ALL.iter().filter(fits).copied());
        if wanted.len() == before {
            return Err(WebhookError::NoSuchEvent {
                hook: hook.name.clone(),
                pattern: pattern.clone(),
            });
        }
    }
    Ok(wanted)
}

/// What lies between scheme and path.
fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    host.to_ascii_lowercase()
}
