//! Transfers within a bridge. Blind: the target is dialled like any other, with the rights of whoever transfers; when somebody answers,
//! the other party is joined with them, else both parties of the bridge are as they were. Attended: the other party takes the place of
//! the transferor in its second call.
use super::super::caller::Caller;
use super::super::dial::Dialled;
use super::super::directory::Found;
use super::super::events::{EventKind, cut};
use super::super::hunt::{Hunt, Hunted};
use super::super::leg::{End, Leg, hangup_reason};
use super::super::see_off::Escorted;
use super::super::transfer::{Referral, Transfer, as_transfer, failed_status, transferred};
use super::super::verb::Outcome;
use super::super::{Refusal, causes};
use super::bridge::{Bridged, Side};
use super::{Executor, VerbResult};
use crate::net::sip::Command;
use serde_json::json;
use std::time::Duration;
use tokio::sync::oneshot;
use trunkline_sip::refer::Replaces;
use trunkline_sip::{LegId, ReferId};

/// How long whoever transferred may take to hang up by itself.
const PATIENCE: Duration = Duration::from_secs(2);

impl Executor<'_> {
    /// One side asks for a transfer.
    pub(super) async fn refer(
        &mut self,
        bridged: &mut Bridged,
        side: Side,
        referral: Referral,
    ) -> Option<VerbResult> {
        let referrer = self.leg_at(bridged, side)?;
        let origin = referrer.refer_origin(&referral.origin);
        tracing::info!(
            by = referrer.label(),
            target = referral.target.uri,
            attended = referral.target.replaces.is_some(),
            "transfer asked for"
        );
        let (by, asked) = (cut(referrer.label()), &referral.target);
        self.call.tell(
            EventKind::TransferAsked,
            || json!({"by": by, "target": cut(&asked.uri), "attended": asked.replaces.is_some()}),
        );
        let policy = &self.call.in_force.settings.transfer;
        let refusal = match (&bridged.transfer, &bridged.peer) {
            (Some(_), _) => Some(Refusal::new(
                491,
                "transfer-pending",
                "one transfer is under way".to_owned(),
            )),
            (_, None) => Some(Refusal::new(
                403,
                "transfer-alone",
                "there is nobody to transfer".to_owned(),
            )),
            _ => referral.refused(policy, &origin),
        };
        if let Some(refusal) = refusal {
            self.call.calls.counters.refused(refusal.rule);
            referrer.refuse_refer(referral.id, &refusal);
            return None;
        }
        if let Some(replaces) = &referral.target.replaces
            && let Some(place) = self.leg_of(replaces).await
        {
            return self.hand_over(bridged, side, referral.id, place).await;
        }
        self.dial_transfer(bridged, side, &referral, origin).await
    }

    fn leg_at<'l>(&'l self, bridged: &'l Bridged, side: Side) -> Option<&'l Leg> {
        match side {
            Side::Own => Some(self.leg),
            Side::Peer => bridged.peer.as_deref(),
        }
    }

    /// The leg of ours whose dialog that is.
    async fn leg_of(&mut self, replaces: &Replaces) -> Option<LegId> {
        let (reply, answer) = oneshot::channel();
        let ask = Command::LegOf(replaces.clone(), reply);
        self.call.calls.sip.send(ask);
        answer.await.ok().flatten()
    }

    /// Attended: the party that is not `side` goes to where the transferor talks with somebody else.
    async fn hand_over(
        &mut self,
        bridged: &mut Bridged,
        side: Side,
        id: ReferId,
        place: LegId,
    ) -> Option<VerbResult> {
        let places = &self.call.calls.places;
        let own = [Some(self.leg.id), bridged.peer.as_ref().map(|peer| peer.id)];
        if own.contains(&Some(place)) || !places.is_free(place) {
            let text = "the call it wants is not there any more, or is this one".to_owned();
            let refusal = Refusal::new(481, "transfer-place-gone", text);
            self.leg_at(bridged, side)?.refuse_refer(id, &refusal);
            return None;
        }
        let mut leaving = bridged.peer.take()?;
        if side == Side::Peer {
            // The transferor's leg stays with the call until it hangs up.
            std::mem::swap(self.leg, &mut leaving);
        }
        self.leg.accept_refer(id);
        self.leg.part();
        // It may have been on hold: the music stays here.
        leaving.part();
        let leaving = leaving.into_leg();
        match places.take(place, leaving) {
            Ok(()) => {
                tracing::info!(
                    by = self.leg.label(),
                    "transferred to another call of theirs"
                );
                self.call
                    .tell(EventKind::TransferDone, || json!({"to": "another call"}));
                self.leg.notify_refer(id, 200);
                Some(Err(self.leave_after("transferred").await))
            }
            Err(back) => {
                self.leg.notify_refer(id, 481);
                bridged.peer = Some(Escorted::new(back));
                if side == Side::Peer
                    && let Some(peer) = &mut bridged.peer
                {
                    std::mem::swap(self.leg, peer);
                }
                self.rejoin(bridged);
                None
            }
        }
    }

    /// Gives the far end of the call's own leg time to hang up, then does it.
    async fn leave_after(&mut self, cause: &'static str) -> End {
        if let Ok(end) = tokio::time::timeout(PATIENCE, self.leg.ended()).await {
            return end;
        }
        let reason = hangup_reason("Q.850", 16, "Transferred");
        self.leg.hang_up(cause, Some(reason));
        self.leg.farewell().await
    }

    /// Blind, or to a dialog elsewhere: the target is looked for while both still talk.
    async fn dial_transfer(
        &mut self,
        bridged: &mut Bridged,
        side: Side,
        referral: &Referral,
        origin: trunkline_sip::Origin,
    ) -> Option<VerbResult> {
        let call = self.call;
        let (referrer, other) = match (side, bridged.peer.as_deref()) {
            (Side::Own, Some(peer)) => (&*self.leg, peer),
            (Side::Peer, Some(peer)) => (peer, &*self.leg),
            (_, None) => return None,
        };
        if self.caller.hops_left == 0 {
            let text = "the call has gone through as many servers as its Max-Forwards allows";
            let refusal = Refusal::new(483, "too-many-hops", text.to_owned());
            referrer.refuse_refer(referral.id, &refusal);
            return None;
        }
        let caller = transferred(&self.caller, other, origin);
        let target = referral.dial_target();
        // Looking up waits for no far end.
        match call
            .calls
            .directory
            .find(&call.info, &caller, &target, None)
            .await
        {
            Err(refusal) => {
                call.calls.counters.refused(refusal.rule);
                referrer.refuse_refer(referral.id, &refusal);
            }
            Ok(Found {
                program_of: Some(number),
                ..
            }) => return self.transfer_to_program(bridged, side, referral, &number, &caller),
            Ok(found) => {
                referrer.accept_refer(referral.id);
                let found = as_transfer(found, referral.replaces_header(), &referrer.identity);
                let hunt = Hunt::new(call.clone(), found, None, other.encoding());
                let id = referral.id;
                bridged.transfer = Some((side, Transfer { hunt, id }));
            }
        }
        None
    }

    /// Blind, to the number of a program: whoever is transferred goes on in that.
    fn transfer_to_program(
        &mut self,
        bridged: &mut Bridged,
        side: Side,
        referral: &Referral,
        number: &str,
        caller: &Caller,
    ) -> Option<VerbResult> {
        let next = match &referral.target.replaces {
            None => self.program_at(number, caller),
            Some(_) => {
                let text = "a program has no call elsewhere to give away".to_owned();
                Err(Refusal::new(481, "transfer-place-gone", text))
            }
        };
        let next = match next {
            Ok(next) => next,
            Err(refusal) => {
                self.call.calls.counters.refused(refusal.rule);
                self.leg_at(bridged, side)?
                    .refuse_refer(referral.id, &refusal);
                return None;
            }
        };
        let mut referrer = bridged.peer.take()?;
        self.leg.part();
        if side == Side::Own {
            std::mem::swap(self.leg, &mut referrer);
            self.leg.part();
        } else {
            referrer.part();
        }
        tracing::info!(party = self.leg.label(), "transferred to a program");
        self.call
            .tell(EventKind::TransferDone, || json!({"to": "program"}));
        referrer.accept_refer(referral.id);
        referrer.notify_refer(referral.id, 200);
        referrer.see_off_after(PATIENCE, "transferred");
        Some(Ok(self.hand_to(next)))
    }

    /// What the hunt for the transfer's target reports.
    pub(super) fn transfer_event(
        &mut self,
        bridged: &mut Bridged,
        hunted: Hunted,
    ) -> Option<VerbResult> {
        match hunted {
            Hunted::Progress { status, early } => {
                self.transfer_progress(bridged, status, early);
                None
            }
            Hunted::Answered(new, label) => {
                self.transfer_answered(bridged, new, label);
                None
            }
            Hunted::Nobody(dialled) => self.transfer_failed(bridged, dialled),
        }
    }

    fn transfer_progress(&mut self, bridged: &mut Bridged, status: u16, early: bool) {
        let Some((side, transfer)) = &mut bridged.transfer else {
            return;
        };
        match (&bridged.peer, side) {
            (None, _) => {
                // Nobody else is heard any more: the callee may be.
                if early && let Some(callee) = transfer.hunt.early() {
                    self.leg.music(false);
                    self.leg.join(callee);
                }
            }
            (Some(_), Side::Own) => self.leg.notify_refer(transfer.id, status),
            (Some(peer), Side::Peer) => peer.notify_refer(transfer.id, status),
        }
    }

    fn transfer_answered(&mut self, bridged: &mut Bridged, new: Escorted, label: String) {
        let Some((side, transfer)) = bridged.transfer.take() else {
            return;
        };
        tracing::info!(to = label, "transferred");
        self.call
            .tell(EventKind::TransferDone, || json!({"to": cut(&label)}));
        self.leg.part();
        if let Some(mut peer) = bridged.peer.take() {
            if side == Side::Own {
                std::mem::swap(self.leg, &mut peer);
            } else {
                // An agent who passes its caller on has served it.
                self.serving = None;
            }
            // The transferor is in the peer's place now.
            peer.notify_refer(transfer.id, 200);
            peer.part();
            peer.see_off_after(PATIENCE, "transferred");
        }
        bridged.label = label;
        bridged.peer = Some(new);
        self.rejoin(bridged);
    }

    fn transfer_failed(&mut self, bridged: &mut Bridged, dialled: Dialled) -> Option<VerbResult> {
        let (side, transfer) = bridged.transfer.take()?;
        let status = failed_status(&dialled);
        tracing::info!(to = dialled.target, status, "transfer failed");
        self.call.tell(
            EventKind::TransferFailed,
            || json!({"to": cut(&dialled.target), "status": status}),
        );
        match (&bridged.peer, side) {
            (None, _) => {
                // Whoever was to be transferred is alone.
                let cause = causes::q850_of(status).unwrap_or(dialled.cause);
                let end = bridged
                    .left
                    .take()
                    .unwrap_or(End::by("us", "transfer-failed"));
                let after = Dialled {
                    cause,
                    ..bridged.after(&end)
                };
                return Some(Ok(Outcome::Dialled(after)));
            }
            (Some(_), Side::Own) => self.leg.notify_refer(transfer.id, status),
            (Some(peer), Side::Peer) => peer.notify_refer(transfer.id, status),
        }
        self.rejoin(bridged);
        None
    }
}
