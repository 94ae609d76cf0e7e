//! What is turned away before the endpoint looks at it: floods, too many connections, banned sources.
//!
//! It reads no message. Memory: 1.25 MiB for rates, 4096 bans, one entry per open connection; no number of sources makes it more.
mod bans;
mod places;
pub(super) mod quiet;
mod rate;
mod source;

pub use bans::Bans;
pub(super) use places::{Place, Places};

use crate::config::Network;
use arc_swap::ArcSwap;
use quiet::Quiet;
use rate::SourceRates;
use source::Source;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

/// The limits of one source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardSettings {
    /// UDP datagrams from one source in a second, after a burst of two seconds' worth; more get no answer. `None`: any number.
    pub datagrams_per_second: Option<u32>,
    /// Connections of one source at the same time.
    pub connections_per_source: usize,
    /// Networks of trunks: their sources are neither limited nor banned.
    pub exempt: Vec<Network>,
}

impl Default for GuardSettings {
    /// No limits.
    fn default() -> Self {
        GuardSettings {
            datagrams_per_second: None,
            connections_per_source: usize::MAX,
            exempt: Vec::new(),
        }
    }
}

/// The guards of all transports.
pub struct Guards {
    settings: ArcSwap<GuardSettings>,
    rates: Mutex<SourceRates>,
    quiet: Mutex<Quiet>,
    bans: Bans,
    known: OnceLock<Known>,
}

/// Says of an address whether it is a trunk's.
type Known = Box<dyn Fn(IpAddr) -> bool + Send + Sync>;

impl Guards {
    /// Guards in which nobody is banned.
    pub fn new(settings: GuardSettings) -> Arc<Guards> {
        Arc::new(Guards {
            settings: ArcSwap::from_pointee(settings),
            rates: Mutex::new(SourceRates::new(Instant::now())),
            quiet: Mutex::new(Quiet::new(1)),
            bans: Bans::default(),
            known: OnceLock::new(),
        })
    }

    /// Exempts also the addresses of which `known` says so: those of trunks that are known by name. Asked for each datagram; the
    /// first one who calls this decides.
    pub fn exempt_also(&self, known: impl Fn(IpAddr) -> bool + Send + Sync + 'static) {
        let _ = self.known.set(Box::new(known));
    }

    /// Other limits from now on. Connections that are open stay.
    pub fn apply(&self, settings: GuardSettings) {
        self.settings.store(Arc::new(settings));
    }

    /// Who is banned; put there only sources that proved their address.
    pub fn bans(&self) -> &Bans {
        &self.bans
    }

    /// Judges a datagram by where it says it comes from; the error is the rule that drops it.
    pub(super) fn datagram(&self, now: Instant, from: IpAddr) -> Result<(), &'static str> {
        let settings = self.settings.load();
        let banned = self.bans.is_banned(now, from);
        if !banned && settings.datagrams_per_second.is_none() || self.is_exempt(&settings, from) {
            return Ok(());
        }
        if banned {
            return Err("banned");
        }
        let mut rates = self.rates.lock().unwrap_or_else(PoisonError::into_inner);
        let rate = settings.datagrams_per_second.unwrap_or(u32::MAX);
        match rates.take(now, Source::of(from), rate) {
            true => Ok(()),
            false => Err("rate-limit"),
        }
    }

    /// Whether nothing of this source is served.
    pub(super) fn is_banned(&self, now: Instant, from: IpAddr) -> bool {
        self.bans.is_banned(now, from) && !self.is_exempt(&self.settings.load(), from)
    }

    /// Judges a new connection; the error is the rule that refuses it.
    pub(super) fn connection(
        &self,
        now: Instant,
        places: &Arc<Places>,
        from: IpAddr,
    ) -> Result<Place, &'static str> {
        let settings = self.settings.load();
        let exempt = self.is_exempt(&settings, from);
        if !exempt && self.bans.is_banned(now, from) {
            return Err("banned");
        }
        let per_source = (!exempt).then_some(settings.connections_per_source);
        places.take(from, per_source)
    }

    fn is_exempt(&self, settings: &GuardSettings, address: IpAddr) -> bool {
        let listed = settings
            .exempt
            .iter()
            .any(|network| network.contains(address));
        listed || self.known.get().is_some_and(|known| known(address))
    }

    /// One log line for what was turned away, unless there was one for this rule just now.
    pub(super) fn log(&self, now: Instant, rule: &'static str, from: SocketAddr) {
        let mut quiet = self.quiet.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(not_logged) = quiet.speaks(now, rule) {
            let advice = advice(rule);
            tracing::warn!(remote = %from, rule, not_logged, "turned away: {advice}");
        }
    }
}

