//! The typed flow: what is left of a file when every name in it has been found. Owns shapes only. A [`Flow`] cannot name a
//! node, menu or prompt that is not there.
use super::directory::Directory;
use super::pattern::Pattern;
use super::schedule::Schedule;
use super::template::Template;
use crate::call::{
    Audio, Conference, DetectMachine, Echo, HangupCause, Listen, Manner, OnMachine, Record,
    RecordCall, RecordingControl, Repeat, Stream, VoicemailPurpose, WaitForTone,
};
use crate::config::{Queue, QueueMember, Secret, Skill};
use crate::speech::{Speech, base_language};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// A whole flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Flow {
    /// Its name, for the log; the file's name where it gives none.
    pub name: String,
    /// Where a call begins.
    pub entry: Target,
    /// The language a call begins in; `None`: prompts have one language.
    pub default_language: Option<String>,
    /// The languages there are, in the order of the file.
    pub languages: Vec<Language>,
    /// Whether each call is recorded from its beginning, and how `recording` destinations record.
    pub recording: Recording,
    /// Opening hours; a [`ScheduleId`] is an index.
    pub schedules: Vec<Schedule>,
    /// What is said in a prompt's file, by its key: for transcripts.
    pub spoken: BTreeMap<String, String>,
    /// How long a call may last; kept for the session, since a program has no clock.
    pub max_call_duration: Option<Duration>,
    /// Where to go when a verb fails.
    pub error_destination: Destination,
    /// Start values of variables.
    pub variables: BTreeMap<String, String>,
    /// Prompts by id, for prompts that are chosen by a variable.
    pub prompts: HashMap<String, Prompt>,
    /// Queues that it brings with it.
    pub queues: Vec<FlowQueue>,
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

/// Index into [`Flow::schedules`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ScheduleId(pub(crate) usize);

/// A language of the prompts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Language {
    /// IETF tag, as `en-US`.
    pub code: String,
    /// The voice that speaks it.
    pub voice: Option<String>,
    /// The `[[speech.backend]]` that is asked first for its texts, by name or type.
    pub tts: Option<String>,
}

/// `recording` of a flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Recording {
    /// Every call, from its answer on.
    pub always: bool,
    /// How.
    pub record: RecordCall,
    /// Said before a recording begins.
    pub consent: Prompt,
    /// Days that recordings of the flow stay; `None`: as the configuration says.
    pub keep_days: Option<u32>,
}

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
    /// What depends on the call's language, or is text that no file says.
    Spoken(Spoken),
    /// Keys read out one by one: the prompts `digit_0` to `digit_9`, `digit_star` and `digit_hash`.
    Keys(Template),
}

/// A prompt in several languages, by their tags; text stands where a voice would have to say it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spoken {
    /// Keys of files.
    pub files: BTreeMap<String, String>,
    /// Texts.
    pub texts: BTreeMap<String, Template>,
    /// How texts are spoken.
    pub manner: SpokenManner,
}

/// How a text is spoken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SpokenManner {
    /// It is SSML.
    pub ssml: bool,
    /// The voice; `None`: the language's.
    pub voice: Option<String>,
    /// The language of a text that stands for all of them.
    pub language: Option<String>,
    /// In percent of the voice's own speed; 0: as it is.
    pub rate_percent: u16,
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
    /// What speech counts; `None`: keys alone.
    pub speech: Option<Box<Hearing>>,
}

