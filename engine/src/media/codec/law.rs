//! G.711 as the loop uses it: octets to samples and back without any state. Owns nothing; the arithmetic is `trunkline_dsp::g711`.

use trunkline_dsp::g711;

/// A companding law of G.711: one octet for each sample at 8 kHz.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Law {
    /// µ-law.
    Mu,
    /// A-law.
    A,
}

impl Law {
    /// The octet that encodes digital silence.
    pub fn silence(self) -> u8 {
        match self {
            Law::Mu => g711::ULAW_SILENCE,
            Law::A => g711::ALAW_SILENCE,
        }
    }

    /// Encodes linear samples; the shorter length counts.
    pub fn encode(self, samples: &[i16], out: &mut [u8]) {
        match self {
            Law::Mu => g711::ulaw_encode_into(samples, out),
            Law::A => g711::alaw_encode_into(samples, out),
        };
    }

    /// Decodes to linear samples; the shorter length counts.
    pub fn decode(self, octets: &[u8], out: &mut [i16]) {
        match self {
            Law::Mu => g711::ulaw_decode_into(octets, out),
            Law::A => g711::alaw_decode_into(octets, out),
        };
    }

    /// Converts octets of this law to another in place (ITU-T G.711 tables 3 and 4).
    pub fn convert(self, to: Law, octets: &mut [u8]) {
        match (self, to) {
            (Law::Mu, Law::A) => octets
                .iter_mut()
                .for_each(|octet| *octet = g711::ulaw_to_alaw(*octet)),
            (Law::A, Law::Mu) => octets
                .iter_mut()
                .for_each(|octet| *octet = g711::alaw_to_ulaw(*octet)),
            (Law::Mu, Law::Mu) | (Law::A, Law::A) => {}
        }
    }
}
