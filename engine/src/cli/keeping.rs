//! What the store keeps of an earlier process, and for the next one: calls and recordings that were cut, the index of recordings, webhooks.
use crate::archive::{self, Archive};
use crate::call::Calls;
use crate::call::events::{EventKind, Events};
use crate::config::Config;
use crate::fetch::{FetchLimits, Fetcher};
use crate::store::Store;
use crate::voicemail;
use crate::webhook::Webhooks;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

/// Puts right the recordings that a killed process left, and has webhooks and index told of events from now on: first of the calls that were cut.
pub(super) async fn start(
    config: &Config,
    store: &Store,
    calls: &Calls,
    interrupted: Vec<Value>,
) -> anyhow::Result<Arc<Webhooks>> {
    let webhooks = webhooks(config, store).await?;
    calls.events.sink(webhooks.clone());
    // Before the archive is looked at: they are no recordings.
    let messages = voicemail::repair(&calls.voicemail, store).await?;
    if messages > 0 {
        tracing::warn!(
            rule = "messages-interrupted",
            messages,
            "messages of voicemail that a killed process left are filed as far as they were recorded"
        );
    }
    let cut = archive::repair(store).await?;
    if cut > 0 {
        tracing::warn!(
            rule = "recordings-interrupted",
            files = cut,
            "recordings that a killed process left are put right"
        );
    }
    let index = Archive::new(store.clone(), config.recordings.keep);
    calls.events.sink(Arc::new(index));
    tell_interrupted(interrupted, &calls.events, store).await;
    Ok(webhooks)
}

/// Calls that a killed process has left are told of before there are new ones; returns their records.
pub(super) fn note_interrupted(
    store: &Store,
    line: Option<impl Fn(String) + Send + Clone + 'static>,
) -> anyhow::Result<Vec<Value>> {
    let found = Arc::new(Mutex::new(Vec::new()));
    let records = found.clone();
    let tell = move |record: &Value| {
        if let Some(line) = &line {
            line(record.to_string());
        }
        let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
        records.push(record.clone());
    };
    let calls = store.interrupt_cdrs(SystemTime::now(), tell)?;
    if calls > 0 {
        tracing::warn!(
            rule = "calls-interrupted",
            calls,
            "the process before this one was killed: calls it left in progress are recorded as interrupted"
        );
    }
    let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(std::mem::take(&mut *found))
}

/// Whoever was told that a call began is told that it is over.
async fn tell_interrupted(records: Vec<Value>, events: &Events, store: &Store) {
    for some in records.chunks(256) {
        for record in some {
            let data = json!({
                "by": "us", "cause": "interrupted", "status": null, "q850": null,
                "answered": record["answered"].is_string(), "seconds": null,
            });
            let call = record["call"].as_str();
            events.tell(EventKind::CallEnded, call, || data);
        }
        // Sinks write to the store, which takes so many at a time.
        store.flush().await;
    }
}

/// What is told to the addresses of the configuration.
async fn webhooks(config: &Config, store: &Store) -> anyhow::Result<Arc<Webhooks>> {
    let fetcher = Fetcher::without_redirects(&FetchLimits {
        max_octets: 0,
        ..FetchLimits::from(&config.fetch)
    })?;
    Ok(Webhooks::start(&config.webhooks, store.clone(), fetcher).await?)
}
