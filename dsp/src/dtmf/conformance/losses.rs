//! Lost packets, and what is no key.

use std::{format, vec, vec::Vec};

use super::Report;
use super::line::{Line, Tally, heard, peak, press, sines};
use crate::dtmf::{Key, Profile};
use crate::test_signals::{Random, speech};

/// Lost packets of 20 ms, filled with silence; told to the receiver or not.
pub(super) fn losses(report: &mut Report) {
    for (seed, ms, percent, told, least) in [
        (71, 100.0, 5.0, false, 0.995),
        (72, 60.0, 5.0, false, 0.96),
        (73, 60.0, 10.0, false, 0.92),
        (74, 100.0, 5.0, true, 0.995),
        (75, 60.0, 5.0, true, 0.96),
        (76, 60.0, 10.0, true, 0.92),
    ] {
        let mut line = Line::new(seed);
        for index in 0..report.repeats * 160 {
            line.press(press(Key::ALL[index % 16], ms), ms);
        }
        let mut samples = line.coded();
        let mut random = Random::new(seed + 100);
        let lost: Vec<bool> = samples
            .chunks(160)
            .map(|_| random.unit() * 100.0 < percent)
            .collect();
        for (packet, lost) in samples.chunks_mut(160).zip(&lost) {
            if *lost {
                packet.fill(0);
            }
        }
        let tally = Tally::of(
            &line.sent,
            &heard(Profile::TELEPHONE, &samples, 160, |index| {
                told && lost[index]
            }),
        );
        let how = if told { "told" } else { "not told" };
        let share = tally.hit as f64 / tally.sent as f64;
        // One key may be beyond rescue, two packets in a row.
        let pass = share >= least && tally.doubled * 200 <= tally.sent && tally.strays == 0;
        report.line(
            "ours",
            &format!(
                "{ms} ms keys, {percent} % of packets lost ({how}): {:.1} % heard, none doubled",
                least * 100.0
            ),
            &tally.text(),
            pass,
        );
    }
}

fn silence_about(report: &mut Report, source: &str, limit: &str, audio: Vec<f64>, most: usize) {
    let mut line = Line::new(0);
    line.audio = audio;
    let strays = line.result().strays;
    report.line(source, limit, &format!("{strays} keys"), strays <= most);
}

pub(super) fn what_is_no_key(report: &mut Report) {
    let minutes = report.repeats as f64 / 2.0;
    let mut random = Random::new(81);
    let mut signals = Vec::new();
    let singles = [
        697.0, 770.0, 852.0, 941.0, 1209.0, 1336.0, 1477.0, 1633.0, 350.0, 425.0, 1100.0, 2100.0,
        1004.0, 2600.0,
    ];
    let pairs = [
        [350.0, 440.0],
        [440.0, 480.0],
        [480.0, 620.0],
        [697.0, 770.0],
        [852.0, 941.0],
        [1209.0, 1336.0],
        [1477.0, 1633.0],
        [700.0, 900.0],
        [900.0, 1100.0],
        [1100.0, 1300.0],
        [1300.0, 1500.0],
        [1500.0, 1700.0],
        [1380.0, 1500.0],
        [540.0, 1140.0],
    ];
    for dbm0 in [-6.0, -12.0, -20.0] {
        let each = peak(dbm0);
        for hz in singles {
            signals.extend(sines(&mut random, 400.0, &[(hz, each)]));
            signals.extend(vec![0.0; 1600]);
        }
        for [one, two] in pairs {
            signals.extend(sines(&mut random, 300.0, &[(one, each), (two, each)]));
            signals.extend(vec![0.0; 1600]);
        }
        for row in [697.0, 770.0, 852.0, 941.0] {
            for column in [1209.0, 1336.0, 1477.0] {
                signals.extend(sines(
                    &mut random,
                    300.0,
                    &[(row, each), (column, each), (column * 1.105, each)],
                ));
                signals.extend(vec![0.0; 1600]);
            }
        }
    }
    silence_about(
        report,
        "ours",
        "no key in single tones, wrong pairs, third tones, call progress",
        signals,
        0,
    );
    let noise = (0..(minutes * 480_000.0) as usize)
        .map(|_| random.normal() * 4000.0)
        .collect();
    silence_about(report, "ours", "no key in white noise", noise, 0);
    // Two harmonics of a made-up voice come nearer to a key, and for longer, than those of a living one.
    let voices = (0..report.repeats as u64)
        .flat_map(|seed| speech(seed, 60.0))
        .map(f64::from)
        .collect();
    silence_about(
        report,
        "ours",
        "at most one key a minute in two in made-up voices",
        voices,
        report.repeats.div_ceil(2),
    );
}
