//! The last 60 ms as Fourier sums per hop, and the measurements made on them.
//!
//! Two windows look at the same sums: a long one (9 hops, 22.5 ms, Hann) that separates neighbouring tones and
//! measures level, frequency and purity, and a short one (3 hops, 7.5 ms) that finds where a tone begins and ends.
//! Hops that loss concealment made up, and gaps of digital silence inside a tone, are left out of both.
//! Owns no decision about keys being heard; that is the detector's.

use super::{
    Profile,
    bank::{Packed, Spectrum},
    detector::HOPS_PER_SECOND,
    evidence::{Evidence, Look, Measured, PURITY_MIN},
    leak::{Leak, Pair, Parted, angle, product, response_near},
};
use crate::level;

/// Hops remembered.
pub(super) const HOPS: usize = 24;
/// Hops of the long window.
const LONG: usize = 9;
/// Hann weights `sin²(π (k + ½) / 9)` of the long window.
pub(super) const WEIGHTS: [f32; LONG] = [
    0.030_154, 0.25, 0.586_824, 0.883_022, 1.0, 0.883_022, 0.586_824, 0.25, 0.030_154,
];
/// Sum of the weights and of their squares.
pub(super) const WEIGHT_SUM: f32 = 4.5;
pub(super) const WEIGHT_SQUARES: f32 = 3.375;
/// Hops from the newest to the middle of the long window.
const MIDDLE: f32 = (LONG - 1) as f32 / 2.0;
/// Hops of the short window.
const SHORT: usize = 3;
/// Windows a verdict looks at, at most.
const LOOKS: usize = 6;
/// Delay of the high-pass filter around the tones, in hops (1 ms).
const FILTER_DELAY_HOPS: f32 = 0.4;
/// A tone is on while its short window has this share of its amplitude.
const HALF: f32 = 0.5;
/// A pair with less of the long window's energy than this is not looked at: a tone 2.5 % off loses at most 4.2 dB.
const COARSE_SHARE: f32 = 0.3;
/// Tones that have been on for so many hops were no key yet for most of them.
const LATE: f32 = 19.0;
/// A window of which less is known, by weight, tells nothing.
const KNOWN_SHARE: f32 = 0.6;

/// A key that passed every test.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) began_at: u64,
    /// Powers of the tones over a short window.
    pub(super) plateau: [f32; 2],
    pub(super) measured: Measured,
}

/// The long window as far as its hops are known.
#[derive(Clone, Copy)]
struct Window {
    sum: f32,
    squares: f32,
    /// Hops from its newest to its middle.
    middle: f32,
}

/// See the head of the file.
#[derive(Clone, Debug)]
pub(super) struct History {
    /// Hops so far.
    count: u64,
    hop_samples: u32,
    /// Mean square of the weakest tone.
    power_min: f32,
    /// Where the newest hop lives; the others stand before it, around the corner.
    newest: usize,
    /// Hops by which the phases of the sums have turned.
    turned: u32,
    /// Which hops were made up by loss concealment; bit 0 is the newest.
    concealed: u32,
    /// Which hops were digital silence.
    void: u32,
    /// Energies of the hops behind the high-pass, and of what that took away.
    energies: [f32; HOPS],
    low_energies: [f32; HOPS],
    spectra: [Packed; HOPS],
}

impl History {
    pub(super) fn new(hop_samples: u32, profile: &Profile) -> Self {
        let peak = level::sine_peak(profile.level_min_dbm0);
        Self {
            count: 0,
            hop_samples,
            power_min: peak * peak / 2.0,
            newest: 0,
            turned: 0,
            concealed: 0,
            void: 0,
            energies: [0.0; HOPS],
            low_energies: [0.0; HOPS],
            spectra: [Packed::default(); HOPS],
        }
    }

    /// Takes the sums and the energy of the next hop behind the high-pass, and the energy before it.
    #[inline(always)]
    pub(super) fn push(&mut self, spectrum: &Spectrum, energy: f32, raw_energy: f32) {
        self.step();
        self.spectra[self.newest] = Packed::new(spectrum);
        self.energies[self.newest] = energy;
        self.low_energies[self.newest] = (raw_energy - energy).max(0.0);
    }

    /// Takes a hop of silence.
    pub(super) fn push_silence(&mut self) {
        self.push(&Spectrum::default(), 0.0, 0.0);
        self.void |= 1;
    }

