//! Steps that wait in queues or call agents, and queues that a flow brings with it.
use super::super::FlowProgram;
use super::super::rehearsal::{Setting, acts, rehearse};
use super::caller::{call, yaml};
use crate::call::*;
use crate::config::{Absent, QueueMember, Strategy};
use std::time::{Duration, SystemTime};

const HEAD: &str = "flow_version: 1\nentry: q\nprompts:\n  hi: {file: hi}\n";

fn first(body: &str) -> (FlowProgram, Verb) {
    let mut program = FlowProgram::new(yaml(&format!("{HEAD}{body}")).flow);
    program.next(&call(), Outcome::Begin);
    let verb = program.next(&call(), Outcome::Done).verb;
    (program, verb)
}

fn ended(end: QueueEnd) -> Outcome {
    Outcome::Queued(Queued { end, waited_s: 12 })
}

#[test]
fn a_step_waits_as_it_says() {
    let (_, verb) = first(
        "nodes: {q: {type: queue, queue_name: sales, ring_time: 60, priority: 5, skills: ['spanish:50', billing], exit_keys: '*'}}\ndefault_language: es\nlanguages: [{code: es}]\n",
    );
    let wanted = Enqueue {
        max_wait_ms: 60_000,
        priority: 5,
        skills: vec![("spanish".to_owned(), 50), ("billing".to_owned(), 1)],
        exit_keys: "*".to_owned(),
        language: "es".to_owned(),
        ..Enqueue::queue("sales")
    };
    assert_eq!(verb, Verb::Enqueue(Box::new(wanted)));
    for (body, name) in [
        ("{type: queue, queue_id: 7}", "7"),
        ("{type: agent, agent_id: 2001, ring_time: 15}", "agent:2001"),
        ("{type: agent, agent: '2001'}", "agent:2001"),
    ] {
        let (_, verb) = first(&format!("nodes: {{q: {body}}}\n"));
        let Verb::Enqueue(enqueue) = &verb else {
            panic!("{verb:?}")
        };
        assert_eq!(enqueue.queue, name);
        assert_eq!(
            enqueue.ring_ms,
            if body.contains("15") { 15_000 } else { 0 }
        );
    }
}

#[test]
fn each_end_has_its_branch() {
    let body = "nodes:
  q: {type: queue, queue_name: sales, fallbacks: {noanswer: {type: goto, node: late}, busy: {type: hangup, cause: busy}, key: {type: goto, node: key}}}
  late: {type: branch, on: '${queue_status} ${queue_wait_seconds}', cases: {timeout 12: {type: hangup, cause: congestion}}, else: {type: hangup}}
  key: {type: branch, on: '${queue_key}', cases: {'7': {type: hangup, cause: congestion}}, else: {type: hangup}}
queues:
  sales: {wait_time_destination: {type: hangup, cause: congestion}, fallbacks: {empty: {type: hangup, cause: congestion}, full: {type: hangup}}}
";
    for (end, cause) in [
        (QueueEnd::Timeout, HangupCause::Congestion),
        // The step comes before the queue.
        (QueueEnd::Full, HangupCause::Busy),
        (QueueEnd::Empty, HangupCause::Congestion),
        (QueueEnd::Hold, HangupCause::Congestion),
        (QueueEnd::Key('7'), HangupCause::Congestion),
        (QueueEnd::Ratio, HangupCause::Busy),
        (QueueEnd::Unknown, HangupCause::Congestion),
        (QueueEnd::Callback, HangupCause::Normal),
    ] {
        let (mut program, _) = first(body);
        let verb = program.next(&call(), ended(end.clone())).verb;
        assert_eq!(verb, Verb::Hangup(Hangup { cause }), "{end:?}");
    }
    let (mut program, _) = first(
        "nodes: {q: {type: agent, agent: a, then: {type: branch, on: '${queue_agent}', cases: {a: {type: hangup, cause: congestion}}, else: {type: hangup}}}}\n",
    );
    let answered = QueueEnd::Answered {
        agent: "a".to_owned(),
        seconds: 3,
    };
    let cause = HangupCause::Congestion;
    assert_eq!(
        program.next(&call(), ended(answered)).verb,
        Verb::Hangup(Hangup { cause })
    );
}

