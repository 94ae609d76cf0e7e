//! The writer's half of a recording: takes samples out of the ring and puts them into the file, silence where some are missing.
//!
//! A full disk is waited for: what comes meanwhile is lost, and becomes silence if room is made. Any other failure ends the recording.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rtrb::Consumer;
use tokio::sync::mpsc::UnboundedSender;
use trunkline_dsp::resample::{Down2, Up2};

use super::losses::{Losses, ms};
use super::sound_file::SoundFile;
use super::storage::{self, Open};
use super::{MAX_LENGTH, Mark, RecordingSpec, RecordingStats, SILENCE, Shared, What};
use crate::media::event::{MediaEvent, RecordDone, RecordingEnd};
use crate::media::wav::Shape;

/// Audio written at once, unless the recording ends: 0.5 s.
const CHUNK_MS: u32 = 500;
/// Samples that are handled at once, of all channels: 0.5 s of stereo at 16 kHz.
const PIECE: usize = 16_000;
/// The header is never older than so many seconds of audio.
const REFRESH_S: u32 = 2;
/// How often a full disk is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Converts one channel to the file's rate.
#[derive(Debug)]
enum Converter {
    Down(Down2),
    Up(Up2),
}

/// The writer's half.
#[derive(Debug)]
pub(crate) struct WriterHalf {
    spec: RecordingSpec,
    ring: Consumer<i16>,
    marks: Consumer<Mark>,
    shared: Arc<Shared>,
    events: UnboundedSender<MediaEvent>,
    stats: Arc<RecordingStats>,
    open: Open,
    file: Option<SoundFile>,
    /// Samples per second of the file, and of what comes.
    file_hz: u32,
    rate_hz: u32,
    converters: Vec<Converter>,
    /// Samples of each channel taken out of the ring.
    taken: u64,
    losses: Losses,
    /// Lost samples of each channel, at the file's rate, for which the file has no silence yet.
    owed: u64,
    /// When the disk was found full, or was last tried since.
    full: Option<Instant>,
}

impl WriterHalf {
    pub(super) fn new(
        spec: RecordingSpec,
        ring: Consumer<i16>,
        marks: Consumer<Mark>,
        shared: Arc<Shared>,
        events: UnboundedSender<MediaEvent>,
        stats: Arc<RecordingStats>,
    ) -> WriterHalf {
        WriterHalf {
            spec,
            ring,
            marks,
            shared,
            events,
            stats,
            open: storage::create,
            file: None,
            file_hz: 0,
            rate_hz: 0,
            converters: Vec::new(),
            taken: 0,
            losses: Losses::default(),
            owed: 0,
            full: None,
        }
    }

    #[cfg(test)]
    pub(super) fn with_storage(mut self, open: Open) -> WriterHalf {
        self.open = open;
        self
    }

    fn channels(&self) -> usize {
        self.spec.tracks.channels()
    }

    /// The work begins: the recording counts as active until it is reported.
    pub(super) fn enter(&self) {
        self.stats.active.fetch_add(1, Ordering::Relaxed);
    }

    /// Writes what has come. Returns whether the recording goes on.
    pub(super) fn turn(&mut self, now: Instant) -> bool {
        // Asked first: whatever was put into the ring before is seen by the write.
        let ended = self.ring.is_abandoned();
        let chunk = (self.rate_hz * CHUNK_MS / 1000) as usize * self.channels();
        let waits = self.file.is_some() && self.ring.slots() < chunk;
        if !ended && (waits || self.ring.is_empty()) {
            return true;
        }
        let written = self.write(now);
        let (length, lost) = (self.written(), self.losses.total_ms(self.file_hz));
        let done_ms = ms(length, self.file_hz).saturating_sub(lost);
        self.shared.done_ms.store(done_ms, Ordering::Relaxed);
        let result = written.and_then(|()| match ended {
            true => self.complete(now),
            false => Ok(()),
        });
        match result {
            Ok(()) if !ended => true,
            Ok(()) => self.report(match self.shared.end.load(Ordering::Relaxed) {
                SILENCE => RecordingEnd::Silence,
                MAX_LENGTH => RecordingEnd::MaxLength,
                _ => RecordingEnd::Stopped,
            }),
            Err(error) => self.fail(&error),
        }
    }

