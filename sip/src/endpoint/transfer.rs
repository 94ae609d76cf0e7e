//! Owns REFER of ours within a call, the NOTIFYs that come for it (RFC 3515), and the place of a dialog that another
//! call takes (RFC 3891).
//!
//! Limit: 4 REFERs per leg that are not done.

use super::Endpoint;
use super::clients::{Outgoing as Send, Purpose};
use super::event::{Event, LegError, LegId, ReferTo};
use super::io::TxId;
use super::legs::State;
use super::referral::{MAX_REFERS, refer_event};
use super::screening::Refusal;
use super::uac::address;
use crate::header::HeaderId;
use crate::lex::{split_once, trim};
use crate::message::Frame;
use crate::method::Method;
use crate::refer::{ReferTarget, Replaces, sipfrag_status};
use crate::transaction::key;
use crate::uri::{Scheme, Uri};
use crate::wire::contact;
use std::time::Instant;

/// One REFER of ours.
#[derive(Debug)]
pub(super) struct SentRefer {
    pub(super) tx: TxId,
    pub(super) cseq: u32,
    /// What the peer said last.
    status: u16,
}

/// The Refer-To value for a URI that can be called.
fn refer_to(uri: String, replaces: Option<Replaces>) -> Result<String, LegError> {
    let scheme = Uri::parse(uri.as_bytes()).map(|uri| uri.scheme);
    if matches!(scheme, Err(_) | Ok(Scheme::Other(_))) {
        return Err(LegError::Target(uri));
    }
    let target = ReferTarget { uri, replaces };
    target.value().ok_or(LegError::Target(target.uri))
}

impl Endpoint {
    /// Asks the peer of an answered call to call somebody else. How it goes comes as `ReferProgress`.
    ///
    /// # Errors
    /// The leg is gone or not answered, the URI or Referred-By is unfit, the leg to be replaced has no dialog, or too
    /// many are in work.
    pub fn refer(&mut self, now: Instant, leg: LegId, to: ReferTo) -> Result<(), LegError> {
        if self.is_full() {
            return Err(LegError::AtCapacity);
        }
        let replaces = match to.replaces {
            Some(other) => Some(self.replaces(other).ok_or(LegError::UnknownLeg)?),
            None => None,
        };
        let refer_to = refer_to(to.uri, replaces)?;
        let referred_by = to
            .referred_by
            .map(|by| address("Referred-By", &by))
            .transpose()?;
        let branch = self.io.identity.token();
        let usage = self.legs.of(leg).ok_or(LegError::UnknownLeg)?;
        if usage.state != State::Confirmed {
            return Err(LegError::WrongState);
        }
        if usage.refers.len() >= MAX_REFERS {
            return Err(LegError::AtCapacity);
        }
        let dialog = usage.dialog.as_mut().ok_or(LegError::WrongState)?;
        let (builder, flow) = dialog.request("REFER", None, &self.config.advertise, &branch);
        let cseq = dialog.local_cseq();
        let user = usage.contact_user.as_deref();
        let mut builder = builder
            .header("Contact", contact(&self.config.advertise, &flow, user))
            .header("Refer-To", refer_to)
            .header("User-Agent", &self.config.server_name);
        if let Some(by) = referred_by {
            builder = builder.header("Referred-By", by);
        }
        let send = Send {
            method: Method::Refer,
            branch,
            bytes: builder.finish(),
            flow,
            purpose: Purpose::Refer,
            leg: Some(leg),
        };
        if let Some(tx) = self.clients.open(&mut self.io, now, send) {
            let status = 100;
            usage.refers.push(SentRefer { tx, cseq, status });
        }
        Ok(())
    }

    /// The response to a REFER of ours.
    pub(super) fn refer_response(
        &mut self,
        now: Instant,
        tx: TxId,
        leg: LegId,
        status: u16,
        frame: &Frame<'_>,
    ) {
        if status < 200 {
            return;
        }
        if status == 481 && self.state(leg) == Some(State::Confirmed) {
            return self.dialog_gone(now, leg);
        }
        // RFC 4488 §4: nothing will be told.
        let silent = frame
            .header_named("Refer-Sub")
            .is_some_and(|value| value.to_ascii_lowercase().starts_with(b"false"));
        match status {
            200..=299 if !silent => self.refer_told(leg, tx, Some(100), false),
            _ => self.refer_told(leg, tx, Some(status), true),
        }
    }

