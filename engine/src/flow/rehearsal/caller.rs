//! The made-up caller: a list of acts, and what each means to the verb that is under way.
use crate::call::{
    ConferenceEnd, Conferenced, DialEnd, Dialled, DigitSource, Failure, Fetched, Gather, GatherEnd,
    Gathered, KeyPress, Outcome, QueueEnd, Queued, RecordEnd, Recorded, RecordingId, Verb,
    Voicemail, VoicemailEnd, VoicemailPurpose, Voicemailed,
};
use crate::config::document::field::shown;
use crate::flow::pattern::KEYS;
use crate::speech::Transcript;
use std::collections::VecDeque;

/// The most acts of one caller.
const MAX_ACTS: usize = 1000;

/// One thing a caller does, or that happens to the call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Presses keys, when asked.
    Keys(String),
    /// Says something, when asked and listened to.
    Say(String),
    /// Presses a key while something is played.
    Interrupt(char),
    /// Says and presses nothing.
    Silence,
    /// Hangs up.
    Hangup,
    /// The callee answers, speaks a minute and hangs up.
    Answer,
    /// The callee is busy.
    Busy,
    /// Nobody answers.
    NoAnswer,
    /// The callee declines.
    Decline,
    /// Nobody can be reached.
    Unreachable,
    /// A wait in a queue ends so: one of `ENDS`.
    Queue(&'static str),
    /// What is under way fails.
    Fail,
}

/// How a wait in a queue can end.
pub(super) const ENDS: [&str; 10] = [
    "answered", "callback", "empty", "full", "hold", "key", "ratio", "removed", "timeout",
    "unknown",
];

/// Reads `1,2,hangup`: keys to press one entry after the other, `say:TEXT` (says it where speech counts), `!9` (a key that interrupts what is played), `silence`, `hangup`, and for
/// what is dialled `answer`, `busy`, `noanswer`, `decline`, `unreachable` (`answer` and `noanswer` also for a web service); for a wait in a queue `full`, `empty`, `hold`, `ratio`,
/// `callback`, `removed`, or one of the former; `fail`.
///
/// # Errors
/// A sentence: what is not understood.
pub fn acts(text: &str) -> Result<Vec<Act>, String> {
    let words = text
        .split(',')
        .map(str::trim)
        .filter(|word| !word.is_empty());
    let acts: Vec<Act> = words.map(act).collect::<Result<_, _>>()?;
    if acts.len() > MAX_ACTS {
        return Err(format!("a caller does at most {MAX_ACTS} things"));
    }
    Ok(acts)
}

fn act(word: &str) -> Result<Act, String> {
    if let Some(said) = word.strip_prefix("say:") {
        return Ok(Act::Say(said.trim().to_owned()));
    }
    let keys = |keys: &str| {
        !keys.is_empty() && keys.len() <= 100 && keys.chars().all(|key| KEYS.contains(key))
    };
    Ok(match word.to_ascii_lowercase().as_str() {
        "silence" | "wait" | "timeout" => Act::Silence,
        "hangup" => Act::Hangup,
        "answer" => Act::Answer,
        "busy" => Act::Busy,
        "noanswer" => Act::NoAnswer,
        "decline" => Act::Decline,
        "unreachable" => Act::Unreachable,
        "fail" => Act::Fail,
        "full" => Act::Queue("full"),
        "empty" => Act::Queue("empty"),
        "hold" => Act::Queue("hold"),
        "ratio" => Act::Queue("ratio"),
        "callback" => Act::Queue("callback"),
        "removed" => Act::Queue("removed"),
        _ if keys(word) => Act::Keys(word.to_owned()),
        _ => match word.strip_prefix('!').map(|key| (key, key.chars().next())) {
            Some((key, Some(char))) if keys(key) && key.len() == 1 => Act::Interrupt(char),
            _ => {
                return Err(format!(
                    "\"{}\" is nothing a caller does: keys (0-9 * # A-D), say:TEXT, !KEY, silence, hangup; answer, busy, noanswer, decline, unreachable; full, empty, hold, ratio, callback, removed; fail",
                    shown(word)
                ));
            }
        },
    })
}

