//! Owns the way of a request: retransmission, screening, transaction or dialog, and who answers it.

use super::Endpoint;
use super::config::Reliability;
use super::event::{Event, LegId};
use super::gate::Origin;
use super::io::TxId;
use super::legs::State;
use super::screening::{Refusal, in_brief, screen};
use super::servers::Opening;
use crate::build::MessageBuilder;
use crate::dialog::Dialog;
use crate::flow::Flow;
use crate::header::HeaderId;
use crate::limits::MAX_VIAS;
use crate::message::{Frame, FrameError, Message};
use crate::method::Method;
use crate::transaction::key::{self, Key};
use crate::via::Via;
use crate::wire::{
    ACCEPT, ALLOW, EXTENSIONS, SUPPORTED, SUPPORTED_RELIABLE, phrase, reason_value, response_flow,
};
use std::time::Instant;

/// A request on its way through the endpoint.
pub(super) struct Request<'f, 'a> {
    pub(super) flow: Flow,
    pub(super) frame: &'f Frame<'a>,
    pub(super) method: Method<'a>,
    pub(super) via: Via<'a>,
    pub(super) key: Key,
    /// Who sent it; within a dialog nobody asks.
    pub(super) origin: Origin,
}

impl Endpoint {
    pub(super) fn on_request(
        &mut self,
        now: Instant,
        flow: Flow,
        frame: &Frame<'_>,
        method: Method<'_>,
    ) {
        let Ok(via) = frame.top_via() else {
            return self.dropped(flow, "request without a readable Via");
        };
        if let Err(rejection) = frame.validate() {
            let refusal = Refusal::new(rejection.status, rejection.reason);
            return self.malformed(flow, frame, method, &refusal);
        }
        let key = key::server(frame, &via, method);
        let mut request = Request {
            flow,
            frame,
            method,
            via,
            key,
            origin: Origin::Stranger,
        };
        if method == Method::Ack {
            return self.on_ack(now, &request);
        }
        if let Some(id) = self.servers.find(&request.key) {
            return self.servers.retransmitted(&mut self.io, now, id);
        }
        if method != Method::Cancel && key::to_tag(frame).is_none() {
            // Before the gate, which takes each digest answer only once.
            if self.servers.is_merged(&key::merged(frame, method)) {
                let refusal = Refusal::new(482, "same request came over another path");
                return self.refuse(flow, frame, &refusal);
            }
            match self.pass_gate(now, flow, frame) {
                Some(origin) => request.origin = origin,
                None => return,
            }
        }
        if let Err(refusal) = screen(flow.transport, frame, method, self.extensions()) {
            return self.refuse(flow, frame, &refusal);
        }
        self.serve(now, &request);
    }

    /// A request that is new and sound.
    fn serve(&mut self, now: Instant, request: &Request<'_, '_>) {
        match request.method {
            Method::Cancel => self.on_cancel(now, request),
            _ if key::to_tag(request.frame).is_some() => self.in_dialog(now, request),
            Method::Invite => self.on_invite(now, request),
            Method::Options => self.answer_options(request),
            _ => self.on_outside(now, request),
        }
    }

    /// Octets that are no message. A request beyond a limit is told so, when what can be read of it says where to
    /// (RFC 3261 §18.3, §21.5.7).
    pub(super) fn unframeable(&mut self, flow: Flow, bytes: &[u8], error: FrameError) {
        let (status, rule) = unframeable(error);
        let salvaged = Frame::salvage(bytes).filter(|frame| frame.top_via().is_ok());
        match (status, &salvaged) {
            (Some(status), Some(frame)) => {
                let method = frame.method().unwrap_or(Method::Ack);
                self.malformed(flow, frame, method, &Refusal::new(status, rule));
            }
            _ => self.dropped(flow, rule),
        }
    }

    /// Answers a malformed request when it names at least who asked and what, and its way back is no longer than a way
    /// can be: all of its Via fields go into the answer.
    fn malformed(&mut self, flow: Flow, frame: &Frame<'_>, method: Method<'_>, refusal: &Refusal) {
        let needed = [
            HeaderId::From,
            HeaderId::To,
            HeaderId::CallId,
            HeaderId::Cseq,
        ];
        let ways = frame.values(HeaderId::Via).take(MAX_VIAS + 1).count();
        let is_nameless = needed.iter().any(|id| frame.header(*id).is_none());
        if method == Method::Ack || is_nameless || ways > MAX_VIAS {
            return self.dropped(flow, refusal.rule);
        }
        self.refuse(flow, frame, refusal);
    }

