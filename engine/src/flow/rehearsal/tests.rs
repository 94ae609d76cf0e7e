//! Rehearsals, walks and tests in files.
use super::cases::Cases;
use super::explore::explore;
use super::*;
use crate::flow::schedule::moment;

fn flow(text: &str) -> Loaded {
    let text = format!(
        "flow_version: 1\nprompts:\n  hi: {{text: 'Hello.'}}\n  ask: {{file: builtin-ask, text: 'Press 1.'}}\n{text}"
    );
    Flow::look_at_bytes("f.yaml", "builtin:", text.as_bytes())
        .unwrap_or_else(|error| panic!("{error}"))
}

fn setting() -> Setting {
    Setting {
        now: moment("2026-11-20 10:00 Europe/Berlin").expect("a moment"),
        from: "alice".to_owned(),
        to: "100".to_owned(),
    }
}

fn lines(loaded: &Loaded, keys: &str) -> Vec<String> {
    let transcript = rehearse(loaded, &setting(), &acts(keys).expect(keys));
    transcript
        .lines
        .iter()
        .map(|line| format!("{} {}: {} {}", line.ms, line.at, line.kind, line.text))
        .collect()
}

const MENU: &str = "entry: m\nmenus:\n  m:\n    greeting_prompt: hi\n    menu_prompt: ask\n    choices:\n    - {exten: '1', destination: {type: extension, exten: '1001'}}\n    - {exten: '2', destination: {type: goto, node: pin}}\nnodes:\n  pin: {type: collect, prompt: ask, max_digits: 4, sensitive: true, then: {type: hangup}}\n";

#[test]
fn a_transcript_says_what_is_heard_and_pressed_and_when() {
    let loaded = flow(MENU);
    assert_eq!(
        lines(&loaded, "5,silence,1"),
        [
            "0 start: answers ",
            "0 m: at m",
            "0 m: hears \"Hello.\" + \"Press 1.\" [builtin:builtin-ask]",
            "910 m: presses 5",
            "1410 m: hears \"Press 1.\" [builtin:builtin-ask]",
            "1930 m: silent no key",
            "6930 m: hears \"Press 1.\" [builtin:builtin-ask]",
            "7450 m: presses 1",
            "7950 m: dials number 1001",
            "7950 m: dial answered, and the callee hangs up",
            "67950 m: ends the flow hangs up with cause 16",
        ]
    );
    assert!(
        lines(&loaded, "2,1234")
            .iter()
            .any(|line| line.ends_with("presses (sensitive)"))
    );
    assert_eq!(
        lines(&loaded, "21234,").len(),
        lines(&loaded, "2,1234").len(),
        "keys too many are for the next entry"
    );
    let ends = |keys: &str| rehearse(&loaded, &setting(), &acts(keys).expect(keys)).end;
    assert_eq!(ends("hangup"), End::Caller);
    assert_eq!(ends("1,busy"), End::Hangup(HangupCause::Q850(17)));
    assert_eq!(ends("fail,fail"), End::Hangup(HangupCause::Congestion));
}

#[test]
fn acts_are_read_strictly() {
    for text in ["x", "1,,hang", "!", "!12", "!x", "1 2"] {
        assert!(acts(text).is_err(), "{text}");
    }
    assert_eq!(acts(" 1 , 2#,!9,HANGUP,").expect("good").len(), 4);
    assert!(acts(&"1,".repeat(2000)).is_err());
}

#[test]
fn a_walk_reaches_everything_there_is_a_way_to() {
    let findings = explore(&flow(MENU), &setting());
    assert_eq!(
        (findings.reached, findings.all, findings.cut),
        (2, 2, false)
    );
    assert!(
        findings.unreachable.is_empty()
            && findings.dead_ends.is_empty()
            && findings.loops.is_empty()
            && findings.no_exit.is_empty()
    );
    assert_eq!(
        findings.missing_prompts.into_iter().collect::<Vec<_>>(),
        [""; 0]
    );
    let ends: Vec<_> = findings.ends.keys().map(String::as_str).collect();
    assert_eq!(ends, ["as the callee", "normal"]);
}

#[test]
fn a_walk_sees_both_sides_of_a_schedule_and_what_no_case_leads_to() {
    let text = "schedules:\n  s: {timezone: Europe/Berlin, open_periods: [{hours_start: '09:00', hours_end: '17:00'}], exceptional_periods: [{dates: ['12-25'], destination: {type: goto, node: xmas}}]}\nentry: h\nnodes:\n  h: {type: schedule, schedule: s, open_destination: {type: goto, node: day}, closed_destination: {type: goto, node: night}}\n  day: {type: collect, prompt: ask, max_digits: 3, then: {type: branch, on: '${digits}', cases: {'123': {type: goto, node: secret}}, else: {type: hangup}}}\n  night: {type: hangup}\n  xmas: {type: hangup}\n  secret: {type: branch, on: '${digits}', cases: {abc: {type: goto, node: never}}, else: {type: hangup}}\n  never: {type: hangup}\n";
    let findings = explore(&flow(text), &setting());
    assert_eq!(findings.unreachable, ["never"], "{findings:?}");
}

