//! The store: what outlives the process. Owns one SQLite file, the thread that writes it and the one that reads it.
//!
//! Work is a closure over a [`Database`], run in a transaction of its own: whole or not at all. Tables and their typed functions stand in a
//! file for each topic, with an entry in `migrations`. Callers never block and calls never wait: a disk that is full, slow or broken costs what
//! was to be written, which is counted and told with the file's name, at most once a minute for each cause.
//! Limits: 4,096 pieces of work wait for each thread; one more is refused.
mod cdr;
mod claim;
mod database;
mod documents;
mod error;
mod ids;
mod migrations;
mod queue;
mod recordings;
mod scheduled;
mod signed;
mod sqlite;
mod stamp;
mod voicemail;
mod webhooks;

pub use cdr::{Cdr, CdrQuery, MAX_CDR_PAGE};
pub use claim::Claim;
pub use database::{Bracket, Database, MAX_ROWS, Row, Value};
pub use documents::Document;
pub use error::{Cause, StoreError};
pub use ids::fresh_id;
pub use recordings::{
    MAX_RECORDINGS_PAGE, RecordingBegun, RecordingDone, RecordingQuery, RecordingRow,
};
pub use scheduled::{MOST_SCHEDULED, Scheduled, ScheduledState};
pub use signed::{AddressRefused, RecordingSigner};
pub use stamp::stamp;
pub use voicemail::{
    MAX_VOICEMAIL_PAGE, VoicemailBegun, VoicemailCount, VoicemailLeft, VoicemailQuery,
    VoicemailRow, VoicemailState, voicemail_id,
};
pub use webhooks::Spooled;

use crossbeam_channel::{Sender, TrySendError};
use queue::{Job, Pace, Piece, Side};
use sqlite::Sqlite;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::oneshot;

/// Pieces of work that wait for a thread.
const QUEUE: usize = 4096;
/// How often [`Store::flush`] looks for room in the queue.
const ROOM: Duration = Duration::from_millis(5);
/// Between two lines in the log about one cause.
const COMPLAIN: Duration = Duration::from_secs(60);

/// What the metrics page shows.
#[derive(Debug, Default)]
pub struct Counters {
    /// Pieces that are written.
    pub written: AtomicU64,
    /// Questions answered.
    pub read: AtomicU64,
    failed: [AtomicU64; Cause::ALL.len()],
    told: Mutex<[Option<Instant>; Cause::ALL.len()]>,
}

impl Counters {
    /// Work that failed, by cause.
    pub fn failed_by(&self) -> [(&'static str, u64); Cause::ALL.len()] {
        Cause::ALL.map(|cause| {
            let count = self.failed[cause as usize].load(Ordering::Relaxed);
            (cause.name(), count)
        })
    }

    fn failed(&self, error: &StoreError, shown: &Shown) {
        self.failed[error.cause as usize].fetch_add(1, Ordering::Relaxed);
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let last = &mut told[error.cause as usize];
        if last.is_none_or(|at| at.elapsed() >= COMPLAIN) {
            *last = Some(Instant::now());
            let error = shown.named(error.clone());
            tracing::error!(rule = "store-failed", cause = error.cause.name(), "{error}");
        }
    }
}

/// The file's name in messages.
#[derive(Debug, Clone)]
struct Shown(Arc<str>);

impl Shown {
    fn named(&self, error: StoreError) -> StoreError {
        error.of(&self.0)
    }
}

/// See the module's text. Clones are the same store; it ends with the last of them, once everything that was asked is written.
#[derive(Clone)]
pub struct Store {
    threads: Arc<Threads>,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "Store({})", self.threads.shown.0)
    }
}

struct Threads {
    writer: Option<Sender<Box<dyn Job>>>,
    /// `None`: the writer reads as well.
    reader: Option<Sender<Box<dyn Job>>>,
    /// The writer, then the reader.
    running: Vec<JoinHandle<()>>,
    counters: Arc<Counters>,
    shown: Shown,
    file: Option<PathBuf>,
}

impl Drop for Threads {
    fn drop(&mut self) {
        // The last to close the file brings into it what lies beside it, which the reader may not.
        self.reader = None;
        self.running
            .drain(self.running.len().min(1)..)
            .for_each(await_end);
        self.writer = None;
        self.running.drain(..).for_each(await_end);
    }
}

fn await_end(thread: JoinHandle<()>) {
    // The last handle may go with a piece of work.
    if thread.thread().id() != std::thread::current().id() {
        let _ = thread.join();
    }
}

impl Store {
    /// Opens the file, makes it if it is not there, and brings its tables up to date. Blocks.
    ///
    /// # Errors
    /// The file cannot be opened, is another program's, is broken, or comes from a newer version.
    pub fn open(path: &Path) -> Result<Store, StoreError> {
        let shown = Shown(path.display().to_string().into());
        let named = |error| shown.named(error);
        let mut writer = Sqlite::open(path).map_err(named)?;
        migrations::run(&mut writer, migrations::ALL).map_err(named)?;
        let reader = Sqlite::open(path)
            .and_then(Sqlite::read_only)
            .map_err(named)?;
        Self::start(
            Box::new(writer),
            Some(Box::new(reader)),
            shown.clone(),
            Some(path),
        )
    }

