//! `[http]`, `[log]`, `[fetch]`, `[run]`, `[store]` and `[cdr]`: the process and what it tells.
use crate::config::Network;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// `[http]`: health, metrics and (later) the control API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Http {
    /// Where to listen; `None`: `"off"`.
    pub listen: Option<SocketAddr>,
}

/// `[log]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// Lines for people or for programs.
    pub format: LogFormat,
    /// The least important level that is written.
    pub level: LogLevel,
}

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// One readable line each.
    Human,
    /// One JSON object each.
    Json,
}

/// Log level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only what needs somebody to act.
    Error,
    /// Also what is odd.
    Warn,
    /// Also the milestones of each call.
    Info,
    /// Also each SIP message's start line and each verb.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// The name as written in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// `[fetch]`: what programs name by URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// Networks that may be reached although they are not public.
    pub allow: Vec<Network>,
    /// Largest answer, in octets.
    pub max_octets: usize,
    /// Longest time for one.
    pub timeout: Duration,
    /// Memory for fetched audio, in octets.
    pub cache_octets: usize,
}

/// `[flow]`: what all flows share.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Flows {
    /// Names in flows that stand for numbers.
    pub aliases: BTreeMap<String, String>,
}

/// `[run]`: the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How long calls may go on after SIGTERM before they get a BYE.
    pub drain: Duration,
}

/// `[store]`: what outlives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Its file; relative to the working folder. `None`: `"memory"`.
    pub file: Option<PathBuf>,
}

/// `[recordings]`: how long they are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recordings {
    /// `None`: for ever.
    pub keep: Option<Duration>,
    /// Octets of all together; `None`: as the disk has it.
    pub most_octets: Option<u64>,
}

/// `[cdr]`: call detail records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cdr {
    /// How long the store keeps records; `None`: for ever.
    pub keep: Option<Duration>,
    /// File to which one JSON object is appended for each call; relative to the working folder. `None`: `"off"`.
    pub file: Option<PathBuf>,
}
