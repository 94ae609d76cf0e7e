//! A hole both sides of which are known: the sound before goes on, the sound behind goes backwards, both are bent so that
//! their periods fall on each other, and one passes into the other.

use super::{extend::Extension, history::LONGEST, pitch};

/// Longest hole, samples: 60 ms at 16 kHz.
pub(crate) const HOLE: usize = 960;
/// Longest shift between both sides, samples: half a period.
const SHIFT: usize = 120;
/// Samples compared to find the shift.
const MATCH: usize = 160;
/// Longest extension of one side.
const SIDE: usize = HOLE + SHIFT + MATCH;

/// Milliseconds compared to find how the periods fall on each other.
const MATCH_MS: f32 = 10.0; // tuned
/// What a shift by half a period costs, in likeness.
const SHIFT_COST: f32 = 0.1; // tuned
/// Both sides are only bent if they are this much alike.
const BEND_LIKENESS: f32 = 0.4; // tuned
/// How the shift grows along the hole: 2 for a pitch that glides evenly.
const BEND_POWER: f32 = 2.0; // tuned
/// How much of the difference in level is bridged evenly in dB, rather than in amplitude.
const EVEN_LEVEL: f32 = 1.0; // tuned
/// How much of the power is made up for where both sides are not alike.
const EVEN_POWER: f32 = 1.0; // tuned
/// Milliseconds of what follows that are looked at, at most.
const BEHIND_MS: f32 = 25.0; // tuned

/// Fills `out` between `past`, which goes on by `before`, and `next`. `level` is the gain of the sound before at a sample of
/// the hole.
pub(crate) fn fill(
    past: &[f32],
    before: &mut Extension,
    next: &[i16],
    per_ms: usize,
    level: impl Fn(usize) -> f32,
    out: &mut [f32],
) {
    let hole = out.len();
    let mut forth = [0.0; SIDE];
    let limit = (before.lag / 2).min(SHIFT).min(hole / 2);
    let compared = ((MATCH_MS * per_ms as f32) as usize)
        .min(MATCH)
        .min(next.len());
    let forth = &mut forth[..hole + limit + compared];
    before.go_on(past, forth);

    let mut reversed = [0.0; LONGEST];
    let count = next
        .len()
        .min(LONGEST)
        .min((BEHIND_MS * per_ms as f32) as usize);
    for (value, sample) in reversed.iter_mut().zip(next[..count].iter().rev()) {
        *value = f32::from(*sample);
    }
    let reversed = &mut reversed[..count];
    let start: [f32; MATCH] = core::array::from_fn(|i| next.get(i).map_or(0.0, |s| f32::from(*s)));
    let shift = shift(forth, &start[..compared], hole, limit, before.lag);

    let mut copy = [0.0; LONGEST];
    copy[..count].copy_from_slice(reversed);
    let mut behind = Extension::of(&mut copy[..count], per_ms);
    let mut back = [0.0; SIDE];
    let back = &mut back[..hole + limit + 2];
    behind.go_on(reversed, back);

    pass(forth, back, reversed, shift, level, out);
}

/// How many samples later the sound before reaches the phase with which the sound behind starts.
fn shift(forth: &[f32], start: &[f32], hole: usize, limit: usize, lag: usize) -> f32 {
    let energy = pitch::dot(start, start);
    let (mut best, mut best_score, mut best_likeness) = (0isize, f32::MIN, 0.0);
    for index in 0..=2 * limit {
        let there = &forth[hole - limit + index..];
        let there = &there[..start.len().min(there.len())];
        let likeness =
            pitch::dot(there, start) / libm::sqrtf((pitch::dot(there, there) * energy).max(1.0));
        let by = index as isize - limit as isize;
        let part = by as f32 / lag as f32 * 2.0;
        let score = likeness - SHIFT_COST * part * part;
        if score > best_score {
            (best, best_score, best_likeness) = (by, score, likeness);
        }
    }
    if best_likeness < BEND_LIKENESS {
        0.0
    } else {
        best as f32
    }
}

/// Bends both sides and passes from one into the other. `reversed` is what came behind the hole, backwards; `back` how it
/// goes on into the hole.
fn pass(
    forth: &[f32],
    back: &[f32],
    reversed: &[f32],
    shift: f32,
    level: impl Fn(usize) -> f32,
    out: &mut [f32],
) {
    let hole = out.len() as f32;
    let mut ahead = [0.0; HOLE];
    let (mut ff, mut bb, mut fb) = (1.0f32, 1.0f32, 0.0f32);
    for (index, value) in out.iter_mut().enumerate() {
        let t = index as f32;
        let u = (t + 0.5) / hole;
        let f = at(forth, t + shift * libm::powf(u, BEND_POWER)) * level(index);
        // Backwards, sample 0 is the last of the hole.
        let b_at = hole - 1.0 - (t - shift * libm::powf(1.0 - u, BEND_POWER));
        let b = if b_at < 0.0 {
            // Behind the hole: what came.
            at(reversed, reversed.len() as f32 + b_at)
        } else {
            at(back, b_at)
        };
        *value = f;
        ahead[index] = b;
        ff += f * f;
        bb += b * b;
        fb += f * b;
    }
    let likeness = (fb / libm::sqrtf(ff * bb)).max(0.0);
    let ratio = libm::sqrtf(bb / ff);
    for (index, value) in out.iter_mut().enumerate() {
        let u = (index as f32 + 0.5) / hole;
        let (a, b) = (1.0 - u, u);
        let even = libm::powf(a * a + b * b + 2.0 * a * b * likeness, -0.5 * EVEN_POWER);
        let fg = libm::powf(ratio.min(1.0), u * EVEN_LEVEL);
        let bg = libm::powf((1.0 / ratio).min(1.0), (1.0 - u) * EVEN_LEVEL);
        *value = (*value * a * fg + ahead[index] * b * bg) * even;
    }
}

/// The value between samples, by the cubic through four of them.
fn at(samples: &[f32], place: f32) -> f32 {
    let place = place.max(0.0);
    let index = place as usize;
    let part = place - index as f32;
    let sample = |index: usize| {
        samples
            .get(index)
            .or(samples.last())
            .copied()
            .unwrap_or(0.0)
    };
    if part == 0.0 {
        return sample(index);
    }
    let (a, b, c, d) = (
        sample(index.saturating_sub(1)),
        sample(index),
        sample(index + 1),
        sample(index + 2),
    );
    b + 0.5
        * part
        * (c - a + part * (2.0 * a - 5.0 * b + 4.0 * c - d + part * (3.0 * (b - c) + d - a)))
}
