//! The state of one stream's codec: what turns payloads into linear audio, and audio into payloads.
//!
//! Made by the handle, carried to the shard in a boxed order and given to the reaper to be freed: decoding and encoding never allocate.

use trunkline_dsp::g722;

use super::opus::{DTX_OCTETS, OpusDecoder, OpusEncoder, OpusError, OpusSettings, packet};
use super::{AudioRate, Encoding, Law};

/// Why a payload gave no audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DecodeError {
    /// It is none of the encoding.
    Malformed,
    /// It holds more audio than there is room for.
    TooLong,
}

/// Turns the payloads of one stream into linear audio.
#[derive(Debug)]
pub enum Decoder {
    /// Without state: each octet is a sample.
    G711(Law),
    /// Without state: each two octets are a sample.
    L16(AudioRate),
    /// G.722 at 64 kbit/s.
    G722(g722::Decoder),
    /// Opus, heard at 16 kHz.
    Opus(OpusDecoder),
}

impl Decoder {
    /// The decoder of an encoding, with nothing heard yet. Allocates for Opus.
    ///
    /// # Errors
    /// When the codec library cannot make one.
    pub fn new(encoding: Encoding) -> Result<Decoder, OpusError> {
        match Decoder::plain(encoding) {
            Some(decoder) => Ok(decoder),
            None => OpusDecoder::new().map(Decoder::Opus),
        }
    }

    /// The same for encodings that need no memory of their own: all but Opus. Never allocates.
    pub(crate) fn plain(encoding: Encoding) -> Option<Decoder> {
        Some(match encoding {
            Encoding::Pcmu => Decoder::G711(Law::Mu),
            Encoding::Pcma => Decoder::G711(Law::A),
            Encoding::L16Narrow => Decoder::L16(AudioRate::Narrow),
            Encoding::L16Wide => Decoder::L16(AudioRate::Wide),
            Encoding::G722 => Decoder::G722(g722::Decoder::default()),
            Encoding::Opus => return None,
        })
    }

    /// The rate of the audio it gives.
    pub fn rate(&self) -> AudioRate {
        match self {
            Decoder::G711(_) => AudioRate::Narrow,
            Decoder::L16(rate) => *rate,
            Decoder::G722(_) | Decoder::Opus(_) => AudioRate::Wide,
        }
    }

    /// Writes the audio of a payload and says how many samples it is, at [`rate`](Self::rate).
    ///
    /// # Errors
    /// When the payload is malformed or longer than `out`; nothing is to be read from `out` then.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        match self {
            Decoder::G711(law) => {
                let out = out.get_mut(..payload.len()).ok_or(DecodeError::TooLong)?;
                law.decode(payload, out);
                Ok(payload.len())
            }
            Decoder::L16(_) => decode_l16(payload, out),
            Decoder::G722(g722) => {
                let out = out
                    .get_mut(..2 * payload.len())
                    .ok_or(DecodeError::TooLong)?;
                Ok(g722.decode(payload, out))
            }
            Decoder::Opus(opus) => opus.decode(payload, out).map_err(|error| match error {
                OpusError::Room => DecodeError::TooLong,
                _ => DecodeError::Malformed,
            }),
        }
    }

    /// Takes note of what is heard in place of packets that did not come, `made`, and of what would follow, where that helps to decode those
    /// that do (G.722).
    pub fn follow(&mut self, made: &[i16], beyond: &[i16; g722::DELAY]) {
        if let Decoder::G722(g722) = self {
            g722.follow(made, beyond);
        }
    }

    /// Writes audio for a gap of the length of `out` where the codec has its own way (Opus: RFC 6716 section 4.4). Returns whether it has.
    pub fn conceal(&mut self, out: &mut [i16]) -> bool {
        match self {
            Decoder::Opus(opus) => opus.conceal(out) == Ok(out.len()),
            Decoder::G711(_) | Decoder::L16(_) | Decoder::G722(_) => false,
        }
    }

    /// Writes the audio of the packet before `next` from what `next` repeats of it (Opus: RFC 6716 section 2.1.7). Returns whether
    /// it does repeat anything, and did.
    pub fn recover(&mut self, next: &[u8], out: &mut [i16]) -> bool {
        match self {
            Decoder::Opus(opus) => {
                packet::head(next).is_some_and(|head| head.redundancy)
                    && opus.recover(next, out) == Ok(out.len())
            }
            Decoder::G711(_) | Decoder::L16(_) | Decoder::G722(_) => false,
        }
    }
}

/// Turns linear audio into the payloads of one stream.
#[derive(Debug)]
pub enum Encoder {
    /// Without state: each sample is an octet.
    G711(Law),
    /// Without state: each sample is two octets.
    L16(AudioRate),
    /// G.722 at 64 kbit/s.
    G722(g722::Encoder),
    /// Opus of audio at 16 kHz.
    Opus(OpusEncoder),
}