    /// Takes everything out of the ring.
    fn write(&mut self, now: Instant) -> io::Result<()> {
        let channels = self.channels();
        let mut piece = Vec::with_capacity(PIECE.min(self.ring.slots()));
        loop {
            self.pass_marks(now)?;
            let until_mark = self.marks.peek().map_or(usize::MAX, |mark| {
                (mark.at - self.taken) as usize * channels
            });
            let count = self.ring.slots().min(until_mark).min(PIECE);
            let Ok(chunk) = self.ring.read_chunk(count) else {
                return Ok(());
            };
            if count == 0 {
                return Ok(());
            }
            piece.clear();
            let (first, second) = chunk.as_slices();
            piece.extend_from_slice(first);
            piece.extend_from_slice(second);
            chunk.commit_all();
            self.taken += (count / channels) as u64;
            match self.converters.is_empty() {
                true => self.append(&piece, now)?,
                false => {
                    let converted = self.convert(&piece);
                    self.append(&converted, now)?;
                }
            }
        }
    }

    /// Obeys the marks that stand at the present place.
    fn pass_marks(&mut self, now: Instant) -> io::Result<()> {
        while self.marks.peek().is_ok_and(|mark| mark.at <= self.taken) {
            let Ok(mark) = self.marks.pop() else { break };
            match mark.what {
                What::Rate(rate_hz) => {
                    self.rate_hz = rate_hz;
                    self.begin(now)?;
                    self.make_converters();
                }
                What::Lead(samples) => {
                    self.owed += self.at_file_rate(samples);
                    self.settle(now)?;
                }
                What::Lost(samples) => {
                    self.lose(self.at_file_rate(samples));
                    self.settle(now)?;
                }
            }
        }
        Ok(())
    }

    /// Creates the file: a WAV file at the rate that is heard first.
    fn begin(&mut self, now: Instant) -> io::Result<()> {
        if self.file.is_some() || self.waits(now) {
            return Ok(());
        }
        if self.rate_hz == 0 {
            self.rate_hz = 8000;
        }
        self.file_hz = SoundFile::rate_hz(self.spec.format, self.rate_hz);
        let shape = Shape {
            rate_hz: self.file_hz,
            channels: self.channels() as u16,
        };
        let (format, id) = (self.spec.format, self.spec.id);
        let begun = (self.open)(&self.spec.path)
            .and_then(|storage| SoundFile::begin(format, storage, shape, id));
        let result = begun.map(|file| self.file = Some(file));
        self.endure(result, now)
    }

    /// Whether the disk was found full too short a time ago to be tried again.
    fn waits(&self, now: Instant) -> bool {
        let waits = |since: Instant| now.saturating_duration_since(since) < RETRY;
        self.full.is_some_and(waits)
    }

    fn make_converters(&mut self) {
        let (from, to) = (self.rate_hz, self.file_hz);
        let make = || match from < to {
            true => Converter::Up(Up2::new()),
            false => Converter::Down(Down2::new()),
        };
        self.converters.clear();
        if from != to {
            self.converters
                .resize_with(self.spec.tracks.channels(), make);
        }
    }

    fn at_file_rate(&self, samples: u64) -> u64 {
        match self.rate_hz {
            0 => samples,
            rate_hz => samples * u64::from(self.file_hz) / u64::from(rate_hz),
        }
    }

    /// What comes, at the file's rate.
    fn convert(&mut self, piece: &[i16]) -> Vec<i16> {
        let channels = self.converters.len();
        let mut out = vec![0; piece.len() * 2];
        let mut length = 0;
        for (channel, converter) in self.converters.iter_mut().enumerate() {
            let one: Vec<i16> = piece[channel..].iter().step_by(channels).copied().collect();
            let mut converted = vec![0; one.len() * 2 + 2];
            length = match converter {
                Converter::Down(down) => down.process(&one, &mut converted),
                Converter::Up(up) => up.process(&one, &mut converted),
            };
            let places = out[channel..].iter_mut().step_by(channels);
            places
                .zip(&converted[..length])
                .for_each(|(place, sample)| *place = *sample);
        }
        out.truncate(length * channels);
        out
    }

    /// Appends samples at the file's rate; while the disk is full they are lost.
    fn append(&mut self, samples: &[i16], now: Instant) -> io::Result<()> {
        self.settle(now)?;
        let count = (samples.len() / self.channels()) as u64;
        let Some(file) = self.file.as_mut().filter(|_| self.full.is_none()) else {
            self.lose(count);
            return Ok(());
        };
        let result = file.write(samples);
        if result.is_err() {
            self.lose(count);
        }
        let refreshed = match (&mut self.file, &result) {
            (Some(file), Ok(())) => file.refresh(REFRESH_S),
            _ => Ok(()),
        };
        self.endure(result.and(refreshed), now)
    }

