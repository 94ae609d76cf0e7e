//! The listening half of a stream's codec: packets of every payload type that was agreed in, frames of 20 ms out.
//!
//! A peer may switch between the codecs it named without a word. PCMU and PCMA are told apart octet by octet, so that nothing is lost
//! between them; with any other change the playout begins anew. Made by the handle, boxed; never allocates afterwards.

use super::codec::opus::OpusError;
use super::codec::{AudioRate, Decoder, Encoding, Law};
use super::command::StreamParams;
use super::frame::Frame;
use super::playout::{Playout, PlayoutStats, Pulled};
use super::voice::LONGEST_PAYLOAD;
use crate::rtp::jitter::Inserted;
use crate::rtp::packet::Header;

/// Playout and decoders of one source.
#[derive(Debug)]
pub(crate) struct Hearing {
    playout: Playout,
    /// One for each codec that may come; that of the stream first.
    decoders: Vec<(Encoding, Decoder)>,
    /// Which of them the playout is for.
    present: usize,
}

impl Hearing {
    /// Makes the decoders.
    pub(crate) fn new(params: &StreamParams) -> Result<Hearing, OpusError> {
        let mut decoders = vec![(params.encoding, Decoder::new(params.encoding)?)];
        for (_, encoding) in &params.also {
            if decoders.iter().all(|(known, _)| known != encoding) {
                decoders.push((*encoding, Decoder::new(*encoding)?));
            }
        }
        Ok(Hearing {
            playout: Playout::new(params.encoding),
            decoders,
            present: 0,
        })
    }

    /// Whether others would hear the same from here on.
    pub(crate) fn continues(&self, other: &Hearing) -> bool {
        let known = |hearing: &Hearing| hearing.decoders.len();
        let same =
            |(ours, theirs): (&(Encoding, Decoder), &(Encoding, Decoder))| ours.0 == theirs.0;
        known(self) == known(other) && self.decoders.iter().zip(&other.decoders).all(same)
    }

    /// Takes an audio packet. Returns whether it came too late.
    pub(crate) fn insert(
        &mut self,
        now_us: u64,
        encoding: Encoding,
        header: &Header,
        payload: &[u8],
    ) -> bool {
        let present = self.encoding();
        let inserted = match (encoding.law(), present.law()) {
            _ if encoding == present => self.playout.insert(now_us, header, payload),
            (Some(from), Some(to)) => self.insert_converted(now_us, from, to, header, payload),
            _ => {
                self.switch(encoding);
                self.playout.insert(now_us, header, payload)
            }
        };
        inserted == Inserted::Late
    }

    fn insert_converted(
        &mut self,
        now_us: u64,
        from: Law,
        to: Law,
        header: &Header,
        payload: &[u8],
    ) -> Inserted {
        let mut space = [0; LONGEST_PAYLOAD];
        let Some(octets) = space.get_mut(..payload.len()) else {
            return Inserted::Refused;
        };
        octets.copy_from_slice(payload);
        from.convert(to, octets);
        self.playout.insert(now_us, header, octets)
    }

    fn encoding(&self) -> Encoding {
        self.decoders[self.present].0
    }

    fn switch(&mut self, encoding: Encoding) {
        let mut decoders = self.decoders.iter();
        if let Some(place) = decoders.position(|(known, _)| *known == encoding) {
            self.present = place;
            self.playout.reset(encoding);
        }
    }

    /// Takes note of a packet without audio (an event), so that its number is not missed.
    pub(crate) fn skip(&mut self, sequence: u16) {
        self.playout.skip(sequence);
    }

    /// Takes note of comfort noise: the peer is silent from now on.
    pub(crate) fn quieten(&mut self, sequence: u16) {
        self.playout.quieten(sequence);
    }

    /// What the playout did, and the rate of its samples.
    pub(crate) fn stats(&self) -> (PlayoutStats, AudioRate) {
        (self.playout.stats(), self.playout.rate())
    }

    /// Sequence numbers and timestamps begin anew.
    pub(crate) fn forget(&mut self) {
        self.playout.reset(self.encoding());
    }

    /// The next frame. To be called every 20 ms.
    pub(crate) fn pull(&mut self, now_us: u64, out: &mut Frame) -> Pulled {
        let (_, decoder) = &mut self.decoders[self.present];
        self.playout.pull(now_us, decoder, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(sequence: u16, clock_hz: u32) -> Header {
        Header {
            marker: false,
            payload_type: 0,
            sequence,
            timestamp: u32::from(sequence) * clock_hz / 50,
            ssrc: 1,
        }
    }

    /// A tone of 500 Hz as this law's octets.
    fn tone(law: Law, packet: u16) -> [u8; 160] {
        let mut octets = [0; 160];
        let samples: Vec<i16> = (0..160)
            .map(|n| {
                let at = f64::from(packet) * 160.0 + f64::from(n);
                ((at * 500.0 / 8000.0 * std::f64::consts::TAU).sin() * 8000.0) as i16
            })
            .collect();
        law.encode(&samples, &mut octets);
        octets
    }

    fn hearing(encoding: Encoding, also: Encoding) -> Hearing {
        let remote = ([127, 0, 0, 1], 9).into();
        Hearing::new(&StreamParams {
            also: vec![(8, also)],
            ..StreamParams::plain(encoding, 0, remote)
        })
        .unwrap()
    }

    #[test]
    fn both_laws_on_one_stream_are_one_sound() {
        let mut hearing = hearing(Encoding::Pcmu, Encoding::Pcma);
        let mut heard = Vec::new();
        let mut frame = Frame::silence(crate::media::AudioRate::Narrow);
        for packet in 0..40 {
            let now_us = u64::from(packet) * 20_000;
            let (encoding, law) = match packet % 3 {
                0 => (Encoding::Pcma, Law::A),
                _ => (Encoding::Pcmu, Law::Mu),
            };
            hearing.insert(now_us, encoding, &header(packet, 8000), &tone(law, packet));
            if hearing.pull(now_us, &mut frame) == Pulled::Audio {
                heard.extend_from_slice(frame.samples());
            }
        }
        assert!(heard.len() > 30 * 160, "{}", heard.len());
        // One period later it is the same, across every change of law.
        let tail = &heard[400..];
        assert!(tail.windows(17).all(|of| of[0].abs_diff(of[16]) < 900));
    }

    #[test]
    fn a_change_of_clock_begins_anew_and_is_heard() {
        let mut hearing = hearing(Encoding::Pcmu, Encoding::L16Wide);
        let mut frame = Frame::silence(crate::media::AudioRate::Narrow);
        let mut rates = Vec::new();
        for packet in 0..60 {
            let now_us = u64::from(packet) * 20_000;
            match packet {
                0..30 => {
                    let octets = tone(Law::Mu, packet);
                    hearing.insert(now_us, Encoding::Pcmu, &header(packet, 8000), &octets)
                }
                _ => {
                    let octets = [0x10; 640];
                    hearing.insert(now_us, Encoding::L16Wide, &header(packet, 16_000), &octets)
                }
            };
            if hearing.pull(now_us, &mut frame) == Pulled::Audio {
                rates.push(frame.rate().hz());
            }
        }
        assert!(rates.iter().filter(|hz| **hz == 8000).count() > 20);
        assert!(rates.iter().filter(|hz| **hz == 16_000).count() > 20);
        assert_eq!(frame.samples()[100], 0x1010);
    }
}
