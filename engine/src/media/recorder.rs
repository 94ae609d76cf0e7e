//! Recordings: the shard's half, which only puts samples into a ring, and the thread that writes them to WAV files.
//!
//! A disk that is slow or full costs the recording some audio, which is counted; it never costs the call a frame. The file's header is
//! completed, and the end reported, when the shard's half is gone and its ring is empty.

use std::fs::File;
use std::io::{self, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError};
use rtrb::{Consumer, Producer, RingBuffer};
use tokio::sync::mpsc::UnboundedSender;
use trunkline_dsp::vad::EnergyVad;

use super::codec::{FRAME_MS, FRAME_SAMPLES, SAMPLES_PER_MS};
use super::event::{MediaEvent, RecordingEnd};
use super::retire::{Retired, Retirement};
use super::wav;

/// Samples a ring holds: 2 s.
const RING: usize = 16_000;
/// Samples written at once, unless the recording ends: 0.5 s.
const CHUNK: usize = 4000;
/// How often the writer looks at its rings.
const ROUND: Duration = Duration::from_millis(100);

/// Why a recording ended, as the shard tells the writer; 0 is by order.
const SILENCE: u8 = 1;
const MAX_LENGTH: u8 = 2;

/// What both halves know.
#[derive(Debug, Default)]
struct Shared {
    end: AtomicU8,
    lost_samples: AtomicU64,
    /// Set by the writer: nothing more can be written.
    failed: AtomicBool,
    /// Set by the writer: the file is complete and the event is sent.
    reported: AtomicBool,
}

/// The shard's half of a recording. Dropping it ends the recording.
#[derive(Debug)]
pub(crate) struct Recording {
    id: u32,
    ring: Producer<i16>,
    shared: Arc<Shared>,
    frames_left: u32,
    /// Frames of silence that end it, and the detector that finds them.
    silence: Option<(u32, EnergyVad)>,
    silent_frames: u32,
}

/// Tells later whether the writer is done with a recording.
#[derive(Debug)]
pub(crate) struct RecordingLedger(Arc<Shared>);

impl RecordingLedger {
    pub(crate) fn is_reported(&self) -> bool {
        self.0.reported.load(Ordering::Acquire)
    }
}

/// The writer's half.
#[derive(Debug)]
pub(crate) struct WriterHalf {
    id: u32,
    path: PathBuf,
    ring: Consumer<i16>,
    shared: Arc<Shared>,
    events: UnboundedSender<MediaEvent>,
    file: Option<File>,
    samples: u64,
}

/// The two halves of a new recording. `max_ms` and `silence_ms` of 0 are no limits.
pub(crate) fn recording(
    id: u32,
    path: PathBuf,
    max_ms: u32,
    silence_ms: u32,
    events: UnboundedSender<MediaEvent>,
) -> (Recording, WriterHalf) {
    let (producer, consumer) = RingBuffer::new(RING);
    let shared = Arc::new(Shared::default());
    let frames = |ms: u32| ms.div_ceil(FRAME_MS);
    let recording = Recording {
        id,
        ring: producer,
        shared: shared.clone(),
        frames_left: if max_ms == 0 {
            u32::MAX
        } else {
            frames(max_ms)
        },
        silence: (silence_ms > 0).then(|| (frames(silence_ms), EnergyVad::new(8000))),
        silent_frames: 0,
    };
    (
        recording,
        WriterHalf {
            id,
            path,
            ring: consumer,
            shared,
            events,
            file: None,
            samples: 0,
        },
    )
}

impl Recording {
    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    pub(crate) fn ledger(&self) -> RecordingLedger {
        RecordingLedger(self.shared.clone())
    }

