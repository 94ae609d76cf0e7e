//! Owns the table of INVITE usages ("legs") and the index from dialog to leg. It decides nothing about calls.

use super::event::{HangupReason, LegId};
use super::io::{Io, LegTimer, TxId, Wake};
use super::referral::Referral;
use super::reinvite::Offer;
use super::reliable::{Exchange, Reliable};
use super::session::Session;
use super::transfer::SentRefer;
use crate::dialog::Dialog;
use crate::digest::Credentials;
use crate::flow::Flow;
use crate::header::HeaderId;
use crate::message::Frame;
use crate::timer::TimerKey;
use crate::transaction::key::Key;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Most early dialogs of one INVITE; responses of further forks are reported but open none.
pub(super) const MAX_EARLY: usize = 8;
/// Most INFO requests of one leg that wait for the application.
pub(super) const MAX_INFOS: usize = 16;

/// Where an INVITE usage stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// UAS: no final response yet.
    Incoming,
    /// UAS: our 2xx waits for its ACK.
    AwaitingAck,
    /// UAC: no final response yet.
    Calling,
    /// UAC: CANCEL is out.
    Cancelling,
    /// UAC: a 2xx with an offer waits for the application's ACK.
    AwaitingAnswer,
    Confirmed,
    /// BYE is out.
    Leaving,
}

/// A 2xx of ours that waits for its ACK.
#[derive(Debug)]
pub(super) struct Success {
    pub(super) cseq: u32,
    pub(super) flow: Flow,
    pub(super) bytes: Bytes,
    pub(super) interval: Duration,
}

/// A re-INVITE or UPDATE of ours.
#[derive(Debug)]
pub(super) enum Outgoing {
    None,
    Sent {
        tx: TxId,
        offer: Offer,
    },
    /// It met one of the peer's (491) and goes out again when the timer fires. `stale` when a later description of
    /// ours went out meanwhile.
    Waiting {
        offer: Offer,
        stale: bool,
    },
}

/// A dialog that a provisional response opened. Its place in [`Leg::early`] is the number of the fork.
#[derive(Debug)]
pub(super) struct Early {
    pub(super) dialog: Dialog,
    /// The number of its last reliable provisional response.
    pub(super) last_rseq: Option<u32>,
    /// The reliable provisional response whose offer waits for the application.
    pub(super) owed: Option<u32>,
    /// Offer and answer have passed, reliably.
    pub(super) exchanged: bool,
}

/// One INVITE usage.
#[derive(Debug)]
pub(super) struct Leg {
    pub(super) state: State,
    /// The transaction of the INVITE that made it.
    pub(super) invite: TxId,
    /// We sent the INVITE, so the Call-ID is ours.
    pub(super) caller: bool,
    /// Our INVITE held an offer.
    pub(super) offered: bool,
    /// The path of the INVITE.
    pub(super) flow: Flow,
    /// The dialog: a UAC has none before the 2xx.
    pub(super) dialog: Option<Dialog>,
    /// UAC: the dialogs of provisional responses.
    pub(super) early: Vec<Early>,
    /// What answers challenges to its requests, and where they come from when they may be answered: whither the
    /// INVITE went. A peer that moves the dialog elsewhere does not move the credentials.
    pub(super) credentials: Option<(Flow, Arc<Credentials>)>,
    /// The user part of our Contact.
    pub(super) contact_user: Option<String>,
    /// The CSeq number of the INVITE that made it, or the peer's for a UAS.
    pub(super) invite_cseq: u32,
    /// The application hung up before it was possible to say so.
    pub(super) hangup: Option<Option<HangupReason>>,
    /// Nobody answered our INVITE in time.
    pub(super) timed_out: bool,
    pub(super) success: Option<Success>,
    /// The peer's re-INVITE that waits for the application.
    pub(super) incoming: Option<TxId>,
    pub(super) outgoing: Outgoing,
    /// UAS: where the exchange of the INVITE stands.
    pub(super) exchange: Exchange,
    /// UAS: the provisional responses that wait for PRACK.
    pub(super) reliable: Reliable,
    pub(super) session: Session,
    /// The peer's REFERs that wait for an answer or are still told about.
    pub(super) referrals: Vec<Referral>,
    /// A REFER came already.
    pub(super) referred: bool,
    /// Our REFERs that are not done.
    pub(super) refers: Vec<SentRefer>,
    /// The peer allows UPDATE.
    pub(super) peer_updates: bool,
    /// Our latest description that is or may be in force.
    pub(super) last_sdp: Option<Bytes>,
    pub(super) infos: Vec<TxId>,
    timers: [Option<TimerKey>; LegTimer::COUNT],
}

