//! MP3, FLAC, Ogg/Vorbis and Ogg/Opus. Demuxing and decoding are symphonia's, Opus frames go to our Opus decoder.
//!
//! Limits: 30 minutes at 16 kHz; eight channels (mixed to one); audio of one track. What is damaged inside is left out as long as half of the packets
//! can be decoded.

use std::io::Cursor;

use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::packet::Packet;

use super::super::codec::opus::OpusDecoder;
use super::super::wav::Audio;
use super::rate::Converter;
use super::{MAX_SECONDS, served_rate};

/// Samples of the longest Opus packet, 120 ms at 16 kHz.
const OPUS_SAMPLES: usize = 1920;
/// Most channels that are mixed to one.
const MOST_CHANNELS: usize = 8;

/// Reads a whole file.
///
/// # Errors
/// In words, when it cannot be read.
pub(super) fn read(extension: &str, content: &[u8]) -> Result<Audio, String> {
    let name = extension.to_ascii_uppercase();
    let said = |error: Error| format!("not readable as {name}: {error}");
    // A copy, because the reader wants to own what it reads.
    let source =
        MediaSourceStream::new(Box::new(Cursor::new(content.to_vec())), Default::default());
    let mut hint = Hint::new();
    hint.with_extension(extension);
    let mut format = symphonia::default::get_probe()
        .probe(
            &hint,
            source,
            FormatOptions::default(),
            MetadataOptions::default(),
        )
        .map_err(said)?;
    let track = format
        .default_track(TrackType::Audio)
        .ok_or_else(|| format!("the {extension} file has no audio track"))?;
    let parameters = track.codec_params.as_ref().and_then(|of| of.audio());
    let parameters = parameters.ok_or("the file does not say how its audio is coded")?;
    let (id, mut frames) = (track.id, Frames::new(parameters).map_err(said)?);
    let mut sound = Sound::default();
    while let Some(packet) = next(format.as_mut()).map_err(said)? {
        if packet.track_id == id {
            frames.decode(&packet, &mut sound)?;
        }
    }
    sound.finish(&name)
}

/// The next packet; a file that ends within one ends before it.
fn next(format: &mut dyn FormatReader) -> Result<Option<Packet>, Error> {
    match format.next_packet() {
        Err(Error::IoError(error)) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(None),
        Err(Error::ResetRequired) => Ok(None),
        other => other,
    }
}

/// Decodes the packets of one track.
enum Frames {
    Any {
        decoder: Box<dyn AudioDecoder>,
        interleaved: Vec<i16>,
    },
    Opus(OpusDecoder),
}

impl Frames {
    fn new(parameters: &AudioCodecParameters) -> Result<Frames, Error> {
        if parameters.codec == CODEC_ID_OPUS {
            let decoder = OpusDecoder::new();
            return decoder
                .map(Frames::Opus)
                .map_err(|_| Error::Unsupported("Opus"));
        }
        let options = AudioDecoderOptions::default();
        Ok(Frames::Any {
            decoder: symphonia::default::get_codecs().make_audio_decoder(parameters, &options)?,
            interleaved: Vec::new(),
        })
    }

    fn decode(&mut self, packet: &Packet, sound: &mut Sound) -> Result<(), String> {
        sound.packets += 1;
        match self {
            Frames::Any {
                decoder,
                interleaved,
            } => {
                let Ok(audio) = decoder.decode(packet) else {
                    sound.damaged += 1;
                    return Ok(());
                };
                let (rate_hz, channels) = (audio.spec().rate(), audio.spec().channels().count());
                audio.copy_to_vec_interleaved(interleaved);
                sound.take(rate_hz, channels, interleaved)
            }
            Frames::Opus(decoder) => {
                let mut samples = [0; OPUS_SAMPLES];
                let Ok(count) = decoder.decode(&packet.data, &mut samples) else {
                    sound.damaged += 1;
                    return Ok(());
                };
                // What the encoder put before and behind the audio, told on the clock of 48 kHz (RFC 7845 section 4).
                let samples = &samples[..count.min(OPUS_SAMPLES)];
                let of_16_khz = |ticks: u64| (ticks / 3).min(count as u64) as usize;
                let begin = of_16_khz(packet.trim_start.get());
                let end = samples.len() - of_16_khz(packet.trim_end.get());
                sound.take(16_000, 1, samples.get(begin..end).unwrap_or_default())
            }
        }
    }
}

/// What was decoded so far.
#[derive(Default)]
struct Sound {
    /// The source's rate, and the converter from it if there must be one.
    rate: Option<(u32, Option<Converter>)>,
    samples: Vec<i16>,
    packets: u64,
    damaged: u64,
}

impl Sound {
    fn take(&mut self, rate_hz: u32, channels: usize, interleaved: &[i16]) -> Result<(), String> {
        if !(1..=MOST_CHANNELS).contains(&channels) {
            return Err(format!(
                "{channels} channels; 1 to {MOST_CHANNELS} are understood"
            ));
        }
        if self.rate.is_none() {
            let served = served_rate(rate_hz);
            let converter = (rate_hz != served)
                .then(|| Converter::new(rate_hz, served))
                .transpose()?;
            self.rate = Some((rate_hz, converter));
        }
        let Some((rate, converter)) = &mut self.rate else {
            return Ok(());
        };
        if *rate != rate_hz {
            return Err(format!("the rate changes from {rate} to {rate_hz} Hz"));
        }
        let mixed: Vec<i16> = interleaved
            .chunks_exact(channels)
            .map(|frame| {
                let sum: i32 = frame.iter().map(|sample| i32::from(*sample)).sum();
                (sum / channels as i32) as i16
            })
            .collect();
        match converter {
            Some(converter) => converter.push(&mixed, &mut self.samples),
            None => self.samples.extend(mixed),
        }
        let most = MAX_SECONDS * served_rate(rate_hz) as usize;
        if self.samples.len() > most {
            return Err(format!("longer than {} minutes", MAX_SECONDS / 60));
        }
        Ok(())
    }

    fn finish(mut self, name: &str) -> Result<Audio, String> {
        if self.damaged * 2 > self.packets {
            return Err(format!(
                "not readable as {name}: {} of {} packets are damaged",
                self.damaged, self.packets
            ));
        }
        let Some((rate_hz, mut converter)) = self.rate.take() else {
            return Err(format!("not readable as {name}: it holds no audio"));
        };
        if let Some(converter) = &mut converter {
            converter.finish(&mut self.samples);
        }
        Ok(Audio {
            rate_hz: served_rate(rate_hz),
            samples: self.samples,
        })
    }
}
