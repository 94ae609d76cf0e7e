//! Names the paths to peers: which of our addresses a request leaves from, and which connection carries it.
//!
//! A path that we open has a name of its own, its `Flow`, which stays the same however often the connection behind it is closed and
//! opened anew. Nothing is connected here, and asking for a flow never waits.
//!
//! Limit: [`MAX_HOPS`] paths; beyond it the one asked for longest ago is forgotten.
use socket2::{Domain, Protocol, Socket, Type};
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use trunkline_sip::{Flow, Transport};

/// Paths remembered.
const MAX_HOPS: usize = 4096;
/// Peers whose local address is remembered.
const REMEMBERED_PEERS: usize = 1024;

/// Where a request goes next (RFC 3263).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Hop {
    /// What carries it.
    pub transport: Transport,
    /// The peer's address.
    pub address: SocketAddr,
    /// The SIP domain the peer's certificate must speak for, over TLS (RFC 5922 §7.2): the name or address of the URI, not what DNS
    /// made of it.
    pub server_name: String,
}

/// Why there is no path to a peer.
#[derive(Debug, thiserror::Error)]
pub enum NoFlow {
    /// No socket of the address family.
    #[error(
        "no UDP socket of the address family of {0}: add \"udp:0.0.0.0:5060\" (IPv4) or \"udp:[::]:5060\" (IPv6) to [sip] listen"
    )]
    NoSocket(SocketAddr),
    /// WebSocket peers connect to us.
    #[error(
        "{1} cannot be reached over {0}: WebSocket peers connect to us, we do not connect to them; use udp, tcp or tls"
    )]
    PeersConnect(&'static str, SocketAddr),
    /// The system has no way to the address.
    #[error("no way to {0}: {1}")]
    NoRoute(SocketAddr, io::Error),
}

/// What is needed to open the connection of a flow.
pub(super) struct Target {
    pub(super) hop: Hop,
    pub(super) flow: Flow,
    /// The socket whose port is in `flow.local`, when no listener of ours has that address.
    pub(super) reserved: Option<Socket>,
    /// Whether the connection is to leave from `flow.local`.
    pub(super) own_port: bool,
}

/// All paths. Shared by those who ask for flows and the pump, which opens them.
pub(super) struct Flows {
    listening: Vec<(Transport, SocketAddr)>,
    last_id: AtomicU64,
    table: Mutex<Table>,
    locals: Mutex<LocalAddresses>,
}

#[derive(Default)]
struct Table {
    by_hop: HashMap<Hop, u64>,
    paths: HashMap<u64, Path>,
    /// The path asked for last, by where it leads: what a flow without a connection's name means.
    latest: HashMap<(Transport, SocketAddr), u64>,
    clock: u64,
}

struct Path {
    hop: Hop,
    flow: Flow,
    reserved: Option<Socket>,
    own_port: bool,
    asked: u64,
}

impl Flows {
    pub(super) fn new(listening: Vec<(Transport, SocketAddr)>) -> Flows {
        Flows {
            listening,
            last_id: AtomicU64::new(0),
            table: Mutex::default(),
            locals: Mutex::default(),
        }
    }

