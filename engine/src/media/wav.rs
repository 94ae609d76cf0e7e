//! WAV files: reads what prompts come in, and the header of what recordings go out with.
//!
//! Reads PCM of 8 to 32 bits, float, µ-law and A-law, up to eight channels (mixed), 4 to 192 kHz; chunks in any order, lengths of 0 or 0xFFFFFFFF of writers that
//! could not seek, and files that end early. Refuses everything else by name.

use trunkline_dsp::g711;

/// Octets of the header [`header`] writes.
pub(crate) const HEADER_LEN: usize = 44;

/// Rates that are read.
const RATES: std::ops::RangeInclusive<u32> = 4000..=192_000;

/// The audio of a file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Audio {
    /// Samples per second.
    pub(crate) rate_hz: u32,
    /// Mono samples.
    pub(crate) samples: Vec<i16>,
}

/// The `fmt ` chunk.
struct Format {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    bits: u16,
}

/// Reads a whole file.
pub(crate) fn read(file: &[u8]) -> Result<Audio, String> {
    let (b"RIFF", Some(b"WAVE")) = (file.get(..4).unwrap_or_default(), file.get(8..12)) else {
        return Err("not a WAV file (no RIFF/WAVE header)".into());
    };
    let mut rest = &file[12..];
    let mut format = None;
    while let Some((head, after)) = rest.split_first_chunk::<8>() {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let body = &after[..length.min(after.len())];
        match &head[..4] {
            b"fmt " => format = Some(read_format(body)?),
            b"data" => {
                let format = format.ok_or("the data chunk comes before the fmt chunk")?;
                // Writers that stream leave 0 or 0xFFFFFFFF: all that follows is audio.
                return decode(&format, if length == 0 { after } else { body });
            }
            _ => {}
        }
        rest = after
            .get(length.saturating_add(length % 2)..)
            .unwrap_or_default();
    }
    Err("no data chunk".into())
}

fn read_format(body: &[u8]) -> Result<Format, String> {
    let field = |at: usize| {
        body.get(at..at + 2)
            .map(|octets| u16::from_le_bytes([octets[0], octets[1]]))
    };
    let [
        Some(mut tag),
        Some(channels),
        Some(low),
        Some(high),
        Some(bits),
    ] = [0, 2, 4, 6, 14].map(field)
    else {
        return Err("the fmt chunk is too short".into());
    };
    if tag == 0xFFFE {
        tag = field(24).ok_or("the extensible fmt chunk is too short")?;
    }
    Ok(Format {
        tag,
        channels,
        rate_hz: u32::from(high) << 16 | u32::from(low),
        bits,
    })
}

fn decode(format: &Format, data: &[u8]) -> Result<Audio, String> {
    if !RATES.contains(&format.rate_hz) {
        return Err(format!(
            "{} Hz; {} to {} Hz are understood",
            format.rate_hz,
            RATES.start(),
            RATES.end()
        ));
    }
    let samples: Vec<i16> = match (format.tag, format.bits) {
        (1, 8) => {
            let samples = data.iter().map(|octet| i16::from(*octet) - 128);
            samples.map(|sample| sample << 8).collect()
        }
        (1, 16) => each(data, i16::from_le_bytes),
        (1, 24) => each(data, |[_, low, high]| i16::from_le_bytes([low, high])),
        (1, 32) => each(data, |[_, _, low, high]| i16::from_le_bytes([low, high])),
        // The conversion saturates, and makes 0 of what is no number.
        (3, 32) => each(data, |octets| {
            (f32::from_le_bytes(octets) * 32_768.0) as i16
        }),
        (6, 8) => data.iter().map(|octet| g711::alaw_decode(*octet)).collect(),
        (7, 8) => data.iter().map(|octet| g711::ulaw_decode(*octet)).collect(),
        (tag, bits) => {
            return Err(format!(
                "format {tag} with {bits} bits; PCM of 8, 16, 24 and 32 bits (1), float of 32 bits (3), A-law (6) and µ-law (7) are understood"
            ));
        }
    };
    Ok(Audio {
        rate_hz: format.rate_hz,
        samples: mixed(samples, format.channels)?,
    })
}

/// Samples of `N` octets each.
fn each<const N: usize>(data: &[u8], sample: impl Fn([u8; N]) -> i16) -> Vec<i16> {
    let octets = data.as_chunks::<N>().0.iter();
    octets.map(|octets| sample(*octets)).collect()
}

