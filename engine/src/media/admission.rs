//! Whether a shard takes new channels: it is full while its frames are late or its core is busy, and stays so until both have been well for a
//! while.
//!
//! Once a second a thread beside the hot loop looks at each shard's counters. Channels that are open are never touched. A shard with few
//! channels is never full: what makes it late is something else on the machine, and refusing calls would not help.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::stats::{Counter, Lateness, MediaStats};

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Looks without trouble after which a shard takes channels again.
const CALM: u32 = 3;
/// A shard with fewer channels is not full.
const FEW: u64 = 50;

/// From where on a shard takes no new channels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// How late, in ms, 1 % of the shard's 1 ms slots were in the last second; 0: whatever they are.
    pub late_ms: u32,
    /// How busy its thread was in the last second, in percent of a core; 100: whatever it was.
    pub busy_percent: u32,
}

impl Default for AdmissionLimits {
    fn default() -> Self {
        AdmissionLimits {
            late_ms: 10,
            busy_percent: 90,
        }
    }
}

/// How a shard is, as last looked at.
#[derive(Debug, Default)]
pub struct Pulse {
    /// What 99 % of its 1 ms slots in the last second were not later than, µs.
    pub late_us: Counter,
    /// CPU time of its thread in the last second, µs.
    pub busy_us: Counter,
    /// Its channels then.
    pub channels: Counter,
    /// 1 while it takes no new channels.
    pub full: Counter,
}

impl Pulse {
    pub(crate) fn is_full(&self) -> bool {
        self.full.value() != 0
    }
}

/// What was seen of a shard in one second.
#[derive(Debug, Clone, Copy, Default)]
struct Second {
    channels: u64,
    late_us: u64,
    /// CPU time in µs of a second.
    busy_us: u64,
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
        let (late, busy) = match self.full {
            false => (limits.late_ms * 1000, limits.busy_percent * 10_000),
            true => (
                limits.late_ms * 500,
                limits.busy_percent.saturating_sub(10) * 10_000,
            ),
        };
        let is_late = limits.late_ms > 0 && seen.late_us >= u64::from(late);
        let is_busy = limits.busy_percent < 100 && seen.busy_us >= u64::from(busy);
        let trouble = seen.channels >= FEW && (is_late || is_busy);
        self.calm = if trouble { 0 } else { self.calm + 1 };
        let full = trouble || (self.full && self.calm < CALM);
        std::mem::replace(&mut self.full, full) != full
    }
}

/// A shard that is watched.
#[derive(Debug)]
pub(crate) struct Watched {
    stats: Arc<MediaStats>,
    pulse: Arc<Pulse>,
    gate: Gate,
    lateness: Lateness,
    cpu_us: u64,
    at: Instant,
}

impl Watched {
    pub(crate) fn new(stats: Arc<MediaStats>, pulse: Arc<Pulse>, now: Instant) -> Watched {
        Watched {
            stats,
            pulse,
            gate: Gate::default(),
            lateness: Lateness::default(),
            cpu_us: 0,
            at: now,
        }
    }

    /// Looks at the shard's counters. Returns whether it is full now, if that changed.
    fn look(&mut self, limits: AdmissionLimits, now: Instant) -> Option<bool> {
        let elapsed = now.saturating_duration_since(self.at).as_micros().max(1) as u64;
        let cpu_us = self.stats.cpu_us.value();
        let seen = Second {
            channels: self.stats.channels.value(),
            late_us: self.stats.lateness.since(&self.lateness).quantile_us(0.99),
            busy_us: cpu_us.saturating_sub(self.cpu_us) * 1_000_000 / elapsed,
        };
        self.lateness = self.stats.lateness.since(&Lateness::default());
        (self.cpu_us, self.at) = (cpu_us, now);
        let changed = self.gate.look(limits, seen);
        self.pulse.late_us.set(seen.late_us);
        self.pulse.busy_us.set(seen.busy_us);
        self.pulse.channels.set(seen.channels);
        self.pulse.full.set(u64::from(self.gate.full));
        changed.then_some(self.gate.full)
    }
}

/// Watches the shards until the engine stops; whoever stops it unparks this thread.
pub(crate) fn watch(mut shards: Vec<Watched>, limits: AdmissionLimits, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        std::thread::park_timeout(LOOK);
        let now = Instant::now();
        for (shard, watched) in shards.iter_mut().enumerate() {
            // Woken before its time, a look would tell of too little.
            if now.saturating_duration_since(watched.at) < LOOK / 2 {
                continue;
            }
            let Some(full) = watched.look(limits, now) else {
                continue;
            };
            let (channels, late_us) = (
                watched.pulse.channels.value(),
                watched.pulse.late_us.value(),
            );
            let busy_percent = watched.pulse.busy_us.value() / 10_000;
            match full {
                true => tracing::warn!(
                    shard,
                    channels,
                    late_us,
                    busy_percent,
                    rule = "media-overloaded",
                    "a media thread is at its limit: it takes no new calls (503); see [media] late_limit_ms and busy_limit"
                ),
                false => tracing::warn!(
                    shard,
                    channels,
                    late_us,
                    busy_percent,
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
    };

    fn states(seconds: &[(u64, u64, u64)]) -> Vec<bool> {
        let mut gate = Gate::default();
        let look = |&(channels, late_ms, busy_percent): &(u64, u64, u64)| {
            let before = gate.full;
            let changed = gate.look(
                LIMITS,
                Second {
                    channels,
                    late_us: late_ms * 1000,
                    busy_us: busy_percent * 10_000,
                },
            );
            assert_eq!(changed, gate.full != before);
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
        let busy = [
            (900, 0, 89),
            (900, 0, 90),
            (900, 0, 81),
            (900, 0, 79),
            (900, 0, 81),
            (900, 0, 70),
            (900, 0, 70),
            (900, 0, 70),
        ];
        assert_eq!(
            states(&busy),
            [false, true, true, true, true, true, true, false]
        );
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
        };
        let worst = Second {
            channels: 9000,
            late_us: 9_000_000,
            busy_us: 1_100_000,
        };
        assert!(!Gate::default().look(off, worst));
    }

    /// Made-up lateness in a shard's own counters: each look tells of the time since the one before.
    #[test]
    fn what_is_looked_at_is_the_last_second() {
        let (stats, pulse) = (Arc::new(MediaStats::default()), Arc::new(Pulse::default()));
        let start = Instant::now();
        let mut watched = Watched::new(stats.clone(), pulse.clone(), start);
        stats.channels.set(2000);
        let mut second = |n: u64, late_us: u64, busy_ms: u64| {
            (0..1000).for_each(|_| stats.lateness.record(late_us));
            stats.cpu_us.add(busy_ms * 1000);
            let changed = watched.look(LIMITS, start + Duration::from_secs(n));
            (changed, pulse.is_full())
        };
        assert_eq!(second(1, 80, 500), (None, false));
        assert_eq!(second(2, 30_000, 700), (Some(true), true));
        assert_eq!(second(3, 80, 500), (None, true));
        assert_eq!(second(4, 80, 500), (None, true));
        assert_eq!(second(5, 80, 500), (Some(false), false));
        assert_eq!(second(6, 80, 950), (Some(true), true));
        assert_eq!(
            (pulse.busy_us.value(), pulse.channels.value()),
            (950_000, 2000)
        );
    }
}
