//! What is odd but allowed: the warnings of flows that load.
use super::super::Flow;

fn warnings(text: &str) -> Vec<String> {
    let loaded = Flow::from_bytes("f.yaml", "", text.as_bytes());
    loaded
        .unwrap_or_else(|error| panic!("{text}\n{error}"))
        .warnings
}

fn menu(more: &str) -> String {
    format!(
        "flow_version: 1\nentry: m\nprompts: {{ask: {{file: a}}}}\nmenus:\n  m:\n    menu_prompt: ask\n{more}\n"
    )
}

#[test]
fn more_keys_than_max_digits_are_waited_for() {
    let text = menu(
        "    max_digits: 1\n    choices: [{exten: '1', destination: {type: none}}, {exten: _1XX, destination: {type: extension, exten: '${digits}'}}]",
    );
    assert_eq!(
        warnings(&text),
        [
            "f.yaml:7:17 menus.m.max_digits: is 1, but the choice \"_1XX\" has more keys: 3 are waited for"
        ]
    );
    let loaded = Flow::from_bytes("f.yaml", "", text.as_bytes()).expect("good");
    let input = &loaded.flow.menus[0].input;
    assert_eq!((input.max_digits, input.finish_on), (3, Some('#')));
}

#[test]
fn patterns_that_cross_are_told_with_the_one_that_counts() {
    let text = menu(
        "    choices: [{exten: _X1, destination: {type: none}}, {exten: _1X, destination: {type: none}}, {exten: _XX, destination: {type: none}}]",
    );
    assert_eq!(
        warnings(&text),
        [
            "f.yaml:7:14 menus.m.choices: the patterns \"_X1\" and \"_1X\" match the same keys: of these \"_1X\" counts"
        ]
    );
}

#[test]
fn a_menu_that_no_key_leads_out_of_is_told() {
    let text = menu(
        "    choices: [{exten: '1', destination: {type: repeat}}, {exten: '2', destination: {type: sound, prompt: ask}}]",
    );
    assert_eq!(
        warnings(&text),
        ["f.yaml:5:3 menus.m: no key leads out of it: every choice comes back"]
    );
    let out =
        menu("    choices: [{exten: '1', destination: {type: extension, exten: '1', then: stay}}]");
    assert_eq!(warnings(&out).len(), 1);
    let out = menu("    choices: [{exten: '1', destination: {type: back}}]");
    assert!(warnings(&out).is_empty());
}

#[test]
fn a_minute_between_two_periods_is_told() {
    let text = "flow_version: 1\nentry: n\nschedules:\n  s:\n    timezone: UTC\n    open_periods:\n      - {hours_start: '09:00', hours_end: '12:59', week_days: [1]}\n      - {hours_start: '13:00', hours_end: '17:00', week_days: [1, 2]}\nnodes:\n  n: {type: schedule, schedule: s, open_destination: {type: none}, closed_destination: {type: none}}\n";
    assert_eq!(
        warnings(text),
        [
            "f.yaml:7:9 schedules.s.open_periods[0]: ends at 12:59, and the next period begins at 13:00: in this minute it is closed"
        ]
    );
    assert!(warnings(&text.replace("12:59", "13:00")).is_empty());
    assert!(warnings(&text.replace("[1, 2]", "[2]")).is_empty());
    // Another period is open then, or the two are for different dates.
    let third =
        "    timezone: UTC\n    open_periods:\n      - {hours_start: '12:30', hours_end: '13:30'}";
    let covered = text.replacen("    timezone: UTC\n    open_periods:", third, 1);
    assert!(covered != text && warnings(&covered).is_empty());
    // That is open on the day in question, on another day too, on another day only, on a date only.
    for (days, told) in [
        ("week_days: [1]", 0),
        ("week_days: [1, 7]", 0),
        ("week_days: [2]", 1),
        ("dates: ['2026-12-24']", 1),
    ] {
        let third = covered.replace("'13:30'", &format!("'13:30', {days}"));
        assert_eq!(warnings(&third).len(), told, "{days}");
    }
    let dated = |first: &str, second: &str| {
        let text = text.replace("'12:59', ", &format!("'12:59', dates: ['{first}'], "));
        warnings(&text.replace("'17:00', ", &format!("'17:00', dates: ['{second}'], "))).len()
    };
    assert_eq!(dated("2026-12-24", "2026-12-31"), 0);
    assert_eq!(dated("2026-12-24", "2026-12-24"), 1);
}

#[test]
fn a_queue_of_the_server_may_be_named_beside_those_of_the_flow() {
    let text = |queue: &str| {
        format!(
            "flow_version: 1\nentry: n\nnodes: {{n: {{type: queue, queue_name: {queue}}}}}\nqueues: {{sales: {{}}}}\n"
        )
    };
    assert_eq!(
        warnings(&text("workshop")),
        [
            "f.yaml:3:38 nodes.n.queue_name: there is no queue \"workshop\" here: the server needs one"
        ]
    );
    // Also one whose name is near to one of the flow's.
    assert_eq!(
        warnings(&text("slaes")),
        [
            "f.yaml:3:38 nodes.n.queue_name: there is no queue \"slaes\" here: the server needs one; did you mean \"sales\"?"
        ]
    );
}