    /// Takes a hop of which nothing is known.
    pub(super) fn push_concealed(&mut self) {
        self.push(&Spectrum::default(), 0.0, 0.0);
        self.concealed |= 1;
    }

    /// Lets time pass when nothing but silence is left in here.
    pub(super) fn advance(&mut self) {
        self.count += 1;
    }

    #[inline(always)]
    fn step(&mut self) {
        self.count += 1;
        self.turned = self.turned.wrapping_add(1);
        self.newest = (self.newest + 1) % HOPS;
        self.concealed <<= 1;
        self.void <<= 1;
    }

    /// The sample up to which everything has been taken, less the delay of the short window.
    pub(super) fn heard_until(&self) -> u64 {
        self.sample_before(SHORT as f32 / 2.0)
    }

    /// Slot of the hop `back` before the newest.
    #[inline(always)]
    fn slot(&self, back: usize) -> usize {
        if self.newest >= back {
            self.newest - back
        } else {
            self.newest + HOPS - back
        }
    }

    /// The sample that lies `hops` before the newest one, at the filter's input.
    fn sample_before(&self, hops: f32) -> u64 {
        let samples = f64::from((hops + FILTER_DELAY_HOPS) * self.hop_samples as f32);
        (self.count * u64::from(self.hop_samples)).saturating_sub(samples as u64)
    }

    /// The row and column (0..=3, 4..=7) that the newest window shows, if it may be a key at all.
    #[inline(always)]
    pub(super) fn candidate(&self) -> Option<(usize, usize)> {
        // In the middle of a gap the window has its two ends only.
        if self.hidden_hops() >> (LONG / 2) & 1 == 1 {
            return None;
        }
        let window = self.window(0)?;
        let total = self.total(0, &window, &self.energies);
        if total < self.power_min {
            return None;
        }
        let mut sums = Spectrum::default();
        for (back, weight) in WEIGHTS.iter().enumerate() {
            sums.add(&self.spectra[self.slot(back)], *weight);
        }
        let powers = sums.powers();
        let (row, column) = (strongest(&powers[..4]), 4 + strongest(&powers[4..]));
        let pair = (powers[row] + powers[column]) * self.power_scale(&window);
        (pair > total * COARSE_SHARE).then_some((row, column))
    }

    /// Which hops tell nothing.
    #[inline(always)]
    fn hidden_hops(&self) -> u32 {
        self.concealed | self.void
    }

    /// Whether the short window that ends `back` hops before the newest has hops in it that tell nothing.
    fn hidden(&self, back: usize) -> bool {
        self.hidden_hops() >> back & ((1 << SHORT) - 1) != 0
    }

    /// The long window that ends `back` hops before the newest, unless too little of it is known.
    #[inline(always)]
    fn window(&self, back: usize) -> Option<Window> {
        let hidden = self.hidden_hops() >> back & ((1 << LONG) - 1);
        if hidden == 0 {
            return Some(Window {
                sum: WEIGHT_SUM,
                squares: WEIGHT_SQUARES,
                middle: MIDDLE,
            });
        }
        let (mut sum, mut squares, mut moment) = (0.0, 0.0, 0.0);
        for (index, weight) in WEIGHTS.iter().enumerate() {
            if hidden >> index & 1 == 0 {
                sum += weight;
                squares += weight * weight;
                moment += weight * index as f32;
            }
        }
        (sum >= WEIGHT_SUM * KNOWN_SHARE).then(|| Window {
            sum,
            squares,
            middle: moment / sum,
        })
    }

    /// Mean square over a long window, of the energies given.
    #[inline(always)]
    fn total(&self, back: usize, window: &Window, energies: &[f32; HOPS]) -> f32 {
        let mut energy = 0.0;
        for (index, weight) in WEIGHTS.iter().enumerate() {
            energy += weight * weight * energies[self.slot(back + index)];
        }
        energy / (self.hop_samples as f32 * window.squares)
    }

    /// From the squared magnitude of a long window's sum to the mean square of its tone.
    #[inline(always)]
    fn power_scale(&self, window: &Window) -> f32 {
        let samples = self.hop_samples as f32 * window.sum;
        2.0 / (samples * samples)
    }

