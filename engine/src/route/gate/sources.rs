//! What is remembered of source addresses: how fast they ask, how often they were wrong and who was right before.
//!
//! Limits: rates are counted in [`RATE_SLOTS`] slots chosen by a keyed hash, so that a flood from any number of addresses takes no
//! memory; each other table holds [`MAX_SOURCES`] addresses and lets the oldest go. IPv6 counts by /64, the least a site has.
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Slots that count requests of the running second.
const RATE_SLOTS: usize = 16_384;
/// Addresses in each table.
const MAX_SOURCES: usize = 4096;
/// A source that was right is remembered for so long: longer than a usual registration.
const PROVEN: Duration = Duration::from_secs(2 * 3600);
/// Wrong passwords are counted over so long.
const FAILURES: Duration = Duration::from_secs(600);

pub(super) struct Sources {
    secret: [u8; 32],
    hash: RandomState,
    /// The second a slot counts, since `began`, and how many it saw.
    rates: Box<[(u32, u32)]>,
    began: Option<Instant>,
    failures: HashMap<IpAddr, (Instant, u32)>,
    /// Wrong passwords that may be anybody's, since the address was not shown to be real.
    guesses: HashMap<IpAddr, (Instant, u32)>,
    proven: HashMap<IpAddr, Instant>,
}

impl Sources {
    pub(super) fn new(secret: [u8; 32]) -> Self {
        Self {
            secret,
            hash: RandomState::new(),
            rates: vec![(0, 0); RATE_SLOTS].into_boxed_slice(),
            began: None,
            failures: HashMap::new(),
            guesses: HashMap::new(),
            proven: HashMap::new(),
        }
    }

    /// Counts a request; whether it is one of the `limit` of this second.
    pub(super) fn within_rate(&mut self, source: IpAddr, now: Instant, limit: Option<u32>) -> bool {
        let Some(limit) = limit else { return true };
        let began = *self.began.get_or_insert(now);
        let second = now.saturating_duration_since(began).as_secs() as u32;
        let slot = self.hash.hash_one(site(source)) as usize % RATE_SLOTS;
        let (counted, seen) = &mut self.rates[slot];
        if *counted != second {
            (*counted, *seen) = (second, 0);
        }
        *seen = seen.saturating_add(1);
        *seen <= limit
    }

    /// Counts a wrong password; whether it was the last one before a ban.
    pub(super) fn failed(&mut self, source: IpAddr, now: Instant, limit: u32) -> bool {
        let source = site(source);
        if count(&mut self.failures, source, now) < limit {
            return false;
        }
        self.failures.remove(&source);
        true
    }

    /// Counts a wrong password of somebody who did not show to be at this address.
    pub(super) fn guessed(&mut self, source: IpAddr, now: Instant) {
        count(&mut self.guesses, site(source), now);
    }

    /// Whether so many were counted that passwords from this address count only with what we sent there. Else whoever keeps
    /// that back could guess for ever, and who is really there loses nothing.
    pub(super) fn must_prove(&self, source: IpAddr, now: Instant, limit: u32) -> bool {
        let guesses = self.guesses.get(&site(source));
        guesses.is_some_and(|(since, count)| {
            *count >= limit && now.saturating_duration_since(*since) <= FAILURES
        })
    }

    /// A right password came from there.
    pub(super) fn authenticated(&mut self, source: IpAddr, now: Instant) {
        let source = site(source);
        self.failures.remove(&source);
        make_room(&mut self.proven, &source, |when| *when);
        self.proven.insert(source, now);
    }

    /// Whether a right password came from there not long ago.
    pub(super) fn has_authenticated(&self, source: IpAddr, now: Instant) -> bool {
        let when = self.proven.get(&site(source));
        when.is_some_and(|when| now.saturating_duration_since(*when) <= PROVEN)
    }

    /// What only somebody at this address gets to see from us (RFC 7616 §3.3, `opaque`).
    pub(super) fn opaque(&self, source: IpAddr) -> String {
        let octets = match site(source) {
            IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
            IpAddr::V6(address) => address.octets(),
        };
        let mut mac = Hmac::<Sha1>::new_from_slice(&self.secret).expect("HMAC takes any key");
        mac.update(b"opaque");
        mac.update(&octets);
        let digest = mac.finalize().into_bytes();
        HEXLOWER.encode(&digest[..8])
    }
}

