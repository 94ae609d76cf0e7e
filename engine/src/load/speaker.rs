//! One sent stream: frames of the pattern in their order, and now and then a key. Sans-IO: told when a frame is due.

use crate::rtp::clock::ClockRate;
use crate::rtp::packet::{self, Header};
use crate::rtp::telephone_event::Sender;

use super::sound::{FRAME, KEY_FRAMES, KEY_LAST, Sound};

/// ms of a frame.
const FRAME_MS: u32 = 20;
/// How long an event lasts (RFC 4733).
const KEY_MS: u32 = 100;

/// How callers press keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// As telephone events (RFC 4733).
    Events,
    /// As tones in the audio.
    Tones,
}

/// What a frame had to do with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    None,
    /// The last of the key: from here the reaction is timed.
    KeyEnded,
}

#[derive(Debug)]
enum Doing {
    Talking,
    Event { sender: Sender, ended: bool },
    Tones { key: u8, frame: usize },
}

/// The sending side of a leg.
#[derive(Debug)]
pub(super) struct Speaker {
    header: Header,
    /// Frame of the pattern; `None`: silence.
    place: Option<usize>,
    doing: Doing,
    key: u8,
    until_key: u32,
}

impl Speaker {
    /// The `number` sets SSRC, the place in the pattern and the moment of the first key apart from those of others.
    pub(super) fn new(number: u32, payload_type: u8, talks: bool, key_every: u32) -> Speaker {
        Speaker {
            header: Header {
                marker: true,
                payload_type,
                sequence: (number.wrapping_mul(7)) as u16,
                timestamp: number.wrapping_mul(1000),
                ssrc: 0x7000_0000 | number,
            },
            place: talks.then_some(number as usize * 37),
            doing: Doing::Talking,
            key: (number % 10) as u8,
            until_key: number.wrapping_mul(23) % key_every.max(1),
        }
    }

    /// Writes the packet of the next frame. `keys`: how keys are pressed, the payload type of events and the frames between two of them.
    pub(super) fn write(
        &mut self,
        sound: &Sound,
        keys: Option<(Keys, u8, u32)>,
        out: &mut [u8],
    ) -> (Option<usize>, Edge) {
        self.begin_key(keys);
        let (mut edge, mut over) = (Edge::None, false);
        let length = match &mut self.doing {
            Doing::Event { sender, ended } => match sender.next(FRAME_MS) {
                Some((marker, payload)) => {
                    if payload.end && !*ended {
                        (*ended, edge) = (true, Edge::KeyEnded);
                    }
                    let header = Header {
                        marker,
                        payload_type: keys.map_or(0, |(_, events, _)| events),
                        timestamp: sender.timestamp(),
                        ..self.header
                    };
                    packet::build(&header, &payload.to_bytes(), out)
                }
                None => {
                    over = true;
                    None
                }
            },
            Doing::Tones { key, frame } => {
                if *frame == KEY_LAST {
                    edge = Edge::KeyEnded;
                }
                let length = packet::build(&self.header, sound.key(*key, *frame), out);
                *frame += 1;
                if *frame == KEY_FRAMES {
                    self.doing = Doing::Talking;
                }
                length
            }
            Doing::Talking => self.talk(sound, out),
        };
        let length = if over {
            self.doing = Doing::Talking;
            self.talk(sound, out)
        } else {
            length
        };
        self.header.marker = false;
        self.header.sequence = self.header.sequence.wrapping_add(1);
        self.header.timestamp = self.header.timestamp.wrapping_add(FRAME as u32);
        (length, edge)
    }

    fn talk(&mut self, sound: &Sound, out: &mut [u8]) -> Option<usize> {
        let payload = match &mut self.place {
            Some(place) => {
                *place += 1;
                sound.frame(*place)
            }
            None => sound.silence(),
        };
        packet::build(&self.header, payload, out)
    }

    fn begin_key(&mut self, keys: Option<(Keys, u8, u32)>) {
        let Some((how, _, every)) = keys else { return };
        if self.until_key > 0 {
            self.until_key -= 1;
            return;
        }
        if !matches!(self.doing, Doing::Talking) {
            return;
        }
        self.until_key = every.max(1) - 1;
        self.key = (self.key + 3) % 10;
        self.doing = match how {
            Keys::Events => Doing::Event {
                sender: Sender::new(self.key, ClockRate::HZ_8000, self.header.timestamp, KEY_MS),
                ended: false,
            },
            Keys::Tones => Doing::Tones {
                key: self.key,
                frame: 0,
            },
        };
    }
}

#[cfg(test)]
mod tests {
    use super::super::Law;
    use super::*;
    use crate::rtp::telephone_event::Payload;

    /// Frames as (payload type, sequence, timestamp, payload), and at which a key ended.
    fn play(keys: Keys, frames: usize) -> (Vec<(u8, u16, u32, Vec<u8>)>, Vec<usize>) {
        let sound = Sound::new(Law::Mu, None);
        let mut speaker = Speaker::new(0, 0, true, 50);
        let (mut sent, mut ends) = (Vec::new(), Vec::new());
        for frame in 0..frames {
            let mut out = [0; 200];
            let (length, edge) = speaker.write(&sound, Some((keys, 101, 50)), &mut out);
            let packet = packet::parse(&out[..length.unwrap()]).unwrap();
            let header = packet.header;
            sent.push((
                header.payload_type,
                header.sequence,
                header.timestamp,
                packet.payload.to_vec(),
            ));
            if edge == Edge::KeyEnded {
                ends.push(frame);
            }
        }
        (sent, ends)
    }

    #[test]
    fn events_stand_among_the_audio() {
        let (sent, ends) = play(Keys::Events, 120);
        let events: Vec<_> = sent.iter().filter(|packet| packet.0 == 101).collect();
        assert_eq!((events.len(), &ends[..]), (21, &[4, 54, 104][..]));
        assert!(
            events[..7]
                .iter()
                .all(|packet| packet.2 == 0 && packet.3[0] == 3)
        );
        assert_eq!(
            Payload::parse(&events[4].3).map(|payload| (payload.end, payload.duration)),
            Some((true, 800))
        );
        for (frame, packet) in sent.iter().enumerate() {
            assert_eq!(packet.1, frame as u16);
            assert!(packet.0 == 101 || packet.2 == frame as u32 * 160);
        }
    }

    #[test]
    fn tones_take_the_place_of_the_audio() {
        let (sent, ends) = play(Keys::Tones, 60);
        assert_eq!(ends, [7, 57]);
        let sound = Sound::new(Law::Mu, None);
        assert_eq!(sent[3].3, sound.key(3, 3));
        assert_eq!(sent[10].3, sound.silence());
        assert_eq!(sent[11].3, sound.frame(1));
        assert!(
            sent.iter()
                .all(|packet| packet.0 == 0 && packet.3.len() == 160)
        );
    }

    #[test]
    fn who_does_not_talk_is_silent() {
        let sound = Sound::new(Law::A, None);
        let mut speaker = Speaker::new(3, 8, false, 50);
        let mut out = [0; 172];
        let (length, _) = speaker.write(&sound, None, &mut out);
        assert_eq!(
            packet::parse(&out[..length.unwrap()]).unwrap().payload,
            sound.silence()
        );
        assert_eq!(speaker.write(&sound, None, &mut [0; 20]).0, None);
    }
}
