use super::*;
use crate::test_signals::{Random, spectrum_db, speech};
use std::{vec, vec::Vec};

/// FNV-1a: pins long outputs in few digits.
fn hash(octets: impl Iterator<Item = u8>) -> u64 {
    octets.fold(0xCBF2_9CE4_8422_2325, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01B3)
    })
}

fn coded(samples: &[i16]) -> Vec<u8> {
    let mut out = vec![0; samples.len() / 2];
    assert_eq!(Encoder::new().encode(samples, &mut out), out.len());
    out
}

fn decoded(mode: Mode, octets: &[u8]) -> Vec<i16> {
    let mut out = vec![0; octets.len() * 2];
    assert_eq!(Decoder::new(mode).decode(octets, &mut out), out.len());
    out
}

/// Ten seconds in integers, which every machine makes alike: triangles that grow, noise from overload to silence, full-scale squares.
fn inputs() -> [Vec<i16>; 3] {
    let mut random = 1u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) as u16 as i16
    };
    let noise = (0..64_000).map(|n| next() >> (n / 4000)).collect();
    let squares = (0..64_000).map(|n: usize| match n / (1 + n / 1000) % 2 {
        0 => i16::MAX,
        _ => i16::MIN,
    });
    // Triangles of rising pitch under a growing envelope.
    let mut phase = 0u16;
    let voiced = (0..32_000u32).map(|n| {
        phase = phase.wrapping_add(400 + (n / 16) as u16);
        let triangle = i32::from((phase as i16).unsigned_abs()) - 16_384;
        (triangle * (n % 8000) as i32 / 8000) as i16
    });
    [voiced.collect(), noise, squares.collect()]
}

#[test]
fn outputs_are_pinned() {
    // As this code made them when it also reproduced ITU-T's test sequences in all modes, bit for bit.
    let expected: [[u64; 4]; 3] = [
        [
            0x2153_381D_20EC_DDAD,
            0xC0EC_9DC4_0147_548B,
            0xEFD0_11A6_4502_E1A3,
            0x4346_2F32_010C_EC22,
        ],
        [
            0x1C3A_A333_9AA2_3AF8,
            0x116A_50BA_D815_56AB,
            0xEC5B_EB9B_86AA_899F,
            0xCD8A_618D_C780_2223,
        ],
        [
            0x0ED1_AFBD_2C9C_355C,
            0x91FB_3815_4ACE_2E95,
            0x1BB4_35D8_2566_C41A,
            0x5455_0571_15B1_A98A,
        ],
    ];
    let made = inputs().map(|samples| {
        let octets = coded(&samples);
        let heard = |mode| {
            hash(
                decoded(mode, &octets)
                    .into_iter()
                    .flat_map(i16::to_le_bytes),
            )
        };
        let [full, less, least] = [Mode::Kbit64, Mode::Kbit56, Mode::Kbit48].map(heard);
        [hash(octets.into_iter()), full, less, least]
    });
    assert_eq!(made, expected, "{made:#x?}");
}

#[test]
fn any_octets_decode() {
    let mut random = Random::new(9);
    let octets: Vec<u8> = (0..200_000)
        .map(|_| (random.unit() * 256.0) as u8)
        .collect();
    for mode in [Mode::Kbit64, Mode::Kbit56, Mode::Kbit48] {
        decoded(mode, &octets);
    }
}

#[test]
fn tones_keep_their_level_up_to_7_khz() {
    for hz in [200.0, 1000.0, 3000.0, 5000.0, 6500.0] {
        let wave = |n: usize| (core::f64::consts::TAU * hz * n as f64 / 16_000.0).sin() * 8000.0;
        let samples: Vec<i16> = (0..16_000).map(|n| wave(n) as i16).collect();
        let heard = decoded(Mode::Kbit64, &coded(&samples));
        let gain =
            spectrum_db(&heard[1000..], 16_000.0, hz) - spectrum_db(&samples[1000..], 16_000.0, hz);
        assert!(gain.abs() < 0.5, "{hz} Hz: {gain} dB");
    }
}

