//! Owns the INVITE usage as client (RFC 3261 §13.2): early dialogs, forked answers, CANCEL that meets a 2xx, ACK.

use super::Endpoint;
use super::clients::{Outgoing as Send, Purpose};
use super::config::Reliability;
use super::event::{Event, Invite, LegError, LegId};
use super::io::{LegTimer, TxId};
use super::legs::{Leg, State};
use super::session::Session;
use super::uas::{is_owned, with_sdp, with_timer};
use crate::build::MessageBuilder;
use crate::dialog::Dialog;
use crate::header::{CommaList, HeaderId};
use crate::identity::Token;
use crate::lex::is_token_octet;
use crate::message::{Frame, Message};
use crate::method::Method;
use crate::name_addr::NameAddr;
use crate::transaction::key;
use crate::uri::{Scheme, Uri};
use crate::wire::{ALLOW, SUPPORTED, SUPPORTED_RELIABLE, contact, is_fit_for_wire, request_head};
use bytes::Bytes;
use std::time::Instant;

impl Endpoint {
    /// Calls out. What follows is `Trying`, `Progress`, then `Answered` or `Rejected`.
    ///
    /// # Errors
    /// A limit is reached, the target is no URI, or a header is unfit for the wire or owned by the endpoint.
    pub fn invite(&mut self, now: Instant, invite: Invite) -> Result<LegId, LegError> {
        if self.legs.len() >= self.config.max_legs || self.is_full() {
            return Err(LegError::AtCapacity);
        }
        let branch = self.io.identity.token();
        let session = Session::new(invite.session_timer.or(self.config.session_timer));
        let bytes = self.compose_invite(&invite, &branch, &session)?;
        let leg = self.legs.next_id();
        let (flow, purpose) = (invite.flow, Purpose::Invite);
        let send = Send {
            method: Method::Invite,
            branch,
            bytes,
            flow,
            purpose,
            leg: Some(leg),
        };
        let refused = LegError::Target(invite.target);
        let (contact_user, credentials) = (invite.contact_user, invite.credentials);
        let tx = self.clients.open(&mut self.io, now, send).ok_or(refused)?;
        let mut usage = Leg::new(State::Calling, tx, flow, None);
        usage.contact_user = contact_user;
        usage.credentials = credentials.map(|credentials| (flow, credentials));
        usage.session = session;
        usage.last_sdp = invite.sdp.filter(|sdp| !sdp.is_empty()).map(Bytes::from);
        usage.offered = usage.last_sdp.is_some();
        usage.arm(
            &mut self.io,
            now,
            leg,
            LegTimer::AnswerLimit,
            self.config.timers.tc,
        );
        self.legs.insert(leg, usage);
        Ok(leg)
    }

    fn compose_invite(
        &mut self,
        invite: &Invite,
        branch: &Token,
        session: &Session,
    ) -> Result<Bytes, LegError> {
        let target = Uri::parse(invite.target.as_bytes()).map(|uri| uri.scheme);
        if matches!(target, Err(_) | Ok(Scheme::Other(_))) {
            return Err(LegError::Target(invite.target.clone()));
        }
        let (from_tag, call_id) = (self.io.identity.token(), self.io.identity.token());
        let from = address("From", &invite.from)?;
        let to = address("To", &invite.to)?;
        let user = invite.contact_user.as_deref();
        if !user.is_none_or(is_user) {
            return Err(LegError::Header("Contact".to_owned()));
        }
        let mut builder = request_head(
            "INVITE",
            &invite.target,
            &invite.flow,
            &self.config.advertise,
            branch,
            invite.max_forwards,
        )
        .header("From", format!("{from};tag={from_tag}"))
        .header("To", to)
        .header("Call-ID", call_id.as_bytes())
        .header("CSeq", "1 INVITE")
        .header(
            "Contact",
            contact(&self.config.advertise, &invite.flow, user),
        )
        .header("Allow", ALLOW)
        .header("User-Agent", &self.config.server_name);
        builder = with_extensions(builder, invite.reliable.unwrap_or(self.config.reliable));
        builder = with_timer(builder, &session.request_headers());
        for route in &invite.routes {
            builder = builder.header("Route", loose_route(route)?);
        }
        for (name, value) in &invite.headers {
            let id = HeaderId::from_name(name.as_bytes());
            if is_owned(id) || !is_fit_for_wire(value) {
                return Err(LegError::Header(name.clone()));
            }
            builder = builder.header(name, value);
        }
        with_sdp(builder, invite.sdp.as_deref())
            .try_finish()
            .map_err(|error| LegError::Header(error.place))
    }

