//! The DTMF receiver: from samples to key events.
//!
//! Owns the cutting of the audio into hops of 2.5 ms, the energy gate and the state of the key being heard. [`History`]
//! measures; [`Profile`] says what is acceptable. Never allocates, never blocks; fits in 2 KiB; any
//! division of the audio into slices gives the same events.
//!
//! Limits: one key at a time; 8 to 48 kHz; a key is announced about 35 ms after it began.

use super::{
    Key, Profile,
    bank::Bank,
    evidence::Measured,
    high_pass::HighPass,
    history::{HOPS, History},
};
use crate::{
    level,
    simd::{self, Arithmetic, Kernel, Portable},
};

/// Hops per second.
pub(super) const HOPS_PER_SECOND: u32 = 400;
/// Longest hop in samples (48 kHz).
const HOP_MAX: usize = 120;
/// Hops this many dB below the weakest tone are taken for silence: beats of two tones reach down that far.
const GATE_DB: f32 = 10.0;
/// Made-up audio in a row that a key lives through, ms.
const CONCEALED_MAX_MS: u32 = 100;

/// What the receiver heard. Sample numbers count from the first sample it was given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// A key began; sent as soon as that is sure.
    Begin {
        /// The key.
        key: Key,
        /// Where its tone began.
        at_sample: u64,
        /// What its tones were until it was sure.
        measured: Measured,
    },
    /// The key of the last `Begin` ended; sent when the pause is long enough not to be a drop-out.
    End {
        /// The key.
        key: Key,
        /// Where its tone ended.
        at_sample: u64,
        /// From begin to end, drop-outs included, ms.
        duration_ms: u32,
        /// As in its `Begin`.
        measured: Measured,
    },
}

/// A receiver of the sixteen keys; one per direction of a call.
#[derive(Clone, Debug)]
pub struct Detector {
    rate_hz: u32,
    hop_samples: u32,
    filled: u32,
    gate_energy: u64,
    /// Silent hops in a row, up to the length of the history.
    silent_hops: u8,
    filter: HighPass,
    bank: Bank,
    history: History,
    profile: Profile,
    heard: Option<Heard>,
    /// A hop that is not whole yet, and whether some of it is made up; touched only where slices end inside hops.
    pending_concealed: bool,
    pending: [i16; HOP_MAX],
}

/// The key being heard.
#[derive(Clone, Copy, Debug)]
struct Heard {
    row: usize,
    column: usize,
    began_at: u64,
    /// Powers of the tones over a short window when the key was announced.
    plateau: [f32; 2],
    /// Where the tone was last seen on.
    on_until: u64,
    /// Made-up samples since then.
    concealed: u32,
    measured: Measured,
}

/// Samples for a receiver.
struct Slice<'s, F> {
    detector: &'s mut Detector,
    samples: &'s [i16],
    concealed: bool,
    on: &'s mut F,
}

impl<F: FnMut(Event)> Kernel for Slice<'_, F> {
    type Out = ();

    #[inline(always)]
    fn run<A: Arithmetic>(self) {
        self.detector
            .take_as::<A>(self.samples, self.concealed, self.on);
    }
}

impl Detector {
    /// A receiver for audio at `rate_hz` samples per second, 8000 to 48,000 (others are treated as the nearest).
    pub fn new(rate_hz: u32, profile: Profile) -> Self {
        let rate_hz = rate_hz.clamp(8000, 48_000);
        let hop_samples = rate_hz / HOPS_PER_SECOND;
        let gate_peak = level::sine_peak(profile.level_min_dbm0 - GATE_DB);
        Self {
            rate_hz,
            hop_samples,
            filled: 0,
            pending: [0; HOP_MAX],
            pending_concealed: false,
            gate_energy: (gate_peak * gate_peak / 2.0 * hop_samples as f32) as u64,
            silent_hops: 0,
            filter: HighPass::new(rate_hz),
            bank: Bank::new(rate_hz, hop_samples as usize),
            history: History::new(hop_samples, &profile),
            profile,
            heard: None,
        }
    }

    /// What it accepts.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Forgets everything heard, without reporting an end; sample numbers start again from 0.
    pub fn reset(&mut self) {
        *self = Self::new(self.rate_hz, self.profile);
    }

    /// Takes `samples` of any number and reports what became certain.
    pub fn process(&mut self, samples: &[i16], mut on: impl FnMut(Event)) {
        self.take(samples, false, &mut on);
    }

    /// Takes `samples` that packet-loss concealment made up: time passes, but they neither end a key nor double it and are
    /// no evidence of one. After 100 ms of them in a row nothing is known any more, and a key ends where it was last heard.
    pub fn process_concealed(&mut self, samples: &[i16], mut on: impl FnMut(Event)) {
        self.take(samples, true, &mut on);
    }

    fn take(&mut self, samples: &[i16], concealed: bool, on: &mut impl FnMut(Event)) {
        simd::widest(Slice {
            detector: self,
            samples,
            concealed,
            on,
        });
    }

