//! Whether a shard takes new channels: it is full while its frames are late, its thread is busy or the process has all of its cores busy, and
//! stays so until all have been well for a while.
//!
//! Four times a second a thread beside the hot loop looks back at the last second. What came since is reckoned at what the others cost: calls
//! that come by hundreds in a second would be over the limit before anybody had seen it. What a channel costs is the most that it did in the last
//! seconds with about as many: callers who talk and press keys at the same time, and a machine that is slower for a while, come again. How late its
//! slots are decides how far that may go: as long as they are on time, half of what the limit leaves of the core is used, too. Channels
//! that are open are never touched. A shard with few channels is never full: what makes it late is something else on the machine, and
//! refusing calls would not help.

use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::stats::{Counter, Lateness, MediaStats};
use crate::net::thread as system;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(250);
/// Looks that make a second.
const LOOKS: usize = 4;
/// Looks whose cost of a channel is remembered: ten seconds.
const REMEMBERED: usize = 10 * LOOKS;
/// Looks without trouble after which a shard takes channels again.
const CALM: u32 = 3 * LOOKS as u32;
/// The part of its slots that tells how late a shard is. A machine that stands still for some ms makes fewer late than the rest, unless the
/// shard is too busy to catch up.
const IN_TIME: f64 = 0.95;
/// A shard is on time while its slots are less late than this part of what they may be.
const ON_TIME: u64 = 4;
/// How busy all threads of the process may make the cores it has, in percent of them: beyond it the media threads have to wait.
const WHOLE_PERCENT: u32 = 90;

/// From where on a shard takes no new channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// How late, in ms, one in twenty of the shard's 1 ms slots was in the last second; 0: whatever they are.
    pub late_ms: u32,
    /// How busy its thread was in the last second, in percent of a core, what came since included; 100: whatever it was. While its slots are
    /// on time it may be busier.
    pub busy_percent: u32,
    /// A shard with fewer channels is not full.
    pub few: u64,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        AdmissionLimits {
            late_ms: 10,
            busy_percent: 80,
            few: 50,
        }
    }
}

/// How a shard is, as last looked at.
#[derive(Debug, Default)]
pub struct Pulse {
    /// What 95 % of its 1 ms slots in the last second were not later than, µs.
    pub late_us: Counter,
    /// CPU time of its thread in the last second, µs.
    pub busy_us: Counter,
    /// Its channels then, in the mean of that second.
    pub channels: Counter,
    /// CPU time of a channel in a second, µs: the most of the last ten seconds with about as many channels.
    pub(crate) each_us: Counter,
    /// 1 while it takes no new channels.
    pub full: Counter,
    /// Where the system says how long its thread has run.
    pub(crate) schedule: OnceLock<PathBuf>,
}

impl Pulse {
    pub(crate) fn is_full(&self) -> bool {
        self.full.value() != 0
    }

    /// What a second may take with so many channels, in µs: what they took at most lately, and what has come since at as much for each, but
    /// not less than `least_us`.
    pub(crate) fn expected_us(&self, channels: u64, least_us: u64) -> u64 {
        let (busy_us, then) = (self.busy_us.value(), self.channels.value());
        let each_us = self.each_us.value();
        let coming = channels.saturating_sub(then);
        busy_us.max(channels.min(then) * each_us) + coming * each_us.max(least_us)
    }

    /// CPU time of its thread so far in µs, where the system tells.
    fn ran_us(&self) -> Option<u64> {
        let told = fs::read_to_string(self.schedule.get()?).ok()?;
        let ran_ns: u64 = told.split(' ').next()?.parse().ok()?;
        Some(ran_ns / 1000)
    }
}

impl AdmissionLimits {
    /// How busy a shard may be, in percent of a core, whose slots are so late: half of what [`busy_percent`](Self::busy_percent) leaves is
    /// let in, too, while they are not a quarter as late as they may be.
    fn busy_percent_at(&self, late_us: u64) -> u32 {
        match late_us * ON_TIME < u64::from(self.late_ms) * 1000 {
            true => (self.busy_percent + 100) / 2,
            false => self.busy_percent,
        }
    }

