//! Whatever the outcomes, a program never panics, never runs on without media or input, and stays over once it is over.
use super::super::{Flow, FlowProgram, Loaded};
use super::caller::{Act, call, key, outcome, yaml};
use crate::call::*;
use proptest::prelude::*;
use std::sync::LazyLock;

/// All node types, two menus, variables and loops.
const EVERYTHING: &str = "
flow_version: 1
entry: top
variables: {n: ''}
prompts: {ask: {file: ask}, k_1: {file: k1}, k_2: [{file: k2}, {silence_ms: 10}]}
error_destination: {type: menu, menu: top}
menus:
  top:
    menu_prompt: [ask, 'k_${n}']
    max_tries: 2
    choices:
    - {exten: '1', destination: {type: goto, node: set}}
    - {exten: '2', destination: {type: menu, menu: sub}}
    - {exten: '_3X', destination: {type: sound, prompt: 'k_${n}', then: {type: back}}}
    abort_destination: {type: menu, menu: sub}
  sub:
    menu_prompt: ask
    timeout: 0
    choices: [{exten: '_.', destination: {type: goto, node: branch}}, {exten: '*', destination: {type: back}}]
    invalid_destination: {type: repeat}
    timeout_destination: {type: goto, node: rec}
nodes:
  set: {type: set, variables: {n: '1'}, then: {type: goto, node: branch}}
  branch: {type: branch, on: '${key}', cases: {'1': {type: goto, node: echo}, '2': stay}, else: {type: goto, node: collect}}
  echo: {type: echo, then: {type: goto, node: play}}
  play: {type: play, prompt: 'k_${n}', interrupt: any, then: {type: goto, node: set2}}
  set2: {type: set, variables: {n: ''}, then: {type: goto, node: collect}}
  collect: {type: collect, repeat: forever, prompt: ask, then: {type: goto, node: play2}, no_input: return}
  play2: {type: play, prompt: 'k_${n}', then: {type: goto, node: play}}
  rec: {type: record_message, set: note, then: {type: sound, prompt: {recording: note}, then: {type: menu, menu: top}}}
";

static EVERY: LazyLock<Loaded> = LazyLock::new(|| yaml(EVERYTHING));
static DEMO: LazyLock<Loaded> = LazyLock::new(|| Flow::builtin("demo").expect("good"));

fn acts() -> impl Strategy<Value = Act> {
    prop_oneof![
        Just(Act::Nothing),
        prop::sample::select(vec![
            "1",
            "2",
            "*",
            "#",
            "31",
            "35#",
            "0000000000000000000000000000000000000000000",
            "A"
        ])
        .prop_map(Act::Press),
        prop::sample::select(vec![Act::Nothing, Act::Nothing, Act::Fail]),
    ]
}

/// Any outcome at all, fitting or not.
fn anything() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Begin),
        Just(Outcome::Done),
        Just(Outcome::Interrupted(key('5'))),
        "[0-9#*A-Dé]{0,50}".prop_map(|digits| Outcome::Gathered(Gathered {
            digits,
            end: GatherEnd::MaxDigits,
            keys: vec![key('1')],
            speech: None,
        })),
        Just(Outcome::Recorded(Recorded {
            recording: RecordingId(1),
            lost_ms: 0,
            duration_ms: 0,
            end: RecordEnd::Silence
        })),
        Just(Outcome::Failed(Failure {
            verb: "x",
            reason: String::new()
        })),
        Just(Outcome::HungUp),
    ]
}

proptest! {
    #[test]
    fn every_verb_of_a_call_takes_time_until_it_ends(acts in prop::collection::vec(acts(), 0..200), demo: bool) {
        let loaded = if demo { &*DEMO } else { &*EVERY };
        let mut program = FlowProgram::new(loaded.flow.clone());
        prop_assert_eq!(program.next(&call(), Outcome::Begin).verb, Verb::Answer);
        let mut verb = program.next(&call(), Outcome::Done).verb;
        for act in acts {
            if matches!(verb, Verb::Hangup(_)) {
                break;
            }
            prop_assert!(verb.takes_time(), "{:?}", verb);
            verb = program.next(&call(), outcome(&verb, act)).verb;
        }
    }

    #[test]
    fn any_outcomes_are_survived(outcomes in prop::collection::vec(anything(), 0..100)) {
        let mut program = FlowProgram::new(EVERY.flow.clone());
        let mut over = false;
        for outcome in outcomes {
            let verb = program.next(&call(), outcome).verb;
            let ended = matches!(verb, Verb::Hangup(_));
            prop_assert!(ended || !over, "{:?} after the end", verb);
            over = ended;
        }
    }

    #[test]
    fn a_clone_of_the_start_runs_as_the_first_does(acts in prop::collection::vec(acts(), 0..20)) {
        let mut first = FlowProgram::new(EVERY.flow.clone());
        let mut second = first.clone();
        let (mut a, mut b) = (first.next(&call(), Outcome::Begin), second.next(&call(), Outcome::Begin));
        for act in acts {
            prop_assert_eq!(&a, &b);
            (a, b) = (first.next(&call(), outcome(&a.verb, act)), second.next(&call(), outcome(&b.verb, act)));
        }
    }
}
