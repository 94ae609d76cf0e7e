//! Owns the table of client transactions: the machines, the request of each, and how responses find them.
//!
//! It decides nothing about calls. Each entry has a timer, or a leg with one, that ends it.

use super::event::LegId;
use super::io::{Io, Slot, TxId, Wake};
use super::servers::arm;
use crate::build::MessageBuilder;
use crate::flow::Flow;
use crate::header::HeaderId;
use crate::identity::Token;
use crate::message::{Frame, Message};
use crate::method::Method;
use crate::timer::TimerKey;
use crate::transaction::client_invite::{self, ClientInvite};
use crate::transaction::client_non_invite::{self, ClientNonInvite};
use crate::transaction::{Arm, End, Step};
use crate::via::BRANCH_COOKIE;
use crate::wire::hop_request;
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// Most 2xx of different forks answered for one INVITE; further ones are ignored.
const MAX_FORKS: usize = 16;

#[derive(Clone, Copy, Debug)]
enum Machine {
    Invite(ClientInvite),
    Other(ClientNonInvite),
}

/// What a request of ours is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Invite,
    Reinvite,
    Update,
    /// An UPDATE that only refreshes.
    Refresh,
    Prack,
    Refer,
    Notify,
    Bye,
    Info,
    /// The NOTIFY of a subscription without a call.
    Subscription,
    /// A request without a dialog.
    Outside,
    /// A CANCEL, or the BYE of a leg that is gone: nobody waits for the answer.
    Alone,
}

/// The To tag of a fork, and the ACK its 2xx got, once it has one.
type ForkAck = (Box<[u8]>, Option<(Flow, Bytes)>);

/// One request waiting for its answer.
#[derive(Debug)]
pub(super) struct ClientTx {
    machine: Machine,
    pub(super) request: Message,
    pub(super) flow: Flow,
    pub(super) purpose: Purpose,
    /// The usage that waits; `None` once it is gone.
    pub(super) leg: Option<LegId>,
    pub(super) branch: Token,
    method: Vec<u8>,
    ack: Option<Bytes>,
    /// How often it was sent anew after a refusal that could be met.
    pub(super) retries: u8,
    /// The highest CSeq number used in an early dialog of this INVITE.
    pub(super) spent: u32,
    /// The ACKs of our INVITE's 2xx by the To tag of the fork, to be sent again when the 2xx comes again.
    acks: Vec<ForkAck>,
    timers: [Option<TimerKey>; 2],
}

impl ClientTx {
    /// Whether a provisional response came and no final one yet, so that a CANCEL may go out (RFC 3261 §9.1).
    pub(super) fn can_cancel(&self) -> bool {
        matches!(self.machine, Machine::Invite(machine) if machine.state() == client_invite::State::Proceeding)
    }
}

/// A request to send.
pub(super) struct Outgoing<'a> {
    pub(super) method: Method<'a>,
    pub(super) branch: Token,
    pub(super) bytes: Bytes,
    pub(super) flow: Flow,
    pub(super) purpose: Purpose,
    pub(super) leg: Option<LegId>,
}

/// What became of a response or timer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) deliver: bool,
    pub(super) end: Option<End>,
}

/// All client transactions.
#[derive(Debug, Default)]
pub(super) struct Clients {
    by_id: HashMap<TxId, ClientTx>,
    by_branch: HashMap<(Token, Vec<u8>), TxId>,
    by_flow: BTreeSet<(Flow, TxId)>,
}

impl Clients {
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(super) fn of(&self, id: TxId) -> Option<&ClientTx> {
        self.by_id.get(&id)
    }

    /// The transaction a response belongs to: top Via branch and CSeq method (RFC 3261 §17.1.3).
    pub(super) fn find(&self, response: &Frame<'_>) -> Option<TxId> {
        let via = response.top_via().ok()?;
        let branch = via.branch().filter(|_| via.has_cookie())?;
        let token = Token::from_bytes(branch.get(BRANCH_COOKIE.len()..)?)?;
        let method = response.cseq().ok()?.method.as_bytes().to_vec();
        self.by_branch.get(&(token, method)).copied()
    }

    /// The transactions whose requests went over `flow`, oldest first.
    pub(super) fn on_flow(&self, flow: Flow) -> Vec<TxId> {
        self.by_flow
            .range((flow, TxId(0))..=(flow, TxId(u64::MAX)))
            .map(|(_, id)| *id)
            .collect()
    }

