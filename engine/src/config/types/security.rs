//! `[security]` and `[transfer]`: what unknown sources get, how passwords are checked, who may move calls.
use std::time::Duration;

/// `[security]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Security {
    /// What requests get that no rule admits and that come from nobody known.
    pub strangers: Strangers,
    /// The realm of our challenges (RFC 3261 §22.4).
    pub realm: String,
    /// Hash algorithms of our challenges, in the order in which they are offered; never empty.
    pub digest: Vec<DigestAlgorithm>,
    /// How long a nonce of ours is good.
    pub nonce_life: Duration,
    /// New requests outside calls that one source may send in a second, trunks excepted; `None`: any number.
    pub requests_per_second_per_source: Option<u32>,
    /// Wrong passwords after which a source that proved its address is banned; `None`: never.
    pub ban_after_failures: Option<u32>,
    /// How long a ban lasts.
    pub ban: Duration,
    /// Connections that one source address may have at the same time.
    pub tcp_per_source: usize,
}

/// A hash algorithm of digest authentication (RFC 8760).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DigestAlgorithm {
    /// What every phone can do.
    Md5,
    /// SHA-256.
    Sha256,
}

/// What unknown sources get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Strangers {
    /// A short 403.
    Refuse,
    /// No answer at all.
    Drop,
}

/// `[transfer]`: REFER (RFC 3515) and Replaces (RFC 3891).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// Blind transfer is allowed.
    pub blind: bool,
    /// Attended transfer is allowed.
    pub attended: bool,
    /// Strangers may transfer as well.
    pub strangers: bool,
}
