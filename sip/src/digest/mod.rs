//! Owns digest authentication as SIP uses it (RFC 7616, RFC 8760, RFC 3261 §22): what a client answers to a challenge,
//! and how a server makes challenges and verifies answers. It never reads a clock or a configuration.
//!
//! Served: algorithms MD5 and SHA-256, `qop=auth`. Refused by name: `-sess` algorithms, `auth-int` alone. Secrets are
//! never printed; responses are compared in constant time.
//!
//! Limits: 32 parameters per header field, 8 challenges or credentials per message, nonces of 512 octets, user names of
//! 256 octets.

mod algorithm;
mod client;
mod fields;
mod nonce;
mod server;
#[cfg(test)]
mod tests;

pub use algorithm::{Algorithm, Secret};
pub(crate) use client::is_stale;
pub use client::{ChallengeRefused, Credentials, Realm};
pub use server::{DigestServer, Verdict};

use algorithm::Hex;

/// Most challenges or credentials of one message that are looked at.
const MAX_FIELDS: usize = 8;
/// Longest nonce, in octets; longer ones are refused.
const MAX_NONCE: usize = 512;
/// Longest user name of a client, in octets.
const MAX_USER: usize = 256;

/// What goes into a response besides the secret.
struct Exchange<'a> {
    algorithm: Algorithm,
    method: &'a [u8],
    uri: &'a [u8],
    nonce: &'a [u8],
    /// `nc` in eight hexadecimal digits and `cnonce`; `None` for a challenge without qop (RFC 3261 §22.4 item 8).
    auth: Option<(&'a [u8], &'a [u8])>,
}

impl Exchange<'_> {
    /// KD of RFC 7616 §3.4.1, with A2 of §3.4.3.
    fn response(&self, ha1: &Hex) -> Hex {
        let ha2 = self.algorithm.hash(&[self.method, self.uri]);
        match self.auth {
            Some((nc, cnonce)) => self.algorithm.hash(&[
                ha1.as_bytes(),
                self.nonce,
                nc,
                cnonce,
                b"auth",
                ha2.as_bytes(),
            ]),
            None => self
                .algorithm
                .hash(&[ha1.as_bytes(), self.nonce, ha2.as_bytes()]),
        }
    }
}
