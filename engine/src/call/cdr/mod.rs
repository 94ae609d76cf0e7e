//! Call detail records: one JSON line per call and per leg, in the words of `docs/cdr.md`. Pure; [`writer`] brings them to disk.
//!
//! Limits: texts that came from far ends are cut at 256 characters. Secrets are never part of a record.
mod stamp;
mod writer;

pub use writer::{CdrError, CdrWriter};

use super::caller::Caller;
use super::leg::End;
use super::program::{CallInfo, Direction};
use super::verb::ConferenceEnd;
use crate::media::{ChannelStats, Marks, Quality};
use serde_json::{Value, json};
pub(super) use stamp::stamp;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};
use trunkline_sip::Origin;

/// Grows by one when a field changes its meaning or goes; new fields may come at any time.
const SCHEMA: u32 = 1;
/// Longest text, in characters.
const MAX_TEXT: usize = 256;
/// Conferences of one call; later ones are left out.
pub(super) const MAX_CONFERENCES: usize = 32;

/// When a call or leg went through what.
#[derive(Debug, Clone)]
pub(super) struct Times {
    pub(super) began: SystemTime,
    pub(super) rang: Option<SystemTime>,
    pub(super) answered: Option<SystemTime>,
}

impl Times {
    pub(super) fn begin() -> Times {
        Times {
            began: SystemTime::now(),
            rang: None,
            answered: None,
        }
    }

    pub(super) fn ringing(&mut self) {
        self.rang.get_or_insert_with(SystemTime::now);
    }

    pub(super) fn answer(&mut self) {
        self.answered.get_or_insert_with(SystemTime::now);
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
        match self.end {
            Some(ConferenceEnd::Key(_)) => "key",
            Some(ConferenceEnd::Over) => "over",
            Some(ConferenceEnd::Removed) => "removed",
            Some(ConferenceEnd::Alone) => "alone",
            Some(ConferenceEnd::TimeLimit) => "limit",
            None => "call-ended",
        }
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
    pub(super) times: &'a Times,
    pub(super) end: &'a End,
}

impl CallRecord<'_> {
    pub(super) fn line(&self, now: SystemTime) -> String {
        let origin = match &self.caller.origin {
            Origin::Stranger => "stranger".to_owned(),
            Origin::Peer(name) => format!("trunk:{name}"),
            Origin::User(name) => format!("endpoint:{name}"),
        };
        let stays = self.conferences.iter();
        let conferences: Vec<Value> = stays.map(ConferenceStay::value).collect();
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
            "recordings": self.recordings,
            "conferences": conferences,
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
    pub(super) fn line(self) -> String {
        let lasted = self.ended.duration_since(self.began).unwrap_or_default();
        let record = json!({
            "schema": SCHEMA,
            "type": "conference",
            "room": cut(self.room),
            "began": stamp(self.began),
            "ended": stamp(self.ended),
            "seconds": (lasted.as_secs_f64() * 1000.0).round() / 1000.0,
            "most": self.most,
            "calls": self.calls,
            "recordings": self.recordings,
        });
        record.to_string()
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
    pub(super) fn line(&self, now: SystemTime) -> String {
        let s = self.stats;
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
        with(record, self.times, self.end, now)
    }
}

/// Adds times and end, which both kinds have.
fn with(mut record: Value, times: &Times, end: &End, now: SystemTime) -> String {
    let seconds = times.answered.map_or(0.0, |at| {
        let talked = now.duration_since(at).unwrap_or_default();
        (talked.as_secs_f64() * 1000.0).round() / 1000.0
    });
    let more = json!({
        "began": stamp(times.began),
        "rang": times.rang.map(stamp),
        "answered": times.answered.map(stamp),
        "ended": stamp(now),
        "seconds": seconds,
        "ended_by": end.by,
        "cause": end.cause,
        "status": end.status,
        "q850": end.q850,
    });
    if let (Value::Object(record), Value::Object(more)) = (&mut record, more) {
        record.extend(more);
    }
    record.to_string()
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
            times: &times,
            end: &end,
        };
        let line = record.line(began + Duration::from_secs(5));
        assert!(!line.contains('\n'), "{line}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["seconds"], 3.5);
        assert_eq!(
            read["conferences"],
            json!([{"room": "team\n", "seconds": 2.5, "left": "alone"}])
        );
        assert_eq!(read["began"], "2025-11-21T16:32:04.000Z");
        assert_eq!((&read["cause"], &read["q850"]), (&json!("bye"), &json!(16)));
        assert_eq!(read["from"].as_str().unwrap().chars().count(), MAX_TEXT);
    }
}
