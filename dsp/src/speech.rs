//! Whether somebody speaks, in noise that is not known beforehand.
//!
//! The noise floor is the least level of the last seconds: speech has pauses, and a room, a car or a line has none. Speech is what exceeds
//! the floor for a while; it ends when it has not done so for the hang-over. Levels are of blocks of 20 ms, so an answer is at most that
//! old. It cannot tell speech from other sounds that change.

use crate::blocks::Blocks;

/// Speech begins this far above the floor, dB, and goes on above the lower figure.
const ONSET_DB: f32 = 9.0;
const GO_ON_DB: f32 = 6.0;
/// The level of a block of noise scatters; its least lies this far below its mean, dB.
const BIAS_DB: f32 = 1.5;
/// Nothing below this is speech, dBm0.
const QUIET_DBM0: f32 = -50.0;
/// The floor is never taken to be above this, dBm0: a voice without any pause stays one.
const FLOOR_MAX_DBM0: f32 = -25.0;
/// Blocks above the floor that begin speech (60 ms): a click does not.
const ONSET_BLOCKS: u32 = 3;
/// Blocks without that end it (400 ms): the stops in words and the pauses between them do not.
const HANG_OVER_BLOCKS: u32 = 20;
/// The floor is the least of so many stretches of so many blocks: 3.2 s.
const STRETCHES: usize = 8;
const STRETCH_BLOCKS: u32 = 20;
/// Blocks before anything is told (200 ms): the floor is not known yet.
const LEARNING_BLOCKS: u32 = 10;

/// The detector of one direction.
#[derive(Clone, Debug)]
pub struct SpeechDetector {
    blocks_of: Blocks,
    blocks: u32,
    /// The least level of each of the last stretches; the newest is in the making.
    least: [f32; STRETCHES],
    newest: usize,
    loud: u32,
    hang_over: u32,
}

impl SpeechDetector {
    /// A detector for audio at `rate_hz` samples per second.
    pub fn new(rate_hz: u32) -> Self {
        Self {
            blocks_of: Blocks::new(rate_hz / 50),
            blocks: 0,
            least: [f32::INFINITY; STRETCHES],
            newest: 0,
            loud: 0,
            hang_over: 0,
        }
    }

    /// Takes `samples` and says whether somebody speaks at the end of them.
    pub fn process(&mut self, samples: &[i16]) -> bool {
        let mut rest = samples;
        while let Some(level_dbm0) = self.blocks_of.next(&mut rest) {
            self.judge(level_dbm0);
        }
        self.hang_over > 0
    }

    /// The present estimate of the noise, dBm0.
    pub fn floor_dbm0(&self) -> f32 {
        let least = self.least.iter().copied().fold(f32::INFINITY, f32::min);
        (least + BIAS_DB).clamp(-70.0, FLOOR_MAX_DBM0)
    }

    fn judge(&mut self, level_dbm0: f32) {
        self.follow_floor(level_dbm0);
        if self.blocks < LEARNING_BLOCKS {
            return;
        }
        let margin = if self.hang_over > 0 {
            GO_ON_DB
        } else {
            ONSET_DB
        };
        let loud = level_dbm0 > QUIET_DBM0 && level_dbm0 > self.floor_dbm0() + margin;
        self.loud = if loud { self.loud.saturating_add(1) } else { 0 };
        let begins = self.loud >= ONSET_BLOCKS || (loud && self.hang_over > 0);
        self.hang_over = if begins {
            HANG_OVER_BLOCKS
        } else {
            self.hang_over.saturating_sub(1)
        };
    }

