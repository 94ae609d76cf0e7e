//! Steps that ask a web service, and what becomes of its answers.
use super::super::rehearsal::{Setting, acts, rehearse};
use super::super::{Flow, FlowProgram};
use super::caller::{call, yaml};
use crate::call::*;
use crate::config::Secret;
use std::time::SystemTime;

const FLOW: &str = r#"
flow_version: 1
entry: who
prompts: {gold: {file: gold}, plain: {file: plain}, sorry: {file: sorry}}
nodes:
  who:
    type: webhook
    url: "https://crm.example/customers/${call.from}?n=${call.to}"
    method: POST
    headers: {X-Key: s3cret}
    body: '{"from": "${call.from}"}'
    timeout_ms: 700
    set: {level: "$.customer.level", order: "customer.orders[1].id", absent: nowhere}
    error_destination: {type: play, prompt: sorry, then: {type: hangup}}
    then: {type: branch, on: "${level}-${order}-${absent}", cases: {gold-7-: {type: play, prompt: gold, then: {type: hangup}}}, else: {type: play, prompt: plain, then: {type: hangup}}}
"#;

fn asked() -> (FlowProgram, CallInfo, Verb) {
    let call = CallInfo {
        from: "a/b\"".to_owned(),
        ..call()
    };
    let mut program = FlowProgram::new(yaml(FLOW).flow);
    program.next(&call, Outcome::Begin);
    let verb = program.next(&call, Outcome::Done).verb;
    (program, call, verb)
}

