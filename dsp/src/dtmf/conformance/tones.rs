//! Frequencies, levels, twist and times.

use std::format;

use super::Report;
use super::line::{Line, Press, press};
use crate::dtmf::Key;

/// All sign combinations of a deviation by `relative` and `hz`, but none of either.
pub(super) fn detuned(report: &Report, seed: u64, ms: f64, relative: f64, hz: f64) -> Line {
    let mut line = Line::new(seed);
    for _ in 0..report.repeats.div_ceil(2) {
        for key in Key::ALL {
            let (low, high) = key.frequencies();
            for signs in (0..9).filter(|signs| *signs != 4) {
                let sign = [f64::from(signs / 3 - 1), f64::from(signs % 3 - 1)];
                let mut one = press(key, ms);
                one.dbm0 = [-12.0; 2];
                one.detune = [
                    sign[0] * (relative + hz / f64::from(low)),
                    sign[1] * (relative + hz / f64::from(high)),
                ];
                line.press(one, 130.0);
            }
        }
    }
    line
}

pub(super) fn frequency(report: &mut Report) {
    let accepted = detuned(report, 1, 50.0, 0.015, 2.0).result();
    report.all(
        "Q.24 Denmark, ES 201 235-3",
        "1.5 % + 2 Hz off accepted",
        accepted,
    );
    let accepted = detuned(report, 2, 50.0, 0.018, 0.0).result();
    report.all("Q.24 NTT, Brazil", "1.8 % off accepted", accepted);
    for (seed, source, percent, ms) in [
        (3, "Q.24 NTT, Brazil", 3.0, 50.0),
        (4, "Q.24 AT&T", 3.5, 50.0),
        (5, "Q.24 AT&T", 3.5, 500.0),
    ] {
        let refused = detuned(report, seed, ms, percent / 100.0, 0.0).result();
        report.none(
            source,
            &format!("{percent} % off refused, tones of {ms} ms"),
            refused,
        );
    }
}

pub(super) fn levels(report: &mut Report) {
    let at = |report: &Report, seed, low: f64, high: f64| {
        let line = report.keys(seed, 50.0, 120.0, |_, one| one.dbm0 = [low, high]);
        line.result()
    };
    for (seed, source, limit, low, high) in [
        (
            11,
            "Q.24 AT&T",
            "normal twist of 8 dB accepted",
            -6.0,
            -14.0,
        ),
        (
            12,
            "Q.24 AT&T",
            "reverse twist of 4 dB accepted",
            -10.0,
            -6.0,
        ),
        (
            13,
            "Q.24 Denmark, ES 201 235-3",
            "reverse twist of 6 dB accepted",
            -12.0,
            -6.0,
        ),
        (14, "Q.24 AT&T", "0 dBm0 in each tone accepted", 0.0, 0.0),
        (15, "Q.24 AT&T", "-25 dBm0 accepted", -25.0, -25.0),
        (
            16,
            "Q.24 Australia, Denmark",
            "-27 dBm0 accepted",
            -27.0,
            -27.0,
        ),
        (17, "ours", "-36 dBm0 accepted", -36.0, -36.0),
    ] {
        let tally = at(report, seed, low, high);
        report.all(source, limit, tally);
    }
    let weak = at(report, 18, -55.0, -55.0);
    report.none("Q.24 AT&T", "-55 dBm0 refused", weak);
    let weak = at(report, 19, -46.0, -46.0);
    report.none("ours", "-46 dBm0 refused", weak);
    corners(report);
}

fn corners(report: &mut Report) {
    let mut line = Line::new(20);
    let corners = [
        [-3.0, -11.0],
        [-17.0, -25.0],
        [-7.0, -3.0],
        [-25.0, -21.0],
        [-25.0, -25.0],
        [-3.0, -3.0],
    ];
    for _ in 0..report.repeats.div_ceil(4) {
        for key in Key::ALL {
            for dbm0 in corners {
                for signs in 0..4 {
                    let sign = |bit: i32| if signs >> bit & 1 == 0 { -0.015 } else { 0.015 };
                    let detune = [sign(0), sign(1)];
                    line.press(
                        Press {
                            dbm0,
                            detune,
                            ..press(key, 40.0)
                        },
                        130.0,
                    );
                }
            }
        }
    }
    report.all(
        "Q.24 AT&T",
        "40 ms, 1.5 %, twist and level limits at once",
        line.result(),
    );
}

pub(super) fn timing(report: &mut Report) {
    for (seed, ms) in [(31, 40.0), (32, 38.0)] {
        let tally = report.keys(seed, ms, 150.0, |_, _| ()).result();
        report.all(
            if ms == 40.0 { "Q.24" } else { "ours" },
            &format!("tones of {ms} ms accepted"),
            tally,
        );
    }
    for (seed, source, ms) in [
        (33, "Q.24 AT&T", 23.0),
        (34, "ES 201 235-3", 20.0),
        (35, "Q.24 AT&T", 15.0),
    ] {
        let tally = report.keys(seed, ms, 150.0, |_, _| ()).result();
        report.none(source, &format!("tones of {ms} ms refused"), tally);
    }
    for (seed, source, on, off) in [
        (36, "Q.24 AT&T", 46.5, 46.5),
        (37, "Q.24", 40.0, 40.0),
        (38, "Q.24 AT&T", 50.0, 50.0),
        (39, "Q.24 NTT, Brazil", 45.0, 30.0),
        (40, "ours", 65.0, 0.0),
    ] {
        let mut line = Line::new(seed);
        let mut last = 0;
        for _ in 0..report.repeats * 60 {
            let repeat = off > 0.0 && line.random.unit() < 0.25;
            last = if repeat {
                last
            } else {
                (last + 1 + (line.random.unit() * 15.0) as usize) % 16
            };
            let samples = press(Key::ALL[last], on).samples(&mut line.random);
            line.put(Key::ALL[last], &samples);
            line.pause(off);
        }
        report.all(
            source,
            &format!("a stream of {on} ms on and {off} ms off"),
            line.result(),
        );
    }
    interruptions(report);
}

fn interruptions(report: &mut Report) {
    for (seed, source, ms) in [
        (41, "Q.24 AT&T, NTT", 10),
        (42, "Q.24 Australia", 12),
        (43, "Q.24 Denmark, ES 201 235-3", 20),
    ] {
        let mut line = Line::new(seed);
        for index in 0..report.repeats * 32 {
            let key = Key::ALL[index % 16];
            let mut samples = press(key, 90.0).samples(&mut line.random);
            let from = 200 + (line.random.unit() * f64::from((65 - ms - 25) * 8)) as usize;
            samples[from..from + ms as usize * 8].fill(0.0);
            line.put(key, &samples);
            line.pause(200.0 + (index % 27) as f64);
        }
        report.all(
            source,
            &format!("90 ms cut by {ms} ms is one key"),
            line.result(),
        );
    }
    let mut line = Line::new(44);
    for index in 0..report.repeats * 16 {
        let key = Key::ALL[index % 16];
        let mut samples = press(key, 40.0).samples(&mut line.random);
        samples.extend(press(key, 40.0).samples(&mut line.random));
        line.put(key, &samples);
        line.pause(200.0 + (index % 27) as f64);
    }
    report.all(
        "ours",
        "a jump of phase inside a tone is one key",
        line.result(),
    );
}