#[test]
fn noise_grows_as_bits_go() {
    // Each sample twice: a voice at 16 kHz, with an image above.
    let voice: Vec<i16> = speech(1, 4.0).into_iter().flat_map(|s| [s, s]).collect();
    let octets = coded(&voice);
    let noise_db = |mode| {
        let heard = decoded(mode, &octets);
        let square = |(a, b): (&i16, &i16)| (f64::from(*a) - f64::from(*b)).powi(2);
        let noise: f64 = voice.iter().zip(&heard[22..]).map(square).sum();
        let signal: f64 = voice.iter().map(|s| f64::from(*s).powi(2)).sum();
        10.0 * (noise / signal).log10()
    };
    let [full, less, least] = [Mode::Kbit64, Mode::Kbit56, Mode::Kbit48].map(noise_db);
    assert!(
        full < -20.0 && full < less && less < least,
        "{full} {less} {least}"
    );
}

#[test]
fn slicing_changes_nothing() {
    let [voiced, ..] = inputs();
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::default());
    let (mut octets, mut heard) = (Vec::new(), Vec::new());
    let mut rest = voiced.as_slice();
    for cut in [2, 320, 14, 960, 130, 642].iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (part, after) = rest.split_at((*cut).min(rest.len()));
        let mut out = vec![0; part.len() / 2];
        assert_eq!(encoder.encode(part, &mut out), out.len());
        let mut samples = vec![0; part.len()];
        assert_eq!(decoder.decode(&out, &mut samples), samples.len());
        octets.extend(out);
        heard.extend(samples);
        rest = after;
    }
    assert_eq!(octets, coded(&voiced));
    assert_eq!(heard, decoded(Mode::Kbit64, &octets));
}

#[test]
fn room_decides_how_much_is_done() {
    let mut octets = [7; 5];
    assert_eq!(Encoder::new().encode(&[1; 300], &mut octets), 5);
    assert_eq!(Encoder::new().encode(&[1; 7], &mut octets), 3);
    let mut samples = [7; 5];
    assert_eq!(Decoder::default().decode(&[0; 100], &mut samples), 4);
    assert_eq!(samples[4], 7);
    assert_eq!(Decoder::default().decode(&[], &mut samples), 0);
}

#[test]
fn a_decoder_that_follows_is_nearer_to_the_coder_behind_lost_octets() {
    use crate::{dtmf::Generator, dtmf::Key, plc::Concealer};
    let mut sound = std::vec![0i16; 320 * 12];
    Generator::new(16_000, Key::ALL[5], -10.0, -8.0).fill(&mut sound);
    let mut octets = std::vec![0; sound.len() / 2];
    Encoder::new().encode(&sound, &mut octets);
    let error_behind = |follows: bool| -> f64 {
        let (mut decoder, mut concealer) = (Decoder::default(), Concealer::new(16_000));
        let mut heard = std::vec![0; sound.len()];
        for (at, (packet, octets)) in heard.chunks_mut(320).zip(octets.chunks(160)).enumerate() {
            if at != 8 {
                decoder.decode(octets, packet);
                concealer.good(&mut packet.to_vec());
                continue;
            }
            concealer.conceal(packet, None);
            let mut beyond = [0; DELAY];
            concealer.clone().conceal(&mut beyond, None);
            if follows {
                decoder.follow(packet, &beyond);
            }
        }
        let behind = 9 * 320..10 * 320;
        let was = &sound[behind.start - DELAY..behind.end - DELAY];
        let pairs = was.iter().zip(&heard[behind]);
        pairs
            .map(|(was, is)| f64::from(was.abs_diff(*is)).powi(2))
            .sum()
    };
    let (stays, follows) = (error_behind(false), error_behind(true));
    assert!(follows * 2.0 < stays, "{follows} beside {stays}");
}
