//! Digits a channel sends: as telephone events or as tones, whichever the stream has negotiated, one frame at a time.

use trunkline_dsp::dtmf::{Generator, Key};

use super::codec::{AudioRate, ClockRate, FRAME_MS};
use super::digit_text::{DigitPiece, DigitText};
use super::frame::Frame;
use crate::rtp::telephone_event::{Payload, Sender};

/// Shortest tone and shortest pause in ms (ITU-T Q.24).
const SHORTEST_MS: u32 = 40;
/// Longest tone and longest pause in ms.
const LONGEST_MS: u32 = 60_000;
/// Levels of the low and the high tone in dBm0: 2 dB of pre-emphasis for the line.
const LEVELS_DBM0: (f32, f32) = (-10.0, -8.0);
/// Frames in which the end of an event is repeated; they belong to the pause.
const END_FRAMES: u32 = 2;

/// What a frame of sending digits consists of.
#[derive(Debug, PartialEq)]
pub(crate) enum DigitFrame {
    /// One packet of a telephone event.
    Event {
        timestamp: u32,
        marker: bool,
        payload: Payload,
    },
    /// Audio; written to the caller's samples.
    Tone,
    /// A pause.
    Silence,
    /// All was sent.
    Done,
}

/// Digits being sent.
#[derive(Debug)]
pub(crate) struct DigitSender {
    id: u32,
    digits: DigitText,
    tone_ms: u32,
    gap_ms: u32,
    /// The newest key.
    key: Option<Key>,
    now: Now,
}

#[derive(Debug)]
enum Now {
    Next,
    Event(Sender),
    Tone {
        generator: Generator,
        rate: AudioRate,
        /// Samples sent and to be sent.
        sent: u32,
        length: u32,
    },
    Pause {
        frames: u32,
    },
}

