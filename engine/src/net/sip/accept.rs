//! Listeners of streams: accept, count against the limits, and hand each connection to a task of its own.
use super::Inbound;
use super::flows::Flows;
use super::stream::Connection;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use trunkline_sip::{Flow, Transport};

/// Connections the kernel completes before we accept them.
const BACKLOG: i32 = 1024;

/// Limits of streams.
#[derive(Debug, Clone, Copy)]
pub struct TcpLimits {
    /// Connections of peers open at once.
    pub max_connections: usize,
    /// A connection is closed when nothing came or went for this long.
    pub idle: Duration,
}

/// One of the connections that count against the limit.
pub(super) struct Place(Arc<Places>);

/// How many connections of peers are open.
pub(super) struct Places {
    open: AtomicUsize,
    limits: TcpLimits,
}

impl Places {
    pub(super) fn new(limits: TcpLimits) -> Arc<Places> {
        Arc::new(Places {
            open: AtomicUsize::new(0),
            limits,
        })
    }

    /// Taken before a connection's task runs: a burst must not pass the limit.
    fn take(self: &Arc<Places>) -> Option<Place> {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        (before < self.limits.max_connections).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
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
    pub(super) flows: Arc<Flows>,
    pub(super) places: Arc<Places>,
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
        let Some(place) = reception.places.take() else {
            let limit = reception.places.limits.max_connections;
            tracing::warn!(%remote, rule = "tcp-max-connections", limit, "TCP connection refused; raise [sip] tcp_max_connections");
            continue;
        };
        tokio::spawn(serve(stream, remote, place, reception.clone()));
    }
}

async fn serve(stream: TcpStream, remote: SocketAddr, place: Place, reception: Reception) {
    let Ok(local) = stream.local_addr() else {
        return;
    };
    let flow = Flow {
        transport: reception.transport,
        local,
        remote,
        connection: reception.flows.next_id(),
    };
    let _ = stream.set_nodelay(true);
    let idle = place.0.limits.idle;
    let (connection, link) = Connection::new(flow, idle, false, reception.out.clone());
    // A pump that is gone has dropped the queue's other end, which ends the connection.
    let _ = reception.out.send(Inbound::Connected(flow, link)).await;
    connection.run(stream).await;
    drop(place);
}
