//! Signals and measurements for the tests of this crate; seeded, so that every failure repeats.

use core::f64::consts::TAU;
use std::vec::Vec;

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

/// `seconds` of a made-up voice at 8 kHz: glottal pulses of wandering pitch through three resonances that glide from
/// vowel to vowel, with pauses; about -15 dBm0 while it speaks.
pub(crate) fn speech(seed: u64, seconds: f64) -> Vec<i16> {
    let mut random = Random::new(seed + 1);
    let pitch_mean = 90.0 + random.unit() * 170.0;
    let mut resonances = [[0.0f64; 2]; 3];
    let (mut out, mut phase, mut pitch, mut jitter) = (Vec::new(), 0.0, pitch_mean, 1.0);
    let mut source = 0.0;
    let mut from = vowel(&mut random);
    while (out.len() as f64) < seconds * 8000.0 {
        let to = vowel(&mut random);
        let samples = 400 + (random.unit() * 2400.0) as usize;
        let loud = if random.unit() < 0.8 { 1.0 } else { 0.0 };
        let pitch_to = pitch_mean * (0.75 + random.unit() * 0.6);
        let pitch_step = (pitch_to - pitch) / samples as f64;
        for index in 0..samples {
            pitch += pitch_step;
            phase += pitch * jitter / 8000.0;
            let pulse = if phase >= 1.0 {
                phase -= 1.0;
                // Living voices vary by about one per cent from pulse to pulse.
                jitter = 1.0 + 0.01 * random.normal();
                1.0
            } else {
                0.0
            };
            let glide = (index as f64 / samples as f64 * 2.0).min(1.0);
            // A glottal pulse falls 12 dB per octave, the lips give 6 dB back.
            source = 0.9 * source + (pulse + 0.002 * random.normal()) * loud;
            let mut value = source;
            for (resonance, (start, end)) in resonances.iter_mut().zip(from.iter().zip(to)) {
                value = resonate(resonance, start + (end - start) * glide, value);
            }
            out.push(value);
        }
        from = to;
    }
    let rms = (out.iter().map(|value| value * value).sum::<f64>() / out.len() as f64).sqrt();
    out.iter()
        .map(|value| (value / rms * 2900.0) as i16)
        .collect()
}

/// First, second and third formant, Hz, spread over the vowels of adults and children.
fn vowel(random: &mut Random) -> [f64; 3] {
    [
        270.0 + random.unit() * 730.0,
        850.0 + random.unit() * 1500.0,
        2200.0 + random.unit() * 900.0,
    ]
}

/// One step of a two-pole resonance 80 Hz wide.
fn resonate(state: &mut [f64; 2], hz: f64, input: f64) -> f64 {
    let radius = (-std::f64::consts::PI * 80.0 / 8000.0).exp();
    let output =
        input + 2.0 * radius * (TAU * hz / 8000.0).cos() * state[0] - radius * radius * state[1];
    *state = [output, state[0]];
    output
}
