//! A hole both sides of which are known: the sound before goes on, the sound behind goes backwards, both are bent so that
//! their periods fall on each other, and one passes into the other.

use super::{extend::Extension, history::LONGEST, pitch};

/// Longest hole, samples: 60 ms at 16 kHz.
pub(crate) const HOLE: usize = 960;
/// Longest shift between both sides, samples: half a period.
const SHIFT: usize = 120;
/// Longest run of samples compared to find the shift.
const MATCH: usize = 160;
/// Longest extension of one side.
const SIDE: usize = HOLE + SHIFT + MATCH;
/// Samples behind the hole that stand before their extension, so that it can be read between samples.
const LEAD: usize = 4;

/// Milliseconds compared to find how the periods fall on each other.
const MATCH_MS: f32 = 5.0; // tuned
/// What a shift by half a period costs, in likeness.
const SHIFT_COST: f32 = 0.4; // tuned
/// Both sides are only bent if they are this much alike.
const BEND_LIKENESS: f32 = 0.7; // tuned

/// Fills `out`, [`HOLE`] samples at most, between `past`, which goes on by `before`, and `next`. `level` is the gain of the sound before.
pub(crate) fn fill(
    past: &[f32],
    mut before: Extension,
    level: f32,
    next: &[i16],
    per_ms: usize,
    out: &mut [f32],
) {
    let reach = (before.lag / 2).min(SHIFT).min(out.len() / 2);
    let compared = ((MATCH_MS * per_ms as f32) as usize)
        .min(MATCH)
        .min(next.len());
    let mut forth = [0.0; SIDE];
    let forth = &mut forth[..out.len() + reach + compared];
    before.go_on(past, forth);
    let shift = shift(&forth[out.len() - reach..], &next[..compared], before.lag);
    let hole = out.len() as f32;
    // A pitch that glides evenly is behind or ahead by the square of the time.
    let bend = |index: usize| shift * libm::powf((index as f32 + 0.5) / hole, 2.0);
    for (index, value) in out.iter_mut().enumerate() {
        *value = at(forth, index as f32 + bend(index)) * level;
    }

    let mut back = [0.0; SIDE];
    backwards(
        next,
        per_ms,
        before.lag,
        &mut back[..LEAD + out.len() + reach + LEAD],
    );
    let mut ahead = [0.0; HOLE];
    let ahead = &mut ahead[..out.len()];
    for (index, value) in ahead.iter_mut().rev().enumerate() {
        *value = at(&back, (LEAD + index) as f32 + bend(index));
    }
    pass(ahead, out);
}

/// How many samples later the sound before reaches the phase with which the sound behind starts, from minus to plus as far as
/// `forth` is longer than `start` by; 0 if neither fits.
fn shift(forth: &[f32], start: &[i16], lag: usize) -> f32 {
    let mut values = [0.0; MATCH];
    for (value, sample) in values.iter_mut().zip(start) {
        *value = f32::from(*sample);
    }
    let start = &values[..start.len()];
    let energy = pitch::dot(start, start);
    let middle = (forth.len() - start.len()) / 2;
    let (mut best, mut best_score) = (0.0, f32::MIN);
    for (index, there) in forth.windows(start.len().max(1)).enumerate() {
        let energies = pitch::dot(there, there) * energy;
        let likeness = pitch::dot(there, start) / libm::sqrtf(energies.max(1.0));
        let by = index as f32 - middle as f32;
        let turn = by / lag as f32 * 2.0;
        let score = likeness - SHIFT_COST * turn * turn;
        if score > best_score {
            best_score = score;
            best = if likeness < BEND_LIKENESS { 0.0 } else { by };
        }
    }
    best
}

/// Writes the sound behind the hole backwards: the first samples that came, then how it goes on into the hole, by `lag`
/// where they are too few to tell.
fn backwards(next: &[i16], per_ms: usize, lag: usize, back: &mut [f32]) {
    let mut reversed = [0.0; LONGEST];
    let reversed = &mut reversed[..next.len().min(LONGEST)];
    for (value, sample) in reversed.iter_mut().rev().zip(next) {
        *value = f32::from(*sample);
    }
    let mut windowed = [0.0; LONGEST];
    let windowed = &mut windowed[..reversed.len()];
    windowed.copy_from_slice(reversed);
    let mut behind = Extension::of(windowed, per_ms, lag);
    let (came, made) = back.split_at_mut(LEAD);
    for (value, sample) in came.iter_mut().rev().zip(next) {
        *value = f32::from(*sample);
    }
    behind.go_on(reversed, made);
}

/// Passes from `out` into `ahead`. The louder of both is brought to the level of the other evenly in dB.
fn pass(ahead: &[f32], out: &mut [f32]) {
    let change = libm::logf((pitch::dot(ahead, ahead) + 1.0) / (pitch::dot(out, out) + 1.0)) / 2.0;
    let hole = out.len() as f32;
    for (index, (value, ahead)) in out.iter_mut().zip(ahead).enumerate() {
        let part = (index as f32 + 0.5) / hole;
        let falling = libm::expf(change.min(0.0) * part);
        let rising = libm::expf((-change).min(0.0) * (1.0 - part));
        *value = *value * falling * (1.0 - part) + ahead * rising * part;
    }
}

/// The value between samples, by the cubic through four of them.
fn at(samples: &[f32], place: f32) -> f32 {
    let place = place.max(0.0);
    let index = place as usize;
    let part = place - index as f32;
    let sample = |index: usize| samples.get(index).copied().unwrap_or(0.0);
    let (a, b) = (sample(index.saturating_sub(1)), sample(index));
    let (c, d) = (sample(index + 1), sample(index + 2));
    let curve = 2.0 * a - 5.0 * b + 4.0 * c - d + part * (3.0 * (b - c) + d - a);
    b + 0.5 * part * (c - a + part * curve)
}
