//! Bearer tokens: what one looks like, what is kept of it, and who may do what with it.
//!
//! Kept is a digest (SHA-256 of 256 random bits: nothing to guess), never the token itself; digests are compared in constant time.
//! Limits: [`MOST_TOKENS`] tokens; labels of [`MAX_LABEL`] characters.
mod file;

pub use file::{FileError, TokenFile};

use super::problem::{Kind, Problem};
use super::scope::Scope;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Tokens kept.
pub const MOST_TOKENS: usize = 1000;
/// Longest label, in characters.
pub const MAX_LABEL: usize = 128;
/// What tokens begin with, so that scanners for leaked secrets know one.
const PREFIX: &str = "tl_";
/// Octets of an id.
const ID_OCTETS: usize = 6;

/// A token as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Names it in lists; part of the token, and no secret.
    pub id: String,
    /// SHA-256 of its secret, in hex.
    digest: String,
    /// What it is for.
    pub label: String,
    /// What it may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created: Timestamp,
    /// When its time is over; `None`: never.
    pub expires: Option<Timestamp>,
}

impl Token {
    /// A new token from `random`, and its text, which nobody can tell afterwards.
    pub fn mint(
        random: [u8; 38],
        label: &str,
        scopes: Vec<Scope>,
        created: Timestamp,
        expires: Option<Timestamp>,
    ) -> (Token, String) {
        let (id, secret) = random.split_at(ID_OCTETS);
        let (id, secret) = (HEXLOWER.encode(id), URL_SAFE_NO_PAD.encode(secret));
        let token = Token {
            digest: digest(&secret),
            label: label.chars().take(MAX_LABEL).collect(),
            scopes,
            created,
            expires,
            id,
        };
        let text = format!("{PREFIX}{}_{secret}", token.id);
        (token, text)
    }

    fn is_over(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }
}

/// Whose token `header` holds, which is the value of `Authorization` (RFC 6750 section 2.1).
///
/// # Errors
/// The refusal, which says nothing of the tokens that exist.
pub fn authenticate<'a>(
    tokens: &'a [Token],
    header: Option<&str>,
    now: Timestamp,
) -> Result<&'a Token, Problem> {
    let refuse = |detail: &str| Problem::new(Kind::Unauthenticated, detail);
    let header = header.ok_or_else(|| refuse("send Authorization: Bearer TOKEN"))?;
    let (scheme, text) = header.split_once(' ').unwrap_or((header, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(refuse("the scheme of Authorization is Bearer"));
    }
    let both = text
        .trim()
        .strip_prefix(PREFIX)
        .and_then(|rest| rest.split_once('_'));
    let (id, secret) = both.ok_or_else(|| refuse("the token is not known"))?;
    let found = tokens.iter().find(|token| token.id == id);
    // One comparison, whether there is such an id or not.
    let kept = found.map_or("", |token| &token.digest);
    let same: bool = digest(secret).as_bytes().ct_eq(kept.as_bytes()).into();
    match found {
        Some(token) if same && token.is_over(now) => Err(Problem::new(
            Kind::TokenExpired,
            "the token's time is over; trunkline token create makes another",
        )),
        Some(token) if same => Ok(token),
        _ => Err(refuse("the token is not known")),
    }
}

fn digest(secret: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(secret.as_bytes()))
}

#[cfg(test)]
mod tests;