    fn on_ack(&mut self, now: Instant, request: &Request<'_, '_>) {
        if let Some(id) = self.servers.find(&request.key)
            && !self.servers.acknowledged(&mut self.io, now, id)
        {
            return;
        }
        let leg = Dialog::key_of_request(request.frame).and_then(|key| self.legs.find(&key));
        match leg {
            Some(leg) => self.confirmed(now, leg, request.frame),
            // The ACK of a refusal for which nothing was kept.
            None if key::to_tag(request.frame)
                == Some(self.stateless_tag(request.frame).as_bytes()) => {}
            None => self.dropped(request.flow, "ACK matches no transaction and no dialog"),
        }
    }

    /// RFC 3261 §9.2: 200 for the CANCEL, 487 for an INVITE that has no final response yet.
    fn on_cancel(&mut self, now: Instant, request: &Request<'_, '_>) {
        let found = self
            .servers
            .find(&key::cancelled(request.frame, &request.via));
        let Some((id, invite)) = found.and_then(|id| Some((id, self.servers.to_cancel(id)?)))
        else {
            let refusal = Refusal::new(481, "CANCEL matches no INVITE");
            return self.refuse(request.flow, request.frame, &refusal);
        };
        let cancel = self.open_server(now, request, invite.leg, invite.tag);
        self.respond_plain(now, cancel, 200);
        if invite.pending
            && let Some(leg) = invite.leg
        {
            self.invite_cancelled(now, leg, id, request.frame);
        }
    }

    /// §12.2.2: 481 at once for a dialog nobody knows, then the order of CSeq numbers, then the method.
    fn in_dialog(&mut self, now: Instant, request: &Request<'_, '_>) {
        let (flow, frame) = (request.flow, request.frame);
        let Some(key) = Dialog::key_of_request(frame) else {
            return;
        };
        let own = self.subscriptions.find(&key);
        let subscription = own.filter(|_| request.method == Method::Subscribe);
        let leg = self.legs.find(&key);
        if subscription.is_none() && leg.is_none() {
            return self.refuse(flow, frame, &Refusal::new(481, "dialog is unknown"));
        }
        // A BYE is served whatever the load: it takes state away.
        if self.is_full() && request.method != Method::Bye {
            return self.refuse(
                flow,
                frame,
                &Refusal::with(503, "transaction limit reached", "Retry-After", "5"),
            );
        }
        let number = frame.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let is_next = match subscription {
            Some(id) => self.subscriptions.is_next(id, number),
            None => leg.is_some_and(|leg| {
                let dialog = self.legs.of(leg).and_then(|leg| leg.dialog_of(&key));
                dialog.is_some_and(|dialog| dialog.is_next(number))
            }),
        };
        if !is_next {
            // Without state: this one, too, is answered alike each time, and it must not fill the tables.
            let refusal = Refusal::new(500, "CSeq is not above the last one");
            return self.refuse(flow, frame, &refusal);
        }
        match (subscription, leg) {
            (Some(id), _) => self.resubscribe(now, request, id, number),
            (None, Some(leg)) => self.in_call(now, request, leg, &key, number),
            (None, None) => {}
        }
    }

    /// A request of that number, which is the next, in the dialog of a leg with that key.
    fn in_call(
        &mut self,
        now: Instant,
        request: &Request<'_, '_>,
        leg: LegId,
        key: &Key,
        number: u32,
    ) {
        let (flow, frame) = (request.flow, request.frame);
        // RFC 3515 §5.2: who may send us elsewhere is asked each time, before anything is remembered.
        let origin = match request.method {
            Method::Refer => self.pass_gate(now, flow, frame),
            _ => Some(Origin::Stranger),
        };
        let dialog = self.legs.of(leg).and_then(|leg| leg.dialog_of(key));
        let (Some(origin), Some(dialog)) = (origin, dialog) else {
            return;
        };
        dialog.accept_cseq(number);
        dialog.heard_on(flow);
        self.legs.follow(leg);
        let tag = self.stateless_tag(frame);
        let tx = self.open_server(now, request, Some(leg), tag);
        match request.method {
            Method::Bye => self.on_bye(now, leg, tx),
            Method::Invite => self.on_reinvite(now, leg, tx),
            Method::Info => self.on_info(now, leg, tx),
            Method::Message => self.hand_over(tx, Some(leg), Origin::Stranger),
            Method::Prack => self.on_prack(now, leg, tx),
            Method::Update => self.on_update(now, leg, tx),
            Method::Refer => self.on_refer(now, leg, tx, origin),
            Method::Notify => self.on_notify(now, leg, tx),
            Method::Subscribe => self.refuse_tx(now, tx, &not_in_a_call()),
            _ => self.options_in_dialog(now, tx),
        }
    }

    /// Opens the transaction of any request but an initial INVITE.
    pub(super) fn open_server(
        &mut self,
        now: Instant,
        request: &Request<'_, '_>,
        leg: Option<LegId>,
        tag: crate::identity::Token,
    ) -> TxId {
        let opening = Opening {
            key: request.key.clone(),
            merge: None,
            request: Message::from(request.frame),
            flow: request.flow,
            reply: response_flow(&request.via, request.flow),
            tag,
            leg,
        };
        self.servers
            .open(&mut self.io, now, request.method == Method::Invite, opening)
    }

