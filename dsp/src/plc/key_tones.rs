//! The two tones of a key (ITU-T Q.23), found in a stretch of sound, and how they go on.
//!
//! A period that is repeated is not two-toned: between 5 and 15 ms no lag fits both tones, and a receiver hears the joints. So both are
//! estimated (Fourier sums for which they are, then least squares over frequencies, amplitudes and phases) and go on as they were.

use crate::{
    dtmf::{COLUMNS_HZ, ROWS_HZ},
    plc::pitch::dot,
};
use core::f32::consts::TAU;

/// Stretches that are looked at, ms; the next if the tones do not fill the one before.
const STRETCHES_MS: [usize; 2] = [24, 12];
/// Longest stretch in samples.
const LONGEST: usize = STRETCHES_MS[0] * 16;
/// What the tones leave over in the stretch at most, as a ratio of powers: they may come from a codec that treats them badly.
const RESIDUE_MAX: f32 = 0.16;
/// The same within the last milliseconds, where they may have ended already.
const END_MS: usize = 4;
const END_RESIDUE_MAX: f32 = 0.3;
/// The weaker tone as a ratio of powers to the stronger one.
const TWIST_MIN: f32 = 0.05;
/// The share of both tones in what shows them, though badly.
const SHOWN_SHARE: f32 = 0.4;
/// How far a tone may be from its frequency, as a ratio (Q.24 has 1.8 % operated at most).
const DETUNING_MAX: f32 = 0.03;
/// Mean power below which nothing is looked for: -48 dBm0.
const POWER_MIN: f32 = 4_000.0;
/// Steps of the least squares.
const STEPS: usize = 3;
/// Cosine and sine of both tones, and how these change with the frequency.
const UNKNOWNS: usize = 6;

/// A tone as a phasor that turns by a fixed angle per sample; what is heard is its real part.
#[derive(Clone, Copy, Debug)]
struct Wave {
    now: (f32, f32),
    turn: (f32, f32),
}

/// Both tones of a key.
#[derive(Clone, Debug)]
pub(crate) struct KeyTones {
    low: Wave,
    high: Wave,
    /// Row and column.
    key: (usize, usize),
    /// They were seen for the longer stretch.
    sure: bool,
}

impl KeyTones {
    /// The tones with which `past` ends, oldest sample first, if it ends with those of a key.
    pub(crate) fn at_end(past: &[f32], per_ms: usize) -> Option<KeyTones> {
        STRETCHES_MS.iter().find_map(|ms| {
            let from = past.len().checked_sub(ms * per_ms)?;
            let sure = *ms == STRETCHES_MS[0];
            fit(&past[from..], per_ms).map(|tones| KeyTones { sure, ..tones })
        })
    }

    /// The tones that `came` ends with.
    pub(crate) fn within(came: &[i16], per_ms: usize) -> Option<KeyTones> {
        let mut values = [0.0; LONGEST];
        let values = last_of(came, &mut values);
        Self::at_end(values, per_ms)
    }

    /// The tones with which `next` begins, going backwards from it.
    pub(crate) fn before(next: &[i16], per_ms: usize) -> Option<KeyTones> {
        let mut reversed = [0.0; LONGEST];
        let reversed = &mut reversed[..next.len().min(LONGEST)];
        for (value, sample) in reversed.iter_mut().rev().zip(next) {
            *value = f32::from(*sample);
        }
        Self::at_end(reversed, per_ms)
    }

    /// Tones that went backwards from before a sample go forwards from that one.
    pub(crate) fn turned_round(&self) -> KeyTones {
        KeyTones {
            low: self.low.turned_round(),
            high: self.high.turned_round(),
            ..self.clone()
        }
    }

    /// Whether both are tones of the same key.
    pub(crate) fn same_key(&self, other: &KeyTones) -> bool {
        self.key == other.key
    }

    /// Whether more was seen of them than a voice shows now and then.
    pub(crate) fn are_sure(&self) -> bool {
        self.sure
    }

