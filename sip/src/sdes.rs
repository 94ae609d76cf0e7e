//! `a=crypto`: SRTP keys in session descriptions (RFC 4568, suites of RFC 6188 too).
//!
//! Reads and writes one attribute; who may use which is decided by [`crate::offer_answer`]. Keys are in no Debug or Display output.
//! An attribute with anything not spoken here is refused as a whole, so that another of the same offer can be taken: MKI, several keys,
//! key derivation rates, forward error correction, and everything that would leave packets unencrypted or unauthenticated. A lifetime is
//! read and not enforced: it binds whoever sends with the key, and no call is as long as the default of 2^48 packets.

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use subtle::ConstantTimeEq;

/// The longest master key and salt in octets: AES-256.
const LONGEST: usize = 46;
/// Octets of a master salt in all suites.
const SALT_LEN: usize = 14;
/// Session parameters that are looked at.
const MAX_PARAMETERS: usize = 16;

/// Peers leave out the padding that RFC 4568 section 9.2 asks for.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Whether the audio of a leg is encrypted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum SrtpPolicy {
    /// Plain RTP only; an offer that insists on SRTP is refused.
    #[default]
    Never,
    /// SRTP where the peer wants it, else plain RTP. Never from SRTP to plain within one call.
    Optional,
    /// SRTP or no call.
    Required,
}

/// A crypto suite (RFC 4568 section 6.2, RFC 6188 section 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Suite {
    /// `AES_CM_128_HMAC_SHA1_80`, which everybody has to speak.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32`.
    AesCm128HmacSha1_32,
    /// `AES_256_CM_HMAC_SHA1_80`.
    Aes256CmHmacSha1_80,
    /// `AES_256_CM_HMAC_SHA1_32`.
    Aes256CmHmacSha1_32,
}

/// Each suite with its registered name, and the name some peers give it instead.
const SUITES: [(Suite, &str, &str); 4] = [
    (
        Suite::AesCm128HmacSha1_80,
        "AES_CM_128_HMAC_SHA1_80",
        "AES_128_CM_HMAC_SHA1_80",
    ),
    (
        Suite::AesCm128HmacSha1_32,
        "AES_CM_128_HMAC_SHA1_32",
        "AES_128_CM_HMAC_SHA1_32",
    ),
    (
        Suite::Aes256CmHmacSha1_80,
        "AES_256_CM_HMAC_SHA1_80",
        "AES_CM_256_HMAC_SHA1_80",
    ),
    (
        Suite::Aes256CmHmacSha1_32,
        "AES_256_CM_HMAC_SHA1_32",
        "AES_CM_256_HMAC_SHA1_32",
    ),
];

impl Suite {
    /// All suites that are spoken, in the order of our preference: the suite everybody speaks first, because some peers look at the
    /// first alone.
    pub const ALL: [Suite; 4] = [
        Suite::AesCm128HmacSha1_80,
        Suite::Aes256CmHmacSha1_80,
        Suite::AesCm128HmacSha1_32,
        Suite::Aes256CmHmacSha1_32,
    ];

    /// Octets of master key and master salt together, 30 or 46.
    pub const fn key_and_salt_len(self) -> usize {
        match self {
            Self::AesCm128HmacSha1_80 | Self::AesCm128HmacSha1_32 => 16 + SALT_LEN,
            Self::Aes256CmHmacSha1_80 | Self::Aes256CmHmacSha1_32 => 32 + SALT_LEN,
        }
    }

    /// The registered name, or the one some peers write.
    fn spelled(self, alternate: bool) -> &'static str {
        let entry = SUITES.iter().find(|(suite, ..)| *suite == self);
        entry.map_or("", |(_, name, other)| if alternate { other } else { name })
    }

    /// The suite of a name, and whether it is the alternate name.
    fn of(name: &str) -> Option<(Self, bool)> {
        SUITES.iter().find_map(|(suite, registered, other)| {
            let is = |known: &str| name.eq_ignore_ascii_case(known);
            (is(registered) || is(other)).then(|| (*suite, is(other)))
        })
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.spelled(false))
    }
}

