//! What the receiver must accept and refuse, with the limits of ITU-T Q.24 (AT&T column) and some more.

use proptest::prelude::*;
use std::{string::String, vec, vec::Vec};

use super::{Detector, Event, Generator, Key, Profile};
use crate::{
    g711, level, mix,
    oscillator::Oscillator,
    test_signals::{Random, speech},
    tone::Tone,
};

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
    let mut detector = Detector::new(RATE, Profile::TELEPHONE);
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

#[test]
fn forty_milliseconds_at_every_level_and_twist_through_every_codec() {
    for codec in CODECS {
        for (low_dbm0, high_dbm0) in [
            (0.0, 0.0),
            (-10.0, -10.0),
            (-25.0, -25.0),
            (-36.0, -36.0),
            (-6.0, -14.0),
            (-24.0, -32.0),
            (-12.0, -6.0),
            (-28.0, -22.0),
        ] {
            let digits = every_key(40.0, |digit| {
                (digit.low_dbm0, digit.high_dbm0) = (low_dbm0, high_dbm0)
            });
            assert_eq!(
                hits(&digits, codec, None),
                digits.len(),
                "{low_dbm0} and {high_dbm0} dBm0"
            );
        }
    }
}

#[test]
fn tones_too_weak_or_too_unequal_are_refused() {
    for (low_dbm0, high_dbm0) in [
        (-46.0, -46.0),
        (-6.0, -19.0),
        (-17.0, -6.0),
        (-6.0, -90.0),
        (-90.0, -6.0),
    ] {
        let digits = every_key(100.0, |digit| {
            (digit.low_dbm0, digit.high_dbm0) = (low_dbm0, high_dbm0)
        });
        assert_eq!(
            hits(&digits, CODECS[0], None),
            0,
            "{low_dbm0} and {high_dbm0} dBm0"
        );
    }
}

#[test]
fn tones_within_one_and_a_half_percent_are_accepted() {
    for (low, high) in [
        (0.015, 0.0),
        (-0.015, 0.0),
        (0.0, 0.015),
        (0.0, -0.015),
        (0.015, 0.015),
        (-0.015, -0.015),
    ] {
        let digits = every_key(45.0, |digit| {
            (digit.low_detune, digit.high_detune) = (low, high)
        });
        for codec in CODECS {
            assert_eq!(hits(&digits, codec, None), digits.len(), "{low} and {high}");
        }
    }
}

#[test]
fn tones_three_and_a_half_percent_off_are_refused() {
    for (low, high) in [
        (0.035, 0.0),
        (-0.035, 0.0),
        (0.0, 0.035),
        (0.0, -0.035),
        (0.035, -0.035),
    ] {
        for ms in [50.0, 500.0] {
            let digits = every_key(ms, |digit| {
                (digit.low_detune, digit.high_detune) = (low, high)
            });
            assert_eq!(
                hits(&digits, CODECS[1], None),
                0,
                "{low} and {high} for {ms} ms"
            );
        }
    }
}

#[test]
fn tones_of_23_ms_are_refused() {
    assert_eq!(hits(&every_key(23.0, |_| ()), CODECS[0], None), 0);
}

#[test]
fn noise_15_db_below_is_ignored() {
    let digits = every_key(50.0, |_| ());
    // Both tones together are 3 dB above one.
    assert_eq!(hits(&digits, CODECS[1], Some(-22.0)), digits.len());
}

/// Sixteen keys in a row, twice, with `tone_ms` and `pause_ms`; what is heard beside what was sent.
fn dial(tone_ms: f64, pause_ms: f64, keypad: &[Key]) -> (String, String) {
    let mut random = Random::new(3);
    let mut samples = silence(163);
    for key in keypad {
        samples.extend(Digit::new(*key, tone_ms).samples(&mut random));
        samples.extend(silence((pause_ms * 8.0) as usize));
    }
    (
        keys(&samples),
        keypad.iter().map(|key| key.to_char()).collect(),
    )
}

