//! Concealment of lost packets: what a listener hears in place of samples that never came.
//!
//! Works on linear samples, so it serves every codec without a concealment of its own (G.711, G.722, L16); the task is that
//! of ITU-T G.711 Appendix I, the method is not: the last period of the sound goes on, started by the ringing of the
//! short-term predictor so that no delay is needed, and fades. The cost arises where samples are lost; while they come, they
//! are copied. Constants marked `tuned` were chosen by the mean PESQ (ITU-T P.862.1) of speech concealed by
//! `plc-conceal` of the benches, see docs/media.md.

mod between;
mod extend;
mod history;
mod key_tones;
mod lpc;
pub(crate) mod pitch;

use extend::Extension;
use history::{History, LONGEST};
use key_tones::KeyTones;

/// Longest piece that is made in one go: 60 ms at 16 kHz.
const PIECE: usize = between::HOLE;
/// Shortest look ahead that is of use, ms.
const AHEAD_MS: usize = 10;

/// Milliseconds of a loss at full level.
const HOLD_MS: f32 = 10.0; // tuned
/// Milliseconds in which the rest fades.
const FADE_MS: f32 = 200.0; // tuned
/// Milliseconds of a loss that the tones of a key are heard at full level, and in which they fade then.
const KEY_HOLD_MS: f32 = 60.0;
const KEY_FADE_MS: f32 = 20.0;
/// Milliseconds after a loss in which a codec with a memory is not believed about tones of a key that were sure, though what comes does not
/// show them ...
const BLIND_MS: usize = 60;
/// ... in pieces of so many, until two of them in a row have less than this share of the power of the tones that go on. They may have any
/// more: decoders that have lost their way are loud.
const HEAL_STEP_MS: usize = 5;
const HEAL_SHARE: f32 = 0.25;
/// A past of so many milliseconds in which no sample is larger than this is silence, and so is what follows: a coder that gets nothing but
/// zeros is followed to the bit then.
const SILENCE_MS: usize = 15;
const SILENCE_PEAK: f32 = 16.0;
/// Milliseconds in which the sound that came takes over.
const JOINT_MS: f32 = 4.0; // tuned
/// How much of the level goes then ...
const DIP: f32 = 0.4; // tuned
/// ... within this time, ms.
const DIP_MS: f32 = 10.0; // tuned

/// What follows behind a hole.
struct Ahead<'n> {
    samples: &'n [i16],
    /// Those of a key, with which it begins.
    tones: Option<KeyTones>,
}

/// Keeps the recent past of one stream and makes up what is missing.
#[derive(Clone, Debug)]
pub struct Concealer {
    per_ms: usize,
    history: History,
    extension: Extension,
    /// The loss is in a key's tones, which go on instead of the extension.
    tones: Option<KeyTones>,
    /// The loss is in silence.
    silent: bool,
    /// Samples made up since the last that came.
    lost: usize,
    /// What was made up passes into what comes.
    closed: bool,
    /// Samples behind a loss that it spoils, too: none where the codec has no memory.
    heal_samples: usize,
    /// Samples that are still taken from a key's tones.
    healing: usize,
    /// What came last did not show them.
    blind: bool,
    /// The last piece of them that came was too weak.
    weak: bool,
}

impl Concealer {
    /// For samples at `rate_hz`: 16 kHz, or 8 kHz for anything below 12 kHz.
    pub fn new(rate_hz: u32) -> Concealer {
        let per_ms = if rate_hz < 12_000 { 8 } else { 16 };
        Concealer {
            per_ms,
            history: History::new(per_ms),
            extension: Extension::NONE,
            tones: None,
            silent: false,
            lost: 0,
            closed: false,
            heal_samples: 0,
            healing: 0,
            blind: false,
            weak: false,
        }
    }

    /// For what a codec decodes in the light of what came before (G.722, Opus). After a loss in the tones of a key they go on for `heal_ms`, 60
    /// or more, as long as something as loud comes.
    pub fn with_memory(self, heal_ms: usize) -> Concealer {
        Concealer {
            heal_samples: heal_ms * self.per_ms,
            ..self
        }
    }

    fn has_memory(&self) -> bool {
        self.heal_samples > 0
    }

    /// Takes samples that came. The first after a loss are changed so that they join what was made up.
    pub fn good(&mut self, frame: &mut [i16]) {
        let begins = self.has_memory() && self.lost > 0;
        let left = match begins {
            true => self.heal_samples,
            false => self.healing,
        };
        self.healing = 0;
        self.blind = false;
        if left > 0
            && let Some(shown) = self.tones_go_on_in(frame, left)
        {
            self.healing = left;
            (self.lost, self.closed) = (0, false);
            self.blind = !shown;
            if let Some(tones) = self.tones.as_mut().filter(|_| shown) {
                tones.make_sure();
            }
            self.heal(frame);
        }
        if self.lost > 0 && !frame.is_empty() {
            if !self.closed {
                self.join(frame);
            }
            (self.lost, self.closed) = (0, false);
        }
        self.history.keep(frame);
    }

