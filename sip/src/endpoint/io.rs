//! Owns what every part of an endpoint shares: the outgoing messages, the events, the deadlines, the identities.

use super::event::{Event, LegId, Transmit};
use crate::flow::Flow;
use crate::identity::Identity;
use crate::timer::{TimerQueue, Timers};
use bytes::Bytes;
use std::collections::VecDeque;

/// Names one transaction. Never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct TxId(pub(super) u64);

/// The two timers of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    Retransmit = 0,
    Expire = 1,
}

/// The timers of an INVITE usage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LegTimer {
    /// The 2xx goes out again (RFC 3261 §13.3.1.4).
    Retransmit,
    /// No ACK in 64·T1.
    AckLimit,
    /// The INVITE has no final response in time.
    AnswerLimit,
    /// The cancelled INVITE has no final response in 64·T1 (§9.1).
    CancelLimit,
    /// The application left the peer's re-INVITE unanswered.
    ReinviteLimit,
    /// The re-INVITE that met another one goes out again (§14.1).
    Glare,
    /// A reliable provisional response goes out again (RFC 3262 §3).
    Provisional,
    /// It has no PRACK in 64·T1.
    PrackLimit,
    /// The session is refreshed (RFC 4028 §10).
    Refresh,
    /// The session expires.
    SessionLimit,
}

impl LegTimer {
    pub(super) const COUNT: usize = 10;
}

/// Who a deadline is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wake {
    Server(TxId, Slot),
    Client(TxId, Slot),
    Leg(LegId, LegTimer),
    Subscription(TxId),
}

/// The shared part.
pub(super) struct Io {
    pub(super) config: Timers,
    pub(super) timers: TimerQueue<Wake>,
    pub(super) transmits: VecDeque<Transmit>,
    pub(super) events: VecDeque<Event>,
    pub(super) identity: Identity,
    last_id: u64,
}

impl Io {
    pub(super) fn new(config: Timers, seed: [u8; 32]) -> Self {
        Self {
            config,
            timers: TimerQueue::new(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            identity: Identity::new(seed),
            last_id: 0,
        }
    }

    pub(super) fn next_id(&mut self) -> TxId {
        self.last_id += 1;
        TxId(self.last_id)
    }

    pub(super) fn send(&mut self, flow: Flow, bytes: Bytes) {
        self.transmits.push_back(Transmit { flow, bytes });
    }

    pub(super) fn tell(&mut self, event: Event) {
        self.events.push_back(event);
    }
}
