//! The speaking half of a stream's codec: frames of 20 ms or ready G.711 octets in, payloads of the peer's packet time out.
//!
//! ```text
//!  frame ──rate──► samples ──encode──► octets ──┐
//!  prompt's octets ─────────────────────────────┴─► gathered ──► packets of 10 to 60 ms
//! ```
//!
//! Codecs that code sample by sample gather octets, so that a packet can be cut anywhere; Opus gathers samples and codes a packet at
//! once, with an encoder from the stock that is there only while it is needed: whoever is relayed or gets packets that others are sent,
//! too, has none. Made by the handle, boxed; never allocates afterwards. Knows nothing of RTP numbers and never sends.
//!
//! Limits: one datagram, [`LONGEST_PAYLOAD`] octets.

use trunkline_dsp::g722;

use super::codec::opus::{DTX_OCTETS, OpusEncoder, OpusError, OpusSettings};
use super::codec::{AudioRate, Encoder, Encoding, FRAME_MS, FRAME_SAMPLES};
use super::convert::Converter;
use super::frame::Frame;
use super::stock::Stock;

/// Packets that others made in place of the encoder's, after which it goes.
const UNUSED_PACKETS: u16 = 250;

/// Frames of 8 kHz in a row after which Opus leaves out what is above: 1 s.
const NARROW_FRAMES: u8 = 50;

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
    narrow_frames: u8,
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

/// What codes.
#[derive(Debug)]
enum Coder {
    Plain(Encoder),
    /// Opus, while it is needed.
    Opus(Option<Box<OpusEncoder>>),
}

/// Encodes and frames what one stream says.
///
/// In this order in memory: what is looked at where nothing is coded comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Voice {
    /// Length of the packets.
    ptime_ms: u32,
    /// ms that wait for the rest of their packet.
    gathered_ms: u32,
    encoding: Encoding,
    opus: OpusSettings,
    /// What the peer's reports make expect, per cent; see [`Voice::expect_loss`].
    expected_loss: u8,
    coder: Coder,
    /// Frames of 8 kHz in a row, up to [`NARROW_FRAMES`].
    narrow_frames: u8,
    /// Packets the encoder was not needed for since it was.
    unused: u16,
    converter: Converter,
    /// Room for a packet and what a frame leaves over.
    octets: Box<[u8]>,
    /// The same where the codec codes a packet at once.
    samples: Box<[i16]>,
}

