//! Runs the DTMF receiver over a file of raw 8 kHz, 16-bit, little-endian samples.
//!
//! Prints one line per key: `key start_ms end_ms reported_ms`, where `reported_ms` is how much audio had been taken
//! when the key was announced. `dtmf-detect FILE [--time]`; `--time` adds the cost per 20 ms frame on standard error.
#![allow(
    clippy::print_stdout,
    reason = "the output is the purpose of this program"
)]

use std::{fs, io, process::ExitCode, time::Instant};
use trunkline_dsp::dtmf::{Detector, Event, Profile};

const RATE_HZ: u32 = 8000;
const FRAME: usize = 160;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(path) = arguments.next() else {
        eprintln!("usage: dtmf-detect FILE [--time]");
        return ExitCode::from(2);
    };
    match samples_of(&path) {
        Ok(samples) => {
            let started = Instant::now();
            detect(&samples);
            if arguments.any(|argument| argument == "--time") {
                let frames = samples.len().div_ceil(FRAME).max(1);
                eprintln!(
                    "{} ns per frame of {FRAME}",
                    started.elapsed().as_nanos() / frames as u128
                );
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("dtmf-detect: cannot read {path}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn samples_of(path: &str) -> io::Result<Vec<i16>> {
    let bytes = fs::read(path)?;
    let (pairs, _) = bytes.as_chunks::<2>();
    Ok(pairs.iter().map(|pair| i16::from_le_bytes(*pair)).collect())
}

fn detect(samples: &[i16]) {
    let mut detector = Detector::new(RATE_HZ, Profile::TELEPHONE);
    let mut begun = (0, 0);
    let mut taken = 0;
    // The silence behind the file lets the last key end.
    for frame in samples.chunks(FRAME).chain([[0; 800].as_slice()]) {
        taken += frame.len() as u64;
        detector.process(frame, |event| match event {
            Event::Begin { at_sample, .. } => begun = (at_sample, taken),
            Event::End { key, at_sample, .. } => {
                println!(
                    "{key} {} {} {}",
                    milliseconds(begun.0),
                    milliseconds(at_sample),
                    milliseconds(begun.1)
                );
            }
        });
    }
}

fn milliseconds(samples: u64) -> f64 {
    samples as f64 * 1000.0 / f64::from(RATE_HZ)
}
