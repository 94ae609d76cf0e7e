//! Owns the timer values of SIP and the queue of deadlines of an endpoint.
//!
//! It never reads a clock: every instant is handed in. Deadlines that fall on the same instant fire in the
//! order in which they were armed, so that a run can be repeated bit for bit.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The timer values of RFC 3261 §17.1.1.1 and table 4, with the limits that are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// T1, the round trip estimate. Default 500 ms.
    pub t1: Duration,
    /// T2, the longest retransmission interval of non-INVITE requests and of INVITE responses. Default 4 s.
    pub t2: Duration,
    /// T4, the longest time a message stays in the network. Default 5 s.
    pub t4: Duration,
    /// Timer D, how long retransmitted INVITE refusals are absorbed over UDP. At least 32 s. Default 32 s.
    pub td: Duration,
    /// How long an INVITE may stay without a final response, in either direction (the place of timer C,
    /// RFC 3261 §16.6 item 11, for a user agent). Default 180 s.
    pub tc: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            td: Duration::from_secs(32),
            tc: Duration::from_secs(180),
        }
    }
}

impl Timers {
    /// 64·T1, the lifetime behind timers B, F, H, J, L and M.
    pub fn lifetime(&self) -> Duration {
        self.t1.saturating_mul(64)
    }
}

/// Names one armed deadline, so that it can be cancelled in O(log n).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    at: Instant,
    sequence: u64,
}

/// Deadlines in the order in which they fire.
#[derive(Debug)]
pub(crate) struct TimerQueue<T> {
    entries: BTreeMap<TimerKey, T>,
    sequence: u64,
}

impl<T> TimerQueue<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: BTreeMap::new(),
            sequence: 0,
        }
    }

    /// Arms a deadline `after` from `now`. A sum beyond the range of the clock fires at once rather than never.
    pub(crate) fn arm(&mut self, now: Instant, after: Duration, what: T) -> TimerKey {
        let at = now.checked_add(after).unwrap_or(now);
        self.sequence += 1;
        let key = TimerKey {
            at,
            sequence: self.sequence,
        };
        self.entries.insert(key, what);
        key
    }

    /// Takes a deadline back. One that fired already is no error.
    pub(crate) fn cancel(&mut self, key: TimerKey) {
        self.entries.remove(&key);
    }

    /// The instant of the earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.entries.first_key_value().map(|(key, _)| key.at)
    }

    /// Takes the earliest deadline that is due at `now`.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<T> {
        let entry = self.entries.first_entry()?;
        (entry.key().at <= now).then(|| entry.remove())
    }

    /// How many deadlines are armed.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn fires_by_time_then_by_order_of_arming() {
        let now = Instant::now();
        let mut queue = TimerQueue::new();
        queue.arm(now, MS * 20, 'c');
        queue.arm(now, MS * 10, 'a');
        queue.arm(now, MS * 10, 'b');
        assert_eq!(queue.next(), Some(now + MS * 10));
        assert_eq!(queue.pop_due(now + MS * 9), None);
        let fired: Vec<_> = std::iter::from_fn(|| queue.pop_due(now + MS * 20)).collect();
        assert_eq!(fired, ['a', 'b', 'c']);
        assert_eq!((queue.next(), queue.len()), (None, 0));
    }

    #[test]
    fn a_cancelled_deadline_never_fires() {
        let now = Instant::now();
        let mut queue = TimerQueue::new();
        let first = queue.arm(now, MS, 1);
        queue.arm(now, MS, 2);
        queue.cancel(first);
        queue.cancel(first);
        assert_eq!(queue.pop_due(now + MS), Some(2));
        assert_eq!(queue.pop_due(now + MS), None);
    }

    #[test]
    fn a_deadline_beyond_the_clock_fires_at_once() {
        let now = Instant::now();
        let mut queue = TimerQueue::new();
        queue.arm(now, Duration::MAX, ());
        assert_eq!(queue.next(), Some(now));
    }
}