    /// Fills `out` with what might have been there, full level at first, silent in the end.
    ///
    /// `next` are the samples that follow behind `out`, if they are known already (10 ms of them at least): the hole is then filled from
    /// both sides, 60 ms of it at most.
    pub fn conceal(&mut self, out: &mut [i16], next: Option<&[i16]>) {
        let ahead = self.look(next);
        self.make_up(out, ahead.as_ref());
    }

    /// Takes `made`, with which a codec of its own filled a loss. Where the loss is in the tones of a key, which no codec goes on with,
    /// they take its place; `next` as for [`Concealer::conceal`].
    pub fn revise(&mut self, made: &mut [i16], next: Option<&[i16]>) {
        let ahead = self.look(next);
        let key = self.tones.is_some() || ahead.as_ref().is_some_and(|ahead| ahead.tones.is_some());
        match key {
            true => self.make_up(made, ahead.as_ref()),
            false => self.good(made),
        }
    }

    /// Takes `copy`, a coarser copy of what was lost, which came in another packet: it says from when to when the tones of a key sounded, not
    /// how. `next` as for [`Concealer::conceal`].
    pub fn copied(&mut self, copy: &mut [i16], next: Option<&[i16]>) {
        let begins = self.look(next).and_then(|ahead| ahead.tones);
        // So near to the tones that were there even a copy that does not show them is theirs.
        if let Some(tones) = &mut self.tones {
            tones.make_sure();
        }
        let left = copy.len() + self.heal_samples;
        if self.tones_go_on_in(copy, left).is_some() {
            (self.healing, self.lost) = (left, 0);
            return self.good(copy);
        }
        if let Some(tones) = &begins {
            reach_back(tones.clone(), copy, HEAL_STEP_MS * self.per_ms);
        }
        self.good(copy);
        if let Some(tones) = begins {
            self.tones = Some(tones.turned_round());
            self.healing = self.heal_samples;
        }
    }

    /// If the tones before a loss go on in what came, so much of healing before its end: whether it shows them, too.
    fn tones_go_on_in(&self, frame: &[i16], left: usize) -> Option<bool> {
        let tones = self.tones.as_ref()?;
        let blind = tones.are_sure() && left + BLIND_MS * self.per_ms > self.heal_samples;
        if tones.are_shown_by(frame) {
            return Some(true);
        }
        match KeyTones::within(frame, self.per_ms) {
            Some(came) => came.same_key(tones).then_some(true),
            None => blind.then_some(false),
        }
    }

    /// Lets the tones of a key go on in place of what came, until something else comes.
    fn heal(&mut self, frame: &mut [i16]) {
        let step = HEAL_STEP_MS * self.per_ms;
        for piece in frame.chunks_mut(step) {
            let Some(tones) = self.tones.as_mut().filter(|_| self.healing > 0) else {
                break;
            };
            let mut made = [0.0; HEAL_STEP_MS * 16];
            let made = &mut made[..piece.len()];
            tones.go_on(made);
            self.healing = self.healing.saturating_sub(step);
            let weak = power(piece) < pitch::dot(made, made) * HEAL_SHARE;
            if weak && self.weak {
                self.healing = 0;
            }
            self.weak = weak;
            let last = self.healing == 0;
            let count = made.len() as f32;
            for (index, (sample, made)) in piece.iter_mut().zip(made).enumerate() {
                let came = if last {
                    (index as f32 + 0.5) / count
                } else {
                    0.0
                };
                *sample = (f32::from(*sample) * came + *made * (1.0 - came)) as i16;
            }
        }
    }

    /// Whether the tones of a key are still heard in place of what comes.
    pub fn is_healing(&self) -> bool {
        self.healing > 0
    }

    /// Whether these tones were no more than guessed in what came last.
    pub fn is_blind(&self) -> bool {
        self.blind
    }

