//! Owns requests of ours that make no dialog (REGISTER, OPTIONS, MESSAGE): made, sent, sent again with digest
//! credentials, and their outcome.
//!
//! Limits: `max_transactions` bounds those on their way; each is sent at most three times, twice of them with an answer
//! to a challenge. Nothing is followed: a 3xx is the outcome.

use super::Endpoint;
use super::clients::{Outgoing as Send, Purpose};
use super::event::{Event, LegError};
use super::io::TxId;
use super::outside::RequestId;
use super::uac::{address, is_user, loose_route};
use crate::digest::{ChallengeRefused, Credentials, is_stale};
use crate::flow::Flow;
use crate::header::HeaderId;
use crate::identity::Token;
use crate::lex::is_token;
use crate::limits::CSEQ_LIMIT;
use crate::message::{Frame, Message};
use crate::method::Method;
use crate::uri::{Scheme, Uri};
use crate::wire::{contact, is_fit_for_wire, is_of_every_message, request_head};
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// Most answers to challenges for one request: one, and one more when the nonce was stale or another hop asks too.
const MAX_ANSWERS: usize = 2;

/// Requests that belong together (RFC 3261 §10.2: all REGISTERs of a registration): one Call-ID, one From tag, rising
/// CSeq numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    call_id: Token,
    from_tag: Token,
    cseq: u32,
}

/// Our Contact in a request without a dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutContact {
    /// The user part of the URI.
    pub user: Option<String>,
    /// Header parameters with their semicolons: `;expires=300`.
    pub params: String,
}

/// A request of ours that makes no dialog.
#[derive(Clone, Debug)]
pub struct OutRequest {
    /// The path.
    pub flow: Flow,
    /// The method: REGISTER, OPTIONS, MESSAGE.
    pub method: &'static str,
    /// The Request-URI.
    pub target: String,
    /// The From value without tag: `"Name" <uri>` or a bare URI.
    pub from: String,
    /// The To value: `"Name" <uri>` or a bare URI.
    pub to: String,
    /// The preloaded route set, first hop first; each a loose router (`lr`).
    pub routes: Vec<String>,
    /// Our Contact, when one is to be written.
    pub contact: Option<OutContact>,
    /// Further headers. Those the endpoint owns are refused.
    pub headers: Vec<(String, String)>,
    /// Content-Type and octets.
    pub body: Option<(String, Vec<u8>)>,
    /// What answers a 401 or 407.
    pub credentials: Option<Arc<Credentials>>,
    /// What the last request of the series gave back; `None` begins one.
    pub series: Option<Series>,
}

impl OutRequest {
    /// A request with nothing special.
    pub fn new(
        flow: Flow,
        method: &'static str,
        target: impl Into<String>,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        Self {
            flow,
            method,
            target: target.into(),
            from: from.into(),
            to: to.into(),
            routes: Vec::new(),
            contact: None,
            headers: Vec::new(),
            body: None,
            credentials: None,
            series: None,
        }
    }
}

/// One request on its way.
pub(super) struct Asking {
    id: RequestId,
    request: OutRequest,
    series: Series,
    /// What was answered to challenges.
    answers: Vec<(HeaderId, String)>,
}

/// A response and the path it came by.
#[derive(Clone, Copy)]
pub(super) struct Heard<'f, 'a> {
    pub(super) flow: Flow,
    pub(super) status: u16,
    pub(super) frame: &'f Frame<'a>,
}

/// The requests on their way, by the transaction that carries them.
pub(super) type Asked = HashMap<TxId, Asking>;

/// Headers of a request that are not the application's.
fn is_owned(id: HeaderId) -> bool {
    is_of_every_message(id)
        || matches!(
            id,
            HeaderId::MaxForwards
                | HeaderId::Route
                | HeaderId::Contact
                | HeaderId::UserAgent
                | HeaderId::Authorization
                | HeaderId::ProxyAuthorization
        )
}

impl Endpoint {
    /// Sends a request that makes no dialog. What follows is one [`Event::Response`].
    ///
    /// # Errors
    /// `max_transactions` is reached, the target is no URI, the method makes dialogs or is none (`WrongState`), or a
    /// header is unfit for the wire or owned by the endpoint.
    pub fn request(&mut self, now: Instant, request: OutRequest) -> Result<RequestId, LegError> {
        if self.is_full() {
            return Err(LegError::AtCapacity);
        }
        let makes_no_dialog =
            !["INVITE", "ACK", "CANCEL", "BYE", "PRACK", "UPDATE"].contains(&request.method);
        if !makes_no_dialog || !is_token(request.method.as_bytes()) {
            return Err(LegError::WrongState);
        }
        let series = match &request.series {
            Some(last) => Series {
                // Beyond the last number a new series begins; nobody gets there.
                cseq: (last.cseq + 1).min(CSEQ_LIMIT - 1),
                ..last.clone()
            },
            None => Series {
                call_id: self.io.identity.token(),
                from_tag: self.io.identity.token(),
                cseq: 1,
            },
        };
        let asking = Asking {
            id: RequestId(0),
            request,
            series,
            answers: Vec::new(),
        };
        self.ask(now, asking)
    }

