//! `[[number]]`: which called number leads where, and who may call it.
use super::super::Secret;
use super::super::{At, NumberPattern};
use super::AgentService;
use std::fmt;
use std::path::PathBuf;

/// Names accepted after `builtin:` in a number's `flow`.
pub const BUILTIN_FLOWS: &[&str] = &["demo", "load-answer", "load-ivr"];

/// `[[number]]`: what a called number leads to. An entry exists only for the callers that `from` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Number {
    /// The called numbers meant.
    pub to: NumberPattern,
    /// Who may call it; at least one.
    pub from: Vec<Callers>,
    /// Where the call goes.
    pub destination: NumberDestination,
    /// Where the entry's `to` stands in the file.
    pub at: At,
}

/// Who may call a number.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Callers {
    /// `anyone`.
    Anyone,
    /// `stranger`: only those who are neither a trunk nor an endpoint.
    Stranger,
    /// `trunk`: every trunk.
    AnyTrunk,
    /// `trunk:NAME`.
    Trunk(String),
    /// `endpoint`: every authenticated endpoint.
    AnyEndpoint,
    /// `endpoint:USER`.
    Endpoint(String),
}

impl Callers {
    /// Whether somebody unknown is among those meant.
    pub fn admits_strangers(&self) -> bool {
        matches!(self, Self::Anyone | Self::Stranger)
    }

    /// Whether some caller is meant by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Anyone, _) | (_, Self::Anyone) => true,
            (Self::AnyTrunk, Self::Trunk(_)) | (Self::Trunk(_), Self::AnyTrunk) => true,
            (Self::AnyEndpoint, Self::Endpoint(_)) | (Self::Endpoint(_), Self::AnyEndpoint) => true,
            (one, other) => one == other,
        }
    }
}

impl fmt::Display for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anyone => f.write_str("anyone"),
            Self::Stranger => f.write_str("stranger"),
            Self::AnyTrunk => f.write_str("trunk"),
            Self::Trunk(name) => write!(f, "trunk:{name}"),
            Self::AnyEndpoint => f.write_str("endpoint"),
            Self::Endpoint(user) => write!(f, "endpoint:{user}"),
        }
    }
}

/// Where a called number leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NumberDestination {
    /// A program in a file or built in.
    Flow(FlowSource),
    /// A phone, by the user of its `[[endpoint]]`.
    Endpoint(String),
    /// Several phones, by the name of the `[[ring_group]]`.
    RingGroup(String),
    /// The called number is dialled on this `[[trunk]]`.
    Trunk(String),
    /// Callers wait there, by the name of the `[[queue]]`.
    Queue(String),
    /// Agents log in and out there, and supervisors listen.
    Agent(AgentService),
    /// Callers leave a message there, by the name of the `[[voicemail]]`.
    Voicemail(String),
    /// Messages are heard there: those of this `[[voicemail]]`; `None`: of the phone's own, or of one that is keyed in.
    VoicemailAccess(Option<String>),
    /// A web service decides.
    Webhook(Box<NumberWebhook>),
}

/// A number's `webhook` and the keys that belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberWebhook {
    /// Asked what to do.
    pub url: String,
    /// `webhook_secret` or `webhook_secret_file`: signs what is posted.
    pub secret: Option<Secret>,
    /// `webhook_timeout_ms`: limit for each try, ms.
    pub timeout_ms: u32,
    /// `fallback_url`: asked where the first does not answer well.
    pub fallback_url: Option<String>,
    /// `fallback`: verbs in JSON for when nobody answers well, as they stand in the file; read where flows are.
    pub fallback: Option<String>,
    /// Where `fallback`, or else the `webhook`, stands in the file.
    pub at: At,
}

/// Where a flow comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FlowSource {
    /// `builtin:NAME`, one of [`BUILTIN_FLOWS`].
    Builtin(String),
    /// A file; a relative path has been joined to the configuration file's folder.
    File(PathBuf),
}

impl std::fmt::Display for FlowSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Builtin(name) => write!(f, "builtin:{name}"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}
