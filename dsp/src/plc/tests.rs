use super::*;
use crate::{
    level::{SILENCE_DBM0, dbm0},
    resample::Up2,
    test_signals::{Random, speech},
};
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
        for (index, (made, lost)) in out.iter().zip(&sound[frame * 4..]).enumerate() {
            // The second half is a little softer.
            let softer = if index < frame / 2 {
                0
            } else {
                lost.unsigned_abs() / 3
            };
            assert!(made.abs_diff(*lost) < 300 + softer, "{made} for {lost}");
        }
        let mut after = sound[frame * 5..].to_vec();
        concealer.good(&mut after);
        for (joined, came) in after.iter().zip(&sound[frame * 5..]) {
            let softer = came.unsigned_abs() / 3;
            assert!(joined.abs_diff(*came) < 300 + softer, "{joined} for {came}");
        }
        assert_eq!(after[frame / 2..], sound[frame * 5 + frame / 2..]);
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
        assert_eq!(levels[13..], [SILENCE_DBM0; 7], "260 ms");
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

/// What takes the place of lost packets.
#[derive(Clone, Copy, PartialEq)]
enum Fill {
    Silence,
    LastPacket,
    /// The period of the best correlation, over and over.
    Period,
    Ours,
    /// Ours with the packet behind the hole at hand.
    OursAhead,
}

/// A made-up voice at `rate_hz`, and which of its packets of 20 ms are lost: a tenth, one to three in a row.
fn lossy_voice(seed: u64, rate_hz: u32, longest_run: usize) -> (Vec<i16>, Vec<bool>) {
    let narrow = speech(seed, 6.0);
    let mut voice = if rate_hz == 8000 {
        narrow
    } else {
        let mut wide = std::vec![0; narrow.len() * 2];
        Up2::new().process(&narrow, &mut wide);
        wide
    };
    let packets = voice.len() / (rate_hz as usize / 50);
    voice.truncate(packets * (rate_hz as usize / 50));
    let mut random = Random::new(seed);
    let mut lost = std::vec![false; packets];
    let mut at = 10;
    while at + longest_run < packets {
        let run = 1 + (random.unit() * longest_run as f64) as usize;
        lost[at..at + run].fill(true);
        at += run + 4 + (random.unit() * 12.0) as usize;
    }
    (voice, lost)
}

fn filled(voice: &[i16], lost: &[bool], rate_hz: u32, fill: Fill) -> Vec<i16> {
    let frame = voice.len() / lost.len();
    let mut heard = voice.to_vec();
    let mut concealer = Concealer::new(rate_hz);
    for (index, gone) in lost.iter().enumerate() {
        let (past, rest) = heard.split_at_mut(index * frame);
        let (now, behind) = rest.split_at_mut(frame);
        if !gone {
            if matches!(fill, Fill::Ours | Fill::OursAhead) {
                concealer.good(now);
            }
            continue;
        }
        now.fill(0);
        let next_came = lost.get(index + 1) == Some(&false);
        match fill {
            Fill::Silence => {}
            Fill::LastPacket => now.copy_from_slice(&past[past.len() - frame..]),
            Fill::Period => repeat_period(past, now, rate_hz as usize),
            Fill::Ours => concealer.conceal(now, None),
            Fill::OursAhead => {
                concealer.conceal(now, next_came.then(|| &behind[..frame]));
            }
        }
    }
    heard
}