    fn lose(&mut self, samples: u64) {
        let at = self.file.as_ref().map_or(0, SoundFile::samples) + self.owed;
        self.losses.note(at, samples);
        self.owed += samples;
    }

    /// Writes silence for what is lost, if the disk takes it.
    fn settle(&mut self, now: Instant) -> io::Result<()> {
        if self.owed == 0 || self.waits(now) {
            return Ok(());
        }
        self.begin(now)?;
        if self.file.is_none() {
            return Ok(());
        }
        let channels = self.channels();
        let silence = [0; PIECE];
        while let Some(file) = self.file.as_mut().filter(|_| self.owed > 0) {
            let count = self.owed.min((PIECE / channels) as u64);
            let result = file.write(&silence[..count as usize * channels]);
            if result.is_err() {
                return self.endure(result, now);
            }
            self.owed -= count;
        }
        if self.full.take().is_some() {
            tracing::info!(path = %self.spec.path.display(), "recording goes on: the disk has room again");
        }
        Ok(())
    }

    /// Bears with a full disk.
    fn endure(&mut self, result: io::Result<()>, now: Instant) -> io::Result<()> {
        match result {
            Err(error) if storage::is_full(&error) => {
                if self.full.replace(now).is_none() {
                    tracing::warn!(rule = "disk-full", path = %self.spec.path.display(), "a recording loses audio until the disk has room");
                }
                Ok(())
            }
            result => result,
        }
    }

    fn complete(&mut self, now: Instant) -> io::Result<()> {
        self.begin(now + RETRY)?;
        let unmarked = self.shared.unmarked_loss.load(Ordering::Relaxed);
        if unmarked > 0 {
            self.lose(self.at_file_rate(unmarked));
        }
        // One last try, however short the last one is ago.
        self.settle(now + RETRY)?;
        let comment = self.losses.sentence(self.file_hz);
        let result = match &mut self.file {
            Some(file) => file.complete(comment.as_deref()),
            None => Ok(()),
        };
        let empty = self.written() == 0 && self.losses.total_ms(self.file_hz) > 0;
        match result {
            Err(error) if storage::is_full(&error) && !empty => Ok(()),
            Ok(()) if empty && self.full.is_some() => Err(io::ErrorKind::StorageFull.into()),
            result => result,
        }
    }

    /// Samples of each channel in the file.
    fn written(&self) -> u64 {
        self.file.as_ref().map_or(0, SoundFile::samples)
    }

    fn fail(&mut self, error: &io::Error) -> bool {
        self.shared.failed.store(true, Ordering::Relaxed);
        let path = self.spec.path.display().to_string();
        tracing::warn!(path, %error, "recording ended: its file cannot be written");
        // What is in the file can be played, if the disk lets us say how long it is.
        if let Some(file) = &mut self.file {
            let _ = file.complete(None);
        }
        self.report(RecordingEnd::WriteFailed(format!("{path}: {error}")))
    }

    /// Nobody writes it.
    pub(super) fn abandon(mut self: Box<Self>) {
        let error = io::Error::other("there is no thread to write it");
        self.fail(&error);
    }

    fn report(&mut self, end: RecordingEnd) -> bool {
        if self.shared.telling.swap(true, Ordering::AcqRel) {
            // Told already, when nobody knew whether the disk would answer again.
            return false;
        }
        let lost_ms = self.losses.total_ms(self.file_hz);
        if lost_ms > 0 {
            let sentence = self.losses.sentence(self.file_hz);
            tracing::warn!(path = %self.spec.path.display(), lost_ms, losses = sentence, "a recording is not complete");
        }
        self.stats.ended(&end, lost_ms);
        // The call may have ended meanwhile.
        let _ = self
            .events
            .send(MediaEvent::RecordDone(Box::new(RecordDone {
                id: self.spec.id,
                path: self.spec.path.clone(),
                format: self.spec.format,
                duration_ms: ms(self.written(), self.file_hz),
                end,
                lost_ms,
                gaps: self.losses.gaps(self.file_hz),
            })));
        self.shared.reported.store(true, Ordering::Release);
        false
    }
}
