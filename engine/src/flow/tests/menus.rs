//! Menus as confd has them, and what nodes do with variables.
use super::super::FlowProgram;
use super::caller::Act::{self, *};
use super::caller::{call, run, yaml};
use crate::call::*;

const HEAD: &str = "flow_version: 1\nprompts:\n  hi: {file: hi}\n  ask: {file: ask}\n  bad: {file: bad}\n  late: {file: late}\n  bye: {file: bye}\n  x: {file: x}\n";

fn heard(body: &str, acts: &[Act]) -> Vec<String> {
    run(&yaml(&format!("{HEAD}{body}")), acts)
}

fn menu(more: &str) -> String {
    format!(
        "entry: m\nmenus:\n  m:\n    greeting_prompt: hi\n    menu_prompt: ask\n    invalid_prompt: bad\n    timeout_prompt: late\n    abort_prompt: bye\n{more}\n    choices:\n    - {{exten: '1', destination: {{type: repeat}}}}\n"
    )
}

#[test]
fn silences_and_wrong_keys_count_together() {
    let heard = heard(&menu(""), &[Nothing, Press("5"), Nothing, Nothing]);
    assert_eq!(
        heard,
        [
            "m: gather hi+ask",
            "m: gather late+ask",
            "m: gather bad+ask",
            "m: play bye",
            "m: hangup Normal"
        ]
    );
}

#[test]
fn the_last_wrong_key_goes_straight_to_abort() {
    let heard = heard(&menu("    max_tries: 1"), &[Press("5"), Nothing]);
    assert_eq!(
        heard,
        ["m: gather hi+ask", "m: play bye", "m: hangup Normal"]
    );
}

#[test]
fn an_abort_destination_replaces_the_abort_prompt() {
    let more = "    max_tries: 2\n    abort_destination: {type: hangup, cause: busy}";
    assert_eq!(
        heard(&menu(more), &[Nothing, Nothing]),
        ["m: gather hi+ask", "m: gather late+ask", "m: hangup Busy"]
    );
}

#[test]
fn destinations_for_wrong_keys_and_silence_are_taken_at_once() {
    let more = "    invalid_destination: {type: sound, prompt: x, then: stay}\n    timeout_destination: {type: hangup, cause: congestion}";
    let told = heard(
        &menu(more),
        &[
            Press("5"),
            Nothing,
            Press("6"),
            Nothing,
            Press("7"),
            Nothing,
            Press("8"),
            Nothing,
            Nothing,
        ],
    );
    assert_eq!(
        &told[..3],
        ["m: gather hi+ask", "m: play x", "m: gather ask"]
    );
    assert_eq!(
        told[told.len() - 2..],
        ["m: gather ask", "m: hangup Congestion"]
    );
}

#[test]
fn silence_that_leads_back_still_counts_as_its_own_round() {
    let more = "    max_tries: 2\n    timeout_destination: {type: repeat}";
    assert_eq!(
        heard(&menu(more), &[Nothing, Press("5"), Press("5")])
            .last()
            .map(String::as_str),
        Some("m: play bye")
    );
}

#[test]
fn patterns_variables_back_and_goto_work_together() {
    let body = "
entry: top
menus:
  top:
    greeting_prompt: hi
    menu_prompt: ask
    choices:
    - {exten: '2', destination: {type: menu, menu: sub}}
    - {exten: '_1XX', destination: {type: goto, node: dial}}
    - {exten: '_1[5-9]X', destination: {type: goto, node: star}}
  sub:
    menu_prompt: late
    choices:
    - {exten: '*', destination: {type: back}}
    - {exten: '1', destination: {type: menu, menu: top}}
    - {exten: '2', destination: {type: sound, prompt: x}}
nodes:
  dial: {type: branch, on: '${digits}-${call.from}', cases: {123-alice: {type: goto, node: star}}, else: stay}
  star: {type: hangup, cause: busy, prompt: bye}
";
    let top = "top: gather ask";
    assert_eq!(
        heard(body, &[Press("123"), Nothing]),
        ["top: gather hi+ask", "star: play bye", "star: hangup Busy"]
    );
    assert_eq!(heard(body, &[Press("124")]), ["top: gather hi+ask", top]);
    assert_eq!(
        heard(body, &[Press("150")])[1],
        "star: play bye",
        "the narrower pattern wins"
    );
    assert_eq!(
        heard(body, &[Press("2"), Press("*"), Press("2")]),
        [
            "top: gather hi+ask",
            "sub: gather late",
            top,
            "sub: gather late"
        ]
    );
    assert_eq!(
        heard(body, &[Press("2"), Press("2"), Nothing])[1..],
        ["sub: gather late", "sub: play x", "sub: gather late"]
    );
    assert_eq!(
        heard(body, &[Press("2"), Press("1")])[2],
        "top: gather hi+ask",
        "a menu that is entered greets"
    );
}

#[test]
fn back_in_the_first_menu_plays_it_again() {
    let body = "entry: m\nmenus:\n  m:\n    menu_prompt: ask\n    choices: [{exten: '*', destination: {type: back}}]\n";
    assert_eq!(
        heard(body, &[Press("*")]),
        ["m: gather ask", "m: gather ask"]
    );
}

