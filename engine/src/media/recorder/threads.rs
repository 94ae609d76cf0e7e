//! The threads that write recordings. One takes the orders and deals the recordings out, so that a disk on which a write hangs holds up
//! those that share a thread with it, and not all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::PATIENCE;
use super::writer::WriterHalf;
use crate::media::event::RecordingEnd;
use crate::media::retire::{Retired, Retirement};

/// Threads that write.
const WRITERS: usize = 4;
/// How often a writer looks at its rings.
const ROUND: Duration = Duration::from_millis(100);

/// Counters of all recordings.
#[derive(Debug, Default)]
pub struct RecordingStats {
    pub(super) active: AtomicU64,
    complete: AtomicU64,
    incomplete: AtomicU64,
    failed: AtomicU64,
    lost_ms: AtomicU64,
}

impl RecordingStats {
    pub(super) fn ended(&self, end: &RecordingEnd, lost_ms: u32) {
        self.active.fetch_sub(1, Ordering::Relaxed);
        self.lost_ms.fetch_add(lost_ms.into(), Ordering::Relaxed);
        let outcome = match end {
            RecordingEnd::WriteFailed(_) => &self.failed,
            _ if lost_ms > 0 => &self.incomplete,
            _ => &self.complete,
        };
        outcome.fetch_add(1, Ordering::Relaxed);
    }

    /// Recordings that are being written.
    pub fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    /// Audio that recordings lost to disks that were slow or full, in ms.
    pub fn lost_ms(&self) -> u64 {
        self.lost_ms.load(Ordering::Relaxed)
    }

    /// Recordings that ended, by what became of their files.
    pub fn by_outcome(&self) -> [(&'static str, u64); 3] {
        [
            ("complete", self.complete.load(Ordering::Relaxed)),
            ("incomplete", self.incomplete.load(Ordering::Relaxed)),
            ("failed", self.failed.load(Ordering::Relaxed)),
        ]
    }
}

/// What the writers are given.
#[derive(Debug)]
pub(crate) enum WriterOrder {
    Begin(Box<WriterHalf>),
    /// A closed channel whose recordings are not all complete.
    Retire(Retired),
    Stop,
}

/// Runs until [`WriterOrder::Stop`] has come and all recordings are complete.
pub(crate) fn run(orders: &Receiver<WriterOrder>, retirement: &Retirement) {
    thread::scope(|scope| {
        let writers: Vec<Sender<Box<WriterHalf>>> = (0..WRITERS)
            .filter_map(|_| {
                let (sender, halves) = crossbeam_channel::unbounded();
                let writer = thread::Builder::new().name("media-writer".into());
                match writer.spawn_scoped(scope, move || write(&halves)) {
                    Ok(_) => Some(sender),
                    Err(error) => {
                        tracing::error!(%error, "a thread for recordings cannot be started");
                        None
                    }
                }
            })
            .collect();
        deal(orders, retirement, &writers);
    });
}

/// Gives each recording to a writer and waits for the closed channels among them.
fn deal(orders: &Receiver<WriterOrder>, retirement: &Retirement, to: &[Sender<Box<WriterHalf>>]) {
    let (mut leaving, mut stopping) = (Vec::<(Retired, Instant)>::new(), false);
    let mut next = to.iter().cycle();
    loop {
        if leaving.is_empty() && stopping {
            return;
        }
        let wait = if leaving.is_empty() {
            Duration::from_secs(3600)
        } else {
            ROUND
        };
        match orders.recv_timeout(wait) {
            Ok(WriterOrder::Begin(half)) => {
                half.enter();
                // Without any writer, or after one panicked: nobody takes it, and its end is that it failed.
                let untaken = match next.next() {
                    Some(writer) => writer.send(half).err().map(|refused| refused.0),
                    None => Some(half),
                };
                if let Some(half) = untaken {
                    half.abandon();
                }
            }
            Ok(WriterOrder::Retire(retired)) => leaving.push((retired, Instant::now())),
            Ok(WriterOrder::Stop) | Err(RecvTimeoutError::Disconnected) => stopping = true,
            Err(RecvTimeoutError::Timeout) => {}
        }
        let mut waiting = Vec::new();
        for (retired, since) in leaving {
            let stuck = since.elapsed() > PATIENCE;
            if stuck {
                retired.give_up_recordings();
            }
            match stuck || retired.recordings_complete() {
                true => retirement.complete(retired),
                false => waiting.push((retired, since)),
            }
        }
        leaving = waiting;
    }
}

/// Writes recordings until nobody sends any more and all are complete.
fn write(halves: &Receiver<Box<WriterHalf>>) {
    let mut recordings: Vec<Box<WriterHalf>> = Vec::new();
    loop {
        let news = match recordings.is_empty() {
            true => halves.recv().map_err(|_| RecvTimeoutError::Disconnected),
            false => halves.recv_timeout(ROUND),
        };
        match news {
            Ok(half) => recordings.push(half),
            Err(RecvTimeoutError::Disconnected) if recordings.is_empty() => return,
            // Disconnected comes at once: without a rest it would be asked for ever.
            Err(RecvTimeoutError::Disconnected) => thread::sleep(ROUND / 10),
            Err(RecvTimeoutError::Timeout) => {}
        }
        recordings.retain_mut(|half| half.turn(Instant::now()));
    }
}
