//! Flows that listen: what they ask for, and what becomes of what was heard.
use super::super::model::Step;
use super::caller::Act::*;
use super::caller::{run, yaml};
use crate::call::Until;
use crate::flow::Flow;

const MACHINE: &str = r##"
flow_version: 1
entry: who
nodes:
  who: {type: listen, until: [speech, silence], silence_seconds: 2.5, stop_keys: "#", then: {type: goto, node: heard}, timeout_destination: {type: goto, node: nobody}}
  heard: {type: branch, on: "${heard} ${heard_ms}${key}", cases: {"speech 1230": {type: goto, node: wait}, "key 1230#": {type: hangup, cause: busy}}, else: {type: hangup}}
  wait: {type: listen, prompt: [{silence_ms: 100}], until: beep, timeout: 60, then: {type: goto, node: leave}}
  leave: {type: play, prompt: [{silence_ms: 200}], then: {type: hangup}}
  nobody: {type: play, prompt: [{silence_ms: 300}], then: {type: hangup}}
"##;

#[test]
fn a_flow_branches_on_what_was_heard() {
    let loaded = yaml(MACHINE);
    assert_eq!(loaded.warnings, [""; 0]);
    for (acts, expected) in [
        (
            &[Press("speech"), Press("beep"), Nothing][..],
            "leave: play silence 200 ms",
        ),
        // A beep that does not come in time leads on as well, where nothing else is said.
        (
            &[Press("speech"), Nothing, Nothing],
            "leave: play silence 200 ms",
        ),
        (&[Nothing, Nothing], "nobody: play silence 300 ms"),
        (&[Press("silence")], "heard: hangup Normal"),
        (&[Press("#")], "heard: hangup Busy"),
    ] {
        let went = run(&loaded, acts);
        assert_eq!(went[0], "who: listen ");
        assert!(went.iter().any(|step| step == expected), "{went:?}");
    }
}

#[test]
fn what_is_listened_for_is_read() {
    let loaded = yaml(MACHINE);
    let untils: Vec<Until> = loaded
        .flow
        .nodes
        .iter()
        .filter_map(|node| match &node.step {
            Step::Listen { listen, .. } => Some(listen.until),
            _ => None,
        })
        .collect();
    let both = Until {
        speech: true,
        silence_ms: 2500,
        beep: false,
    };
    let beep = Until {
        beep: true,
        ..Until::default()
    };
    assert_eq!(untils, [both, beep]);
}

#[test]
fn what_is_wrong_with_listening_is_said() {
    for (node, expected) in [
        ("{type: listen}", "until"),
        ("{type: listen, until: []}", "or a list of these"),
        ("{type: listen, until: speach}", "speech"),
        ("{type: listen, until: [beep, 1]}", "nodes.n.until"),
        ("{type: listen, until: beep, timeout: 0}", "0.1"),
        (
            "{type: listen, until: silence, silence_seconds: 0.1}",
            "0.5",
        ),
    ] {
        let flow = format!("flow_version: 1\nentry: n\nnodes:\n  n: {node}\n");
        let error = Flow::from_bytes("f.yaml", "", flow.as_bytes()).expect_err(node);
        assert!(error.to_string().contains(expected), "{error}");
    }
}
