//! Speech-like sound over a made-up network, in made-up time: what comes out, and whether it is whole.

use super::*;
use trunkline_dsp::dtmf::Key;

use crate::media::codec::Law;

const MS: u64 = 1000;

/// A voice: a pitch with harmonics, rising and falling, on all the time.
fn voice(n: usize) -> i16 {
    let t = n as f64 / 8000.0;
    let pitch = 120.0 * t + 6.0 * (t * 2.0).sin();
    let wave: f64 = (1..12)
        .map(|harmonic| {
            let h = f64::from(harmonic);
            (pitch * h * std::f64::consts::TAU).sin() / h
        })
        .sum();
    (wave * 5000.0) as i16
}

/// One stream from sender to frames.
struct Line {
    playout: Playout,
    decoder: Decoder,
    frame: Frame,
    heard: Vec<i16>,
    pulls: Vec<Pulled>,
    pulled: u64,
}

impl Line {
    fn new() -> Line {
        Line {
            playout: Playout::new(Encoding::Pcma),
            decoder: Decoder::new(Encoding::Pcma).unwrap(),
            frame: Frame::silence(AudioRate::Narrow),
            heard: Vec::new(),
            pulls: Vec::new(),
            pulled: 0,
        }
    }

    /// Pulls all frames due before `us`.
    fn run_to(&mut self, us: u64) {
        while self.pulled * 20 * MS < us {
            let now_us = self.pulled * 20 * MS;
            let pulled = self
                .playout
                .pull_lending(now_us, &mut self.decoder, &mut self.frame);
            self.heard.extend_from_slice(self.frame.samples());
            self.pulls.push(pulled);
            self.pulled += 1;
        }
    }

    /// Packet `n` of 20 ms comes at `us`.
    fn packet(&mut self, us: u64, n: u64, source: impl Fn(usize) -> i16) {
        self.run_to(us);
        let samples: Vec<i16> = (n as usize * 160..(n as usize + 1) * 160)
            .map(source)
            .collect();
        let mut payload = [0; 160];
        Law::A.encode(&samples, &mut payload);
        let header = Header {
            marker: n == 0,
            payload_type: 8,
            sequence: n as u16,
            timestamp: n as u32 * 160,
            ssrc: 1,
        };
        self.playout.insert_lending(us, &header, &payload);
    }

    /// The largest step between neighbours.
    fn largest_step(&self) -> i32 {
        let step = |pair: &[i16]| (i32::from(pair[0]) - i32::from(pair[1])).abs();
        self.heard.windows(2).map(step).max().unwrap_or(0)
    }

    fn count(&self, is: fn(&Pulled) -> bool) -> usize {
        self.pulls.iter().filter(|pulled| is(pulled)).count()
    }
}

fn is_concealed(pulled: &Pulled) -> bool {
    matches!(pulled, Pulled::Concealed(made) if !made.is_empty() && made.end <= 160)
}

/// The largest step of the voice itself, coded.
fn own_step() -> i32 {
    let mut line = Line::new();
    for n in 0..500 {
        line.packet(n * 20 * MS + 7, n, voice);
    }
    assert_eq!(line.count(is_concealed), 0);
    line.largest_step()
}

#[test]
fn without_jitter_everything_comes_out_as_it_went_in() {
    let mut line = Line::new();
    for n in 0..200 {
        line.packet(n * 20 * MS + 7, n, voice);
    }
    let start = line
        .pulls
        .iter()
        .position(|pulled| *pulled == Pulled::Audio)
        .unwrap();
    assert!(start <= 4, "{start}");
    // Before the first delay is mended, sample by sample.
    let mut sent = [0; 160 * 8];
    for (n, sample) in sent.iter_mut().enumerate() {
        *sample = voice(n);
    }
    let (mut octets, mut coded) = ([0; 160 * 8], [0; 160 * 8]);
    Law::A.encode(&sent, &mut octets);
    Law::A.decode(&octets, &mut coded);
    assert_eq!(line.heard[start * 160..][..160 * 8], coded);
    assert_eq!(line.count(|pulled| *pulled == Pulled::Audio), 200 - start);
}

