//! The verbs a program can ask for and the outcomes it gets back. One vocabulary for every dialect.
use crate::config::Secret;
use crate::media::{DigitText, Listening, Pause, RecordingFormat, Tracks};
use crate::speech::{Speech, Transcript};
use crate::stream::Address;
use crate::stream::protocol::Framing;

use super::listen::{Listen, Listened};
use super::tones::{DetectMachine, MachineDetected, ToneEnd, WaitForTone};

pub use super::dial::{Dial, DialEnd, DialOrder, DialTarget, Dialled};
pub use super::ear::SpeechInput;
use super::enqueue::{AgentOrder, AgentReply, Enqueue, Queued};
use super::fetched::{Fetch, Fetched};
pub use super::key_press::{DigitSource, KeyPress, Sources};
use super::voicemail::{Voicemail, Voicemailed};
pub use crate::media::Manner;

/// What to do next with the call.
#[derive(Debug, Clone, PartialEq)]
pub enum Verb {
    /// Answer an inbound call with 200. Outcome: [`Outcome::Done`] (at once if already answered).
    Answer,
    /// Play audio. Outcome: `Done`, or [`Outcome::Interrupted`].
    Play(Play),
    /// Play prompts and collect digits. Outcome: [`Outcome::Gathered`].
    Gather(Gather),
    /// Send the caller's audio back. Outcome: `Interrupted` by a key, or `Done` at the time limit.
    Echo(Echo),
    /// Record the caller. Outcome: [`Outcome::Recorded`].
    Record(Record),
    /// Start recording in the background; it ends with the call. Outcome: `Done`.
    RecordCall(RecordCall),
    /// Pause, resume or stop the recording in the background. Outcome: `Done`, also where none runs.
    RecordingControl(RecordingControl),
    /// Stream audio to a service and from it. Outcome: `Done` when it began (in the background) or when it is over.
    Stream(Box<Stream>),
    /// End the stream, if there is one. Outcome: `Done`.
    StopStream,
    /// Listen for tones of the network or of a fax machine. Outcome: [`Outcome::ToneWaited`].
    WaitForTone(Box<WaitForTone>),
    /// Find out who answered our call. Outcome: [`Outcome::MachineDetected`].
    DetectMachine(Box<DetectMachine>),
    /// Listen for speech, silence or a beep. Outcome: [`Outcome::Listened`].
    Listen(Listen),
    /// Send digits to the far end. Outcome: `Done`.
    SendDigits(SendDigits),
    /// Let time pass. Outcome: `Done`.
    Wait(Wait),
    /// Call somebody else; whoever answers is joined with this call. Outcome: [`Outcome::Dialled`] when nobody answered, or
    /// the one who did is gone. A number that leads to a program hands the call to that: [`Outcome::HandedOver`].
    Dial(Dial),
    /// Speak with others in a conference. Outcome: [`Outcome::Conferenced`].
    Conference(Conference),
    /// Wait in a queue for an agent, and speak with it. Outcome: [`Outcome::Queued`].
    Enqueue(Box<Enqueue>),
    /// Log an agent in or out, or join a supervisor with its call. Outcome: [`Outcome::AgentDone`].
    Agent(AgentOrder),
    /// Leave a message in a voicemail box, or hear those in it. Outcome: [`Outcome::Voicemailed`].
    Voicemail(Box<Voicemail>),
    /// Let an unanswered caller hear us: 183 with our description. Outcome: `Done`, also where the caller offered nothing to send to.
    EarlyMedia,
    /// Ask a web service. Outcome: [`Outcome::Fetched`], also where there is no answer.
    Fetch(Box<Fetch>),
    /// Ask the far end to call somebody else. Outcome: `Done` when it has, [`Outcome::Failed`] when it has not.
    Refer(Refer),
    /// Refuse an unanswered inbound call. Ends the program.
    Reject(Reject),
    /// End the call. Ends the program.
    Hangup(Hangup),
}

