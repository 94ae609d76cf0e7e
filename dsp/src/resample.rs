//! Conversion between 8, 16 and 48 kHz by linear-phase FIR filters.
//!
//! Owns three filters of one kind, for the factors 2, 3 and 6. Each cuts off at half the lower rate, so that every tap whose distance
//! from the middle is a multiple of the factor is zero: of the factor's branches one only hands its samples through.
//!
//! | | pass band (ripple below 0.01 dB) | stop band (below -70 dB) | delay |
//! |---|---|---|---|
//! | 8 and 16 kHz | 3.4 kHz | 4.6 kHz | 1.94 ms |
//! | 16 and 48 kHz | 7.0 kHz | 9.0 kHz | 1.23 ms |
//! | 8 and 48 kHz | 3.4 kHz | 4.6 kHz | 1.98 ms |
//!
//! What lies between pass and stop band folds onto the same stretch only weakened, where a telephone hears nothing. Any
//! division of the audio into slices gives the same samples. Other ratios are not served.

use crate::simd::{self, Arithmetic, Kernel};

/// Samples of the lower rate converted at once from a buffer on the stack (20 ms of 8 kHz).
const BLOCK: usize = 160;
/// Most taps of a branch.
const MOST_TAPS: usize = 40;
/// Room for the past of a branch and a block.
const LINE: usize = MOST_TAPS + BLOCK;
/// Sums kept in registers at once.
const LANES: usize = 16;
/// Shape of the Kaiser window: 75 dB of stop-band attenuation, beta = 0.1102 (A - 8.7).
const KAISER_BETA: f64 = 0.1102 * (75.0 - 8.7);

/// 16 kHz in, 8 kHz out.
pub type Down2 = Down<2, 32>;
/// 8 kHz in, 16 kHz out.
pub type Up2 = Up<2, 32>;
/// 48 kHz in, 16 kHz out.
pub type Down3 = Down<3, 40>;
/// 16 kHz in, 48 kHz out.
pub type Up3 = Up<3, 40>;
/// 48 kHz in, 8 kHz out.
pub type Down6 = Down<6, 32>;
/// 8 kHz in, 48 kHz out.
pub type Up6 = Up<6, 32>;

/// The branches of the filter of `FACTOR * TAPS - 1` taps, each with the newest sample's tap last and scaled so that it sums to one: each
/// branch is a filter of its own for one of the output's phases, and none changes the level. The last branch is not used.
const fn branches<const FACTOR: usize, const TAPS: usize>() -> [[f32; TAPS]; FACTOR] {
    let mut branches = [[0.0; TAPS]; FACTOR];
    let middle = (FACTOR * TAPS / 2) as i32 - 1;
    let mut branch = 0;
    while branch + 1 < FACTOR {
        let mut ideal = [0.0f64; TAPS];
        let (mut sum, mut tap) = (0.0, 0);
        while tap < TAPS {
            let offset = (branch + FACTOR * tap) as i32 - middle;
            let place = offset as f64 / (middle + 1) as f64;
            let window = bessel_i0_of_root(KAISER_BETA * KAISER_BETA * (1.0 - place * place));
            ideal[tap] = sine_of_turn(offset, FACTOR) / offset as f64 * window;
            sum += ideal[tap];
            tap += 1;
        }
        tap = 0;
        while tap < TAPS {
            branches[branch][TAPS - 1 - tap] = (ideal[tap] / sum) as f32;
            tap += 1;
        }
        branch += 1;
    }
    branches
}

/// The sine of `offset / factor` half turns.
const fn sine_of_turn(offset: i32, factor: usize) -> f64 {
    const ROOT_3_HALF: f64 = 0.866_025_403_784_438_6;
    let twelfth = (offset * (6 / factor as i32)).rem_euclid(12);
    let sine = [0.0, 0.5, ROOT_3_HALF, 1.0, ROOT_3_HALF, 0.5][(twelfth % 6) as usize];
    if twelfth < 6 { sine } else { -sine }
}

/// The modified Bessel function I0 of the square root of `square`, by its power series.
const fn bessel_i0_of_root(square: f64) -> f64 {
    let (mut term, mut sum, mut k) = (1.0, 1.0, 1.0);
    while k < 40.0 {
        term *= square / 4.0 / (k * k);
        sum += term;
        k += 1.0;
    }
    sum
}