#[test]
fn collect_sets_its_variable_and_knows_silence() {
    let body = "
entry: pin
nodes:
  pin: {type: collect, prompt: ask, max_digits: 4, set: pin, then: {type: goto, node: check}, no_input: {type: hangup, cause: busy}}
  check: {type: branch, on: '${pin}/${key}/${key_source}', cases: {12/#/rfc4733: {type: sound, prompt: hi}}, else: {type: sound, prompt: bad}}
";
    assert_eq!(
        heard(body, &[Press("12#"), Nothing]),
        ["pin: gather ask", "check: play hi", "check: hangup Normal"]
    );
    assert_eq!(heard(body, &[Press("1234")])[1], "check: play bad");
    assert_eq!(heard(body, &[Nothing])[1], "pin: hangup Busy");
    assert_eq!(heard(body, &[Press("#")])[1], "pin: hangup Busy");
}

#[test]
fn recordings_and_their_figures_can_be_used() {
    let body = "
entry: rec
nodes:
  rec: {type: record_message, set: note, then: {type: goto, node: check}}
  check: {type: branch, on: '${recording_ms} ${recording_end}', cases: {1500 key: {type: sound, prompt: [{recording: note}, {silence_ms: 10}]}}, else: stay}
";
    assert_eq!(
        heard(body, &[Press("#")]),
        ["rec: record", "check: play recording 7+silence 10 ms"]
    );
    assert_eq!(heard(body, &[Nothing])[1], "check: hangup Normal");
    assert_eq!(heard(body, &[Fail])[1], "rec: hangup Congestion");
}

#[test]
fn a_call_is_recorded_and_streamed_on_the_way() {
    let body = "
entry: rec
nodes:
  rec: {type: record_call, pause: silence, format: opus, then: {type: goto, node: hush}}
  hush: {type: recording_control, action: pause, then: {type: goto, node: bot}}
  bot: {type: stream, url: 'wss://bot.example/a?k=s3cret', token: t0ken, direction: both, rate: 16000, parameters: {keys: '${digits}'}, then: {type: goto, node: off}}
  off: {type: stop_stream, then: {type: hangup}}
";
    let steps = heard(body, &[Nothing, Nothing, Nothing, Nothing]);
    assert!(
        steps[0].contains("tracks: Stereo, format: Opus, pause: Silence"),
        "{steps:?}"
    );
    assert_eq!(steps[1], "hush: RecordingControl(Pause)");
    for part in [
        "wss://bot.example:443/a,",
        "rate_hz: 16000",
        "sent: true",
        "(\"keys\", \"\")",
    ] {
        assert!(steps[2].contains(part), "{part}: {steps:?}");
    }
    assert!(
        !steps[2].contains("s3cret") && !steps[2].contains("t0ken"),
        "{steps:?}"
    );
    assert_eq!(steps[3..], ["off: StopStream", "off: hangup Normal"]);
}

#[test]
fn variables_are_set_and_cannot_grow_without_end() {
    let body = "
entry: start
variables: {a: xxxxxxxx}
nodes:
  start: {type: set, variables: {a: '${a}${a}'}, then: {type: goto, node: wait}}
  wait: {type: play, prompt: {silence_ms: 5}, then: {type: goto, node: start}}
";
    let loaded = yaml(&format!("{HEAD}{body}"));
    let mut program = FlowProgram::new(loaded.flow);
    program.next(&call(), Outcome::Begin);
    for _ in 0..100 {
        program.next(&call(), Outcome::Done);
    }
    assert!(format!("{program:?}").len() < 100_000);
}

#[test]
fn an_id_that_is_not_there_goes_to_the_executor_to_fail() {
    let body = "
entry: c
prompts_are: above
nodes:
  c: {type: collect, max_digits: 2, then: {type: goto, node: p}}
  p: {type: play, prompt: ['x${digits}', {file: '${key}.wav'}], then: {type: hangup}}
"
    .replace("prompts_are: above\n", "");
    assert_eq!(
        heard(&body, &[Press("12")])[1],
        "p: play no prompt x12+2.wav"
    );
    assert_eq!(
        heard(&body, &[Nothing])[1],
        "p: hangup Normal",
        "empty variables are left out"
    );
}

#[test]
fn wazo_sound_names_are_files() {
    let body = "entry: m\nmenus:\n  m:\n    greeting_sound: hello.wav\n    menu_sound: ask\n    choices: [{exten: '1', destination: {type: repeat}}]\n";
    assert_eq!(heard(body, &[]), ["m: gather hello.wav+ask"]);
}

#[test]
fn a_url_takes_escaped_values() {
    let told = heard(
        "entry: c\nnodes:\n  c: {type: collect, max_digits: 2, then: {type: goto, node: p}}\n  p: {type: play, prompt: [{url: 'http://h/a.wav'}, {url: 'https://h/x?d=${digits}'}], then: {type: hangup}}\n",
        &[Press("1*")],
    );
    assert_eq!(told[1], "p: play a.wav+x?d=1%2A");
}
