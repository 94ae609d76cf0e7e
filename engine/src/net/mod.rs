//! Sockets: UDP and TCP for SIP, the UDP poller for RTP.
pub mod sip;
