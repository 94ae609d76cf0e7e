//! A virtual caller: drives a program with made-up outcomes and writes down what it would hear.
use super::super::{Flow, FlowProgram};
use crate::call::*;

/// What the caller does at the next verb that takes time.
#[derive(Debug, Clone, Copy)]
pub(super) enum Act {
    /// Hears or waits to the end.
    Nothing,
    /// Presses these keys.
    Press(&'static str),
    /// The verb fails.
    Fail,
    /// Hangs up.
    Leave,
}

pub(super) fn call() -> CallInfo {
    CallInfo {
        id: "c-1".to_owned(),
        direction: Direction::Inbound,
        from: "alice".to_owned(),
        to: "demo".to_owned(),
    }
}

pub(super) fn key(digit: char) -> KeyPress {
    KeyPress {
        duration_ms: Some(100),
        ..KeyPress::new(digit, DigitSource::Rfc4733)
    }
}

fn shown(audio: &[Audio]) -> String {
    let one = |audio: &Audio| match audio {
        Audio::Prompt(key) => key
            .rsplit(['/', ':'])
            .next()
            .unwrap_or(key)
            .trim_end_matches(".sln16")
            .to_owned(),
        Audio::Recording(RecordingId(id)) => format!("recording {id}"),
        Audio::Tone(tone) => format!("tone {} Hz {} ms", tone.hz[0], tone.ms),
        Audio::Silence { ms } => format!("silence {ms} ms"),
        Audio::Speech(speech) => format!("\"{}\"", speech.text),
    };
    audio.iter().map(one).collect::<Vec<_>>().join("+")
}

fn describe(step: &Step) -> String {
    let what = match &step.verb {
        Verb::Answer => "answer".to_owned(),
        Verb::Play(play) => format!(
            "play {}{}",
            shown(&play.audio),
            if play.repeat == Repeat::Forever {
                " forever"
            } else {
                ""
            }
        ),
        Verb::Gather(gather) => format!("gather {}", shown(&gather.prompts)),
        Verb::Echo(echo) => format!("echo until {}", echo.stop_keys),
        Verb::Conference(conference) => format!("conference {}", conference.room),
        Verb::Listen(listen) => format!("listen {}", shown(&listen.prompts)),
        Verb::Record(_) => "record".to_owned(),
        Verb::Hangup(hangup) => format!("hangup {:?}", hangup.cause),
        other => format!("{other:?}"),
    };
    format!("{}: {what}", step.at)
}

/// The outcome that an executor would give.
pub(super) fn outcome(verb: &Verb, act: Act) -> Outcome {
    let keys = match act {
        Act::Press(keys) => keys,
        Act::Nothing => "",
        Act::Fail => {
            return Outcome::Failed(Failure {
                verb: "play",
                reason: "made up".to_owned(),
            });
        }
        Act::Leave => return Outcome::HungUp,
    };
    match verb {
        Verb::Gather(gather) => Outcome::Gathered(gathered(gather, keys)),
        Verb::Play(Play { stop_keys, .. }) | Verb::Echo(Echo { stop_keys, .. }) => keys
            .chars()
            .find(|key| stop_keys.contains(*key))
            .map_or(Outcome::Done, |digit| Outcome::Interrupted(key(digit))),
        Verb::Record(record) => {
            let end = keys
                .chars()
                .find(|key| record.stop_keys.contains(*key))
                .map_or(RecordEnd::MaxLength, RecordEnd::Key);
            Outcome::Recorded(Recorded {
                recording: RecordingId(7),
                lost_ms: 0,
                duration_ms: 1500,
                end,
            })
        }
        Verb::Conference(conference) => {
            let key = keys
                .chars()
                .find(|key| conference.stop_keys.contains(*key))
                .map(key);
            Outcome::Conferenced(Conferenced {
                end: key.map_or(ConferenceEnd::Over, ConferenceEnd::Key),
                seconds: 42,
            })
        }
        Verb::Listen(listen) => {
            let key = keys.chars().find(|key| listen.stop_keys.contains(*key));
            let end = match (keys, key) {
                (_, Some(digit)) => ListenEnd::Key(super::caller::key(digit)),
                ("speech", _) => ListenEnd::Speech,
                ("silence", _) => ListenEnd::Silence,
                ("beep", _) => ListenEnd::Beep,
                _ => ListenEnd::TimeLimit,
            };
            Outcome::Listened(Listened {
                end,
                after_ms: 1230,
            })
        }
        _ => Outcome::Done,
    }
}

fn gathered(gather: &Gather, pressed: &str) -> Gathered {
    let mut digits = String::new();
    let mut keys = Vec::new();
    for digit in pressed.chars() {
        keys.push(key(digit));
        if gather.finish_on == Some(digit) {
            return Gathered {
                digits,
                end: GatherEnd::FinishKey,
                keys,
                speech: None,
            };
        }
        digits.push(digit);
        if digits.len() == gather.max_digits {
            return Gathered {
                digits,
                end: GatherEnd::MaxDigits,
                keys,
                speech: None,
            };
        }
    }
    let end = if digits.is_empty() {
        GatherEnd::NoInput
    } else {
        GatherEnd::InterDigitTimeout
    };
    Gathered {
        digits,
        end,
        keys,
        speech: None,
    }
}

/// Runs a call and tells each step as `id: what`, the answer left out. Ends with the acts or the call.
pub(super) fn run(flow: &Loaded, acts: &[Act]) -> Vec<String> {
    let mut program = FlowProgram::new(flow.flow.clone());
    let answer = program.next(&call(), Outcome::Begin);
    assert_eq!(describe(&answer), "start: answer");
    let mut step = program.next(&call(), Outcome::Done);
    let mut heard = vec![describe(&step)];
    for act in acts {
        assert!(
            !matches!(step.verb, Verb::Hangup(_)),
            "the call ended before {act:?}: {heard:?}"
        );
        step = program.next(&call(), outcome(&step.verb, *act));
        heard.push(describe(&step));
    }
    heard
}

pub(super) use super::super::Loaded;

/// A flow from YAML, which must be right.
pub(super) fn yaml(text: &str) -> Loaded {
    Flow::from_bytes("f.yaml", "", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}