#[test]
fn fast_dialling_loses_and_doubles_nothing() {
    for (tone_ms, pause_ms) in [(50.0, 43.0), (40.0, 40.0), (45.0, 30.0), (80.0, 80.0)] {
        let (heard, sent) = dial(tone_ms, pause_ms, &Key::ALL.repeat(4));
        assert_eq!(heard, sent, "{tone_ms} ms and {pause_ms} ms");
        let (heard, sent) = dial(tone_ms, pause_ms, &[Key::ALL[5]; 40]);
        assert_eq!(
            heard, sent,
            "one key again and again, {tone_ms} ms and {pause_ms} ms"
        );
    }
}

#[test]
fn a_drop_out_of_10_ms_does_not_double_a_digit() {
    let mut random = Random::new(5);
    for key in Key::ALL {
        for hole_at in (0..640).step_by(24) {
            let mut samples = silence(200);
            let mut tone = Digit::new(key, 90.0).samples(&mut random);
            tone[hole_at..hole_at + 80].fill(0);
            samples.extend(tone);
            assert_eq!(
                keys(&samples),
                String::from(key.to_char()),
                "hole at sample {hole_at}"
            );
        }
    }
}

/// Eighty milliseconds of every key on top of `background`, which lasts as long as it takes.
fn keys_over(background: impl Fn(&mut [i16])) -> String {
    let mut random = Random::new(11);
    let mut samples = Vec::new();
    for key in Key::ALL {
        samples.extend(silence(800));
        samples.extend(Digit::new(key, 80.0).samples(&mut random));
    }
    let mut added = silence(samples.len());
    background(&mut added);
    mix::add_saturating(&mut samples, &added);
    keys(&samples)
}

#[test]
fn offset_hum_and_dial_tone_are_ignored() {
    let all: String = Key::ALL.map(Key::to_char).iter().collect();
    assert_eq!(keys_over(|out| out.fill(1500)), all, "constant offset");
    assert_eq!(
        keys_over(|out| Tone::new(RATE, [50.0, 0.0], -10.0).fill(out)),
        all,
        "50 Hz hum"
    );
    assert_eq!(
        keys_over(|out| Tone::new(RATE, [60.0, 120.0], -13.0).fill(out)),
        all,
        "60 Hz hum"
    );
    assert_eq!(
        keys_over(|out| Tone::new(RATE, [350.0, 440.0], -10.0).fill(out)),
        all,
        "North American dial tone"
    );
    assert_eq!(
        keys_over(|out| Tone::new(RATE, [425.0, 0.0], -7.0).fill(out)),
        all,
        "European dial tone"
    );
}

#[test]
fn call_progress_and_modem_tones_are_not_keys() {
    for hz in [
        [350.0, 440.0],
        [440.0, 480.0],
        [480.0, 620.0],
        [425.0, 0.0],
        [2100.0, 0.0],
        [1100.0, 0.0],
        [697.0, 770.0],
        [1209.0, 1477.0],
        [697.0, 0.0],
        [700.0, 900.0],
        [1300.0, 1500.0],
    ] {
        let mut samples = silence(16_000);
        Tone::new(RATE, hz, -8.0).fill(&mut samples);
        assert_eq!(keys(&samples), "", "{hz:?} Hz");
    }
}

/// Two harmonics of a made-up voice come much nearer to a key, and for longer, than those of a living one: 15.8 h of
/// recorded prompts give 3 false keys, twenty minutes of this voice a handful. The count must not grow.
#[test]
fn voices_are_hardly_ever_keys() {
    let mut heard = String::new();
    for seed in 0..20 {
        let samples = speech(seed, 60.0);
        let loud = samples
            .iter()
            .filter(|sample| sample.unsigned_abs() > 500)
            .count();
        assert!(
            loud > samples.len() / 4,
            "the voice must be audible for this to prove anything"
        );
        heard.push_str(&keys(&samples));
    }
    assert!(
        heard.len() <= 5,
        "{} false keys in 20 minutes: {heard}",
        heard.len()
    );
}

#[test]
fn white_noise_is_not_a_key() {
    let mut random = Random::new(1);
    let samples: Vec<i16> = (0..8000 * 120)
        .map(|_| (random.normal() * 4000.0) as i16)
        .collect();
    assert_eq!(keys(&samples), "");
}

