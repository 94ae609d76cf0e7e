//! `[sip]` and `[tls]`: signalling and its certificates.
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// `[sip]`: signalling.
#[derive(Debug, Clone, PartialEq)]
pub struct Sip {
    /// Sockets to open, at least one.
    pub listen: Vec<Listen>,
    /// What to write into Contact and Via in place of the local address of each flow.
    pub advertise: Advertise,
    /// Value of the Server and User-Agent headers.
    pub server_name: String,
    /// Calls at the same time; one more gets 503.
    pub max_calls: usize,
    /// SIP transactions at the same time, those that linger after their last response included; beyond it, requests get 503.
    pub max_transactions: usize,
    /// RFC 3261 T1.
    pub t1: Duration,
    /// Connections (TCP, TLS, WebSocket) at the same time.
    pub tcp_max_connections: usize,
    /// A connection without traffic for this long is closed.
    pub tcp_idle_timeout: Duration,
    /// Session-Expires that we ask for (RFC 4028); `None`: no session timer.
    pub session_expires: Option<Duration>,
    /// The least Session-Expires we accept (RFC 4028 Min-SE), at least 90 s.
    pub min_se: Duration,
    /// Reliable provisional responses (RFC 3262).
    pub reliable_provisional: ReliableProvisional,
}

/// One SIP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listen {
    /// What it speaks.
    pub transport: Transport,
    /// Address and port; port 0 lets the system choose.
    pub address: SocketAddr,
}

/// What carries SIP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// `udp`.
    Udp,
    /// `tcp`.
    Tcp,
    /// `tls`: TCP with TLS.
    Tls,
    /// `ws`: WebSocket (RFC 7118).
    Ws,
    /// `wss`: WebSocket over TLS.
    Wss,
}

impl Transport {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Udp, Self::Tcp, Self::Tls, Self::Ws, Self::Wss];

    /// The name as written in the file and in the `transport` parameter of a URI.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Ws => "ws",
            Self::Wss => "wss",
        }
    }

    /// Whether it needs a certificate.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }
}

/// A host, and the port where it is not the listening one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// A name, an IPv4 address, or an IPv6 address without brackets.
    pub host: String,
    /// The port; `None`: that of the socket, or found by DNS.
    pub port: Option<u16>,
}

/// What others reach us at, for all transports or for each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Advertise {
    /// For every transport not in `each`.
    pub all: Option<HostPort>,
    /// For single transports.
    pub each: Vec<(Transport, HostPort)>,
}

impl Advertise {
    /// What to advertise on a transport; `None`: the local address.
    pub fn on(&self, transport: Transport) -> Option<&HostPort> {
        let own = self.each.iter().find(|(each, _)| *each == transport);
        own.map(|(_, host)| host).or(self.all.as_ref())
    }

    /// The first of all advertised hosts that is an IP address: the default for SDP.
    pub fn address(&self) -> Option<IpAddr> {
        let each = self.each.iter().map(|(_, host)| host);
        self.all
            .iter()
            .chain(each)
            .find_map(|host| host.host.parse().ok())
    }

    /// Whether nothing is advertised.
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.each.is_empty()
    }
}

/// Whether provisional responses are sent reliably (RFC 3262).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ReliableProvisional {
    /// Never offered.
    Off,
    /// Offered, and used where the other side can.
    Supported,
    /// Required of the other side.
    Required,
}

/// `[tls]`: certificates for TLS and WSS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Our certificate chain and key; needed for listening.
    pub identity: Option<TlsIdentity>,
    /// When set, clients must show a certificate signed by one of these (mutual TLS).
    pub client_ca: Option<PathBuf>,
    /// Whether the certificates of servers we connect to are checked.
    pub verify: bool,
    /// Who may have signed them.
    pub ca: CertificateAuthorities,
}

/// A certificate chain and its key, PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsIdentity {
    /// Certificate, then intermediate ones.
    pub certificate: PathBuf,
    /// Private key.
    pub key: PathBuf,
}

/// Whose signatures are believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CertificateAuthorities {
    /// Those of the operating system.
    System,
    /// Those of a PEM file.
    File(PathBuf),
}
