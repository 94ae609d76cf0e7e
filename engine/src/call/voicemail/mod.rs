//! [`Verb::Voicemail`](super::Verb::Voicemail): what is asked and what became of it, and the pure machines that lead a caller through a box.
//!
//! A machine says what to do next ([`Ask`]) and is told what came of it ([`Told`]); the executor does it. None of them knows a clock, a file
//! or the store.
mod events;
mod leave;
mod listen;
mod program;
mod words;

pub(super) use events::tell;
pub(super) use leave::Leave;
pub(super) use listen::Listen;
pub use program::VoicemailProgram;

use super::verb::{Audio, Gather, Outcome};
use crate::config::VoicemailBox;
use crate::store::VoicemailRow;
use crate::voicemail::Filed;
use std::sync::Arc;

/// A visit to a box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voicemail {
    /// The box, by name or number; `None`: that of the phone that calls, or one that is keyed in. A message is left in a box that is named.
    pub mailbox: Option<String>,
    /// What for.
    pub purpose: VoicemailPurpose,
    /// The call's language, as `es-ES`; empty: none is known. That of the box comes before it.
    pub language: String,
    /// Keys that leave the greeting.
    pub exit_keys: String,
}

/// What a visit is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoicemailPurpose {
    /// To leave a message.
    Leave {
        /// The greeting is the one for callers who found the line busy.
        busy: bool,
        /// Of the usual greeting only who is not there is said, not what to do.
        skip_instructions: bool,
    },
    /// To hear messages.
    Listen,
}

impl Voicemail {
    /// A message is left.
    pub fn leave(mailbox: impl Into<String>) -> Voicemail {
        Voicemail {
            mailbox: Some(mailbox.into()),
            purpose: VoicemailPurpose::Leave {
                busy: false,
                skip_instructions: false,
            },
            language: String::new(),
            exit_keys: String::new(),
        }
    }

    /// Messages are heard.
    pub fn listen(mailbox: Option<String>) -> Voicemail {
        Voicemail {
            mailbox,
            purpose: VoicemailPurpose::Listen,
            language: String::new(),
            exit_keys: String::new(),
        }
    }
}

/// How a visit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoicemailEnd {
    /// A message was left.
    Left,
    /// Nothing was said.
    Empty,
    /// The box holds as many messages as it may.
    Full,
    /// There is no such box.
    Unknown,
    /// The disk did not take it.
    Failed,
    /// By a key, before a message was left.
    Key(char),
    /// Messages were heard, as many as the caller liked.
    Heard,
    /// The caller may not hear them.
    Refused,
}

impl VoicemailEnd {
    /// Every end by its name, but [`VoicemailEnd::Key`], which is `key`.
    pub const ALL: [(&'static str, VoicemailEnd); 7] = [
        ("left", VoicemailEnd::Left),
        ("empty", VoicemailEnd::Empty),
        ("full", VoicemailEnd::Full),
        ("unknown", VoicemailEnd::Unknown),
        ("failed", VoicemailEnd::Failed),
        ("heard", VoicemailEnd::Heard),
        ("refused", VoicemailEnd::Refused),
    ];

    /// A word: for branches, logs and variables.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, each)| *each == self);
        named.map_or("key", |(name, _)| name)
    }
}

/// Outcome of [`Verb::Voicemail`](super::Verb::Voicemail).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Voicemailed {
    /// Why it ended.
    pub end: VoicemailEnd,
    /// The message that was left.
    pub message: Option<String>,
}

/// What a machine wants done.
#[derive(Debug, PartialEq)]
pub(super) enum Ask {
    /// Told by the verb's outcome.
    Play {
        audio: Vec<Audio>,
        stop_keys: String,
    },
    /// The same.
    Gather(Gather),
    /// The same; so long at most, until so much silence (0: none) or one of the keys.
    Record {
        max_ms: u32,
        silence_ms: u32,
        stop_keys: &'static str,
    },
    /// Files what was recorded; so much of its end is silence. Told as [`Told::Filed`].
    File { silence_ms: u32 },
    /// Looks for a box. Told as [`Told::Box`].
    Find(String),
    /// Holds a PIN against that of a box. Told as [`Told::Pin`].
    Pin(Arc<VoicemailBox>, String),
    /// The messages of a box. Told as [`Told::Messages`].
    Messages(Arc<VoicemailBox>),
    /// A message, said in the midst of a gather: what comes before and what behind it. Told by the gather's outcome.
    Hear(Box<VoicemailRow>, Gather, Vec<Audio>),
    /// It was heard. Told as [`Told::Done`].
    Mark(Box<VoicemailRow>),
    /// It is not wanted any more. Told as [`Told::Done`].
    Delete(Box<VoicemailRow>),
    /// Nothing more.
    Over(VoicemailEnd),
}

/// What came of it.
#[derive(Debug)]
pub(super) enum Told {
    Begin,
    Outcome(Outcome),
    Filed(Filed),
    Box(Option<Arc<VoicemailBox>>),
    /// It is right; or whether it makes sense to try another.
    Pin(Result<(), bool>),
    /// `None`: the store does not say.
    Messages(Option<Vec<VoicemailRow>>),
    Done,
}

/// A machine.
pub(super) trait Visit: Send {
    /// What to do next.
    fn next(&mut self, told: Told) -> Ask;
}
