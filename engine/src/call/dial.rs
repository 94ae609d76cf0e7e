//! [`Verb::Dial`](super::Verb::Dial): whom to call and how, and what became of it.

use super::tones::OnMachine;
use crate::config::Reach;
use trunkline_dsp::progress::Kind;

/// Calls somebody else and joins both.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dial {
    /// Whom to call.
    pub targets: Vec<DialTarget>,
    /// All at once or one after the other.
    pub order: DialOrder,
    /// How long it may ring, in ms: in all, or each target when they are called one after the other. 0: as long as the caller waits, at most
    /// three minutes.
    pub ring_timeout_ms: u32,
    /// The number shown to the callee; `None`: the caller's.
    pub caller_id: Option<String>,
    /// Whether it is found out who answered, and what is done then.
    pub on_machine: Option<OnMachine>,
}

impl Dial {
    /// Calls one target for as long as the caller waits.
    pub fn one(target: DialTarget) -> Dial {
        Dial {
            targets: vec![target],
            order: DialOrder::All,
            ring_timeout_ms: 0,
            caller_id: None,
            on_machine: None,
        }
    }
}

/// In which order targets are called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialOrder {
    /// All at once; the first who answers has the call.
    All,
    /// One after the other.
    OneByOne,
}

/// Somebody who can be called.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum DialTarget {
    /// A user of an `[[endpoint]]`, at every phone that is registered.
    Endpoint(String),
    /// A `[[ring_group]]`, in its own order and for its own time.
    RingGroup(String),
    /// A number over a `[[trunk]]`.
    Trunk {
        /// The trunk's name.
        trunk: String,
        /// The number.
        number: String,
    },
    /// A number, routed as if this call's caller had called it.
    Number(String),
    /// A SIP URI; only where the configuration allows it.
    Uri(String),
}

impl DialTarget {
    /// Whom a call to it is said to be to: the user, the group, the number or the URI.
    pub fn name(&self) -> &str {
        match self {
            DialTarget::Number(number) | DialTarget::Trunk { number, .. } => number,
            DialTarget::Endpoint(name) | DialTarget::RingGroup(name) => name,
            DialTarget::Uri(uri) => uri,
        }
    }
}

impl std::fmt::Display for DialTarget {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            DialTarget::Endpoint(user) => write!(f, "endpoint {user}"),
            DialTarget::RingGroup(name) => write!(f, "ring group {name}"),
            DialTarget::Trunk { trunk, number } => write!(f, "{number} over trunk {trunk}"),
            DialTarget::Number(number) => write!(f, "number {number}"),
            DialTarget::Uri(uri) => write!(f, "{uri}"),
        }
    }
}

impl From<Reach> for DialTarget {
    fn from(reach: Reach) -> DialTarget {
        match reach {
            Reach::Endpoint(user) => DialTarget::Endpoint(user),
            Reach::Outside { trunk, number } => DialTarget::Trunk { trunk, number },
        }
    }
}

/// What became of a [`Dial`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dialled {
    /// How it ended.
    pub how: DialEnd,
    /// Who answered, or was called last.
    pub target: String,
    /// The SIP status that says why nobody answered; 200 when somebody did.
    pub status: u16,
    /// The Q.850 cause: of the hang-up when somebody answered, else of the refusal.
    pub cause: u8,
    /// The tone of the network that said so, where one did.
    pub tone: Option<Kind>,
    /// When it may make sense to try again, where nobody could be reached.
    pub retry_after: Option<std::time::Duration>,
}

/// How a dial ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialEnd {
    /// Somebody answered, and the callee hung up.
    Answered {
        /// How long they were joined.
        seconds: u32,
    },
    /// All were busy.
    Busy,
    /// It rang; nobody answered in time.
    NoAnswer,
    /// The callee did not want the call.
    Declined,
    /// Nobody could be reached: no phone is registered, every target of the trunk is down.
    Unreachable,
    /// A machine answered, which was not to have the call.
    Machine,
    /// Refused with that status.
    Refused(u16),
}
