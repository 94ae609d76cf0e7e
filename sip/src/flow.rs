//! Owns the name of a path between us and a peer. It never opens one.

use std::net::SocketAddr;

/// How octets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// Datagrams: requests and refusals are retransmitted.
    Udp,
    /// A reliable stream.
    Tcp,
}

impl Transport {
    /// Whether the transport itself repeats what is lost (RFC 3261 §17).
    pub fn is_reliable(self) -> bool {
        matches!(self, Transport::Tcp)
    }

    /// The token in Via (RFC 3261 §20.42).
    pub fn via_token(self) -> &'static str {
        match self {
            Transport::Udp => "UDP",
            Transport::Tcp => "TCP",
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
    /// Which connection; 0 for UDP.
    pub connection: u64,
}