impl Encoder {
    /// The encoder of an encoding, with nothing said yet. Allocates.
    ///
    /// # Errors
    /// When the codec library cannot make one.
    pub fn new(encoding: Encoding, opus: OpusSettings) -> Result<Encoder, OpusError> {
        Ok(match encoding {
            Encoding::Pcmu => Encoder::G711(Law::Mu),
            Encoding::Pcma => Encoder::G711(Law::A),
            Encoding::L16Narrow => Encoder::L16(AudioRate::Narrow),
            Encoding::L16Wide => Encoder::L16(AudioRate::Wide),
            Encoding::G722 => Encoder::G722(g722::Encoder::new()),
            Encoding::Opus => Encoder::Opus(OpusEncoder::new(opus)?),
        })
    }

    /// The rate of the audio it takes.
    pub fn rate(&self) -> AudioRate {
        match self {
            Encoder::G711(_) => AudioRate::Narrow,
            Encoder::L16(rate) => *rate,
            Encoder::G722(_) | Encoder::Opus(_) => AudioRate::Wide,
        }
    }

    /// Encodes samples at [`rate`](Self::rate) and returns the octets written; 0 where `out` is too short or there is nothing to send.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        match self {
            Encoder::G711(law) => {
                let Some(out) = out.get_mut(..samples.len()) else {
                    return 0;
                };
                law.encode(samples, out);
                samples.len()
            }
            Encoder::L16(_) => encode_l16(samples, out),
            Encoder::G722(g722) => g722.encode(samples, out),
            Encoder::Opus(opus) => match opus.encode(samples, out) {
                Ok(octets) if octets > DTX_OCTETS => octets,
                Ok(_) | Err(_) => 0,
            },
        }
    }
}

fn decode_l16(payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
    let (pairs, rest) = payload.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(DecodeError::Malformed);
    }
    let out = out.get_mut(..pairs.len()).ok_or(DecodeError::TooLong)?;
    for (sample, pair) in out.iter_mut().zip(pairs) {
        *sample = i16::from_be_bytes(*pair);
    }
    Ok(pairs.len())
}

fn encode_l16(samples: &[i16], out: &mut [u8]) -> usize {
    let Some(out) = out.get_mut(..samples.len() * 2) else {
        return 0;
    };
    for (pair, sample) in out.as_chunks_mut::<2>().0.iter_mut().zip(samples) {
        *pair = sample.to_be_bytes();
    }
    samples.len() * 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoder(encoding: Encoding) -> Encoder {
        Encoder::new(encoding, OpusSettings::default()).unwrap()
    }

    fn decoder(encoding: Encoding) -> Decoder {
        Decoder::new(encoding).unwrap()
    }

    #[test]
    fn linear_samples_come_back_as_they_went() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN, 0x1234];
        let (mut octets, mut back) = ([0; 12], [0; 6]);
        for encoding in [Encoding::L16Narrow, Encoding::L16Wide] {
            assert_eq!(encoder(encoding).encode(&samples, &mut octets), 12);
            assert_eq!(octets[10..], [0x12, 0x34]);
            assert_eq!(decoder(encoding).decode(&octets, &mut back), Ok(6));
            assert_eq!(back, samples);
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut out = [0; 4];
        for (encoding, payload, error) in [
            (Encoding::Pcmu, &[0u8; 5][..], DecodeError::TooLong),
            (Encoding::L16Wide, &[0; 10], DecodeError::TooLong),
            (Encoding::L16Narrow, &[0; 3], DecodeError::Malformed),
        ] {
            assert_eq!(decoder(encoding).decode(payload, &mut out), Err(error));
        }
        assert_eq!(encoder(Encoding::Pcma).encode(&[0; 5], &mut [0; 4]), 0);
        assert_eq!(encoder(Encoding::L16Wide).encode(&[0; 3], &mut [0; 4]), 0);
    }

    #[test]
    fn more_room_than_needed_changes_nothing() {
        let samples: Vec<i16> = (0..3200).map(|n| (n * 37 % 9000) as i16).collect();
        for encoding in Encoding::ALL {
            let (mut exact, mut ample) = (encoder(encoding), encoder(encoding));
            for frame in samples.chunks(320) {
                let (mut large, mut small) = ([0; 1280], [0; 1280]);
                let octets = ample.encode(frame, &mut large);
                let room = encoding.octets_per_ms().map_or(1280, |_| octets);
                assert_eq!(exact.encode(frame, &mut small[..room]), octets);
                assert_eq!(large[..octets], small[..octets], "{encoding:?}");
            }
        }
    }
}