/// Adds the filter over `line` to `sums`; sum `n` begins at sample `n`, and `line` has `taps.len() + LANES` more samples than there are
/// sums. Many sums at once, so that it vectorises.
#[inline(always)]
fn accumulate<const TAPS: usize>(
    taps: &[f32; TAPS],
    line: &[f32],
    sums: &mut [f32; BLOCK],
    count: usize,
) {
    let (groups, _) = sums.as_chunks_mut::<LANES>();
    for (index, group) in groups.iter_mut().take(count.div_ceil(LANES)).enumerate() {
        let window = &line[index * LANES..];
        let mut held = *group;
        for (offset, tap) in taps.iter().enumerate() {
            if let Some(samples) = window[offset..].first_chunk::<LANES>() {
                for lane in 0..LANES {
                    held[lane] += tap * samples[lane];
                }
            }
        }
        *group = held;
    }
}

/// A converter, what it takes and where it writes.
struct Converting<'s, C, I>(&'s mut C, &'s [I], &'s mut [i16]);

impl<const FACTOR: usize, const TAPS: usize> Kernel
    for Converting<'_, Down<FACTOR, TAPS>, [i16; FACTOR]>
{
    type Out = usize;

    #[inline(always)]
    fn run<A: Arithmetic>(self) -> usize {
        self.0.convert(self.1, self.2)
    }
}

impl<const FACTOR: usize, const TAPS: usize> Kernel for Converting<'_, Up<FACTOR, TAPS>, i16> {
    type Out = usize;

    #[inline(always)]
    fn run<A: Arithmetic>(self) -> usize {
        self.0.convert(self.1, self.2)
    }
}

#[inline(always)]
fn to_sample(value: f32) -> i16 {
    // Adding and taking away 1.5 * 2^23 rounds to even without a call; the cast saturates.
    const ROUND: f32 = 12_582_912.0;
    ((value + ROUND) - ROUND) as i16
}

/// A higher rate in, a lower out; see the names of the factors.
#[derive(Clone, Debug)]
pub struct Down<const FACTOR: usize, const TAPS: usize> {
    /// The first samples of a group whose last has not come yet, and how many.
    waiting: [i16; FACTOR],
    count: usize,
    /// The last samples of each place in the group.
    past: [[f32; TAPS]; FACTOR],
}

impl<const FACTOR: usize, const TAPS: usize> Default for Down<FACTOR, TAPS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const FACTOR: usize, const TAPS: usize> Down<FACTOR, TAPS> {
    const BRANCHES: [[f32; TAPS]; FACTOR] = branches();

    /// A converter with silence in its past.
    pub const fn new() -> Self {
        Self {
            waiting: [0; FACTOR],
            count: 0,
            past: [[0.0; TAPS]; FACTOR],
        }
    }

    /// Converts `input` and returns how many samples of `out` were written: one for each whole group of 2, 3 or 6, counting samples
    /// left over from the call before. `out` needs `input.len().div_ceil(FACTOR)`; what does not fit is dropped, never written
    /// elsewhere.
    pub fn process(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let mut rest = input;
        let mut written = 0;
        if self.count > 0 {
            let (fill, after) = rest.split_at(rest.len().min(FACTOR - self.count));
            self.wait(fill);
            rest = after;
            if self.count == FACTOR {
                self.count = 0;
                written = self.groups(&[self.waiting], out);
            }
        }
        let (groups, tail) = rest.as_chunks::<FACTOR>();
        for block in groups.chunks(BLOCK) {
            written += self.groups(block, &mut out[written..]);
        }
        self.wait(tail);
        written
    }

    fn wait(&mut self, samples: &[i16]) {
        self.waiting[self.count..][..samples.len()].copy_from_slice(samples);
        self.count += samples.len();
    }

    fn groups(&mut self, groups: &[[i16; FACTOR]], out: &mut [i16]) -> usize {
        simd::widest(Converting(self, groups, out))
    }

