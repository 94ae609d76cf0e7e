use super::*;
use proptest::prelude::*;

const SUITES: [Suite; 4] = [
    Suite::AesCm128HmacSha1_80,
    Suite::AesCm128HmacSha1_32,
    Suite::Aes256CmHmacSha1_80,
    Suite::Aes256CmHmacSha1_32,
];

fn key(suite: Suite, seed: u8) -> MasterKey {
    let octets: Vec<u8> = (0..suite.key_and_salt_len() as u8)
        .map(|n| n.wrapping_mul(7) ^ seed)
        .collect();
    MasterKey::new(suite, &octets).unwrap()
}

fn pair(suite: Suite) -> (Sender, Receiver) {
    let key = key(suite, 3);
    (Sender::new(&key), Receiver::new(&key))
}

fn rtp(sequence: u16, ssrc: u32, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend([0, 0, 0, 9]);
    packet.extend(ssrc.to_be_bytes());
    packet.extend(payload);
    packet
}

fn protected(sender: &mut Sender, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [packet, &[0; MAX_TRAILER]].concat();
    let length = sender.protect_rtp(&mut buffer, packet.len()).unwrap();
    buffer.truncate(length);
    buffer
}

fn protected_rtcp(sender: &mut Sender, packet: &[u8]) -> Vec<u8> {
    let mut buffer = [packet, &[0; MAX_TRAILER]].concat();
    let length = sender.protect_rtcp(&mut buffer, packet.len()).unwrap();
    assert_eq!(length, buffer.len());
    buffer
}