    /// More was seen of them.
    pub(crate) fn make_sure(&mut self) {
        self.sure = true;
    }

    /// Whether most of what `came` is at their frequencies, at whatever levels and phases.
    pub(crate) fn are_shown_by(&self, came: &[i16]) -> bool {
        let mut values = [0.0; LONGEST];
        let values = last_of(came, &mut values);
        let power = dot(values, values) / values.len().max(1) as f32;
        let of = |wave: &Wave| fourier(values, libm::atan2f(wave.turn.1, wave.turn.0));
        let (low, high) = (of(&self.low), of(&self.high));
        low + high > power * SHOWN_SHARE && low.min(high) > power * TWIST_MIN
    }

    /// The samples that follow.
    pub(crate) fn go_on(&mut self, out: &mut [f32]) {
        for value in out {
            *value = self.low.step() + self.high.step();
        }
    }

    /// Adds the tones to `out`; not `alone`, they pass away where `from` is, within `over` samples.
    fn lay<'a>(
        mut self,
        alone: bool,
        (from, over): (f32, f32),
        out: impl Iterator<Item = &'a mut f32>,
    ) {
        for (index, value) in out.enumerate() {
            let gone = if alone { 0.0 } else { part(index, from, over) };
            *value += (self.low.step() + self.high.step()) * (1.0 - gone);
        }
    }

    /// Whether `samples`, of 4 ms or so, are these tones from now on.
    fn is_heard_in(&self, samples: impl Iterator<Item = f32>) -> bool {
        let mut tones = self.clone();
        let (mut apart, mut power) = (0.0, 0.0);
        for sample in samples {
            let expected = tones.low.step() + tones.high.step();
            apart += (sample - expected) * (sample - expected);
            power += expected * expected;
        }
        apart < power * END_RESIDUE_MAX
    }
}

impl Wave {
    fn step(&mut self) -> f32 {
        let ((re, im), (cos, sin)) = (self.now, self.turn);
        self.now = (re * cos - im * sin, re * sin + im * cos);
        re
    }

    fn turned_round(&self) -> Wave {
        let ((re, im), (cos, sin)) = (self.now, self.turn);
        Wave {
            now: (re * cos + im * sin, re * sin - im * cos),
            turn: self.turn,
        }
    }

    fn power(&self) -> f32 {
        (self.now.0 * self.now.0 + self.now.1 * self.now.1) / 2.0
    }
}

/// The last of `samples`, as many as the longest stretch has.
fn last_of<'a>(samples: &[i16], values: &'a mut [f32; LONGEST]) -> &'a [f32] {
    let last = &samples[samples.len().saturating_sub(LONGEST)..];
    for (value, sample) in values.iter_mut().zip(last) {
        *value = f32::from(*sample);
    }
    &values[..last.len()]
}

/// Fills a hole behind or before which there is a key: the tones on one side or both go on into it. A key that is heard on one side only
/// ended or began in the hole: in the middle, as far as anybody knows, unless it reaches beyond the other side.
pub(crate) fn between(
    past: &[f32],
    next: &[i16],
    per_ms: usize,
    (behind, ahead): (Option<&KeyTones>, Option<&KeyTones>),
    out: &mut [f32],
) {
    let edge = END_MS * per_ms;
    let forth_reaches = behind.is_some_and(|tones| {
        let mut tones = tones.clone();
        tones.go_on(out);
        tones.is_heard_in(next.iter().take(edge).map(|sample| f32::from(*sample)))
    });
    let mut back = ahead.cloned();
    let back_reaches = back.as_mut().is_some_and(|tones| {
        tones.go_on(out);
        tones.is_heard_in(past.iter().rev().take(edge).copied())
    });
    let joined = match (behind, ahead) {
        (Some(behind), Some(ahead)) => behind.same_key(ahead),
        _ => false,
    };
    out.fill(0.0);
    let length = out.len();
    // From where to where, in samples, a side passes into the other or into silence.
    let ramp = |whole: bool| match whole {
        true => (0.0, length as f32),
        false => (length as f32 / 2.0 - edge as f32 / 2.0, edge as f32),
    };
    if let Some(tones) = behind.cloned() {
        let alone = ahead.is_none() && forth_reaches;
        tones.lay(alone, ramp(joined), out.iter_mut());
    }
    if let Some(tones) = ahead.cloned() {
        let alone = behind.is_none() && back_reaches;
        tones.lay(alone, ramp(joined), out.iter_mut().rev());
    }
}

