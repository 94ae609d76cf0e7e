//! Windows of 20 ms, one every 10 ms, whatever the length of the slices the audio comes in: their power, and how much of it is which tone.

use core::f32::consts::TAU;

use super::bank::{BINS, Bank, Complex, HOP, Sums};
use super::plan::{Plan, Sound};
use crate::level;

/// Tones that are told apart at most.
pub(super) const SETS: usize = 20;
/// Below this nothing is a tone, dBm0.
const QUIET_DBM0: f32 = -43.0;
/// Frequencies closer than that share a filter.
const SAME_HZ: f32 = 4.0;
/// What a tone of several frequencies must explain more than one of fewer, for each more.
const FOR_EACH_MORE: f32 = 0.04;

/// Tones that follow one another without a pause are of different families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// Dial, ringing, busy …
    Low,
    /// The three special information tones.
    Information(u8),
    /// T.30 CNG.
    Calling,
    /// CED, ANS.
    Answer,
}

/// The frequencies outside the plans. Each tone may lie anywhere between two filters and somewhat beyond: 914 to 985 Hz, 1371 to 1450, 1777
/// to 1850, and 1100 ± 38 Hz (T.30); both together explain four fifths of it at least.
const HIGH: [(Family, [f32; 2]); 4] = [
    (Family::Information(0), [926.0, 974.0]),
    (Family::Information(1), [1386.0, 1434.0]),
    (Family::Information(2), [1789.0, 1837.0]),
    (Family::Calling, [1076.0, 1124.0]),
];
const ANSWER_HZ: f32 = 2100.0;

/// A tone that can be told from others: the frequencies that it consists of.
#[derive(Clone, Copy, Debug)]
pub(super) struct Set {
    pub(super) family: Family,
    /// What it is in the plan; none of the high ones is.
    pub(super) sound: Option<Sound>,
    bins: [usize; 3],
    count: usize,
    /// Inverse of the filters' correlations over a window.
    inverse: [[f32; 3]; 3],
}

impl Set {
    /// One frequency, which can be measured.
    pub(super) fn is_single(&self) -> bool {
        !matches!(self.sound, Some(Sound::Two(..) | Sound::Swinging(..)))
    }
}

/// What a window is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Mean square of its samples.
    pub(super) power: f32,
    /// The share of its energy that is each tone, less what tones of several frequencies explain by chance; 0 in silence.
    pub(super) shares: [f32; SETS],
    pub(super) sums: Sums,
}

/// Cuts audio into windows and measures them.
#[derive(Clone, Debug)]
pub(super) struct Hops {
    bank: Bank,
    hop: usize,
    pub(super) hz: [f32; BINS],
    sets: [Set; SETS],
    count: usize,
    samples: [f32; HOP],
    filled: usize,
    energy_before: f32,
    quiet_power: f32,
}

impl Hops {
    pub(super) fn new(rate_hz: u32, plan: &Plan) -> Hops {
        let hop = ((rate_hz / 100) as usize).clamp(40, HOP);
        let mut building = Building::default();
        let sounds = plan.signals.iter().map(|signal| signal.sound);
        for sound in sounds.filter(|sound| sound.parts()[0].0 < 700.0) {
            building.add_sound(sound);
        }
        for (family, hz) in HIGH {
            building.add(family, None, &hz);
        }
        building.add(Family::Answer, None, &[ANSWER_HZ]);
        let mut sets = building.sets;
        for set in &mut sets[..building.count] {
            set.inverse = inverse(
                rate_hz,
                hop * 2,
                &set.bins.map(|bin| building.hz[bin]),
                set.count,
            );
        }
        Hops {
            bank: Bank::new(rate_hz, hop, &building.hz[..building.bins]),
            hop,
            hz: building.hz,
            sets,
            count: building.count,
            samples: [0.0; HOP],
            filled: 0,
            energy_before: 0.0,
            quiet_power: power_of(QUIET_DBM0),
        }
    }

    pub(super) fn sets(&self) -> &[Set] {
        &self.sets[..self.count]
    }

    /// Takes samples from the front of `rest` until a window is complete.
    pub(super) fn next(&mut self, rest: &mut &[i16]) -> Option<Window> {
        let wanted = self.hop - self.filled;
        let (part, after) = rest.split_at(wanted.min(rest.len()));
        *rest = after;
        for (to, from) in self.samples[self.filled..].iter_mut().zip(part) {
            *to = f32::from(*from);
        }
        self.filled += part.len();
        if self.filled < self.hop {
            return None;
        }
        self.filled = 0;
        Some(self.measure())
    }

    fn measure(&mut self) -> Window {
        let samples = &self.samples[..self.hop];
        let energy: f32 = samples.iter().map(|sample| sample * sample).sum();
        let both = energy + core::mem::replace(&mut self.energy_before, energy);
        let mut window = Window {
            power: both / (2 * self.hop) as f32,
            shares: [0.0; SETS],
            sums: [Complex::default(); BINS],
        };
        if energy < self.quiet_power * self.hop as f32 * 0.25 {
            self.bank.skip();
            return window;
        }
        window.sums = self.bank.hop(samples);
        if window.power < self.quiet_power {
            return window;
        }
        for (share, set) in window.shares.iter_mut().zip(&self.sets[..self.count]) {
            let chance = FOR_EACH_MORE * (set.count as f32 - 1.0);
            // Two filters for one frequency are no second tone.
            let chance = if set.sound.is_none() { 0.0 } else { chance };
            *share = 2.0 * explained(set, &window.sums) / both - chance;
        }
        window
    }
}