impl Voice {
    /// `ptime_ms` is what the peer asked for. One for Opus is to be [equipped](Self::equip) before it is given anything.
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
            expected_loss: 0,
            coder: match encoding {
                Encoding::Opus => Coder::Opus(None),
                _ => Coder::Plain(Encoder::new(encoding, opus)?),
            },
            narrow_frames: 0,
            unused: 0,
            ptime_ms,
            converter: Converter::default(),
            gathered_ms: 0,
            octets: vec![0; octets].into(),
            samples: vec![0; samples].into(),
        })
    }

    /// The same with an encoder. Allocates for Opus.
    pub(crate) fn equipped(
        encoding: Encoding,
        opus: OpusSettings,
        ptime_ms: u8,
    ) -> Result<Voice, OpusError> {
        let mut voice = Voice::new(encoding, opus, ptime_ms)?;
        if let Coder::Opus(encoder) = &mut voice.coder {
            *encoder = Some(Box::new(OpusEncoder::new(opus)?));
        }
        Ok(voice)
    }

    /// Takes what it needs from the stock. Returns whether it has it: otherwise it cannot take anything now.
    pub(crate) fn equip(&mut self, stock: &Stock) -> bool {
        self.unused = 0;
        let settings = self.settings();
        let Coder::Opus(encoder) = &mut self.coder else {
            return true;
        };
        if encoder.is_none() {
            *encoder = stock.opus_encoder(settings);
        }
        encoder.is_some()
    }

    /// A packet went out that it did not make. Returns the encoder if that goes on for long, to be freed elsewhere.
    pub(crate) fn rest(&mut self) -> Option<Box<OpusEncoder>> {
        let Coder::Opus(encoder @ Some(_)) = &mut self.coder else {
            return None;
        };
        self.unused += 1;
        if self.unused < UNUSED_PACKETS {
            return None;
        }
        self.gathered_ms = 0;
        encoder.take()
    }

    /// The peer reports that so many of 256 packets were lost. Where Opus repeats what may be lost, it does so for at least that loss from
    /// now on, and forgets it slowly: packets without a copy are worth more to those who lose none.
    pub(crate) fn expect_loss(&mut self, of_256: u8) {
        let lost = (u32::from(of_256) * 100).div_ceil(256) as u8;
        let before = self.expected_loss;
        self.expected_loss = lost.max((u16::from(before) * 3 / 4) as u8);
        let settings = self.settings();
        if let Coder::Opus(Some(encoder)) = &mut self.coder
            && self.expected_loss != before
            && encoder.apply(settings).is_err()
        {
            self.expected_loss = before;
        }
    }

    /// What Opus is coded with just now.
    fn settings(&self) -> OpusSettings {
        OpusSettings {
            expected_loss_percent: self.expected_loss,
            narrow: self.opus.narrow || self.narrow_frames == NARROW_FRAMES,
            ..self.opus
        }
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
            narrow_frames: self.narrow_frames,
            converter: self.converter.clone(),
            g722: match &self.coder {
                Coder::Plain(Encoder::G722(encoder)) => Some(encoder.clone()),
                _ => None,
            },
        }
    }

    /// From here on it says what the voice of that past would say.
    pub(crate) fn go_on_from(&mut self, past: &Past) {
        self.narrow_frames = past.narrow_frames;
        let settings = self.settings();
        if let Coder::Opus(Some(encoder)) = &mut self.coder
            && encoder.apply(settings).is_err()
        {
            self.narrow_frames = 0;
        }
        if let (Coder::Opus(Some(_)), Some(said)) = (&self.coder, &past.said) {
            // Coded once more, for nobody, so that the next frame is coded as what follows it.
            self.take(Speech::Frame(said));
            self.cut(&mut [0; LONGEST_PAYLOAD]);
        }
        self.converter = past.converter.clone();
        if let (Coder::Plain(Encoder::G722(encoder)), Some(past)) = (&mut self.coder, &past.g722) {
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

    /// Opus codes the band that there is. It passes from one to the other within some seconds, where nobody hears it.
    fn follow_band(&mut self, frame: &Frame) {
        let before = self.settings();
        self.narrow_frames = match frame.rate() {
            AudioRate::Wide => 0,
            AudioRate::Narrow => NARROW_FRAMES.min(self.narrow_frames + 1),
        };
        let settings = self.settings();
        if let Coder::Opus(Some(encoder)) = &mut self.coder
            && settings != before
            && encoder.apply(settings).is_err()
        {
            self.narrow_frames = 0;
        }
    }

    fn take_frame(&mut self, frame: &Frame) {
        let rate = self.encoding.audio();
        if self.encoding == Encoding::Opus {
            self.follow_band(frame);
        }
        let mut space;
        let frame = if frame.rate() == rate {
            frame
        } else {
            space = Frame::silence(rate);
            self.converter.convert(frame, rate, &mut space);
            &space
        };
        let gathered = self.gathered_ms;
        let taken = match (&mut self.coder, self.encoding.octets_per_ms()) {
            (Coder::Plain(encoder), Some(octets_per_ms)) => {
                let from = gathered as usize * octets_per_ms;
                let room = self.octets.get_mut(from..).unwrap_or_default();
                encoder.encode(frame.samples(), room) > 0
            }
            _ => {
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
        let octets = match (&mut self.coder, self.encoding.octets_per_ms()) {
            (_, Some(octets_per_ms)) => {
                let [length, rest] = [ms, rest_ms].map(|ms| ms as usize * octets_per_ms);
                out[..length].copy_from_slice(&self.octets[..length]);
                self.octets.copy_within(length..length + rest, 0);
                length
            }
            (coder, None) => {
                let [length, rest] =
                    [ms, rest_ms].map(|ms| self.encoding.audio().samples_in_ms(ms));
                let coded = match coder {
                    Coder::Opus(Some(opus)) => opus.encode(&self.samples[..length], out),
                    _ => Ok(0),
                };
                // What is no longer than that is a pause.
                let octets = coded.unwrap_or(0);
                let octets = if octets > DTX_OCTETS { octets } else { 0 };
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

    #[test]
    fn an_encoder_of_opus_is_there_while_it_is_needed() {
        let stock = Stock::new().0;
        let mut voice = Voice::new(Encoding::Opus, OpusSettings::default(), 20).unwrap();
        let mut out = [0; LONGEST_PAYLOAD];
        let mut say = |voice: &mut Voice| {
            voice.take(Speech::Frame(&Frame::silence(AudioRate::Wide)));
            voice.cut(&mut out).map_or(0, |cut| cut.octets)
        };
        assert_eq!(say(&mut voice), 0);
        for _ in 0..2 {
            assert!(voice.rest().is_none() && voice.equip(&stock));
            assert!(say(&mut voice) > 0);
            let goes = (1..=UNUSED_PACKETS).find(|_| voice.rest().is_some());
            assert_eq!(goes, Some(UNUSED_PACKETS));
        }
        // Others need none.
        let mut voice = Voice::new(Encoding::G722, OpusSettings::default(), 20).unwrap();
        assert!(voice.equip(&stock) && say(&mut voice) == 160);
    }

    /// A tone that comes at one rate or the other is the same tone without a seam, in packets of the band that there is.
    #[test]
    fn opus_codes_the_band_that_there_is() {
        let mut voice = Voice::equipped(Encoding::Opus, OpusSettings::default(), 20).unwrap();
        let mut decoder = Decoder::new(Encoding::Opus).unwrap();
        let (mut configurations, mut heard) = (Vec::new(), Vec::new());
        for n in 0..1400 {
            let rate = match n {
                0..500 | 1000.. => AudioRate::Narrow,
                _ => AudioRate::Wide,
            };
            let mut frame = Frame::silence(rate);
            let length = rate.samples_per_frame();
            for (place, sample) in frame.samples_mut().iter_mut().enumerate() {
                let at = (n * length + place) as f64 / f64::from(rate.hz());
                *sample = ((at * 700.0 * std::f64::consts::TAU).sin() * 8000.0) as i16;
            }
            voice.take(Speech::Frame(&frame));
            let mut out = [0; LONGEST_PAYLOAD];
            let cut = voice.cut(&mut out).unwrap();
            // RFC 6716 section 3.1: below 4 SILK in the narrow band, 8 to 11 in the wide one.
            configurations.push(out[0] >> 3);
            let mut samples = [0; 1920];
            let length = decoder.decode(&out[..cut.octets], &mut samples).unwrap();
            heard.extend_from_slice(&samples[..length]);
        }
        let narrow = |at: usize| configurations[at] < 4;
        let wide = |at: usize| (8..12).contains(&configurations[at]);
        // Until it passes from one to the other smoothly it takes some seconds.
        assert!((450..500).all(narrow) && (1350..1400).all(narrow));
        assert!((0..50).all(wide) && (950..1000).all(wide));
        // Every 20 ms as loud as the tone, within 1 dB, from where the encoder has begun.
        for (frame, of) in heard.chunks(320).enumerate().skip(10) {
            let level = trunkline_dsp::level::dbm0(of);
            let tone =
                trunkline_dsp::level::FULL_SCALE_DBM0 + 20.0 * (8000.0f32 / 32_767.0).log10();
            assert!((level - tone).abs() < 1.0, "{frame}: {level} not {tone}");
        }
    }

    /// A fresh voice that goes on from one that coded narrow codes narrow from its first packet on.
    #[test]
    fn the_band_goes_on_with_the_voice() {
        let opus = || Voice::equipped(Encoding::Opus, OpusSettings::default(), 20).unwrap();
        let (mut one, mut other) = (opus(), opus());
        let frame = Frame::silence(AudioRate::Narrow);
        let say = |voice: &mut Voice| {
            let mut out = [0; LONGEST_PAYLOAD];
            voice.take(Speech::Frame(&frame));
            voice.cut(&mut out).map(|_| out[0] >> 3)
        };
        let before = (0..600).map(|_| say(&mut one)).last().flatten();
        other.go_on_from(&one.past(Some(&frame)));
        let after = say(&mut other);
        assert!(before < Some(4) && after < Some(4), "{before:?} {after:?}");
    }

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
