//! Two legs joined: what one far end does, and what the other gets of it, until one is gone. Transfers of either are in `transfer.rs`.
use super::super::causes;
use super::super::control::{Ordered, Orders};
use super::super::dial::{DialEnd, Dialled};
use super::super::events::{EventKind, cut};
use super::super::hunt::Hunted;
use super::super::leg::{End, Input, Leg};
use super::super::see_off::Escorted;
use super::super::supervision::{Knock, Open};
use super::super::transfer::Transfer;
use super::super::verb::{KeyPress, Outcome};
use super::dial::passed_on;
use super::{Executor, VerbResult};
use crate::net::sip::Command;
use serde_json::json;
use std::time::Instant;
use trunkline_dsp::progress::Heard;

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// The call's own leg.
    Own,
    /// The dialled one.
    Peer,
}

/// The dialled half of a bridge, and a transfer that changes it.
pub(super) struct Bridged {
    /// Gone while a transfer goes on without whoever asked for it.
    pub(super) peer: Option<Escorted>,
    pub(super) label: String,
    /// The transfer under way, and who asked for it.
    pub(super) transfer: Option<(Side, Transfer)>,
    pub(super) joined: Instant,
    /// How whoever left first went.
    pub(super) left: Option<End>,
    /// Where supervisors can join an agent's conversation.
    pub(super) open: Option<Open>,
}

/// What happens next.
enum Next {
    Own(Input),
    Peer(Input),
    Transfer(Hunted),
    Order(Ordered),
    Knock(Knock),
}

impl Executor<'_> {
    /// Joins the call's leg with `peer` until one of them is gone and no transfer goes on.
    pub(super) async fn bridge(&mut self, peer: Escorted, label: String) -> VerbResult {
        let mut bridged = Bridged {
            peer: Some(peer),
            label,
            transfer: None,
            joined: Instant::now(),
            left: None,
            open: self
                .bridge_of
                .as_ref()
                .map(|agent| self.call.calls.supervision.open(agent)),
        };
        self.rejoin(&mut bridged);
        let outcome = self.bridge_until_over(&mut bridged).await;
        self.end_supervision(&mut bridged);
        self.leg.part();
        self.call.facts(|facts| facts.bridged_with = None);
        self.call.tell(
            EventKind::CallUnbridged,
            || json!({"with": cut(&bridged.label), "seconds": bridged.joined.elapsed().as_secs()}),
        );
        if let (Err(end), Some(peer)) = (&outcome, bridged.peer) {
            peer.see_off("other-party", Some(passed_on(end)));
        }
        outcome
    }

    async fn bridge_until_over(&mut self, bridged: &mut Bridged) -> VerbResult {
        loop {
            let done = match bridged.next(self.leg, &mut self.orders).await {
                Next::Own(Input::Ended(end)) => self.own_ended(bridged, end),
                Next::Peer(Input::Ended(end)) => self.peer_ended(bridged, end),
                Next::Knock(knock) => {
                    self.knocked(bridged, knock);
                    None
                }
                Next::Own(Input::MediaChanged | Input::Confirmed)
                | Next::Peer(Input::MediaChanged | Input::Confirmed)
                    if bridged.is_supervised() =>
                {
                    self.settle_room(bridged, false);
                    None
                }
                Next::Own(Input::Replaced) | Next::Peer(Input::Replaced)
                    if bridged.is_supervised() =>
                {
                    self.settle_room(bridged, true);
                    None
                }
                Next::Own(Input::Refer(referral)) => {
                    self.unsupervise(bridged);
                    self.refer(bridged, Side::Own, referral).await
                }
                Next::Peer(Input::Refer(referral)) => {
                    self.unsupervise(bridged);
                    self.refer(bridged, Side::Peer, referral).await
                }
                Next::Peer(Input::Tone(heard)) => self.peer_tone(bridged, heard),
                Next::Own(Input::Message(message)) | Next::Peer(Input::Message(message)) => {
                    self.message(message);
                    None
                }
                Next::Own(input) => {
                    if let Some(peer) = &mut bridged.peer {
                        across(self.leg, peer, input);
                    }
                    None
                }
                Next::Peer(input) => {
                    if let Some(peer) = &mut bridged.peer {
                        across(peer, self.leg, input);
                    }
                    None
                }
                Next::Transfer(hunted) => self.transfer_event(bridged, hunted),
                Next::Order(ordered) => self.bridged_order(bridged, ordered),
            };
            if let Some(result) = done {
                return result;
            }
        }
    }

    /// Carries out an order; what it returns ends the bridge.
    fn bridged_order(&mut self, bridged: &mut Bridged, ordered: Ordered) -> Option<VerbResult> {
        match self.take_order(ordered, Some(bridged))? {
            Input::Ended(end) => Some(Err(end)),
            Input::PeerTaken => {
                let end = End::by("us", "transferred");
                Some(Ok(Outcome::Dialled(bridged.after(&end))))
            }
            Input::Treated if bridged.is_supervised() => {
                self.settle_room(bridged, false);
                None
            }
            Input::Treated => {
                if let Some(peer) = &mut bridged.peer {
                    hear_each_other(self.leg, peer);
                }
                None
            }
            _ => None,
        }
    }

    /// Joins whoever is there now.
    pub(super) fn rejoin(&mut self, bridged: &mut Bridged) {
        self.leg.set_transferable(true);
        let Some(peer) = &mut bridged.peer else {
            return;
        };
        peer.set_transferable(true);
        tracing::info!(
            with = bridged.label,
            codec = self.leg.codec(),
            peer_codec = peer.codec(),
            "joined"
        );
        hear_each_other(self.leg, peer);
        self.call
            .facts(|facts| facts.bridged_with = Some(bridged.label.clone()));
        self.call.tell(
            EventKind::CallBridged,
            || json!({"with": cut(&bridged.label), "leg": peer.id.number(), "codec": self.leg.codec(), "peer_codec": peer.codec()}),
        );
    }

    fn own_ended(&mut self, bridged: &mut Bridged, end: End) -> Option<VerbResult> {
        let asked = matches!(bridged.transfer, Some((Side::Own, _)));
        match &mut bridged.peer {
            // Whoever is transferred stays, and is the call's own leg from now on.
            Some(peer) if asked => {
                std::mem::swap(self.leg, peer);
                bridged.referrer_gone(end);
                self.leg.part();
                self.leg.music(true);
                None
            }
            _ => Some(Err(end)),
        }
    }

    /// Who was dialled answered with a tone: nobody is there.
    fn peer_tone(&mut self, bridged: &mut Bridged, heard: Heard) -> Option<VerbResult> {
        let (status, cause) = bridged.peer.as_ref()?.refused_by(heard)?;
        if bridged.transfer.is_some() {
            return None;
        }
        tracing::info!(
            with = bridged.label,
            tone = heard.kind.name(),
            q850 = cause,
            rule = "tone",
            "the callee's network answered with a tone: hanging it up"
        );
        let end = End {
            q850: Some(cause),
            ..End::by("us", "tone")
        };
        let dialled = Dialled {
            status,
            tone: Some(heard.kind),
            ..bridged.after(&end)
        };
        if let Some(peer) = bridged.peer.take() {
            peer.see_off("tone", Some(causes::q850_reason(16)));
        }
        Some(Ok(Outcome::Dialled(dialled)))
    }

    fn peer_ended(&mut self, bridged: &mut Bridged, end: End) -> Option<VerbResult> {
        if matches!(bridged.transfer, Some((Side::Peer, _))) {
            bridged.referrer_gone(end);
            self.leg.part();
            self.leg.music(true);
            return None;
        }
        Some(Ok(Outcome::Dialled(bridged.after(&end))))
    }
}

