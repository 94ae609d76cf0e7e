//! The program of `trunkline call`: records, plays a file, sends digits one after the other, listens, and hangs up.
use crate::call::{
    Audio, CallInfo, Hangup, HangupCause, Manner, Outcome, Play, Program, RecordCall, Repeat,
    SendDigits, Step, Verb, Wait,
};
use crate::media::{Pause, RecordingFormat, Tracks};
use std::collections::VecDeque;
use std::path::PathBuf;

/// What to do in the call, in this order.
#[derive(Debug, Clone)]
pub(super) struct Script {
    steps: VecDeque<(&'static str, Verb)>,
}

/// The wishes of the command line.
#[derive(Debug, Clone, Default)]
pub(super) struct Wishes {
    /// File to record what we hear to.
    pub(super) record: Option<PathBuf>,
    /// Key of a prompt to play first.
    pub(super) play: Option<String>,
    /// Digits, in groups sent one after the other.
    pub(super) digits: Vec<String>,
    /// Pause before each group, ms.
    pub(super) pause_ms: u32,
    /// Length of each digit, ms.
    pub(super) tone_ms: u32,
    /// How long to listen after the last group, ms.
    pub(super) listen_ms: u32,
}

impl Script {
    pub(super) fn new(wishes: Wishes) -> Script {
        let mut steps = VecDeque::new();
        steps.extend(wishes.record.map(|path| {
            (
                "record",
                Verb::RecordCall(RecordCall {
                    tracks: Tracks::default(),
                    format: RecordingFormat::named_by(&path),
                    path: Some(path),
                    pause: Pause::default(),
                }),
            )
        }));
        steps.extend(wishes.play.map(|key| {
            (
                "play",
                Verb::Play(Play {
                    audio: vec![Audio::Prompt(key)],
                    repeat: Repeat::Times(1),
                    stop_keys: String::new(),
                    manner: Manner::default(),
                }),
            )
        }));
        for digits in wishes.digits {
            steps.push_back((
                "pause",
                Verb::Wait(Wait {
                    ms: wishes.pause_ms,
                }),
            ));
            steps.push_back((
                "digits",
                Verb::SendDigits(SendDigits {
                    digits,
                    tone_ms: wishes.tone_ms,
                    gap_ms: wishes.tone_ms,
                }),
            ));
        }
        steps.push_back((
            "listen",
            Verb::Wait(Wait {
                ms: wishes.listen_ms,
            }),
        ));
        Script { steps }
    }
}

impl Program for Script {
    fn name(&self) -> &str {
        "call"
    }

    fn next(&mut self, _: &CallInfo, outcome: Outcome) -> Step {
        let hang_up = (
            "done",
            Verb::Hangup(Hangup {
                cause: HangupCause::Normal,
            }),
        );
        let (at, verb) = match outcome {
            Outcome::Failed(_) => ("failed", hang_up.1),
            _ => self.steps.pop_front().unwrap_or(hang_up),
        };
        Step {
            verb,
            at: at.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Direction, Failure};

    fn names(mut script: Script, outcomes: &[Outcome]) -> Vec<&'static str> {
        let info = CallInfo {
            id: "c-1".into(),
            direction: Direction::Outbound,
            from: String::new(),
            to: String::new(),
        };
        outcomes
            .iter()
            .map(|outcome| script.next(&info, outcome.clone()).verb.name())
            .collect()
    }

    fn wishes() -> Wishes {
        Wishes {
            record: Some("out.wav".into()),
            play: Some("hello.wav".into()),
            digits: vec!["1".into(), "#".into()],
            ..Wishes::default()
        }
    }

    #[test]
    fn does_what_was_wished_in_order_and_hangs_up() {
        let done = vec![Outcome::Done; 8];
        let expected = [
            "record_call",
            "play",
            "wait",
            "send_digits",
            "wait",
            "send_digits",
            "wait",
            "hangup",
        ];
        assert_eq!(names(Script::new(wishes()), &done), expected);
    }

    #[test]
    fn a_failure_ends_the_call() {
        let failed = Outcome::Failed(Failure {
            verb: "play",
            reason: String::new(),
        });
        assert_eq!(
            names(Script::new(wishes()), &[Outcome::Begin, failed]),
            ["record_call", "hangup"]
        );
    }
}
