//! One outbound attempt, ready to be sent: what a dialled trunk and a dialled phone have in common for the call that dials them.
//!
//! It only describes; the call layer makes the INVITE of it. Limits are those of the endpoint that takes the INVITE.
pub use crate::config::SrtpPolicy;

use crate::config::DtmfMode;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use trunkline_dsp::dtmf::Profile;
use trunkline_dsp::progress::Plan;
use trunkline_sip::digest::Credentials;
use trunkline_sip::{Encoding, Flow, Invite};

/// One INVITE to send: where to, as whom, and what the leg may carry.
#[derive(Debug, Clone)]
pub struct OutboundLeg {
    /// The path of the INVITE. Connection 0 on a stream: a connection to `remote`, open or new.
    pub flow: Flow,
    /// The Request-URI.
    pub target: String,
    /// The From value without tag: `"Name" <uri>` or a bare URI.
    pub from: String,
    /// The To value: `"Name" <uri>` or a bare URI.
    pub to: String,
    /// Route headers in order, each a whole name-addr (RFC 3261 §20.34): the Service-Route of a registration, the Path of a phone.
    pub routes: Vec<String>,
    /// Further headers: P-Asserted-Identity, Privacy, Diversion and those passed on by list.
    pub headers: Vec<(String, String)>,
    /// User part of our Contact; `None`: the endpoint's own.
    pub contact_user: Option<String>,
    /// What answers a 401 or 407. Only where the far end is the one the password was given for.
    pub credentials: Option<Arc<Credentials>>,
    /// Codecs to offer, preferred first; empty: those of `[media]`.
    pub codecs: Vec<Encoding>,
    /// How keys travel on this leg.
    pub dtmf: DtmfMode,
    /// What counts as a key in its audio; `None`: what the media engine was given.
    pub dtmf_profile: Option<&'static Profile>,
    /// Whether its audio is encrypted.
    pub srtp: SrtpPolicy,
    /// The tones of its network.
    pub tones: &'static Plan,
    /// Whether it is listened to for tones that say that nobody was reached.
    pub progress: bool,
    /// The place of the call in somebody's limits; kept as long as the leg lives.
    pub place: Option<Place>,
    /// What log lines and the CDR call it: `trunk carrier (sip:192.0.2.1:5060)`, `endpoint alice`.
    pub label: String,
}

impl OutboundLeg {
    /// A leg to `target` over `flow`, without headers and with the defaults of `[media]`.
    pub fn new(flow: Flow, target: String, from: String, to: String, label: String) -> Self {
        OutboundLeg {
            flow,
            target,
            from,
            to,
            routes: Vec::new(),
            headers: Vec::new(),
            contact_user: None,
            credentials: None,
            codecs: Vec::new(),
            dtmf: DtmfMode::Auto,
            dtmf_profile: None,
            srtp: SrtpPolicy::Never,
            tones: Plan::recommended(),
            progress: false,
            place: None,
            label,
        }
    }

    /// The INVITE of this leg with an offer; `None` asks the far end for one.
    pub fn invite(&self, sdp: Option<Vec<u8>>) -> Invite {
        Invite {
            sdp,
            headers: self.headers.clone(),
            routes: self.routes.clone(),
            credentials: self.credentials.clone(),
            contact_user: self.contact_user.clone(),
            ..Invite::new(self.flow, &*self.target, &*self.from, &*self.to)
        }
    }
}

/// A call's place in the limits of a trunk or an endpoint. It is given back when the last clone is dropped.
#[derive(Clone)]
pub struct Place(#[allow(dead_code)] Arc<dyn Any + Send + Sync>);

impl Place {
    /// Keeps `permit`, whose drop gives the place back.
    pub fn new(permit: impl Any + Send + Sync) -> Self {
        Place(Arc::new(permit))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Place")
    }
}

/// Who is calling, as a leg's far end may be told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CallerIdentity {
    /// Number or user, `+` and digits where it is known in that form; empty: unknown.
    pub number: String,
    /// Display name.
    pub name: Option<String>,
    /// The caller wants to stay unknown (RFC 3323).
    pub private: bool,
    /// Who passed the call on, the last one first.
    pub diverted_by: Vec<Diverted>,
    /// Headers of the caller's leg; those that a list of the configuration names are passed on.
    pub headers: Vec<(String, String)>,
}

/// Somebody who passed a call on (RFC 5806).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diverted {
    /// The number that was called.
    pub number: String,
    /// Why it did not take the call.
    pub reason: DiversionReason,
}

/// Why a call was passed on (RFC 5806 §4.1).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the variants are the values of the parameter
pub enum DiversionReason {
    #[default]
    Unknown,
    Unconditional,
    UserBusy,
    NoAnswer,
    Unavailable,
    Deflection,
}

impl DiversionReason {
    /// The value of the `reason` parameter.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Unconditional => "unconditional",
            Self::UserBusy => "user-busy",
            Self::NoAnswer => "no-answer",
            Self::Unavailable => "unavailable",
            Self::Deflection => "deflection",
        }
    }
}
