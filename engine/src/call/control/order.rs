//! What can be asked of a call from outside, and what comes of it.
use crate::call::Refusal;
use crate::call::dial::Dial;
use crate::call::dial_program::DialProgram;
use crate::call::program::Program;
use crate::call::verb::{
    Audio, Conference, HangupCause, Manner, RecordCall, RecordingControl, Repeat, SendDigits,
    Stream,
};
use crate::config::AgentService;
use std::path::PathBuf;

/// Which of the parties of a call that two have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Side {
    /// The call's own: who called, or whom we called.
    #[default]
    Own,
    /// The one it is joined with.
    Peer,
    /// Both; in a conference: all who are there.
    Both,
}

impl Side {
    /// `own`, `peer` or `both`.
    pub fn word(self) -> &'static str {
        match self {
            Side::Own => "own",
            Side::Peer => "peer",
            Side::Both => "both",
        }
    }

    pub(in crate::call) fn has_own(self) -> bool {
        self != Side::Peer
    }

    pub(in crate::call) fn has_peer(self) -> bool {
        self != Side::Own
    }
}

/// When ordered audio plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum When {
    /// At once: what the program plays ends there, and the program goes on as if that had been played when the ordered audio is over.
    #[default]
    Now,
    /// After what plays.
    After,
}

/// Plays audio into a call.
#[derive(Debug, Clone, PartialEq)]
pub struct PlayOrder {
    /// In order without gaps. A recording of the call cannot be named.
    pub audio: Vec<Audio>,
    /// How often.
    pub repeat: Repeat,
    /// How; ignored for [`When::After`] and for a conference.
    pub manner: Manner,
    /// To whom.
    pub side: Side,
    /// When.
    pub when: When,
}

impl PlayOrder {
    /// Once, at once, to the call's own party.
    pub fn once(audio: Vec<Audio>) -> PlayOrder {
        PlayOrder {
            audio,
            repeat: Repeat::Times(1),
            manner: Manner::default(),
            side: Side::Own,
            when: When::Now,
        }
    }
}

/// Who goes on with a party of a call from now on.
pub struct Parting {
    /// Drives it.
    pub program: Box<dyn Program>,
    /// What the program is told was called.
    pub to: String,
    /// What led there, for events.
    pub rule: String,
}

impl std::fmt::Debug for Parting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Parting({:?} to {:?})", self.program.name(), self.to)
    }
}

impl Parting {
    /// This program.
    pub fn program(program: Box<dyn Program>, to: impl Into<String>) -> Parting {
        Parting {
            program,
            to: to.into(),
            rule: "ordered".to_owned(),
        }
    }

    /// Dials somebody: a number (that may lead to a program), a phone, a ring group, a trunk.
    pub fn dial(dial: Dial) -> Parting {
        let to = dial
            .targets
            .first()
            .map(ToString::to_string)
            .unwrap_or_default();
        Parting::program(Box::new(DialProgram::with(dial)), to)
    }
}

/// Sends parties of a call elsewhere. What runs them now ends, without a word to its far end where another party is not named.
#[derive(Debug, Default)]
pub struct Transfer {
    /// Where the call's own party goes; `None`: it stays, and its program goes on.
    pub own: Option<Parting>,
    /// Where the party goes that it is joined with, as a call of its own; `None`: it is hung up, where the own party leaves it.
    pub peer: Option<Parting>,
}

