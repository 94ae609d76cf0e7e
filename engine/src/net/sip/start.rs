//! Start of the SIP side: binds the sockets, spawns their readers and the pump.
use super::accept::{self, Places, Reception, TcpLimits};
use super::dial::Dialler;
use super::flows::Flows;
use super::outside::{CLOSED_QUEUE, IncomingRequest, REQUEST_QUEUE};
use super::pump::{ACCEPT_QUEUE, Pump};
use super::streams::Streams;
use super::{Hop, Incoming, NoFlow, PumpCounters, SipHandle, udp};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{broadcast, mpsc};
use trunkline_sip::{Endpoint, EndpointConfig, Flow, Gate, Transport};

/// Datagrams and messages that may wait between readers and pump.
const INBOUND_QUEUE: usize = 4096;

/// What could not be set up, with the address an operator must change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket could not be bound.
    #[error(
        "cannot listen for SIP on {transport}:{address}: {cause}. Is another SIP server running? Change [sip] listen in the configuration"
    )]
    Bind {
        /// As written before the address in `[sip] listen`.
        transport: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: io::Error,
    },
}

/// The running SIP side.
pub struct Sip {
    /// For calls.
    pub handle: SipHandle,
    /// New incoming legs.
    pub incoming: mpsc::Receiver<Incoming>,
    /// REGISTER and MESSAGE of peers. When nobody takes them (dropped), they get 405.
    pub requests: mpsc::Receiver<IncomingRequest>,
    /// Addresses really bound (port 0 resolved).
    pub listening: Vec<(Transport, SocketAddr)>,
    /// Counters for the metrics page.
    pub counters: Arc<PumpCounters>,
}

/// All sockets, bound.
struct Bound {
    listening: Vec<(Transport, SocketAddr)>,
    udp: Vec<(SocketAddr, UdpSocket, std::net::UdpSocket)>,
    listeners: Vec<(Transport, TcpListener)>,
}

impl Bound {
    fn all(listen: &[(Transport, SocketAddr)]) -> Result<Bound, StartError> {
        let mut bound = Bound {
            listening: Vec::new(),
            udp: Vec::new(),
            listeners: Vec::new(),
        };
        for &(transport, address) in listen {
            let made = bound.add(transport, address);
            made.map_err(|cause| StartError::Bind {
                transport: transport.uri_param(),
                address,
                cause,
            })?;
        }
        Ok(bound)
    }

    fn add(&mut self, transport: Transport, address: SocketAddr) -> io::Result<()> {
        match transport {
            Transport::Udp => {
                let (socket, sender) = udp::bind(address)?;
                let local = socket.local_addr()?;
                self.listening.push((transport, local));
                self.udp.push((local, socket, sender));
            }
            Transport::Tcp => {
                let listener = accept::bind(address)?;
                self.listening.push((transport, listener.local_addr()?));
                self.listeners.push((transport, listener));
            }
            Transport::Tls | Transport::Ws | Transport::Wss => {
                return Err(io::ErrorKind::Unsupported.into());
            }
        }
        Ok(())
    }
}

impl Sip {
    /// Binds the sockets and starts the pump on the current tokio runtime. `gate` decides who is served.
    pub async fn start(
        listen: &[(Transport, SocketAddr)],
        limits: TcpLimits,
        config: EndpointConfig,
        gate: Box<dyn Gate>,
    ) -> Result<Sip, StartError> {
        let (inbound_send, inbound) = mpsc::channel(INBOUND_QUEUE);
        let (commands_send, commands) = mpsc::unbounded_channel();
        let (accept, incoming) = mpsc::channel(ACCEPT_QUEUE);
        let (requests_send, requests) = mpsc::channel(REQUEST_QUEUE);
        let (closed, _) = broadcast::channel(CLOSED_QUEUE);
        let counters = Arc::new(PumpCounters::default());
        let Bound {
            listening,
            udp,
            listeners,
        } = Bound::all(listen)?;
        let flows = Arc::new(Flows::new(listening.clone()));
        let mut sockets = Vec::new();
        for (local, socket, sender) in udp {
            tokio::spawn(udp::read(socket, local, inbound_send.clone()));
            sockets.push((local, sender));
        }
        let places = Places::new(limits);
        for (transport, listener) in listeners {
            let reception = Reception {
                transport,
                flows: flows.clone(),
                places: places.clone(),
                out: inbound_send.clone(),
            };
            tokio::spawn(accept::accept(listener, reception));
        }
        let dialler = Dialler { out: inbound_send };
        let pump = Pump {
            endpoint: Endpoint::with_gate(config, gate),
            sockets,
            streams: Streams::new(flows.clone(), dialler),
            legs: HashMap::new(),
            accept: Some(accept),
            requests: requests_send,
            waiting: HashMap::new(),
            closed: closed.clone(),
            counters: counters.clone(),
        };
        tokio::spawn(pump.run(inbound, commands));
        Ok(Sip {
            handle: SipHandle {
                commands: commands_send,
                flows,
                closed,
            },
            incoming,
            requests,
            listening,
            counters,
        })
    }

    /// See [`SipHandle::flow_to`].
    pub fn flow_to(&self, hop: &Hop) -> Result<Flow, NoFlow> {
        self.handle.flow_to(hop)
    }
}
