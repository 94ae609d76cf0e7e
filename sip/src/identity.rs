//! Owns everything an endpoint must make up: tags, branches, Call-IDs and the random part of the glare timer.
//!
//! All of it comes from one secret seed (MD5 of seed and counter), so that nobody outside can guess a value and a
//! run with the same seed repeats exactly. It is not a source of keys for encryption.

use md5::{Digest, Md5};

/// 96 bits as 24 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Token([u8; Token::LENGTH]);

impl Token {
    pub(crate) const LENGTH: usize = 24;

    fn from_digest(digest: &[u8]) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = [b'0'; Self::LENGTH];
        for (pair, octet) in text.chunks_exact_mut(2).zip(digest) {
            pair[0] = HEX[usize::from(octet >> 4)];
            pair[1] = HEX[usize::from(octet & 15)];
        }
        Self(text)
    }

    /// Reads back what [`Token::as_bytes`] wrote; anything of another length is none of ours.
    pub(crate) fn from_bytes(text: &[u8]) -> Option<Self> {
        text.try_into().ok().map(Self)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn as_str(&self) -> &str {
        // Only digits are ever written; what `from_bytes` took from the wire is compared, never written.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(self, f)
    }
}

/// The seed and how often it was used.
pub(crate) struct Identity {
    seed: [u8; 32],
    counter: u64,
}

impl Identity {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self { seed, counter: 0 }
    }

    /// A value never given before.
    pub(crate) fn token(&mut self) -> Token {
        self.counter += 1;
        let digest = Md5::new()
            .chain_update(self.seed)
            .chain_update(self.counter.to_be_bytes())
            .finalize();
        Token::from_digest(&digest)
    }

    /// The same value for the same parts, which nobody without the seed can compute: the To tag of an answer for
    /// which no state is kept (RFC 3261 §8.2.7).
    pub(crate) fn stateless(&self, parts: &[&[u8]]) -> Token {
        let mut hash = Md5::new()
            .chain_update(b"stateless")
            .chain_update(self.seed);
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Token::from_digest(&hash.finalize())
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u32) -> u32 {
        let number = self.token().0[..8]
            .iter()
            .fold(0u32, |sum, octet| sum.wrapping_mul(31) ^ u32::from(*octet));
        number % limit.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn tokens_differ_and_repeat_with_the_seed() {
        let (mut first, mut second) = (Identity::new([1; 32]), Identity::new([1; 32]));
        let mut seen = HashSet::new();
        for _ in 0..1000 {
            let token = first.token();
            assert_eq!(token, second.token());
            assert!(seen.insert(token));
        }
        assert_ne!(
            Identity::new([2; 32]).token(),
            Identity::new([1; 32]).token()
        );
    }

    #[test]
    fn stateless_values_depend_on_the_seed_and_on_where_parts_end() {
        let identity = Identity::new([1; 32]);
        assert_eq!(
            identity.stateless(&[b"ab", b"c"]),
            identity.stateless(&[b"ab", b"c"])
        );
        assert_ne!(
            identity.stateless(&[b"ab", b"c"]),
            identity.stateless(&[b"a", b"bc"])
        );
        assert_ne!(
            identity.stateless(&[b"ab"]),
            Identity::new([2; 32]).stateless(&[b"ab"])
        );
    }

    #[test]
    fn the_glare_delay_spreads() {
        let mut identity = Identity::new([7; 32]);
        let drawn: HashSet<_> = (0..200).map(|_| identity.below(200)).collect();
        assert!(drawn.len() > 100 && drawn.iter().all(|number| *number < 200));
    }
}
