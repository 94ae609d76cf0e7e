//! Owns the INVITE usage as server (RFC 3261 §13.3): 100, provisional and final responses, the 2xx that is repeated
//! until its ACK, and CANCEL.

use super::Endpoint;
use super::event::{EndCause, Event, LegError, LegId};
use super::io::{LegTimer, TxId};
use super::legs::{Leg, Outgoing, State, Success};
use super::reliable::{Exchange, Reliable};
use super::requests::Request;
use super::screening::{Refusal, too_small};
use super::servers::Opening;
use super::session::{Headers, Session};
use crate::build::MessageBuilder;
use crate::dialog::Dialog;
use crate::header::HeaderId;
use crate::message::{Frame, Message};
use crate::method::Method;
use crate::transaction::key;
use crate::wire::{
    ACCEPT, ALLOW, contact, is_fit_for_wire, is_of_every_message, phrase, reason_value,
    response_flow,
};
use bytes::Bytes;
use std::time::{Duration, Instant};

impl Endpoint {
    /// An INVITE outside any dialog.
    pub(super) fn on_invite(&mut self, now: Instant, request: &Request<'_, '_>) {
        let (flow, frame) = (request.flow, request.frame);
        let merge = key::merged(frame, Method::Invite);
        if let Some(refusal) = self.admission() {
            return self.refuse(flow, frame, &refusal);
        }
        let (reliable, session, replaces) = match self.judge_invite(frame) {
            Ok(judged) => judged,
            Err(refusal) => return self.refuse(flow, frame, &refusal),
        };
        let tag = self.io.identity.token();
        let dialog = match Dialog::uas(frame, tag.as_bytes(), flow) {
            Ok(dialog) => dialog,
            Err(rule) => return self.refuse(flow, frame, &Refusal::new(400, rule)),
        };
        let leg = self.legs.next_id();
        let message = Message::from(frame);
        let opening = Opening {
            key: request.key.clone(),
            merge: Some(merge),
            request: message.clone(),
            flow,
            reply: response_flow(&request.via, flow),
            tag,
            leg: Some(leg),
        };
        let tx = self.servers.open(&mut self.io, now, true, opening);
        self.respond_plain(now, tx, 100);
        let mut usage = Leg::new(State::Incoming, tx, flow, Some(dialog));
        usage.learn(frame);
        (usage.reliable, usage.session) = (reliable, session);
        usage.invite_cseq = frame.cseq().map(|cseq| cseq.number).unwrap_or_default();
        if frame.session_description().is_some() {
            usage.exchange = Exchange::Theirs;
        }
        let limit = self.answer_limit(frame);
        usage.arm(&mut self.io, now, leg, LegTimer::AnswerLimit, limit);
        self.legs.insert(leg, usage);
        let origin = request.origin.clone();
        self.io.tell(Event::Invite {
            leg,
            request: message,
            flow,
            origin,
            replaces,
        });
    }

    /// What the extensions an INVITE asks for mean: reliable provisional responses, session timer, Replaces.
    fn judge_invite(
        &mut self,
        invite: &Frame<'_>,
    ) -> Result<(Reliable, Session, Option<LegId>), Refusal> {
        let reliable = Reliable::of_invite(invite, self.config.reliable)?;
        let session = Session::new(self.config.session_timer);
        if let Some(least) = session.too_small(invite) {
            return Err(too_small(least));
        }
        Ok((reliable, session, self.replaced(invite)?))
    }

    /// Sends 101 to 199 on an incoming call, with early media when `sdp` is given.
    ///
    /// # Errors
    /// The leg is gone or answered, or the status is no provisional one.
    pub fn provisional(
        &mut self,
        now: Instant,
        leg: LegId,
        status: u16,
        reason: &str,
        sdp: Option<&[u8]>,
        headers: &[(&str, String)],
    ) -> Result<(), LegError> {
        if !(101..200).contains(&status) {
            return Err(LegError::Status(status));
        }
        let usage = self.legs.of(leg).ok_or(LegError::UnknownLeg)?;
        if usage.state != State::Incoming {
            return Err(LegError::WrongState);
        }
        let (tx, exchange) = (usage.invite, usage.exchange);
        // Once offer and answer have passed reliably, no response describes the session again (RFC 3262 §5).
        let sdp = sdp.filter(|_| exchange != Exchange::Done);
        let described = sdp.unwrap_or_default();
        if self.provisional_reliably(now, leg, (status, reason), described, headers)? {
            return Ok(());
        }
        let builder = self
            .dialog_response(tx, status, reason)
            .ok_or(LegError::WrongState)?;
        let bytes = with_sdp(with_extra(builder, headers), sdp).finish();
        self.servers.respond(&mut self.io, now, tx, status, bytes);
        Ok(())
    }

