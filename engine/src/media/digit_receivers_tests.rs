//! Digits as we send them, heard by the receivers of others: spandsp's, by a probe in C that is compiled here and run as a process of its
//! own, and multimon-ng. Both come with `make test` (scripts/setup); a machine without them fails here and says so.

use std::collections::VecDeque;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use trunkline_dsp::resample::Down2;

use super::codec::opus::OpusSettings;
use super::codec::{AudioRate, ClockRate, Decoder, Encoder, Encoding};
use super::digits::{DigitFrame, DigitSender};
use super::frame::Frame;
use super::playout::Playout;
use crate::rtp::packet::Header;

/// Patterns of loss, for G.711 with keys of two lengths and for Opus.
const SEEDS: u32 = 8;
const OPUS_SEEDS: u32 = 24;

const PROBE: &str = r#"
#include <spandsp.h>
static void heard(void *user, const char *digits, int count) { fwrite(digits, 1, count, stdout); }
int main(void) {
    int16_t samples[160];
    size_t count;
    dtmf_rx_state_t *receiver = dtmf_rx_init(NULL, heard, NULL);
    while ((count = fread(samples, 2, 160, stdin)) > 0) dtmf_rx(receiver, samples, (int) count);
    return 0;
}
"#;

/// What a process says to these samples.
fn said_by(command: &mut Command, samples: &[i16]) -> String {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("{command:?}: {error}; `scripts/setup test` installs what is missing")
        });
    let octets: Vec<u8> = samples.iter().flat_map(|of| of.to_le_bytes()).collect();
    let mut stdin = child.stdin.take().expect("it is piped");
    let writer = std::thread::spawn(move || stdin.write_all(&octets));
    let output = child.wait_with_output().expect("it ends");
    writer
        .join()
        .expect("no panic")
        .expect("it reads everything");
    String::from_utf8(output.stdout).expect("digits")
}

/// Compiles the probe; it goes with the folder.
fn spandsp(folder: &Path) -> PathBuf {
    let (source, program) = (folder.join("probe.c"), folder.join("probe"));
    std::fs::write(&source, PROBE).expect("write");
    let compiled = Command::new("cc")
        .args([&source, Path::new("-o"), &program])
        .args(["-lspandsp", "-lm"])
        .output()
        .expect("cc runs");
    let errors = String::from_utf8_lossy(&compiled.stderr);
    assert!(
        compiled.status.success(),
        "`scripts/setup test` installs libspandsp-dev:\n{errors}"
    );
    program
}

fn multimon(samples: &[i16]) -> String {
    let samples = at_22050(samples);
    let mut command = Command::new("multimon-ng");
    let said = said_by(
        command.args(["-q", "-t", "raw", "-a", "DTMF", "-"]),
        &samples,
    );
    let digits = said.lines().filter_map(|line| line.strip_prefix("DTMF: "));
    digits.collect()
}

/// Band-limited interpolation from 8 kHz.
fn at_22050(samples: &[i16]) -> Vec<i16> {
    const REACH: isize = 16;
    let length = samples.len() * 22_050 / 8000;
    let value = |n: usize| {
        let place = n as f64 * 8000.0 / 22_050.0;
        let middle = place as isize;
        let taps = middle - REACH + 1..=middle + REACH;
        let sum: f64 = taps
            .filter_map(|tap| {
                let sample = samples.get(usize::try_from(tap).ok()?)?;
                let away = place - tap as f64;
                let angle = std::f64::consts::PI * away;
                let sinc = if away == 0.0 {
                    1.0
                } else {
                    angle.sin() / angle
                };
                let window = 0.5 + 0.5 * (angle / REACH as f64).cos();
                Some(f64::from(*sample) * sinc * window)
            })
            .sum();
        sum.round() as i16
    };
    (0..length).map(value).collect()
}