#[test]
fn lost_packets_are_bridged_without_steps() {
    let mut line = Line::new();
    for n in 0..1000u64 {
        // A single loss now and then, and a double one.
        if n % 37 != 5 && n % 101 > 1 {
            line.packet(n * 20 * MS + 7, n, voice);
        }
    }
    let stats = line.playout.stats();
    assert!((500..=1000).contains(&stats.lost_ms), "{stats:?}");
    assert!(stats.concealed >= 8 * stats.lost_ms, "{stats:?}");
    assert_eq!(stats.late, 0);
    let limit = own_step() * 3 / 2;
    assert!(
        line.largest_step() <= limit,
        "{} {limit}",
        line.largest_step()
    );
}

/// A sender whose clock is off by 200 ppm, for ten minutes of made-up time: 120 ms too many or too few.
#[test]
fn drift_is_followed_without_clicks() {
    let limit = own_step() * 3 / 2;
    for ppm in [200i64, -200] {
        let mut line = Line::new();
        let mut first_ms = 0;
        for n in 0..30_000u64 {
            if n == 10 {
                first_ms = line.playout.stats().delay_ms;
            }
            let us = (n * 20 * MS) as i64 * (1_000_000 + ppm) / 1_000_000;
            line.packet(us as u64 + 3 * MS + (n * 7919 % 4000), n, voice);
        }
        let stats = line.playout.stats();
        assert_eq!((stats.late, stats.lost_ms), (0, 0), "{ppm} ppm: {stats:?}");
        let concealed = line.count(is_concealed);
        assert!(concealed <= 2, "{ppm} ppm: {concealed} {stats:?}");
        // What the clock ran, and what the delay is less than at first.
        let mended = stats.lengthened as i64 - stats.shortened as i64;
        let due = ppm * 960 / 200 - (i64::from(first_ms) - i64::from(stats.delay_ms)) * 8;
        assert!((mended - due).abs() < 240, "{ppm} ppm: {due} {stats:?}");
        assert!(stats.delay_ms < 50, "{ppm} ppm: {stats:?}");
        let step = line.largest_step();
        assert!(step <= limit, "{ppm} ppm: {step} {limit}");
    }
}

/// Where time is stretched the wave goes on: each piece of what is heard is found in what was sent.
#[test]
fn stretched_sound_is_the_same_sound() {
    let mut line = Line::new();
    for n in 0..400u64 {
        // The network stands for 140 ms once.
        let us = (n * 20 * MS + 7).max(if (100..107).contains(&n) {
            2140 * MS
        } else {
            0
        });
        line.packet(us, n, voice);
    }
    let stats = line.playout.stats();
    assert!(stats.shortened >= 8 * 40, "{stats:?}");
    assert_eq!(stats.late, 0);
    let limit = own_step() * 3 / 2;
    assert!(
        line.largest_step() <= limit,
        "{} {limit}",
        line.largest_step()
    );
    // In 20 ms after the stand correlation with the source at the best shift is high.
    let sent: Vec<f64> = (0..400 * 160).map(|n| f64::from(voice(n))).collect();
    for start in (130 * 160..380 * 160).step_by(1600) {
        let piece: Vec<f64> = line.heard[start..start + 160]
            .iter()
            .map(|sample| f64::from(*sample))
            .collect();
        let best = (start - 3000..start)
            .map(|at| correlation(&piece, &sent[at..at + 160]))
            .fold(0.0, f64::max);
        assert!(best > 0.9, "at {start}: {best}");
    }
}

fn correlation(a: &[f64], b: &[f64]) -> f64 {
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt().max(1.0)
}

#[test]
fn a_peer_that_falls_silent() {
    let mut line = Line::new();
    for n in 0..50 {
        line.packet(n * 20 * MS + 7, n, voice);
    }
    line.run_to(2000 * MS);
    let concealed = line.count(is_concealed);
    assert!((8..=14).contains(&concealed), "{concealed}");
    assert_eq!(*line.pulls.last().unwrap(), Pulled::Idle);
    assert_eq!(line.heard.last(), Some(&0));
    // It said so this time.
    let mut line = Line::new();
    for n in 0..50 {
        line.packet(n * 20 * MS + 7, n, voice);
    }
    line.playout.quieten(50);
    line.run_to(2000 * MS);
    assert_eq!(line.count(is_concealed), 0);
    assert_eq!(*line.pulls.last().unwrap(), Pulled::Comfort);
}

