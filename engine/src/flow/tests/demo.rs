//! Every path of the demo.
use super::super::Flow;
use super::caller::Act::{self, *};
use super::caller::run;

const WELCOME: &str = "main: gather welcome+menu";
const MENU: &str = "main: gather menu";

fn demo(acts: &[Act]) -> Vec<String> {
    run(&Flow::builtin("demo").expect("the demo"), acts)
}

#[test]
fn each_key_does_what_the_menu_says() {
    let cases: [(&[Act], &[&str]); 6] = [
        (
            &[Press("1"), Nothing],
            &[WELCOME, "main: play you_pressed+digit_1+info", MENU],
        ),
        (
            &[Press("2"), Press("7")],
            &[WELCOME, "music: play music forever", MENU],
        ),
        (
            &[Press("3"), Nothing, Press("*"), Nothing],
            &[
                WELCOME,
                "echo_intro: play echo_intro",
                "echo: echo until *#",
                "echo: play echo_done",
                MENU,
            ],
        ),
        (
            &[Press("4"), Nothing, Press("#"), Nothing],
            &[
                WELCOME,
                "record_intro: play record_intro",
                "record: record",
                "playback: play playback_intro+recording 7",
                MENU,
            ],
        ),
        (&[Press("9"), Press("9")], &[WELCOME, MENU, MENU]),
        (
            &[Press("#"), Nothing],
            &[WELCOME, "main: play goodbye", "main: hangup Normal"],
        ),
    ];
    for (acts, expected) in cases {
        assert_eq!(demo(acts), expected, "{acts:?}");
    }
}

#[test]
fn any_other_key_is_said_and_the_menu_returns() {
    for (key, file) in [
        ("0", "digit_0"),
        ("5", "digit_5"),
        ("6", "digit_6"),
        ("7", "digit_7"),
        ("8", "digit_8"),
        ("*", "digit_star"),
        ("A", "key_a"),
        ("D", "key_d"),
    ] {
        assert_eq!(
            demo(&[Press(key), Nothing]),
            [WELCOME, &format!("say_key: play you_pressed+{file}"), MENU]
        );
    }
}

#[test]
fn three_silent_rounds_end_politely() {
    let silent = [
        WELCOME,
        "main: gather silence+menu",
        "main: gather silence+menu",
        "main: play goodbye",
        "main: hangup Normal",
    ];
    assert_eq!(demo(&[Nothing, Nothing, Nothing, Nothing]), silent);
    let a_choice_starts_the_count_anew =
        demo(&[Nothing, Nothing, Press("9"), Nothing, Nothing, Nothing]);
    assert_eq!(
        a_choice_starts_the_count_anew.last().map(String::as_str),
        Some("main: play goodbye")
    );
    assert_eq!(
        a_choice_starts_the_count_anew[5],
        "main: gather silence+menu"
    );
}

#[test]
fn a_failure_is_said_and_ends_the_call() {
    assert_eq!(
        demo(&[Fail, Nothing]),
        [WELCOME, "main: play sorry", "main: hangup Congestion"]
    );
    assert_eq!(
        demo(&[Fail, Fail]),
        [WELCOME, "main: play sorry", "main: hangup Congestion"]
    );
}

#[test]
fn a_caller_who_leaves_is_gone() {
    for before in [
        &[][..],
        &[Press("2")],
        &[Press("3"), Nothing],
        &[Press("4"), Nothing],
        &[Press("#")],
    ] {
        let acts = [before, &[Leave]].concat();
        let heard = demo(&acts);
        assert!(
            heard
                .last()
                .is_some_and(|last| last.ends_with("hangup Normal")),
            "{heard:?}"
        );
    }
}

#[test]
fn the_load_program_answers_each_digit_with_a_tone() {
    let load = Flow::builtin("load-ivr").expect("the load program");
    let (ask, answer) = ("loop: gather menu", "answer: play tone 4000 Hz 100 ms");
    assert_eq!(
        run(&load, &[Press("5"), Nothing, Press("6"), Nothing]),
        [ask, answer, ask, answer, ask]
    );
}

#[test]
fn the_set_up_program_answers_and_hangs_up() {
    let load = Flow::builtin("load-answer").expect("the set-up program");
    assert_eq!(run(&load, &[]), ["end: hangup Normal"]);
}
