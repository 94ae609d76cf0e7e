//! Two kinds of rate that must never be mixed up: how fast RTP timestamps run, and how many samples the audio has.
//!
//! They differ for G.722 (16 kHz audio, RTP clock 8000: RFC 3551 section 4.5.2) and for Opus (RTP clock 48000: RFC 7587 section 4.1).

use super::FRAME_MS;

/// How fast the RTP timestamps of a stream run, in Hz. Timestamps are only ever advanced through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClockRate(u32);

impl ClockRate {
    /// 8000 Hz.
    pub const HZ_8000: ClockRate = ClockRate(8000);
    /// 16 000 Hz.
    pub const HZ_16000: ClockRate = ClockRate(16_000);
    /// 48 000 Hz.
    pub const HZ_48000: ClockRate = ClockRate(48_000);

    /// The rate in Hz.
    pub const fn hz(self) -> u32 {
        self.0
    }

    /// Timestamp units of so many ms; wraps as timestamps do.
    pub const fn samples_in_ms(self, ms: u32) -> u32 {
        ms.wrapping_mul(self.0 / 1000)
    }

    /// Timestamp units of one frame of 20 ms.
    pub const fn frame(self) -> u32 {
        self.samples_in_ms(FRAME_MS)
    }

    /// Whole ms of so many timestamp units.
    pub const fn ms(self, samples: u32) -> u32 {
        samples / (self.0 / 1000)
    }

    /// So many of this clock's units in units of another, rounded down.
    pub const fn convert(self, samples: u32, to: ClockRate) -> u32 {
        (samples as u64 * to.0 as u64 / self.0 as u64) as u32
    }
}

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
        assert_eq!(ClockRate::HZ_8000.frame(), 160);
        assert_eq!(ClockRate::HZ_48000.frame(), 960);
        assert_eq!(ClockRate::HZ_16000.samples_in_ms(60), 960);
        assert_eq!(ClockRate::HZ_48000.ms(2880), 60);
        assert_eq!(ClockRate::HZ_8000.convert(800, ClockRate::HZ_48000), 4800);
        assert_eq!(ClockRate::HZ_48000.convert(960, ClockRate::HZ_8000), 160);
        assert_eq!(AudioRate::Narrow.samples_per_frame(), 160);
        assert_eq!(AudioRate::Wide.samples_per_frame(), 320);
        // A clock that has run for weeks goes on.
        assert_eq!(ClockRate::HZ_48000.samples_in_ms(89_478_486), 32);
    }
}