    /// Sends it, for the first time or once more.
    fn ask(&mut self, now: Instant, mut asking: Asking) -> Result<RequestId, LegError> {
        let branch = self.io.identity.token();
        let bytes = self.compose(&asking, &branch)?;
        let send = Send {
            method: Method::from_bytes(asking.request.method.as_bytes()),
            branch,
            bytes,
            flow: asking.request.flow,
            purpose: Purpose::Outside,
            leg: None,
        };
        let Some(tx) = self.clients.open(&mut self.io, now, send) else {
            return Err(LegError::Target(asking.request.target));
        };
        if asking.id.0 == 0 {
            asking.id = RequestId(tx.0);
        }
        let id = asking.id;
        self.asked.insert(tx, asking);
        Ok(id)
    }

    fn compose(&self, asking: &Asking, branch: &Token) -> Result<Bytes, LegError> {
        let Asking {
            request, series, ..
        } = asking;
        let target = Uri::parse(request.target.as_bytes()).map(|uri| uri.scheme);
        if matches!(target, Err(_) | Ok(Scheme::Other(_))) {
            return Err(LegError::Target(request.target.clone()));
        }
        let (advertise, flow) = (&self.config.advertise, &request.flow);
        let mut builder = request_head(
            request.method,
            &request.target,
            flow,
            advertise,
            branch,
            None,
        )
        .header(
            "From",
            format!(
                "{};tag={}",
                address("From", &request.from)?,
                series.from_tag
            ),
        )
        .header("To", address("To", &request.to)?)
        .header("Call-ID", series.call_id.as_bytes())
        .header("CSeq", format!("{} {}", series.cseq, request.method))
        .header("User-Agent", &self.config.server_name);
        for route in &request.routes {
            builder = builder.header("Route", loose_route(route)?);
        }
        if let Some(own) = &request.contact {
            let user = own.user.as_deref();
            if !user.is_none_or(is_user) || !is_fit_for_wire(&own.params) {
                return Err(LegError::Header("Contact".to_owned()));
            }
            let value = contact(advertise, flow, user) + &own.params;
            builder = builder.header("Contact", value);
        }
        for (name, value) in &request.headers {
            if is_owned(HeaderId::from_name(name.as_bytes())) || !is_fit_for_wire(value) {
                return Err(LegError::Header(name.clone()));
            }
            builder = builder.header(name, value);
        }
        for (id, value) in &asking.answers {
            builder = builder.header(id.name(), value);
        }
        if let Some((content_type, octets)) = &request.body {
            builder = builder.body(content_type, octets);
        }
        builder
            .try_finish()
            .map_err(|error| LegError::Header(error.place))
    }

    /// A response to a request of ours without a dialog.
    pub(super) fn asked_response(&mut self, now: Instant, tx: TxId, heard: Heard<'_, '_>) {
        let Heard { status, frame, .. } = heard;
        if status < 200 {
            return;
        }
        let Some(asking) = self.asked.remove(&tx) else {
            return;
        };
        let challenged = matches!(status, 401 | 407);
        let answer = challenged.then(|| self.answered(&asking, heard));
        let refused = match answer {
            Some(Ok(answer)) => return self.ask_again(now, asking, answer, heard),
            Some(Err(refused)) => refused,
            None => None,
        };
        self.outcome(
            asking,
            heard.flow,
            status,
            Some(Message::from(frame)),
            refused,
        );
    }

    /// The answer to a challenge; without one, why, where there is more to say than that nobody asked for one.
    fn answered(
        &mut self,
        asking: &Asking,
        heard: Heard<'_, '_>,
    ) -> Result<(HeaderId, String), Option<ChallengeRefused>> {
        let (request, frame) = (&asking.request, heard.frame);
        let Some(credentials) = &request.credentials else {
            return Err(None);
        };
        if !heard.flow.leads_where(&request.flow) {
            return Err(Some(ChallengeRefused::Elsewhere));
        }
        let cnonce = self.io.identity.token();
        let header = match frame.status() {
            Some(407) => HeaderId::ProxyAuthorization,
            _ => HeaderId::Authorization,
        };
        let again = asking.answers.iter().any(|(id, _)| *id == header);
        // The same hop asks again: unless our nonce was too old, the password is wrong.
        if asking.answers.len() >= MAX_ANSWERS || (again && !is_stale(frame)) || self.is_full() {
            return Err(None);
        }
        let (method, target) = (request.method, &request.target);
        credentials
            .answer(frame, method, target, cnonce.as_str())
            .map_err(Some)
    }

    fn ask_again(
        &mut self,
        now: Instant,
        mut asking: Asking,
        answer: (HeaderId, String),
        heard: Heard<'_, '_>,
    ) {
        asking.answers.retain(|(id, _)| *id != answer.0);
        asking.answers.push(answer);
        asking.series.cseq = (asking.series.cseq + 1).min(CSEQ_LIMIT - 1);
        let (id, series) = (asking.id, asking.series.clone());
        if self.ask(now, asking).is_err() {
            let response = Some(Message::from(heard.frame));
            self.io.tell(Event::Response {
                id,
                flow: heard.flow,
                status: heard.status,
                response,
                series,
                refused: None,
            });
        }
    }

    /// The request got no answer: 408, or 503 when the transport failed.
    pub(super) fn asked_in_vain(&mut self, tx: TxId, status: u16) {
        if let Some(asking) = self.asked.remove(&tx) {
            let flow = asking.request.flow;
            self.outcome(asking, flow, status, None, None);
        }
    }

    fn outcome(
        &mut self,
        asking: Asking,
        flow: Flow,
        status: u16,
        response: Option<Message>,
        refused: Option<ChallengeRefused>,
    ) {
        let Asking { id, series, .. } = asking;
        self.io.tell(Event::Response {
            id,
            flow,
            status,
            response,
            series,
            refused,
        });
    }
}
