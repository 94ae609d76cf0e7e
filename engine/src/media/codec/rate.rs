//! The rate of linear audio. Not to be mixed up with the RTP clock, how fast timestamps run: [`ClockRate`](super::ClockRate).
//!
//! They differ for G.722 (16 kHz audio, RTP clock 8000: RFC 3551 section 4.5.2) and for Opus (RTP clock 48000: RFC 7587 section 4.1).

use super::FRAME_MS;

/// The sampling rate of linear audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AudioRate {
    /// 8 kHz: 160 samples in 20 ms.
    Narrow,
    /// 16 kHz: 320 samples in 20 ms.
    Wide,
}

impl AudioRate {
    /// The rate in Hz.
    pub const fn hz(self) -> u32 {
        match self {
            AudioRate::Narrow => 8000,
            AudioRate::Wide => 16_000,
        }
    }

    /// Samples of so many ms.
    pub const fn samples_in_ms(self, ms: u32) -> usize {
        ms as usize * (self.hz() as usize / 1000)
    }

    /// Samples of one frame of 20 ms.
    pub const fn samples_per_frame(self) -> usize {
        self.samples_in_ms(FRAME_MS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_count_in_their_own_units() {
        assert_eq!(AudioRate::Narrow.samples_per_frame(), 160);
        assert_eq!(AudioRate::Wide.samples_per_frame(), 320);
    }
}
