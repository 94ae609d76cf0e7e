//! [`Verb::Enqueue`](super::Verb::Enqueue) and the verbs of agents and supervisors: what is asked, and what became of it.
use crate::config::{AgentService, Skill};
use crate::queue::CallerId;

/// Waits in a queue for an agent, and speaks with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    /// The queue's name; `agent:ID` is the one that an agent has for itself, in which nobody waits.
    pub queue: String,
    /// Who has more comes before those who have less.
    pub priority: i32,
    /// What the agent has to be able to do beside what the queue asks.
    pub skills: Vec<Skill>,
    /// How long it may wait, in ms; 0: as the queue says.
    pub max_wait_ms: u32,
    /// How long each agent rings, in ms; 0: as the queue says.
    pub ring_ms: u32,
    /// The language of announcements, as `es-ES`; empty: none.
    pub language: String,
    /// Keys that leave it beside those of the queue.
    pub exit_keys: String,
    /// The place of somebody who was called back.
    pub resume: Option<CallerId>,
    /// It does not wait: its place is kept, and this number is called back when it is its turn, where the queue allows that.
    pub call_back: Option<String>,
}

impl Enqueue {
    /// Waits as the queue says.
    pub fn queue(name: impl Into<String>) -> Enqueue {
        Enqueue {
            queue: name.into(),
            priority: 0,
            skills: Vec::new(),
            max_wait_ms: 0,
            ring_ms: 0,
            language: String::new(),
            exit_keys: String::new(),
            resume: None,
            call_back: None,
        }
    }

    /// Calls one agent, who has to be free now.
    pub fn agent(id: &str) -> Enqueue {
        Enqueue::queue(format!("agent:{id}"))
    }
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueEnd {
    /// By an agent, who has hung up.
    Answered {
        /// Who.
        agent: String,
        /// How long they were joined.
        seconds: u32,
    },
    /// It waited as long as it may; of one agent: it did not take the call.
    Timeout,
    /// As many wait as may.
    Full,
    /// Nobody is there; of one agent: it is not free.
    Empty,
    /// By a key.
    Key(char),
    /// It would take too long.
    Hold,
    /// Too many wait for each agent.
    Ratio,
    /// It will be called back.
    Callback,
    /// It was sent away.
    Removed,
    /// There is no such queue.
    Unknown,
}

impl QueueEnd {
    /// A word: for branches, logs and variables.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Answered { .. } => "answered",
            Self::Timeout => "timeout",
            Self::Full => "full",
            Self::Empty => "empty",
            Self::Key(_) => "key",
            Self::Hold => "hold",
            Self::Ratio => "ratio",
            Self::Callback => "callback",
            Self::Removed => "removed",
            Self::Unknown => "unknown",
        }
    }
}

/// Outcome of [`Verb::Enqueue`](super::Verb::Enqueue).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Why it ended.
    pub end: QueueEnd,
    /// How long it waited, in s.
    pub waited_s: u32,
}

/// Logs an agent in or out, begins or ends a break, or joins a supervisor with its call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentOrder {
    /// What to do.
    pub service: AgentService,
    /// The agent's id; `None`: the one who is called at the endpoint that calls.
    pub agent: Option<String>,
    /// What was keyed in as PIN.
    pub pin: Option<crate::config::Secret>,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AgentReply {
    /// Done; of a supervisor: the agent's call is over.
    Done,
    /// There is no such agent.
    Unknown,
    /// The PIN is needed, or is wrong.
    Pin,
    /// Too many wrong PINs were given.
    Locked,
    /// The agent has no call to listen to, or a supervisor listens already.
    NoCall,
}
