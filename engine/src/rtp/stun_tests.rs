use super::*;
use proptest::prelude::*;

/// The request of RFC 5769 section 2.1.
const SAMPLE: &str = "000100582112a442b7e7a701bc34d686fa87dfae\
    802200105354554e207465737420636c69656e74\
    002400046e0001ff80290008932ff9b151263b36\
    000600096576746a3a68367659202020\
    000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf";

fn hex(text: &str) -> Vec<u8> {
    let digit = |at| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

fn sample_credentials() -> IceLite {
    IceLite {
        ufrag: "evtj".into(),
        pwd: "VOkJxbRl1RmTxUk/WvJxBt".into(),
    }
}

fn ours() -> IceLite {
    IceLite {
        ufrag: "ours".into(),
        pwd: "a password of our own".into(),
    }
}

/// A message of these attributes, with integrity and fingerprint at its end where they are wanted.
fn message(
    kind: u16,
    attributes: &[(u16, &[u8])],
    pwd: Option<&str>,
    fingerprinted: bool,
) -> Vec<u8> {
    let mut octets = [
        &kind.to_be_bytes()[..],
        &[0, 0],
        &COOKIE.to_be_bytes(),
        &[9; 12],
    ]
    .concat();
    let push = |octets: &mut Vec<u8>, kind: u16, value: &[u8]| {
        octets.extend(kind.to_be_bytes());
        octets.extend((value.len() as u16).to_be_bytes());
        octets.extend(value);
        octets.resize(octets.len().next_multiple_of(4), b' ');
    };
    for (kind, value) in attributes {
        push(&mut octets, *kind, value);
    }
    if let Some(pwd) = pwd {
        let tag = integrity(&octets, pwd);
        push(&mut octets, MESSAGE_INTEGRITY, &tag);
    }
    if fingerprinted {
        let crc = fingerprint(&octets);
        push(&mut octets, FINGERPRINT, &crc);
    }
    let length = ((octets.len() - HEADER) as u16).to_be_bytes();
    octets[2..4].copy_from_slice(&length);
    octets
}

const NAME: (u16, &[u8]) = (USERNAME, b"ours:theirs");

fn request(attributes: &[(u16, &[u8])]) -> Vec<u8> {
    message(BINDING_REQUEST, attributes, Some(&ours().pwd), true)
}

/// The attributes of an answer, after its integrity and fingerprint were found right.
fn read_answer(octets: &[u8]) -> (u16, Vec<(u16, Vec<u8>)>) {
    let read: Vec<_> = attributes(octets).map(Result::unwrap).collect();
    let at = |kind| {
        read.iter()
            .find(|attribute| attribute.kind == kind)
            .unwrap()
            .at
    };
    assert_eq!(usize::from(half(octets, 2)), octets.len() - HEADER);
    let end = at(MESSAGE_INTEGRITY);
    assert_eq!(
        octets[end + 4..end + 24],
        integrity(&octets[..end], &ours().pwd)
    );
    let end = at(FINGERPRINT);
    assert_eq!(octets[end + 4..], fingerprint(&octets[..end]));
    let values = read
        .iter()
        .map(|attribute| (attribute.kind, attribute.value.to_vec()));
    (half(octets, 0), values.collect())
}

fn answered(request: &[u8], source: &str) -> (u16, Vec<(u16, Vec<u8>)>) {
    let check = check(request, &ours()).unwrap();
    let mut out = [0; MAX_ANSWER];
    let length = answer(&check, source.parse().unwrap(), &ours(), &mut out);
    assert_eq!(out[8..20], request[8..20]);
    read_answer(&out[..length])
}

#[test]
fn the_request_of_rfc_5769() {
    let request = hex(SAMPLE);
    let read = check(&request, &sample_credentials()).unwrap();
    assert_eq!(read.priority, 0x6E00_01FF);
    assert!(read.is_controlled && !read.nominates && !read.succeeds());
    for octet in 0..request.len() {
        let mut bad = request.clone();
        bad[octet] ^= 1;
        assert!(check(&bad, &sample_credentials()).is_err(), "octet {octet}");
        assert!(check(&request[..octet], &sample_credentials()).is_err());
    }
}

#[test]
fn the_mapped_addresses_of_rfc_5769() {
    let transaction: [u8; 12] = hex("b7e7a701bc34d686fa87dfae").try_into().unwrap();
    for (source, expected) in [
        ("192.0.2.1:32853", "002000080001a147e112a643"),
        (
            "[2001:db8:1234:5678:11:2233:4455:6677]:32853",
            "002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d9",
        ),
    ] {
        let mut out = [0; MAX_ANSWER];
        let mut writer = Writer {
            out: &mut out,
            length: 0,
        };
        writer.mapped_address(source.parse().unwrap(), &transaction);
        let length = writer.length;
        assert_eq!(out[..length], hex(expected));
    }
}

#[test]
fn a_check_is_answered_with_where_it_came_from() {
    let attributes = [
        NAME,
        (PRIORITY, &[0x6E, 0, 1, 0xFF][..]),
        (USE_CANDIDATE, &[]),
    ];
    let check = check(&request(&attributes), &ours()).unwrap();
    assert!(check.nominates && check.succeeds());
    let (kind, values) = answered(&request(&attributes), "192.0.2.1:32853");
    assert_eq!(kind, BINDING_SUCCESS);
    let kinds: Vec<u16> = values.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [XOR_MAPPED_ADDRESS, MESSAGE_INTEGRITY, FINGERPRINT]);
}