    /// One that is gone with its last handle.
    ///
    /// # Errors
    /// No memory, no thread.
    pub fn in_memory() -> Result<Store, StoreError> {
        let mut database = Sqlite::in_memory()?;
        migrations::run(&mut database, migrations::ALL)?;
        Self::start(Box::new(database), None, Shown("in memory".into()), None)
    }

    fn start(
        writer: Box<dyn Database>,
        reader: Option<Box<dyn Database>>,
        shown: Shown,
        file: Option<&Path>,
    ) -> Result<Store, StoreError> {
        let counters = Arc::<Counters>::default();
        let mut running = Vec::new();
        let mut begin =
            |name: &str, database, work: fn(Side)| {
                let (send, jobs) = crossbeam_channel::bounded(QUEUE);
                let side = Side {
                    database,
                    jobs,
                    counters: counters.clone(),
                    shown: shown.clone(),
                };
                let thread = std::thread::Builder::new().name(name.to_owned());
                let thread = thread.spawn(move || work(side));
                running.push(thread.map_err(|error| {
                    shown.named(StoreError::new(Cause::Disk, error.to_string()))
                })?);
                Ok(send)
            };
        let writer = begin("store-write", writer, Side::write)?;
        let reader = reader.map(|of| begin("store-read", of, Side::read));
        Ok(Store {
            threads: Arc::new(Threads {
                writer: Some(writer),
                reader: reader.transpose()?,
                running,
                counters,
                shown,
                file: file.map(Path::to_owned),
            }),
        })
    }

    /// Its counters.
    pub fn counters(&self) -> Arc<Counters> {
        self.threads.counters.clone()
    }

    /// Pieces of work that wait to be written.
    pub fn waiting(&self) -> usize {
        self.threads.writer.as_ref().map_or(0, Sender::len)
    }

    /// Its file; `None`: in memory.
    pub fn file(&self) -> Option<&Path> {
        self.threads.file.as_deref()
    }

    /// Writes. Once this returns it outlives the end of the process, however that comes; a loss of power may cost the last moments.
    ///
    /// # Errors
    /// Those of the disk, and those of `work`: nothing of it counts then.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(true, Pace::Awaited, work).await
    }

    /// Writes. Once this returns it outlives a loss of power as well: for what somebody is promised. Costs a turn of the disk.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn write_durably<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(true, Pace::Durable, work).await
    }

    /// Reads: all of `work` sees the same state, in which everything is that was written before by who asks.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.ask(false, Pace::Awaited, work).await
    }

    async fn ask<T: Send + 'static>(
        &self,
        writes: bool,
        pace: Pace,
        work: impl FnOnce(&mut dyn Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (send, done) = oneshot::channel();
        // Who asked may have gone away.
        let tell = move |result| drop(send.send(result));
        self.queue(writes, piece(pace, work, tell))?;
        let closed = || StoreError::new(Cause::Closed, "its thread is gone");
        done.await
            .unwrap_or_else(|_| Err(self.threads.shown.named(closed())))
    }

    /// Has something written some time soon, in the order of the calls; who asks does not wait. What goes wrong is counted and told in the log.
    /// Returns whether it was taken.
    pub fn post(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<(), StoreError> + Send + 'static,
    ) -> bool {
        self.queue(true, piece(Pace::Soon, work, |_| ())).is_ok()
    }

    /// As [`Store::write_durably`], for threads that may block: start-up and command line. Never on a runtime's worker.
    ///
    /// # Errors
    /// As [`Store::write`].
    pub fn write_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut dyn Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (send, done) = std::sync::mpsc::sync_channel(1);
        let tell = move |result| drop(send.send(result));
        self.queue(true, piece(Pace::Durable, work, tell))?;
        let closed = || StoreError::new(Cause::Closed, "its thread is gone");
        done.recv()
            .unwrap_or_else(|_| Err(self.threads.shown.named(closed())))
    }

    /// Returns when everything posted before is written, or has failed.
    pub async fn flush(&self) {
        while self.threads.writer.as_ref().is_some_and(Sender::is_full) {
            tokio::time::sleep(ROOM).await;
        }
        // Its failure has been counted.
        let _ = self.write(|_| Ok(())).await;
    }

    fn queue(&self, writes: bool, job: Box<dyn Job>) -> Result<(), StoreError> {
        let threads = &*self.threads;
        let reader = threads.reader.as_ref().filter(|_| !writes);
        let queue = reader.or(threads.writer.as_ref());
        let sent = queue.map(|queue| queue.try_send(job));
        let error = match sent {
            Some(Ok(())) => return Ok(()),
            Some(Err(TrySendError::Full(_))) => {
                StoreError::new(Cause::QueueFull, format!("{QUEUE} wait"))
            }
            Some(Err(TrySendError::Disconnected(_))) | None => {
                StoreError::new(Cause::Closed, "its thread is gone")
            }
        };
        threads.counters.failed(&error, &threads.shown);
        Err(threads.shown.named(error))
    }
}

fn piece<T: Send + 'static>(
    pace: Pace,
    work: impl FnOnce(&mut dyn Database) -> Result<T, StoreError> + Send + 'static,
    done: impl FnOnce(Result<T, StoreError>) + Send + 'static,
) -> Box<dyn Job> {
    Box::new(Piece {
        work: Some(work),
        made: None,
        pace,
        done,
    })
}

/// A point in time as tables have it: ms since 1970.
pub fn ms_of(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// The reverse of [`ms_of`].
pub fn time_of(ms: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests;
