//! Conferences in flows: the example, and what becomes of their outcomes.
use super::super::Flow;
use super::caller::Act::*;
use super::caller::run;

#[test]
fn the_example_leads_into_its_conferences_and_back() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/conference.json");
    let loaded = Flow::load(std::path::Path::new(path)).expect("the example is right");
    assert_eq!(loaded.warnings, [""; 0]);
    for (key, node, room) in [
        ("1", "table", "table"),
        ("2", "audience", "talk"),
        ("3", "speaker", "talk"),
    ] {
        let went = run(&loaded, &[Press(key), Press("*"), Leave]);
        assert_eq!(went[1], format!("{node}: conference {room}"));
        assert!(went[2].starts_with("main: gather"), "{went:?}");
    }
}

#[test]
fn the_name_may_hold_variables_and_the_end_is_told() {
    let flow = r##"
flow_version: 1
entry: ask
nodes:
  ask: {type: collect, max_digits: 4, set: number, then: {type: goto, node: talk}}
  talk: {type: conference, room: "team-${number}", stop_keys: "#", then: {type: goto, node: how}}
  how: {type: branch, on: "${conference_end} ${conference_seconds}${key}", cases: {"key 42#": {type: goto, node: ask}}, else: {type: hangup}}
"##;
    let loaded = Flow::from_bytes("f.yaml", "", flow.as_bytes()).expect("good");
    let went = run(&loaded, &[Press("1234"), Press("#"), Press("99"), Nothing]);
    assert_eq!(went[1], "talk: conference team-1234");
    assert!(went[2].starts_with("ask: gather"), "{went:?}");
    assert_eq!(went[3], "talk: conference team-99");
    assert_eq!(went[4], "how: hangup Normal");
}

#[test]
fn what_is_wrong_with_a_conference_is_said() {
    for (node, expected) in [
        ("{type: conference}", "room"),
        (
            "{type: conference, room: a, max_members: 0}",
            "a whole number from 1 to 10000",
        ),
        (
            "{type: conference, room: '${nothing}'}",
            "there is no variable",
        ),
        (
            "{type: play, prompt: [{silence_ms: 1}], then: {type: conference, rom: a}}",
            "did you mean \"room\"?",
        ),
    ] {
        let flow = format!("flow_version: 1\nentry: n\nnodes:\n  n: {node}\n");
        let error = Flow::from_bytes("f.yaml", "", flow.as_bytes()).expect_err(node);
        assert!(error.to_string().contains(expected), "{error}");
    }
}
