//! What a channel plays: lists of prompts, tones and pauses, without gaps, so and so often, one list after the other. Prompts are copied as they were
//! encoded once, unless the volume is changed or the channel wants linear audio.
//!
//! Limits: [`QUEUE`] lists wait; what is stopped fades in 5 ms, so that it does not click.

use trunkline_dsp::mix;
use trunkline_dsp::resample::Up2;
use trunkline_dsp::tone::Tone;

use super::codec::{AudioRate, FRAME_SAMPLES, Law, SAMPLES_PER_MS};
use super::command::{Manner, MediaAudio, PlayChange};
use super::frame::Frame;

/// Lists that can wait behind the one that plays.
pub(crate) const QUEUE: usize = 8;
/// How long audio that is stopped fades, in samples of 8 kHz.
const STOP_SAMPLES: u32 = 5 * SAMPLES_PER_MS;
/// How long a change of the volume takes, in samples of 8 kHz.
const VOLUME_SAMPLES: u32 = 20 * SAMPLES_PER_MS;

/// Lists being played.
#[derive(Debug)]
pub(crate) struct Player {
    present: List,
    /// Smaller than lists: most channels have none.
    waiting: [Option<Waiting>; QUEUE],
    /// Ids of lists that ended and of which nobody was told yet.
    ended: [Option<u32>; QUEUE],
    volume: Volume,
    paused: bool,
    /// Fades out, then ends; whether that is told.
    leaving: Option<bool>,
    /// Makes narrow audio wide; made when it is first wanted.
    widener: Option<Up2>,
}

/// A list whose turn has not come.
#[derive(Debug)]
struct Waiting {
    id: u32,
    audio: Vec<MediaAudio>,
    repeat: Option<u32>,
}

/// One list.
#[derive(Debug)]
pub(crate) struct List {
    id: u32,
    audio: Vec<MediaAudio>,
    /// Times the list is still to be played, the present one included; `None`: for ever.
    rounds: Option<u32>,
    item: usize,
    /// Samples of the item that were played, at 8 kHz.
    offset: usize,
    tone: Option<(AudioRate, Tone)>,
}

impl List {
    fn new(id: u32, audio: Vec<MediaAudio>, repeat: Option<u32>) -> List {
        // A list without any audio would be repeated for ever within one frame.
        let rounds = if audio.iter().all(|item| length(item) == 0) {
            Some(0)
        } else {
            repeat
        };
        List {
            id,
            audio,
            rounds,
            item: 0,
            offset: 0,
            tone: None,
        }
    }

    /// Goes to a place of the list, in samples of 8 kHz from its beginning; behind its end, the round is over.
    fn seek(&mut self, place: usize) {
        (self.item, self.offset, self.tone) = (0, place, None);
        while let Some(item) = self.audio.get(self.item) {
            let length = length(item);
            if self.offset < length {
                return;
            }
            self.offset -= length;
            self.item += 1;
        }
        self.offset = 0;
    }

    /// The item whose turn it is, and its samples that are left.
    fn turn(&mut self) -> Option<usize> {
        while self.rounds != Some(0) {
            match self.audio.get(self.item) {
                Some(item) if self.offset < length(item) => {
                    return Some(length(item) - self.offset);
                }
                Some(_) => (self.item, self.offset, self.tone) = (self.item + 1, 0, None),
                None => {
                    self.item = 0;
                    self.rounds = self.rounds.map(|rounds| rounds - 1);
                }
            }
        }
        None
    }

    /// Whether all was played.
    fn is_done(&self) -> bool {
        match self.rounds {
            None => false,
            Some(0) => true,
            // The last item of the last round ended exactly with a frame.
            Some(1) => {
                let rest = self.audio.get(self.item..).unwrap_or_default();
                let played = |item: &MediaAudio| length(item) == 0;
                rest.iter().skip(1).all(played)
                    && rest.first().is_none_or(|item| self.offset >= length(item))
            }
            Some(_) => false,
        }
    }

    /// Encoded audio of the item whose turn it is.
    fn encode(&mut self, law: Law, out: &mut [u8]) {
        match &self.audio[self.item] {
            MediaAudio::Prompt(prompt) => {
                out.copy_from_slice(&prompt.encoded(law)[self.offset..][..out.len()]);
            }
            MediaAudio::Silence { .. } => out.fill(law.silence()),
            MediaAudio::Tone { .. } => {
                let mut samples = [0; FRAME_SAMPLES];
                let samples = &mut samples[..out.len()];
                self.tone(AudioRate::Narrow, samples);
                law.encode(samples, out);
            }
        }
        self.offset += out.len();
    }

