//! Audio files as prompts: whatever format and rate they come in, they become mono samples at 8 or 16 kHz.
//!
//! WAV and headerless files are read by `wav.rs` and here; MP3, FLAC, Ogg/Vorbis and Ogg/Opus by `compressed.rs`; `rate.rs` converts the rate. The
//! content decides, not the name: only headerless files are told by their extension. Never touches a file or a network. Limit: 30 minutes of audio.

mod compressed;
mod rate;

use super::wav::{self, Audio};
use rate::Converter;

/// Longest audio, in seconds.
pub(crate) const MAX_SECONDS: usize = 30 * 60;

/// Tried in this order when a key names none.
pub(crate) const EXTENSIONS: [&str; 12] = [
    "sln16", "slin16", "wav", "sln", "slin", "raw", "flac", "opus", "ogg", "oga", "mp3", "wave",
];

/// Formats that a file's first octets tell.
const SIGNATURES: [(&[u8], Kind); 4] = [
    (b"RIFF", Kind::Wav),
    (b"OggS", Kind::Compressed("ogg")),
    (b"fLaC", Kind::Compressed("flac")),
    (b"ID3", Kind::Compressed("mp3")),
];

#[derive(Clone, Copy)]
enum Kind {
    Wav,
    /// Named by the hint for the reader.
    Compressed(&'static str),
    Headerless(u32),
}

/// Reads a whole file; `extension` (any case, without its dot) tells the rate of headerless ones. The audio is at 8 kHz where the file has no more,
/// else at 16 kHz.
///
/// # Errors
/// In words, when it cannot be read.
pub(crate) fn read(extension: &str, content: &[u8]) -> Result<Audio, String> {
    match kind(extension, content)? {
        Kind::Wav => wav::read(content).and_then(at_a_served_rate),
        Kind::Compressed(hint) => compressed::read(hint, content),
        Kind::Headerless(rate_hz) => Ok(headerless(rate_hz, content)),
    }
}

fn kind(extension: &str, content: &[u8]) -> Result<Kind, String> {
    let extension = extension.to_ascii_lowercase();
    // Samples may look like anything: for these the extension decides.
    match extension.as_str() {
        "sln16" | "slin16" => return Ok(Kind::Headerless(16_000)),
        "sln" | "slin" | "raw" => return Ok(Kind::Headerless(8000)),
        _ => {}
    }
    if let Some((_, kind)) = SIGNATURES
        .iter()
        .find(|(signature, _)| content.starts_with(signature))
    {
        return Ok(*kind);
    }
    match extension.as_str() {
        // Frames of MP3 need no header before them.
        "mp3" => Ok(Kind::Compressed("mp3")),
        "wav" | "wave" => Ok(Kind::Wav),
        "flac" => Err("not a FLAC file (no fLaC signature)".into()),
        "ogg" | "oga" | "opus" => Err("not an Ogg file (no OggS signature)".into()),
        _ => Err(format!(
            "unknown extension {extension:?}; known are .{}",
            EXTENSIONS.join(", .")
        )),
    }
}

fn headerless(rate_hz: u32, content: &[u8]) -> Audio {
    let samples = content.as_chunks::<2>().0.iter();
    Audio {
        rate_hz,
        samples: samples.map(|octets| i16::from_le_bytes(*octets)).collect(),
    }
}

/// The rate at which audio of that rate is kept.
fn served_rate(rate_hz: u32) -> u32 {
    if rate_hz <= 8000 { 8000 } else { 16_000 }
}

fn at_a_served_rate(audio: Audio) -> Result<Audio, String> {
    let rate_hz = served_rate(audio.rate_hz);
    if audio.rate_hz == rate_hz {
        return Ok(audio);
    }
    let mut converter = Converter::new(audio.rate_hz, rate_hz)?;
    let mut samples = Vec::new();
    converter.push(&audio.samples, &mut samples);
    converter.finish(&mut samples);
    Ok(Audio { rate_hz, samples })
}

#[cfg(test)]
mod tests {
    use super::*;
    use trunkline_dsp::level::dbm0;
    use trunkline_dsp::tone::Tone;

    fn sine(rate_hz: u32, hz: f32, seconds: usize) -> Vec<i16> {
        let mut samples = vec![0; rate_hz as usize * seconds];
        Tone::new(rate_hz, [hz, 0.0], -10.0).fill(&mut samples);
        samples
    }

    fn wav(rate_hz: u32, samples: &[i16]) -> Vec<u8> {
        let shape = wav::Shape {
            rate_hz: 8000,
            channels: 1,
        };
        let mut file = wav::header(shape, samples.len() as u64 * 2, 0).to_vec();
        file[24..28].copy_from_slice(&rate_hz.to_le_bytes());
        samples
            .iter()
            .for_each(|sample| file.extend(sample.to_le_bytes()));
        file
    }