/// What speech counts as an entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Hearing {
    /// Keys count as well.
    pub keys: bool,
    /// The language; `None`: the call's.
    pub language: Option<String>,
    /// What may be said, besides what choices and digits are called.
    pub hints: Vec<String>,
    /// Silence that ends it, in ms.
    pub end_ms: u32,
    /// The longest, in ms.
    pub max_ms: u32,
    /// What is less sure, 0 to 1, was not understood.
    pub least_confidence: f32,
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
    /// What may be said instead: words in small letters.
    pub phrases: Vec<String>,
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
        /// Asked before `then`.
        confirm: Option<Confirm>,
        /// What follows.
        then: Destination,
        /// What follows when no digit came; else `then`.
        no_input: Option<Destination>,
    },
    /// Calls somebody else.
    Dial(Dialling),
    /// Waits in a queue, or calls one agent.
    Queue(Queueing),
    /// Leaves a message in a voicemail box, or hears those in it.
    Voicemail(Box<Messaging>),
    /// Chooses the language from now on.
    Language {
        /// The tag; may hold variables.
        code: Template,
        /// Said in the new language.
        prompt: Prompt,
        /// What follows.
        then: Destination,
    },
    /// Records from now on, or stops, pauses or resumes that.
    Recording {
        /// `None`: begin.
        control: Option<RecordingControl>,
        /// Said before; for a beginning, the flow's consent prompt where this is empty.
        prompt: Prompt,
        /// What follows.
        then: Destination,
    },
    /// Chooses by the time.
    Schedule {
        /// The hours.
        schedule: ScheduleId,
        /// Within them.
        open: Destination,
        /// Outside; else the schedule's own.
        closed: Destination,
    },
    /// Sets a schedule by hand, for all calls.
    Hours {
        /// The hours.
        schedule: ScheduleId,
        /// Open or closed; `None`: the hours count again.
        by_hand: Option<bool>,
        /// Said when it is done.
        prompt: Prompt,
        /// What follows.
        then: Destination,
    },
    /// Looks somebody up.
    Directory {
        /// Where.
        directory: Arc<Directory>,
        /// What for.
        find: Template,
        /// Variable and column.
        set: Vec<(String, String)>,
        /// What follows when it is there.
        then: Destination,
        /// What follows when it is not.
        otherwise: Destination,
    },
    /// Asks a web service.
    Webhook(Box<Asking>),
    /// What this version does not serve yet. A server refuses such a flow; a rehearsal shows it.
    NotServed {
        /// The type.
        kind: String,
        /// Which one, as `queue sales`.
        what: String,
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

/// How collected keys are confirmed.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirm {
    /// Says what was entered, and how to accept it.
    pub prompt: Prompt,
    /// The key that accepts.
    pub accept: char,
    /// How a key is waited for.
    pub input: Input,
    /// Entries that may be made before it is given up.
    pub max_tries: u32,
    /// Where it leads then.
    pub failed: Destination,
}

/// Whom to call, and what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Dialling {
    /// Whom.
    pub to: Callee,
    /// Said before.
    pub prompt: Prompt,
    /// How long it may ring in ms; 0: as long as the caller waits.
    pub ring_ms: u32,
    /// Whether it is found out who answered, and what is done then.
    pub on_machine: Option<OnMachine>,
    /// What follows when it was busy, not answered, or could not be reached; by the names of [`DIAL_ENDS`].
    pub fallbacks: BTreeMap<String, Destination>,
    /// What follows otherwise; without it the call ends as the dial did.
    pub then: Option<Destination>,
}

/// Where to wait for an agent, and what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Queueing {
    /// The queue, or the agent.
    pub name: Template,
    /// It is one agent.
    pub alone: bool,
    /// Said before.
    pub prompt: Prompt,
    /// Who has more comes before those who have less.
    pub priority: i32,
    /// What the agent has to be able to do.
    pub skills: Vec<Skill>,
    /// How long it may wait in ms; 0: as the queue says.
    pub max_wait_ms: u32,
    /// How long each agent rings in ms; 0: as the queue says.
    pub ring_ms: u32,
    /// Keys that leave it.
    pub exit_keys: String,
    /// It does not wait: the number that is called back when it is its turn.
    pub call_back: Option<Template>,
    /// What follows each end, by [`QueueEnd::name`](crate::call::QueueEnd::name); else what the queue of the flow says.
    pub fallbacks: BTreeMap<String, Destination>,
    /// What follows otherwise; without it the call ends.
    pub then: Option<Destination>,
}

