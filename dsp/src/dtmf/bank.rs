//! Eight Goertzel filters side by side, one per DTMF frequency.
//!
//! Owns the Fourier sums of one hop (2.5 ms). Their phase is referred to absolute time, so that sums of
//! neighbouring hops add up to sums over any longer window. At 8 and 16 kHz a hop is folded about its middle and
//! multiplied by a table: half the products of a plain sum, and no recurrence whose latency would bound it. Other rates
//! use the recurrence, all eight in one `[f32; 8]`. Never judges what it measures.

use core::f32::consts::TAU;
use core::f64::consts::TAU as TURN;

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
    /// The squared magnitude of every sum.
    #[inline(always)]
    pub(super) fn powers(&self) -> Tones {
        core::array::from_fn(|tone| self.power(tone))
    }

    /// The squared magnitude of one sum.
    #[inline(always)]
    pub(super) fn power(&self, tone: usize) -> f32 {
        self.real[tone] * self.real[tone] + self.imaginary[tone] * self.imaginary[tone]
    }

    /// Adds `other` times `weight`.
    #[inline(always)]
    pub(super) fn add(&mut self, other: &Packed, weight: f32) {
        for tone in 0..8 {
            self.real[tone] += weight * unpack(other.real[tone]);
            self.imaginary[tone] += weight * unpack(other.imaginary[tone]);
        }
    }
}

/// A [`Spectrum`] in half the room: the upper halves of the floats, 48 dB of range below each value.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Packed {
    real: [u16; 8],
    imaginary: [u16; 8],
}

impl Packed {
    #[inline(always)]
    pub(super) fn new(spectrum: &Spectrum) -> Self {
        Self {
            real: spectrum.real.map(pack),
            imaginary: spectrum.imaginary.map(pack),
        }
    }

    /// The real and the imaginary part at one frequency.
    #[inline(always)]
    pub(super) fn at(&self, tone: usize) -> [f32; 2] {
        [unpack(self.real[tone]), unpack(self.imaginary[tone])]
    }
}

#[inline(always)]
fn pack(value: f32) -> u16 {
    (value.to_bits().wrapping_add(0x8000) >> 16) as u16
}

#[inline(always)]
fn unpack(half: u16) -> f32 {
    f32::from_bits(u32::from(half) << 16)
}

/// The eight frequencies in Hz.
pub(super) const FREQUENCIES: Tones = {
    let mut all = [0.0; 8];
    let mut index = 0;
    while index < 4 {
        all[index] = ROWS_HZ[index] as f32;
        all[index + 4] = COLUMNS_HZ[index] as f32;
        index += 1;
    }
    all
};

/// Cosines and sines of the eight frequencies at so many samples and a half from the middle of a hop.
struct Folded<const HALF: usize> {
    cosines: [Tones; HALF],
    sines: [Tones; HALF],
}

static NARROW: Folded<10> = Folded::new(8000);
static WIDE: Folded<20> = Folded::new(16_000);

impl<const HALF: usize> Folded<HALF> {
    const fn new(rate_hz: u32) -> Self {
        let mut table = Self {
            cosines: [[0.0; 8]; HALF],
            sines: [[0.0; 8]; HALF],
        };
        let mut sample = 0;
        while sample < HALF {
            let mut tone = 0;
            while tone < 8 {
                let turns = FREQUENCIES[tone] as f64 * (sample as f64 + 0.5) / rate_hz as f64;
                table.cosines[sample][tone] = sine_of(turns + 0.25) as f32;
                table.sines[sample][tone] = sine_of(turns) as f32;
                tone += 1;
            }
            sample += 1;
        }
        table
    }

    /// The sums over a hop of `2 * HALF` samples, with their phase referred to its middle.
    #[inline(always)]
    fn sums(&self, samples: &[f32]) -> Spectrum {
        let (before, after) = samples.split_at(samples.len() / 2);
        let (mut real, mut imaginary) = ([0.0f32; 8], [0.0f32; 8]);
        let pairs = after.iter().zip(before.iter().rev());
        for ((cosines, sines), (after, before)) in self.cosines.iter().zip(&self.sines).zip(pairs) {
            let (even, odd) = (after + before, before - after);
            for tone in 0..8 {
                real[tone] += even * cosines[tone];
                imaginary[tone] += odd * sines[tone];
            }
        }
        Spectrum { real, imaginary }
    }
}

/// The sine of so many turns (0 to 4) by its series, right to 1e-13, for tables made by the compiler.
const fn sine_of(turns: f64) -> f64 {
    let mut turns = turns - turns as i64 as f64;
    if turns > 0.5 {
        turns -= 1.0;
    }
    let angle = turns * TURN;
    let (mut term, mut sum, mut order) = (angle, angle, 1.0);
    while order < 31.0 {
        term *= -angle * angle / ((order + 1.0) * (order + 2.0));
        sum += term;
        order += 2.0;
    }
    sum
}

