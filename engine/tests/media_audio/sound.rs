//! Sounds, and how like each other they are.

use trunkline::media::codec::{Decoder, Encoder};
use trunkline::media::{AudioRate, Encoding, Law, OpusSettings};
use trunkline_dsp::resample::{Down2, Up2};

/// Samples of a ms, at the rate that all is compared at.
pub(crate) const WIDE_MS: usize = 16;

/// Something like a voice at 8 kHz, without a pause until it ends: harmonics of a pitch that glides, louder and quieter four times a second. `number`
/// tells voices apart.
pub(crate) fn voice(number: u32, ms: usize) -> Vec<i16> {
    let offset = f64::from(number) * 1.7;
    let mut phase = 0.0f64;
    let sample = |n: usize| {
        let t = n as f64 / 8000.0;
        let pitch = 150.0 + 30.0 * (2.1 * t + offset).sin() + 17.0 * (5.3 * t + 2.0 * offset).sin();
        phase += pitch / 8000.0 * std::f64::consts::TAU;
        let loud = 0.7 + 0.3 * (25.0 * t + offset).sin();
        let parts = [1.0, 0.8, 0.6, 0.45, 0.3, 0.15, 0.08];
        let harmonics = parts.iter().zip(1u32..);
        let sum: f64 = harmonics
            .map(|(part, k)| part * (f64::from(k) * phase + f64::from(k * k) * 0.4).sin())
            .sum();
        // From and into silence in 10 ms.
        let edge = (n.min(ms * 8 - n) as f64 / 80.0).min(1.0);
        (sum * loud * edge * 3000.0) as i16
    };
    (0..ms * 8).map(sample).collect()
}

/// Samples at 8 kHz, at another rate.
pub(crate) fn at_rate(samples: &[i16], rate: AudioRate) -> Vec<i16> {
    convert(samples, AudioRate::Narrow, rate)
}

/// Samples of a codec's rate, at 16 kHz.
pub(crate) fn wide(samples: &[i16], rate: AudioRate) -> Vec<i16> {
    convert(samples, rate, AudioRate::Wide)
}

fn convert(samples: &[i16], from: AudioRate, to: AudioRate) -> Vec<i16> {
    match (from, to) {
        (AudioRate::Narrow, AudioRate::Wide) => {
            let mut out = vec![0; samples.len() * 2];
            Up2::new().process(samples, &mut out);
            out
        }
        (AudioRate::Wide, AudioRate::Narrow) => {
            let mut out = vec![0; samples.len() / 2];
            Down2::new().process(samples, &mut out);
            out
        }
        _ => samples.to_vec(),
    }
}

/// What is left of samples of 8 kHz after one coder after the other, in frames of 20 ms; at 16 kHz. Between both laws of G.711 octets are
/// converted by its tables 3 and 4, which change a level by 0.2 dB.
pub(crate) fn coded(said: &[i16], coders: &[Encoding]) -> Vec<i16> {
    coded_losing(said, coders, &[], Fill::Silence)
}

/// What stands for a frame that did not come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fill {
    Silence,
    /// The last frame that came.
    Repeat,
    /// What the decoder makes up by itself, if it can.
    Own,
}

/// The same where some frames of the first coder do not come.
pub(crate) fn coded_losing(
    said: &[i16],
    coders: &[Encoding],
    lost: &[bool],
    fill: Fill,
) -> Vec<i16> {
    let mut lost = lost;
    let (mut samples, mut rate) = (said.to_vec(), AudioRate::Narrow);
    let mut before: Option<Law> = None;
    for encoding in coders {
        if let (Some(from), Some(to)) = (before, encoding.law()) {
            let mut octets = vec![0; samples.len()];
            from.encode(&samples, &mut octets);
            from.convert(to, &mut octets);
            to.decode(&octets, &mut samples);
            continue;
        }
        before = encoding.law();
        samples = convert(&samples, rate, encoding.audio());
        rate = encoding.audio();
        let mut encoder = Encoder::new(*encoding, OpusSettings::default()).unwrap();
        let mut decoder = Decoder::new(*encoding).unwrap();
        let mut octets = [0; 1400];
        let mut out = vec![0; rate.samples_per_frame()];
        let mut result = Vec::new();
        for (n, frame) in samples.chunks_exact(rate.samples_per_frame()).enumerate() {
            let length = encoder.encode(frame, &mut octets);
            match (lost.get(n), fill) {
                (Some(true), Fill::Silence) => out.fill(0),
                (Some(true), Fill::Repeat) => {}
                (Some(true), Fill::Own) => assert!(decoder.conceal(&mut out)),
                _ => {
                    let count = decoder.decode(&octets[..length], &mut out).unwrap();
                    assert_eq!(count, frame.len());
                }
            }
            result.extend_from_slice(&out);
        }
        samples = result;
        lost = &[];
    }
    wide(&samples, rate)
}

