//! SIP over sockets: a thin pump around the sans-IO `Endpoint`, with one reader task per UDP socket and per TCP connection.
//!
//! Nothing here knows what a call is; events go to the owner of their leg, new legs to the acceptor.
mod counters;
mod handle;
mod pump;
mod shown;
mod start;
mod tcp;
mod udp;

pub use counters::PumpCounters;
pub use handle::{Command, Headers, Incoming, LegEvents, NewLeg, SipHandle};
pub use start::{Sip, StartError, TcpLimits};

use bytes::Bytes;
use trunkline_sip::Flow;

/// What reader tasks hand to the pump.
#[derive(Debug)]
pub(crate) enum Inbound {
    /// One SIP message (UDP datagram or framed from a stream).
    Message(Flow, Bytes),
    /// A TCP connection is up.
    Connected(Flow, tcp::Stream),
    /// A TCP connection is gone.
    Closed(Flow, &'static str),
}
