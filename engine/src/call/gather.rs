//! The state machine of a gather: keys, speech, ends of prompts and deadlines in; what to do next out. Sans-IO.
use super::listen::HANG_OVER;
use super::verb::{Gather, GatherEnd, Gathered, KeyPress};
use crate::speech::Transcript;
use std::time::{Duration, Instant};

/// What the executor must do now.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Next {
    /// Wait for keys, speech, the end of the prompts, or this deadline.
    Wait(Option<Instant>),
    /// The entry is complete.
    Done(Gathered),
}

/// How far the speech of an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// None counts: it was not asked for, or a key has come first.
    Deaf,
    /// Nobody has spoken.
    Waiting,
    /// Somebody speaks, since then.
    Speaking(Instant),
    /// They have finished; what it means is not known yet.
    Spoken,
}

/// A gather in progress.
#[derive(Debug)]
pub(super) struct Gathering<'a> {
    spec: &'a Gather,
    prompting: bool,
    deadline: Option<Instant>,
    digits: String,
    keys: Vec<KeyPress>,
    phase: Phase,
    /// The far end makes itself heard, whether that counts or not.
    voice: bool,
}

impl<'a> Gathering<'a> {
    /// Begins; `prompting` says whether prompts are playing.
    pub(super) fn new(spec: &'a Gather, now: Instant, prompting: bool) -> Self {
        let deadline = (!prompting).then(|| now + ms(spec.timeout_ms));
        Gathering {
            spec,
            prompting,
            deadline,
            digits: String::new(),
            keys: Vec::new(),
            phase: Phase::Deaf,
            voice: false,
        }
    }

    /// From now on speech counts.
    pub(super) fn listens(&mut self) {
        self.phase = Phase::Waiting;
    }

    /// How far the speech is.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether keys count.
    pub(super) fn takes_keys(&self) -> bool {
        self.spec.speech.as_ref().is_none_or(|speech| speech.keys)
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
        if self.takes_keys() && (!self.prompting || self.spec.barge_in) {
            self.prompting = false;
            self.deadline = None;
            // Keys are surer than speech: what was said is left.
            self.phase = Phase::Deaf;
        }
        self.next()
    }

    /// A key was pressed and released.
    pub(super) fn key(&mut self, now: Instant, key: KeyPress) -> Next {
        if self.prompting && !self.spec.barge_in && !self.spec.typeahead {
            return self.next();
        }
        self.phase = Phase::Deaf;
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
            self.deadline = Some(now + ms(self.spec.inter_digit_ms));
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
            self.deadline = Some(now + ms(wait));
            if self.voice && self.phase == Phase::Waiting {
                self.speaks(now);
            }
        }
        self.next()
    }

    /// The far end begins or stops making itself heard.
    pub(super) fn voice(&mut self, now: Instant, on: bool) -> Next {
        self.voice = on;
        let end_ms = self.spec.speech.as_ref().map_or(0, |speech| speech.end_ms);
        match self.phase {
            Phase::Waiting if on && (!self.prompting || self.spec.barge_in) => self.speaks(now),
            Phase::Speaking(since) if on => self.deadline = Some(self.longest(since)),
            Phase::Speaking(since) => {
                let silent = ms(end_ms).saturating_sub(HANG_OVER);
                self.deadline = Some(self.longest(since).min(now + silent));
            }
            _ => {}
        }
        self.next()
    }

    fn speaks(&mut self, now: Instant) {
        self.prompting = false;
        self.phase = Phase::Speaking(now);
        self.deadline = Some(self.longest(now));
    }

    /// When a speech is cut.
    fn longest(&self, since: Instant) -> Instant {
        let speech = self.spec.speech.as_ref();
        since + ms(speech.map_or(0, |speech| speech.max_ms))
    }

    /// What was said is lost: the wait for it begins anew.
    pub(super) fn unheard(&mut self, now: Instant) -> Next {
        if self.phase != Phase::Deaf {
            self.phase = Phase::Waiting;
            self.voice = false;
            if !self.prompting {
                self.deadline = Some(now + ms(self.spec.timeout_ms));
            }
        }
        self.next()
    }

    /// It is known what was said; `None`: nobody could understand it.
    pub(super) fn understood(&mut self, transcript: Option<Transcript>) -> Next {
        match self.phase {
            Phase::Deaf => self.next(),
            _ => Next::Done(Gathered {
                speech: Some(transcript.unwrap_or_default()),
                ..self.gathered(GatherEnd::Speech)
            }),
        }
    }

    /// Time has passed.
    pub(super) fn time(&mut self, now: Instant) -> Next {
        let past = self.deadline.is_some_and(|at| at <= now);
        match self.phase {
            _ if !past => self.next(),
            Phase::Speaking(_) => {
                // Who understands it has a limit of its own.
                (self.phase, self.deadline) = (Phase::Spoken, None);
                self.next()
            }
            _ if self.digits.is_empty() => self.done(GatherEnd::NoInput),
            _ => self.done(GatherEnd::InterDigitTimeout),
        }
    }

    fn done(&mut self, end: GatherEnd) -> Next {
        Next::Done(self.gathered(end))
    }

    fn gathered(&mut self, end: GatherEnd) -> Gathered {
        Gathered {
            digits: std::mem::take(&mut self.digits),
            end,
            keys: std::mem::take(&mut self.keys),
            speech: None,
        }
    }
}