/// What comes of a verb.
pub(super) enum Answer {
    /// An outcome.
    Does(Outcome),
    /// The caller hangs up.
    Leaves,
}

/// What the caller does at a verb. Acts that do not fit wait for a verb that they fit.
pub(super) fn answer(verb: &Verb, acts: &mut VecDeque<Act>) -> Answer {
    let waits = matches!(
        verb,
        Verb::Gather(_)
            | Verb::Echo(_)
            | Verb::Record(_)
            | Verb::Conference(_)
            | Verb::Enqueue(_)
            | Verb::Voicemail(_)
            | Verb::Stream(_)
            | Verb::Dial(_)
    );
    if verb.takes_time() && acts.front() == Some(&Act::Fail) {
        acts.pop_front();
        return Answer::Does(failed(verb));
    }
    match verb {
        Verb::Play(play) => {
            let key = match acts.front() {
                Some(Act::Interrupt(key)) if play.stop_keys.contains(*key) => *key,
                _ => return Answer::Does(Outcome::Done),
            };
            acts.pop_front();
            Answer::Does(Outcome::Interrupted(press(key)))
        }
        _ if waits && acts.front() == Some(&Act::Hangup) => Answer::Leaves,
        Verb::Enqueue(enqueue) => waited(&enqueue.exit_keys, acts),
        Verb::Voicemail(wanted) => visited(wanted, acts),
        Verb::Dial(_) => {
            let how = match acts.front() {
                Some(Act::Busy) => Some(DialEnd::Busy),
                Some(Act::NoAnswer) => Some(DialEnd::NoAnswer),
                Some(Act::Decline) => Some(DialEnd::Declined),
                Some(Act::Unreachable) => Some(DialEnd::Unreachable),
                Some(Act::Answer) => Some(DialEnd::Answered { seconds: 60 }),
                _ => None,
            };
            if how.is_some() {
                acts.pop_front();
            }
            Answer::Does(dialled(how.unwrap_or(DialEnd::Answered { seconds: 60 })))
        }
        Verb::Fetch(_) => {
            let outcome = match acts.front() {
                Some(Act::Answer) => Some(fetched(200, SOMEBODY)),
                Some(Act::NoAnswer | Act::Unreachable) => Some(fetched(0, "")),
                _ => None,
            };
            if outcome.is_some() {
                acts.pop_front();
            }
            Answer::Does(outcome.unwrap_or_else(|| fetched(200, "")))
        }
        Verb::Gather(gather) if says(gather, acts.front()) => {
            let said = acts.pop_front();
            let text = match &said {
                Some(Act::Say(text)) => text,
                _ => "",
            };
            Answer::Does(spoken(text))
        }
        verb if waits => {
            let keys = match acts.front() {
                Some(Act::Keys(keys)) => keys.clone(),
                Some(Act::Interrupt(key)) => key.to_string(),
                Some(Act::Silence) => String::new(),
                _ => return Answer::Does(pressed(verb, "").0),
            };
            acts.pop_front();
            let (outcome, rest) = pressed(verb, &keys);
            if !rest.is_empty() {
                // What was pressed too much counts for the next entry: the made-up caller is in no hurry.
                acts.push_front(Act::Keys(rest));
            }
            Answer::Does(outcome)
        }
        _ => Answer::Does(Outcome::Done),
    }
}

/// Whether the caller speaks next, and speech counts.
fn says(gather: &Gather, act: Option<&Act>) -> bool {
    gather.speech.is_some() && matches!(act, Some(Act::Say(_)))
}

/// The outcome of a gather to which so much was said, and understood as it was.
pub(super) fn spoken(text: &str) -> Outcome {
    Outcome::Gathered(Gathered {
        digits: String::new(),
        end: GatherEnd::Speech,
        keys: Vec::new(),
        speech: Some(Transcript {
            text: text.to_owned(),
            confidence: Some(1.0),
            backend: "rehearsal".to_owned(),
            ..Transcript::default()
        }),
    })
}

