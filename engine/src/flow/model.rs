//! The typed flow: what is left of a file when every name in it has been found. Owns shapes only. A [`Flow`] cannot name a
//! node, menu or prompt that is not there.
use super::pattern::Pattern;
use super::template::Template;
use crate::call::{
    Audio, Conference, DetectMachine, Echo, HangupCause, Listen, Manner, Record, RecordCall,
    RecordingControl, Repeat, Stream, WaitForTone,
};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

/// A whole flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Its name, for the log; the file's name where it gives none.
    pub name: String,
    /// Where a call begins.
    pub entry: Target,
    /// Language of the prompts, as an IETF tag; informative until more than one language is built.
    pub default_language: Option<String>,
    /// How long a call may last; kept for the session, since a program has no clock.
    pub max_call_duration: Option<Duration>,
    /// Where to go when a verb fails.
    pub error_destination: Destination,
    /// Start values of variables.
    pub variables: BTreeMap<String, String>,
    /// Prompts by id, for prompts that are chosen by a variable.
    pub prompts: HashMap<String, Prompt>,
    /// The menus; a [`MenuId`] is an index.
    pub menus: Vec<Menu>,
    /// The other steps; a [`NodeId`] is an index.
    pub nodes: Vec<Node>,
}

/// Index into [`Flow::menus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MenuId(pub(crate) usize);

/// Index into [`Flow::nodes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct NodeId(pub(crate) usize);

/// A menu or a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Target {
    /// A menu.
    Menu(MenuId),
    /// A node.
    Node(NodeId),
}

/// What to play: pieces in order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Prompt(pub Vec<Piece>);

/// One piece of a prompt.
#[derive(Debug, Clone, PartialEq)]
pub enum Piece {
    /// Known at load.
    Fixed(Audio),
    /// A recording of this call, by the name `record_message` gave it.
    Recording(String),
    /// A prompt whose id is known only during the call.
    Id(Template),
    /// A file whose name is known only during the call; every name it can take was known at load.
    File {
        /// What stands before the name: a folder, or `builtin:`.
        base: String,
        /// The name.
        name: Template,
    },
    /// Audio of a web server; the values of its variables are escaped.
    Url(Template),
}

/// How keys are collected; times in ms.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// To the first digit, from the end of the prompt.
    pub timeout_ms: u32,
    /// Between digits.
    pub inter_digit_ms: u32,
    /// Digits that end the entry.
    pub max_digits: usize,
    /// The key that ends the entry.
    pub finish_on: Option<char>,
    /// A key stops the prompt.
    pub barge_in: bool,
    /// Keys pressed before count.
    pub typeahead: bool,
    /// Keys must not appear in logs.
    pub sensitive: bool,
}

/// A menu.
#[derive(Debug, Clone, PartialEq)]
pub struct Menu {
    /// Its id.
    pub id: String,
    /// Played once, when the menu is entered.
    pub greeting: Prompt,
    /// Played for each try.
    pub prompt: Prompt,
    /// Played after a wrong key, unless that was the last try.
    pub invalid: Prompt,
    /// Played after silence, unless that was the last try.
    pub timeout: Prompt,
    /// Played before hanging up after the last try; not where `abort_destination` is set.
    pub abort: Prompt,
    /// How keys are collected.
    pub input: Input,
    /// Silences and wrong keys together that end the menu.
    pub max_tries: u32,
    /// What keys mean.
    pub choices: Vec<Choice>,
    /// Where a wrong key leads, at once and uncounted.
    pub invalid_destination: Option<Destination>,
    /// Where silence leads, at once and uncounted.
    pub timeout_destination: Option<Destination>,
    /// Where the last try leads.
    pub abort_destination: Option<Destination>,
}

/// One choice of a menu.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The keys.
    pub exten: Pattern,
    /// Where they lead.
    pub destination: Destination,
}

/// A step that is not a menu.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Its id.
    pub id: String,
    /// What it does.
    pub step: Step,
}