    /// Answers within a transaction with nothing but the status.
    pub(super) fn respond_plain(&mut self, now: Instant, tx: TxId, status: u16) {
        let Some(entry) = self.servers.of(tx) else {
            return;
        };
        let builder = entry
            .response(status, phrase(status))
            .header("Server", &self.config.server_name);
        self.servers
            .respond(&mut self.io, now, tx, status, builder.finish());
    }

    /// Refuses within a transaction.
    pub(super) fn refuse_tx(&mut self, now: Instant, tx: TxId, refusal: &Refusal) {
        let Some(entry) = self.servers.of(tx) else {
            return;
        };
        let mut builder = entry
            .response(refusal.status, phrase(refusal.status))
            .header("Server", &self.config.server_name)
            .header("Reason", reason_value(refusal.status, refusal.rule));
        for (name, value) in &refusal.headers {
            builder = builder.header(name, value);
        }
        let method = entry
            .request
            .frame()
            .method()
            .map(in_brief)
            .unwrap_or_default();
        let flow = entry.flow;
        self.servers
            .respond(&mut self.io, now, tx, refusal.status, builder.finish());
        self.io.tell(Event::Refused {
            flow,
            method,
            status: refusal.status,
            rule: refusal.rule,
        });
    }

    /// §11.2: what an INVITE would have got; 503 while new calls are refused, so that a trunk moves elsewhere.
    fn answer_options(&mut self, request: &Request<'_, '_>) {
        if let Some(refusal) = self.admission() {
            return self.refuse(request.flow, request.frame, &refusal);
        }
        let supported = self.supported();
        let bytes =
            capabilities(self.stateless(request.flow, request.frame, 200), supported).finish();
        self.io
            .send(response_flow(&request.via, request.flow), bytes);
    }

    fn options_in_dialog(&mut self, now: Instant, tx: TxId) {
        let Some(entry) = self.servers.of(tx) else {
            return;
        };
        let builder = capabilities(entry.response(200, "OK"), self.supported())
            .header("Server", &self.config.server_name);
        self.servers
            .respond(&mut self.io, now, tx, 200, builder.finish());
    }

    /// Why a new call cannot be taken now.
    pub(super) fn admission(&self) -> Option<Refusal> {
        let (rule, seconds) = match self.draining {
            Some(after) => (
                "draining",
                after.as_secs() + u64::from(after.subsec_nanos() > 0),
            ),
            None if self.overloaded => ("overloaded", 2),
            None if self.legs.len() >= self.config.max_legs => ("call limit reached", 5),
            None if self.is_full() => ("transaction limit reached", 5),
            None => return None,
        };
        Some(Refusal::with(503, rule, "Retry-After", seconds.to_string()))
    }

    /// The option tags a request may require.
    fn extensions(&self) -> &'static [&'static str] {
        match self.config.reliable {
            Reliability::Off => &EXTENSIONS[..EXTENSIONS.len() - 1],
            _ => &EXTENSIONS,
        }
    }

    /// The same in Supported of what opens a dialog.
    pub(super) fn supported(&self) -> &'static str {
        match self.config.reliable {
            Reliability::Off => SUPPORTED,
            _ => SUPPORTED_RELIABLE,
        }
    }

    /// The state of a leg.
    pub(super) fn state(&mut self, leg: LegId) -> Option<State> {
        self.legs.of(leg).map(|leg| leg.state)
    }
}

/// A call has no events to subscribe to: REFER is the only way.
fn not_in_a_call() -> Refusal {
    let rule = "no event can be subscribed to in a call";
    Refusal::with(489, rule, "Allow-Events", "refer")
}

/// The answer to a request that cannot be framed, if there is one, and the rule.
fn unframeable(error: FrameError) -> (Option<u16>, &'static str) {
    match error {
        FrameError::Empty => (None, "no message, only line ends"),
        FrameError::StartLine => (None, "no SIP start line"),
        FrameError::StatusCode => (None, "status code out of range"),
        FrameError::MessageTooLong => (Some(513), "message too long"),
        FrameError::LineTooLong => (Some(513), "start line or header field too long"),
        FrameError::TooManyHeaders => (Some(513), "too many header fields"),
        FrameError::NoHeaderEnd => (Some(400), "no blank line after the header"),
    }
}

/// What we can do (§20.5, §20.1, §20.37).
fn capabilities(builder: MessageBuilder, supported: &str) -> MessageBuilder {
    builder
        .header("Allow", ALLOW)
        .header("Accept", ACCEPT)
        .header("Accept-Encoding", "identity")
        .header("Supported", supported)
}
