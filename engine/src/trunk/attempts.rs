//! One call through a trunk: its place, and the hops it tries one after the other.
//!
//! The call layer sends; this file says what is next. It goes on to the next hop on silence, 503 and transport errors only: any
//! other response means that somebody there knows of the call, and a second one would ring twice.
use super::counters::TrunkCounters;
use super::state::TrunkState;
use super::targets::{Heard, Probe};
use super::{Hop, Refused};
use crate::route::OutboundLeg;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};
use trunkline_sip::Message;

/// What became of one attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Answered, ringing, or in any other way in the far end's hands.
    Answered,
    /// Refused with this status and Retry-After.
    Status(u16, Option<Duration>),
    /// Not a single response within [`TrunkCall::silence_limit`], or no final one in the time of the transaction.
    Timeout,
    /// The connection could not be made or broke.
    Transport,
}

impl Outcome {
    /// What [`trunkline_sip::Event::Rejected`] says: without a response, 408 is a timeout and any other status a transport error.
    pub fn rejected(status: u16, response: Option<&Message>) -> Self {
        match (response, status) {
            (None, 408) => Outcome::Timeout,
            (None, 503) => Outcome::Transport,
            (None, status) => Outcome::Status(status, None),
            (Some(response), status) => {
                let retry_after = response.frame().retry_after();
                let time = retry_after.map(|after| Duration::from_secs(after.seconds.into()));
                Outcome::Status(status, time)
            }
        }
    }

    pub(super) fn heard(self) -> Heard {
        match self {
            Outcome::Status(503, retry_after) => Heard::Unavailable(retry_after),
            Outcome::Answered | Outcome::Status(..) => Heard::Response,
            Outcome::Timeout => Heard::Silence,
            Outcome::Transport => Heard::TransportError,
        }
    }
}

/// One call through a trunk. Each of its legs holds the call's place in the trunk's limits ([`OutboundLeg::place`]).
#[derive(Debug)]
pub struct TrunkCall {
    trunk: Arc<TrunkState>,
    left: VecDeque<(Hop, OutboundLeg)>,
    current: Option<Hop>,
}

impl TrunkCall {
    pub(super) fn new(trunk: Arc<TrunkState>, legs: VecDeque<(Hop, OutboundLeg)>) -> Self {
        TrunkCall {
            trunk,
            left: legs,
            current: None,
        }
    }

    /// The next attempt, to be told of by [`TrunkCall::learn`]; `None`: there is no more. Hops that went down meanwhile are
    /// left out.
    pub fn next_leg(&mut self) -> Option<OutboundLeg> {
        while let Some((hop, leg)) = self.left.pop_front() {
            if self.trunk.live().targets.usable(Instant::now(), &hop) {
                self.current = Some(hop);
                return Some(leg);
            }
        }
        None
    }

    /// Learns what became of the attempt that [`TrunkCall::next_leg`] gave last. Whether the call is to try the next one.
    /// More than one report of one attempt is well: ringing, then busy.
    pub fn learn(&mut self, outcome: Outcome) -> bool {
        let Some(hop) = self.current.clone() else {
            return false;
        };
        let heard = outcome.heard();
        self.trunk.heard(Instant::now(), &hop, Probe::Call, heard);
        if heard == Heard::Response {
            self.left.clear();
            return false;
        }
        self.current = None;
        let next = !self.left.is_empty();
        if next {
            TrunkCounters::count(&self.trunk.counters.failovers);
            tracing::info!(trunk = %self.trunk.name(), failed = %hop.address, why = %heard, "call goes to the next target");
        }
        next
    }

    /// How long an attempt may go without a single response before it is to be given up and reported as [`Outcome::Timeout`].
    pub fn silence_limit(&self) -> Duration {
        self.trunk.config.failover_timeout
    }

    /// What the caller is told when no attempt was left.
    pub fn exhausted(&self) -> Refused {
        let text = format!("trunk {}: no target took the call", self.trunk.name());
        let retry_after = self.trunk.live().targets.retry_after(Instant::now());
        Refused::new(503, "trunk-targets-exhausted", text).after(retry_after)
    }

    /// The trunk's name.
    pub fn trunk(&self) -> &str {
        self.trunk.name()
    }
}
