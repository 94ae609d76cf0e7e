//! Concealment of lost packets: what a listener hears in place of samples that never came.
//!
//! Works on linear samples, so it serves every codec without a concealment of its own (G.711, G.722, L16); the task is that
//! of ITU-T G.711 Appendix I, the method is not: the last period of the sound goes on, started by the ringing of the
//! short-term predictor so that no delay is needed, and fades. The cost arises where samples are lost; while they come, they
//! are copied.

mod lpc;
pub(crate) mod pitch;

use lpc::{ORDER, Predictor};

/// Milliseconds of the past that are kept.
const HISTORY_MS: usize = 50;
/// Samples of the past at the highest rate.
const HISTORY: usize = HISTORY_MS * 16;
/// Longest piece that is made in one go: 60 ms at 16 kHz.
const PIECE: usize = 960;

/// Milliseconds that are compared with the past.
const TEMPLATE_MS: f32 = 10.0; // tuned
/// Shortest lag, ms.
const SHORTEST_MS: f32 = 5.0; // tuned
/// Longest lag, ms: the period of the lowest voice that is followed.
const LONGEST_MS: f32 = 15.0; // tuned
/// Milliseconds the predictor is fitted to.
const LPC_MS: f32 = 25.0; // tuned
/// How the ringing is shortened, see [`Predictor::fit`].
const WIDENING: f32 = 0.9; // tuned
/// Milliseconds of a loss at full level.
const HOLD_MS: f32 = 20.0; // tuned
/// Milliseconds of the fade behind them.
const FADE_MS: f32 = 120.0; // tuned
/// Milliseconds in which the sound that came takes over.
const JOINT_MS: f32 = 4.0; // tuned
/// How much longer for each millisecond lost beyond 20.
const JOINT_MORE: f32 = 0.2; // tuned
/// Longest joint, ms.
const JOINT_MAX_MS: f32 = 10.0; // tuned

/// Keeps the recent past of one stream and makes up what is missing.
#[derive(Clone, Debug)]
pub struct Concealer {
    per_ms: usize,
    history: [i16; HISTORY],
    /// Where the next sample of the history goes; the oldest is there.
    at: usize,
    /// Samples made up since the last that came.
    lost: usize,
    lag: usize,
    predictor: Predictor,
    ringing: [f32; ORDER],
}

impl Concealer {
    /// For samples at `rate_hz`: 16 kHz, or 8 kHz for anything below 12 kHz.
    pub fn new(rate_hz: u32) -> Concealer {
        Concealer {
            per_ms: if rate_hz < 12_000 { 8 } else { 16 },
            history: [0; HISTORY],
            at: 0,
            lost: 0,
            lag: 1,
            predictor: Predictor::SILENT,
            ringing: [0.0; ORDER],
        }
    }

    /// Takes samples that came. The first after a loss are changed so that they join what was made up.
    pub fn good(&mut self, frame: &mut [i16]) {
        if self.lost > 0 && !frame.is_empty() {
            self.join(frame);
            self.lost = 0;
        }
        self.keep(frame);
    }

    /// Fills `out` with what might have been there, full level at first, silent in the end.
    ///
    /// `next` are the samples that follow behind `out`, if they are known already.
    pub fn conceal(&mut self, out: &mut [i16], _next: Option<&[i16]>) {
        if self.lost == 0 {
            self.analyse();
        }
        for piece in out.chunks_mut(PIECE) {
            for sample in piece.iter_mut() {
                *sample = self.extend();
                let gain = self.gain(self.lost);
                self.keep_one(*sample);
                *sample = (f32::from(*sample) * gain) as i16;
                self.lost += 1;
            }
        }
    }

    fn samples(&self, ms: f32) -> usize {
        (ms * self.per_ms as f32) as usize
    }

    fn gain(&self, lost: usize) -> f32 {
        let past = lost as f32 / self.per_ms as f32 - HOLD_MS;
        (1.0 - past.max(0.0) / FADE_MS).max(0.0)
    }

    fn extend(&mut self) -> i16 {
        let from = (self.at + self.span() - self.lag) % self.span();
        let ring = self.predictor.ring(&mut self.ringing);
        let ring = if self.lost < self.lag { ring } else { 0.0 };
        (f32::from(self.history[from]) + ring) as i16
    }

    fn span(&self) -> usize {
        HISTORY_MS * self.per_ms
    }

    fn keep_one(&mut self, sample: i16) {
        self.history[self.at] = sample;
        self.at = (self.at + 1) % self.span();
    }

    fn analyse(&mut self) {
        let mut past = [0.0f32; HISTORY];
        let span = self.span();
        let (newer, older) = self.history[..span].split_at(self.at);
        for (value, sample) in past.iter_mut().zip(older.iter().chain(newer)) {
            *value = f32::from(*sample);
        }
        let past = &mut past[..span];
        let found = pitch::search(
            past,
            self.samples(TEMPLATE_MS),
            self.samples(SHORTEST_MS),
            self.samples(LONGEST_MS),
        );
        self.lag = found.map_or(1, |found| found.lag);
        for (back, ringing) in self.ringing.iter_mut().enumerate() {
            *ringing = past[span - 1 - back] - past[span - 1 - back - self.lag];
        }
        let count = self.samples(LPC_MS);
        let recent = &mut past[span - count..];
        // A window that rises slowly and falls fast leans on the newest samples.
        for (index, value) in recent.iter_mut().enumerate() {
            let rise = index as f32 / count as f32;
            let fall = (count - index) as f32 / self.per_ms as f32 / 2.0;
            *value *= libm::sinf(rise * core::f32::consts::FRAC_PI_2) * fall.min(1.0);
        }
        self.predictor = Predictor::fit(recent, WIDENING);
    }

    fn join(&mut self, frame: &mut [i16]) {
        let lost_ms = self.lost as f32 / self.per_ms as f32;
        let joint = self
            .samples((JOINT_MS + JOINT_MORE * (lost_ms - 20.0).max(0.0)).min(JOINT_MAX_MS))
            .min(frame.len());
        let (at, lost) = (self.at, self.lost);
        let gain = self.gain(lost);
        for (index, sample) in frame[..joint].iter_mut().enumerate() {
            let made = f32::from(self.extend());
            self.keep_one(made as i16);
            self.lost += 1;
            let weight = (index + 1) as f32 / (joint + 1) as f32;
            *sample = (f32::from(*sample) * weight + made * gain * (1.0 - weight)) as i16;
        }
        self.at = at;
    }

    fn keep(&mut self, samples: &[i16]) {
        let span = self.span();
        let recent = &samples[samples.len().saturating_sub(span)..];
        let first = recent.len().min(span - self.at);
        self.history[self.at..self.at + first].copy_from_slice(&recent[..first]);
        self.history[..recent.len() - first].copy_from_slice(&recent[first..]);
        self.at = (self.at + recent.len()) % span;
    }
}

#[cfg(test)]
mod tests;
