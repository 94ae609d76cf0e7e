//! Owns re-INVITE in both roles (RFC 3261 §14): overlap, glare and its timers, and the repeated 2xx.

use super::Endpoint;
use super::clients::{Outgoing as Send, Purpose};
use super::event::{EndCause, Event, LegId};
use super::io::{LegTimer, TxId};
use super::legs::{Leg, Outgoing, State};
use super::screening::{Refusal, too_small};
use super::uas::{with_sdp, with_timer};
use crate::message::{Frame, Message};
use crate::method::Method;
use crate::transaction::key;
use crate::wire::{ALLOW, SUPPORTED, contact, phrase};
use bytes::Bytes;
use std::time::{Duration, Instant};

/// How often a re-INVITE goes out again after 491 before the application is told.
const MAX_ATTEMPTS: u8 = 5;

/// An offer of ours within the dialog.
#[derive(Clone, Debug)]
pub(super) struct Offer {
    pub(super) sdp: Bytes,
    attempt: u8,
    /// By UPDATE, not by re-INVITE.
    update: bool,
    /// Only to refresh the session timer: the application knows nothing of it but an answer with a description.
    refresh: bool,
}

impl Offer {
    pub(super) fn new(sdp: Bytes, update: bool) -> Self {
        Self {
            sdp,
            attempt: 1,
            update,
            refresh: false,
        }
    }

    pub(super) fn refresh(sdp: Bytes) -> Self {
        Self {
            refresh: true,
            ..Self::new(sdp, false)
        }
    }
}

/// Why the peer's re-INVITE comes at a wrong time, if it does. `delay` in seconds is what it shall wait.
fn overlap(usage: &Leg, delay: u32) -> Option<Refusal> {
    let later = |rule| Refusal::with(500, rule, "Retry-After", delay.to_string());
    let refusal = match usage.state {
        State::Leaving => Refusal::new(481, "call ends"),
        State::Incoming => later("first INVITE has no answer yet"),
        _ if usage.incoming.is_some() => later("earlier re-INVITE has no answer yet"),
        State::Confirmed if matches!(usage.outgoing, Outgoing::Sent { .. }) => {
            Refusal::new(491, "our re-INVITE is on its way")
        }
        State::Confirmed if usage.success.is_none() => return None,
        _ => Refusal::new(491, "earlier INVITE is not acknowledged yet"),
    };
    Some(refusal)
}

impl Endpoint {
    /// Offers a new session on an answered call. The end is `ReinviteAnswered` or `ReinviteRejected`. When both ends
    /// try at once (491) it is sent again by itself after the time of §14.1, unless the peer's was answered
    /// meanwhile: then the offer is out of date and `ReinviteRejected` with 491 asks for a new one.
    pub fn reinvite(&mut self, now: Instant, leg: LegId, sdp: &[u8]) {
        let full = self.is_full();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let idle = usage.incoming.is_none()
            && usage.success.is_none()
            && matches!(usage.outgoing, Outgoing::None);
        if usage.state != State::Confirmed || !idle || full {
            let status = if full { 503 } else { 491 };
            return self.io.tell(Event::ReinviteRejected { leg, status });
        }
        self.send_reinvite(now, leg, Offer::new(Bytes::copy_from_slice(sdp), false));
    }

    pub(super) fn send_reinvite(&mut self, now: Instant, leg: LegId, offer: Offer) {
        let branch = self.io.identity.token();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let timer = usage.session.request_headers();
        let Some(dialog) = &mut usage.dialog else {
            return;
        };
        let (builder, flow) = dialog.request("INVITE", None, &self.config.advertise, &branch);
        let builder = builder
            .header(
                "Contact",
                contact(&self.config.advertise, &flow, usage.contact_user.as_deref()),
            )
            .header("Allow", ALLOW)
            .header("Supported", SUPPORTED)
            .header("User-Agent", &self.config.server_name);
        let builder = with_timer(builder, &timer);
        let bytes = with_sdp(builder, Some(&offer.sdp)).finish();
        let send = Send {
            method: Method::Invite,
            branch,
            bytes,
            flow,
            purpose: Purpose::Reinvite,
            leg: Some(leg),
        };
        if let Some(tx) = self.clients.open(&mut self.io, now, send) {
            usage.outgoing = Outgoing::Sent { tx, offer };
        }
    }

