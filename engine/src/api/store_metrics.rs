//! The part of the metrics page of the store and of webhooks.
use super::metrics::{family, gauge};
use crate::store::Store;
use crate::webhook::WebhookCounters;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt::Error;
use std::sync::atomic::Ordering;

pub(super) fn encode(encoder: &mut DescriptorEncoder, store: &Store) -> Result<(), Error> {
    let counters = store.counters();
    gauge(
        encoder,
        "trunkline_store_waiting",
        "Pieces of work that wait to be written to the store",
        store.waiting() as u64,
    )?;
    let done = [
        ("written", counters.written.load(Ordering::Relaxed)),
        ("read", counters.read.load(Ordering::Relaxed)),
    ];
    family(
        encoder,
        "trunkline_store_done",
        "Pieces of work that the store has done",
        "what",
        &done,
    )?;
    family(
        encoder,
        "trunkline_store_failed",
        "Pieces of work that the store could not do, by cause",
        "cause",
        &counters.failed_by(),
    )
}

pub(super) fn encode_webhooks(
    encoder: &mut DescriptorEncoder,
    of: &WebhookCounters,
) -> Result<(), Error> {
    gauge(
        encoder,
        "trunkline_webhooks_waiting",
        "Deliveries of webhooks that wait in the spool",
        of.waiting.load(Ordering::Relaxed) as u64,
    )?;
    let tried = [
        ("delivered", of.delivered.load(Ordering::Relaxed)),
        ("failed", of.failed.load(Ordering::Relaxed)),
    ];
    family(
        encoder,
        "trunkline_webhooks_sent",
        "Deliveries of webhooks that were tried, by what became of them",
        "outcome",
        &tried,
    )?;
    family(
        encoder,
        "trunkline_webhooks_dropped",
        "Deliveries of webhooks that are given up, by cause",
        "cause",
        &of.dropped_by(),
    )
}