#[test]
fn begin_is_early_and_its_figures_are_right() {
    for key in Key::ALL {
        let mut detector = Detector::new(RATE, Profile::TELEPHONE);
        let mut samples = silence(1013);
        samples.extend(
            Digit {
                low_dbm0: -14.0,
                high_dbm0: -11.0,
                low_detune: 0.01,
                high_detune: -0.005,
                ..Digit::new(key, 100.0)
            }
            .samples(&mut Random::new(2)),
        );
        samples.extend(silence(800));
        let mut seen = Vec::new();
        for (taken, sample) in samples.iter().enumerate() {
            detector.process(&[*sample], |event| seen.push((taken, event)));
        }
        let [
            (
                begun,
                Event::Begin {
                    at_sample,
                    measured,
                    ..
                },
            ),
            (
                ended,
                Event::End {
                    at_sample: until,
                    duration_ms,
                    ..
                },
            ),
        ] = seen[..]
        else {
            panic!("{key}: {seen:?}");
        };
        assert!(
            begun - 1013 < 36 * 8,
            "{key} announced after {} ms",
            (begun - 1013) / 8
        );
        assert!(
            ended - 1813 < 40 * 8,
            "{key} ended after {} ms",
            (ended - 1813) / 8
        );
        assert!(
            at_sample.abs_diff(1013) < 24 && until.abs_diff(1813) < 24,
            "{key} from {at_sample} to {until}"
        );
        assert!(duration_ms.abs_diff(100) <= 4, "{key} {duration_ms} ms");
        assert!(
            (measured.level_dbm0 + 9.24).abs() < 0.5,
            "{key} at {measured:?}"
        );
        assert!(
            (measured.twist_db - 3.0).abs() < 0.5,
            "{key} twisted {measured:?}"
        );
        let [low, high] = measured.deviations;
        assert!(
            (low - 0.01).abs() < 0.002 && (high + 0.005).abs() < 0.002,
            "{key} off by {measured:?}"
        );
        assert!(measured.snr_db > 20.0, "{key} in {measured:?}");
    }
}

#[test]
fn our_own_sender_is_understood_at_every_rate() {
    for rate_hz in [8000, 16_000, 48_000] {
        for key in Key::ALL {
            let mut generator = Generator::new(rate_hz, key, -9.0, -7.0);
            let mut samples = silence(rate_hz as usize / 5);
            generator.fill(&mut samples[rate_hz as usize / 40..rate_hz as usize / 10]);
            let mut detector = Detector::new(rate_hz, Profile::TELEPHONE);
            let mut heard = Vec::new();
            detector.process(&samples, |event| heard.push(event));
            assert!(
                matches!(heard[..], [Event::Begin { key: begun, .. }, Event::End { .. }] if begun == key),
                "{rate_hz} Hz {key}: {heard:?}"
            );
        }
    }
}

#[test]
fn reset_forgets_an_open_key() {
    let mut detector = Detector::new(RATE, Profile::TELEPHONE);
    let mut begun = 0;
    detector.process(
        &Digit::new(Key::ALL[1], 60.0).samples(&mut Random::new(1)),
        |_| begun += 1,
    );
    assert_eq!(begun, 1);
    detector.reset();
    detector.process(&silence(8000), |event| panic!("{event:?}"));
}

#[test]
fn a_receiver_fits_in_two_kibibytes() {
    assert!(
        size_of::<Detector>() < 2048,
        "{} bytes",
        size_of::<Detector>()
    );
}