#[test]
fn a_flow_brings_queues_with_it() {
    let loaded = yaml(
        "flow_version: 1
entry: q
nodes: {q: {type: queue, queue_name: sales}}
queues:
  sales:
    strategy: rrmemory
    timeout: 20
    retry: 3
    max_wait: 300
    wrapup_time: 10
    max_length: 50
    music_on_hold: default
    announce_position: true
    announce_frequency: 30
    members: {agents: [{number: '2002', priority: 1}, {number: '2001', penalty: 5}], users: [{extension: '1001'}]}
    wait_time_threshold: 120
    leave_when_empty: true
",
    );
    let queue = &loaded.flow.queues[0];
    let member = |agent: &str, penalty| QueueMember {
        agent: agent.to_owned(),
        penalty,
    };
    let settings = &queue.settings;
    assert_eq!(
        (&*settings.name, settings.strategy),
        ("sales", Strategy::RrMemory)
    );
    assert_eq!(settings.members, [member("2001", 5), member("2002", 0)]);
    assert_eq!(queue.users, [member("1001", 0)]);
    let s = Duration::from_secs;
    assert_eq!(
        (settings.ring, settings.retry, settings.wrap_up),
        (s(20), s(3), s(10))
    );
    assert_eq!(
        (settings.max_wait, settings.max_length),
        (Some(s(300)), Some(50))
    );
    assert_eq!(settings.hold_threshold, Some(s(120)));
    assert_eq!(settings.leave_when_empty, Some(Absent::USUAL));
    assert!(settings.announce.position && settings.announce.every == s(30));
    assert_eq!(settings.music, None);
    assert!(loaded.flow.waits_for().is_empty(), "it is its own");
}

#[test]
fn a_rehearsal_waits_with_scripted_ends() {
    let loaded = yaml(
        "flow_version: 1
entry: q
nodes:
  q: {type: queue, queue_name: sales, exit_keys: '*', then: {type: agent, agent: '2001', then: {type: hangup}}}
",
    );
    let setting = Setting {
        now: SystemTime::UNIX_EPOCH,
        from: "1".to_owned(),
        to: "2".to_owned(),
    };
    for (keys, expected) in [
        (
            "",
            [
                "queues for queue sales",
                "queue answered, and the agent hangs up",
            ],
        ),
        ("full", ["queues for queue sales", "queue full"]),
        ("silence", ["queues for queue sales", "queue timeout"]),
        ("*", ["queues for queue sales", "queue left with *"]),
        ("callback", ["queues for queue sales", "queue callback"]),
        ("answer,busy", ["queues for agent 2001", "queue full"]),
    ] {
        let transcript = rehearse(&loaded, &setting, &acts(keys).unwrap());
        let lines: Vec<String> = (transcript.lines.iter())
            .map(|line| format!("{} {}", line.kind, line.text))
            .collect();
        for line in expected {
            assert!(lines.iter().any(|each| each == line), "{keys}: {lines:?}");
        }
    }
}

#[test]
fn a_callback_is_asked_for_without_waiting() {
    let body = "nodes:
  q: {type: callback, queue_name: sales, number: '${call.from}7', priority: 3, then: {type: play, prompt: hi, then: {type: hangup}}, refused: {type: hangup, cause: busy}}
queues:
  sales: {callback_key: '2', callback_trunk: carrier, callback_allow: ['+49'], callback_attempts: 5}
";
    let (mut program, verb) = first(body);
    let wanted = Enqueue {
        priority: 3,
        call_back: Some(format!("{}7", call().from)),
        ..Enqueue::queue("sales")
    };
    assert_eq!(verb, Verb::Enqueue(Box::new(wanted)));
    let kept = program.next(&call(), ended(QueueEnd::Callback)).verb;
    assert!(matches!(kept, Verb::Play(_)), "{kept:?}");
    let (mut program, _) = first(body);
    let cause = HangupCause::Busy;
    let refused = program.next(&call(), ended(QueueEnd::Removed)).verb;
    assert_eq!(refused, Verb::Hangup(Hangup { cause }));
    let flow = yaml(&format!("{HEAD}{body}")).flow;
    let rule = flow.queues[0].settings.callback.as_ref().expect("a rule");
    assert_eq!((rule.key, &*rule.trunk, rule.attempts), ('2', "carrier", 5));
    for (from, to, says) in [
        ("callback_trunk: carrier, ", "", "needs \"callback_trunk\""),
        (", callback_allow: ['+49']", "", "needs \"callback_allow\""),
    ] {
        let text = format!("{HEAD}{body}").replacen(from, to, 1);
        let told = super::super::Flow::from_bytes("f.yaml", "", text.as_bytes()).unwrap_err();
        assert!(told.to_string().contains(says), "{told}");
    }
    let near = body.replacen("queue_name: sales", "queue_name: sale", 1);
    let told = yaml(&format!("{HEAD}{near}")).warnings.join("\n");
    assert!(told.contains("did you mean \"sales\"?"), "{told}");
}
