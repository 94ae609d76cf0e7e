//! `[[trunk]]`: carriers and other exchanges, reached by address or by registration.
use super::super::{At, Network, Secret};
use super::{Codec, DtmfMode, HostPort, SrtpPolicy, Transport};
use std::fmt;
use std::time::Duration;
use trunkline_dsp::dtmf::Profile;
use trunkline_dsp::progress::Plan;

/// `[[trunk]]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Trunk {
    /// The name.
    pub name: String,
    /// User and password for the far end's challenges, and for ours with `authenticate_inbound`.
    pub login: Option<Login>,
    /// Registration; `None`: not registered.
    pub register: Option<Register>,
    /// Where calls are sent; empty for a trunk that only calls us.
    pub targets: Vec<Target>,
    /// From where it calls us.
    pub acl: Vec<Network>,
    /// Whether its requests must carry its password as well.
    pub authenticate_inbound: bool,
    /// Time between health checks by OPTIONS; `None`: none.
    pub options_interval: Option<Duration>,
    /// How long a target may be silent before the next one is tried.
    pub failover_timeout: Duration,
    /// Limits against overload and toll fraud.
    pub limits: TrunkLimits,
    /// Codecs, preferred first; `[media] codecs` where absent.
    pub codecs: Vec<Codec>,
    /// Where keys are heard; `[media] dtmf` where absent.
    pub dtmf: DtmfMode,
    /// What counts as a key in its audio; `[dtmf]` where absent.
    pub dtmf_profile: Option<&'static Profile>,
    /// Encryption of audio.
    pub srtp: SrtpPolicy,
    /// The tones of its network: what its callers hear, and what is listened for.
    pub tones: &'static Plan,
    /// Whether calls to it are listened to for tones that say that nobody was reached.
    pub progress: bool,
    /// Who we say is calling, and whom we believe.
    pub identity: TrunkIdentity,
    /// How its numbers are written.
    pub numbering: Numbering,
    /// Header fields passed between legs: names, or beginnings that end in `*`; compared without regard to case.
    pub pass_headers: Vec<String>,
    /// Where the entry's `name` stands in the file.
    pub at: At,
}

/// A user and password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Login {
    /// User for digest authentication.
    pub username: String,
    /// Its password.
    pub password: Secret,
    /// The only realm the password is used for; `None`: the first one the far end names.
    pub realm: Option<String>,
}

/// Registration at the far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Register {
    /// Where; the first target where absent in the file.
    pub registrar: TrunkUri,
    /// The expiry we ask for.
    pub expires: Duration,
}

/// The address of a far end: `sip:HOST[:PORT][;transport=…]` or `sips:…`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TrunkUri {
    /// `sips:`.
    pub secure: bool,
    /// Host and port; without a port DNS decides (RFC 3263).
    pub address: HostPort,
    /// The `transport` parameter.
    pub transport: Option<Transport>,
}

impl fmt::Display for TrunkUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if self.address.host.contains(':') {
            write!(f, "[{}]", self.address.host)?;
        } else {
            f.write_str(&self.address.host)?;
        }
        if let Some(port) = self.address.port {
            write!(f, ":{port}")?;
        }
        if let Some(transport) = self.transport {
            write!(f, ";transport={}", transport.as_str())?;
        }
        Ok(())
    }
}

/// One place calls are sent to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// Where.
    pub uri: TrunkUri,
    /// Lower ones are tried first.
    pub priority: u16,
    /// Share among those of the same priority.
    pub weight: u16,
}

/// Limits of a trunk; `None` and empty lists do not limit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrunkLimits {
    /// Calls at the same time, both ways.
    pub max_calls: Option<usize>,
    /// New calls in a second, both ways.
    pub max_cps: Option<u32>,
    /// Beginnings of the numbers that may be dialled; empty: all.
    pub allowed_prefixes: Vec<String>,
    /// Beginnings of the numbers that may not, even when allowed above.
    pub denied_prefixes: Vec<String>,
    /// Calls at the same time to numbers that begin so; the longest fitting one counts.
    pub prefix_max_calls: Vec<PrefixLimit>,
}

/// Calls at the same time to numbers that begin so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PrefixLimit {
    /// The beginning.
    pub prefix: String,
    /// The limit.
    pub calls: usize,
}

/// Who we say is calling, and whom we believe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkIdentity {
    /// User part of From, instead of the caller's number; the caller then stands in P-Asserted-Identity only.
    pub from_user: Option<String>,
    /// Host part of From; `None`: that of the target.
    pub from_domain: Option<String>,
    /// Which number the called party sees.
    pub caller_id: CallerId,
    /// Whether P-Asserted-Identity (RFC 3325) is written.
    pub pai: bool,
    /// What a caller's wish to stay unknown does (RFC 3323).
    pub privacy: PrivacyPolicy,
    /// Whether Diversion (RFC 5806) is written for calls passed on.
    pub diversion: bool,
    /// Whether P-Asserted-Identity, Privacy and Diversion that come from this trunk are believed.
    pub trust_identity: bool,
}

/// Which number the called party sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallerId {
    /// The caller's.
    Passthrough,
    /// Always this one.
    Fixed(String),
}

/// What a caller's wish to stay unknown does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum PrivacyPolicy {
    /// From is anonymous; the trunk learns the number in P-Asserted-Identity with Privacy: id and keeps it to itself.
    Pass,
    /// From is anonymous and the number is not told to the trunk either.
    Strip,
    /// As `Pass`, for every call.
    Always,
}

/// How a trunk writes numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Numbering {
    /// Country code without `+`; `None`: numbers from this trunk are taken as they come.
    pub country_code: Option<String>,
    /// What stands before a country code instead of `+`, `00` by default.
    pub international_prefix: String,
    /// What stands before a national number, `0` by default; may be empty.
    pub national_prefix: String,
    /// Changes to the numbers dialled on this trunk: the first that fits is made.
    pub rewrite: Vec<Rewrite>,
}

/// A change of a number's beginning.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// The beginning that fits; empty fits all.
    pub prefix: String,
    /// What stands there instead.
    pub replace: String,
}