    /// Answers the offer of a 2xx to an INVITE that had none. Otherwise the ACK goes out by itself.
    pub fn ack(&mut self, now: Instant, leg: LegId, sdp: Option<&[u8]>) {
        let _ = now;
        let branch = self.io.identity.token();
        let Some(usage) = self
            .legs
            .of(leg)
            .filter(|leg| leg.state == State::AwaitingAnswer)
        else {
            return;
        };
        usage.state = State::Confirmed;
        usage.disarm(&mut self.io, LegTimer::AckLimit);
        if let Some(sdp) = sdp {
            usage.last_sdp = Some(Bytes::copy_from_slice(sdp));
        }
        let tx = usage.invite;
        let Some(dialog) = &mut usage.dialog else {
            return;
        };
        let cseq = usage.invite_cseq;
        let (builder, flow) = dialog.request("ACK", Some(cseq), &self.config.advertise, &branch);
        let tag: Box<[u8]> = dialog.remote_tag().into();
        let builder = self.clients.with_credentials(builder, tx, &flow);
        let ack = with_sdp(builder.header("User-Agent", &self.config.server_name), sdp).finish();
        self.clients
            .acknowledge(&mut self.io, tx, &tag, Some((flow, ack)));
    }

    /// A response to our INVITE.
    pub(super) fn invite_response(
        &mut self,
        now: Instant,
        tx: TxId,
        leg: Option<LegId>,
        status: u16,
        frame: &Frame<'_>,
    ) {
        let waiting =
            leg.filter(|leg| matches!(self.state(*leg), Some(State::Calling | State::Cancelling)));
        match (status, waiting) {
            (0..=199, Some(leg)) => self.progress(now, tx, leg, status, frame),
            // The leg is gone: whatever still rings must stop, and the transaction must end.
            (0..=199, None) if leg.is_none() => self.abandon_once(now, tx),
            (0..=199, None) => {}
            (200..=299, _) => self.accepted(now, tx, waiting, frame),
            (_, Some(leg)) => self.refused(now, leg, status, frame),
            (_, None) => {}
        }
    }

    fn abandon_once(&mut self, now: Instant, tx: TxId) {
        if !self.clients.is_limited(tx) {
            self.abandon(now, tx);
        }
    }

