//! RTP, RTCP, RFC 4733 events and the jitter buffer: sans-IO. Bytes and time in, bytes and events out.

pub mod clock;
pub mod emodel;
pub mod jitter;
pub mod packet;
pub mod reception;
pub mod rtcp;
pub mod srtp;
pub mod stun;
pub mod telephone_event;
pub mod telephone_event_clock;
pub mod xr;

/// Whether sequence number `a` comes after `b` (RFC 1982 arithmetic on 16 bits).
pub(crate) fn is_newer(a: u16, b: u16) -> bool {
    (1..0x8000).contains(&a.wrapping_sub(b))
}