/// Key and packets that other implementations publish for their self-tests (the key is that of RFC 3711 B.3 and RFC 6188 section 7.3).
#[test]
fn whole_packets() {
    let hex = |text: &str| -> Vec<u8> {
        (0..text.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
            .collect()
    };
    let short = hex("e1f97a0d3e018be0d64fa32c06de41390ec675ad498afeebb6960b3aabe6");
    let long = hex(
        "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b63b04803de51ee7c96423ab5b78d2",
    );
    let plain = hex("800f1234decafbadcafebabeabababababababababababababababab");
    for (suite, key, expected) in [
        (
            Suite::AesCm128HmacSha1_80,
            &short,
            "800f1234decafbadcafebabe4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
        ),
        (
            Suite::Aes256CmHmacSha1_80,
            &long,
            "800f1234decafbadcafebabef1d9de17ff251ff1aa007774b0b4b40da08d9d9a5b3a55d8873b",
        ),
    ] {
        let key = MasterKey::new(suite, key).unwrap();
        let mut packet = protected(&mut Sender::new(&key), &plain);
        assert_eq!(packet, hex(expected));
        assert_eq!(Receiver::new(&key).unprotect_rtp(&mut packet), Ok(28));
        assert_eq!(packet[..28], plain);
    }
    let key = MasterKey::new(Suite::AesCm128HmacSha1_32, &short).unwrap();
    let plain = hex("81c8000bcafebabeabababababababababababababababab");
    let mut packet = protected_rtcp(&mut Sender::new(&key), &plain);
    let expected = "81c8000bcafebabe7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798";
    assert_eq!(packet, hex(expected));
    assert_eq!(Receiver::new(&key).unprotect_rtcp(&mut packet), Ok(24));
    assert_eq!(packet[..24], plain);
}

#[test]
fn the_roll_over_counter_follows_wraps_loss_and_reordering() {
    let (mut sender, mut receiver) = pair(Suite::AesCm128HmacSha1_80);
    let mut held: Option<Vec<u8>> = None;
    for n in 65_000..265_000u32 {
        // Many lost in a row.
        if matches!(n % 1_000, 50..950) {
            continue;
        }
        let mut packet = protected(&mut sender, &rtp(n as u16, 5, b"payload"));
        match n % 1_000 {
            // One late packet.
            999 => held = Some(packet),
            _ => assert!(receiver.unprotect_rtp(&mut packet).is_ok(), "{n}"),
        }
        if let Some(mut late) = held.take_if(|_| n.is_multiple_of(1_000)) {
            assert!(receiver.unprotect_rtp(&mut late).is_ok(), "before {n}");
        }
    }
    assert!(sender.sent.unwrap().newest() > 3 << 16);
}

#[test]
fn a_late_packet_of_before_the_wrap() {
    let (mut sender, mut receiver) = pair(Suite::AesCm128HmacSha1_80);
    let mut packets: Vec<Vec<u8>> = (65_530..65_540u32)
        .map(|n| protected(&mut sender, &rtp(n as u16, 5, b"x")))
        .collect();
    for place in [0, 6, 5, 9, 7, 8, 1] {
        assert!(
            receiver.unprotect_rtp(&mut packets[place]).is_ok(),
            "{place}"
        );
    }
    assert_eq!(receiver.rtp_sources.window(5).unwrap().newest(), 65_539);
}

#[test]
fn nothing_counts_that_is_not_authentic() {
    for suite in SUITES {
        let (mut sender, mut receiver) = pair(suite);
        let good = protected(&mut sender, &rtp(30_000, 5, &[1; 20]));
        for octet in 0..good.len() {
            let mut bad = good.clone();
            bad[octet] ^= 0x04;
            let before = bad.clone();
            let error = receiver.unprotect_rtp(&mut bad).unwrap_err();
            assert!(
                matches!(error, SrtpError::Authentication | SrtpError::Malformed),
                "octet {octet}: {error:?}"
            );
            assert_eq!(bad, before);
        }
        for length in 0..good.len() {
            let mut cut = good[..length].to_vec();
            assert!(receiver.unprotect_rtp(&mut cut).is_err(), "{length}");
        }
        let mut plain = rtp(30_001, 5, &[1; 20]);
        assert_eq!(
            receiver.unprotect_rtp(&mut plain),
            Err(SrtpError::Authentication)
        );
        assert!(receiver.rtp_sources.window(5).is_none());
        let mut again = good.clone();
        assert!(receiver.unprotect_rtp(&mut again).is_ok());
        assert_eq!(
            receiver.unprotect_rtp(&mut good.clone()),
            Err(SrtpError::Replayed)
        );
        let other = key(suite, 4);
        assert_eq!(
            Receiver::new(&other).unprotect_rtp(&mut good.clone()),
            Err(SrtpError::Authentication)
        );
    }
}

#[test]
fn rtcp_is_authentic_encrypted_and_fresh() {
    let report = [&[0x80, 201, 0, 4, 0, 0, 0, 5][..], &[9; 12]].concat();
    for suite in SUITES {
        let (mut sender, mut receiver) = pair(suite);
        let packets = [(); 3].map(|()| protected_rtcp(&mut sender, &report));
        assert_ne!(packets[0], packets[1]);
        for place in [0, 2, 1] {
            let mut packet = packets[place].clone();
            assert_eq!(receiver.unprotect_rtcp(&mut packet), Ok(report.len()));
            assert_eq!(packet[..report.len()], report);
            let mut again = packets[place].clone();
            assert_eq!(
                receiver.unprotect_rtcp(&mut again),
                Err(SrtpError::Replayed)
            );
        }
        for octet in 0..packets[0].len() {
            let mut bad = protected_rtcp(&mut sender, &report);
            bad[octet] ^= 0x10;
            assert!(receiver.unprotect_rtcp(&mut bad).is_err(), "octet {octet}");
        }
        for length in 0..packets[0].len() {
            let mut cut = packets[0][..length].to_vec();
            assert!(receiver.unprotect_rtcp(&mut cut).is_err(), "{length}");
        }
    }
}

#[test]
fn an_unencrypted_report_is_refused_though_authentic() {
    let (sender, mut receiver) = pair(Suite::AesCm128HmacSha1_80);
    let report = [0x80, 201, 0, 1, 0, 0, 0, 5];
    let index = 1u32.to_be_bytes();
    let tag = sender.rtcp.tag(&report, &index);
    let mut packet = [&report[..], &index, &tag[..10]].concat();
    assert_eq!(
        receiver.unprotect_rtcp(&mut packet),
        Err(SrtpError::Unencrypted)
    );
}

#[test]
fn csrcs_and_extension_stay_in_the_clear() {
    let (mut sender, mut receiver) = pair(Suite::AesCm128HmacSha1_80);
    let mut packet = rtp(1, 5, &[]);
    packet[0] |= 0x11;
    packet.extend([1, 2, 3, 4, 0xBE, 0xDE, 0, 1, 5, 6, 7, 8]);
    let clear = packet.len();
    packet.extend([0x55; 40]);
    let mut wire = protected(&mut sender, &packet);
    assert_eq!(wire[..clear], packet[..clear]);
    assert_ne!(wire[clear..packet.len()], packet[clear..]);
    assert_eq!(receiver.unprotect_rtp(&mut wire), Ok(packet.len()));
    assert_eq!(wire[..packet.len()], packet);
}

#[test]
fn no_index_is_used_twice() {
    let (mut sender, _) = pair(Suite::AesCm128HmacSha1_80);
    let mut buffer = [rtp(10, 5, b"one"), vec![0; MAX_TRAILER]].concat();
    assert!(sender.protect_rtp(&mut buffer, 15).is_ok());
    for (sequence, fresh) in [(10, false), (12, true), (11, true), (11, false), (9, true)] {
        let mut buffer = [rtp(sequence, 5, b"two"), vec![0; MAX_TRAILER]].concat();
        let protected = sender.protect_rtp(&mut buffer, 15);
        assert_eq!(protected.is_ok(), fresh, "{sequence}");
    }
}

#[test]
fn no_room_and_no_more_indexes() {
    let (mut sender, _) = pair(Suite::AesCm128HmacSha1_32);
    let mut packet = rtp(1, 5, &[0; 8]);
    let length = packet.len();
    assert_eq!(
        sender.protect_rtp(&mut packet, length),
        Err(SrtpError::NoRoom)
    );
    assert_eq!(
        sender.protect_rtp(&mut packet, length + 1),
        Err(SrtpError::NoRoom)
    );
    packet.resize(length + MAX_TRAILER, 0);
    sender.sent = Some(Window::beginning_at(LAST_RTP_INDEX));
    assert_eq!(
        sender.protect_rtp(&mut packet, length),
        Err(SrtpError::Exhausted)
    );
    sender.next_rtcp = ENCRYPTED;
    assert_eq!(
        sender.protect_rtcp(&mut packet, length),
        Err(SrtpError::Exhausted)
    );
    assert_eq!(
        sender.protect_rtp(&mut packet, 11),
        Err(SrtpError::Malformed)
    );
}

proptest! {
    #[test]
    fn what_is_protected_is_read_back(which in 0usize..4, first: u16, steps in proptest::collection::vec((0u16..500, any::<u32>()), 1..40),
                                      payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let (mut sender, mut receiver) = pair(SUITES[which]);
        let mut sequence = first & 0x7FFF;
        for (step, _) in steps {
            sequence = sequence.wrapping_add(step + 1);
            let plain = rtp(sequence, 7, &payload);
            let mut wire = protected(&mut sender, &plain);
            prop_assert_eq!(receiver.unprotect_rtp(&mut wire), Ok(plain.len()));
            prop_assert_eq!(&wire[..plain.len()], &plain[..]);
        }
    }

    #[test]
    fn no_datagram_panics_or_passes(mut datagram in proptest::collection::vec(any::<u8>(), 0..200)) {
        let (_, mut receiver) = pair(Suite::AesCm128HmacSha1_80);
        prop_assert!(receiver.unprotect_rtp(&mut datagram).is_err());
        prop_assert!(receiver.unprotect_rtcp(&mut datagram).is_err());
    }
}
