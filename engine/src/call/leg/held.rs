//! Orders from outside that change how a leg is treated: muted, on hold; and what of it is known outside.
use super::{Input, Leg};
use crate::call::context::CallContext;
use crate::call::control::LegSnapshot;
use crate::net::sip::Command;
use std::sync::Arc;
use trunkline_sip::Message;
use trunkline_sip::offer_answer::Direction;

use super::description::session_description;

/// How often an offer that is out of date is made anew.
const MOST_REOFFERS: u8 = 3;

impl Leg {
    /// Whether the others hear it; counts where it is joined with others.
    pub(in super::super) fn set_muted(&mut self, on: bool) {
        self.muted = on;
        self.note();
    }

    /// Puts the far end on hold, or resumes: our description says that we send only (RFC 3264 section 8.4), or both.
    pub(in super::super) fn set_held(&mut self, on: bool) {
        if on == self.put_on_hold {
            return;
        }
        self.put_on_hold = on;
        self.note();
        self.reoffers = 0;
        self.offer_direction();
    }

    /// One offer at a time (RFC 3264 section 4); what has changed meanwhile is [`Self::catch_up`]'s.
    fn offer_direction(&mut self) {
        if !self.confirmed || self.negotiation.is_offering() {
            return;
        }
        self.offered_hold = self.put_on_hold;
        let direction = if self.put_on_hold {
            Direction::SendOnly
        } else {
            Direction::SendRecv
        };
        let offer = self.negotiation.offer_again(direction);
        self.tell(Command::Reinvite(self.id, offer));
    }

    /// An offer may be made again: the far end is told where it was put on hold or resumed meanwhile.
    pub(super) fn catch_up(&mut self) {
        if self.offered_hold != self.put_on_hold {
            self.reoffers = 0;
            self.offer_direction();
        }
    }

    /// What it says is not for the others.
    pub(in super::super) fn is_muted(&self) -> bool {
        self.muted || self.put_on_hold
    }

    /// Whether an order holds it.
    pub(in super::super) fn is_put_on_hold(&self) -> bool {
        self.put_on_hold
    }

    /// The far end answers an offer of ours within the call, or a refresh of the session timer.
    pub(super) fn reinvite_answered(&mut self, response: &Message) -> Option<Input> {
        let changed = match self.negotiation.is_offering() {
            true => {
                self.take_answer(&session_description(response));
                Some(Input::MediaChanged)
            }
            false => self.refreshed(response),
        };
        self.catch_up();
        changed
    }

    /// It refuses our offer: the audio is as it was agreed before, and held or resumed by us alone.
    pub(super) fn reinvite_rejected(&mut self, status: u16) {
        self.negotiation.withdraw();
        // RFC 3261 section 14.1: both have offered at once, and by now ours is out of date.
        if status == 491 && self.reoffers < MOST_REOFFERS {
            self.reoffers += 1;
            return self.offer_direction();
        }
        if status == 491 {
            // It was never asked: when the next exchange is over it is.
            self.offered_hold = !self.put_on_hold;
        } else {
            self.catch_up();
        }
        tracing::info!(
            party = self.label(),
            status,
            rule = "re-invite-refused-by-peer",
            "the far end refuses our re-INVITE; what it hears is as ordered all the same"
        );
    }

    /// Takes note of the leg in what is known of its call.
    pub(super) fn note(&self) {
        let known = LegSnapshot {
            leg: self.id.number(),
            party: self.label().to_owned(),
            direction: self.direction,
            answered: self.answered,
            held: self.put_on_hold,
            muted: self.muted,
        };
        self.settings
            .call
            .facts(|facts| facts.legs.insert(known.leg, known));
    }

    /// The leg belongs to another call from now on.
    pub(in super::super) fn belong_to(&mut self, call: &Arc<CallContext>) {
        let leg = self.id.number();
        self.settings.call.facts(|facts| facts.legs.remove(&leg));
        self.settings.call = call.clone();
        self.note();
    }
}
