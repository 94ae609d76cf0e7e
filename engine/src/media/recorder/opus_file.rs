//! An Ogg/Opus file that grows (RFC 7845): 20 ms packets, one page or two for each piece that is written, so that a crash costs a second at most.
//!
//! What was lost is told in a comment, for which the second page keeps room from the start.
//! Limit: 16 kHz; two channels at most.

use std::io;

use super::ogg::{FIRST, LAST, Page};
use super::storage::Storage;
use crate::media::codec::opus::{OpusEncoder, OpusError, OpusSettings, SAMPLES_PER_SECOND};

/// Samples of each channel in a packet: 20 ms.
const FRAME: usize = SAMPLES_PER_SECOND as usize / 50;
/// Ticks of the file's clock, 48 kHz whatever is coded (RFC 7845 section 4), per sample and per packet.
const TICKS: u64 = 3;
/// Mean bit/s of each channel.
const BITRATE_BPS: u32 = 32_000;
/// The longest packet of two channels.
const MAX_PACKET: usize = 2 * 1276;
/// Octets of the packet of comments, most of them kept free.
const COMMENTS: usize = 1024;
const VENDOR: &str = "Trunkline";

/// An Ogg/Opus file in the making.
#[derive(Debug)]
pub(super) struct OpusFile {
    storage: Box<dyn Storage>,
    encoder: OpusEncoder,
    channels: usize,
    serial: u32,
    /// Where the page of comments is, and where the next page goes.
    comments_at: u64,
    end: u64,
    /// Pages and packets of audio in the file.
    pages: u32,
    packets: u64,
    /// Ticks of the decoder's output that come before the first sample.
    pre_skip: u16,
    /// Samples of each channel that were taken, and those of the next packet, of all channels in turn.
    taken: u64,
    pending: Vec<i16>,
}

impl OpusFile {
    /// Writes the header. `serial` is the stream's number in the file.
    pub(super) fn begin(
        storage: Box<dyn Storage>,
        channels: usize,
        serial: u32,
    ) -> io::Result<OpusFile> {
        let settings = OpusSettings {
            bitrate_bps: BITRATE_BPS * channels as u32,
            // Nothing is lost on the way to a file.
            fec: false,
            ..OpusSettings::default()
        };
        let encoder = OpusEncoder::with_channels(settings, channels).map_err(own)?;
        let mut file = OpusFile {
            pre_skip: encoder.lookahead_ticks().map_err(own)?,
            storage,
            encoder,
            channels,
            serial,
            comments_at: 0,
            end: 0,
            pages: 2,
            packets: 0,
            taken: 0,
            pending: Vec::new(),
        };
        let head = file.page(&[&file.head()], FIRST, 0, 0);
        let comments = file.comments(None);
        file.storage
            .write_at(&[head.clone(), comments.clone()].concat(), 0)?;
        file.comments_at = head.len() as u64;
        file.end = (head.len() + comments.len()) as u64;
        Ok(file)
    }

    /// The identification header (RFC 7845 section 5.1).
    fn head(&self) -> Vec<u8> {
        let mut head = b"OpusHead\x01".to_vec();
        head.push(self.channels as u8);
        head.extend(self.pre_skip.to_le_bytes());
        head.extend(SAMPLES_PER_SECOND.to_le_bytes());
        head.extend([0; 3]);
        head
    }

    /// The page of comments (RFC 7845 section 5.2), of the same length whatever it says.
    fn comments(&self, comment: Option<&str>) -> Vec<u8> {
        let mut packet = b"OpusTags".to_vec();
        let mut text = |text: &str| {
            packet.extend((text.len() as u32).to_le_bytes());
            packet.extend(text.as_bytes());
        };
        text(VENDOR);
        match comment {
            None => packet.extend([0; 4]),
            Some(comment) => {
                packet.extend(1u32.to_le_bytes());
                let field = format!("DESCRIPTION={comment}");
                let room = COMMENTS - packet.len() - 4;
                let field = &field.as_bytes()[..field.len().min(room)];
                packet.extend((field.len() as u32).to_le_bytes());
                packet.extend(field);
            }
        }
        packet.resize(COMMENTS, 0);
        self.page(&[&packet], 0, 0, 1)
    }

    fn page(&self, packets: &[&[u8]], flags: u8, granule: u64, number: u32) -> Vec<u8> {
        let mut page = Page::default();
        packets.iter().for_each(|packet| _ = page.push(packet));
        page.finish(flags, granule, self.serial, number)
    }

    /// Appends samples, of all channels in turn. Nothing of them is in the file if it fails.
    pub(super) fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        let before = self.pending.len();
        self.pending.extend(samples);
        let frame = FRAME * self.channels;
        let whole = self.pending.len() / frame * frame;
        let audio: Vec<i16> = self.pending.drain(..whole).collect();
        let result = self.append(&audio, None);
        if result.is_ok() {
            self.taken += (samples.len() / self.channels) as u64;
        } else {
            // The samples from before are the first of what was to be written.
            self.pending = audio.into_iter().chain(self.pending.drain(..)).collect();
            self.pending.truncate(before);
        }
        result
    }

    /// Codes whole packets and appends them as pages, the last of which ends the stream at the tick `last` if there is one.
    fn append(&mut self, audio: &[i16], last: Option<u64>) -> io::Result<()> {
        let ticks = FRAME as u64 * TICKS;
        let (mut page, mut pages) = (Page::default(), self.pages);
        let (mut octets, mut packets) = (Vec::new(), self.packets);
        let mut room = [0; MAX_PACKET];
        for frame in audio.chunks_exact(FRAME * self.channels) {
            let length = self.encoder.encode(frame, &mut room).map_err(own)?;
            if !page.push(&room[..length]) {
                let full = std::mem::take(&mut page);
                octets.extend(full.finish(0, packets * ticks, self.serial, pages));
                pages += 1;
                page.push(&room[..length]);
            }
            packets += 1;
        }
        if !page.is_empty() || last.is_some() {
            let flags = if last.is_some() { LAST } else { 0 };
            let granule = last.unwrap_or(packets * ticks);
            octets.extend(page.finish(flags, granule, self.serial, pages));
            pages += 1;
        }
        self.storage.write_at(&octets, self.end)?;
        self.end += octets.len() as u64;
        (self.pages, self.packets) = (pages, packets);
        Ok(())
    }

    /// Completes the file; `comment` is kept in it.
    pub(super) fn complete(&mut self, comment: Option<&str>) -> io::Result<()> {
        // The decoder is behind by what it skips: silence brings the last samples out.
        let last = u64::from(self.pre_skip) + self.taken * TICKS;
        let packets = last.div_ceil(FRAME as u64 * TICKS) - self.packets;
        let mut audio = self.pending.clone();
        audio.resize(packets as usize * FRAME * self.channels, 0);
        self.append(&audio, Some(last))?;
        match comment {
            Some(_) => {
                let comments = self.comments(comment);
                self.storage.write_at(&comments, self.comments_at)
            }
            None => Ok(()),
        }
    }

    /// Samples of each channel in the file.
    pub(super) fn samples(&self) -> u64 {
        self.taken
    }
}

fn own(error: OpusError) -> io::Error {
    io::Error::other(error)
}
