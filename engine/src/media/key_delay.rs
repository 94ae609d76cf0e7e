//! Holds the audio of one direction of a bridge back while keys are kept out of it: a tone is sure to be one only when it has lasted for a
//! while, and by then its beginning is still here and can be silenced.
//!
//! Places are counted in the samples that the detector was given. Never allocates after it was made; lives only while it is needed.

use super::codec::AudioRate;
use super::frame::Frame;

/// Frames held back: 80 ms, the longest that the detector takes to be sure (55 ms), and the frame in which that falls.
const FRAMES: usize = 4;
/// Silenced before the place where the tone is taken to begin, and after its end, in ms: the accuracy of both.
const MARGIN_MS: u64 = 6;
/// In which the audio before fades out and that after fades in, in ms.
const RAMP_MS: u64 = 2;
/// Tones that begin within what is held back.
const TONES: usize = 4;

/// Samples between which there is silence; `until` is not known while the key is down.
#[derive(Debug, Clone, Copy)]
struct Mute {
    from: u64,
    until: Option<u64>,
}

/// The audio held back.
#[derive(Debug)]
pub(crate) struct KeyDelay {
    frames: [Held; FRAMES],
    oldest: usize,
    mutes: [Option<Mute>; TONES],
}

#[derive(Debug)]
struct Held {
    frame: Frame,
    /// Its first sample.
    first: u64,
}

impl KeyDelay {
    /// Silence is held back.
    pub(crate) fn new() -> KeyDelay {
        KeyDelay {
            frames: std::array::from_fn(|_| Held {
                frame: Frame::silence(AudioRate::Narrow),
                first: 0,
            }),
            oldest: 0,
            mutes: [None; TONES],
        }
    }

    /// A tone began at that sample.
    pub(crate) fn key_down(&mut self, from: u64) {
        let mute = Mute { from, until: None };
        match self.mutes.iter_mut().find(|mute| mute.is_none()) {
            Some(free) => *free = Some(mute),
            // More tones than can be in so short a time: silence goes on from the first of them.
            None => self
                .mutes
                .iter_mut()
                .flatten()
                .for_each(|mute| mute.until = None),
        }
    }

    /// It ended at that sample.
    pub(crate) fn key_up(&mut self, until: u64) {
        for mute in self.mutes.iter_mut().flatten() {
            mute.until = mute.until.or(Some(until));
        }
    }

    /// The detector begins to count anew; a key that was down is up.
    pub(crate) fn recount(&mut self, heard: u64) {
        self.key_up(heard);
        let mutes = self.mutes;
        for held in &mut self.frames {
            held.silence(&mutes);
            held.first = 0;
        }
        self.mutes = [None; TONES];
    }

    /// Takes the newest frame, the last of `heard` samples, and puts the one in its place that is due.
    pub(crate) fn pass(&mut self, frame: &mut Frame, heard: u64) {
        let held = &mut self.frames[self.oldest];
        self.oldest = (self.oldest + 1) % FRAMES;
        held.silence(&self.mutes);
        let first = heard.saturating_sub(frame.samples().len() as u64);
        std::mem::swap(&mut held.frame, frame);
        let gone = std::mem::replace(&mut held.first, first);
        let samples_per_ms = u64::from(frame.rate().hz() / 1000);
        for mute in &mut self.mutes {
            let past = |until: u64| until + (MARGIN_MS + RAMP_MS) * samples_per_ms < gone;
            mute.take_if(|mute| mute.until.is_some_and(past));
        }
    }
}

impl Held {
    fn silence(&mut self, mutes: &[Option<Mute>]) {
        let per_ms = u64::from(self.frame.rate().hz() / 1000);
        let length = self.frame.samples().len() as u64;
        for mute in mutes.iter().flatten() {
            let (margin, ramp) = (MARGIN_MS * per_ms, RAMP_MS * per_ms);
            let from = mute.from.saturating_sub(margin);
            let until = mute.until.map_or(u64::MAX, |until| until + margin);
            let touches = from < self.first + length + ramp
                && until.saturating_add(ramp) > self.first
                && !self.frame.is_silence();
            if !touches {
                continue;
            }
            let first = self.first;
            for (n, sample) in self.frame.samples_mut().iter_mut().enumerate() {
                let at = first + n as u64;
                let away = from.saturating_sub(at).max(at.saturating_sub(until));
                if away < ramp {
                    *sample = (i64::from(*sample) * away as i64 / ramp as i64) as i16;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Passes frames of constant samples; `events` happen after that frame was heard.
    fn passed(
        rate: AudioRate,
        frames: usize,
        mut events: impl FnMut(usize, &mut KeyDelay),
    ) -> Vec<i16> {
        let (mut delay, mut out) = (KeyDelay::new(), Vec::new());
        let length = rate.samples_per_frame();
        for n in 0..frames {
            let mut frame = Frame::silence(rate);
            frame.samples_mut().fill(1000);
            events(n, &mut delay);
            delay.pass(&mut frame, ((n + 1) * length) as u64);
            if n >= FRAMES {
                out.extend_from_slice(frame.samples());
            }
        }
        out
    }

    #[test]
    fn audio_comes_later_and_whole_where_no_key_is() {
        for rate in [AudioRate::Narrow, AudioRate::Wide] {
            let out = passed(rate, 20, |_, _| {});
            assert_eq!(out, vec![1000; 16 * rate.samples_per_frame()]);
        }
    }

    #[test]
    fn a_tone_is_silenced_from_its_beginning_to_its_end() {
        for (rate, per_ms) in [(AudioRate::Narrow, 8), (AudioRate::Wide, 16)] {
            // Known 75 ms after it began, and 35 ms after it ended.
            let out = passed(rate, 30, |n, delay| match n {
                8 => delay.key_down(105 * per_ms as u64),
                15 => delay.key_up(265 * per_ms as u64),
                _ => {}
            });
            let at = |ms: usize| ms * per_ms;
            assert!(
                out[at(99)..at(271)].iter().all(|sample| *sample == 0),
                "{rate:?}"
            );
            assert!(out[..at(97)].iter().all(|sample| *sample == 1000));
            assert!(out[at(274)..].iter().all(|sample| *sample == 1000));
        }
    }

    #[test]
    fn keys_in_a_row_and_a_new_count() {
        let out = passed(AudioRate::Narrow, 40, |n, delay| {
            let at = |ms: u64| ms * 8;
            match n {
                2 => delay.key_down(at(20)),
                3 => delay.key_up(at(50)),
                5 => delay.key_down(at(80)),
                // Never ends: the detector goes.
                9 => delay.recount(at(180)),
                _ => {}
            }
        });
        let silent = |range: std::ops::Range<usize>| {
            out[range.start * 8..range.end * 8]
                .iter()
                .all(|of| *of == 0)
        };
        assert!(silent(14..56) && silent(74..180));
        assert!(out[60 * 8..70 * 8].iter().all(|of| *of == 1000));
        assert!(out[200 * 8..].iter().all(|of| *of == 1000));
        // What is not told apart any more stays silent, and ends.
        let out = passed(AudioRate::Narrow, 40, |n, delay| match n {
            0..=8 => delay.key_down(n as u64 * 160),
            9 => delay.key_up(10 * 160),
            _ => {}
        });
        assert!(out[16..200 * 8].iter().all(|of| *of == 0));
        assert!(out[210 * 8..].iter().all(|of| *of == 1000));
    }
}
