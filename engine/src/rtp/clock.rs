//! The RTP clock of a payload format: how many timestamp units a second has. Whoever advances a timestamp does it through this type.

/// Units of RTP timestamps per second (RFC 3550 section 5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClockRate(u32);

impl ClockRate {
    /// G.711, and G.722 in spite of its 16 kHz of audio (RFC 3551 section 4.5.2).
    pub const HZ_8000: ClockRate = ClockRate(8_000);
    /// L16 at 16 kHz.
    pub const HZ_16000: ClockRate = ClockRate(16_000);
    /// Opus at whatever rate it codes (RFC 7587 section 4.1).
    pub const HZ_48000: ClockRate = ClockRate(48_000);

    /// Units per second.
    pub const fn hz(self) -> u32 {
        self.0
    }

    /// Units of so many milliseconds; the rates here have a whole number of units in each.
    pub const fn samples_in_ms(self, ms: u32) -> u32 {
        (self.0 / 1000).wrapping_mul(ms)
    }

    /// Whole ms of so many units.
    pub const fn ms(self, units: u32) -> u32 {
        units / (self.0 / 1000)
    }

    /// So many of this clock's units in those of another, towards zero.
    pub const fn convert(self, units: u32, to: ClockRate) -> u32 {
        (units as u64 * to.0 as u64 / self.0 as u64) as u32
    }

    /// Microseconds of so many units, towards zero.
    pub const fn us(self, units: i64) -> i64 {
        units.saturating_mul(1000) / (self.0 / 1000) as i64
    }

    /// Units of so many microseconds, towards zero.
    pub const fn units(self, us: i64) -> i64 {
        us.saturating_mul((self.0 / 1000) as i64) / 1000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_there_and_back() {
        for clock in [ClockRate::HZ_8000, ClockRate::HZ_16000, ClockRate::HZ_48000] {
            assert_eq!(clock.samples_in_ms(1000), clock.hz());
            assert_eq!(clock.units(20_000), i64::from(clock.samples_in_ms(20)));
            for units in [-961i64, -160, 0, 1, 160, 961] {
                assert!((clock.units(clock.us(units)) - units).abs() <= 1);
            }
        }
        assert_eq!(ClockRate::HZ_48000.samples_in_ms(20), 960);
        assert_eq!(ClockRate::HZ_8000.us(160), 20_000);
        assert_eq!(ClockRate::HZ_48000.ms(2880), 60);
        assert_eq!(ClockRate::HZ_8000.convert(800, ClockRate::HZ_48000), 4800);
        assert_eq!(ClockRate::HZ_48000.convert(960, ClockRate::HZ_8000), 160);
        // A clock that has run for weeks goes on.
        assert_eq!(ClockRate::HZ_48000.samples_in_ms(89_478_486), 32);
    }
}
