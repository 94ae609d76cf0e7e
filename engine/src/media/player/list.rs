//! One list of prompts, tones and pauses: whose turn it is, and its samples, encoded or linear. It knows neither volume nor what follows it.

use trunkline_dsp::tone::Tone;

use super::super::codec::{AudioRate, FRAME_SAMPLES, Law, SAMPLES_PER_MS};
use super::super::command::MediaAudio;
use crate::net::prefetch::prefetch;

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
    pub(crate) fn new(id: u32, audio: Vec<MediaAudio>, repeat: Option<u32>) -> List {
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

    /// Begins to fetch the item whose turn it is into the cache.
    pub(super) fn fetch_item(&self) {
        if let Some(item) = self.audio.get(self.item) {
            prefetch(item, 1);
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Goes to a place of the list, in samples of 8 kHz from its beginning; behind its end, the round is over.
    pub(super) fn seek(&mut self, place: usize) {
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
    pub(super) fn turn(&mut self) -> Option<usize> {
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
    pub(super) fn is_done(&self) -> bool {
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
    pub(super) fn encode(&mut self, law: Law, out: &mut [u8]) {
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
    pub(super) fn narrow(&mut self, out: &mut [i16]) {
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
    pub(super) fn wide(&mut self, out: &mut [i16]) -> Option<()> {
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

/// Samples of an item at 8 kHz.
fn length(item: &MediaAudio) -> usize {
    match item {
        MediaAudio::Prompt(prompt) => prompt.slin8.len(),
        MediaAudio::Tone { ms, .. } | MediaAudio::Silence { ms } => {
            *ms as usize * SAMPLES_PER_MS as usize
        }
    }
}
