use super::*;

/// A made-up voice of `count` samples at 16 kHz: harmonics of a gliding pitch that come and go, with a little noise.
fn voice(count: usize) -> Vec<i16> {
    let mut noise = 1u32;
    let mut phase = 0.0f32;
    let sample = |n: usize| {
        let seconds = n as f32 / 16_000.0;
        phase = (phase + (130.0 + 40.0 * (seconds * 5.0).sin()) / 16_000.0).fract();
        let loud = (seconds * 9.0).sin().max(0.0) * 5000.0;
        let harmonics = (1..20).map(|k| {
            let k = k as f32;
            (std::f32::consts::TAU * k * phase).sin() / k.sqrt()
        });
        noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let hiss = (noise >> 16) as f32 / 65_536.0 - 0.5;
        (loud * harmonics.sum::<f32>() + 40.0 * hiss).clamp(-30_000.0, 30_000.0) as i16
    };
    (0..count).map(sample).collect()
}

fn packets(settings: OpusSettings, samples: &[i16], length: usize) -> Vec<Vec<u8>> {
    let mut encoder = OpusEncoder::new(settings).unwrap();
    let mut out = [0; 4000];
    let encode = |frame: &[i16]| {
        let octets = encoder.encode(frame, &mut out).unwrap();
        out[..octets].to_vec()
    };
    samples.chunks_exact(length).map(encode).collect()
}

fn energy(samples: &[i16]) -> f64 {
    samples.iter().map(|s| f64::from(*s).powi(2)).sum()
}

/// The best correlation, 0 to 1, over delays of up to 30 ms.
fn likeness(sent: &[i16], heard: &[i16]) -> f64 {
    let at = |delay: usize| {
        let heard = &heard[delay..];
        let sent = &sent[..heard.len()];
        let product = |(a, b): (&i16, &i16)| f64::from(*a) * f64::from(*b);
        let sum: f64 = sent.iter().zip(heard).map(product).sum();
        sum / (energy(sent) * energy(heard)).sqrt().max(1.0)
    };
    (0..480).map(at).fold(0.0, f64::max)
}

#[test]
fn what_goes_in_comes_out_at_every_frame_length() {
    let sent = voice(32_000);
    for length in [40, 80, 160, 320, 640, 960] {
        let mut decoder = OpusDecoder::new().unwrap();
        let (mut heard, mut out) = (Vec::new(), [0; MAX_SAMPLES]);
        // Packets shorter than 10 ms are CELT, which needs more bits.
        let bitrate_bps = if length < 160 { 96_000 } else { 24_000 };
        let settings = OpusSettings {
            bitrate_bps,
            ..Default::default()
        };
        for packet in packets(settings, &sent, length) {
            assert_eq!(packet_samples(&packet), Some(length));
            let count = decoder.decode(&packet, &mut out).unwrap();
            assert_eq!(count, length);
            heard.extend_from_slice(&out[..count]);
        }
        let likeness = likeness(&sent[..heard.len()], &heard);
        assert!(likeness > 0.85, "{length} samples: {likeness}");
        let level = 10.0 * (energy(&heard) / energy(&sent)).log10();
        assert!(level.abs() < 1.0, "{length} samples: {level} dB");
    }
}

#[test]
fn settings_have_their_effect() {
    let sent = voice(64_000);
    let octets = |settings| packets(settings, &sent, 320).concat().len();
    let at = |bitrate_bps| {
        octets(OpusSettings {
            bitrate_bps,
            ..Default::default()
        })
    };
    // Four seconds.
    assert!((2000..6000).contains(&at(8_000)), "{}", at(8_000));
    assert!((12_000..20_000).contains(&at(32_000)), "{}", at(32_000));
    assert_eq!(at(1), at(6_000), "out of range is the nearest in it");

    let redundant = |expected_loss_percent, fec| {
        let settings = OpusSettings {
            fec,
            expected_loss_percent,
            ..Default::default()
        };
        let packets = packets(settings, &sent, 320);
        let with = |packet: &&Vec<u8>| packet::head(packet).unwrap().redundancy;
        packets.iter().filter(with).count()
    };
    assert_eq!(redundant(20, false), 0);
    assert_eq!(redundant(0, true), 0, "no loss is expected");
    assert!(redundant(20, true) > 80, "{}", redundant(20, true));
}