    /// Whether so many channels, expected to take so much of the next second, are as many as a shard takes whose slots are so late.
    pub(crate) fn are_reached(&self, channels: u64, expected_us: u64, late_us: u64) -> bool {
        let limit_us = u64::from(self.busy_percent_at(late_us)) * 10_000;
        channels >= self.few && self.busy_percent < 100 && expected_us >= limit_us
    }
}

/// What was seen of a shard in one second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    channels: u64,
    late_us: u64,
    /// CPU time in µs of a second.
    busy_us: u64,
    /// CPU time of the whole process in percent of what it can have.
    whole_percent: u32,
}

/// Says from second to second whether the shard is full.
#[derive(Debug, Default)]
struct Gate {
    full: bool,
    calm: u32,
}

impl Gate {
    /// Whether the state changed.
    fn look(&mut self, limits: AdmissionLimits, seen: Second) -> bool {
        // Where it ends lies below where it begins.
        let busy = limits.busy_percent_at(seen.late_us);
        let (late, busy, whole) = match self.full {
            false => (limits.late_ms * 1000, busy, WHOLE_PERCENT),
            true => (
                limits.late_ms * 500,
                busy.saturating_sub(10),
                WHOLE_PERCENT - 10,
            ),
        };
        let is_late = limits.late_ms > 0 && seen.late_us >= u64::from(late);
        let is_busy = limits.busy_percent < 100
            && (seen.busy_us >= u64::from(busy) * 10_000 || seen.whole_percent >= whole);
        let trouble = seen.channels >= limits.few && (is_late || is_busy);
        self.calm = if trouble { 0 } else { self.calm + 1 };
        let full = trouble || (self.full && self.calm < CALM);
        std::mem::replace(&mut self.full, full) != full
    }
}

/// The counters of a shard at one moment.
#[derive(Debug)]
struct Snapshot {
    at: Instant,
    lateness: Lateness,
    cpu_us: u64,
    channels: u64,
}

/// A shard that is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    stats: Arc<MediaStats>,
    pulse: Arc<Pulse>,
    gate: Gate,
    /// The looks of the last second, the oldest first.
    looks: VecDeque<Snapshot>,
    costs: Costs,
}

/// What the last seconds took: channels, and CPU time of all in µs.
#[derive(Debug, Default)]
struct Costs(VecDeque<(u64, u64)>);

impl Costs {
    /// Takes another second. Returns the most that a channel took in any with about as many: in a thread with few, all is dearer.
    fn take(&mut self, channels: u64, busy_us: u64) -> u64 {
        if self.0.len() == REMEMBERED {
            self.0.pop_front();
        }
        self.0.push_back((channels, busy_us));
        let alike = self.0.iter().filter(|(then, _)| then * 5 >= channels * 4);
        let each = alike.filter_map(|(then, busy_us)| busy_us.checked_div(*then));
        each.max().unwrap_or(0)
    }
}

impl Watched {
    pub(crate) fn new(stats: Arc<MediaStats>, pulse: Arc<Pulse>, now: Instant) -> Watched {
        let first = Snapshot {
            at: now,
            lateness: Lateness::default(),
            cpu_us: 0,
            channels: stats.channels.value(),
        };
        Watched {
            stats,
            pulse,
            gate: Gate::default(),
            looks: VecDeque::from([first]),
            costs: Costs::default(),
        }
    }

