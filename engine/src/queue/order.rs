//! What the core is told of callers, what it orders, and what it reports: plain values.
use crate::config::{Reach, Skill};
use std::time::Duration;

/// A caller's place. Never used again; it stays the same when the caller hangs up and is called back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallerId(pub(super) u64);

impl CallerId {
    /// The number, for lists.
    pub fn number(self) -> u64 {
        self.0
    }

    /// The place of that number.
    pub fn of(number: u64) -> CallerId {
        CallerId(number)
    }
}

/// Somebody who wants to wait.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Joining {
    /// The call's id.
    pub call: String,
    /// The caller's number, for lists.
    pub number: String,
    /// The queue's name.
    pub queue: String,
    /// Who has more comes before those who have less.
    pub priority: i32,
    /// What the agent has to be able to do beside what the queue asks.
    pub skills: Vec<Skill>,
    /// How long it waits; `None`: as the queue says.
    pub max_wait: Option<Duration>,
    /// How long each agent rings; `None`: as the queue says.
    pub ring: Option<Duration>,
}

/// Why a caller is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// There is no such queue.
    NoQueue,
    /// As many wait as may.
    Full,
    /// Nobody is there to serve it.
    Empty,
    /// It would take too long.
    Hold,
    /// Too many wait for each agent.
    Ratio,
}

impl Refused {
    /// A word for logs, events and branches.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoQueue => "unknown",
            Self::Full => "full",
            Self::Empty => "empty",
            Self::Hold => "hold",
            Self::Ratio => "ratio",
        }
    }
}

/// Why a caller who waited is gone without an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// It hung up.
    Abandoned,
    /// It pressed a key that leaves.
    Key,
    /// It waited as long as it may.
    Timeout,
    /// Nobody is there any more.
    Empty,
    /// It was sent away from outside, or the queue is gone.
    Removed,
    /// It asked to be called back.
    Callback,
}

impl Leaving {
    /// A word for logs, events and figures.
    pub fn name(self) -> &'static str {
        match self {
            Self::Abandoned => "abandoned",
            Self::Key => "key",
            Self::Timeout => "timeout",
            Self::Empty => "empty",
            Self::Removed => "removed",
            Self::Callback => "callback",
        }
    }
}

/// Why an agent who rang did not take the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// Let it ring, or hung up before both were joined.
    NoAnswer,
    /// Was busy.
    Busy,
    /// Did not want it.
    Declined,
    /// Could not be reached.
    Unreachable,
}

impl Missed {
    /// A word for logs and events.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoAnswer => "no-answer",
            Self::Busy => "busy",
            Self::Declined => "declined",
            Self::Unreachable => "unreachable",
        }
    }
}

/// An agent to ring.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// The agent's id.
    pub agent: String,
    /// Where.
    pub reach: Reach,
    /// A key is needed before it counts as an answer.
    pub confirm: bool,
}

/// What a caller's place orders of whoever holds the call.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Ring these agents at once.
    Ring {
        /// Counts the attempts for this caller; goes with all that is said about it.
        attempt: u64,
        /// Whom.
        agents: Vec<Rung>,
    },
    /// Stop ringing: that attempt is over.
    Cancel {
        /// Which.
        attempt: u64,
    },
    /// Tell the caller how it stands.
    Announce {
        /// Its place, from 1.
        position: usize,
        /// How long it may take, as far as that is known.
        hold: Option<Duration>,
    },
    /// The wait is over; the place is gone.
    Leave(Leaving),
    /// It is this caller's turn to be called back; an agent is kept free for it.
    CallBack {
        /// The number to call.
        number: String,
        /// The queue's name.
        queue: String,
    },
}

/// What happened, for events, logs and the store.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A caller waits.
    Joined {
        /// The queue.
        queue: String,
        /// The call's id.
        call: String,
        /// Its place, from 1.
        position: usize,
    },
    /// A caller was not let in.
    Refused {
        /// The queue.
        queue: String,
        /// The call's id.
        call: String,
        /// Why.
        why: Refused,
    },
    /// A caller is gone without an agent.
    Left {
        /// The queue.
        queue: String,
        /// The call's id.
        call: String,
        /// Why.
        why: Leaving,
        /// How long it waited.
        waited: Duration,
    },
    /// A caller was put to another place.
    Moved {
        /// The queue.
        queue: String,
        /// The call's id.
        call: String,
        /// Its place, from 1.
        position: usize,
    },
    /// An agent's phone rings for a caller.
    Ringing {
        /// The queue.
        queue: String,
        /// The call's id.
        call: String,
        /// The agent.
        agent: String,
    },
    /// An agent who rang did not take the call.
    Missed {
        /// The queue.
        queue: String,
        /// The call's id.
        call: String,
        /// The agent.
        agent: String,
        /// Why.
        why: Missed,
    },
    /// An agent and a caller are joined.
    Connected {
        /// The queue.
        queue: String,
        /// The call's id.
        call: String,
        /// The agent.
        agent: String,
        /// How long the caller waited.
        waited: Duration,
    },
    /// They are not any more.
    Completed {
        /// The queue.
        queue: String,
        /// The call's id.
        call: String,
        /// The agent.
        agent: String,
        /// How long they talked.
        talked: Duration,
    },
    /// An agent's state changed.
    Agent {
        /// The agent.
        agent: String,
        /// What it is now.
        state: AgentState,
    },
    /// An agent serves a queue from now on, or no more.
    Member {
        /// The queue.
        queue: String,
        /// The agent.
        agent: String,
        /// Serves it.
        on: bool,
    },
    /// A caller who asked for it could not be called back.
    CallbackFailed {
        /// The queue.
        queue: String,
        /// The number.
        number: String,
        /// No more attempts are made.
        given_up: bool,
    },
}

/// How an agent stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AgentState {
    /// Serves nobody.
    LoggedOut,
    /// Waits for calls.
    Free,
    /// On a break, and why.
    Paused(String),
    /// The phone rings.
    Ringing,
    /// Talks with a caller.
    Talking,
    /// Has just had a call.
    WrapUp,
    /// The phone was busy with something else.
    Busy,
    /// The phone could not be reached.
    Unavailable,
}

impl AgentState {
    /// A word for lists, events and metrics.
    pub fn name(&self) -> &'static str {
        match self {
            Self::LoggedOut => "logged-out",
            Self::Free => "free",
            Self::Paused(_) => "paused",
            Self::Ringing => "ringing",
            Self::Talking => "talking",
            Self::WrapUp => "wrap-up",
            Self::Busy => "busy",
            Self::Unavailable => "unavailable",
        }
    }

    /// Every word.
    pub const NAMES: [&'static str; 8] = [
        "logged-out",
        "free",
        "paused",
        "ringing",
        "talking",
        "wrap-up",
        "busy",
        "unavailable",
    ];
}