/// One channel of all.
fn mixed(samples: Vec<i16>, channels: u16) -> Result<Vec<i16>, String> {
    if channels == 1 {
        return Ok(samples);
    }
    if !(1..=8).contains(&channels) {
        return Err(format!("{channels} channels; 1 to 8 are understood"));
    }
    let frames = samples.chunks_exact(usize::from(channels));
    let mean = |frame: &[i16]| {
        let sum: i32 = frame.iter().map(|sample| i32::from(*sample)).sum();
        (sum / i32::from(channels)) as i16
    };
    Ok(frames.map(mean).collect())
}

/// The audio of a file that is written: 16-bit PCM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Samples per second of each channel.
    pub(crate) rate_hz: u32,
    /// 1 or 2.
    pub(crate) channels: u16,
}

/// The header of a 16-bit PCM file with `data` octets of audio, and so many octets of chunks after it. At most 2^31 octets are stated.
pub(crate) fn header(shape: Shape, data: u64, after: u32) -> [u8; HEADER_LEN] {
    let data = data.min(0x7FFF_FF00) as u32;
    let sample = shape.channels * 2;
    let mut out = [0; HEADER_LEN];
    let mut at = 0;
    let mut put = |octets: &[u8]| {
        out[at..at + octets.len()].copy_from_slice(octets);
        at += octets.len();
    };
    put(b"RIFF");
    put(&(data + after + HEADER_LEN as u32 - 8).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16u32.to_le_bytes());
    put(&1u16.to_le_bytes()); // PCM
    put(&shape.channels.to_le_bytes());
    put(&shape.rate_hz.to_le_bytes());
    put(&(shape.rate_hz * u32::from(sample)).to_le_bytes()); // octets per second
    put(&sample.to_le_bytes()); // octets per sample of all channels
    put(&16u16.to_le_bytes()); // bits per sample
    put(b"data");
    put(&data.to_le_bytes());
    out
}

/// Samples of one channel as a WAV file.
pub fn file(rate_hz: u32, samples: &[i16]) -> Vec<u8> {
    let shape = Shape {
        rate_hz,
        channels: 1,
    };
    let mut file = header(shape, samples.len() as u64 * 2, 0).to_vec();
    file.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    file
}

