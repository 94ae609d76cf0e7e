//! Voice activity from energy alone, with an adaptive noise floor and a hang-over.
//!
//! Owns the decision "somebody speaks" for recordings that stop on silence and for barge-in; it cannot tell speech from
//! other sounds. Works in blocks of 10 ms whatever the length of the slices, so its answer is at most 10 ms old.

use crate::blocks::Blocks;
use crate::level;

/// Speech must exceed the floor by this much, dB.
const MARGIN_DB: f32 = 9.0;
/// Below this nothing is speech, dBm0.
const THRESHOLD_DBM0: f32 = -48.0;
/// The floor never rises above this, dBm0, so that steady loud sound is still activity.
const FLOOR_MAX_DBM0: f32 = -35.0;
/// The floor before anything was heard, dBm0.
const FLOOR_START_DBM0: f32 = -60.0;
/// The floor climbs this much per block (5 dB/s) towards a louder signal; it falls a quarter of the way at once.
const FLOOR_RISE_DB: f32 = 0.05;
/// Activity lasts this many blocks (200 ms) beyond the last loud one: it bridges stops and syllables.
const HANG_OVER_BLOCKS: u8 = 20;
/// Loud blocks in a row that begin activity (20 ms): a click is not speech.
const ONSET_BLOCKS: u8 = 2;

/// What [`EnergyVad::process`] heard.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activity {
    /// Whether speech goes on, hang-over included.
    pub speech: bool,
    /// The level of the last complete 10 ms block, dBm0.
    pub level_dbm0: f32,
}

/// The detector; one per direction of a call.
#[derive(Clone, Debug)]
pub struct EnergyVad {
    blocks: Blocks,
    floor_dbm0: f32,
    loud_blocks: u8,
    hang_over: u8,
    activity: Activity,
}

impl EnergyVad {
    /// A detector for audio at `rate_hz` samples per second, in a silent world.
    pub fn new(rate_hz: u32) -> Self {
        Self {
            blocks: Blocks::new(rate_hz / 100),
            floor_dbm0: FLOOR_START_DBM0,
            loud_blocks: 0,
            hang_over: 0,
            activity: Activity {
                speech: false,
                level_dbm0: level::SILENCE_DBM0,
            },
        }
    }

    /// Takes `samples` and says what is true at the end of them.
    pub fn process(&mut self, samples: &[i16]) -> Activity {
        let mut rest = samples;
        while let Some(level_dbm0) = self.blocks.next(&mut rest) {
            self.judge_block(level_dbm0);
        }
        self.activity
    }

    /// The present estimate of the background noise, dBm0.
    pub fn floor_dbm0(&self) -> f32 {
        self.floor_dbm0
    }

    fn judge_block(&mut self, level_dbm0: f32) {
        let loud = level_dbm0 > THRESHOLD_DBM0 && level_dbm0 > self.floor_dbm0 + MARGIN_DB;
        self.follow_floor(level_dbm0);
        self.loud_blocks = if loud {
            self.loud_blocks.saturating_add(1)
        } else {
            0
        };
        if self.loud_blocks >= ONSET_BLOCKS {
            self.hang_over = HANG_OVER_BLOCKS;
        } else {
            self.hang_over = self.hang_over.saturating_sub(1);
        }
        self.activity = Activity {
            speech: self.hang_over > 0,
            level_dbm0,
        };
    }

    fn follow_floor(&mut self, level_dbm0: f32) {
        if level_dbm0 < self.floor_dbm0 {
            self.floor_dbm0 += (level_dbm0 - self.floor_dbm0) * 0.25;
        } else {
            self.floor_dbm0 = (self.floor_dbm0 + FLOOR_RISE_DB).min(level_dbm0);
        }
        self.floor_dbm0 = self.floor_dbm0.clamp(-70.0, FLOOR_MAX_DBM0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_signals::Random;
    use proptest::prelude::*;
    use std::vec::Vec;

    fn noise(dbm0: f32, ms: usize, seed: u64) -> Vec<i16> {
        let mut random = Random::new(seed);
        let rms = f64::from(level::sine_peak(dbm0)) / 2f64.sqrt();
        (0..ms * 8)
            .map(|_| (random.normal() * rms) as i16)
            .collect()
    }

    #[test]
    fn speech_over_noise_begins_within_30_ms_and_ends_after_the_hang_over() {
        let mut vad = EnergyVad::new(8000);
        assert!(!vad.process(&noise(-55.0, 2000, 1)).speech);
        assert!(
            !vad.process(&noise(-20.0, 10, 2)).speech,
            "a click of 10 ms is not speech"
        );
        assert!(!vad.process(&noise(-55.0, 500, 3)).speech);
        assert!(vad.process(&noise(-20.0, 30, 4)).speech);
        assert!(vad.process(&noise(-55.0, 180, 5)).speech, "hang-over");
        assert!(!vad.process(&noise(-55.0, 30, 6)).speech);
    }

    #[test]
    fn the_floor_learns_the_noise_of_the_line() {
        let mut vad = EnergyVad::new(8000);
        vad.process(&noise(-42.0, 10_000, 1));
        assert!(
            !vad.process(&noise(-42.0, 1000, 2)).speech,
            "floor {} dBm0",
            vad.floor_dbm0()
        );
        assert!(vad.process(&noise(-28.0, 100, 3)).speech);
    }

    #[test]
    fn loud_steady_sound_stays_activity() {
        let mut vad = EnergyVad::new(8000);
        assert!(vad.process(&noise(-15.0, 20_000, 1)).speech);
    }

    #[test]
    fn a_constant_offset_is_silence() {
        let mut vad = EnergyVad::new(8000);
        let activity = vad.process(&[1500; 8000]);
        assert_eq!(
            activity,
            Activity {
                speech: false,
                level_dbm0: level::SILENCE_DBM0
            }
        );
    }

    #[test]
    fn level_is_reported() {
        let mut vad = EnergyVad::new(16_000);
        let activity = vad.process(&noise(-20.0, 1000, 1));
        assert!((activity.level_dbm0 + 20.0).abs() < 2.0, "{activity:?}");
    }

    proptest! {
        #[test]
        fn slicing_changes_nothing(cuts in proptest::collection::vec(1usize..300, 1..30), seed in any::<u64>()) {
            let mut audio = noise(-50.0, 300, seed);
            audio.extend(noise(-20.0, 300, seed ^ 1));
            let (mut whole, mut sliced) = (EnergyVad::new(8000), EnergyVad::new(8000));
            let mut rest = audio.as_slice();
            for cut in cuts {
                let (part, after) = rest.split_at(cut.min(rest.len()));
                prop_assert_eq!(whole.process(part), part.chunks(7).map(|bit| sliced.process(bit)).last().unwrap_or(whole.process(&[])));
                rest = after;
            }
        }
    }
}