    /// Linear audio of the item whose turn it is, at 8 kHz.
    fn narrow(&mut self, out: &mut [i16]) {
        match &self.audio[self.item] {
            MediaAudio::Prompt(prompt) => {
                out.copy_from_slice(&prompt.slin8[self.offset..][..out.len()]);
            }
            MediaAudio::Silence { .. } => out.fill(0),
            MediaAudio::Tone { .. } => self.tone(AudioRate::Narrow, out),
        }
        self.offset += out.len();
    }

    /// Linear audio of the item whose turn it is, at 16 kHz; `None`: it is narrow.
    fn wide(&mut self, out: &mut [i16]) -> Option<()> {
        match &self.audio[self.item] {
            MediaAudio::Prompt(prompt) => {
                let samples = prompt.slin16.as_deref()?;
                let place = 2 * self.offset;
                let there = samples.get(place..).unwrap_or_default();
                let there = &there[..there.len().min(out.len())];
                out[..there.len()].copy_from_slice(there);
                // An odd number of wide samples ends half a narrow one early.
                out[there.len()..].fill(0);
            }
            MediaAudio::Silence { .. } => out.fill(0),
            MediaAudio::Tone { .. } => self.tone(AudioRate::Wide, out),
        }
        self.offset += out.len() / 2;
        Some(())
    }

    fn tone(&mut self, rate: AudioRate, out: &mut [i16]) {
        let MediaAudio::Tone { hz, dbm0, .. } = &self.audio[self.item] else {
            return;
        };
        if self.tone.as_ref().is_none_or(|(of, _)| *of != rate) {
            self.tone = Some((rate, Tone::new(rate.hz(), *hz, *dbm0)));
        }
        if let Some((_, tone)) = &mut self.tone {
            tone.fill(out);
        }
    }
}

/// A gain that changes evenly.
#[derive(Debug)]
struct Volume {
    now: f32,
    to: f32,
    /// Samples of 8 kHz until it is reached.
    left: u32,
}

impl Volume {
    fn go_to(&mut self, ratio: f32, samples: u32) {
        (self.to, self.left) = (ratio, samples.max(1));
    }

    /// Whether it leaves audio as it is.
    fn is_neutral(&self) -> bool {
        self.left == 0 && self.now == 1.0
    }

    /// Applies it to samples, of which so many make one of 8 kHz.
    fn apply(&mut self, samples: &mut [i16], of_one: usize) {
        let changing = samples.len().min(self.left as usize * of_one);
        let (ramped, rest) = samples.split_at_mut(changing);
        if !ramped.is_empty() {
            let narrow = (changing / of_one) as u32;
            let step = (self.to - self.now) / self.left as f32;
            self.left -= narrow;
            let end = if self.left == 0 {
                self.to
            } else {
                self.now + step * narrow as f32
            };
            mix::ramp(ramped, self.now, end);
            self.now = end;
        }
        if self.now != 1.0 {
            mix::gain(rest, self.now);
        }
    }
}

impl Player {
    pub(crate) fn new(id: u32, audio: Vec<MediaAudio>, repeat: Option<u32>) -> Player {
        Player {
            present: List::new(id, audio, repeat),
            waiting: Default::default(),
            ended: [None; QUEUE],
            volume: Volume {
                now: 1.0,
                to: 1.0,
                left: 0,
            },
            paused: false,
            leaving: None,
            widener: None,
        }
    }

    /// Plays in that manner from the first sample on.
    pub(crate) fn in_manner(mut self, manner: Manner) -> Player {
        let ratio = ratio(manner.volume_db);
        (self.volume.now, self.volume.to) = (ratio, ratio);
        if manner.from_ms > 0 {
            self.change(PlayChange::Seek { ms: manner.from_ms });
        }
        if manner.fade_in_ms > 0 {
            let ms = manner.fade_in_ms;
            self.change(PlayChange::FadeIn { ms });
        }
        self
    }

    /// The list that plays.
    pub(crate) fn id(&self) -> u32 {
        self.present.id
    }

