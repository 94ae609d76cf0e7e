//! Nodes that record in the background and stream: their keys and defaults.
use super::super::model::{Recording, Step};
use super::super::template::Template;
use super::Reader;
use crate::call::{RecordCall, RecordingControl, Stream};
use crate::config::Secret;
use crate::config::document::field::{Field, Table};
use crate::media::{Listening, Pause, RecordingFormat, Tracks};
use crate::stream::Address;
use crate::stream::protocol::Framing;

pub(in super::super) const TRACKS: [(&str, Tracks); 3] = [
    ("caller", Tracks::Received),
    ("mixed", Tracks::Mixed),
    ("stereo", Tracks::Stereo),
];
pub(in super::super) const FORMATS: [(&str, RecordingFormat); 2] = [
    ("wav", RecordingFormat::Wav),
    ("opus", RecordingFormat::Opus),
];
/// `mono` holds both sides.
const CHANNELS: [(&str, Tracks); 4] = [
    ("stereo", Tracks::Stereo),
    ("mono", Tracks::Mixed),
    ("mixed", Tracks::Mixed),
    ("caller", Tracks::Received),
];
const PAUSES: [(&str, Pause); 2] = [("nothing", Pause::Nothing), ("silence", Pause::Silence)];
const ACTIONS: [(&str, RecordingControl); 3] = [
    ("pause", RecordingControl::Pause),
    ("resume", RecordingControl::Resume),
    ("stop", RecordingControl::Stop),
];
/// What the service gets: what the caller says, what it is sent.
const DIRECTIONS: [(&str, (bool, bool)); 4] = [
    ("in", (true, false)),
    ("out", (false, true)),
    ("both", (true, true)),
    ("none", (false, false)),
];
const FRAMINGS: [(&str, Framing); 2] = [("json", Framing::Json), ("binary", Framing::Binary)];

impl Reader<'_> {
    pub(super) fn tracks(&self, table: &mut Table<'_>, default: Tracks) -> Tracks {
        let chosen = table
            .field("tracks")
            .and_then(|field| field.choice(&TRACKS));
        chosen.unwrap_or(default)
    }

    pub(super) fn format(&self, table: &mut Table<'_>) -> RecordingFormat {
        let field = table.field("format");
        field
            .and_then(|field| field.choice(&FORMATS))
            .unwrap_or_default()
    }

    pub(super) fn record_call(&self, table: &mut Table<'_>) -> Option<Step> {
        let pause = table.field("pause").and_then(|field| field.choice(&PAUSES));
        let record = RecordCall {
            path: None,
            tracks: self.tracks(table, Tracks::Stereo),
            format: self.format(table),
            pause: pause.unwrap_or_default(),
        };
        let then = self.then_key(table)?;
        Some(Step::RecordCall { record, then })
    }

    /// The section `recording`.
    pub(super) fn recording_section(&self, root: &mut Table<'_>) -> Recording {
        let mut recording = Recording {
            always: false,
            record: RecordCall {
                path: None,
                tracks: Tracks::Stereo,
                format: RecordingFormat::default(),
                pause: Pause::default(),
            },
            consent: Default::default(),
            keep_days: None,
        };
        let Some(mut table) = root.field("recording").and_then(|field| field.table()) else {
            return recording;
        };
        recording.always = self.flag(&mut table, "enabled", false);
        recording.record.format = self.format(&mut table);
        let channels = table
            .field("channels")
            .and_then(|field| field.choice(&CHANNELS));
        recording.record.tracks = channels.unwrap_or(Tracks::Stereo);
        let pause = table.field("pause").and_then(|field| field.choice(&PAUSES));
        recording.record.pause = pause.unwrap_or_default();
        let consent = table.field("consent_prompt");
        let consent = consent.and_then(|field| self.prompt(&field, false));
        recording.consent = consent.unwrap_or_default();
        let days = table.field("retention_days");
        let days = days.and_then(|field| field.integer(1..=36_500));
        recording.keep_days = days.map(|days| days as u32);
        table.finish();
        recording
    }

    pub(super) fn recording_control(&self, table: &mut Table<'_>) -> Option<Step> {
        let control = table
            .required("action")
            .and_then(|field| field.choice(&ACTIONS));
        let then = self.then_key(table);
        Some(Step::RecordingControl {
            control: control?,
            then: then?,
        })
    }

    pub(super) fn stream(&self, table: &mut Table<'_>) -> Option<Step> {
        let address = table.required("url").and_then(|field| address(&field));
        let direction = table.field("direction");
        let direction = direction.and_then(|field| field.choice(&DIRECTIONS));
        let (received, sent) = direction.unwrap_or((true, false));
        let rate_hz = table.field("rate").and_then(|field| rate(&field));
        let framing = table.field("framing");
        let framing = framing.and_then(|field| field.choice(&FRAMINGS));
        let token = self.text(table, "token").map(Secret::new);
        let playback = self.flag(table, "playback", true);
        let background = self.flag(table, "background", false);
        let listen = Listening {
            speech: self.flag(table, "speech", false),
            beep: self.flag(table, "beep", false),
        };
        let parameters = self.parameters(table);
        let then = self.then_key(table);
        Some(Step::Stream {
            stream: Box::new(Stream {
                address: address?,
                foreign: false,
                token,
                rate_hz: rate_hz.unwrap_or(8000),
                received,
                sent,
                playback,
                framing: framing.unwrap_or_default(),
                listen,
                background,
                parameters: Vec::new(),
            }),
            parameters: parameters?,
            then: then?,
        })
    }

    fn parameters(&self, table: &mut Table<'_>) -> Option<Vec<(String, Template)>> {
        let Some(field) = table.field("parameters") else {
            return Some(Vec::new());
        };
        let parameters = field.table()?;
        let value = |field: &Field<'_>| self.template(field, field.string()?);
        let read: Vec<_> = parameters
            .entries()
            .map(|(entry, field)| Some((entry.key.clone(), value(&field)?)))
            .collect();
        read.into_iter().collect()
    }
}

fn address(field: &Field<'_>) -> Option<Address> {
    let text = field.string()?;
    Address::parse(text)
        // What is wrong is said without the address, which may hold a secret.
        .map_err(|error| field.error(error.to_string()))
        .ok()
}

fn rate(field: &Field<'_>) -> Option<u32> {
    match field.number(8000.0..=16_000.0)? {
        8000.0 => Some(8000),
        16_000.0 => Some(16_000),
        _ => field.expected("8000 or 16000"),
    }
}
