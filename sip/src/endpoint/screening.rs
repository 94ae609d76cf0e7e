//! Owns what is checked before a request touches any state (RFC 3261 §8.2), and the stateless refusals (§8.2.7).
//!
//! A refusal without state always looks the same for the same request, so a retransmission gets it again and
//! nothing has to be remembered.

use super::Endpoint;
use super::event::Event;
use crate::build::MessageBuilder;
use crate::flow::{Flow, Transport};
use crate::header::HeaderId;
use crate::message::Frame;
use crate::method::Method;
use crate::transaction::key;
use crate::uri::{Scheme, Uri};
use crate::wire::{ACCEPT, ALLOW, phrase, reason_value, response_flow};

/// Most characters of a method in an event.
const MAX_METHOD_TOLD: usize = 32;

/// Why a request is not served.
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) rule: &'static str,
    pub(super) headers: Vec<(&'static str, String)>,
}

impl Refusal {
    pub(super) fn new(status: u16, rule: &'static str) -> Self {
        Self {
            status,
            rule,
            headers: Vec::new(),
        }
    }

    pub(super) fn with(
        status: u16,
        rule: &'static str,
        name: &'static str,
        value: impl Into<String>,
    ) -> Self {
        Self {
            status,
            rule,
            headers: vec![(name, value.into())],
        }
    }
}

/// The 422 to a session interval below ours (RFC 4028 §6).
pub(super) fn too_small(least: u32) -> Refusal {
    let rule = "session interval is too small";
    Refusal::with(422, rule, "Min-SE", least.to_string())
}

/// The checks that need only the request, in the order of RFC 3261 §8.2.
pub(super) fn screen(
    transport: Transport,
    frame: &Frame<'_>,
    method: Method<'_>,
    extensions: &[&str],
) -> Result<(), Refusal> {
    // §18.3: on a stream there is no other way to tell where a message ends. A WebSocket keeps them apart (RFC 7118 §5).
    let stream = matches!(transport, Transport::Tcp | Transport::Tls);
    if stream && frame.header(HeaderId::ContentLength).is_none() {
        return Err(Refusal::new(400, "Content-Length is missing on a stream"));
    }
    screen_method(frame, method)?;
    if let Some(uri) = frame.request_uri()
        && let Ok(Scheme::Other(_)) = Uri::parse(uri).map(|uri| uri.scheme)
    {
        return Err(Refusal::new(
            416,
            "Request-URI scheme is not sip, sips or tel",
        ));
    }
    // A call we would pass on has no hops left. Requests for ourselves need none (§11.2, §8.2).
    let initial = method == Method::Invite && key::to_tag(frame).is_none();
    if initial && frame.max_forwards() == Ok(Some(0)) {
        return Err(Refusal::new(483, "Max-Forwards is 0"));
    }
    screen_require(frame, method, extensions)?;
    if matches!(method, Method::Invite | Method::Update | Method::Prack) {
        screen_body(frame)
    } else {
        Ok(())
    }
}

/// §8.2.1: 501 for methods nobody here knows, 405 for those we know and do not serve.
fn screen_method(frame: &Frame<'_>, method: Method<'_>) -> Result<(), Refusal> {
    match method {
        Method::Invite
        | Method::Ack
        | Method::Bye
        | Method::Cancel
        | Method::Options
        | Method::Info
        | Method::Prack
        | Method::Update
        | Method::Refer
        | Method::Notify
        | Method::Subscribe
        | Method::Message => Ok(()),
        Method::Register | Method::Publish if key::to_tag(frame).is_none() => Ok(()),
        Method::Other(_) => Err(Refusal::with(501, "method is unknown", "Allow", ALLOW)),
        _ if key::to_tag(frame).is_some() => Err(Refusal::with(
            405,
            "method is not served in a call",
            "Allow",
            ALLOW,
        )),
        _ => Err(Refusal::with(405, "method is not served", "Allow", ALLOW)),
    }
}

