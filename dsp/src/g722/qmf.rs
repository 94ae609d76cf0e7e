//! The quadrature mirror filters that split 16 kHz into two bands of 8 kHz and join them again (G.722 blocks TRANSMIT and RECEIVE
//! QMF): 24 taps, which in each band fall on the samples of odd and of even number apart. Exact in integers, so that order of sums does not
//! matter and the compiler may vectorise.

/// Pairs that are filtered at once.
pub(super) const BLOCK: usize = 64;

/// Every other tap of the 24, oldest sample first; reversed, it is the others (G.722 table 11). Four more zeros fill vectors.
const TAPS: usize = 12;
const LANES: usize = 16;
const FIRSTS: [i16; LANES] = [
    3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11, 0, 0, 0, 0,
];
const SECONDS: [i16; LANES] = [
    -11, 53, -156, 362, -805, 3876, 951, -210, 32, 12, -11, 3, 0, 0, 0, 0,
];

/// The past of one of the two branches, and room for a block with spare lanes.
type Line = [i16; TAPS - 1 + BLOCK + LANES - TAPS];

#[inline(always)]
fn dot(line: &[i16], taps: &[i16; LANES]) -> i32 {
    let mut sum = 0;
    if let Some(window) = line.first_chunk::<LANES>() {
        for lane in 0..LANES {
            sum += i32::from(window[lane]) * i32::from(taps[lane]);
        }
    }
    sum
}

/// The two branches of a mirror filter.
#[derive(Clone, Debug)]
struct Past {
    firsts: [i16; TAPS - 1],
    seconds: [i16; TAPS - 1],
}

impl Past {
    const fn new() -> Self {
        Self {
            firsts: [0; TAPS - 1],
            seconds: [0; TAPS - 1],
        }
    }

    /// Calls `each` with the number of every pair and the two sums that end in it.
    #[inline(always)]
    fn run(
        &mut self,
        pairs: impl ExactSizeIterator<Item = [i16; 2]>,
        mut each: impl FnMut(usize, i32, i32),
    ) {
        let count = pairs.len().min(BLOCK);
        let (mut firsts, mut seconds): (Line, Line) = ([0; _], [0; _]);
        firsts[..TAPS - 1].copy_from_slice(&self.firsts);
        seconds[..TAPS - 1].copy_from_slice(&self.seconds);
        let fresh = firsts[TAPS - 1..].iter_mut().zip(&mut seconds[TAPS - 1..]);
        for ((first, second), pair) in fresh.zip(pairs) {
            [*first, *second] = pair;
        }
        for index in 0..count {
            let first = dot(&firsts[index..], &FIRSTS);
            let second = dot(&seconds[index..], &SECONDS);
            each(index, first, second);
        }
        self.firsts.copy_from_slice(&firsts[count..][..TAPS - 1]);
        self.seconds.copy_from_slice(&seconds[count..][..TAPS - 1]);
    }
}

/// Splits samples into two bands.
#[derive(Clone, Debug)]
pub(super) struct Split(Past);

impl Split {
    pub(super) const fn new() -> Self {
        Self(Past::new())
    }

    /// Splits up to [`BLOCK`] pairs; as many samples of both bands are written.
    pub(super) fn split(
        &mut self,
        pairs: &[[i16; 2]],
        low: &mut [i16; BLOCK],
        high: &mut [i16; BLOCK],
    ) {
        self.0.run(pairs.iter().copied(), |index, first, second| {
            low[index] = band((second + first) >> 14);
            high[index] = band((second - first) >> 14);
        });
    }
}

/// 15 bits (block LIMIT).
#[inline(always)]
fn band(sum: i32) -> i16 {
    sum.clamp(-16_384, 16_383) as i16
}

/// Joins two bands into samples.
#[derive(Clone, Debug)]
pub(super) struct Join(Past);

impl Join {
    pub(super) const fn new() -> Self {
        Self(Past::new())
    }

    /// Joins as many samples of both bands, of 15 bits, as there are `pairs`, up to [`BLOCK`].
    pub(super) fn join(&mut self, low: &[i16; BLOCK], high: &[i16; BLOCK], pairs: &mut [[i16; 2]]) {
        let count = pairs.len();
        let sums = low[..count].iter().zip(&high[..count]);
        let sums = sums.map(|(low, high)| [low + high, low - high]);
        self.0.run(sums, |index, first, second| {
            pairs[index] = [second, first]
                .map(|sum| (sum >> 11).clamp(i32::from(i16::MIN), i32::from(i16::MAX)) as i16);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signals::Random;
    use std::vec::Vec;

    /// The filter as the Recommendation writes it: one delay line of 24 samples.
    fn plain(samples: &[i16], pair: usize) -> (i32, i32) {
        let at = |back: usize| {
            let index = (2 * pair + 1).checked_sub(back);
            i32::from(index.map_or(0, |index| samples[index]))
        };
        let tap = |index: usize| {
            i32::from(if index.is_multiple_of(2) {
                SECONDS[11 - index / 2]
            } else {
                FIRSTS[11 - index / 2]
            })
        };
        let sum = |parity: usize| {
            (0..24)
                .filter(|i| i % 2 == parity)
                .map(|i| tap(i) * at(i))
                .sum()
        };
        (sum(1), sum(0))
    }

    #[test]
    fn the_branches_equal_the_plain_filter() {
        let mut random = Random::new(3);
        let samples: Vec<i16> = (0..400)
            .map(|_| (random.unit() * 65_535.0 - 32_768.0) as i16)
            .collect();
        let (pairs, _) = samples.as_chunks::<2>();
        let mut past = Past::new();
        let mut index = 0;
        for block in pairs.chunks(37) {
            past.run(block.iter().copied(), |_, first, second| {
                assert_eq!((first, second), plain(&samples, index), "pair {index}");
                index += 1;
            });
        }
        assert_eq!(index, 200);
    }

    #[test]
    fn what_is_split_joins_again() {
        let mut random = Random::new(4);
        let samples: Vec<i16> = (0..640)
            .map(|_| (random.normal() * 3000.0) as i16)
            .collect();
        let (mut split, mut join) = (Split::new(), Join::new());
        let mut joined = Vec::new();
        for block in samples.as_chunks::<2>().0.chunks(BLOCK) {
            let (mut low, mut high, mut pairs) = ([0; BLOCK], [0; BLOCK], [[0; 2]; BLOCK]);
            split.split(block, &mut low, &mut high);
            join.join(&low, &high, &mut pairs[..block.len()]);
            joined.extend(pairs[..block.len()].as_flattened());
        }
        let apart = samples
            .iter()
            .zip(&joined[22..])
            .map(|(a, b)| a.abs_diff(*b))
            .max();
        // The filter's ripple is about 0.01 dB of the three bands' 3000.
        assert!(apart < Some(60), "{apart:?}");
    }
}
