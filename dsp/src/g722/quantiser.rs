//! The quantisers of both sub-bands and their inverses (G.722 blocks QUANTL, QUANTH, INVQAL, INVQBL, INVQAH). Owns no state.

/// Decision levels of the lower band, in steps of an eighth (G.722 table 13), doubled eightfold as the Recommendation uses them.
const DECISIONS: [i16; 32] = {
    const LEVELS: [i16; 29] = [
        35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940,
        1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
    ];
    let mut decisions = [i16::MAX; 32];
    let mut index = 0;
    while index < LEVELS.len() {
        decisions[index] = LEVELS[index] << 3;
        index += 1;
    }
    decisions
};

/// The decision level of the upper band.
const HIGH_DECISION: i16 = 564 << 3;

/// What the 4, 5 and 6 upper bits of a lower-band code stand for, in units of the step (G.722 table 14).
const COARSE: [i16; 16] = [
    0, -20_456, -12_896, -8968, -6288, -4240, -2584, -1200, 20_456, 12_896, 8968, 6288, 4240, 2584,
    1200, 0,
];
const MIDDLE: [i16; 32] = [
    -280, -280, -23_352, -17_560, -14_120, -11_664, -9752, -8184, -6864, -5712, -4696, -3784,
    -2960, -2208, -1520, -880, 23_352, 17_560, 14_120, 11_664, 9752, 8184, 6864, 5712, 4696, 3784,
    2960, 2208, 1520, 880, 280, -280,
];
const FINE: [i16; 64] = [
    -136, -136, -136, -136, -24_808, -21_904, -19_008, -16_704, -14_984, -13_512, -12_280, -11_192,
    -10_232, -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168,
    -2776, -2400, -2032, -1688, -1360, -1040, -728, 24_808, 21_904, 19_008, 16_704, 14_984, 13_512,
    12_280, 11_192, 10_232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168,
    2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];
const HIGH: [i16; 4] = [-7408, -1616, 7408, 1616];

/// The product of two numbers of 15 fractional bits, cut off.
#[inline(always)]
pub(super) fn times(a: i16, b: i16) -> i16 {
    // -1 times -1, the one product that does not fit, never comes: no level, multiplier or doubled difference is -1.
    ((i32::from(a) * i32::from(b)) >> 15) as i16
}

/// How far off zero a difference is, so that -1 is as far as 0.
#[inline(always)]
fn magnitude(difference: i16) -> i16 {
    difference ^ (difference >> 15)
}

/// The 6-bit code of a difference in the lower band.
#[inline]
pub(super) fn low_code(difference: i16, step: i16) -> u8 {
    let magnitude = magnitude(difference);
    // How many decision levels are reached; the levels rise, so bisection finds what a search from below would.
    let mut reached = 0;
    for half in [16, 8, 4, 2, 1] {
        let reaches =
            reached + half <= 29 && magnitude >= times(DECISIONS[(reached + half - 1) & 31], step);
        reached += if reaches { half } else { 0 };
    }
    // Negative: 63, 62, then 31 downwards; positive: 61 downwards (G.722 table 16).
    let reached = reached as u8;
    match (difference < 0, reached) {
        (true, 0..=1) => 63 - reached,
        (true, _) => 33 - reached,
        (false, _) => 61 - reached,
    }
}

/// The 2-bit code of a difference in the upper band.
#[inline]
pub(super) fn high_code(difference: i16, step: i16) -> u8 {
    let far = magnitude(difference) >= times(HIGH_DECISION, step);
    match (difference < 0, far) {
        (true, false) => 1,
        (true, true) => 0,
        (false, false) => 3,
        (false, true) => 2,
    }
}

/// The difference by the four upper bits of a lower-band code: what the predictors of both sides live on.
#[inline]
pub(super) fn low_coarse(code: u8, step: i16) -> i16 {
    times(COARSE[usize::from(code >> 2 & 15)], step)
}

/// The difference by the five upper bits of a lower-band code.
#[inline]
pub(super) fn low_middle(code: u8, step: i16) -> i16 {
    times(MIDDLE[usize::from(code >> 1 & 31)], step)
}

/// The difference by all six bits of a lower-band code.
#[inline]
pub(super) fn low_fine(code: u8, step: i16) -> i16 {
    times(FINE[usize::from(code & 63)], step)
}

/// The difference by an upper-band code.
#[inline]
pub(super) fn high_difference(code: u8, step: i16) -> i16 {
    times(HIGH[usize::from(code & 3)], step)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As the Recommendation searches: level by level from below.
    fn by_search(difference: i16, step: i16) -> u8 {
        let beyond = |level: &&i16| magnitude(difference) < times(**level, step);
        let reached = DECISIONS[..29]
            .iter()
            .position(|level| beyond(&level))
            .unwrap_or(29) as u8;
        match (difference < 0, reached) {
            (true, 0..=1) => 63 - reached,
            (true, _) => 33 - reached,
            (false, _) => 61 - reached,
        }
    }

    #[test]
    fn bisection_finds_what_the_search_finds() {
        for step in (32..=16_384).step_by(331) {
            for difference in (i16::MIN..=i16::MAX).step_by(7) {
                assert_eq!(
                    low_code(difference, step),
                    by_search(difference, step),
                    "{difference} in steps of {step}"
                );
            }
        }
    }

    #[test]
    fn a_code_stands_for_about_what_was_coded() {
        let step = 1024;
        for difference in -700..=700i16 {
            let heard = low_fine(low_code(difference, step), step);
            assert!(heard.abs_diff(difference) <= 70, "{difference}: {heard}");
        }
    }
}