impl DigitSender {
    /// Digits as [`DigitText`] reads them; those without a length of their own last for `tone_ms`.
    pub(crate) fn new(id: u32, digits: String, tone_ms: u32, gap_ms: u32) -> DigitSender {
        DigitSender {
            id,
            digits: DigitText::new(digits),
            tone_ms: tone_ms.clamp(SHORTEST_MS, LONGEST_MS),
            gap_ms: gap_ms.clamp(SHORTEST_MS, LONGEST_MS),
            key: None,
            now: Now::Next,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The key that was begun last.
    pub(crate) fn key(&self) -> Option<Key> {
        self.key
    }

    /// The key that is being sent ends after `ms` in all, or now if that is past; so do those that follow.
    pub(crate) fn end_after(&mut self, ms: u32) {
        self.tone_ms = ms.clamp(SHORTEST_MS, LONGEST_MS);
        match &mut self.now {
            Now::Event(sender) => sender.end_after(self.tone_ms),
            Now::Tone {
                generator,
                rate,
                sent,
                length,
            } => {
                let asked = rate.samples_in_ms(self.tone_ms) as u32;
                let soonest = *sent + generator.edge_samples();
                *length = asked.max(soonest).min(*length);
            }
            Now::Next | Now::Pause { .. } => {}
        }
    }

    /// The next frame. `timestamp` is the audio clock at its beginning; `events` whether telephone events were negotiated. Tones are
    /// written to `out` at `rate`; those that began at another go on in that.
    pub(crate) fn frame(
        &mut self,
        clock: ClockRate,
        timestamp: u32,
        events: bool,
        rate: AudioRate,
        out: &mut Frame,
    ) -> DigitFrame {
        loop {
            match &mut self.now {
                Now::Next => match self.digits.next() {
                    Some(DigitPiece::Pause(ms)) => {
                        self.now = Now::Pause {
                            frames: ms / FRAME_MS,
                        }
                    }
                    Some(DigitPiece::Key(key, ms)) => {
                        let ms = ms.unwrap_or(self.tone_ms).clamp(SHORTEST_MS, LONGEST_MS);
                        self.key = Some(key);
                        self.now = match events {
                            true => Now::Event(Sender::new(key.to_event(), clock, timestamp, ms)),
                            false => tone(key, rate, ms),
                        }
                    }
                    None => return DigitFrame::Done,
                },
                Now::Event(sender) => match sender.next(FRAME_MS) {
                    Some((marker, payload)) => {
                        return DigitFrame::Event {
                            timestamp: sender.timestamp(),
                            marker,
                            payload,
                        };
                    }
                    None => {
                        self.now = Now::Pause {
                            frames: self
                                .gap_ms
                                .div_ceil(FRAME_MS)
                                .saturating_sub(END_FRAMES)
                                .max(1),
                        }
                    }
                },
                Now::Tone { sent, length, .. } if *sent >= *length => {
                    self.now = Now::Pause {
                        frames: self.gap_ms.div_ceil(FRAME_MS),
                    }
                }
                Now::Tone {
                    generator,
                    rate,
                    sent,
                    length,
                } => {
                    let out = out.fill_at(*rate);
                    let release = length.saturating_sub(generator.edge_samples());
                    let steady = (release.saturating_sub(*sent) as usize).min(out.len());
                    generator.fill(&mut out[..steady]);
                    if steady < out.len() {
                        generator.release();
                        generator.fill(&mut out[steady..]);
                    }
                    *sent += out.len() as u32;
                    return DigitFrame::Tone;
                }
                Now::Pause { frames: 0 } => self.now = Now::Next,
                Now::Pause { frames } => {
                    *frames -= 1;
                    out.silence_at(rate);
                    return DigitFrame::Silence;
                }
            }
        }
    }
}

fn tone(key: Key, rate: AudioRate, ms: u32) -> Now {
    Now::Tone {
        generator: Generator::new(rate.hz(), key, LEVELS_DBM0.0, LEVELS_DBM0.1),
        rate,
        sent: 0,
        length: rate.samples_in_ms(ms) as u32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtp::telephone_event::{KeyEvent, Receiver};
    use std::time::Instant;
    use trunkline_dsp::dtmf::{Detector, Event, Profile};

    #[test]
    fn tones_are_heard_as_the_digits_they_are() {
        let mut sender = DigitSender::new(1, "159#xw*0D".into(), 80, 80);
        let mut detector = Detector::new(8000, Profile::TELEPHONE);
        let (mut heard, mut frames) = (String::new(), 0);
        loop {
            let mut tone = Frame::silence(AudioRate::Narrow);
            match sender.frame(ClockRate::HZ_8000, 0, false, AudioRate::Narrow, &mut tone) {
                DigitFrame::Done => break,
                DigitFrame::Event { .. } => panic!("events were not negotiated"),
                DigitFrame::Tone | DigitFrame::Silence => {}
            }
            frames += 1;
            detector.process(tone.samples(), |event| {
                if let Event::End {
                    key, duration_ms, ..
                } = event
                {
                    heard.push(key.to_char());
                    assert!((70..=90).contains(&duration_ms), "{duration_ms}");
                }
            });
        }
        assert_eq!(heard, "159#*0D");
        assert_eq!(frames, 7 * 8 + 25);
    }

    #[test]
    fn events_are_on_the_audio_clock_and_heard_once() {
        let mut sender = DigitSender::new(1, "11".into(), 100, 40);
        let (mut receiver, mut keys) = (Receiver::default(), Vec::new());
        let (mut sequence, mut stamps, now) = (0, Vec::new(), Instant::now());
        for frame in 0u32.. {
            let clock = ClockRate::HZ_8000;
            match sender.frame(
                clock,
                frame * 160,
                true,
                AudioRate::Narrow,
                &mut Frame::silence(AudioRate::Narrow),
            ) {
                DigitFrame::Done => break,
                DigitFrame::Event {
                    timestamp,
                    marker,
                    payload,
                } => {
                    sequence += 1;
                    stamps.push(timestamp);
                    receiver.receive(
                        now,
                        sequence,
                        timestamp,
                        marker,
                        &payload.to_bytes(),
                        &mut |key| keys.push(key),
                    );
                }
                other => assert_eq!(other, DigitFrame::Silence),
            }
        }
        let (begin, end) = (
            KeyEvent::Begin {
                code: 1,
                lasted: 160,
                volume: 10,
            },
            KeyEvent::End {
                code: 1,
                duration: 800,
            },
        );
        assert_eq!(keys, [begin, end, begin, end]);
        assert_eq!(stamps, [[0; 7], [8 * 160; 7]].concat());
    }

    /// What is sent for a text, at a rate.
    fn sound(text: &str, rate: AudioRate, tone_ms: u32) -> Vec<i16> {
        let mut sender = DigitSender::new(1, text.into(), tone_ms, 60);
        let (mut out, mut frame) = (Vec::new(), Frame::silence(rate));
        while sender.frame(ClockRate::HZ_8000, 0, false, rate, &mut frame) != DigitFrame::Done {
            out.extend_from_slice(frame.samples());
        }
        out
    }

    #[test]
    fn tones_are_as_long_as_they_shall_be_and_fade() {
        for rate in [AudioRate::Narrow, AudioRate::Wide] {
            let per_ms = rate.samples_in_ms(1);
            for ms in [40, 60, 75, 100, 500] {
                let sound = sound("5", rate, ms);
                let last = sound.iter().rposition(|of| *of != 0).unwrap_or(0) / per_ms;
                assert!(
                    (ms as usize - 2..=ms as usize).contains(&last),
                    "{ms}: {last}"
                );
                // From full level to nothing in 1.5 ms, not in a step.
                let step = |pair: &[i16]| pair[0].abs_diff(pair[1]);
                let steepest = sound.windows(2).map(step).max();
                let tail = &sound[(ms as usize - 1) * per_ms..];
                assert!(tail.windows(2).map(step).max() < steepest.map(|of| of * 3 / 4));
            }
        }
    }

    #[test]
    fn each_digit_may_have_its_own_length() {
        let sound = sound("1@60 2w3@200", AudioRate::Narrow, 100);
        let mut lengths = Vec::new();
        Detector::new(8000, Profile::TELEPHONE).process(&sound, |event| {
            if let Event::End { duration_ms, .. } = event {
                lengths.push(duration_ms);
            }
        });
        let expected = [60u32, 200, 200];
        assert_eq!(lengths.len(), 3, "{lengths:?}");
        assert!(
            lengths
                .iter()
                .zip(expected)
                .all(|(of, ms)| of.abs_diff(ms) <= 6),
            "{lengths:?}"
        );
    }
}
