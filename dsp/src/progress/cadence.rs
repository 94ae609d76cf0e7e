//! Rhythms: which tone of a plan a row of sounds and silences is.

use super::plan::{Beat, Signal, Sound};

/// Sounds that are remembered.
const REMEMBERED: usize = 16;
/// A length may differ from the plan's by this share and so much, hops of 10 ms.
const TOLERANCE: f32 = 0.15;
const TOLERANCE_HOPS: f32 = 2.0;
/// A rhythm is known when it has gone on for this long, hops; and for a whole cycle.
const CERTAIN_HOPS: u32 = 140;
/// A measured frequency may differ by this share.
const HZ_TOLERANCE: f32 = 0.035;
/// The sounds of a tone may differ in level from what the plan says, dB.
const LEVEL_DB: f32 = 5.0;

/// A stretch of one tone.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Piece {
    /// When it began, in hops.
    pub(super) start: u32,
    /// Its length in hops.
    pub(super) hops: u32,
    /// Which set of frequencies.
    pub(super) set: usize,
    /// Its first frequency, measured where it has only one.
    pub(super) hz: f32,
    /// Its level in dBm0.
    pub(super) dbm0: f32,
    /// The silence before it was none.
    pub(super) broken: bool,
}

impl Piece {
    pub(super) fn end(&self) -> u32 {
        self.start + self.hops
    }
}

/// The last pieces, the newest last.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    pieces: [Piece; REMEMBERED],
    count: usize,
}

impl History {
    pub(super) fn push(&mut self, piece: Piece) {
        if self.count == REMEMBERED {
            self.pieces.rotate_left(1);
            self.count -= 1;
        }
        self.pieces[self.count] = piece;
        self.count += 1;
    }

    pub(super) fn pieces(&self) -> &[Piece] {
        &self.pieces[..self.count]
    }
}

/// A rhythm to look for.
pub(super) struct Rhythm<'a> {
    pub(super) signal: &'a Signal,
    /// Whether a piece can be of it.
    pub(super) sounds: &'a dyn Fn(&Piece) -> bool,
}

/// How well the newest of `pieces` are the rhythm's: the mean deviation in parts of what is allowed. `running`: a piece that has not ended.
pub(super) fn fit(rhythm: &Rhythm<'_>, pieces: &[Piece], running: Option<&Piece>) -> Option<f32> {
    let beats = rhythm.signal.beats;
    if running.is_some_and(|piece| piece.broken || !(rhythm.sounds)(piece)) {
        return None;
    }
    (0..beats.len())
        .filter_map(|newest| fit_from(rhythm, newest, pieces, running))
        .min_by(f32::total_cmp)
}

/// As [`fit`], where the newest complete piece is the beat of that index.
fn fit_from(
    rhythm: &Rhythm<'_>,
    newest: usize,
    pieces: &[Piece],
    running: Option<&Piece>,
) -> Option<f32> {
    let beats = rhythm.signal.beats;
    let mut after = running;
    let (mut beat, mut hops, mut gaps) = (newest, 0, 0);
    let (mut deviation, mut judged) = (0.0, 0.0);
    for piece in pieces.iter().rev() {
        let of = beats[beat];
        if !(rhythm.sounds)(piece) {
            break;
        }
        if let Some(after) = after {
            let gap = after.start.saturating_sub(piece.end());
            let next = beats[(beat + 1) % beats.len()];
            let same = (after.hz - piece.hz).abs() <= piece.hz * HZ_TOLERANCE;
            let Some(off) = deviation_of(gap, of.off_ms) else {
                break;
            };
            if after.broken || !same || !levels_fit(piece, &of, after, &next) {
                break;
            }
            (hops, gaps) = (hops + gap, gaps + 1);
            (deviation, judged) = (deviation + off, judged + 1.0);
        }
        let Some(on) = deviation_of(piece.hops, of.on_ms) else {
            break;
        };
        hops += piece.hops;
        (deviation, judged) = (deviation + on, judged + 1.0);
        if hops >= CERTAIN_HOPS && gaps >= beats.len() {
            return Some(deviation / judged);
        }
        after = Some(piece);
        beat = (beat + beats.len() - 1) % beats.len();
    }
    None
}

fn levels_fit(piece: &Piece, of: &Beat, after: &Piece, next: &Beat) -> bool {
    let expected = f32::from(of.down_db) - f32::from(next.down_db);
    (after.dbm0 - piece.dbm0 - expected).abs() <= LEVEL_DB
}

/// How far `hops` are from `ms`, in parts of what is allowed.
fn deviation_of(hops: u32, ms: u16) -> Option<f32> {
    let nominal = f32::from(ms) / 10.0;
    let deviation = (hops as f32 - nominal).abs() / (nominal * TOLERANCE + TOLERANCE_HOPS);
    (deviation <= 1.0).then_some(deviation)
}

/// Whether a piece of frequency `hz` that was measured may be `sound`.
pub(super) fn is_near(hz: f32, sound: Sound) -> bool {
    matches!(sound, Sound::One(nominal) if (hz - nominal).abs() <= nominal * HZ_TOLERANCE)
}

/// Hops after which a sound that goes on is one without a rhythm, given the longest beat it could be.
pub(super) fn evenly_after(longest_ms: u16) -> u32 {
    let longest = f32::from(longest_ms) / 10.0;
    ((longest * (1.0 + 2.0 * TOLERANCE) + TOLERANCE_HOPS) as u32).max(200)
}
