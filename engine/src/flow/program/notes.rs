//! Variables of a call, and what a rehearsal is told of the way it goes.
use super::super::model::{Input, Menu};
use super::super::spoken;
use super::super::template::MAX_TEXT;
use super::{FlowProgram, StepRef, Waiting};
use crate::call::{
    CallInfo, ConferenceEnd, Conferenced, DialEnd, Dialled, Direction, GatherEnd, Gathered,
    KeyPress, Outcome, RecordEnd, Recorded,
};
use std::sync::Arc;

/// One thing that a rehearsal is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// A menu or node was entered.
    At(String),
    /// A schedule was asked.
    Schedule {
        /// Its id.
        id: String,
        /// `open`, `closed` or `exception`.
        verdict: &'static str,
        /// Why.
        why: String,
    },
    /// A schedule was set by hand.
    Hours {
        /// Its id.
        id: String,
        /// Open or closed; `None`: its hours count again.
        by_hand: Option<bool>,
    },
    /// The language changed.
    Language(String),
    /// Somebody was looked up.
    Looked {
        /// For what.
        value: String,
        /// Whether it was there.
        found: bool,
    },
    /// The way leads to what this version does not serve.
    NotServed(String),
    /// The call ends because the flow does not say what comes next.
    Lost(&'static str),
}

/// What was entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Entry {
    /// Nothing.
    Silence,
    /// These, perhaps none before the key that ends it.
    Keys(String),
    /// These, in small letters; none: what was said was not understood, or not surely enough.
    Words(String),
}

impl FlowProgram {
    /// Takes what a rehearsal is told since the last time.
    pub fn take_notes(&mut self) -> Vec<Note> {
        self.notes.as_mut().map(std::mem::take).unwrap_or_default()
    }

    pub(super) fn note(&mut self, note: impl FnOnce() -> Note) {
        if let Some(notes) = &mut self.notes {
            notes.push(note());
        }
    }

    /// Sets `digits`, `key`, `key_source`, `entered_by` and what was said.
    pub(super) fn note_entry(&mut self, input: &Input, outcome: Outcome) -> Entry {
        let gathered = match outcome {
            Outcome::Gathered(gathered) => Some(gathered),
            _ => None,
        };
        let key = gathered.as_ref().and_then(|of| of.keys.last().copied());
        self.note_key(key);
        let entry = gathered.map_or(Entry::Silence, |of| self.entry(input, of));
        let (digits, by) = match &entry {
            Entry::Silence => (String::new(), ""),
            Entry::Keys(digits) => (digits.clone(), "keys"),
            Entry::Words(words) => {
                let digits = spoken::digits(words, self.heard_in(input));
                (digits.unwrap_or_default(), "speech")
            }
        };
        self.set("digits", digits);
        self.set("entered_by", by.to_owned());
        entry
    }

    fn entry(&mut self, input: &Input, gathered: Gathered) -> Entry {
        let said = gathered.speech.unwrap_or_default();
        let sure = said.confidence.map(|sure| format!("{sure:.2}"));
        self.set("speech_confidence", sure.unwrap_or_default());
        let least = input.speech.as_ref().map_or(0.0, |of| of.least_confidence);
        let words = spoken::heard(&said, least);
        self.set("speech", said.text.chars().take(MAX_TEXT).collect());
        match gathered.end {
            GatherEnd::Speech => Entry::Words(words),
            GatherEnd::FinishKey => Entry::Keys(gathered.digits),
            _ if gathered.digits.is_empty() => Entry::Silence,
            _ => Entry::Keys(gathered.digits),
        }
    }

    /// The language in which an entry is said.
    pub(super) fn heard_in<'a>(&'a self, input: &'a Input) -> &'a str {
        let own = input.speech.as_ref().and_then(|of| of.language.as_deref());
        own.unwrap_or(&self.language)
    }

    pub(in crate::flow) fn note_key(&mut self, key: Option<KeyPress>) {
        let source = key.map_or("", |key| key.source.name());
        self.set(
            "key",
            key.map(|key| key.digit.to_string()).unwrap_or_default(),
        );
        self.set("key_source", source.to_owned());
    }

