//! The speaking half of a stream's codec: frames of 20 ms or ready G.711 octets in, payloads of the peer's packet time out.
//!
//! ```text
//!  frame ──rate──► samples ──encode──► octets ──┐
//!  prompt's octets ─────────────────────────────┴─► gathered ──► packets of 10 to 60 ms
//! ```
//!
//! Codecs that code sample by sample gather octets, so that a packet can be cut anywhere; Opus gathers samples and codes a packet at
//! once. Made by the handle, boxed; never allocates afterwards. Knows nothing of RTP numbers and never sends.
//!
//! Limits: one datagram, [`LONGEST_PAYLOAD`] octets.

use trunkline_dsp::g722;

use super::codec::opus::{OpusError, OpusSettings};
use super::codec::{AudioRate, Encoder, Encoding, FRAME_MS, FRAME_SAMPLES};
use super::convert::Converter;
use super::frame::Frame;

/// The longest payload that is sent or relayed, in octets: 120 ms of G.711 are 960, 40 ms of L16 at 16 kHz are this many.
pub(crate) const LONGEST_PAYLOAD: usize = 1280;

/// What a channel says in one frame.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Speech<'f> {
    /// Octets of the stream's own law.
    Octets(&'f [u8; FRAME_SAMPLES]),
    /// Linear audio.
    Frame(&'f Frame),
    /// A packet that others are sent, too.
    Packet(&'f Packet),
}

/// A packet of 20 ms for several streams of one codec, and the audio in it.
#[derive(Debug)]
pub(crate) struct Packet {
    said: Frame,
    octets: usize,
    payload: [u8; LONGEST_PAYLOAD],
}

impl Packet {
    pub(crate) fn new() -> Packet {
        Packet {
            said: Frame::silence(AudioRate::Narrow),
            octets: 0,
            payload: [0; LONGEST_PAYLOAD],
        }
    }

    /// The audio, at a rate, to be written in full and [coded](Self::code) then.
    pub(crate) fn say_at(&mut self, rate: AudioRate) -> &mut [i16] {
        self.said.fill_at(rate)
    }

    /// Makes the payload of the audio with a voice whose packets are of 20 ms.
    pub(crate) fn code(&mut self, voice: &mut Voice) {
        voice.take(Speech::Frame(&self.said));
        let cut = voice.cut(&mut self.payload);
        self.octets = cut.map_or(0, |cut| cut.octets);
    }

    pub(crate) fn said(&self) -> &Frame {
        &self.said
    }

    /// Empty where the codec sends nothing for this time.
    pub(crate) fn payload(&self) -> &[u8] {
        &self.payload[..self.octets]
    }
}

/// What a voice has kept of the audio before, as far as it can be copied.
#[derive(Debug, Clone)]
pub(crate) struct Past {
    converter: Converter,
    g722: Option<g722::Encoder>,
    /// The last frame, for an encoder whose state cannot be copied.
    said: Option<Frame>,
}

/// A payload that was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cut {
    /// Octets written; 0 where the codec sends nothing for this time.
    pub(crate) octets: usize,
    /// Its length.
    pub(crate) ms: u32,
}

/// Encodes and frames what one stream says.
#[derive(Debug)]
pub(crate) struct Voice {
    encoding: Encoding,
    opus: OpusSettings,
    encoder: Encoder,
    /// Length of the packets.
    ptime_ms: u32,
    converter: Converter,
    /// ms that wait for the rest of their packet.
    gathered_ms: u32,
    /// Room for a packet and what a frame leaves over.
    octets: Box<[u8]>,
    /// The same where the codec codes a packet at once.
    samples: Box<[i16]>,
}

impl Voice {
    /// `ptime_ms` is what the peer asked for.
    pub(crate) fn new(
        encoding: Encoding,
        opus: OpusSettings,
        ptime_ms: u8,
    ) -> Result<Voice, OpusError> {
        let ptime_ms = u32::from(encoding.sendable_ms(ptime_ms));
        let room_ms = ptime_ms + FRAME_MS;
        let (octets, samples) = match encoding.octets_per_ms() {
            Some(octets_per_ms) => (room_ms as usize * octets_per_ms, 0),
            None => (0, encoding.audio().samples_in_ms(room_ms)),
        };
        Ok(Voice {
            encoding,
            opus,
            encoder: Encoder::new(encoding, opus)?,
            ptime_ms,
            converter: Converter::default(),
            gathered_ms: 0,
            octets: vec![0; octets].into(),
            samples: vec![0; samples].into(),
        })
    }

    /// Whether another voice would say the same from here on.
    pub(crate) fn continues(&self, other: &Voice) -> bool {
        self.encoding == other.encoding
            && self.ptime_ms == other.ptime_ms
            && (self.encoding != Encoding::Opus || self.opus == other.opus)
    }

    /// `said` is the frame it took last, if that is known.
    pub(crate) fn past(&self, said: Option<&Frame>) -> Past {
        Past {
            said: said.cloned(),
            converter: self.converter.clone(),
            g722: match &self.encoder {
                Encoder::G722(encoder) => Some(encoder.clone()),
                _ => None,
            },
        }
    }

    /// From here on it says what the voice of that past would say.
    pub(crate) fn go_on_from(&mut self, past: &Past) {
        if let (Encoder::Opus(_), Some(said)) = (&self.encoder, &past.said) {
            // Coded once more, for nobody, so that the next frame is coded as what follows it.
            self.take(Speech::Frame(said));
            self.cut(&mut [0; LONGEST_PAYLOAD]);
        }
        self.converter = past.converter.clone();
        if let (Encoder::G722(encoder), Some(past)) = (&mut self.encoder, &past.g722) {
            encoder.clone_from(past);
        }
    }

    /// Whether a frame of ready octets is a packet as it is.
    pub(crate) fn takes_octets_as_packets(&self) -> bool {
        self.ptime_ms == FRAME_MS && self.gathered_ms == 0
    }

    /// Whether anything waits for the rest of its packet.
    pub(crate) fn is_gathering(&self) -> bool {
        self.gathered_ms > 0
    }

    /// Takes a frame. [`cut`](Self::cut) until it gives nothing more before the next.
    pub(crate) fn take(&mut self, speech: Speech<'_>) {
        match speech {
            Speech::Octets(octets) => {
                let from = self.gathered_ms as usize * 8;
                if let Some(room) = self.octets.get_mut(from..from + FRAME_SAMPLES) {
                    room.copy_from_slice(octets);
                    self.gathered_ms += FRAME_MS;
                }
            }
            Speech::Frame(frame) => self.take_frame(frame),
            Speech::Packet(packet) => self.take_frame(&packet.said),
        }
    }

    fn take_frame(&mut self, frame: &Frame) {
        let rate = self.encoding.audio();
        let mut space;
        let frame = if frame.rate() == rate {
            frame
        } else {
            space = Frame::silence(rate);
            self.converter.convert(frame, rate, &mut space);
            &space
        };
        let gathered = self.gathered_ms;
        let taken = match self.encoding.octets_per_ms() {
            Some(octets_per_ms) => {
                let from = gathered as usize * octets_per_ms;
                let room = self.octets.get_mut(from..).unwrap_or_default();
                self.encoder.encode(frame.samples(), room) > 0
            }
            None => {
                let from = rate.samples_in_ms(gathered);
                let room = self.samples.get_mut(from..from + frame.samples().len());
                room.map(|room| room.copy_from_slice(frame.samples()))
                    .is_some()
            }
        };
        if taken {
            self.gathered_ms += FRAME_MS;
        }
    }

    /// Cuts off a packet if one is full.
    pub(crate) fn cut(&mut self, out: &mut [u8; LONGEST_PAYLOAD]) -> Option<Cut> {
        (self.gathered_ms >= self.ptime_ms).then(|| self.cut_off(self.ptime_ms, out))
    }

    /// Cuts off what there is, as a shorter packet: something else comes now.
    pub(crate) fn flush(&mut self, out: &mut [u8; LONGEST_PAYLOAD]) -> Option<Cut> {
        (self.gathered_ms > 0).then(|| self.cut_off(self.gathered_ms, out))
    }

    fn cut_off(&mut self, ms: u32, out: &mut [u8; LONGEST_PAYLOAD]) -> Cut {
        let rest_ms = self.gathered_ms - ms;
        self.gathered_ms = rest_ms;
        let octets = match self.encoding.octets_per_ms() {
            Some(octets_per_ms) => {
                let [length, rest] = [ms, rest_ms].map(|ms| ms as usize * octets_per_ms);
                out[..length].copy_from_slice(&self.octets[..length]);
                self.octets.copy_within(length..length + rest, 0);
                length
            }
            None => {
                let [length, rest] =
                    [ms, rest_ms].map(|ms| self.encoding.audio().samples_in_ms(ms));
                let octets = self.encoder.encode(&self.samples[..length], out);
                self.samples.copy_within(length..length + rest, 0);
                octets
            }
        };
        Cut { octets, ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::codec::{Decoder, Law};

    /// Frames that count up, and what comes out of the packets.
    fn said(encoding: Encoding, ptime_ms: u8, frames: usize) -> (Vec<u32>, Vec<i16>) {
        let mut voice = Voice::new(encoding, OpusSettings::default(), ptime_ms).unwrap();
        let mut decoder = Decoder::new(encoding).unwrap();
        let (mut lengths, mut heard) = (Vec::new(), Vec::new());
        let mut out = [0; LONGEST_PAYLOAD];
        for n in 0..frames {
            let mut frame = Frame::silence(encoding.audio());
            let samples = frame.samples_mut();
            let first = n * samples.len();
            for (place, sample) in samples.iter_mut().enumerate() {
                *sample = ((first + place) * 8 % 32_000) as i16;
            }
            voice.take(Speech::Frame(&frame));
            while let Some(cut) = voice.cut(&mut out) {
                let mut samples = [0; 1920];
                let length = decoder.decode(&out[..cut.octets], &mut samples).unwrap();
                assert_eq!(length, encoding.audio().samples_in_ms(cut.ms));
                heard.extend(&samples[..length]);
                lengths.push(cut.ms);
            }
        }
        (lengths, heard)
    }

    #[test]
    fn every_packet_time_carries_every_sample_once() {
        for encoding in [Encoding::L16Narrow, Encoding::L16Wide] {
            for ptime_ms in [10, 20, 30, 40, 50, 60] {
                let (lengths, heard) = said(encoding, ptime_ms, 60);
                let sent_ms = u32::from(encoding.sendable_ms(ptime_ms));
                assert!(lengths.iter().all(|ms| *ms == sent_ms));
                assert_eq!(lengths.len() as u32, 1200 / sent_ms);
                assert!(
                    heard
                        .iter()
                        .enumerate()
                        .all(|(n, sample)| *sample == (n * 8 % 32_000) as i16)
                );
            }
        }
    }

    #[test]
    fn ready_octets_and_frames_share_a_packet() {
        let mut voice = Voice::new(Encoding::Pcma, OpusSettings::default(), 60).unwrap();
        let mut out = [0; LONGEST_PAYLOAD];
        voice.take(Speech::Octets(&[1; 160]));
        voice.take(Speech::Frame(&Frame::silence(AudioRate::Wide)));
        assert_eq!(voice.cut(&mut out), None);
        voice.take(Speech::Octets(&[2; 160]));
        let cut = voice.cut(&mut out).unwrap();
        assert_eq!((cut.octets, cut.ms), (480, 60));
        let parts = [[1; 160], [Law::A.silence(); 160], [2; 160]].concat();
        assert_eq!(out[..480], parts);
        assert_eq!(voice.flush(&mut out), None);
        voice.take(Speech::Octets(&[3; 160]));
        let cut = voice.flush(&mut out).unwrap();
        assert_eq!((cut.octets, cut.ms, out[159]), (160, 20, 3));
    }
}