impl Bridged {
    /// The next thing that happens; nothing is lost when this is dropped.
    async fn next(&mut self, own: &mut Leg, orders: &mut Orders) -> Next {
        let peer = async {
            match &mut self.peer {
                Some(peer) => peer.next().await,
                None => std::future::pending().await,
            }
        };
        let transfer = async {
            match &mut self.transfer {
                Some((_, transfer)) => transfer.hunt.next().await,
                None => std::future::pending().await,
            }
        };
        let knock = async {
            match &mut self.open {
                Some(open) => open.knock().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            input = own.next() => Next::Own(input),
            input = peer => Next::Peer(input),
            hunted = transfer => Next::Transfer(hunted),
            ordered = orders.next() => Next::Order(ordered),
            knock = knock => Next::Knock(knock),
        }
    }

    /// A supervisor is there.
    pub(super) fn is_supervised(&self) -> bool {
        self.open
            .as_ref()
            .is_some_and(|open| open.joint().is_some())
    }

    /// Whoever asked for the transfer does not wait for its outcome; its leg stands in the peer's place.
    fn referrer_gone(&mut self, end: End) {
        tracing::info!(by = end.by, "the transferor is gone; the transfer goes on");
        self.peer = None;
        self.left = Some(end);
    }

    /// Somebody answered, and is gone.
    pub(super) fn after(&self, end: &End) -> Dialled {
        let seconds = self.joined.elapsed().as_secs() as u32;
        tracing::info!(
            by = end.by,
            cause = end.cause,
            q850 = end.q850,
            seconds,
            "callee is gone"
        );
        Dialled {
            how: DialEnd::Answered { seconds },
            target: self.label.clone(),
            status: 200,
            cause: end
                .q850
                .unwrap_or(if end.by == "network" { 41 } else { 16 }),
            tone: None,
            retry_after: None,
        }
    }
}

/// What one side did, brought to the other.
fn across(from: &mut Leg, to: &mut Leg, input: Input) {
    match input {
        Input::KeyDown(digit, source) if from.crosses(to, source) => to.press_down(digit),
        Input::Key(key) => pass_key(from, to, key),
        // The answer to a late offer comes with the ACK.
        Input::MediaChanged | Input::Confirmed | Input::Replaced => hear_each_other(from, to),
        Input::Info { kind, body } => to.tell(Command::Info(to.id, kind.to_owned(), body)),
        _ => {}
    }
}

fn hear_each_other(one: &mut Leg, other: &mut Leg) {
    one.join(other);
    one.music(other.is_held() || one.is_put_on_hold());
    other.music(one.is_held() || other.is_put_on_hold());
}

fn pass_key(from: &mut Leg, to: &mut Leg, key: KeyPress) {
    from.say_digit(&key, false);
    if from.crosses(to, key.source) || to.is_pressed(key.digit) {
        tracing::info!(source = ?key.source, by = ?to.key_path(), "key passed on");
        to.press(key.digit, key.duration_ms);
    }
}
