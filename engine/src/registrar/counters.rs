//! What the registrar counts, for the metrics page.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Counters of a registrar.
#[derive(Debug, Default)]
pub struct RegistrarCounters {
    /// REGISTERs served with 200.
    pub served: AtomicU64,
    /// Bindings that ended because their connection did.
    pub lost: AtomicU64,
    /// Bindings that ended by time.
    pub expired: AtomicU64,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl RegistrarCounters {
    /// Requests refused, by rule.
    pub fn refused(&self) -> Vec<(&'static str, u64)> {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused
            .iter()
            .map(|(rule, count)| (*rule, *count))
            .collect()
    }

    /// Rules are names in this program, so there are few.
    pub(super) fn count_refused(&self, rule: &'static str) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        *refused.entry(rule).or_default() += 1;
    }

    pub(super) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}
