//! Steady tones of one or two frequencies: ring-back, busy, beeps.
//!
//! Owns the sound only; cadences (on and off times) belong to who plays it.

use crate::{level, oscillator::Oscillator};

/// A steady sum of one or two cosines, continuous over any sequence of [`Tone::fill`] calls.
///
/// It starts at cosine phase, so that a tone at half the sampling rate alternates at full level instead of vanishing.
#[derive(Clone, Debug)]
pub struct Tone {
    oscillators: [Oscillator; 2],
    peaks: [f64; 2],
}

impl Tone {
    /// A tone of the frequencies `hz`, each at `dbm0`, at `rate_hz` samples per second.
    ///
    /// A frequency of 0 or below, above half the rate, or not a number is left out. Sums beyond full scale clip.
    pub fn new(rate_hz: u32, hz: [f32; 2], dbm0: f32) -> Self {
        let peak = f64::from(level::sine_peak(dbm0));
        let nyquist = f64::from(rate_hz) / 2.0;
        let audible = |hz: f32| f64::from(hz) > 0.0 && f64::from(hz) <= nyquist;
        Self {
            oscillators: hz
                .map(|hz| Oscillator::new(rate_hz, if audible(hz) { f64::from(hz) } else { 0.0 })),
            peaks: hz.map(|hz| if audible(hz) { peak } else { 0.0 }),
        }
    }

    /// Overwrites `out` with the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        let [first, second] = &mut self.oscillators;
        for sample in out {
            let sum = first.step().0 * self.peaks[0] + second.step().0 * self.peaks[1];
            *sample = libm::rint(sum) as i16;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{level::dbm0, test_signals::spectrum_db};

    #[test]
    fn half_the_rate_alternates_at_full_level() {
        let mut out = [0; 160];
        Tone::new(8000, [4000.0, 0.0], 0.0).fill(&mut out);
        let peak = level::sine_peak(0.0).round() as i16;
        assert!(out.chunks(2).all(|pair| pair == [peak, -peak]), "{out:?}");
    }

    #[test]
    fn level_is_exact_and_harmonics_are_below_60_db() {
        for (hz, dbm) in [(425.0, -10.0), (1000.0, 0.0), (1400.0, -20.0), (300.0, 3.0)] {
            let mut out = [0; 8000];
            Tone::new(8000, [hz, 0.0], dbm).fill(&mut out);
            assert!(
                (dbm0(&out) - dbm).abs() < 0.05,
                "{hz} Hz: {} dBm0",
                dbm0(&out)
            );
            let carrier = spectrum_db(&out, 8000.0, f64::from(hz));
            for harmonic in 2..=3 {
                let distortion =
                    spectrum_db(&out, 8000.0, f64::from(hz) * f64::from(harmonic)) - carrier;
                assert!(
                    distortion < -60.0,
                    "{hz} Hz harmonic {harmonic}: {distortion} dB"
                );
            }
        }
    }

    #[test]
    fn frames_join_without_a_step() {
        let (mut whole, mut parts) = ([0; 480], [0; 480]);
        Tone::new(8000, [350.0, 440.0], -13.0).fill(&mut whole);
        let mut tone = Tone::new(8000, [350.0, 440.0], -13.0);
        for part in parts.chunks_mut(7) {
            tone.fill(part);
        }
        assert_eq!(whole, parts);
    }

    #[test]
    fn impossible_frequencies_are_silent() {
        for hz in [0.0, -5.0, 4001.0, f32::NAN, f32::INFINITY] {
            let mut out = [1; 160];
            Tone::new(8000, [hz, hz], 0.0).fill(&mut out);
            assert_eq!(out, [0; 160], "{hz} Hz");
        }
    }

    #[test]
    fn an_hour_later_the_level_has_not_moved() {
        let mut tone = Tone::new(8000, [425.0, 0.0], -10.0);
        let mut out = [0; 8000];
        for _ in 0..3600 {
            tone.fill(&mut out);
        }
        assert!((dbm0(&out) + 10.0).abs() < 0.01);
    }
}