/// A master key with its salt. Shown nowhere, compared in constant time.
#[derive(Clone)]
pub struct SrtpKey {
    suite: Suite,
    /// Key, then salt, then zeros.
    octets: [u8; LONGEST],
}

impl SrtpKey {
    /// Key and salt, one after the other; `None` unless they have exactly the suite's length.
    pub fn new(suite: Suite, key_and_salt: &[u8]) -> Option<Self> {
        if key_and_salt.len() != suite.key_and_salt_len() {
            return None;
        }
        let mut octets = [0; LONGEST];
        octets[..key_and_salt.len()].copy_from_slice(key_and_salt);
        Some(Self { suite, octets })
    }

    /// The suite it is for.
    pub fn suite(&self) -> Suite {
        self.suite
    }

    /// The secret: 30 or 46 octets, the last 14 of them the salt.
    pub fn key_and_salt(&self) -> &[u8] {
        &self.octets[..self.suite.key_and_salt_len()]
    }
}

impl PartialEq for SrtpKey {
    fn eq(&self, other: &Self) -> bool {
        self.suite == other.suite && bool::from(self.octets.ct_eq(&other.octets))
    }
}

impl Eq for SrtpKey {}

impl fmt::Debug for SrtpKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SrtpKey({})", self.suite)
    }
}

/// Why an `a=crypto` attribute is not used. Never shows what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CryptoError {
    /// Not `tag suite inline:key`, or a tag above nine digits.
    Malformed,
    /// A suite that is not spoken here.
    Suite,
    /// A key that is not base64 of the suite's length.
    Key,
    /// More than one key.
    SeveralKeys,
    /// A master key identifier: packets would carry it.
    Mki,
    /// A lifetime that is no number, 0, or above 2^48.
    Lifetime,
    /// A session parameter that is not spoken here and may not be ignored.
    Parameter,
}

impl fmt::Display for CryptoError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "is not tag, suite and inline key",
            Self::Suite => "names a suite that is not spoken here",
            Self::Key => "has a key that is not base64 of the suite's length",
            Self::SeveralKeys => "has several keys",
            Self::Mki => "has a master key identifier",
            Self::Lifetime => "has a lifetime beyond 2^48 packets",
            Self::Parameter => "has a session parameter that is not spoken here",
        })
    }
}

impl std::error::Error for CryptoError {}

/// The value of one `a=crypto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Crypto {
    /// Names the attribute within its media description.
    pub tag: u32,
    /// The key its sender protects with.
    pub key: SrtpKey,
    /// The suite was written with the name that is not registered; the answer repeats it.
    alternate: bool,
}

impl Crypto {
    /// An attribute of ours.
    pub fn new(tag: u32, key: SrtpKey) -> Self {
        Self {
            tag,
            key,
            alternate: false,
        }
    }

    /// Our answer to this one: its tag and its suite as written (RFC 4568 section 5.1.2), our key. `None` when the key is for another suite.
    pub fn answered_with(&self, key: SrtpKey) -> Option<Self> {
        (key.suite == self.key.suite).then_some(Self { key, ..*self })
    }

    /// Reads what follows `a=crypto:`.
    ///
    /// # Errors
    /// Names the first rule it breaks.
    pub fn parse(value: &str) -> Result<Self, CryptoError> {
        let mut fields = value.split_ascii_whitespace();
        let (Some(tag), Some(suite), Some(keys)) = (fields.next(), fields.next(), fields.next())
        else {
            return Err(CryptoError::Malformed);
        };
        if tag.len() > 9 || !tag.bytes().all(|octet| octet.is_ascii_digit()) {
            return Err(CryptoError::Malformed);
        }
        let tag = tag.parse().map_err(|_| CryptoError::Malformed)?;
        let (suite, alternate) = Suite::of(suite).ok_or(CryptoError::Suite)?;
        let key = inline_key(suite, keys)?;
        let mut parameters = fields;
        for parameter in parameters.by_ref().take(MAX_PARAMETERS) {
            if !is_ignorable(parameter) {
                return Err(CryptoError::Parameter);
            }
        }
        if parameters.next().is_some() {
            return Err(CryptoError::Parameter);
        }
        Ok(Self {
            tag,
            key,
            alternate,
        })
    }