impl Verb {
    /// The verb's name, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Verb::Answer => "answer",
            Verb::Play(_) => "play",
            Verb::Gather(_) => "gather",
            Verb::Echo(_) => "echo",
            Verb::Record(_) => "record",
            Verb::RecordCall(_) => "record_call",
            Verb::RecordingControl(_) => "recording_control",
            Verb::Stream(_) => "stream",
            Verb::StopStream => "stop_stream",
            Verb::WaitForTone(_) => "wait_for_tone",
            Verb::DetectMachine(_) => "detect_machine",
            Verb::Listen(_) => "listen",
            Verb::SendDigits(_) => "send_digits",
            Verb::Wait(_) => "wait",
            Verb::Dial(_) => "dial",
            Verb::Conference(_) => "conference",
            Verb::Enqueue(_) => "enqueue",
            Verb::Agent(_) => "agent",
            Verb::Voicemail(_) => "voicemail",
            Verb::EarlyMedia => "early_media",
            Verb::Fetch(_) => "fetch",
            Verb::Refer(_) => "refer",
            Verb::Reject(_) => "reject",
            Verb::Hangup(_) => "hangup",
        }
    }

    /// Whether it needs a call that is answered.
    pub fn needs_answer(&self) -> bool {
        match self {
            Verb::Play(_)
            | Verb::Gather(_)
            | Verb::Echo(_)
            | Verb::Record(_)
            | Verb::RecordCall(_)
            | Verb::Stream(_)
            | Verb::WaitForTone(_)
            | Verb::DetectMachine(_)
            | Verb::Listen(_)
            | Verb::SendDigits(_)
            | Verb::Conference(_)
            | Verb::Enqueue(_)
            | Verb::Agent(_)
            | Verb::Voicemail(_)
            | Verb::Refer(_) => true,
            Verb::Answer
            | Verb::Wait(_)
            | Verb::Dial(_)
            | Verb::EarlyMedia
            | Verb::Fetch(_)
            | Verb::RecordingControl(_)
            | Verb::StopStream
            | Verb::Reject(_)
            | Verb::Hangup(_) => false,
        }
    }

    /// Whether carrying it out takes time by its nature, so that a loop over it is no busy loop.
    pub fn takes_time(&self) -> bool {
        match self {
            Verb::Play(play) => !play.audio.is_empty() && play.repeat != Repeat::Times(0),
            Verb::Gather(gather) => gather.timeout_ms > 0 || !gather.prompts.is_empty(),
            Verb::Echo(echo) => echo.max_ms > 0,
            Verb::Record(_) => true,
            Verb::Stream(stream) => !stream.background,
            Verb::WaitForTone(wait) => wait.max_ms > 0,
            Verb::DetectMachine(detect) => !detect.background,
            Verb::Listen(listen) => listen.max_ms > 0,
            Verb::SendDigits(send) => DigitText::new(send.digits.clone()).next().is_some(),
            Verb::Wait(wait) => wait.ms > 0,
            Verb::Dial(_) | Verb::Enqueue(_) | Verb::Voicemail(_) | Verb::Refer(_) => true,
            Verb::Agent(order) => order.service.supervises(),
            Verb::Conference(conference) => conference.max_ms > 0,
            Verb::Answer
            | Verb::EarlyMedia
            // A service that refuses at once is no pause.
            | Verb::Fetch(_)
            | Verb::RecordCall(_)
            | Verb::RecordingControl(_)
            | Verb::StopStream
            | Verb::Reject(_)
            | Verb::Hangup(_) => false,
        }
    }
}

/// A piece of audio to play.
#[derive(Debug, Clone, PartialEq)]
pub enum Audio {
    /// A prompt of the library, by the key under which it was loaded (a path, or `builtin:` and a name).
    Prompt(String),
    /// A text that is spoken.
    Speech(Box<Speech>),
    /// A recording made earlier in this call.
    Recording(RecordingId),
    /// A generated tone.
    Tone(ToneSpec),
    /// Silence, in ms.
    Silence {
        /// Length in ms.
        ms: u32,
    },
}

/// A tone of one or two sine waves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ToneSpec {
    /// Frequencies in Hz; the second may be 0 for none. Up to half the sampling rate, which for 8 kHz is 4000 Hz inclusive.
    pub hz: [f32; 2],
    /// Level of each wave in dBm0.
    pub dbm0: f32,
    /// Length in ms.
    pub ms: u32,
}

/// How often to play a list of audio.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// That many times in all (1 = once; 0 plays nothing).
    Times(u32),
    /// Until something stops it.
    Forever,
}

/// [`Verb::Play`].
#[derive(Debug, Clone, PartialEq)]
pub struct Play {
    /// Played in order without gaps.
    pub audio: Vec<Audio>,
    /// How often the whole list is played.
    pub repeat: Repeat,
    /// Keys that stop it (each a DTMF character); empty: none, keys are kept as type-ahead for the next gather.
    pub stop_keys: String,
    /// How loud, from where, and whether it fades in.
    pub manner: Manner,
}

