//! Call detail records: one JSON object per call and per leg, in the words of `docs/cdr.md`. Pure; [`Records`] brings them to file and store.
//!
//! Limits: texts that came from far ends are cut at 256 characters. Secrets are never part of a record.
mod records;
mod writer;

pub(super) use records::Records;
pub use writer::{CdrError, CdrWriter};

use super::caller::Caller;
use super::diary::Diary;
use super::leg::End;
use super::program::{CallInfo, Direction};
use super::verb::ConferenceEnd;
use crate::media::{ChannelStats, Marks, Quality};
use crate::store::stamp;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime};
use trunkline_sip::Origin;

/// Grows by one when a field changes its meaning or goes; new fields may come at any time.
const SCHEMA: u32 = 2;
/// Longest text, in characters.
const MAX_TEXT: usize = 256;
/// Conferences of one call; later ones are left out.
pub(super) const MAX_CONFERENCES: usize = 32;

/// When a call or leg went through what, by a clock of its own: it was set by the system's when it began, and no step of that one changes
/// how long something lasted.
#[derive(Debug, Clone)]
pub(super) struct Times {
    pub(super) began: SystemTime,
    since: Instant,
    pub(super) rang: Option<SystemTime>,
    pub(super) answered: Option<SystemTime>,
}

impl Times {
    pub(super) fn begin() -> Times {
        Times {
            began: SystemTime::now(),
            since: Instant::now(),
            rang: None,
            answered: None,
        }
    }

    pub(super) fn now(&self) -> SystemTime {
        self.began + self.since.elapsed()
    }

    pub(super) fn ringing(&mut self) {
        self.rang = self.rang.or_else(|| Some(self.now()));
    }

    pub(super) fn answer(&mut self) {
        self.answered = self.answered.or_else(|| Some(self.now()));
    }
}

/// A call's time in a conference.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ConferenceStay {
    pub(super) room: String,
    pub(super) lasted: Duration,
    /// Why it left; `None`: the call ended.
    pub(super) end: Option<ConferenceEnd>,
}

impl ConferenceStay {
    /// Why it left, in a word.
    pub(super) fn left(&self) -> &'static str {
        self.end.map_or("call-ended", ConferenceEnd::name)
    }

    fn value(&self) -> Value {
        let left = self.left();
        let seconds = (self.lasted.as_secs_f64() * 1000.0).round() / 1000.0;
        json!({"room": cut(&self.room), "seconds": seconds, "left": left})
    }
}

/// How a call went.
pub(super) struct CallRecord<'a> {
    pub(super) info: &'a CallInfo,
    pub(super) caller: &'a Caller,
    /// What routed it; `None`: nothing did.
    pub(super) rule: Option<&'a str>,
    pub(super) program: Option<&'a str>,
    /// The files that stay.
    pub(super) recordings: Value,
    pub(super) conferences: &'a [ConferenceStay],
    pub(super) tags: &'a BTreeSet<String>,
    pub(super) metadata: &'a BTreeMap<String, String>,
    pub(super) diary: &'a Diary,
    pub(super) times: &'a Times,
    /// `None`: it is in progress.
    pub(super) end: Option<&'a End>,
}

impl CallRecord<'_> {
    pub(super) fn value(&self, now: SystemTime) -> Value {
        let origin = match &self.caller.origin {
            _ if self.caller.is_ourselves() => "ourselves".to_owned(),
            Origin::Stranger => "stranger".to_owned(),
            Origin::Peer(name) => format!("trunk:{name}"),
            Origin::User(name) => format!("endpoint:{name}"),
        };
        let stays = self.conferences.iter();
        let conferences: Vec<Value> = stays.map(ConferenceStay::value).collect();
        let (steps, steps_left_out, keys) = self.diary.as_json();
        let record = json!({
            "schema": SCHEMA,
            "type": "call",
            "call": self.info.id,
            "direction": self.info.direction.word(),
            "origin": origin,
            "source": self.caller.source,
            "from": cut(&self.info.from),
            "to": cut(&self.info.to),
            "rule": self.rule,
            "program": self.program,
            "steps": steps,
            "steps_left_out": steps_left_out,
            "keys": keys,
            "recordings": self.recordings,
            "conferences": conferences,
            "tags": self.tags,
            "metadata": self.metadata,
        });
        with(record, self.times, self.end, now)
    }
}

