//! Noise, dial tone, echo, harmonics, hum and clipping.

use core::f64::consts::TAU;
use std::format;

use super::Report;
use super::line::{RATE, peak};

pub(super) fn disturbances(report: &mut Report) {
    let sum = -10.0 + 3.01;
    for (seed, source, snr) in [
        (51, "Bellcore", 23.0),
        (52, "AT&T, Bellcore", 15.0),
        (53, "ours", 10.0),
    ] {
        let mut line = report.keys(seed, 50.0, 50.0, |_, _| ());
        line.noise(sum - snr);
        report.all(
            source,
            &format!("white noise {snr} dB below"),
            line.result(),
        );
    }
    let mut line = report.keys(54, 42.0, 60.0, |_, one| one.dbm0 = [-20.0; 2]);
    line.noise(-20.0 + 3.01 - 18.0);
    report.all(
        "ours",
        "42 ms at -20 dBm0 in noise 18 dB below",
        line.result(),
    );
    for (seed, tones, name) in [
        (55, [350.0, 440.0], "350 + 440 Hz"),
        (56, [425.0, 425.0], "425 Hz"),
    ] {
        for db in [0.0, 8.0] {
            let mut line = report.keys(seed, 60.0, 100.0, |_, one| one.dbm0 = [-13.0; 2]);
            let each = peak(-13.0 + db) / if tones[0] == tones[1] { 2.0 } else { 1.0 };
            line.add(|n, _| {
                tones
                    .iter()
                    .map(|hz| each * (TAU * hz * n as f64 / RATE).sin())
                    .sum()
            });
            report.all(
                if db == 0.0 { "EIA/TIA-464" } else { "ours" },
                &format!("dial tone {name}, {db} dB above a tone"),
                line.result(),
            );
        }
    }
    for (seed, ms) in [(57, 5), (58, 10), (59, 15), (60, 20)] {
        let mut line = report.keys(seed, 50.0, 50.0, |_, _| ());
        let direct = line.audio.clone();
        line.add(|n, _| {
            n.checked_sub(ms * 8)
                .map_or(0.0, |n| direct[n] * 10f64.powf(-0.5))
        });
        report.all(
            "Q.24 AT&T",
            &format!("echo of {ms} ms, 10 dB down"),
            line.result(),
        );
    }
    abuses(report);
}

fn abuses(report: &mut Report) {
    let line = report.keys(61, 50.0, 120.0, |_, one| one.harmonic_db = -20.0);
    report.all("Q.23", "harmonics 20 dB down accepted", line.result());
    let quiet =
        |report: &Report, seed| report.keys(seed, 50.0, 120.0, |_, one| one.dbm0 = [-20.0; 2]);
    let mut line = quiet(report, 62);
    line.add(|_, _| 1500.0);
    report.all("ours", "direct current of 1500", line.result());
    for (seed, hz) in [(63, 50.0), (64, 60.0)] {
        let mut line = quiet(report, seed);
        line.add(|n, _| {
            (1..=3)
                .map(|k| {
                    peak(-14.0 - 6.0 * f64::from(k))
                        * (TAU * hz * f64::from(k) * n as f64 / RATE).sin()
                })
                .sum()
        });
        report.all(
            "ours",
            &format!("hum of {hz} Hz as strong as a tone"),
            line.result(),
        );
    }
    let mut line = report.keys(65, 50.0, 120.0, |_, one| one.dbm0 = [-7.0; 2]);
    let limit = peak(-7.0);
    for sample in &mut line.audio {
        *sample = sample.clamp(-limit, limit);
    }
    report.all("ours", "clipped at half of the peak", line.result());
}
