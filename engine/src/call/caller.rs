//! Who calls: what an INVITE says of its sender, cut down to what may ever be of use to the legs that the call dials.
//!
//! What of it is believed or passed on is decided elsewhere: by the gate (the origin) and by the lists of trunks and endpoints.
//! Limits: 32 headers of up to 1,024 octets, 10 diversions.
use crate::route::{CallerIdentity, DiversionReason, Diverted};
use std::net::SocketAddr;
use trunkline_sip::{Flow, Frame, HeaderId, NameAddr, Origin};

const MAX_HEADERS: usize = 32;
const MAX_VALUE: usize = 1024;
const MAX_DIVERSIONS: usize = 10;
/// RFC 3261 §8.1.1.6.
const MAX_FORWARDS: u8 = 70;

/// See the module's text.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who sent the INVITE, as far as the gate knows.
    pub origin: Origin,
    /// Where it came from; `None`: the call is ours.
    pub source: Option<SocketAddr>,
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
            identity: CallerIdentity::default(),
            hops_left: MAX_FORWARDS,
        }
    }

    /// The sender of an INVITE. `number` is the user part of its From.
    pub(super) fn of(invite: &Frame<'_>, number: &str, flow: &Flow, origin: Origin) -> Caller {
        let name = invite.from().ok().and_then(|from| from.display_text());
        let max_forwards = invite.max_forwards().ok().flatten();
        Caller {
            origin,
            source: Some(flow.remote),
            identity: CallerIdentity {
                number: number.to_owned(),
                name: name.filter(|name| !name.is_empty() && name.len() <= MAX_VALUE),
                private: is_private(invite, number),
                diverted_by: diversions(invite),
                headers: headers(invite),
            },
            hops_left: max_forwards
                .unwrap_or(MAX_FORWARDS)
                .min(MAX_FORWARDS)
                .saturating_sub(1),
        }
    }
}

/// RFC 3323: what the caller asks for, and how the anonymous sign.
fn is_private(invite: &Frame<'_>, number: &str) -> bool {
    let asked = invite.values(HeaderId::Privacy).any(|value| {
        value.split(|&b| b == b';' || b == b',').any(|kind| {
            [&b"id"[..], b"user", b"header"]
                .iter()
                .any(|asks| kind.trim_ascii().eq_ignore_ascii_case(asks))
        })
    });
    asked || number.eq_ignore_ascii_case("anonymous")
}

fn headers(invite: &Frame<'_>) -> Vec<(String, String)> {
    let passable = invite.headers().filter(|header| {
        let known = matches!(
            HeaderId::from_name(header.name),
            HeaderId::UserToUser
                | HeaderId::Diversion
                | HeaderId::PAssertedIdentity
                | HeaderId::Privacy
        );
        known || header.name.len() > 2 && header.name[..2].eq_ignore_ascii_case(b"X-")
    });
    let texts = passable.filter_map(|header| {
        let value = std::str::from_utf8(header.value).ok()?;
        let name = std::str::from_utf8(header.name).ok()?;
        let fit = value.len() <= MAX_VALUE && !value.chars().any(char::is_control);
        fit.then(|| (name.to_owned(), value.to_owned()))
    });
    texts.take(MAX_HEADERS).collect()
}

fn diversions(invite: &Frame<'_>) -> Vec<Diverted> {
    let values = invite.values(HeaderId::Diversion);
    let read = values.filter_map(|value| {
        let address = NameAddr::parse(value).ok()?;
        let number = trunkline_sip::Uri::parse(address.uri.as_bytes())
            .ok()?
            .user_decoded()?
            .into_owned();
        Some(Diverted {
            number: String::from_utf8(number)
                .ok()
                .filter(|number| number.len() <= MAX_VALUE)?,
            reason: reason(address.params.value("reason").unwrap_or_default()),
        })
    });
    read.take(MAX_DIVERSIONS).collect()
}

fn reason(value: &[u8]) -> DiversionReason {
    use DiversionReason::{Deflection, NoAnswer, Unavailable, Unconditional, UserBusy};
    [UserBusy, NoAnswer, Unconditional, Unavailable, Deflection]
        .into_iter()
        .find(|reason| value.eq_ignore_ascii_case(reason.as_str().as_bytes()))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_sip::Transport;

    #[test]
    fn an_invite_is_cut_down_to_what_may_be_passed_on() {
        let text = "INVITE sip:100@x SIP/2.0\r\nFrom: \"Ann\" <sip:+491@x>;tag=1\r\nMax-Forwards: 5\r\nVia: SIP/2.0/UDP secret\r\n\
            X-Ticket: 7\r\nUser-to-User: 04c8;encoding=hex\r\nContact: <sip:secret>\r\nPrivacy: session; ID\r\n\
            Diversion: <sip:+492@x>;reason=user-busy, <sip:+493@x>;reason=odd\r\nCall-ID: secret\r\n\r\n";
        let frame = Frame::parse(text.as_bytes()).unwrap();
        let at = ([127, 0, 0, 1], 5060).into();
        let (local, remote, connection) = (at, at, 0);
        let flow = Flow {
            transport: Transport::Udp,
            local,
            remote,
            connection,
        };
        let caller = Caller::of(&frame, "+491", &flow, Origin::Stranger);
        let identity = &caller.identity;
        assert_eq!(caller.hops_left, 4);
        assert_eq!(identity.name.as_deref(), Some("Ann"));
        assert!(identity.private);
        let names: Vec<_> = identity
            .headers
            .iter()
            .map(|(name, _)| name.as_str())
            .collect();
        assert_eq!(names, ["X-Ticket", "User-to-User", "Privacy", "Diversion"]);
        let diverted: Vec<_> = identity
            .diverted_by
            .iter()
            .map(|by| (by.number.as_str(), by.reason))
            .collect();
        assert_eq!(
            diverted,
            [
                ("+492", DiversionReason::UserBusy),
                ("+493", DiversionReason::Unknown)
            ]
        );
    }

    #[test]
    fn what_is_missing_or_broken_says_nothing() {
        let text = "INVITE sip:100@x SIP/2.0\r\nMax-Forwards: x\r\nDiversion: <<\r\n\r\n";
        let frame = Frame::parse(text.as_bytes()).unwrap();
        assert!(diversions(&frame).is_empty() && !is_private(&frame, "1"));
        assert!(is_private(&frame, "Anonymous"));
    }
}
