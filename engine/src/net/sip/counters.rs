//! Counters of the SIP side. Rules are fixed names, so that there are only so many of them.
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Mutex, PoisonError};

/// Counters of the SIP side, read by the metrics page.
#[derive(Debug, Default)]
pub struct PumpCounters {
    /// Messages received.
    pub received: AtomicU64,
    /// Messages sent.
    pub sent: AtomicU64,
    /// Messages that could not be sent (socket buffer full, connection gone).
    pub send_failed: AtomicU64,
    /// Requests the endpoint refused by itself, by rule.
    pub(super) refused: Mutex<BTreeMap<&'static str, u64>>,
    /// Messages dropped without an answer, by rule.
    pub(super) dropped: Mutex<BTreeMap<&'static str, u64>>,
    /// Subscriptions that are over, by why.
    pub(super) subscriptions_ended: Mutex<BTreeMap<&'static str, u64>>,
    /// Subscriptions alive now.
    pub subscriptions: AtomicUsize,
    /// Legs, server transactions, client transactions alive now.
    pub legs: AtomicUsize,
    /// Connections open and being opened now: TCP, TLS, WebSocket.
    pub connections: AtomicUsize,
    /// Server transactions alive now.
    pub server_transactions: AtomicUsize,
    /// Client transactions alive now.
    pub client_transactions: AtomicUsize,
}

impl PumpCounters {
    /// Requests the endpoint refused by itself, by rule.
    pub fn refused_by(&self) -> Vec<(&'static str, u64)> {
        snapshot(&self.refused)
    }

    /// Messages dropped without an answer, by rule.
    pub fn dropped_by(&self) -> Vec<(&'static str, u64)> {
        snapshot(&self.dropped)
    }

    /// Subscriptions that are over, by why.
    pub fn subscriptions_ended_by(&self) -> Vec<(&'static str, u64)> {
        snapshot(&self.subscriptions_ended)
    }
}

pub(super) fn count(counters: &Mutex<BTreeMap<&'static str, u64>>, rule: &'static str) {
    *counters
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(rule)
        .or_default() += 1;
}

fn snapshot(counters: &Mutex<BTreeMap<&'static str, u64>>) -> Vec<(&'static str, u64)> {
    counters
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .map(|(rule, count)| (*rule, *count))
        .collect()
}
