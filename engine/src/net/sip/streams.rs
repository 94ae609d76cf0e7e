//! The pump's table of connections: sends on the one a flow names, and has it opened when there is none.
//!
//! Limit: [`MAX_DIALLED`] connections opened by us; those of peers are limited where they are accepted.
use super::dial::Dialler;
use super::flows::Flows;
use super::stream::{InUse, Link};
use super::write_queue::NotQueued;
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use trunkline_sip::{Flow, Transport};

/// Connections opened by us at the same time.
const MAX_DIALLED: usize = 1024;

/// All connections, open and being opened.
pub(super) struct Streams {
    links: HashMap<u64, Link>,
    /// Connections of peers by where they come from: what a flow without a connection's name means first.
    by_remote: HashMap<(Transport, SocketAddr), Flow>,
    /// Those among `links` that we opened.
    dialled: HashSet<u64>,
    flows: Arc<Flows>,
    dialler: Dialler,
}

/// Why a message could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsent(pub(super) &'static str);

impl Streams {
    pub(super) fn new(flows: Arc<Flows>, dialler: Dialler) -> Streams {
        Streams {
            links: HashMap::new(),
            by_remote: HashMap::new(),
            dialled: HashSet::new(),
            flows,
            dialler,
        }
    }

    /// A peer's connection is up.
    pub(super) fn connected(&mut self, flow: Flow, link: Link) {
        self.by_remote.insert((flow.transport, flow.remote), flow);
        self.links.insert(flow.connection, link);
    }

    /// A connection is gone. Returns whether what waits for an answer on it failed: not when what could not be sent is on its way
    /// over a new one.
    pub(super) fn closed(&mut self, flow: Flow, unsent: Vec<Bytes>) -> bool {
        let id = flow.connection;
        self.links.remove(&id);
        self.dialled.remove(&id);
        let from = (flow.transport, flow.remote);
        if self.by_remote.get(&from) == Some(&flow) {
            self.by_remote.remove(&from);
        }
        let again = unsent
            .into_iter()
            .filter(|bytes| self.send(flow, bytes.clone()).is_ok())
            .count();
        again == 0
    }

    /// Connections open and being opened.
    pub(super) fn len(&self) -> usize {
        self.links.len()
    }

    /// Ends a peer's connection, when what is queued has left; one of ours is not touched.
    pub(super) fn close(&mut self, flow: Flow) {
        if !self.dialled.contains(&flow.connection) {
            self.links.remove(&flow.connection);
        }
    }

    /// The flow that a flow without a connection's name means: that of the peer's own connection, or of one that we open.
    pub(super) fn name(&self, flow: Flow) -> Result<Flow, Unsent> {
        if let Some(open) = self.by_remote.get(&(flow.transport, flow.remote)) {
            return Ok(*open);
        }
        self.flows.unnamed(flow).map_err(|error| {
            tracing::warn!(remote = %flow.remote, rule = "no-flow", %error, "request cannot be sent");
            Unsent("no-flow")
        })
    }

    /// Queues a message on the connection `flow` names, which is opened where it is ours to open.
    pub(super) fn send(&mut self, flow: Flow, bytes: Bytes) -> Result<(), Unsent> {
        let link = self.link(flow.connection)?;
        link.send.send(bytes).map_err(|error| match error {
            NotQueued::Full => Unsent("write-queue-full"),
            NotQueued::Closed => Unsent("connection-gone"),
        })
    }

    /// Keeps the connection of `flow` from being closed as idle.
    pub(super) fn hold(&mut self, flow: Flow) -> Option<InUse> {
        if !flow.transport.is_reliable() {
            return None;
        }
        let id = match flow.connection {
            0 => self.name(flow).ok()?.connection,
            id => id,
        };
        self.link(id).ok().map(|link| link.in_use.clone())
    }

    fn link(&mut self, id: u64) -> Result<&Link, Unsent> {
        if !self.links.contains_key(&id) {
            let link = self.dial(id)?;
            self.links.insert(id, link);
        }
        self.links.get(&id).ok_or(Unsent("connection-gone"))
    }

    fn dial(&mut self, id: u64) -> Result<Link, Unsent> {
        // A connection of the peer's that is gone cannot be opened by us.
        let target = self.flows.target(id).ok_or(Unsent("connection-gone"))?;
        if self.dialled.len() >= MAX_DIALLED {
            tracing::warn!(remote = %target.flow.remote, rule = "dialled-max-connections", limit = MAX_DIALLED, "connection not opened: too many are open");
            return Err(Unsent("dialled-max-connections"));
        }
        self.dialled.insert(id);
        Ok(self.dialler.dial(target))
    }
}
