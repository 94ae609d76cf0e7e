//! Conversion between 16 kHz and 8 kHz by a half-band filter.
//!
//! Owns one linear-phase FIR of 63 taps (Kaiser window), half of whose taps are zero, so that each conversion costs 32
//! multiplications per 8 kHz sample. Its pass band (ripple below 0.01 dB) ends at 3.4 kHz and its stop band
//! (below -70 dB) begins at 4.6 kHz: what 4.6–8 kHz folds onto 0–3.4 kHz is inaudible, while 4.0–4.6 kHz folds
//! onto 3.4–4.0 kHz only weakened, where a telephone hears nothing. Delay: 31 samples of 16 kHz, 1.94 ms.
//! Any division of the audio into slices gives the same samples. Other ratios are not served.

/// Taps of the branch that is not just the centre tap.
const BRANCH: usize = 32;
/// 8 kHz samples converted at once from a buffer on the stack (20 ms).
const BLOCK: usize = 160;
/// Shape of the Kaiser window: 75 dB of stop-band attenuation, beta = 0.1102 (A - 8.7).
const KAISER_BETA: f64 = 0.1102 * (75.0 - 8.7);

/// The odd-offset taps of the half-band filter, scaled so that they sum to one half; the centre tap is one half.
const TAPS: [f32; BRANCH] = half_band_branch();

