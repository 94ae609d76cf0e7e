//! Owns how an endpoint writes its messages: responses to a request (RFC 3261 §8.2.6, RFC 3581) and requests.
//!
//! Values that come from a parsed message are copied as they stand; those of the application are checked by
//! [`is_fit_for_wire`] before they get here.

use crate::flow::Flow;
use crate::header_id::HeaderId;
use crate::message::Frame;
use crate::uri::Host;
use crate::via::Via;
use bytes::Bytes;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};

/// What we do, in Allow.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO";
/// What we take as a body, in Accept.
pub(crate) const ACCEPT: &str = "application/sdp";
const MAX_FORWARDS: &str = "70";

/// A message being written.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn request(method: &[u8], uri: &[u8]) -> Self {
        let mut octets = Vec::with_capacity(1024);
        for part in [method, b" ", uri, b" SIP/2.0\r\n"] {
            octets.extend_from_slice(part);
        }
        Self(octets)
    }

    pub(crate) fn response(status: u16, reason: &str) -> Self {
        let mut octets = Vec::with_capacity(1024);
        // Writing to a Vec cannot fail.
        let _ = write!(octets, "SIP/2.0 {status} {reason}\r\n");
        Self(octets)
    }

    pub(crate) fn header(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        self.parts(name, &[value.as_ref()])
    }

    pub(crate) fn parts(&mut self, name: &str, value: &[&[u8]]) -> &mut Self {
        self.0.extend_from_slice(name.as_bytes());
        self.0.extend_from_slice(b": ");
        for part in value {
            self.0.extend_from_slice(part);
        }
        self.0.extend_from_slice(b"\r\n");
        self
    }

    /// Copies every value of a header of `from`, one line each.
    pub(crate) fn copy(&mut self, from: &Frame<'_>, id: HeaderId, name: &str) -> &mut Self {
        for value in from.values(id) {
            self.header(name, value);
        }
        self
    }

    pub(crate) fn finish(mut self, body: Option<(&str, &[u8])>) -> Bytes {
        let (content_type, body) = body.unwrap_or_default();
        if !content_type.is_empty() {
            self.header("Content-Type", content_type);
        }
        let _ = write!(self.0, "Content-Length: {}\r\n\r\n", body.len());
        self.0.extend_from_slice(body);
        self.0.into()
    }
}

/// Whether the application's text may stand in a header: no control characters but tab, so that it cannot end the line.
pub(crate) fn is_fit_for_wire(text: &str) -> bool {
    text.bytes().all(|octet| octet == b'\t' || (octet >= b' ' && octet != 0x7f))
}

/// `host:port` as it stands in Via and Contact; IPv6 in brackets.
pub(crate) fn host_port(advertise: Option<IpAddr>, flow: &Flow) -> SocketAddr {
    SocketAddr::new(advertise.unwrap_or(flow.local.ip()), flow.local.port())
}

/// Our Contact value for a path.
pub(crate) fn contact(advertise: Option<IpAddr>, flow: &Flow) -> String {
    let transport = if flow.transport.is_reliable() { ";transport=tcp" } else { "" };
    format!("<sip:{}{transport}>", host_port(advertise, flow))
}

/// Starts a response with the headers every one has: Via, From, To, Call-ID, CSeq.
pub(crate) fn response_head(
    request: &Frame<'_>,
    source: SocketAddr,
    (status, reason): (u16, &str),
    to_tag: Option<&[u8]>,
) -> Writer {
    let mut writer = Writer::response(status, reason);
    for (index, value) in request.values(HeaderId::Via).enumerate() {
        match (index, Via::parse(value)) {
            (0, Ok(via)) => writer.header("Via", stamped_via(value, &via, source)),
            _ => writer.header("Via", value),
        };
    }
    writer.header("From", request.header(HeaderId::From).unwrap_or_default());
    let to = request.header(HeaderId::To).unwrap_or_default();
    let has_tag = request.to().is_ok_and(|to| to.tag().is_some());
    match to_tag.filter(|_| !has_tag) {
        Some(tag) => writer.parts("To", &[to, b";tag=", tag]),
        None => writer.header("To", to),
    };
    writer.header("Call-ID", request.header(HeaderId::CallId).unwrap_or_default());
    writer.header("CSeq", request.header(HeaderId::CSeq).unwrap_or_default());
    writer
}

