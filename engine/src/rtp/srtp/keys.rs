//! Suites, master keys, and the session keys derived from them (RFC 3711 section 4.3, RFC 6188 section 3).

use std::fmt;

use aes::cipher::StreamCipher;
use aes::cipher::consts::U16;
use aes::cipher::{
    BlockCipherEncrypt, BlockSizeUser, InnerIvInit, KeyInit, StreamCipherCoreWrapper,
};
use aes::{Aes128Enc, Aes256Enc};
use ctr::{CtrCore, flavors};
use hmac::{Hmac, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

use super::SrtpError;

/// Octets of a master salt in all suites.
const SALT_LEN: usize = 14;
/// Octets of an HMAC-SHA1 key (RFC 3711 section 8.2).
const AUTH_KEY_LEN: usize = 20;
/// Octets of the longest cipher key.
const LONGEST_KEY: usize = 32;

/// A crypto suite: RFC 3711 section 8.2 and RFC 6188 section 4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// AES-128, tag of 80 bits.
    AesCm128HmacSha1_80,
    /// AES-128, tag of 32 bits.
    AesCm128HmacSha1_32,
    /// AES-256, tag of 80 bits.
    Aes256CmHmacSha1_80,
    /// AES-256, tag of 32 bits.
    Aes256CmHmacSha1_32,
}

impl Suite {
    /// Octets of the master key, 16 or 32.
    pub const fn key_len(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 | Suite::AesCm128HmacSha1_32 => 16,
            Suite::Aes256CmHmacSha1_80 | Suite::Aes256CmHmacSha1_32 => 32,
        }
    }

    /// Octets of master key and master salt together, 30 or 46.
    pub const fn key_and_salt_len(self) -> usize {
        self.key_len() + SALT_LEN
    }

    /// Octets of the tag of an SRTP packet; that of an SRTCP packet is always 10.
    pub const fn tag_len(self) -> usize {
        match self {
            Suite::AesCm128HmacSha1_80 | Suite::Aes256CmHmacSha1_80 => 10,
            Suite::AesCm128HmacSha1_32 | Suite::Aes256CmHmacSha1_32 => 4,
        }
    }
}

/// A master key with its salt. Shown nowhere, compared in constant time.
#[derive(Clone)]
pub struct MasterKey {
    suite: Suite,
    /// Key, then salt, then zeros.
    octets: [u8; LONGEST_KEY + SALT_LEN],
}

impl MasterKey {
    /// Key and salt, one after the other; `None` unless they have exactly the suite's length.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<MasterKey> {
        if key_and_salt.len() != suite.key_and_salt_len() {
            return None;
        }
        let mut octets = [0; LONGEST_KEY + SALT_LEN];
        octets[..key_and_salt.len()].copy_from_slice(key_and_salt);
        Some(MasterKey { suite, octets })
    }

    /// The suite it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    fn salt(&self) -> &[u8] {
        &self.octets[self.suite.key_len()..self.suite.key_and_salt_len()]
    }

    /// Fills `out` with the pseudo-random octets of a label (RFC 3711 section 4.3.1, key derivation rate 0).
    fn derive(&self, label: u8, out: &mut [u8]) {
        let mut iv = [0; 16];
        iv[..SALT_LEN].copy_from_slice(self.salt());
        iv[7] ^= label;
        out.fill(0);
        Cipher::new(&self.octets[..self.suite.key_len()]).apply_keystream(&iv, out);
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &MasterKey) -> bool {
        self.suite == other.suite && bool::from(self.octets.ct_eq(&other.octets))
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MasterKey({:?})", self.suite)
    }
}

/// AES of either length, encrypting only: counter mode needs no more.
enum Cipher {
    Aes128(Aes128Enc),
    Aes256(Aes256Enc),
}

