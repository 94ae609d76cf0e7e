//! Every bound the parsers of this crate obey, in one place.
//!
//! Input beyond a bound is refused as a whole, never cut: a message that lost its tail is a different message.

/// Longest SIP message in octets, start line to end of body. One below 64 KiB, so that offsets fit 16 bits; no UDP
/// datagram can be longer.
pub const MAX_MESSAGE: usize = 65_535;
/// Most header field lines in one message.
pub const MAX_HEADERS: usize = 128;
/// Longest start line or header field in octets, its folded continuation lines included.
pub const MAX_HEADER_LINE: usize = 8_192;
/// Most Via values in one message; RFC 3261 section 8.1.1.6 starts Max-Forwards at 70, so no honest path is longer.
pub const MAX_VIAS: usize = 70;
/// Highest Max-Forwards value, RFC 3261 section 20.22.
pub const MAX_MAX_FORWARDS: u32 = 255;
/// CSeq numbers stay below this, RFC 3261 section 8.1.1.5.
pub const CSEQ_LIMIT: u32 = 1 << 31;

/// Most parts of a multipart body that are looked at.
pub const MAX_PARTS: usize = 16;
/// Longest multipart boundary in octets, RFC 2046 section 5.1.1.
pub const MAX_BOUNDARY: usize = 70;

/// Longest session description in octets.
pub const MAX_SDP: usize = 32_768;
/// Longest line of a session description in octets.
pub const MAX_SDP_LINE: usize = 4_096;
/// Most lines in a session description.
pub const MAX_SDP_LINES: usize = 2_048;
/// Most `m=` lines in a session description.
pub const MAX_SDP_MEDIA: usize = 32;
/// Most attributes at session level, and again in each media description.
pub const MAX_SDP_ATTRIBUTES: usize = 256;
/// Most formats (payload types) on one `m=` line: there are 128 payload types.
pub const MAX_SDP_FORMATS: usize = 128;