    #[inline(always)]
    fn take_as<A: Arithmetic>(
        &mut self,
        samples: &[i16],
        concealed: bool,
        on: &mut impl FnMut(Event),
    ) {
        let mut rest = samples;
        let hop = self.hop_samples as usize;
        while !rest.is_empty() {
            if self.filled == 0 && rest.len() >= hop {
                let (whole, after) = rest.split_at(hop);
                self.hop::<A>(whole, concealed, on);
                rest = after;
                continue;
            }
            let start = self.filled as usize;
            let (part, after) = rest.split_at((hop - start).min(rest.len()));
            self.pending[start..start + part.len()].copy_from_slice(part);
            self.filled += part.len() as u32;
            self.pending_concealed |= concealed;
            if self.filled == self.hop_samples {
                let (whole, made_up) = (self.pending, self.pending_concealed);
                (self.filled, self.pending_concealed) = (0, false);
                self.hop::<A>(&whole[..hop], made_up, on);
            }
            rest = after;
        }
    }

    #[inline(always)]
    fn hop<A: Arithmetic>(&mut self, samples: &[i16], concealed: bool, on: &mut impl FnMut(Event)) {
        let raw_energy = level::energy(samples);
        if concealed {
            self.conceal(samples);
        } else if raw_energy < self.gate_energy {
            self.silence();
        } else {
            self.silent_hops = 0;
            let mut filtered = [0.0; HOP_MAX];
            let filtered = &mut filtered[..samples.len()];
            let energy = self.filter.process::<A>(samples, filtered);
            let sums = self.bank.hop(filtered);
            self.history.push(&sums, energy, raw_energy as f32);
        }
        if let Some(heard) = &mut self.heard {
            if let Some(until) = self
                .history
                .still_on([heard.row, heard.column], heard.plateau)
            {
                heard.on_until = heard.on_until.max(until);
                heard.concealed = 0;
            }
            if concealed {
                heard.concealed += self.hop_samples;
            }
            let excused = u64::from(heard.concealed.min(CONCEALED_MAX_MS * self.rate_hz / 1000));
            let silent = self
                .history
                .heard_until()
                .saturating_sub(heard.on_until + excused);
            if silent as f32 * 1000.0 >= self.profile.pause_min_ms * self.rate_hz as f32 {
                let ended = *heard;
                self.end(ended, on);
            }
        }
        self.begin(on);
    }

    fn silence(&mut self) {
        if usize::from(self.silent_hops) == HOPS {
            // Nothing is left in the history, so neither phase nor sums matter: silence costs next to nothing.
            self.history.advance();
            return;
        }
        self.silent_hops += 1;
        self.filter.clear();
        self.bank.skip();
        self.history.push_silence();
    }

    fn conceal(&mut self, samples: &[i16]) {
        self.silent_hops = 0;
        // Keeps the filter in step with what the peer's ear hears, so that the next real sample is no click to it.
        self.filter
            .process::<Portable>(samples, &mut [0.0; HOP_MAX][..samples.len()]);
        self.bank.skip();
        self.history.push_concealed();
    }

    #[inline(always)]
    fn begin(&mut self, on: &mut impl FnMut(Event)) {
        let Some((row, column)) = self.history.candidate() else {
            return;
        };
        if self
            .heard
            .is_some_and(|heard| (heard.row, heard.column) == (row, column))
        {
            return;
        }
        let Some(found) = self.history.judge(row, column, &self.profile) else {
            return;
        };
        if let Some(heard) = self.heard {
            self.end(heard, on);
        }
        self.heard = Some(Heard {
            row,
            column,
            began_at: found.began_at,
            plateau: found.plateau,
            on_until: self.history.heard_until(),
            concealed: 0,
            measured: found.measured,
        });
        on(Event::Begin {
            key: Key::at(row, column - 4),
            at_sample: found.began_at,
            measured: found.measured,
        });
    }

    fn end(&mut self, heard: Heard, on: &mut impl FnMut(Event)) {
        self.heard = None;
        let samples = heard.on_until.saturating_sub(heard.began_at);
        on(Event::End {
            key: Key::at(heard.row, heard.column - 4),
            at_sample: heard.on_until,
            duration_ms: (samples * 1000 / u64::from(self.rate_hz)) as u32,
            measured: heard.measured,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::Generator;
    use std::{vec, vec::Vec};

    /// Keys from loud to just too weak in noise, for either compilation: the same events at the same samples.
    #[test]
    fn wide_vectors_hear_what_portable_code_does() {
        for rate_hz in [8000, 16_000] {
            let mut samples = Vec::new();
            let mut noise = 1u32;
            for (index, key) in Key::ALL.into_iter().cycle().take(96).enumerate() {
                let level = -4.0 - 0.4 * index as f32;
                let mut tone = vec![0; rate_hz as usize / 16];
                Generator::new(rate_hz, key, level, level - 3.0).fill(&mut tone);
                tone.resize(rate_hz as usize / 8, 0);
                for sample in &mut tone {
                    noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    *sample = sample.saturating_add((noise >> 25) as i16 - 64);
                }
                samples.extend(tone);
            }
            let new = || Detector::new(rate_hz, Profile::TELEPHONE);
            let (mut wide, mut portable) = (Vec::new(), Vec::new());
            new().process(&samples, |event| wide.push(event));
            let kernel = Slice {
                detector: &mut new(),
                samples: &samples,
                concealed: false,
                on: &mut |event| portable.push(event),
            };
            kernel.run::<Portable>();
            let place = |event: &Event| match *event {
                Event::Begin { key, at_sample, .. } => (key, at_sample, 0),
                Event::End {
                    key,
                    at_sample,
                    duration_ms,
                    ..
                } => (key, at_sample, duration_ms),
            };
            let places = |events: &[Event]| events.iter().map(place).collect::<Vec<_>>();
            assert_eq!(places(&wide), places(&portable));
            assert!((100..192).contains(&wide.len()), "{}", wide.len());
        }
    }
}
