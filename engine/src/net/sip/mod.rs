//! SIP over sockets: a thin pump around the sans-IO `Endpoint`, with one reader task per UDP socket and per connection.
//!
//! Nothing here knows what a call is; events go to the owner of their leg, new legs to the acceptor.
mod accept;
mod counters;
mod dial;
mod flows;
mod guard;
mod handle;
mod keep_alive;
mod outside;
mod pump;
mod resolver;
mod shown;
mod start;
mod stream;
mod streams;
mod tls;
mod udp;
mod write_queue;
mod ws;

pub use accept::TcpLimits;
pub use counters::PumpCounters;
pub use flows::{Hop, NoFlow};
pub use guard::{Bans, GuardSettings, Guards};
pub use handle::{Command, Headers, Incoming, LegEvents, NewLeg, SipHandle};
pub use outside::{IncomingRequest, Outcome};
pub use resolver::{Asked, Naptr, ResolveError, Resolver, Srv, Zones};
pub use start::{Sip, StartError, Transports};
pub use tls::{Tls, TlsError, TlsSettings};

use bytes::Bytes;
use trunkline_sip::Flow;

/// What reader tasks hand to the pump.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// One SIP message (UDP datagram or framed from a stream).
    Message(Flow, Bytes),
    /// What can be read of a message after which nothing can: when it is answered, a peer's connection is to be closed.
    Last(Flow, Bytes),
    /// A peer's connection is up.
    Connected(Flow, stream::Link),
    /// A connection is gone, or could not be opened.
    Closed {
        flow: Flow,
        why: &'static str,
        /// Messages that may leave on a new connection.
        unsent: Vec<Bytes>,
    },
}