    #[inline(always)]
    fn convert(&mut self, groups: &[[i16; FACTOR]], out: &mut [i16]) -> usize {
        let count = groups.len();
        let mut sums = [0.0; BLOCK];
        for (place, past) in self.past.iter_mut().enumerate() {
            let mut line = [0.0; LINE + LANES];
            line[..TAPS].copy_from_slice(past);
            for (slot, group) in line[TAPS..].iter_mut().zip(groups) {
                *slot = f32::from(group[place]);
            }
            if place + 1 < FACTOR {
                accumulate(
                    &Self::BRANCHES[FACTOR - 2 - place],
                    &line[1..],
                    &mut sums,
                    count,
                );
            } else {
                for (sum, sample) in sums[..count].iter_mut().zip(&line[TAPS / 2..]) {
                    *sum += sample;
                }
            }
            past.copy_from_slice(&line[count..count + TAPS]);
        }
        for (sample, sum) in out.iter_mut().zip(&sums[..count]) {
            *sample = to_sample(sum * (1.0 / FACTOR as f32));
        }
        count.min(out.len())
    }
}

/// A lower rate in, a higher out; see the names of the factors.
#[derive(Clone, Debug)]
pub struct Up<const FACTOR: usize, const TAPS: usize> {
    past: [f32; TAPS],
}

impl<const FACTOR: usize, const TAPS: usize> Default for Up<FACTOR, TAPS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const FACTOR: usize, const TAPS: usize> Up<FACTOR, TAPS> {
    const BRANCHES: [[f32; TAPS]; FACTOR] = branches();

    /// A converter with silence in its past.
    pub const fn new() -> Self {
        Self { past: [0.0; TAPS] }
    }

    /// Converts `input` and returns how many samples of `out` were written: 2, 3 or 6 times `input`. `out` needs
    /// `FACTOR * input.len()`; what does not fit is dropped.
    pub fn process(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let mut written = 0;
        for block in input.chunks(BLOCK) {
            written += self.block(block, &mut out[written..]);
        }
        written
    }

    fn block(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        simd::widest(Converting(self, input, out))
    }

