//! What happened on one trunk, for the metrics page. Counters only grow.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters of one trunk.
#[derive(Debug, Default)]
pub(super) struct TrunkCounters {
    /// Calls handed to the trunk and taken.
    pub(super) calls: AtomicU64,
    /// Attempts that failed and were followed by another.
    pub(super) failovers: AtomicU64,
    /// Registrations that were refused or not answered.
    pub(super) registrations_failed: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl TrunkCounters {
    pub(super) fn refused(&self, rule: &'static str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(rule).or_default() += 1;
    }

    /// Calls refused, by rule. The rules are those of this room, a fixed number.
    pub(super) fn refused_by(&self) -> BTreeMap<&'static str, u64> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.clone()
    }

    pub(super) fn count(counter: &AtomicU64) {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}
