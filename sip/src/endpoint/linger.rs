//! Owns what is left of server transactions that have their last response: enough to know a repeated request, and to
//! answer it alike.
//!
//! These are the accepted INVITE (RFC 6026 §7.1, timer L), whose 2xx the usage repeats, and the completed other request
//! (RFC 3261 §17.2.2, timer J). They make up nearly all of the table under load, for 64·T1 each, so the request is
//! forgotten and the response of an INVITE too. Each ends by the deadline it was left with.

use super::event::LegId;
use super::io::{Io, TxId};
use crate::flow::Flow;
use crate::identity::Token;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;

/// The octets a transaction is found by.
pub(super) type SharedKey = Arc<[u8]>;

/// One answered request.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) key: SharedKey,
    pub(super) merge: Option<SharedKey>,
    /// What a repeated request gets; nothing for an accepted INVITE.
    pub(super) answer: Option<Box<(Flow, Bytes)>>,
    pub(super) tag: Token,
    pub(super) leg: Option<LegId>,
}

/// All of them.
#[derive(Debug, Default)]
pub(super) struct Lingering(HashMap<TxId, Answered>);

impl Lingering {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn of(&self, id: TxId) -> Option<&Answered> {
        self.0.get(&id)
    }

    pub(super) fn insert(&mut self, id: TxId, answered: Answered) {
        self.0.insert(id, answered);
    }

    /// The usage is gone.
    pub(super) fn release(&mut self, id: TxId) {
        if let Some(answered) = self.0.get_mut(&id) {
            answered.leg = None;
        }
    }

    /// The request came again. `false`: it is none of these.
    pub(super) fn retransmitted(&self, io: &mut Io, id: TxId) -> bool {
        let Some(answered) = self.0.get(&id) else {
            return false;
        };
        if let Some((reply, bytes)) = answered.answer.as_deref() {
            io.send(*reply, bytes.clone());
        }
        true
    }

    /// Takes one out whose deadline has come.
    pub(super) fn remove(&mut self, id: TxId) -> Option<Answered> {
        self.0.remove(&id)
    }
}
