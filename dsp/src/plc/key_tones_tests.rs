//! Lost packets in the tones of keys.

use super::*;
use crate::dtmf::{Detector, Event, Generator, Key, Profile};
use crate::plc::Concealer;
use crate::test_signals::{Random, speech};
use std::vec::Vec;

/// Silence, 100 ms of a key from `at_ms` on, silence; 400 ms in all.
fn press(rate_hz: u32, key: Key, at_ms: usize) -> Vec<i16> {
    let per_ms = rate_hz as usize / 1000;
    let mut sound = std::vec![0; 400 * per_ms];
    let mut generator = Generator::new(rate_hz, key, -10.0, -8.0);
    let edge = generator.edge_samples() as usize;
    let tone = &mut sound[at_ms * per_ms..][..100 * per_ms];
    let (steady, fall) = tone.split_at_mut(100 * per_ms - edge);
    generator.fill(steady);
    generator.release();
    generator.fill(fall);
    sound
}

/// Packets of 20 ms, of which those between `from_ms` and `to_ms` do not come; with `ahead` the one behind them is there already.
fn heard(sound: &[i16], rate_hz: u32, from_ms: usize, to_ms: usize, ahead: bool) -> Vec<i16> {
    let per_ms = rate_hz as usize / 1000;
    let mut concealer = Concealer::new(rate_hz);
    let mut out = sound.to_vec();
    let (from, to) = (from_ms * per_ms, to_ms * per_ms);
    let frame = 20 * per_ms;
    out[..from]
        .chunks_mut(frame)
        .for_each(|packet| concealer.good(packet));
    let (hole, behind) = out[from..].split_at_mut(to - from);
    concealer.conceal(hole, ahead.then_some(&behind[..frame]));
    behind
        .chunks_mut(frame)
        .for_each(|packet| concealer.good(packet));
    out
}

/// Signal to error in dB.
fn ratio(sound: &[i16], heard: &[i16]) -> f64 {
    let square = |value: f64| value * value;
    let power: f64 = sound.iter().map(|was| square(f64::from(*was))).sum();
    let pairs = sound.iter().zip(heard);
    let error: f64 = pairs
        .map(|(was, is)| square(f64::from(*was) - f64::from(*is)))
        .sum();
    10.0 * (power / error.max(1.0)).log10()
}

#[test]
fn the_tones_of_all_keys_go_on_through_a_hole() {
    for rate_hz in [8000, 16_000] {
        for key in Key::ALL {
            for (from, to) in [(120, 140), (120, 160), (120, 180)] {
                for ahead in [false, true] {
                    let sound = press(rate_hz, key, 93);
                    let out = heard(&sound, rate_hz, from, to, ahead);
                    let per_ms = rate_hz as usize / 1000;
                    let hole = from * per_ms..(to + 5) * per_ms;
                    let ratio = ratio(&sound[hole.clone()], &out[hole]);
                    assert!(
                        ratio > 30.0,
                        "{key} {rate_hz} Hz {from}-{to} ahead {ahead}: {ratio} dB"
                    );
                }
            }
        }
    }
}

#[test]
fn a_key_that_ends_in_a_hole_is_no_second_one_and_no_longer_than_the_hole() {
    for rate_hz in [8000, 16_000] {
        for (began, ahead) in [87, 91, 95, 99]
            .into_iter()
            .flat_map(|ms| [(ms, false), (ms, true)])
        {
            let sound = press(rate_hz, Key::ALL[5], began);
            let out = heard(&sound, rate_hz, 180, 200, ahead);
            let per_ms = rate_hz as usize / 1000;
            let loud = |ms: usize| {
                out[ms * per_ms..][..5 * per_ms]
                    .iter()
                    .any(|of| of.abs() > 600)
            };
            assert!((205..395).all(|ms| !loud(ms)), "{began} {rate_hz} {ahead}");
            let silent = (120..205).filter(|ms| !loud(*ms)).min().unwrap_or(205);
            assert!(
                (silent..395).all(|ms| !loud(ms)),
                "{began} {rate_hz} {ahead}: it comes back"
            );
        }
    }
}

#[test]
fn a_long_hole_ends_silent() {
    for rate_hz in [8000, 16_000] {
        let sound = press(rate_hz, Key::ALL[9], 100);
        let out = heard(&sound, rate_hz, 160, 300, false);
        let at = |ms: usize| &out[ms * rate_hz as usize / 1000..][..rate_hz as usize / 100];
        assert!(crate::level::dbm0(at(205)) > -7.0, "full level for 60 ms");
        assert!(at(245).iter().all(|sample| *sample == 0));
    }
}

#[test]
fn what_is_no_key_is_not_taken_for_one() {
    let mut random = Random::new(5);
    let noise: Vec<f32> = (0..4000)
        .map(|_| (random.normal() * 3000.0) as f32)
        .collect();
    let voice: Vec<f32> = speech(4, 20.0).iter().map(|of| f32::from(*of)).collect();
    let single: Vec<f32> = (0..400).map(|n| (n as f32 * 0.6).sin() * 9000.0).collect();
    // A voice may be like a key for 12 ms: then it goes on as the two tones it is like.
    for (sound, most) in [(noise, 0), (voice, 10), (single, 0)] {
        let mut found = 0;
        for end in (200..sound.len()).step_by(37) {
            found += usize::from(KeyTones::at_end(&sound[..end], 8).is_some());
        }
        assert!(found <= most, "{found}");
    }
}

