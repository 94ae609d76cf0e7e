//! What a leg tells as events.
use super::{End, Leg};
use crate::call::events::{EventKind, cut};
use crate::call::program::Direction;
use crate::call::verb::{DigitSource, KeyPress};
use crate::media::ChannelStats;
use crate::stream::StreamEnd;
use serde_json::{Value, json};

impl Leg {
    /// Tells an event of this leg; its number and party are part of the data.
    pub(in super::super) fn say(&self, kind: EventKind, data: Value) {
        self.settings.call.tell(kind, || {
            let mut all = json!({"leg": self.id.number(), "party": cut(&self.settings.label)});
            if let (Value::Object(all), Value::Object(data)) = (&mut all, data) {
                all.extend(data);
            }
            all
        });
    }

    /// Whether this is the leg that the call is about, as far as its direction says: what is dialled for an inbound call is none.
    fn is_own(&self) -> bool {
        self.direction == Direction::Inbound
    }

    /// The far end rings, or is told that it does.
    pub(super) fn say_ringing(&self, status: u16) {
        if self.is_own() {
            self.settings.call.rings();
            self.settings
                .call
                .tell(EventKind::CallRinging, || json!({ "status": status }));
        }
        self.say(EventKind::LegRinging, json!({ "status": status }));
    }

    /// It is answered.
    pub(super) fn say_answered(&self) {
        self.note();
        if self.is_own() {
            self.settings.call.came_up();
            self.settings
                .call
                .tell(EventKind::CallAnswered, || json!({"codec": self.codec()}));
        }
        self.say(
            EventKind::LegAnswered,
            json!({"direction": self.direction.word(), "codec": self.codec()}),
        );
    }

    /// It is over.
    pub(super) fn say_ended(&self, end: &End, stats: &ChannelStats) {
        self.say(
            EventKind::LegEnded,
            json!({
                "by": end.by,
                "cause": end.cause,
                "status": end.status,
                "q850": end.q850,
                "answered": self.answered,
                "codec": self.codec(),
                "lost": stats.lost,
                "late": stats.late,
                "jitter_ms": (f64::from(stats.jitter_ms) * 10.0).round() / 10.0,
            }),
        );
    }

    /// A key was taken by somebody: in the log and as an event, its digit only where it is no secret.
    pub(in super::super) fn say_key(&self, key: &KeyPress, secret: bool) {
        if !secret {
            tracing::info!(key = %key.digit, source = ?key.source, sources = %key.sources, ms = key.duration_ms, "key");
        }
        self.say_digit(key, secret);
    }

    /// As an event only.
    pub(in super::super) fn say_digit(&self, key: &KeyPress, secret: bool) {
        let source = match key.source {
            DigitSource::InBand => "inband",
            DigitSource::Rfc4733 => "rfc4733",
            DigitSource::Info => "info",
        };
        let digit = (!secret).then_some(key.digit);
        self.say(
            EventKind::Digit,
            json!({"digit": digit, "source": source, "ms": key.duration_ms}),
        );
    }

    pub(super) fn say_stream_over(&self, end: &StreamEnd) {
        let end = match end {
            StreamEnd::Stopped => "stopped",
            StreamEnd::CallOver => "call-over",
            StreamEnd::ByService => "by-service",
            StreamEnd::Failed(_) => "failed",
        };
        self.say(EventKind::StreamEnded, json!({ "end": end }));
    }
}