impl Leg {
    pub(super) fn new(state: State, invite: TxId, flow: Flow, dialog: Option<Dialog>) -> Self {
        Self {
            state,
            invite,
            caller: state == State::Calling,
            offered: false,
            flow,
            dialog,
            early: Vec::new(),
            credentials: None,
            contact_user: None,
            invite_cseq: 1,
            hangup: None,
            timed_out: false,
            success: None,
            incoming: None,
            outgoing: Outgoing::None,
            exchange: Exchange::None,
            reliable: Reliable::default(),
            session: Session::default(),
            referrals: Vec::new(),
            referred: false,
            refers: Vec::new(),
            peer_updates: false,
            last_sdp: None,
            infos: Vec::new(),
            timers: [None; LegTimer::COUNT],
        }
    }

    pub(super) fn arm(
        &mut self,
        io: &mut Io,
        now: Instant,
        id: LegId,
        timer: LegTimer,
        after: Duration,
    ) {
        self.disarm(io, timer);
        self.timers[timer as usize] = Some(io.timers.arm(now, after, Wake::Leg(id, timer)));
    }

    pub(super) fn disarm(&mut self, io: &mut Io, timer: LegTimer) {
        if let Some(key) = self.timers[timer as usize].take() {
            io.timers.cancel(key);
        }
    }

    pub(super) fn disarm_all(&mut self, io: &mut Io) {
        for key in self.timers.iter_mut().filter_map(Option::take) {
            io.timers.cancel(key);
        }
    }

    /// The dialog, confirmed or early, with this key.
    pub(super) fn dialog_of(&mut self, key: &[u8]) -> Option<&mut Dialog> {
        let confirmed = self
            .dialog
            .as_mut()
            .filter(|dialog| dialog.key().as_ref() == key);
        match confirmed {
            Some(dialog) => Some(dialog),
            None => self
                .early
                .iter_mut()
                .map(|early| &mut early.dialog)
                .find(|dialog| dialog.key().as_ref() == key),
        }
    }

    /// A request of ours went out again as another transaction, with this number.
    pub(super) fn replace_tx(&mut self, old: TxId, new: TxId, cseq: u32) {
        if let Some(refer) = self.refers.iter_mut().find(|refer| refer.tx == old) {
            (refer.tx, refer.cseq) = (new, cseq);
        }
        let mut notified = self.referrals.iter_mut();
        if let Some(referral) = notified.find(|known| known.notify == Some(old)) {
            referral.notify = Some(new);
        }
        if self.invite == old {
            self.invite = new;
        }
        if let Outgoing::Sent { tx, .. } = &mut self.outgoing
            && *tx == old
        {
            *tx = new;
        }
    }

    /// What a message of the peer says about what it can do.
    pub(super) fn learn(&mut self, message: &Frame<'_>) {
        if message.header(HeaderId::Allow).is_some() {
            self.peer_updates = message.lists(HeaderId::Allow, "UPDATE");
        }
    }

    /// The number of the fork with this To tag; the next one for a fork that opened no early dialog.
    pub(super) fn fork(&self, tag: &[u8]) -> u8 {
        let known = self.early.iter();
        let place = known.take_while(|early| early.dialog.remote_tag() != tag);
        u8::try_from(place.count()).unwrap_or(u8::MAX)
    }
}

/// All legs.
#[derive(Debug, Default)]
pub(super) struct Legs {
    by_id: HashMap<LegId, Leg>,
    by_dialog: HashMap<Key, LegId>,
    by_flow: BTreeSet<(Flow, LegId)>,
    last_id: u64,
}

impl Legs {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn dialogs(&self) -> usize {
        self.by_dialog.len()
    }

    /// The identity of the next leg to [`Legs::insert`].
    pub(super) fn next_id(&mut self) -> LegId {
        self.last_id += 1;
        LegId(self.last_id)
    }

