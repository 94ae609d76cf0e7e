//! Checks on the flow and configuration parsers: they never panic, what they refuse they tell in single printable lines in the
//! order of the file, and what they accept has the properties named at each function.

use trunkline::call::{
    CallInfo, DigitSource, Direction, Failure, GatherEnd, Gathered, KeyPress, Outcome, Program,
    RecordEnd, Recorded, RecordingId, Verb,
};
use trunkline::config::{Callers, Config, NumberDestination, Problems};
use trunkline::flow::{Flow, FlowProgram, Loaded};
use trunkline::route::{Caller, Destination, Router};

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
        assert!(ended || verb.takes_time(), "{verb:?}");
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
        })
    };
    match choice >> 4 {
        0 => Outcome::Interrupted(key),
        1 => Outcome::Failed(Failure {
            verb: "play",
            reason: "made up".to_owned(),
        }),
        2 => entry(digit.to_string().repeat(turn % 41), GatherEnd::MaxDigits),
        3 => Outcome::Recorded(Recorded {
            recording: RecordingId(turn as u32),
            duration_ms: 10,
            lost_ms: 0,
            end: RecordEnd::Silence,
        }),
        4 | 5 => Outcome::Done,
        6 => entry(String::new(), GatherEnd::NoInput),
        _ => entry(digit.to_string(), GatherEnd::MaxDigits),
    }
}