fn ms(ms: u32) -> Duration {
    Duration::from_millis(ms.into())
}

#[cfg(test)]
mod tests {
    use super::super::verb::{DigitSource, Repeat, SpeechInput};
    use super::*;

    enum In {
        Down,
        Key(char),
        PromptsDone,
        Time,
        Voice(bool),
        Understood(Option<&'static str>),
        Unheard,
    }
    use In::{Down, Key, PromptsDone, Time, Understood, Unheard, Voice};

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
            speech: None,
        }
    }

    fn run(spec: &Gather, inputs: &[(u64, In)]) -> Option<(String, GatherEnd, u64)> {
        let start = Instant::now();
        let mut gathering = Gathering::new(spec, start, true);
        if spec.speech.is_some() {
            gathering.listens();
        }
        for (ms, input) in inputs {
            let now = start + Duration::from_millis(*ms);
            let next = match input {
                Key(digit) => gathering.key(now, KeyPress::new(*digit, DigitSource::Rfc4733)),
                Down => gathering.key_down(),
                PromptsDone => gathering.prompts_done(now),
                Time => gathering.time(now),
                Voice(on) => gathering.voice(now, *on),
                Understood(text) => gathering.understood(text.map(said)),
                Unheard => gathering.unheard(now),
            };
            if let Next::Done(gathered) = next {
                return Some((gathered.digits, gathered.end, *ms));
            }
        }
        None
    }

    fn said(text: &str) -> Transcript {
        Transcript {
            text: text.to_owned(),
            ..Transcript::default()
        }
    }

    /// Speech counts; a second of silence ends it, and 15 s are the longest.
    fn spoken(keys: bool, barge_in: bool) -> Gather {
        Gather {
            barge_in,
            speech: Some(Box::new(SpeechInput {
                keys,
                ..SpeechInput::usual()
            })),
            ..spec()
        }
    }

    #[test]
    fn speech_ends_an_entry_unless_a_key_comes() {
        let (both, alone) = (spoken(true, true), spoken(false, true));
        let no_barge = spoken(true, false);
        let heard = |at| Some(("", GatherEnd::Speech, at));
        let cases: &[(&str, &Gather, &[(u64, In)], Option<(&str, GatherEnd, u64)>)] = &[
            (
                "over the prompt, and understood when it is over",
                &both,
                &[
                    (500, Voice(true)),
                    (3000, Voice(false)),
                    (3599, Time),
                    (3600, Time),
                    (9000, Time),
                    (9100, Understood(Some("sales"))),
                ],
                heard(9100),
            ),
            (
                "a pause within it",
                &both,
                &[
                    (500, Voice(true)),
                    (3000, Voice(false)),
                    (3400, Voice(true)),
                    (3600, Time),
                    (4000, Voice(false)),
                    (4700, Understood(None)),
                ],
                heard(4700),
            ),
            (
                "understood before it is over",
                &both,
                &[(500, Voice(true)), (600, Understood(Some("sales")))],
                heard(600),
            ),
            (
                "the silence before it is not counted while it lasts",
                &both,
                &[(1000, PromptsDone), (5900, Voice(true)), (20_899, Time)],
                None,
            ),
            (
                "no end of it",
                &both,
                &[
                    (1000, Voice(true)),
                    (16_000, Time),
                    (16_500, Voice(false)),
                    (17_100, Time),
                    (17_200, Understood(Some("x"))),
                ],
                heard(17_200),
            ),
            (
                "a key is surer",
                &both,
                &[
                    (500, Voice(true)),
                    (900, Down),
                    (1000, Key('7')),
                    (1100, Understood(Some("sales"))),
                    (1200, Voice(true)),
                    (3000, Time),
                ],
                Some(("7", GatherEnd::InterDigitTimeout, 3000)),
            ),
            (
                "keys that do not count",
                &alone,
                &[(500, Voice(true)), (900, Down), (1000, Understood(None))],
                heard(1000),
            ),
            (
                "over a prompt that must be heard",
                &no_barge,
                &[(500, Voice(true)), (600, Voice(false)), (700, Time)],
                None,
            ),
            (
                "that goes on when the prompt is over",
                &no_barge,
                &[
                    (500, Voice(true)),
                    (1000, PromptsDone),
                    (6000, Time),
                    (6100, Voice(false)),
                    (6700, Time),
                    (6800, Understood(Some("sales"))),
                ],
                heard(6800),
            ),
            (
                "silence",
                &both,
                &[(1000, PromptsDone), (6000, Time)],
                Some(("", GatherEnd::NoInput, 6000)),
            ),
            (
                "lost on its way",
                &both,
                &[
                    (500, Voice(true)),
                    (3000, Unheard),
                    (7999, Time),
                    (8000, Time),
                ],
                Some(("", GatherEnd::NoInput, 8000)),
            ),
        ];
        for (name, spec, inputs, expected) in cases {
            let got = run(spec, inputs);
            let expected = expected.map(|(digits, end, ms)| (digits.to_owned(), end, ms));
            assert_eq!(got, expected, "{name}");
        }
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