    /// Sends a request and waits for its answer. `None` when the octets are no message.
    pub(super) fn open(&mut self, io: &mut Io, now: Instant, out: Outgoing<'_>) -> Option<TxId> {
        let request = Message::parse(out.bytes).ok()?;
        let id = io.next_id();
        let reliable = out.flow.transport.is_reliable();
        let (machine, step) = if out.method == Method::Invite {
            let (machine, step) = ClientInvite::new(reliable, &io.config);
            (Machine::Invite(machine), step)
        } else {
            let (machine, step) = ClientNonInvite::new(reliable, &io.config);
            (Machine::Other(machine), step)
        };
        let method = out.method.as_bytes().to_vec();
        self.by_branch.insert((out.branch, method.clone()), id);
        self.by_flow.insert((out.flow, id));
        let Outgoing {
            branch,
            flow,
            purpose,
            leg,
            ..
        } = out;
        let timers = [None; 2];
        let tx = ClientTx {
            machine,
            request,
            flow,
            purpose,
            leg,
            branch,
            method,
            ack: None,
            retries: 0,
            spent: 0,
            acks: Vec::new(),
            timers,
        };
        self.by_id.insert(id, tx);
        self.apply(io, now, id, step);
        Some(id)
    }

    /// A response came. The ACK of a refused INVITE is sent here.
    pub(super) fn answered(
        &mut self,
        io: &mut Io,
        now: Instant,
        id: TxId,
        status: u16,
        response: &Frame<'_>,
    ) -> Outcome {
        let Some(tx) = self.by_id.get_mut(&id) else {
            return Outcome {
                deliver: false,
                end: None,
            };
        };
        let step = match &mut tx.machine {
            Machine::Invite(machine) => machine.step(invite_input(status), &io.config),
            Machine::Other(machine) => machine.step(other_input(status), &io.config),
        };
        if step.ack && tx.ack.is_none() {
            let to = response
                .header(crate::header::HeaderId::To)
                .unwrap_or_default();
            tx.ack = Some(hop_request("ACK", &tx.request.frame(), to, None));
        }
        self.apply(io, now, id, step);
        Outcome {
            deliver: step.deliver,
            end: step.end,
        }
    }

    /// One of its timers fired. The transaction is still there to be looked at when it ended: call
    /// [`Clients::remove`].
    pub(super) fn fired(&mut self, io: &mut Io, now: Instant, id: TxId, slot: Slot) -> Option<End> {
        let tx = self.by_id.get_mut(&id)?;
        tx.timers[slot as usize] = None;
        let step = match (&mut tx.machine, slot) {
            (Machine::Invite(machine), Slot::Retransmit) => {
                machine.step(client_invite::Input::Retransmit, &io.config)
            }
            (Machine::Invite(machine), Slot::Expire) => {
                machine.step(client_invite::Input::Expire, &io.config)
            }
            (Machine::Other(machine), Slot::Retransmit) => {
                machine.step(client_non_invite::Input::Retransmit, &io.config)
            }
            (Machine::Other(machine), Slot::Expire) => {
                machine.step(client_non_invite::Input::Expire, &io.config)
            }
        };
        self.apply(io, now, id, step);
        step.end
    }

    /// The transport failed under it.
    pub(super) fn failed(&mut self, io: &mut Io, now: Instant, id: TxId) -> Option<End> {
        let tx = self.by_id.get_mut(&id)?;
        let step = match &mut tx.machine {
            Machine::Invite(machine) => {
                machine.step(client_invite::Input::TransportError, &io.config)
            }
            Machine::Other(machine) => {
                machine.step(client_non_invite::Input::TransportError, &io.config)
            }
        };
        self.apply(io, now, id, step);
        step.end
    }

    /// Gives a transaction that nobody waits for a last deadline (RFC 3261 §9.1: 64·T1 after a CANCEL).
    pub(super) fn limit(&mut self, io: &mut Io, now: Instant, id: TxId) {
        let after = io.config.lifetime();
        if let Some(tx) = self.by_id.get_mut(&id) {
            arm(
                io,
                now,
                &mut tx.timers[Slot::Expire as usize],
                Arm::Set(after),
                Wake::Client(id, Slot::Expire),
            );
        }
    }

    /// Bounds an INVITE that a provisional response left without a deadline: `Timers::tc`.
    pub(super) fn limit_once(&mut self, io: &mut Io, now: Instant, id: TxId) {
        if !self.is_limited(id)
            && let Some(tx) = self.by_id.get_mut(&id)
        {
            let limit = Arm::Set(io.config.tc);
            let expire = &mut tx.timers[Slot::Expire as usize];
            arm(io, now, expire, limit, Wake::Client(id, Slot::Expire));
        }
    }

    /// Whether the state timer runs already.
    pub(super) fn is_limited(&self, id: TxId) -> bool {
        self.by_id
            .get(&id)
            .is_none_or(|tx| tx.timers[Slot::Expire as usize].is_some())
    }

