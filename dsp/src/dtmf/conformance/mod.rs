//! The conformance rig: one line per requirement with its source, its limit and what the receiver does.
//!
//! Own synthesis, seeded, no outside files. `make dtmf` runs it in full in a release build, `make test` in short. The tables of
//! `docs/dtmf.md` are its output.

mod disturbances;
mod line;
mod losses;
mod profiles;
mod tones;

use std::{env, eprintln, format, println, string::String, vec::Vec};

use super::Key;
use disturbances::disturbances;
use line::{Line, Press, Tally, press};
use losses::{losses, what_is_no_key};
use profiles::profiles;
use tones::{frequency, levels, timing};

/// Two full sweeps of alignments and phases; the short form has a quarter.
const FULL: usize = 8;
const SHORT: usize = 2;

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
    profiles(&mut report);
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
