//! Symmetric RTP: learns from where the peer really sends, once per session description, and never later.
//!
//! The signalled address wins at once. Another port of the signalled host, or, when the signalled address is one that cannot be reached
//! from outside (RFC 1918 and the like: a peer behind NAT), any host, needs two packets that belong together. Any-host learning ends
//! [`LEARNING`] after the description came. That keeps strangers out who spray packets over the port range ("RTP bleed").

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How long after a session description any host may be learned for a peer behind NAT.
pub(crate) const LEARNING: Duration = Duration::from_secs(5);
/// Sequence numbers that two packets of one source may be apart.
const NEAR: u16 = 50;

/// What to do with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// From the peer.
    Peer,
    /// From the peer, whose address is settled with this packet.
    Latched,
    /// Not (yet) from the peer: drop it.
    Stranger,
}

/// The state of one session description.
#[derive(Debug)]
pub(crate) struct Latch {
    signalled: SocketAddr,
    /// Where the peer was before, if the description did not change its address.
    previous: Option<SocketAddr>,
    any_host_until: Option<Instant>,
    peer: Option<SocketAddr>,
    candidate: Option<Candidate>,
    /// Priority of the pair the peer nominated by ICE.
    nominated: Option<u32>,
}

#[derive(Debug, Clone, Copy)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
}

impl Latch {
    /// Begins to learn for a description that came `now` and signalled that address.
    pub(crate) fn new(signalled: SocketAddr, now: Instant) -> Latch {
        Latch {
            signalled,
            previous: None,
            any_host_until: is_behind_nat(signalled.ip()).then(|| now + LEARNING),
            peer: None,
            candidate: None,
            nominated: None,
        }
    }

    /// Begins anew for a later description. If it signals the same address, a peer that stays where it was is known at once.
    pub(crate) fn renew(&self, signalled: SocketAddr, now: Instant) -> Latch {
        let previous = self
            .peer
            .or(self.previous)
            .filter(|_| signalled == self.signalled);
        Latch {
            previous,
            ..Latch::new(signalled, now)
        }
    }

    /// Where to send: the peer once it is settled, else where it was last, else where the description says.
    pub(crate) fn destination(&self) -> SocketAddr {
        self.peer.or(self.previous).unwrap_or(self.signalled)
    }

    /// The settled peer.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// Whether the peer is settled.
    pub(crate) fn is_settled(&self) -> bool {
        self.peer.is_some()
    }

    /// Whether a source cannot be the peer whatever it sends, because the peer is settled.
    pub(crate) fn excludes(&self, source: SocketAddr) -> bool {
        self.peer.is_some_and(|peer| peer != source)
    }

    /// The peer, proven by the integrity of its ICE check, wants media on the pair with this source (RFC 8445 section 7.3.1.5). Peers that
    /// nominate every pair mean the one with the highest priority.
    pub(crate) fn nominate(&mut self, source: SocketAddr, priority: u32) -> Verdict {
        let is_peer = self.peer == Some(source);
        if self.nominated.is_some_and(|nominated| nominated > priority) {
            return match is_peer {
                true => Verdict::Peer,
                false => Verdict::Stranger,
            };
        }
        self.nominated = Some(priority);
        self.peer = Some(source);
        match is_peer {
            true => Verdict::Peer,
            false => Verdict::Latched,
        }
    }

    /// Judges a valid RTP packet.
    pub(crate) fn judge(
        &mut self,
        now: Instant,
        source: SocketAddr,
        ssrc: u32,
        sequence: u16,
    ) -> Verdict {
        if let Some(peer) = self.peer {
            return if source == peer {
                Verdict::Peer
            } else {
                Verdict::Stranger
            };
        }
        if source == self.signalled || Some(source) == self.previous {
            self.peer = Some(source);
            return Verdict::Latched;
        }
        let any_host = self.any_host_until.is_some_and(|until| now < until);
        if source.ip() != self.signalled.ip() && !any_host {
            return Verdict::Stranger;
        }
        let belongs = self.candidate.is_some_and(|candidate| {
            candidate.source == source
                && candidate.ssrc == ssrc
                && (1..=NEAR).contains(&sequence.wrapping_sub(candidate.sequence))
        });
        if belongs {
            self.peer = Some(source);
            return Verdict::Latched;
        }
        self.candidate = Some(Candidate {
            source,
            ssrc,
            sequence,
        });
        Verdict::Stranger
    }
}

