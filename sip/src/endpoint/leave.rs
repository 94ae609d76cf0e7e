//! Owns the end of a leg: hang-up in every state, BYE in both directions, and the one last event.

use super::Endpoint;
use super::clients::{Outgoing as Send, Purpose};
use super::event::{EndCause, Event, HangupReason, LegId};
use super::io::{LegTimer, TxId};
use super::legs::State;
use super::screening::Refusal;
use crate::flow::Flow;
use crate::method::Method;
use crate::wire::{hop_request, is_fit_for_wire, phrase, quoted};
use bytes::Bytes;
use std::time::Instant;

impl Endpoint {
    /// Ends a leg in the way its state asks for: an unanswered incoming call is refused (603, or the SIP cause of
    /// `reason`); an unanswered outgoing one is cancelled once a provisional response is there; an answered one gets
    /// BYE, after its ACK (RFC 3261 §15). The last event follows when the peer knows, or cannot be told.
    pub fn hangup(&mut self, now: Instant, leg: LegId, reason: Option<HangupReason>) {
        let reason = reason.filter(is_fit);
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        match usage.state {
            State::Incoming => self.decline(now, leg, reason),
            State::AwaitingAck => usage.hangup = Some(reason),
            State::Calling => {
                usage.hangup = Some(reason);
                self.cancel(now, leg);
            }
            State::AwaitingAnswer => {
                self.ack(now, leg, None);
                self.leave(now, leg, reason);
            }
            State::Confirmed => self.leave(now, leg, reason),
            State::Cancelling | State::Leaving => {}
        }
    }

    fn decline(&mut self, now: Instant, leg: LegId, reason: Option<HangupReason>) {
        let sip = reason
            .as_ref()
            .filter(|reason| reason.protocol.eq_ignore_ascii_case("SIP"));
        let status = sip
            .map(|reason| reason.cause)
            .filter(|cause| (400..700).contains(cause))
            .unwrap_or(603);
        let extra: Vec<_> = reason
            .iter()
            .map(|reason| ("Reason", reason_header(reason)))
            .collect();
        self.reject(now, leg, status, phrase(status), &extra);
    }

