//! Owns UPDATE in both roles (RFC 3311): in an early dialog once offer and answer have passed reliably, and in a
//! confirmed one.
//!
//! Its offer follows the rules of a re-INVITE (`reinvite` owns overlap, glare and the answer of the application).

use super::Endpoint;
use super::clients::{Outgoing as Send, Purpose};
use super::event::{EndCause, Event, LegId};
use super::io::TxId;
use super::legs::{Leg, Outgoing, State};
use super::reinvite::Offer;
use super::reliable::Exchange;
use super::screening::{Refusal, too_small};
use super::uas::{with_sdp, with_timer};
use crate::dialog::Dialog;
use crate::message::{Frame, Message};
use crate::method::Method;
use crate::transaction::key;
use crate::wire::{ALLOW, SUPPORTED, contact};
use bytes::Bytes;
use std::time::Instant;

/// Why an offer of the peer in UPDATE comes at a wrong time, if it does (RFC 3311 §5.2). `delay` in seconds is what it
/// shall wait.
fn overlap(usage: &Leg, key: &[u8], delay: u32) -> Option<Refusal> {
    let later = |rule| Refusal::with(500, rule, "Retry-After", delay.to_string());
    if usage.state == State::Leaving {
        return Some(Refusal::new(481, "call ends"));
    }
    if usage.incoming.is_some() {
        return Some(later("earlier offer has no answer yet"));
    }
    if matches!(usage.outgoing, Outgoing::Sent { .. }) {
        return Some(Refusal::new(491, "our offer is on its way"));
    }
    let early = usage
        .early
        .iter()
        .find(|early| early.dialog.key().as_ref() == key);
    match (usage.state, usage.exchange) {
        (State::Incoming, Exchange::Done) => None,
        (State::Incoming, Exchange::Ours) => Some(Refusal::new(491, "our offer has no answer yet")),
        (State::Incoming, _) => Some(later("first offer has no answer yet")),
        (State::Calling | State::Cancelling, _) if early.is_some_and(|early| early.exchanged) => {
            None
        }
        (State::Calling | State::Cancelling, _) if usage.offered => {
            Some(Refusal::new(491, "our offer has no answer yet"))
        }
        (State::Calling | State::Cancelling | State::AwaitingAnswer, _) => {
            Some(later("first offer has no answer yet"))
        }
        (State::AwaitingAck, Exchange::Ours) => {
            Some(Refusal::new(491, "our offer has no answer yet"))
        }
        _ => None,
    }
}

impl Endpoint {
    /// Offers a new session by UPDATE: before the answer, once offer and answer have passed in reliable provisional
    /// responses, or after it; a peer that does not allow UPDATE gets a re-INVITE after it. The end is
    /// `ReinviteAnswered` or `ReinviteRejected`; 491 is treated as with [`Endpoint::reinvite`].
    pub fn update(&mut self, now: Instant, leg: LegId, sdp: &[u8]) {
        let full = self.is_full();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        if usage.state == State::Confirmed && !usage.peer_updates {
            return self.reinvite(now, leg, sdp);
        }
        let idle = usage.incoming.is_none() && matches!(usage.outgoing, Outgoing::None);
        let ready = match usage.state {
            State::Confirmed => usage.success.is_none(),
            State::Incoming => usage.exchange == Exchange::Done && !usage.reliable.is_described(),
            State::Calling => usage.early.iter().any(|early| early.exchanged),
            _ => false,
        };
        let status = match (full, usage.peer_updates, idle && ready) {
            (true, ..) => 503,
            (_, false, _) => 405,
            (_, _, false) => 491,
            _ => {
                let sdp = Bytes::copy_from_slice(sdp);
                return self.send_update(now, leg, Some(Offer::new(sdp, true)));
            }
        };
        self.io.tell(Event::ReinviteRejected { leg, status });
    }

    /// Sends UPDATE; one without an offer only refreshes.
    pub(super) fn send_update(&mut self, now: Instant, leg: LegId, offer: Option<Offer>) {
        let branch = self.io.identity.token();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let timer = usage.session.request_headers();
        let invite = usage.invite;
        let early = usage.early.iter_mut().rev();
        let mut early = early.filter(|early| early.exchanged);
        let dialog = match &mut usage.dialog {
            Some(dialog) => dialog,
            None => match early.next() {
                Some(early) => &mut early.dialog,
                None => return,
            },
        };
        let (builder, flow) = dialog.request("UPDATE", None, &self.config.advertise, &branch);
        self.clients.spend(invite, dialog.local_cseq());
        let user = usage.contact_user.as_deref();
        let builder = builder
            .header("Contact", contact(&self.config.advertise, &flow, user))
            .header("Allow", ALLOW)
            .header("Supported", SUPPORTED)
            .header("User-Agent", &self.config.server_name);
        let builder = with_timer(builder, &timer);
        let purpose = match offer {
            Some(_) => Purpose::Update,
            None => Purpose::Refresh,
        };
        let sdp = offer.as_ref().map(|offer| &offer.sdp[..]);
        let send = Send {
            method: Method::Update,
            branch,
            bytes: with_sdp(builder, sdp).finish(),
            flow,
            purpose,
            leg: Some(leg),
        };
        if let (Some(tx), Some(offer)) = (self.clients.open(&mut self.io, now, send), offer)
            && let Some(usage) = self.legs.of(leg)
        {
            usage.outgoing = Outgoing::Sent { tx, offer };
        }
    }

