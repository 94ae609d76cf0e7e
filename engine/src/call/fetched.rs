//! [`Verb::Fetch`](super::Verb::Fetch): what a program asks of a web service, and what came of it.
use crate::config::Secret;

/// Asks a web service and waits for its answer; the far end hears nothing meanwhile, and its keys are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// `http` or `https`.
    pub url: String,
    /// Posted as JSON; `None`: nothing, by GET.
    pub body: Option<String>,
    /// Sent along.
    pub headers: Vec<(String, Secret)>,
    /// Signs the body: header `Trunkline-Signature`.
    pub secret: Option<Secret>,
    /// Limit for each try in ms, at least 1.
    pub timeout_ms: u32,
    /// Further tries, where there was no answer or one of 500 to 599; a second lies between them.
    pub retries: u32,
}

/// Longest answer, in octets.
pub const MAX_ANSWER: usize = 64 * 1024;

impl Fetch {
    /// Gets a URL, 5 s at most.
    pub fn get(url: impl Into<String>) -> Fetch {
        Fetch {
            url: url.into(),
            body: None,
            headers: Vec::new(),
            secret: None,
            timeout_ms: 5000,
            retries: 0,
        }
    }
}

/// Outcome of a fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The HTTP status; 0: there was no answer.
    pub status: u16,
    /// The answer, up to 64 KiB.
    pub body: String,
    /// Why there was no answer; empty where there was one.
    pub error: String,
}

impl Fetched {
    /// Whether the answer is a success.
    pub fn is_good(&self) -> bool {
        (200..300).contains(&self.status)
    }
}
