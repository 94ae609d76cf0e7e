//! Why one side of a leg hears nothing, in a sentence. Pure: facts of a leg in, findings out.
//!
//! It owns the reasoning and the words; it never looks at a clock, a socket or a configuration. A leg of less than [`SHORTEST`] gets no
//! findings: audio may still have been on its way. Every finding names what to change and where.
use crate::media::{ChannelStats, PathFacts};
use serde_json::{Value, json};
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

/// The shortest time since the answer that says anything.
pub const SHORTEST: Duration = Duration::from_secs(2);
/// Packets of 20 ms in 2 s: who has sent or got so many should be heard.
const ENOUGH: u64 = 100;
/// Packets in 10 s: whose audio is silent for so long does not only listen.
const LONG_SILENCE: u64 = 500;
/// Share of lost packets, in %, above which speech is hard to understand even with concealment.
const MUCH_LOSS: u64 = 10;

/// What is known about a leg.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    /// Time since the answer.
    pub answered_for: Duration,
    /// Where our description said that we want audio.
    pub ours: SocketAddr,
    /// The configured RTP ports.
    pub ports: RangeInclusive<u16>,
    /// Where the far end's description said that it wants audio.
    pub theirs: SocketAddr,
    /// Where the far end's signalling comes from.
    pub signalling: SocketAddr,
    /// Where its audio was taken from last.
    pub heard_from: Option<SocketAddr>,
    /// The agreed direction lets us send.
    pub we_send: bool,
    /// The agreed direction lets the far end send.
    pub they_send: bool,
    /// Name of the agreed codec.
    pub codec: &'static str,
    /// The payload type we told the far end to send.
    pub payload_type: u8,
    /// Audio is encrypted.
    pub encrypted: bool,
    /// What the audio path saw.
    pub stats: ChannelStats,
}

/// One explanation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// A short, fixed name.
    pub cause: &'static str,
    /// What is wrong, and what to change where.
    pub sentence: String,
}

impl Finding {
    /// As JSON.
    pub fn to_json(&self) -> Value {
        json!({ "cause": self.cause, "sentence": self.sentence })
    }
}

/// How far an address reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Nowhere: no address at all (0.0.0.0 or ::).
    Nowhere,
    /// This host.
    Host,
    /// The networks around it: RFC 1918, RFC 6598, RFC 4193, link-local.
    Site,
    /// The Internet.
    World,
}

