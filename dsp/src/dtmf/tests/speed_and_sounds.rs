//! Fast dialling, keys over other sounds, and sounds that are no keys.

use super::*;
use crate::{mix, test_signals::speech, tone::Tone};

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
