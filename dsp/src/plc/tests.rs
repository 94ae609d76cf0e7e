use super::*;
use crate::{level::dbm0, test_signals::speech};
use core::f64::consts::TAU;
use std::vec::Vec;

/// A tone with two harmonics.
fn hum(rate_hz: u32, hz: f64, samples: usize) -> Vec<i16> {
    (0..samples)
        .map(|index| {
            let angle = TAU * hz * index as f64 / f64::from(rate_hz);
            (6000.0 * angle.sin() + 3000.0 * (2.0 * angle).sin() + 1500.0 * (3.0 * angle).cos())
                as i16
        })
        .collect()
}

#[test]
fn what_comes_is_left_alone() {
    for rate_hz in [8000, 16_000] {
        let mut concealer = Concealer::new(rate_hz);
        for mut frame in
            [10, 20, 30, 60].map(|ms| hum(rate_hz, 140.0, ms * rate_hz as usize / 1000))
        {
            let came = frame.clone();
            concealer.good(&mut frame);
            assert_eq!(frame, came);
        }
    }
}

#[test]
fn nothing_is_made_of_nothing() {
    let mut out = [7i16; 320];
    Concealer::new(16_000).conceal(&mut out, None);
    assert_eq!(out, [0; 320]);
}

#[test]
fn a_periodic_sound_goes_on() {
    for rate_hz in [8000, 16_000] {
        let frame = rate_hz as usize / 50;
        let sound = hum(rate_hz, 125.0, frame * 6);
        let mut concealer = Concealer::new(rate_hz);
        let mut past = sound[..frame * 4].to_vec();
        concealer.good(&mut past);
        let mut out = std::vec![0; frame];
        concealer.conceal(&mut out, None);
        for (made, lost) in out.iter().zip(&sound[frame * 4..]) {
            assert!(made.abs_diff(*lost) < 300, "{made} for {lost}");
        }
        let mut after = sound[frame * 5..].to_vec();
        concealer.good(&mut after);
        for (joined, came) in after.iter().zip(&sound[frame * 5..]) {
            assert!(joined.abs_diff(*came) < 300, "{joined} for {came}");
        }
    }
}

#[test]
fn a_long_loss_ends_silent() {
    for rate_hz in [8000, 16_000] {
        let frame = rate_hz as usize / 50;
        let mut concealer = Concealer::new(rate_hz);
        concealer.good(&mut hum(rate_hz, 200.0, frame * 4));
        let levels: Vec<f32> = (0..20)
            .map(|_| {
                let mut out = std::vec![0; frame];
                concealer.conceal(&mut out, None);
                dbm0(&out)
            })
            .collect();
        assert!(levels[0] > -12.0, "{levels:?}");
        assert!(levels.is_sorted_by(|a, b| *b < a + 0.2), "{levels:?}");
        assert_eq!(levels[10..], [crate::level::SILENCE_DBM0; 10]);
    }
}

#[test]
fn any_lengths_and_any_samples_are_taken() {
    for rate_hz in [0, 8000, 16_000, u32::MAX] {
        let mut concealer = Concealer::new(rate_hz);
        let mut voice = speech(3, 1.0);
        for (index, frame) in voice.chunks_mut(37).enumerate() {
            let mut harsh: Vec<i16> = frame
                .iter()
                .map(|sample| if *sample < 0 { i16::MIN } else { i16::MAX })
                .collect();
            match index % 5 {
                0 => concealer.conceal(frame, None),
                1 => concealer.good(&mut harsh),
                2 => concealer.conceal(&mut [], None),
                3 => concealer.good(&mut []),
                _ => concealer.good(frame),
            }
            let mut long = [0; 3000];
            concealer.conceal(&mut long[..index * 13 % 3000], Some(&harsh));
        }
        concealer.good(&mut [1; 3000]);
    }
}