/// Something asked of a call.
#[derive(Debug)]
pub enum Order {
    /// Ends the call.
    Hangup(HangupCause),
    /// Hangs up the party that the call is joined with; the program goes on.
    HangupPeer(HangupCause),
    /// Sends parties elsewhere.
    Transfer(Transfer),
    /// Plays audio.
    Play(PlayOrder),
    /// Stops what plays to these; the program's prompt is over then.
    StopPlay(Side),
    /// Whether the others hear this party.
    Mute(Side, bool),
    /// Whether this party is on hold: it hears music and nobody else, and is not heard.
    Hold(Side, bool),
    /// Sends digits to a far end.
    SendDigits(Side, SendDigits),
    /// Records the call from now on.
    Record(RecordCall),
    /// Pauses, resumes or stops the recording.
    Recording(RecordingControl),
    /// Streams the call's own party to a service; a stream that it has ends.
    Stream(Box<Stream>),
    /// Ends the stream.
    StopStream,
    /// Goes to a conference: the call's own party, or both.
    Conference(Side, Box<Conference>),
    /// Leaves the conference; the program goes on.
    LeaveConference,
    /// A supervisor of this agent is heard otherwise from now on: listen, whisper or barge.
    Supervise(String, AgentService),
}

impl Order {
    /// In a word, for logs.
    pub fn name(&self) -> &'static str {
        match self {
            Order::Hangup(_) => "hangup",
            Order::HangupPeer(_) => "hangup_peer",
            Order::Transfer(_) => "transfer",
            Order::Play(_) => "play",
            Order::StopPlay(_) => "stop",
            Order::Mute(_, true) => "mute",
            Order::Mute(_, false) => "unmute",
            Order::Hold(_, true) => "hold",
            Order::Hold(_, false) => "unhold",
            Order::SendDigits(..) => "send_digits",
            Order::Record(_) => "record",
            Order::Recording(RecordingControl::Pause) => "record_pause",
            Order::Recording(RecordingControl::Resume) => "record_resume",
            Order::Recording(RecordingControl::Stop) => "record_stop",
            Order::Stream(_) => "stream",
            Order::StopStream => "stream_stop",
            Order::Conference(..) => "join_conference",
            Order::LeaveConference => "leave_conference",
            Order::Supervise(..) => "supervise",
        }
    }
}

/// An order was carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Done {
    /// There is nothing more to say.
    Done,
    /// It plays, under this number.
    Playing(u32),
    /// It is recorded.
    Recording {
        /// The recording's number.
        number: u32,
        /// The file.
        file: PathBuf,
    },
    /// There is another call now, with this id.
    Call(String),
}

/// Why an order was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// No call in progress has that id.
    #[error("no call in progress has this id")]
    NoSuchCall,
    /// It ended before it could take the order.
    #[error("the call ended before it took the order")]
    Gone,
    /// Too many orders wait.
    #[error("too many orders wait for this call")]
    Busy,
    /// It is not answered yet.
    #[error("the call is not answered yet")]
    NotAnswered,
    /// It does not fit what the call does now.
    #[error("{0}")]
    Conflict(&'static str),
    /// A value in it cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// Its audio cannot be had.
    #[error("{0}")]
    Audio(String),
    /// The target may not be called, or is nowhere.
    #[error("{}", .0.text)]
    Refused(Refusal),
    /// The media engine did not take it.
    #[error("{0}")]
    Failed(String),
}

impl OrderError {
    /// A fixed word for programs.
    pub fn rule(&self) -> &'static str {
        match self {
            OrderError::NoSuchCall => "no-such-call",
            OrderError::Gone => "call-over",
            OrderError::Busy => "too-many-orders",
            OrderError::NotAnswered => "not-answered",
            OrderError::Conflict(_) => "conflict",
            OrderError::Invalid(_) => "invalid",
            OrderError::Audio(_) => "no-audio",
            OrderError::Refused(refusal) => refusal.rule,
            OrderError::Failed(_) => "not-taken",
        }
    }

    /// The HTTP status that says the same (RFC 9110 section 15).
    pub fn http_status(&self) -> u16 {
        match self {
            OrderError::NoSuchCall => 404,
            OrderError::Gone | OrderError::NotAnswered | OrderError::Conflict(_) => 409,
            OrderError::Busy => 429,
            OrderError::Invalid(_) | OrderError::Audio(_) => 422,
            OrderError::Refused(refusal) => match refusal.status {
                403 => 403,
                404 | 480 => 422,
                503 => 503,
                _ => 409,
            },
            OrderError::Failed(_) => 503,
        }
    }
}
