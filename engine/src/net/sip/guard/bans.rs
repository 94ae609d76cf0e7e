//! Sources that are not served for a while. Only sources that proved their address (a connection, an answered challenge) may be put
//! here: over UDP anybody can write another's address on a datagram, and must not get that other banned.
//!
//! Limit: [`MAX_BANS`] sources; beyond it the ban that would end first ends now.
use super::source::Source;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const MAX_BANS: usize = 4096;

/// Who is banned, and until when.
#[derive(Debug, Default)]
pub struct Bans {
    until: Mutex<HashMap<Source, Instant>>,
    /// So that nobody waits for the lock while there are none.
    count: AtomicUsize,
}

impl Bans {
    /// Serves nothing to this source until `now + time`; an IPv6 address stands for its /64.
    pub fn ban(&self, now: Instant, address: IpAddr, time: Duration) {
        let mut until = self.table();
        let source = Source::of(address);
        if until.len() >= MAX_BANS && !until.contains_key(&source) {
            until.retain(|_, end| *end > now);
        }
        if until.len() >= MAX_BANS && !until.contains_key(&source) {
            let first = until.iter().min_by_key(|(_, end)| **end);
            if let Some(first) = first.map(|(source, _)| *source) {
                until.remove(&first);
            }
        }
        until.insert(source, now + time);
        self.count.store(until.len(), Ordering::Relaxed);
        tracing::warn!(%address, seconds = time.as_secs(), rule = "banned", "source banned");
    }

    /// Whether nothing of this source is served.
    pub fn is_banned(&self, now: Instant, address: IpAddr) -> bool {
        if self.count.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let mut until = self.table();
        let source = Source::of(address);
        match until.get(&source) {
            None => false,
            Some(end) if *end > now => true,
            Some(_) => {
                until.remove(&source);
                self.count.store(until.len(), Ordering::Relaxed);
                false
            }
        }
    }

    /// Ends a ban before its time.
    pub fn lift(&self, address: IpAddr) {
        let mut until = self.table();
        until.remove(&Source::of(address));
        self.count.store(until.len(), Ordering::Relaxed);
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Source, Instant>> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ban_ends_and_holds_for_every_way_to_write_the_address() {
        let (bans, now) = (Bans::default(), Instant::now());
        let minute = Duration::from_secs(60);
        let address: IpAddr = "192.0.2.1".parse().unwrap();
        bans.ban(now, address, minute);
        for (text, banned) in [
            ("192.0.2.1", true),
            ("::ffff:192.0.2.1", true),
            ("192.0.2.2", false),
        ] {
            assert_eq!(bans.is_banned(now, text.parse().unwrap()), banned, "{text}");
        }
        assert!(!bans.is_banned(now + minute, address));
        bans.ban(now, address, minute);
        bans.lift(address);
        assert!(!bans.is_banned(now, address));
    }

    #[test]
    fn bans_are_bounded_and_the_one_that_ends_first_makes_room() {
        let (bans, now) = (Bans::default(), Instant::now());
        let address = |number: usize| IpAddr::V4((number as u32).into());
        for number in 0..=MAX_BANS {
            bans.ban(
                now,
                address(number),
                Duration::from_secs(60 + number as u64),
            );
        }
        assert_eq!(bans.table().len(), MAX_BANS);
        assert!(!bans.is_banned(now, address(0)));
        assert!(bans.is_banned(now, address(1)) && bans.is_banned(now, address(MAX_BANS)));
    }
}