impl Cipher {
    /// For a key of 16 octets, or else 32.
    fn new(key: &[u8]) -> Cipher {
        match key.try_into() {
            Ok(key) => Cipher::Aes128(Aes128Enc::new(key)),
            Err(_) => {
                let mut long = [0; LONGEST_KEY];
                long.copy_from_slice(key);
                Cipher::Aes256(Aes256Enc::new(&long.into()))
            }
        }
    }

    /// XORs the key stream that begins at this counter block. The low 16 bits count blocks and are 0 at first: 65,536 blocks are more
    /// than a datagram has.
    fn apply_keystream(&self, counter: &[u8; 16], octets: &mut [u8]) {
        match self {
            Cipher::Aes128(cipher) => apply_keystream(cipher, counter, octets),
            Cipher::Aes256(cipher) => apply_keystream(cipher, counter, octets),
        }
    }
}

fn apply_keystream<C>(cipher: &C, counter: &[u8; 16], octets: &mut [u8])
where
    C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>,
{
    let core: CtrCore<&C, flavors::Ctr128BE> = CtrCore::inner_iv_init(cipher, &(*counter).into());
    StreamCipherCoreWrapper::from_core(core).apply_keystream(octets);
}

/// The keys of one direction of RTP or of RTCP.
pub(super) struct SessionKeys {
    cipher: Cipher,
    /// The salt at its place in the counter block.
    salt: [u8; 16],
    mac: Hmac<Sha1>,
}

impl SessionKeys {
    pub(super) fn rtp(master: &MasterKey) -> SessionKeys {
        SessionKeys::derived(master, 0)
    }

    pub(super) fn rtcp(master: &MasterKey) -> SessionKeys {
        SessionKeys::derived(master, 3)
    }

    /// Labels: encryption, then authentication, then salt (RFC 3711 section 4.3.2).
    fn derived(master: &MasterKey, first_label: u8) -> SessionKeys {
        let mut key = [0; LONGEST_KEY];
        let key = &mut key[..master.suite.key_len()];
        let (mut auth_key, mut salt) = ([0; AUTH_KEY_LEN], [0; 16]);
        master.derive(first_label, key);
        master.derive(first_label + 1, &mut auth_key);
        master.derive(first_label + 2, &mut salt[..SALT_LEN]);
        SessionKeys {
            cipher: Cipher::new(key),
            salt,
            mac: Hmac::new_from_slice(&auth_key).expect("HMAC takes keys of any length"),
        }
    }

    /// Encrypts or decrypts (RFC 3711 section 4.1.1).
    pub(super) fn apply_keystream(&self, ssrc: u32, index: u64, octets: &mut [u8]) {
        let mut counter = u128::from_be_bytes(self.salt);
        counter ^= u128::from(ssrc) << 64;
        counter ^= u128::from(index) << 16;
        self.cipher.apply_keystream(&counter.to_be_bytes(), octets);
    }

    /// The tag, not yet cut, of a packet and what is authenticated after it.
    pub(super) fn tag(&self, packet: &[u8], after: &[u8; 4]) -> [u8; 20] {
        let mut mac = self.mac.clone();
        mac.update(packet);
        mac.update(after);
        mac.finalize().into_bytes().into()
    }

    /// Compares the tag in constant time.
    pub(super) fn verify(
        &self,
        packet: &[u8],
        after: &[u8; 4],
        tag: &[u8],
    ) -> Result<(), SrtpError> {
        let right = self.tag(packet, after);
        let equal = right
            .get(..tag.len())
            .is_some_and(|right| right.ct_eq(tag).into());
        equal.then_some(()).ok_or(SrtpError::Authentication)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> = text
            .chars()
            .filter_map(|letter| letter.to_digit(16).map(|digit| digit as u8))
            .collect();
        digits
            .chunks(2)
            .map(|pair| pair[0] << 4 | pair[1])
            .collect()
    }

