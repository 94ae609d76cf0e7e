//! Who is calling, as far as we believe it: From, P-Asserted-Identity, Privacy and Diversion of an INVITE (RFC 3325, RFC 3323,
//! RFC 5806). Pure.
//!
//! A phone that authenticated is who its `[[endpoint]]` says, whatever it writes in From. A trunk with `trust_identity` is believed
//! about third parties; every other From is a claim, shown and never used to admit anything. Limits: 10 diversions, 32 passed headers.
use super::numbering::normalised;
use super::outbound::{CallerIdentity, DiversionReason, Diverted};
use crate::config::{Config, Numbering, Trunk};
use trunkline_sip::{Frame, HeaderId, NameAddr, Origin, Scheme, Uri};

/// The most Diversion values that are kept.
const MAX_DIVERSIONS: usize = 10;
/// The most headers that are passed on.
const MAX_PASSED: usize = 32;
/// The longest value that is passed on, in octets.
const MAX_PASSED_VALUE: usize = 1024;
/// What every caller may hand to the far leg, where that one's list lets it out.
const PASSED_FROM_ALL: [&str; 2] = ["X-*", "User-to-User"];
/// The longest display name, in octets.
const MAX_NAME: usize = 1024;

/// The caller of an INVITE.
pub fn believed(config: &Config, origin: &Origin, invite: &Frame<'_>) -> CallerIdentity {
    let mut caller = claimed(invite);
    match origin {
        // Somebody unknown who claims to be one of our phones is shown without a number.
        Origin::Stranger => {
            if config.endpoint_called(&caller.number).is_some() {
                caller.number.clear();
                caller.name = None;
            }
        }
        Origin::User(user) => {
            if let Some(endpoint) = config.endpoint(user) {
                let number = endpoint.extension.as_ref().unwrap_or(&endpoint.user);
                caller.number.clone_from(number);
                caller.name = endpoint.name.clone().or(caller.name);
            } else {
                caller.number = user.to_string();
            }
        }
        Origin::Peer(name) => {
            if let Some(trunk) = config.trunk(name) {
                of_trunk(trunk, invite, &mut caller);
            }
        }
    }
    caller
}

fn of_trunk(trunk: &Trunk, invite: &Frame<'_>, caller: &mut CallerIdentity) {
    if trunk.identity.trust_identity {
        if let Some(asserted) = asserted(invite) {
            caller.number = asserted.number;
            caller.name = asserted.name.or(caller.name.take());
        }
        caller.diverted_by = diversions(invite, &trunk.numbering);
    }
    caller.number = normalised(&trunk.numbering, &caller.number).into_owned();
    caller.headers = passed(invite, |name| {
        let listed = |pattern: &String| named(pattern, name);
        !is_ours_to_write(name) && (passes_always(name) || trunk.pass_headers.iter().any(listed))
    });
}

/// What From says. An anonymous one names nobody (RFC 3323 §4.1.1.3).
pub fn claimed(invite: &Frame<'_>) -> CallerIdentity {
    let mut caller = CallerIdentity {
        private: wants_privacy(invite),
        headers: passed(invite, passes_always),
        ..CallerIdentity::default()
    };
    let Ok(from) = invite.from() else {
        return caller;
    };
    let number = number_of(&from.uri);
    let anonymous = number.eq_ignore_ascii_case("anonymous")
        || from
            .uri
            .host_text()
            .eq_ignore_ascii_case("anonymous.invalid");
    if anonymous {
        caller.private = true;
        return caller;
    }
    caller.number = number;
    let fit = |name: &String| !name.is_empty() && name.len() <= MAX_NAME;
    caller.name = from.display_text().filter(fit);
    caller
}

/// RFC 3323 §4.2, RFC 3325 §9.3: any value but `none` asks for something to be withheld.
fn wants_privacy(invite: &Frame<'_>) -> bool {
    let values = invite
        .headers()
        .filter(|header| header.id == HeaderId::Privacy);
    values
        .flat_map(|header| header.value.split(|octet| *octet == b';' || *octet == b','))
        .map(<[u8]>::trim_ascii)
        .any(|value| {
            ["id", "user", "header", "session", "critical"]
                .iter()
                .any(|token| value.eq_ignore_ascii_case(token.as_bytes()))
        })
}