/// Which voicemail box, and what follows.
#[derive(Debug, Clone, PartialEq)]
pub struct Messaging {
    /// The box, by name or number; `None`: that of the phone that calls.
    pub mailbox: Option<Template>,
    /// What for.
    pub purpose: VoicemailPurpose,
    /// Said before.
    pub prompt: Prompt,
    /// Keys that leave the greeting.
    pub exit_keys: String,
    /// What follows each end, by [`VoicemailEnd::name`](crate::call::VoicemailEnd::name).
    pub fallbacks: BTreeMap<String, Destination>,
    /// What follows otherwise; without it the call ends.
    pub then: Option<Destination>,
}

/// A queue that a flow brings with it.
#[derive(Debug, Clone, PartialEq)]
pub struct FlowQueue {
    /// How it works; members who are users of endpoints are not among its own.
    pub settings: Queue,
    /// These, by user or extension.
    pub users: Vec<QueueMember>,
    /// What follows each end, where the step does not say.
    pub fallbacks: BTreeMap<String, Destination>,
}

/// Ends of a dial that may have a fallback (Wazo's names).
pub const DIAL_ENDS: &[&str] = &["busy", "congestion", "fail", "noanswer"];

/// Somebody to call.
#[derive(Debug, Clone, PartialEq)]
pub enum Callee {
    /// A number, routed as if the caller had called it.
    Number(Template),
    /// A user of an endpoint.
    User(Template),
    /// A ring group.
    Group(Template),
    /// A number over a trunk.
    Trunk {
        /// The trunk.
        trunk: String,
        /// The number.
        number: Template,
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
    /// A step without a name.
    Step(Arc<Step>),
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
    /// Every menu or node it may lead to.
    pub fn targets(&self, into: &mut Vec<Target>) {
        match self {
            Self::Goto(node) => into.push(Target::Node(*node)),
            Self::Menu(menu) => into.push(Target::Menu(*menu)),
            Self::Sound { then, .. } => then.targets(into),
            Self::Step(step) => {
                for destination in step.destinations() {
                    destination.targets(into);
                }
            }
            Self::Repeat | Self::Back | Self::Hangup { .. } => {}
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
            | Self::Language { then, .. }
            | Self::Hours { then, .. }
            | Self::Recording { then, .. }
            | Self::DetectMachine { then, .. }
            | Self::Set { then, .. } => vec![then],
            Self::WaitForTone { then, timeout, .. } => {
                std::iter::once(then).chain(timeout).collect()
            }
            Self::Listen { then, timeout, .. } => std::iter::once(then).chain(timeout).collect(),
            Self::Collect {
                confirm,
                then,
                no_input,
                ..
            } => {
                let failed = confirm.as_ref().map(|confirm| &confirm.failed);
                [then].into_iter().chain(no_input).chain(failed).collect()
            }
            Self::Dial(dialling) => dialling.fallbacks.values().chain(&dialling.then).collect(),
            Self::Queue(queueing) => queueing.fallbacks.values().chain(&queueing.then).collect(),
            Self::Voicemail(messaging) => {
                let fallbacks = messaging.fallbacks.values();
                fallbacks.chain(&messaging.then).collect()
            }
            Self::Schedule { open, closed, .. } => vec![open, closed],
            Self::Directory {
                then, otherwise, ..
            } => vec![then, otherwise],
            Self::Webhook(asking) => {
                let ways = [&asking.then].into_iter().chain(&asking.not_found);
                ways.chain(&asking.error).collect()
            }
            Self::Branch {
                cases, otherwise, ..
            } => cases.values().chain([otherwise]).collect(),
            Self::Hangup { .. } | Self::NotServed { .. } => Vec::new(),
        }
    }

    /// Lets it go on to `to`; `false` where nothing follows such a step.
    pub(crate) fn go_on(&mut self, to: Destination) -> bool {
        match self {
            Self::Play { then, .. }
            | Self::Collect { then, .. }
            | Self::Echo { then, .. }
            | Self::SendDigits { then, .. }
            | Self::Conference { then, .. }
            | Self::Record { then, .. }
            | Self::RecordCall { then, .. }
            | Self::RecordingControl { then, .. }
            | Self::Stream { then, .. }
            | Self::StopStream { then }
            | Self::Language { then, .. }
            | Self::Hours { then, .. }
            | Self::Recording { then, .. }
            | Self::Listen { then, .. }
            | Self::WaitForTone { then, .. }
            | Self::DetectMachine { then, .. }
            | Self::Directory { then, .. }
            | Self::Set { then, .. } => *then = to,
            Self::Dial(dialling) => dialling.then = Some(to),
            Self::Queue(queueing) => queueing.then = Some(to),
            Self::Voicemail(messaging) => messaging.then = Some(to),
            Self::Webhook(asking) => asking.then = to,
            // Nothing of it is ever run.
            Self::NotServed { .. } => {}
            Self::Schedule { .. } | Self::Branch { .. } | Self::Hangup { .. } => return false,
        }
        true
    }

    /// Whether it takes no time at all: neither media nor input.
    pub fn is_instant(&self) -> bool {
        match self {
            Self::Set { .. } | Self::Branch { .. } => true,
            Self::Schedule { .. } | Self::Directory { .. } => true,
            // A service may answer at once.
            Self::Webhook(asking) => asking.prompt.0.is_empty(),
            Self::RecordCall { .. } | Self::RecordingControl { .. } | Self::StopStream { .. } => {
                true
            }
            Self::Language { prompt, .. }
            | Self::Hours { prompt, .. }
            | Self::Recording { prompt, .. } => prompt.0.is_empty(),
            Self::Stream { stream, .. } => stream.background,
            _ => false,
        }
    }
}

/// A step `webhook`, or a `directory` with a `url`: what is asked, and what becomes of the answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Asking {
    /// Said before.
    pub prompt: Prompt,
    /// The address; variables stand after the host only.
    pub url: Template,
    /// Posted; values of variables are escaped as JSON strings have it. `None`: nothing, by GET.
    pub body: Option<Template>,
    /// Sent along.
    pub headers: Vec<(String, Secret)>,
    /// Limit in ms.
    pub timeout_ms: u32,
    /// Variable, and where its value stands in the answer: a JSON pointer (RFC 6901).
    pub set: Vec<(String, String)>,
    /// What follows a good answer.
    pub then: Destination,
    /// Of a directory: what follows a 404, and a good answer that holds nobody (nothing, `null`, `[]`, `{}`). Of a list the first counts.
    pub not_found: Option<Destination>,
    /// What follows any other; else the flow's `error_destination`.
    pub error: Option<Destination>,
}