    fn follow_floor(&mut self, level_dbm0: f32) {
        self.blocks = self.blocks.saturating_add(1);
        if self.blocks.is_multiple_of(STRETCH_BLOCKS) {
            self.newest = (self.newest + 1) % STRETCHES;
            self.least[self.newest] = f32::INFINITY;
        }
        // Digital silence is a pause of the transport (DTX, mute), not the noise of the room.
        if level_dbm0 > -75.0 {
            self.least[self.newest] = self.least[self.newest].min(level_dbm0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level;
    use crate::test_signals::Random;
    use std::vec::Vec;

    /// Something like speech: voiced syllables of 120 to 280 ms at 4 a second, of a pitch with harmonics, with pauses between phrases.
    fn phrase(ms: usize, dbm0: f32, random: &mut Random) -> Vec<i16> {
        let peak = level::sine_peak(dbm0);
        let (mut out, mut phase) = (Vec::new(), 0f32);
        while out.len() < ms * 8 {
            let syllable = 960 + (random.normal().abs() * 640.0) as usize;
            let pitch = 110.0 + random.normal() as f32 * 10.0;
            for n in 0..syllable.min(2240) {
                phase += pitch / 8000.0 * core::f32::consts::TAU;
                let shape = libm::sinf(core::f32::consts::PI * n as f32 / syllable as f32);
                let wave: f32 = (1..12)
                    .map(|h| libm::sinf(phase * h as f32) / h as f32)
                    .sum();
                out.push((wave * shape * peak) as i16);
            }
            out.extend(core::iter::repeat_n(0, 480));
        }
        out.truncate(ms * 8);
        out
    }

    fn add_noise(samples: &mut [i16], dbm0: f32, random: &mut Random) {
        let rms = f64::from(level::sine_peak(dbm0)) / 2f64.sqrt();
        for sample in samples {
            *sample = sample.saturating_add((random.normal() * rms) as i16);
        }
    }

    /// The share of frames that are called speech in `samples`.
    fn share(detector: &mut SpeechDetector, samples: &[i16]) -> f64 {
        let frames = samples.chunks(160);
        let all = frames.len() as f64;
        frames.filter(|frame| detector.process(frame)).count() as f64 / all
    }

    #[test]
    fn speech_is_found_and_noise_is_not_at_several_distances() {
        for (seed, snr_db) in [(1, 25.0), (2, 20.0), (3, 15.0), (4, 12.0)] {
            let mut random = Random::new(seed);
            let mut detector = SpeechDetector::new(8000);
            let speech_dbm0 = -20.0;
            let noise_dbm0 = level::dbm0(&phrase(4000, speech_dbm0, &mut random)) - snr_db;
            for turn in 0..5 {
                let mut pause = std::vec![0; 24_000];
                add_noise(&mut pause, noise_dbm0, &mut random);
                // The hang-over of the phrase before is left out.
                let (before, after) = pause.split_at(4800);
                share(&mut detector, before);
                let wrong = share(&mut detector, after);
                assert!(wrong == 0.0, "{snr_db} dB, pause {turn}: {wrong}");
                let mut said = phrase(4000, speech_dbm0, &mut random);
                add_noise(&mut said, noise_dbm0, &mut random);
                let right = share(&mut detector, &said);
                assert!(right > 0.93, "{snr_db} dB, phrase {turn}: {right}");
            }
        }
    }

    #[test]
    fn noise_that_grows_is_speech_for_a_few_seconds_at_most() {
        let mut random = Random::new(7);
        let mut detector = SpeechDetector::new(8000);
        let mut noise = |dbm0, ms: usize| {
            let mut samples = std::vec![0; ms * 8];
            add_noise(&mut samples, dbm0, &mut random);
            samples
        };
        assert!(share(&mut detector, &noise(-60.0, 3000)) == 0.0);
        share(&mut detector, &noise(-35.0, 4000));
        assert!(share(&mut detector, &noise(-35.0, 5000)) == 0.0);
    }

    #[test]
    fn a_click_is_no_speech_and_an_end_comes_after_the_hang_over() {
        let mut random = Random::new(9);
        let mut detector = SpeechDetector::new(8000);
        assert!(!detector.process(&[0; 8000]));
        assert!(!detector.process(&[12_000; 80]));
        assert!(!detector.process(&[0; 1600]));
        let said = phrase(1000, -15.0, &mut random);
        let frames: Vec<bool> = said.chunks(160).map(|f| detector.process(f)).collect();
        assert!(!frames[0] && frames[8], "{frames:?}");
        let tail = (0..100).take_while(|_| detector.process(&[0; 160])).count();
        assert!((15..=21).contains(&tail), "{tail} frames");
    }
}