    /// Answers an incoming call with 200, repeated until the ACK comes. Without an ACK in 64·T1 the call ends with
    /// BYE. Nothing happens when the leg is gone or answered. Unfit `headers` are left out.
    pub fn answer(&mut self, now: Instant, leg: LegId, sdp: &[u8], headers: &[(&str, String)]) {
        let Some(usage) = self
            .legs
            .of(leg)
            .filter(|usage| usage.state == State::Incoming)
        else {
            return;
        };
        if usage.reliable.is_described() {
            return self.hold_answer(leg, sdp, headers);
        }
        usage.state = State::AwaitingAck;
        let (tx, exchange) = (usage.invite, usage.exchange);
        let sdp = match exchange {
            Exchange::Done => &[], // passed reliably: RFC 3262 §5
            _ => sdp,
        };
        if exchange == Exchange::None {
            usage.exchange = Exchange::Ours;
        }
        self.settle_provisional(leg);
        self.succeed(now, leg, tx, sdp, headers);
    }

    /// Sends the 2xx of an INVITE or re-INVITE and starts to repeat it.
    pub(super) fn succeed(
        &mut self,
        now: Instant,
        leg: LegId,
        tx: TxId,
        sdp: &[u8],
        headers: &[(&str, String)],
    ) {
        let Some((request, reply)) = self.servers.of(tx).map(|tx| (tx.request.clone(), tx.reply))
        else {
            return;
        };
        let request = request.frame();
        let cseq = request.cseq().map(|cseq| cseq.number).unwrap_or_default();
        let timer = self.session_asked(now, leg, &request);
        let Some(builder) = self.dialog_response(tx, 200, "OK") else {
            return;
        };
        let builder = with_timer(builder, &timer);
        let bytes = with_sdp(
            with_extra(builder.header("Accept", ACCEPT), headers),
            Some(sdp),
        )
        .finish();
        self.servers
            .respond(&mut self.io, now, tx, 200, bytes.clone());
        if let Some(usage) = self.legs.of(leg).filter(|_| !sdp.is_empty()) {
            usage.last_sdp = Some(Bytes::copy_from_slice(sdp));
        }
        let success = Success {
            cseq,
            flow: reply,
            bytes,
            interval: self.config.timers.t1,
        };
        self.await_ack(now, leg, success);
    }

