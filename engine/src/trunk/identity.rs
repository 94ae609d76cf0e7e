//! Who we say is calling: From, P-Asserted-Identity (RFC 3325), Privacy (RFC 3323) and Diversion (RFC 5806) of one call out, and
//! the headers passed on by list. Pure.
//!
//! It never lets a number out that its owner or the configuration keeps back, and never passes on a header the endpoint owns.
//! Limits: [`MAX_DIVERSIONS`], [`MAX_PASSED`].
use crate::config::{CallerId, PrivacyPolicy, Trunk};
use crate::route::CallerIdentity;
pub(super) use crate::route::address::escaped;
use crate::route::address::{ANONYMOUS, name_addr};
use trunkline_sip::HeaderId;

/// Most Diversion headers written.
const MAX_DIVERSIONS: usize = 5;
/// Most headers passed on from the other leg.
const MAX_PASSED: usize = 32;
/// Longest value of a header passed on, octets.
const MAX_PASSED_VALUE: usize = 1024;

/// What the INVITE says about its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    /// The From value, without tag.
    pub(super) from: String,
    /// P-Asserted-Identity, Privacy, Diversion, and those passed on.
    pub(super) headers: Vec<(String, String)>,
}

/// The identity of `caller` towards a target of `trunk` whose host is `host`.
pub(super) fn identity(trunk: &Trunk, caller: &CallerIdentity, host: &str) -> Identity {
    let rules = &trunk.identity;
    let domain = rules.from_domain.as_deref().unwrap_or(host);
    let number = match &rules.caller_id {
        CallerId::Fixed(number) => number.as_str(),
        CallerId::Passthrough => caller.number.as_str(),
    };
    // The caller's name belongs to the caller's number.
    let name = match rules.caller_id {
        CallerId::Fixed(_) => None,
        CallerId::Passthrough => caller.name.as_deref(),
    };
    let hidden = caller.private || rules.privacy == PrivacyPolicy::Always;
    let told = !hidden || rules.privacy != PrivacyPolicy::Strip;
    let from = match hidden {
        true => ANONYMOUS.to_owned(),
        false => name_addr(name, from_user(trunk, number), domain),
    };
    let mut headers = Vec::new();
    if rules.pai && told && !number.is_empty() {
        let value = name_addr(name.filter(|_| !hidden), number, domain);
        headers.push(("P-Asserted-Identity".to_owned(), value));
    }
    if hidden && told {
        headers.push(("Privacy".to_owned(), "id".to_owned()));
    }
    let raw_diversion = passes(&trunk.pass_headers, "Diversion");
    if rules.diversion && told && !raw_diversion {
        let diversions = caller.diverted_by.iter().take(MAX_DIVERSIONS);
        headers.extend(diversions.map(|diversion| {
            let uri = name_addr(None, &diversion.number, domain);
            let value = format!("{uri};reason={}", diversion.reason.as_str());
            ("Diversion".to_owned(), value)
        }));
    }
    let passed = passed_on(trunk, caller)
        .filter(|(name, _)| told || HeaderId::from_name(name.as_bytes()) != HeaderId::Diversion);
    headers.extend(passed);
    Identity { from, headers }
}

/// The user part of From: configured, or the caller's number, or whoever we log in as.
fn from_user<'a>(trunk: &'a Trunk, number: &'a str) -> &'a str {
    let login = trunk.login.as_ref().map(|login| login.username.as_str());
    match (&trunk.identity.from_user, number) {
        (Some(user), _) => user,
        (None, "") => login.unwrap_or("unknown"),
        (None, number) => number,
    }
}

fn passed_on(trunk: &Trunk, caller: &CallerIdentity) -> impl Iterator<Item = (String, String)> {
    let wanted = caller.headers.iter().filter(|(name, value)| {
        passes(&trunk.pass_headers, name)
            && may_pass(name)
            && value.len() <= MAX_PASSED_VALUE
            && value
                .bytes()
                .all(|byte| byte == b'\t' || (byte >= b' ' && byte != 0x7f))
    });
    wanted.take(MAX_PASSED).cloned()
}

/// Whether a list of names, or beginnings that end in `*`, has this header.
fn passes(list: &[String], name: &str) -> bool {
    list.iter().any(|entry| match entry.strip_suffix('*') {
        Some(start) => name
            .get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start)),
        None => entry.eq_ignore_ascii_case(name),
    })
}

/// Only headers that carry something from end to end are passed, whatever the list says: those of the dialog belong to the
/// endpoint, which would refuse the call, and those that say who calls are written by the rules above.
fn may_pass(name: &str) -> bool {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte);
    !name.is_empty()
        && name.bytes().all(token)
        && matches!(
            HeaderId::from_name(name.as_bytes()),
            HeaderId::Other
                | HeaderId::UserToUser
                | HeaderId::Diversion
                | HeaderId::HistoryInfo
                | HeaderId::Subject
                | HeaderId::Priority
                | HeaderId::Organization
                | HeaderId::AlertInfo
                | HeaderId::CallInfo
                | HeaderId::Date
                | HeaderId::InReplyTo
                | HeaderId::AcceptContact
                | HeaderId::RejectContact
                | HeaderId::Geolocation
                | HeaderId::PEarlyMedia
                | HeaderId::PChargingVector
        )
}

#[cfg(test)]
#[path = "identity_tests.rs"]
mod tests;
