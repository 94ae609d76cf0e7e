//! Recordings: the shard's half, which only puts samples into a ring, and the threads that write them to files.
//!
//! ```text
//!  channel ─frame─► Recording ══ring of samples══► WriterHalf ─► file
//!                       └───────ring of marks────────┘   where samples are missing, where the rate changes
//! ```
//!
//! A disk that is slow or full costs the recording some audio: the file has silence there, and its end says how much and where. It never
//! costs the call a frame. The file's header is completed, and the end reported, when the shard's half is gone and its rings are empty;
//! meanwhile the header is brought up to date every few seconds, so that a crash leaves a file that can be played.

mod losses;
mod ogg;
mod options;
mod opus_file;
mod repair;
mod sound_file;
mod storage;
mod take;
mod threads;
mod wav_file;
mod writer;

#[cfg(test)]
mod tests;

pub use losses::RecordingGap;
pub use options::{Pause, RecordingFormat, RecordingSpec, Tracks};
pub use repair::{Repaired, repair_recording};
pub(crate) use take::Recording;
pub use threads::RecordingStats;
pub(crate) use threads::{WriterOrder, run};
pub(crate) use writer::WriterHalf;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};

use std::time::Duration;

use rtrb::RingBuffer;
use tokio::sync::mpsc::UnboundedSender;

use super::event::{MediaEvent, RecordDone, RecordingEnd};

/// Samples a ring holds for each channel of the file: 4 s at 8 kHz, 2 s at 16 kHz.
const RING: usize = 32_000;
/// How long a closed channel waits for the disk.
const PATIENCE: Duration = Duration::from_secs(10);
/// Marks that can wait for the writer.
const MARKS: usize = 64;

/// Why a recording ended, as the shard tells the writer; 0 is by order.
const SILENCE: u8 = 1;
const MAX_LENGTH: u8 = 2;

/// What both halves know.
#[derive(Debug, Default)]
struct Shared {
    end: AtomicU8,
    /// Samples the ring had no room for and that no mark tells of yet.
    unmarked_loss: AtomicU64,
    /// Set by the writer: nothing more can be written.
    failed: AtomicBool,
    /// Somebody tells the end: the writer when the file is complete, or another for it where it got stuck.
    telling: AtomicBool,
    /// The end is told.
    reported: AtomicBool,
    /// What the recording was given so far, and what of it the writer is done with, ms.
    given_ms: AtomicU32,
    done_ms: AtomicU32,
}

/// Something that is true from a place in the stream of samples on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    /// How many samples of each channel were put into the ring before.
    at: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    /// Samples per second from here on.
    Rate(u32),
    /// So many samples of each channel are missing here.
    Lost(u64),
    /// So many samples of silence come first: it is one of several recordings that began earlier.
    Lead(u64),
}

/// Tells later whether the writer is done with a recording.
#[derive(Debug, Clone)]
pub(crate) struct RecordingLedger {
    shared: Arc<Shared>,
    told: Arc<Told>,
}

/// Who is told of the end, and of what.
#[derive(Debug)]
struct Told {
    id: u32,
    path: PathBuf,
    format: RecordingFormat,
    events: UnboundedSender<MediaEvent>,
    stats: Arc<RecordingStats>,
}

impl RecordingLedger {
    pub(crate) fn is_reported(&self) -> bool {
        self.shared.reported.load(Ordering::Acquire)
    }

    /// Tells the end of a recording whose writer does not come back from the disk.
    pub(crate) fn give_up(&self) {
        let (shared, told) = (&self.shared, &self.told);
        if shared.telling.swap(true, Ordering::AcqRel) {
            return;
        }
        let done_ms = shared.done_ms.load(Ordering::Relaxed);
        let given_ms = shared.given_ms.load(Ordering::Relaxed);
        let (lost_ms, path) = (given_ms.saturating_sub(done_ms), told.path.clone());
        let reason = format!(
            "{}: the disk has not answered for {} s",
            path.display(),
            PATIENCE.as_secs()
        );
        tracing::error!(rule = "recording-stuck", lost_ms, "{reason}");
        let end = RecordingEnd::WriteFailed(reason);
        told.stats.ended(&end, lost_ms);
        // The call may have ended meanwhile.
        let _ = told
            .events
            .send(MediaEvent::RecordDone(Box::new(RecordDone {
                id: told.id,
                path,
                format: told.format,
                duration_ms: done_ms,
                end,
                lost_ms,
                gaps: Vec::new(),
            })));
        shared.reported.store(true, Ordering::Release);
    }
}

/// The two halves of a new recording.
pub(crate) fn recording(
    spec: RecordingSpec,
    events: UnboundedSender<MediaEvent>,
    stats: Arc<RecordingStats>,
) -> (Recording, WriterHalf) {
    let (samples, consumer) = RingBuffer::new(RING * spec.tracks.channels());
    let (marks, marks_consumer) = RingBuffer::new(MARKS);
    let shared = Arc::new(Shared::default());
    let ledger = RecordingLedger {
        told: Arc::new(Told {
            id: spec.id,
            path: spec.path.clone(),
            format: spec.format,
            events: events.clone(),
            stats: stats.clone(),
        }),
        shared: shared.clone(),
    };
    let recording = Recording::new(&spec, samples, marks, ledger);
    let half = WriterHalf::new(spec, consumer, marks_consumer, shared, events, stats);
    (recording, half)
}
