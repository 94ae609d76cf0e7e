//! Times in a histogram with logarithmic buckets: a quantile is right to 1/64, the maximum exactly.

/// Buckets of each power of two.
const SUB: u64 = 64;
/// Up to 2^32 µs, more than an hour; what is longer counts as that.
const BUCKETS: usize = (SUB * 27) as usize;

/// How long things took, in ns in and ms out.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    max_ns: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Histogram {
            buckets: vec![0; BUCKETS],
            count: 0,
            max_ns: 0,
        }
    }
}

impl Histogram {
    /// One more.
    pub fn add(&mut self, ns: u64) {
        self.add_many(ns, 1);
    }

    /// `count` more of the same.
    pub fn add_many(&mut self, ns: u64, count: u64) {
        self.buckets[bucket(ns / 1000)] += count;
        self.count += count;
        self.max_ns = self.max_ns.max(ns);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest, in ms.
    pub fn max_ms(&self) -> f64 {
        self.max_ns as f64 / 1e6
    }

    /// The time in ms that the part `q` (0 to 1) of all does not exceed; 0 when there are none.
    pub fn quantile_ms(&self, q: f64) -> f64 {
        let wanted = ((self.count as f64 * q).ceil() as u64).max(1);
        let mut below = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            below += count;
            if below >= wanted {
                return (upper_us(index) as f64 / 1e3).min(self.max_ms());
            }
        }
        self.max_ms()
    }
}

/// Linear up to 64 µs, then 64 buckets for each doubling.
fn bucket(us: u64) -> usize {
    if us < SUB {
        return us as usize;
    }
    let doublings = u64::from(us.ilog2() - SUB.ilog2());
    let index = doublings * SUB + (us >> doublings);
    (index as usize).min(BUCKETS - 1)
}

/// The end of a bucket in µs.
fn upper_us(index: usize) -> u64 {
    let index = index as u64;
    if index < SUB {
        return index + 1;
    }
    let doublings = index / SUB - 1;
    (index % SUB + SUB + 1) << doublings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_right_to_a_sixty_fourth() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile_ms(0.5), 0.0);
        (1..=100_000u64).for_each(|us| histogram.add(us * 1000));
        assert_eq!((histogram.count(), histogram.max_ms()), (100_000, 100.0));
        for (q, expected) in [(0.5, 50.0), (0.99, 99.0), (0.9999, 99.99), (1.0, 100.0)] {
            let got = histogram.quantile_ms(q);
            assert!(
                got >= expected && got <= expected * (1.0 + 1.0 / 64.0) + 0.001,
                "{q}: {got}"
            );
        }
    }

    #[test]
    fn each_time_lies_in_its_bucket() {
        for us in (0..5000).chain([1 << 20, (1 << 32) - 1]) {
            let index = bucket(us);
            assert!(
                upper_us(index) > us && (index == 0 || upper_us(index - 1) <= us),
                "{us} in {index}"
            );
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