#[test]
fn a_service_is_asked_as_the_step_says() {
    let (_, call, verb) = asked();
    let Verb::Fetch(fetch) = &verb else {
        panic!("{verb:?}")
    };
    let url = format!("https://crm.example/customers/a%2Fb%22?n={}", call.to);
    assert_eq!((&fetch.url, fetch.timeout_ms), (&url, 700));
    assert_eq!(fetch.body.as_deref(), Some(r#"{"from": "a/b\""}"#));
    let header = ("X-Key".to_owned(), Secret::new("s3cret"));
    assert_eq!(fetch.headers, [header]);
}

#[test]
fn its_answer_sets_variables_and_says_how_to_go_on() {
    let good = r#"{"customer": {"level": "gold", "orders": [{}, {"id": 7}]}}"#;
    for (status, body, heard) in [
        (200, good, "gold"),
        (200, r#"{"customer": {"level": "gold"}}"#, "plain"),
        (204, "", "plain"),
        (200, "<html>", "sorry"),
        (500, good, "sorry"),
        (0, "", "sorry"),
    ] {
        let (mut program, call, _) = asked();
        let (body, error) = (body.to_owned(), String::new());
        let outcome = Outcome::Fetched(Fetched {
            status,
            body,
            error,
        });
        let verb = program.next(&call, outcome).verb;
        let Verb::Play(play) = &verb else {
            panic!("{verb:?}")
        };
        let Audio::Prompt(key) = &play.audio[0] else {
            panic!("{play:?}")
        };
        assert!(key.ends_with(heard), "{status} {key}");
    }
}

#[test]
fn rehearsals_show_it_and_take_it_as_answered_with_nothing() {
    let loaded = yaml(FLOW);
    let setting = Setting {
        now: SystemTime::UNIX_EPOCH,
        from: "100".to_owned(),
        to: "200".to_owned(),
    };
    let told = format!("{:?}", rehearse(&loaded, &setting, &acts("").unwrap()));
    let asks = told.find("https://crm.example/customers/100?n=200");
    assert!(asks < told.find("plain") && asks.is_some(), "{told}");
}

#[test]
fn paths_lead_into_lists_too() {
    for (level, order) in [("$[0].level", "[1].id"), ("$.0.level", "1.id")] {
        let text = FLOW.replacen("$.customer.level", level, 1);
        let text = text.replacen("customer.orders[1].id", order, 1);
        let mut program = FlowProgram::new(yaml(&text).flow);
        program.next(&call(), Outcome::Begin);
        program.next(&call(), Outcome::Done);
        let outcome = Outcome::Fetched(Fetched {
            status: 200,
            body: r#"[{"level": "gold"}, {"id": 7}]"#.to_owned(),
            error: String::new(),
        });
        let verb = format!("{:?}", program.next(&call(), outcome).verb);
        assert!(verb.contains("gold"), "{level}: {verb}");
    }
}

#[test]
fn slips_are_told() {
    for (from, to, says) in [
        (
            "crm.example",
            "${call.from}",
            "host of a URL cannot be a variable",
        ),
        ("method: POST", "method: GET", "the method must be POST"),
        ("orders[1]", "orders..x", "a path in the answer"),
        ("X-Key", "'X Key'", "the name of a header"),
        ("timeout_ms: 700", "timeout_ms: 5", "100 to 30000"),
        ("https://crm", "ftp://crm", "a URL such as"),
    ] {
        let text = FLOW.replacen(from, to, 1);
        let told = Flow::from_bytes("f.yaml", "", text.as_bytes()).unwrap_err();
        assert!(told.to_string().contains(says), "{told}");
        assert!(!told.to_string().contains("s3cret"));
    }
}

const DIRECTORY: &str = r#"
flow_version: 1
entry: who
prompts: {gold: {file: gold}, plain: {file: plain}, sorry: {file: sorry}}
nodes:
  who:
    type: directory
    url: "https://crm.example/people?number=${call.from}"
    set: {level: level}
    then: {type: branch, on: "${level}", cases: {vip: {type: play, prompt: gold, then: {type: hangup}}}, else: {type: hangup}}
    not_found: {type: play, prompt: plain, then: {type: hangup}}
    error_destination: {type: play, prompt: sorry, then: {type: hangup}}
"#;

#[test]
fn a_directory_of_a_service_finds_somebody_nobody_or_fails() {
    for (status, body, heard) in [
        (200, r#"{"level": "vip"}"#, "gold"),
        (200, r#"[{"level": "vip"}, {"level": "none"}]"#, "gold"),
        (200, "[]", "plain"),
        (200, "{}", "plain"),
        (200, "null", "plain"),
        (204, "", "plain"),
        (404, "<html>", "plain"),
        (200, "<html>", "sorry"),
        (500, r#"{"level": "vip"}"#, "sorry"),
        (0, "", "sorry"),
    ] {
        let mut program = FlowProgram::new(yaml(DIRECTORY).flow);
        program.next(&call(), Outcome::Begin);
        let asked = program.next(&call(), Outcome::Done).verb;
        assert!(matches!(asked, Verb::Fetch(_)), "{asked:?}");
        let (body, error) = (body.to_owned(), String::new());
        let outcome = Outcome::Fetched(Fetched {
            status,
            body,
            error,
        });
        let verb = program.next(&call(), outcome).verb;
        let Verb::Play(play) = &verb else {
            panic!("{verb:?}")
        };
        assert_eq!(play.audio, [Audio::Prompt(heard.to_owned())], "{status}");
    }
    let loaded = yaml(DIRECTORY);
    let setting = Setting {
        now: SystemTime::UNIX_EPOCH,
        from: "100".to_owned(),
        to: "200".to_owned(),
    };
    for (keys, end) in [("", "plain"), ("noanswer", "sorry")] {
        let told = format!("{:?}", rehearse(&loaded, &setting, &acts(keys).unwrap()));
        assert!(told.contains(end), "{keys}: {told}");
    }
    for (from, to, says) in [
        (
            "url:",
            "file: a.csv\n    url:",
            "the URL says what is looked for",
        ),
        (
            "url: ",
            "file: a.csv\n    timeout_ms: 500 # ",
            "give its \"url\"",
        ),
    ] {
        let text = DIRECTORY.replacen(from, to, 1);
        let told = Flow::from_bytes("f.yaml", "", text.as_bytes()).unwrap_err();
        assert!(told.to_string().contains(says), "{told}");
    }
}