    /// The value to write after `a=crypto:`. It holds the key: for the wire only.
    pub fn to_value(&self) -> String {
        let suite = self.key.suite.spelled(self.alternate);
        let key = BASE64.encode(self.key.key_and_salt());
        format!("{} {suite} inline:{key}", self.tag)
    }
}

/// `inline:key||salt["|"lifetime]["|"mki:length]` (RFC 4568 section 6.1).
fn inline_key(suite: Suite, keys: &str) -> Result<SrtpKey, CryptoError> {
    if keys.contains(';') {
        return Err(CryptoError::SeveralKeys);
    }
    let (method, value) = keys.split_once(':').ok_or(CryptoError::Malformed)?;
    if !method.eq_ignore_ascii_case("inline") {
        return Err(CryptoError::Malformed);
    }
    let mut parts = value.split('|');
    let encoded = parts.next().unwrap_or_default();
    for part in parts {
        if part.contains(':') {
            return Err(CryptoError::Mki);
        }
        check_lifetime(part)?;
    }
    let mut octets = [0; LONGEST + 2];
    let length = BASE64
        .decode_slice(encoded, &mut octets)
        .map_err(|_| CryptoError::Key)?;
    SrtpKey::new(suite, &octets[..length]).ok_or(CryptoError::Key)
}

/// `2^31`, or a number of packets.
fn check_lifetime(text: &str) -> Result<(), CryptoError> {
    let packets = match text.strip_prefix("2^") {
        Some(power) => power.parse().ok().and_then(|power| 1u64.checked_shl(power)),
        None => text.parse().ok(),
    };
    match packets {
        Some(1..=0x1_0000_0000_0000) => Ok(()),
        _ => Err(CryptoError::Lifetime),
    }
}