    /// The request stands for one that was refused and had been tried `before` times again.
    pub(super) fn count_retry(&mut self, id: TxId, before: u8) {
        if let Some(tx) = self.by_id.get_mut(&id) {
            tx.retries = before.saturating_add(1);
        }
    }

    /// A request within an early dialog of this INVITE took `number`.
    pub(super) fn spend(&mut self, invite: TxId, number: u32) {
        if let Some(tx) = self.by_id.get_mut(&invite) {
            tx.spent = tx.spent.max(number);
        }
    }

    /// What went over `old` goes over `new` from now on, repeated ACKs included.
    pub(super) fn moved(&mut self, old: Flow, new: Flow) {
        for id in self.on_flow(old) {
            let Some(tx) = self.by_id.get_mut(&id) else {
                continue;
            };
            tx.flow = new;
            for (flow, _) in tx.acks.iter_mut().filter_map(|(_, ack)| ack.as_mut()) {
                if *flow == old {
                    *flow = new;
                }
            }
            self.by_flow.remove(&(old, id));
            self.by_flow.insert((new, id));
        }
    }

    /// The usage is gone: nobody is told about this transaction any more.
    pub(super) fn release(&mut self, id: TxId) {
        if let Some(tx) = self.by_id.get_mut(&id) {
            tx.leg = None;
        }
    }

    /// The 2xx of this fork came before: its ACK goes out again when there is one. `false` for a new fork.
    pub(super) fn acknowledge_again(&self, io: &mut Io, id: TxId, tag: &[u8]) -> bool {
        let Some(tx) = self.by_id.get(&id) else {
            return true;
        };
        match tx.acks.iter().find(|(known, _)| known.as_ref() == tag) {
            Some((_, Some((flow, ack)))) => io.send(*flow, ack.clone()),
            Some((_, None)) => {}
            None => return tx.acks.len() >= MAX_FORKS,
        }
        true
    }

    /// The ACK of an INVITE's 2xx with the credentials of that INVITE (RFC 3261 §13.2.2.4), unless it goes to another host than the
    /// INVITE went to: who answered from there must not get them.
    pub(super) fn with_credentials(
        &self,
        mut ack: MessageBuilder,
        invite: TxId,
        flow: &Flow,
    ) -> MessageBuilder {
        let tx = self.by_id.get(&invite);
        let Some(tx) = tx.filter(|tx| flow.leads_where(&tx.flow)) else {
            return ack;
        };
        for header in tx.request.frame().headers() {
            if matches!(
                header.id,
                HeaderId::Authorization | HeaderId::ProxyAuthorization
            ) {
                ack = ack.header(header.id.name(), header.value);
            }
        }
        ack
    }

    /// Sends the ACK of a fork's 2xx and keeps it; without one, remembers the fork until its ACK is made.
    pub(super) fn acknowledge(
        &mut self,
        io: &mut Io,
        id: TxId,
        tag: &[u8],
        ack: Option<(Flow, Bytes)>,
    ) {
        if let Some((flow, bytes)) = &ack {
            io.send(*flow, bytes.clone());
        }
        let Some(tx) = self.by_id.get_mut(&id) else {
            return;
        };
        match tx.acks.iter_mut().find(|(known, _)| known.as_ref() == tag) {
            Some((_, kept)) => *kept = ack,
            None => tx.acks.push((tag.into(), ack)),
        }
    }

    pub(super) fn remove(&mut self, io: &mut Io, id: TxId) {
        let Some(tx) = self.by_id.remove(&id) else {
            return;
        };
        for key in tx.timers.into_iter().flatten() {
            io.timers.cancel(key);
        }
        self.by_branch.remove(&(tx.branch, tx.method));
        self.by_flow.remove(&(tx.flow, id));
    }

    fn apply(&mut self, io: &mut Io, now: Instant, id: TxId, step: Step) {
        let Some(tx) = self.by_id.get_mut(&id) else {
            return;
        };
        if step.send {
            io.send(tx.flow, tx.request.bytes().clone());
        }
        if step.ack
            && let Some(ack) = &tx.ack
        {
            io.send(tx.flow, ack.clone());
        }
        arm(
            io,
            now,
            &mut tx.timers[Slot::Retransmit as usize],
            step.retransmit,
            Wake::Client(id, Slot::Retransmit),
        );
        arm(
            io,
            now,
            &mut tx.timers[Slot::Expire as usize],
            step.expire,
            Wake::Client(id, Slot::Expire),
        );
    }
}

fn invite_input(status: u16) -> client_invite::Input {
    match status {
        0..=199 => client_invite::Input::Provisional,
        200..=299 => client_invite::Input::Success,
        _ => client_invite::Input::Failure,
    }
}

fn other_input(status: u16) -> client_non_invite::Input {
    if status < 200 {
        client_non_invite::Input::Provisional
    } else {
        client_non_invite::Input::Final
    }
}
