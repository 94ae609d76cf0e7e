//! The state machine of a gather: keys, ends of prompts and deadlines in; what to do next out. Sans-IO.
use super::verb::{Gather, GatherEnd, Gathered, KeyPress};
use std::time::{Duration, Instant};

/// What the executor must do now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// Wait for keys, the end of the prompts, or this deadline.
    Wait(Option<Instant>),
    /// The entry is complete.
    Done(Gathered),
}

/// A gather in progress.
#[derive(Debug)]
pub(super) struct Gathering<'a> {
    spec: &'a Gather,
    prompting: bool,
    deadline: Option<Instant>,
    digits: String,
    keys: Vec<KeyPress>,
}

impl<'a> Gathering<'a> {
    /// Begins; `prompting` says whether prompts are playing.
    pub(super) fn new(spec: &'a Gather, now: Instant, prompting: bool) -> Self {
        let deadline = (!prompting).then(|| now + Duration::from_millis(spec.timeout_ms.into()));
        Gathering {
            spec,
            prompting,
            deadline,
            digits: String::new(),
            keys: Vec::new(),
        }
    }

    /// Whether the prompts should be heard still.
    pub(super) fn prompting(&self) -> bool {
        self.prompting
    }

    /// What to wait for.
    pub(super) fn next(&self) -> Next {
        Next::Wait(self.deadline)
    }

    /// A key went down: the caller is heard, so the prompts stop and no time runs out while it is held.
    pub(super) fn key_down(&mut self) -> Next {
        if !self.prompting || self.spec.barge_in {
            self.prompting = false;
            self.deadline = None;
        }
        self.next()
    }

    /// A key was pressed and released.
    pub(super) fn key(&mut self, now: Instant, key: KeyPress) -> Next {
        if self.prompting && !self.spec.barge_in && !self.spec.typeahead {
            return self.next();
        }
        self.keys.push(key);
        if self.spec.finish_on == Some(key.digit) {
            return self.done(GatherEnd::FinishKey);
        }
        self.digits.push(key.digit);
        if self.digits.chars().count() >= self.spec.max_digits.max(1) {
            return self.done(GatherEnd::MaxDigits);
        }
        if self.spec.barge_in {
            self.prompting = false;
        }
        if !self.prompting {
            self.deadline = Some(now + Duration::from_millis(self.spec.inter_digit_ms.into()));
        }
        self.next()
    }

    /// The prompts have been played to their end.
    pub(super) fn prompts_done(&mut self, now: Instant) -> Next {
        if self.prompting {
            self.prompting = false;
            let wait = if self.digits.is_empty() {
                self.spec.timeout_ms
            } else {
                self.spec.inter_digit_ms
            };
            self.deadline = Some(now + Duration::from_millis(wait.into()));
        }
        self.next()
    }

    /// Time has passed.
    pub(super) fn time(&mut self, now: Instant) -> Next {
        match self.deadline {
            Some(at) if at <= now && self.digits.is_empty() => self.done(GatherEnd::NoInput),
            Some(at) if at <= now => self.done(GatherEnd::InterDigitTimeout),
            _ => self.next(),
        }
    }

    fn done(&mut self, end: GatherEnd) -> Next {
        Next::Done(Gathered {
            digits: std::mem::take(&mut self.digits),
            end,
            keys: std::mem::take(&mut self.keys),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::verb::{DigitSource, Repeat};
    use super::*;

    enum In {
        Down,
        Key(char),
        PromptsDone,
        Time,
    }
    use In::{Down, Key, PromptsDone, Time};

    fn spec() -> Gather {
        Gather {
            prompts: vec![],
            repeat: Repeat::Times(1),
            timeout_ms: 5000,
            inter_digit_ms: 2000,
            max_digits: 3,
            finish_on: Some('#'),
            barge_in: true,
            typeahead: false,
            sensitive: false,
        }
    }

    fn run(spec: &Gather, inputs: &[(u64, In)]) -> Option<(String, GatherEnd, u64)> {
        let start = Instant::now();
        let mut gathering = Gathering::new(spec, start, true);
        for (ms, input) in inputs {
            let now = start + Duration::from_millis(*ms);
            let next = match input {
                Key(digit) => gathering.key(now, KeyPress::new(*digit, DigitSource::Rfc4733)),
                Down => gathering.key_down(),
                PromptsDone => gathering.prompts_done(now),
                Time => gathering.time(now),
            };
            if let Next::Done(gathered) = next {
                return Some((gathered.digits, gathered.end, *ms));
            }
        }
        None
    }

    #[test]
    fn entries_end_as_the_verb_says() {
        let default = spec();
        let no_barge = Gather {
            barge_in: false,
            ..spec()
        };
        let ahead = Gather {
            barge_in: false,
            typeahead: true,
            ..spec()
        };
        let one = Gather {
            max_digits: 1,
            ..spec()
        };
        let no_finish = Gather {
            finish_on: None,
            ..spec()
        };
        let cases: &[(&str, &Gather, &[(u64, In)], Option<(&str, GatherEnd, u64)>)] = &[
            (
                "silence after the prompts",
                &default,
                &[(1000, PromptsDone), (5999, Time), (6000, Time)],
                Some(("", GatherEnd::NoInput, 6000)),
            ),
            (
                "the prompt's length does not count",
                &default,
                &[(60_000, Time)],
                None,
            ),
            (
                "barge-in to the full length",
                &default,
                &[(10, Key('1')), (20, Key('2')), (30, Key('3'))],
                Some(("123", GatherEnd::MaxDigits, 30)),
            ),
            (
                "finish key",
                &default,
                &[(10, Key('1')), (20, Key('#'))],
                Some(("1", GatherEnd::FinishKey, 20)),
            ),
            (
                "finish key alone",
                &default,
                &[(20, Key('#'))],
                Some(("", GatherEnd::FinishKey, 20)),
            ),
            (
                "no finish key set",
                &no_finish,
                &[(20, Key('#')), (21, Key('#')), (22, Key('#'))],
                Some(("###", GatherEnd::MaxDigits, 22)),
            ),
            (
                "pause between digits",
                &default,
                &[(10, Key('1')), (2009, Time), (2010, Time)],
                Some(("1", GatherEnd::InterDigitTimeout, 2010)),
            ),
            (
                "the end of a stopped prompt changes nothing",
                &default,
                &[(10, Key('1')), (15, PromptsDone), (2010, Time)],
                Some(("1", GatherEnd::InterDigitTimeout, 2010)),
            ),
            (
                "one digit",
                &one,
                &[(10, Key('9'))],
                Some(("9", GatherEnd::MaxDigits, 10)),
            ),
            (
                "a key held past the timeout",
                &default,
                &[
                    (1000, PromptsDone),
                    (5900, Down),
                    (7000, Time),
                    (7500, Key('4')),
                    (9499, Time),
                    (9500, Time),
                ],
                Some(("4", GatherEnd::InterDigitTimeout, 9500)),
            ),
            (
                "keys during a prompt that must be heard are dropped",
                &no_barge,
                &[(10, Key('1')), (1000, PromptsDone), (6000, Time)],
                Some(("", GatherEnd::NoInput, 6000)),
            ),
            (
                "or kept as type-ahead",
                &ahead,
                &[(10, Key('1')), (1000, PromptsDone), (3000, Time)],
                Some(("1", GatherEnd::InterDigitTimeout, 3000)),
            ),
        ];
        for (name, spec, inputs, expected) in cases {
            let got = run(spec, inputs);
            assert_eq!(
                got,
                expected.map(|(digits, end, ms)| (digits.to_owned(), end, ms)),
                "{name}"
            );
        }
    }
}
