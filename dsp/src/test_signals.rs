//! Signals and measurements for the tests of this crate; seeded, so that every failure repeats.

use core::f64::consts::TAU;

/// The level in dBm0 of the component of `samples` at `hz`, by a Hann-windowed Fourier sum (side lobes below -60 dB
/// a few Hz away over a second of audio).
pub(crate) fn spectrum_db(samples: &[i16], rate_hz: f64, hz: f64) -> f64 {
    let (mut real, mut imaginary, mut weight_sum) = (0.0, 0.0, 0.0);
    for (index, sample) in samples.iter().enumerate() {
        let time = index as f64;
        let weight = 0.5 - 0.5 * (TAU * time / samples.len() as f64).cos();
        let angle = TAU * hz * time / rate_hz;
        real += weight * f64::from(*sample) * angle.cos();
        imaginary += weight * f64::from(*sample) * angle.sin();
        weight_sum += weight;
    }
    let peak = 2.0 * real.hypot(imaginary) / weight_sum;
    20.0 * (peak / 32_767.0).max(1e-9).log10() + f64::from(crate::level::FULL_SCALE_DBM0)
}

/// The frequency of the strongest component within 2 % of `near_hz`, to 0.001 Hz.
pub(crate) fn peak_frequency(samples: &[i16], rate_hz: f64, near_hz: f64) -> f64 {
    let (mut best, mut span) = (near_hz, near_hz * 0.02);
    while span > 0.001 {
        let candidates = (-10..=10).map(|step| best + span * f64::from(step) / 10.0);
        let score = |hz: f64| spectrum_db(samples, rate_hz, hz);
        best = candidates
            .max_by(|a, b| score(*a).total_cmp(&score(*b)))
            .unwrap_or(best);
        span /= 5.0;
    }
    best
}

/// A small generator of pseudo-random numbers (xorshift64*), seeded by the test.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// Evenly spread over 0..1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Normally distributed, mean 0, deviation 1 (sum of twelve).
    pub(crate) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}
