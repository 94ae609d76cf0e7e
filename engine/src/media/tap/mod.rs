//! Taps: what a leg hears and says as frames to a program, and the program's audio back, paced by the RTP clock.
//!
//! ```text
//!  channel ─frame─► Tap ══ring, 1 s══► TapEnds ─► the program
//!  channel ◄─frame─ Tap ◄═ring, 0.5 s═ TapEnds ◄─ backlog, up to ten minutes
//! ```
//!
//! The shard's half neither waits nor allocates: a program that does not read loses frames, which are counted, and one that does not write
//! is silent. The backlog lives with the program's half, outside the shard. [`TapEnds::clear`] takes effect with the next frame: whatever was
//! queued before it is not played any more. A tap ends when its program's half is dropped, or its channel is closed.

mod backlog;
mod ends;
mod half;

#[cfg(test)]
mod tests;

pub use ends::{TapEnds, TapFrame};
pub(crate) use half::Tap;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use rtrb::RingBuffer;

/// Samples of the longest frame: 20 ms at 16 kHz.
const LONGEST: usize = 320;
/// Frames that wait for the program: 1 s of both sides.
const OUT: usize = 100;
/// Frames that wait for the shard: 0.5 s, which the program's half may sleep.
const BACK: usize = 25;

/// What a tap gives and takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TapSpec {
    /// Samples per second of what is given and taken, 8000 or 16,000, whatever the channel's codec has.
    pub rate_hz: u32,
    /// What the peer says is wanted.
    pub received: bool,
    /// What the peer is sent is wanted.
    pub sent: bool,
}

/// Which side of a leg a frame is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TapSide {
    /// What the peer says.
    Received,
    /// What the peer is sent.
    Sent,
}

/// Counters of all taps.
#[derive(Debug, Default)]
pub struct TapStats {
    active: AtomicU64,
    lost_frames: AtomicU64,
    refused_samples: AtomicU64,
}

impl TapStats {
    /// Taps that are open.
    pub fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    /// Frames that programs did not take in time.
    pub fn lost_frames(&self) -> u64 {
        self.lost_frames.load(Ordering::Relaxed)
    }

    /// Samples of programs for which the backlog had no room.
    pub fn refused_samples(&self) -> u64 {
        self.refused_samples.load(Ordering::Relaxed)
    }
}

/// What both halves know.
#[derive(Debug)]
struct Shared {
    stats: Arc<TapStats>,
    /// Grows with each clear; frames of an older one are not played.
    epoch: AtomicU32,
    /// Marks whose place was played: the epoch in the upper half, how many of it in the lower.
    marks: AtomicU64,
    /// Frames that found no room.
    lost: AtomicU64,
    /// Samples per second of the channel.
    rate_hz: AtomicU32,
    paused: AtomicBool,
    /// The program's half is gone.
    closed: AtomicBool,
    /// The shard's half is gone.
    over: AtomicBool,
}

/// A frame on its way to the program.
#[derive(Debug, Clone, Copy)]
struct Out {
    side: TapSide,
    /// Frames of time since the tap began.
    number: u64,
    length: u16,
    samples: [i16; LONGEST],
}

/// A frame on its way to the shard.
#[derive(Debug, Clone, Copy)]
struct Back {
    epoch: u32,
    /// Marks that stand at its end.
    marks: u16,
    length: u16,
    samples: [i16; LONGEST],
}

/// The two halves of a new tap.
pub(crate) fn tap(spec: TapSpec, stats: Arc<TapStats>) -> (Tap, TapEnds) {
    let (out, frames) = RingBuffer::new(OUT);
    let (play, back) = RingBuffer::new(BACK);
    stats.active.fetch_add(1, Ordering::Relaxed);
    let shared = Arc::new(Shared {
        stats,
        epoch: AtomicU32::new(0),
        marks: AtomicU64::new(0),
        lost: AtomicU64::new(0),
        rate_hz: AtomicU32::new(8000),
        paused: AtomicBool::new(false),
        closed: AtomicBool::new(false),
        over: AtomicBool::new(false),
    });
    let half = Tap::new(spec, out, back, shared.clone());
    (half, TapEnds::new(spec, frames, play, shared))
}