    /// Blocks 0, 1 and 2 and blocks 0xFEFF to 0xFF01 of the key stream.
    fn check_stream(key: &str, first: [&str; 3], late: [&str; 3]) {
        let salt = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfd0000");
        let mut stream = vec![0; 16 * 0xFF02];
        Cipher::new(&hex(key)).apply_keystream(&salt.try_into().unwrap(), &mut stream);
        assert_eq!(stream[..48], hex(&first.concat()));
        assert_eq!(stream[16 * 0xFEFF..], hex(&late.concat()));
    }

    #[test]
    fn key_stream_of_rfc_3711_b_2() {
        check_stream(
            "2b7e151628aed2a6abf7158809cf4f3c",
            [
                "e03ead0935c95e80e166b16dd92b4eb4",
                "d23513162b02d0f72a43a2fe4a5f97ab",
                "41e95b3bb0a2e8dd477901e4fca894c0",
            ],
            [
                "ec8cdf7398607cb0f2d21675ea9ea1e4",
                "362b7c3c6773516318a077d7fc5073ae",
                "6a2cc3787889374fbeb4c81b17ba6c44",
            ],
        );
    }

    #[test]
    fn key_stream_of_rfc_6188_7_1() {
        check_stream(
            "57f82fe3613fd170a85ec93c40b1f0922ec4cb0dc025b58272147cc438944a98",
            [
                "92bdd28a93c3f52511c677d08b5515a4",
                "9da71b2378a854f67050756ded165bac",
                "63c4868b7096d88421b563b8c94c9a31",
            ],
            [
                "cea518c90fd91ced9cbb18c078a54711",
                "3dbc4814f4da5f00a08772b63c6a046d",
                "6eb246913062a16891433e97dd01a57f",
            ],
        );
    }

    fn check_derivation(suite: Suite, key: &str, salt: &str, labels: [&str; 3]) {
        let master = MasterKey::new(suite, &hex(&[key, salt].concat())).unwrap();
        for (label, expected) in [0, 2, 1].into_iter().zip(labels) {
            let expected = hex(expected);
            let mut derived = vec![0xFF; expected.len()];
            master.derive(label, &mut derived);
            assert_eq!(derived, expected, "label {label}");
        }
    }

    #[test]
    fn derivation_of_rfc_3711_b_3() {
        check_derivation(
            Suite::AesCm128HmacSha1_80,
            "e1f97a0d3e018be0d64fa32c06de4139",
            "0ec675ad498afeebb6960b3aabe6",
            [
                "c61e7a93744f39ee10734afe3ff7a087",
                "30cbbc08863d8c85d49db34a9ae1",
                "cebe321f6ff7716b6fd4ab49af256a156d38baa48f0a0acf3c34e2359e6cdbce\
                 e049646c43d9327ad175578ef72270986371c10c9a369ac2f94a8c5fbcdddc25\
                 6d6e919a48b610ef17c2041e474035766b68642c59bbfc2f34db60dbdfb2dc68",
            ],
        );
    }

    #[test]
    fn derivation_of_rfc_6188_7_3() {
        check_derivation(
            Suite::Aes256CmHmacSha1_80,
            "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6",
            "3b04803de51ee7c96423ab5b78d2",
            [
                "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
                "fa31791685ca444a9e07c6c64e93",
                "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
            ],
        );
    }

    #[test]
    fn a_key_is_of_its_suites_length_and_never_shown() {
        assert!(MasterKey::new(Suite::AesCm128HmacSha1_80, &[1; 46]).is_none());
        assert!(MasterKey::new(Suite::Aes256CmHmacSha1_32, &[1; 30]).is_none());
        let key = MasterKey::new(Suite::AesCm128HmacSha1_32, &[0xAB; 30]).unwrap();
        assert_eq!(format!("{key:?}"), "MasterKey(AesCm128HmacSha1_32)");
        assert_eq!(key, key.clone());
        let mut other = [0xAB; 30];
        other[29] ^= 1;
        assert_ne!(
            Some(key),
            MasterKey::new(Suite::AesCm128HmacSha1_32, &other)
        );
    }
}