/// Half the energy that the frequencies of `set` explain.
fn explained(set: &Set, sums: &Sums) -> f32 {
    let mut energy = 0.0;
    for (row, weights) in set.inverse[..set.count].iter().enumerate() {
        let one = sums[set.bins[row]];
        energy += weights[row] * one.power();
        for (column, weight) in weights.iter().enumerate().take(set.count).skip(row + 1) {
            let other = sums[set.bins[column]];
            energy += 2.0 * weight * (one.re * other.re + one.im * other.im);
        }
    }
    energy
}

/// The mean square of a level.
fn power_of(dbm0: f32) -> f32 {
    let peak = level::sine_peak(dbm0);
    peak * peak / 2.0
}

/// The inverse of the matrix of correlations between the frequencies over a window, by elimination.
fn inverse(rate_hz: u32, window: usize, hz: &[f32; 3], count: usize) -> [[f32; 3]; 3] {
    let correlation = |one: f32, other: f32| {
        let half = f64::from(TAU) * f64::from(one - other) / f64::from(rate_hz) / 2.0;
        match half.abs() < 1e-9 {
            // A little more than it is, so that close frequencies stay solvable in noise.
            true => window as f64 * 1.002,
            false => libm::sin(half * window as f64) / libm::sin(half),
        }
    };
    let mut left = [[0.0; 3]; 3];
    let mut right = [[0.0; 3]; 3];
    for row in 0..3 {
        right[row][row] = 1.0;
        for column in 0..3 {
            left[row][column] = match row < count && column < count {
                true => correlation(hz[row], hz[column]),
                false => f64::from(u8::from(row == column)),
            };
        }
    }
    for pivot in 0..3 {
        let scale = left[pivot][pivot];
        left[pivot] = left[pivot].map(|value| value / scale);
        right[pivot] = right[pivot].map(|value: f64| value / scale);
        for row in (0..3).filter(|row| *row != pivot) {
            let factor = left[row][pivot];
            for column in 0..3 {
                left[row][column] -= factor * left[pivot][column];
                right[row][column] -= factor * right[pivot][column];
            }
        }
    }
    right.map(|row| row.map(|value| value as f32))
}

/// The sets and filters in the making.
struct Building {
    hz: [f32; BINS],
    bins: usize,
    sets: [Set; SETS],
    count: usize,
}

impl Default for Building {
    fn default() -> Building {
        let none = Set {
            family: Family::Low,
            sound: None,
            bins: [0; 3],
            count: 0,
            inverse: [[0.0; 3]; 3],
        };
        Building {
            hz: [0.0; BINS],
            bins: 0,
            sets: [none; SETS],
            count: 0,
        }
    }
}

impl Building {
    fn add_sound(&mut self, sound: Sound) {
        let close = |one: Sound, other: Sound| {
            let mut pairs = one.parts().into_iter().zip(other.parts());
            pairs.all(|((one, _), (other, _))| (one - other).abs() <= SAME_HZ + 1.0)
        };
        let mut known = self.sets[..self.count].iter();
        if known.any(|set| set.sound.is_some_and(|known| close(known, sound))) {
            return;
        }
        let parts = sound.parts().map(|(hz, _)| hz);
        let count = parts.iter().filter(|hz| **hz > 0.0).count();
        self.add(Family::Low, Some(sound), &parts[..count]);
    }

    /// What exceeds the limits is left out; a test holds that nothing does.
    fn add(&mut self, family: Family, sound: Option<Sound>, hz: &[f32]) {
        let mut bins = [0; 3];
        for (bin, hz) in bins.iter_mut().zip(hz) {
            let Some(found) = self.bin(*hz) else { return };
            *bin = found;
        }
        if let Some(set) = self.sets.get_mut(self.count) {
            (set.family, set.sound) = (family, sound);
            (set.bins, set.count) = (bins, hz.len());
            self.count += 1;
        }
    }

    fn bin(&mut self, hz: f32) -> Option<usize> {
        let same = |known: &f32| (known - hz).abs() <= SAME_HZ;
        if let Some(known) = self.hz[..self.bins].iter().position(same) {
            return Some(known);
        }
        *self.hz.get_mut(self.bins)? = hz;
        self.bins += 1;
        Some(self.bins - 1)
    }
}

impl Set {
    /// The filters that listen to it.
    pub(super) fn bins(&self) -> &[usize] {
        &self.bins[..self.count]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::progress::{ANYWHERE, COUNTRIES};

    #[test]
    fn all_tones_of_every_plan_find_room() {
        for plan in COUNTRIES.iter().chain([&ANYWHERE]) {
            let hops = Hops::new(8000, plan);
            let sounds = plan.signals.iter().map(|signal| signal.sound);
            for sound in sounds.filter(|sound| sound.parts()[0].0 < 700.0) {
                let near = |set: &&Set| {
                    set.sound.is_some_and(|of| {
                        let mut pairs = of.parts().into_iter().zip(sound.parts());
                        pairs.all(|((one, _), (other, _))| (one - other).abs() <= 5.0)
                    })
                };
                assert!(
                    hops.sets().iter().any(|set| near(&set)),
                    "{} {sound:?}",
                    plan.code
                );
            }
            let answers = hops
                .sets()
                .iter()
                .filter(|set| set.family == Family::Answer);
            assert_eq!(answers.count(), 1, "{}", plan.code);
        }
    }
}