#[test]
fn dtx_makes_packets_of_silence_that_need_not_be_sent() {
    let settings = |dtx| OpusSettings {
        dtx,
        ..Default::default()
    };
    let short = |dtx| {
        let packets = packets(settings(dtx), &[0; 32_000], 320);
        let need_not = |packet: &&Vec<u8>| packet.len() <= DTX_OCTETS;
        packets.iter().filter(need_not).count()
    };
    assert_eq!(short(false), 0);
    assert!(short(true) > 60, "{}", short(true));
}

#[test]
fn a_lost_packet_is_recovered_from_the_next_better_than_concealed() {
    let sent = voice(48_000);
    let settings = OpusSettings {
        bitrate_bps: 32_000,
        fec: true,
        expected_loss_percent: 20,
        ..Default::default()
    };
    let packets = packets(settings, &sent, 320);
    let hear = |recover: Option<bool>| {
        let mut decoder = OpusDecoder::new().unwrap();
        let mut heard = Vec::new();
        for (index, packet) in packets.iter().enumerate() {
            let mut out = [0; 320];
            let lost = index % 5 == 4 && index + 1 < packets.len();
            let count = match (lost, recover) {
                (true, Some(true)) => decoder.recover(&packets[index + 1], &mut out),
                (true, Some(false)) => decoder.conceal(&mut out),
                _ => decoder.decode(packet, &mut out),
            };
            assert_eq!(count, Ok(320));
            heard.extend_from_slice(&out);
        }
        heard
    };
    let whole = hear(None);
    let error = |heard: Vec<i16>| -> f64 {
        let square = |(a, b): (&i16, &i16)| (f64::from(*a) - f64::from(*b)).powi(2);
        whole.iter().zip(&heard).map(square).sum()
    };
    let (recovered, concealed) = (error(hear(Some(true))), error(hear(Some(false))));
    assert!(
        recovered < concealed / 2.0,
        "{recovered} is not well below {concealed}"
    );
    assert!(concealed < energy(&whole), "better than silence");
}

#[test]
fn what_is_lost_for_long_fades() {
    let mut decoder = OpusDecoder::new().unwrap();
    let mut out = [0; 320];
    for packet in packets(OpusSettings::default(), &voice(2880), 320) {
        decoder.decode(&packet, &mut out).unwrap();
    }
    decoder.conceal(&mut out).unwrap();
    let mut last = [0; MAX_SAMPLES];
    (0..20).for_each(|_| assert_eq!(decoder.conceal(&mut last), Ok(MAX_SAMPLES)));
    assert!(energy(&last) / 6.0 < energy(&out) / 4.0);
}

#[test]
fn what_is_no_packet_or_has_no_room_is_an_error() {
    let mut decoder = OpusDecoder::new().unwrap();
    let mut out = [0; 320];
    assert_eq!(decoder.decode(&[], &mut out), Err(OpusError::Packet));
    assert_eq!(decoder.decode(&[3], &mut out), Err(OpusError::Packet));
    assert_eq!(decoder.recover(&[], &mut out), Err(OpusError::Packet));
    assert_eq!(decoder.conceal(&mut out[..39]), Err(OpusError::Room));
    let [packet] = &packets(OpusSettings::default(), &voice(640), 640)[..] else {
        panic!("one packet");
    };
    assert_eq!(decoder.decode(packet, &mut out), Err(OpusError::Room));
    assert_eq!(decoder.conceal(&mut out[..100]), Ok(80), "whole steps");

    let mut encoder = OpusEncoder::new(OpusSettings::default()).unwrap();
    let length = encoder.encode(&[0; 480], &mut [0; 99]);
    assert_eq!(length, Err(OpusError::Length), "30 ms is no frame of Opus");
    assert_eq!(encoder.encode(&[0; 320], &mut [0]), Err(OpusError::Room));
}

