//! Owns the question who may ask for anything: the [`Gate`] is asked before a request outside a dialog makes any state.
//!
//! The endpoint knows no passwords and no addresses; whoever makes it hands in a gate that does. Without one everybody
//! is admitted as a stranger. Refusals keep no state (RFC 3261 §8.2.7), so a challenge costs nothing to remember.

use super::Endpoint;
use super::screening::Refusal;
use crate::flow::Flow;
use crate::message::Frame;
use std::sync::Arc;
use std::time::Instant;

/// Who sent a request, as far as the gate knows.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Nobody in particular.
    Stranger,
    /// A trunk of this name, known by its address or by digest.
    Peer(Arc<str>),
    /// A user who authenticated.
    User(Arc<str>),
}

impl Origin {
    /// The name of the trunk or user; empty: nobody in particular.
    pub fn name(&self) -> &str {
        match self {
            Origin::Stranger => "",
            Origin::Peer(name) | Origin::User(name) => name,
        }
    }
}

/// What becomes of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It is served as coming from this origin.
    Admit(Origin),
    /// It is answered without state.
    Refuse {
        /// 300 to 699; anything else becomes 500.
        status: u16,
        /// The rule, for the log, the counter and the Reason header.
        rule: &'static str,
        /// Further headers: WWW-Authenticate, Retry-After.
        headers: Vec<(&'static str, String)>,
    },
    /// It gets no answer at all.
    Drop {
        /// The rule, for the log and the counter.
        rule: &'static str,
    },
}

/// Decides who is served.
///
/// Asked for every request without To tag but ACK and CANCEL, for REFER within a dialog, and for SUBSCRIBE within one of its own. Not asked for
/// retransmissions of requests that were admitted and are still remembered.
pub trait Gate: Send {
    /// Judges one request. It must be cheap and bounded: strangers decide how often it is called.
    fn admit(&mut self, now: Instant, flow: &Flow, request: &Frame<'_>) -> Admission;
}

/// Admits everybody as a stranger: for tests and for endpoints that only call out.
#[derive(Clone, Copy, Debug, Default)]
pub struct AdmitAll;

impl Gate for AdmitAll {
    fn admit(&mut self, _: Instant, _: &Flow, _: &Frame<'_>) -> Admission {
        Admission::Admit(Origin::Stranger)
    }
}

impl Endpoint {
    /// Asks the gate. `None` when the request is refused or dropped, which then is done already.
    pub(super) fn pass_gate(
        &mut self,
        now: Instant,
        flow: Flow,
        frame: &Frame<'_>,
    ) -> Option<Origin> {
        match self.gate.admit(now, &flow, frame) {
            Admission::Admit(origin) => Some(origin),
            Admission::Refuse {
                status,
                rule,
                headers,
            } => {
                let status = if (300..700).contains(&status) {
                    status
                } else {
                    500
                };
                let refusal = Refusal {
                    status,
                    rule,
                    headers,
                };
                self.refuse(flow, frame, &refusal);
                None
            }
            Admission::Drop { rule } => {
                self.dropped(flow, rule);
                None
            }
        }
    }
}
