//! Owns what an endpoint is told at its start. It decides nothing.

use crate::flow::{Flow, Transport};
use crate::timer::Timers;
use std::net::IpAddr;

/// What an endpoint is told at its start. It cannot be printed: the seed is a secret.
#[derive(Clone)]
pub struct EndpointConfig {
    /// The value of Server and User-Agent.
    pub server_name: String,
    /// The host and port in Via and Contact, where they are not the local address of the flow.
    pub advertise: Advertise,
    /// Timer values.
    pub timers: Timers,
    /// Most INVITE usages; a new INVITE beyond it gets 503.
    pub max_legs: usize,
    /// Most transactions, server and client together; beyond it requests get 503 without state.
    pub max_transactions: usize,
    /// What becomes of provisional responses of ours (RFC 3262).
    pub reliable: Reliability,
    /// The session timer of calls that bring none of their own (RFC 4028); `None` starts none by ourselves and
    /// serves the peer's.
    pub session_timer: Option<SessionTimer>,
    /// What peers may subscribe to outside calls; `None`: nothing.
    pub notifies: Option<Notifies>,
    /// The secret behind tags, branches and Call-IDs: 32 random octets.
    pub seed: [u8; 32],
}

impl EndpointConfig {
    /// A configuration for small needs: 100 legs, 1000 transactions, default timers, no session timer, reliable
    /// provisional responses where both sides can, no subscriptions.
    pub fn new(server_name: impl Into<String>, seed: [u8; 32]) -> Self {
        Self {
            server_name: server_name.into(),
            advertise: Advertise::default(),
            timers: Timers::default(),
            max_legs: 100,
            max_transactions: 1000,
            reliable: Reliability::default(),
            session_timer: None,
            notifies: None,
            seed,
        }
    }
}

/// The host, and the port where another one than the local one reaches us, to write into Via and Contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// An IP address (IPv6 without brackets) or a host name.
    pub host: String,
    /// `None`: the port of the local address.
    pub port: Option<u16>,
}

/// What is advertised, for each transport and for those without an entry of their own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advertise {
    /// For transports without an entry in `each`; `None`: the local address of the flow.
    pub all: Option<Advertised>,
    /// The first entry of a transport counts.
    pub each: Vec<(Transport, Advertised)>,
}

impl From<Option<IpAddr>> for Advertise {
    /// One address for all transports.
    fn from(address: Option<IpAddr>) -> Self {
        let all = address.map(|address| Advertised {
            host: address.to_string(),
            port: None,
        });
        Self {
            all,
            each: Vec::new(),
        }
    }
}

impl Advertise {
    /// `host:port` as it stands in Via and Contact; IPv6 in brackets.
    pub(crate) fn sent_by(&self, flow: &Flow) -> String {
        let own = self.each.iter().find(|(of, _)| *of == flow.transport);
        let Some(advertised) = own.map(|(_, own)| own).or(self.all.as_ref()) else {
            return flow.local.to_string();
        };
        let port = advertised.port.unwrap_or(flow.local.port());
        match advertised.host.contains(':') && !advertised.host.starts_with('[') {
            true => format!("[{}]:{port}", advertised.host),
            false => format!("{}:{port}", advertised.host),
        }
    }
}

/// What is done about the reliability of provisional responses (RFC 3262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reliability {
    /// Not offered, and a request that requires it gets 420.
    Off,
    /// Offered; used for responses with a session description, and for all where the peer requires it.
    #[default]
    Supported,
    /// Demanded of the peer: `Require: 100rel` in our INVITE, 421 to one without it.
    Required,
}

/// An event package that peers may subscribe to (RFC 6665).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Notifies {
    /// Its name, as in Event.
    pub package: &'static str,
    /// What the body of a NOTIFY is.
    pub content_type: &'static str,
    /// Most subscriptions at a time; more get 503.
    pub most: usize,
}

/// A session timer (RFC 4028).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionTimer {
    /// Session-Expires in seconds.
    pub expires_s: u32,
    /// Min-SE in seconds; below 90 it counts as 90 (RFC 4028 §5).
    pub min_se_s: u32,
}