/// §8.2.2.3: extensions we lack; CANCEL and ACK are exempt.
fn screen_require(
    frame: &Frame<'_>,
    method: Method<'_>,
    extensions: &[&str],
) -> Result<(), Refusal> {
    if matches!(method, Method::Cancel | Method::Ack) {
        return Ok(());
    }
    // An edge proxy may require the registrar to keep its Path (RFC 3327 §5.2, RFC 5626 §6).
    let register: &[&str] = &["path", "outbound"];
    let known = match method {
        Method::Register => register,
        _ => extensions,
    };
    let tags: Vec<_> = frame
        .unsupported(known)
        .map(String::from_utf8_lossy)
        .collect();
    if tags.is_empty() {
        return Ok(());
    }
    Err(Refusal::with(
        420,
        "Require names an extension we lack",
        "Unsupported",
        tags.join(", "),
    ))
}

/// §8.2.3: a body we cannot read, unless the sender says it may be ignored.
fn screen_body(frame: &Frame<'_>) -> Result<(), Refusal> {
    if frame.body().is_empty() || is_optional(frame) {
        return Ok(());
    }
    let encoded = frame
        .values(HeaderId::ContentEncoding)
        .any(|coding| !coding.eq_ignore_ascii_case(b"identity"));
    if encoded {
        return Err(Refusal::with(
            415,
            "body is compressed",
            "Accept-Encoding",
            "identity",
        ));
    }
    if frame.session_description().is_some() {
        return Ok(());
    }
    Err(Refusal::with(
        415,
        "body holds no application/sdp",
        "Accept",
        ACCEPT,
    ))
}

/// `Content-Disposition: ...;handling=optional`.
fn is_optional(frame: &Frame<'_>) -> bool {
    let Some(value) = frame.header(HeaderId::ContentDisposition) else {
        return false;
    };
    let (_, params) = crate::lex::split_once(value, b';');
    let handling = crate::params::Params(params.unwrap_or_default()).value("handling");
    handling.is_some_and(|handling| handling.eq_ignore_ascii_case(b"optional"))
}

/// A method for the log: a peer may make one up as long as a line.
pub(super) fn in_brief(method: Method<'_>) -> String {
    method.to_string().chars().take(MAX_METHOD_TOLD).collect()
}

impl Endpoint {
    /// Refuses a request outside any transaction. An ACK is never answered.
    pub(super) fn refuse(&mut self, flow: Flow, frame: &Frame<'_>, refusal: &Refusal) {
        let Some(method) = frame.method().filter(|method| *method != Method::Ack) else {
            return;
        };
        let Ok(via) = frame.top_via() else { return };
        let mut builder = self.stateless(flow, frame, refusal.status);
        builder = builder.header("Reason", reason_value(refusal.status, refusal.rule));
        for (name, value) in &refusal.headers {
            builder = builder.header(name, value);
        }
        self.io.send(response_flow(&via, flow), builder.finish());
        self.io.tell(Event::Refused {
            flow,
            method: in_brief(method),
            status: refusal.status,
            rule: refusal.rule,
        });
    }

    /// A response for which nothing is remembered.
    pub(super) fn stateless(&self, flow: Flow, frame: &Frame<'_>, status: u16) -> MessageBuilder {
        let tag = self.stateless_tag(frame);
        MessageBuilder::response_to(
            frame,
            status,
            phrase(status),
            Some(tag.as_str()),
            Some(flow.remote),
        )
        .header("Server", &self.config.server_name)
    }

    /// The To tag of stateless answers: the same for a request, its retransmissions and the ACK of its refusal.
    pub(super) fn stateless_tag(&self, frame: &Frame<'_>) -> crate::identity::Token {
        let via = frame.top_via().ok();
        let branch = via.and_then(|via| via.branch()).unwrap_or_default();
        let cseq = frame
            .cseq()
            .map(|cseq| cseq.number)
            .unwrap_or_default()
            .to_be_bytes();
        let call_id = frame.header(HeaderId::CallId).unwrap_or_default();
        self.io
            .identity
            .stateless(&[branch, call_id, key::from_tag(frame), &cseq])
    }
}
