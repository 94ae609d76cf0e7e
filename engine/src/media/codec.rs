//! The audio encodings a channel can speak on the wire. Owns the names and the silence octets; the conversions are in `trunkline_dsp::g711`.

/// Samples of one 20 ms frame at 8 kHz; also its octets in G.711.
pub const FRAME_SAMPLES: usize = 160;

/// Length of one frame in ms.
pub const FRAME_MS: u32 = 20;

/// An audio encoding with an 8 kHz RTP clock (RFC 3551 section 4.5.14).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
}

impl Encoding {
    /// The octet that encodes digital silence.
    pub fn silence(self) -> u8 {
        match self {
            Encoding::Pcmu => 0xFF,
            Encoding::Pcma => 0xD5,
        }
    }

    /// The encoding name of SDP's `rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Pcmu => "PCMU",
            Encoding::Pcma => "PCMA",
        }
    }
}