    pub(super) fn insert(&mut self, id: LegId, leg: Leg) {
        self.by_flow.insert((leg.flow, id));
        if let Some(dialog) = &leg.dialog {
            self.by_dialog.insert(dialog.key(), id);
        }
        self.by_id.insert(id, leg);
    }

    pub(super) fn of(&mut self, id: LegId) -> Option<&mut Leg> {
        self.by_id.get_mut(&id)
    }

    pub(super) fn find(&self, dialog: &[u8]) -> Option<LegId> {
        self.by_dialog.get(dialog).copied()
    }

    /// The legs whose INVITE went over `flow`, oldest first.
    pub(super) fn on_flow(&self, flow: Flow) -> Vec<LegId> {
        self.by_flow
            .range((flow, LegId(0))..=(flow, LegId(u64::MAX)))
            .map(|(_, id)| *id)
            .collect()
    }

    /// Files an early dialog of an outgoing INVITE, unless it is known or there are too many.
    pub(super) fn add_early(&mut self, id: LegId, dialog: Dialog) {
        let Some(leg) = self.by_id.get_mut(&id) else {
            return;
        };
        let key = dialog.key();
        if leg.early.len() < MAX_EARLY && !self.by_dialog.contains_key(&key) {
            self.by_dialog.insert(key, id);
            leg.early.push(Early {
                dialog,
                last_rseq: None,
                owed: None,
                exchanged: false,
            });
        }
    }

    /// The early dialogs are over.
    pub(super) fn forget_early(&mut self, id: LegId) {
        if let Some(leg) = self.by_id.get_mut(&id) {
            for early in leg.early.drain(..) {
                self.by_dialog.remove(&early.dialog.key());
            }
        }
    }

    /// Files the leg under the path its requests take now.
    pub(super) fn follow(&mut self, id: LegId) {
        let Some(leg) = self.by_id.get_mut(&id) else {
            return;
        };
        let path = leg.dialog.as_ref().map(Dialog::path);
        if let Some(path) = path.filter(|path| path.transport.is_reliable() && *path != leg.flow) {
            self.by_flow.remove(&(leg.flow, id));
            leg.flow = path;
            self.by_flow.insert((path, id));
        }
    }

    /// The connection under the leg is gone.
    pub(super) fn disconnected(&mut self, id: LegId, flow: Flow) {
        if let Some(leg) = self.by_id.get_mut(&id) {
            let early = leg.early.iter_mut().map(|early| &mut early.dialog);
            for dialog in leg.dialog.iter_mut().chain(early) {
                if dialog.path() == flow {
                    dialog.disconnected();
                }
            }
            self.follow(id);
        }
    }

    /// What went over `old` goes over `new` from now on.
    pub(super) fn moved(&mut self, old: Flow, new: Flow) {
        for id in self.on_flow(old) {
            let Some(leg) = self.by_id.get_mut(&id) else {
                continue;
            };
            let early = leg.early.iter_mut().map(|early| &mut early.dialog);
            for dialog in leg.dialog.iter_mut().chain(early) {
                dialog.moved(old, new);
            }
            leg.flow = new;
            self.by_flow.remove(&(old, id));
            self.by_flow.insert((new, id));
        }
    }

    /// Makes one dialog the leg's own; the early ones are forgotten (RFC 3261 §13.2.2.4).
    pub(super) fn confirm(&mut self, id: LegId, mut dialog: Dialog) {
        let Some(leg) = self.by_id.get_mut(&id) else {
            return;
        };
        for early in leg.early.drain(..) {
            let key = early.dialog.key();
            if key == dialog.key() {
                dialog.inherit(&early.dialog);
            }
            self.by_dialog.remove(&key);
        }
        self.by_dialog.insert(dialog.key(), id);
        leg.dialog = Some(dialog);
        self.follow(id);
    }

    /// Takes a leg out, with its deadlines and dialogs.
    pub(super) fn remove(&mut self, io: &mut Io, id: LegId) -> Option<Leg> {
        let mut leg = self.by_id.remove(&id)?;
        leg.disarm_all(io);
        self.by_flow.remove(&(leg.flow, id));
        let early = leg.early.iter().map(|early| &early.dialog);
        for dialog in leg.dialog.iter().chain(early) {
            self.by_dialog.remove(&dialog.key());
        }
        Some(leg)
    }
}
