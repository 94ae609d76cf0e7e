//! The listening half of a stream's codec: packets of every payload type that was agreed in, frames of 20 ms out.
//!
//! A peer may switch between the codecs it named without a word. PCMU and PCMA are told apart octet by octet, so that nothing is lost
//! between them; with any other change the playout begins anew. A channel has one while somebody listens to it: taken from the stock, where
//! it was made for any codec, and never allocating afterwards.

use trunkline_dsp::comfort::{Noise, Silence};

use super::codec::{AudioRate, Decoder, Encoding, Law};
use super::frame::Frame;
use super::playout::{FarRoom, FarSize, Playout, PlayoutStats, Pulled};
use super::stock::Stock;
use super::voice::LONGEST_PAYLOAD;
use crate::net::prefetch::prefetch;
use crate::rtp::jitter::Inserted;
use crate::rtp::packet::Header;

/// Playout and decoder of one source.
#[derive(Debug)]
pub(crate) struct Hearing {
    playout: Playout,
    /// What the playout is for.
    present: Encoding,
    /// Of the last encoding that was not Opus.
    plain: Decoder,
    /// From the stock, once Opus came.
    opus: Option<Box<Decoder>>,
    /// What the peer's pauses sound like, if it said so.
    silence: Option<Silence>,
    noise: Noise,
}

impl Default for Hearing {
    /// One for PCMU. Allocates.
    fn default() -> Hearing {
        Hearing {
            playout: Playout::new(Encoding::Pcmu),
            present: Encoding::Pcmu,
            plain: Decoder::G711(Law::Mu),
            opus: None,
            silence: None,
            noise: Noise::new(1),
        }
    }
}

impl Hearing {
    /// Begins anew in an encoding. Returns whether it could: the stock may have no decoder just now.
    pub(crate) fn tune(&mut self, stock: &Stock, encoding: Encoding) -> bool {
        match Decoder::plain(encoding) {
            Some(decoder) => self.plain = decoder,
            None if self.opus.is_some() => {}
            None => match stock.opus() {
                Some(decoder) => self.opus = Some(decoder),
                None => return false,
            },
        }
        self.present = encoding;
        self.playout.reset(encoding);
        true
    }

    /// Begins to fetch what the next frame of a steady stream needs into the cache.
    pub(crate) fn fetch_ahead(&self) {
        self.playout.fetch_ahead();
        prefetch(&self.present, 1);
        prefetch(&self.plain, 1);
        prefetch(&self.opus, 1);
    }

    /// Takes an audio packet. Returns whether it came too late.
    pub(crate) fn insert(
        &mut self,
        stock: &Stock,
        now_us: u64,
        encoding: Encoding,
        header: &Header,
        payload: &[u8],
    ) -> bool {
        if let Some(size) = self.playout.needs_room_for(payload.len()) {
            self.take_room(stock, size);
        }
        let present = self.present;
        let inserted = match (encoding.law(), present.law()) {
            _ if encoding == present => self.playout.insert(now_us, header, payload),
            (Some(from), Some(to)) => self.insert_converted(now_us, from, to, header, payload),
            _ if self.tune(stock, encoding) => self.playout.insert(now_us, header, payload),
            _ => Inserted::Refused,
        };
        inserted == Inserted::Late
    }

    fn take_room(&mut self, stock: &Stock, size: FarSize) {
        if let Some(room) = stock.far_room(size) {
            self.playout.lend(room);
        }
    }

