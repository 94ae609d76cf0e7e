//! Log lines that an attacker can cause come at most once in ten seconds for each rule, with the number of those left out.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(10);

/// When each rule was last logged. Rules are fixed names, so there are only so many.
#[derive(Debug, Default)]
pub(super) struct Quiet(BTreeMap<&'static str, (Instant, u64)>);

impl Quiet {
    /// Whether to log now; if so, how many were left out since the last line.
    pub(super) fn speaks(&mut self, now: Instant, rule: &'static str) -> Option<u64> {
        match self.0.get_mut(rule) {
            Some((last, left_out)) if now < *last + EVERY => {
                *left_out += 1;
                None
            }
            Some(entry) => Some(std::mem::replace(entry, (now, 0)).1),
            None => {
                self.0.insert(rule, (now, 0));
                Some(0)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_for_each_rule() {
        let (mut quiet, start) = (Quiet::default(), Instant::now());
        assert_eq!(quiet.speaks(start, "a"), Some(0));
        assert_eq!(quiet.speaks(start, "b"), Some(0));
        for _ in 0..5 {
            assert_eq!(quiet.speaks(start + EVERY / 2, "a"), None);
        }
        assert_eq!(quiet.speaks(start + EVERY, "a"), Some(5));
    }
}