    /// Takes a frame. Returns whether the recording goes on; if not, it is to be dropped.
    pub(crate) fn push(&mut self, frame: &[i16; FRAME_SAMPLES]) -> bool {
        if self.shared.failed.load(Ordering::Relaxed) {
            return false;
        }
        match self.ring.write_chunk(FRAME_SAMPLES) {
            Ok(mut chunk) => {
                let (first, second) = chunk.as_mut_slices();
                let (head, tail) = frame.split_at(first.len());
                first.copy_from_slice(head);
                second.copy_from_slice(tail);
                chunk.commit_all();
            }
            Err(_) => {
                _ = self
                    .shared
                    .lost_samples
                    .fetch_add(FRAME_SAMPLES as u64, Ordering::Relaxed)
            }
        }
        self.frames_left -= 1;
        if self.frames_left == 0 {
            self.shared.end.store(MAX_LENGTH, Ordering::Relaxed);
            return false;
        }
        if let Some((limit, vad)) = &mut self.silence {
            self.silent_frames = if vad.process(frame).speech {
                0
            } else {
                self.silent_frames + 1
            };
            if self.silent_frames >= *limit {
                self.shared.end.store(SILENCE, Ordering::Relaxed);
                return false;
            }
        }
        true
    }
}

impl WriterHalf {
    fn write(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            let mut file = File::create(&self.path)?;
            file.write_all(&wav::header(0))?;
            self.file = Some(file);
        }
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let Ok(chunk) = self.ring.read_chunk(self.ring.slots()) else {
            return Ok(());
        };
        let mut octets = Vec::with_capacity(chunk.len() * 2);
        let (first, second) = chunk.as_slices();
        for sample in first.iter().chain(second) {
            octets.extend_from_slice(&sample.to_le_bytes());
        }
        file.write_all(&octets)?;
        self.samples += chunk.len() as u64;
        chunk.commit_all();
        Ok(())
    }

    fn complete(&mut self) -> io::Result<()> {
        self.write()?;
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&wav::header(self.samples))
    }

    /// Writes what has come. Returns whether the recording goes on.
    fn turn(&mut self) -> bool {
        // Asked first: whatever was put into the ring before is seen by the write.
        let ended = self.ring.is_abandoned();
        if !ended && self.ring.slots() < CHUNK && self.file.is_some() {
            return true;
        }
        let result = if ended { self.complete() } else { self.write() };
        match result {
            Ok(()) if !ended => true,
            Ok(()) => self.report(match self.shared.end.load(Ordering::Relaxed) {
                SILENCE => RecordingEnd::Silence,
                MAX_LENGTH => RecordingEnd::MaxLength,
                _ => RecordingEnd::Stopped,
            }),
            Err(error) => {
                self.shared.failed.store(true, Ordering::Relaxed);
                tracing::warn!(path = %self.path.display(), %error, "recording ended: its file cannot be written");
                // What is in the file can be played, if the disk lets us say how long it is.
                if let Some(file) = &mut self.file {
                    let _ = file
                        .seek(SeekFrom::Start(0))
                        .and_then(|_| file.write_all(&wav::header(self.samples)));
                }
                self.report(RecordingEnd::WriteFailed(format!(
                    "{}: {error}",
                    self.path.display()
                )))
            }
        }
    }

    fn report(&mut self, end: RecordingEnd) -> bool {
        let ms = |samples: u64| (samples / u64::from(SAMPLES_PER_MS)) as u32;
        let lost_ms = ms(self.shared.lost_samples.load(Ordering::Relaxed));
        // The call may have ended meanwhile.
        let _ = self.events.send(MediaEvent::RecordDone {
            id: self.id,
            duration_ms: ms(self.samples),
            end,
            lost_ms,
        });
        self.shared.reported.store(true, Ordering::Release);
        false
    }
}

/// What the writer's thread is given.
#[derive(Debug)]
pub(crate) enum WriterOrder {
    Begin(Box<WriterHalf>),
    /// A closed channel whose recordings are not all complete.
    Retire(Retired),
    Stop,
}

