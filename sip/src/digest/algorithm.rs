//! Owns the hash algorithms of digest authentication and the hashed secret of a user.

use md5::{Digest, Md5};
use sha2::Sha256;

/// A hash algorithm of RFC 7616 §6.1 that is served here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// `MD5`: what every phone can do.
    Md5,
    /// `SHA-256` (RFC 8760).
    Sha256,
}

impl Algorithm {
    /// The value of the `algorithm` parameter.
    pub fn token(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// The algorithm of this name, ASCII case ignored; absent means MD5 (RFC 7616 §3.3).
    pub(super) fn from_token(token: Option<&[u8]>) -> Option<Self> {
        match token {
            None => Some(Algorithm::Md5),
            Some(token) => [Algorithm::Md5, Algorithm::Sha256]
                .into_iter()
                .find(|known| token.eq_ignore_ascii_case(known.token().as_bytes())),
        }
    }

    /// H of the parts joined by colons.
    pub(super) fn hash(self, parts: &[&[u8]]) -> Hex {
        match self {
            Algorithm::Md5 => Hex::new(joined::<Md5>(parts)),
            Algorithm::Sha256 => Hex::new(joined::<Sha256>(parts)),
        }
    }
}

fn joined<D: Digest>(parts: &[&[u8]]) -> impl AsRef<[u8]> {
    let mut hash = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    hash.finalize()
}

/// A hash in lower-case hexadecimal digits. It may be a secret, so it is not printed.
#[derive(Clone, Copy)]
pub(super) struct Hex {
    digits: [u8; 64],
    length: usize,
}

impl Hex {
    pub(super) fn new(octets: impl AsRef<[u8]>) -> Self {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let octets = octets.as_ref();
        let mut digits = [b'0'; 64];
        for (pair, octet) in digits.chunks_exact_mut(2).zip(octets) {
            pair[0] = HEX[usize::from(octet >> 4)];
            pair[1] = HEX[usize::from(octet & 15)];
        }
        Self {
            digits,
            length: (octets.len() * 2).min(64),
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.digits[..self.length]
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

/// What a server keeps of a user's password: H(A1) of RFC 7616 §3.4.2 in every algorithm. It belongs to one user name
/// and one realm, costs the same to use whatever the password is, and is as secret as the password.
#[derive(Clone)]
pub struct Secret {
    md5: Hex,
    sha256: Hex,
}

impl Secret {
    /// Hashes a password for `user` in `realm`.
    pub fn new(user: &str, realm: &str, password: &str) -> Self {
        let parts = [user.as_bytes(), realm.as_bytes(), password.as_bytes()];
        Self {
            md5: Algorithm::Md5.hash(&parts),
            sha256: Algorithm::Sha256.hash(&parts),
        }
    }

    pub(super) fn ha1(&self, algorithm: Algorithm) -> &Hex {
        match algorithm {
            Algorithm::Md5 => &self.md5,
            Algorithm::Sha256 => &self.sha256,
        }
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}