/// What the far end hears at 8 kHz of digits sent in that codec, while every packet that `lost` names does not come.
fn sent(digits: &str, encoding: Encoding, tone_ms: u32, lost: impl Fn(u32) -> bool) -> Vec<i16> {
    let rate = encoding.audio();
    let mut sender = DigitSender::new(1, digits.into(), tone_ms, tone_ms);
    let opus = OpusSettings {
        fec: true,
        // What the far end reports by RTCP.
        expected_loss_percent: 3,
        ..OpusSettings::default()
    };
    let mut encoder = Encoder::new(encoding, opus).expect("an encoder");
    let mut on_the_way = VecDeque::new();
    let mut decoder = Decoder::new(encoding).expect("a decoder");
    let mut playout = Playout::new(encoding);
    let (mut heard, mut tail) = (Vec::new(), 50);
    let mut down = Down2::new();
    for n in 0u32.. {
        let mut frame = Frame::silence(rate);
        // A second of silence before and after.
        if n >= 50
            && sender.frame(ClockRate::HZ_8000, 0, false, rate, &mut frame) == DigitFrame::Done
        {
            frame.silence_at(rate);
            tail -= 1;
        }
        if tail == 0 {
            break;
        }
        let now_us = u64::from(n) * 20_000;
        let mut payload = [0; 1400];
        let octets = encoder.encode(frame.samples(), &mut payload);
        let header = Header {
            marker: n == 0,
            payload_type: 0,
            sequence: n as u16,
            timestamp: n * encoding.clock().samples_in_ms(20),
            ssrc: 1,
        };
        if octets > 0 && !lost(n) {
            // Up to 25 ms late, in their order.
            let late_us = u64::from(n.wrapping_mul(2_654_435_761) >> 8) % 25_000;
            on_the_way.push_back((now_us + late_us, header, payload[..octets].to_vec()));
        }
        while let Some((us, header, payload)) =
            on_the_way.pop_front_if(|(us, ..)| *us <= now_us + 10_000)
        {
            playout.insert_lending(us, &header, &payload);
        }
        let mut out = Frame::silence(rate);
        playout.pull_lending(now_us + 10_000, &mut decoder, &mut out);
        match rate {
            AudioRate::Narrow => heard.extend_from_slice(out.samples()),
            AudioRate::Wide => {
                let mut narrow = [0; 160];
                down.process(out.samples(), &mut narrow);
                heard.extend_from_slice(&narrow);
            }
        }
    }
    heard
}

#[test]
fn other_receivers_hear_exactly_the_digits_that_were_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    let probe = spandsp(folder.path());
    let digits = "0123456789*#ABCD1122##5";
    let none = |_| false;
    let mut roads: Vec<(String, Vec<i16>)> = Vec::new();
    for encoding in [
        Encoding::Pcmu,
        Encoding::Pcma,
        Encoding::G722,
        Encoding::Opus,
    ] {
        for tone_ms in [60, 100] {
            let name = format!("{encoding:?}, {tone_ms} ms");
            roads.push((name, sent(digits, encoding, tone_ms, none)));
        }
    }
    let mut wrong = Vec::new();
    for (name, heard) in roads {
        let spandsp = said_by(&mut Command::new(&probe), &heard);
        let multimon = multimon(&heard);
        if (spandsp.as_str(), multimon.as_str()) != (digits, digits) {
            wrong.push(format!("{name}: spandsp {spandsp}, multimon-ng {multimon}"));
        }
    }
    assert!(wrong.is_empty(), "sent {digits}\n{}", wrong.join("\n"));
}

/// Whether a packet is among the 3 % that are lost.
fn lost(seed: u32, n: u32) -> bool {
    let mut state = u64::from(seed) << 32 | u64::from(n) | 1 << 63;
    // SplitMix64.
    state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state ^ (state >> 31)) % 100 < 3
}

#[test]
fn other_receivers_hear_the_digits_also_with_packets_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let probe = spandsp(folder.path());
    let digits = "0123456789*#ABCD1122##5";
    let mut wrong = Vec::new();
    let road = |encoding, tone_ms, seed| {
        let heard = sent(digits, encoding, tone_ms, |n| lost(seed, n));
        (
            said_by(&mut Command::new(&probe), &heard),
            multimon(&heard),
            format!("{encoding:?}, {tone_ms} ms, seed {seed}"),
        )
    };
    let narrow = [Encoding::Pcmu, Encoding::Pcma]
        .into_iter()
        .flat_map(|encoding| [(encoding, 80, SEEDS), (encoding, 100, SEEDS)]);
    for (encoding, tone_ms, seeds) in narrow.chain([(Encoding::Opus, 100, OPUS_SEEDS)]) {
        for seed in 0..seeds {
            let (spandsp, multimon, name) = road(encoding, tone_ms, seed);
            if (spandsp.as_str(), multimon.as_str()) != (digits, digits) {
                wrong.push(format!("{name}: spandsp {spandsp}, multimon-ng {multimon}"));
            }
        }
    }
    assert!(wrong.is_empty(), "sent {digits}\n{}", wrong.join("\n"));
}