/// [`Verb::Gather`]: prompts and collected digits, or what is said instead. The heart of every menu.
#[derive(Debug, Clone, PartialEq)]
pub struct Gather {
    /// Played first, in order.
    pub prompts: Vec<Audio>,
    /// How often the prompts are played before the first-digit timeout starts.
    pub repeat: Repeat,
    /// ms to the first digit, counted from the end of the prompts.
    pub timeout_ms: u32,
    /// ms between digits.
    pub inter_digit_ms: u32,
    /// The entry ends when this many digits are in (at least 1).
    pub max_digits: usize,
    /// The key that ends the entry and is not part of it.
    pub finish_on: Option<char>,
    /// Whether a key stops the prompts.
    pub barge_in: bool,
    /// Whether digits pressed before this gather count (`true`) or are dropped when it begins.
    pub typeahead: bool,
    /// Whether digits must not appear in logs.
    pub sensitive: bool,
    /// What speech counts as well, or alone; `None`: keys alone.
    pub speech: Option<Box<SpeechInput>>,
}

/// [`Verb::Echo`].
#[derive(Debug, Clone, PartialEq)]
pub struct Echo {
    /// Keys that end it; others are not kept for the next gather.
    pub stop_keys: String,
    /// Limit in ms.
    pub max_ms: u32,
}

/// [`Verb::Record`].
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Whether a short beep is played first.
    pub beep: bool,
    /// Limit in ms.
    pub max_ms: u32,
    /// Ends after this much silence in ms; 0: never.
    pub silence_ms: u32,
    /// Keys that end it; others are not kept for the next gather.
    pub stop_keys: String,
    /// Whether the file stays when the call is over.
    pub keep: bool,
    /// Which sides of the call it holds.
    pub tracks: Tracks,
    /// The kind of file.
    pub format: RecordingFormat,
}

/// [`Verb::RecordCall`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordCall {
    /// File to write; `None`: one in the folder of recordings, which stays.
    pub path: Option<std::path::PathBuf>,
    /// Which sides of the call it holds.
    pub tracks: Tracks,
    /// The kind of file.
    pub format: RecordingFormat,
    /// What it holds for the time of a pause.
    pub pause: Pause,
}

/// [`Verb::RecordingControl`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingControl {
    /// Nothing is recorded until it is resumed.
    Pause,
    /// Goes on.
    Resume,
    /// Ends it.
    Stop,
}

/// [`Verb::Stream`]; see `docs/streams.md`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stream {
    /// Where the service is.
    pub address: Address,
    /// The address is not the operator's own: it must be one that may be fetched from.
    pub foreign: bool,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<Secret>,
    /// Samples per second both ways: 8000 or 16,000.
    pub rate_hz: u32,
    /// The service gets what the far end says.
    pub received: bool,
    /// The service gets what the far end is sent.
    pub sent: bool,
    /// The service's audio is played.
    pub playback: bool,
    /// How audio is framed to the service.
    pub framing: Framing,
    /// What is told to the service besides the audio.
    pub listen: Listening,
    /// The program goes on meanwhile; the stream ends with the call.
    pub background: bool,
    /// Given to the service as they are.
    pub parameters: Vec<(String, String)>,
}

/// [`Verb::SendDigits`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SendDigits {
    /// `0-9*#A-D`; `w` pauses 0.5 s, `W` 1 s; `12@300` sends the digits since the last space for 300 ms each.
    pub digits: String,
    /// Length of each other digit in ms, 40 to 60,000.
    pub tone_ms: u32,
    /// Pause between digits in ms, 40 to 60,000.
    pub gap_ms: u32,
}

/// [`Verb::Wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// How long in ms; `u32::MAX` waits until the call ends.
    pub ms: u32,
}

/// [`Verb::Conference`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conference {
    /// The conference's name: calls that give the same one hear each other. 1 to 128 characters.
    pub room: String,
    /// How many may be there; what the first to come says is in force.
    pub max_members: usize,
    /// Nobody hears the far end, until that is changed from outside.
    pub mute: bool,
    /// The conference begins with this call. Those who come before hear music.
    pub starts: bool,
    /// The conference ends for all when this call leaves it.
    pub ends: bool,
    /// Whether it stays when all others have left.
    pub stay_alone: bool,
    /// Whether the others hear a tone when it comes and when it goes.
    pub tones: bool,
    /// Whether the mix is recorded, from now until the conference ends, to a file that stays: `CALL-conference.wav`.
    pub record: bool,
    /// Whether what each attendee says is recorded from now on, each to a file of its own that stays and lines up with the others:
    /// `CALL-conference-trackN.wav`.
    pub record_tracks: bool,
    /// Whether events tell who begins and stops to speak; what the first to come says is in force.
    pub speakers: bool,
    /// How often events tell how loud each is who speaks, in ms, at least 100; 0: never. What the first to come says is in force.
    pub levels_ms: u32,
    /// Keys that leave it; others are not kept for the next gather.
    pub stop_keys: String,
    /// Limit in ms; `u32::MAX`: none.
    pub max_ms: u32,
}

