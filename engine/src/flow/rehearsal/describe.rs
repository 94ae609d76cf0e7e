//! Verbs, outcomes and notes in words.
use crate::call::{
    Audio, DialEnd, Gathered, HangupCause, Outcome, QueueEnd, RecordEnd, RecordingControl, Repeat,
    Verb, VoicemailPurpose,
};
use crate::config::document::field::shown;
use crate::flow::Flow;
use crate::flow::program::Note;
use crate::speech::{Speech, ssml};

/// How long a file is taken to last, in ms.
const FILE_MS: u64 = 3000;
/// How long one character of text takes to say, in ms.
const CHARACTER_MS: u64 = 65;
/// The longest text that is shown of one prompt, in characters.
const MAX_SAID: usize = 400;

/// What is heard of a list of audio.
pub fn said(flow: &Flow, audio: &[Audio]) -> String {
    let parts: Vec<String> = audio.iter().map(|audio| one(flow, audio)).collect();
    parts.join(" + ")
}

fn one(flow: &Flow, audio: &Audio) -> String {
    match audio {
        Audio::Prompt(key) => match flow.spoken.get(key) {
            Some(text) => format!("\"{}\" [{}]", line(text), line(key)),
            None => format!("[{}]", line(key)),
        },
        Audio::Speech(speech) => format!("\"{}\"", line(&words(speech))),
        Audio::Recording(_) => "the recording".to_owned(),
        Audio::Tone(tone) => format!("tone {} Hz {} ms", tone.hz[0], tone.ms),
        Audio::Silence { ms } => format!("{ms} ms of silence"),
    }
}

