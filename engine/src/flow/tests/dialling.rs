//! Steps that dial, choose languages, record, go by the time and by directories; confirmation of what was entered.
use super::super::FlowProgram;
use super::super::schedule::moment;
use super::caller::{Act, call, key, outcome, yaml};
use super::*;
use crate::call::*;

const HEAD: &str = "flow_version: 1\nprompts:\n  hi: {file: hi}\n  ask: {file: ask}\n  x: {file: {en-US: x.en, es: x.es}}\n";

fn start(body: &str) -> FlowProgram {
    let mut program = FlowProgram::new(yaml(&format!("{HEAD}{body}")).flow);
    assert_eq!(program.next(&call(), Outcome::Begin).verb, Verb::Answer);
    program
}

fn dialled(how: DialEnd, cause: u8) -> Outcome {
    Outcome::Dialled(Dialled {
        how,
        target: String::new(),
        status: 486,
        cause,
        retry_after: None,
        tone: None,
    })
}

fn target(verb: &Verb) -> &DialTarget {
    match verb {
        Verb::Dial(dial) => &dial.targets[0],
        other => panic!("{other:?}"),
    }
}

#[test]
fn destinations_dial_whom_they_name() {
    let body = |destination: &str| {
        format!(
            "entry: c\naliases: {{vm: '8000'}}\nnodes:\n  c: {{type: collect, max_digits: 2, then: {destination}}}\n"
        )
    };
    for (destination, expected) in [
        (
            "{type: extension, exten: '${digits}0', context: default, ring_time: 20}",
            DialTarget::Number("120".to_owned()),
        ),
        (
            "{type: extension, exten: vm}",
            DialTarget::Number("8000".to_owned()),
        ),
        (
            "{type: transfer, destination: '+491', flow: blind, timeout: 20}",
            DialTarget::Number("+491".to_owned()),
        ),
        (
            "{type: user, user: anna}",
            DialTarget::Endpoint("anna".to_owned()),
        ),
        (
            "{type: user, user_id: 42}",
            DialTarget::Endpoint("42".to_owned()),
        ),
        (
            "{type: group, group_id: sales, ring_time: 30}",
            DialTarget::RingGroup("sales".to_owned()),
        ),
        (
            "{type: outcall, outcall_id: carrier, exten: '030${digits}'}",
            DialTarget::Trunk {
                trunk: "carrier".to_owned(),
                number: "03012".to_owned(),
            },
        ),
    ] {
        let mut program = start(&body(destination));
        let entry = program.next(&call(), Outcome::Done).verb;
        let verb = program
            .next(&call(), outcome(&entry, Act::Press("12")))
            .verb;
        assert_eq!(target(&verb), &expected, "{destination}");
        if let (Verb::Dial(dial), true) = (&verb, destination.contains(": 20")) {
            assert_eq!(dial.ring_timeout_ms, 20_000);
        }
    }
}

#[test]
fn what_follows_a_dial_is_told_by_how_it_ended() {
    let body = "entry: d\nnodes:\n  d: {type: extension, exten: '1', prompt: hi, fallbacks: {busy: {type: sound, prompt: ask}, fail: {type: hangup, cause: busy}}, then: {type: goto, node: after}}\n  after: {type: branch, on: '${dial_status} ${dial_seconds}', cases: {answered 7: {type: hangup, cause: congestion}}, else: {type: hangup}}\n";
    let hang_up = |cause| Verb::Hangup(Hangup { cause });
    for (how, expected) in [
        (DialEnd::Refused(404), hang_up(HangupCause::Busy)),
        (DialEnd::NoAnswer, hang_up(HangupCause::Normal)),
        (
            DialEnd::Answered { seconds: 7 },
            hang_up(HangupCause::Congestion),
        ),
    ] {
        let mut program = start(body);
        assert!(
            matches!(program.next(&call(), Outcome::Done).verb, Verb::Play(_)),
            "it is announced"
        );
        assert!(matches!(
            program.next(&call(), Outcome::Done).verb,
            Verb::Dial(_)
        ));
        assert_eq!(
            program.next(&call(), dialled(how, 1)).verb,
            expected,
            "{how:?}"
        );
    }
    let mut program = start("entry: d\nnodes: {d: {type: user, user: a}}\n");
    program.next(&call(), Outcome::Done);
    let ends = program.next(&call(), dialled(DialEnd::Busy, 17)).verb;
    assert_eq!(
        ends,
        hang_up(HangupCause::Q850(17)),
        "the caller learns what the callee said"
    );
}