/// What a node does.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Plays a prompt.
    Play {
        /// What.
        prompt: Prompt,
        /// How often.
        repeat: Repeat,
        /// Keys that stop it.
        interrupt: String,
        /// How loud, from where, and whether it fades in.
        manner: Manner,
        /// What follows.
        then: Destination,
    },
    /// Collects digits into a variable.
    Collect {
        /// Played while waiting.
        prompt: Prompt,
        /// How often.
        repeat: Repeat,
        /// How keys are collected.
        input: Input,
        /// The variable besides `digits`.
        set: Option<String>,
        /// What follows.
        then: Destination,
        /// What follows when no digit came; else `then`.
        no_input: Option<Destination>,
    },
    /// Sends the caller's audio back.
    Echo {
        /// The verb.
        echo: Echo,
        /// What follows.
        then: Destination,
    },
    /// Sends keys.
    SendDigits {
        /// As [`SendDigits::digits`](crate::call::SendDigits::digits).
        digits: Template,
        /// Length of a key in ms.
        tone_ms: u32,
        /// Pause after it in ms.
        gap_ms: u32,
        /// What follows.
        then: Destination,
    },
    /// Listens for speech, silence or a beep.
    Listen {
        /// Played meanwhile.
        prompt: Prompt,
        /// The verb, without what is played.
        listen: Listen,
        /// What follows.
        then: Destination,
        /// What follows when nothing of it was heard in time; else `then`.
        timeout: Option<Destination>,
    },
    /// Speaks with others.
    Conference {
        /// The conference's name.
        room: Template,
        /// The verb, without the name.
        conference: Conference,
        /// What follows.
        then: Destination,
    },
    /// Records the caller.
    Record {
        /// The verb.
        record: Record,
        /// The recording's name in prompts.
        set: String,
        /// What follows.
        then: Destination,
    },
    /// Begins to record both sides in the background.
    RecordCall {
        /// The verb.
        record: RecordCall,
        /// What follows.
        then: Destination,
    },
    /// Pauses, resumes or stops that.
    RecordingControl {
        /// The verb.
        control: RecordingControl,
        /// What follows.
        then: Destination,
    },
    /// Streams audio to a service.
    Stream {
        /// The verb, without parameters.
        stream: Box<Stream>,
        /// Given to the service.
        parameters: Vec<(String, Template)>,
        /// What follows.
        then: Destination,
    },
    /// Ends the stream.
    StopStream {
        /// What follows.
        then: Destination,
    },
    /// Listens for tones of the network.
    WaitForTone {
        /// Played meanwhile.
        prompt: Prompt,
        /// The verb, without the prompt.
        wait: Box<WaitForTone>,
        /// What follows.
        then: Destination,
        /// What follows when no tone came; else `then`.
        timeout: Option<Destination>,
    },
    /// Finds out who answered.
    DetectMachine {
        /// The verb.
        detect: Box<DetectMachine>,
        /// What follows.
        then: Destination,
    },
    /// Sets variables.
    Set {
        /// Name and value.
        variables: Vec<(String, Template)>,
        /// What follows.
        then: Destination,
    },
    /// Chooses by a value.
    Branch {
        /// The value.
        on: Template,
        /// What follows for each.
        cases: BTreeMap<String, Destination>,
        /// What follows otherwise.
        otherwise: Destination,
    },
    /// Ends the call.
    Hangup {
        /// Why.
        cause: HangupCause,
        /// Played before.
        prompt: Prompt,
    },
}

/// Where to go next.
#[derive(Debug, Clone, PartialEq)]
pub enum Destination {
    /// A node.
    Goto(NodeId),
    /// A menu, with its greeting.
    Menu(MenuId),
    /// The current menu, without its greeting; where there is none, the call ends. Written `repeat`, `stay` or `return`.
    Repeat,
    /// The menu before the current one; the current one where it is the first.
    Back,
    /// Play and go on.
    Sound {
        /// What.
        prompt: Prompt,
        /// What follows.
        then: Box<Destination>,
    },
    /// End the call.
    Hangup {
        /// Why.
        cause: HangupCause,
        /// Played before.
        prompt: Prompt,
    },
}

impl Flow {
    /// The id of a menu or node.
    pub fn id(&self, target: Target) -> &str {
        match target {
            Target::Menu(menu) => &self.menus[menu.0].id,
            Target::Node(node) => &self.nodes[node.0].id,
        }
    }
}

impl Destination {
    /// The menu or node it leads to in the end, if it names one.
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::Goto(node) => Some(Target::Node(*node)),
            Self::Menu(menu) => Some(Target::Menu(*menu)),
            Self::Sound { then, .. } => then.target(),
            Self::Repeat | Self::Back | Self::Hangup { .. } => None,
        }
    }
}

impl Menu {
    /// Every destination of the menu.
    pub fn destinations(&self) -> impl Iterator<Item = &Destination> {
        let choices = self.choices.iter().map(|choice| &choice.destination);
        choices
            .chain(&self.invalid_destination)
            .chain(&self.timeout_destination)
            .chain(&self.abort_destination)
    }
}

impl Step {
    /// Every destination of the step.
    pub fn destinations(&self) -> Vec<&Destination> {
        match self {
            Self::Play { then, .. }
            | Self::Echo { then, .. }
            | Self::SendDigits { then, .. }
            | Self::Conference { then, .. }
            | Self::Record { then, .. }
            | Self::RecordCall { then, .. }
            | Self::RecordingControl { then, .. }
            | Self::Stream { then, .. }
            | Self::StopStream { then }
            | Self::DetectMachine { then, .. }
            | Self::Set { then, .. } => vec![then],
            Self::WaitForTone { then, timeout, .. } => {
                std::iter::once(then).chain(timeout).collect()
            }
            Self::Listen { then, timeout, .. } => std::iter::once(then).chain(timeout).collect(),
            Self::Collect { then, no_input, .. } => std::iter::once(then).chain(no_input).collect(),
            Self::Branch {
                cases, otherwise, ..
            } => cases.values().chain([otherwise]).collect(),
            Self::Hangup { .. } => Vec::new(),
        }
    }

    /// Whether it takes no time at all: neither media nor input.
    pub fn is_instant(&self) -> bool {
        match self {
            Self::Set { .. } | Self::Branch { .. } => true,
            Self::RecordCall { .. } | Self::RecordingControl { .. } | Self::StopStream { .. } => {
                true
            }
            Self::Stream { stream, .. } => stream.background,
            _ => false,
        }
    }
}