/// How far an address reaches.
pub fn reach(address: IpAddr) -> Reach {
    let site = match address.to_canonical() {
        ip if ip.is_unspecified() => return Reach::Nowhere,
        ip if ip.is_loopback() => return Reach::Host,
        IpAddr::V4(ip) => {
            let [a, b, ..] = ip.octets();
            ip.is_private() || ip.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    if site { Reach::Site } else { Reach::World }
}

/// The explanations for what is wrong with a leg's audio, the likeliest first; none when it flowed both ways.
pub fn explain(facts: &Facts) -> Vec<Finding> {
    if facts.answered_for < SHORTEST {
        return Vec::new();
    }
    let mut findings = Vec::new();
    findings.extend(unheard_by_us(facts));
    findings.extend(unheard_by_them(facts));
    findings
}

fn finding(cause: &'static str, sentence: String) -> Option<Finding> {
    Some(Finding { cause, sentence })
}

/// Why we hear nothing.
fn unheard_by_us(facts: &Facts) -> Option<Finding> {
    let s = &facts.stats;
    let path = &s.path;
    if s.packets_in > 0 {
        return silent(facts);
    }
    if !facts.they_send {
        return finding(
            "hold",
            "we hear nothing because the agreed direction lets the far end send nothing (hold: a=recvonly or a=inactive); \
             the call stays silent until one side takes it off hold"
                .to_owned(),
        );
    }
    if path.srtp_failed > 0 {
        return keys(facts);
    }
    if let (Some(got), true) = (path.wrong_payload_type, path.wrong_payload > 0) {
        return codec(facts, got);
    }
    if let Some(from) = path.stranger_from {
        return elsewhere(facts, from);
    }
    nothing(facts)
}

/// Packets come and nothing is in them.
fn silent(facts: &Facts) -> Option<Finding> {
    let s = &facts.stats;
    if s.path.wrong_payload > s.packets_in.max(ENOUGH) {
        return codec(facts, s.path.wrong_payload_type?);
    }
    let audio = facts.they_send && s.packets_in >= LONG_SILENCE;
    if !audio || s.path.sounded || s.path.keys {
        return None;
    }
    finding(
        "silence",
        format!(
            "audio arrives from {} ({} packets) but all of it is silence: the far end is muted, or whatever feeds it has no sound; \
             nothing is wrong between it and us",
            facts.heard_from.unwrap_or(facts.theirs),
            s.packets_in
        ),
    )
}

fn keys(facts: &Facts) -> Option<Finding> {
    finding(
        "srtp-keys",
        format!(
            "the far end's audio arrives ({} packets) but none of it fits the SRTP key from its SDP: it sends unencrypted RTP or with another \
             key than it offered, as when a proxy between us changed its a=crypto line; set srtp = \"never\" for this trunk or endpoint \
             (or [media] srtp) to find out, or repair the far end",
            facts.stats.path.srtp_failed
        ),
    )
}

fn codec(facts: &Facts, got: u8) -> Option<Finding> {
    finding(
        "wrong-codec",
        format!(
            "the far end sends payload type {got}, but {} as payload type {} was agreed, so its {} packets are dropped: \
             leave only one codec in codecs of this trunk or endpoint (or [media] codecs), or repair the far end",
            facts.codec, facts.payload_type, facts.stats.path.wrong_payload
        ),
    )
}

fn elsewhere(facts: &Facts, from: SocketAddr) -> Option<Finding> {
    let why = match (from.ip() == facts.theirs.ip(), reach(facts.theirs.ip())) {
        (true, _) => "too few packets came from there to trust it",
        (_, Reach::Site | Reach::Nowhere) => {
            "it began later than the 5 s in which a far end behind NAT is learned; let it send from the beginning (no silence suppression), or \
             put its public address into its SDP"
        }
        _ => {
            "a stranger is never taken for the owner of such an address; the far end must put the address it sends from into its SDP (its own \
             setting for NAT or external address, or STUN)"
        }
    };
    finding(
        "peer-elsewhere",
        format!(
            "the far end's SDP says {} but RTP comes from {from} ({} packets), which we do not take: {why}",
            facts.theirs, facts.stats.stranger
        ),
    )
}

fn nothing(facts: &Facts) -> Option<Finding> {
    let (ours, theirs) = (facts.ours, facts.theirs);
    let outside = reach(theirs.ip()).max(reach(facts.signalling.ip()));
    if reach(ours.ip()) < outside {
        return finding(
            "advertised-private",
            format!(
                "nothing arrived, and nothing can: our SDP told the far end (signalling from {}) to send its audio to {ours}, which it cannot \
                 reach from there; set [media] advertise (or [sip] advertise) to the address under which this server is reached from outside, \
                 and forward UDP ports {}-{} to it",
                facts.signalling,
                facts.ports.start(),
                facts.ports.end()
            ),
        );
    }
    let PathFacts {
        refused,
        unreachable,
        ..
    } = facts.stats.path;
    if refused > 0 || unreachable > 0 {
        // Said by `unheard_by_them`: whoever does not listen does not speak either.
        return None;
    }
    finding(
        "nothing-arrives",
        format!(
            "nothing arrived on our UDP port {} in {} s although the far end may send (its SDP says from {theirs}): a firewall or NAT between us \
             drops it, or the far end never sent; let UDP ports {}-{} ([media] ports) in to {} from everywhere",
            ours.port(),
            facts.answered_for.as_secs(),
            facts.ports.start(),
            facts.ports.end(),
            ours.ip()
        ),
    )
}

/// Why they hear nothing.
fn unheard_by_them(facts: &Facts) -> Option<Finding> {
    let s = &facts.stats;
    let path = &s.path;
    let to = facts.heard_from.unwrap_or(facts.theirs);
    if !facts.we_send {
        return (s.packets_out == 0).then(|| Finding {
            cause: "held",
            sentence: "the far end hears nothing because the agreed direction lets us send nothing (hold: it offered a=sendonly or \
                       a=inactive); the call stays silent until it takes us off hold"
                .to_owned(),
        });
    }
    if reach(facts.theirs.ip()) == Reach::Nowhere && facts.heard_from.is_none() {
        return finding(
            "no-address",
            format!(
                "the far end hears nothing because its SDP names no address to send to ({}); that is an old form of hold, or the far end \
                 does not know its own address",
                facts.theirs
            ),
        );
    }
    if path.refused > 0 && (s.packets_in == 0 || path.refused > 10) {
        return finding(
            "refused",
            format!(
                "the host of {to} answers our audio with ICMP \"port unreachable\": nothing listens on the port in the far end's SDP (it names \
                 another host's address, or its program has gone away); repair the address in the far end's SDP"
            ),
        );
    }
    if path.unreachable > 0 && (s.packets_in == 0 || path.unreachable > 10) {
        return finding(
            "unreachable",
            format!(
                "there is no way from here to {to}, where the far end's SDP wants its audio (ICMP or the routing table says so): add the route or \
                 the VPN, or let the far end put a reachable address into its SDP"
            ),
        );
    }
    reported(facts, to)
}

/// What the far end's RTCP says of us.
fn reported(facts: &Facts, to: SocketAddr) -> Option<Finding> {
    let path = &facts.stats.path;
    let (sent, lost) = (path.sent_at_report, u64::from(path.reported_lost));
    if sent < ENOUGH || path.reports < 2 {
        return None;
    }
    if path.reports_on_us == 0 || lost >= sent - sent / 20 {
        return finding(
            "not-heard",
            format!(
                "the far end receives nothing: its {} RTCP reports say that none of our {sent} packets to {to} came; a firewall or NAT on its \
                 side drops them, or its SDP names an address that is not its own",
                path.reports
            ),
        );
    }
    let share = lost.saturating_mul(100) / sent;
    if share <= MUCH_LOSS {
        return None;
    }
    finding(
        "heard-badly",
        format!(
            "the far end misses {share} % of our {sent} packets to {to}: the way there is congested or a wireless link on it is poor; give the \
             packets priority (they are marked DSCP 46, EF) or more bandwidth"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    /// A call of 20 s with audio both ways.
    fn well() -> Facts {
        Facts {
            answered_for: Duration::from_secs(20),
            ours: at("203.0.113.1:10000"),
            ports: 10_000..=19_999,
            theirs: at("192.0.2.9:4000"),
            signalling: at("192.0.2.9:5060"),
            heard_from: Some(at("192.0.2.9:4000")),
            we_send: true,
            they_send: true,
            codec: "PCMU",
            payload_type: 0,
            encrypted: false,
            stats: ChannelStats {
                packets_in: 1000,
                packets_out: 1000,
                path: PathFacts {
                    sounded: true,
                    reports: 4,
                    reports_on_us: 4,
                    reported_lost: 3,
                    sent_at_report: 900,
                    ..PathFacts::default()
                },
                ..ChannelStats::default()
            },
        }
    }

    /// The same, with nothing from them.
    fn deaf() -> Facts {
        let mut facts = well();
        facts.heard_from = None;
        facts.stats.packets_in = 0;
        facts.stats.path = PathFacts::default();
        facts
    }

    /// What changes the facts, the causes found, and what their sentences must name.
    type Row = (
        fn() -> Facts,
        fn(&mut Facts),
        &'static [&'static str],
        &'static [&'static str],
    );

    const ROWS: &[Row] = &[
        (well, |_| {}, &[], &[]),
        // Nothing comes.
        (
            deaf,
            |_| {},
            &["nothing-arrives"],
            &[
                "port 10000",
                "10000-19999",
                "[media] ports",
                "192.0.2.9:4000",
            ],
        ),
        (
            deaf,
            |f| f.answered_for = Duration::from_millis(1999),
            &[],
            &[],
        ),
        (
            deaf,
            |f| f.ours = at("10.0.0.5:10000"),
            &["advertised-private"],
            &["10.0.0.5:10000", "[media] advertise", "192.0.2.9:5060"],
        ),
        (
            deaf,
            |f| f.ours = at("[fd00::1]:10000"),
            &["advertised-private"],
            &[],
        ),
        (
            deaf,
            |f| {
                f.ours = at("127.0.0.1:10000");
                f.theirs = at("192.168.1.7:4000");
                f.signalling = at("192.168.1.7:5060");
            },
            &["advertised-private"],
            &["127.0.0.1:10000"],
        ),
        // Both in one private network.
        (
            deaf,
            |f| {
                f.ours = at("10.0.0.5:10000");
                f.theirs = at("10.0.0.9:4000");
                f.signalling = at("10.0.0.9:5060");
            },
            &["nothing-arrives"],
            &[],
        ),
        // A phone behind NAT, and we too.
        (
            deaf,
            |f| {
                f.ours = at("10.0.0.5:10000");
                f.theirs = at("192.168.1.7:4000");
            },
            &["advertised-private"],
            &[],
        ),
        // From elsewhere.
        (
            deaf,
            |f| {
                f.stats.stranger = 900;
                f.stats.path.stranger_from = Some(at("198.51.100.3:6000"));
            },
            &["peer-elsewhere"],
            &[
                "192.0.2.9:4000",
                "198.51.100.3:6000",
                "900 packets",
                "external address",
            ],
        ),
        (
            deaf,
            |f| {
                f.theirs = at("192.168.1.7:4000");
                f.stats.path.stranger_from = Some(at("198.51.100.3:6000"));
            },
            &["peer-elsewhere"],
            &["5 s"],
        ),
        (
            deaf,
            |f| f.stats.path.stranger_from = Some(at("192.0.2.9:4002")),
            &["peer-elsewhere"],
            &["too few"],
        ),
        // Of no use.
        (
            deaf,
            |f| {
                f.stats.path.wrong_payload = 400;
                f.stats.path.wrong_payload_type = Some(18);
            },
            &["wrong-codec"],
            &[
                "payload type 18",
                "PCMU as payload type 0",
                "400 packets",
                "codecs",
            ],
        ),
        (
            well,
            |f| {
                f.stats.packets_in = 5;
                f.stats.path.wrong_payload = 400;
                f.stats.path.wrong_payload_type = Some(9);
            },
            &["wrong-codec"],
            &["payload type 9"],
        ),
        (
            deaf,
            |f| {
                f.encrypted = true;
                f.stats.path.srtp_failed = 700;
            },
            &["srtp-keys"],
            &["700 packets", "a=crypto", "srtp = \"never\""],
        ),
        (
            well,
            |f| f.stats.path.sounded = false,
            &["silence"],
            &["192.0.2.9:4000", "1000 packets", "muted"],
        ),
        (
            well,
            |f| {
                f.stats.path.sounded = false;
                f.stats.packets_in = 499;
            },
            &[],
            &[],
        ),
        (
            well,
            |f| {
                f.stats.path.sounded = false;
                f.stats.path.keys = true;
            },
            &[],
            &[],
        ),
        // Hold.
        (deaf, |f| f.they_send = false, &["hold"], &["a=recvonly"]),
        (
            well,
            |f| {
                f.we_send = false;
                f.stats.packets_out = 0;
            },
            &["held"],
            &["a=sendonly"],
        ),
        (well, |f| f.we_send = false, &[], &[]),
        (
            deaf,
            |f| {
                f.they_send = false;
                f.we_send = false;
                f.stats.packets_out = 0;
            },
            &["hold", "held"],
            &[],
        ),
        // They hear nothing.
        (
            well,
            |f| f.stats.path.reports_on_us = 0,
            &["not-heard"],
            &["4 RTCP reports", "900 packets", "192.0.2.9:4000"],
        ),
        (
            well,
            |f| f.stats.path.reported_lost = 900,
            &["not-heard"],
            &[],
        ),
        (
            well,
            |f| f.stats.path.reported_lost = 225,
            &["heard-badly"],
            &["25 %"],
        ),
        (
            well,
            |f| {
                f.stats.path.reports_on_us = 0;
                f.stats.path.sent_at_report = 99;
            },
            &[],
            &[],
        ),
        (
            deaf,
            |f| f.stats.path.refused = 3,
            &["refused"],
            &["192.0.2.9:4000", "ICMP"],
        ),
        (well, |f| f.stats.path.refused = 3, &[], &[]), // it hung up a moment before its BYE came
        (well, |f| f.stats.path.refused = 300, &["refused"], &[]),
        (
            deaf,
            |f| f.stats.path.unreachable = 30,
            &["unreachable"],
            &["192.0.2.9:4000", "route"],
        ),
        (
            deaf,
            |f| f.theirs = at("0.0.0.0:4000"),
            &["nothing-arrives", "no-address"],
            &["0.0.0.0:4000"],
        ),
    ];

    #[test]
    fn each_finding_has_its_facts_and_names_what_to_change() {
        for (number, (start, change, causes, words)) in ROWS.iter().enumerate() {
            let mut facts = start();
            change(&mut facts);
            let found = explain(&facts);
            let found_causes: Vec<_> = found.iter().map(|finding| finding.cause).collect();
            assert_eq!(found_causes, *causes, "row {number}: {found:?}");
            let text: Vec<_> = found.iter().map(|finding| &*finding.sentence).collect();
            let text = text.join(" ");
            for word in *words {
                assert!(
                    text.contains(word),
                    "row {number}: {word:?} is not in {text:?}"
                );
            }
            assert!(!text.contains("  "), "row {number}: {text:?}");
        }
    }

    #[test]
    fn how_far_addresses_reach() {
        for (address, expected) in [
            ("0.0.0.0", Reach::Nowhere),
            ("::", Reach::Nowhere),
            ("127.3.2.1", Reach::Host),
            ("::1", Reach::Host),
            ("::ffff:127.0.0.1", Reach::Host),
            ("10.1.2.3", Reach::Site),
            ("100.64.0.1", Reach::Site),
            ("100.128.0.1", Reach::World),
            ("169.254.1.1", Reach::Site),
            ("fd00::1", Reach::Site),
            ("fe80::1", Reach::Site),
            ("2001:db8::1", Reach::World),
            ("192.0.2.1", Reach::World),
        ] {
            assert_eq!(reach(address.parse().unwrap()), expected, "{address}");
        }
    }
}
