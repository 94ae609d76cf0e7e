//! What the receiver must accept and refuse, with the limits of ITU-T Q.24 (AT&T column) and some more.

mod events;
mod limits;
mod losses;
mod speed_and_sounds;

use std::{string::String, vec, vec::Vec};

use super::{Detector, Event, Key, Profile};
use crate::{g711, level, oscillator::Oscillator, test_signals::Random};

const RATE: u32 = 8000;
const CODECS: [fn(i16) -> i16; 3] = [
    |sample| sample,
    |sample| g711::ulaw_decode(g711::ulaw_encode(sample)),
    |sample| g711::alaw_decode(g711::alaw_encode(sample)),
];

/// A key with everything that may be wrong about it.
#[derive(Clone, Copy, Debug)]
struct Digit {
    key: Key,
    ms: f64,
    low_dbm0: f32,
    high_dbm0: f32,
    low_detune: f64,
    high_detune: f64,
}

impl Digit {
    fn new(key: Key, ms: f64) -> Self {
        Self {
            key,
            ms,
            low_dbm0: -10.0,
            high_dbm0: -10.0,
            low_detune: 0.0,
            high_detune: 0.0,
        }
    }

    /// Sharp edges, as the standards' test signals have; any phase.
    fn samples(self, random: &mut Random) -> Vec<i16> {
        let (low, high) = self.key.frequencies();
        let mut tones = [
            (low, self.low_detune, self.low_dbm0),
            (high, self.high_detune, self.high_dbm0),
        ]
        .map(|(hz, detune, dbm0)| {
            let mut oscillator = Oscillator::new(RATE, f64::from(hz) * (1.0 + detune));
            for _ in 0..(random.unit() * 1000.0) as usize {
                oscillator.step();
            }
            (oscillator, f64::from(level::sine_peak(dbm0)))
        });
        let count = (self.ms * f64::from(RATE) / 1000.0).round() as usize;
        (0..count)
            .map(|_| {
                tones
                    .iter_mut()
                    .map(|(tone, peak)| tone.step().1 * *peak)
                    .sum::<f64>()
                    .round() as i16
            })
            .collect()
    }
}

fn silence(samples: usize) -> Vec<i16> {
    vec![0; samples]
}

fn listen(samples: &[i16]) -> Vec<Event> {
    listen_by(Profile::TELEPHONE, samples)
}

fn listen_by(profile: Profile, samples: &[i16]) -> Vec<Event> {
    let mut detector = Detector::new(RATE, profile);
    let mut events = Vec::new();
    for frame in samples.chunks(160).chain([silence(800).as_slice()]) {
        detector.process(frame, |event| events.push(event));
    }
    events
}

/// The keys heard, after checking that every begin has its end and no other order occurs.
fn keys(samples: &[i16]) -> String {
    let mut heard = String::new();
    let mut open = None;
    for event in listen(samples) {
        match event {
            Event::Begin { key, at_sample, .. } => {
                assert_eq!(open, None, "a key began inside another");
                open = Some((key, at_sample));
                heard.push(key.to_char());
            }
            Event::End {
                key,
                at_sample,
                duration_ms,
                ..
            } => {
                let (begun, began_at) = open.take().expect("an end has a beginning");
                assert_eq!(begun, key);
                assert_eq!(
                    u64::from(duration_ms),
                    (at_sample - began_at) * 1000 / u64::from(RATE)
                );
            }
        }
    }
    assert_eq!(open, None, "a key never ended");
    heard
}

/// How many of `digits`, each alone in silence at a varying alignment, are heard exactly once and as themselves.
fn hits(digits: &[Digit], codec: fn(i16) -> i16, noise_dbm0: Option<f32>) -> usize {
    let mut random = Random::new(7);
    let rms = noise_dbm0.map_or(0.0, |dbm0| f64::from(level::sine_peak(dbm0)) / 2f64.sqrt());
    let heard = digits.iter().enumerate().filter(|(index, digit)| {
        let mut samples = silence(400 + index % 23);
        samples.extend(digit.samples(&mut random));
        samples.extend(silence(480));
        for sample in &mut samples {
            *sample = codec((f64::from(*sample) + random.normal() * rms) as i16);
        }
        keys(&samples) == String::from(digit.key.to_char())
    });
    heard.count()
}

fn every_key(ms: f64, change: impl Fn(&mut Digit)) -> Vec<Digit> {
    let with = |key| {
        let mut digit = Digit::new(key, ms);
        change(&mut digit);
        digit
    };
    Key::ALL.repeat(8).into_iter().map(with).collect()
}