fn files(verb: &Verb) -> Vec<String> {
    let audio = match verb {
        Verb::Play(play) => &play.audio,
        Verb::Gather(gather) => &gather.prompts,
        other => panic!("{other:?}"),
    };
    let name = |audio: &Audio| match audio {
        Audio::Prompt(key) => key.clone(),
        other => format!("{other:?}"),
    };
    audio.iter().map(name).collect()
}

#[test]
fn a_chosen_language_lasts_and_falls_back_to_what_is_there() {
    let body = "languages: [{code: en-US}, {code: es-ES}, {code: de-DE}]\nentry: m\nmenus:\n  m:\n    menu_prompt: x\n    choices:\n    - {exten: '1', destination: {type: language, language: es_ES, prompt: x}}\n    - {exten: '2', destination: {type: language, language: de-DE}, then: {type: goto, node: n}}\nnodes:\n  n: {type: play, prompt: x, then: stay}\n";
    let mut program = start(body);
    let first = program.next(&call(), Outcome::Done).verb;
    assert_eq!(files(&first), ["x.en"]);
    let said = program.next(&call(), outcome(&first, Act::Press("1"))).verb;
    assert_eq!(files(&said), ["x.es"], "es stands for es_ES");
    let again = program.next(&call(), Outcome::Done).verb;
    assert_eq!(files(&again), ["x.es"], "and lasts");
    let german = program.next(&call(), outcome(&again, Act::Press("2"))).verb;
    assert_eq!(
        files(&german),
        ["x.en"],
        "what is not there is heard in the flow's own language"
    );
}

#[test]
fn time_decides_and_is_an_argument() {
    let body = "schedules:\n  office:\n    timezone: Europe/Berlin\n    open_periods: [{hours_start: '09:00', hours_end: '17:00', week_days: [1, 2, 3, 4, fri]}]\n    exceptional_periods:\n    - {name: Christmas, dates: ['12-24..12-26']}\n    - {dates: ['2026-12-31'], hours_start: '09:00', hours_end: '12:00', destination: {type: hangup, cause: busy}}\n    closed_destination: {type: hangup}\nentry: hours\nnodes:\n  hours: {type: schedule, schedule: office, open_destination: {type: hangup, cause: congestion}}\n";
    for (at, cause) in [
        ("2026-12-23 09:00 Europe/Berlin", HangupCause::Congestion),
        ("2026-12-23 17:00 Europe/Berlin", HangupCause::Normal),
        ("2026-12-20 12:00 Europe/Berlin", HangupCause::Normal),
        ("2026-12-24 12:00 Europe/Berlin", HangupCause::Normal),
        ("2026-12-31 11:59 Europe/Berlin", HangupCause::Busy),
        ("2026-12-31 12:00 Europe/Berlin", HangupCause::Congestion),
    ] {
        let mut program = start(body);
        program.at(moment(at).expect(at));
        assert_eq!(
            program.next(&call(), Outcome::Done).verb,
            Verb::Hangup(Hangup { cause }),
            "{at}"
        );
    }
}

#[test]
fn recording_asks_for_consent_and_pauses_for_what_is_sensitive() {
    let body = "recording: {enabled: true, format: opus, channels: mono, consent_prompt: hi}\nentry: pin\nnodes:\n  pin: {type: collect, prompt: ask, sensitive: true, max_digits: 4, then: {type: goto, node: stop}}\n  stop: {type: recording, action: stop, then: {type: goto, node: start}}\n  start: {type: recording, action: start, then: {type: hangup}}\n";
    let mut program = start(body);
    let mut names = Vec::new();
    let mut verb = program.next(&call(), Outcome::Done).verb;
    while !matches!(verb, Verb::Hangup(_)) {
        names.push(match &verb {
            Verb::RecordingControl(control) => format!("{control:?}"),
            verb => verb.name().to_owned(),
        });
        verb = program
            .next(&call(), outcome(&verb, Act::Press("1234")))
            .verb;
    }
    assert_eq!(
        names,
        [
            "play",
            "record_call",
            "Pause",
            "gather",
            "Resume",
            "Stop",
            "play",
            "record_call"
        ]
    );
}

