//! The other profiles, each against the limits of its administration, and the two that are ends of one scale.

use std::format;

use super::Report;
use super::line::{Line, press};
use super::tones::detuned;
use crate::dtmf::{Key, Profile};

/// What an administration asks for (ITU-T Q.24): accepted and refused deviation in per cent and Hz, normal and reverse twist in dB,
/// accepted and refused level in dBm0, the pause in ms between tones of 40 ms, and the cut in ms to ride over.
struct Limits {
    name: &'static str,
    source: &'static str,
    accepted: (f64, f64),
    refused: f64,
    twist: (f64, f64),
    weakest: f64,
    too_weak: f64,
    pause_ms: f64,
    cut_ms: usize,
}

const ADMINISTRATIONS: [Limits; 3] = [
    Limits {
        name: "ntt",
        source: "Q.24 NTT",
        accepted: (1.8, 0.0),
        refused: 3.0,
        twist: (5.0, 5.0),
        weakest: -24.0,
        too_weak: -29.0,
        pause_ms: 30.0,
        cut_ms: 10,
    },
    Limits {
        name: "australia",
        source: "Q.24 Australia",
        accepted: (1.5, 4.0),
        refused: 7.0,
        twist: (10.0, 10.0),
        weakest: -27.0,
        too_weak: -30.0,
        pause_ms: 70.0,
        cut_ms: 12,
    },
    Limits {
        name: "brazil",
        source: "Q.24 Brazil",
        accepted: (1.8, 0.0),
        refused: 3.0,
        twist: (9.0, 9.0),
        weakest: -25.0,
        too_weak: -50.0,
        pause_ms: 30.0,
        cut_ms: 10,
    },
];

pub(super) fn profiles(report: &mut Report) {
    for limits in &ADMINISTRATIONS {
        administration(report, limits);
    }
    relaxed_and_strict(report);
}

fn named(name: &str) -> Profile {
    let found = Profile::NAMED.iter().find(|(known, _)| *known == name);
    found.expect("a profile of that name").1
}

fn administration(report: &mut Report, limits: &Limits) {
    let (profile, name, source) = (named(limits.name), limits.name, limits.source);
    let (percent, hz) = limits.accepted;
    let line = detuned(report, 101, 50.0, percent / 100.0, hz);
    let limit = format!("{name}: {percent} % + {hz} Hz off accepted");
    report.all(source, &limit, line.result_by(profile));
    let line = detuned(report, 102, 50.0, limits.refused / 100.0, 0.0);
    let limit = format!("{name}: {} % off refused", limits.refused);
    report.none(source, &limit, line.result_by(profile));
    let (normal, reverse) = limits.twist;
    for (seed, way, high) in [(103, "normal", -normal), (104, "reverse", reverse)] {
        let loud = -6.0 - high.max(0.0);
        let line = report.keys(seed, 50.0, 120.0, |_, one| one.dbm0 = [loud, loud + high]);
        let limit = format!("{name}: {way} twist of {} dB accepted", high.abs());
        report.all(source, &limit, line.result_by(profile));
    }
    let at = |report: &Report, seed, dbm0| {
        let line = report.keys(seed, 50.0, 120.0, |_, one| one.dbm0 = [dbm0; 2]);
        line.result_by(profile)
    };
    let tally = at(report, 105, limits.weakest);
    report.all(
        source,
        &format!("{name}: {} dBm0 accepted", limits.weakest),
        tally,
    );
    let tally = at(report, 106, limits.too_weak);
    report.none(
        source,
        &format!("{name}: {} dBm0 refused", limits.too_weak),
        tally,
    );
    let tally = report
        .keys(107, 40.0, limits.pause_ms, |_, _| ())
        .result_by(profile);
    let limit = format!("{name}: 40 ms on and {} ms off or more", limits.pause_ms);
    report.all(source, &limit, tally);
    let tally = report.keys(108, 20.0, 150.0, |_, _| ()).result_by(profile);
    report.none(source, &format!("{name}: tones of 20 ms refused"), tally);
    let tally = cut(report, limits.cut_ms).result_by(profile);
    let limit = format!("{name}: 90 ms cut by {} ms is one key", limits.cut_ms);
    report.all(source, &limit, tally);
}

/// Keys of 90 ms with a hole.
fn cut(report: &Report, ms: usize) -> Line {
    let mut line = Line::new(109);
    for index in 0..report.repeats * 16 {
        let key = Key::ALL[index % 16];
        let mut samples = press(key, 90.0).samples(&mut line.random);
        let from = 200 + (line.random.unit() * ((40 - ms) * 8) as f64) as usize;
        samples[from..from + ms * 8].fill(0.0);
        line.put(key, &samples);
        line.pause(200.0 + (index % 27) as f64);
    }
    line
}

/// What only the one hears, and what only the other refuses.
fn relaxed_and_strict(report: &mut Report) {
    let (relaxed, strict) = (Profile::RELAXED, Profile::STRICT);
    let twisted = |report: &Report, seed, by: f64| {
        let low = -10.0 - by.max(0.0);
        report.keys(seed, 50.0, 120.0, |_, one| one.dbm0 = [low, low + by])
    };
    let noisy = |report: &Report, seed, snr: f64| {
        let mut line = report.keys(seed, 60.0, 60.0, |_, _| ());
        line.noise(-10.0 + 3.01 - snr);
        line
    };
    for (seed, by) in [(111, -10.0), (112, 10.0)] {
        let limit = format!("relaxed: twist of {by} dB accepted");
        let tally = twisted(report, seed, by).result_by(relaxed);
        report.all("ours", &limit, tally);
    }
    let tally = noisy(report, 113, 8.0).result_by(relaxed);
    report.all("ours", "relaxed: white noise 8 dB below", tally);
    let tally = detuned(report, 114, 50.0, 0.022, 0.0).result_by(relaxed);
    report.all("ours", "relaxed: 2.2 % off accepted", tally);
    let tally = detuned(report, 115, 50.0, 0.035, 0.0).result_by(relaxed);
    report.none("Q.24 AT&T", "relaxed: 3.5 % off refused", tally);
    let tally = detuned(report, 116, 50.0, 0.015, 0.0).result_by(strict);
    report.all("Q.24 AT&T", "strict: 1.5 % off accepted", tally);
    let tally = detuned(report, 117, 50.0, 0.025, 0.0).result_by(strict);
    report.none("ours", "strict: 2.5 % off refused", tally);
    let tally = twisted(report, 118, -8.0).result_by(strict);
    report.all("Q.24 AT&T", "strict: normal twist of 8 dB accepted", tally);
    let tally = twisted(report, 119, 8.0).result_by(strict);
    report.none("ours", "strict: reverse twist of 8 dB refused", tally);
    let tally = noisy(report, 120, 15.0).result_by(strict);
    report.all("AT&T, Bellcore", "strict: white noise 15 dB below", tally);
}
