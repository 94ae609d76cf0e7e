//! Log lines that an attacker can cause come at most so often in ten seconds for each rule, with the number of those left out.
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(10);

/// The ten seconds that run for a rule.
#[derive(Debug, Clone, Copy)]
struct Span {
    began: Instant,
    said: u32,
    left_out: u64,
}

/// When each rule was last logged. Rules are fixed names, so there are only so many.
#[derive(Debug)]
pub(in crate::net::sip) struct Quiet {
    lines: u32,
    spans: BTreeMap<&'static str, Span>,
}

impl Quiet {
    /// At most `lines` of each rule in ten seconds.
    pub(in crate::net::sip) fn new(lines: u32) -> Quiet {
        Quiet {
            lines,
            spans: BTreeMap::new(),
        }
    }

    /// Whether to log now; if so, how many were left out since the last line.
    pub(in crate::net::sip) fn speaks(&mut self, now: Instant, rule: &'static str) -> Option<u64> {
        let span = self.spans.entry(rule).or_insert(Span {
            began: now,
            said: 0,
            left_out: 0,
        });
        if now >= span.began + EVERY {
            (span.began, span.said) = (now, 0);
        }
        if span.said == self.lines {
            span.left_out += 1;
            return None;
        }
        span.said += 1;
        Some(std::mem::take(&mut span.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_in_ten_seconds_for_each_rule() {
        let (mut quiet, start) = (Quiet::new(1), Instant::now());
        assert_eq!(quiet.speaks(start, "a"), Some(0));
        assert_eq!(quiet.speaks(start, "b"), Some(0));
        for _ in 0..5 {
            assert_eq!(quiet.speaks(start + EVERY / 2, "a"), None);
        }
        assert_eq!(quiet.speaks(start + EVERY, "a"), Some(5));
    }

    #[test]
    fn a_few_lines_and_then_their_number() {
        let (mut quiet, start) = (Quiet::new(3), Instant::now());
        let said = [0; 5].map(|_| quiet.speaks(start, "a"));
        assert_eq!(said, [Some(0), Some(0), Some(0), None, None]);
        assert_eq!(quiet.speaks(start + EVERY, "a"), Some(2));
        assert_eq!(quiet.speaks(start + EVERY, "a"), Some(0));
    }
}
