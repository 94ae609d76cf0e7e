//! Every tone of every country through a line: what is heard, and what it costs nobody to mistake.

use super::*;
use crate::level;
use crate::plc::Concealer;
use crate::test_signals::Random;
use std::string::String;
use std::vec::Vec;

/// A line: noise `snr_db` below the tone, µ-law, lost packets of 20 ms that are concealed.
pub(super) struct Line {
    pub(super) snr_db: f32,
    pub(super) loss: f64,
    pub(super) seed: u64,
}

pub(super) const CLEAN: Line = Line {
    snr_db: 60.0,
    loss: 0.0,
    seed: 1,
};

impl Line {
    pub(super) fn carry(&self, rate_hz: u32, dbm0: f32, samples: &[i16]) -> Vec<i16> {
        let mut random = Random::new(self.seed);
        let rms = f64::from(level::sine_peak(dbm0 - self.snr_db)) / 2f64.sqrt();
        let frame = rate_hz as usize / 50;
        let mut concealer = Concealer::new(rate_hz);
        let mut out = Vec::new();
        for chunk in samples.chunks_exact(frame) {
            let mut noisy: Vec<i16> = chunk
                .iter()
                .map(|sample| sample.saturating_add((random.normal() * rms) as i16))
                .map(|sample| crate::g711::ulaw_decode(crate::g711::ulaw_encode(sample)))
                .collect();
            match random.unit() < self.loss {
                true => concealer.conceal(&mut noisy, None),
                false => concealer.good(&mut noisy),
            }
            out.extend(noisy);
        }
        out
    }
}

pub(super) fn heard(rate_hz: u32, plan: &'static Plan, samples: &[i16]) -> Vec<Heard> {
    let (mut listener, mut all) = (Listener::new(rate_hz, plan), Vec::new());
    for frame in samples.chunks(rate_hz as usize / 50) {
        listener.process(frame, |heard| all.push(heard));
    }
    all
}

fn kinds(heard: &[Heard]) -> Vec<Kind> {
    heard.iter().map(|one| one.kind).collect()
}

/// So much of a tone that it must be told, with silence around it.
fn sounding(rate_hz: u32, mut player: Player, ms: u32) -> Vec<i16> {
    let mut samples = std::vec![0; rate_hz as usize * 300 / 1000];
    let mut tone = std::vec![0; (rate_hz / 1000 * ms) as usize];
    player.fill(&mut tone);
    samples.extend(tone);
    samples.extend(std::vec![0; rate_hz as usize / 2]);
    samples
}

fn long_enough(signal: &Signal) -> u32 {
    match signal.cycle_ms() {
        0 => 4000,
        cycle => 2 * cycle + 3000,
    }
}

/// The tones of a plan that are listened for, without those whose rhythm means something else that stands before it.
fn listened_for(plan: &Plan) -> Vec<&Signal> {
    let twin = |one: &&Signal, index: usize| {
        plan.signals[..index]
            .iter()
            .any(|other| other.beats == one.beats && other.sound == one.sound)
    };
    let all = plan.signals.iter().enumerate();
    all.filter(|(index, signal)| !twin(signal, *index))
        .map(|(_, signal)| signal)
        .filter(|signal| !matches!(signal.sound, Sound::One(hz) if hz > 700.0))
        .collect()
}