/// Counts one more of those of the last while; how many there are.
fn count(table: &mut HashMap<IpAddr, (Instant, u32)>, source: IpAddr, now: Instant) -> u32 {
    make_room(table, &source, |(since, _)| *since);
    let (since, count) = table.entry(source).or_insert((now, 0));
    if now.saturating_duration_since(*since) > FAILURES {
        (*since, *count) = (now, 0);
    }
    *count = count.saturating_add(1);
    *count
}

/// The oldest entry goes where a new one would be too many.
fn make_room<T>(table: &mut HashMap<IpAddr, T>, new: &IpAddr, age: impl Fn(&T) -> Instant) {
    if table.len() < MAX_SOURCES || table.contains_key(new) {
        return;
    }
    let oldest = table.iter().min_by_key(|(_, entry)| age(entry));
    if let Some(source) = oldest.map(|(source, _)| *source) {
        table.remove(&source);
    }
}

fn site(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => {
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)))
        }
        canonical => canonical,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn a_rate_is_of_one_second_and_one_site() {
        let (mut sources, now) = (Sources::new([1; 32]), Instant::now());
        let mut asks = |source: &str, at| sources.within_rate(ip(source), at, Some(2));
        assert!(asks("192.0.2.1", now) && asks("::ffff:192.0.2.1", now));
        assert!(!asks("192.0.2.1", now));
        assert!(asks("192.0.2.1", now + Duration::from_secs(1)));
        assert!(asks("2001:db8::1", now) && asks("2001:db8::2", now) && !asks("2001:db8::3", now));
        assert!(asks("2001:db8:0:1::1", now));
        assert!((0..9).all(|_| sources.within_rate(ip("192.0.2.1"), now, None)));
    }

    #[test]
    fn a_ban_comes_at_the_limit_and_failures_are_forgotten() {
        let (mut sources, now) = (Sources::new([1; 32]), Instant::now());
        let bad = ip("192.0.2.1");
        assert!(!sources.failed(bad, now, 2));
        assert!(!sources.failed(ip("192.0.2.2"), now, 2));
        assert!(sources.failed(bad, now, 2));
        assert!(!sources.failed(bad, now, 2));
        assert!(!sources.failed(bad, now + FAILURES + Duration::from_secs(1), 2));
    }

    #[test]
    fn a_right_password_forgives_wrong_ones() {
        let (mut sources, now) = (Sources::new([1; 32]), Instant::now());
        let source = ip("192.0.2.1");
        sources.failed(source, now, 2);
        sources.authenticated(source, now);
        assert!(!sources.failed(source, now, 2));
        assert!(sources.has_authenticated(source, now + PROVEN));
        assert!(!sources.has_authenticated(source, now + PROVEN + Duration::from_secs(1)));
    }

    #[test]
    fn tables_stay_small_whoever_comes() {
        let (mut sources, now) = (Sources::new([1; 32]), Instant::now());
        for number in 0..(MAX_SOURCES as u32 + 100) {
            let source = IpAddr::V4(std::net::Ipv4Addr::from_bits(number));
            let at = now + Duration::from_millis(u64::from(number));
            let other = IpAddr::V4(std::net::Ipv4Addr::from_bits(!number));
            sources.failed(source, at, 5);
            sources.authenticated(other, at);
        }
        assert!(sources.failures.len() == MAX_SOURCES && sources.proven.len() == MAX_SOURCES);
    }

    #[test]
    fn what_one_address_sees_is_of_no_use_at_another() {
        let sources = Sources::new([1; 32]);
        assert_eq!(
            sources.opaque(ip("192.0.2.1")),
            sources.opaque(ip("::ffff:192.0.2.1"))
        );
        assert_ne!(
            sources.opaque(ip("192.0.2.1")),
            sources.opaque(ip("192.0.2.2"))
        );
        assert_ne!(
            sources.opaque(ip("192.0.2.1")),
            Sources::new([2; 32]).opaque(ip("192.0.2.1"))
        );
    }
}
