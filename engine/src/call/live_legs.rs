//! The legs that are up and how they sound: what `GET /diagnosis` shows. A leg enters with its channel and is gone with it.
//!
//! Limits: texts of far ends are cut at [`MAX_TEXT`] characters; the page shows the [`SHOWN`] worst.
use crate::media::{LiveFigures, LiveQuality};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Legs shown.
const SHOWN: usize = 100;
/// Longest text, in characters.
const MAX_TEXT: usize = 256;

/// See the module's text.
#[derive(Debug, Default)]
pub struct LiveLegs {
    legs: Mutex<BTreeMap<u64, Entry>>,
}

#[derive(Debug)]
struct Entry {
    call: String,
    party: String,
    quality: Arc<LiveQuality>,
}

/// The place of a leg among them, given back when it is dropped.
#[derive(Debug)]
pub(super) struct LivePlace {
    of: Arc<LiveLegs>,
    leg: u64,
}

impl Drop for LivePlace {
    fn drop(&mut self) {
        self.of.legs().remove(&self.leg);
    }
}

impl LiveLegs {
    fn legs(&self) -> MutexGuard<'_, BTreeMap<u64, Entry>> {
        self.legs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A leg by its number, which no other has.
    pub(super) fn enter(
        self: &Arc<LiveLegs>,
        leg: u64,
        call: &str,
        party: &str,
        quality: Arc<LiveQuality>,
    ) -> LivePlace {
        let entry = Entry {
            call: call.to_owned(),
            party: party.chars().take(MAX_TEXT).collect(),
            quality,
        };
        self.legs().insert(leg, entry);
        LivePlace {
            of: self.clone(),
            leg,
        }
    }

    /// How many there are, and the worst first: by the lowest MOS that either side has now; who is unknown comes last.
    pub fn to_json(&self) -> Value {
        let legs = self.legs();
        let mut shown: Vec<_> = legs
            .iter()
            .map(|(leg, entry)| (entry.quality.figures(), leg, entry))
            .collect();
        shown.sort_by(|(a, ..), (b, ..)| lowest(a).total_cmp(&lowest(b)));
        shown.truncate(SHOWN);
        let worst: Vec<_> = shown
            .into_iter()
            .map(|(figures, leg, entry)| entry.to_json(*leg, &figures))
            .collect();
        json!({ "up": legs.len(), "worst": worst })
    }
}

fn lowest(of: &LiveFigures) -> f32 {
    let newest = [of.heard[0], of.sent[0]].into_iter().flatten();
    newest.fold(f32::INFINITY, f32::min)
}

impl Entry {
    fn to_json(&self, leg: u64, of: &LiveFigures) -> Value {
        let side = |[newest, worst]: [Option<f32>; 2], r: Option<f32>| json!({ "mos_lq": newest.map(hundredths), "worst_mos_lq": worst.map(hundredths), "r": r.map(hundredths) });
        json!({
            "call": self.call,
            "leg": leg,
            "party": self.party,
            "packets_in": of.packets_in,
            "packets_out": of.packets_out,
            "lost": of.lost,
            "late": of.late,
            "jitter_ms": of.jitter_ms.map(hundredths),
            "playout_delay_ms": of.playout_delay_ms,
            "round_trip_ms": of.round_trip_ms.map(hundredths),
            "heard": side(of.heard, of.heard_r),
            "sent": side(of.sent, of.sent_r),
        })
    }
}

fn hundredths(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ChannelStats;

    fn sounding(mos_lq: Option<f32>) -> Arc<LiveQuality> {
        let live = LiveQuality::default();
        let mut stats = ChannelStats::default();
        stats.quality.heard.newest = mos_lq.map(|mos_lq| crate::rtp::emodel::Score {
            mos_lq,
            ..Default::default()
        });
        live.publish(&stats);
        Arc::new(live)
    }

    #[test]
    fn the_worst_is_first_and_who_is_gone_is_gone() {
        let legs = Arc::<LiveLegs>::default();
        let scores = [(1, Some(4.4)), (2, None), (3, Some(2.1)), (4, Some(3.9))];
        let mut places: Vec<_> = scores
            .into_iter()
            .map(|(leg, mos)| legs.enter(leg, "c-1", &"x".repeat(500), sounding(mos)))
            .collect();
        let page = legs.to_json();
        let order: Vec<_> = (0..4).map(|n| page["worst"][n]["leg"].clone()).collect();
        assert_eq!(order, [3, 4, 1, 2]);
        assert_eq!(page["worst"][0]["heard"]["mos_lq"], 2.1);
        assert_eq!(page["worst"][3]["heard"]["mos_lq"], Value::Null);
        assert_eq!(page["worst"][0]["party"].as_str().map(str::len), Some(256));
        places.remove(2);
        assert_eq!(legs.to_json()["up"], 3);
        assert_eq!(legs.to_json()["worst"][0]["leg"], 4);
    }
}