/// How much of a ramp that begins at `from` and takes `over` samples lies behind sample `index`.
fn part(index: usize, from: f32, over: f32) -> f32 {
    ((index as f32 + 0.5 - from) / over).clamp(0.0, 1.0)
}

/// The tones of a key that fill all of `samples`; they go on behind the last.
fn fit(samples: &[f32], per_ms: usize) -> Option<KeyTones> {
    let count = samples.len() as f32;
    let power = dot(samples, samples) / count;
    if power < POWER_MIN {
        return None;
    }
    let per_sample = |hz: u16| TAU * f32::from(hz) / (per_ms as f32 * 1000.0);
    let strongest = |all: &[u16; 4]| {
        let powers = all.map(|hz| fourier(samples, per_sample(hz)));
        let best = (0..4).max_by(|a, b| powers[*a].total_cmp(&powers[*b]));
        best.map_or((0, 0.0), |best| (best, powers[best]))
    };
    let ((row, low), (column, high)) = (strongest(&ROWS_HZ), strongest(&COLUMNS_HZ));
    // Half of the power at least, as the window and 3 % of detuning take some of it.
    if low + high < power / 2.0 {
        return None;
    }
    let named = [per_sample(ROWS_HZ[row]), per_sample(COLUMNS_HZ[column])];
    let mut angles = named;
    let mut amplitudes = [0.0; 4];
    for step in 0..=STEPS {
        // The first step knows no amplitudes yet, so nothing of how they change with the frequency.
        let unknowns = if step == 0 { 4 } else { UNKNOWNS };
        let solved = least_squares(samples, angles, amplitudes, unknowns, power)?;
        amplitudes.copy_from_slice(&solved[..4]);
        for (angle, change) in angles.iter_mut().zip(&solved[4..]) {
            *angle += change * 2.0 / count;
        }
    }
    let detuned = angles
        .iter()
        .zip(named)
        .any(|(angle, named)| (angle / named - 1.0).abs() > DETUNING_MAX);
    if detuned {
        return None;
    }
    let wave = |angle: f32, re: f32, im: f32| Wave {
        now: turned((re, -im), -angle * (count - 1.0) / 2.0),
        turn: (libm::cosf(angle), libm::sinf(angle)),
    };
    let mut tones = KeyTones {
        low: wave(angles[0], amplitudes[0], amplitudes[1]),
        high: wave(angles[1], amplitudes[2], amplitudes[3]),
        key: (row, column),
        sure: false,
    };
    tones.fills(samples, END_MS * per_ms).then_some(tones)
}

fn turned((re, im): (f32, f32), angle: f32) -> (f32, f32) {
    let (sin, cos) = libm::sincosf(angle);
    (re * cos - im * sin, re * sin + im * cos)
}

impl KeyTones {
    /// Whether `samples`, at whose beginning the tones stand, are made of them, also their last `end`. The tones stand at their end then.
    fn fills(&mut self, samples: &[f32], end: usize) -> bool {
        let (low, high) = (self.low.power(), self.high.power());
        if low.min(high) < low.max(high) * TWIST_MIN {
            return false;
        }
        let (before, last) = samples.split_at(samples.len().saturating_sub(end));
        let mut residue = |part: &[f32]| {
            let squares = part.iter().map(|sample| {
                let apart = sample - self.low.step() - self.high.step();
                apart * apart
            });
            squares.sum::<f32>()
        };
        let (before, last) = (residue(before), residue(last));
        let limit = (low + high) * samples.len() as f32;
        before + last < limit * RESIDUE_MAX && last < (low + high) * end as f32 * END_RESIDUE_MAX
    }
}

