//! The last 40 ms as Fourier sums per hop, and the measurements made on them.
//!
//! Two windows look at the same sums: a long one (9 hops, 22.5 ms, Hann) that separates neighbouring tones and
//! measures level, frequency and purity, and a short one (3 hops, 7.5 ms) that finds where a tone begins and ends.
//! Owns no decision about keys being heard; that is the detector's.

use super::{
    Profile,
    bank::Spectrum,
    evidence::{Evidence, Look, Measured},
};
use crate::level;

/// Hops remembered.
pub(super) const HOPS: usize = 16;
/// Long windows remembered.
const LOOKS: usize = 6;
/// Hops of the long window.
const LONG: usize = 9;
/// Hann weights `sin²(π (k + ½) / 9)` of the long window.
const WEIGHTS: [f32; LONG] = [
    0.030_154, 0.25, 0.586_824, 0.883_022, 1.0, 0.883_022, 0.586_824, 0.25, 0.030_154,
];
/// Sum of the weights and of their squares.
const WEIGHT_SUM: f32 = 4.5;
const WEIGHT_SQUARES: f32 = 3.375;
/// Hops of the short window.
const SHORT: usize = 3;
/// Delay of the high-pass filter around the tones, in hops (1 ms).
const FILTER_DELAY_HOPS: f32 = 0.4;
/// A window below this share of tone is not even a candidate; a drop-out or an edge inside the window costs that much.
const CANDIDATE_PURITY: f32 = 0.5;

/// Hops from the newest to the middle of the long window.
const MIDDLE: f32 = (LONG - 1) as f32 / 2.0;
/// A window of which less is known, by weight, tells nothing.
const KNOWN_SHARE: f32 = 0.6;

/// Sum of the weights of the known hops, of their squares, and their middle in hops before the newest.
struct Window {
    sum: f32,
    squares: f32,
    middle: f32,
}

/// A key that passed every test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) began_at: u64,
    pub(super) plateau: f32,
    pub(super) measured: Measured,
}

/// See the head of the file.
#[derive(Clone, Debug)]
pub(super) struct History {
    hop_samples: u32,
    /// Mean square of the weakest tone.
    power_min: f32,
    /// Hops so far; the newest is number `count - 1` and lives at that number modulo [`HOPS`].
    count: u64,
    spectra: [Spectrum; HOPS],
    energies: [f32; HOPS],
    /// Energies of what the high-pass took away.
    low_energies: [f32; HOPS],
    /// Which hops were made up by loss concealment; bit 0 is the newest.
    concealed: u32,
    /// The long sums of the hop before, for phase steps.
    before: Spectrum,
    /// How many hops ago the middle of the window of `before` is, seen from its newest.
    middle_before: f32,
    looks: [Look; LOOKS],
}

impl History {
    pub(super) fn new(hop_samples: u32, profile: &Profile) -> Self {
        let peak = level::sine_peak(profile.level_min_dbm0);
        Self {
            hop_samples,
            power_min: peak * peak / 2.0,
            count: 0,
            spectra: [Spectrum::default(); HOPS],
            energies: [0.0; HOPS],
            low_energies: [0.0; HOPS],
            concealed: 0,
            before: Spectrum::default(),
            middle_before: MIDDLE,
            looks: [Look::default(); LOOKS],
        }
    }

    /// Takes the sums and the energy of the next hop behind the high-pass, and the energy before it.
    pub(super) fn push(&mut self, spectrum: Spectrum, energy: f32, raw_energy: f32) {
        let slot = (self.count % HOPS as u64) as usize;
        self.concealed <<= 1;
        self.take(slot, spectrum, energy, raw_energy);
    }

    fn take(&mut self, slot: usize, spectrum: Spectrum, energy: f32, raw_energy: f32) {
        self.spectra[slot] = spectrum;
        self.energies[slot] = energy;
        self.low_energies[slot] = raw_energy - energy;
        self.count += 1;
        let look = self.look();
        self.looks[(self.count % LOOKS as u64) as usize] = look;
    }

    /// Takes a hop of silence.
    pub(super) fn push_silence(&mut self) {
        self.push(Spectrum::default(), 0.0, 0.0);
    }

    /// Takes a hop of which nothing is known.
    pub(super) fn push_concealed(&mut self) {
        let slot = (self.count % HOPS as u64) as usize;
        self.concealed = self.concealed << 1 | 1;
        self.take(slot, Spectrum::default(), 0.0, 0.0);
    }