#[test]
fn each_encoding_in_its_own_clock() {
    for encoding in [Encoding::L16Narrow, Encoding::L16Wide] {
        let mut playout = Playout::new(encoding);
        let (mut decoder, mut frame) = (
            Decoder::new(encoding).unwrap(),
            Frame::silence(encoding.audio()),
        );
        let units = encoding.clock().samples_in_ms(30);
        let mut heard = 0;
        for n in 0..300u64 {
            let header = Header {
                marker: n == 0,
                payload_type: 96,
                sequence: n as u16,
                timestamp: (n as u32).wrapping_mul(units),
                ssrc: 1,
            };
            let payload = vec![1; encoding.samples(units) * 2];
            playout.insert_lending(n * 30 * MS, &header, &payload);
            for pull in n * 30..(n + 1) * 30 {
                if pull % 20 == 7 {
                    let pulled = playout.pull_lending(pull * MS, &mut decoder, &mut frame);
                    heard += usize::from(pulled == Pulled::Audio);
                }
            }
        }
        assert!(heard >= 440, "{encoding:?}: {heard}");
    }
}

/// What concealment is told only when it is needed it knows as if it had been told at once.
#[test]
fn what_is_made_up_is_made_of_all_that_came() {
    for lost in 30..40 {
        let mut line = Line::new();
        for n in (0..80).filter(|n| *n != lost) {
            line.packet(n * 20 * MS + 7, n, voice);
        }
        let mut told = Concealer::new(8000);
        let decoded = |n: u64| {
            let samples: Vec<i16> = (n as usize * 160..(n as usize + 1) * 160)
                .map(voice)
                .collect();
            let (mut octets, mut decoded) = ([0; 160], [0; 160]);
            Law::A.encode(&samples, &mut octets);
            Law::A.decode(&octets, &mut decoded);
            decoded
        };
        (0..lost).for_each(|n| told.good(&mut decoded(n)));
        let mut hole = [0; 160];
        told.conceal(&mut hole, Some(&decoded(lost + 1)));
        assert!(line.heard.windows(160).any(|heard| heard == hole), "{lost}");
    }
}

#[test]
fn a_playout_is_small() {
    // All that a stream without loss or bursts has, and all there is in a burst.
    assert!(size_of::<Playout>() < 8 * 1024, "{}", size_of::<Playout>());
    let size = size_of::<Playout>() + FarRoom::new(FarSize::Whole).octets();
    assert!(size < 28 * 1024, "{size}");
}

/// Nothing but zeros, then a key from 300 ms on, as G.722 without the packet of 240 ms or with it.
fn key_in_g722(lost: Option<u64>) -> Vec<i16> {
    let mut encoder = trunkline_dsp::g722::Encoder::new();
    let mut key = trunkline_dsp::dtmf::Generator::new(16_000, Key::ALL[5], -10.0, -8.0);
    let mut playout = Playout::new(Encoding::G722);
    let mut decoder = Decoder::new(Encoding::G722).unwrap();
    let (mut frame, mut heard) = (Frame::silence(AudioRate::Wide), Vec::new());
    for n in 0..30 {
        let (mut samples, mut payload) = ([0; 320], [0; 160]);
        if n >= 15 {
            key.fill(&mut samples);
        }
        encoder.encode(&samples, &mut payload);
        let header = Header {
            marker: n == 0,
            payload_type: 9,
            sequence: n as u16,
            timestamp: n as u32 * 160,
            ssrc: 1,
        };
        if lost != Some(n) {
            playout.insert_lending(n * 20 * MS + 7, &header, &payload);
        }
        playout.pull_lending(n * 20 * MS + 10, &mut decoder, &mut frame);
        heard.extend_from_slice(frame.samples());
    }
    heard
}

#[test]
fn a_loss_in_silence_does_not_change_what_g722_decodes_behind_it() {
    // In silence the delay may have been mended by other lengths.
    let key = |heard: Vec<i16>| {
        let began = heard.iter().position(|sample| sample.abs() > 500).unwrap();
        heard[began..began + 2000].to_vec()
    };
    let (whole, lossy) = (key(key_in_g722(None)), key(key_in_g722(Some(12))));
    assert!(level::dbm0(&whole) > -8.0);
    assert!(whole == lossy);
}
