//! Sockets: UDP and TCP for SIP, the UDP poller for RTP.

pub mod batch;
pub mod poller;
pub mod prefetch;
pub mod rtp_socket;
pub mod sip;
pub mod stamped;
pub mod thread;
