//! Schedules that are set by hand: by a caller's key, for all calls.
use super::super::FlowProgram;
use super::super::by_hand::HoursByHand;
use super::super::schedule::moment;
use super::caller::{call, yaml};
use crate::call::*;
use std::sync::Arc;

const FLOW: &str = "
flow_version: 1
entry: hours
prompts: {open: {file: open}, closed: {file: closed}, done: {file: done}}
schedules: {office: {timezone: UTC, open_periods: [{hours_start: '09:00', hours_end: '17:00'}]}}
menus:
  night:
    menu_prompt: closed
    choices:
      - {exten: '1', destination: {type: hours, schedule: office, override: open, prompt: done}}
      - {exten: '2', destination: {type: hours, schedule: office, override: auto, then: {type: goto, node: hours}}}
nodes:
  hours: {type: schedule, schedule: office, open_destination: {type: play, prompt: open, then: {type: menu, menu: night}}, closed_destination: {type: menu, menu: night}}
";

fn heard(verb: &Verb) -> &str {
    let audio = match verb {
        Verb::Play(play) => &play.audio,
        Verb::Gather(gather) => &gather.prompts,
        other => panic!("{other:?}"),
    };
    let [Audio::Prompt(key)] = &audio[..] else {
        panic!("{audio:?}")
    };
    key
}

fn pressed(key: char) -> Outcome {
    Outcome::Gathered(Gathered {
        digits: key.to_string(),
        end: GatherEnd::MaxDigits,
        keys: vec![super::caller::key(key)],
        speech: None,
    })
}

#[test]
fn a_key_opens_for_all_calls_of_the_flow_until_another_takes_it_back() {
    let (flow, hours) = (yaml(FLOW).flow, Arc::<HoursByHand>::default());
    let begun = || {
        let hand = hours.of_flow("f.yaml");
        let mut program = FlowProgram::new(flow.clone()).by_hand(hand);
        program.at(moment("2026-11-20 20:00").unwrap());
        program.next(&call(), Outcome::Begin);
        let verb = program.next(&call(), Outcome::Done).verb;
        (program, verb)
    };
    let (mut first, verb) = begun();
    assert_eq!(heard(&verb), "closed");
    assert_eq!(heard(&first.next(&call(), pressed('1')).verb), "done");
    assert_eq!(heard(&first.next(&call(), Outcome::Done).verb), "closed");
    let (mut second, verb) = begun();
    assert_eq!(heard(&verb), "open");
    second.next(&call(), Outcome::Done);
    assert_eq!(heard(&second.next(&call(), pressed('2')).verb), "closed");
    assert_eq!(heard(&begun().1), "closed");
    assert!(hours.all().is_empty());
}

#[test]
fn a_rehearsal_sets_it_for_itself_alone() {
    use super::super::rehearsal::{Setting, acts, rehearse};
    let setting = Setting {
        now: moment("2026-11-20 20:00").unwrap(),
        from: "100".to_owned(),
        to: "200".to_owned(),
    };
    let loaded = yaml(FLOW);
    for _ in 0..2 {
        let lines = rehearse(&loaded, &setting, &acts("1,2").unwrap()).lines;
        let said: Vec<_> = lines
            .iter()
            .filter(|line| line.kind == "schedule")
            .map(|line| line.text.as_str())
            .collect();
        assert_eq!(
            said,
            [
                "office is closed: outside the hours",
                "office is set open by hand",
                "office is set auto by hand",
                "office is closed: outside the hours"
            ]
        );
    }
}
