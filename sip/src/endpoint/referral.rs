//! Owns REFER of the peer within a call, and the NOTIFYs that tell it how we fare (RFC 3515, RFC 4488).
//!
//! The subscription lives as long as the call. One NOTIFY is on its way at a time, so that none overtakes another; of
//! those that wait only the latest counts. Limit: 4 REFERs per leg.

use super::Endpoint;
use super::clients::{Outgoing as Send, Purpose};
use super::event::{Event, LegId, ReferId};
use super::gate::Origin;
use super::io::TxId;
use super::legs::{Leg, State};
use super::screening::Refusal;
use crate::header::HeaderId;
use crate::lex::{decimal, split_once, trim};
use crate::message::Frame;
use crate::method::Method;
use crate::params::Params;
use crate::refer::{ReferTarget, SIPFRAG, sipfrag};
use crate::wire::{contact, is_fit_for_wire, phrase};
use std::time::Instant;

/// Most REFERs of one leg that are not done.
pub(super) const MAX_REFERS: usize = 4;

/// One REFER of the peer.
#[derive(Debug)]
pub(super) struct Referral {
    /// Its transaction, which names it.
    pub(super) tx: TxId,
    cseq: u32,
    pub(super) accepted: bool,
    /// `Refer-Sub: false`: nothing is told.
    silent: bool,
    /// The first of its dialog: its NOTIFYs need no `id` (RFC 3515 §2.4.6).
    first: bool,
    /// The NOTIFY on its way.
    pub(super) notify: Option<TxId>,
    /// The NOTIFY on its way is the last one.
    last: bool,
    /// What goes out after it: status and phrase.
    next: Option<(u16, String)>,
}

/// Whether a REFER can be served at all.
fn judge(usage: &Leg, refer: &Frame<'_>) -> Result<(), Refusal> {
    match usage.state {
        State::Leaving => return Err(Refusal::new(481, "call ends")),
        State::Confirmed | State::AwaitingAck => {}
        _ => return Err(Refusal::new(403, "REFER before the answer")),
    }
    ReferTarget::parse(refer).map_err(|error| Refusal::new(error.status, error.rule))?;
    match usage.referrals.len() >= MAX_REFERS {
        true => Err(Refusal::with(
            500,
            "too many REFER in work",
            "Retry-After",
            "5",
        )),
        false => Ok(()),
    }
}

/// The name of the subscription and its state (RFC 3515 §2.4.4, §2.4.6).
fn subscription(referral: &Referral) -> (String, &'static str) {
    let event = match referral.first {
        true => "refer".to_owned(),
        false => format!("refer;id={}", referral.cseq),
    };
    match referral.last {
        true => (event, "terminated;reason=noresource"),
        false => (event, "active;expires=180"),
    }
}

/// Whether a NOTIFY is about a REFER, and about which: the value of `id`.
pub(super) fn refer_event(frame: &Frame<'_>) -> Option<Option<u32>> {
    let (package, params) = split_once(frame.header(HeaderId::Event)?, b';');
    if !trim(package).eq_ignore_ascii_case(b"refer") {
        return None;
    }
    let id = Params(params.unwrap_or_default()).value("id");
    Some(id.and_then(decimal))
}

impl Endpoint {
    /// A REFER within a dialog.
    pub(super) fn on_refer(&mut self, now: Instant, leg: LegId, tx: TxId, origin: Origin) {
        let Some(request) = self.servers.of(tx).map(|tx| tx.request.clone()) else {
            return;
        };
        let frame = request.frame();
        let Some(usage) = self.legs.of(leg) else {
            return;
        };
        let servers = &self.servers;
        // Those the application let expire are forgotten.
        usage
            .referrals
            .retain(|known| known.accepted || servers.of(known.tx).is_some());
        if let Err(refusal) = judge(usage, &frame) {
            return self.refuse_tx(now, tx, &refusal);
        }
        let silent = frame
            .header_named("Refer-Sub")
            .is_some_and(|value| value.to_ascii_lowercase().starts_with(b"false"));
        usage.referrals.push(Referral {
            tx,
            cseq: frame.cseq().map(|cseq| cseq.number).unwrap_or_default(),
            accepted: false,
            silent,
            first: !usage.referred,
            notify: None,
            last: false,
            next: None,
        });
        usage.referred = true;
        self.io.tell(Event::Refer {
            leg,
            id: ReferId(tx.0),
            request,
            origin,
        });
    }