#[test]
fn a_walk_tells_loops_dead_ends_and_menus_without_exit() {
    let findings = explore(
        &flow(
            "entry: a\nmenus:\n  stuck:\n    menu_prompt: ask\n    timeout_destination: {type: repeat}\n    choices: [{exten: '1', destination: {type: repeat}}]\nnodes:\n  a: {type: collect, prompt: ask, then: {type: branch, on: '${digits}', cases: {'1': {type: goto, node: round}, '2': {type: goto, node: lost}, '3': {type: switchboard, switchboard_uuid: sales}}, else: {type: menu, menu: stuck}}}\n  round: {type: play, prompt: ask, then: {type: goto, node: round2}}\n  round2: {type: play, prompt: ask, then: {type: goto, node: round}}\n  lost: {type: play, prompt: ask}\n",
        ),
        &setting(),
    );
    let loops: Vec<_> = findings.loops.iter().map(String::as_str).collect();
    assert_eq!(
        loops,
        [
            "round → round2: goes round without ever asking for a key",
            "stuck: a caller who presses nothing is never let go"
        ]
    );
    let dead: Vec<_> = findings.dead_ends.iter().map(String::as_str).collect();
    assert_eq!(
        dead,
        [
            "a: switchboard sales is not served by this version",
            "lost: leads back to the menu it came from, and there is none"
        ]
    );
    assert_eq!(findings.no_exit, ["stuck"]);
    assert!(!findings.is_clean());
}

const CASES: &str = "flow: f.yaml\nat: 2026-11-20 10:00 Europe/Berlin\ntests:\n- {name: sales, keys: '1,busy', expect: [{hears: press 1}, {dials: '1001'}, {ends: cause 17}], never: [{at: pin}], ends: as the callee}\n- {name: pin, from: bob, keys: [2, 1234], expect: [{at: pin}, 'sensitive'], ends: normal}\n- {name: wrong, keys: 1, expect: [{dials: '1001'}, {hears: hello}, {hears: nowhere}], never: [{at: m}], ends: busy}\n";

#[test]
fn tests_in_files_pass_and_fail_as_they_should() {
    let loaded = flow(MENU);
    let cases = Cases::from_bytes("f.flowtest.yaml", CASES.as_bytes())
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(
        (cases.flow.as_str(), cases.list.len(), cases.list[1].line),
        ("f.yaml", 3, 5)
    );
    let wrong: Vec<Vec<String>> = cases.list.iter().map(|case| case.run(&loaded).1).collect();
    assert_eq!(wrong[0], [""; 0]);
    assert_eq!(wrong[1], [""; 0]);
    assert_eq!(
        wrong[2],
        [
            "hears \"hello\" comes too early",
            "hears \"nowhere\" does not happen",
            "at \"m\" happens, at m",
            "ends \"as the callee\", not \"busy\""
        ]
    );
}

#[test]
fn mistakes_in_files_of_tests_have_their_place() {
    for (text, expected) in [
        ("flow: f\n", "f:1:1 the key \"tests\" is missing"),
        (
            "flow: f\ntests: [{name: a}]",
            "f:2:9 tests[0]: expects nothing: give \"expect\", \"never\" or \"ends\"",
        ),
        (
            "flow: f\ntests: [{name: a, ends: norml}]",
            "did you mean \"normal\"?",
        ),
        (
            "flow: f\ntests: [{name: a, ends: normal, keys: 'a b'}]",
            "f:2:39 tests[0].keys: \"a b\" is nothing a caller does",
        ),
        (
            "flow: f\ntests: [{name: a, ends: normal, at: tomorrow}]",
            "f:2:37 tests[0].at: must be a moment such as",
        ),
        (
            "flow: f\ntests: [{name: a, expect: [{heard: x}]}]",
            "tests[0].expect[0].heard: unknown key; did you mean \"hears\"?",
        ),
    ] {
        let told = Cases::from_bytes("f", text.as_bytes())
            .expect_err(text)
            .to_string();
        assert!(told.contains(expected), "{told}\n{expected}");
    }
}

#[test]
fn a_walk_asks_schedules_that_come_later_at_each_of_their_moments() {
    let text = "entry: first\nrecording: {enabled: true}\nschedules: {s: {timezone: UTC, open_periods: [{week_days: [1]}]}}\nnodes:\n  first: {type: play, prompt: hi, then: {type: goto, node: hours}}\n  hours: {type: schedule, schedule: s, open_destination: {type: goto, node: open}, closed_destination: {type: goto, node: closed}}\n  open: {type: play, prompt: hi, then: {type: hangup}}\n  closed: {type: play, prompt: ask, then: {type: hangup}}\n";
    let findings = explore(&flow(text), &setting());
    assert_eq!((findings.reached, findings.all), (4, 4), "{findings:?}");
}
