//! `[[queue]]` and `[[agent]]`: callers who wait, and those who serve them.
use super::super::{At, Secret};
use std::time::Duration;

/// How a queue hands out its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strategy {
    /// Everybody free rings; the first who answers has the call.
    RingAll,
    /// In the order of the file, always from its beginning.
    Linear,
    /// Whose last call ended longest ago.
    LeastRecent,
    /// Who has had the fewest calls of this queue.
    FewestCalls,
    /// Round robin: whoever stands behind the one who rang last.
    RrMemory,
    /// Anybody.
    Random,
    /// Anybody; the lower the penalty, the more often.
    WRandom,
}

impl Strategy {
    /// Every strategy by its name (Asterisk's).
    pub const ALL: [(&'static str, Strategy); 7] = [
        ("ringall", Strategy::RingAll),
        ("linear", Strategy::Linear),
        ("leastrecent", Strategy::LeastRecent),
        ("fewestcalls", Strategy::FewestCalls),
        ("rrmemory", Strategy::RrMemory),
        ("random", Strategy::Random),
        ("wrandom", Strategy::WRandom),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, each)| *each == self);
        named.map_or("", |(name, _)| name)
    }
}

/// Which agents do not count when a queue is asked whether it is empty; those who are not logged in never count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Absent {
    /// Who is on a break.
    pub paused: bool,
    /// Who talks.
    pub in_use: bool,
    /// Whose phone rings.
    pub ringing: bool,
    /// Who has just had a call.
    pub wrap_up: bool,
    /// Whose phone could not be reached.
    pub unavailable: bool,
    /// Whose penalty is above what the queue allows.
    pub penalty: bool,
}

impl Absent {
    /// Each by its name in lists.
    pub const WORDS: [(&'static str, Absent); 6] = {
        const NOBODY: Absent = Absent {
            paused: false,
            in_use: false,
            ringing: false,
            wrap_up: false,
            unavailable: false,
            penalty: false,
        };
        [
            (
                "paused",
                Absent {
                    paused: true,
                    ..NOBODY
                },
            ),
            (
                "in-use",
                Absent {
                    in_use: true,
                    ..NOBODY
                },
            ),
            (
                "ringing",
                Absent {
                    ringing: true,
                    ..NOBODY
                },
            ),
            (
                "wrap-up",
                Absent {
                    wrap_up: true,
                    ..NOBODY
                },
            ),
            (
                "unavailable",
                Absent {
                    unavailable: true,
                    ..NOBODY
                },
            ),
            (
                "penalty",
                Absent {
                    penalty: true,
                    ..NOBODY
                },
            ),
        ]
    };

    /// Asterisk's `no` for joining and `yes` for leaving: nobody is there but those on a break.
    pub const USUAL: Absent = Absent {
        paused: true,
        in_use: false,
        ringing: false,
        wrap_up: false,
        unavailable: false,
        penalty: true,
    };
    /// Asterisk's `strict`.
    pub const STRICT: Absent = Absent {
        unavailable: true,
        ..Self::USUAL
    };
    /// Asterisk's `loose`.
    pub const LOOSE: Absent = Absent {
        paused: false,
        ..Self::USUAL
    };
    /// Nobody counts who is not free.
    pub const NOT_FREE: Absent = Absent {
        paused: true,
        in_use: true,
        ringing: true,
        wrap_up: true,
        unavailable: true,
        penalty: true,
    };

    /// What either counts as absent.
    pub fn with(self, other: Absent) -> Absent {
        Absent {
            paused: self.paused || other.paused,
            in_use: self.in_use || other.in_use,
            ringing: self.ringing || other.ringing,
            wrap_up: self.wrap_up || other.wrap_up,
            unavailable: self.unavailable || other.unavailable,
            penalty: self.penalty || other.penalty,
        }
    }
}

/// A skill and how good somebody is at it, or has to be.
pub type Skill = (String, u32);

/// `[[queue]]`: callers wait here for an agent.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// The name.
    pub name: String,
    /// Who serves it, in order; each agent once.
    pub members: Vec<QueueMember>,
    /// How callers are handed out.
    pub strategy: Strategy,
    /// How long an agent rings.
    pub ring: Duration,
    /// How long a caller rests after everybody was tried in vain.
    pub retry: Duration,
    /// How often everybody is tried; `None`: until something else ends it.
    pub rounds: Option<u32>,
    /// How long an agent is left alone after a call.
    pub wrap_up: Duration,
    /// Callers who may wait; `None`: as many as there are calls.
    pub max_length: Option<usize>,
    /// How long a caller may wait; `None`: for ever.
    pub max_wait: Option<Duration>,
    /// Queues of more weight are served first by agents of both.
    pub weight: i32,
    /// Agents of a higher penalty are not rung.
    pub max_penalty: Option<u32>,
    /// What an agent has to be able to do.
    pub skills: Vec<Skill>,
    /// After so long a wait any agent will do.
    pub skills_relax: Option<Duration>,
    /// Callers are not let in where everybody is absent so; `None`: they always are.
    pub join_when_empty: Option<Absent>,
    /// Callers who wait are sent on where everybody is absent so; `None`: they wait.
    pub leave_when_empty: Option<Absent>,
    /// An agent who lets it ring is paused.
    pub auto_pause: bool,
    /// Callers are sent on who would have to wait longer than this.
    pub hold_threshold: Option<Duration>,
    /// Callers are sent on where so many wait for each agent who is logged in.
    pub ratio_threshold: Option<f64>,
    /// An answer within this time counts as good service.
    pub service_level: Duration,
    /// What a caller is told.
    pub announce: Announce,
    /// Music, by the key of a prompt; `None`: that of `[music]`.
    pub music: Option<String>,
    /// Keys that leave it.
    pub exit_keys: String,
    /// Said to the agent before both are joined, by the key of a prompt.
    pub whisper: Option<String>,
    /// How callers can be called back.
    pub callback: Option<Callback>,
    /// Numbers that callers are sent to whom nobody served, by the names of [`QUEUE_ENDS`].
    pub then: Vec<(String, String)>,
    /// Where the entry's `name` stands in the file.
    pub at: At,
}