    /// CANCEL, if a provisional response allows it (§9.1).
    pub(super) fn cancel(&mut self, now: Instant, leg: LegId) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let tx = usage.invite;
        match self.clients.of(tx) {
            Some(tx) if !tx.can_cancel() => return,
            Some(_) => {}
            None => return self.cancel_unanswered(now, leg),
        }
        usage.state = State::Cancelling;
        usage.disarm(&mut self.io, LegTimer::AnswerLimit);
        usage.arm(
            &mut self.io,
            now,
            leg,
            LegTimer::CancelLimit,
            self.config.timers.lifetime(),
        );
        let reason = usage
            .hangup
            .take()
            .flatten()
            .map(|reason| reason_header(&reason));
        self.send_cancel(now, tx, reason.as_deref());
    }

    pub(super) fn send_cancel(&mut self, now: Instant, invite: TxId, reason: Option<&str>) {
        let Some(tx) = self.clients.of(invite) else {
            return;
        };
        let frame = tx.request.frame();
        let to = frame
            .header(crate::header::HeaderId::To)
            .unwrap_or_default();
        let bytes = hop_request("CANCEL", &frame, to, reason);
        let send = Send {
            method: Method::Cancel,
            branch: tx.branch,
            bytes,
            flow: tx.flow,
            purpose: Purpose::Alone,
            leg: None,
        };
        self.clients.open(&mut self.io, now, send);
    }

    /// The cancelled INVITE was never answered: §9.1 lets it go.
    pub(super) fn cancel_unanswered(&mut self, now: Instant, leg: LegId) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let (tx, status) = (usage.invite, if usage.timed_out { 408 } else { 487 });
        self.clients.remove(&mut self.io, tx);
        self.finish(now, leg, |leg| Event::Rejected {
            leg,
            status,
            response: None,
        });
    }

    /// BYE on a confirmed dialog; the leg ends with its answer.
    pub(super) fn leave(&mut self, now: Instant, leg: LegId, reason: Option<HangupReason>) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        usage.state = State::Leaving;
        usage.success = None;
        usage.disarm_all(&mut self.io);
        if let Some(tx) = usage.incoming.take() {
            self.refuse_tx(now, tx, &Refusal::new(487, "call ends"));
        }
        let reason = reason.map(|reason| reason_header(&reason));
        if self
            .send_bye(now, leg, Some(leg), reason.as_deref())
            .is_none()
        {
            self.finish(now, leg, |leg| Event::Ended {
                leg,
                cause: EndCause::ByeSent,
                message: None,
            });
        }
    }

    /// BYE for a leg that does not wait for its answer.
    pub(super) fn bye_alone(&mut self, now: Instant, leg: LegId, reason: &str) {
        self.send_bye(now, leg, None, Some(reason));
    }

    fn send_bye(
        &mut self,
        now: Instant,
        leg: LegId,
        waiting: Option<LegId>,
        reason: Option<&str>,
    ) -> Option<TxId> {
        let branch = self.io.identity.token();
        let dialog = self.legs.of(leg)?.dialog.as_mut()?;
        let (mut builder, flow) = dialog.request("BYE", None, &self.config.advertise, &branch);
        builder = builder.header("User-Agent", &self.config.server_name);
        if let Some(reason) = reason {
            builder = builder.header("Reason", reason);
        }
        self.send_alone(now, branch, builder.finish(), flow, waiting)
    }

    pub(super) fn send_alone(
        &mut self,
        now: Instant,
        branch: crate::identity::Token,
        bytes: Bytes,
        flow: Flow,
        leg: Option<LegId>,
    ) -> Option<TxId> {
        let purpose = if leg.is_some() {
            Purpose::Bye
        } else {
            Purpose::Alone
        };
        self.clients.open(
            &mut self.io,
            now,
            Send {
                method: Method::Bye,
                branch,
                bytes,
                flow,
                purpose,
                leg,
            },
        )
    }

    /// The peer's BYE (§15.1.2): 200, and 487 for whatever it left unanswered.
    pub(super) fn on_bye(&mut self, now: Instant, leg: LegId, tx: TxId) {
        // Over TCP the transaction is gone with its response.
        let message = self.servers.of(tx).map(|tx| tx.request.clone());
        self.respond_plain(now, tx, 200);
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let (state, invite) = (usage.state, usage.invite);
        match state {
            State::Incoming => self.send_reject(now, invite, 487, "caller sent BYE", &[]),
            State::Calling | State::Cancelling => self.abandon(now, invite),
            _ => {}
        }
        self.finish(now, leg, |leg| Event::Ended {
            leg,
            cause: EndCause::ByeReceived,
            message,
        });
    }

    /// An INVITE of ours nobody waits for any more: cancelled if it can be, and bounded.
    pub(super) fn abandon(&mut self, now: Instant, invite: TxId) {
        if self.clients.of(invite).is_some_and(|tx| tx.can_cancel()) {
            self.send_cancel(now, invite, None);
            self.clients.limit(&mut self.io, now, invite);
        }
    }

    /// The one way a leg ends: nothing of it stays, and its last event goes out.
    pub(super) fn finish(&mut self, now: Instant, id: LegId, last: impl FnOnce(LegId) -> Event) {
        let Some(leg) = self.legs.remove(&mut self.io, id) else {
            return;
        };
        if let Some(tx) = leg.incoming {
            self.refuse_tx(now, tx, &Refusal::new(487, "call ends"));
        }
        let waiting = leg.referrals.iter().filter(|refer| !refer.accepted);
        for tx in leg.infos.into_iter().chain(waiting.map(|refer| refer.tx)) {
            self.refuse_tx(now, tx, &Refusal::new(481, "call is over"));
        }
        self.servers.release(leg.invite);
        self.clients.release(leg.invite);
        self.io.tell(last(id));
    }
}

fn is_fit(reason: &HangupReason) -> bool {
    is_fit_for_wire(&reason.text) && crate::lex::is_token(reason.protocol.as_bytes())
}

fn reason_header(reason: &HangupReason) -> String {
    format!(
        "{};cause={};text=\"{}\"",
        reason.protocol,
        reason.cause,
        quoted(&reason.text)
    )
}