    /// Repeats a 2xx until its ACK comes.
    fn await_ack(&mut self, now: Instant, leg: LegId, success: Success) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let interval = success.interval;
        usage.success = Some(success);
        usage.disarm(&mut self.io, LegTimer::AnswerLimit);
        usage.arm(&mut self.io, now, leg, LegTimer::Retransmit, interval);
        usage.arm(
            &mut self.io,
            now,
            leg,
            LegTimer::AckLimit,
            self.config.timers.lifetime(),
        );
    }

    /// Refuses an incoming call with 300 to 699; any other status becomes 500. The leg is gone with it
    /// (`Ended`, `RejectSent`). `extra` holds further headers; unfit ones are left out.
    pub fn reject(
        &mut self,
        now: Instant,
        leg: LegId,
        status: u16,
        reason: &str,
        extra: &[(&str, String)],
    ) {
        let Some(usage) = self
            .legs
            .of(leg)
            .filter(|usage| usage.state == State::Incoming)
        else {
            return;
        };
        let tx = usage.invite;
        let status = if (300..700).contains(&status) {
            status
        } else {
            500
        };
        self.send_reject(now, tx, status, reason, extra);
        self.finish(now, leg, |leg| Event::Ended {
            leg,
            cause: EndCause::RejectSent,
            message: None,
        });
    }

    pub(super) fn send_reject(
        &mut self,
        now: Instant,
        tx: TxId,
        status: u16,
        reason: &str,
        extra: &[(&str, String)],
    ) {
        let Some(entry) = self.servers.of(tx) else {
            return;
        };
        let reason = if is_fit_for_wire(reason) && !reason.is_empty() {
            reason
        } else {
            phrase(status)
        };
        let mut builder = entry
            .response(status, reason)
            .header("Server", &self.config.server_name);
        let mut ids = extra
            .iter()
            .map(|(name, _)| HeaderId::from_name(name.as_bytes()));
        if !ids.any(|id| id == HeaderId::Reason) {
            builder = builder.header("Reason", reason_value(status, reason));
        }
        let mut contacts = extra.iter().filter(|(name, value)| {
            HeaderId::from_name(name.as_bytes()) == HeaderId::Contact && is_fit_for_wire(value)
        });
        if let Some((_, contact)) = contacts.next().filter(|_| status < 400) {
            builder = builder.header("Contact", contact); // where to redirect to (§8.3)
        }
        let bytes = with_extra(builder, extra).finish();
        self.servers.respond(&mut self.io, now, tx, status, bytes);
    }

    /// The peer's CANCEL met an INVITE without a final response: 487.
    pub(super) fn invite_cancelled(
        &mut self,
        now: Instant,
        leg: LegId,
        tx: TxId,
        cancel: &Frame<'_>,
    ) {
        self.send_reject(now, tx, 487, "cancelled", &[]);
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        if usage.incoming == Some(tx) {
            usage.incoming = None;
            return usage.disarm(&mut self.io, LegTimer::ReinviteLimit);
        }
        let reason = cancel
            .header(HeaderId::Reason)
            .map(|value| String::from_utf8_lossy(value).into_owned());
        self.finish(now, leg, |leg| Event::Cancelled { leg, reason });
    }

    /// An ACK within a dialog (§13.3.1.4).
    pub(super) fn confirmed(&mut self, now: Instant, leg: LegId, ack: &Frame<'_>) {
        let number = ack.cseq().map(|cseq| cseq.number).ok();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        if usage.success.as_ref().map(|success| success.cseq) != number {
            return; // one for a 2xx that was acknowledged before
        }
        usage.success = None;
        usage.disarm(&mut self.io, LegTimer::Retransmit);
        usage.disarm(&mut self.io, LegTimer::AckLimit);
        if usage.state == State::AwaitingAck {
            usage.state = State::Confirmed;
            usage.exchange = Exchange::Done;
        }
        if let Some(reason) = usage.hangup.take() {
            return self.leave(now, leg, reason);
        }
        self.io.tell(Event::Confirmed {
            leg,
            ack: Message::from(ack),
        });
    }

    /// The 2xx goes out again: T1, doubled up to T2, over any transport.
    pub(super) fn repeat_success(&mut self, now: Instant, leg: LegId) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let Some(success) = &mut usage.success else {
            return;
        };
        success.interval = success
            .interval
            .saturating_mul(2)
            .min(self.config.timers.t2);
        let interval = success.interval;
        self.io.send(success.flow, success.bytes.clone());
        usage.arm(&mut self.io, now, leg, LegTimer::Retransmit, interval);
    }

    /// No ACK in 64·T1, the peer's or the application's: BYE, and the call is over.
    pub(super) fn ack_missing(&mut self, now: Instant, leg: LegId) {
        self.ack(now, leg, None);
        self.bye_alone(now, leg, "SIP;cause=408;text=\"no ACK\"");
        self.finish(now, leg, |leg| Event::Ended {
            leg,
            cause: EndCause::AckTimeout,
            message: None,
        });
    }

    /// How long an incoming INVITE may wait: the caller's Expires (§13.3.1) where it is shorter than ours.
    fn answer_limit(&self, invite: &Frame<'_>) -> Duration {
        let expires = invite
            .expires()
            .map(|seconds| Duration::from_secs(seconds.into()));
        expires.unwrap_or(Duration::MAX).min(self.config.timers.tc)
    }

    /// No final response within `Timers::tc`: ours becomes 480, theirs is cancelled.
    pub(super) fn unanswered(&mut self, now: Instant, leg: LegId) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        match usage.state {
            State::Incoming => {
                let tx = usage.invite;
                let refusal = match self.servers.of(tx).map(|tx| tx.request.frame()) {
                    Some(frame) if self.answer_limit(&frame) < self.config.timers.tc => {
                        Refusal::new(487, "Expires of the INVITE ran out")
                    }
                    _ => Refusal::new(480, "application gave no answer in time"),
                };
                self.refuse_tx(now, tx, &refusal);
                self.finish(now, leg, |leg| Event::Ended {
                    leg,
                    cause: EndCause::AnswerTimeout,
                    message: None,
                });
            }
            State::Calling => {
                usage.timed_out = true;
                self.hangup(now, leg, None);
            }
            _ => {}
        }
    }

    /// The connection of an unanswered call is gone: its answer could reach nobody.
    pub(super) fn incoming_unreachable(&mut self, now: Instant, leg: LegId) {
        let Some(usage) = self
            .legs
            .of(leg)
            .filter(|usage| usage.state == State::Incoming)
        else {
            return;
        };
        let tx = usage.invite;
        self.servers.drop_unanswerable(&mut self.io, now, tx);
        self.finish(now, leg, |leg| Event::Ended {
            leg,
            cause: EndCause::TransportFailed,
            message: None,
        });
    }

    /// A response that opens or keeps a dialog: with Contact and what we can do.
    pub(super) fn dialog_response(
        &self,
        tx: TxId,
        status: u16,
        reason: &str,
    ) -> Option<MessageBuilder> {
        let entry = self.servers.of(tx)?;
        let reason = if is_fit_for_wire(reason) && !reason.is_empty() {
            reason
        } else {
            phrase(status)
        };
        Some(
            entry
                .response(status, reason)
                .header(
                    "Contact",
                    contact(&self.config.advertise, &entry.flow, None),
                )
                .header("Allow", ALLOW)
                .header("Supported", self.supported())
                .header("Server", &self.config.server_name),
        )
    }

    /// Marks a re-INVITE of ours that waits as overtaken: a later description of ours is out.
    pub(super) fn overtake(&mut self, leg: LegId) {
        if let Some(Leg {
            outgoing: Outgoing::Waiting { stale, .. },
            ..
        }) = self.legs.of(leg)
        {
            *stale = true;
        }
    }
}