/// The writer's thread: ends after [`WriterOrder::Stop`], when all recordings are complete.
pub(crate) fn run(orders: &Receiver<WriterOrder>, retirement: &Retirement) {
    let (mut recordings, mut leaving, mut stopping) = (Vec::new(), Vec::new(), false);
    loop {
        let idle = recordings.is_empty() && leaving.is_empty();
        if idle && stopping {
            return;
        }
        let wait = if idle {
            Duration::from_secs(3600)
        } else {
            ROUND
        };
        match orders.recv_timeout(wait) {
            Ok(WriterOrder::Begin(half)) => recordings.push(half),
            Ok(WriterOrder::Retire(retired)) => leaving.push(retired),
            Ok(WriterOrder::Stop) | Err(RecvTimeoutError::Disconnected) => stopping = true,
            Err(RecvTimeoutError::Timeout) => {}
        }
        recordings.retain_mut(|half| half.turn());
        let (done, waiting) = leaving
            .into_iter()
            .partition::<Vec<_>, _>(|retired| retired.recordings_complete());
        leaving = waiting;
        done.into_iter()
            .for_each(|retired| retirement.complete(retired));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::mpsc;

    fn start(
        path: PathBuf,
        max_ms: u32,
        silence_ms: u32,
    ) -> (Recording, WriterHalf, mpsc::UnboundedReceiver<MediaEvent>) {
        let (sender, events) = mpsc::unbounded_channel();
        let (recording, half) = recording(3, path, max_ms, silence_ms, sender);
        (recording, half, events)
    }

    #[test]
    fn a_file_is_complete_when_its_end_is_reported() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.wav");
        let (mut recording, mut half, mut events) = start(path.clone(), 100, 0);
        assert!(half.turn());
        for value in 1..=5 {
            assert_eq!(recording.push(&[value; FRAME_SAMPLES]), value < 5);
        }
        drop(recording);
        assert!(!half.turn());
        let done = MediaEvent::RecordDone {
            id: 3,
            duration_ms: 100,
            end: RecordingEnd::MaxLength,
            lost_ms: 0,
        };
        assert_eq!(events.try_recv(), Ok(done));
        let audio = wav::read(&std::fs::read(path).unwrap()).unwrap();
        assert_eq!(
            audio.samples,
            (1..=5)
                .flat_map(|value| [value; FRAME_SAMPLES])
                .collect::<Vec<i16>>()
        );
    }

    #[test]
    fn a_disk_that_does_not_follow_costs_audio_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let (mut recording, mut half, mut events) = start(folder.path().join("a.wav"), 0, 0);
        for _ in 0..150 {
            assert!(recording.push(&[1; FRAME_SAMPLES])); // 3 s, nobody writes
        }
        drop(recording);
        assert!(!half.turn());
        let done = MediaEvent::RecordDone {
            id: 3,
            duration_ms: 2000,
            end: RecordingEnd::Stopped,
            lost_ms: 1000,
        };
        assert_eq!(events.try_recv(), Ok(done));
    }

    #[test]
    fn a_file_that_cannot_be_written_ends_the_recording_only() {
        for path in ["/nonexistent/a.wav", "/dev/full"] {
            let (mut recording, mut half, mut events) = start(path.into(), 0, 0);
            (0..60).for_each(|_| _ = recording.push(&[1; FRAME_SAMPLES]));
            assert!(!half.turn());
            assert!(!recording.push(&[1; FRAME_SAMPLES]));
            let Ok(MediaEvent::RecordDone {
                end: RecordingEnd::WriteFailed(reason),
                ..
            }) = events.try_recv()
            else {
                panic!("no failure reported");
            };
            assert!(reason.starts_with(path), "{reason}");
        }
    }

    #[test]
    fn silence_ends_it_after_speech() {
        let folder = tempfile::tempdir().unwrap();
        let (mut recording, _half, _events) = start(folder.path().join("a.wav"), 0, 400);
        let mut speech = [0; FRAME_SAMPLES];
        trunkline_dsp::tone::Tone::new(8000, [500.0, 0.0], -10.0).fill(&mut speech);
        assert!((0..50).all(|_| recording.push(&speech)));
        let silent = (0..100)
            .take_while(|_| recording.push(&[0; FRAME_SAMPLES]))
            .count();
        assert!((19..40).contains(&silent), "{silent} frames");
        assert_eq!(recording.shared.end.load(Ordering::Relaxed), SILENCE);
    }
}
