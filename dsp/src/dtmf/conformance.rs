//! The conformance rig: one line per requirement with its source, its limit and what the receiver does.
//!
//! Own synthesis, seeded, no outside files. `make dtmf` runs it in full in a release build, `make test` in short. The tables of
//! `docs/dtmf.md` are its output.

use core::f64::consts::TAU;
use std::{env, eprintln, format, println, string::String, vec, vec::Vec};

use super::{Detector, Event, Key, Profile};
use crate::{
    g711, level,
    test_signals::{Random, speech},
};

const RATE: f64 = 8000.0;
/// Two full sweeps of alignments and phases; the short form has a quarter.
const FULL: usize = 8;
const SHORT: usize = 2;

/// A key with everything that may be wrong about it.
#[derive(Clone, Copy)]
struct Press {
    key: Key,
    ms: f64,
    dbm0: [f64; 2],
    detune: [f64; 2],
    /// Level of the second harmonic of either tone relative to it.
    harmonic_db: f64,
}

fn press(key: Key, ms: f64) -> Press {
    Press {
        key,
        ms,
        dbm0: [-10.0; 2],
        detune: [0.0; 2],
        harmonic_db: -200.0,
    }
}

fn peak(dbm0: f64) -> f64 {
    f64::from(level::sine_peak(dbm0 as f32))
}

fn sines(random: &mut Random, ms: f64, tones: &[(f64, f64)]) -> Vec<f64> {
    let phases: Vec<f64> = tones.iter().map(|_| random.unit()).collect();
    let count = (ms * RATE / 1000.0).round() as usize;
    (0..count)
        .map(|n| {
            let each = tones.iter().zip(&phases);
            each.map(|((hz, peak), phase)| peak * (TAU * (hz * n as f64 / RATE + phase)).sin())
                .sum()
        })
        .collect()
}

impl Press {
    fn samples(self, random: &mut Random) -> Vec<f64> {
        let (low, high) = self.key.frequencies();
        let mut tones = Vec::new();
        for (tone, hz) in [low, high].into_iter().enumerate() {
            let hz = f64::from(hz) * (1.0 + self.detune[tone]);
            tones.push((hz, peak(self.dbm0[tone])));
            tones.push((2.0 * hz, peak(self.dbm0[tone] + self.harmonic_db)));
        }
        sines(random, self.ms, &tones)
    }
}

/// A line of audio and the keys that are in it: from and until which sample.
struct Line {
    random: Random,
    audio: Vec<f64>,
    sent: Vec<(Key, usize, usize)>,
}

impl Line {
    fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            audio: vec![0.0; 2400],
            sent: Vec::new(),
        }
    }

    fn pause(&mut self, ms: f64) {
        let count = (ms * 8.0).round() as usize;
        self.audio.extend(vec![0.0; count]);
    }

    fn put(&mut self, key: Key, samples: &[f64]) {
        let start = self.audio.len();
        self.audio.extend_from_slice(samples);
        self.sent.push((key, start, self.audio.len()));
    }

    /// A press, a pause, and up to 27 ms more so that no two fall alike into hops and frames.
    fn press(&mut self, press: Press, pause_ms: f64) {
        let samples = press.samples(&mut self.random);
        self.put(press.key, &samples);
        self.pause(pause_ms);
        let more = (self.random.unit() * 220.0) as usize;
        self.audio.extend(vec![0.0; more]);
    }

    fn add(&mut self, other: impl Fn(usize, &mut Random) -> f64) {
        for (index, sample) in self.audio.iter_mut().enumerate() {
            *sample += other(index, &mut self.random);
        }
    }

    fn noise(&mut self, dbm0: f64) {
        let rms = peak(dbm0) / 2f64.sqrt();
        self.add(|_, random| random.normal() * rms);
    }

    fn coded(&self) -> Vec<i16> {
        let tail = [0.0; 3200];
        self.audio
            .iter()
            .chain(&tail)
            .map(|sample| g711::ulaw_decode(g711::ulaw_encode(sample.round() as i16)))
            .collect()
    }

    fn result(&self) -> Tally {
        Tally::of(&self.sent, &heard(&self.coded(), 160, |_| false))
    }
}

/// Begin and end of what was heard, in samples.
fn heard(samples: &[i16], frame: usize, concealed: impl Fn(usize) -> bool) -> Vec<(Key, u64, u64)> {
    let mut detector = Detector::new(RATE as u32, Profile::TELEPHONE);
    let mut out = Vec::new();
    let mut on = |event| match event {
        Event::Begin { key, at_sample, .. } => out.push((key, at_sample, at_sample)),
        Event::End { at_sample, .. } => {
            if let Some(last) = out.last_mut() {
                last.2 = at_sample;
            }
        }
    };
    for (index, frame) in samples.chunks(frame).enumerate() {
        if concealed(index) {
            detector.process_concealed(frame, &mut on);
        } else {
            detector.process(frame, &mut on);
        }
    }
    out
}

#[derive(Clone, Copy, Default)]
struct Tally {
    sent: usize,
    hit: usize,
    doubled: usize,
    strays: usize,
}

