//! Digits a channel sends: as telephone events or as tones, whichever the stream has negotiated, one frame at a time.

use trunkline_dsp::dtmf::{Generator, Key};

use super::codec::{AudioRate, ClockRate, FRAME_MS, SAMPLES_PER_MS};
use super::frame::Frame;
use crate::rtp::telephone_event::{Payload, Sender};

/// Shortest tone and shortest pause in ms (ITU-T Q.24).
const SHORTEST_MS: u32 = 40;
/// Longest tone and longest pause in ms; also keeps a telephone event within one segment.
const LONGEST_MS: u32 = 8000;
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
    digits: std::vec::IntoIter<u8>,
    tone_ms: u32,
    gap_ms: u32,
    now: Now,
}

#[derive(Debug)]
enum Now {
    Next,
    Event(Sender),
    Tone { generator: Generator, samples: u32 },
    Pause { frames: u32 },
}

impl DigitSender {
    pub(crate) fn new(id: u32, digits: String, tone_ms: u32, gap_ms: u32) -> DigitSender {
        DigitSender {
            id,
            digits: digits.into_bytes().into_iter(),
            tone_ms: tone_ms.clamp(SHORTEST_MS, LONGEST_MS),
            gap_ms: gap_ms.clamp(SHORTEST_MS, LONGEST_MS),
            now: Now::Next,
        }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// The next frame. `timestamp` is the audio clock at its beginning; `events` whether telephone events were negotiated. Tones are
    /// written to `out` at 8 kHz.
    pub(crate) fn frame(
        &mut self,
        clock: ClockRate,
        timestamp: u32,
        events: bool,
        out: &mut Frame,
    ) -> DigitFrame {
        loop {
            match &mut self.now {
                Now::Next => match self.digits.next() {
                    Some(digit) => self.now = self.begin(digit, clock, timestamp, events),
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
                Now::Tone { samples: 0, .. } => {
                    self.now = Now::Pause {
                        frames: self.gap_ms.div_ceil(FRAME_MS),
                    }
                }
                Now::Tone { generator, samples } => {
                    let out = out.fill_at(AudioRate::Narrow);
                    let part = (*samples as usize).min(out.len());
                    generator.fill(&mut out[..part]);
                    *samples -= part as u32;
                    if *samples == 0 {
                        generator.release();
                        generator.fill(&mut out[part..]);
                    }
                    return DigitFrame::Tone;
                }
                Now::Pause { frames: 0 } => self.now = Now::Next,
                Now::Pause { frames } => {
                    *frames -= 1;
                    return DigitFrame::Silence;
                }
            }
        }
    }

    fn begin(&self, digit: u8, clock: ClockRate, timestamp: u32, events: bool) -> Now {
        let pause = |ms: u32| Now::Pause {
            frames: ms / FRAME_MS,
        };
        match (digit, Key::from_char(char::from(digit))) {
            (_, Some(key)) if events => {
                Now::Event(Sender::new(key.to_event(), clock, timestamp, self.tone_ms))
            }
            (_, Some(key)) => Now::Tone {
                generator: Generator::new(8000, key, LEVELS_DBM0.0, LEVELS_DBM0.1),
                samples: self.tone_ms * SAMPLES_PER_MS,
            },
            (b'w', _) => pause(500),
            (b'W', _) => pause(1000),
            _ => Now::Next,
        }
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
            match sender.frame(ClockRate::HZ_8000, 0, false, &mut tone) {
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
            KeyEvent::Begin { code: 1 },
            KeyEvent::End {
                code: 1,
                duration: 800,
            },
        );
        assert_eq!(keys, [begin, end, begin, end]);
        assert_eq!(stamps, [[0; 7], [8 * 160; 7]].concat());
    }
}