struct Asserted {
    number: String,
    name: Option<String>,
}

/// RFC 3325 §9.1: a tel URI says more of a number than a sip one.
fn asserted(invite: &Frame<'_>) -> Option<Asserted> {
    let mut best: Option<(bool, Asserted)> = None;
    for value in invite.values(HeaderId::PAssertedIdentity).take(4) {
        let Ok(address) = NameAddr::parse(value) else {
            continue;
        };
        let number = number_of(&address.uri);
        if number.is_empty() {
            continue;
        }
        let tel = address.uri.scheme == Scheme::Tel;
        let name = address.display_text().filter(|name| !name.is_empty());
        if best.as_ref().is_none_or(|(best, _)| tel && !best) {
            best = Some((tel, Asserted { number, name }));
        }
    }
    best.map(|(_, asserted)| asserted)
}

fn diversions(invite: &Frame<'_>, numbering: &Numbering) -> Vec<Diverted> {
    let read = |value| {
        let address = NameAddr::parse(value).ok()?;
        let number = number_of(&address.uri);
        let reason = address.params.value("reason").unwrap_or_default();
        (!number.is_empty()).then(|| Diverted {
            number: normalised(numbering, &number).into_owned(),
            reason: reason_named(reason.trim_ascii()),
        })
    };
    let values = invite.values(HeaderId::Diversion);
    values.filter_map(read).take(MAX_DIVERSIONS).collect()
}

fn reason_named(token: &[u8]) -> DiversionReason {
    let token = token.strip_prefix(b"\"").unwrap_or(token);
    let token = token.strip_suffix(b"\"").unwrap_or(token);
    let all = [
        DiversionReason::Unconditional,
        DiversionReason::UserBusy,
        DiversionReason::NoAnswer,
        DiversionReason::Unavailable,
        DiversionReason::Deflection,
    ];
    let named = all
        .into_iter()
        .find(|reason| token.eq_ignore_ascii_case(reason.as_str().as_bytes()));
    named.unwrap_or_default()
}

/// The user part of a sip URI or the number of a tel URI, without parameters; empty where there is none.
pub fn number_of(uri: &Uri<'_>) -> String {
    let user = uri.user_decoded().unwrap_or_default();
    super::numbering::without_separators(&String::from_utf8_lossy(&user)).into_owned()
}

/// Whether a list's entry, a name or a beginning with `*`, means this header.
fn named(pattern: &str, name: &[u8]) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name
            .get(..beginning.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(beginning.as_bytes())),
        None => name.eq_ignore_ascii_case(pattern.as_bytes()),
    }
}

fn passes_always(name: &[u8]) -> bool {
    PASSED_FROM_ALL.iter().any(|pattern| named(pattern, name))
}

/// What says who is calling is written anew for each leg, from what is believed.
fn is_ours_to_write(name: &[u8]) -> bool {
    [
        "P-Asserted-Identity",
        "P-Preferred-Identity",
        "Remote-Party-ID",
        "Privacy",
        "Diversion",
    ]
    .iter()
    .any(|ours| name.eq_ignore_ascii_case(ours.as_bytes()))
}

