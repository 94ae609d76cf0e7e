//! How often one client may ask: a bucket of tokens for each key, by made-up time. Owns the table; knows nothing of HTTP.
//!
//! Limits: [`MOST_KEYS`] buckets; where there is no room, full buckets go first (they say nothing), then the one unused for longest.
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// Buckets kept.
const MOST_KEYS: usize = 10_000;

/// Buckets by key.
#[derive(Debug)]
pub(super) struct Rates {
    per_second: f64,
    burst: f64,
    buckets: HashMap<String, Bucket>,
    most: usize,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Instant,
}

impl Rates {
    /// `per_second` in the long run, twice as many at once.
    pub(super) fn new(per_second: u32) -> Rates {
        let per_second = f64::from(per_second.max(1));
        Rates {
            per_second,
            burst: per_second * 2.0,
            buckets: HashMap::new(),
            most: MOST_KEYS,
        }
    }

    /// Takes one from the bucket of `key`.
    ///
    /// # Errors
    /// How long to wait for the next.
    pub(super) fn take(&mut self, key: &str, now: Instant) -> Result<(), Duration> {
        if !self.buckets.contains_key(key) {
            self.make_room(now);
            let full = Bucket {
                left: self.burst,
                at: now,
            };
            self.buckets.insert(key.to_owned(), full);
        }
        let (per_second, burst) = (self.per_second, self.burst);
        let Some(bucket) = self.buckets.get_mut(key) else {
            return Ok(()); // it was put there just now
        };
        bucket.left = bucket.at(now, per_second, burst);
        bucket.at = now;
        if bucket.left >= 1.0 {
            bucket.left -= 1.0;
            return Ok(());
        }
        Err(Duration::from_secs_f64((1.0 - bucket.left) / per_second))
    }

    /// Whether the bucket of `key` is empty; takes nothing.
    #[cfg(test)]
    fn is_empty(&self, key: &str, now: Instant) -> bool {
        let left = |bucket: &Bucket| bucket.at(now, self.per_second, self.burst);
        self.buckets.get(key).is_some_and(|of| left(of) < 1.0)
    }

    fn make_room(&mut self, now: Instant) {
        if self.buckets.len() < self.most {
            return;
        }
        let (per_second, burst) = (self.per_second, self.burst);
        self.buckets
            .retain(|_, bucket| bucket.at(now, per_second, burst) < burst);
        if self.buckets.len() >= self.most {
            let oldest = self.buckets.iter().min_by_key(|(_, bucket)| bucket.at);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.buckets.remove(&key);
            }
        }
    }
}

impl Bucket {
    fn at(&self, now: Instant, per_second: f64, burst: f64) -> f64 {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        (self.left + passed * per_second).min(burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_through_and_then_the_rate() {
        let (mut rates, start) = (Rates::new(10), Instant::now());
        let after = |ms| start + Duration::from_millis(ms);
        assert_eq!(
            (0..30).filter(|_| rates.take("a", start).is_ok()).count(),
            20
        );
        let wait = rates.take("a", start).expect_err("empty");
        assert_eq!(wait.as_millis(), 100);
        assert!(rates.is_empty("a", start) && !rates.is_empty("b", start));
        assert!(rates.take("b", start).is_ok(), "each key has its own");
        assert_eq!(rates.take("a", after(100)), Ok(()));
        assert!(rates.take("a", after(150)).is_err());
        assert_eq!(
            (0..99)
                .filter(|_| rates.take("a", after(60_000)).is_ok())
                .count(),
            20
        );
    }

    #[test]
    fn time_that_runs_back_gives_nothing() {
        let (mut rates, start) = (Rates::new(1), Instant::now() + Duration::from_secs(9));
        assert!(rates.take("a", start).is_ok() && rates.take("a", start).is_ok());
        assert!(rates.take("a", start - Duration::from_secs(5)).is_err());
    }

    #[test]
    fn the_table_is_bounded_and_who_is_at_its_limit_is_not_forgotten_first() {
        let (mut rates, now) = (Rates::new(1), Instant::now());
        rates.most = 3;
        for _ in 0..3 {
            let _ = rates.take("busy", now);
        }
        for n in 0..100 {
            let _ = rates.take(&format!("k{n}"), now + Duration::from_micros(n));
            assert!(rates.buckets.len() <= 3);
        }
        // Full buckets go without loss.
        let (mut rates, later) = (Rates::new(1), now + Duration::from_secs(3));
        rates.most = 2;
        let _ = rates.take("idle", now);
        for _ in 0..9 {
            let _ = rates.take("busy", later);
        }
        let _ = rates.take("new", later);
        assert!(rates.is_empty("busy", later));
    }
}