    /// A re-INVITE of the peer (§14.2).
    pub(super) fn on_reinvite(&mut self, now: Instant, leg: LegId, tx: TxId) {
        let delay = self.io.identity.below(11);
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        if let Some(refusal) = overlap(usage, delay) {
            return self.refuse_tx(now, tx, &refusal);
        }
        let request = self.servers.of(tx).map(|tx| tx.request.clone());
        let least = request.and_then(|request| usage.session.too_small(&request.frame()));
        if let Some(least) = least {
            return self.refuse_tx(now, tx, &too_small(least));
        }
        self.respond_plain(now, tx, 100);
        self.hand_offer(now, leg, tx);
    }

    /// Hands an offer of the peer, in whichever request, to the application.
    pub(super) fn hand_offer(&mut self, now: Instant, leg: LegId, tx: TxId) {
        let Some(request) = self.servers.of(tx).map(|tx| tx.request.clone()) else {
            return;
        };
        let limit = match request.frame().method() {
            Some(Method::Invite) => self.config.timers.lifetime(),
            _ => self.config.timers.lifetime() / 2, // its sender gives up after 64·T1
        };
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        usage.incoming = Some(tx);
        usage.arm(&mut self.io, now, leg, LegTimer::ReinviteLimit, limit);
        self.io.tell(Event::Reinvite { leg, request });
    }

