//! The audio encodings a channel can speak on the wire. Owns their names and silence; the arithmetic is `trunkline_dsp::g711`.

use trunkline_dsp::g711;

/// Samples of one 20 ms frame at 8 kHz; also its octets in G.711.
pub const FRAME_SAMPLES: usize = 160;

/// Length of one frame in ms.
pub const FRAME_MS: u32 = 20;

/// Samples per ms of every channel.
pub const SAMPLES_PER_MS: u32 = 8;

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
            Encoding::Pcmu => g711::ULAW_SILENCE,
            Encoding::Pcma => g711::ALAW_SILENCE,
        }
    }

    /// The encoding name of SDP's `rtpmap`.
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Pcmu => "PCMU",
            Encoding::Pcma => "PCMA",
        }
    }

    /// Encodes linear samples; the shorter length counts.
    pub fn encode(self, samples: &[i16], out: &mut [u8]) {
        match self {
            Encoding::Pcmu => g711::ulaw_encode_into(samples, out),
            Encoding::Pcma => g711::alaw_encode_into(samples, out),
        };
    }

    /// Converts octets of this encoding to another in place (ITU-T G.711 tables 3 and 4).
    pub fn convert(self, to: Encoding, octets: &mut [u8]) {
        match (self, to) {
            (Encoding::Pcmu, Encoding::Pcma) => octets
                .iter_mut()
                .for_each(|octet| *octet = g711::ulaw_to_alaw(*octet)),
            (Encoding::Pcma, Encoding::Pcmu) => octets
                .iter_mut()
                .for_each(|octet| *octet = g711::alaw_to_ulaw(*octet)),
            (Encoding::Pcmu, Encoding::Pcmu) | (Encoding::Pcma, Encoding::Pcma) => {}
        }
    }

    /// Decodes to linear samples; the shorter length counts.
    pub fn decode(self, octets: &[u8], out: &mut [i16]) {
        match self {
            Encoding::Pcmu => g711::ulaw_decode_into(octets, out),
            Encoding::Pcma => g711::alaw_decode_into(octets, out),
        };
    }
}