/// How a conference went.
pub(super) struct ConferenceRecord<'a> {
    pub(super) room: &'a str,
    pub(super) began: SystemTime,
    pub(super) ended: SystemTime,
    /// The most who were there at a time.
    pub(super) most: usize,
    pub(super) calls: &'a [String],
    pub(super) recordings: Value,
}

impl ConferenceRecord<'_> {
    pub(super) fn value(self) -> Value {
        let lasted = self.ended.duration_since(self.began).unwrap_or_default();
        json!({
            "schema": SCHEMA,
            "type": "conference",
            "state": "complete",
            "room": cut(self.room),
            "began": stamp(self.began),
            "ended": stamp(self.ended),
            "seconds": (lasted.as_secs_f64() * 1000.0).round() / 1000.0,
            "most": self.most,
            "calls": self.calls,
            "recordings": self.recordings,
        })
    }
}

/// How a leg went.
pub(super) struct LegRecord<'a> {
    pub(super) call: &'a str,
    pub(super) leg: u64,
    pub(super) direction: Direction,
    pub(super) label: &'a str,
    pub(super) sip_call_id: Option<&'a str>,
    pub(super) times: &'a Times,
    pub(super) end: &'a End,
    pub(super) codec: Option<&'a str>,
    pub(super) remote: Option<SocketAddr>,
    pub(super) heard_from: Option<SocketAddr>,
    /// Tones of the network that were heard.
    pub(super) tones: &'a [String],
    /// What machine detection found.
    pub(super) answered_by: Option<&'static str>,
    pub(super) stats: &'a ChannelStats,
}

impl LegRecord<'_> {
    pub(super) fn value(&self, now: SystemTime) -> Value {
        let s = self.stats;
        let (first_audio_ms, first_heard_ms) = self.first_audio();
        let record = json!({
            "schema": SCHEMA,
            "type": "leg",
            "call": self.call,
            "leg": self.leg,
            "direction": self.direction.word(),
            "party": cut(self.label),
            "sip_call_id": self.sip_call_id.map(cut),
            "codec": self.codec,
            "rtp_remote": self.remote,
            "rtp_from": self.heard_from,
            "first_audio_ms": first_audio_ms,
            "first_heard_ms": first_heard_ms,
            "rtp": {
                "packets_in": s.packets_in,
                "packets_out": s.packets_out,
                "bytes_in": s.octets_in,
                "bytes_out": s.octets_out,
                "lost": s.lost,
                "late": s.late,
                "duplicate": s.duplicate,
                "jitter_ms": tenths(s.jitter_ms),
            },
            "tones": self.tones,
            "answered_by": self.answered_by,
            "quality": quality(&s.quality),
        });
        with(record, self.times, Some(self.end), now)
    }

    /// How long after the answer the far end was sent its first packet of audio, and we had its first; 0: before. `None`: never.
    fn first_audio(&self) -> (Option<u64>, Option<u64>) {
        let Some(answered) = self.times.answered else {
            return (None, None);
        };
        // The channel is as old as the leg.
        let rang = answered
            .duration_since(self.times.began)
            .unwrap_or_default();
        let after = |ms: u32| u64::from(ms).saturating_sub(rang.as_millis() as u64);
        let stats = self.stats;
        (
            stats.first_rtp_out_ms.map(after),
            stats.first_rtp_in_ms.map(after),
        )
    }
}

/// Adds times and end, which both kinds have.
fn with(mut record: Value, times: &Times, end: Option<&End>, now: SystemTime) -> Value {
    let seconds = times.answered.map_or(0.0, |at| {
        let talked = now.duration_since(at).unwrap_or_default();
        (talked.as_secs_f64() * 1000.0).round() / 1000.0
    });
    let more = json!({
        "state": if end.is_some() { "complete" } else { "in_progress" },
        "began": stamp(times.began),
        "rang": times.rang.map(stamp),
        "answered": times.answered.map(stamp),
        "ended": end.map(|_| stamp(now)),
        "seconds": end.map(|_| seconds),
        "ended_by": end.map(|end| end.by),
        "cause": end.map(|end| end.cause),
        "status": end.and_then(|end| end.status),
        "q850": end.and_then(|end| end.q850),
    });
    if let (Value::Object(record), Value::Object(more)) = (&mut record, more) {
        record.extend(more);
    }
    record
}

