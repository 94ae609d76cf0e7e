//! Owns one binding: a contact of a user, the flow it is reached over, and until when it is good.

use super::request::{Asked, Wanted};
use crate::flow::Flow;
use crate::params::Params;
use crate::uri::{Host, Scheme, Uri};
use std::sync::Arc;
use std::time::Instant;

/// Where a user can be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Whose it is.
    pub user: Arc<str>,
    /// The address of record as the phone wrote it, without parameters: the To of requests to it.
    pub aor: String,
    /// The contact URI as registered: the Request-URI of requests to it. Its host may be a private address.
    pub contact: String,
    /// The path the REGISTER came by, and requests go.
    pub flow: Flow,
    /// Path values, first hop first (RFC 3327): the Route of requests to it.
    pub path: Vec<String>,
    /// Preference in thousandths.
    pub q: u16,
    /// When it is over.
    pub until: Instant,
    /// `+sip.instance` (RFC 5626 §4.1), without quotes.
    pub instance: Option<String>,
    /// `reg-id`: which of the flows of the instance.
    pub reg_id: Option<u32>,
    /// What the phone calls itself, cut at 80 characters.
    pub user_agent: Option<String>,
    pub(super) call_id: String,
    pub(super) cseq: u32,
    /// Rises with each REGISTER.
    pub(super) order: u64,
}

impl Binding {
    /// Whether a contact of a REGISTER is this one: the same flow of the same instance (RFC 5626 §6), or an equal URI.
    pub(super) fn is(&self, wanted: &Wanted) -> bool {
        match (&self.instance, &wanted.instance) {
            (Some(one), Some(other)) if self.reg_id.is_some() || wanted.reg_id.is_some() => {
                one == other && self.reg_id == wanted.reg_id
            }
            _ => same_uri(&self.contact, &wanted.uri),
        }
    }

    /// Whether the phone behind it must have started anew: another registration came over the very same flow, with no
    /// proxy in between that could speak for several phones.
    pub(super) fn is_outlived_by(&self, flow: Flow, asked: &Asked) -> bool {
        self.flow == flow
            && self.call_id != asked.call_id
            && self.path.is_empty()
            && asked.path.is_empty()
    }

    /// Whether the instance behind it is somewhere else now: a phone that moved to another network or port names its instance, but
    /// no flow of it (`reg-id`), and cannot take its old contact back any more.
    pub(super) fn has_moved(&self, asked: &Asked) -> bool {
        let Some(instance) = self.instance.as_ref().filter(|_| self.reg_id.is_none()) else {
            return false;
        };
        let mut of_instance = asked.contacts.iter().filter(|wanted| {
            wanted.instance.as_ref() == Some(instance)
                && wanted.reg_id.is_none()
                && !wanted.expires.is_zero()
        });
        of_instance.next().is_some() && !asked.contacts.iter().any(|wanted| self.is(wanted))
    }

    /// As it stands in the Contact of a 200.
    pub(super) fn as_contact(&self, now: Instant) -> String {
        let left = self.until.saturating_duration_since(now);
        // Rounded up: 0 would say that it is gone.
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let mut text = format!("<{}>;expires={seconds}", self.contact);
        if self.q != 1_000 {
            text.push_str(&format!(";q=0.{:03}", self.q));
        }
        if let Some(instance) = &self.instance {
            text.push_str(&format!(";+sip.instance=\"{instance}\""));
        }
        if let Some(reg_id) = self.reg_id {
            text.push_str(&format!(";reg-id={reg_id}"));
        }
        text
    }
}

/// RFC 3261 §19.1.4, for sip and sips URIs that were parsed before.
pub(super) fn same_uri(one: &str, other: &str) -> bool {
    let (Ok(one), Ok(other)) = (Uri::parse(one.as_bytes()), Uri::parse(other.as_bytes())) else {
        return false;
    };
    let host = match (one.host, other.host) {
        (Host::Name(one), Host::Name(other)) => one.eq_ignore_ascii_case(other),
        (one, other) => one == other,
    };
    let scheme = matches!(
        (one.scheme, other.scheme),
        (Scheme::Sip, Scheme::Sip) | (Scheme::Sips, Scheme::Sips)
    );
    scheme
        && host
        && one.port == other.port
        && one.user_decoded() == other.user_decoded()
        && one.password == other.password
        && one.headers == other.headers
        && same_params(one.params, other.params)
}

/// Parameters in both must be equal; these must be in both or in none.
fn same_params(one: Params<'_>, other: Params<'_>) -> bool {
    const TELLING: [&str; 5] = ["transport", "user", "ttl", "method", "maddr"];
    let in_both = one.iter().all(|(name, value)| {
        let Ok(name) = std::str::from_utf8(name) else {
            return false;
        };
        let Some(theirs) = other.find(name) else {
            return true;
        };
        match (value, theirs) {
            (Some(value), Some(theirs)) => value.eq_ignore_ascii_case(theirs),
            (value, theirs) => value == theirs,
        }
    });
    in_both && TELLING.iter().all(|name| one.has(name) == other.has(name))
}
