//! A line of audio with presses in it, made up from a seed, and what the receiver says to it.

use core::f64::consts::TAU;
use std::{format, string::String, vec, vec::Vec};

use crate::dtmf::{Detector, Event, Key, Profile};
use crate::{g711, level, test_signals::Random};

pub(super) const RATE: f64 = 8000.0;

/// A key with everything that may be wrong about it.
#[derive(Clone, Copy)]
pub(super) struct Press {
    pub(super) key: Key,
    pub(super) ms: f64,
    pub(super) dbm0: [f64; 2],
    pub(super) detune: [f64; 2],
    /// Level of the second harmonic of either tone relative to it.
    pub(super) harmonic_db: f64,
}

pub(super) fn press(key: Key, ms: f64) -> Press {
    Press {
        key,
        ms,
        dbm0: [-10.0; 2],
        detune: [0.0; 2],
        harmonic_db: -200.0,
    }
}

pub(super) fn peak(dbm0: f64) -> f64 {
    f64::from(level::sine_peak(dbm0 as f32))
}

pub(super) fn sines(random: &mut Random, ms: f64, tones: &[(f64, f64)]) -> Vec<f64> {
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
    pub(super) fn samples(self, random: &mut Random) -> Vec<f64> {
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
pub(super) struct Line {
    pub(super) random: Random,
    pub(super) audio: Vec<f64>,
    pub(super) sent: Vec<(Key, usize, usize)>,
}

impl Line {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            random: Random::new(seed),
            audio: vec![0.0; 2400],
            sent: Vec::new(),
        }
    }

    pub(super) fn pause(&mut self, ms: f64) {
        let count = (ms * 8.0).round() as usize;
        self.audio.extend(vec![0.0; count]);
    }

    pub(super) fn put(&mut self, key: Key, samples: &[f64]) {
        let start = self.audio.len();
        self.audio.extend_from_slice(samples);
        self.sent.push((key, start, self.audio.len()));
    }

    /// A press, a pause, and up to 27 ms more so that no two fall alike into hops and frames.
    pub(super) fn press(&mut self, press: Press, pause_ms: f64) {
        let samples = press.samples(&mut self.random);
        self.put(press.key, &samples);
        self.pause(pause_ms);
        let more = (self.random.unit() * 220.0) as usize;
        self.audio.extend(vec![0.0; more]);
    }

    pub(super) fn add(&mut self, other: impl Fn(usize, &mut Random) -> f64) {
        for (index, sample) in self.audio.iter_mut().enumerate() {
            *sample += other(index, &mut self.random);
        }
    }

    pub(super) fn noise(&mut self, dbm0: f64) {
        let rms = peak(dbm0) / 2f64.sqrt();
        self.add(|_, random| random.normal() * rms);
    }

    pub(super) fn coded(&self) -> Vec<i16> {
        let tail = [0.0; 3200];
        self.audio
            .iter()
            .chain(&tail)
            .map(|sample| g711::ulaw_decode(g711::ulaw_encode(sample.round() as i16)))
            .collect()
    }

    pub(super) fn result(&self) -> Tally {
        self.result_by(Profile::TELEPHONE)
    }

    pub(super) fn result_by(&self, profile: Profile) -> Tally {
        Tally::of(&self.sent, &heard(profile, &self.coded(), 160, |_| false))
    }
}

/// Begin and end of what was heard, in samples.
pub(super) fn heard(
    profile: Profile,
    samples: &[i16],
    frame: usize,
    concealed: impl Fn(usize) -> bool,
) -> Vec<(Key, u64, u64)> {
    let mut detector = Detector::new(RATE as u32, profile);
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
pub(super) struct Tally {
    pub(super) sent: usize,
    pub(super) hit: usize,
    pub(super) doubled: usize,
    pub(super) strays: usize,
}

impl Tally {
    /// A report of the right key from 30 ms before to 60 ms behind a press is a hit, a second one doubles it.
    pub(super) fn of(sent: &[(Key, usize, usize)], heard: &[(Key, u64, u64)]) -> Self {
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

    pub(super) fn all(self) -> bool {
        self.hit == self.sent && self.doubled == 0 && self.strays == 0
    }

    pub(super) fn text(self) -> String {
        let Self {
            sent,
            hit,
            doubled,
            strays,
        } = self;
        format!("{hit} of {sent}, {doubled} doubled, {strays} strays")
    }
}
