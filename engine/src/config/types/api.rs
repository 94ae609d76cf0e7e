//! `[api]`: the control API.
use std::net::SocketAddr;
use std::path::PathBuf;

/// `[api]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Api {
    /// Where it is served.
    pub listen: ApiListen,
    /// File of its tokens; relative to the working folder.
    pub tokens: PathBuf,
    /// Host names by which it may be called, besides addresses and `localhost`.
    pub allowed_hosts: Vec<String>,
    /// Requests in a second for each token.
    pub requests_per_second: u32,
}

/// Where the control API is served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApiListen {
    /// On the socket of `[http]`.
    Beside,
    /// On a socket of its own.
    Own {
        /// Which.
        address: SocketAddr,
        /// HTTPS with this certificate; `None`: plain HTTP.
        tls: Option<TlsFiles>,
    },
    /// Nowhere.
    Off,
}

/// A certificate chain and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain.
    pub certificate: PathBuf,
    /// The key.
    pub key: PathBuf,
}