    fn pair(&self, tones: [usize; 2], back: usize) -> Pair {
        let mut sums = [[0.0; 2]; 2];
        for (index, weight) in WEIGHTS.iter().enumerate() {
            let spectrum = &self.spectra[self.slot(back + index)];
            for (sum, tone) in sums.iter_mut().zip(tones) {
                let [real, imaginary] = spectrum.at(tone);
                sum[0] += weight * real;
                sum[1] += weight * imaginary;
            }
        }
        sums
    }

    /// Measures the long windows that end up to `inside` hops before the newest at the pair `tones`.
    fn look(&self, tones: [usize; 2], inside: usize, mut each: impl FnMut(Option<Look>)) {
        let mut pairs = [Pair::default(); LOOKS + 1];
        let inside = inside.min(LOOKS);
        for (back, pair) in pairs.iter_mut().enumerate().take(inside + 1) {
            *pair = self.pair(tones, back);
        }
        let mut turned = [[0.0; 2]; 2];
        let mut own = [[1.0; 2]; LOOKS + 1];
        for back in 0..inside {
            for (tone, turned) in turned.iter_mut().enumerate() {
                let step = product(pairs[back][tone], pairs[back + 1][tone]);
                *turned = [turned[0] + step[0], turned[1] + step[1]];
                own[back][tone] = response_near(angle(step));
            }
        }
        own[inside] = own[inside.saturating_sub(1)];
        let leak = Leak::new(tones, turned.map(angle), self.hop_samples);
        let mut before = None;
        for back in (0..=inside).rev() {
            let window = self.window(back);
            let now = window.map(|window| {
                let hidden = self.hidden_hops() >> back & ((1 << LONG) - 1) != 0;
                let middle = self.turned.wrapping_sub((back + LONG / 2 + 1) as u32);
                (window, leak.part(pairs[back], own[back], middle, hidden))
            });
            if let (Some((window, amplitudes)), Some((window_before, amplitudes_before))) =
                (&now, &before)
                && back < inside
            {
                each(self.weigh(
                    back,
                    window,
                    amplitudes,
                    window_before,
                    amplitudes_before,
                    &leak,
                ));
            }
            before = now;
        }
    }

    fn weigh(
        &self,
        back: usize,
        window: &Window,
        now: &Parted,
        window_before: &Window,
        before: &Parted,
        leak: &Leak,
    ) -> Option<Look> {
        // Beside made-up hops the middle of the window moves by more or less than a hop.
        let moved = (1.0 + window_before.middle - window.middle).max(0.2);
        let scale = self.power_scale(window);
        let powers = now
            .amplitudes
            .map(|[real, imaginary]| (real * real + imaginary * imaginary) * scale);
        if powers.iter().any(|power| *power <= self.power_min) {
            return None;
        }
        let total = self.total(back, window, &self.energies);
        Some(Look {
            residue: total - powers[0] - powers[1] - 2.0 * leak.beat * now.beat * scale,
            low: self.total(back, window, &self.low_energies),
            powers,
            deviations: [0, 1]
                .map(|tone| angle(product(now.amplitudes[tone], before.amplitudes[tone])) / moved),
        })
    }

    /// The powers of two tones in the short window that ends `back` hops before the newest.
    fn short_powers(&self, tones: [usize; 2], back: usize) -> [f32; 2] {
        let mut sums = [[0.0; 2]; 2];
        for hop in back..back + SHORT {
            let spectrum = &self.spectra[self.slot(hop)];
            for (sum, tone) in sums.iter_mut().zip(tones) {
                let [real, imaginary] = spectrum.at(tone);
                sum[0] += real;
                sum[1] += imaginary;
            }
        }
        sums.map(|[real, imaginary]| real * real + imaginary * imaginary)
    }

    /// The amplitude of a pair in a short window relative to its plateau; 1.4 times that of its weaker tone if that is less.
    fn amplitude(&self, tones: [usize; 2], plateau: [f32; 2], back: usize) -> f32 {
        let powers = self.short_powers(tones, back);
        let both = (powers[0] + powers[1]) / (plateau[0] + plateau[1]);
        let weaker = (powers[0] / plateau[0]).min(powers[1] / plateau[1]);
        libm::sqrtf(both.min(2.0 * weaker))
    }