/// Whether an address in a session description cannot be the one its packets will come from: private (RFC 1918), shared (RFC 6598),
/// link-local, unique local (RFC 4193), or none at all.
fn is_behind_nat(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private()
                || ip.is_link_local()
                || ip.is_unspecified()
                || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local() || ip.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Verdict::{Latched, Peer, Stranger};

    /// ms after the description, source, SSRC, sequence, what becomes of it.
    type Row = (u64, &'static str, u32, u16, Verdict);

    fn check(name: &str, signalled: &str, rows: &[Row]) {
        let start = Instant::now();
        let mut latch = Latch::new(signalled.parse().unwrap(), start);
        for (row, &(ms, source, ssrc, sequence, expected)) in rows.iter().enumerate() {
            let now = start + Duration::from_millis(ms);
            let verdict = latch.judge(now, source.parse().unwrap(), ssrc, sequence);
            assert_eq!(verdict, expected, "{name}, row {row}");
        }
    }

    #[test]
    fn who_is_the_peer() {
        let public = "192.0.2.1:4000";
        check(
            "the signalled address at once, nobody after",
            public,
            &[
                (0, "192.0.2.1:4000", 1, 1, Latched),
                (20, "192.0.2.1:4000", 2, 900, Peer),
                (40, "192.0.2.1:4002", 1, 3, Stranger),
                (60, "192.0.2.1:4002", 1, 4, Stranger),
            ],
        );
        check(
            "other port of the host: two packets",
            public,
            &[
                (0, "192.0.2.1:7000", 1, 1, Stranger),
                (20, "192.0.2.1:7000", 1, 2, Latched),
                (40, "192.0.2.1:4000", 1, 3, Stranger),
            ],
        );
        check(
            "two packets that do not belong together",
            public,
            &[
                (0, "192.0.2.1:7000", 1, 1, Stranger),
                (20, "192.0.2.1:7000", 2, 2, Stranger),
                (40, "192.0.2.1:7000", 2, 2, Stranger),
                (60, "192.0.2.1:7002", 2, 3, Stranger),
                (80, "192.0.2.1:7002", 2, 400, Stranger),
            ],
        );
        check(
            "a stranger first does no harm",
            public,
            &[
                (0, "198.51.100.9:4000", 1, 1, Stranger),
                (20, "198.51.100.9:4000", 1, 2, Stranger),
                (40, "192.0.2.1:4000", 5, 2, Latched),
            ],
        );
        check(
            "behind NAT: any host, two packets, over the wrap",
            "10.0.0.5:4000",
            &[
                (0, "203.0.113.7:6000", 1, 65535, Stranger),
                (20, "203.0.113.7:6000", 1, 0, Latched),
                (40, "203.0.113.8:6000", 1, 1, Stranger),
            ],
        );
        check(
            "behind NAT: too late for any host, not for the host itself",
            "10.0.0.5:4000",
            &[
                (5000, "203.0.113.7:6000", 1, 1, Stranger),
                (5020, "203.0.113.7:6000", 1, 2, Stranger),
                (9000, "10.0.0.5:4000", 1, 3, Latched),
            ],
        );
    }

    #[test]
    fn a_new_description_learns_anew() {
        let now = Instant::now();
        let (signalled, nat): (SocketAddr, SocketAddr) = (
            "10.0.0.5:4000".parse().unwrap(),
            "203.0.113.7:6000".parse().unwrap(),
        );
        let mut latch = Latch::new(signalled, now);
        latch.judge(now, nat, 1, 1);
        assert_eq!(latch.judge(now, nat, 1, 2), Latched);
        let mut same = latch.renew(signalled, now);
        assert_eq!(same.destination(), nat);
        assert_eq!(same.judge(now, nat, 7, 900), Latched);
        let elsewhere: SocketAddr = "192.0.2.77:10000".parse().unwrap();
        let mut moved = latch.renew(elsewhere, now);
        assert_eq!(moved.destination(), elsewhere);
        assert_eq!(moved.judge(now, nat, 1, 3), Stranger);
        assert_eq!(moved.judge(now, elsewhere, 9, 3), Latched);
    }

    #[test]
    fn a_nominated_address_is_the_peer_until_a_better_one_is() {
        let now = Instant::now();
        let at = |port| SocketAddr::new([198, 51, 100, 1].into(), port);
        let mut latch = Latch::new("192.0.2.1:4000".parse().unwrap(), now);
        assert!(!latch.excludes(at(1)));
        for (port, priority, expected, peer) in [
            (1, 100, Latched, 1),
            (1, 100, Peer, 1),
            (2, 99, Stranger, 1),
            (3, 101, Latched, 3),
            (1, 100, Stranger, 3),
        ] {
            assert_eq!(latch.nominate(at(port), priority), expected, "port {port}");
            assert_eq!(latch.destination(), at(peer));
        }
        assert_eq!(latch.judge(now, at(3), 1, 1), Peer);
        assert_eq!(
            latch.judge(now, "192.0.2.1:4000".parse().unwrap(), 1, 1),
            Stranger
        );
        assert!(latch.excludes(at(1)));
    }

    #[test]
    fn addresses_that_cannot_be_reached() {
        for (ip, behind) in [
            ("10.1.1.1", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("100.64.0.1", true),
            ("100.128.0.1", false),
            ("0.0.0.0", true),
            ("169.254.1.1", true),
            ("127.0.0.1", false),
            ("fd00::1", true),
            ("fe80::1", true),
            ("2001:db8::1", false),
            ("::ffff:192.168.0.1", true),
        ] {
            assert_eq!(is_behind_nat(ip.parse().unwrap()), behind, "{ip}");
        }
    }
}