#[test]
fn what_was_entered_is_confirmed_or_asked_for_again() {
    let digits: String = (0..10)
        .map(|n| format!("  digit_{n}: {{file: d{n}}}\n"))
        .collect();
    let body = format!(
        "{digits}  digit_star: {{file: star}}\n  digit_hash: {{file: hash}}\nentry: acc\nnodes:\n  acc: {{type: collect, prompt: ask, max_digits: 3, set: acc, confirm: {{prompt: [hi, {{keys: '${{acc}}'}}], max_tries: 2, failed: {{type: hangup, cause: busy}}}}, then: {{type: branch, on: '${{acc}} ${{digits}}', cases: {{42* 42*: {{type: hangup, cause: congestion}}}}, else: {{type: hangup}}}}}}\n"
    );
    let run = |acts: &[Act]| {
        let mut program = start(&body);
        let mut verb = program.next(&call(), Outcome::Done).verb;
        let mut heard = Vec::new();
        for act in acts {
            heard.push(files(&verb).join("+"));
            verb = program.next(&call(), outcome(&verb, *act)).verb;
        }
        heard.push(format!("{verb:?}"));
        heard
    };
    use Act::{Nothing, Press};
    let congestion = "Hangup(Hangup { cause: Congestion })";
    let busy = "Hangup(Hangup { cause: Busy })";
    assert_eq!(
        run(&[Press("42*"), Press("1")]),
        ["ask", "hi+d4+d2+star", congestion]
    );
    assert_eq!(
        run(&[Press("123"), Press("2"), Press("42*"), Press("1")])[2..],
        ["ask", "hi+d4+d2+star", congestion]
    );
    assert_eq!(
        run(&[Press("123"), Nothing, Press("1"), Press("2")])[3..],
        ["hi+d1", busy]
    );
    assert_eq!(run(&[Nothing]), ["ask", "Hangup(Hangup { cause: Normal })"]);
}

#[test]
fn a_directory_tells_who_calls() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("f.yaml");
    let flow = |column: &str| {
        format!(
            "flow_version: 1\nentry: who\nnodes:\n  who: {{type: directory, file: people.csv, find: '${{call.from}}', set: {{tier: {column}}}, then: {{type: branch, on: '${{tier}}', cases: {{gold: {{type: hangup, cause: busy}}}}, else: {{type: hangup}}}}, not_found: {{type: hangup, cause: congestion}}}}\n"
        )
    };
    std::fs::write(&path, flow("tier")).expect("written");
    std::fs::write(
        folder.path().join("people.csv"),
        "number,tier\nalice,gold\nbob,\n",
    )
    .expect("written");
    let loaded = Flow::load(&path).expect("good");
    assert_eq!(loaded.watched.len(), 1);
    for (from, cause) in [
        ("alice", HangupCause::Busy),
        ("bob", HangupCause::Normal),
        ("eve", HangupCause::Congestion),
    ] {
        let call = CallInfo {
            from: from.to_owned(),
            ..call()
        };
        let mut program = FlowProgram::new(loaded.flow.clone());
        program.next(&call, Outcome::Begin);
        assert_eq!(
            program.next(&call, Outcome::Done).verb,
            Verb::Hangup(Hangup { cause }),
            "{from}"
        );
    }
    std::fs::write(&path, flow("tir")).expect("written");
    let told = Flow::load(&path).expect_err("no such column").to_string();
    assert!(
        told.contains("the directory has no column \"tir\"; did you mean \"tier\"?"),
        "{told}"
    );
    std::fs::remove_file(folder.path().join("people.csv")).expect("removed");
    let told = Flow::load(&path).expect_err("no file").to_string();
    assert!(
        told.contains("people.csv cannot be read: No such file"),
        "{told}"
    );
}

#[test]
fn busy_tones_last_as_long_as_told() {
    let mut program = start("entry: n\nnodes: {n: {type: hangup, cause: busy, timeout: 2}}\n");
    match program.next(&call(), Outcome::Done).verb {
        Verb::Play(play) => assert_eq!(play.audio.len(), 4),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        program
            .next(&call(), Outcome::Interrupted(key('1')))
            .verb
            .name(),
        "hangup"
    );
}
