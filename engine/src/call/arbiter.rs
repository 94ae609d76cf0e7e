//! The DTMF arbiter of a leg: in-band tones, RFC 4733 events and SIP INFO in, one digit per key press out.
//!
//! A press begins with the first report of it and ends when the source of that report says so.
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
    first: DigitSource,
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
    /// A source reports that a key went down. Whether that is a new press.
    pub fn begin(&mut self, now: Instant, digit: char, source: DigitSource) -> bool {
        let slot = source as usize;
        let known = self.presses.iter_mut().find(|press| {
            press.digit == digit && !press.sources[slot] && press.may_repeat(now, source)
        });
        if let Some(press) = known {
            press.sources[slot] = true;
            self.duplicates += 1;
            return false;
        }
        if self.presses.len() == MEMORY {
            self.presses.pop_front();
        }
        let mut sources = [false; 3];
        sources[slot] = true;
        let press = Press {
            digit,
            first: source,
            began: now,
            ended: None,
            sources,
        };
        self.presses.push_back(press);
        true
    }

    /// A source reports that a key went up. Returns the key press, once for each.
    pub fn end(
        &mut self,
        now: Instant,
        digit: char,
        source: DigitSource,
        duration_ms: u32,
    ) -> Option<KeyPress> {
        let press = self
            .presses
            .iter_mut()
            .find(|press| press.digit == digit && press.first == source && press.ended.is_none())?;
        press.ended = Some(now);
        Some(KeyPress {
            digit,
            source,
            duration_ms: Some(duration_ms),
        })
    }

    /// A press by SIP INFO, which knows no up and down. Returns it if it is a new one.
    pub fn info(
        &mut self,
        now: Instant,
        digit: char,
        duration_ms: Option<u32>,
    ) -> Option<KeyPress> {
        if !self.begin(now, digit, DigitSource::Info) {
            return None;
        }
        let press = self.end(now, digit, DigitSource::Info, 0)?;
        Some(KeyPress {
            duration_ms,
            ..press
        })
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
            if source == Info {
                out.extend(arbiter.info(now, digit, None).map(|press| press.digit));
            } else if begin {
                // Down and up are told apart by case: `d` before the digit that ends.
                if arbiter.begin(now, digit, source) {
                    out.push('d');
                }
            } else {
                out.extend(arbiter.end(now, digit, source, 0).map(|press| press.digit));
            }
        }
        out
    }

    #[test]
    fn one_press_is_one_digit_whatever_reports_it() {
        let down = |ms, digit, source| (ms, digit, source, true);
        let up = |ms, digit, source| (ms, digit, source, false);
        let info = |ms, digit| (ms, digit, Info, true);
        let (r, t) = (Rfc4733, InBand);
        let cases: &[(&str, &[Report], &str)] = &[
            ("RFC 4733 alone", &[down(0, '5', r), up(100, '5', r)], "d5"),
            (
                "RFC 4733, then tone",
                &[
                    down(0, '5', r),
                    down(45, '5', t),
                    up(100, '5', r),
                    up(130, '5', t),
                ],
                "d5",
            ),
            (
                "tone, then RFC 4733",
                &[
                    down(0, '5', t),
                    down(30, '5', r),
                    up(90, '5', r),
                    up(100, '5', t),
                ],
                "d5",
            ),
            (
                "tone after the event's end",
                &[
                    down(0, '5', r),
                    up(60, '5', r),
                    down(200, '5', t),
                    up(260, '5', t),
                ],
                "d5",
            ),
            (
                "all three",
                &[
                    down(0, '1', r),
                    down(40, '1', t),
                    up(100, '1', r),
                    info(300, '1'),
                ],
                "d1",
            ),
            (
                "INFO first",
                &[
                    info(0, '1'),
                    down(200, '1', r),
                    down(240, '1', t),
                    up(300, '1', r),
                ],
                "1",
            ),
            (
                "INFO while the key is down",
                &[down(0, '1', r), info(50, '1'), up(100, '1', r)],
                "d1",
            ),
            (
                "a fast repeat",
                &[
                    down(0, '1', r),
                    up(50, '1', r),
                    down(100, '1', r),
                    up(150, '1', r),
                ],
                "d1d1",
            ),
            (
                "a fast repeat, reported twice over",
                &[
                    down(0, '1', r),
                    down(40, '1', t),
                    up(50, '1', r),
                    up(60, '1', t),
                    down(100, '1', r),
                    down(140, '1', t),
                    up(150, '1', r),
                    up(160, '1', t),
                ],
                "d1d1",
            ),
            (
                "INFO of two presses, late",
                &[
                    down(0, '1', r),
                    up(50, '1', r),
                    down(150, '1', r),
                    up(200, '1', r),
                    info(400, '1'),
                    info(450, '1'),
                ],
                "d1d1",
            ),
            (
                "another digit",
                &[
                    down(0, '1', r),
                    down(40, '2', t),
                    up(50, '1', r),
                    up(90, '2', t),
                ],
                "dd12",
            ),
            (
                "the same key much later by another source",
                &[
                    down(0, '1', r),
                    up(100, '1', r),
                    down(2000, '1', t),
                    up(2100, '1', t),
                ],
                "d1d1",
            ),
            ("two by INFO", &[info(0, '1'), info(100, '1')], "11"),
            ("an end that nothing began", &[up(0, '1', r)], ""),
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
