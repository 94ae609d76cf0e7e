//! Calls of everybody to everywhere, and the rule that decides each.
use super::*;

const OFFICE: &str = r#"
[[trunk]]
name = "carrier"
target = "sip:192.0.2.1"
acl = ["192.0.2.1"]
country_code = "49"
rewrite = [{ prefix = "+49", replace = "0" }]
[[trunk]]
name = "other"
target = "sip:192.0.2.2"
acl = ["192.0.2.2"]
[[endpoint]]
user = "alice"
password = "a"
extension = "201"
allow_outbound = ["+49", "+43"]
[[endpoint]]
user = "bob"
password = "b"
extension = "202"
dnd = true
[[ring_group]]
name = "desk"
members = ["alice", "bob"]
[[number]]
to = "+4930123456"
from = ["trunk:carrier"]
ring_group = "desk"
[[number]]
to = "demo"
from = ["anyone"]
flow = "builtin:demo"
[[number]]
to = "100"
endpoint = "201"
[[number]]
to = "*"
from = ["trunk"]
flow = "builtin:load-ivr"
[[number]]
to = "0*"
trunk = "carrier"
[[number]]
to = "+*"
trunk = "carrier"
[[number]]
to = "00*"
from = ["endpoint", "trunk:other"]
trunk = "carrier"
"#;

fn router(text: &str) -> Router {
    Router::new(Arc::new(
        Config::from_str("t.toml", text).unwrap_or_else(|problems| panic!("{problems}")),
    ))
}

fn routed(origin: &Origin, to: &str) -> Routed {
    let caller = Caller {
        origin,
        from: "1",
        source: None,
    };
    router(OFFICE).explain(&caller, to)
}

fn shown(routed: &Routed) -> String {
    match &routed.outcome {
        Ok(Destination::Flow(flow)) => flow.to_string(),
        Ok(Destination::Endpoint(user)) => format!("endpoint {user}"),
        Ok(Destination::RingGroup(name)) => format!("group {name}"),
        Ok(Destination::Queue(name)) => format!("queue {name}"),
        Ok(Destination::Voicemail(name)) => format!("voicemail {name}"),
        Ok(Destination::VoicemailAccess(name)) => format!("messages {name:?}"),
        Ok(Destination::Agent(service)) => format!("agent {}", service.name()),
        Ok(Destination::Webhook(hook)) => format!("webhook {}", hook.url),
        Ok(Destination::Trunk { trunk, number }) => format!("{number} over {trunk}"),
        Err(refusal) => format!("{} {}", refusal.status, refusal.rule),
    }
}

#[test]
fn a_program_reaches_phones_and_groups_whoever_calls() {
    let router = router(OFFICE);
    let by_program = |origin: &Origin, to: &str| {
        let caller = Caller {
            origin,
            from: "1",
            source: None,
        };
        shown(&router.route_of_program(&caller, to))
    };
    let carrier = Origin::Peer("carrier".into());
    for origin in [&carrier, &Origin::Stranger] {
        assert_eq!(by_program(origin, "201"), "endpoint alice", "{origin:?}");
        assert_eq!(by_program(origin, "desk"), "group desk", "{origin:?}");
        assert_eq!(by_program(origin, "demo"), "builtin:demo", "{origin:?}");
    }
    // Everything else it reaches as the caller does.
    assert_eq!(shown(&routed(&carrier, "201")), "builtin:load-ivr");
    let stranger = Origin::Stranger;
    for to in ["00491", "+4930", "100", "300"] {
        assert_eq!(
            by_program(&stranger, to),
            shown(&routed(&stranger, to)),
            "{to}"
        );
    }
}