/// Ends of a wait that may lead on, by their names in files.
pub const QUEUE_ENDS: &[&str] = &[
    "callback", "empty", "full", "hold", "key", "ratio", "removed", "timeout",
];

impl Agent {
    /// An agent at a user's phone, with every other key at its default.
    pub fn at_endpoint(id: impl Into<String>, user: impl Into<String>) -> Agent {
        Agent {
            id: id.into(),
            name: None,
            reach: Reach::Endpoint(user.into()),
            pin: None,
            skills: Vec::new(),
            logged_in: true,
            confirm: false,
            wrap_up: None,
            at: At::START,
        }
    }
}

impl Queue {
    /// A queue with every key at its default.
    pub fn named(name: impl Into<String>) -> Queue {
        Queue {
            name: name.into(),
            members: Vec::new(),
            strategy: Strategy::RingAll,
            ring: Duration::from_secs(20),
            retry: Duration::from_secs(5),
            rounds: None,
            wrap_up: Duration::ZERO,
            max_length: None,
            max_wait: None,
            weight: 0,
            max_penalty: None,
            skills: Vec::new(),
            skills_relax: None,
            join_when_empty: None,
            leave_when_empty: None,
            auto_pause: false,
            hold_threshold: None,
            ratio_threshold: None,
            service_level: Duration::from_secs(20),
            announce: Announce::default(),
            music: None,
            exit_keys: String::new(),
            whisper: None,
            callback: None,
            then: Vec::new(),
            at: At::START,
        }
    }
}

/// An agent's place in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMember {
    /// The agent's id.
    pub agent: String,
    /// Who has less is asked first.
    pub penalty: u32,
}

/// What callers who wait are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announce {
    /// Their place.
    pub position: bool,
    /// How long it may take.
    pub hold_time: bool,
    /// When first.
    pub first: Duration,
    /// How often from then on.
    pub every: Duration,
    /// The folder of the prompts, or `builtin:` and a path; a folder of the language in it comes before it.
    pub prompts: Option<String>,
    /// Said now and then beside, by the key of a prompt.
    pub comfort: Option<String>,
}

impl Default for Announce {
    fn default() -> Announce {
        Announce {
            position: false,
            hold_time: false,
            first: Duration::from_secs(30),
            every: Duration::from_secs(60),
            prompts: None,
            comfort: None,
        }
    }
}

/// How callers keep their place and are called back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callback {
    /// The key that asks for it.
    pub key: char,
    /// The trunk that they are called over.
    pub trunk: String,
    /// Beginnings of the numbers that are called.
    pub allow: Vec<String>,
    /// The number they are shown.
    pub caller_id: Option<String>,
    /// How long they ring.
    pub ring: Duration,
    /// How often they are called.
    pub attempts: u32,
    /// Time between two calls.
    pub retry: Duration,
}

/// `[[agent]]`: somebody who serves queues.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    /// The id, which is keyed in at a phone: mostly digits.
    pub id: String,
    /// Display name.
    pub name: Option<String>,
    /// Where the agent is called.
    pub reach: Reach,
    /// What is keyed in to log in.
    pub pin: Option<Secret>,
    /// What the agent can do.
    pub skills: Vec<Skill>,
    /// Logged in from the start.
    pub logged_in: bool,
    /// The agent presses 1 to take a call: what answers an outside number may be a voicemail box.
    pub confirm: bool,
    /// How long the agent is left alone after a call; `None`: as the queue says.
    pub wrap_up: Option<Duration>,
    /// Where the entry's `id` stands in the file.
    pub at: At,
}

/// Where an agent is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// The phones of an `[[endpoint]]`, by its user.
    Endpoint(String),
    /// A number over a `[[trunk]]`.
    Outside {
        /// The trunk.
        trunk: String,
        /// The number.
        number: String,
    },
}

/// What a number does to the agent who calls it, or on whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AgentService {
    /// Logs in.
    Login,
    /// Logs out.
    Logout,
    /// Begins a break.
    Pause,
    /// Ends it.
    Unpause,
    /// A supervisor hears an agent's call.
    Listen,
    /// A supervisor is heard by the agent alone.
    Whisper,
    /// A supervisor is heard by both.
    Barge,
}

impl AgentService {
    /// Every service by its name.
    pub const ALL: [(&'static str, AgentService); 7] = [
        ("login", AgentService::Login),
        ("logout", AgentService::Logout),
        ("pause", AgentService::Pause),
        ("unpause", AgentService::Unpause),
        ("listen", AgentService::Listen),
        ("whisper", AgentService::Whisper),
        ("barge", AgentService::Barge),
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        let named = Self::ALL.iter().find(|(_, each)| *each == self);
        named.map_or("", |(name, _)| name)
    }

    /// Whether a supervisor calls it, not the agent.
    pub fn supervises(self) -> bool {
        matches!(self, Self::Listen | Self::Whisper | Self::Barge)
    }
}