/// Whether a session parameter changes nothing for us (RFC 4568 section 6.3): the hint at the size of a replay window, the default key
/// derivation rate, and extensions that say they may be ignored.
fn is_ignorable(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    name.starts_with('-')
        || name.eq_ignore_ascii_case("WSH")
        || (name.eq_ignore_ascii_case("KDR") && value == "0")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const K30: &str = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz";
    const K46: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLQ";

    #[test]
    fn attributes_as_peers_write_them() {
        for (value, tag, suite) in [
            (
                format!("1 AES_CM_128_HMAC_SHA1_80 inline:{K30}"),
                1,
                Suite::AesCm128HmacSha1_80,
            ),
            (
                format!("999999999\tAES_CM_128_HMAC_SHA1_32  INLINE:{K30}|2^31"),
                999_999_999,
                Suite::AesCm128HmacSha1_32,
            ),
            (
                format!("0 aes_256_cm_hmac_sha1_80 inline:{K46}== WSH=128 KDR=0 -x=y"),
                0,
                Suite::Aes256CmHmacSha1_80,
            ),
            (
                format!("2 AES_CM_256_HMAC_SHA1_32 inline:{K46}|1048576"),
                2,
                Suite::Aes256CmHmacSha1_32,
            ),
        ] {
            let crypto = Crypto::parse(&value).unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!((crypto.tag, crypto.key.suite()), (tag, suite), "{value}");
        }
    }

    #[test]
    fn what_is_not_spoken_is_refused_by_name() {
        use CryptoError::*;
        let suite = "AES_CM_128_HMAC_SHA1_80";
        for (value, error) in [
            (String::new(), Malformed),
            (format!("1 {suite}"), Malformed),
            (format!("x {suite} inline:{K30}"), Malformed),
            (format!("+1 {suite} inline:{K30}"), Malformed),
            (format!("1000000000 {suite} inline:{K30}"), Malformed),
            (format!("1 {suite} {K30}"), Malformed),
            (format!("1 {suite} file:{K30}"), Malformed),
            (format!("1 F8_128_HMAC_SHA1_80 inline:{K30}"), Suite),
            (format!("1 AEAD_AES_128_GCM inline:{K30}"), Suite),
            (format!("1 {suite} inline:{K46}"), Key),
            (format!("1 {suite} inline:abc"), Key),
            (format!("1 {suite} inline:"), Key),
            (format!("1 {suite} inline:{}", "A".repeat(4_000)), Key),
            (format!("1 {suite} inline:{}*", &K30[1..]), Key),
            (format!("1 {suite} inline:{K30};inline:{K30}"), SeveralKeys),
            (format!("1 {suite} inline:{K30}|1:4"), Mki),
            (format!("1 {suite} inline:{K30}|2^20|1:4"), Mki),
            (format!("1 {suite} inline:{K30}|2^49"), Lifetime),
            (format!("1 {suite} inline:{K30}|2^64"), Lifetime),
            (format!("1 {suite} inline:{K30}|0"), Lifetime),
            (format!("1 {suite} inline:{K30}|"), Lifetime),
            (
                format!("1 {suite} inline:{K30} UNENCRYPTED_SRTP"),
                Parameter,
            ),
            (
                format!("1 {suite} inline:{K30} UNENCRYPTED_SRTCP"),
                Parameter,
            ),
            (
                format!("1 {suite} inline:{K30} WSH=64 UNAUTHENTICATED_SRTP"),
                Parameter,
            ),
            (format!("1 {suite} inline:{K30} KDR=1"), Parameter),
            (
                format!("1 {suite} inline:{K30} FEC_ORDER=FEC_SRTP"),
                Parameter,
            ),
            (
                format!("1 {suite} inline:{K30}{}", " -x".repeat(17)),
                Parameter,
            ),
        ] {
            assert_eq!(Crypto::parse(&value), Err(error), "{value:.90}");
        }
    }

    #[test]
    fn an_answer_repeats_tag_and_spelling() {
        let offered = Crypto::parse(&format!("7 AES_CM_256_HMAC_SHA1_80 inline:{K46}")).unwrap();
        let ours = SrtpKey::new(Suite::Aes256CmHmacSha1_80, &[1; 46]).unwrap();
        let value = offered.answered_with(ours).unwrap().to_value();
        assert!(value.starts_with("7 AES_CM_256_HMAC_SHA1_80 inline:AQEB"));
        assert!(value.ends_with("=="));
        let other = SrtpKey::new(Suite::Aes256CmHmacSha1_32, &[1; 46]).unwrap();
        assert_eq!(offered.answered_with(other), None);
    }

    #[test]
    fn keys_are_not_shown() {
        let crypto = Crypto::parse(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{K30}")).unwrap();
        let shown = format!("{crypto:?}");
        assert_eq!(
            shown,
            "Crypto { tag: 1, key: SrtpKey(AES_CM_128_HMAC_SHA1_80), alternate: false }"
        );
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(tag in 0u32..1_000_000_000, which in 0usize..4, octets: [u8; 46 / 2], more: [u8; 46 / 2]) {
            let suite = Suite::ALL[which];
            let octets = [octets, more].concat();
            let key = SrtpKey::new(suite, &octets[..suite.key_and_salt_len()]).unwrap();
            let crypto = Crypto::new(tag, key);
            prop_assert_eq!(Crypto::parse(&crypto.to_value()), Ok(crypto));
        }
    }
}