    /// The final response to an UPDATE with an offer.
    pub(super) fn update_response(
        &mut self,
        now: Instant,
        tx: TxId,
        leg: LegId,
        status: u16,
        frame: &Frame<'_>,
    ) {
        let ours = self.is_own_dialog(leg, frame);
        match status {
            0..=199 => {}
            200..=299 => self.update_accepted(now, tx, leg, frame),
            481 if ours => self.dialog_gone(now, leg),
            408 if ours => self.reinvite_lost(now, leg, EndCause::RequestTimeout),
            405 | 501 if ours => self.update_unknown(now, tx, leg, status),
            491 => self.glare(now, tx, leg),
            _ => self.reinvite_refused(tx, leg, status),
        }
    }

    fn update_accepted(&mut self, now: Instant, tx: TxId, leg: LegId, frame: &Frame<'_>) {
        let key = own_key(frame);
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        if let Some(dialog) = usage.dialog_of(&key) {
            dialog.refresh(frame);
        }
        if let Some(offer) = self.take_sent(tx, leg) {
            self.session_answered(now, leg, frame, Some(offer.sdp));
            let response = Message::from(frame);
            self.io.tell(Event::ReinviteAnswered { leg, response });
        }
    }

    /// The peer does not do UPDATE after all: the offer goes out as re-INVITE.
    fn update_unknown(&mut self, now: Instant, tx: TxId, leg: LegId, status: u16) {
        let Some(offer) = self.take_sent(tx, leg) else {
            return;
        };
        if let Some(usage) = self.legs.of(leg) {
            usage.peer_updates = false;
            if usage.state == State::Confirmed {
                return self.reinvite(now, leg, &offer.sdp);
            }
        }
        self.io.tell(Event::ReinviteRejected { leg, status });
    }

    /// An UPDATE was never answered.
    pub(super) fn update_lost(&mut self, now: Instant, tx: TxId, leg: LegId, cause: EndCause) {
        let request = self.clients.of(tx).map(|tx| tx.request.clone());
        let own = request.is_some_and(|request| self.is_own_dialog(leg, &request.frame()));
        match own {
            true => self.reinvite_lost(now, leg, cause),
            false => self.reinvite_refused(tx, leg, 408),
        }
    }

    /// Whether a request of ours, or its response, belongs to the confirmed dialog of the leg.
    pub(super) fn is_own_dialog(&mut self, leg: LegId, frame: &Frame<'_>) -> bool {
        let key = own_key(frame);
        let confirmed = self.state(leg) == Some(State::Confirmed);
        let dialog = self
            .legs
            .of(leg)
            .and_then(|leg| leg.dialog.as_ref())
            .filter(|_| confirmed);
        dialog.is_some_and(|dialog| dialog.key() == key)
    }

    /// An UPDATE of the peer.
    pub(super) fn on_update(&mut self, now: Instant, leg: LegId, tx: TxId) {
        let delay = self.io.identity.below(11);
        let Some(request) = self.servers.of(tx).map(|tx| tx.request.clone()) else {
            return;
        };
        let frame = request.frame();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        if frame.session_description().is_none() {
            return self.answer_refresh(now, leg, tx);
        }
        if let Some(least) = usage.session.too_small(&frame) {
            return self.refuse_tx(now, tx, &too_small(least));
        }
        let key = Dialog::key_of_request(&frame).unwrap_or_default();
        match overlap(usage, &key, delay) {
            Some(refusal) => self.refuse_tx(now, tx, &refusal),
            None => self.hand_offer(now, leg, tx),
        }
    }

    /// An UPDATE without an offer renews the target and the session timer.
    fn answer_refresh(&mut self, now: Instant, leg: LegId, tx: TxId) {
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        if usage.state == State::Leaving {
            return self.refuse_tx(now, tx, &Refusal::new(481, "call ends"));
        }
        let request = self.servers.of(tx).map(|tx| tx.request.clone());
        let least = request.and_then(|request| usage.session.too_small(&request.frame()));
        if let Some(least) = least {
            return self.refuse_tx(now, tx, &too_small(least));
        }
        self.accept_update(now, leg, tx, None);
    }

    /// 200 to an UPDATE or PRACK of the peer.
    pub(super) fn accept_update(&mut self, now: Instant, leg: LegId, tx: TxId, sdp: Option<&[u8]>) {
        let Some(request) = self.servers.of(tx).map(|tx| tx.request.clone()) else {
            return;
        };
        let frame = request.frame();
        let key = Dialog::key_of_request(&frame).unwrap_or_default();
        let dialog = self.legs.of(leg).and_then(|leg| leg.dialog_of(&key));
        let is_update = frame.method() == Some(Method::Update);
        if let Some(dialog) = dialog.filter(|_| is_update) {
            dialog.refresh(&frame);
        }
        let timer = match is_update {
            true => self.session_asked(now, leg, &frame),
            false => Vec::new(),
        };
        let Some(builder) = self.dialog_response(tx, 200, "OK") else {
            return;
        };
        let bytes = with_sdp(with_timer(builder, &timer), sdp).finish();
        self.servers.respond(&mut self.io, now, tx, 200, bytes);
    }
}

/// The key of the dialog a request of ours, or its response, belongs to.
fn own_key(frame: &Frame<'_>) -> key::Key {
    let call_id = frame
        .header(crate::header::HeaderId::CallId)
        .unwrap_or_default();
    let (local, remote) = (key::from_tag(frame), key::to_tag(frame).unwrap_or_default());
    key::join(&[call_id, local, remote])
}