#[test]
fn behind_a_loss_a_codec_with_a_memory_is_not_believed_about_a_tone() {
    let sound = press(16_000, Key::ALL[2], 90);
    let mut concealer = Concealer::new(16_000).with_memory(60);
    let mut random = Random::new(9);
    let mut out = sound.clone();
    for (at, packet) in out.chunks_mut(320).enumerate() {
        // Lost at 120 ms; the two packets behind it are half noise.
        match at {
            6 => concealer.conceal(packet, None),
            7 | 8 => {
                for sample in packet.iter_mut() {
                    *sample = (f64::from(*sample) * 0.8 + random.normal() * 3000.0) as i16;
                }
                concealer.good(packet);
            }
            _ => concealer.good(packet),
        }
    }
    let healed = ratio(&sound[6 * 320..9 * 320], &out[6 * 320..9 * 320]);
    assert!(healed > 25.0, "{healed} dB");
    assert_eq!(
        sound[12 * 320..],
        out[12 * 320..],
        "what comes later is left alone"
    );
}

/// Packets of 20 ms of a press that begins at `began` ms, of which the one at `lost` is there as a coarse copy only, behind which the next is
/// coarse as well.
fn copied(began: usize, lost: usize, coarse: impl Fn(i16) -> i16) -> (Vec<i16>, Vec<i16>) {
    let sound = press(16_000, Key::ALL[6], began);
    let mut concealer = Concealer::new(16_000).with_memory(60);
    let mut out = sound.clone();
    let (before, rest) = out.split_at_mut(lost * 320);
    before
        .chunks_mut(320)
        .for_each(|packet| concealer.good(packet));
    let (hole, behind) = rest.split_at_mut(320);
    hole.iter_mut().for_each(|sample| *sample = coarse(*sample));
    concealer.copied(hole, Some(&behind[..320]));
    behind
        .chunks_mut(320)
        .for_each(|packet| concealer.good(packet));
    (sound, out)
}

#[test]
fn a_copy_says_how_long_the_tones_of_a_key_went_on() {
    let coarse = |sample: i16| sample / 4 * 3 + sample % 512;
    let (sound, out) = copied(93, 8, coarse);
    let within = ratio(&sound[160 * 16..180 * 16], &out[160 * 16..180 * 16]);
    assert!(within > 30.0, "{within} dB");
    // The press ends at 190 ms, in the middle of what was copied.
    let (sound, out) = copied(90, 9, coarse);
    let until = ratio(&sound[180 * 16..189 * 16], &out[180 * 16..189 * 16]);
    assert!(until > 30.0, "{until} dB");
    assert_eq!(out[202 * 16..], sound[202 * 16..], "silence behind it");
}

#[test]
fn tones_that_began_in_a_hole_reach_back_into_its_copy() {
    // From 103 ms on; of the copy of 100 to 120 ms hardly anything is heard.
    for coarse in [|sample: i16| sample / 50, |sample: i16| sample / 4 * 3] {
        let (sound, out) = copied(103, 5, coarse);
        let half = ratio(&sound[111 * 16..140 * 16], &out[111 * 16..140 * 16]);
        assert!(half > 25.0, "{half} dB");
        assert!(out[..98 * 16].iter().all(|sample| *sample == 0));
    }
}

/// A voice whose decoder has a memory, with losses: what is made up of it and said in place of what came is no key.
#[test]
fn a_voice_with_losses_becomes_no_key() {
    let mut heard = 0;
    for seed in 0..6 {
        let mut sound = speech(seed, 60.0);
        let mut concealer = Concealer::new(8000).with_memory(60);
        let mut detector = Detector::new(8000, Profile::TELEPHONE);
        for (at, packet) in sound.chunks_mut(160).enumerate() {
            let begun = |event| heard += usize::from(matches!(event, Event::Begin { .. }));
            if at % 7 == 6 {
                concealer.conceal(packet, None);
                detector.process_concealed(packet, begun);
                continue;
            }
            concealer.good(packet);
            match concealer.is_blind() {
                true => detector.process_concealed(packet, begun),
                false => detector.process(packet, begun),
            }
        }
    }
    assert_eq!(heard, 0);
}

#[test]
fn the_key_behind_a_loss_is_not_the_one_before() {
    let (mut sound, second) = (
        press(16_000, Key::ALL[1], 100),
        press(16_000, Key::ALL[6], 100),
    );
    let mut concealer = Concealer::new(16_000).with_memory(60);
    // The first is heard until 160 ms, the second from 200 ms on.
    concealer.good(&mut sound[..160 * 16]);
    concealer.conceal(&mut sound[160 * 16..200 * 16], None);
    let mut behind = second[120 * 16..180 * 16].to_vec();
    for packet in behind.chunks_mut(320) {
        concealer.good(packet);
    }
    let came = &second[125 * 16..180 * 16];
    let ratio = ratio(came, &behind[5 * 16..]);
    assert!(ratio > 20.0, "{ratio}");
}
