//! The DTMF receiver beside spandsp's in one run: CPU per frame of 20 ms on silence, speech-like noise and keys, by turns.
//!
//! spandsp is never linked: a small program in C is compiled here, timed by itself and run as a process of its own. Without a C compiler or
//! libspandsp-dev only ours is measured, and that is said.
#![allow(
    clippy::print_stdout,
    reason = "the output is the purpose of this program"
)]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, hint::black_box, time::Instant};

use trunkline_dsp::dtmf::{Detector, Generator, Key, Profile};

const RATE_HZ: u32 = 8000;
const FRAME: usize = 160;
/// Frames of a turn: a minute of audio.
const FRAMES: usize = 3000;
/// Turns; the best of each counts.
const TURNS: usize = 7;

const PROBE: &str = r#"
#include <spandsp.h>
#include <time.h>
static int16_t samples[160 * 3000];
static void heard(void *user, const char *digits, int count) { (void) user; (void) digits; (void) count; }
int main(void) {
    struct timespec from, to;
    dtmf_rx_state_t *receiver = dtmf_rx_init(NULL, heard, NULL);
    size_t frames = fread(samples, 320, 3000, stdin), frame;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    for (frame = 0; frame < frames; frame++) dtmf_rx(receiver, samples + 160 * frame, 160);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    printf("%.1f\n", ((to.tv_sec - from.tv_sec) * 1e9 + (to.tv_nsec - from.tv_nsec)) / (double) frames);
    return 0;
}
"#;

fn main() {
    // Tests of this target have nothing to run.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let folder = std::env::temp_dir().join(format!("trunkline-dtmf-beside-{}", std::process::id()));
    let probe = fs::create_dir_all(&folder)
        .ok()
        .and_then(|()| spandsp(&folder));
    if probe.is_none() {
        println!("spandsp: not measured (needs cc and libspandsp-dev)");
    }
    for (name, samples) in [("silence", silence()), ("noise", noise()), ("keys", keys())] {
        let (mut ours, mut theirs) = (f64::MAX, f64::MAX);
        for _ in 0..TURNS {
            ours = ours.min(of_ours(&samples));
            if let Some(nanoseconds) = probe.as_deref().and_then(|probe| of(probe, &samples)) {
                theirs = theirs.min(nanoseconds);
            }
        }
        let beside = match probe {
            Some(_) => format!(", spandsp {theirs:.0} ns: {:.2} of it", ours / theirs),
            None => String::new(),
        };
        println!("DTMF receiver, 20 ms of {name}: ours {ours:.0} ns{beside}");
    }
    let _ = fs::remove_dir_all(&folder);
}

/// Compiles the probe.
fn spandsp(folder: &Path) -> Option<PathBuf> {
    let (source, program) = (folder.join("probe.c"), folder.join("probe"));
    fs::write(&source, PROBE).ok()?;
    let compiled = Command::new("cc")
        .args([Path::new("-O2"), &source, Path::new("-o"), &program])
        .args(["-lspandsp", "-lm"])
        .stderr(Stdio::null())
        .status()
        .ok()?;
    compiled.success().then_some(program)
}

/// CPU time per frame in ns, as the probe says.
fn of(probe: &Path, samples: &[i16]) -> Option<f64> {
    let mut child = Command::new(probe)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let octets: Vec<u8> = samples.iter().flat_map(|of| of.to_le_bytes()).collect();
    child.stdin.take()?.write_all(&octets).ok()?;
    let output = child.wait_with_output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

fn of_ours(samples: &[i16]) -> f64 {
    let mut detector = Detector::new(RATE_HZ, Profile::TELEPHONE);
    let started = Instant::now();
    for frame in samples.chunks(FRAME) {
        detector.process(black_box(frame), |event| _ = black_box(event));
    }
    started.elapsed().as_nanos() as f64 / FRAMES as f64
}

fn silence() -> Vec<i16> {
    vec![0; FRAME * FRAMES]
}

fn noise() -> Vec<i16> {
    let mut state = 1u32;
    (0..FRAME * FRAMES)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 18) as i16 - 8192
        })
        .collect()
}

/// Keys of 100 ms and pauses as long.
fn keys() -> Vec<i16> {
    let mut samples = silence();
    for (n, press) in samples.chunks_mut(FRAME * 10).enumerate() {
        let length = press.len().min(FRAME * 5);
        Generator::new(RATE_HZ, Key::ALL[n % 16], -10.0, -8.0).fill(&mut press[..length]);
    }
    samples
}