    /// Puts a list behind those that wait. Returns its id if there is no room.
    pub(crate) fn append(
        &mut self,
        id: u32,
        audio: Vec<MediaAudio>,
        repeat: Option<u32>,
    ) -> Option<u32> {
        match self.waiting.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(Waiting { id, audio, repeat });
                None
            }
            None => Some(id),
        }
    }

    /// Carries out a change.
    pub(crate) fn change(&mut self, change: PlayChange) {
        match change {
            PlayChange::Volume { db } => {
                self.volume.go_to(ratio(db), VOLUME_SAMPLES);
            }
            PlayChange::Seek { ms } => {
                let list = &mut self.present;
                list.seek(ms as usize * SAMPLES_PER_MS as usize);
            }
            PlayChange::FadeIn { ms } => {
                let to = self.volume.to;
                self.volume.now = 0.0;
                self.volume.go_to(to, ms.saturating_mul(SAMPLES_PER_MS));
            }
            PlayChange::FadeOut { ms } => self.leave(ms.saturating_mul(SAMPLES_PER_MS), true),
            PlayChange::Pause(paused) => self.paused = paused,
        }
    }

    /// Stops without being told, after a fade too short to be heard as one.
    pub(crate) fn stop(&mut self) {
        self.leave(STOP_SAMPLES, false);
    }

    fn leave(&mut self, samples: u32, told: bool) {
        self.waiting = Default::default();
        self.leaving = Some(told);
        self.volume.go_to(0.0, samples);
    }

    /// Whether it fades out to its end.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// A list that ended although others followed, once.
    pub(crate) fn take_ended(&mut self) -> Option<u32> {
        let place = self.ended.iter().position(Option::is_some)?;
        self.ended[place].take()
    }

    /// Whether the end of the present list is to be told, once it is done.
    pub(crate) fn tells_its_end(&self) -> bool {
        self.leaving.unwrap_or(true)
    }

    /// The list whose turn it is, and its samples that are left of its item.
    fn turn(&mut self) -> Option<usize> {
        loop {
            if let Some(left) = self.present.turn() {
                return Some(left);
            }
            let next = self.waiting[0].take()?;
            self.waiting.rotate_left(1);
            if let Some(place) = self.ended.iter_mut().find(|place| place.is_none()) {
                *place = Some(self.present.id);
            }
            self.present = List::new(next.id, next.audio, next.repeat);
        }
    }

    /// Writes the next frame encoded, silence after the end. Returns whether anything was left for it.
    pub(crate) fn fill(&mut self, law: Law, out: &mut [u8; FRAME_SAMPLES]) -> bool {
        if !self.volume.is_neutral() || self.paused {
            let mut frame = Frame::silence(AudioRate::Narrow);
            let any = self.fill_frame(&mut frame);
            law.encode(frame.samples(), out);
            return any;
        }
        let mut filled = 0;
        while filled < FRAME_SAMPLES
            && let Some(left) = self.turn()
        {
            let part = left.min(FRAME_SAMPLES - filled);
            self.present.encode(law, &mut out[filled..filled + part]);
            filled += part;
        }
        out[filled..].fill(law.silence());
        filled > 0
    }

    /// Writes the next frame of linear audio at the frame's rate, silence after the end. Returns whether anything was left for it.
    pub(crate) fn fill_frame(&mut self, out: &mut Frame) -> bool {
        let rate = out.rate();
        let of_one = rate.samples_per_frame() / FRAME_SAMPLES;
        let samples = out.samples_mut();
        let mut filled = 0;
        while !self.paused
            && filled < FRAME_SAMPLES
            && let Some(left) = self.turn()
        {
            let part = left.min(FRAME_SAMPLES - filled);
            let space = &mut samples[filled * of_one..(filled + part) * of_one];
            if rate == AudioRate::Narrow {
                self.present.narrow(space);
            } else if self.present.wide(space).is_none() {
                let mut narrow = [0; FRAME_SAMPLES];
                self.present.narrow(&mut narrow[..part]);
                let widener = self.widener.get_or_insert_with(Up2::new);
                widener.process(&narrow[..part], space);
            }
            filled += part;
        }
        samples[filled * of_one..].fill(0);
        self.volume.apply(samples, of_one);
        filled > 0 || self.paused
    }

    /// Whether all was played.
    pub(crate) fn is_done(&self) -> bool {
        let left = self.leaving.is_some() && self.volume.left == 0;
        left || (self.waiting[0].is_none() && self.present.is_done())
    }
}

/// The factor of a level in dB.
fn ratio(db: f32) -> f32 {
    10f32.powf(db.clamp(-60.0, 20.0) / 20.0)
}

