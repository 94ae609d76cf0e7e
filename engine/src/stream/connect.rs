//! The way to a service: its address, and a WebSocket connection to it.

use super::StreamSpec;
use crate::config::Secret;
use socket2::SockRef;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::Request;
use tokio_tungstenite::tungstenite::http::header::AUTHORIZATION;
use tokio_tungstenite::tungstenite::http::{HeaderValue, Uri};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

/// The longest address, in octets.
const MAX_ADDRESS: usize = 2048;
/// How long a connection may take, with TLS and WebSocket handshakes.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest message that is read, in octets: 10 s of base64 at 16 kHz.
const MAX_MESSAGE: usize = 512 * 1024;
/// What waits in the socket's buffer before a write has to wait, in octets.
const WRITE_BUFFER: usize = 64 * 1024;

/// What the system may keep for a service that does not read, in octets: about a second. It takes twice of it for itself.
const SYSTEM_BUFFER: usize = 64 * 1024;

/// The address of a service. Shown without its query and user, which may hold secrets.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    uri: Uri,
    host: String,
    port: u16,
    secure: bool,
}

/// Why an address cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Neither `ws://` nor `wss://` with a host.
    #[error("must be \"ws://host/…\" or \"wss://host/…\"")]
    Form,
    /// Too long.
    #[error("must have {MAX_ADDRESS} octets at most")]
    Length,
}

impl Address {
    /// The host that it names.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Reads an address.
    ///
    /// # Errors
    /// When it is none of a WebSocket service.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        if text.len() > MAX_ADDRESS {
            return Err(AddressError::Length);
        }
        let uri: Uri = text.parse().map_err(|_| AddressError::Form)?;
        let secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(AddressError::Form),
        };
        let host = uri.host().filter(|host| !host.is_empty());
        let host = host.ok_or(AddressError::Form)?;
        let host = host.trim_matches(['[', ']']).to_owned();
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        Ok(Address {
            uri,
            host,
            port,
            secure,
        })
    }
}

/// What tokens are, to be told to whoever gives another.
pub const TOKENS: &str = "1 to 4096 visible ASCII characters";

/// Whether a text can be sent as the token.
pub fn is_token(text: &str) -> bool {
    (1..=4096).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.secure { "wss" } else { "ws" };
        let path = self.uri.path();
        write!(f, "{scheme}://{}:{}{path}", self.host, self.port)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A connection, in the clear or encrypted.
pub(crate) enum Socket {
    Plain(Box<WebSocketStream<TcpStream>>),
    Tls(Box<WebSocketStream<TlsStream<TcpStream>>>),
}

/// Connects to the service of `spec`. The error is for the log.
pub(super) async fn connect(
    spec: &StreamSpec,
    tls: impl FnOnce() -> Result<Arc<ClientConfig>, String>,
) -> Result<Socket, String> {
    let attempt = async {
        let address = &spec.address;
        let tcp = reached(spec).await?;
        // Frames are small and due now. What the system keeps for a service that does not read would be late, so it keeps little.
        let _ = tcp.set_nodelay(true);
        let _ = SockRef::from(&tcp).set_send_buffer_size(SYSTEM_BUFFER);
        open(tcp, address, spec.token.as_ref(), MAX_MESSAGE, tls).await
    };
    match tokio::time::timeout(PATIENCE, attempt).await {
        Ok(result) => result,
        Err(_) => Err(format!("no connection within {} s", PATIENCE.as_secs())),
    }
}

async fn reached(spec: &StreamSpec) -> Result<TcpStream, String> {
    let (host, port) = (spec.address.host.as_str(), spec.address.port);
    let connected = match &spec.within {
        None => TcpStream::connect((host, port)).await,
        Some(fetcher) => {
            let admitted = fetcher.admitted(host, port).await;
            let admitted = admitted.map_err(|error| error.to_string())?;
            TcpStream::connect(&admitted[..]).await
        }
    };
    connected.map_err(|error| error.to_string())
}

/// Opens a WebSocket to `address` over a connection that leads there; `token` is sent as `Authorization: Bearer`. The error is for the log.
pub(crate) async fn open(
    tcp: TcpStream,
    address: &Address,
    token: Option<&Secret>,
    max_message: usize,
    tls: impl FnOnce() -> Result<Arc<ClientConfig>, String>,
) -> Result<Socket, String> {
    let request = request(address, token)?;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(max_message))
        .max_frame_size(Some(max_message))
        .write_buffer_size(0)
        .max_write_buffer_size(WRITE_BUFFER);
    if !address.secure {
        let opened = tokio_tungstenite::client_async_with_config(request, tcp, Some(limits));
        let (socket, _) = opened.await.map_err(|error| error.to_string())?;
        return Ok(Socket::Plain(Box::new(socket)));
    }
    let name = ServerName::try_from(address.host.clone()).map_err(|error| error.to_string())?;
    let stream = TlsConnector::from(tls()?).connect(name, tcp).await;
    let stream = stream.map_err(|error| error.to_string())?;
    let opened = tokio_tungstenite::client_async_with_config(request, stream, Some(limits));
    let (socket, _) = opened.await.map_err(|error| error.to_string())?;
    Ok(Socket::Tls(Box::new(socket)))
}

fn request(address: &Address, token: Option<&Secret>) -> Result<Request, String> {
    let request = address.uri.clone().into_client_request();
    let mut request = request.map_err(|error| error.to_string())?;
    if let Some(token) = token {
        let value = HeaderValue::try_from(format!("Bearer {}", token.expose()));
        // The error would show the value.
        let mut value = value.map_err(|_| "the token has characters no header may have")?;
        value.set_sensitive(true);
        request.headers_mut().insert(AUTHORIZATION, value);
    }
    Ok(request)
}

/// What services are trusted by: the system's roots.
pub(crate) fn client_config() -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}
