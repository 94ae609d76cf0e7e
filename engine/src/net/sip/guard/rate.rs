//! A rate limit per source in a table of fixed size. Pure: time is an argument.
//!
//! Each source has a token bucket, kept as one number: the time at which it will be full again (GCRA, ITU-T I.371). A full bucket
//! says nothing, so its entry may be forgotten without loss, and only such entries are: a source that is being limited cannot have
//! itself forgotten by a flood of made-up ones, and a made-up source that sends once is forgotten as soon as its one token is back.
//! Where a set of the table holds nothing but sources that matter, newcomers to it share one bucket until one is forgotten.
//!
//! Limit: [`SETS`] sets of [`WAYS`] sources: 65,536 sources in 1.25 MiB, however many there are.
use super::source::Source;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

const SETS: usize = 16_384;
const WAYS: usize = 4;
/// How many seconds' worth a source may send at once after a silence.
const BURST_SECONDS: u64 = 2;
const SECOND: u64 = 1_000_000_000;

#[derive(Debug, Clone, Copy, Default)]
struct Bucket {
    source: u64,
    /// When it is full again, nanoseconds since the table was made.
    full_at: u64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Set {
    ways: [Bucket; WAYS],
    /// For newcomers that find no place.
    crowd: Bucket,
}

/// The table. Which set a source is in depends on a secret, so nobody can aim at another's set.
pub(super) struct SourceRates {
    sets: Vec<Set>,
    hasher: RandomState,
    epoch: Instant,
}

impl SourceRates {
    pub(super) fn new(now: Instant) -> SourceRates {
        SourceRates {
            sets: vec![Set::default(); SETS],
            hasher: RandomState::new(),
            epoch: now,
        }
    }

    /// Takes one token of `source`; false when there is none. `per_second` must be the same at each call, or nearly so.
    pub(super) fn take(&mut self, now: Instant, source: Source, per_second: u32) -> bool {
        let now = self.nanoseconds(now);
        let cost = SECOND / u64::from(per_second.max(1));
        let index = self.hasher.hash_one(source) as usize % SETS;
        let set = &mut self.sets[index];
        let known = set
            .ways
            .iter()
            .position(|way| way.source == source.0 && way.full_at > now);
        let place = known.or_else(|| set.ways.iter().position(|way| way.full_at <= now));
        let bucket = match place {
            Some(way) => &mut set.ways[way],
            None => &mut set.crowd,
        };
        bucket.source = source.0;
        let full_at = bucket.full_at.max(now) + cost;
        if full_at > now + (BURST_SECONDS * SECOND).max(cost) {
            return false;
        }
        bucket.full_at = full_at;
        true
    }

    fn nanoseconds(&self, now: Instant) -> u64 {
        let since: Duration = now.saturating_duration_since(self.epoch);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2)
    }

    #[cfg(test)]
    fn octets(&self) -> usize {
        self.sets.capacity() * std::mem::size_of::<Set>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> Source {
        Source::of(std::net::IpAddr::V4(number.into()))
    }

    fn taken(rates: &mut SourceRates, now: Instant, from: Source, tries: u32, rate: u32) -> u32 {
        (0..tries).filter(|_| rates.take(now, from, rate)).count() as u32
    }

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let start = Instant::now();
        let mut rates = SourceRates::new(start);
        assert_eq!(taken(&mut rates, start, source(1), 1000, 50), 100);
        // Another source has a bucket of its own.
        assert_eq!(taken(&mut rates, start, source(2), 1000, 50), 100);
        let later = start + Duration::from_millis(100);
        assert_eq!(taken(&mut rates, later, source(1), 1000, 50), 5);
        let after_silence = start + Duration::from_secs(60);
        assert_eq!(taken(&mut rates, after_silence, source(1), 1000, 50), 100);
    }

    /// A million made-up sources: the memory stays, the one who is limited stays limited, an honest one is served.
    #[test]
    fn a_million_made_up_sources_change_nothing_for_the_others() {
        let start = Instant::now();
        let mut rates = SourceRates::new(start);
        let before = rates.octets();
        assert_eq!(before, 1_310_720);
        let (flooder, honest) = (source(1), source(2));
        assert_eq!(taken(&mut rates, start, flooder, 10_000, 50), 100);
        let (mut flooded, mut served) = (0, 0);
        // 100,000 datagrams a second.
        for number in 0..1_000_000 {
            let now = start + Duration::from_micros(u64::from(number) * 10);
            rates.take(now, source(1000 + number), 50);
            if number % 100 == 0 {
                flooded += u32::from(rates.take(now, flooder, 50));
            }
            if number % 100_000 == 0 {
                served += u32::from(rates.take(now, honest, 50));
            }
        }
        assert_eq!(rates.octets(), before);
        // 10 s at 50 a second, and not one more: it was never forgotten.
        assert!((499..=501).contains(&flooded), "{flooded}");
        assert_eq!(served, 10);
    }

    #[test]
    fn newcomers_to_a_full_set_share_a_bucket() {
        let start = Instant::now();
        let mut rates = SourceRates::new(start);
        for set in &mut rates.sets {
            for (way, bucket) in set.ways.iter_mut().enumerate() {
                *bucket = Bucket {
                    source: way as u64,
                    full_at: 2 * SECOND,
                };
            }
        }
        let passed: u32 = (0..200_000)
            .map(|number| u32::from(rates.take(start, source(number), 1)))
            .sum();
        // Two tokens for each set.
        assert!(
            passed <= 2 * SETS as u32 && passed > SETS as u32,
            "{passed}"
        );
    }
}
