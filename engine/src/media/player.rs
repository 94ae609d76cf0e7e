//! What a channel plays: a list of prompts, tones and pauses, without gaps, so and so often. Prompts are copied as they were encoded once.

use trunkline_dsp::tone::Tone;

use super::codec::{AudioRate, FRAME_SAMPLES, Law, SAMPLES_PER_MS};
use super::command::MediaAudio;
use super::frame::Frame;

/// A list being played.
#[derive(Debug)]
pub(crate) struct Player {
    id: u32,
    audio: Vec<MediaAudio>,
    /// Times the list is still to be played, the present one included; `None`: for ever.
    rounds: Option<u32>,
    item: usize,
    /// Samples of the item that were played.
    offset: usize,
    tone: Option<Tone>,
}

impl Player {
    pub(crate) fn new(id: u32, audio: Vec<MediaAudio>, repeat: Option<u32>) -> Player {
        // A list without any audio would be repeated for ever within one frame.
        let rounds = if audio.iter().all(|item| length(item) == 0) {
            Some(0)
        } else {
            repeat
        };
        Player {
            id,
            audio,
            rounds,
            item: 0,
            offset: 0,
            tone: None,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Writes the next frame, silence after the end. Returns whether anything of the list was left for it.
    pub(crate) fn fill(&mut self, law: Law, out: &mut [u8; FRAME_SAMPLES]) -> bool {
        let mut filled = 0;
        while filled < FRAME_SAMPLES && self.rounds != Some(0) {
            let Some(item) = self.audio.get(self.item) else {
                self.item = 0;
                self.rounds = self.rounds.map(|rounds| rounds - 1);
                continue;
            };
            let left = length(item) - self.offset;
            let part = left.min(FRAME_SAMPLES - filled);
            let space = &mut out[filled..filled + part];
            match item {
                MediaAudio::Prompt(prompt) => {
                    space.copy_from_slice(&prompt.encoded(law)[self.offset..self.offset + part]);
                }
                MediaAudio::Silence { .. } => space.fill(law.silence()),
                MediaAudio::Tone { hz, dbm0, .. } => {
                    let tone = self.tone.get_or_insert_with(|| Tone::new(8000, *hz, *dbm0));
                    let mut samples = [0; FRAME_SAMPLES];
                    tone.fill(&mut samples[..part]);
                    law.encode(&samples[..part], space);
                }
            }
            filled += part;
            self.offset += part;
            if part == left {
                self.item += 1;
                self.offset = 0;
                self.tone = None;
            }
        }
        out[filled..].fill(law.silence());
        filled > 0
    }

    /// Writes the next frame as linear audio, at the frame's rate. Returns whether anything of the list was left for it.
    pub(crate) fn fill_frame(&mut self, out: &mut Frame) -> bool {
        // The octets are what the list is kept as; wider audio comes from the library.
        let mut octets = [0; FRAME_SAMPLES];
        let left = self.fill(Law::A, &mut octets);
        Law::A.decode(&octets, out.fill_at(AudioRate::Narrow));
        left
    }

    /// Whether all was played.
    pub(crate) fn is_done(&self) -> bool {
        match self.rounds {
            None => false,
            Some(0) => true,
            // The last item of the last round ended exactly with a frame.
            Some(1) => {
                self.audio[self.item..].iter().all(|item| length(item) == 0) && self.offset == 0
            }
            Some(_) => false,
        }
    }
}

/// Samples of an item.
fn length(item: &MediaAudio) -> usize {
    match item {
        MediaAudio::Prompt(prompt) => prompt.slin8.len(),
        MediaAudio::Tone { ms, .. } | MediaAudio::Silence { ms } => {
            *ms as usize * SAMPLES_PER_MS as usize
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::prompt::Prompt;
    use super::*;
    use std::sync::Arc;

    fn prompt(samples: &[i16]) -> MediaAudio {
        MediaAudio::Prompt(Arc::new(Prompt::from_samples("test", samples)))
    }

    /// Plays to the end and returns the linear samples and the number of frames.
    fn play(audio: Vec<MediaAudio>, repeat: Option<u32>, at_most: usize) -> (Vec<i16>, usize) {
        let mut player = Player::new(7, audio, repeat);
        let (mut samples, mut frames) = (Vec::new(), 0);
        while !player.is_done() && frames < at_most {
            let (mut octets, mut frame) = ([0; 160], [0; 160]);
            assert!(player.fill(Law::Mu, &mut octets));
            Law::Mu.decode(&octets, &mut frame);
            samples.extend(frame);
            frames += 1;
        }
        (samples, frames)
    }

    #[test]
    fn items_follow_without_gaps_and_the_list_repeats() {
        let (samples, frames) = play(
            vec![
                prompt(&[1000; 100]),
                MediaAudio::Silence { ms: 5 },
                prompt(&[-1000; 100]),
            ],
            Some(3),
            100,
        );
        assert_eq!(frames, (3usize * 240).div_ceil(160));
        let round: Vec<i16> = [[1000i16; 100].as_slice(), &[0; 40], &[-1000; 100]].concat();
        let expected: Vec<i16> = round
            .repeat(3)
            .into_iter()
            .chain(std::iter::repeat(0))
            .take(samples.len())
            .collect();
        assert!(
            samples
                .iter()
                .zip(&expected)
                .all(|(a, b)| a.abs_diff(*b) < 30),
            "{samples:?}"
        );
    }

    #[test]
    fn ends_with_the_frame_that_holds_the_last_sample() {
        for (samples, frames) in [(159, 1), (160, 1), (161, 2), (320, 2)] {
            assert_eq!(
                play(vec![prompt(&vec![1; samples])], Some(1), 100).1,
                frames,
                "{samples} samples"
            );
            assert_eq!(
                play(vec![prompt(&vec![1; samples]), prompt(&[])], Some(1), 100).1,
                frames
            );
        }
        assert_eq!(play(vec![prompt(&[1; 160])], None, 100).1, 100);
    }

    #[test]
    fn nothing_to_play_is_done_at_once() {
        for (audio, repeat) in [
            (vec![], None),
            (vec![prompt(&[])], None),
            (vec![MediaAudio::Silence { ms: 0 }], Some(5)),
            (vec![prompt(&[1])], Some(0)),
        ] {
            let mut player = Player::new(1, audio, repeat);
            assert!(player.is_done());
            assert!(!player.fill(Law::A, &mut [0; 160]));
        }
    }

    #[test]
    fn a_tone_of_4000_hz_alternates_over_frames() {
        let (samples, _) = play(
            vec![MediaAudio::Tone {
                hz: [4000.0, 0.0],
                dbm0: -10.0,
                ms: 100,
            }],
            Some(1),
            100,
        );
        assert_eq!(samples.len(), 800);
        assert!(
            samples
                .windows(2)
                .all(|pair| pair[0] == -pair[1] && pair[0].unsigned_abs() > 5000),
            "{:?}",
            &samples[..8]
        );
    }
}