/// A wait in a queue: an agent answers where nothing else is said.
fn waited(exit_keys: &str, acts: &mut VecDeque<Act>) -> Answer {
    let key = |keys: &str| keys.chars().find(|key| exit_keys.contains(*key));
    let outcome = match acts.front() {
        Some(Act::Queue(end)) => queued(end),
        Some(Act::Silence | Act::NoAnswer) => queued("timeout"),
        Some(Act::Busy) => queued("full"),
        Some(Act::Unreachable | Act::Decline) => queued("empty"),
        Some(Act::Answer) => queued("answered"),
        Some(Act::Keys(keys)) => key(keys).map(|key| queue_end(QueueEnd::Key(key))),
        Some(Act::Interrupt(one)) => key(&one.to_string()).map(|key| queue_end(QueueEnd::Key(key))),
        _ => None,
    };
    match outcome {
        Some(outcome) => {
            acts.pop_front();
            Answer::Does(outcome)
        }
        None => Answer::Does(queue_end(answered())),
    }
}

/// A visit to a box: a message is left, or heard, where nothing else is said.
fn visited(wanted: &Voicemail, acts: &mut VecDeque<Act>) -> Answer {
    let key = |keys: &str| keys.chars().find(|key| wanted.exit_keys.contains(*key));
    let end = match acts.front() {
        Some(Act::Queue("full")) => Some(VoicemailEnd::Full),
        Some(Act::Silence) => Some(VoicemailEnd::Empty),
        Some(Act::Unreachable) => Some(VoicemailEnd::Unknown),
        Some(Act::Decline) => Some(VoicemailEnd::Refused),
        Some(Act::Keys(keys)) => key(keys).map(VoicemailEnd::Key),
        Some(Act::Interrupt(one)) => key(&one.to_string()).map(VoicemailEnd::Key),
        _ => None,
    };
    if end.is_some() {
        acts.pop_front();
    }
    let usual = match wanted.purpose {
        VoicemailPurpose::Leave { .. } => VoicemailEnd::Left,
        VoicemailPurpose::Listen => VoicemailEnd::Heard,
    };
    Answer::Does(voicemailed(end.unwrap_or(usual)))
}

/// How a visit can end.
pub(super) fn voicemail_ends(wanted: &Voicemail) -> Vec<VoicemailEnd> {
    use VoicemailEnd::{Empty, Failed, Full, Heard, Key, Left, Refused, Unknown};
    let key = wanted.exit_keys.chars().next().map(Key);
    let ends: &[VoicemailEnd] = match wanted.purpose {
        VoicemailPurpose::Leave { .. } => &[Left, Empty, Full, Unknown, Failed],
        VoicemailPurpose::Listen => &[Heard, Refused, Unknown, Failed],
    };
    ends.iter().copied().chain(key).collect()
}

/// The outcome of an end.
pub(super) fn voicemailed(end: VoicemailEnd) -> Outcome {
    let message = (end == VoicemailEnd::Left).then(|| "made up".to_owned());
    Outcome::Voicemailed(Voicemailed { end, message })
}

fn answered() -> QueueEnd {
    QueueEnd::Answered {
        agent: "agent".to_owned(),
        seconds: 60,
    }
}

fn queue_end(end: QueueEnd) -> Outcome {
    Outcome::Queued(Queued { end, waited_s: 30 })
}

/// The outcome of an end, by its name.
pub(super) fn queued(end: &str) -> Option<Outcome> {
    Some(queue_end(match end {
        "answered" => answered(),
        "callback" => QueueEnd::Callback,
        "empty" => QueueEnd::Empty,
        "full" => QueueEnd::Full,
        "hold" => QueueEnd::Hold,
        "key" => QueueEnd::Key('*'),
        "ratio" => QueueEnd::Ratio,
        "removed" => QueueEnd::Removed,
        "timeout" => QueueEnd::Timeout,
        "unknown" => QueueEnd::Unknown,
        _ => return None,
    }))
}

