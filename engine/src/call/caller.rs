//! Who calls: what the gate and the configuration know of the sender of an INVITE.
//!
//! What of its claims is believed is decided in `route`; this file only carries it through the call.
use crate::route::CallerIdentity;
use std::net::{IpAddr, SocketAddr};
use trunkline_sip::{Flow, Frame, Origin};

/// RFC 3261 §8.1.1.6.
const MAX_FORWARDS: u8 = 70;

/// The sender of an INVITE.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who sent it, as far as the gate knows.
    pub origin: Origin,
    /// Where it came from; `None`: the call is ours.
    pub source: Option<SocketAddr>,
    /// Our address that it came to.
    pub local: Option<IpAddr>,
    /// What the far ends of other legs may be told.
    pub identity: CallerIdentity,
    /// Hops the call may still take. 0: it may not be passed on.
    pub hops_left: u8,
}

impl Caller {
    /// We are the caller.
    pub fn ourselves() -> Caller {
        Caller {
            origin: Origin::Stranger,
            source: None,
            local: None,
            identity: CallerIdentity::default(),
            hops_left: MAX_FORWARDS,
        }
    }

    /// Whether the call is one that came in from nobody known.
    pub fn is_stranger(&self) -> bool {
        self.origin == Origin::Stranger && self.source.is_some()
    }

    /// The sender of an INVITE.
    pub(super) fn of(
        invite: &Frame<'_>,
        flow: &Flow,
        origin: Origin,
        identity: CallerIdentity,
    ) -> Caller {
        let max_forwards = invite.max_forwards().ok().flatten();
        Caller {
            origin,
            source: Some(flow.remote),
            local: Some(flow.local.ip()),
            identity,
            hops_left: max_forwards
                .unwrap_or(MAX_FORWARDS)
                .min(MAX_FORWARDS)
                .saturating_sub(1),
        }
    }
}
