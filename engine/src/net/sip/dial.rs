//! Opens connections: TCP within 5 s, TLS within another 5 s, options for a peer that vanishes, and the task that carries messages.
use super::Inbound;
use super::flows::{Hop, Target, stream_socket};
use super::stream::{Connection, Link};
use super::tls::{Tls, TlsSettings};
use socket2::{SockRef, Socket, TcpKeepalive};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use trunkline_sip::Transport;

/// How long a peer may take to accept a connection, and again for TLS.
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
    /// `None`: servers are checked against whom the system trusts.
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) out: mpsc::Sender<Inbound>,
}

impl Dialler {
    /// The pump's end of a connection that is being opened; what is sent meanwhile waits in its queue.
    pub(super) fn dial(&self, target: Target) -> Link {
        let (connection, link) = Connection::new(target.flow, IDLE, true, self.out.clone());
        tokio::spawn(open(target, connection, self.tls.clone()));
        link
    }
}

async fn open(target: Target, connection: Connection, tls: Option<Arc<Tls>>) {
    let hop = target.hop.clone();
    let stream = match in_time(connect(target)).await {
        Ok(stream) => stream,
        Err(error) => return failed(connection, &hop, "connect-failed", &error).await,
    };
    if hop.transport == Transport::Tcp {
        return connection.run(stream).await;
    }
    match in_time(secure(stream, &hop, tls)).await {
        Ok(stream) => connection.run(stream).await,
        Err(error) => failed(connection, &hop, "tls-refused", &error).await,
    }
}

async fn in_time<T>(step: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let limit = || io::Error::new(io::ErrorKind::TimedOut, "no answer within 5 s");
    tokio::time::timeout(CONNECT_TIME, step)
        .await
        .unwrap_or_else(|_| Err(limit()))
}

async fn failed(connection: Connection, hop: &Hop, rule: &'static str, error: &io::Error) {
    let (remote, transport) = (hop.address, hop.transport.uri_param());
    tracing::warn!(%remote, transport, host = hop.server_name, rule, %error, "connection could not be opened");
    connection.end(rule, false).await;
}

/// TLS with the name of the SIP domain (SNI), which the peer's certificate must speak for (RFC 5922 §7.3).
async fn secure(
    stream: TcpStream,
    hop: &Hop,
    tls: Option<Arc<Tls>>,
) -> io::Result<TlsStream<TcpStream>> {
    let host = hop.server_name.trim_end_matches('.');
    let host = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let name = ServerName::try_from(host.to_owned()).map_err(|_| {
        let why = format!("{host:?} is no name or address a certificate could speak for");
        io::Error::new(io::ErrorKind::InvalidInput, why)
    })?;
    let tls = match tls {
        Some(tls) => tls,
        None => Tls::load(&TlsSettings::default()).map_err(io::Error::other)?,
    };
    TlsConnector::from(tls.client()).connect(name, stream).await
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
