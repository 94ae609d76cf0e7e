//! Who calls: what the gate and the configuration know of the sender of an INVITE.
//!
//! What of its claims is believed is decided in `route`; this file only carries it through the call.
use crate::route::CallerIdentity;
use std::net::{IpAddr, SocketAddr};
use trunkline_sip::{Flow, Frame, Origin};

/// RFC 3261 §8.1.1.6.
const MAX_FORWARDS: u8 = 70;

/// The name of no endpoint: what an order of ours dials, it dials as an endpoint without limits.
const OURSELVES: &str = "";

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

    /// We are the caller, by the rights of `endpoint`, or by our own: as any endpoint that may dial what it likes.
    pub fn with_rights_of(endpoint: Option<&str>) -> Caller {
        Caller {
            origin: Origin::User(endpoint.unwrap_or(OURSELVES).into()),
            ..Caller::ourselves()
        }
    }

    /// The same caller, sent elsewhere by an order of ours, which has our rights.
    pub(super) fn ordered(self) -> Caller {
        Caller {
            origin: Origin::User(OURSELVES.into()),
            ..self
        }
    }

    /// Whether we are the caller, and by our own rights.
    pub fn is_ourselves(&self) -> bool {
        match &self.origin {
            Origin::User(name) => &**name == OURSELVES,
            Origin::Stranger => self.source.is_none(),
            Origin::Peer(_) => false,
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

    /// The caller in a word: the number that is believed, else whatever the INVITE says.
    pub(super) fn shown(&self, invite: &Frame<'_>) -> String {
        if !self.identity.number.is_empty() {
            return self.identity.number.clone();
        }
        let from = invite.from().ok();
        let uri = from.map(|from| String::from_utf8_lossy(from.uri.as_bytes()).into_owned());
        uri.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::Transport;

    #[test]
    fn hops_go_down_and_the_caller_has_a_name_for_the_log() {
        let at = ([127, 0, 0, 1], 5060).into();
        let (local, remote, connection) = (at, at, 0);
        let flow = Flow {
            transport: Transport::Udp,
            local,
            remote,
            connection,
        };
        for (line, hops, shown) in [
            ("Max-Forwards: 5\r\nFrom: <sip:+491@x>;tag=1", 4, "+491"),
            ("Max-Forwards: x\r\nFrom: <sip:+491@x>;tag=1", 69, "+491"),
            ("Max-Forwards: 200\r\nFrom: <sip:x>;tag=1", 69, "sip:x"),
            (
                "Max-Forwards: 0\r\nFrom: <sip:anonymous@anonymous.invalid>;tag=1",
                0,
                "sip:anonymous@anonymous.invalid",
            ),
        ] {
            let text = format!("INVITE sip:100@x SIP/2.0\r\n{line}\r\n\r\n");
            let frame = Frame::parse(text.as_bytes()).unwrap();
            let identity = crate::route::identity::claimed(&frame);
            let caller = Caller::of(&frame, &flow, Origin::Stranger, identity);
            assert_eq!((caller.hops_left, &*caller.shown(&frame)), (hops, shown));
        }
    }
}
