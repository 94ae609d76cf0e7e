//! Start of the SIP side: binds the sockets, spawns their readers and the pump.
use super::accept::{self, Reception, TcpLimits};
use super::dial::Dialler;
use super::flows::Flows;
use super::guard::quiet::Quiet;
use super::guard::{GuardSettings, Guards, Places};
use super::outside::{CLOSED_QUEUE, IncomingRequest, REQUEST_QUEUE};
use super::pump::{ACCEPT_QUEUE, Pump, REFUSALS_LOGGED};
use super::streams::Streams;
use super::tls::Tls;
use super::{Hop, Inbound, Incoming, NoFlow, PumpCounters, SipHandle, udp};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::{broadcast, mpsc};
use trunkline_sip::{Endpoint, EndpointConfig, Flow, Gate, Transport};

/// Datagrams and messages that may wait between readers and pump.
pub(super) const INBOUND_QUEUE: usize = 4096;

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
    /// TLS or WSS without a certificate.
    #[error(
        "cannot listen for SIP on {transport}:{address} without a certificate: set [tls] certificate and key in the configuration"
    )]
    NoCertificate {
        /// As written before the address in `[sip] listen`.
        transport: &'static str,
        /// The address asked for.
        address: SocketAddr,
    },
}

/// What SIP travels over.
pub struct Transports {
    /// Sockets to open, in the order in which they are preferred.
    pub listen: Vec<(Transport, SocketAddr)>,
    /// Limits of streams.
    pub limits: TcpLimits,
    /// Certificates; `None`: TLS only towards servers, which are checked against whom the system trusts.
    pub tls: Option<Arc<Tls>>,
    /// What is turned away unread.
    pub guards: Arc<Guards>,
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
    fn all(listen: &[(Transport, SocketAddr)], certificate: bool) -> Result<Bound, StartError> {
        let mut bound = Bound {
            listening: Vec::new(),
            udp: Vec::new(),
            listeners: Vec::new(),
        };
        for &(kind, address) in listen {
            let transport = kind.uri_param();
            if kind.is_secure() && !certificate {
                return Err(StartError::NoCertificate { transport, address });
            }
            let made = bound.add(kind, address);
            made.map_err(|cause| StartError::Bind {
                transport,
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
            Transport::Tcp | Transport::Tls | Transport::Ws | Transport::Wss => {
                let listener = accept::bind(address)?;
                self.listening.push((transport, listener.local_addr()?));
                self.listeners.push((transport, listener));
            }
        }
        Ok(())
    }

    /// Starts the readers and listeners; returns the sockets to send datagrams by.
    fn serve(
        self,
        transports: Transports,
        flows: &Arc<Flows>,
        counters: &Arc<PumpCounters>,
        out: mpsc::Sender<Inbound>,
    ) -> Vec<(SocketAddr, std::net::UdpSocket)> {
        let guards = transports.guards;
        let mut sockets = Vec::new();
        for (local, socket, sender) in self.udp {
            let (guards, counters, out) = (guards.clone(), counters.clone(), out.clone());
            tokio::spawn(udp::read(socket, local, guards, counters, out));
            sockets.push((local, sender));
        }
        let places = Places::new(transports.limits.max_connections);
        for (transport, listener) in self.listeners {
            let reception = Reception {
                transport,
                idle: transports.limits.idle,
                tls: transports.tls.clone(),
                flows: flows.clone(),
                places: places.clone(),
                guards: guards.clone(),
                counters: counters.clone(),
                out: out.clone(),
            };
            tokio::spawn(accept::accept(listener, reception));
        }
        sockets
    }
}

impl Sip {
    /// Binds the sockets and starts the pump on the current tokio runtime, without TLS listeners and limits per source. `gate`
    /// decides who is served.
    pub async fn start(
        listen: &[(Transport, SocketAddr)],
        limits: TcpLimits,
        config: EndpointConfig,
        gate: Box<dyn Gate>,
    ) -> Result<Sip, StartError> {
        let transports = Transports {
            listen: listen.to_vec(),
            limits,
            tls: None,
            guards: Guards::new(GuardSettings::default()),
        };
        Sip::start_on(transports, config, gate).await
    }

    /// Binds the sockets and starts the pump on the current tokio runtime. `gate` decides who is served.
    pub async fn start_on(
        transports: Transports,
        config: EndpointConfig,
        gate: Box<dyn Gate>,
    ) -> Result<Sip, StartError> {
        let (inbound_send, inbound) = mpsc::channel(INBOUND_QUEUE);
        let (commands_send, commands) = mpsc::unbounded_channel();
        let (accept, incoming) = mpsc::channel(ACCEPT_QUEUE);
        let (requests_send, requests) = mpsc::channel(REQUEST_QUEUE);
        let (closed, _) = broadcast::channel(CLOSED_QUEUE);
        let counters = Arc::new(PumpCounters::default());
        let tls = transports.tls.as_ref();
        let certificate = tls.is_some_and(|tls| tls.server().is_some());
        let bound = Bound::all(&transports.listen, certificate)?;
        let listening = bound.listening.clone();
        let flows = Arc::new(Flows::new(listening.clone()));
        let dialler = Dialler {
            tls: transports.tls.clone(),
            out: inbound_send.clone(),
        };
        let guards = transports.guards.clone();
        let sockets = bound.serve(transports, &flows, &counters, inbound_send);
        let pump = Pump {
            endpoint: Endpoint::with_gate(config, gate),
            sockets,
            streams: Streams::new(flows.clone(), dialler),
            guards,
            legs: HashMap::new(),
            overloaded: false,
            accept: Some(accept),
            requests: requests_send,
            waiting: HashMap::new(),
            closed: closed.clone(),
            held: HashMap::new(),
            counters: counters.clone(),
            refusals: Quiet::new(REFUSALS_LOGGED),
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
