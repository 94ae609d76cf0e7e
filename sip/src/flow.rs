//! Owns the name of a path between us and a peer. It never opens one.

use std::net::SocketAddr;

/// How octets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams: requests and refusals are retransmitted.
    Udp,
    /// A reliable stream.
    Tcp,
    /// A stream under TLS.
    Tls,
    /// Messages over a WebSocket (RFC 7118).
    Ws,
    /// Messages over a WebSocket under TLS (RFC 7118).
    Wss,
}

impl Transport {
    /// Whether the transport itself repeats what is lost (RFC 3261 §17).
    pub fn is_reliable(self) -> bool {
        self != Transport::Udp
    }

    /// Whether nobody on the way can read along.
    pub fn is_secure(self) -> bool {
        matches!(self, Transport::Tls | Transport::Wss)
    }

    /// The port of a URI that names none (RFC 3261 §19.1.2, RFC 7118 §5.1).
    pub fn default_port(self) -> u16 {
        match self {
            Transport::Udp | Transport::Tcp => 5060,
            Transport::Tls => 5061,
            Transport::Ws => 80,
            Transport::Wss => 443,
        }
    }

    /// The value of the `transport` URI parameter (RFC 3261 §19.1.1, RFC 7118 §5.1).
    pub fn uri_param(self) -> &'static str {
        match self {
            Transport::Udp => "udp",
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Ws => "ws",
            Transport::Wss => "wss",
        }
    }

    /// The token in Via (RFC 3261 §20.42).
    pub fn via_token(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
            Transport::Tls => "TLS",
            Transport::Ws => "WS",
            Transport::Wss => "WSS",
        }
    }
}

/// One path: transport, our address, the peer's address, and the connection for streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// How octets travel.
    pub transport: Transport,
    /// Our end: a concrete address, never the unspecified one, since it goes into Via and Contact.
    pub local: SocketAddr,
    /// The peer's end.
    pub remote: SocketAddr,
    /// Which connection; 0 for UDP. 0 for a stream asks the transport for a connection to `remote`, open or new.
    pub connection: u64,
}

impl Flow {
    /// Whether what is sent over `other` reaches the same host in the same way, whatever the port or connection.
    pub(crate) fn leads_where(&self, other: &Flow) -> bool {
        self.transport == other.transport
            && self.remote.ip().to_canonical() == other.remote.ip().to_canonical()
    }
}
