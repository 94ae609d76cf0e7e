//! Eight Goertzel filters side by side, one per DTMF frequency.
//!
//! Owns the Fourier sums of one hop (2.5 ms). Their phase is referred to absolute time, so that sums of
//! neighbouring hops add up to sums over any longer window. The eight recurrences run in one `[f32; 8]`: the
//! chain of one filter is bound by latency, and eight cost as much as one. Never judges what it measures.

use core::f32::consts::TAU;

use super::key::{COLUMNS_HZ, ROWS_HZ};

/// One value per tone: the four rows, then the four columns.
pub(super) type Tones = [f32; 8];

/// Fourier sums at the eight frequencies.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spectrum {
    pub(super) real: Tones,
    pub(super) imaginary: Tones,
}

impl Spectrum {
    /// Adds `other` times `weight`.
    #[inline]
    pub(super) fn add(&mut self, other: &Self, weight: f32) {
        for tone in 0..8 {
            self.real[tone] += weight * other.real[tone];
            self.imaginary[tone] += weight * other.imaginary[tone];
        }
    }

    /// The squared magnitude of every sum.
    #[inline]
    pub(super) fn powers(&self) -> Tones {
        core::array::from_fn(|tone| self.power(tone))
    }

    /// The squared magnitude of one sum.
    #[inline]
    pub(super) fn power(&self, tone: usize) -> f32 {
        self.real[tone] * self.real[tone] + self.imaginary[tone] * self.imaginary[tone]
    }
}

/// The eight frequencies in Hz.
pub(super) fn frequencies() -> Tones {
    core::array::from_fn(|tone| {
        f32::from(if tone < 4 {
            ROWS_HZ[tone]
        } else {
            COLUMNS_HZ[tone - 4]
        })
    })
}

/// The filters and the phase of absolute time at each frequency.
#[derive(Clone, Debug)]
pub(super) struct Bank {
    cosine: Tones,
    sine: Tones,
    /// A hop's turn.
    turn: Spectrum,
    /// The turn of all hops so far.
    phase: Spectrum,
}

impl Bank {
    pub(super) fn new(rate_hz: u32, hop_samples: usize) -> Self {
        let angle = |hz: f32| TAU * hz / rate_hz as f32;
        let turns = |hz: f32| {
            libm::fmod(f64::from(hz) * hop_samples as f64 / f64::from(rate_hz), 1.0) as f32 * TAU
        };
        Self {
            cosine: frequencies().map(|hz| libm::cosf(angle(hz))),
            sine: frequencies().map(|hz| libm::sinf(angle(hz))),
            turn: Spectrum {
                real: frequencies().map(|hz| libm::cosf(turns(hz))),
                imaginary: frequencies().map(|hz| -libm::sinf(turns(hz))),
            },
            phase: Spectrum {
                real: [1.0; 8],
                imaginary: [0.0; 8],
            },
        }
    }

    /// The sums over one hop of samples.
    pub(super) fn hop(&mut self, samples: &[f32]) -> Spectrum {
        let (last, before) = recur(&self.cosine.map(|cosine| 2.0 * cosine), samples);
        let mut spectrum = Spectrum::default();
        for tone in 0..8 {
            let real = last[tone] - before[tone] * self.cosine[tone];
            let imaginary = before[tone] * self.sine[tone];
            let (cosine, sine) = (self.phase.real[tone], self.phase.imaginary[tone]);
            spectrum.real[tone] = real * cosine - imaginary * sine;
            spectrum.imaginary[tone] = real * sine + imaginary * cosine;
        }
        self.skip();
        spectrum
    }

    /// Lets a hop of silence pass.
    pub(super) fn skip(&mut self) {
        for tone in 0..8 {
            let (real, imaginary) = (self.phase.real[tone], self.phase.imaginary[tone]);
            let next_real = real * self.turn.real[tone] - imaginary * self.turn.imaginary[tone];
            let next_imaginary =
                real * self.turn.imaginary[tone] + imaginary * self.turn.real[tone];
            // One Newton step keeps the radius at one for ever.
            let correction = 1.5 - 0.5 * (next_real * next_real + next_imaginary * next_imaginary);
            self.phase.real[tone] = next_real * correction;
            self.phase.imaginary[tone] = next_imaginary * correction;
        }
    }
}

/// The eight recurrences `s[n] = c s[n-1] - s[n-2] + x[n]`; returns the last two values of each.
///
/// Kept out of line: inlined into a large function the compiler spills the sixteen states to memory (measured: ten
/// times slower).
#[inline(never)]
fn recur(coefficients: &Tones, samples: &[f32]) -> (Tones, Tones) {
    let (mut last, mut before) = ([0.0; 8], [0.0; 8]);
    for sample in samples {
        let mut next = [0.0; 8];
        for tone in 0..8 {
            next[tone] = coefficients[tone] * last[tone] - before[tone] + sample;
        }
        before = last;
        last = next;
    }
    (last, before)
}

#[cfg(test)]
mod tests {
    use super::*;
    use goertzel_nostd::Parameters;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn equals_the_reference_goertzel(samples in proptest::collection::vec(-32_768.0f32..32_767.0, 20..=20)) {
            let mut bank = Bank::new(8000, 20);
            bank.hop(&[0.0; 20]);
            let spectrum = bank.hop(&samples);
            for (tone, hz) in frequencies().into_iter().enumerate() {
                let expected = Parameters::new(hz, 8000, 20).mag_squared(samples.iter());
                let allowed = expected.max(1e6) * 1e-3;
                prop_assert!((spectrum.power(tone) - expected).abs() < allowed, "{hz} Hz: {} against {expected}", spectrum.power(tone));
            }
        }

        #[test]
        fn hops_add_up_to_a_long_window(samples in proptest::collection::vec(-32_768.0f32..32_767.0, 160..=160)) {
            let mut bank = Bank::new(8000, 20);
            let mut sum = Spectrum::default();
            for hop in samples.chunks(20) {
                sum.add(&bank.hop(hop), 1.0);
            }
            for (tone, hz) in frequencies().into_iter().enumerate() {
                let expected = Parameters::new(hz, 8000, 160).mag_squared(samples.iter());
                let allowed = expected.max(1e8) * 1e-2;
                prop_assert!((sum.power(tone) - expected).abs() < allowed, "{hz} Hz: {} against {expected}", sum.power(tone));
            }
        }
    }
}
