//! The state of one stream's codec: what turns payloads into linear audio, and audio into payloads.
//!
//! Made by the handle, carried to the shard in a boxed order and given to the reaper to be freed: decoding and encoding never allocate.

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
}

impl Decoder {
    /// The decoder of an encoding, with nothing heard yet.
    pub fn new(encoding: Encoding) -> Decoder {
        match encoding {
            Encoding::Pcmu => Decoder::G711(Law::Mu),
            Encoding::Pcma => Decoder::G711(Law::A),
            Encoding::L16Narrow => Decoder::L16(AudioRate::Narrow),
            Encoding::L16Wide | Encoding::G722 | Encoding::Opus => Decoder::L16(AudioRate::Wide),
        }
    }

    /// The rate of the audio it gives.
    pub fn rate(&self) -> AudioRate {
        match self {
            Decoder::G711(_) => AudioRate::Narrow,
            Decoder::L16(rate) => *rate,
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
        }
    }

    /// Writes audio for a gap of the length of `out` where the codec has its own way (Opus: RFC 6716 section 4.4). Returns whether it has.
    pub fn conceal(&mut self, _out: &mut [i16]) -> bool {
        false
    }

    /// Writes the audio of the packet before `next` from what `next` repeats of it (Opus: RFC 6716 section 2.1.7). Returns whether
    /// it repeats any.
    pub fn recover(&mut self, _next: &[u8], _out: &mut [i16]) -> bool {
        false
    }
}

/// Turns linear audio into the payloads of one stream.
#[derive(Debug)]
pub enum Encoder {
    /// Without state: each sample is an octet.
    G711(Law),
    /// Without state: each sample is two octets.
    L16(AudioRate),
}

impl Encoder {
    /// The encoder of an encoding, with nothing said yet.
    pub fn new(encoding: Encoding) -> Encoder {
        match encoding {
            Encoding::Pcmu => Encoder::G711(Law::Mu),
            Encoding::Pcma => Encoder::G711(Law::A),
            Encoding::L16Narrow => Encoder::L16(AudioRate::Narrow),
            Encoding::L16Wide | Encoding::G722 | Encoding::Opus => Encoder::L16(AudioRate::Wide),
        }
    }

    /// The rate of the audio it takes.
    pub fn rate(&self) -> AudioRate {
        match self {
            Encoder::G711(_) => AudioRate::Narrow,
            Encoder::L16(rate) => *rate,
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

    #[test]
    fn linear_samples_come_back_as_they_went() {
        let samples = [0, 1, -1, i16::MAX, i16::MIN, 0x1234];
        let (mut octets, mut back) = ([0; 12], [0; 6]);
        for encoding in [Encoding::L16Narrow, Encoding::L16Wide] {
            assert_eq!(Encoder::new(encoding).encode(&samples, &mut octets), 12);
            assert_eq!(octets[10..], [0x12, 0x34]);
            assert_eq!(Decoder::new(encoding).decode(&octets, &mut back), Ok(6));
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
            assert_eq!(Decoder::new(encoding).decode(payload, &mut out), Err(error));
        }
        assert_eq!(Encoder::new(Encoding::Pcma).encode(&[0; 5], &mut [0; 4]), 0);
        assert_eq!(
            Encoder::new(Encoding::L16Wide).encode(&[0; 3], &mut [0; 4]),
            0
        );
    }
}
