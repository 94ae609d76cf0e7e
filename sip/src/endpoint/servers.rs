//! Owns the table of server transactions: the machines, the latest response of each, and how they are found. What is
//! left of those that have their last response is in `linger`.
//!
//! It decides nothing about calls. The number of entries is bounded by `EndpointConfig::max_transactions`, which the
//! screening of requests enforces; each entry has a timer or a leg that ends it.

use super::event::LegId;
use super::io::{Io, Slot, TxId, Wake};
use super::linger::{Answered, Lingering, SharedKey};
use crate::build::MessageBuilder;
use crate::flow::Flow;
use crate::identity::Token;
use crate::message::Message;
use crate::timer::{TimerKey, Timers};
use crate::transaction::key::Key;
use crate::transaction::server_invite::{self, ServerInvite};
use crate::transaction::server_non_invite::{self, ServerNonInvite};
use crate::transaction::{Arm, End, Step};
use bytes::Bytes;
use std::collections::HashMap;
use std::time::Instant;

#[derive(Clone, Copy, Debug)]
enum Machine {
    Invite(ServerInvite),
    Other(ServerNonInvite),
}

impl Machine {
    fn start(invite: bool, reliable: bool, timers: &Timers) -> (Self, Step) {
        if invite {
            return (Self::Invite(ServerInvite::new(reliable)), Step::NONE);
        }
        let (machine, step) = ServerNonInvite::new(reliable, timers);
        (Self::Other(machine), step)
    }
}

/// One request being answered.
#[derive(Debug)]
pub(super) struct ServerTx {
    machine: Machine,
    pub(super) request: Message,
    /// The path the request came by.
    pub(super) flow: Flow,
    /// The path of the responses.
    pub(super) reply: Flow,
    /// The To tag of the responses, when the request has none.
    pub(super) tag: Token,
    /// The usage that answers it.
    pub(super) leg: Option<LegId>,
    key: SharedKey,
    merge: Option<SharedKey>,
    latest: Option<Bytes>,
    timers: [Option<TimerKey>; 2],
}

impl ServerTx {
    /// A response with the headers every one has.
    pub(super) fn response(&self, status: u16, reason: &str) -> MessageBuilder {
        let frame = self.request.frame();
        MessageBuilder::response_to(
            &frame,
            status,
            reason,
            Some(self.tag.as_str()),
            Some(self.flow.remote),
        )
    }

    /// Whether nothing but repeated requests can come: the INVITE is accepted, or another request answered.
    fn is_settled(&self) -> bool {
        match self.machine {
            Machine::Invite(machine) => machine.state() == server_invite::State::Accepted,
            Machine::Other(machine) => machine.state() == server_non_invite::State::Completed,
        }
    }

    /// Whether the INVITE still has no final response.
    pub(super) fn is_pending(&self) -> bool {
        match self.machine {
            Machine::Invite(machine) => machine.state() == server_invite::State::Proceeding,
            Machine::Other(machine) => machine.state() != server_non_invite::State::Completed,
        }
    }
}

/// An INVITE that a CANCEL has met.
#[derive(Clone, Copy, Debug)]
pub(super) struct ToCancel {
    /// It has no final response.
    pub(super) pending: bool,
    pub(super) leg: Option<LegId>,
    /// The To tag of its responses.
    pub(super) tag: Token,
}

/// What a new transaction starts from.
pub(super) struct Opening {
    pub(super) key: Key,
    pub(super) merge: Option<Key>,
    pub(super) request: Message,
    pub(super) flow: Flow,
    pub(super) reply: Flow,
    pub(super) tag: Token,
    pub(super) leg: Option<LegId>,
}

/// All server transactions.
#[derive(Debug, Default)]
pub(super) struct Servers {
    by_id: HashMap<TxId, ServerTx>,
    lingering: Lingering,
    by_key: HashMap<SharedKey, TxId>,
    by_merge: HashMap<SharedKey, TxId>,
}