proptest! {
    #[test]
    fn slicing_changes_nothing(cuts in proptest::collection::vec(1usize..500, 1..40), seed in any::<u64>()) {
        let mut random = Random::new(seed);
        let mut samples = Vec::new();
        for key in Key::ALL {
            samples.extend((0..300).map(|_| (random.normal() * 200.0) as i16));
            samples.extend(Digit::new(key, 30.0 + random.unit() * 40.0).samples(&mut random));
        }
        samples.extend(silence(800));
        let (mut whole, mut sliced) = (Vec::new(), Vec::new());
        Detector::new(RATE, Profile::TELEPHONE).process(&samples, |event| whole.push(event));
        let mut detector = Detector::new(RATE, Profile::TELEPHONE);
        let mut rest = samples.as_slice();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (part, after) = rest.split_at((*cut).min(rest.len()));
            detector.process(part, |event| sliced.push(event));
            rest = after;
        }
        prop_assert!(!whole.is_empty());
        prop_assert_eq!(whole, sliced);
    }

    #[test]
    fn no_input_panics(samples in proptest::collection::vec(any::<i16>(), 0..4000), rate in any::<u32>()) {
        Detector::new(rate, Profile::TELEPHONE).process(&samples, |_| ());
    }
}

/// What is heard when packets of `packet` samples are lost as `lost` says and `fill` takes their place, marked as made up.
fn keys_through_loss(
    samples: &[i16],
    packet: usize,
    mut lost: impl FnMut(usize) -> bool,
    mut fill: impl FnMut(&mut [i16]),
) -> String {
    let mut detector = Detector::new(RATE, Profile::TELEPHONE);
    let mut heard = String::new();
    let mut note = |event| {
        if let Event::Begin { key, .. } = event {
            heard.push(key.to_char());
        }
    };
    for (index, frame) in samples.chunks(packet).enumerate() {
        if lost(index) {
            let mut made_up = frame.to_vec();
            fill(&mut made_up);
            detector.process_concealed(&made_up, &mut note);
        } else {
            detector.process(frame, &mut note);
        }
    }
    detector.process(&silence(800), &mut note);
    heard
}

#[test]
fn a_packet_lost_inside_a_key_neither_ends_nor_doubles_it() {
    let mut random = Random::new(21);
    for (packet, ms) in [(160, 80.0), (160, 100.0), (320, 120.0), (480, 140.0)] {
        for key in Key::ALL {
            for lead in (0..packet).step_by(37) {
                let mut samples = silence(packet * 2 + lead);
                samples.extend(Digit::new(key, ms).samples(&mut random));
                samples.extend(silence(800));
                for hole in 2..samples.len() / packet {
                    for fill in [0i16, 700] {
                        let noise = |made_up: &mut [i16]| {
                            for (index, sample) in made_up.iter_mut().enumerate() {
                                *sample = if index % 7 < 3 { fill } else { -fill };
                            }
                        };
                        let heard =
                            keys_through_loss(&samples, packet, |index| index == hole, noise);
                        assert_eq!(
                            heard,
                            String::from(key.to_char()),
                            "packets of {packet}, {ms} ms from {lead}, hole {hole}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn what_concealment_made_up_is_no_key() {
    let mut random = Random::new(22);
    for key in Key::ALL {
        let tone = Digit::new(key, 200.0).samples(&mut random);
        let mut detector = Detector::new(RATE, Profile::TELEPHONE);
        detector.process_concealed(&tone, |event| panic!("{event:?}"));
        detector.process(&silence(800), |event| panic!("{event:?}"));
        // Twenty milliseconds that were sent do not become a key by being made longer.
        detector.process(&tone[..160], |event| panic!("{event:?}"));
        detector.process_concealed(&tone[160..480], |event| panic!("{event:?}"));
        detector.process(&silence(800), |event| panic!("{event:?}"));
    }
}

#[test]
fn a_key_ends_in_concealment_that_never_ends() {
    let mut detector = Detector::new(RATE, Profile::TELEPHONE);
    let tone = Digit::new(Key::ALL[3], 60.0).samples(&mut Random::new(23));
    let mut events = Vec::new();
    detector.process(&tone, |event| events.push(event));
    detector.process_concealed(&silence(1600), |event| events.push(event));
    let [
        _,
        Event::End {
            at_sample,
            duration_ms,
            ..
        },
    ] = events[..]
    else {
        panic!("{events:?}");
    };
    assert!(
        at_sample.abs_diff(480) < 40 && duration_ms.abs_diff(60) < 5,
        "{events:?}"
    );
}
