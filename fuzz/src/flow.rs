//! Checks on the flow and configuration parsers: they never panic, what they refuse they tell in single printable lines in the
//! order of the file, and what they accept has the properties named at each function.

use std::time::{Duration, SystemTime};
use trunkline::call::{
    Audio, CallInfo, ConferenceEnd, Conferenced, DialEnd, Dialled, DigitSource, Direction, Failure,
    GatherEnd, Gathered, KeyPress, Outcome, Program, RecordEnd, Recorded, RecordingId, Verb,
};
use trunkline::config::{Callers, Config, NumberDestination, Problems};
use trunkline::flow::directory::Directory;
use trunkline::flow::rehearsal::cases::Cases;
use trunkline::flow::rehearsal::{Setting, acts, rehearse};
use trunkline::flow::verbs_json::{Instruction, MAX_AUDIO, MAX_VERBS, instructions, verbs};
use trunkline::flow::{Flow, FlowProgram, Kind, Loaded, graph, schedule};
use trunkline::route::{Caller, Destination, Router};
use trunkline::speech::Transcript;

/// A flow, read as JSON and as YAML. Reading is repeatable; the program takes time in every step until it ends, and stays ended.
pub fn flow(octets: &[u8]) {
    for name in ["f.json", "f.yaml", "f"] {
        match Flow::from_bytes(name, "base", octets) {
            Err(problems) => told_well(&problems),
            Ok(loaded) => {
                assert_eq!(Flow::from_bytes(name, "base", octets).as_ref(), Ok(&loaded));
                assert!(loaded.warnings.iter().all(|line| printable(line)));
                for seed in 0..4 {
                    call(&loaded, octets, seed);
                }
            }
        }
    }
}

/// A flow of another kind: a node map or a file of menus. What it becomes reads back as the same flow, can be drawn, and lets a silent
/// caller be followed.
pub fn foreign_flow(octets: &[u8]) {
    for name in ["f.json", "f.yaml"] {
        let loaded = match Flow::look_at_bytes(name, "base", octets) {
            Err(problems) => {
                told_well(&problems);
                continue;
            }
            Ok(loaded) => loaded,
        };
        assert!(loaded.warnings.iter().all(|line| printable(line)));
        let (text, kind) = Flow::convert_bytes(name, octets, true).expect("it was read before");
        assert_eq!(kind, loaded.kind);
        let again = Flow::look_at_bytes("f.json", "base", text.as_bytes());
        let again = again.unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        assert_eq!(
            (again.kind, &again.flow.menus, &again.flow.nodes),
            (Kind::V1, &loaded.flow.menus, &loaded.flow.nodes)
        );
        let svg = graph::svg(&loaded.flow);
        assert!(!svg.contains(|char: char| char.is_control() && char != '\n'));
        for keys in ["", "1,2,3", "9,silence,busy"] {
            let now = SystemTime::UNIX_EPOCH
                + Duration::from_secs(u64::from(octets[0]) * 86_400 * 365 / 7);
            let setting = Setting {
                now,
                from: "alice".to_owned(),
                to: "1".to_owned(),
            };
            let transcript = rehearse(&loaded, &setting, &acts(keys).expect("good"));
            assert!(transcript.lines.iter().all(|line| printable(&line.text)));
        }
    }
}

/// Verbs in JSON, as web services and the control API send them. Reading is repeatable and within its limits, a redirect is the only
/// difference between the two readers, and no file outside of the folder of prompts is named.
pub fn verbs_json(octets: &[u8]) {
    let read = match instructions("answer", octets) {
        Err(problems) => {
            assert!(verbs("answer", octets).is_err());
            return told_well(&problems);
        }
        Ok(read) => read,
    };
    assert!(read.len() <= MAX_VERBS);
    let redirects = |each: &Instruction| matches!(each, Instruction::Redirect(_));
    match verbs("answer", octets) {
        Err(problems) => {
            told_well(&problems);
            assert!(read.iter().any(redirects));
        }
        Ok(verbs) => {
            let again: Vec<_> = verbs.into_iter().map(Instruction::Verb).collect();
            assert_eq!(again, read);
        }
    }
    for instruction in &read {
        let audio = match instruction {
            Instruction::Verb(Verb::Play(play)) => &play.audio,
            Instruction::Verb(Verb::Gather(gather)) => &gather.prompts,
            Instruction::Verb(Verb::Listen(listen)) => &listen.prompts,
            _ => continue,
        };
        assert!(audio.len() <= MAX_AUDIO);
        for piece in audio {
            let Audio::Prompt(name) = piece else { continue };
            let url = name.starts_with("http://") || name.starts_with("https://");
            let up = || name.split(['/', '\\']).any(|part| part == "..");
            assert!(url || !name.starts_with('/') && !up(), "{name}");
        }
    }
}

/// A file of tests.
pub fn flow_test(octets: &[u8]) {
    for name in ["f.flowtest.json", "f.flowtest.yaml"] {
        match Cases::from_bytes(name, octets) {
            Err(problems) => told_well(&problems),
            Ok(cases) => {
                let loaded = Flow::builtin("demo").expect("as shipped");
                for case in cases.list.iter().take(3) {
                    let (transcript, _) = case.run(&loaded);
                    assert!(!transcript.lines.is_empty());
                }
            }
        }
    }
}

