//! The pump's table of connections: sends on the one a flow names, and has it opened when there is none.
//!
//! Limit: [`MAX_DIALLED`] connections opened by us; those of peers are limited where they are accepted.
use super::dial::Dialler;
use super::flows::Flows;
use super::stream::{InUse, Link};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::mpsc::error::TrySendError;
use trunkline_sip::{Flow, Transport};

/// Connections opened by us at the same time.
const MAX_DIALLED: usize = 1024;
/// Flows without a connection's name that may be remembered for one connection.
const MAX_UNNAMED: usize = 8;

/// All connections, open and being opened.
pub(super) struct Streams {
    links: HashMap<u64, Link>,
    /// Connections of peers by where they come from: what a flow without a connection's name means first.
    by_remote: HashMap<(Transport, SocketAddr), u64>,
    dialled: HashMap<u64, Dialled>,
    flows: Arc<Flows>,
    dialler: Dialler,
}

/// What is remembered of a connection we opened.
#[derive(Default)]
struct Dialled {
    /// Flows without a connection's name that were sent on it: when it fails, they fail too.
    unnamed: BTreeSet<Flow>,
}

/// Why a message could not be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unsent(pub(super) &'static str);

impl Streams {
    pub(super) fn new(flows: Arc<Flows>, dialler: Dialler) -> Streams {
        Streams {
            links: HashMap::new(),
            by_remote: HashMap::new(),
            dialled: HashMap::new(),
            flows,
            dialler,
        }
    }

    /// A peer's connection is up.
    pub(super) fn connected(&mut self, flow: Flow, link: Link) {
        self.by_remote
            .insert((flow.transport, flow.remote), flow.connection);
        self.links.insert(flow.connection, link);
    }

    /// A connection is gone. Returns the flows that failed with it: none when what was not sent is on its way over a new one.
    pub(super) fn closed(&mut self, flow: Flow, unsent: Vec<Bytes>) -> Vec<Flow> {
        let id = flow.connection;
        self.links.remove(&id);
        let from = (flow.transport, flow.remote);
        if self.by_remote.get(&from) == Some(&id) {
            self.by_remote.remove(&from);
        }
        let again = unsent
            .into_iter()
            .filter(|bytes| self.send(flow, bytes.clone()).is_ok())
            .count();
        if again > 0 {
            return Vec::new();
        }
        let dialled = self.dialled.remove(&id).unwrap_or_default();
        dialled.unnamed.into_iter().chain([flow]).collect()
    }

    /// Queues a message on the connection `flow` names, or on one to its peer, which is opened where there is none.
    pub(super) fn send(&mut self, flow: Flow, bytes: Bytes) -> Result<(), Unsent> {
        let link = self.link(flow)?;
        link.send.try_send(bytes).map_err(|error| match error {
            TrySendError::Full(_) => Unsent("write-queue-full"),
            TrySendError::Closed(_) => Unsent("connection-gone"),
        })
    }

    /// Keeps the connection of `flow` from being closed as idle.
    pub(super) fn hold(&mut self, flow: Flow) -> Option<InUse> {
        if !flow.transport.is_reliable() {
            return None;
        }
        self.link(flow).ok().map(|link| link.in_use.clone())
    }

    fn link(&mut self, flow: Flow) -> Result<&Link, Unsent> {
        let id = match flow.connection {
            0 => self.name(flow)?,
            id => id,
        };
        if !self.links.contains_key(&id) {
            let link = self.dial(id)?;
            self.links.insert(id, link);
        }
        self.links.get(&id).ok_or(Unsent("connection-gone"))
    }

    /// The connection that a flow without a name means.
    fn name(&mut self, flow: Flow) -> Result<u64, Unsent> {
        if let Some(&id) = self.by_remote.get(&(flow.transport, flow.remote)) {
            return Ok(id);
        }
        let named = self.flows.unnamed(flow).map_err(|error| {
            tracing::warn!(remote = %flow.remote, rule = "no-flow", %error, "request cannot be sent");
            Unsent("no-flow")
        })?;
        let unnamed = &mut self.dialled.entry(named.connection).or_default().unnamed;
        if unnamed.len() < MAX_UNNAMED {
            unnamed.insert(flow);
        }
        Ok(named.connection)
    }

    fn dial(&mut self, id: u64) -> Result<Link, Unsent> {
        // A connection of the peer's that is gone cannot be opened by us.
        let target = self.flows.target(id).ok_or(Unsent("connection-gone"))?;
        let open = self.dialled.keys().filter(|id| self.links.contains_key(id));
        if self.dialled.len() >= MAX_DIALLED && open.count() >= MAX_DIALLED {
            tracing::warn!(remote = %target.flow.remote, rule = "dialled-max-connections", limit = MAX_DIALLED, "connection not opened: too many are open");
            return Err(Unsent("dialled-max-connections"));
        }
        self.dialled.entry(id).or_default();
        Ok(self.dialler.dial(target))
    }
}
