//! One outbound attempt, ready to be sent: what a dialled trunk and a dialled phone have in common for the call that dials them.
//!
//! It only describes; the call layer makes the INVITE of it. Limits are those of the endpoint that takes the INVITE.
use crate::config::DtmfMode;
use trunkline_sip::{Encoding, Flow};

/// Whether the audio of a leg is encrypted (RFC 3711 with keys by RFC 4568).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SrtpPolicy {
    /// Plain RTP only; an offer that insists on SRTP is refused.
    #[default]
    Never,
    /// SRTP where the peer wants it, else plain RTP. Never from SRTP to plain within one call.
    Optional,
    /// SRTP or no call.
    Required,
}

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
    /// Codecs to offer, preferred first; empty: those of `[media]`.
    pub codecs: Vec<Encoding>,
    /// How keys travel on this leg.
    pub dtmf: DtmfMode,
    /// Whether its audio is encrypted.
    pub srtp: SrtpPolicy,
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
            codecs: Vec::new(),
            dtmf: DtmfMode::Auto,
            srtp: SrtpPolicy::Never,
            label,
        }
    }
}
