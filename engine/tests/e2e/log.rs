//! The log lines of a process under test, as they come.
use super::PATIENCE;
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// All lines of one process.
#[derive(Default)]
pub(crate) struct Log {
    lines: Mutex<Vec<String>>,
    grown: Condvar,
}

impl Log {
    /// Takes the lines of a stream until it ends.
    pub(crate) fn collect(self: &Arc<Self>, stream: impl Read + Send + 'static) {
        let log = Arc::clone(self);
        std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                log.lock().push(without_colours(&line));
                log.grown.notify_all();
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, Vec<String>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for the `times`th line of a kind.
    #[track_caller]
    pub(crate) fn wait(&self, what: &str, times: usize, wanted: impl Fn(&str) -> bool) -> String {
        self.wait_until(what, times, |lines| {
            let mut found = lines.iter().filter(|line| wanted(line));
            found.nth(times - 1).cloned()
        })
    }

    /// Waits until there are `times` different lines of a kind.
    #[track_caller]
    pub(crate) fn wait_different(&self, what: &str, times: usize, wanted: impl Fn(&str) -> bool) {
        self.wait_until(what, times, |lines| {
            (different(lines, &wanted) >= times).then_some(())
        });
    }

    #[track_caller]
    fn wait_until<T>(&self, what: &str, times: usize, found: impl Fn(&[String]) -> Option<T>) -> T {
        let patience = Instant::now() + PATIENCE;
        let mut lines = self.lock();
        loop {
            if let Some(found) = found(&lines) {
                return found;
            }
            let left = patience.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no {times} log lines with {what}:\n{}",
                lines.join("\n")
            );
            lines = self
                .grown
                .wait_timeout(lines, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        self.lock().join("\n")
    }

    /// How many different lines so far satisfy `wanted`.
    pub(crate) fn different(&self, wanted: impl Fn(&str) -> bool) -> usize {
        different(&self.lock(), wanted)
    }

    /// How many lines so far satisfy `wanted`.
    pub(crate) fn count(&self, wanted: impl Fn(&str) -> bool) -> usize {
        self.lock().iter().filter(|line| wanted(line)).count()
    }
}

/// How many different lines satisfy `wanted`.
fn different(lines: &[String], wanted: impl Fn(&str) -> bool) -> usize {
    let lines = lines.iter().filter(|line| wanted(line));
    lines.collect::<BTreeSet<_>>().len()
}

/// The line without terminal escapes.
fn without_colours(line: &str) -> String {
    let mut parts = line.split('\x1b');
    let first = parts.next().unwrap_or("").to_owned();
    parts.fold(first, |text, part| {
        text + part.split_once('m').map_or("", |(_, rest)| rest)
    })
}
