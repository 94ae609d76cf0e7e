//! Start of the SIP side: binds the sockets, spawns their readers and the pump.
use super::pump::{ACCEPT_QUEUE, Pump};
use super::{Inbound, Incoming, PumpCounters, SipHandle, tcp, udp};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
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
        /// `udp` or `tcp`.
        transport: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// Limits of TCP connections.
#[derive(Debug, Clone, Copy)]
pub struct TcpLimits {
    /// Connections open at once.
    pub max_connections: usize,
    /// A connection is closed when nothing came or went for this long.
    pub idle: Duration,
}

/// The running SIP side.
pub struct Sip {
    /// For calls.
    pub handle: SipHandle,
    /// New incoming legs.
    pub incoming: mpsc::Receiver<Incoming>,
    /// Addresses really bound (port 0 resolved).
    pub listening: Vec<(Transport, SocketAddr)>,
    /// Counters for the metrics page.
    pub counters: Arc<PumpCounters>,
    connections: Arc<tcp::Connections>,
    inbound: mpsc::Sender<Inbound>,
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
        let connections = Arc::new(tcp::Connections {
            open: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            max: limits.max_connections,
            idle: limits.idle,
        });
        let counters = Arc::new(PumpCounters::default());
        let (mut listening, mut sockets) = (Vec::new(), Vec::new());
        for &(transport, address) in listen {
            let bind_error = |transport, cause| StartError::Bind {
                transport,
                address,
                cause,
            };
            match transport {
                Transport::Udp => {
                    let (socket, sender) = udp::bind(address).map_err(|e| bind_error("udp", e))?;
                    let local = socket.local_addr().map_err(|e| bind_error("udp", e))?;
                    tokio::spawn(udp::read(socket, local, inbound_send.clone()));
                    listening.push((transport, local));
                    sockets.push((local, sender));
                }
                Transport::Tls | Transport::Ws | Transport::Wss => {
                    let cause = std::io::Error::from(std::io::ErrorKind::Unsupported);
                    return Err(bind_error(transport.uri_param(), cause));
                }
                Transport::Tcp => {
                    let listener = TcpListener::bind(address)
                        .await
                        .map_err(|e| bind_error("tcp", e))?;
                    let local = listener.local_addr().map_err(|e| bind_error("tcp", e))?;
                    tokio::spawn(tcp::accept(
                        listener,
                        connections.clone(),
                        inbound_send.clone(),
                    ));
                    listening.push((transport, local));
                }
            }
        }
        let pump = Pump {
            endpoint: Endpoint::with_gate(config, gate),
            sockets,
            streams: HashMap::new(),
            legs: HashMap::new(),
            accept: Some(accept),
            counters: counters.clone(),
        };
        tokio::spawn(pump.run(inbound, commands));
        Ok(Sip {
            handle: SipHandle {
                commands: commands_send,
            },
            incoming,
            listening,
            counters,
            connections,
            inbound: inbound_send,
        })
    }

    /// The flow on which requests to `remote` leave; opens a TCP connection where needed.
    pub async fn flow_to(&self, transport: Transport, remote: SocketAddr) -> std::io::Result<Flow> {
        match transport {
            Transport::Tls | Transport::Ws | Transport::Wss => {
                Err(std::io::ErrorKind::Unsupported.into())
            }
            Transport::Tcp => {
                tcp::connect(remote, self.connections.clone(), self.inbound.clone()).await
            }
            Transport::Udp => {
                let bound = self
                    .listening
                    .iter()
                    .find(|(t, address)| {
                        *t == Transport::Udp && address.is_ipv4() == remote.is_ipv4()
                    })
                    .ok_or_else(|| {
                        std::io::Error::new(
                            std::io::ErrorKind::AddrNotAvailable,
                            "no UDP socket of that address family in [sip] listen",
                        )
                    })?;
                Ok(Flow {
                    transport,
                    local: udp::LocalAddresses::default().towards(remote, bound.1),
                    remote,
                    connection: 0,
                })
            }
        }
    }
}