#[test]
fn each_caller_reaches_what_is_meant_for_it() {
    let stranger = Origin::Stranger;
    let (carrier, other) = (Origin::Peer("carrier".into()), Origin::Peer("other".into()));
    let (alice, bob) = (Origin::User("alice".into()), Origin::User("bob".into()));
    for (origin, to, expected) in [
        (&stranger, "demo", "builtin:demo"),
        (&stranger, "100", "404 no-such-number"),
        (&stranger, "201", "404 no-such-number"),
        (&stranger, "alice", "404 no-such-number"),
        (&stranger, "+4930123456", "404 no-such-number"),
        (&stranger, "+43", "404 no-such-number"),
        (&carrier, "+4930123456", "group desk"),
        (&carrier, "030123456", "group desk"),
        (&carrier, "004930123456", "group desk"),
        (&carrier, "100", "endpoint alice"),
        (&carrier, "201", "builtin:load-ivr"),
        (&carrier, "+4930999", "builtin:load-ivr"),
        (&other, "+4930123456", "builtin:load-ivr"),
        (&other, "0049301", "+49301 over carrier"),
        (&alice, "demo", "builtin:demo"),
        (&alice, "202", "603 do-not-disturb"),
        (&alice, "bob", "603 do-not-disturb"),
        (&alice, "desk", "group desk"),
        (&bob, "201", "endpoint alice"),
        (&alice, "030123456", "+4930123456 over carrier"),
        (&alice, "+49-30-123456", "+4930123456 over carrier"),
        (&alice, "004312345", "+4312345 over carrier"),
        (&alice, "+1900123", "403 allow-outbound"),
        (&bob, "+1900123", "+1900123 over carrier"),
        (&alice, "nobody", "404 no-such-number"),
    ] {
        let routed = routed(origin, to);
        assert_eq!(shown(&routed), expected, "{origin:?} {to}: {routed:#?}");
    }
}

#[test]
fn the_rule_is_told_with_its_line_and_the_way_to_it() {
    let routed = routed(&Origin::User("alice".into()), "030123456");
    assert_eq!(routed.rule, "[[number]] \"0*\" in line 41");
    assert_eq!(
        routed.steps,
        [
            "the caller is endpoint \"alice\" (line 13)",
            "\"030123456\" is \"+4930123456\" by the country_code and prefixes of trunk \"carrier\" (line 3)",
            "allow_outbound of endpoint \"alice\" has \"+49\"",
            "rewrite of trunk \"carrier\" (line 3) sends \"030123456\"",
        ]
    );
}

#[test]
fn without_being_asked_nothing_is_explained() {
    let caller = Caller {
        origin: &Origin::Stranger,
        from: "",
        source: None,
    };
    assert!(router(OFFICE).route(&caller, "demo").steps.is_empty());
}

#[test]
fn what_is_open_to_strangers_is_known() {
    let office = router(OFFICE);
    assert!(office.has_open_numbers() && office.is_open("demo"));
    assert!(!office.is_open("100") && !office.is_open("+49301"));
    let closed = router("[[number]]\nto = \"*\"\nflow = \"builtin:demo\"");
    assert!(!closed.has_open_numbers() && !closed.is_open("demo"));
}

#[test]
fn the_most_exact_pattern_that_admits_the_caller_counts() {
    let text = r#"
        [[number]]
        to = "1XX"
        from = ["anyone"]
        flow = "/a"
        [[number]]
        to = "15X"
        from = ["anyone"]
        flow = "/b"
        [[number]]
        to = "150-151"
        from = ["endpoint"]
        flow = "/c"
        [[number]]
        to = "150"
        from = ["trunk"]
        flow = "/d"
    "#;
    let to = |origin: &Origin, to: &str| {
        let caller = Caller {
            origin,
            from: "",
            source: None,
        };
        shown(&router(text).route(&caller, to))
    };
    assert_eq!(to(&Origin::Stranger, "150"), "/b");
    assert_eq!(to(&Origin::User("x".into()), "150"), "/c");
    assert_eq!(to(&Origin::Peer("x".into()), "150"), "/d");
    assert_eq!(to(&Origin::Peer("x".into()), "140"), "/a");
}
