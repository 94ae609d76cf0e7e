//! The store's part of the metrics page.
use super::metrics::{family, gauge};
use crate::store::Store;
use prometheus_client::encoding::DescriptorEncoder;
use std::fmt::Error;
use std::sync::atomic::Ordering;

pub(super) fn encode(encoder: &mut DescriptorEncoder, store: &Store) -> Result<(), Error> {
    let counters = store.counters();
    gauge(
        encoder,
        "trunkline_store_waiting",
        "Pieces of work that wait to be written to the store",
        counters.waiting.load(Ordering::Relaxed) as u64,
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
