//! What queues and agents are measured by: of this day, and of the last hour in minutes.
//!
//! Service level: of the callers who were answered or gave up, the share that was answered within the queue's time.
use std::time::{Duration, Instant};

/// Minutes that are looked back.
const MINUTES: u64 = 60;

/// What was counted in some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Callers who wanted to wait, those included who were not let in.
    pub offered: u64,
    /// Callers who were joined with an agent.
    pub answered: u64,
    /// Of these, within the queue's time.
    pub within: u64,
    /// Callers who hung up while they waited.
    pub abandoned: u64,
    /// Callers who waited as long as they may.
    pub timed_out: u64,
    /// Callers who left by a key, for a callback, because nobody was there, or were sent away.
    pub left: u64,
    /// Callers who were not let in.
    pub refused: u64,
    /// How long those waited who were answered, in all.
    pub held: Duration,
    /// The longest of these waits.
    pub longest: Duration,
    /// How long those talked who were answered, in all.
    pub talked: Duration,
    /// Conversations that are over.
    pub completed: u64,
    /// Calls that rang and were not taken; of an agent.
    pub missed: u64,
}

impl Counts {
    fn add(&mut self, other: &Counts) {
        self.offered += other.offered;
        self.answered += other.answered;
        self.within += other.within;
        self.abandoned += other.abandoned;
        self.timed_out += other.timed_out;
        self.left += other.left;
        self.refused += other.refused;
        self.held += other.held;
        self.longest = self.longest.max(other.longest);
        self.talked += other.talked;
        self.completed += other.completed;
        self.missed += other.missed;
    }

    /// 0 to 1; `None`: nobody was answered or gave up.
    pub fn service_level(&self) -> Option<f64> {
        let all = self.answered + self.abandoned;
        (all > 0).then(|| self.within as f64 / all as f64)
    }

    /// The mean wait of those who were answered.
    pub fn mean_hold(&self) -> Option<Duration> {
        mean(self.held, self.answered)
    }

    /// The mean conversation.
    pub fn mean_talk(&self) -> Option<Duration> {
        mean(self.talked, self.completed)
    }
}

fn mean(sum: Duration, of: u64) -> Option<Duration> {
    let of = u32::try_from(of).ok().filter(|of| *of > 0)?;
    Some(sum / of)
}

/// Counts of today and of the last hour.
#[derive(Debug, Clone)]
pub(super) struct Tally {
    began: Instant,
    today: Counts,
    total: Counts,
    /// One for each minute, and which minute it is of.
    minutes: Vec<(u64, Counts)>,
}

impl Tally {
    pub(super) fn new(now: Instant) -> Tally {
        Tally {
            began: now,
            today: Counts::default(),
            total: Counts::default(),
            minutes: Vec::new(),
        }
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.began).as_secs() / 60
    }

    /// Counts something that happened now.
    pub(super) fn count(&mut self, now: Instant, count: impl FnOnce(&mut Counts)) {
        let mut one = Counts::default();
        count(&mut one);
        self.today.add(&one);
        self.total.add(&one);
        let minute = self.minute(now);
        self.minutes.retain(|(of, _)| of + MINUTES > minute);
        match self.minutes.last_mut() {
            Some((of, counts)) if *of == minute => counts.add(&one),
            _ => self.minutes.push((minute, one)),
        }
    }

    pub(super) fn new_day(&mut self) {
        self.today = Counts::default();
    }

    pub(super) fn total(&self) -> Counts {
        self.total
    }

    pub(super) fn today(&self) -> Counts {
        self.today
    }

    pub(super) fn hour(&self, now: Instant) -> Counts {
        let minute = self.minute(now);
        let mut sum = Counts::default();
        let recent = self.minutes.iter().filter(|(of, _)| of + MINUTES > minute);
        recent.for_each(|(_, counts)| sum.add(counts));
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_rolls_by_minutes_and_a_day_by_its_end() {
        let t0 = Instant::now();
        let at = |minutes: u64| t0 + Duration::from_secs(minutes * 60);
        let mut tally = Tally::new(t0);
        for minute in [0, 0, 10, 59] {
            tally.count(at(minute), |counts| {
                counts.answered += 1;
                counts.held += Duration::from_secs(minute);
            });
        }
        assert_eq!(tally.hour(at(59)).answered, 4);
        assert_eq!(tally.hour(at(60)).answered, 2);
        assert_eq!(tally.hour(at(119)).answered, 0);
        assert_eq!(tally.today().answered, 4);
        assert_eq!(
            tally.today().mean_hold(),
            Some(Duration::from_millis(17_250))
        );
        tally.new_day();
        assert_eq!(tally.today(), Counts::default());
        assert_eq!(tally.hour(at(60)).answered, 2);
        tally.count(at(500), |counts| counts.abandoned += 1);
        assert_eq!(tally.minutes.len(), 1);
    }

    #[test]
    fn the_service_level_counts_those_who_gave_up() {
        let counts = Counts {
            answered: 8,
            within: 6,
            abandoned: 4,
            ..Counts::default()
        };
        assert_eq!(counts.service_level(), Some(0.5));
        assert_eq!(Counts::default().service_level(), None);
        assert_eq!(Counts::default().mean_talk(), None);
    }
}