    /// Correlation of two pieces, 1 for equal up to a factor.
    fn likeness(a: &[i16], b: &[i16]) -> f64 {
        let dot = |a: &[i16], b: &[i16]| -> f64 {
            let products = a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b));
            products.sum()
        };
        dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
    }

    #[test]
    fn every_rate_becomes_8_or_16_khz_with_the_same_tone() {
        for rate in [6000, 8000, 11_025, 16_000, 22_050, 24_000, 44_100, 48_000] {
            let audio = read("wav", &wav(rate, &sine(rate, 440.0, 1))).unwrap();
            let served = served_rate(rate);
            assert_eq!(audio.rate_hz, served);
            assert!(audio.samples.len().abs_diff(served as usize) <= 1, "{rate}");
            let expected = sine(served, 440.0, 1);
            let middle = 1000..audio.samples.len() - 1000;
            let alike = likeness(&audio.samples[middle.clone()], &expected[middle.clone()]);
            assert!(alike > 0.9999, "{rate} Hz: {alike}");
            let level = dbm0(&audio.samples[middle]);
            assert!((level + 10.0).abs() < 0.1, "{rate} Hz: {level}");
        }
    }

    #[test]
    fn what_16_khz_cannot_hold_is_left_out_and_not_folded() {
        for hz in [8600.0, 9000.0, 12_000.0, 20_000.0] {
            let audio = read("wav", &wav(48_000, &sine(48_000, hz, 1))).unwrap();
            let level = dbm0(&audio.samples[1000..15_000]);
            assert!(level < -70.0, "{hz} Hz: {level}");
        }
        let audio = read("wav", &wav(48_000, &sine(48_000, 7000.0, 1))).unwrap();
        let level = dbm0(&audio.samples[1000..15_000]);
        assert!((level + 10.0).abs() < 0.1, "{level}");
    }

    /// Tones of 440 Hz at -13 dB of full scale, half a second, made by sox 14.4, lame 3.100 (which lowers them by 0.45 dB), flac 1.4, oggenc 1.4,
    /// opusenc 0.2.
    #[test]
    fn compressed_files_hold_the_tone_they_were_made_of() {
        let files: [(&str, &[u8], f32); 4] = [
            ("mp3", include_bytes!("tones/tone.mp3"), -13.45),
            ("ogg", include_bytes!("tones/tone.ogg"), -13.0),
            ("flac", include_bytes!("tones/tone.flac"), -13.0),
            ("opus", include_bytes!("tones/tone.opus"), -13.0),
        ];
        for (extension, content, expected) in files {
            let audio = read(extension, content).unwrap();
            assert_eq!(audio.rate_hz, 16_000);
            let milliseconds = audio.samples.len() / 16;
            assert!(
                (498..=560).contains(&milliseconds),
                "{extension}: {milliseconds} ms"
            );
            let middle = &audio.samples[1600..6400];
            // A full-scale sine is 3.14 dBm0 (ITU-T G.711, table 5).
            let level = dbm0(middle);
            assert!(
                (level - (3.1 + expected)).abs() < 0.3,
                "{extension}: {level}"
            );
            let mut power = [0.0f64; 2];
            for (n, sample) in middle.iter().enumerate() {
                let (sin, cos) = (std::f64::consts::TAU * 440.0 * n as f64 / 16_000.0).sin_cos();
                power[0] += f64::from(*sample) * sin;
                power[1] += f64::from(*sample) * cos;
            }
            let energy: f64 = middle.iter().map(|sample| f64::from(*sample).powi(2)).sum();
            let share = (power[0].powi(2) + power[1].powi(2)) * 2.0 / middle.len() as f64 / energy;
            assert!(share > 0.99, "{extension}: {share} of it is the tone");
            // Cut anywhere: what is left is played, or refused; nothing panics.
            for length in (0..content.len()).step_by(content.len() / 40) {
                let _ = read(extension, &content[..length]);
            }
            // Damaged anywhere.
            for at in (0..content.len()).step_by(content.len() / 40) {
                let mut damaged = content.to_vec();
                damaged[at] ^= 0x55;
                let _ = read(extension, &damaged);
            }
        }
    }

    #[test]
    fn the_content_decides_except_for_headerless_files() {
        let file = wav(8000, &[1, 2, 3]);
        assert_eq!(read("mp3", &file).unwrap().samples, [1, 2, 3]);
        assert_eq!(read("", &file).unwrap().samples, [1, 2, 3]);
        assert_eq!(read("SLN", b"RIFF").unwrap().samples.len(), 2);
        for (extension, content, word) in [
            ("txt", &b"hello"[..], "unknown extension \"txt\""),
            ("flac", b"hello", "FLAC"),
            ("opus", b"hello", "OggS"),
            ("wav", b"hello", "RIFF"),
            ("mp3", b"hello", "MP3"),
            ("ogg", b"OggS", "OGG"),
            ("flac", b"fLaC", "FLAC"),
        ] {
            let error = read(extension, content).unwrap_err();
            assert!(error.contains(word), "{extension}: {error}");
        }
    }
}
