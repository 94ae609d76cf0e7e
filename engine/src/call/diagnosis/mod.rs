//! Why one side of a leg hears nothing, in a sentence. Pure: facts of a leg in, findings out.
//!
//! It owns the reasoning and the words; it never looks at a clock, a socket or a configuration. A leg of less than [`SHORTEST`] gets no
//! findings: audio may still have been on its way. Every finding names what to change and where.
mod reach;

pub use reach::{Reach, reach};

use crate::media::{ChannelStats, PathFacts};
use serde_json::{Value, json};
use std::net::SocketAddr;
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
    /// The newest tone of the network that says that nobody was reached.
    pub tone: Option<&'static str>,
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

/// The explanations for what is wrong with a leg's audio, the likeliest first; none when it flowed both ways.
pub fn explain(facts: &Facts) -> Vec<Finding> {
    if facts.answered_for < SHORTEST {
        return Vec::new();
    }
    let mut findings: Vec<Finding> = answered_by_tone(facts).into_iter().collect();
    findings.extend(unheard_by_us(facts));
    findings.extend(unheard_by_them(facts));
    findings
}

/// The call was answered by a network that has nobody to give it to.
fn answered_by_tone(facts: &Facts) -> Option<Finding> {
    let tone = facts.tone?;
    finding(
        "network-tone",
        format!(
            "the far end answered and then played a tone of its network ({tone}): nobody was reached, and the call costs what an answered one does; \
             ask the carrier for SIP responses (486, 503, 404) instead of tones, and set progress = true for this trunk to have such calls end \
             with the cause that the tone stands for"
        ),
    )
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
mod tests;