    pub(super) fn note_conference(&mut self, conferenced: Conferenced) {
        let (end, key) = match conferenced.end {
            ConferenceEnd::Key(key) => ("key", Some(key)),
            ConferenceEnd::Over => ("over", None),
            ConferenceEnd::Removed => ("removed", None),
            ConferenceEnd::Alone => ("alone", None),
            ConferenceEnd::TimeLimit => ("limit", None),
        };
        self.note_key(key);
        self.set("conference_end", end.to_owned());
        self.set("conference_seconds", conferenced.seconds.to_string());
    }

    /// Sets `dial_status` and `dial_seconds`; gives the name of the fallback, if it was not answered.
    pub(super) fn note_dial(&mut self, dialled: &Dialled) -> Option<&'static str> {
        let (status, seconds, fallback) = match dialled.how {
            DialEnd::Answered { seconds } => ("answered", u64::from(seconds), None),
            DialEnd::Busy => ("busy", 0, Some("busy")),
            DialEnd::NoAnswer => ("noanswer", 0, Some("noanswer")),
            DialEnd::Declined => ("declined", 0, Some("busy")),
            DialEnd::Unreachable => ("unreachable", 0, Some("congestion")),
            DialEnd::Machine => ("machine", 0, Some("noanswer")),
            DialEnd::Refused(_) => ("refused", 0, Some("fail")),
        };
        self.set("dial_status", status.to_owned());
        self.set("dial_seconds", seconds.to_string());
        fallback
    }

    pub(super) fn note_recording(&mut self, name: &str, recorded: Recorded) {
        let end = match recorded.end {
            RecordEnd::Key(_) => "key",
            RecordEnd::Silence => "silence",
            RecordEnd::MaxLength => "limit",
        };
        self.recordings.insert(name.to_owned(), recorded.recording);
        self.set("recording_ms", recorded.duration_ms.to_string());
        self.set("recording_lost_ms", recorded.lost_ms.to_string());
        self.set("recording_end", end.to_owned());
    }

    pub(in crate::flow) fn set(&mut self, name: &str, value: String) {
        self.variables.insert(name.to_owned(), value);
    }

    pub(super) fn value(&self, name: &str) -> &str {
        self.variables.get(name).map_or("", String::as_str)
    }

    pub(super) fn look_up<'a>(&'a self, call: &'a CallInfo, name: &str) -> &'a str {
        match name {
            "call.id" => &call.id,
            "call.from" => &call.from,
            "call.to" => &call.to,
            "call.direction" => match call.direction {
                Direction::Inbound => "inbound",
                Direction::Outbound => "outbound",
            },
            "language" => &self.language,
            name => self.value(name),
        }
    }
}

impl FlowProgram {
    /// The menu whose keys are waited for.
    pub(crate) fn menu(&self) -> Option<&Menu> {
        match &self.waiting {
            Waiting::Menu(menu) if self.queue.is_empty() => Some(&self.flow.menus[menu.0]),
            _ => None,
        }
    }

    /// Where the call stands, for a walk that wants to know whether it was here before: two that are alike here go the same ways.
    pub(crate) fn standing(&self) -> String {
        let place = |step: &StepRef| match step {
            StepRef::Node(id) => format!("node {}", id.0),
            StepRef::Unnamed(step) => format!("step {:p}", Arc::as_ptr(step)),
        };
        let waiting = match &self.waiting {
            Waiting::Step(step, entries) => format!("{} {entries}", place(step)),
            Waiting::Confirm(step, entries, _) => format!("confirm {} {entries}", place(step)),
            Waiting::Sound(then) => format!("sound {then:?}"),
            other => format!("{other:?}"),
        };
        // What changes with every key or call says nothing about where it stands, unless a way is chosen by it: then it stands elsewhere.
        let passing = [
            "digits",
            "key",
            "key_source",
            "entered_by",
            "speech",
            "speech_confidence",
            "recording_ms",
            "dial_seconds",
            "queue_wait_seconds",
            "conference_seconds",
        ];
        let kept = |name: &String| !passing.contains(&name.as_str());
        let variables: Vec<_> = self
            .variables
            .iter()
            .filter(|(name, _)| kept(name))
            .collect();
        format!(
            "{:?} {waiting} {:?} {:?} {variables:?} {} {} {} {} {}",
            self.at,
            self.path,
            self.hand,
            self.language,
            self.recorded,
            self.hushed,
            self.failures,
            self.queue.len()
        )
    }
}