    /// Lets time pass when nothing but silence is left in here.
    pub(super) fn advance(&mut self) {
        self.count += 1;
    }

    /// The sample up to which everything has been taken, less the delay of the short window.
    pub(super) fn heard_until(&self) -> u64 {
        self.sample_before(SHORT as f32 / 2.0)
    }

    /// The row and column (0..=3, 4..=7) that the newest window shows, if it may be a key at all.
    pub(super) fn candidate(&self) -> Option<(usize, usize)> {
        let look = self.look_back(0);
        look.candidate
            .then_some((usize::from(look.row), usize::from(look.column)))
    }

    /// Slot of the hop `back` before the newest.
    fn slot(&self, back: usize) -> usize {
        (self.count.wrapping_sub(1 + back as u64) % HOPS as u64) as usize
    }

    fn look_back(&self, back: usize) -> &Look {
        &self.looks[(self.count.wrapping_sub(back as u64) % LOOKS as u64) as usize]
    }

    /// The sample that lies `hops` before the newest one, at the filter's input.
    fn sample_before(&self, hops: f32) -> u64 {
        let samples = f64::from((hops + FILTER_DELAY_HOPS) * self.hop_samples as f32);
        (self.count * u64::from(self.hop_samples)).saturating_sub(samples as u64)
    }

    /// Measures the newest long window.
    fn look(&mut self) -> Look {
        let window = self.window();
        if window.sum < WEIGHT_SUM * KNOWN_SHARE {
            return Look {
                unknown: true,
                ..Look::default()
            };
        }
        let (mut energy, mut low) = (0.0, 0.0);
        for (back, weight) in WEIGHTS.iter().enumerate() {
            energy += weight * weight * self.energies[self.slot(back)];
            low += weight * weight * self.low_energies[self.slot(back)];
        }
        let scale = 1.0 / (self.hop_samples as f32 * window.squares);
        let (total, low) = (energy * scale, low * scale);
        if total < self.power_min {
            self.before = Spectrum::default();
            return Look::default();
        }
        let mut sums = Spectrum::default();
        for (back, weight) in WEIGHTS.iter().enumerate() {
            sums.add(&self.spectra[self.slot(back)], *weight);
        }
        let look = self.weigh(
            &sums,
            &window,
            Look {
                total,
                low,
                ..Look::default()
            },
        );
        (self.before, self.middle_before) = (sums, window.middle);
        look
    }

    /// The long window as far as its hops are known.
    fn window(&self) -> Window {
        let hidden = |back: usize| self.concealed >> back & 1 == 1;
        if self.concealed & ((1 << LONG) - 1) == 0 {
            return Window {
                sum: WEIGHT_SUM,
                squares: WEIGHT_SQUARES,
                middle: MIDDLE,
            };
        }
        let (mut sum, mut squares, mut moment) = (0.0, 0.0, 0.0);
        for (back, weight) in WEIGHTS
            .iter()
            .enumerate()
            .filter(|(back, _)| !hidden(*back))
        {
            sum += weight;
            squares += weight * weight;
            moment += weight * back as f32;
        }
        Window {
            sum,
            squares,
            middle: moment / sum,
        }
    }

    fn weigh(&self, sums: &Spectrum, window: &Window, mut look: Look) -> Look {
        let powers = sums.powers();
        let row = strongest(&powers[..4]);
        let column = 4 + strongest(&powers[4..]);
        let scale =
            2.0 / (self.hop_samples as f32 * window.sum * self.hop_samples as f32 * window.sum);
        (look.row, look.column) = (row as u8, column as u8);
        // A tone 2.5 % off loses at most 4.2 dB in the window, so less than a third is never enough.
        if (powers[row] + powers[column]) * scale < look.total * 0.3 {
            return look;
        }
        // Beside made-up hops the middle of the window moves by more or less than a hop.
        let moved = (1.0 + self.middle_before - window.middle).max(0.2);
        look.deviations = [row, column].map(|tone| phase_step(&self.before, sums, tone) / moved);
        look.powers = [0, 1].map(|index| {
            let loss = window_response(look.deviations[index]);
            powers[[row, column][index]] * scale / (loss * loss)
        });
        look.candidate = look.powers[0] + look.powers[1] > look.total * CANDIDATE_PURITY
            && look.powers.iter().all(|power| *power > self.power_min);
        look
    }

    /// Whether the short window that ends `back` hops before the newest has made-up hops in it.
    fn hidden(&self, back: usize) -> bool {
        self.concealed >> back & ((1 << SHORT) - 1) != 0
    }

