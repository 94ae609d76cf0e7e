//! `[[endpoint]]` and `[[ring_group]]`: phones that register here.
use super::super::{At, Secret};
use super::{Codec, DtmfMode, SrtpPolicy, Transport};
use std::time::Duration;
use trunkline_dsp::dtmf::Profile;

/// `[[endpoint]]`: a user who may register and call with a password.
#[derive(Debug, Clone, PartialEq)]
pub struct Endpoint {
    /// User part of the address of record, and the name for digest authentication.
    pub user: String,
    /// The password; never empty once a file was loaded.
    pub password: Secret,
    /// A second name, usually short and of digits.
    pub extension: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Phones registered at the same time.
    pub max_contacts: usize,
    /// Transports this user may use; never empty.
    pub transports: Vec<Transport>,
    /// Codecs, preferred first; `[media] codecs` where absent.
    pub codecs: Vec<Codec>,
    /// Where keys are heard; `[media] dtmf` where absent.
    pub dtmf: DtmfMode,
    /// What counts as a key in its audio; `[dtmf]` where absent.
    pub dtmf_profile: Option<&'static Profile>,
    /// Encryption of audio.
    pub srtp: SrtpPolicy,
    /// Calls of this user at the same time; `None`: no limit of its own.
    pub max_calls: Option<usize>,
    /// Beginnings of numbers this user may dial over trunks; `None`: whatever a `[[number]]` admits.
    pub allow_outbound: Option<Vec<String>>,
    /// Do not disturb: calls to this user get 603.
    pub dnd: bool,
    /// Where the entry's `user` stands in the file.
    pub at: At,
}

/// `[[ring_group]]`: several endpoints under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RingGroup {
    /// The name.
    pub name: String,
    /// Users of endpoints, at least one, each once.
    pub members: Vec<String>,
    /// All at once or one by one.
    pub order: RingOrder,
    /// How long it rings: in all, or each member of a group that rings one by one.
    pub ring: Duration,
    /// Where the entry's `name` stands in the file.
    pub at: At,
}

/// In which order the members of a group ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RingOrder {
    /// All at once.
    All,
    /// One after the other.
    OneByOne,
}