/// Samples of an item at 8 kHz.
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

    /// The samples of so many frames.
    fn frames(player: &mut Player, count: usize) -> Vec<i16> {
        let mut samples = Vec::new();
        for _ in 0..count {
            let (mut octets, mut frame) = ([0; 160], [0; 160]);
            player.fill(Law::Mu, &mut octets);
            Law::Mu.decode(&octets, &mut frame);
            samples.extend(frame);
        }
        samples
    }

    fn about(samples: &[i16], level: i16) -> bool {
        samples.iter().all(|sample| sample.abs_diff(level) < 40)
    }

    #[test]
    fn lists_follow_each_other_within_a_frame() {
        let mut player = Player::new(1, vec![prompt(&[1000; 100])], Some(1));
        assert_eq!(player.append(2, vec![], Some(1)), None);
        assert_eq!(player.append(3, vec![prompt(&[-1000; 100])], Some(1)), None);
        let samples = frames(&mut player, 1);
        assert!(about(&samples[..100], 1000) && about(&samples[100..], -1000));
        assert_eq!(
            [
                player.take_ended(),
                player.take_ended(),
                player.take_ended()
            ],
            [Some(1), Some(2), None]
        );
        assert!(!player.is_done() && player.id() == 3);
        frames(&mut player, 1);
        assert!(player.is_done() && player.tells_its_end());
    }

    #[test]
    fn a_full_queue_refuses_and_keeps_the_order() {
        let mut player = Player::new(0, vec![prompt(&[1; 160])], Some(1));
        for id in 1..=QUEUE as u32 {
            assert_eq!(player.append(id, vec![prompt(&[1; 160])], Some(1)), None);
        }
        assert_eq!(player.append(99, vec![], None), Some(99));
        for id in 0..QUEUE as u32 {
            assert_eq!(player.id(), id);
            frames(&mut player, 1);
            assert!(!player.is_done());
            frames(&mut player, 0);
            player.turn();
            assert_eq!(player.take_ended(), Some(id));
        }
    }

    #[test]
    fn seek_counts_from_the_beginning_of_the_list() {
        for (ms, rest, level) in [
            (0, 240, 1000),
            (10, 160, 1000),
            (15, 120, -1000),
            (25, 40, -1000),
            (30, 0, 0),
            (4000, 0, 0),
        ] {
            let audio = vec![prompt(&[1000; 100]), prompt(&[]), prompt(&[-1000; 140])];
            let mut player = Player::new(1, audio, Some(1));
            player.change(PlayChange::Seek { ms });
            let samples = frames(&mut player, 2);
            assert!(about(&samples[..20.min(rest)], level), "{ms} ms");
            assert!(about(&samples[rest..], 0), "{ms} ms");
            assert!(player.is_done());
        }
    }

    #[test]
    fn volume_and_fades_change_evenly() {
        let mut player = Player::new(1, vec![prompt(&[8000; 8000])], Some(1));
        player.change(PlayChange::FadeIn { ms: 40 });
        let samples = frames(&mut player, 3);
        assert!(
            samples[0] < 100
                && about_share(samples[160], 4000)
                && samples[320..]
                    .iter()
                    .all(|sample| about_share(*sample, 8000))
        );
        player.change(PlayChange::Volume { db: -6.0206 });
        let samples = frames(&mut player, 2);
        assert!(
            about_share(samples[80], 6000)
                && samples[160..]
                    .iter()
                    .all(|sample| about_share(*sample, 4000))
        );
        player.change(PlayChange::FadeOut { ms: 30 });
        let samples = frames(&mut player, 2);
        assert!(about_share(samples[120], 2000) && about(&samples[240..], 0));
        assert!(player.is_done() && player.tells_its_end());
    }

    fn about_share(sample: i16, level: i16) -> bool {
        sample.abs_diff(level) < level as u16 / 20
    }

    #[test]
    fn what_is_stopped_does_not_click_and_is_not_told() {
        let mut player = Player::new(1, vec![prompt(&[8000; 8000])], None);
        frames(&mut player, 1);
        player.append(2, vec![prompt(&[8000; 8000])], None);
        player.stop();
        let samples = frames(&mut player, 1);
        assert!(
            samples
                .windows(2)
                .all(|pair| pair[0].abs_diff(pair[1]) < 1000)
                && about(&samples[40..], 0)
        );
        assert!(player.is_done() && !player.tells_its_end() && player.take_ended().is_none());
    }

    #[test]
    fn a_pause_keeps_the_place() {
        let mut player = Player::new(1, vec![prompt(&[1000; 160]), prompt(&[2000; 160])], Some(1));
        frames(&mut player, 1);
        player.change(PlayChange::Pause(true));
        assert!(about(&frames(&mut player, 50), 0) && !player.is_done());
        player.change(PlayChange::Pause(false));
        assert!(about(&frames(&mut player, 1), 2000) && player.is_done());
    }

    #[test]
    fn wide_audio_stays_wide_and_narrow_audio_becomes_it() {
        let wide: Vec<i16> = (0..640)
            .map(|n| if n % 2 == 0 { 3000 } else { -3000 })
            .collect();
        let item = MediaAudio::Prompt(Arc::new(Prompt::from_wide("wide", &wide)));
        let tone = MediaAudio::Tone {
            hz: [1000.0, 0.0],
            dbm0: -10.0,
            ms: 20,
        };
        let mut player = Player::new(1, vec![item, tone, prompt(&[1000; 320])], Some(1));
        let mut frame = Frame::silence(AudioRate::Wide);
        for piece in wide.chunks(320) {
            assert!(player.fill_frame(&mut frame));
            assert_eq!(frame.samples(), piece);
        }
        assert!(player.fill_frame(&mut frame));
        assert!((trunkline_dsp::level::dbm0(frame.samples()) + 10.0).abs() < 0.1);
        assert!(player.fill_frame(&mut frame) && player.fill_frame(&mut frame));
        assert!(about(&frame.samples()[..300], 1000) && player.is_done());
    }
}
