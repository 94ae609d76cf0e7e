//! Checks on the SIP parsers: they never panic, and what they accept has the properties named at each function.

use trunkline_sip::{Frame, Message};

/// One datagram: framing is idempotent, and no accessor panics.
pub fn sip_message(octets: &[u8]) {
    let Ok(frame) = Frame::parse(octets) else { return };
    let message = Message::from(&frame);
    assert_eq!(message.frame().bytes(), frame.bytes());
    let _ = frame.validate();
}
