//! A recording's file, of whichever format.

use std::io;

use super::options::RecordingFormat;
use super::opus_file::OpusFile;
use super::storage::Storage;
use super::wav_file::WavFile;
use crate::media::codec::opus;
use crate::media::wav::Shape;

/// A file in the making.
#[derive(Debug)]
pub(super) enum SoundFile {
    Wav(WavFile),
    Opus(Box<OpusFile>),
}

impl SoundFile {
    /// Samples per second of a file of audio that begins at `rate_hz`.
    pub(super) fn rate_hz(format: RecordingFormat, rate_hz: u32) -> u32 {
        match format {
            RecordingFormat::Wav => rate_hz,
            RecordingFormat::Opus => opus::SAMPLES_PER_SECOND,
        }
    }

    /// Begins a file; `shape` has the rate that [`rate_hz`](Self::rate_hz) says.
    pub(super) fn begin(
        format: RecordingFormat,
        storage: Box<dyn Storage>,
        shape: Shape,
        id: u32,
    ) -> io::Result<SoundFile> {
        Ok(match format {
            RecordingFormat::Wav => SoundFile::Wav(WavFile::begin(storage, shape)?),
            RecordingFormat::Opus => {
                let file = OpusFile::begin(storage, shape.channels.into(), id)?;
                SoundFile::Opus(Box::new(file))
            }
        })
    }

    /// Appends samples, of all channels in turn. If it fails they do not count as written.
    pub(super) fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        match self {
            SoundFile::Wav(file) => file.write(samples),
            SoundFile::Opus(file) => file.write(samples),
        }
    }

    /// Brings a header that tells the length up to date if `seconds` of audio have come since.
    pub(super) fn refresh(&mut self, seconds: u32) -> io::Result<()> {
        match self {
            SoundFile::Wav(file) => file.refresh(seconds),
            SoundFile::Opus(_) => Ok(()),
        }
    }

    /// Completes the file; `comment` is kept in it.
    pub(super) fn complete(&mut self, comment: Option<&str>) -> io::Result<()> {
        match self {
            SoundFile::Wav(file) => file.complete(comment),
            SoundFile::Opus(file) => file.complete(comment),
        }
    }

    /// Samples of each channel in the file.
    pub(super) fn samples(&self) -> u64 {
        match self {
            SoundFile::Wav(file) => file.samples(),
            SoundFile::Opus(file) => file.samples(),
        }
    }
}
