//! Listening for speech, silence or a beep: what a program asks for, and when it is answered. Pure: what was heard, and when, is an argument.
use super::verb::{Audio, KeyPress, Repeat};
use crate::media::Listening;
use std::time::{Duration, Instant};

/// The far end has been silent for so long when its speech is said to have ended.
pub(super) const HANG_OVER: Duration = Duration::from_millis(400);

/// [`Verb::Listen`](super::Verb::Listen).
#[derive(Debug, Clone, PartialEq)]
pub struct Listen {
    /// Played meanwhile, in order; stops when it is answered.
    pub prompts: Vec<Audio>,
    /// How often.
    pub repeat: Repeat,
    /// What is listened for.
    pub until: Until,
    /// Keys that end it; others are kept for the next gather.
    pub stop_keys: String,
    /// Limit in ms, from the end of the prompts; `u32::MAX`: none.
    pub max_ms: u32,
}

/// What is listened for: the first of these that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Until {
    /// The far end speaks.
    pub speech: bool,
    /// The far end has been silent for so many ms, the prompts not counted; 0: that is not listened for.
    pub silence_ms: u32,
    /// A single steady tone has ended, as of an answering machine.
    pub beep: bool,
}

impl Until {
    /// What has to be detected for it.
    pub(super) fn listening(self) -> Listening {
        Listening {
            speech: self.speech || self.silence_ms > 0,
            beep: self.beep,
        }
    }
}

/// Why listening ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ListenEnd {
    /// The far end speaks.
    Speech,
    /// It has been silent.
    Silence,
    /// A beep has ended.
    Beep,
    /// A stop key.
    Key(KeyPress),
    /// `max_ms`.
    TimeLimit,
}

/// Outcome of [`Verb::Listen`](super::Verb::Listen).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Listened {
    /// Why it ended.
    pub end: ListenEnd,
    /// How long it took, ms.
    pub after_ms: u32,
}

/// A verb in progress.
#[derive(Debug)]
pub(super) struct Vigil {
    until: Until,
    limit: Option<Duration>,
    began: Instant,
    /// When the prompts ended.
    quiet_from: Option<Instant>,
    speaking: bool,
    /// Since when the far end is silent.
    silent_from: Instant,
}

impl Vigil {
    /// `speaking`: the far end speaks already.
    pub(super) fn new(listen: &Listen, now: Instant, speaking: bool) -> Vigil {
        let limit = Duration::from_millis(listen.max_ms.into());
        Vigil {
            until: listen.until,
            limit: (listen.max_ms != u32::MAX).then_some(limit),
            began: now,
            quiet_from: listen.prompts.is_empty().then_some(now),
            speaking,
            silent_from: now,
        }
    }

    /// The end, if there is a reason at this moment.
    pub(super) fn end(&self, now: Instant) -> Option<ListenEnd> {
        let passed = |at: Option<Instant>| at.is_some_and(|at| at <= now);
        match () {
            () if self.speaking && self.until.speech => Some(ListenEnd::Speech),
            () if passed(self.silent_at()) => Some(ListenEnd::Silence),
            () if passed(self.over_at()) => Some(ListenEnd::TimeLimit),
            () => None,
        }
    }

    /// When there will be one if nothing happens.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let all = [self.silent_at(), self.over_at()];
        all.into_iter().flatten().min()
    }

    fn silent_at(&self) -> Option<Instant> {
        let from = self.silent_from.max(self.quiet_from?);
        let silence = Duration::from_millis(self.until.silence_ms.into());
        (!self.speaking && !silence.is_zero()).then_some(from + silence)
    }

    fn over_at(&self) -> Option<Instant> {
        Some(self.quiet_from? + self.limit?)
    }

    /// The far end begins or stops speaking.
    pub(super) fn speech(&mut self, now: Instant, on: bool) {
        self.speaking = on;
        self.silent_from = now.checked_sub(HANG_OVER).unwrap_or(now).max(self.began);
    }

    pub(super) fn prompts_done(&mut self, now: Instant) {
        self.quiet_from.get_or_insert(now);
    }

    pub(super) fn listened(&self, now: Instant, end: ListenEnd) -> Listened {
        let after = now.saturating_duration_since(self.began).as_millis();
        Listened {
            end,
            after_ms: u32::try_from(after).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listen(until: Until, prompted: bool) -> Listen {
        Listen {
            prompts: vec![Audio::Silence { ms: 1 }; usize::from(prompted)],
            repeat: Repeat::Times(1),
            until,
            stop_keys: String::new(),
            max_ms: 10_000,
        }
    }

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn speech_ends_it_at_once_also_over_the_prompt() {
        let until = Until {
            speech: true,
            ..Until::default()
        };
        let now = Instant::now();
        for prompted in [false, true] {
            let mut vigil = Vigil::new(&listen(until, prompted), now, false);
            assert_eq!(vigil.end(now), None);
            vigil.speech(now + ms(700), true);
            assert_eq!(vigil.end(now + ms(700)), Some(ListenEnd::Speech));
            assert_eq!(
                vigil.listened(now + ms(700), ListenEnd::Speech).after_ms,
                700
            );
        }
        let speaks_already = Vigil::new(&listen(until, false), now, true);
        assert_eq!(speaks_already.end(now), Some(ListenEnd::Speech));
    }

    #[test]
    fn silence_is_counted_from_its_beginning_and_not_during_prompts() {
        let until = Until {
            silence_ms: 1000,
            ..Until::default()
        };
        let now = Instant::now();
        let mut vigil = Vigil::new(&listen(until, false), now, false);
        assert_eq!(vigil.deadline(), Some(now + ms(1000)));
        vigil.speech(now + ms(900), true);
        assert_eq!(vigil.deadline(), Some(now + ms(10_000)));
        // It is told 400 ms after it stopped.
        vigil.speech(now + ms(3000), false);
        assert_eq!(vigil.deadline(), Some(now + ms(3600)));
        assert_eq!(vigil.end(now + ms(3599)), None);
        assert_eq!(vigil.end(now + ms(3600)), Some(ListenEnd::Silence));
        let mut prompted = Vigil::new(&listen(until, true), now, false);
        assert_eq!(prompted.deadline(), None);
        prompted.prompts_done(now + ms(5000));
        assert_eq!(prompted.deadline(), Some(now + ms(6000)));
    }

    #[test]
    fn the_limit_runs_from_the_end_of_the_prompts() {
        let now = Instant::now();
        let mut vigil = Vigil::new(&listen(Until::default(), true), now, true);
        assert_eq!(
            (vigil.deadline(), vigil.end(now + ms(60_000))),
            (None, None)
        );
        vigil.prompts_done(now + ms(2000));
        assert_eq!(vigil.deadline(), Some(now + ms(12_000)));
        assert_eq!(vigil.end(now + ms(12_000)), Some(ListenEnd::TimeLimit));
    }
}