/// Texts of hours, dates, moments and acts, one a line; and the whole as a directory. What is accepted lies in its bounds.
pub fn flow_texts(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    for line in text.lines().take(100) {
        if let Ok((start, end)) = schedule::hours(line) {
            assert!(start < 1440 && end <= 1440 && start != end);
        }
        assert!(
            schedule::time(line).is_ok_and(|minute| minute <= 1440)
                || schedule::time(line).is_err()
        );
        let _read = (schedule::dates(line), schedule::moment(line), acts(line));
    }
    for name in ["d.csv", "d.json"] {
        if let Ok(directory) = Directory::parse(name, text, "number") {
            assert!(directory.has_column("number"));
            let found = directory
                .sample()
                .map(|value| directory.find(value).is_some());
            assert!(found.is_none_or(|found| found));
        }
    }
}

/// A configuration. What is accepted has sockets, codecs and an even port range, and keeps strangers from trunks.
pub fn config(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    match Config::from_str("c.toml", text) {
        Err(problems) => told_well(&problems),
        Ok(config) => {
            assert!(!config.sip.listen.is_empty() && !config.media.codecs.is_empty());
            assert!(config.media.ports.first.is_multiple_of(2) && config.media.ports.pairs() > 0);
            assert!(config.warnings.iter().all(|line| printable(line)));
            callers(config);
        }
    }
}

/// No stranger ever reaches a trunk, and routing any text ends.
fn callers(config: Config) {
    for number in &config.numbers {
        let outward = matches!(number.destination, NumberDestination::Trunk(_));
        let open = number.from.iter().any(Callers::admits_strangers);
        assert!(!(outward && open), "{number:?}");
    }
    let texts: Vec<String> = config
        .numbers
        .iter()
        .take(20)
        .map(|number| number.to.as_str().replace(['X', '['], "0"))
        .collect();
    let router = Router::new(std::sync::Arc::new(config));
    let caller = Caller {
        origin: &trunkline_sip::Origin::Stranger,
        from: "1",
        source: None,
    };
    for text in texts
        .iter()
        .map(String::as_str)
        .chain(["", "+49-30-1", "*"])
    {
        let routed = router.explain(&caller, text);
        let over_trunk = matches!(routed.outcome, Ok(Destination::Trunk { .. }));
        assert!(!over_trunk, "{routed:?}");
    }
}

fn told_well(problems: &Problems) {
    assert!(!problems.list.is_empty() && problems.list.len() <= 100);
    assert!(problems.list.is_sorted_by_key(|problem| problem.at));
    assert!(problems.lines().all(|line| printable(&line)), "{problems}");
    assert!(
        problems
            .list
            .iter()
            .all(|problem| problem.at.line > 0 && problem.at.column > 0)
    );
}

fn printable(line: &str) -> bool {
    !line.contains(char::is_control)
}

/// Drives a call with outcomes drawn from the document itself.
fn call(loaded: &Loaded, octets: &[u8], seed: usize) {
    let info = CallInfo {
        id: "c-1".to_owned(),
        direction: Direction::Inbound,
        from: "alice".to_owned(),
        to: "demo".to_owned(),
    };
    let mut program = FlowProgram::new(loaded.flow.clone());
    assert_eq!(program.next(&info, Outcome::Begin).verb, Verb::Answer);
    let mut verb = program.next(&info, Outcome::Done).verb;
    for turn in 0..60 {
        let choice = octets[(turn * 31 + seed * 7) % octets.len()];
        let ended = matches!(verb, Verb::Hangup(_));
        // What only changes a recording or a stream takes no time, and comes to an end by itself.
        let aside = matches!(
            verb,
            Verb::RecordCall(_)
                | Verb::RecordingControl(_)
                | Verb::StopStream
                | Verb::Stream(_)
                | Verb::SendDigits(_)
                | Verb::Fetch(_)
        );
        assert!(ended || aside || verb.takes_time(), "{verb:?}");
        verb = program.next(&info, outcome(choice, turn)).verb;
        assert!(
            !ended || matches!(verb, Verb::Hangup(_)),
            "{verb:?} after the end"
        );
    }
}

fn outcome(choice: u8, turn: usize) -> Outcome {
    const KEYS: &[u8; 16] = b"0123456789*#ABCD";
    let digit = char::from(KEYS[usize::from(choice & 15)]);
    let key = KeyPress::new(digit, DigitSource::InBand);
    let entry = |digits: String, end| {
        Outcome::Gathered(Gathered {
            digits,
            end,
            keys: vec![key],
            speech: turn.is_multiple_of(3).then(|| Transcript {
                text: format!("{digit} sales {turn}"),
                confidence: Some(0.5),
                ..Transcript::default()
            }),
        })
    };
    match choice >> 4 {
        0 => Outcome::Interrupted(key),
        1 => Outcome::Failed(Failure {
            verb: "play",
            reason: "made up".to_owned(),
        }),
        2 if turn.is_multiple_of(3) => entry(String::new(), GatherEnd::Speech),
        2 => entry(digit.to_string().repeat(turn % 41), GatherEnd::MaxDigits),
        3 => Outcome::Recorded(Recorded {
            recording: RecordingId(turn as u32),
            duration_ms: 10,
            lost_ms: 0,
            end: RecordEnd::Silence,
        }),
        4 => Outcome::Done,
        5 => Outcome::Dialled(Dialled {
            how: [
                DialEnd::Busy,
                DialEnd::NoAnswer,
                DialEnd::Unreachable,
                DialEnd::Answered { seconds: 1 },
            ][turn % 4],
            target: String::new(),
            status: 486,
            cause: 17,
            retry_after: None,
            tone: None,
        }),
        7 => Outcome::Conferenced(Conferenced {
            end: ConferenceEnd::Over,
            seconds: 1,
        }),
        6 => entry(String::new(), GatherEnd::NoInput),
        _ => entry(digit.to_string(), GatherEnd::MaxDigits),
    }
}
