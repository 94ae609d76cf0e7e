//! Who we say is calling, case by case.
use super::*;
use crate::config::Config;
use crate::route::{DiversionReason, Diverted};

fn trunk(lines: &str) -> Trunk {
    let text = format!("[[trunk]]\nname = \"carrier\"\ntarget = \"sip:192.0.2.1\"\n{lines}\n");
    let config = Config::from_str("test.toml", &text);
    config.expect("a good file").trunks.remove(0)
}

fn caller() -> CallerIdentity {
    CallerIdentity {
        number: "+4930123".to_owned(),
        name: Some("Ann".to_owned()),
        ..CallerIdentity::default()
    }
}

/// From, then `P-Asserted-Identity | Privacy | Diversion`.
fn shown(identity: &Identity) -> (&str, String) {
    let value = |name: &str| {
        let mut found = identity.headers.iter().filter(|(known, _)| known == name);
        let value = found.next().map_or("-", |(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} once at most");
        value
    };
    let headers = ["P-Asserted-Identity", "Privacy", "Diversion"].map(value);
    (&identity.from, headers.join(" | "))
}

#[test]
fn the_caller_is_shown_or_kept_back() {
    const ANN: &str = "\"Ann\" <sip:+4930123@192.0.2.1>";
    let login = "username = \"acct\"\npassword = \"p\"\n";
    for (lines, private, from, headers) in [
        ("", false, ANN, format!("{ANN} | - | -")),
        ("pai = false", false, ANN, "- | - | -".to_owned()),
        (
            "from_domain = \"us.example\"",
            false,
            "\"Ann\" <sip:+4930123@us.example>",
            "\"Ann\" <sip:+4930123@us.example> | - | -".to_owned(),
        ),
        (
            "from_user = \"acct\"",
            false,
            "\"Ann\" <sip:acct@192.0.2.1>",
            format!("{ANN} | - | -"),
        ),
        (
            "caller_id = \"fixed:+4999\"",
            false,
            "<sip:+4999@192.0.2.1>",
            "<sip:+4999@192.0.2.1> | - | -".to_owned(),
        ),
        // The trunk learns the number and keeps it to itself; the name stays here.
        (
            "",
            true,
            ANONYMOUS,
            "<sip:+4930123@192.0.2.1> | id | -".to_owned(),
        ),
        ("pai = false", true, ANONYMOUS, "- | id | -".to_owned()),
        (
            "privacy = \"strip\"",
            true,
            ANONYMOUS,
            "- | - | -".to_owned(),
        ),
        ("privacy = \"strip\"", false, ANN, format!("{ANN} | - | -")),
        (
            "privacy = \"always\"",
            false,
            ANONYMOUS,
            "<sip:+4930123@192.0.2.1> | id | -".to_owned(),
        ),
    ] {
        let caller = CallerIdentity {
            private,
            ..caller()
        };
        let found = identity(&trunk(&format!("{login}{lines}")), &caller, "192.0.2.1");
        assert_eq!(shown(&found), (from, headers), "{lines} {private}");
    }
}

#[test]
fn a_caller_without_number_is_whoever_we_log_in_as() {
    let nobody = CallerIdentity::default();
    let found = identity(&trunk(""), &nobody, "h");
    assert_eq!(shown(&found), ("<sip:unknown@h>", "- | - | -".to_owned()));
    let login = trunk("username = \"acct\"\npassword = \"p\"");
    assert_eq!(identity(&login, &nobody, "h").from, "<sip:acct@h>");
}

#[test]
fn what_the_caller_wrote_cannot_end_a_header_or_a_uri() {
    let hostile = CallerIdentity {
        number: "1>\r\nX: y;a=b@evil".to_owned(),
        name: Some("A\"\\\r\nX: y".to_owned()),
        ..CallerIdentity::default()
    };
    let found = identity(&trunk(""), &hostile, "h");
    let expected = "\"A\\\"\\\\X: y\" <sip:1%3E%0D%0AX%3A%20y%3Ba%3Db%40evil@h>";
    assert_eq!(found.from, expected);
    let long = CallerIdentity {
        name: Some("n".repeat(1000)),
        ..caller()
    };
    assert!(identity(&trunk(""), &long, "h").from.len() < 200);
}

#[test]
fn who_passed_the_call_on_is_told() {
    let passed_on = |private| CallerIdentity {
        private,
        diverted_by: vec![Diverted {
            number: "+4977".to_owned(),
            reason: DiversionReason::NoAnswer,
        }],
        headers: vec![("Diversion".to_owned(), "<sip:1@inside>".to_owned())],
        ..caller()
    };
    let diversion = |lines: &str, private| {
        let found = identity(&trunk(lines), &passed_on(private), "h");
        let (_, headers) = shown(&found);
        headers.rsplit(" | ").next().map(str::to_owned)
    };
    let told = Some("<sip:+4977@h>;reason=no-answer".to_owned());
    assert_eq!(diversion("", false), told);
    assert_eq!(diversion("", true), told);
    assert_eq!(diversion("privacy = \"strip\"", true), Some("-".to_owned()));
    assert_eq!(diversion("diversion = false", false), Some("-".to_owned()));
    let raw = diversion("pass_headers = [\"Diversion\"]", false);
    assert_eq!(raw, Some("<sip:1@inside>".to_owned()), "as it came, once");
    let kept = diversion("pass_headers = [\"Diversion\"]\nprivacy = \"strip\"", true);
    assert_eq!(kept, Some("-".to_owned()), "it says who was called");
}

#[test]
fn headers_pass_by_list_and_never_those_of_the_dialog() {
    let names = [
        "X-Call",
        "x-other",
        "User-to-User",
        "Subject",
        "Via",
        "v",
        "Contact",
        "m",
        "Route",
        "To",
        "Authorization",
        "P-Asserted-Identity",
        "Privacy",
        "Session-Expires",
        "Y-Call",
    ];
    let headers = names.map(|name| (name.to_owned(), "value".to_owned()));
    let caller = CallerIdentity {
        headers: headers.to_vec(),
        ..CallerIdentity::default()
    };
    let passed = |list: &[&str]| {
        let mut trunk = trunk("pai = false");
        trunk.pass_headers = list.iter().map(|name| (*name).to_owned()).collect();
        let found = identity(&trunk, &caller, "h").headers;
        found.into_iter().map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert!(passed(&[]).is_empty());
    assert_eq!(passed(&["X-*"]), ["X-Call", "x-other"]);
    assert_eq!(
        passed(&["x-call", "user-to-user"]),
        ["X-Call", "User-to-User"]
    );
    let all = ["X-Call", "x-other", "User-to-User", "Subject", "Y-Call"];
    assert_eq!(passed(&["*"]), all, "even where a list says all");
}

#[test]
fn headers_that_would_break_the_message_stay_behind() {
    let mut trunk = trunk("pai = false");
    trunk.pass_headers = vec!["*".to_owned()];
    let headers = [
        ("X-A", "fine\ttoo"),
        ("X-B", "no\r\nInjected: yes"),
        ("X C", "no"),
        ("", "no"),
        ("X-D:", "no"),
    ];
    let caller = CallerIdentity {
        headers: headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..CallerIdentity::default()
    };
    let found = identity(&trunk, &caller, "h").headers;
    assert_eq!(found, [("X-A".to_owned(), "fine\ttoo".to_owned())]);
    let many = CallerIdentity {
        headers: vec![("X-A".to_owned(), "v".to_owned()); 1000],
        ..CallerIdentity::default()
    };
    assert_eq!(identity(&trunk, &many, "h").headers.len(), MAX_PASSED);
}