fn repeat_period(past: &[i16], out: &mut [i16], rate_hz: usize) {
    let template = &past[past.len() - rate_hz / 50..];
    let likeness = |lag: &usize| {
        let from = past.len() - template.len() - lag;
        let lagged = &past[from..from + template.len()];
        let sum = |pairs: &mut dyn Iterator<Item = (&i16, &i16)>| -> f64 {
            pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        sum(&mut template.iter().zip(lagged)) / sum(&mut lagged.iter().zip(lagged)).sqrt().max(1.0)
    };
    let lag = (rate_hz / 200..rate_hz * 3 / 200)
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .unwrap();
    for (index, sample) in out.iter_mut().enumerate() {
        *sample = past[past.len() - lag + index % lag];
    }
}

/// The mean over the lost packets of voice of the ratio of signal to error in dB, each within -10..=30.
fn segmental_snr(voice: &[i16], heard: &[i16], lost: &[bool]) -> f64 {
    let frame = voice.len() / lost.len();
    let (mut sum, mut count) = (0.0, 0.0);
    for (index, _) in lost.iter().enumerate().filter(|(_, gone)| **gone) {
        let place = index * frame..(index + 1) * frame;
        let (was, is) = (&voice[place.clone()], &heard[place]);
        if dbm0(was) < -35.0 {
            continue;
        }
        let power: f64 = was.iter().map(|was| f64::from(*was).powi(2)).sum();
        let error: f64 = was
            .iter()
            .zip(is)
            .map(|(was, is)| (f64::from(*was) - f64::from(*is)).powi(2))
            .sum();
        sum += (10.0 * (power / error.max(1.0)).log10()).clamp(-10.0, 30.0);
        count += 1.0;
    }
    sum / count
}

/// Mean of the segmental SNR over several voices.
fn score(rate_hz: u32, longest_run: usize, fill: Fill) -> f64 {
    let scores = (1..=6).map(|seed| {
        let (voice, lost) = lossy_voice(seed, rate_hz, longest_run);
        segmental_snr(&voice, &filled(&voice, &lost, rate_hz, fill), &lost)
    });
    scores.sum::<f64>() / 6.0
}

#[test]
fn lost_voice_is_filled_better_than_by_simpler_means() {
    for rate_hz in [8000, 16_000] {
        let [silence, last, period, ours, ahead] = [
            Fill::Silence,
            Fill::LastPacket,
            Fill::Period,
            Fill::Ours,
            Fill::OursAhead,
        ]
        .map(|fill| score(rate_hz, 1, fill));
        let scores = std::format!(
            "{rate_hz} Hz: silence {silence:.2}, last packet {last:.2}, period {period:.2}, ours {ours:.2}, ahead {ahead:.2} dB"
        );
        assert!(
            ours > silence + 2.0 && ours > last + 4.0 && ours > period + 0.5,
            "{scores}"
        );
        assert!(ahead > ours + 1.5, "{scores}");
    }
}

#[test]
fn joints_are_no_steeper_than_the_voice() {
    for rate_hz in [8000, 16_000] {
        for fill in [Fill::Ours, Fill::OursAhead] {
            let (voice, lost) = lossy_voice(21, rate_hz, 3);
            let heard = filled(&voice, &lost, rate_hz, fill);
            let frame = rate_hz as usize / 50;
            let step = |samples: &[i16], at: usize| samples[at].abs_diff(samples[at - 1]);
            for index in 1..lost.len() - 2 {
                if lost[index] == lost[index - 1] {
                    continue;
                }
                let joint = index * frame;
                let around = (joint - 2 * frame..joint + frame).map(|at| step(&voice, at));
                let bound = around.max().unwrap() / 4 * 5 + 60;
                let joined = step(&heard, joint);
                assert!(
                    joined <= bound,
                    "{joined} of {bound} at packet {index}, {rate_hz} Hz"
                );
            }
        }
    }
}

#[test]
fn a_lost_packet_keeps_the_level() {
    for rate_hz in [8000, 16_000] {
        for fill in [Fill::Ours, Fill::OursAhead] {
            let (voice, lost) = lossy_voice(33, rate_hz, 1);
            let heard = filled(&voice, &lost, rate_hz, fill);
            let frame = rate_hz as usize / 50;
            let of_lost = |samples: &[i16]| -> Vec<i16> {
                let packets = samples.chunks(frame).zip(&lost).filter(|(_, gone)| **gone);
                packets.flat_map(|(packet, _)| packet.to_vec()).collect()
            };
            let (was, is) = (dbm0(&of_lost(&voice)), dbm0(&of_lost(&heard)));
            assert!((was - is).abs() < 2.0, "{was} dBm0 became {is}");
        }
    }
}

#[test]
fn the_length_of_frames_matters_little() {
    let voice = speech(8, 2.0);
    let mut outs = Vec::new();
    for piece in [80, 160, 480] {
        let mut concealer = Concealer::new(8000);
        for frame in voice[..8000].to_vec().chunks_mut(piece) {
            concealer.good(frame);
        }
        let mut out = [0; 480];
        for piece in out.chunks_mut(piece) {
            concealer.conceal(piece, None);
        }
        outs.push(out);
    }
    for out in &outs[1..] {
        let apart = out.iter().zip(&outs[0]).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(apart < Some(40), "{apart:?}");
    }
}

#[test]
fn a_hole_of_two_packets_is_bridged_at_once() {
    let sound = hum(8000, 110.0, 1600);
    let mut concealer = Concealer::new(8000);
    concealer.good(&mut sound[..800].to_vec());
    let mut out = [0; 320];
    concealer.conceal(&mut out, Some(&sound[1120..1280]));
    for (made, lost) in out.iter().zip(&sound[800..]) {
        assert!(made.abs_diff(*lost) < 1200, "{made} for {lost}");
    }
    let mut next = sound[1120..1280].to_vec();
    concealer.good(&mut next);
    assert_eq!(
        next,
        sound[1120..1280],
        "what the hole was filled towards stays"
    );
}

#[test]
fn what_passes_from_one_pitch_to_another_glides() {
    // A chirp from 100 to 115 Hz: after 20 ms the old period is more than a tenth of a turn off.
    let mut phase = 0.0;
    let sound: Vec<i16> = (0..1600)
        .map(|index| {
            phase += TAU * (100.0 + 15.0 * f64::from(index) / 1600.0) / 8000.0;
            (7000.0 * phase.sin() + 4000.0 * (3.0 * phase).sin()) as i16
        })
        .collect();
    let mut lost = [false; 10];
    lost[5] = true;
    let alone = segmental_snr(&sound, &filled(&sound, &lost, 8000, Fill::Ours), &lost);
    let ahead = segmental_snr(&sound, &filled(&sound, &lost, 8000, Fill::OursAhead), &lost);
    assert!(
        ahead > alone + 3.0 && ahead > 15.0,
        "{alone} dB, ahead {ahead} dB"
    );
}

#[test]
fn packets_of_10_ms_are_looked_at_too() {
    for rate_hz in [8000, 16_000] {
        let mean = |fill| {
            let scores = (1..=6).map(|seed| {
                let (voice, lost) = lossy_voice(seed, rate_hz, 1);
                let lost: Vec<bool> = (0..lost.len() * 2)
                    .map(|packet| packet > 10 && packet % 7 == 0)
                    .collect();
                segmental_snr(&voice, &filled(&voice, &lost, rate_hz, fill), &lost)
            });
            scores.sum::<f64>() / 6.0
        };
        let (ours, ahead) = (mean(Fill::Ours), mean(Fill::OursAhead));
        assert!(
            ahead > ours + 0.3,
            "{ours} dB, ahead {ahead} dB at {rate_hz} Hz"
        );
    }
}