fn passed(invite: &Frame<'_>, listed: impl Fn(&[u8]) -> bool) -> Vec<(String, String)> {
    let fit = |text: &str| text.len() <= MAX_PASSED_VALUE && !text.contains(char::is_control);
    invite
        .headers()
        .filter_map(|header| {
            let name = match header.id {
                HeaderId::Other => std::str::from_utf8(header.name).ok()?,
                known => known.name(),
            };
            if !listed(name.as_bytes()) {
                return None;
            }
            let value = std::str::from_utf8(header.value).ok()?;
            fit(value).then(|| (name.to_owned(), value.to_owned()))
        })
        .take(MAX_PASSED)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CONFIG: &str = r#"
        [[trunk]]
        name = "carrier"
        target = "sip:192.0.2.1"
        acl = ["192.0.2.1"]
        country_code = "49"
        trust_identity = true
        pass_headers = ["X-*", "User-to-User"]
        [[trunk]]
        name = "wild"
        target = "sip:192.0.2.2"
        acl = ["192.0.2.2"]
        [[endpoint]]
        user = "alice"
        extension = "201"
        name = "Alice"
        password = "x"
    "#;

    fn caller(origin: &Origin, lines: &[&str]) -> CallerIdentity {
        let config = Config::from_str("t", CONFIG).expect("good");
        let mut text = String::from(
            "INVITE sip:100@h SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bK1\r\nTo: <sip:100@h>\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n",
        );
        lines
            .iter()
            .for_each(|line| text.push_str(&format!("{line}\r\n")));
        text.push_str("\r\n");
        let frame = Frame::parse(text.as_bytes()).expect("a frame");
        believed(&config, origin, &frame)
    }

    fn peer(name: &str) -> Origin {
        Origin::Peer(name.into())
    }

    #[test]
    fn a_trusted_trunk_is_believed_and_another_is_not() {
        let lines = [
            "From: \"Spoof\" <sip:030111@h>;tag=1",
            "P-Asserted-Identity: \"Bob\" <sip:bob@h>, <tel:030-222>",
            "Privacy: id",
            "Diversion: <sip:030333@h>;reason=user-busy, <sip:030444@h>;reason=\"no-answer\"",
            "X-Account: 7",
            "P-Charging-Vector: secret",
        ];
        let trusted = caller(&peer("carrier"), &lines);
        assert_eq!(trusted.number, "+4930222");
        assert!(trusted.private);
        assert_eq!(trusted.headers, [("X-Account".to_owned(), "7".to_owned())]);
        let reasons: Vec<_> = trusted
            .diverted_by
            .iter()
            .map(|diverted| (diverted.number.as_str(), diverted.reason))
            .collect();
        assert_eq!(
            reasons,
            [
                ("+4930333", DiversionReason::UserBusy),
                ("+4930444", DiversionReason::NoAnswer)
            ]
        );
        let wild = caller(&peer("wild"), &lines);
        assert_eq!(
            (wild.number.as_str(), wild.name.as_deref()),
            ("030111", Some("Spoof"))
        );
        assert!(wild.private && wild.diverted_by.is_empty());
    }

    #[test]
    fn a_phone_is_who_it_authenticated_as() {
        let origin = Origin::User("alice".into());
        let alice = caller(
            &origin,
            &["From: \"Boss\" <sip:+4930999@h>;tag=1", "X-A: b"],
        );
        assert_eq!(
            (alice.number.as_str(), alice.name.as_deref()),
            ("201", Some("Alice"))
        );
        assert_eq!(alice.headers.len(), 1);
    }

    #[test]
    fn a_stranger_is_a_claim_and_never_one_of_ours() {
        let from = |from: &str| caller(&Origin::Stranger, &[from, "X-A: b"]);
        assert_eq!(from("From: <sip:+1212@h>;tag=1").number, "+1212");
        assert!(from("From: <sip:+1212@h>;tag=1").diverted_by.is_empty());
        for claim in ["alice", "201"] {
            assert_eq!(from(&format!("From: <sip:{claim}@h>;tag=1")).number, "");
        }
        let hidden = from("From: \"Anonymous\" <sip:anonymous@anonymous.invalid>;tag=1");
        assert!(hidden.private && hidden.number.is_empty() && hidden.name.is_none());
    }

    #[test]
    fn a_line_end_in_a_passed_header_stays_behind() {
        let folded = caller(
            &peer("carrier"),
            &["From: <sip:1@h>;tag=1", "X-A: b\r\n c", "X-B: d"],
        );
        assert_eq!(folded.headers, [("X-B".to_owned(), "d".to_owned())]);
    }
}