    /// Looks at the shard's counters. Returns whether it is full now, if that changed.
    fn look(&mut self, limits: AdmissionLimits, whole_percent: u32, now: Instant) -> Option<bool> {
        let counted = || self.stats.cpu_us.value();
        let cpu_us = self.pulse.ran_us().unwrap_or_else(counted);
        let before = self.looks.front()?;
        let elapsed = now.saturating_duration_since(before.at).as_micros().max(1) as u64;
        let channels = self.stats.channels.value();
        let counts = self.looks.iter().map(|look| look.channels);
        let mean = (counts.sum::<u64>() + channels) / (self.looks.len() as u64 + 1);
        let late = self.stats.lateness.since(&before.lateness);
        self.pulse.late_us.set(late.quantile_us(IN_TIME));
        let busy_us = cpu_us.saturating_sub(before.cpu_us) * 1_000_000 / elapsed;
        self.pulse.each_us.set(self.costs.take(mean, busy_us));
        self.pulse.busy_us.set(busy_us);
        self.pulse.channels.set(mean);
        // Those who came within the second have not cost a whole second yet.
        let (whole, mean) = (u64::from(whole_percent), mean.max(1));
        let seen = Second {
            channels,
            late_us: self.pulse.late_us.value(),
            busy_us: self.pulse.expected_us(channels, 0),
            whole_percent: (whole * channels.max(mean) / mean) as u32,
        };
        let changed = self.gate.look(limits, seen);
        if self.looks.len() == LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back(Snapshot {
            at: now,
            lateness: self.stats.lateness.since(&Lateness::default()),
            cpu_us,
            channels,
        });
        self.pulse.full.set(u64::from(self.gate.full));
        changed.then_some(self.gate.full)
    }
}

/// The CPU time of the process over the last second.
#[derive(Debug)]
struct Process {
    cores: u64,
    looks: VecDeque<(Instant, u64)>,
}

impl Process {
    fn new(now: Instant) -> Process {
        Process {
            cores: system::cores().max(1),
            looks: VecDeque::from([(now, system::process_cpu_time().as_micros() as u64)]),
        }
    }

    /// What it had in the last second, in percent of what it can have.
    fn look(&mut self, now: Instant) -> u32 {
        let cpu_us = system::process_cpu_time().as_micros() as u64;
        let (at, before) = self.looks.front().copied().unwrap_or((now, cpu_us));
        let elapsed = now.saturating_duration_since(at).as_micros().max(1) as u64;
        if self.looks.len() == LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back((now, cpu_us));
        (cpu_us.saturating_sub(before) * 100 / (elapsed * self.cores)) as u32
    }
}