    /// A name for a connection, never used again.
    pub(super) fn next_id(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The flow on which requests to `hop` leave. Its connection is opened when something is sent.
    pub(super) fn to(&self, hop: &Hop) -> Result<Flow, NoFlow> {
        match hop.transport {
            Transport::Udp => {
                let bound = self
                    .listener(Transport::Udp, hop.address)
                    .ok_or(NoFlow::NoSocket(hop.address))?;
                Ok(Flow {
                    transport: Transport::Udp,
                    local: self.local_towards(hop.address, bound),
                    remote: hop.address,
                    connection: 0,
                })
            }
            Transport::Ws | Transport::Wss => {
                Err(NoFlow::PeersConnect(hop.transport.uri_param(), hop.address))
            }
            Transport::Tcp | Transport::Tls => self.stream_to(hop),
        }
    }

    /// The flow that `flow` without the name of a connection means: the path to the same peer asked for last, or a new one, on which
    /// a certificate must speak for the address.
    pub(super) fn unnamed(&self, flow: Flow) -> Result<Flow, NoFlow> {
        let table = self.table();
        let latest = table.latest.get(&(flow.transport, flow.remote));
        if let Some(path) = latest.and_then(|id| table.paths.get(id)) {
            return Ok(path.flow);
        }
        drop(table);
        self.to(&Hop {
            transport: flow.transport,
            address: flow.remote,
            server_name: flow.remote.ip().to_string(),
        })
    }

    /// What is needed to open the connection named `id`, if it is ours to open.
    pub(super) fn target(&self, id: u64) -> Option<Target> {
        let mut table = self.table();
        let path = table.paths.get_mut(&id)?;
        Some(Target {
            hop: path.hop.clone(),
            flow: path.flow,
            reserved: path.reserved.take(),
            own_port: path.own_port,
        })
    }

    fn stream_to(&self, hop: &Hop) -> Result<Flow, NoFlow> {
        let mut table = self.table();
        let asked = table.tick();
        if let Some(&id) = table.by_hop.get(hop)
            && let Some(path) = table.paths.get_mut(&id)
        {
            path.asked = asked;
            let flow = path.flow;
            table.latest.insert((hop.transport, hop.address), id);
            return Ok(flow);
        }
        let (local, reserved) = match self.listener(hop.transport, hop.address) {
            Some(bound) => (self.local_towards(hop.address, bound), None),
            None => {
                let no_route = |error| NoFlow::NoRoute(hop.address, error);
                let (local, socket) = self.reserve(hop.address).map_err(no_route)?;
                (local, Some(socket))
            }
        };
        let flow = Flow {
            transport: hop.transport,
            local,
            remote: hop.address,
            connection: self.next_id(),
        };
        let path = Path {
            hop: hop.clone(),
            flow,
            own_port: reserved.is_some(),
            reserved,
            asked,
        };
        table.enter(path);
        Ok(flow)
    }

    /// Without a listener the connection's own end goes into Via and Contact, so that the peer knows it again; its port is taken now.
    fn reserve(&self, remote: SocketAddr) -> io::Result<(SocketAddr, Socket)> {
        let any = SocketAddr::new(unspecified(remote), 0);
        let from = self.local_towards(remote, any);
        let socket = stream_socket(remote)?;
        socket.bind(&from.into())?;
        let local = socket
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        Ok((local, socket))
    }

    fn listener(&self, transport: Transport, remote: SocketAddr) -> Option<SocketAddr> {
        self.listening
            .iter()
            .find(|(t, address)| *t == transport && address.is_ipv4() == remote.is_ipv4())
            .map(|(_, address)| *address)
    }

    fn local_towards(&self, remote: SocketAddr, bound: SocketAddr) -> SocketAddr {
        self.locals
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .towards(remote, bound)
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    fn enter(&mut self, path: Path) {
        if self.paths.len() >= MAX_HOPS {
            let oldest = self.paths.iter().min_by_key(|(_, path)| path.asked);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.forget(id);
            }
        }
        let id = path.flow.connection;
        let towards = (path.hop.transport, path.hop.address);
        self.latest.insert(towards, id);
        self.by_hop.insert(path.hop.clone(), id);
        self.paths.insert(id, path);
    }

    fn forget(&mut self, id: u64) {
        let Some(path) = self.paths.remove(&id) else {
            return;
        };
        self.by_hop.remove(&path.hop);
        let towards = (path.hop.transport, path.hop.address);
        if self.latest.get(&towards) == Some(&id) {
            self.latest.remove(&towards);
        }
    }
}

/// A stream socket towards `remote`, not yet bound or connected.
pub(super) fn stream_socket(remote: SocketAddr) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(remote),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    Ok(socket)
}

