//! Outcomes in JSON: what a webhook program is told of its verbs.
use crate::call::{
    AgentReply, ConferenceEnd, DialEnd, GatherEnd, KeyPress, ListenEnd, Outcome, QueueEnd,
    RecordEnd, ToneEnd, VoicemailEnd,
};
use serde_json::{Value, json};

/// An object with `outcome` (a word) and what that kind tells besides.
pub fn outcome_to_json(outcome: &Outcome) -> Value {
    match outcome {
        Outcome::Begin => json!({"outcome": "begin"}),
        Outcome::Done => json!({"outcome": "done"}),
        Outcome::Interrupted(key) => json!({"outcome": "interrupted", "key": press(key)}),
        Outcome::Gathered(gathered) => json!({
            "outcome": "gathered",
            "digits": gathered.digits,
            "speech": gathered.speech.as_ref().map(|speech| &speech.text),
            "confidence": gathered.speech.as_ref().and_then(|speech| speech.confidence),
            "end": match gathered.end {
                GatherEnd::MaxDigits => "max-digits",
                GatherEnd::FinishKey => "finish-key",
                GatherEnd::InterDigitTimeout => "inter-digit-timeout",
                GatherEnd::NoInput => "no-input",
                GatherEnd::Speech => "speech",
            },
        }),
        Outcome::Recorded(recorded) => json!({
            "outcome": "recorded",
            "recording": recorded.recording.0,
            "ms": recorded.duration_ms,
            "lost_ms": recorded.lost_ms,
            "end": match recorded.end {
                RecordEnd::Key(_) => "key",
                RecordEnd::Silence => "silence",
                RecordEnd::MaxLength => "max-length",
            },
            "key": match recorded.end {
                RecordEnd::Key(key) => Some(key),
                _ => None,
            },
        }),
        Outcome::Conferenced(conferenced) => json!({
            "outcome": "conferenced",
            "seconds": conferenced.seconds,
            "end": conferenced.end.name(),
            "key": match &conferenced.end {
                ConferenceEnd::Key(key) => Some(press(key)),
                _ => None,
            },
        }),
        Outcome::ToneWaited(end) => match end {
            ToneEnd::Heard(heard) => json!({"outcome": "tone", "tone": heard.kind.name()}),
            ToneEnd::Key(key) => json!({"outcome": "interrupted", "key": press(key)}),
            ToneEnd::TimeLimit => json!({"outcome": "time-limit"}),
        },
        Outcome::MachineDetected(found) => json!({
            "outcome": "machine",
            "answered_by": found.verdict.map(|verdict| verdict.answerer.name()),
            "because": found.verdict.map(|verdict| verdict.because.name()),
            "beep": found.beep,
        }),
        Outcome::Listened(listened) => json!({
            "outcome": "listened",
            "after_ms": listened.after_ms,
            "end": match listened.end {
                ListenEnd::Speech => "speech",
                ListenEnd::Silence => "silence",
                ListenEnd::Beep => "beep",
                ListenEnd::Key(_) => "key",
                ListenEnd::TimeLimit => "limit",
            },
            "key": match &listened.end {
                ListenEnd::Key(key) => Some(press(key)),
                _ => None,
            },
        }),
        Outcome::Fetched(fetched) => json!({
            "outcome": "fetched",
            "status": fetched.status,
            "body": fetched.body,
            "error": fetched.error,
        }),
        Outcome::Dialled(dialled) => {
            let (how, seconds) = match dialled.how {
                DialEnd::Answered { seconds } => ("answered", Some(seconds)),
                DialEnd::Busy => ("busy", None),
                DialEnd::NoAnswer => ("no-answer", None),
                DialEnd::Declined => ("declined", None),
                DialEnd::Unreachable => ("unreachable", None),
                DialEnd::Machine => ("machine", None),
                DialEnd::Refused(_) => ("refused", None),
            };
            json!({
                "outcome": "dialled",
                "how": how,
                "seconds": seconds,
                "target": dialled.target,
                "status": dialled.status,
                "q850": dialled.cause,
            })
        }
        Outcome::Failed(failure) => {
            json!({"outcome": "failed", "verb": failure.verb, "reason": failure.reason})
        }
        Outcome::Queued(queued) => {
            let (agent, key) = match &queued.end {
                QueueEnd::Answered { agent, .. } => (Some(agent), None),
                QueueEnd::Key(key) => (None, Some(key)),
                _ => (None, None),
            };
            json!({
                "outcome": "queued",
                "end": queued.end.name(),
                "key": key,
                "agent": agent,
                "waited_s": queued.waited_s,
            })
        }
        Outcome::Voicemailed(done) => json!({
            "outcome": "voicemailed",
            "end": done.end.name(),
            "key": match done.end {
                VoicemailEnd::Key(key) => Some(key.to_string()),
                _ => None,
            },
            "message": done.message,
        }),
        Outcome::AgentDone(reply) => json!({"outcome": "agent", "reply": match reply {
            AgentReply::Done => "done",
            AgentReply::Unknown => "unknown",
            AgentReply::Pin => "pin",
            AgentReply::Locked => "locked",
            AgentReply::NoCall => "no-call",
        }}),
        Outcome::HandedOver => json!({"outcome": "handed-over"}),
        Outcome::HungUp => json!({"outcome": "hung-up"}),
    }
}

fn press(key: &KeyPress) -> String {
    key.digit.to_string()
}