/// What a rule means, and where to change it.
fn advice(rule: &str) -> &'static str {
    match rule {
        "rate-limit" => {
            "this source sends more than [security] requests_per_second_per_source allows; if it is a trunk, add it to the trunk's acl"
        }
        "banned" => {
            "this source failed to authenticate too often; see [security] ban_after_failures"
        }
        "tcp-max-connections" => "too many connections are open; raise [sip] tcp_max_connections",
        "tcp-per-source" => {
            "this source has too many connections open; see [security] tcp_per_source"
        }
        "half-open-connections" => {
            "too many peers are in the middle of a TLS or WebSocket handshake"
        }
        "tls-handshake" => "the TLS handshake failed or took longer than 10 s",
        "ws-handshake" => "the WebSocket handshake failed or took longer than 10 s",
        "tcp-framing" => "what came on the connection is no SIP",
        "ws-framing" => "what came on the WebSocket is no frame, or too long",
        "message-time" => "a message was not complete 32 s after its first octet",
        "keep-alive-unanswered" => "the peer stopped answering keep-alives",
        "peer-not-reading" => "the peer did not take what was sent for 5 s",
        _ => "see docs/security.md",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn trunks_are_neither_limited_nor_banned() {
        let guards = Guards::new(GuardSettings {
            datagrams_per_second: Some(1),
            connections_per_source: 1,
            exempt: vec!["203.0.113.0/24".parse().unwrap()],
        });
        let places = Places::new(10);
        let (trunk, other) = ([203, 0, 113, 9].into(), [198, 51, 100, 1].into());
        let now = Instant::now();
        let mut open = Vec::new();
        for _ in 0..5 {
            assert_eq!(guards.datagram(now, trunk), Ok(()));
            open.push(guards.connection(now, &places, trunk).ok().unwrap());
        }
        let passed = (0..5).filter(|_| guards.datagram(now, other).is_ok());
        assert_eq!(passed.count(), 2);
        assert_eq!(guards.datagram(now, other), Err("rate-limit"));
        open.push(guards.connection(now, &places, other).ok().unwrap());
        let second = guards.connection(now, &places, other);
        assert_eq!(second.err(), Some("tcp-per-source"));
        for address in [trunk, other] {
            guards.bans().ban(now, address, MINUTE);
        }
        assert_eq!(guards.datagram(now, other), Err("banned"));
        assert_eq!(guards.datagram(now, trunk), Ok(()));
        assert!(guards.is_banned(now, other) && !guards.is_banned(now, trunk));
        let refused = guards.connection(now, &places, other);
        assert_eq!(refused.err(), Some("banned"));
        guards.exempt_also(move |address| address == other);
        assert_eq!(guards.datagram(now, other), Ok(()));
    }

    #[test]
    fn without_limits_only_bans_count() {
        let guards = Guards::new(GuardSettings::default());
        let (now, address) = (Instant::now(), [192, 0, 2, 1].into());
        assert!((0..10_000).all(|_| guards.datagram(now, address).is_ok()));
        guards.bans().ban(now, address, MINUTE);
        assert_eq!(guards.datagram(now, address), Err("banned"));
        assert_eq!(guards.datagram(now + MINUTE, address), Ok(()));
    }
}
