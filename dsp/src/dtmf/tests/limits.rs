//! Levels, twist, frequencies and lengths at their limits.

use super::*;

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

/// The ratios of 852 and 1336 Hz and of 770 and 1477 Hz are 4.3 % from a fifth and an octave, which voices and music are full of.
#[test]
fn pairs_on_their_way_to_a_fifth_or_an_octave_are_refused() {
    for (key, low, high) in [(Key::ALL[8], 1.0, -1.0), (Key::ALL[6], -1.0, 1.0)] {
        let detuned = |percent: f64, opposite: f64| {
            let mut digit = Digit::new(key, 100.0);
            digit.low_detune = low * percent / 100.0;
            digit.high_detune = high * opposite * percent / 100.0;
            hits(&[digit; 8], CODECS[1], None)
        };
        assert_eq!(detuned(1.8, 1.0), 8, "{key}: both at the limit");
        assert_eq!(detuned(2.1, 1.0), 0, "{key}");
        assert_eq!(detuned(2.1, -1.0), 8, "{key}: the ratio is right");
    }
}

/// 782 and 1181 Hz are harmonics of 393 Hz, more or less: with that below them they are a voice.
#[test]
fn two_harmonics_over_their_fundamental_are_refused() {
    let heard = |high_percent: f64, fundamental_dbm0: f32| {
        let mut digit = Digit::new(Key::ALL[4], 100.0);
        (digit.low_detune, digit.high_detune) = (0.017, high_percent / 100.0);
        let mut random = Random::new(8);
        let mut samples = silence(400);
        for _ in 0..8 {
            samples.extend(digit.samples(&mut random));
            samples.extend(silence(800));
        }
        let peak = f64::from(level::sine_peak(fundamental_dbm0));
        for (n, sample) in samples.iter_mut().enumerate() {
            let below = (n as f64 * 391.5 / 8000.0 * std::f64::consts::TAU).sin() * peak;
            *sample = (f64::from(*sample) + below) as i16;
        }
        keys(&samples).len()
    };
    assert_eq!(heard(-1.7, -90.0), 8, "alone");
    assert_eq!(heard(-1.7, -9.0), 0, "a voice");
    assert_eq!(heard(1.7, -9.0), 8, "the ratio is right");
}

/// Both tones 1.7 % off, one up and one down, with a third 14.5 dB below them.
#[test]
fn a_relaxed_receiver_does_not_look_out_for_harmonics() {
    let mut digit = Digit::new(Key::ALL[4], 100.0);
    (digit.low_detune, digit.high_detune) = (0.017, -0.017);
    let heard = |profile: Profile| {
        let mut random = Random::new(12);
        let mut samples = silence(400);
        for _ in 0..8 {
            samples.extend(digit.samples(&mut random));
            samples.extend(silence(800));
        }
        let peak = f64::from(level::sine_peak(-21.5));
        for (n, sample) in samples.iter_mut().enumerate() {
            let beside = (n as f64 * 2600.0 / 8000.0 * std::f64::consts::TAU).sin() * peak;
            *sample = (f64::from(*sample) + beside) as i16;
        }
        let begins = |event: &&Event| matches!(event, Event::Begin { .. });
        listen_by(profile, &samples).iter().filter(begins).count()
    };
    let held_to_it = Profile {
        harmonic_ratio: 0.03,
        ..Profile::RELAXED
    };
    assert_eq!(heard(Profile::RELAXED), 8);
    assert_eq!(heard(held_to_it), 0);
}

#[test]
fn tones_that_become_a_key_late_are_forgiven_less() {
    let heard = |noise_before_dbm0: f32| {
        let mut random = Random::new(31);
        let mut heard = String::new();
        for key in Key::ALL {
            let mut samples = silence(400);
            samples.extend(Digit::new(key, 160.0).samples(&mut random));
            samples.extend(silence(400));
            let middle = 400 + 80 * 8;
            for (index, sample) in samples.iter_mut().enumerate() {
                // Both tones together are at -7 dBm0: 9.5 dB above what comes later.
                let dbm0 = if index < middle {
                    noise_before_dbm0
                } else {
                    -16.5
                };
                let rms = f64::from(level::sine_peak(dbm0)) / 2f64.sqrt();
                *sample = (f64::from(*sample) + random.normal() * rms) as i16;
            }
            heard.push_str(&keys(&samples));
        }
        heard.len()
    };
    assert_eq!(heard(-16.5), 16, "evenly");
    let late = heard(-11.0);
    assert!(late < 4, "{late} of 16");
}