/// The filters and the phase of absolute time at each frequency.
#[derive(Clone, Debug)]
pub(super) struct Bank {
    /// The turn of all hops so far.
    phase: Spectrum,
    /// A hop's turn.
    turn: Spectrum,
    rate_hz: u32,
}

impl Bank {
    pub(super) fn new(rate_hz: u32, hop_samples: usize) -> Self {
        let turns = |hz: f32| {
            libm::fmod(f64::from(hz) * hop_samples as f64 / f64::from(rate_hz), 1.0) as f32 * TAU
        };
        Self {
            phase: Spectrum {
                real: [1.0; 8],
                imaginary: [0.0; 8],
            },
            turn: Spectrum {
                real: FREQUENCIES.map(|hz| libm::cosf(turns(hz))),
                imaginary: FREQUENCIES.map(|hz| -libm::sinf(turns(hz))),
            },
            rate_hz,
        }
    }

    /// The sums over one hop of samples.
    #[inline(always)]
    pub(super) fn hop(&mut self, samples: &[f32]) -> Spectrum {
        let mut sums = match (self.rate_hz, samples.len()) {
            (8000, 20) => NARROW.sums(samples),
            (16_000, 40) => WIDE.sums(samples),
            _ => recur(self.rate_hz, samples),
        };
        for tone in 0..8 {
            let (real, imaginary) = (sums.real[tone], sums.imaginary[tone]);
            let (cosine, sine) = (self.phase.real[tone], self.phase.imaginary[tone]);
            sums.real[tone] = real * cosine - imaginary * sine;
            sums.imaginary[tone] = real * sine + imaginary * cosine;
        }
        self.skip();
        sums
    }

    /// Lets a hop of silence pass.
    #[inline(always)]
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

/// The sums by the eight recurrences `s[n] = c s[n-1] - s[n-2] + x[n]`, with their phase referred to the last sample.
#[inline(never)]
fn recur(rate_hz: u32, samples: &[f32]) -> Spectrum {
    let angles = FREQUENCIES.map(|hz| TAU * hz / rate_hz as f32);
    let (cosines, sines) = (angles.map(libm::cosf), angles.map(libm::sinf));
    let (mut last, mut before) = ([0.0; 8], [0.0; 8]);
    for sample in samples {
        let mut next = [0.0; 8];
        for tone in 0..8 {
            next[tone] = 2.0 * cosines[tone] * last[tone] + (sample - before[tone]);
        }
        before = last;
        last = next;
    }
    Spectrum {
        real: core::array::from_fn(|tone| last[tone] - before[tone] * cosines[tone]),
        imaginary: core::array::from_fn(|tone| before[tone] * sines[tone]),
    }
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
            for (tone, hz) in FREQUENCIES.into_iter().enumerate() {
                let expected = Parameters::new(hz, 8000, 20).mag_squared(samples.iter());
                let allowed = expected.max(1e6) * 1e-3;
                prop_assert!((spectrum.power(tone) - expected).abs() < allowed, "{hz} Hz: {} against {expected}", spectrum.power(tone));
            }
        }

        #[test]
        fn the_folded_table_equals_the_recurrence(samples in proptest::collection::vec(-32_768.0f32..32_767.0, 40..=40)) {
            for (rate_hz, hop) in [(8000, 20), (16_000, 40)] {
                let expected = recur(rate_hz, &samples[..hop]);
                let folded = Bank::new(rate_hz, hop).hop(&samples[..hop]);
                for (tone, hz) in FREQUENCIES.into_iter().enumerate() {
                    let allowed = expected.power(tone).max(1e6) * 1e-3;
                    prop_assert!((folded.power(tone) - expected.power(tone)).abs() < allowed, "{hz} Hz at {rate_hz}");
                }
            }
        }

        #[test]
        fn hops_add_up_to_a_long_window(samples in proptest::collection::vec(-32_768.0f32..32_767.0, 160..=160)) {
            let mut bank = Bank::new(8000, 20);
            let mut sum = Spectrum::default();
            for hop in samples.chunks(20) {
                let part = bank.hop(hop);
                for tone in 0..8 {
                    sum.real[tone] += part.real[tone];
                    sum.imaginary[tone] += part.imaginary[tone];
                }
            }
            for (tone, hz) in FREQUENCIES.into_iter().enumerate() {
                let expected = Parameters::new(hz, 8000, 160).mag_squared(samples.iter());
                let allowed = expected.max(1e8) * 1e-2;
                prop_assert!((sum.power(tone) - expected).abs() < allowed, "{hz} Hz: {} against {expected}", sum.power(tone));
            }
        }
    }
}
