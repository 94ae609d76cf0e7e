//! Opens connections: TCP within 5 s, options for a peer that vanishes, and the task that carries messages.
use super::Inbound;
use super::flows::{Target, stream_socket};
use super::stream::{Connection, Link};
use socket2::{SockRef, Socket, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;

/// How long a peer may take to accept a connection.
const CONNECT_TIME: Duration = Duration::from_secs(5);
/// How long what we sent may stay without the kernel of the peer taking it, before the connection counts as dead.
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);
/// After how long in silence the kernel asks the peer whether it is there.
const KERNEL_KEEPALIVE: Duration = Duration::from_secs(60);
/// A connection we opened is closed after this long without a message: longer than the longest registration we make (1 h).
const IDLE: Duration = Duration::from_secs(2 * 3600);

/// Opens connections for the pump.
#[derive(Clone)]
pub(super) struct Dialler {
    pub(super) out: mpsc::Sender<Inbound>,
}

impl Dialler {
    /// The pump's end of a connection that is being opened; what is sent meanwhile waits in its queue.
    pub(super) fn dial(&self, target: Target) -> Link {
        let (connection, link) = Connection::new(target.flow, IDLE, true, self.out.clone());
        tokio::spawn(open(target, connection));
        link
    }
}

async fn open(target: Target, connection: Connection) {
    let (hop, remote) = (target.hop.clone(), target.flow.remote);
    let connected = tokio::time::timeout(CONNECT_TIME, connect(target)).await;
    match connected {
        Ok(Ok(stream)) => connection.run(stream).await,
        Ok(Err(error)) => {
            tracing::warn!(%remote, transport = hop.transport.uri_param(), host = hop.server_name, rule = "connect-refused", %error, "connection could not be opened");
            connection.end("connection refused", false).await;
        }
        Err(_) => {
            tracing::warn!(%remote, transport = hop.transport.uri_param(), host = hop.server_name, rule = "connect-timeout", "connection could not be opened: no answer within 5 s");
            connection
                .end("no answer to the connection request", false)
                .await;
        }
    }
}

async fn connect(target: Target) -> io::Result<TcpStream> {
    let remote = target.flow.remote;
    let socket = bound(target.flow.local, target.own_port, target.reserved, remote)?;
    let connected = TcpSocket::from_std_stream(socket.into()).connect(remote);
    let stream = match connected.await {
        // Our port still lingers from a connection just closed: any other will do.
        Err(error) if target.own_port && error.kind() == io::ErrorKind::AddrNotAvailable => {
            TcpSocket::from_std_stream(stream_socket(remote)?.into())
                .connect(remote)
                .await?
        }
        other => other?,
    };
    settle(&stream);
    Ok(stream)
}

/// A socket that leaves from `local` where that is the connection's own end.
fn bound(
    local: SocketAddr,
    own_port: bool,
    reserved: Option<Socket>,
    remote: SocketAddr,
) -> io::Result<Socket> {
    if let Some(socket) = reserved {
        return Ok(socket);
    }
    let socket = stream_socket(remote)?;
    if own_port && let Err(error) = socket.bind(&local.into()) {
        tracing::debug!(%local, %error, "port of an earlier connection is taken; leaving from another");
        return stream_socket(remote);
    }
    Ok(socket)
}

/// A peer that vanished must be noticed. What the system refuses here only delays that.
fn settle(stream: &TcpStream) {
    let _ = stream.set_nodelay(true);
    let socket = SockRef::from(stream);
    let _ = socket.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
    let _ = socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(KERNEL_KEEPALIVE));
}
