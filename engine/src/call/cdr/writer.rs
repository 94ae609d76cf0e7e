//! Brings records to disk: a bounded queue and a thread that appends them to the file, so that a slow or full disk never holds up a call.
//!
//! The file is opened anew for every batch, so it may be moved away at any time. What cannot be written is counted and said, at most
//! once a minute. Limits: 4,096 records wait.
use crossbeam_channel::{Receiver, Sender, TrySendError};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Records that may wait.
const QUEUE: usize = 4096;
/// Between two lines in the log about records that were lost.
const COMPLAIN: Duration = Duration::from_secs(60);

/// Why records cannot be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot write call records to {path}: {source}; change [cdr] file in the configuration")]
pub struct CdrError {
    path: PathBuf,
    source: std::io::Error,
}

/// See the module's text. Dropping it waits until what is queued is written.
#[derive(Debug)]
pub struct CdrWriter {
    queue: Option<Sender<String>>,
    lost: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl CdrWriter {
    /// Opens the file, to be appended to, and starts the thread. Records that cannot be written are counted in `lost`.
    ///
    /// # Errors
    /// The file cannot be opened, or the thread not be started.
    pub fn start(path: &Path, lost: Arc<AtomicU64>) -> Result<CdrWriter, CdrError> {
        let failed = |source| CdrError {
            path: path.to_owned(),
            source,
        };
        open(path).map_err(failed)?;
        let (queue, records) = crossbeam_channel::bounded(QUEUE);
        let mut sink = Sink {
            path: path.to_owned(),
            lost: lost.clone(),
            told: (0, None),
        };
        let thread = std::thread::Builder::new()
            .name("cdr".to_owned())
            .spawn(move || sink.run(&records))
            .map_err(failed)?;
        Ok(CdrWriter {
            queue: Some(queue),
            lost,
            thread: Some(thread),
        })
    }

    /// Queues records from a thread that may wait for room.
    pub fn patient(&self) -> impl Fn(String) + Send + Clone + 'static {
        let queue = self.queue.clone();
        move |record| {
            // The writer's thread ends after all who write.
            let _ = queue.as_ref().map(|queue| queue.send(record));
        }
    }

    /// Queues a record, one line. It is lost, and counted, when too many wait.
    pub(in super::super) fn write(&self, record: String) {
        let Some(queue) = &self.queue else { return };
        if let Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) = queue.try_send(record) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for CdrWriter {
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn open(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

/// The thread's half.
struct Sink {
    path: PathBuf,
    lost: Arc<AtomicU64>,
    /// Losses said so far, and when last.
    told: (u64, Option<Instant>),
}

impl Sink {
    fn run(&mut self, records: &Receiver<String>) {
        while let Ok(first) = records.recv() {
            let mut batch = first;
            batch.push('\n');
            let mut count = 1;
            while let Ok(more) = records.try_recv() {
                batch.push_str(&more);
                batch.push('\n');
                count += 1;
            }
            let written = open(&self.path).and_then(|mut file| file.write_all(batch.as_bytes()));
            if written.is_err() {
                self.lost.fetch_add(count, Ordering::Relaxed);
            }
            self.complain(written.err().as_ref());
        }
    }

    fn complain(&mut self, error: Option<&std::io::Error>) {
        let lost = self.lost.load(Ordering::Relaxed);
        let (told, when) = self.told;
        if lost == told || when.is_some_and(|when| when.elapsed() < COMPLAIN) {
            return;
        }
        self.told = (lost, Some(Instant::now()));
        let why = error.map_or(
            "they come faster than the disk takes them".to_owned(),
            ToString::to_string,
        );
        tracing::error!(
            rule = "cdr-lost",
            lost = lost - told,
            file = %self.path.display(),
            why,
            "call records could not be written and are lost"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_appended_and_the_file_may_be_moved_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("cdr.jsonl");
        for _ in 0..2 {
            let writer = CdrWriter::start(&path, Arc::default()).unwrap();
            writer.write("{}".to_owned());
            drop(writer);
        }
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "{}\n{}\n");
        let writer = CdrWriter::start(&path, Arc::default()).unwrap();
        std::fs::rename(&path, folder.path().join("old")).unwrap();
        writer.write("[]".to_owned());
        drop(writer);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[]\n");
    }

    #[test]
    fn what_cannot_be_written_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub");
        std::fs::create_dir(&path).unwrap();
        let file = path.join("cdr.jsonl");
        let lost = Arc::default();
        let writer = CdrWriter::start(&file, Arc::clone(&lost)).unwrap();
        std::fs::remove_dir_all(&path).unwrap();
        writer.write("{}".to_owned());
        drop(writer);
        assert_eq!(lost.load(Ordering::Relaxed), 1);
        assert!(CdrWriter::start(&file, lost).is_err());
    }
}
