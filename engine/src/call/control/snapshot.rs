//! What is known of a call in progress: kept by its session, copied for whoever asks.
use super::{MAX_METADATA, MAX_TAG, MAX_TAGS, MAX_VALUE};
use crate::call::context::CallContext;
use crate::call::program::Direction;
use crate::store::stamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

/// Where a call stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CallState {
    /// Nobody knows of it yet.
    #[default]
    Begun,
    /// It rings.
    Ringing,
    /// It is answered.
    Answered,
}

impl CallState {
    /// `begun`, `ringing` or `answered`.
    pub fn word(self) -> &'static str {
        match self {
            CallState::Begun => "begun",
            CallState::Ringing => "ringing",
            CallState::Answered => "answered",
        }
    }
}

/// A leg of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LegSnapshot {
    /// Its number, as in log lines and records.
    pub leg: u64,
    /// Who is there: `caller +4930…`, `endpoint ann`, `trunk carrier`.
    pub party: String,
    /// Which way it was set up.
    pub direction: Direction,
    /// Whether it is answered.
    pub answered: bool,
    /// Whether it was put on hold from outside.
    pub held: bool,
    /// Whether it was muted from outside.
    pub muted: bool,
}

/// What the session of a call keeps up to date.
#[derive(Debug, Default)]
pub(in crate::call) struct Facts {
    pub(in crate::call) state: CallState,
    pub(in crate::call) program: String,
    pub(in crate::call) legs: BTreeMap<u64, LegSnapshot>,
    pub(in crate::call) bridged_with: Option<String>,
    pub(in crate::call) conference: Option<String>,
    /// Number of the recording in the background, and whether it pauses.
    pub(in crate::call) recording: Option<(u32, bool)>,
    pub(in crate::call) streaming: bool,
    /// The call that an order has added this one to.
    pub(in crate::call) added_to: Option<String>,
    tags: BTreeSet<String>,
    metadata: BTreeMap<String, String>,
}

/// Tags and metadata to be set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotation {
    /// All tags from now on; `None`: as they are.
    pub tags: Option<BTreeSet<String>>,
    /// Entries that are set, or removed where there is no value; others stay.
    pub metadata: BTreeMap<String, Option<String>>,
}

impl Annotation {
    /// Whether a call without any takes it.
    ///
    /// # Errors
    /// Which limit is passed.
    pub fn check(&self) -> Result<(), String> {
        Facts::default().annotate(self.clone())
    }
}

impl Facts {
    /// Tags and metadata.
    pub(in crate::call) fn annotations(&self) -> (BTreeSet<String>, BTreeMap<String, String>) {
        (self.tags.clone(), self.metadata.clone())
    }

    pub(in crate::call) fn annotate(&mut self, annotation: Annotation) -> Result<(), String> {
        let short = |text: &str, limit| !text.is_empty() && text.chars().count() <= limit;
        if let Some(tags) = &annotation.tags {
            if tags.len() > MAX_TAGS {
                return Err(format!("a call has at most {MAX_TAGS} tags"));
            }
            if let Some(tag) = tags.iter().find(|tag| !short(tag, MAX_TAG)) {
                return Err(format!("tag {tag:?}: 1 to {MAX_TAG} characters"));
            }
        }
        let mut metadata = self.metadata.clone();
        for (name, value) in annotation.metadata {
            if !short(&name, MAX_TAG) {
                return Err(format!(
                    "metadata {name:?}: its name has 1 to {MAX_TAG} characters"
                ));
            }
            match value {
                Some(value) if value.chars().count() > MAX_VALUE => {
                    return Err(format!("metadata {name:?}: at most {MAX_VALUE} characters"));
                }
                Some(value) => _ = metadata.insert(name, value),
                None => _ = metadata.remove(&name),
            }
        }
        if metadata.len() > MAX_METADATA {
            return Err(format!(
                "a call has at most {MAX_METADATA} entries of metadata"
            ));
        }
        self.metadata = metadata;
        if let Some(tags) = annotation.tags {
            self.tags = tags;
        }
        Ok(())
    }
}

/// A call in progress, as it was a moment ago.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its id.
    pub id: String,
    /// Which way it was set up.
    pub direction: Direction,
    /// Who called.
    pub from: String,
    /// Who was called.
    pub to: String,
    /// Where it stands.
    pub state: CallState,
    /// When it began.
    pub began: SystemTime,
    /// When it was answered.
    pub answered: Option<SystemTime>,
    /// What routed it.
    pub rule: Option<String>,
    /// What drives it now.
    pub program: String,
    /// Its legs, by number.
    pub legs: Vec<LegSnapshot>,
    /// Whom its own party talks with.
    pub bridged_with: Option<String>,
    /// The conference it is in.
    pub conference: Option<String>,
    /// The number of the recording in the background.
    pub recording: Option<u32>,
    /// Whether that pauses.
    pub recording_paused: bool,
    /// Whether its audio is streamed to a service.
    pub streaming: bool,
    /// The call that an order has added this one to, as a participant.
    pub added_to: Option<String>,
    /// Tags.
    pub tags: BTreeSet<String>,
    /// Metadata.
    pub metadata: BTreeMap<String, String>,
}

impl CallContext {
    /// Changes or reads what is known of the call.
    pub(in crate::call) fn facts<T>(&self, change: impl FnOnce(&mut Facts) -> T) -> T {
        let mut facts = self
            .facts
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        change(&mut facts)
    }

    pub(in crate::call) fn snapshot(&self) -> Snapshot {
        let routed = self.routed.get();
        let rule = routed.map(|(rule, _)| rule.clone());
        let first = routed.map_or("", |(_, program)| program);
        let times = self.times();
        self.facts(|facts| Snapshot {
            id: self.info.id.clone(),
            direction: self.info.direction,
            from: self.info.from.clone(),
            to: self.info.to.clone(),
            state: facts.state,
            began: times.began,
            answered: times.answered,
            rule,
            program: match facts.program.is_empty() {
                true => first.to_owned(),
                false => facts.program.clone(),
            },
            legs: facts.legs.values().cloned().collect(),
            bridged_with: facts.bridged_with.clone(),
            conference: facts.conference.clone(),
            recording: facts.recording.map(|(number, _)| number),
            recording_paused: facts.recording.is_some_and(|(_, paused)| paused),
            streaming: facts.streaming,
            added_to: facts.added_to.clone(),
            tags: facts.tags.clone(),
            metadata: facts.metadata.clone(),
        })
    }
}

impl Snapshot {
    /// As the control API shows it.
    pub fn to_json(&self) -> Value {
        let legs: Vec<Value> = self
            .legs
            .iter()
            .map(|leg| {
                json!({
                    "leg": leg.leg,
                    "party": leg.party,
                    "direction": leg.direction.word(),
                    "answered": leg.answered,
                    "held": leg.held,
                    "muted": leg.muted,
                })
            })
            .collect();
        json!({
            "id": self.id,
            "direction": self.direction.word(),
            "from": self.from,
            "to": self.to,
            "state": self.state.word(),
            "began": stamp(self.began),
            "answered": self.answered.map(stamp),
            "rule": self.rule,
            "program": self.program,
            "legs": legs,
            "bridged_with": self.bridged_with,
            "conference": self.conference,
            "recording": self.recording,
            "recording_paused": self.recording_paused,
            "streaming": self.streaming,
            "added_to": self.added_to,
            "tags": self.tags,
            "metadata": self.metadata,
        })
    }
}