impl Servers {
    pub(super) fn len(&self) -> usize {
        self.by_id.len() + self.lingering.len()
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<TxId> {
        self.by_key.get(key).copied()
    }

    /// Whether the same request came over another path (RFC 3261 §8.2.2.2).
    pub(super) fn is_merged(&self, merge: &[u8]) -> bool {
        self.by_merge.contains_key(merge)
    }

    /// A transaction that still waits for its last response, or for the ACK of a refusal.
    pub(super) fn of(&self, id: TxId) -> Option<&ServerTx> {
        self.by_id.get(&id)
    }

    /// What a CANCEL of an INVITE has to know of it, answered or not.
    pub(super) fn to_cancel(&self, id: TxId) -> Option<ToCancel> {
        if let Some(tx) = self.by_id.get(&id) {
            return Some(ToCancel {
                pending: tx.is_pending(),
                leg: tx.leg,
                tag: tx.tag,
            });
        }
        self.lingering.of(id).map(|answered| ToCancel {
            pending: false,
            leg: answered.leg,
            tag: answered.tag,
        })
    }

    /// The usage is gone: nobody is asked about this transaction any more.
    pub(super) fn release(&mut self, id: TxId) {
        if let Some(tx) = self.by_id.get_mut(&id) {
            tx.leg = None;
        } else {
            self.lingering.release(id);
        }
    }

    /// Opens a transaction for an INVITE (`invite`) or any other request.
    pub(super) fn open(
        &mut self,
        io: &mut Io,
        now: Instant,
        invite: bool,
        opening: Opening,
    ) -> TxId {
        let id = io.next_id();
        let reliable = opening.flow.transport.is_reliable();
        let (machine, step) = Machine::start(invite, reliable, &io.config);
        let Opening {
            key,
            merge,
            request,
            flow,
            reply,
            tag,
            leg,
        } = opening;
        let (key, merge) = (SharedKey::from(key), merge.map(SharedKey::from));
        self.by_key.insert(key.clone(), id);
        if let Some(merge) = &merge {
            self.by_merge.insert(merge.clone(), id);
        }
        let tx = ServerTx {
            machine,
            request,
            flow,
            reply,
            tag,
            leg,
            key,
            merge,
            latest: None,
            timers: [None; 2],
        };
        self.by_id.insert(id, tx);
        self.apply(io, now, id, step);
        id
    }

    /// The request came again.
    pub(super) fn retransmitted(&mut self, io: &mut Io, now: Instant, id: TxId) {
        if self.lingering.retransmitted(io, id) {
            return;
        }
        self.drive(
            io,
            now,
            id,
            server_invite::Input::Request,
            server_non_invite::Input::Request,
        );
    }

    /// An ACK matched; `true` when it is for a 2xx and so belongs to the usage.
    pub(super) fn acknowledged(&mut self, io: &mut Io, now: Instant, id: TxId) -> bool {
        let Some(tx) = self.by_id.get_mut(&id) else {
            // RFC 6026 §7.1: in Accepted every ACK is passed on.
            return self.lingering.of(id).is_some();
        };
        let Machine::Invite(machine) = &mut tx.machine else {
            return false;
        };
        let step = machine.step(server_invite::Input::Ack, &io.config);
        self.apply(io, now, id, step);
        step.deliver
    }

    /// Sends a response through the machine: a second final response has no effect, but a 2xx may be repeated.
    pub(super) fn respond(
        &mut self,
        io: &mut Io,
        now: Instant,
        id: TxId,
        status: u16,
        bytes: Bytes,
    ) {
        let Some(tx) = self.by_id.get_mut(&id) else {
            return;
        };
        let step = match &mut tx.machine {
            Machine::Invite(machine) => machine.step(invite_input(status), &io.config),
            Machine::Other(machine) => machine.step(other_input(status), &io.config),
        };
        if step.send {
            tx.latest = Some(bytes);
        }
        self.apply(io, now, id, step);
        self.linger(id);
    }

    /// Keeps of a transaction with its last response only what a repeated request asks for.
    fn linger(&mut self, id: TxId) {
        // The one timer that still runs ends it; it is found by the name of the transaction.
        let settled = |tx: &ServerTx| tx.is_settled() && matches!(tx.timers, [None, Some(_)]);
        if !self.by_id.get(&id).is_some_and(settled) {
            return;
        }
        let Some(tx) = self.by_id.remove(&id) else {
            return;
        };
        let answer = match tx.machine {
            Machine::Invite(_) => None,
            // A copy has no spare room.
            Machine::Other(_) => tx.latest.map(|latest| Bytes::copy_from_slice(&latest)),
        };
        let answered = Answered {
            key: tx.key,
            merge: tx.merge,
            answer: answer.map(|bytes| Box::new((tx.reply, bytes))),
            tag: tx.tag,
            leg: tx.leg,
        };
        self.lingering.insert(id, answered);
    }

    /// One of its timers fired.
    pub(super) fn fired(&mut self, io: &mut Io, now: Instant, id: TxId, slot: Slot) {
        let Some(tx) = self.by_id.get_mut(&id) else {
            if let Some(answered) = self.lingering.remove(id) {
                self.forget(&answered.key, answered.merge.as_ref());
            }
            return;
        };
        tx.timers[slot as usize] = None;
        match slot {
            Slot::Retransmit => {
                self.drive(
                    io,
                    now,
                    id,
                    server_invite::Input::Retransmit,
                    server_non_invite::Input::Request,
                );
            }
            Slot::Expire => self.drive(
                io,
                now,
                id,
                server_invite::Input::Expire,
                server_non_invite::Input::Expire,
            ),
        }
    }

    /// Forgets a transaction that can never be answered.
    pub(super) fn drop_unanswerable(&mut self, io: &mut Io, now: Instant, id: TxId) {
        self.apply(io, now, id, Step::ended(End::Transport));
    }

    fn drive(
        &mut self,
        io: &mut Io,
        now: Instant,
        id: TxId,
        invite: server_invite::Input,
        other: server_non_invite::Input,
    ) {
        let Some(tx) = self.by_id.get_mut(&id) else {
            return;
        };
        let step = match &mut tx.machine {
            Machine::Invite(machine) => machine.step(invite, &io.config),
            Machine::Other(machine) => machine.step(other, &io.config),
        };
        self.apply(io, now, id, step);
    }

    fn apply(&mut self, io: &mut Io, now: Instant, id: TxId, step: Step) {
        let Some(tx) = self.by_id.get_mut(&id) else {
            return;
        };
        if step.send
            && let Some(latest) = &tx.latest
        {
            io.send(tx.reply, latest.clone());
        }
        arm(
            io,
            now,
            &mut tx.timers[Slot::Retransmit as usize],
            step.retransmit,
            Wake::Server(id, Slot::Retransmit),
        );
        arm(
            io,
            now,
            &mut tx.timers[Slot::Expire as usize],
            step.expire,
            Wake::Server(id, Slot::Expire),
        );
        if step.end.is_some() {
            self.remove(io, id);
        }
    }

    fn remove(&mut self, io: &mut Io, id: TxId) {
        let Some(tx) = self.by_id.remove(&id) else {
            return;
        };
        for key in tx.timers.into_iter().flatten() {
            io.timers.cancel(key);
        }
        self.forget(&tx.key, tx.merge.as_ref());
    }

    fn forget(&mut self, key: &SharedKey, merge: Option<&SharedKey>) {
        self.by_key.remove(key);
        if let Some(merge) = merge {
            self.by_merge.remove(merge);
        }
    }
}

/// Replaces, takes back or keeps one deadline.
pub(super) fn arm(io: &mut Io, now: Instant, held: &mut Option<TimerKey>, arm: Arm, wake: Wake) {
    if arm == Arm::Keep {
        return;
    }
    if let Some(key) = held.take() {
        io.timers.cancel(key);
    }
    if let Arm::Set(after) = arm {
        *held = Some(io.timers.arm(now, after, wake));
    }
}

fn invite_input(status: u16) -> server_invite::Input {
    match status {
        0..=199 => server_invite::Input::Provisional,
        200..=299 => server_invite::Input::Success,
        _ => server_invite::Input::Failure,
    }
}

fn other_input(status: u16) -> server_non_invite::Input {
    if status < 200 {
        server_non_invite::Input::Provisional
    } else {
        server_non_invite::Input::Final
    }
}
