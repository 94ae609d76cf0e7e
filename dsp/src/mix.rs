//! Sums and gains of blocks of samples.
//!
//! Owns the arithmetic of two signals, and of the sum of many: a conference is summed in 32 bits, which holds 65,536 talkers at full
//! scale, and is clipped once, after a talker's own part was taken out of it. All work on the shortest of the lengths given.

/// Adds `input` to `acc`, clipping at 16 bits; works on the shorter of the two lengths.
pub fn add_saturating(acc: &mut [i16], input: &[i16]) {
    for (sum, sample) in acc.iter_mut().zip(input) {
        *sum = sum.saturating_add(*sample);
    }
}

/// Multiplies `samples` by the amplitude `ratio` (see [`crate::level::db_to_ratio`]), rounding and clipping.
pub fn gain(samples: &mut [i16], ratio: f32) {
    for sample in samples {
        *sample = rounded(f32::from(*sample) * ratio);
    }
}

/// Adds a talker to the sum of a conference.
pub fn add_to_sum(sum: &mut [i32], talker: &[i16]) {
    for (sum, sample) in sum.iter_mut().zip(talker) {
        *sum += i32::from(*sample);
    }
}

/// The sum of a conference in 16 bits, clipped.
pub fn clip_sum(sum: &[i32], out: &mut [i16]) {
    for (out, sum) in out.iter_mut().zip(sum) {
        *out = clip(*sum);
    }
}

/// The sum of a conference without what `own` added to it, clipped: exactly the other one's samples where there are two.
pub fn clip_sum_without(sum: &[i32], own: &[i16], out: &mut [i16]) {
    for ((out, sum), own) in out.iter_mut().zip(sum).zip(own) {
        *out = clip(*sum - i32::from(*own));
    }
}

/// As [`gain`], with a ratio that goes evenly from `from` to `to`, which the last sample has: no step that clicks.
pub fn ramp(samples: &mut [i16], from: f32, to: f32) {
    let step = (to - from) / samples.len().max(1) as f32;
    for (place, sample) in samples.iter_mut().enumerate() {
        // Through i32, which is converted several at once.
        let ratio = from + step * (place as i32 + 1) as f32;
        *sample = rounded(f32::from(*sample) * ratio);
    }
}

/// The nearest sample, ties to even; clips. Written so that it vectorises: libm's rounding is a call.
#[inline(always)]
fn rounded(value: f32) -> i16 {
    // Beside 1.5 * 2^23 the bits of a float count whole steps.
    const WHOLE_STEPS: f32 = 12_582_912.0;
    let value = value.clamp(f32::from(i16::MIN), f32::from(i16::MAX));
    (value + WHOLE_STEPS).to_bits() as i16
}

fn clip(sample: i32) -> i16 {
    sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::db_to_ratio;
    use proptest::prelude::*;
    use std::vec::Vec;

    /// Gain and ramp as one would write them for a single sample.
    fn plain(sample: i16, ratio: f32) -> i16 {
        libm::rintf(f32::from(sample) * ratio) as i16
    }

    proptest! {
        #[test]
        fn vectorised_gains_equal_the_plain_ones(samples in proptest::collection::vec(any::<i16>(), 1..400), from in -8.0f32..8.0, to in -8.0f32..8.0) {
            let mut fast = samples.clone();
            gain(&mut fast, from);
            let slow: Vec<i16> = samples.iter().map(|sample| plain(*sample, from)).collect();
            prop_assert_eq!(&fast, &slow);

            fast.clone_from(&samples);
            ramp(&mut fast, from, to);
            let step = (to - from) / samples.len() as f32;
            let slow = samples.iter().enumerate();
            let slow: Vec<i16> = slow.map(|(n, sample)| plain(*sample, from + step * (n as f32 + 1.0))).collect();
            prop_assert_eq!(&fast, &slow);
        }

        #[test]
        fn a_conference_is_the_plain_sum_without_oneself(talkers in proptest::collection::vec(proptest::collection::vec(any::<i16>(), 37), 1..20)) {
            let mut sum = [0; 37];
            talkers.iter().for_each(|talker| add_to_sum(&mut sum, talker));
            for (me, own) in talkers.iter().enumerate() {
                let mut out = [0; 37];
                clip_sum_without(&sum, own, &mut out);
                for (place, heard) in out.iter().enumerate() {
                    let others = talkers.iter().enumerate().filter(|(who, _)| *who != me);
                    let expected: i64 = others.map(|(_, talker)| i64::from(talker[place])).sum();
                    prop_assert_eq!(i64::from(*heard), expected.clamp(-32_768, 32_767));
                }
            }
        }
    }

    #[test]
    fn a_conference_clips_once_and_at_the_end() {
        let (loud, other) = ([30_000, -30_000, 100], [30_000, -30_000, 23]);
        let mut sum = [0; 3];
        (0..3).for_each(|_| add_to_sum(&mut sum, &loud));
        add_to_sum(&mut sum, &other);
        let mut out = [0; 3];
        clip_sum(&sum, &mut out);
        assert_eq!(out, [i16::MAX, i16::MIN, 323]);
        let mut two = [0; 3];
        add_to_sum(&mut two, &loud);
        add_to_sum(&mut two, &other);
        clip_sum_without(&two, &loud, &mut out);
        assert_eq!(out, other, "exact although the sum is beyond 16 bits");
    }

    #[test]
    fn a_ramp_is_even_and_ends_at_its_ratio() {
        let mut samples = [1000; 4];
        ramp(&mut samples, 0.0, 1.0);
        assert_eq!(samples, [250, 500, 750, 1000]);
        ramp(&mut samples, 1.0, 0.0);
        assert_eq!(samples[3], 0);
        ramp(&mut [], 0.0, 1.0);
    }

    #[test]
    fn sums_clip_instead_of_wrapping() {
        let mut acc = [30_000, -30_000, 5, 7];
        add_saturating(&mut acc, &[10_000, -10_000, -8]);
        assert_eq!(acc, [i16::MAX, i16::MIN, -3, 7]);
    }

    #[test]
    fn gain_rounds_and_clips() {
        let mut samples = [3, -3, 20_000, -20_000, 0];
        gain(&mut samples, db_to_ratio(6.0206));
        assert_eq!(samples, [6, -6, i16::MAX, i16::MIN, 0]);
        let mut samples = [3];
        gain(&mut samples, 0.5);
        assert_eq!(samples, [2], "ties go to even");
    }
}