/// How a leg sounded; `null` where nothing is known.
fn quality(of: &Quality) -> Value {
    json!({
        "heard": marks(&of.heard),
        "sent": marks(&of.sent),
        "round_trip_ms": of.round_trip_ms.map(tenths),
        "worst_round_trip_ms": of.worst_round_trip_ms.map(tenths),
        "playout_delay_ms": of.playout_delay_ms,
        "concealed_ms": of.concealed_ms,
        "remote_lost": of.remote_lost,
        "remote_jitter_ms": of.remote_jitter_ms.map(tenths),
        "remote_mos_lq": of.remote_mos_lq.map(tenths),
    })
}

fn marks(of: &Marks) -> Value {
    json!({
        "mos_lq": of.mean.map(|score| hundredths(score.mos_lq)),
        "mos_cq": of.mean.map(|score| hundredths(score.mos_cq)),
        "r": of.mean.map(|score| tenths(score.r)),
        "worst_mos_lq": of.worst.map(|score| hundredths(score.mos_lq)),
    })
}

fn tenths(value: f32) -> f64 {
    (f64::from(value) * 10.0).round() / 10.0
}

fn hundredths(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_of_the_sound_is_null() {
        assert_eq!(quality(&Quality::default())["heard"]["mos_lq"], Value::Null);
        let known = Quality {
            round_trip_ms: Some(31.26),
            remote_lost: Some(-2),
            concealed_ms: 40,
            ..Quality::default()
        };
        let read = quality(&known);
        assert_eq!(read["round_trip_ms"], 31.3);
        assert_eq!(
            (&read["remote_lost"], &read["concealed_ms"]),
            (&json!(-2), &json!(40))
        );
    }

    #[test]
    fn a_record_is_one_line_whatever_far_ends_wrote() {
        let info = CallInfo {
            id: "c-1".to_owned(),
            direction: Direction::Inbound,
            from: "a\"\r\n{".repeat(200),
            to: "\u{0}".to_owned(),
        };
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_763_742_724);
        let times = Times {
            began,
            since: Instant::now(),
            rang: None,
            answered: Some(began + Duration::from_millis(1500)),
        };
        let end = End {
            q850: Some(16),
            ..End::by("far-end", "bye")
        };
        let record = CallRecord {
            info: &info,
            caller: &Caller::ourselves(),
            rule: Some("[[number]] line 3"),
            program: Some("dial"),
            recordings: json!([]),
            conferences: &[ConferenceStay {
                room: "team\n".to_owned(),
                lasted: Duration::from_millis(2500),
                end: Some(ConferenceEnd::Alone),
            }],
            tags: &["vip".to_owned()].into(),
            metadata: &BTreeMap::new(),
            diary: &Diary::begin(Instant::now()),
            times: &times,
            end: Some(&end),
        };
        let line = record.value(began + Duration::from_secs(5)).to_string();
        assert!(!line.contains('\n'), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["seconds"], 3.5);
        assert_eq!(
            (&read["origin"], &read["tags"]),
            (&json!("ourselves"), &json!(["vip"]))
        );
        assert_eq!(
            read["conferences"],
            json!([{"room": "team\n", "seconds": 2.5, "left": "alone"}])
        );
        assert_eq!(read["began"], "2025-11-21T16:32:04.000Z");
        assert_eq!((&read["cause"], &read["q850"]), (&json!("bye"), &json!(16)));
        assert_eq!(read["from"].as_str().unwrap().chars().count(), MAX_TEXT);
        let begun = CallRecord {
            end: None,
            ..record
        };
        let read = begun.value(began + Duration::from_secs(5));
        assert_eq!(read["state"], "in_progress");
        assert_eq!(
            (&read["ended"], &read["seconds"], &read["cause"]),
            (&Value::Null, &Value::Null, &Value::Null)
        );
    }
}