    /// Accepts the peer's re-INVITE, UPDATE or PRACK. Nothing happens when none is open (it may have been cancelled).
    pub fn answer_reinvite(&mut self, now: Instant, leg: LegId, sdp: &[u8]) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let Some(tx) = usage.incoming.take() else {
            return;
        };
        usage.disarm(&mut self.io, LegTimer::ReinviteLimit);
        usage.last_sdp = Some(Bytes::copy_from_slice(sdp));
        let Some(entry) = self.servers.of(tx) else {
            return;
        };
        let frame = entry.request.frame();
        if frame.method() != Some(Method::Invite) {
            self.overtake(leg);
            return self.accept_update(now, leg, tx, Some(sdp));
        }
        if let Some(dialog) = &mut usage.dialog {
            dialog.refresh(&frame);
        }
        self.overtake(leg);
        self.succeed(now, leg, tx, sdp, &[]);
    }

    /// Refuses the peer's re-INVITE, UPDATE or PRACK with 300 to 699; the session stays as it is.
    pub fn reject_reinvite(&mut self, now: Instant, leg: LegId, status: u16, reason: &str) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let Some(tx) = usage.incoming.take() else {
            return;
        };
        usage.disarm(&mut self.io, LegTimer::ReinviteLimit);
        let status = if (300..700).contains(&status) {
            status
        } else {
            500
        };
        self.send_reject(now, tx, status, reason, &[]);
    }

    pub(super) fn reinvite_unanswered(&mut self, now: Instant, leg: LegId) {
        self.reject_reinvite(now, leg, 500, "application gave no answer in time");
    }

    /// A response to our re-INVITE.
    pub(super) fn reinvite_response(
        &mut self,
        now: Instant,
        tx: TxId,
        leg: LegId,
        status: u16,
        frame: &Frame<'_>,
    ) {
        match status {
            0..=199 => self.clients.limit_once(&mut self.io, now, tx),
            200..=299 => self.reinvite_accepted(now, tx, leg, frame),
            481 => self.dialog_gone(now, leg),
            408 => self.reinvite_lost(now, leg, EndCause::RequestTimeout),
            491 => self.glare(now, tx, leg),
            _ => match self.take_sent(tx, leg) {
                Some(offer) if offer.refresh => self.refresh_failed(now, leg, status),
                Some(_) => self.io.tell(Event::ReinviteRejected { leg, status }),
                None => {}
            },
        }
    }

    fn reinvite_accepted(&mut self, now: Instant, tx: TxId, leg: LegId, frame: &Frame<'_>) {
        let tag = key::to_tag(frame).unwrap_or_default();
        if self.clients.acknowledge_again(&mut self.io, tx, tag) {
            return;
        }
        let branch = self.io.identity.token();
        let Some(cseq) = self
            .clients
            .of(tx)
            .and_then(|tx| tx.request.frame().cseq().ok().map(|cseq| cseq.number))
        else {
            return;
        };
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let Some(dialog) = &mut usage.dialog else {
            return;
        };
        dialog.refresh(frame);
        let (builder, flow) = dialog.request("ACK", Some(cseq), &self.config.advertise, &branch);
        let builder = self.clients.with_credentials(builder, tx, &flow);
        let ack = builder
            .header("User-Agent", &self.config.server_name)
            .finish();
        self.clients
            .acknowledge(&mut self.io, tx, tag, Some((flow, ack)));
        if let Some(offer) = self.take_sent(tx, leg) {
            self.session_answered(now, leg, frame, Some(offer.sdp));
            // A refresh is an offer like any other: its answer may have moved the media (RFC 4028 §7.4, RFC 3264 §8).
            if !offer.refresh || frame.session_description().is_some() {
                let response = Message::from(frame);
                self.io.tell(Event::ReinviteAnswered { leg, response });
            }
        }
    }

    /// The re-INVITE or UPDATE of `tx` has its final response: its offer, if the leg still waits for it.
    pub(super) fn take_sent(&mut self, tx: TxId, leg: LegId) -> Option<Offer> {
        let usage = self
            .legs
            .of(leg)
            .filter(|usage| usage.state != State::Leaving)?;
        if !matches!(&usage.outgoing, Outgoing::Sent { tx: sent, .. } if *sent == tx) {
            return None;
        }
        match std::mem::replace(&mut usage.outgoing, Outgoing::None) {
            Outgoing::Sent { offer, .. } => Some(offer),
            _ => None,
        }
    }

    pub(super) fn reinvite_refused(&mut self, tx: TxId, leg: LegId, status: u16) {
        if self.take_sent(tx, leg).is_some() {
            self.io.tell(Event::ReinviteRejected { leg, status });
        }
    }

    /// No answer to a re-INVITE ends the dialog (§12.2.1.2).
    pub(super) fn reinvite_lost(&mut self, now: Instant, leg: LegId, cause: EndCause) {
        if self.state(leg) != Some(State::Confirmed) {
            return; // BYE is out already
        }
        self.bye_alone(now, leg, &crate::wire::reason_value(408, phrase(408)));
        self.finish(now, leg, |leg| Event::Ended {
            leg,
            cause,
            message: None,
        });
    }

    /// §14.1: the owner of the Call-ID waits 2.1 to 4 s, the other 0 to 2 s, in steps of 10 ms.
    pub(super) fn glare(&mut self, now: Instant, tx: TxId, leg: LegId) {
        let Some(mut offer) = self.take_sent(tx, leg) else {
            return;
        };
        if offer.refresh {
            return self.refresh_failed(now, leg, 491);
        }
        offer.attempt += 1;
        if offer.attempt > MAX_ATTEMPTS {
            return self.io.tell(Event::ReinviteRejected { leg, status: 491 });
        }
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        usage.outgoing = Outgoing::Waiting {
            offer,
            stale: false,
        };
        let steps = match usage.caller {
            true => 210 + self.io.identity.below(191),
            false => self.io.identity.below(201),
        };
        let after = Duration::from_millis(u64::from(steps) * 10);
        usage.arm(&mut self.io, now, leg, LegTimer::Glare, after);
    }

    pub(super) fn glare_over(&mut self, now: Instant, leg: LegId) {
        let full = self.is_full();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let Outgoing::Waiting { offer, stale } =
            std::mem::replace(&mut usage.outgoing, Outgoing::None)
        else {
            return;
        };
        let early = matches!(usage.state, State::Incoming | State::Calling);
        let busy = usage.incoming.is_some()
            || usage.success.is_some()
            || !(usage.state == State::Confirmed || early && offer.update);
        if stale || busy || full {
            return self.io.tell(Event::ReinviteRejected { leg, status: 491 });
        }
        match offer.update {
            true => self.send_update(now, leg, Some(offer)),
            false => self.send_reinvite(now, leg, offer),
        }
    }
}