/// The mean power of a tone in Hann-windowed samples, as if it filled them.
fn fourier(samples: &[f32], angle: f32) -> f32 {
    let count = samples.len() as f32;
    let (mut wave, mut window) = (Wave::unit(0.0, angle), Wave::unit(0.0, TAU / count));
    let (mut re, mut im) = (0.0, 0.0);
    for sample in samples {
        let weight = 1.0 - window.step();
        let (cos, sin) = wave.now;
        wave.step();
        re += sample * weight * cos;
        im += sample * weight * sin;
    }
    2.0 * (re * re + im * im) / (count * count)
}

impl Wave {
    fn unit(phase: f32, angle: f32) -> Wave {
        let (sin, cos) = libm::sincosf(phase);
        Wave {
            now: (cos, sin),
            turn: (libm::cosf(angle), libm::sinf(angle)),
        }
    }
}

/// Cosine and sine amplitude of both tones around the middle of `samples`, and by how much their angles are off in radians per half
/// of the stretch, all by least squares; only the amplitudes for four `unknowns`.
fn least_squares(
    samples: &[f32],
    angles: [f32; 2],
    amplitudes: [f32; 4],
    unknowns: usize,
    power: f32,
) -> Option<[f32; UNKNOWNS]> {
    let half = (samples.len() as f32 - 1.0) / 2.0;
    let mut waves = angles.map(|angle| Wave::unit(-angle * half, angle));
    let mut normal = [[0.0f32; UNKNOWNS + 1]; UNKNOWNS];
    for (index, sample) in samples.iter().enumerate() {
        let place = (index as f32 - half) / half;
        let mut row = [0.0; UNKNOWNS + 1];
        for (tone, wave) in waves.iter_mut().enumerate() {
            let (cos, sin) = wave.now;
            wave.step();
            let (re, im) = (amplitudes[tone * 2], amplitudes[tone * 2 + 1]);
            (row[tone * 2], row[tone * 2 + 1]) = (cos, sin);
            row[4 + tone] = place * (im * cos - re * sin);
        }
        row[UNKNOWNS] = *sample;
        for (at, line) in normal.iter_mut().enumerate().take(unknowns) {
            for (sum, value) in line.iter_mut().zip(&row) {
                *sum += row[at] * value;
            }
        }
    }
    // A tone that is not there has no frequency: it stays where it is.
    for (at, line) in normal.iter_mut().enumerate().skip(4) {
        line[at] += power * samples.len() as f32 * 1e-3;
    }
    solve(&mut normal, unknowns)
}

/// Gauss's elimination of the first `unknowns` lines, whose last column is the right side; `None` if they do not determine it.
fn solve(lines: &mut [[f32; UNKNOWNS + 1]; UNKNOWNS], unknowns: usize) -> Option<[f32; UNKNOWNS]> {
    for column in 0..unknowns {
        // A normal matrix is positive definite: no pivot is looked for.
        let pivot = lines[column];
        if pivot[column] <= f32::MIN_POSITIVE || !pivot[column].is_finite() {
            return None;
        }
        for (at, line) in lines.iter_mut().enumerate().take(unknowns) {
            if at == column {
                continue;
            }
            let factor = line[column] / pivot[column];
            for (value, taken) in line.iter_mut().zip(&pivot) {
                *value -= factor * taken;
            }
        }
    }
    let mut solved = [0.0; UNKNOWNS];
    for (at, value) in solved.iter_mut().enumerate().take(unknowns) {
        *value = lines[at][UNKNOWNS] / lines[at][at];
    }
    solved
        .iter()
        .all(|value| value.is_finite())
        .then_some(solved)
}

#[cfg(test)]
#[path = "key_tones_tests.rs"]
mod tests;