    /// Power of both tones in the short window that ends `back` hops before the newest.
    fn short_power(&self, row: usize, column: usize, back: usize) -> f32 {
        let mut sums = [[0.0; 2]; 2];
        for hop in back..back + SHORT {
            let spectrum = &self.spectra[self.slot(hop)];
            for (sum, tone) in sums.iter_mut().zip([row, column]) {
                sum[0] += spectrum.real[tone];
                sum[1] += spectrum.imaginary[tone];
            }
        }
        sums.iter().flatten().map(|part| part * part).sum()
    }

    /// If the tones of a key that reached `plateau` are still on, up to which sample.
    pub(super) fn still_on(&self, row: usize, column: usize, plateau: f32) -> Option<u64> {
        let (now, before) = (
            self.short_power(row, column, 0),
            self.short_power(row, column, 1),
        );
        let half = plateau / 4.0;
        if now >= half {
            return Some(self.heard_until());
        }
        if before < half || self.hidden(0) || self.hidden(1) {
            return None;
        }
        Some(self.sample_before(SHORT as f32 / 2.0 + 1.0 - crossing(before, now, half)))
    }

    /// Tests the key of the newest window against `profile`, from where its tone began until now.
    pub(super) fn judge(
        &self,
        row: usize,
        column: usize,
        profile: &Profile,
        rate_hz: u32,
    ) -> Option<Found> {
        let plateau = (0..4)
            .map(|back| self.short_power(row, column, back))
            .fold(0.0, f32::max);
        let half = plateau / 4.0;
        if self.short_power(row, column, 0) < half {
            return None;
        }
        // Backwards to where the short window falls below half of the amplitude.
        let mut length = 0.0;
        for back in 1..=HOPS - SHORT {
            if self.hidden(back) {
                continue;
            }
            let power = self.short_power(row, column, back);
            if power < half {
                if !self.hidden(back - 1) {
                    length = back as f32
                        - crossing(power, self.short_power(row, column, back - 1), half);
                }
                break;
            }
            length = back as f32;
        }
        let length_ms = length * self.hop_samples as f32 * 1000.0 / rate_hz as f32;
        if length_ms < profile.tone_min_ms {
            return None;
        }
        // Windows that begin no earlier than the tone.
        let inside = (length + SHORT as f32 / 2.0 + 1.0) as usize;
        let inside = inside.saturating_sub(LONG).min(LOOKS);
        let mut evidence = Evidence::new(row, column);
        for back in 0..inside {
            evidence.add(self.look_back(back));
        }
        let measured = evidence.verdict(profile)?;
        Some(Found {
            began_at: self.sample_before(SHORT as f32 / 2.0 + length),
            plateau,
            measured,
        })
    }
}

/// Index of the largest of four.
fn strongest(powers: &[f32]) -> usize {
    let mut best = 0;
    for (index, power) in powers.iter().enumerate() {
        if *power > powers[best] {
            best = index;
        }
    }
    best
}

/// By how much the phase of `tone` turned beyond nominal between two neighbouring windows, radians.
fn phase_step(before: &Spectrum, now: &Spectrum, tone: usize) -> f32 {
    let real = now.real[tone] * before.real[tone] + now.imaginary[tone] * before.imaginary[tone];
    let imaginary =
        now.imaginary[tone] * before.real[tone] - now.real[tone] * before.imaginary[tone];
    libm::atan2f(imaginary, real)
}

/// The amplitude a tone keeps in the long window when it is `deviation` radians per hop off nominal; not below
/// that of half a radian (32 Hz at 2.5 ms), beyond which no tone is accepted anyway.
fn window_response(deviation: f32) -> f32 {
    let square = (deviation * deviation).min(0.45);
    let cosine = 1.0 - square / 2.0 + square * square / 24.0;
    let (mut last, mut now, mut sum) = (1.0, cosine, WEIGHTS[4]);
    for weight in &WEIGHTS[5..] {
        sum += 2.0 * weight * now;
        (last, now) = (now, 2.0 * cosine * now - last);
    }
    sum / WEIGHT_SUM * (1.0 - square / 24.0)
}

/// Where between two neighbouring short windows (0..1) the amplitude crosses that of `half`.
fn crossing(first: f32, second: f32, half: f32) -> f32 {
    let (first, second, half) = (libm::sqrtf(first), libm::sqrtf(second), libm::sqrtf(half));
    let rise = second - first;
    if rise == 0.0 {
        0.5
    } else {
        ((half - first) / rise).clamp(0.0, 1.0)
    }
}
