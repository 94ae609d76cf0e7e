//! The last legs whose audio did not flow, and why: what `GET /diagnosis` shows and `trunkline doctor` reads out.
//!
//! Limits: [`KEPT`] legs, the oldest goes first; texts of far ends are cut at [`MAX_TEXT`] characters.
use super::diagnosis::{Facts, Finding};
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Legs kept.
const KEPT: usize = 50;
/// Longest text, in characters.
const MAX_TEXT: usize = 256;

/// A leg whose audio did not flow.
#[derive(Debug, Clone)]
pub struct TroubledLeg {
    /// Its call, as in the log.
    pub call: String,
    /// Its number, as in the log.
    pub leg: u64,
    /// Who is at its other end.
    pub party: String,
    /// When it was found.
    pub at: SystemTime,
    /// The call is not over yet.
    pub up: bool,
    /// Why; at least one.
    pub findings: Vec<Finding>,
    /// What that is concluded from.
    pub facts: Facts,
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct Troubled {
    examined: AtomicU64,
    recent: Mutex<Recent>,
}

#[derive(Debug, Default)]
struct Recent {
    legs: VecDeque<TroubledLeg>,
    causes: BTreeMap<&'static str, u64>,
}

impl Troubled {
    fn recent(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a leg that is over.
    pub(super) fn examined(&self) {
        self.examined.fetch_add(1, Ordering::Relaxed);
    }

    /// Keeps a leg, in the place of what was known of it before.
    pub(super) fn keep(&self, leg: TroubledLeg) {
        let mut recent = self.recent();
        let known = recent
            .legs
            .iter()
            .position(|known| known.call == leg.call && known.leg == leg.leg);
        let before = known.and_then(|index| recent.legs.remove(index));
        for finding in &leg.findings {
            let new = |before: &TroubledLeg| {
                let mut causes = before.findings.iter().map(|finding| finding.cause);
                !causes.any(|cause| cause == finding.cause)
            };
            if before.as_ref().is_none_or(new) {
                *recent.causes.entry(finding.cause).or_default() += 1;
            }
        }
        while recent.legs.len() >= KEPT {
            recent.legs.pop_front();
        }
        recent.legs.push_back(leg);
    }

    /// Forgets a leg whose audio came after all.
    pub(super) fn forget(&self, call: &str, leg: u64) {
        self.recent()
            .legs
            .retain(|known| known.leg != leg || known.call != call);
    }

    /// Legs by cause, since the start.
    pub fn by_cause(&self) -> Vec<(&'static str, u64)> {
        let recent = self.recent();
        recent
            .causes
            .iter()
            .map(|(cause, n)| (*cause, *n))
            .collect()
    }

    /// All that is known, the newest leg last.
    pub fn to_json(&self) -> Value {
        let recent = self.recent();
        let legs: Vec<_> = recent.legs.iter().map(TroubledLeg::to_json).collect();
        json!({
            "legs_examined": self.examined.load(Ordering::Relaxed),
            "causes": recent.causes,
            "legs": legs,
        })
    }
}

impl TroubledLeg {
    fn to_json(&self) -> Value {
        let (f, s) = (&self.facts, &self.facts.stats);
        let findings: Vec<_> = self.findings.iter().map(Finding::to_json).collect();
        json!({
            "call": self.call,
            "leg": self.leg,
            "party": self.party.chars().take(MAX_TEXT).collect::<String>(),
            "at": self.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs(),
            "up": self.up,
            "findings": findings,
            "facts": {
                "our_sdp": f.ours,
                "their_sdp": f.theirs,
                "signalling": f.signalling,
                "heard_from": f.heard_from,
                "stranger_from": s.path.stranger_from,
                "we_send": f.we_send,
                "they_send": f.they_send,
                "codec": f.codec,
                "encrypted": f.encrypted,
                "packets_in": s.packets_in,
                "packets_out": s.packets_out,
                "strangers": s.stranger,
                "wrong_payload": s.path.wrong_payload,
                "srtp_failed": s.path.srtp_failed,
                "icmp_refused": s.path.refused,
                "icmp_unreachable": s.path.unreachable,
                "rtcp_reports": s.path.reports,
                "rtcp_reports_on_us": s.path.reports_on_us,
                "first_rtp_in_ms": s.first_rtp_in_ms,
                "first_rtp_out_ms": s.first_rtp_out_ms,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ChannelStats;
    use std::time::Duration;

    fn leg(call: usize, causes: &[&'static str], up: bool) -> TroubledLeg {
        let address = "192.0.2.1:4000".parse().unwrap();
        TroubledLeg {
            call: format!("c-{call}"),
            leg: 7,
            party: "x".repeat(1000),
            at: UNIX_EPOCH,
            up,
            findings: causes
                .iter()
                .map(|&cause| Finding {
                    cause,
                    sentence: String::new(),
                })
                .collect(),
            facts: Facts {
                answered_for: Duration::from_secs(5),
                ours: address,
                ports: 10_000..=10_001,
                theirs: address,
                signalling: address,
                heard_from: None,
                we_send: true,
                they_send: true,
                codec: "PCMU",
                payload_type: 0,
                encrypted: false,
                tone: None,
                stats: ChannelStats::default(),
            },
        }
    }

    #[test]
    fn the_newest_are_kept_and_each_leg_counts_once_for_a_cause() {
        let troubled = Troubled::default();
        for call in 0..KEPT + 5 {
            troubled.keep(leg(call, &["hold"], true));
        }
        troubled.keep(leg(20, &["hold", "held"], false));
        let json = troubled.to_json();
        let legs = json["legs"].as_array().unwrap();
        assert_eq!(legs.len(), KEPT);
        assert_eq!(legs[0]["call"], "c-5");
        assert_eq!(
            (&legs[KEPT - 1]["call"], &legs[KEPT - 1]["up"]),
            (&json!("c-20"), &json!(false))
        );
        assert_eq!(legs[0]["party"].as_str().unwrap().len(), MAX_TEXT);
        assert_eq!(troubled.by_cause(), [("held", 1), ("hold", 55)]);
        troubled.forget("c-20", 7);
        assert_eq!(
            troubled.to_json()["legs"].as_array().unwrap().len(),
            KEPT - 1
        );
    }
}
