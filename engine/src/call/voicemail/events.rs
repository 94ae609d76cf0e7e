//! What happens to boxes, on the bus of events.
use super::super::events::{EventKind, Events, cut};
use crate::store::{VoicemailCount, VoicemailRow, stamp, time_of};
use crate::voicemail::Happened;
use serde_json::{Value, json};

/// Tells one of them.
pub(in super::super) fn tell(events: &Events, happened: &Happened) {
    let of = |kind, row: &VoicemailRow, count: &VoicemailCount| {
        events.tell(kind, Some(&row.call), || message(row, count));
    };
    match happened {
        Happened::Left(row, count) => of(EventKind::VoicemailLeft, row, count),
        Happened::Marked(row, count) => of(EventKind::VoicemailMarked, row, count),
        Happened::Deleted(row, count) => of(EventKind::VoicemailDeleted, row, count),
        Happened::Refused(mailbox, call, why) => events.tell(
            EventKind::VoicemailRefused,
            Some(call),
            || json!({"mailbox": cut(mailbox), "why": why}),
        ),
        Happened::Transcribed(row, text) => events.tell(
            EventKind::VoicemailTranscribed,
            Some(&row.call),
            || json!({"mailbox": row.mailbox, "message": row.id, "text": text}),
        ),
        Happened::MailFailed(row, reason) => events.tell(
            EventKind::VoicemailMailFailed,
            Some(&row.call),
            || json!({"mailbox": row.mailbox, "message": row.id, "reason": cut(reason)}),
        ),
    }
}

fn message(row: &VoicemailRow, count: &VoicemailCount) -> Value {
    json!({
        "mailbox": row.mailbox,
        "message": row.id,
        "from": cut(&row.caller),
        "name": row.caller_name.as_deref().map(cut),
        "at": stamp(time_of(row.at_ms)),
        "ms": row.ms,
        "octets": row.octets,
        "state": row.state.name(),
        "new": count.new,
        "saved": count.saved,
    })
}
