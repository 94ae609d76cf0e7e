//! Who answered, by made-up greetings.

use super::*;
use crate::progress::{ANYWHERE, Plan, Player};
use crate::test_signals::{Random, speech};
use std::vec::Vec;

/// What is said in a row: voice, silence and beeps, in ms.
enum Said {
    Voice(usize),
    Pause(usize),
    Beep(f32, usize),
    Tone(&'static str, usize),
    Answering(usize),
}
use Said::{Answering, Beep, Pause, Tone, Voice};

fn audio(rate_hz: u32, parts: &[Said]) -> Vec<i16> {
    let mut random = Random::new(4);
    let per_ms = rate_hz as usize / 1000;
    // A vowel: without pauses of its own.
    let mut vowel = |ms: usize| -> Vec<i16> {
        let mut phase = 0.0;
        (0..ms * per_ms)
            .map(|n| {
                phase += (120.0 + 20.0 * (n as f64 / 9000.0).sin()) / f64::from(rate_hz);
                let wave = (phase % 1.0 - 0.5) + 0.3 * random.normal();
                (wave * 4000.0) as i16
            })
            .collect()
    };
    let tone = |hz, ms: usize| {
        let mut out = std::vec![0; ms * per_ms];
        crate::tone::Tone::new(rate_hz, [hz, 0.0], -14.0).fill(&mut out);
        out
    };
    let mut out = Vec::new();
    for part in parts {
        out.extend(match *part {
            Voice(ms) => vowel(ms),
            Pause(ms) => std::vec![0; ms * per_ms],
            Beep(hz, ms) => tone(hz, ms),
            Answering(ms) => tone(2100.0, ms),
            Said::Tone(name, ms) => {
                let mut out = std::vec![0; ms * per_ms];
                let plan = Plan::of("us").unwrap();
                let mut player = match name {
                    "information" => {
                        Player::information(rate_hz, crate::progress::Information::VacantCode)
                    }
                    name => Player::of(rate_hz, plan.signal(name).unwrap()),
                };
                player.fill(&mut out);
                out
            }
        });
    }
    out.extend(std::vec![0; 6000 * per_ms]);
    out
}

fn findings(rate_hz: u32, settings: Settings, samples: &[i16]) -> Vec<Finding> {
    let (mut detector, mut all) = (Detector::new(rate_hz, &ANYWHERE, settings), Vec::new());
    for frame in samples.chunks(rate_hz as usize / 50) {
        detector.process(frame, |finding| all.push(finding));
    }
    all
}

#[test]
fn the_truth_table() {
    let usual = Settings::default();
    let (machine, human) = (Answerer::Machine, Answerer::Human);
    let table: [(&str, &[Said], Answerer, Because); 16] = [
        ("nothing", &[], Answerer::Silence, Because::InitialSilence),
        (
            "late",
            &[Pause(2700), Voice(300)],
            Answerer::Silence,
            Because::InitialSilence,
        ),
        (
            "hello",
            &[Pause(400), Voice(350)],
            human,
            Because::SilenceAfterGreeting,
        ),
        (
            "at once",
            &[Voice(350)],
            human,
            Because::SilenceAfterGreeting,
        ),
        (
            "two words",
            &[Pause(900), Voice(300), Pause(120), Voice(400)],
            human,
            Because::SilenceAfterGreeting,
        ),
        (
            "a click",
            &[Pause(300), Voice(40)],
            Answerer::Silence,
            Because::InitialSilence,
        ),
        (
            "long",
            &[Pause(300), Voice(1700)],
            machine,
            Because::LongGreeting,
        ),
        (
            "four words",
            &[
                Voice(200),
                Pause(100),
                Voice(200),
                Pause(100),
                Voice(200),
                Pause(100),
                Voice(200),
            ],
            machine,
            Because::MaxWords,
        ),
        (
            "slow",
            &[
                Voice(200),
                Pause(700),
                Voice(200),
                Pause(700),
                Voice(200),
                Pause(700),
            ],
            human,
            Because::SilenceAfterGreeting,
        ),
        (
            "beep after a word",
            &[Pause(300), Voice(500), Pause(300), Beep(1000.0, 400)],
            machine,
            Because::Beep,
        ),
        (
            "beep alone",
            &[Pause(500), Beep(1000.0, 400)],
            machine,
            Because::Beep,
        ),
        (
            "fax",
            &[Pause(1000), Answering(2900)],
            Answerer::Fax,
            Because::Tone,
        ),
        (
            "busy",
            &[Pause(300), Tone("busy", 4000)],
            Answerer::Tone(Kind::Busy),
            Because::Tone,
        ),
        (
            "congestion",
            &[Pause(300), Tone("congestion", 4000)],
            Answerer::Tone(Kind::Congestion),
            Because::Tone,
        ),
        (
            "ringing",
            &[Tone("ringback", 9000)],
            Answerer::Silence,
            Because::InitialSilence,
        ),
        (
            "information",
            &[Pause(300), Tone("information", 1034)],
            Answerer::Tone(Kind::Information(crate::progress::Information::VacantCode)),
            Because::Tone,
        ),
    ];
    for (name, parts, answerer, because) in table {
        for rate_hz in [8000, 16_000] {
            let all = findings(rate_hz, usual, &audio(rate_hz, parts));
            let [Finding::Verdict(verdict)] = all[..] else {
                panic!("{name}: {all:?}");
            };
            let found = (verdict.answerer, verdict.because);
            assert_eq!(found, (answerer, because), "{name} {rate_hz}: {verdict:?}");
        }
    }
}

#[test]
fn every_limit_can_be_moved() {
    let usual = Settings::default();
    let hello = [Pause(400), Voice(350)];
    let long = [Pause(300), Voice(1700)];
    let words = [
        Voice(200),
        Pause(100),
        Voice(200),
        Pause(100),
        Voice(200),
        Pause(100),
        Voice(200),
    ];
    let cases: [(Settings, &[Said], Answerer); 6] = [
        (
            Settings {
                initial_silence_ms: 300,
                ..usual
            },
            &hello,
            Answerer::Silence,
        ),
        (
            Settings {
                greeting_ms: 2000,
                ..usual
            },
            &long,
            Answerer::Human,
        ),
        (
            Settings {
                max_words: 4,
                ..usual
            },
            &words,
            Answerer::Human,
        ),
        (
            Settings {
                max_word_ms: 1000,
                greeting_ms: 9000,
                ..usual
            },
            &long,
            Answerer::Machine,
        ),
        (
            Settings {
                total_analysis_ms: 1000,
                ..usual
            },
            &hello,
            Answerer::NotSure,
        ),
        (
            Settings {
                min_word_ms: 400,
                ..usual
            },
            &hello,
            Answerer::Silence,
        ),
    ];
    for (index, (settings, parts, answerer)) in cases.into_iter().enumerate() {
        let all = findings(8000, settings, &audio(8000, parts));
        let [Finding::Verdict(verdict)] = all[..] else {
            panic!("{index}: {all:?}");
        };
        assert_eq!(verdict.answerer, answerer, "{index}: {verdict:?}");
    }
}

#[test]
fn the_greeting_of_a_machine_is_over_at_its_beep_or_when_it_falls_silent() {
    let settings = Settings {
        wait_for_beep: true,
        ..Settings::default()
    };
    let greeting = || Voice(4000);
    for (parts, beep) in [
        (
            &[Pause(300), greeting(), Pause(600), Beep(1400.0, 500)][..],
            true,
        ),
        (
            &[Pause(300), greeting(), Pause(600), Beep(440.0, 250)],
            true,
        ),
        (&[Pause(300), greeting()], false),
    ] {
        let all = findings(8000, settings, &audio(8000, parts));
        let [
            Finding::Verdict(verdict),
            Finding::GreetingOver { beep: found, .. },
        ] = all[..]
        else {
            panic!("{all:?}");
        };
        assert_eq!((verdict.answerer, found), (Answerer::Machine, beep));
    }
}

#[test]
fn a_voice_is_no_fax_and_does_not_beep() {
    for seed in 0..20 {
        let all = findings(8000, Settings::default(), &speech(seed, 8.0));
        let [Finding::Verdict(verdict)] = all[..] else {
            panic!("{all:?}");
        };
        assert_ne!(verdict.answerer, Answerer::Fax, "{seed}");
        assert!(!verdict.beep, "{seed}");
    }
}
