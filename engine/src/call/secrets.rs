//! Fresh secrets of a leg: SRTP keys and ICE credentials. Each leg has its own, and nothing of one leg's ever comes to another.
use trunkline_sip::SrtpKey;
use trunkline_sip::ice::IceCredentials;
use trunkline_sip::sdes::Suite;

/// A key for a suite; `None` when the system has no random numbers, and then nothing is encrypted with it.
pub(super) fn srtp_key(suite: Suite) -> Option<SrtpKey> {
    let mut octets = [0; 46];
    getrandom::fill(&mut octets).ok()?;
    SrtpKey::new(suite, &octets[..suite.key_and_salt_len()])
}

/// A key for each suite, in the order of our preference.
pub(super) fn srtp_keys() -> Vec<SrtpKey> {
    Suite::ALL.into_iter().filter_map(srtp_key).collect()
}

/// Credentials for the checks of an ICE peer; `None` when the system has no random numbers, and then no ICE is answered.
pub(super) fn ice_credentials() -> Option<IceCredentials> {
    let mut octets = [0; 32];
    getrandom::fill(&mut octets).ok()?;
    Some(IceCredentials::from_random(&octets))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_alike() {
        let keys = [srtp_keys(), srtp_keys()].concat();
        assert_eq!(keys.len(), 8);
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[..index].contains(key));
            let (short, other) = (&key.key_and_salt()[..16], &keys[(index + 1) % 8]);
            assert_ne!(*short, other.key_and_salt()[..16]);
        }
        assert_ne!(ice_credentials(), ice_credentials());
    }
}
