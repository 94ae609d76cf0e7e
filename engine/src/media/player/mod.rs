//! What a channel plays: lists of prompts, tones and pauses, without gaps, so and so often, one list after the other. Prompts are copied as they were
//! encoded once, unless the volume is changed or the channel wants linear audio.
//!
//! Limits: [`QUEUE`] lists wait; what is stopped fades in 5 ms, so that it does not click.

mod list;
mod volume;

use trunkline_dsp::resample::Up2;

use super::codec::{AudioRate, FRAME_SAMPLES, Law, SAMPLES_PER_MS};
use super::command::{Manner, MediaAudio, PlayChange};
use super::frame::Frame;
use crate::net::prefetch::prefetch;
pub(crate) use list::List;
use volume::{Volume, ratio};

/// Lists that can wait behind the one that plays.
pub(crate) const QUEUE: usize = 8;
/// How long audio that is stopped fades, in samples of 8 kHz.
const STOP_SAMPLES: u32 = 5 * SAMPLES_PER_MS;
/// How long a change of the volume takes, in samples of 8 kHz.
const VOLUME_SAMPLES: u32 = 20 * SAMPLES_PER_MS;

/// Lists being played. In this order in memory: what every frame touches comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Player {
    /// Lists are made by the handle and freed by the reaper.
    present: Box<List>,
    volume: Volume,
    paused: bool,
    /// Fades out, then ends; whether that is told.
    leaving: Option<bool>,
    /// Lists that ended and of which nobody was told yet.
    ended: [Option<Box<List>>; QUEUE],
    waiting: [Option<Box<List>>; QUEUE],
    /// Makes narrow audio wide; made when it is first wanted.
    widener: Option<Up2>,
}

impl Player {
    /// Makes the list too, which allocates.
    pub(crate) fn new(id: u32, audio: Vec<MediaAudio>, repeat: Option<u32>) -> Player {
        Player::of(Box::new(List::new(id, audio, repeat)))
    }

    pub(crate) fn of(list: Box<List>) -> Player {
        Player {
            present: list,
            waiting: Default::default(),
            ended: Default::default(),
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

    /// Begins to fetch the present list into the cache.
    pub(crate) fn fetch_ahead(&self) {
        prefetch(&*self.present, usize::MAX);
    }

    /// The same for the item whose turn it is, once the list is there.
    pub(crate) fn fetch_item(&self) {
        self.present.fetch_item();
    }

    /// The list that plays.
    pub(crate) fn id(&self) -> u32 {
        self.present.id()
    }

    /// Puts a list behind those that wait. Gives it back if there is no room.
    pub(crate) fn append(&mut self, list: Box<List>) -> Option<Box<List>> {
        match self.waiting.iter_mut().find(|place| place.is_none()) {
            Some(place) => {
                *place = Some(list);
                None
            }
            None => Some(list),
        }
    }

    /// All that is to be freed, by another thread.
    pub(crate) fn into_lists(self) -> impl Iterator<Item = Box<List>> {
        let others = self.waiting.into_iter().chain(self.ended);
        std::iter::once(self.present).chain(others.flatten())
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

    /// What waits is not played any more; it goes with the player.
    fn leave(&mut self, samples: u32, told: bool) {
        self.leaving = Some(told);
        self.volume.go_to(0.0, samples);
    }

    /// Whether it fades out to its end.
    pub(crate) fn is_leaving(&self) -> bool {
        self.leaving.is_some()
    }

    /// A list that ended although others followed, once.
    pub(crate) fn take_ended(&mut self) -> Option<Box<List>> {
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
            if self.is_leaving() {
                return None;
            }
            let next = self.waiting[0].take()?;
            self.waiting.rotate_left(1);
            let before = std::mem::replace(&mut self.present, next);
            // There is a place for each that waited; they are emptied after each frame.
            if let Some(place) = self.ended.iter_mut().find(|place| place.is_none()) {
                *place = Some(before);
            }
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
        let last = self.waiting[0].is_none() || self.is_leaving();
        left || (last && self.present.is_done())
    }
}

#[cfg(test)]
mod tests;
