//! Tones as sound: steps of sounds and silences, with edges that do not click.
//!
//! Owns the sound of a rhythm that is known beforehand. Never allocates; of more than 16 steps the first are played.

use super::information::Information;
use super::plan::{Signal, Sound};
use crate::level;
use crate::oscillator::Oscillator;

/// Steps of one rhythm.
const STEPS: usize = 16;
/// A sound rises and falls within this time, microseconds: half a raised cosine.
const EDGE_US: u32 = 2000;

/// A stretch of one sound, or of silence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// `None`: silence.
    pub sound: Option<Sound>,
    /// Level of each sine in dBm0.
    pub dbm0: f32,
    /// Length in ms; 0: without end.
    pub ms: u32,
}

/// Plays a rhythm over and over; continuous over any sequence of [`Player::fill`] calls.
#[derive(Clone, Debug)]
pub struct Player {
    rate_hz: u32,
    steps: [Step; STEPS],
    count: usize,
    /// The step that sounds, and how many of its samples are over.
    at: usize,
    done: u64,
    parts: [(Oscillator, f64); 3],
}

impl Player {
    /// Plays `steps` at `rate_hz` samples per second; none: silence.
    pub fn new(rate_hz: u32, steps: &[Step]) -> Player {
        let silence = Step {
            sound: None,
            dbm0: 0.0,
            ms: 0,
        };
        let mut kept = [silence; STEPS];
        let count = steps.len().min(STEPS);
        kept[..count].copy_from_slice(&steps[..count]);
        let mut player = Player {
            rate_hz,
            steps: kept,
            count: count.max(1),
            at: 0,
            done: 0,
            parts: [(Oscillator::new(rate_hz, 0.0), 0.0); 3],
        };
        player.begin();
        player
    }

    /// Plays a tone of a country.
    pub fn of(rate_hz: u32, signal: &Signal) -> Player {
        let sound = |ms, down: u8| Step {
            sound: Some(signal.sound),
            dbm0: signal.dbm0 - f32::from(down),
            ms,
        };
        let (mut steps, mut count) = ([sound(0, 0); STEPS], 0);
        for beat in signal.beats.iter().take(STEPS / 2) {
            steps[count] = sound(beat.on_ms.into(), beat.down_db);
            steps[count + 1] = Step {
                sound: None,
                ..sound(beat.off_ms.into(), 0)
            };
            count += 2;
        }
        Player::new(rate_hz, &steps[..count.max(1)])
    }

    /// Plays a special information tone, and a second of silence behind it.
    pub fn information(rate_hz: u32, information: Information) -> Player {
        let steps = information.tones().map(|(hz, ms)| Step {
            sound: Some(Sound::One(hz)),
            dbm0: -14.0,
            ms,
        });
        let pause = Step {
            sound: None,
            dbm0: 0.0,
            ms: 1000,
        };
        Player::new(rate_hz, &[steps[0], steps[1], steps[2], pause])
    }

    /// Overwrites `out` with the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            let length = u64::from(self.steps[self.at].ms) * u64::from(self.rate_hz) / 1000;
            if length > 0 && self.done >= length {
                self.at = (self.at + 1) % self.count;
                self.begin();
            }
            *sample = self.next_sample();
        }
    }

    fn begin(&mut self) {
        self.done = 0;
        let step = self.steps[self.at];
        let none = [(0.0, 0.0); 3];
        let parts = step.sound.map_or(none, Sound::parts);
        let peak = f64::from(level::sine_peak(step.dbm0));
        let audible = |hz: f32| hz > 0.0 && hz * 2.0 <= self.rate_hz as f32;
        self.parts = parts.map(|(hz, ratio)| match audible(hz) {
            true => {
                let oscillator = Oscillator::new(self.rate_hz, f64::from(hz));
                (oscillator, f64::from(ratio) * peak)
            }
            false => (Oscillator::new(self.rate_hz, 0.0), 0.0),
        });
    }

    fn next_sample(&mut self) -> i16 {
        let gain = self.gain();
        self.done += 1;
        let sum: f64 = self
            .parts
            .iter_mut()
            .map(|(oscillator, peak)| oscillator.step().1 * *peak)
            .sum();
        libm::rint(sum * gain) as i16
    }

    fn gain(&self) -> f64 {
        let edge = u64::from(self.rate_hz) * u64::from(EDGE_US) / 1_000_000;
        let length = u64::from(self.steps[self.at].ms) * u64::from(self.rate_hz) / 1000;
        let left = match length {
            0 => edge,
            length => length - self.done.min(length),
        };
        let from_edge = self.done.min(left);
        if from_edge >= edge {
            return 1.0;
        }
        0.5 - 0.5 * libm::cos(core::f64::consts::PI * from_edge as f64 / edge as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::dbm0;
    use crate::progress::Plan;
    use crate::test_signals::{peak_frequency, spectrum_db};
    use std::vec::Vec;

    fn played(rate_hz: u32, mut player: Player, ms: u32) -> Vec<i16> {
        let mut samples = std::vec![0; (rate_hz / 1000 * ms) as usize];
        // Cut as no frame is.
        for part in samples.chunks_mut(119) {
            player.fill(part);
        }
        samples
    }

    #[test]
    fn every_frequency_and_level_is_exact() {
        for plan in ["au", "in", "jp", "us"].map(|code| Plan::of(code).unwrap()) {
            for signal in plan.signals {
                for rate_hz in [8000, 16_000] {
                    let steps = [Step {
                        sound: Some(signal.sound),
                        dbm0: signal.dbm0,
                        ms: 0,
                    }];
                    let tone = played(rate_hz, Player::new(rate_hz, &steps), 1000);
                    for (hz, ratio) in signal.sound.parts().into_iter().filter(|of| of.0 > 0.0) {
                        let expected = f64::from(signal.dbm0) + 20.0 * f64::from(ratio).log10();
                        let measured = spectrum_db(&tone, rate_hz.into(), hz.into());
                        let name = (plan.code, signal.kind, hz);
                        assert!((measured - expected).abs() < 0.1, "{name:?}: {measured}");
                        let at = peak_frequency(&tone, rate_hz.into(), hz.into());
                        let off = (at / f64::from(hz) - 1.0).abs();
                        assert!(off < 0.0002, "{name:?}: {at} Hz");
                    }
                }
            }
        }
    }

    #[test]
    fn a_rhythm_is_right_and_does_not_click() {
        let signal = Plan::of("uk").unwrap().signal("ringback").unwrap();
        let tone = played(8000, Player::of(8000, signal), 9000);
        let loud: Vec<bool> = tone.chunks(40).map(|part| dbm0(part) > -35.0).collect();
        let mut lengths = Vec::new();
        let (mut now, mut count) = (true, 0i32);
        for loud in loud {
            if loud != now {
                lengths.push(count);
                (now, count) = (loud, 0);
            }
            count += 1;
        }
        let expected = [400, 200, 400, 2000, 400, 200, 400, 2000, 400, 200, 400];
        for (length, expected) in lengths.iter().zip(expected) {
            assert!((length * 5 - expected).abs() <= 5, "{lengths:?}");
        }
        assert_eq!(lengths.len(), 11, "{lengths:?}");
        let steps = tone.windows(2).map(|pair| (pair[1] - pair[0]).abs());
        assert!(steps.max() < Some(3600), "a click");
    }
}
