//! Sums and gains of blocks of samples.
//!
//! Owns the arithmetic of two signals; a conference, which must sum in a wider type before it clips once, is not here.

/// Adds `input` to `acc`, clipping at 16 bits; works on the shorter of the two lengths.
pub fn add_saturating(acc: &mut [i16], input: &[i16]) {
    for (sum, sample) in acc.iter_mut().zip(input) {
        *sum = sum.saturating_add(*sample);
    }
}

/// Multiplies `samples` by the amplitude `ratio` (see [`crate::level::db_to_ratio`]), rounding and clipping.
pub fn gain(samples: &mut [i16], ratio: f32) {
    for sample in samples {
        *sample = libm::rintf(f32::from(*sample) * ratio) as i16;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::db_to_ratio;

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