fn unspecified(remote: SocketAddr) -> IpAddr {
    match remote {
        SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// The local addresses peers reach us by, for a socket that is bound to all of them. Asking the kernel costs three system
/// calls, so answers are kept; limit: 1024 peers, then it starts anew.
#[derive(Debug, Default)]
pub(super) struct LocalAddresses(HashMap<IpAddr, IpAddr>);

impl LocalAddresses {
    /// The local address towards `remote`: the bound one, or the one the kernel would send from.
    pub(super) fn towards(&mut self, remote: SocketAddr, bound: SocketAddr) -> SocketAddr {
        if !bound.ip().is_unspecified() {
            return bound;
        }
        if self.0.len() >= REMEMBERED_PEERS {
            self.0.clear();
        }
        let ip = self
            .0
            .entry(remote.ip())
            .or_insert_with(|| source_address(remote).unwrap_or(bound.ip()));
        SocketAddr::new(*ip, bound.port())
    }
}

/// The source address that the kernel's routing table picks towards `remote`.
fn source_address(remote: SocketAddr) -> Option<IpAddr> {
    let any = SocketAddr::new(unspecified(remote), 0);
    let probe = std::net::UdpSocket::bind(any).ok()?;
    // Connecting a UDP socket sends nothing; it only asks for a route.
    probe.connect(remote).ok()?;
    probe.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(transport: Transport, address: &str, server_name: &str) -> Hop {
        Hop {
            transport,
            address: address.parse().unwrap(),
            server_name: server_name.to_owned(),
        }
    }

    fn flows() -> Flows {
        let all = "0.0.0.0:5070".parse().unwrap();
        Flows::new(vec![(Transport::Tcp, all), (Transport::Udp, all)])
    }

    #[test]
    fn one_path_per_transport_address_and_name() {
        let flows = flows();
        let first = flows
            .to(&hop(Transport::Tcp, "127.0.0.9:5060", "a"))
            .unwrap();
        let again = flows
            .to(&hop(Transport::Tcp, "127.0.0.9:5060", "a"))
            .unwrap();
        let named = flows
            .to(&hop(Transport::Tcp, "127.0.0.9:5060", "b"))
            .unwrap();
        let secure = flows
            .to(&hop(Transport::Tls, "127.0.0.9:5060", "a"))
            .unwrap();
        assert_eq!(first, again);
        assert!(first.connection != named.connection && first.connection != secure.connection);
        assert_eq!(
            flows
                .unnamed(Flow {
                    connection: 0,
                    ..first
                })
                .unwrap(),
            named
        );
    }

    #[test]
    fn via_and_contact_name_the_listener_or_else_the_connections_own_end() {
        let flows = flows();
        let listened = flows
            .to(&hop(Transport::Tcp, "127.0.0.9:5060", "a"))
            .unwrap();
        assert_eq!(listened.local, "127.0.0.1:5070".parse().unwrap());
        let own = flows
            .to(&hop(Transport::Tls, "127.0.0.9:5061", "a"))
            .unwrap();
        assert!(own.local.ip().is_loopback() && own.local.port() != 0);
        let target = flows.target(own.connection).unwrap();
        assert!(target.own_port && target.reserved.is_some());
        let again = flows.target(own.connection).unwrap();
        assert!(again.own_port && again.reserved.is_none());
    }

    #[test]
    fn what_cannot_be_reached_is_said_at_once() {
        let flows = flows();
        let websocket = flows.to(&hop(Transport::Wss, "192.0.2.1:443", "a"));
        assert!(websocket.unwrap_err().to_string().contains("connect to us"));
        let other_family = flows.to(&hop(Transport::Udp, "[2001:db8::1]:5060", "a"));
        assert!(
            other_family
                .unwrap_err()
                .to_string()
                .contains("[sip] listen")
        );
    }

    #[test]
    fn paths_are_bounded_and_the_oldest_goes_first() {
        let flows = flows();
        let numbered = |number: usize| {
            hop(
                Transport::Tcp,
                &format!("127.1.{}.{}:5060", number / 256, number % 256),
                "a",
            )
        };
        let kept = flows.to(&numbered(0)).unwrap();
        let second = flows.to(&numbered(1)).unwrap();
        for number in 2..MAX_HOPS {
            flows.to(&numbered(number)).unwrap();
        }
        flows.to(&numbered(0)).unwrap();
        flows.to(&numbered(MAX_HOPS)).unwrap();
        let table = flows.table();
        assert_eq!(table.paths.len(), MAX_HOPS);
        assert!(table.paths.contains_key(&kept.connection));
        assert!(!table.paths.contains_key(&second.connection));
        assert_eq!(table.latest.len(), MAX_HOPS);
    }
}