/// A chunk with a comment (`LIST`/`INFO`/`ICMT`), to be put behind the audio.
pub(crate) fn comment(text: &str) -> Vec<u8> {
    let padded = (text.len() + 2) & !1; // a zero at the end, an even length
    let mut out = b"LIST".to_vec();
    out.extend((4 + 8 + padded as u32).to_le_bytes());
    out.extend(b"INFOICMT");
    out.extend((padded as u32).to_le_bytes());
    out.extend(text.as_bytes());
    out.resize(20 + padded, 0);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(
        tag: u16,
        channels: u16,
        rate_hz: u32,
        bits: u16,
        data_length: u32,
        data: &[u8],
    ) -> Vec<u8> {
        let mut file = b"RIFF\xFF\xFF\xFF\xFFWAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0".to_vec();
        file.extend(tag.to_le_bytes());
        file.extend(channels.to_le_bytes());
        file.extend(rate_hz.to_le_bytes());
        file.extend((rate_hz * 2).to_le_bytes());
        file.extend([2, 0]);
        file.extend(bits.to_le_bytes());
        file.extend(b"data");
        file.extend(data_length.to_le_bytes());
        file.extend(data);
        file
    }

    #[test]
    fn what_is_understood() {
        let mono = |rate_hz, samples: &[i16]| {
            Ok(Audio {
                rate_hz,
                samples: samples.to_vec(),
            })
        };
        let cases: Vec<(&str, Vec<u8>, Result<Audio, String>)> = vec![
            (
                "PCM after an odd chunk",
                file(1, 1, 8000, 16, 4, &[1, 0, 2, 0]),
                mono(8000, &[1, 2]),
            ),
            (
                "16 kHz",
                file(1, 1, 16_000, 16, 4, &[1, 0, 2, 0]),
                mono(16_000, &[1, 2]),
            ),
            (
                "stereo",
                file(1, 2, 8000, 16, 4, &[2, 0, 4, 0]),
                mono(8000, &[3]),
            ),
            (
                "µ-law",
                file(7, 1, 8000, 8, 2, &[0xFF, 0]),
                mono(8000, &[0, -32_124]),
            ),
            ("A-law", file(6, 1, 8000, 8, 1, &[0xD5]), mono(8000, &[8])),
            (
                "8 bits",
                file(1, 1, 8000, 8, 3, &[0, 128, 255]),
                mono(8000, &[-32_768, 0, 32_512]),
            ),
            (
                "24 bits, six channels",
                file(1, 6, 48_000, 24, 18, &[9, 6, 0].repeat(6)),
                mono(48_000, &[6]),
            ),
            (
                "32 bits",
                file(1, 1, 44_100, 32, 4, &[9, 9, 5, 0]),
                mono(44_100, &[5]),
            ),
            (
                "float",
                file(
                    3,
                    1,
                    8000,
                    32,
                    12,
                    &[0.5f32, -2.0, f32::NAN].map(f32::to_le_bytes).concat(),
                ),
                mono(8000, &[16_384, -32_768, 0]),
            ),
            (
                "streamed, unknown length",
                file(1, 1, 8000, 16, u32::MAX, &[1, 0, 2, 0]),
                mono(8000, &[1, 2]),
            ),
            (
                "streamed, length 0",
                file(1, 1, 8000, 16, 0, &[1, 0, 2, 0]),
                mono(8000, &[1, 2]),
            ),
            (
                "cut in a sample",
                file(1, 1, 8000, 16, 4, &[1, 0, 2]),
                mono(8000, &[1]),
            ),
        ];
        for (name, file, expected) in cases {
            assert_eq!(read(&file), expected, "{name}");
        }
    }

    #[test]
    fn what_is_refused_and_why() {
        for (file, word) in [
            (file(1, 1, 3999, 16, 0, &[]), "3999 Hz"),
            (file(1, 1, 8000, 12, 0, &[]), "12 bits"),
            (file(3, 1, 8000, 64, 0, &[]), "format 3"),
            (file(49, 1, 8000, 0, 0, &[]), "format 49"),
            (file(1, 0, 8000, 16, 0, &[]), "0 channels"),
            (file(1, 9, 8000, 16, 0, &[]), "9 channels"),
            (b"ID3".to_vec(), "RIFF"),
            (b"RIFF\0\0\0\0WAVE".to_vec(), "data"),
            (b"RIFF\0\0\0\0WAVEdata\0\0\0\0".to_vec(), "before"),
            (
                b"RIFF\0\0\0\0WAVEfmt \x02\0\0\0\x01\0".to_vec(),
                "too short",
            ),
        ] {
            let error = read(&file).unwrap_err();
            assert!(error.contains(word), "{error}");
        }
    }

    #[test]
    fn an_extensible_header_names_its_format_later() {
        let mut file = file(0xFFFE, 1, 8000, 16, 2, &[5, 0]);
        let fmt = file
            .windows(4)
            .position(|window| window == b"fmt ")
            .unwrap();
        let extension: Vec<u8> = [22, 0, 16, 0, 4, 0, 0, 0, 1, 0]
            .into_iter()
            .chain([0; 14])
            .collect();
        file[fmt + 4] = 40;
        file.splice(fmt + 24..fmt + 24, extension);
        assert_eq!(read(&file).unwrap().samples, [5]);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(samples in proptest::collection::vec(any::<i16>(), 1..500), text in "[ -~]{0,50}") {
            let shape = Shape { rate_hz: 8000, channels: 1 };
            let list = comment(&text);
            let mut file = header(shape, samples.len() as u64 * 2, list.len() as u32).to_vec();
            samples.iter().for_each(|sample| file.extend(sample.to_le_bytes()));
            file.extend(&list);
            prop_assert_eq!(file.len() as u32 - 8, u32::from_le_bytes([file[4], file[5], file[6], file[7]]));
            prop_assert_eq!(read(&file), Ok(Audio { rate_hz: 8000, samples }));
        }

        #[test]
        fn no_file_panics(body in proptest::collection::vec(any::<u8>(), 0..200), formatted: bool) {
            let start: &[u8] = if formatted { b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1F\0\0\x80\x3E\0\0\x02\0\x10\0" } else { b"RIFF\0\0\0\0WAVE" };
            let _ = read(&[start, &body].concat());
        }
    }
}