/// What is said.
fn words(speech: &Speech) -> String {
    if speech.ssml {
        let text = ssml::without_tags(&speech.text);
        return text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
    speech.text.clone()
}

fn line(text: &str) -> String {
    let mut chars = text.chars();
    let mut out: String = chars.by_ref().take(MAX_SAID).flat_map(escaped).collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

fn escaped(char: char) -> impl Iterator<Item = char> {
    let (plain, escape) = if char.is_control() {
        (None, Some(char.escape_debug()))
    } else {
        (Some(char), None)
    };
    plain.into_iter().chain(escape.into_iter().flatten())
}

/// How long the audio of a verb is taken to last.
pub(super) fn heard_ms(flow: &Flow, verb: &Verb) -> u64 {
    let (audio, repeat) = match verb {
        Verb::Play(play) => (&play.audio, play.repeat),
        Verb::Gather(gather) => (&gather.prompts, gather.repeat),
        _ => return 0,
    };
    let ms = |audio: &Audio| match audio {
        Audio::Prompt(key) => {
            let text = flow.spoken.get(key);
            text.map_or(FILE_MS, |text| text.chars().count() as u64 * CHARACTER_MS)
        }
        Audio::Speech(speech) => words(speech).chars().count() as u64 * CHARACTER_MS,
        Audio::Recording(_) => FILE_MS,
        Audio::Tone(tone) => u64::from(tone.ms),
        Audio::Silence { ms } => u64::from(*ms),
    };
    let once: u64 = audio.iter().map(ms).sum();
    match repeat {
        Repeat::Times(times) => once.saturating_mul(u64::from(times)),
        Repeat::Forever => once,
    }
}

/// What a verb does to be seen.
pub(super) fn verb(flow: &Flow, verb: &Verb) -> Option<(&'static str, String)> {
    Some(match verb {
        Verb::Answer => ("answers", String::new()),
        Verb::Play(play) => ("hears", said(flow, &play.audio)),
        Verb::Gather(gather) if gather.prompts.is_empty() => ("hears", "nothing".to_owned()),
        Verb::Gather(gather) => ("hears", said(flow, &gather.prompts)),
        Verb::Echo(_) => ("echo", "hears itself".to_owned()),
        Verb::Record(record) => (
            "records",
            format!("a message of at most {} s", record.max_ms / 1000),
        ),
        Verb::RecordCall(_) => ("recording", "starts".to_owned()),
        Verb::RecordingControl(control) => (
            "recording",
            match control {
                RecordingControl::Pause => "pauses",
                RecordingControl::Resume => "resumes",
                RecordingControl::Stop => "stops",
            }
            .to_owned(),
        ),
        Verb::Stream(stream) => ("streams", format!("{:?}", stream.address)),
        Verb::StopStream => ("streams", "ends".to_owned()),
        Verb::Dial(dial) => {
            let targets: Vec<String> = dial
                .targets
                .iter()
                .map(|target| shown(&target.to_string()))
                .collect();
            ("dials", targets.join(", "))
        }
        Verb::Enqueue(enqueue) => match enqueue.queue.strip_prefix("agent:") {
            Some(agent) => ("queues", format!("for agent {}", shown(agent))),
            None if let Some(number) = &enqueue.call_back => (
                "callback",
                format!("{} of queue {}", shown(number), shown(&enqueue.queue)),
            ),
            None => ("queues", format!("for queue {}", shown(&enqueue.queue))),
        },
        Verb::Voicemail(wanted) => {
            let of = match &wanted.mailbox {
                Some(name) => format!("box {}", shown(name)),
                None => "the phone's box".to_owned(),
            };
            let what = match wanted.purpose {
                VoicemailPurpose::Leave { .. } => "a message in",
                VoicemailPurpose::Listen => "the messages of",
            };
            ("voicemail", format!("{what} {of}"))
        }
        Verb::Fetch(fetch) => ("asks", shown(&fetch.url)),
        Verb::Listen(_) => ("listens", "to the caller".to_owned()),
        Verb::WaitForTone(_) => ("listens", "for a tone".to_owned()),
        Verb::DetectMachine(_) => ("listens", "who answered".to_owned()),
        Verb::SendDigits(send) => ("sends", shown(&send.digits)),
        Verb::Conference(conference) => ("conference", shown(&conference.room)),
        _ => return None,
    })
}

/// What became of it.
pub(super) fn outcome(verb: &Verb, outcome: &Outcome) -> Option<(&'static str, String)> {
    Some(match outcome {
        Outcome::Gathered(Gathered {
            speech: Some(speech),
            ..
        }) => ("says", shown(&speech.text)),
        Outcome::Gathered(gathered) if gathered.keys.is_empty() => ("silent", "no key".to_owned()),
        Outcome::Gathered(gathered) => {
            let keys: String = gathered.keys.iter().map(|key| key.digit).collect();
            let hidden = matches!(verb, Verb::Gather(gather) if gather.sensitive);
            (
                "presses",
                if hidden {
                    "(sensitive)".to_owned()
                } else {
                    keys
                },
            )
        }
        Outcome::Interrupted(key) => ("presses", key.digit.to_string()),
        Outcome::Dialled(dialled) => (
            "dial",
            match dialled.how {
                DialEnd::Answered { .. } => "answered, and the callee hangs up",
                DialEnd::Busy => "busy",
                DialEnd::NoAnswer => "no answer",
                DialEnd::Declined => "declined",
                DialEnd::Unreachable => "nobody can be reached",
                DialEnd::Machine => "a machine answered",
                DialEnd::Refused(_) => "refused",
            }
            .to_owned(),
        ),
        Outcome::Queued(queued) => (
            "queue",
            match &queued.end {
                QueueEnd::Answered { .. } => "answered, and the agent hangs up".to_owned(),
                QueueEnd::Key(key) => format!("left with {key}"),
                end => end.name().to_owned(),
            },
        ),
        Outcome::Voicemailed(done) => ("voicemail", done.end.name().to_owned()),
        Outcome::Recorded(recorded) => (
            "recorded",
            match recorded.end {
                RecordEnd::Key(key) => format!("ended by {key}"),
                RecordEnd::Silence => "ended by silence".to_owned(),
                RecordEnd::MaxLength => "as long as it may be".to_owned(),
            },
        ),
        Outcome::Failed(failure) => ("fails", failure.verb.to_owned()),
        _ => return None,
    })
}

/// What a program tells.
pub(super) fn note(note: &Note) -> (&'static str, String) {
    match note {
        Note::At(id) => ("at", shown(id)),
        Note::Schedule { id, verdict, why } => (
            "schedule",
            format!("{} is {verdict}: {}", shown(id), shown(why)),
        ),
        Note::Hours { id, by_hand } => {
            let set = match by_hand {
                Some(true) => "open",
                Some(false) => "closed",
                None => "auto",
            };
            ("schedule", format!("{} is set {set} by hand", shown(id)))
        }
        Note::Language(code) => ("language", shown(code)),
        Note::Looked { value, found } => (
            "looks up",
            format!(
                "{}: {}",
                shown(value),
                if *found { "found" } else { "not found" }
            ),
        ),
        Note::NotServed(what) => ("not served", shown(what)),
        Note::Lost(why) => ("lost", (*why).to_owned()),
    }
}

/// How a call ends.
pub(super) fn cause(cause: HangupCause) -> String {
    match cause {
        HangupCause::Normal => "the flow hangs up".to_owned(),
        HangupCause::Busy => "the flow hangs up: busy".to_owned(),
        HangupCause::Congestion => "the flow hangs up: congestion".to_owned(),
        HangupCause::Q850(cause) => format!("the flow hangs up with cause {cause}"),
    }
}
