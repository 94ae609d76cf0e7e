//! The DTMF arbiter of a leg: in-band tones, RFC 4733 events and SIP INFO in, one digit per key press out.
//!
//! A report is a repeat of an earlier press when that press has the same digit, came from other sources only, and is
//! recent enough; then it only adds its evidence. Two reports of one source are always two presses, so fast repeats of a key stay
//! two digits. Limits: remembers the last 8 presses.
use super::verb::{DigitSource, KeyPress};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long after a press another media source may still report it: the detector needs up to 60 ms, a jitter buffer up to 200 ms more.
const MEDIA_WINDOW: Duration = Duration::from_millis(300);
/// The same for SIP INFO, which travels by another path and is often sent at the end of the press.
const INFO_WINDOW: Duration = Duration::from_millis(1500);
/// Presses remembered.
const MEMORY: usize = 8;

#[derive(Debug)]
struct Press {
    digit: char,
    began: Instant,
    ended: Option<Instant>,
    sources: [bool; 3],
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Arbiter {
    presses: VecDeque<Press>,
    duplicates: u64,
}

impl Arbiter {
    /// A source reports that a key went down (for INFO: was pressed). Returns the key press if it is a new one.
    pub fn begin(&mut self, now: Instant, digit: char, source: DigitSource) -> Option<KeyPress> {
        let slot = source as usize;
        let known = self.presses.iter_mut().find(|press| {
            press.digit == digit && !press.sources[slot] && press.may_repeat(now, source)
        });
        if let Some(press) = known {
            press.sources[slot] = true;
            self.duplicates += 1;
            return None;
        }
        if self.presses.len() == MEMORY {
            self.presses.pop_front();
        }
        let mut sources = [false; 3];
        sources[slot] = true;
        let ended = (source == DigitSource::Info).then_some(now);
        self.presses.push_back(Press {
            digit,
            began: now,
            ended,
            sources,
        });
        Some(KeyPress {
            digit,
            source,
            duration_ms: None,
        })
    }

    /// A source reports that a key went up.
    pub fn end(&mut self, now: Instant, digit: char, source: DigitSource) {
        let slot = source as usize;
        if let Some(press) = self
            .presses
            .iter_mut()
            .rev()
            .find(|press| press.digit == digit && press.sources[slot])
        {
            press.ended = Some(press.ended.map_or(now, |before| before.max(now)));
        }
    }

    /// Reports that were recognised as repeats so far.
    pub fn duplicates(&self) -> u64 {
        self.duplicates
    }
}

impl Press {
    fn may_repeat(&self, now: Instant, source: DigitSource) -> bool {
        let info_involved = source == DigitSource::Info || self.sources[DigitSource::Info as usize];
        let window = if info_involved {
            INFO_WINDOW
        } else {
            MEDIA_WINDOW
        };
        match self.ended {
            Some(ended) => now.saturating_duration_since(ended) <= window,
            // Still down, as far as we know; an end that got lost must not swallow later presses.
            None => now.saturating_duration_since(self.began) <= window + Duration::from_secs(2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use DigitSource::{InBand, Info, Rfc4733};

    /// (ms, digit, source, is it the beginning)
    type Report = (u64, char, DigitSource, bool);

    fn run(reports: &[Report]) -> String {
        let start = Instant::now();
        let mut arbiter = Arbiter::default();
        let mut out = String::new();
        for &(ms, digit, source, begin) in reports {
            let now = start + Duration::from_millis(ms);
            if begin {
                out.extend(arbiter.begin(now, digit, source).map(|press| press.digit));
            } else {
                arbiter.end(now, digit, source);
            }
        }
        out
    }

    #[test]
    fn one_press_is_one_digit_whatever_reports_it() {
        let cases: &[(&str, &[Report], &str)] = &[
            (
                "RFC 4733 alone",
                &[(0, '5', Rfc4733, true), (100, '5', Rfc4733, false)],
                "5",
            ),
            (
                "RFC 4733, then in-band",
                &[
                    (0, '5', Rfc4733, true),
                    (45, '5', InBand, true),
                    (100, '5', Rfc4733, false),
                    (130, '5', InBand, false),
                ],
                "5",
            ),
            (
                "in-band, then RFC 4733",
                &[(0, '5', InBand, true), (30, '5', Rfc4733, true)],
                "5",
            ),
            (
                "in-band after the event's end",
                &[
                    (0, '5', Rfc4733, true),
                    (60, '5', Rfc4733, false),
                    (200, '5', InBand, true),
                ],
                "5",
            ),
            (
                "all three",
                &[
                    (0, '1', Rfc4733, true),
                    (40, '1', InBand, true),
                    (100, '1', Rfc4733, false),
                    (300, '1', Info, true),
                ],
                "1",
            ),
            (
                "INFO first",
                &[
                    (0, '1', Info, true),
                    (200, '1', Rfc4733, true),
                    (240, '1', InBand, true),
                ],
                "1",
            ),
            (
                "a fast repeat",
                &[
                    (0, '1', Rfc4733, true),
                    (50, '1', Rfc4733, false),
                    (100, '1', Rfc4733, true),
                ],
                "11",
            ),
            (
                "a fast repeat, reported twice over",
                &[
                    (0, '1', Rfc4733, true),
                    (40, '1', InBand, true),
                    (50, '1', Rfc4733, false),
                    (60, '1', InBand, false),
                    (100, '1', Rfc4733, true),
                    (140, '1', InBand, true),
                ],
                "11",
            ),
            (
                "INFO of two presses, late",
                &[
                    (0, '1', Rfc4733, true),
                    (50, '1', Rfc4733, false),
                    (150, '1', Rfc4733, true),
                    (200, '1', Rfc4733, false),
                    (400, '1', Info, true),
                    (450, '1', Info, true),
                ],
                "11",
            ),
            (
                "another digit",
                &[(0, '1', Rfc4733, true), (40, '2', InBand, true)],
                "12",
            ),
            (
                "the same key much later by another source",
                &[
                    (0, '1', Rfc4733, true),
                    (100, '1', Rfc4733, false),
                    (2000, '1', InBand, true),
                ],
                "11",
            ),
            (
                "an event whose end was lost",
                &[(0, '1', Rfc4733, true), (5000, '1', InBand, true)],
                "11",
            ),
        ];
        for (name, reports, expected) in cases {
            assert_eq!(run(reports), *expected, "{name}");
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut arbiter = Arbiter::default();
        let now = Instant::now();
        for _ in 0..1000 {
            arbiter.begin(now, '1', Rfc4733);
        }
        assert_eq!(arbiter.presses.len(), MEMORY);
    }
}
