//! The verdict on a tone pair: is it a key, given the windows that lie inside it?
//!
//! Owns the thresholds that tell digits from speech and music. White noise and drop-outs are innocent; energy below the
//! keys' band, tones off their frequency and levels that move are signs of a voice, and lower the amount
//! of residue (energy that is neither of the two tones) that is forgiven.

use core::f32::consts::TAU;

use super::{Profile, bank::FREQUENCIES, detector::HOPS_PER_SECOND};
use crate::level;

/// Windows inside the tone that a decision needs.
const LOOKS_NEEDED: f32 = 3.0;
/// A window with a smaller share of tone does not count; a drop-out or an edge inside it costs that much.
pub(super) const PURITY_MIN: f32 = 0.5;
/// What tones from [`Profile::harmonic_ratio`] on leave over at most, dB.
const HARMONIC_RESIDUE_MAX_DB: f32 = -18.0;
/// The level of what may sound below them, dB; a low tone loses some of its own to the band's edge.
const HARMONIC_LOW_MAX_DB: f32 = -6.0;
/// What one long window shows of a pair.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Mean square of everything in the band but the two tones; noise may make it less than nothing.
    pub(super) residue: f32,
    /// Mean square of what lies below the band.
    pub(super) low: f32,
    /// Mean squares of the two tones.
    pub(super) powers: [f32; 2],
    /// Deviations of the two tones from nominal, radians per hop.
    pub(super) deviations: [f32; 2],
}

impl Look {
    /// Whether enough of it is the pair for it to count.
    pub(super) fn shows_a_pair(&self) -> bool {
        self.residue * PURITY_MIN < (self.powers[0] + self.powers[1]) * (1.0 - PURITY_MIN)
    }
}

/// What the two tones of a key were measured to be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measured {
    /// The level of both tones together, dBm0.
    pub level_dbm0: f32,
    /// The high tone's level less the low tone's, dB.
    pub twist_db: f32,
    /// Deviation of the low and of the high tone from their frequency, relative: 0.01 is 1 % above it.
    pub deviations: [f32; 2],
    /// Power of both tones over that of everything else above 670 Hz, dB; at most 40.
    pub snr_db: f32,
}

/// The sum of the windows inside a tone.
#[derive(Debug)]
pub(super) struct Evidence {
    tones: [usize; 2],
    offered: f32,
    used: f32,
    residue: f32,
    low: f32,
    powers: [f32; 2],
    deviations: [f32; 2],
    weakest: [f32; 2],
    strongest: [f32; 2],
}

impl Evidence {
    /// Nothing yet for the pair of `row` (0..=3) and `column` (4..=7).
    pub(super) fn new(row: usize, column: usize) -> Self {
        Self {
            tones: [row, column],
            offered: 0.0,
            used: 0.0,
            residue: 0.0,
            low: 0.0,
            powers: [0.0; 2],
            deviations: [0.0; 2],
            weakest: [f32::MAX; 2],
            strongest: [0.0; 2],
        }
    }

    /// Takes a window inside the tone; one that has not enough of the pair only counts as a miss.
    pub(super) fn add(&mut self, look: Option<Look>) {
        self.offered += 1.0;
        let Some(look) = look.filter(Look::shows_a_pair) else {
            return;
        };
        self.used += 1.0;
        self.residue += look.residue;
        self.low += look.low;
        for tone in 0..2 {
            self.powers[tone] += look.powers[tone];
            self.deviations[tone] += look.deviations[tone];
            self.weakest[tone] = self.weakest[tone].min(look.powers[tone]);
            self.strongest[tone] = self.strongest[tone].max(look.powers[tone]);
        }
    }

    /// The figures of the tones if this is a key; `late` if they have been on for long without being one.
    pub(super) fn verdict(&self, profile: &Profile, late: bool) -> Option<Measured> {
        if self.used < LOOKS_NEEDED || self.used + 1.0 < self.offered {
            return None;
        }
        let twist_db = 10.0 * libm::log10f(self.powers[1] / self.powers[0]);
        if twist_db > profile.high_stronger_db || -twist_db > profile.low_stronger_db {
            return None;
        }
        let deviations = self.relative_deviations();
        let detune = deviations[0].abs().max(deviations[1].abs());
        let ratio = (1.0 + deviations[1]) / (1.0 + deviations[0]) - 1.0;
        let steady = (0..2).all(|tone| {
            self.strongest[tone] <= self.weakest[tone] * profile.unsteadiness * profile.unsteadiness
        });
        let tuned = detune <= profile.frequency_limit && ratio.abs() <= profile.ratio_limit;
        let harmonics = ratio.abs() > profile.harmonic_ratio;
        if !tuned || !steady || !self.pure(deviations, profile, late, harmonics) {
            return None;
        }
        let tones = self.powers[0] + self.powers[1];
        Some(Measured {
            level_dbm0: level::power_to_dbm0(tones / self.used),
            twist_db,
            deviations,
            snr_db: -ratio_db(self.residue, tones),
        })
    }

    fn relative_deviations(&self) -> [f32; 2] {
        [0, 1].map(|tone| {
            let hz = self.deviations[tone] / self.used / TAU * HOPS_PER_SECOND as f32;
            hz / FREQUENCIES[self.tones[tone]]
        })
    }

    fn pure(&self, deviations: [f32; 2], profile: &Profile, late: bool, harmonics: bool) -> bool {
        let detune = deviations[0].abs().max(deviations[1].abs());
        let tones = self.powers[0] + self.powers[1];
        let residue_db = ratio_db(self.residue, tones);
        let low_db = ratio_db(self.low, tones);
        if harmonics && (residue_db > HARMONIC_RESIDUE_MAX_DB || low_db > HARMONIC_LOW_MAX_DB) {
            return false;
        }
        let for_low = (profile.low_slope * (low_db - profile.low_innocent_db))
            .clamp(0.0, profile.low_max_db.max(0.0));
        let for_detune = (profile.detune_slope * 100.0 * (detune - profile.detune_innocent))
            .clamp(0.0, profile.detune_max_db.max(0.0));
        let most_db = match late {
            false => profile.residue_max_db,
            true => profile.residue_max_db.min(profile.late_residue_max_db),
        };
        residue_db <= most_db - for_low - for_detune
    }
}

/// `part / whole` in dB, not below -40.
fn ratio_db(part: f32, whole: f32) -> f32 {
    10.0 * libm::log10f((part / whole).max(1e-4))
}
