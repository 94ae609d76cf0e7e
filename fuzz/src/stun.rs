//! The check behind target `stun`: binding requests on a media port.

use trunkline::rtp::stun::{IceLite, MAX_ANSWER, MAX_ATTRIBUTES, answer, check, is_stun};

/// A datagram. Only a whole message from who knows the password is taken, and its answer is a message of the same transaction.
pub fn stun(octets: &[u8]) {
    let ours = IceLite {
        ufrag: "ours".into(),
        pwd: "a password of our own".into(),
    };
    let Ok(check) = check(octets, &ours) else {
        return;
    };
    assert!(is_stun(octets));
    assert!(octets.len() <= 20 + MAX_ATTRIBUTES * (4 + 65_536));
    for source in ["192.0.2.1:5000", "[2001:db8::1]:5000"] {
        let mut out = [0; MAX_ANSWER];
        let length = answer(&check, source.parse().expect("an address"), &ours, &mut out);
        assert!(is_stun(&out[..length]) && out[8..20] == octets[8..20]);
        assert_eq!(out[..2] == [1, 1], check.succeeds());
        let counted = usize::from(u16::from_be_bytes([out[2], out[3]]));
        assert_eq!(counted + 20, length);
    }
    // Another password is another world.
    let other = IceLite {
        pwd: "another password".into(),
        ..ours
    };
    assert!(trunkline::rtp::stun::check(octets, &other).is_err());
}