    /// Progress of a REFER of ours; nothing when it is done already.
    pub(super) fn refer_told(&mut self, leg: LegId, tx: TxId, status: Option<u16>, done: bool) {
        let Some(usage) = self.legs.of(leg).filter(|leg| leg.state != State::Leaving) else {
            return;
        };
        let Some(at) = usage.refers.iter().position(|refer| refer.tx == tx) else {
            return;
        };
        let status = status.unwrap_or(usage.refers[at].status);
        usage.refers[at].status = status;
        if done {
            usage.refers.remove(at);
        }
        self.io.tell(Event::ReferProgress { leg, status, done });
    }

    /// A NOTIFY of the peer.
    pub(super) fn on_notify(&mut self, now: Instant, leg: LegId, tx: TxId) {
        let Some(request) = self.servers.of(tx).map(|tx| tx.request.clone()) else {
            return;
        };
        let frame = request.frame();
        let Some(id) = refer_event(&frame) else {
            let rule = "NOTIFY is for another event than refer";
            let refusal = Refusal::with(489, rule, "Allow-Events", "refer");
            return self.refuse_tx(now, tx, &refusal);
        };
        let refers = self.legs.of(leg).map(|leg| &leg.refers);
        let refer = refers.and_then(|refers| {
            let mut refers = refers.iter();
            refers.find(|refer| id.is_none_or(|id| id == refer.cseq))
        });
        let Some(refer) = refer.map(|refer| refer.tx) else {
            let refusal = Refusal::new(481, "NOTIFY matches no subscription");
            return self.refuse_tx(now, tx, &refusal);
        };
        self.respond_plain(now, tx, 200);
        let state = frame
            .header(HeaderId::SubscriptionState)
            .unwrap_or_default();
        let done = trim(split_once(state, b';').0).eq_ignore_ascii_case(b"terminated");
        let status = sipfrag_status(frame.body());
        if done || status.is_some() {
            self.refer_told(leg, refer, status, done);
        }
    }

    /// What names the dialog of a leg to its peer, as the value of a Replaces header (RFC 3891 §6.1). `None` without a
    /// dialog.
    pub fn replaces_of(&mut self, leg: LegId) -> Option<String> {
        Some(self.replaces(leg)?.to_string())
    }

    fn replaces(&mut self, leg: LegId) -> Option<Replaces> {
        let usage = self.legs.of(leg)?;
        let mut early = usage.early.iter().map(|early| &early.dialog);
        let dialog = usage.dialog.as_ref().or_else(|| early.next())?;
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        let (call_id, local, remote) = dialog.names();
        Some(Replaces {
            call_id: text(call_id),
            to_tag: text(remote),
            from_tag: text(local),
            early_only: false,
        })
    }

    /// The leg whose dialog that is, as its peer names it to us.
    pub fn leg_of(&self, replaces: &Replaces) -> Option<LegId> {
        let parts = [&replaces.call_id, &replaces.to_tag, &replaces.from_tag];
        self.legs.find(&key::join(&parts.map(String::as_bytes)))
    }

    /// The leg whose place an INVITE wants (RFC 3891 §3).
    pub(super) fn replaced(&mut self, invite: &Frame<'_>) -> Result<Option<LegId>, Refusal> {
        let replaces = Replaces::of(invite).map_err(|error| Refusal::new(error.status, error.rule));
        let Some(replaces) = replaces? else {
            return Ok(None);
        };
        let leg = self.leg_of(&replaces);
        let state = leg.and_then(|leg| self.state(leg));
        match state {
            Some(State::Confirmed | State::AwaitingAck | State::AwaitingAnswer) => {
                match replaces.early_only {
                    true => Err(Refusal::new(486, "Replaces is for an early dialog only")),
                    false => Ok(leg),
                }
            }
            Some(State::Leaving) => Err(Refusal::new(603, "Replaces names a call that ends")),
            Some(State::Calling) => Ok(leg),
            // An early dialog that the peer initiated is not replaced.
            Some(State::Incoming | State::Cancelling) | None => {
                Err(Refusal::new(481, "Replaces matches no dialog"))
            }
        }
    }
}
