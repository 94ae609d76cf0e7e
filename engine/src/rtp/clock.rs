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
    }
}