    /// Looks at both sides of a loss that begins or goes on.
    fn look<'n>(&mut self, next: Option<&'n [i16]>) -> Option<Ahead<'n>> {
        if self.lost == 0 || self.closed {
            let mut past = [0.0; LONGEST];
            self.tones = KeyTones::at_end(self.history.unroll(&mut past), self.per_ms);
            (self.lost, self.closed, self.healing) = (0, false, 0);
        }
        // What a codec with a memory says behind a loss of tones is not worth going towards.
        let worth = !self.has_memory() || self.tones.is_none();
        let next = next.filter(|next| worth && next.len() >= AHEAD_MS * self.per_ms)?;
        Some(Ahead {
            samples: next,
            tones: KeyTones::before(next, self.per_ms),
        })
    }

    fn make_up(&mut self, out: &mut [i16], ahead: Option<&Ahead<'_>>) {
        if self.lost == 0 && self.tones.is_none() {
            let mut past = [0.0; LONGEST];
            let past = self.history.unroll(&mut past);
            let end = past.len().saturating_sub(SILENCE_MS * self.per_ms);
            self.silent = is_silent(past[end..].iter().copied());
            self.extension = Extension::of(past, self.per_ms, 0);
        }
        let ahead = ahead.filter(|ahead| {
            let next = ahead.samples.iter().map(|sample| f32::from(*sample));
            !self.silent || self.tones.is_some() || ahead.tones.is_some() || !is_silent(next)
        });
        let pieces = out.len().div_ceil(PIECE);
        for (index, piece) in out.chunks_mut(PIECE).enumerate() {
            self.fill(piece, ahead.filter(|_| index + 1 == pieces));
        }
    }

    fn fill(&mut self, out: &mut [i16], ahead: Option<&Ahead<'_>>) {
        let mut past = [0.0; LONGEST];
        let past = self.history.unroll(&mut past);
        let mut made = [0.0; PIECE];
        let made = &mut made[..out.len()];
        let lost = self.lost;
        self.lost += out.len();
        self.closed = ahead.is_some_and(|ahead| self.close(past, ahead, lost, made));
        if !self.closed {
            self.go_on(past, made);
        }
        // The past keeps its level: what goes on does so from there.
        write(made, out);
        self.history.keep(out);
        if self.closed {
            if self.has_memory() {
                let begins = ahead.and_then(|ahead| ahead.tones.as_ref());
                self.tones = begins.map(KeyTones::turned_round);
            }
            return;
        }
        for (index, (sample, made)) in out.iter_mut().zip(made).enumerate() {
            *sample = (*made * self.level(lost + index)) as i16;
        }
    }

    /// Fills the end of a hole from both sides, if the far one tells enough.
    fn close(&self, past: &[f32], ahead: &Ahead<'_>, lost: usize, made: &mut [f32]) -> bool {
        let next = ahead.samples;
        if self.tones.is_some() || ahead.tones.is_some() {
            let sides = (self.tones.as_ref(), ahead.tones.as_ref());
            key_tones::between(past, next, self.per_ms, sides, made);
            return true;
        }
        // A period of what follows is needed to go back from.
        let enough = next.len() >= self.extension.lag;
        if enough {
            let level = self.level(lost);
            between::fill(past, self.extension.clone(), level, next, self.per_ms, made);
        }
        enough
    }

    fn go_on(&mut self, past: &[f32], made: &mut [f32]) {
        match &mut self.tones {
            Some(tones) => tones.go_on(made),
            None if self.silent => made.fill(0.0),
            None => self.extension.go_on(past, made),
        }
    }

    /// The gain after `lost` samples of a loss.
    fn level(&self, lost: usize) -> f32 {
        let ms = lost as f32 / self.per_ms as f32;
        if self.tones.is_some() {
            return 1.0 - ((ms - KEY_HOLD_MS) / KEY_FADE_MS).clamp(0.0, 1.0);
        }
        let dip = 1.0 - DIP * ((ms - HOLD_MS) / DIP_MS).clamp(0.0, 1.0);
        let fade = 1.0 - ((ms - HOLD_MS - DIP_MS) / FADE_MS).clamp(0.0, 1.0);
        dip * fade * self.extension.fall(lost)
    }

    /// Lets the first samples of `frame` take over from what was made up.
    fn join(&mut self, frame: &mut [i16]) {
        let joint = ((JOINT_MS * self.per_ms as f32) as usize).min(frame.len());
        let mut past = [0.0; LONGEST];
        let past = self.history.unroll(&mut past);
        let mut made = [0.0; PIECE];
        let made = &mut made[..joint];
        self.go_on(past, made);
        for (index, (sample, made)) in frame.iter_mut().zip(made).enumerate() {
            let weight = (index + 1) as f32 / (joint + 1) as f32;
            let level = self.level(self.lost + index);
            *sample = (f32::from(*sample) * weight + *made * level * (1.0 - weight)) as i16;
        }
    }
}

fn is_silent(mut samples: impl Iterator<Item = f32>) -> bool {
    samples.all(|sample| sample.abs() <= SILENCE_PEAK)
}

fn power(samples: &[i16]) -> f32 {
    let square = |sample: &i16| f32::from(*sample) * f32::from(*sample);
    samples.iter().map(square).sum()
}

/// Puts `tones`, which go backwards from the end of `copy`, in its place, as far as it is as loud, by steps, or to its middle.
fn reach_back(mut tones: KeyTones, copy: &mut [i16], step: usize) {
    let middle = copy.len() / 2;
    let mut until = copy.len();
    let mut loud = true;
    while until > 0 && (loud || until > middle) {
        let from = until.saturating_sub(step);
        let piece = &mut copy[from..until];
        let mut made = [0.0; HEAL_STEP_MS * 16];
        let made = &mut made[..piece.len()];
        tones.go_on(made);
        loud &= power(piece) >= pitch::dot(made, made) * HEAL_SHARE;
        for (sample, made) in piece.iter_mut().rev().zip(made) {
            *sample = *made as i16;
        }
        until = from;
    }
}

/// Cuts to whole steps, and clips.
fn write(values: &[f32], out: &mut [i16]) {
    for (sample, value) in out.iter_mut().zip(values) {
        *sample = *value as i16;
    }
}

#[cfg(test)]
mod tests;