/// `en_US` and `en-us` are one language.
pub(super) fn same_language(one: &str, other: &str) -> bool {
    let plain = |byte: u8| {
        if byte == b'_' {
            b'-'
        } else {
            byte.to_ascii_lowercase()
        }
    };
    one.bytes().map(plain).eq(other.bytes().map(plain))
}

/// A text in the voice that speaks it. `code` is the language it stands for; a text that stands for any is in its own, else in that of the flow.
pub(super) fn spoken_text(
    text: String,
    manner: &SpokenManner,
    code: Option<&str>,
    languages: &[Language],
    usual: Option<&str>,
) -> Speech {
    let language = code.or(manner.language.as_deref()).or(usual);
    let of_language = language.and_then(|wanted| {
        let exact = languages
            .iter()
            .find(|each| same_language(&each.code, wanted));
        let near =
            |each: &&Language| same_language(base_language(&each.code), base_language(wanted));
        exact.or_else(|| languages.iter().find(near))
    });
    let of_its = |of: fn(&Language) -> &Option<String>| of(of_language?).as_deref();
    let voice = manner.voice.as_deref().or(of_its(|of| &of.voice));
    Speech {
        ssml: manner.ssml,
        rate_percent: manner.rate_percent,
        by: of_its(|of| &of.tts).map(str::to_owned),
        ..Speech::plain(text)
    }
    .in_voice(language, voice)
}