#[test]
fn who_does_not_know_the_password_gets_no_answer() {
    use StunError::*;
    let pwd = &ours().pwd;
    let other = "another password, not ours";
    let binding = BINDING_REQUEST;
    let late = {
        // What follows MESSAGE-INTEGRITY is not protected by it.
        let mut octets = message(binding, &[NAME], Some(pwd), false);
        octets.extend(hex("00250000"));
        let crc = fingerprint(&octets);
        octets.extend([&hex("80280004")[..], &crc].concat());
        let length = ((octets.len() - HEADER) as u16).to_be_bytes();
        octets[2..4].copy_from_slice(&length);
        octets
    };
    assert!(!check(&late, &ours()).unwrap().nominates);
    let many = [(0xC001, &[][..]); 31];
    for (octets, error) in [
        (message(binding, &[NAME], None, true), Integrity),
        (message(binding, &[NAME], Some(other), true), Integrity),
        (
            message(binding, &[NAME, (MESSAGE_INTEGRITY, &[0; 20])], None, true),
            Integrity,
        ),
        (
            message(binding, &[NAME, (MESSAGE_INTEGRITY, &[])], None, true),
            Integrity,
        ),
        (message(binding, &[NAME], Some(pwd), false), Fingerprint),
        (message(binding, &[], Some(pwd), true), Username),
        (
            message(binding, &[(USERNAME, b"theirs:ours")], Some(pwd), true),
            Username,
        ),
        (
            message(binding, &[(USERNAME, b"ours")], Some(pwd), true),
            Username,
        ),
        (
            message(binding, &[(USERNAME, b"oursx:y")], Some(pwd), true),
            Username,
        ),
        (message(0x0101, &[NAME], Some(pwd), true), NotARequest),
        (message(0x0011, &[NAME], Some(pwd), true), NotARequest),
        (message(0x0003, &[NAME], Some(pwd), true), NotARequest),
        (message(binding, &many, Some(pwd), true), Malformed),
    ] {
        assert_eq!(check(&octets, &ours()), Err(error));
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let good = request(&[NAME]);
    for (at, octet) in [
        (2, 1),
        (3, good[3] - 4),
        (3, good[3] + 4),
        (3, 1),
        (22, 0xFF),
        (23, 0xFF),
    ] {
        let mut bad = good.clone();
        bad[at] = octet;
        assert!(check(&bad, &ours()).is_err(), "octet {at}");
    }
    let longer = [&good[..], &[0; 4]].concat();
    assert_eq!(check(&longer, &ours()), Err(StunError::Malformed));
    assert!(!is_stun(&good[..19]) && is_stun(&good));
    assert!(!is_stun(&[&[0x80][..], &good[1..]].concat()), "RTP");
}

#[test]
fn what_we_cannot_do_is_said() {
    let (kind, values) = answered(&request(&[NAME, (ICE_CONTROLLED, &[0; 8])]), "192.0.2.1:1");
    assert_eq!((kind, values[0].0), (BINDING_ERROR, ERROR_CODE));
    assert_eq!(values[0].1[..4], [0, 0, 4, 87]);
    let unknown: [(u16, &[u8]); 6] = [1, 2, 3, 4, 5, 0].map(|n| (0x7000 + n, &[][..]));
    let unknown = [&[NAME][..], &unknown].concat();
    let (kind, values) = answered(&request(&unknown), "[2001:db8::1]:1");
    assert_eq!(
        (kind, &values[0].1[..4]),
        (BINDING_ERROR, &[0, 0, 4, 20][..])
    );
    assert_eq!(values[1], (UNKNOWN_ATTRIBUTES, hex("7001700270037004")));
}

proptest! {
    #[test]
    fn no_datagram_panics(mut octets in proptest::collection::vec(any::<u8>(), 0..200), stun: bool) {
        if stun && octets.len() >= HEADER {
            octets[0] = 0;
            octets[1] = 1;
            octets[4..8].copy_from_slice(&COOKIE.to_be_bytes());
            let length = ((octets.len() - HEADER) as u16).to_be_bytes();
            octets[2..4].copy_from_slice(&length);
        }
        prop_assert!(check(&octets, &ours()).is_err());
    }
}
