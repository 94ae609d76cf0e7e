//! The audio encodings a channel can speak on the wire: their names, clocks and sizes, and the coders that carry the state of one stream.

mod coder;
mod law;
pub mod opus;
mod rate;

pub use coder::{DecodeError, Decoder, Encoder};
pub use law::Law;
pub use rate::AudioRate;

pub use crate::rtp::clock::ClockRate;

/// Samples of one 20 ms frame at 8 kHz; also its octets in G.711.
pub const FRAME_SAMPLES: usize = 160;

/// Length of one frame in ms.
pub const FRAME_MS: u32 = 20;

/// Samples per ms at 8 kHz.
pub const SAMPLES_PER_MS: u32 = 8;

/// An audio encoding on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Encoding {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.722 at 64 kbit/s, static payload type 9.
    G722,
    /// Opus (RFC 6716, RFC 7587).
    Opus,
    /// 16-bit linear samples, big-endian, at 8 kHz (RFC 3551 section 4.5.11).
    L16Narrow,
    /// 16-bit linear samples, big-endian, at 16 kHz.
    L16Wide,
}

impl Encoding {
    /// Every one.
    pub const ALL: [Encoding; 6] = [
        Encoding::Pcmu,
        Encoding::Pcma,
        Encoding::G722,
        Encoding::Opus,
        Encoding::L16Narrow,
        Encoding::L16Wide,
    ];

    /// The encoding name of SDP's `rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Encoding::Pcmu => "PCMU",
            Encoding::Pcma => "PCMA",
            Encoding::G722 => "G722",
            Encoding::Opus => "opus",
            Encoding::L16Narrow | Encoding::L16Wide => "L16",
        }
    }

    /// The name for logs and reports: that of `rtpmap`, and where it stands for two, the rate.
    pub const fn label(self) -> &'static str {
        match self {
            Encoding::L16Wide => "L16/16000",
            other => other.name(),
        }
    }

    /// How fast its RTP timestamps run.
    pub const fn clock(self) -> ClockRate {
        match self {
            // RFC 3551 section 4.5.2: 8000 for G.722, too.
            Encoding::Pcmu | Encoding::Pcma | Encoding::G722 | Encoding::L16Narrow => {
                ClockRate::HZ_8000
            }
            Encoding::L16Wide => ClockRate::HZ_16000,
            // RFC 7587 section 4.1, whatever the audio's rate is.
            Encoding::Opus => ClockRate::HZ_48000,
        }
    }

    /// The rate of the audio its coders take and give.
    pub const fn audio(self) -> AudioRate {
        match self {
            Encoding::Pcmu | Encoding::Pcma | Encoding::L16Narrow => AudioRate::Narrow,
            Encoding::G722 | Encoding::Opus | Encoding::L16Wide => AudioRate::Wide,
        }
    }

    /// The law of G.711, where it is one of both.
    pub const fn law(self) -> Option<Law> {
        match self {
            Encoding::Pcmu => Some(Law::Mu),
            Encoding::Pcma => Some(Law::A),
            Encoding::G722 | Encoding::Opus | Encoding::L16Narrow | Encoding::L16Wide => None,
        }
    }

    /// Octets of a ms, where every ms has as many.
    pub const fn octets_per_ms(self) -> Option<usize> {
        match self {
            Encoding::Pcmu | Encoding::Pcma | Encoding::G722 => Some(8),
            Encoding::L16Narrow => Some(16),
            Encoding::L16Wide => Some(32),
            Encoding::Opus => None,
        }
    }

    /// The length of a payload in units of the RTP clock; `None` where it is none of this encoding.
    pub fn duration(self, payload: &[u8]) -> Option<u32> {
        match self {
            Encoding::Pcmu | Encoding::Pcma | Encoding::G722 => Some(payload.len() as u32),
            Encoding::L16Narrow | Encoding::L16Wide if payload.len() % 2 == 1 => None,
            Encoding::L16Narrow | Encoding::L16Wide => Some(payload.len() as u32 / 2),
            Encoding::Opus => opus::packet::head(payload).map(|head| head.ticks),
        }
    }

    /// Samples of its audio in so many units of its RTP clock.
    pub const fn samples(self, units: u32) -> usize {
        (units as u64 * self.audio().hz() as u64 / self.clock().hz() as u64) as usize
    }

    /// The packet time that is sent where the peer asks for `ptime_ms`: what the codec can frame and one datagram can hold.
    pub const fn sendable_ms(self, ptime_ms: u8) -> u8 {
        let tens = match ptime_ms / 10 {
            0 => 1,
            tens @ 1..=6 => tens,
            _ => 6,
        } * 10;
        match (self, tens) {
            // RFC 6716 section 2.1.4: frames of 10, 20, 40 and 60 ms.
            (Encoding::Opus, 30) => 20,
            (Encoding::Opus, 50) => 40,
            // 60 ms would be 1920 octets.
            (Encoding::L16Wide, 50 | 60) => 40,
            (_, tens) => tens,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_in_the_clock_of_the_encoding() {
        for encoding in Encoding::ALL {
            let Some(octets) = encoding.octets_per_ms() else {
                continue;
            };
            let payload = vec![0; octets * 20];
            assert_eq!(
                encoding.duration(&payload),
                Some(encoding.clock().samples_in_ms(FRAME_MS)),
                "{encoding:?}"
            );
        }
        assert_eq!(Encoding::L16Wide.duration(&[1, 2, 3]), None);
        assert_eq!(Encoding::Opus.duration(&[0x48, 1, 2]), Some(960));
    }

    #[test]
    fn packets_are_of_lengths_that_can_be_sent() {
        let sent = |encoding: Encoding| {
            [0, 10, 20, 30, 40, 50, 60, 200].map(|ptime| encoding.sendable_ms(ptime))
        };
        assert_eq!(sent(Encoding::Pcmu), [10, 10, 20, 30, 40, 50, 60, 60]);
        assert_eq!(sent(Encoding::Opus), [10, 10, 20, 20, 40, 40, 60, 60]);
        assert_eq!(sent(Encoding::L16Wide), [10, 10, 20, 30, 40, 40, 40, 40]);
    }
}
