//! Whether the peer is still there: RTP and RTCP are signs of life, and hold is no silence. Pure; time is an argument.

use std::time::{Duration, Instant};

/// The RTP timeout of a channel.
#[derive(Debug)]
pub(crate) struct Life {
    seen_at: Instant,
    told: bool,
}

impl Life {
    pub(crate) fn new(now: Instant) -> Life {
        Life {
            seen_at: now,
            told: false,
        }
    }

    /// Something came of the peer, or is expected from now on.
    pub(crate) fn sign(&mut self, now: Instant) {
        self.seen_at = now;
        self.told = false;
    }

    /// To be called every frame. Returns whether the peer has been silent for `timeout`, once for each silence. `talking`: audio goes both
    /// ways by agreement. Who is on hold, in either direction, often sends nothing at all, whatever the agreement says.
    pub(crate) fn watch(&mut self, now: Instant, talking: bool, timeout: Duration) -> bool {
        if !talking {
            self.sign(now);
        }
        if self.told || now.saturating_duration_since(self.seen_at) < timeout {
            return false;
        }
        self.told = true;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute with a timeout of 10 s: when it is told, in s. `sign` and `talking` say what is at each second.
    fn told(sign: impl Fn(u64) -> bool, talking: impl Fn(u64) -> bool) -> Vec<u64> {
        let start = Instant::now();
        let mut life = Life::new(start);
        let seconds = 0..60;
        let tell = |second: &u64| {
            let now = start + Duration::from_secs(*second);
            if sign(*second) {
                life.sign(now);
            }
            life.watch(now, talking(*second), Duration::from_secs(10))
        };
        seconds.filter(tell).collect()
    }

    #[test]
    fn silence_is_told_once_and_hold_is_none() {
        let always = |_| true;
        let never = |_| false;
        assert_eq!(told(never, always), [10], "nothing ever comes");
        assert_eq!(told(always, always), [0; 0]);
        assert_eq!(told(|at| at % 5 == 0, always), [0; 0], "RTCP every 5 s");
        assert_eq!(
            told(|at| at < 5 || at == 30, always),
            [14, 40],
            "twice silent"
        );
        assert_eq!(told(never, never), [0; 0], "on hold all the time");
        let held = |at| !(5..40).contains(&at);
        assert_eq!(told(never, held), [49], "counts from the end of hold");
    }
}