#[test]
fn every_tone_of_every_country_is_recognised_and_taken_for_no_other() {
    let lines = [
        CLEAN,
        Line {
            snr_db: 20.0,
            loss: 0.0,
            seed: 3,
        },
        Line {
            snr_db: 20.0,
            loss: 0.03,
            seed: 11,
        },
    ];
    let mut wrong = Vec::new();
    for plan in COUNTRIES {
        for signal in listened_for(plan) {
            for rate_hz in [8000, 16_000] {
                let player = Player::of(rate_hz, signal);
                let tone = sounding(rate_hz, player, long_enough(signal));
                for line in lines.iter().skip(usize::from(rate_hz == 16_000) * 2) {
                    let audio = line.carry(rate_hz, signal.dbm0, &tone);
                    let all = kinds(&heard(rate_hz, plan, &audio));
                    if all != [signal.kind] {
                        wrong.push((plan.code, signal.kind, rate_hz, line.loss, all));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong: {wrong:#?}", wrong.len());
}

#[test]
fn anywhere_knows_what_matters_of_every_country() {
    let mut wrong = Vec::new();
    for plan in COUNTRIES {
        for signal in listened_for(plan) {
            let matters = matches!(signal.kind, Kind::Ringback | Kind::Busy | Kind::Congestion);
            if !matters {
                continue;
            }
            let tone = sounding(8000, Player::of(8000, signal), long_enough(signal));
            let line = Line {
                snr_db: 20.0,
                loss: 0.0,
                seed: 5,
            };
            let all = kinds(&heard(
                8000,
                &ANYWHERE,
                &line.carry(8000, signal.dbm0, &tone),
            ));
            let busy = |kind: &Kind| matches!(kind, Kind::Busy | Kind::Congestion);
            let right = match signal.kind {
                Kind::Ringback => all == [Kind::Ringback],
                _ => !all.is_empty() && all.iter().all(busy),
            };
            if !right {
                wrong.push((plan.code, signal.kind, all));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn frequencies_levels_and_lengths_may_be_off_as_exchanges_are() {
    let plan = Plan::of("de").unwrap();
    for (hz, dbm0, on, off, expected) in [
        (425.0, -10.0, 480, 480, true),
        (417.0, -10.0, 480, 480, true),
        (433.0, -10.0, 480, 480, true),
        (425.0, 0.0, 480, 480, true),
        (425.0, -35.0, 480, 480, true),
        (425.0, -10.0, 430, 530, true),
        (425.0, -10.0, 530, 430, true),
        (425.0, -50.0, 480, 480, false),
        (475.0, -10.0, 480, 480, false),
        (380.0, -10.0, 480, 480, false),
        (425.0, -10.0, 700, 700, false),
        (425.0, -10.0, 480, 900, false),
    ] {
        let sound = Some(Sound::One(hz));
        let steps = [
            Step {
                sound,
                dbm0,
                ms: on,
            },
            Step {
                sound: None,
                dbm0,
                ms: off,
            },
        ];
        let tone = sounding(8000, Player::new(8000, &steps), 5000);
        let all = kinds(&heard(8000, plan, &CLEAN.carry(8000, dbm0, &tone)));
        let expected = if expected { &[Kind::Busy][..] } else { &[] };
        assert_eq!(all, expected, "{hz} Hz {dbm0} dBm0 {on}/{off}");
    }
}

#[test]
fn how_a_frame_is_cut_changes_nothing() {
    let plan = Plan::of("us").unwrap();
    let signal = plan.signal("busy").unwrap();
    let tone = sounding(8000, Player::of(8000, signal), 4000);
    let whole = heard(8000, plan, &tone);
    let (mut listener, mut parts) = (Listener::new(8000, plan), Vec::new());
    for part in tone.chunks(37) {
        listener.process(part, |heard| parts.push(heard));
    }
    assert_eq!(whole, parts);
}

#[test]
fn information_tones_say_what_they_mean() {
    for information in [
        Information::Announcement,
        Information::Intercept,
        Information::VacantCode,
        Information::NoCircuit,
        Information::Reorder,
    ] {
        for code in ["us", "de"] {
            let plan = Plan::of(code).unwrap();
            let player = Player::information(8000, information);
            let tone = sounding(8000, player, 1500);
            for seed in 1..4 {
                let line = Line {
                    snr_db: 20.0,
                    loss: 0.0,
                    seed,
                };
                let all = kinds(&heard(8000, plan, &line.carry(8000, -14.0, &tone)));
                assert_eq!(all, [Kind::Information(information)], "{code}");
            }
        }
    }
    // Austria's are 50 Hz higher, others leave pauses of 30 ms.
    for (hz, pause) in [([950.0, 1450.0, 1850.0], 0), ([950.0, 1400.0, 1800.0], 30)] {
        let mut steps = Vec::new();
        for hz in hz {
            let (sound, dbm0) = (Some(Sound::One(hz)), -10.0);
            steps.push(Step {
                sound,
                dbm0,
                ms: 330,
            });
            if pause > 0 {
                steps.push(Step {
                    sound: None,
                    dbm0,
                    ms: pause,
                });
            }
        }
        steps.push(Step {
            sound: None,
            dbm0: -10.0,
            ms: 1000,
        });
        let tone = sounding(8000, Player::new(8000, &steps), 1800);
        let all = kinds(&heard(8000, &COUNTRIES[0], &tone));
        assert_eq!(
            all,
            [Kind::Information(Information::Announcement)],
            "{hz:?}"
        );
    }
}

#[test]
fn fax_machines_are_heard() {
    let calling = |hz| {
        let sound = Some(Sound::One(hz));
        let dbm0 = -15.0;
        let steps = [
            Step {
                sound,
                dbm0,
                ms: 500,
            },
            Step {
                sound: None,
                dbm0,
                ms: 3000,
            },
        ];
        sounding(8000, Player::new(8000, &steps), 4500)
    };
    let line = Line {
        snr_db: 20.0,
        loss: 0.01,
        seed: 2,
    };
    for hz in [1062.0, 1100.0, 1138.0] {
        let all = kinds(&heard(
            8000,
            &ANYWHERE,
            &line.carry(8000, -15.0, &calling(hz)),
        ));
        assert_eq!(all, [Kind::FaxCalling], "{hz}");
    }
    for (reversals, modulated) in [(false, false), (true, false), (false, true), (true, true)] {
        for hz in [2088.0, 2100.0, 2112.0] {
            let tone = answering(hz, reversals, modulated);
            let all = kinds(&heard(8000, &ANYWHERE, &line.carry(8000, -15.0, &tone)));
            let expected = Kind::FaxAnswer {
                reversals,
                modulated,
            };
            assert_eq!(all, [expected], "{hz}");
        }
    }
}

/// 3 s of 2100 Hz, as V.25 and V.8 have it.
fn answering(hz: f64, reversals: bool, modulated: bool) -> Vec<i16> {
    let peak = f64::from(level::sine_peak(-15.0));
    let tau = core::f64::consts::TAU;
    let mut samples = std::vec![0; 2000];
    samples.extend((0..24_000).map(|n| {
        let time = f64::from(n) / 8000.0;
        let sign = if reversals && (time / 0.45) as u32 % 2 == 1 {
            -1.0
        } else {
            1.0
        };
        let swing = if modulated {
            1.0 + 0.2 * (tau * 15.0 * time).sin()
        } else {
            1.0
        };
        (peak * sign * swing * (tau * hz * time).sin()) as i16
    }));
    samples.extend(std::vec![0; 4000]);
    samples
}

#[test]
fn a_beep_a_held_note_and_a_row_of_keys_are_no_progress() {
    let step = |hz: f32, ms: u32| Step {
        sound: (hz > 0.0).then_some(Sound::One(hz)),
        dbm0: -12.0,
        ms,
    };
    let rows: [(&str, &[Step]); 5] = [
        (
            "beep",
            &[step(0.0, 2000), step(1000.0, 500), step(0.0, 9000)],
        ),
        (
            "low beep",
            &[step(0.0, 2000), step(425.0, 1000), step(0.0, 9000)],
        ),
        (
            "beep of a fax's pitch",
            &[step(0.0, 2000), step(1100.0, 500), step(0.0, 9000)],
        ),
        (
            "melody",
            &[
                step(392.0, 250),
                step(440.0, 250),
                step(494.0, 500),
                step(0.0, 250),
            ],
        ),
        (
            "uneven",
            &[
                step(425.0, 300),
                step(0.0, 700),
                step(425.0, 650),
                step(0.0, 150),
                step(425.0, 120),
                step(0.0, 1300),
            ],
        ),
    ];
    for plan in COUNTRIES.iter().chain([&ANYWHERE]) {
        for (name, steps) in rows {
            let tone = sounding(8000, Player::new(8000, steps), 9000);
            let all = heard(8000, plan, &tone);
            assert!(all.is_empty(), "{name}, {}: {all:?}", plan.code);
        }
    }
    let keys: String = "147*2580369#ABCD".repeat(3);
    let mut tone = Vec::new();
    for key in keys.chars() {
        let mut generator = crate::dtmf::Generator::new(
            8000,
            crate::dtmf::Key::from_char(key).unwrap(),
            -9.0,
            -7.0,
        );
        let mut part = std::vec![0; 4000];
        generator.fill(&mut part);
        tone.extend(part);
        tone.extend(std::vec![0; 4000]);
    }
    assert!(heard(8000, &ANYWHERE, &tone).is_empty());
}