fn press(digit: char) -> KeyPress {
    KeyPress {
        duration_ms: Some(100),
        ..KeyPress::new(digit, DigitSource::Rfc4733)
    }
}

/// What comes of keys, and which of them are left over.
pub(super) fn pressed(verb: &Verb, keys: &str) -> (Outcome, String) {
    let stop = |stops: &str| keys.chars().find(|key| stops.contains(*key));
    let none = String::new();
    match verb {
        Verb::Gather(gather) => gathered(gather, keys),
        Verb::Echo(echo) => (
            stop(&echo.stop_keys).map_or(Outcome::Done, |key| Outcome::Interrupted(press(key))),
            none,
        ),
        Verb::Play(play) => (
            stop(&play.stop_keys).map_or(Outcome::Done, |key| Outcome::Interrupted(press(key))),
            none,
        ),
        Verb::Record(record) => {
            let key = stop(&record.stop_keys);
            let end = match key {
                Some(key) => RecordEnd::Key(key),
                None if record.silence_ms > 0 => RecordEnd::Silence,
                None => RecordEnd::MaxLength,
            };
            let recorded = Recorded {
                recording: RecordingId(1),
                duration_ms: record.max_ms.min(5000),
                lost_ms: 0,
                end,
            };
            (Outcome::Recorded(recorded), none)
        }
        Verb::Conference(conference) => {
            let end = stop(&conference.stop_keys)
                .map_or(ConferenceEnd::Over, |key| ConferenceEnd::Key(press(key)));
            (Outcome::Conferenced(Conferenced { end, seconds: 60 }), none)
        }
        Verb::Fetch(_) => (fetched(200, ""), none),
        _ => (Outcome::Done, none),
    }
}

/// What a directory answers that has found somebody.
pub(super) const SOMEBODY: &str = "{\"found\": true}";

/// The answer of a web service; status 0: none.
pub(super) fn fetched(status: u16, body: &str) -> Outcome {
    Outcome::Fetched(Fetched {
        status,
        body: body.to_owned(),
        error: String::new(),
    })
}

fn gathered(gather: &Gather, pressed: &str) -> (Outcome, String) {
    let (mut digits, mut keys) = (String::new(), Vec::new());
    // Keys that do not count are not heard.
    let counts = gather.speech.as_ref().is_none_or(|speech| speech.keys);
    let mut rest = if counts { pressed.chars() } else { "".chars() };
    let mut end = GatherEnd::NoInput;
    for digit in rest.by_ref() {
        keys.push(press(digit));
        if gather.finish_on == Some(digit) {
            end = GatherEnd::FinishKey;
            break;
        }
        digits.push(digit);
        end = GatherEnd::InterDigitTimeout;
        if digits.len() >= gather.max_digits {
            end = GatherEnd::MaxDigits;
            break;
        }
    }
    let outcome = Outcome::Gathered(Gathered {
        digits,
        end,
        keys,
        speech: None,
    });
    (outcome, rest.as_str().to_owned())
}

pub(super) fn dialled(how: DialEnd) -> Outcome {
    let (status, cause) = match how {
        DialEnd::Answered { .. } => (200, 16),
        DialEnd::Busy => (486, 17),
        DialEnd::NoAnswer => (480, 19),
        DialEnd::Declined => (603, 21),
        DialEnd::Unreachable => (480, 20),
        DialEnd::Machine => (480, 16),
        DialEnd::Refused(status) => (status, 1),
    };
    Outcome::Dialled(Dialled {
        how,
        target: String::new(),
        status,
        cause,
        retry_after: None,
        tone: None,
    })
}

pub(super) fn failed(verb: &Verb) -> Outcome {
    Outcome::Failed(Failure {
        verb: verb.name(),
        reason: "made up".to_owned(),
    })
}
