//! Owns transaction matching: RFC 3261 §17.2.3 with its RFC 2543 fallback, and the identity of a request that
//! came over two paths (§8.2.2.2).
//!
//! Keys are the octets themselves, joined by NUL, which no header value may hold: nothing can be made to collide.

use crate::header::HeaderId;
use crate::message::{Frame, StartLine};
use crate::method::Method;
use crate::uri::Host;
use crate::via::Via;
use std::net::IpAddr;

/// Octets that identify a transaction, a dialog or a request.
pub(crate) type Key = Box<[u8]>;

/// Joins parts to a key.
pub(crate) fn join(parts: &[&[u8]]) -> Key {
    let length = parts.iter().map(|part| part.len() + 1).sum();
    let mut key = Vec::with_capacity(length);
    for part in parts {
        key.extend_from_slice(part);
        key.push(0);
    }
    key.into_boxed_slice()
}

/// The method under which a transaction is filed: an ACK belongs to its INVITE.
fn filed_under<'a>(method: Method<'a>) -> &'a [u8] {
    match method {
        Method::Ack => b"INVITE",
        other => other.as_bytes(),
    }
}

/// The key of the server transaction a request belongs to; for CANCEL, its own one.
pub(crate) fn server(frame: &Frame<'_>, via: &Via<'_>, method: Method<'_>) -> Key {
    if via.has_cookie() {
        modern(via, filed_under(method))
    } else {
        rfc2543(frame, via, filed_under(method))
    }
}

/// The key of the INVITE transaction a CANCEL is for (RFC 3261 §9.2).
pub(crate) fn cancelled(frame: &Frame<'_>, via: &Via<'_>) -> Key {
    server(frame, via, Method::Invite)
}

/// Branch, sent-by and method. Branches and host names are tokens, compared without regard to case.
fn modern(via: &Via<'_>, method: &[u8]) -> Key {
    let branch = via.branch().unwrap_or_default().to_ascii_lowercase();
    let (host, port) = sent_by(via);
    join(&[&branch, &host, &port, method])
}

fn sent_by(via: &Via<'_>) -> (Vec<u8>, [u8; 2]) {
    let host = match via.host {
        Host::Name(name) => name.to_ascii_lowercase(),
        Host::Ip(IpAddr::V4(address)) => address.octets().to_vec(),
        Host::Ip(IpAddr::V6(address)) => address.octets().to_vec(),
        Host::Absent => Vec::new(),
    };
    (host, via.port.unwrap_or(5060).to_be_bytes())
}

/// Without the cookie the whole request must match: Request-URI, From tag, Call-ID, CSeq number and top Via. The To
/// tag is left out, since an INVITE has none and its ACK has ours.
fn rfc2543(frame: &Frame<'_>, via: &Via<'_>, method: &[u8]) -> Key {
    let uri = match frame.start() {
        StartLine::Request { uri, .. } => uri,
        StartLine::Response { .. } => b"",
    };
    let (host, port) = sent_by(via);
    let cseq = frame
        .cseq()
        .map(|cseq| cseq.number)
        .unwrap_or_default()
        .to_be_bytes();
    let call_id = frame.header(HeaderId::CallId).unwrap_or_default();
    join(&[
        b"rfc2543",
        uri,
        from_tag(frame),
        call_id,
        &cseq,
        &host,
        &port,
        via.params.as_bytes(),
        method,
    ])
}

/// The identity of a request outside any dialog: the same one over another path is merged (RFC 3261 §8.2.2.2).
pub(crate) fn merged(frame: &Frame<'_>, method: Method<'_>) -> Key {
    let cseq = frame
        .cseq()
        .map(|cseq| cseq.number)
        .unwrap_or_default()
        .to_be_bytes();
    let call_id = frame.header(HeaderId::CallId).unwrap_or_default();
    join(&[from_tag(frame), call_id, &cseq, method.as_bytes()])
}

/// The tag of the From header, empty for RFC 2543 peers.
pub(crate) fn from_tag<'a>(frame: &Frame<'a>) -> &'a [u8] {
    frame
        .from()
        .ok()
        .and_then(|from| from.tag())
        .unwrap_or_default()
}

/// The tag of the To header.
pub(crate) fn to_tag<'a>(frame: &Frame<'a>) -> Option<&'a [u8]> {
    frame.to().ok().and_then(|to| to.tag())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        let frame = Frame::parse(text.as_bytes()).unwrap();
        let StartLine::Request { method, .. } = frame.start() else {
            panic!("a request")
        };
        server(&frame, &frame.top_via().unwrap(), method)
    }

    fn request(method: &str, via: &str, to: &str, cseq: u32) -> String {
        format!(
            "{method} sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP {via}\r\nFrom: <sip:a@h>;tag=f\r\nTo: <sip:b@h>{to}\r\n\
             Call-ID: c\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
    }

    #[test]
    fn rules_of_matching() {
        let invite = key(&request("INVITE", "h1:5060;branch=z9hG4bKx", "", 1));
        let table = [
            (
                "retransmission",
                request("INVITE", "h1:5060;branch=z9hG4bKx", "", 1),
                true,
            ),
            (
                "its ACK",
                request("ACK", "h1;branch=z9hG4bKx;rport", ";tag=t", 1),
                true,
            ),
            (
                "case of a token",
                request("INVITE", "H1;branch=Z9HG4BKX", "", 1),
                true,
            ),
            (
                "other branch",
                request("INVITE", "h1;branch=z9hG4bKy", "", 1),
                false,
            ),
            (
                "other sent-by host",
                request("INVITE", "h2;branch=z9hG4bKx", "", 1),
                false,
            ),
            (
                "other sent-by port",
                request("INVITE", "h1:5070;branch=z9hG4bKx", "", 1),
                false,
            ),
            (
                "CANCEL has its own",
                request("CANCEL", "h1;branch=z9hG4bKx", "", 1),
                false,
            ),
        ];
        for (name, text, same) in table {
            assert_eq!(key(&text) == invite, same, "{name}");
        }
    }

    #[test]
    fn rules_of_matching_without_the_cookie() {
        let invite = key(&request("INVITE", "h1;branch=1", "", 1));
        assert_eq!(key(&request("INVITE", "h1;branch=1", "", 1)), invite);
        assert_eq!(key(&request("ACK", "h1;branch=1", ";tag=t", 1)), invite);
        assert_ne!(key(&request("INVITE", "h1;branch=1", "", 2)), invite);
        assert_ne!(key(&request("INVITE", "h1;branch=2", "", 1)), invite);
    }

    #[test]
    fn a_cancel_finds_its_invite() {
        let text = request("CANCEL", "h1;branch=z9hG4bKx", "", 1);
        let frame = Frame::parse(text.as_bytes()).unwrap();
        let invite = key(&request("INVITE", "h1;branch=z9hG4bKx", "", 1));
        assert_eq!(cancelled(&frame, &frame.top_via().unwrap()), invite);
    }
}
