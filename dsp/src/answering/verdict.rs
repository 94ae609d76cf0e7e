//! Who answered, what says so, and what the detector tells of it.

use crate::progress::Kind;

/// Who answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Answerer {
    /// A human.
    Human,
    /// A machine that plays a greeting.
    Machine,
    /// A fax machine.
    Fax,
    /// The network: busy, congestion, an information tone.
    Tone(Kind),
    /// Nobody said anything.
    Silence,
    /// It cannot be told.
    NotSure,
}

impl Answerer {
    /// Its name: `human`, `machine`, `fax`, `silence`, `notsure`; the tone's where the network answered.
    pub fn name(self) -> &'static str {
        match self {
            Answerer::Human => "human",
            Answerer::Machine => "machine",
            Answerer::Fax => "fax",
            Answerer::Tone(kind) => kind.name(),
            Answerer::Silence => "silence",
            Answerer::NotSure => "notsure",
        }
    }
}

/// Which limit decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Because {
    /// [`Settings::initial_silence_ms`](super::Settings::initial_silence_ms).
    InitialSilence,
    /// [`Settings::greeting_ms`](super::Settings::greeting_ms).
    LongGreeting,
    /// [`Settings::max_words`](super::Settings::max_words).
    MaxWords,
    /// [`Settings::max_word_ms`](super::Settings::max_word_ms).
    MaxWordLength,
    /// [`Settings::after_greeting_silence_ms`](super::Settings::after_greeting_silence_ms).
    SilenceAfterGreeting,
    /// [`Settings::total_analysis_ms`](super::Settings::total_analysis_ms).
    TooLong,
    /// A beep.
    Beep,
    /// A tone of the network or of a fax machine.
    Tone,
}

impl Because {
    /// Its name, as Asterisk's `AMDCAUSE` begins: `LONGGREETING`.
    pub fn name(self) -> &'static str {
        match self {
            Because::InitialSilence => "INITIALSILENCE",
            Because::LongGreeting => "LONGGREETING",
            Because::MaxWords => "MAXWORDS",
            Because::MaxWordLength => "MAXWORDLENGTH",
            Because::SilenceAfterGreeting => "HUMAN",
            Because::TooLong => "TOOLONG",
            Because::Beep => "BEEP",
            Because::Tone => "TONE",
        }
    }
}

/// What was found, with its evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Who answered.
    pub answerer: Answerer,
    /// What says so.
    pub because: Because,
    /// Since listening began.
    pub after_ms: u32,
    /// Words that were heard.
    pub words: u32,
    /// Voice in all.
    pub voice_ms: u32,
    /// The machine has beeped: it records now.
    pub beep: bool,
}

/// What the detector tells: one verdict, and where it was asked for, the end of the machine's greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Who answered.
    Verdict(Verdict),
    /// The machine's greeting is over; `beep`: by a beep.
    GreetingOver {
        /// Else it fell silent, or spoke too long.
        beep: bool,
        /// Since listening began.
        after_ms: u32,
    },
}
