//! The sockets of the HTTP face and the API: plain, or over TLS (1.2 and 1.3).
//!
//! Limits: [`MOST_CONNECTIONS`] at the same time, the one after waits in the system's queue; [`HANDSHAKE`] for a TLS handshake;
//! [`WRITE_TIME`] for a peer to take anything of what it is sent; [`IDLE`] in which nothing goes either way.
use super::Peer;
use axum::Router;
use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::Sleep;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::server::TlsStream;

/// Connections at the same time, of one socket.
const MOST_CONNECTIONS: usize = 1024;
/// Longest TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Longest time in which a peer takes nothing.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(30);
/// Longest time in which nothing is sent either way: far longer than any answer takes, and streams of events send something every 20 s.
const IDLE: Duration = Duration::from_secs(120);
/// How long to wait when the system has no descriptor left.
const BREATH: Duration = Duration::from_millis(200);

/// Why a socket is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot be bound.
    #[error(
        "cannot listen for HTTP on {address}: {cause}. Change {key} in the configuration, or set it to \"off\""
    )]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Which key says so.
        key: &'static str,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The certificate or key cannot be used.
    #[error("{path}: {reason}; see [api] certificate and key in the configuration")]
    Certificate {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

/// A certificate chain and its key, PEM files.
pub(in crate::api) type Identity<'a> = (&'a PathBuf, &'a PathBuf);

/// Binds and serves in the background; returns the address really bound. `key` is the key of the configuration that names the address.
///
/// # Errors
/// See [`ServeError`].
pub async fn start(
    address: SocketAddr,
    key: &'static str,
    identity: Option<Identity<'_>>,
    router: Router,
    cuts: Arc<Cuts>,
) -> Result<SocketAddr, ServeError> {
    let tls = identity.map(acceptor).transpose()?;
    let fail = |cause| ServeError::Bind {
        address,
        key,
        cause,
    };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let bound = listener.local_addr().map_err(fail)?;
    let service = router.into_make_service_with_connect_info::<Peer>();
    let plain = Plain {
        listener,
        places: Arc::new(Semaphore::new(MOST_CONNECTIONS)),
        cuts,
    };
    tokio::spawn(async move {
        let ended = match tls {
            None => axum::serve(plain, service).await,
            Some(tls) => axum::serve(Secured::start(plain, tls, bound), service).await,
        };
        if let Err(error) = ended {
            tracing::error!(%error, "the HTTP server ended");
        }
    });
    Ok(bound)
}

fn acceptor((certificate, key): Identity<'_>) -> Result<TlsAcceptor, ServeError> {
    let refuse = |path: &PathBuf, reason: String| ServeError::Certificate {
        path: path.clone(),
        reason,
    };
    let chain: Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(certificate).and_then(Iterator::collect);
    let chain = chain.map_err(|error| refuse(certificate, error.to_string()))?;
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|error| refuse(key, error.to_string()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map(|builder| builder.with_no_client_auth())
        .and_then(|builder| builder.with_single_cert(chain, secret));
    let mut config = config.map_err(|error| refuse(certificate, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// Connections that were cut off, by reason.
#[derive(Debug, Default)]
pub struct Cuts {
    idle: AtomicU64,
    stuck: AtomicU64,
}

impl Cuts {
    /// Each reason and how often.
    pub fn by_reason(&self) -> [(&'static str, u64); 2] {
        let so_far = |count: &AtomicU64| count.load(Ordering::Relaxed);
        [("idle", so_far(&self.idle)), ("stuck", so_far(&self.stuck))]
    }
}

/// A connection and its place among those there may be.
struct Held<S> {
    stream: S,
    _place: OwnedSemaphorePermit,
    /// Runs while the peer takes nothing.
    stuck: Option<Pin<Box<Sleep>>>,
    /// Runs from the last time that anything went either way.
    idle: Pin<Box<Sleep>>,
    patience: Duration,
    cuts: Arc<Cuts>,
}

impl<S> Held<S> {
    fn new(stream: S, place: OwnedSemaphorePermit, patience: Duration, cuts: Arc<Cuts>) -> Self {
        Held {
            stream,
            _place: place,
            stuck: None,
            idle: Box::pin(tokio::time::sleep(patience)),
            patience,
            cuts,
        }
    }

    fn in_use(&mut self) {
        let until = tokio::time::Instant::now() + self.patience;
        self.idle.as_mut().reset(until);
    }

    /// Cuts off a peer that has taken nothing for too long.
    fn watched<T>(
        &mut self,
        context: &mut Context<'_>,
        wrote: Poll<std::io::Result<T>>,
    ) -> Poll<std::io::Result<T>> {
        if wrote.is_ready() {
            self.stuck = None;
            self.in_use();
            return wrote;
        }
        let stuck = self
            .stuck
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(WRITE_TIME)));
        match stuck.as_mut().poll(context) {
            Poll::Ready(()) => {
                self.cuts.stuck.fetch_add(1, Ordering::Relaxed);
                tracing::info!(
                    rule = "http-write-stuck",
                    "a peer takes nothing: its connection is cut off"
                );
                Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

struct Plain {
    listener: TcpListener,
    places: Arc<Semaphore>,
    cuts: Arc<Cuts>,
}

impl Listener for Plain {
    type Io = Held<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let Ok(place) = self.places.clone().acquire_owned().await else {
                std::future::pending::<()>().await; // it is never closed
                continue;
            };
            match self.listener.accept().await {
                Ok((stream, from)) => {
                    let _ = stream.set_nodelay(true);
                    return (Held::new(stream, place, IDLE, self.cuts.clone()), from);
                }
                Err(error) => {
                    tracing::warn!(%error, rule = "http-accept", "a connection was not taken");
                    tokio::time::sleep(BREATH).await;
                }
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// Handshakes are made beside each other: one that is slow holds up nobody.
struct Secured {
    ready: mpsc::Receiver<(TlsStream<Held<TcpStream>>, SocketAddr)>,
    bound: SocketAddr,
}

impl Secured {
    fn start(mut plain: Plain, tls: TlsAcceptor, bound: SocketAddr) -> Secured {
        let (send, ready) = mpsc::channel(64);
        tokio::spawn(async move {
            loop {
                let (stream, from) = plain.accept().await;
                if send.is_closed() {
                    return;
                }
                let (tls, send) = (tls.clone(), send.clone());
                tokio::spawn(async move {
                    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
                        Ok(Ok(stream)) => drop(send.send((stream, from)).await),
                        Ok(Err(error)) => {
                            tracing::info!(%from, %error, rule = "https-handshake", "TLS handshake failed");
                        }
                        Err(_) => {
                            tracing::info!(%from, rule = "https-handshake-slow", "TLS handshake given up");
                        }
                    }
                });
            }
        });
        Secured { ready, bound }
    }
}

impl Listener for Secured {
    type Io = TlsStream<Held<TcpStream>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            match self.ready.recv().await {
                Some(ready) => return ready,
                None => std::future::pending().await,
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        Ok(self.bound)
    }
}

impl Connected<IncomingStream<'_, Plain>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Plain>) -> Peer {
        Peer(*stream.remote_addr())
    }
}

impl Connected<IncomingStream<'_, Secured>> for Peer {
    fn connect_info(stream: IncomingStream<'_, Secured>) -> Peer {
        Peer(*stream.remote_addr())
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        if read.is_ready() {
            self.in_use();
            return read;
        }
        ready!(self.idle.as_mut().poll(context));
        self.cuts.idle.fetch_add(1, Ordering::Relaxed);
        tracing::info!(
            rule = "http-idle",
            limit_s = self.patience.as_secs(),
            "nothing is sent either way: a connection is closed"
        );
        Poll::Ready(Err(std::io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let wrote = Pin::new(&mut self.stream).poll_write(context, octets);
        self.watched(context, wrote)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(context);
        self.watched(context, flushed)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    #[tokio::test]
    async fn a_silent_peer_loses_its_place_and_one_that_talks_does_not() {
        let places = Arc::new(Semaphore::new(2));
        let cuts = Arc::<Cuts>::default();
        let held = |stream, patience| {
            let place = places.clone().try_acquire_owned().expect("there is room");
            Held::new(stream, place, patience, cuts.clone())
        };
        let (_far, near) = duplex(8);
        let mut silent = held(near, Duration::from_millis(1));
        let cut = silent.read_u8().await.unwrap_err();
        assert_eq!(cut.kind(), std::io::ErrorKind::TimedOut);
        drop(silent);
        assert_eq!(places.available_permits(), 2);
        let (mut far, near) = duplex(8);
        let mut talking = held(near, IDLE);
        // It was silent until now, and one octet is enough.
        talking.idle.as_mut().reset(tokio::time::Instant::now());
        far.write_u8(7).await.unwrap();
        assert_eq!(talking.read_u8().await.unwrap(), 7);
        let waits = tokio::time::timeout(Duration::ZERO, talking.read_u8()).await;
        assert!(waits.is_err(), "{waits:?}");
        assert_eq!(cuts.by_reason(), [("idle", 1), ("stuck", 0)]);
    }
}
