//! Listeners of streams (TCP, TLS, WS, WSS): accept, ask the guards, shake hands, and hand each connection to a task of its own.
//!
//! Limits: connections in all and per source, handshakes at once, 10 s for a handshake.
use super::counters::count;
use super::flows::Flows;
use super::guard::{Guards, Place, Places};
use super::stream::Connection;
use super::tls::Tls;
use super::{Inbound, PumpCounters, ws};
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use trunkline_sip::{Flow, Transport};

/// Connections the kernel completes before we accept them.
const BACKLOG: i32 = 1024;
/// How long the handshakes of TLS and WebSocket may take together.
const HANDSHAKE_TIME: Duration = Duration::from_secs(10);

/// Limits of streams.
#[derive(Debug, Clone, Copy)]
pub struct TcpLimits {
    /// Connections of peers open at once.
    pub max_connections: usize,
    /// A connection is closed when nothing came or went for this long.
    pub idle: Duration,
}

/// Binds one listener. IPv6 ones take IPv6 only, so that a peer has one address.
pub(super) fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    TcpListener::from_std(socket.into())
}

/// What accepted connections need.
#[derive(Clone)]
pub(super) struct Reception {
    pub(super) transport: Transport,
    pub(super) idle: Duration,
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) flows: Arc<Flows>,
    pub(super) places: Arc<Places>,
    pub(super) guards: Arc<Guards>,
    pub(super) counters: Arc<PumpCounters>,
    pub(super) out: mpsc::Sender<Inbound>,
}

/// Accepts connections until the process ends.
pub(super) async fn accept(listener: TcpListener, reception: Reception) {
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(got) => got,
            Err(error) => {
                tracing::warn!(%error, "TCP accept refused by the system; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        // Taken before its task runs: a burst must not pass the limit.
        let (guards, places) = (&reception.guards, &reception.places);
        match guards.connection(Instant::now(), places, remote.ip()) {
            Ok(place) => {
                tokio::spawn(reception.clone().serve(stream, remote, place));
            }
            Err(rule) => reception.turn_away(rule, remote),
        }
    }
}

impl Reception {
    async fn serve(self, stream: TcpStream, remote: SocketAddr, place: Place) {
        let Ok(local) = stream.local_addr() else {
            return;
        };
        let _ = stream.set_nodelay(true);
        let flow = Flow {
            transport: self.transport,
            local,
            remote,
            connection: self.flows.next_id(),
        };
        match self.transport {
            Transport::Udp | Transport::Tcp => self.introduce(flow).await.run(stream).await,
            // Boxed: a plain connection must not take the room of these, and there may be thousands.
            Transport::Ws => Box::pin(self.websocket(stream, flow, &place)).await,
            Transport::Tls | Transport::Wss => Box::pin(self.secure(stream, flow, &place)).await,
        }
        drop(place);
    }

    /// TLS, and WebSocket above it.
    async fn secure(&self, stream: TcpStream, flow: Flow, place: &Place) {
        // Whoever listens has a certificate; a reload may have taken it away.
        let Some(config) = self.tls.as_ref().and_then(|tls| tls.server()) else {
            return self.turn_away("tls-handshake", flow.remote);
        };
        let shaken = async {
            let acceptor = TlsAcceptor::from(config);
            acceptor.accept(stream).await.map_err(|e| e.to_string())
        };
        let Some(stream) = self.in_time("tls-handshake", flow, place, shaken).await else {
            return;
        };
        match flow.transport {
            Transport::Wss => self.websocket(stream, flow, place).await,
            _ => self.introduce(flow).await.run(stream).await,
        }
    }

    async fn websocket(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send,
        flow: Flow,
        place: &Place,
    ) {
        let shaken = async { ws::handshake(stream).await.map_err(|e| e.to_string()) };
        if let Some(socket) = self.in_time("ws-handshake", flow, place, shaken).await {
            ws::run(self.introduce(flow).await, socket).await;
        }
    }

    /// A handshake within its time; half-open connections are few.
    async fn in_time<T>(
        &self,
        rule: &'static str,
        flow: Flow,
        place: &Place,
        handshake: impl Future<Output = Result<T, String>>,
    ) -> Option<T> {
        let counted = match place.handshake() {
            Ok(counted) => counted,
            Err(rule) => {
                self.turn_away(rule, flow.remote);
                return None;
            }
        };
        let shaken = tokio::time::timeout(HANDSHAKE_TIME, handshake).await;
        drop(counted);
        let error = match shaken {
            Ok(Ok(stream)) => return Some(stream),
            Ok(Err(error)) => error,
            Err(_) => "not complete within 10 s".to_owned(),
        };
        tracing::debug!(remote = %flow.remote, rule, error, "handshake failed");
        self.turn_away(rule, flow.remote);
        None
    }

    /// Tells the pump of a connection.
    async fn introduce(&self, flow: Flow) -> Connection {
        let (connection, link) = Connection::new(flow, self.idle, false, self.out.clone());
        // A pump that is gone has dropped the queue's other end, which ends the connection.
        let _ = self.out.send(Inbound::Connected(flow, link)).await;
        connection
    }

    fn turn_away(&self, rule: &'static str, remote: SocketAddr) {
        count(&self.counters.dropped, rule);
        self.guards.log(Instant::now(), rule, remote);
    }
}
