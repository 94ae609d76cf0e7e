//! Owns the nonces of a server: signed, so that none has to be remembered before it was used well; numbered, so that
//! those that were used can be (RFC 7616 §3.3, §5.5).
//!
//! A nonce is time, number and the first half of an HMAC-SHA-256 over both, in hexadecimal digits. The window of a used
//! nonce takes each count once, in any order within the last 64. Limits: 16,384 used nonces; beyond that the oldest goes
//! and every nonce up to its number counts as stale.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::algorithm::Hex;

/// Used nonces that are remembered.
const MAX_USED: usize = 16_384;
/// Counts behind the highest that may still come.
const WINDOW: u32 = 64;

/// Octets before the signature: time in ms, number.
const PLAIN: usize = 16;
/// Octets of the signature that are sent.
const SIGNATURE: usize = 16;

/// A nonce of ours that is not too old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fresh {
    number: u64,
}

/// The counts of one nonce that were seen.
#[derive(Debug)]
struct Window {
    made: u64,
    highest: u32,
    /// Bit n: count `highest - n` was seen.
    seen: u64,
}

/// Makes, recognises and counts nonces.
pub(super) struct Nonces {
    key: [u8; 32],
    life: Duration,
    /// Where times count from: the first instant handed in.
    epoch: Option<Instant>,
    last: u64,
    used: BTreeMap<u64, Window>,
    /// Numbers up to here were forgotten.
    floor: u64,
}

impl Nonces {
    pub(super) fn new(key: [u8; 32], life: Duration) -> Self {
        Self {
            key,
            life,
            epoch: None,
            last: 0,
            used: BTreeMap::new(),
            floor: 0,
        }
    }

    /// A nonce never given before.
    pub(super) fn make(&mut self, now: Instant) -> String {
        let made = self.millis(now);
        self.last += 1;
        let mut octets = [0; PLAIN + SIGNATURE];
        octets[..8].copy_from_slice(&made.to_be_bytes());
        octets[8..PLAIN].copy_from_slice(&self.last.to_be_bytes());
        let signature = self.signature(&octets[..PLAIN]);
        octets[PLAIN..].copy_from_slice(&signature);
        Hex::new(octets).as_str().to_owned()
    }

    /// Whether a nonce is ours, young enough and not forgotten.
    pub(super) fn recognise(&mut self, now: Instant, nonce: &[u8]) -> Option<Fresh> {
        let now = self.millis(now);
        let octets: [u8; PLAIN + SIGNATURE] = unhex(nonce)?;
        let (plain, signature) = octets.split_at(PLAIN);
        if !bool::from(self.signature(plain).ct_eq(signature)) {
            return None;
        }
        let made = u64::from_be_bytes(plain[..8].try_into().ok()?);
        let number = u64::from_be_bytes(plain[8..].try_into().ok()?);
        let age = Duration::from_millis(now.checked_sub(made)?);
        (age <= self.life && number > self.floor).then_some(Fresh { number })
    }

    /// Takes a count of a nonce; `false` when it was seen before or is too far behind.
    pub(super) fn take(&mut self, now: Instant, nonce: Fresh, count: u32) -> bool {
        let now = self.millis(now);
        self.forget(now);
        let window = self.used.entry(nonce.number).or_insert(Window {
            made: now,
            highest: 0,
            seen: 0,
        });
        window.take(count)
    }

    /// Drops what is too old, and the oldest when there are too many.
    fn forget(&mut self, now: u64) {
        let life = u64::try_from(self.life.as_millis()).unwrap_or(u64::MAX);
        while let Some(oldest) = self.used.first_entry() {
            // `made` is when it was first used, so the nonce itself is older: it cannot come back.
            let over = now.saturating_sub(oldest.get().made) > life;
            if !over && self.used.len() < MAX_USED {
                return;
            }
            if let Some((number, _)) = self.used.pop_first() {
                self.floor = self.floor.max(number);
            }
        }
    }

    fn millis(&mut self, now: Instant) -> u64 {
        let epoch = *self.epoch.get_or_insert(now);
        u64::try_from(now.saturating_duration_since(epoch).as_millis()).unwrap_or(u64::MAX)
    }

    fn signature(&self, plain: &[u8]) -> [u8; SIGNATURE] {
        let mut signed = [0; SIGNATURE];
        if let Ok(mac) = Hmac::<Sha256>::new_from_slice(&self.key) {
            let whole = mac.chain_update(plain).finalize().into_bytes();
            signed.copy_from_slice(&whole[..SIGNATURE]);
        }
        signed
    }

    #[cfg(test)]
    pub(super) fn remembered(&self) -> usize {
        self.used.len()
    }
}

impl Window {
    fn take(&mut self, count: u32) -> bool {
        if count > self.highest {
            let ahead = count - self.highest;
            self.seen = self.seen.checked_shl(ahead).unwrap_or(0) | 1;
            self.highest = count;
            return true;
        }
        let behind = self.highest - count;
        let bit = 1u64.checked_shl(behind).unwrap_or(0);
        if count == 0 || behind >= WINDOW || self.seen & bit != 0 {
            return false;
        }
        self.seen |= bit;
        true
    }
}

/// Exactly `N` octets in hexadecimal digits.
pub(super) fn unhex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    if text.len() != 2 * N {
        return None;
    }
    let digit = |octet: u8| char::from(octet).to_digit(16).map(|value| value as u8);
    let mut octets = [0; N];
    for (octet, pair) in octets.iter_mut().zip(text.chunks_exact(2)) {
        *octet = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(octets)
}