    /// Accepts a REFER: 202, and NOTIFY with 100. Then tell how it goes by [`Endpoint::notify_refer`]. Nothing happens
    /// when it is answered or forgotten.
    pub fn accept_refer(&mut self, now: Instant, leg: LegId, id: ReferId) {
        let Some(referral) = self.referral(leg, id).filter(|known| !known.accepted) else {
            return;
        };
        referral.accepted = true;
        let (tx, silent) = (referral.tx, referral.silent);
        let Some(mut builder) = self.dialog_response(tx, 202, "Accepted") else {
            return;
        };
        if silent {
            builder = builder.header("Refer-Sub", "false");
        }
        self.servers
            .respond(&mut self.io, now, tx, 202, builder.finish());
        self.notify_refer(now, leg, id, 100, phrase(100));
    }

    /// Refuses a REFER with 300 to 699; any other status becomes 603.
    pub fn reject_refer(
        &mut self,
        now: Instant,
        leg: LegId,
        id: ReferId,
        status: u16,
        reason: &str,
    ) {
        let Some(tx) = self
            .referral(leg, id)
            .filter(|known| !known.accepted)
            .map(|known| known.tx)
        else {
            return;
        };
        self.forget_referral(leg, tx);
        let status = if (300..700).contains(&status) {
            status
        } else {
            603
        };
        self.send_reject(now, tx, status, reason, &[]);
    }

    /// Tells the peer how its REFER goes: the status of the new call. From 200 on it is the last word. Nothing happens
    /// when the REFER was not accepted, its last word is said, or the call is over.
    pub fn notify_refer(
        &mut self,
        now: Instant,
        leg: LegId,
        id: ReferId,
        status: u16,
        reason: &str,
    ) {
        let Some(referral) = self.referral(leg, id) else {
            return;
        };
        let over = referral.last || referral.next.as_ref().is_some_and(|(next, _)| *next >= 200);
        if !referral.accepted || over || !(100..700).contains(&status) {
            return;
        }
        let reason = match is_fit_for_wire(reason) && !reason.is_empty() {
            true => reason,
            false => phrase(status),
        };
        referral.next = Some((status, reason.to_owned()));
        let tx = referral.tx;
        if referral.silent && status >= 200 {
            return self.forget_referral(leg, tx);
        }
        self.send_notify(now, leg, tx);
    }

    /// Sends what waits, unless a NOTIFY is on its way.
    fn send_notify(&mut self, now: Instant, leg: LegId, refer: TxId) {
        let branch = self.io.identity.token();
        let Some(usage) = self
            .legs
            .of(leg)
            .filter(|leg| matches!(leg.state, State::Confirmed | State::AwaitingAck))
        else {
            return;
        };
        let mut known = usage.referrals.iter_mut();
        let Some(referral) = known.find(|known| known.tx == refer) else {
            return;
        };
        if referral.silent || referral.notify.is_some() {
            return;
        }
        let (Some((status, reason)), Some(dialog)) = (referral.next.take(), &mut usage.dialog)
        else {
            return;
        };
        referral.last = status >= 200;
        let (event, state) = subscription(referral);
        let (builder, flow) = dialog.request("NOTIFY", None, &self.config.advertise, &branch);
        let user = usage.contact_user.as_deref();
        let bytes = builder
            .header("Contact", contact(&self.config.advertise, &flow, user))
            .header("Event", event)
            .header("Subscription-State", state)
            .header("User-Agent", &self.config.server_name)
            .body(SIPFRAG, &sipfrag(status, &reason))
            .finish();
        let send = Send {
            method: Method::Notify,
            branch,
            bytes,
            flow,
            purpose: Purpose::Notify,
            leg: Some(leg),
        };
        referral.notify = self.clients.open(&mut self.io, now, send);
    }

    /// A NOTIFY has its final response, or none in time (`status` 408).
    pub(super) fn notified(&mut self, now: Instant, tx: TxId, leg: LegId, status: u16) {
        let Some(usage) = self.legs.of(leg).filter(|_| status >= 200) else {
            return;
        };
        let mut known = usage.referrals.iter_mut();
        let Some(referral) = known.find(|known| known.notify == Some(tx)) else {
            return;
        };
        referral.notify = None;
        let refer = referral.tx;
        // RFC 6665 §4.2.2: after a refused NOTIFY there is nobody to tell.
        if referral.last || status >= 300 {
            return self.forget_referral(leg, refer);
        }
        self.send_notify(now, leg, refer);
    }

    fn referral(&mut self, leg: LegId, id: ReferId) -> Option<&mut Referral> {
        let referrals = &mut self.legs.of(leg)?.referrals;
        referrals.iter_mut().find(|known| known.tx.0 == id.0)
    }

    fn forget_referral(&mut self, leg: LegId, tx: TxId) {
        if let Some(usage) = self.legs.of(leg) {
            usage.referrals.retain(|known| known.tx != tx);
        }
    }
}
