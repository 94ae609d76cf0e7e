//! Owns the parts of messages an endpoint adds by itself: Via, Contact, Reason, phrases, and where responses go.
//!
//! Values of the application are checked by [`is_fit_for_wire`] before they get here; [`MessageBuilder`] stands
//! behind it.

use crate::build::MessageBuilder;
use crate::endpoint::Advertise;
use crate::flow::{Flow, Transport};
use crate::header::HeaderId;
use crate::identity::Token;
use crate::lex::is_lws;
use crate::message::Frame;
use crate::via::Via;
use bytes::Bytes;
use std::net::SocketAddr;

/// What our branches start with.
pub(crate) const BRANCH_PREFIX: &str = "z9hG4bK";
/// What we do, in Allow (RFC 3261 §20.5).
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, REGISTER";
/// The extensions a request may require of us; the last one only where reliable provisional responses are on.
pub(crate) const EXTENSIONS: [&str; 4] = ["replaces", "norefersub", "timer", "100rel"];
/// Supported within a dialog, where provisional responses of ours and to us are not reliable.
pub(crate) const SUPPORTED: &str = "replaces, norefersub, timer";
/// Supported in an INVITE that opens a dialog, and in its responses.
pub(crate) const SUPPORTED_RELIABLE: &str = "replaces, norefersub, timer, 100rel";
/// What we take as a body, in Accept.
pub(crate) const ACCEPT: &str = "application/sdp";
/// What the application is expected to take as the body of an INFO: key presses.
pub(crate) const ACCEPT_INFO: &str = "application/dtmf-relay, application/dtmf";
const MAX_FORWARDS: &str = "70";

/// A received value on one line, so that it can stand in a message of ours: folds become single spaces.
pub(crate) fn unfolded(value: &[u8]) -> Box<[u8]> {
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return value.into();
    }
    let mut line = Vec::with_capacity(value.len());
    for &octet in value {
        if !is_lws(octet) {
            line.push(octet);
        } else if line.last() != Some(&b' ') {
            line.push(b' ');
        }
    }
    line.into()
}

/// Whether the application's text may stand in a header: no control characters but tab, so that it cannot end the line.
pub(crate) fn is_fit_for_wire(text: &str) -> bool {
    text.bytes()
        .all(|octet| octet == b'\t' || (octet >= b' ' && octet != 0x7f))
}

/// Our Contact value for a path, with the user part the application wants there.
pub(crate) fn contact(advertise: &Advertise, flow: &Flow, user: Option<&str>) -> String {
    let transport = match flow.transport {
        Transport::Udp => String::new(),
        // RFC 7118 §5.2.2: the parameter is `ws` under TLS, too.
        Transport::Wss => ";transport=ws".to_owned(),
        other => format!(";transport={}", other.uri_param()),
    };
    let (user, at) = user.map_or(("", ""), |user| (user, "@"));
    format!("<sip:{user}{at}{}{transport}>", advertise.sent_by(flow))
}

/// Where the responses to a request go (RFC 3261 §18.2.2, RFC 3581 §4): back over the connection, or to the source
/// address with the source port (rport) or the port of sent-by. `maddr` is not followed: it would let a sender
/// point our responses at anyone.
pub(crate) fn response_flow(via: &Via<'_>, flow: Flow) -> Flow {
    if flow.transport.is_reliable() || via.params.has("rport") {
        return flow;
    }
    Flow {
        remote: SocketAddr::new(flow.remote.ip(), via.port.unwrap_or(5060)),
        ..flow
    }
}

/// Headers the endpoint writes into every message itself, or copies: never the application's.
pub(crate) fn is_of_every_message(id: HeaderId) -> bool {
    matches!(
        id,
        HeaderId::Via
            | HeaderId::From
            | HeaderId::To
            | HeaderId::CallId
            | HeaderId::Cseq
            | HeaderId::ContentLength
            | HeaderId::ContentType
            | HeaderId::RecordRoute
    )
}

/// Starts a request of ours with Via and Max-Forwards.
pub(crate) fn request_head(
    method: &str,
    uri: &str,
    flow: &Flow,
    advertise: &Advertise,
    branch: &Token,
    max_forwards: Option<u8>,
) -> MessageBuilder {
    let hops = max_forwards.map_or(MAX_FORWARDS.to_owned(), |hops| hops.to_string());
    MessageBuilder::request(method, uri)
        .header("Via", via(flow, advertise, branch))
        .header("Max-Forwards", hops)
}

/// Our Via value for a path.
pub(crate) fn via(flow: &Flow, advertise: &Advertise, branch: &Token) -> String {
    let (token, sent_by) = (flow.transport.via_token(), advertise.sent_by(flow));
    format!("SIP/2.0/{token} {sent_by};rport;branch={BRANCH_PREFIX}{branch}")
}

/// ACK of a refused INVITE (RFC 3261 §17.1.1.3) or CANCEL of a pending one (§9.1): everything but the method and
/// the To header is the INVITE's own, the top Via included. `invite` is a message of ours, so nothing is folded.
pub(crate) fn hop_request(
    method: &str,
    invite: &Frame<'_>,
    to: &[u8],
    reason: Option<&str>,
) -> Bytes {
    let uri = String::from_utf8_lossy(invite.request_uri().unwrap_or_default());
    let mut builder = MessageBuilder::request(method, &uri);
    if let Some(via) = invite.header(HeaderId::Via) {
        builder = builder.header("Via", via);
    }
    builder = builder.header("Max-Forwards", MAX_FORWARDS);
    for route in invite.values(HeaderId::Route) {
        builder = builder.header("Route", route);
    }
    let number = invite.cseq().map(|cseq| cseq.number).unwrap_or_default();
    builder = builder
        .header("From", invite.header(HeaderId::From).unwrap_or_default())
        .header("To", unfolded(to))
        .header(
            "Call-ID",
            invite.header(HeaderId::CallId).unwrap_or_default(),
        )
        .header("CSeq", format!("{number} {method}"));
    if let Some(reason) = reason {
        builder = builder.header("Reason", reason);
    }
    builder.finish()
}

/// The Reason header of a response we made: its own status and the rule behind it (RFC 3326; allowed in any response
/// by RFC 6432).
pub(crate) fn reason_value(status: u16, text: &str) -> String {
    format!("SIP;cause={status};text=\"{}\"", quoted(text))
}

/// Text inside a quoted string.
pub(crate) fn quoted(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The reason phrase of a status (RFC 3261 §21 and its extensions).
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Trying",
        180 => "Ringing",
        202 => "Accepted",
        183 => "Session Progress",
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",

        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        429 => "Provide Referrer Identity",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        504 => "Server Time-out",
        503 => "Service Unavailable",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        603 => "Decline",
        _ => match status / 100 {
            1 => "Session Progress",
            2 => "OK",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_contact_says_of_the_transport() {
        for (transport, expected) in [
            (Transport::Udp, "<sip:a@192.0.2.1:5060>"),
            (Transport::Tls, "<sip:a@192.0.2.1:5060;transport=tls>"),
            (Transport::Ws, "<sip:a@192.0.2.1:5060;transport=ws>"),
            (Transport::Wss, "<sip:a@192.0.2.1:5060;transport=ws>"),
        ] {
            let local = SocketAddr::from(([192, 0, 2, 1], 5060));
            let flow = Flow {
                transport,
                local,
                remote: local,
                connection: 0,
            };
            assert_eq!(
                contact(&Advertise::default(), &flow, Some("a")),
                expected,
                "{transport:?}"
            );
        }
    }
}
