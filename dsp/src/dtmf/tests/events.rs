//! What the receiver tells of a key, at every rate and however the audio is cut.

use proptest::prelude::*;

use super::*;
use crate::dtmf::Generator;

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