/// The top Via with `received` (RFC 3261 §18.2.1) and a filled `rport` (RFC 3581 §4). What the sender claims about
/// either is replaced.
fn stamped_via(value: &[u8], via: &Via<'_>, source: SocketAddr) -> Vec<u8> {
    let wants_rport = via.params.has("rport");
    let head = value.iter().position(|&octet| octet == b';').map_or(value, |end| &value[..end]);
    let mut stamped = head.to_vec();
    for (name, parameter) in via.params.iter() {
        if name.eq_ignore_ascii_case(b"received") || name.eq_ignore_ascii_case(b"rport") {
            continue;
        }
        stamped.push(b';');
        stamped.extend_from_slice(name);
        if let Some(parameter) = parameter {
            stamped.push(b'=');
            stamped.extend_from_slice(parameter);
        }
    }
    if wants_rport || via.host != Host::Ip(source.ip()) {
        let _ = write!(stamped, ";received={}", source.ip());
    }
    if wants_rport {
        let _ = write!(stamped, ";rport={}", source.port());
    }
    stamped
}

/// Where the responses to a request go (RFC 3261 §18.2.2, RFC 3581 §4): back over the connection, or to the source
/// address with the source port (rport) or the port of sent-by. `maddr` is not followed: it would let a sender
/// point our responses at anyone.
pub(crate) fn response_flow(via: &Via<'_>, flow: Flow) -> Flow {
    if flow.transport.is_reliable() || via.params.has("rport") {
        return flow;
    }
    Flow { remote: SocketAddr::new(flow.remote.ip(), via.port.unwrap_or(5060)), ..flow }
}

/// Starts a request of ours with Via and Max-Forwards.
pub(crate) fn request_head(method: &[u8], uri: &[u8], flow: &Flow, advertise: Option<IpAddr>, branch: &[u8]) -> Writer {
    let mut writer = Writer::request(method, uri);
    let via = format!("SIP/2.0/{} {};rport;branch=", flow.transport.via_token(), host_port(advertise, flow));
    writer.parts("Via", &[via.as_bytes(), crate::via::BRANCH_COOKIE, branch]);
    writer.header("Max-Forwards", MAX_FORWARDS);
    writer
}

/// ACK of a refused INVITE (RFC 3261 §17.1.1.3) or CANCEL of a pending one (§9.1): everything but the method and
/// the To header is the INVITE's own, the top Via included.
pub(crate) fn hop_request(method: &str, invite: &Frame<'_>, uri: &[u8], to: &[u8], reason: Option<&str>) -> Bytes {
    let mut writer = Writer::request(method.as_bytes(), uri);
    if let Some(via) = invite.values(HeaderId::Via).next() {
        writer.header("Via", via);
    }
    writer.header("Max-Forwards", MAX_FORWARDS);
    writer.copy(invite, HeaderId::Route, "Route");
    writer.header("From", invite.header(HeaderId::From).unwrap_or_default());
    writer.header("To", to);
    writer.header("Call-ID", invite.header(HeaderId::CallId).unwrap_or_default());
    let number = invite.cseq().map(|cseq| cseq.number).unwrap_or_default();
    writer.header("CSeq", format!("{number} {method}"));
    if let Some(reason) = reason {
        writer.header("Reason", reason);
    }
    writer.finish(None)
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
        183 => "Session Progress",
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Request Entity Too Large",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        500 => "Server Internal Error",
        501 => "Not Implemented",
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
