//! The store's threads: one that writes, one that reads. What waits to be written is taken together into one transaction, each piece a part
//! of its own, so that a burst costs one commit; nobody is told "done" before it.
use super::database::{Bracket, Database};
use super::error::{Cause, StoreError};
use super::{Counters, Shown};
use crossbeam_channel::Receiver;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Pieces of one transaction.
const BATCH: usize = 256;
/// How long what nobody waits for may wait for more to be written with it: a transaction costs more than what is in it.
const GATHER: Duration = Duration::from_millis(20);

/// How soon a piece of work is done, and how well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pace {
    /// Nobody waits for it.
    Soon,
    /// Somebody waits for it.
    Awaited,
    /// Somebody waits until it outlives a loss of power.
    Durable,
}

/// A piece of work, and whom to tell of it.
pub(super) trait Job: Send {
    /// Does it, once.
    fn run(&mut self, database: &mut dyn Database) -> Result<(), StoreError>;
    /// Who waits for what.
    fn pace(&self) -> Pace;
    /// Tells how it went. What `run` made counts only with `Ok`.
    fn tell(self: Box<Self>, result: Result<(), StoreError>);
}

/// Work with what it makes and who waits for that.
pub(super) struct Piece<T, W, D> {
    pub(super) work: Option<W>,
    pub(super) made: Option<T>,
    pub(super) pace: Pace,
    pub(super) done: D,
}

impl<T, W, D> Job for Piece<T, W, D>
where
    T: Send,
    W: FnOnce(&mut dyn Database) -> Result<T, StoreError> + Send,
    D: FnOnce(Result<T, StoreError>) + Send,
{
    fn run(&mut self, database: &mut dyn Database) -> Result<(), StoreError> {
        if let Some(work) = self.work.take() {
            self.made = Some(work(database)?);
        }
        Ok(())
    }

    fn pace(&self) -> Pace {
        self.pace
    }

    fn tell(self: Box<Self>, result: Result<(), StoreError>) {
        let never = || StoreError::new(Cause::Defect, "it was not run");
        let made = self.made;
        (self.done)(result.and_then(|()| made.ok_or_else(never)));
    }
}

/// A thread's side.
pub(super) struct Side {
    pub(super) database: Box<dyn Database>,
    pub(super) jobs: Receiver<Box<dyn Job>>,
    pub(super) counters: Arc<Counters>,
    pub(super) shown: Shown,
}

impl Side {
    /// Writes until nobody can ask any more.
    pub(super) fn write(mut self) {
        while let Ok(first) = self.jobs.recv() {
            self.write_batch(self.gather(first));
        }
    }

    /// What is written together: all that waits, and what comes soon unless somebody waits for any of it.
    fn gather(&self, first: Box<dyn Job>) -> Vec<Box<dyn Job>> {
        let begun = Instant::now();
        let (mut batch, mut awaited) = (Vec::new(), first.pace() != Pace::Soon);
        batch.push(first);
        while batch.len() < BATCH {
            let patience = if awaited { Duration::ZERO } else { GATHER };
            let left = patience.saturating_sub(begun.elapsed());
            let Ok(more) = self.jobs.recv_timeout(left) else {
                break;
            };
            awaited |= more.pace() != Pace::Soon;
            batch.push(more);
        }
        batch
    }

    fn write_batch(&mut self, mut batch: Vec<Box<dyn Job>>) {
        let durably = batch.iter().any(|job| job.pace() == Pace::Durable);
        let mut results = Vec::with_capacity(batch.len());
        let whole = self.transact(durably, &mut batch, &mut results);
        let reached = match whole {
            // It did not even begin.
            Err(_) if results.is_empty() => batch.len(),
            _ => results.len(),
        };
        let left = batch.split_off(reached);
        for (at, job) in batch.into_iter().enumerate() {
            let result = match &whole {
                Ok(()) => results[at].clone(),
                Err(error) => Err(error.clone()),
            };
            match result {
                Ok(()) => {
                    self.counters.written.fetch_add(1, Ordering::Relaxed);
                    job.tell(Ok(()));
                }
                Err(error) => self.fail(job, error),
            }
        }
        // A full disk ended the transaction before these were reached.
        if !left.is_empty() {
            self.write_batch(left);
        }
    }

    /// Runs as many jobs as one transaction bears. An error means that nothing of those in `results` counts.
    fn transact(
        &mut self,
        durably: bool,
        batch: &mut [Box<dyn Job>],
        results: &mut Vec<Result<(), StoreError>>,
    ) -> Result<(), StoreError> {
        let database = &mut *self.database;
        database.bracket(Bracket::Begin { durably })?;
        for job in batch {
            let ran = database
                .bracket(Bracket::Save)
                .and_then(|()| run_caught(job.as_mut(), database));
            if let Err(error) = &ran
                && !database.in_transaction()
            {
                results.push(ran.clone());
                return Err(error.clone());
            }
            let part = match &ran {
                Ok(()) => Bracket::Keep,
                Err(_) => Bracket::Forget,
            };
            results.push(ran);
            if let Err(error) = database.bracket(part) {
                let _ = database.bracket(Bracket::RollBack);
                return Err(error);
            }
        }
        database.bracket(Bracket::Commit).inspect_err(|_| {
            let _ = database.bracket(Bracket::RollBack);
        })
    }

    /// Answers until nobody can ask any more.
    pub(super) fn read(mut self) {
        while let Ok(mut job) = self.jobs.recv() {
            let database = &mut *self.database;
            let ran = database
                .bracket(Bracket::BeginReading)
                .and_then(|()| run_caught(job.as_mut(), database));
            if database.in_transaction() {
                let _ = database.bracket(Bracket::RollBack);
            }
            match ran {
                Ok(()) => {
                    self.counters.read.fetch_add(1, Ordering::Relaxed);
                    job.tell(Ok(()));
                }
                Err(error) => self.fail(job, error),
            }
        }
    }

    fn fail(&self, job: Box<dyn Job>, error: StoreError) {
        self.counters.failed(&error, &self.shown);
        job.tell(Err(self.shown.named(error)));
    }
}

/// A job that panics fails alone.
fn run_caught(job: &mut dyn Job, database: &mut dyn Database) -> Result<(), StoreError> {
    catch_unwind(AssertUnwindSafe(|| job.run(database)))
        .unwrap_or_else(|_| Err(StoreError::new(Cause::Defect, "the work panicked")))
}