    /// Room that it does not need any more, to be freed elsewhere. To be asked after each frame.
    pub(crate) fn give_back(&mut self) -> Option<Box<FarRoom>> {
        self.playout.give_back()
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

    /// Takes note of a packet without audio (an event), so that its number is not missed.
    pub(crate) fn skip(&mut self, sequence: u16) {
        self.playout.skip(sequence);
    }

    /// Takes comfort noise (RFC 3389): the peer is silent from now on, and sounds like this until its audio goes on.
    pub(crate) fn quieten(&mut self, sequence: u16, payload: &[u8]) {
        self.silence = Silence::parse(payload);
        if let Some(silence) = &self.silence {
            self.noise.become_like(silence);
        }
        self.playout.quieten(sequence);
    }

    /// What the playout did, and the rate of its samples.
    pub(crate) fn stats(&self) -> (PlayoutStats, AudioRate) {
        (self.playout.stats(), self.playout.rate())
    }

    /// Sequence numbers and timestamps begin anew.
    pub(crate) fn forget(&mut self) {
        if let Some(fresh) = Decoder::plain(self.present) {
            self.plain = fresh;
        }
        self.playout.reset(self.present);
        self.silence = None;
    }

    /// Whether a pause of the peer is anything but silent.
    pub(crate) fn has_noise(&self) -> bool {
        self.silence.is_some()
    }

    /// The next frame. To be called every 20 ms.
    pub(crate) fn pull(&mut self, stock: &Stock, now_us: u64, out: &mut Frame) -> Pulled {
        if self.playout.needs_room() {
            self.take_room(stock, FarSize::Whole);
        }
        let decoder = match &mut self.opus {
            Some(opus) if self.present == Encoding::Opus => opus,
            _ => &mut self.plain,
        };
        let pulled = self.playout.pull(now_us, decoder, out);
        match pulled {
            Pulled::Comfort if self.silence.is_some() => {
                let rate = self.playout.rate();
                self.noise.fill(out.fill_at(rate));
            }
            Pulled::Idle => self.silence = None,
            Pulled::Comfort | Pulled::Audio | Pulled::Concealed(_) => {}
        }
        pulled
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

    fn hearing() -> (Hearing, Stock) {
        (Hearing::default(), Stock::new().0)
    }

    #[test]
    fn both_laws_on_one_stream_are_one_sound() {
        let (mut hearing, stock) = hearing();
        let mut heard = Vec::new();
        let mut frame = Frame::silence(crate::media::AudioRate::Narrow);
        for packet in 0..40 {
            let now_us = u64::from(packet) * 20_000;
            let (encoding, law) = match packet % 3 {
                0 => (Encoding::Pcma, Law::A),
                _ => (Encoding::Pcmu, Law::Mu),
            };
            let octets = tone(law, packet);
            hearing.insert(&stock, now_us, encoding, &header(packet, 8000), &octets);
            if hearing.pull(&stock, now_us, &mut frame) == Pulled::Audio {
                heard.extend_from_slice(frame.samples());
            }
        }
        assert!(heard.len() > 30 * 160, "{}", heard.len());
        // One period later it is the same, across every change of law.
        let tail = &heard[400..];
        assert!(tail.windows(17).all(|of| of[0].abs_diff(of[16]) < 900));
    }

    #[test]
    fn a_pause_sounds_as_the_peer_said_until_it_speaks_again() {
        for encoding in [Encoding::Pcmu, Encoding::L16Wide] {
            let (mut hearing, stock) = hearing();
            hearing.tune(&stock, encoding);
            let hz = encoding.clock().hz();
            let mut frame = Frame::silence(encoding.audio());
            let mut pause = Vec::new();
            for packet in 0..100u16 {
                let now_us = u64::from(packet) * 20_000;
                let header = Header {
                    sequence: packet - if packet < 70 { 0 } else { 39 },
                    ..header(packet, hz)
                };
                match packet {
                    // -50 dBov, which is -46.99 - 3.01 + 6.18 dBm0
                    30 => hearing.quieten(packet, &[50]),
                    31..70 => {}
                    _ => {
                        let octets = encoding.octets_per_ms().unwrap_or(8) * 20;
                        hearing.insert(&stock, now_us, encoding, &header, &vec![0x20; octets]);
                    }
                };
                match (hearing.pull(&stock, now_us, &mut frame), packet) {
                    (Pulled::Comfort, _) => pause.extend_from_slice(frame.samples()),
                    (_, 90..) => assert!(frame.samples().iter().any(|of| of.unsigned_abs() > 2000)),
                    _ => {}
                }
            }
            assert!(pause.len() > 20 * encoding.audio().samples_per_frame());
            let level = trunkline_dsp::level::dbm0(&pause);
            let told = Silence::parse(&[50]).unwrap().dbm0();
            assert!(
                (level - told).abs() < 1.0,
                "{encoding:?}: {level} not {told}"
            );
        }
    }

    #[test]
    fn a_change_of_clock_begins_anew_and_is_heard() {
        let (mut hearing, stock) = hearing();
        let mut frame = Frame::silence(crate::media::AudioRate::Narrow);
        let mut rates = Vec::new();
        for packet in 0..60 {
            let now_us = u64::from(packet) * 20_000;
            match packet {
                0..30 => {
                    let octets = tone(Law::Mu, packet);
                    let header = header(packet, 8000);
                    hearing.insert(&stock, now_us, Encoding::Pcmu, &header, &octets)
                }
                _ => {
                    let octets = [0x10; 640];
                    let header = header(packet, 16_000);
                    hearing.insert(&stock, now_us, Encoding::L16Wide, &header, &octets)
                }
            };
            if hearing.pull(&stock, now_us, &mut frame) == Pulled::Audio {
                rates.push(frame.rate().hz());
            }
        }
        assert!(rates.iter().filter(|hz| **hz == 8000).count() > 20);
        assert!(rates.iter().filter(|hz| **hz == 16_000).count() > 20);
        assert_eq!(frame.samples()[100], 0x1010);
    }
}