/// The energy of samples; at least one.
fn energy(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|s| f64::from(*s).powi(2)).sum();
    sum.max(1.0)
}

fn product(a: &[i16], b: &[i16], step: usize) -> f64 {
    let (mut sum, mut at) = (0i64, 0);
    while at < a.len() {
        sum += i64::from(i32::from(a[at]) * i32::from(b[at]));
        at += step;
    }
    sum as f64
}

/// How a part of one sound is found in another.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Found {
    /// Where it begins there.
    pub(crate) at: usize,
    /// Correlation, to 1.
    pub(crate) like: f64,
    /// By how many dB it is louder there.
    pub(crate) db: f64,
}

/// Finds `part` in `heard` from one place to another.
pub(crate) fn find_from(heard: &[i16], from: usize, to: usize, part: &[i16]) -> Found {
    let to = to.min((heard.len() + 1).saturating_sub(part.len()));
    assert!(from < to, "{} samples heard, wanted at {from}", heard.len());
    let sums: Vec<i64> = std::iter::once(0)
        .chain(heard.iter().scan(0, |sum, sample| {
            *sum += i64::from(i32::from(*sample).pow(2));
            Some(*sum)
        }))
        .collect();
    let own = energy(part).sqrt();
    let likeness = |at: usize, step: usize| {
        let there = (sums[at + part.len()] - sums[at]).max(1) as f64;
        product(&heard[at..at + part.len()], part, step) * step as f64 / (there.sqrt() * own)
    };
    let best = |places: &mut dyn Iterator<Item = usize>, step| {
        places
            .map(|at| (at, likeness(at, step)))
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap()
    };
    // Coarsely first.
    let (near, _) = best(&mut (from..to).step_by(2), 7);
    let (at, like) = best(&mut (near.saturating_sub(2)..(near + 3).min(to)), 1);
    let db = 10.0 * (energy(&heard[at..at + part.len()]) / energy(part)).log10();
    Found { at, like, db }
}

/// Finds `part` in the first 700 ms of `heard`.
pub(crate) fn find(heard: &[i16], part: &[i16]) -> Found {
    find_from(heard, 0, 700 * WIDE_MS, part)
}

/// The sharpest bend of a sound, and where it is: what a click is and a voice is not.
pub(crate) fn sharpest(samples: &[i16]) -> (i32, usize) {
    let bends = samples.windows(3).enumerate().map(|(at, of)| {
        let [a, b, c] = [of[0], of[1], of[2]].map(i32::from);
        ((a - 2 * b + c).abs(), at)
    });
    bends.max().unwrap_or_default()
}

/// What a sound may differ from that of the bare coders: least correlation, most dB.
pub(crate) fn tolerance(coders: &[Encoding]) -> (f64, f64) {
    match coders.iter().filter(|of| **of == Encoding::Opus).count() {
        0 => (0.995, 0.1),
        1 => (0.95, 0.6),
        // Of sounds coded twice in frames that begin elsewhere, each differs by itself from what was said.
        _ => (0.85, 0.6),
    }
}

/// Asserts that `said`, at 8 kHz, was heard as the coders leave it: alike, as loud, and without a click. Returns where it was.
#[track_caller]
pub(crate) fn assert_heard(name: &str, heard: &[i16], said: &[i16], coders: &[Encoding]) -> Found {
    let expected = coded(said, coders);
    // Without its first and last 80 ms: coders begin and end in silence.
    let part = &expected[80 * WIDE_MS..expected.len() - 80 * WIDE_MS];
    let found = find(heard, part);
    let (least, most_db) = tolerance(coders);
    assert!(found.like > least, "{name}: {found:?}");
    assert!(found.db.abs() < most_db, "{name}: {found:?}");
    assert_smooth(name, &heard[found.at..found.at + part.len()], part);
    found
}

/// Asserts that nothing bends more than in what it should be, but for a third.
#[track_caller]
pub(crate) fn assert_smooth(name: &str, heard: &[i16], expected: &[i16]) {
    let ((most, at), (usual, _)) = (sharpest(heard), sharpest(expected));
    assert!(
        most < usual + usual / 3 + 16,
        "{name}: a click at {} ms, {most} where {usual} is usual",
        at / WIDE_MS
    );
}

/// The level of a frequency in samples of 16 kHz, in dB to any reference.
pub(crate) fn level_of(samples: &[i16], hz: f64) -> f64 {
    let turn = hz / 16_000.0 * std::f64::consts::TAU;
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (n, sample) in samples.iter().enumerate() {
        // A Hann window, so that other tones do not leak in.
        let place = n as f64 / samples.len() as f64 * std::f64::consts::TAU;
        let weighted = f64::from(*sample) * (1.0 - place.cos());
        real += weighted * (turn * n as f64).cos();
        imaginary += weighted * (turn * n as f64).sin();
    }
    let amplitude = (real * real + imaginary * imaginary).sqrt() / samples.len() as f64;
    20.0 * amplitude.max(1e-3).log10()
}