#[test]
fn a_small_room_makes_a_small_packet() {
    let mut encoder = OpusEncoder::new(OpusSettings::default()).unwrap();
    for frame in voice(16_000).chunks_exact(320) {
        let octets = encoder.encode(frame, &mut [0; 20]).unwrap();
        assert!((1..=20).contains(&octets));
    }
}

#[test]
fn any_octets_are_decoded_or_refused() {
    let mut random = 7u32;
    let mut next = || {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (random >> 16) as u8
    };
    let mut decoder = OpusDecoder::new().unwrap();
    let mut out = [0; MAX_SAMPLES];
    for _ in 0..3000 {
        let packet: Vec<u8> = (0..next() % 80).map(|_| next()).collect();
        let expected = packet_samples(&packet);
        if next() % 4 == 0 {
            assert_eq!(
                decoder.recover(&packet, &mut out).is_ok(),
                expected.is_some()
            );
        }
        assert_eq!(
            decoder.decode(&packet, &mut out).ok(),
            expected,
            "{packet:?}"
        );
    }
}

/// The two back ends hear the same: whatever either encodes, both decode to within one step. Concealment is not standardised, so DTX is
/// off.
#[cfg(feature = "opus-audiopus")]
#[test]
fn both_back_ends_agree() {
    let sent = voice(16_000);
    let mut packets_compared = 0;
    for complexity in [0, 5, 10] {
        for bitrate_bps in [8_000, 24_000, 64_000] {
            for length in [80, 160, 320, 640, 960] {
                let settings = OpusSettings {
                    complexity,
                    bitrate_bps,
                    fec: length == 320,
                    dtx: false,
                    expected_loss_percent: 15,
                    narrow: complexity == 10,
                };
                let mut by_lib = audiopus::Encoder::new(1).unwrap();
                by_lib.apply(&settings).unwrap();
                let lib = |frame: &[i16], out: &mut [u8]| by_lib.encode(frame, out).unwrap();
                packets_compared += agree(&sent, length, lib);
                let mut by_pure = pure::Encoder::new(1).unwrap();
                by_pure.apply(&settings).unwrap();
                let pure = |frame: &[i16], out: &mut [u8]| by_pure.encode(frame, out).unwrap();
                packets_compared += agree(&sent, length, pure);
            }
        }
    }
    assert_eq!(packets_compared, 18 * (200 + 100 + 50 + 25 + 16));
}

#[cfg(feature = "opus-audiopus")]
fn agree(sent: &[i16], length: usize, mut encode: impl FnMut(&[i16], &mut [u8]) -> usize) -> usize {
    let mut lib = audiopus::Decoder::new().unwrap();
    let mut pure = pure::Decoder::new().unwrap();
    let encode = |frame| {
        let mut packet = vec![0; 3 * MAX_OCTETS];
        let octets = encode(frame, &mut packet);
        packet.truncate(octets);
        packet
    };
    let packets: Vec<Vec<u8>> = sent.chunks_exact(length).map(encode).collect();
    for (index, packet) in packets.iter().enumerate() {
        let (mut one, mut other) = ([0; 960], [0; 960]);
        assert_eq!(lib.decode(Some(packet), &mut one, false), Ok(length));
        assert_eq!(pure.decode(Some(packet), &mut other, false), Ok(length));
        let apart = one.iter().zip(&other).map(|(a, b)| a.abs_diff(*b)).max();
        // Releases of libopus fade a little differently from one bandwidth to another.
        let around = &packets[index.saturating_sub(1)..(index + 2).min(packets.len())];
        let changes = around.iter().any(|beside| beside[0] >> 3 != packet[0] >> 3);
        let limit = if changes { 64 } else { 1 };
        assert!(apart <= Some(limit), "packet {index}: {apart:?} apart");
    }
    packets.len()
}