const fn half_band_branch() -> [f32; BRANCH] {
    let mut ideal = [0.0f64; BRANCH];
    let mut sum = 0.0;
    let mut index = 0;
    while index < BRANCH {
        // Offsets from the centre: -31, -29, ... 31. sin(pi k / 2) is +1 or -1 at odd k, so no sine is needed.
        let offset = 2 * index as i32 - 31;
        let sign = if offset.rem_euclid(4) == 1 { 1.0 } else { -1.0 };
        let place = offset as f64 / 32.0;
        let window = bessel_i0_of_root(KAISER_BETA * KAISER_BETA * (1.0 - place * place));
        ideal[index] = sign / (offset as f64) * window;
        sum += ideal[index];
        index += 1;
    }
    let mut taps = [0.0; BRANCH];
    index = 0;
    while index < BRANCH {
        taps[index] = (ideal[index] / sum * 0.5) as f32;
        index += 1;
    }
    taps
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

/// The branch filter over `window`, whose length is `out.len() + BRANCH - 1`; written so that it vectorises.
fn branch(window: &[f32], out: &mut [f32]) {
    out.fill(0.0);
    for (offset, tap) in TAPS.iter().enumerate() {
        for (sum, sample) in out.iter_mut().zip(&window[offset..]) {
            *sum += tap * sample;
        }
    }
}

#[inline]
fn to_sample(value: f32) -> i16 {
    // Adding and taking away 1.5 * 2^23 rounds to even without a call; the cast saturates.
    const ROUND: f32 = 12_582_912.0;
    ((value + ROUND) - ROUND) as i16
}

/// 16 kHz in, 8 kHz out.
#[derive(Clone, Debug)]
pub struct Down2 {
    /// The first sample of a pair whose second has not come yet.
    odd_one: Option<i16>,
    /// The last first-of-pair samples, which feed the branch filter.
    branch_past: [f32; BRANCH - 1],
    /// The last second-of-pair samples, which meet the centre tap.
    centre_past: [f32; BRANCH / 2],
}

impl Default for Down2 {
    fn default() -> Self {
        Self::new()
    }
}

impl Down2 {
    /// A converter with silence in its past.
    pub const fn new() -> Self {
        Self {
            odd_one: None,
            branch_past: [0.0; BRANCH - 1],
            centre_past: [0.0; BRANCH / 2],
        }
    }

    /// Converts `input` and returns how many samples of `out` were written: half of `input`, counting a sample left
    /// over from the call before. `out` needs `input.len().div_ceil(2)`; what does not fit is dropped, never written
    /// elsewhere.
    pub fn process(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let mut written = 0;
        let mut rest = input;
        if let (Some(first), Some((second, after))) = (self.odd_one, rest.split_first()) {
            written += self.pairs(&[[first, *second]], out);
            self.odd_one = None;
            rest = after;
        }
        let (pairs, tail) = rest.as_chunks::<2>();
        for block in pairs.chunks(BLOCK) {
            written += self.pairs(block, &mut out[written..]);
        }
        if let [last] = tail {
            self.odd_one = Some(*last);
        }
        written
    }

    fn pairs(&mut self, pairs: &[[i16; 2]], out: &mut [i16]) -> usize {
        let count = pairs.len();
        let mut firsts = [0.0; BRANCH - 1 + BLOCK];
        let mut seconds = [0.0; BRANCH / 2 + BLOCK];
        firsts[..BRANCH - 1].copy_from_slice(&self.branch_past);
        seconds[..BRANCH / 2].copy_from_slice(&self.centre_past);
        for (index, [first, second]) in pairs.iter().enumerate() {
            firsts[BRANCH - 1 + index] = f32::from(*first);
            seconds[BRANCH / 2 + index] = f32::from(*second);
        }
        let mut sums = [0.0; BLOCK];
        branch(&firsts[..BRANCH - 1 + count], &mut sums[..count]);
        for ((sample, sum), centre) in out.iter_mut().zip(&sums[..count]).zip(&seconds) {
            *sample = to_sample(sum + 0.5 * centre);
        }
        self.branch_past
            .copy_from_slice(&firsts[count..count + BRANCH - 1]);
        self.centre_past
            .copy_from_slice(&seconds[count..count + BRANCH / 2]);
        count.min(out.len())
    }
}

/// 8 kHz in, 16 kHz out.
#[derive(Clone, Debug)]
pub struct Up2 {
    past: [f32; BRANCH - 1],
}

impl Default for Up2 {
    fn default() -> Self {
        Self::new()
    }
}

impl Up2 {
    /// A converter with silence in its past.
    pub const fn new() -> Self {
        Self {
            past: [0.0; BRANCH - 1],
        }
    }

    /// Converts `input` and returns how many samples of `out` were written: twice `input`. `out` needs
    /// `2 * input.len()`; what does not fit is dropped.
    pub fn process(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let mut written = 0;
        for block in input.chunks(BLOCK) {
            written += self.block(block, &mut out[written..]);
        }
        written
    }

    fn block(&mut self, input: &[i16], out: &mut [i16]) -> usize {
        let count = input.len();
        let mut window = [0.0; BRANCH - 1 + BLOCK];
        window[..BRANCH - 1].copy_from_slice(&self.past);
        for (slot, sample) in window[BRANCH - 1..].iter_mut().zip(input) {
            *slot = f32::from(*sample);
        }
        let mut sums = [0.0; BLOCK];
        branch(&window[..BRANCH - 1 + count], &mut sums[..count]);
        let (pairs, _) = out.as_chunks_mut::<2>();
        for ((pair, sum), centre) in pairs
            .iter_mut()
            .zip(&sums[..count])
            .zip(&window[BRANCH / 2..])
        {
            // The centre tap (one half, doubled for the inserted zeros) hands the input through unchanged.
            *pair = [to_sample(2.0 * sum), to_sample(*centre)];
        }
        self.past
            .copy_from_slice(&window[count..count + BRANCH - 1]);
        (2 * count).min(out.len() & !1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{oscillator::Oscillator, test_signals::spectrum_db};
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

    fn down(input: &[i16]) -> Vec<i16> {
        let mut out = vec![0; input.len() / 2];
        assert_eq!(Down2::new().process(input, &mut out), out.len());
        out
    }

    fn up(input: &[i16]) -> Vec<i16> {
        let mut out = vec![0; input.len() * 2];
        assert_eq!(Up2::new().process(input, &mut out), out.len());
        out
    }

    #[test]
    fn down_keeps_the_pass_band_flat() {
        for hz in (100..=3400).step_by(100).map(f64::from) {
            let out = down(&sine(16_000, hz, 8200));
            let ripple = spectrum_db(&out[100..], 8000.0, hz) - level_of(16_000.0);
            assert!(ripple.abs() < 0.01, "{hz} Hz: {ripple} dB");
        }
    }

    #[test]
    fn down_keeps_aliases_out_of_the_pass_band() {
        for hz in (4600..8000).step_by(100).map(f64::from) {
            let out = down(&sine(16_000, hz, 8200));
            let alias = spectrum_db(&out[100..], 8000.0, 8000.0 - hz) - level_of(16_000.0);
            assert!(
                alias < -70.0,
                "{hz} Hz folds to {} Hz at {alias} dB",
                8000.0 - hz
            );
        }
    }

    #[test]
    fn up_is_flat_and_leaves_no_image() {
        for hz in (100..=3400).step_by(100).map(f64::from) {
            let out = up(&sine(8000, hz, 4100));
            let ripple = spectrum_db(&out[200..], 16_000.0, hz) - level_of(16_000.0);
            assert!(ripple.abs() < 0.01, "{hz} Hz: {ripple} dB");
            let image = spectrum_db(&out[200..], 16_000.0, 8000.0 - hz) - level_of(16_000.0);
            assert!(
                image < -70.0,
                "{hz} Hz leaves {} Hz at {image} dB",
                8000.0 - hz
            );
        }
    }

    #[test]
    fn there_and_back_is_a_pure_delay() {
        let input = sine(8000, 1000.0, 400);
        let output = down(&up(&input));
        // The two filters delay by 62 samples of 16 kHz less the half-sample phases: 31 of 8 kHz.
        for (index, sample) in input[..300].iter().enumerate().skip(40) {
            assert!(
                (i32::from(*sample) - i32::from(output[index + 31])).abs() <= 2,
                "sample {index}"
            );
        }
    }

    #[test]
    fn full_scale_clips_instead_of_wrapping() {
        let square: Vec<i16> = (0..640)
            .map(|n| if n / 20 % 2 == 0 { i16::MAX } else { i16::MIN })
            .collect();
        for out in [down(&square), up(&square)] {
            let mut signs = out[40..]
                .windows(2)
                .filter(|w| (i32::from(w[0]) - i32::from(w[1])).abs() > 64_000);
            assert_eq!(signs.next(), None, "a jump over the whole range is a wrap");
        }
    }

    #[test]
    fn a_short_output_is_not_overrun() {
        let mut out = [7; 3];
        assert_eq!(Down2::new().process(&[1; 100], &mut out), 3);
        assert_eq!(Up2::new().process(&[1; 100], &mut out), 2);
    }

    proptest! {
        #[test]
        fn slicing_changes_nothing(input in proptest::collection::vec(any::<i16>(), 1..1200), cuts in proptest::collection::vec(1usize..400, 1..20)) {
            let (mut down2, mut up2) = (Down2::new(), Up2::new());
            let (mut halves, mut doubles) = (Vec::new(), Vec::new());
            let mut rest = input.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() { break; }
                let (part, after) = rest.split_at((*cut).min(rest.len()));
                let mut out = vec![0; part.len().div_ceil(2)];
                let count = down2.process(part, &mut out);
                halves.extend_from_slice(&out[..count]);
                let mut out = vec![0; part.len() * 2];
                up2.process(part, &mut out);
                doubles.extend_from_slice(&out);
                rest = after;
            }
            prop_assert_eq!(halves, down(&input));
            prop_assert_eq!(doubles, up(&input));
        }

        #[test]
        fn vectorised_branch_equals_the_plain_sum(window in proptest::collection::vec(-32_768.0f32..32_767.0, BRANCH..BRANCH + BLOCK)) {
            let count = window.len() - BRANCH + 1;
            let mut fast = vec![0.0; count];
            branch(&window, &mut fast);
            for (index, value) in fast.iter().enumerate() {
                let plain = TAPS.iter().zip(&window[index..]).fold(0.0, |sum, (tap, sample)| sum + tap * sample);
                prop_assert_eq!(*value, plain);
            }
        }
    }
}
