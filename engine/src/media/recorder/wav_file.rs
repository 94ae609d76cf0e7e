//! A recording as a WAV file.
//!
//! Limit: what is written beyond 2^31 octets is in the file, but not in its header.

use std::io;

use super::storage::Storage;
use crate::media::wav::{self, Shape};

/// A WAV file in the making.
#[derive(Debug)]
pub(super) struct WavFile {
    storage: Box<dyn Storage>,
    shape: Shape,
    /// Octets of audio written.
    data: u64,
    /// Octets of audio the header tells of.
    stated: u64,
}

impl WavFile {
    pub(super) fn begin(storage: Box<dyn Storage>, shape: Shape) -> io::Result<WavFile> {
        let mut file = WavFile {
            storage,
            shape,
            data: 0,
            stated: 0,
        };
        file.write_header()?;
        Ok(file)
    }

    /// Appends samples, of all channels in turn.
    pub(super) fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        let octets: Vec<u8> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        self.storage
            .write_at(&octets, wav::HEADER_LEN as u64 + self.data)?;
        self.data += octets.len() as u64;
        Ok(())
    }

    /// Brings the header up to date if `seconds` of audio have come since.
    pub(super) fn refresh(&mut self, seconds: u32) -> io::Result<()> {
        let shape = self.shape;
        let due = u64::from(shape.rate_hz * u32::from(shape.channels) * 2 * seconds);
        if self.data - self.stated < due {
            return Ok(());
        }
        self.write_header()
    }

    fn write_header(&mut self) -> io::Result<()> {
        self.storage
            .write_at(&wav::header(self.shape, self.data, 0), 0)?;
        self.stated = self.data;
        Ok(())
    }

    /// Completes the file; `comment` is kept in it.
    pub(super) fn complete(&mut self, comment: Option<&str>) -> io::Result<()> {
        self.write_header()?;
        let Some(comment) = comment else {
            return Ok(());
        };
        let list = wav::comment(comment);
        let at = wav::HEADER_LEN as u64 + self.data;
        self.storage.write_at(&list, at)?;
        let header = wav::header(self.shape, self.data, list.len() as u32);
        self.storage.write_at(&header, 0)
    }

    /// Samples of each channel in the file.
    pub(super) fn samples(&self) -> u64 {
        self.data / 2 / u64::from(self.shape.channels)
    }
}