/// Watches the shards until the engine stops; whoever stops it unparks this thread.
pub(crate) fn watch(mut shards: Vec<Watched>, limits: AdmissionLimits, stop: &AtomicBool) {
    let mut looked = Instant::now();
    let mut process = Process::new(looked);
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(LOOK);
        let now = Instant::now();
        // Woken before its time, a look would tell of too little.
        if now.saturating_duration_since(looked) < LOOK / 2 {
            continue;
        }
        looked = now;
        let whole_percent = process.look(now);
        for (shard, watched) in shards.iter_mut().enumerate() {
            let Some(full) = watched.look(limits, whole_percent, now) else {
                continue;
            };
            let pulse = &watched.pulse;
            let channels = watched.stats.channels.value();
            let late_us = pulse.late_us.value();
            let busy_percent = pulse.busy_us.value() / 10_000;
            match full {
                true => tracing::warn!(
                    shard,
                    channels,
                    late_us,
                    busy_percent,
                    whole_percent,
                    rule = "media-overloaded",
                    "a media thread is at its limit: it takes no new calls (503); see [media] late_limit_ms and busy_limit"
                ),
                false => tracing::warn!(
                    shard,
                    channels,
                    late_us,
                    busy_percent,
                    whole_percent,
                    "the media thread takes new calls again"
                ),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: AdmissionLimits = AdmissionLimits {
        late_ms: 10,
        busy_percent: 90,
        few: 50,
    };

    /// Each second is looked at as often as it is.
    fn states(seconds: &[(u64, u64, u64)]) -> Vec<bool> {
        let mut gate = Gate::default();
        let look = |&(channels, late_ms, busy_percent): &(u64, u64, u64)| {
            let seen = Second {
                channels,
                late_us: late_ms * 1000,
                busy_us: busy_percent * 10_000,
                whole_percent: 50,
            };
            for _ in 0..LOOKS {
                let before = gate.full;
                assert_eq!(gate.look(LIMITS, seen), gate.full != before);
            }
            gate.full
        };
        seconds.iter().map(look).collect()
    }

    #[test]
    fn late_or_busy_is_full_and_calm_for_three_seconds_is_not() {
        let late = [
            (900, 1, 50),
            (900, 10, 50),
            (900, 6, 50),
            (900, 4, 50),
            (900, 4, 50),
            (900, 4, 50),
        ];
        assert_eq!(states(&late), [false, true, true, true, true, false]);
        let busy = [89, 90, 81, 79, 81, 70, 70, 70].map(|percent| (900, 3, percent));
        assert_eq!(
            states(&busy),
            [false, true, true, true, true, true, true, false]
        );
    }

    /// Lateness that is measured decides what may be reckoned with: 90 % where it is seen, 95 % where it is not.
    #[test]
    fn who_is_on_time_may_be_busier() {
        let busy = [94, 95, 86, 84, 84, 84].map(|percent| (900, 2, percent));
        assert_eq!(states(&busy), [false, true, true, true, true, false]);
        // It becomes late: what it carries is enough.
        assert_eq!(states(&[(900, 2, 93), (900, 3, 93)]), [false, true]);
        let reached = |late_us| LIMITS.are_reached(900, 940_000, late_us);
        assert_eq!([2400, 2500].map(reached), [false, true]);
        // Without a limit of lateness nobody looks.
        let blind = AdmissionLimits {
            late_ms: 0,
            ..LIMITS
        };
        assert!(blind.are_reached(900, 900_000, 0));
    }

    #[test]
    fn a_few_channels_are_never_too_many() {
        assert_eq!(states(&[(49, 500, 100), (50, 500, 10)]), [false, true]);
        assert!(!states(&[(50, 500, 10), (3, 500, 10), (3, 500, 10), (0, 0, 0)])[3]);
    }

    #[test]
    fn limits_can_be_switched_off() {
        let off = AdmissionLimits {
            late_ms: 0,
            busy_percent: 100,
            few: 50,
        };
        let worst = Second {
            channels: 9000,
            late_us: 9_000_000,
            busy_us: 1_100_000,
            whole_percent: 100,
        };
        assert!(!Gate::default().look(off, worst));
    }

    #[test]
    fn a_process_that_has_all_of_its_cores_busy_is_full() {
        let mut gate = Gate::default();
        let states = [89, 90, 85, 79].map(|whole_percent| {
            gate.look(
                LIMITS,
                Second {
                    channels: 900,
                    late_us: 0,
                    busy_us: 500_000,
                    whole_percent,
                },
            );
            gate.full
        });
        assert_eq!(states, [false, true, true, true]);
    }

    /// Hundreds of calls between two looks: they count before they are seen.
    #[test]
    fn what_came_since_the_last_look_counts() {
        let pulse = Pulse::default();
        pulse.busy_us.set(600_000);
        pulse.channels.set(1000);
        pulse.each_us.set(600);
        let reached = |channels| LIMITS.are_reached(channels, pulse.expected_us(channels, 0), 5000);
        assert_eq!(pulse.expected_us(1100, 0), 660_000);
        assert_eq!([1000, 1499, 1500].map(reached), [false, false, true]);
        // Fewer than were there cost no less until the next look.
        assert_eq!(pulse.expected_us(10, 0), 600_000);
        // What they took at most lately comes again.
        pulse.each_us.set(800);
        assert_eq!(pulse.expected_us(1100, 0), 880_000);
        // Of a shard of which nothing is known a channel costs what is usual at least.
        assert_eq!(Pulse::default().expected_us(100, 200), 20_000);
        let few = |few| AdmissionLimits { few, ..LIMITS }.are_reached(49, 2_000_000, 0);
        assert_eq!([few(49), few(50)], [true, false]);
    }

    #[test]
    fn a_channel_costs_the_most_that_it_did_lately_among_as_many() {
        let mut costs = Costs::default();
        assert_eq!(costs.take(0, 5000), 0);
        // A few are dear: what a thread takes for itself is shared by few.
        assert_eq!(costs.take(50, 50_000), 1000);
        assert_eq!(costs.take(900, 540_000), 600);
        assert_eq!(costs.take(1000, 700_000), 700);
        assert_eq!(costs.take(1000, 500_000), 700);
        let later = (0..REMEMBERED).map(|_| costs.take(1000, 500_000));
        assert_eq!(later.last(), Some(500));
    }

    /// Made-up lateness in a shard's own counters: each look tells of the second before it.
    #[test]
    fn what_is_looked_at_is_the_last_second() {
        let (stats, pulse) = (Arc::new(MediaStats::default()), Arc::new(Pulse::default()));
        let start = Instant::now();
        stats.channels.set(2000);
        let mut watched = Watched::new(stats.clone(), pulse.clone(), start);
        let mut n = 0;
        let mut second = |late_us: u64, busy_ms: u64| {
            let mut changes = Vec::new();
            for _ in 0..LOOKS {
                n += 1;
                (0..250).for_each(|_| stats.lateness.record(late_us));
                stats.cpu_us.add(busy_ms * 1000 / LOOKS as u64);
                changes.extend(watched.look(LIMITS, 50, start + n * LOOK));
            }
            (changes, pulse.is_full())
        };
        assert_eq!(second(80, 500), (vec![], false));
        assert_eq!(second(30_000, 700), (vec![true], true));
        // What was late is within the last second for three looks more.
        assert_eq!(second(80, 500), (vec![], true));
        assert_eq!(second(80, 500), (vec![], true));
        assert_eq!(second(80, 500), (vec![], true));
        assert_eq!(second(80, 500), (vec![false], false));
        assert_eq!(second(80, 950), (vec![true], true));
        assert_eq!(
            (pulse.busy_us.value(), pulse.channels.value()),
            (950_000, 2000)
        );
    }

    /// The machine stands still for 30 ms; then for as long, but the shard needs 100 ms to catch up.
    #[test]
    fn a_pause_of_the_machine_is_no_load() {
        for (late_slots, full) in [(30, false), (100, true)] {
            let (stats, pulse) = (Arc::new(MediaStats::default()), Arc::new(Pulse::default()));
            let start = Instant::now();
            stats.channels.set(2000);
            let mut watched = Watched::new(stats.clone(), pulse.clone(), start);
            (0..1000 - late_slots).for_each(|_| stats.lateness.record(80));
            (0..late_slots).for_each(|_| stats.lateness.record(20_000));
            stats.cpu_us.add(500_000);
            watched.look(LIMITS, 50, start + Duration::from_secs(1));
            assert_eq!(pulse.is_full(), full, "{late_slots}");
        }
    }

    /// 200 calls a second, each 0.6 ms: what was seen of the last second is what 100 calls fewer cost.
    #[test]
    fn who_came_within_the_second_is_reckoned_in_full() {
        let (stats, pulse) = (Arc::new(MediaStats::default()), Arc::new(Pulse::default()));
        let start = Instant::now();
        let mut watched = Watched::new(stats.clone(), pulse.clone(), start);
        let mut full = None;
        for n in 1..40u64 {
            let channels = n * 50;
            stats.cpu_us.add((channels - 25) * 600 / LOOKS as u64);
            stats.channels.set(channels);
            let changed = watched.look(LIMITS, 0, start + n as u32 * LOOK);
            full = full.or(changed.map(|_| channels));
        }
        // Nobody is late: 95 % are 1584 of them.
        assert_eq!(full, Some(1600));
    }

    #[test]
    fn the_process_is_asked_for_its_time() {
        let start = Instant::now();
        let mut process = Process::new(start);
        assert!((0..30_000_000u64).fold(1, |a, n| std::hint::black_box(a ^ n)) != 7);
        assert!(process.look(start + Duration::from_micros(1000)) > 0);
        let pulse = Pulse::default();
        assert_eq!(pulse.ran_us(), None);
        if let Some(path) = system::schedule() {
            pulse.schedule.set(path).unwrap();
            assert!(pulse.ran_us().is_some_and(|us| us > 0));
        }
    }
}