    fn progress(&mut self, now: Instant, tx: TxId, leg: LegId, status: u16, frame: &Frame<'_>) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        if usage.state == State::Cancelling {
            return;
        }
        if usage.hangup.is_some() {
            return self.cancel(now, leg);
        }
        if status == 100 {
            return self.io.tell(Event::Trying { leg });
        }
        if key::to_tag(frame).is_some()
            && let Some(dialog) = self.client_dialog(tx, frame)
        {
            self.legs.add_early(leg, dialog);
        }
        let tag = key::to_tag(frame).unwrap_or_default();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        usage.learn(frame);
        let fork = usage.fork(tag);
        if !self.take_provisional(now, leg, fork, frame) {
            return;
        }
        self.io.tell(Event::Progress {
            leg,
            fork,
            response: Message::from(frame),
        });
    }

    /// A 2xx: the first one makes the call, those of other forks are taken back (§13.2.2.4).
    fn accepted(&mut self, now: Instant, tx: TxId, waiting: Option<LegId>, frame: &Frame<'_>) {
        let tag = key::to_tag(frame).unwrap_or_default();
        if self.clients.acknowledge_again(&mut self.io, tx, tag) {
            return;
        }
        let Some(dialog) = self.client_dialog(tx, frame) else {
            return self.unusable(now, waiting, frame);
        };
        let Some(leg) = waiting else {
            return self.take_back(now, tx, dialog);
        };
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        usage.learn(frame);
        let fork = usage.fork(tag);
        let early = usage.early.get(usize::from(fork));
        let exchanged = early.is_some_and(|early| early.exchanged);
        self.legs.confirm(leg, dialog);
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        usage.disarm(&mut self.io, LegTimer::AnswerLimit);
        usage.disarm(&mut self.io, LegTimer::CancelLimit);
        let unwanted = usage.state == State::Cancelling || usage.hangup.is_some();
        let reason = usage.hangup.take().flatten();
        let late_offer = !usage.offered && !unwanted && !exchanged;
        usage.state = State::AwaitingAnswer;
        if late_offer {
            self.clients.acknowledge(&mut self.io, tx, tag, None);
            let limit = self.config.timers.lifetime();
            usage.arm(&mut self.io, now, leg, LegTimer::AckLimit, limit);
        } else {
            self.ack(now, leg, None);
        }
        if unwanted {
            return self.leave(now, leg, reason);
        }
        self.session_answered(now, leg, frame, None);
        self.io.tell(Event::Answered {
            leg,
            fork,
            response: Message::from(frame),
        });
    }

    /// A 2xx whose routes cannot be read: no ACK can reach the peer, so its own timer ends its side.
    fn unusable(&mut self, now: Instant, waiting: Option<LegId>, frame: &Frame<'_>) {
        let Some(leg) = waiting else { return };
        let response = Some(Message::from(frame));
        self.finish(now, leg, |leg| Event::Rejected {
            leg,
            status: 500,
            response,
        });
    }

    fn refused(&mut self, now: Instant, leg: LegId, status: u16, frame: &Frame<'_>) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let status = if usage.timed_out { 408 } else { status };
        let response = Some(Message::from(frame));
        self.finish(now, leg, |leg| Event::Rejected {
            leg,
            status,
            response,
        });
    }

    /// ACK and BYE for a 2xx nobody wants.
    fn take_back(&mut self, now: Instant, tx: TxId, mut dialog: Dialog) {
        let (ack_branch, bye_branch) = (self.io.identity.token(), self.io.identity.token());
        let cseq = dialog.local_cseq();
        // The peer may have seen higher numbers in the early dialog.
        dialog.skip_to(self.clients.of(tx).map_or(0, |tx| tx.spent));
        let (builder, flow) =
            dialog.request("ACK", Some(cseq), &self.config.advertise, &ack_branch);
        let builder = self.clients.with_credentials(builder, tx, &flow);
        let ack = builder
            .header("User-Agent", &self.config.server_name)
            .finish();
        let tag: Box<[u8]> = dialog.remote_tag().into();
        self.clients
            .acknowledge(&mut self.io, tx, &tag, Some((flow, ack)));
        let (builder, flow) = dialog.request("BYE", None, &self.config.advertise, &bye_branch);
        let bye = builder
            .header("User-Agent", &self.config.server_name)
            .finish();
        self.send_alone(now, bye_branch, bye, flow, None);
    }

    fn client_dialog(&self, tx: TxId, response: &Frame<'_>) -> Option<Dialog> {
        let tx = self.clients.of(tx)?;
        Dialog::uac(&tx.request.frame(), response, tx.flow).ok()
    }
}

/// What an INVITE says about extensions.
fn with_extensions(builder: MessageBuilder, reliable: Reliability) -> MessageBuilder {
    match reliable {
        Reliability::Off => builder.header("Supported", SUPPORTED),
        Reliability::Supported => builder.header("Supported", SUPPORTED_RELIABLE),
        Reliability::Required => builder
            .header("Supported", SUPPORTED_RELIABLE)
            .header("Require", "100rel"),
    }
}

/// Whether the text can be the user part of a URI as it stands (RFC 3261 §25.1, without `;`).
pub(super) fn is_user(text: &str) -> bool {
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.!~*'()%&=+$,/".contains(&octet);
    !text.is_empty() && text.bytes().all(fits)
}

/// A route of the application as a header value. Strict routers are refused: their place is the Request-URI.
pub(super) fn loose_route(text: &str) -> Result<String, LegError> {
    let route = address("Route", text)?;
    let is_loose = NameAddr::parse(route.as_bytes()).is_ok_and(|route| route.uri.params.has("lr"));
    match is_loose {
        true => Ok(route),
        false => Err(LegError::Header("Route".to_owned())),
    }
}

/// An address of the application as a header value: a bare URI gets its angle brackets. It must be one address that
/// nobody can read in another way.
pub(super) fn address(name: &str, text: &str) -> Result<String, LegError> {
    let text = if text.contains(['<', '>', '"']) {
        text.to_owned()
    } else {
        format!("<{text}>")
    };
    let is_single = CommaList::new(text.as_bytes()).count() == 1;
    let parsed = NameAddr::parse(text.as_bytes()).ok();
    let is_fit = parsed.is_some_and(|address| {
        let display = address.display.unwrap_or_default();
        let is_word = |octet: u8| is_token_octet(octet) || octet == b' ';
        let display = text.starts_with('"') || display.iter().all(|&octet| is_word(octet));
        let angled = memchr::memchr2(b'<', b'>', address.params.as_bytes()).is_some();
        display && !angled && !address.params.has("tag")
    });
    if !is_single || !is_fit || !is_fit_for_wire(&text) {
        return Err(LegError::Header(name.to_owned()));
    }
    Ok(text)
}
