//! Levels of blocks of samples, and the conversions between dBm0 and amplitude.
//!
//! 0 dBm0 is a sine 3.14 dB below digital full scale (ITU-T G.711 for A-law; µ-law's 3.17 differs by 0.03 dB and is
//! not modelled). Owns no state: smoothing belongs to the caller.

/// The level of a full-scale sine in dBm0.
#[allow(clippy::approx_constant, reason = "3.14 dB is not pi")]
pub const FULL_SCALE_DBM0: f32 = 3.14;
/// What [`dbm0`] reports for digital silence and for an empty slice.
pub const SILENCE_DBM0: f32 = -100.0;

const FULL_SCALE: f32 = 32_767.0;

/// The mean power of `samples` in dBm0, never below [`SILENCE_DBM0`].
pub fn dbm0(samples: &[i16]) -> f32 {
    power_to_dbm0(mean_square(samples))
}

/// The mean of the squared samples; 0 for an empty slice.
pub fn mean_square(samples: &[i16]) -> f32 {
    if samples.is_empty() {
        return 0.0;
    }
    (energy(samples) as f64 / samples.len() as f64) as f32
}

/// The sum of the squared samples, exact.
#[inline(always)]
pub fn energy(samples: &[i16]) -> u64 {
    // The squares of a pair fit a u32, and the compiler knows an instruction that makes both and adds them.
    let square = |sample: i16| i32::from(sample) * i32::from(sample);
    let both = |[one, other]: &[i16; 2]| square(*one).wrapping_add(square(*other)) as u32;
    let (pairs, rest) = samples.as_chunks::<2>();
    let pairs: u64 = pairs.iter().map(|pair| u64::from(both(pair))).sum();
    pairs
        + rest
            .iter()
            .map(|sample| square(*sample) as u64)
            .sum::<u64>()
}

/// The dBm0 of a mean square of 16-bit samples.
pub fn power_to_dbm0(mean_square: f32) -> f32 {
    let full_scale_power = FULL_SCALE * FULL_SCALE / 2.0;
    let ratio = mean_square / full_scale_power;
    if ratio <= 0.0 {
        return SILENCE_DBM0;
    }
    (10.0 * libm::log10f(ratio) + FULL_SCALE_DBM0).max(SILENCE_DBM0)
}

/// The peak amplitude, in 16-bit steps, of a sine of `dbm0`.
pub fn sine_peak(dbm0: f32) -> f32 {
    FULL_SCALE * db_to_ratio(dbm0 - FULL_SCALE_DBM0)
}

/// The amplitude ratio of a gain in dB.
pub fn db_to_ratio(db: f32) -> f32 {
    libm::powf(10.0, db / 20.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oscillator::Oscillator;
    use std::vec::Vec;

    fn sine(peak: f64, hz: f64) -> Vec<i16> {
        let mut oscillator = Oscillator::new(8000, hz);
        (0..8000)
            .map(|_| (oscillator.step().1 * peak).round() as i16)
            .collect()
    }

    #[test]
    fn a_full_scale_sine_is_3_14_dbm0() {
        assert!((dbm0(&sine(32_767.0, 1004.0)) - FULL_SCALE_DBM0).abs() < 0.01);
        assert!((dbm0(&sine(f64::from(sine_peak(-20.0)), 1004.0)) + 20.0).abs() < 0.01);
    }

    #[test]
    fn silence_and_nothing_are_the_floor() {
        assert_eq!(dbm0(&[]), SILENCE_DBM0);
        assert_eq!(dbm0(&[0; 160]), SILENCE_DBM0);
    }

    #[test]
    fn the_most_negative_sample_does_not_overflow() {
        assert_eq!(energy(&[i16::MIN; 5000]), 5000 << 30);
        assert!((dbm0(&[i16::MIN; 160]) - 6.15).abs() < 0.01);
    }

    #[test]
    fn gains_in_decibel() {
        assert!((db_to_ratio(20.0) - 10.0).abs() < 1e-4);
        assert!((db_to_ratio(-6.0206) - 0.5).abs() < 1e-4);
    }
}