/// Headers the application may not set: they belong to the endpoint.
pub(super) fn is_owned(id: HeaderId) -> bool {
    is_of_every_message(id)
        || matches!(
            id,
            HeaderId::MaxForwards
                | HeaderId::Route
                | HeaderId::Contact
                | HeaderId::Supported
                | HeaderId::Require
                | HeaderId::Rseq
                | HeaderId::Rack
                | HeaderId::SessionExpires
                | HeaderId::MinSe
                | HeaderId::Allow
                | HeaderId::Server
                | HeaderId::UserAgent
        )
}

/// The headers of the application; those that are owned or unfit are left out.
pub(super) fn with_extra(
    mut builder: MessageBuilder,
    headers: &[(&str, String)],
) -> MessageBuilder {
    for (name, value) in headers {
        if !is_owned(HeaderId::from_name(name.as_bytes())) && is_fit_for_wire(value) {
            builder = builder.header(name, value);
        }
    }
    builder
}

/// The headers of the session timer.
pub(super) fn with_timer(builder: MessageBuilder, headers: &Headers) -> MessageBuilder {
    let headers = headers.iter();
    headers.fold(builder, |builder, (name, value)| {
        builder.header(name, value)
    })
}

pub(super) fn with_sdp(builder: MessageBuilder, sdp: Option<&[u8]>) -> MessageBuilder {
    match sdp.filter(|sdp| !sdp.is_empty()) {
        Some(sdp) => builder.body("application/sdp", sdp),
        None => builder,
    }
}