    /// If the tones of a key that reached `plateau` are still on, up to which sample.
    pub(super) fn still_on(&self, tones: [usize; 2], plateau: [f32; 2]) -> Option<u64> {
        let now = self.amplitude(tones, plateau, 0);
        if now >= HALF {
            return Some(self.heard_until());
        }
        let made_up = self.concealed & ((1 << (SHORT + 1)) - 1) != 0;
        let before = self.amplitude(tones, plateau, 1);
        if before < HALF || made_up {
            return None;
        }
        Some(self.sample_before(SHORT as f32 / 2.0 + 1.0 - crossing(before, now)))
    }

    /// How many hops ago, seen from the middle of the newest short window, a tone of `plateau` began.
    ///
    /// A gap of which nothing is known belongs to the tone if that was on before it, too.
    fn length(&self, tones: [usize; 2], plateau: [f32; 2], bridge: usize) -> f32 {
        let amplitude = |back| self.amplitude(tones, plateau, back);
        let (mut length, mut last_on, mut edge, mut newer) = (0.0, 0, false, amplitude(0));
        for back in 1..=HOPS - SHORT {
            let (older, hidden) = (amplitude(back), self.hidden(back));
            if older >= HALF && !hidden {
                if back > last_on + SHORT + bridge {
                    break;
                }
                (last_on, edge, length) = (back, false, back as f32);
            } else if older < HALF && !edge {
                (edge, length) = (true, back as f32 - crossing(older, newer));
            }
            if older < HALF && !hidden {
                break;
            }
            newer = older;
        }
        length
    }

    /// Whether the newest long window has enough of a pair, as a quick test before the long one.
    fn newest_shows(&self, tones: [usize; 2]) -> bool {
        let Some(window) = self.window(0) else {
            return false;
        };
        let (now, before) = (self.pair(tones, 0), self.pair(tones, 1));
        let powers = [0, 1].map(|tone| {
            let kept = response_near(angle(product(now[tone], before[tone])));
            product(now[tone], now[tone])[0] / (kept * kept)
        });
        let pair = (powers[0] + powers[1]) * self.power_scale(&window);
        pair > self.total(0, &window, &self.energies) * PURITY_MIN
    }

    /// Tests the key of the newest window against `profile`, from where its tone began until now.
    pub(super) fn judge(&self, row: usize, column: usize, profile: &Profile) -> Option<Found> {
        let tones = [row, column];
        if !self.newest_shows(tones) {
            return None;
        }
        let mut plateau = [0.0f32; 2];
        for back in 0..4 {
            let powers = self.short_powers(tones, back);
            plateau = [0, 1].map(|tone| plateau[tone].max(powers[tone]));
        }
        if self.amplitude(tones, plateau, 0) < HALF {
            return None;
        }
        let hop_ms = 1000.0 / HOPS_PER_SECOND as f32;
        let bridge = if self.concealed == 0 {
            (profile.gap_max_ms / hop_ms) as usize
        } else {
            HOPS
        };
        let length = self.length(tones, plateau, bridge);
        if length * hop_ms < profile.tone_min_ms {
            return None;
        }
        // Windows that are not wholly known are worse measured than their tones are.
        let looked_at = (1 << (LONG + LOOKS)) - 1;
        let late = length >= LATE && self.hidden_hops() & looked_at == 0;
        // Windows that begin no earlier than the tone.
        let inside = (length + SHORT as f32 / 2.0 + 1.0) as usize;
        let inside = inside.saturating_sub(LONG).min(LOOKS);
        let mut evidence = Evidence::new(row, column);
        self.look(tones, inside, |look| evidence.add(look));
        Some(Found {
            began_at: self.sample_before(SHORT as f32 / 2.0 + length),
            plateau,
            measured: evidence.verdict(profile, late)?,
        })
    }
}

/// Index of the largest of four.
#[inline(always)]
fn strongest(powers: &[f32]) -> usize {
    let mut best = 0;
    for (index, power) in powers.iter().enumerate() {
        if *power > powers[best] {
            best = index;
        }
    }
    best
}

/// Where between two neighbouring short windows (0..1) the amplitude crosses [`HALF`].
fn crossing(first: f32, second: f32) -> f32 {
    let rise = second - first;
    if rise == 0.0 {
        0.5
    } else {
        ((HALF - first) / rise).clamp(0.0, 1.0)
    }
}
