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
pub(crate) use take::Recording;
pub use threads::RecordingStats;
pub(crate) use threads::{WriterOrder, run};
pub(crate) use writer::WriterHalf;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

use rtrb::RingBuffer;
use tokio::sync::mpsc::UnboundedSender;

use super::event::MediaEvent;

/// Samples a ring holds for each channel of the file: 4 s at 8 kHz, 2 s at 16 kHz.
const RING: usize = 32_000;
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
    /// Set by the writer: the file is complete and the event is sent.
    reported: AtomicBool,
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
#[derive(Debug)]
pub(crate) struct RecordingLedger(Arc<Shared>);

impl RecordingLedger {
    pub(crate) fn is_reported(&self) -> bool {
        self.0.reported.load(Ordering::Acquire)
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
    let recording = Recording::new(&spec, samples, marks, shared.clone());
    let half = WriterHalf::new(spec, consumer, marks_consumer, shared, events, stats);
    (recording, half)
}