impl Tally {
    /// A report of the right key from 30 ms before to 60 ms behind a press is a hit, a second one doubles it.
    fn of(sent: &[(Key, usize, usize)], heard: &[(Key, u64, u64)]) -> Self {
        let mut counts = vec![0usize; sent.len()];
        let mut strays = 0;
        for (key, from, until) in heard {
            let fits = |(at, (sent, start, end)): (usize, &(Key, usize, usize))| {
                let near = *until + 240 >= *start as u64 && *from <= *end as u64 + 480;
                (sent == key && near).then(|| (start.abs_diff(*from as usize), at))
            };
            match sent.iter().enumerate().filter_map(fits).min() {
                Some((_, at)) => counts[at] += 1,
                None => strays += 1,
            }
        }
        Self {
            sent: sent.len(),
            hit: counts.iter().filter(|count| **count > 0).count(),
            doubled: counts.iter().map(|count| count.saturating_sub(1)).sum(),
            strays,
        }
    }

    fn all(self) -> bool {
        self.hit == self.sent && self.doubled == 0 && self.strays == 0
    }

    fn text(self) -> String {
        let Self {
            sent,
            hit,
            doubled,
            strays,
        } = self;
        format!("{hit} of {sent}, {doubled} doubled, {strays} strays")
    }
}

/// The report.
struct Report {
    repeats: usize,
    lines: usize,
    failed: Vec<String>,
}

impl Report {
    fn line(&mut self, source: &str, limit: &str, ours: &str, pass: bool) {
        self.lines += 1;
        let verdict = if pass { "yes" } else { "**no**" };
        println!("| {source} | {limit} | {ours} | {verdict} |");
        if !pass {
            self.failed.push(format!("{limit}: {ours}"));
        }
    }

    fn all(&mut self, source: &str, limit: &str, tally: Tally) {
        self.line(source, limit, &tally.text(), tally.all());
    }

    fn none(&mut self, source: &str, limit: &str, tally: Tally) {
        let accepted = tally.hit + tally.strays;
        let ours = format!("{accepted} of {}", tally.sent);
        self.line(source, limit, &ours, accepted == 0);
    }

    /// Every key as often as the form of the rig says, each changed by `change`.
    fn keys(&self, seed: u64, ms: f64, pause_ms: f64, change: impl Fn(usize, &mut Press)) -> Line {
        let mut line = Line::new(seed);
        for index in 0..self.repeats * 16 {
            let mut one = press(Key::ALL[index % 16], ms);
            change(index / 16, &mut one);
            line.press(one, pause_ms);
        }
        line
    }
}

/// All sign combinations of a deviation by `relative` and `hz`, but none of either.
fn detuned(report: &Report, seed: u64, ms: f64, relative: f64, hz: f64) -> Tally {
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
    line.result()
}

fn frequency(report: &mut Report) {
    let accepted = detuned(report, 1, 50.0, 0.015, 2.0);
    report.all(
        "Q.24 Denmark, ES 201 235-3",
        "1.5 % + 2 Hz off accepted",
        accepted,
    );
    let accepted = detuned(report, 2, 50.0, 0.018, 0.0);
    report.all("Q.24 NTT, Brazil", "1.8 % off accepted", accepted);
    for (seed, source, percent, ms) in [
        (3, "Q.24 NTT, Brazil", 3.0, 50.0),
        (4, "Q.24 AT&T", 3.5, 50.0),
        (5, "Q.24 AT&T", 3.5, 500.0),
    ] {
        let refused = detuned(report, seed, ms, percent / 100.0, 0.0);
        report.none(
            source,
            &format!("{percent} % off refused, tones of {ms} ms"),
            refused,
        );
    }
}

fn levels(report: &mut Report) {
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

fn timing(report: &mut Report) {
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

fn disturbances(report: &mut Report) {
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

/// Lost packets of 20 ms, filled with silence; told to the receiver or not.
fn losses(report: &mut Report) {
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
            &heard(&samples, 160, |index| told && lost[index]),
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

fn what_is_no_key(report: &mut Report) {
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

fn run(repeats: usize) -> Report {
    let mut report = Report {
        repeats,
        lines: 0,
        failed: Vec::new(),
    };
    println!("| source | limit | ours | pass |\n|---|---|---|---|");
    frequency(&mut report);
    levels(&mut report);
    timing(&mut report);
    disturbances(&mut report);
    losses(&mut report);
    what_is_no_key(&mut report);
    println!(
        "\n{} of {} limits met",
        report.lines - report.failed.len(),
        report.lines
    );
    report
}

/// `TRUNKLINE_DTMF=full` (what `make dtmf` sets) repeats everything four times as often.
#[test]
fn every_limit_is_met() {
    let full = env::var("TRUNKLINE_DTMF").is_ok_and(|form| form == "full");
    let report = run(if full { FULL } else { SHORT });
    for line in &report.failed {
        eprintln!("not met: {line}");
    }
    assert!(
        report.failed.is_empty(),
        "{} limits are not met",
        report.failed.len()
    );
}