    #[inline(always)]
    fn convert(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let count = input.len();
        let mut line = [0.0; LINE + LANES];
        line[..TAPS].copy_from_slice(&self.past);
        for (slot, sample) in line[TAPS..].iter_mut().zip(input) {
            *slot = f32::from(*sample);
        }
        let (groups, _) = out.as_chunks_mut::<FACTOR>();
        for (place, branch) in Self::BRANCHES[..FACTOR - 1].iter().enumerate() {
            let mut sums = [0.0; BLOCK];
            accumulate(branch, &line[1..], &mut sums, count);
            for (group, sum) in groups.iter_mut().zip(&sums[..count]) {
                group[place] = to_sample(*sum);
            }
        }
        // The middle tap hands the input through unchanged.
        for (group, sample) in groups.iter_mut().zip(&line[TAPS / 2 + 1..][..count]) {
            group[FACTOR - 1] = *sample as i16;
        }
        self.past.copy_from_slice(&line[count..count + TAPS]);
        FACTOR * count.min(groups.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{oscillator::Oscillator, simd::Portable, test_signals::spectrum_db};
    use proptest::prelude::*;
    use std::{vec, vec::Vec};

    fn sine(rate_hz: u32, hz: f64, count: usize) -> Vec<i16> {
        let mut oscillator = Oscillator::new(rate_hz, hz);
        (0..count)
            .map(|_| (oscillator.step().1 * 16_000.0).round() as i16)
            .collect()
    }

    fn level_of(peak: f64) -> f64 {
        20.0 * (peak / 32_767.0).log10() + f64::from(crate::level::FULL_SCALE_DBM0)
    }

    fn down<const FACTOR: usize, const TAPS: usize>(input: &[i16]) -> Vec<i16> {
        let mut out = vec![0; input.len() / FACTOR];
        let count = Down::<FACTOR, TAPS>::new().process(input, &mut out);
        assert_eq!(count, out.len());
        out
    }

    fn up<const FACTOR: usize, const TAPS: usize>(input: &[i16]) -> Vec<i16> {
        let mut out = vec![0; input.len() * FACTOR];
        let count = Up::<FACTOR, TAPS>::new().process(input, &mut out);
        assert_eq!(count, out.len());
        out
    }

    /// Sweeps tones through both directions: the pass band up to `pass_hz` is flat, and what `low_hz` cannot hold is gone.
    fn measure<const FACTOR: usize, const TAPS: usize>(low_hz: u32, pass_hz: usize) {
        let (low, high) = (f64::from(low_hz), f64::from(low_hz * FACTOR as u32));
        let full = level_of(16_000.0);
        let lengths = (4100, 4100 * FACTOR);
        for hz in (100..=pass_hz).step_by(200).map(|hz| hz as f64) {
            let lower = down::<FACTOR, TAPS>(&sine(low_hz * FACTOR as u32, hz, lengths.1));
            let ripple = spectrum_db(&lower[100..], low, hz) - full;
            assert!(ripple.abs() < 0.01, "down, {hz} Hz: {ripple} dB");
            let higher = up::<FACTOR, TAPS>(&sine(low_hz, hz, lengths.0));
            let ripple = spectrum_db(&higher[100 * FACTOR..], high, hz) - full;
            assert!(ripple.abs() < 0.01, "up, {hz} Hz: {ripple} dB");
            for multiple in 1..=FACTOR / 2 {
                for image in [low * multiple as f64 - hz, low * multiple as f64 + hz] {
                    let level = spectrum_db(&higher[100 * FACTOR..], high, image) - full;
                    assert!(
                        image > high / 2.0 || level < -70.0,
                        "{hz} Hz leaves {image} Hz at {level} dB"
                    );
                }
            }
        }
        for hz in ((low_hz as usize - pass_hz)..(high / 2.0) as usize).step_by(300) {
            let hz = hz as f64;
            let alias = (hz - (hz / low).round() * low).abs();
            let lower = down::<FACTOR, TAPS>(&sine(low_hz * FACTOR as u32, hz, lengths.1));
            let level = spectrum_db(&lower[100..], low, alias) - full;
            assert!(level < -70.0, "{hz} Hz folds to {alias} Hz at {level} dB");
        }
    }

    proptest! {
        #[test]
        fn wide_vectors_give_the_same_bits(samples in proptest::collection::vec(any::<i16>(), 0..=BLOCK)) {
            let (mut wide, mut portable) = ([0; 2 * BLOCK], [0; 2 * BLOCK]);
            let (mut one, mut other) = (Up2::new(), Up2::new());
            for _ in 0..2 {
                one.process(&samples, &mut wide);
                Converting(&mut other, &samples[..], &mut portable[..]).run::<Portable>();
                prop_assert_eq!(wide, portable);
            }
            let (groups, _) = wide.as_chunks::<2>();
            let (mut one, mut other) = (Down2::new(), Down2::new());
            let (mut wide, mut portable) = ([0; BLOCK], [0; BLOCK]);
            one.process(groups.as_flattened(), &mut wide);
            Converting(&mut other, groups, &mut portable[..]).run::<Portable>();
            prop_assert_eq!(wide, portable);
        }
    }

    #[test]
    fn between_8_and_16_khz() {
        measure::<2, 32>(8000, 3400);
    }

    #[test]
    fn between_16_and_48_khz() {
        measure::<3, 40>(16_000, 7000);
    }

    #[test]
    fn between_8_and_48_khz() {
        measure::<6, 32>(8000, 3400);
    }

    /// The middle of what a click becomes, in samples.
    fn delay(response: &[i16]) -> f64 {
        let sum: f64 = response.iter().map(|s| f64::from(*s)).sum();
        let weighted = response.iter().enumerate();
        weighted.map(|(n, s)| n as f64 * f64::from(*s)).sum::<f64>() / sum
    }

    fn delays<const FACTOR: usize, const TAPS: usize>(low_khz: f64) -> [f64; 2] {
        let mut clicks = vec![0; 100 * FACTOR];
        clicks[0] = 16_000;
        let up = delay(&up::<FACTOR, TAPS>(&clicks[..100])) / (low_khz * FACTOR as f64);
        // A click at every place of a group, so that all branches answer.
        let each = (0..FACTOR).map(|place| {
            let mut clicks = vec![0; 100 * FACTOR];
            clicks[place] = 16_000;
            let sum: f64 = down::<FACTOR, TAPS>(&clicks)
                .iter()
                .map(|s| f64::from(*s))
                .sum();
            (delay(&down::<FACTOR, TAPS>(&clicks)) / low_khz
                - place as f64 / (low_khz * FACTOR as f64))
                * sum
                / 16_000.0
        });
        [up, each.sum()]
    }

    #[test]
    fn delays_stay_below_2_ms() {
        for [up, down] in [
            delays::<2, 32>(8.0),
            delays::<3, 40>(16.0),
            delays::<6, 32>(8.0),
        ] {
            assert!(up > 1.0 && up < 2.0, "up {up} ms");
            assert!(down > 1.0 && down < 2.0, "down {down} ms");
        }
    }

    fn there_and_back<const FACTOR: usize, const TAPS: usize>() {
        let input = sine(8000, 1000.0, 400);
        let output = down::<FACTOR, TAPS>(&up::<FACTOR, TAPS>(&input));
        for (index, sample) in input[..300].iter().enumerate().skip(50) {
            let heard = i32::from(output[index + TAPS - 1]);
            assert!(
                (i32::from(*sample) - heard).abs() <= 6,
                "factor {FACTOR}, sample {index}"
            );
        }
    }

    #[test]
    fn there_and_back_is_a_pure_delay() {
        there_and_back::<2, 32>();
        there_and_back::<3, 40>();
        there_and_back::<6, 32>();
    }

    #[test]
    fn full_scale_clips_instead_of_wrapping() {
        let square: Vec<i16> = (0..960)
            .map(|n| if n / 60 % 2 == 0 { i16::MAX } else { i16::MIN })
            .collect();
        for out in [
            down::<2, 32>(&square),
            up::<2, 32>(&square),
            down::<3, 40>(&square),
            up::<6, 32>(&square),
        ] {
            let mut signs = out[100..]
                .windows(2)
                .filter(|w| (i32::from(w[0]) - i32::from(w[1])).abs() > 64_000);
            assert_eq!(signs.next(), None, "a jump over the whole range is a wrap");
        }
    }

    #[test]
    fn a_short_output_is_not_overrun() {
        let mut out = [7; 7];
        assert_eq!(Down2::new().process(&[1; 100], &mut out[..3]), 3);
        assert_eq!(Up2::new().process(&[1; 100], &mut out[..3]), 2);
        assert_eq!(Down6::new().process(&[1; 100], &mut out[..3]), 3);
        assert_eq!(Up6::new().process(&[1; 100], &mut out), 6);
        assert_eq!(out[6], 7);
    }

    fn sliced<const FACTOR: usize, const TAPS: usize>(input: &[i16], cuts: &[usize]) {
        let (mut lower, mut higher) = (Down::<FACTOR, TAPS>::new(), Up::<FACTOR, TAPS>::new());
        let (mut low, mut high) = (Vec::new(), Vec::new());
        let mut rest = input;
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (part, after) = rest.split_at((*cut).min(rest.len()));
            let mut out = vec![0; part.len().div_ceil(FACTOR)];
            let count = lower.process(part, &mut out);
            low.extend_from_slice(&out[..count]);
            let mut out = vec![0; part.len() * FACTOR];
            assert_eq!(higher.process(part, &mut out), out.len());
            high.extend_from_slice(&out);
            rest = after;
        }
        assert_eq!(low, down::<FACTOR, TAPS>(input));
        assert_eq!(high, up::<FACTOR, TAPS>(input));
    }

    proptest! {
        #[test]
        fn slicing_changes_nothing(
            input in proptest::collection::vec(any::<i16>(), 1..1200),
            cuts in proptest::collection::vec(1usize..400, 1..20),
        ) {
            sliced::<2, 32>(&input, &cuts);
            sliced::<3, 40>(&input, &cuts);
            sliced::<6, 32>(&input, &cuts);
        }

        #[test]
        fn vectorised_sums_equal_the_plain_ones(
            line in proptest::collection::vec(-32_768.0f32..32_767.0, LINE + LANES),
            count in 1..=BLOCK,
        ) {
            let taps = &Down3::BRANCHES[1];
            let mut fast = [0.0; BLOCK];
            accumulate(taps, &line, &mut fast, count);
            for (index, value) in fast[..count].iter().enumerate() {
                let plain = taps.iter().zip(&line[index..]).fold(0.0, |sum, (tap, sample)| sum + tap * sample);
                prop_assert_eq!(*value, plain);
            }
        }
    }
}