impl Conference {
    /// The usual: begins with whoever comes first, tones, up to 100.
    pub fn of(room: impl Into<String>) -> Conference {
        Conference {
            room: room.into(),
            max_members: 100,
            mute: false,
            starts: true,
            ends: false,
            stay_alone: true,
            tones: true,
            record: false,
            record_tracks: false,
            speakers: false,
            levels_ms: 0,
            stop_keys: String::new(),
            max_ms: u32::MAX,
        }
    }
}

/// How a call's time in a conference ended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConferenceEnd {
    /// A stop key.
    Key(KeyPress),
    /// The conference ended: somebody left with whom it ends, or it was ended from outside.
    Over,
    /// This call was sent away.
    Removed,
    /// All others had left.
    Alone,
    /// `max_ms`.
    TimeLimit,
}

impl ConferenceEnd {
    /// A word: for records and programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Key(_) => "key",
            Self::Over => "over",
            Self::Removed => "removed",
            Self::Alone => "alone",
            Self::TimeLimit => "limit",
        }
    }
}

/// Outcome of [`Verb::Conference`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Conferenced {
    /// Why it ended.
    pub end: ConferenceEnd,
    /// How long it lasted.
    pub seconds: u32,
}

/// [`Verb::Refer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refer {
    /// The URI to call.
    pub uri: String,
}

/// [`Verb::Reject`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// SIP status, 300 to 699.
    pub status: u16,
    /// Why, for the Reason header and the log.
    pub reason: String,
    /// The Q.850 cause for a Reason header of its own.
    pub cause: Option<u8>,
    /// When the caller may try again, for Retry-After.
    pub retry_after: Option<std::time::Duration>,
}

/// Why a program ends a call; becomes the Q.850 cause of the BYE's Reason header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HangupCause {
    /// Q.850 16.
    Normal,
    /// Q.850 17.
    Busy,
    /// Q.850 34.
    Congestion,
    /// Any other, 1 to 127.
    Q850(u8),
}

/// [`Verb::Hangup`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hangup {
    /// The cause told to the far end.
    pub cause: HangupCause,
}

/// A recording made in this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RecordingId(pub u32);

/// Why a gather ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GatherEnd {
    /// `max_digits` are in.
    MaxDigits,
    /// The finish key was pressed (perhaps with no digit before it).
    FinishKey,
    /// Digits came, then none for `inter_digit_ms`.
    InterDigitTimeout,
    /// No digit came at all.
    NoInput,
    /// Somebody has spoken.
    Speech,
}

/// Outcome of a gather.
#[derive(Debug, Clone, PartialEq)]
pub struct Gathered {
    /// The digits without the finish key.
    pub digits: String,
    /// Why it ended.
    pub end: GatherEnd,
    /// Each key with its evidence, the finish key included.
    pub keys: Vec<KeyPress>,
    /// What was said, with [`GatherEnd::Speech`]; without text where that was no words, or nobody could understand it.
    pub speech: Option<Transcript>,
}

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordEnd {
    /// A stop key.
    Key(char),
    /// `silence_ms` of silence.
    Silence,
    /// `max_ms`.
    MaxLength,
}

/// Outcome of [`Verb::Record`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// For [`Audio::Recording`].
    pub recording: RecordingId,
    /// Length in ms.
    pub duration_ms: u32,
    /// Audio that is missing in it because the disk was slow or full, in ms.
    pub lost_ms: u32,
    /// Why it ended.
    pub end: RecordEnd,
}

/// A verb that could not be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The verb's name.
    pub verb: &'static str,
    /// What was wrong, for the log.
    pub reason: String,
}

/// What became of the last verb.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The call has come in, or our outbound call was answered: the program's first turn.
    Begin,
    /// Done to the end.
    Done,
    /// Stopped by a key.
    Interrupted(KeyPress),
    /// A gather ended.
    Gathered(Gathered),
    /// A recording ended.
    Recorded(Recorded),
    /// A conference was left.
    Conferenced(Conferenced),
    /// A wait in a queue ended.
    Queued(Queued),
    /// An agent's or a supervisor's wish was looked at.
    AgentDone(AgentReply),
    /// A visit to a voicemail box ended.
    Voicemailed(Voicemailed),
    /// A wait for a tone ended.
    ToneWaited(ToneEnd),
    /// It is known who answered.
    MachineDetected(MachineDetected),
    /// Listening ended.
    Listened(Listened),
    /// A web service has answered, or not.
    Fetched(Fetched),
    /// A dial came to its end.
    Dialled(Dialled),
    /// The verb could not be carried out.
    Failed(Failure),
    /// Another program goes on with the call, by a dial or a transfer to its number. As with `HungUp`, nothing more is asked.
    HandedOver,
    /// The far end is gone.
    HungUp,
}
