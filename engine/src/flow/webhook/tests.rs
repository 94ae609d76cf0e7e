use super::*;
use crate::call::Direction;

fn call() -> CallInfo {
    CallInfo {
        id: "c-1".to_owned(),
        direction: Direction::Inbound,
        from: "100".to_owned(),
        to: "200".to_owned(),
    }
}

fn answered(status: u16, body: &str) -> Outcome {
    Outcome::Fetched(Fetched {
        status,
        body: body.to_owned(),
        error: String::new(),
    })
}

fn asked(step: &Step) -> (String, Value) {
    let Verb::Fetch(fetch) = &step.verb else {
        panic!("{step:?}")
    };
    let body = fetch.body.as_deref().unwrap();
    (fetch.url.clone(), serde_json::from_str(body).unwrap())
}

#[test]
fn a_service_is_told_what_happened_and_its_verbs_are_done() {
    let mut program = WebhookProgram::new(Webhook::at("http://x.example/a"));
    let (url, said) = asked(&program.next(&call(), Outcome::Begin));
    assert_eq!((&*url, &said["turn"]), ("http://x.example/a", &json!(0)));
    assert_eq!(said["call"]["from"], "100");
    let list = r#"[{"play": {"audio": "a.wav"}}, {"wait": {"ms": 1}}, {"redirect": {"url": "http://x.example/b"}}]"#;
    let mut names = vec![program.next(&call(), answered(200, list)).verb.name()];
    names.extend((0..2).map(|_| program.next(&call(), Outcome::Done).verb.name()));
    // What needs an answered call gets one.
    assert_eq!(names, ["answer", "play", "wait"]);
    let (url, said) = asked(&program.next(&call(), Outcome::Done));
    assert_eq!((&*url, &said["turn"]), ("http://x.example/b", &json!(1)));
    assert_eq!(said["outcomes"].as_array().map(Vec::len), Some(3));
    let over = program.next(&call(), answered(200, "[]"));
    assert_eq!(over.verb.name(), "hangup");
}

#[test]
fn a_dead_service_has_a_fallback_and_then_the_call_ends_with_a_cause() {
    let webhook = Webhook {
        fallback_url: Some("http://y.example/".to_owned()),
        fallback: vec![Verb::Wait(crate::call::Wait { ms: 3 })],
        ..Webhook::at("http://x.example/")
    };
    for bad in [
        answered(500, "[]"),
        answered(0, ""),
        answered(200, "<html>"),
        answered(200, r#"[{"plai": {}}]"#),
    ] {
        let mut program = WebhookProgram::new(webhook.clone());
        program.next(&call(), Outcome::Begin);
        let (url, _) = asked(&program.next(&call(), bad.clone()));
        assert_eq!(url, "http://y.example/");
        assert_eq!(program.next(&call(), bad).verb.name(), "wait");
        let Verb::Hangup(hangup) = program.next(&call(), Outcome::Done).verb else {
            panic!("it goes on")
        };
        assert_eq!(hangup.cause, HangupCause::Q850(41));
    }
}
