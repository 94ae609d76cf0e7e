//! One side of a hole: a sound, what repeats in it, and how it goes on.

use super::{
    lpc::{ORDER, Predictor},
    pitch,
};

/// Milliseconds that are compared with the past.
const TEMPLATE_MS: f32 = 5.0; // tuned
/// Shortest lag, ms; a shorter period is followed by its multiple.
const SHORTEST_MS: f32 = 5.0; // tuned
/// Longest lag, ms: the period of the lowest voice that is followed.
const LONGEST_MS: f32 = 15.0; // tuned
/// Milliseconds the predictor is fitted to.
const LPC_MS: f32 = 25.0; // tuned
/// How the ringing is shortened, see [`Predictor::fit`].
const WIDENING: f32 = 0.9; // tuned
/// How much of the fall of the level from period to period goes on.
const SLOPE: f32 = 0.5; // tuned
/// Lowest level a falling sound is taken to, as a ratio.
const SLOPE_FLOOR: f32 = 0.3; // tuned

/// How a sound goes on.
#[derive(Clone, Debug)]
pub(crate) struct Extension {
    /// Samples of a period.
    pub(crate) lag: usize,
    /// Change of level from sample to sample, natural logarithm, 0 at most.
    slope: f32,
    predictor: Predictor,
    /// What the ringing of the predictor starts from, newest first.
    ringing: [f32; ORDER],
    /// Samples made so far.
    made: usize,
}

impl Extension {
    /// Repeats nothing.
    pub(crate) const NONE: Extension = Extension {
        lag: 1,
        slope: 0.0,
        predictor: Predictor::SILENT,
        ringing: [0.0; ORDER],
        made: 0,
    };

    /// Learns from `past`, oldest sample first, how it goes on. A `past` too short to show how it repeats, which is less than 20 ms,
    /// repeats by `known`, if it is as long as that. `past` is left changed.
    pub(crate) fn of(past: &mut [f32], per_ms: usize, known: usize) -> Extension {
        let samples = |ms: f32| (ms * per_ms as f32) as usize;
        let (shortest, longest) = (samples(SHORTEST_MS), samples(LONGEST_MS));
        let lag = match pitch::search(past, samples(TEMPLATE_MS), shortest, longest) {
            Some(found) => found.lag,
            None if (1..=past.len()).contains(&known) => known,
            None => return Extension::NONE,
        };
        let end = past.len();
        let (before, last) = past.split_at(end - lag);
        let mut ringing = [0.0; ORDER];
        for (back, ringing) in ringing.iter_mut().enumerate() {
            let apart = back + lag;
            let lagged = end.checked_sub(1 + apart).map_or(0.0, |at| past[at]);
            *ringing = past[end - 1 - back] - lagged;
        }
        let before = &before[before.len().saturating_sub(lag)..];
        let slope = slope(before, last);
        let recent = &mut past[end - samples(LPC_MS).min(end)..];
        lean(recent, per_ms);
        Extension {
            lag,
            slope,
            predictor: Predictor::fit(recent, WIDENING),
            ringing,
            made: 0,
        }
    }

    /// Makes the samples that follow `past`, which ends with what was made before.
    pub(crate) fn go_on(&mut self, past: &[f32], out: &mut [f32]) {
        for index in 0..out.len() {
            let repeated = match index.checked_sub(self.lag) {
                Some(at) => out[at],
                None => past[past.len() + index - self.lag],
            };
            let rung = if self.made < self.lag {
                self.predictor.ring(&mut self.ringing)
            } else {
                0.0
            };
            out[index] = repeated + rung;
            self.made += 1;
        }
    }

    /// The level after `samples`, as the ratio to that of the last period, if the sound goes on falling as it did.
    pub(crate) fn fall(&self, samples: usize) -> f32 {
        if self.slope == 0.0 {
            return 1.0;
        }
        libm::expf(self.slope * SLOPE * samples as f32).max(SLOPE_FLOOR)
    }
}

/// How fast the level falls from one period to the next, per sample; 0 where it rises.
fn slope(before: &[f32], last: &[f32]) -> f32 {
    // A few steps of quantisation are no level.
    let floor = last.len() as f32;
    let ratio = (pitch::dot(last, last) + floor) / (pitch::dot(before, before) + floor);
    if before.len() < last.len() {
        return 0.0;
    }
    (libm::logf(ratio) / 2.0 / last.len() as f32).min(0.0)
}

/// Windows the samples, rising slowly and falling within 2 ms, so that the newest count most.
fn lean(samples: &mut [f32], per_ms: usize) {
    let count = samples.len();
    for (index, value) in samples.iter_mut().enumerate() {
        let rise = index as f32 / count as f32;
        let fall = (count - index) as f32 / (2 * per_ms) as f32;
        *value *= libm::sinf(rise * core::f32::consts::FRAC_PI_2) * fall.min(1.0);
    }
}
