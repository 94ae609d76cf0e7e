//! Nodes: the steps that are not menus. Owns their keys and defaults.
use super::super::model::{Confirm, Destination, Input, Node, Step};
use super::super::pattern::KEYS;
use super::super::template::Template;
use super::elsewhere::NOT_BUILT;
use super::{DAY, Reader};
use crate::call::{Conference, Echo, HangupCause, Manner, Record, Repeat};
use crate::config::document::Value;
use crate::config::document::field::{Field, Table, shown};
use crate::config::document::problem::quoted;
use crate::media::Tracks;
use std::collections::BTreeMap;

/// The types of steps that run.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Play,
    Collect,
    Echo,
    SendDigits,
    Listen,
    Conference,
    Record,
    RecordCall,
    RecordingControl,
    Stream,
    StopStream,
    WaitForTone,
    DetectMachine,
    Set,
    Branch,
    Hangup,
    Extension,
    User,
    Group,
    Outcall,
    Transfer,
    Language,
    Recording,
    Schedule,
    Hours,
    Directory,
    Queue,
    Callback,
    Agent,
    Voicemail,
    Webhook,
}

const KINDS: [(&str, Kind); 33] = [
    ("play", Kind::Play),
    ("sound", Kind::Play),
    ("announcement", Kind::Play),
    ("collect", Kind::Collect),
    ("echo", Kind::Echo),
    ("send_digits", Kind::SendDigits),
    ("listen", Kind::Listen),
    ("conference", Kind::Conference),
    ("record_message", Kind::Record),
    ("record_call", Kind::RecordCall),
    ("recording_control", Kind::RecordingControl),
    ("stream", Kind::Stream),
    ("stop_stream", Kind::StopStream),
    ("wait_for_tone", Kind::WaitForTone),
    ("detect_machine", Kind::DetectMachine),
    ("set", Kind::Set),
    ("branch", Kind::Branch),
    ("hangup", Kind::Hangup),
    ("extension", Kind::Extension),
    ("user", Kind::User),
    ("group", Kind::Group),
    ("outcall", Kind::Outcall),
    ("transfer", Kind::Transfer),
    ("language", Kind::Language),
    ("recording", Kind::Recording),
    ("schedule", Kind::Schedule),
    ("hours", Kind::Hours),
    ("directory", Kind::Directory),
    ("queue", Kind::Queue),
    ("callback", Kind::Callback),
    ("agent", Kind::Agent),
    ("voicemail", Kind::Voicemail),
    ("webhook", Kind::Webhook),
];

/// Limits of `echo`, `record_message` and `conference` that name none, in ms.
const ECHO_MS: u32 = 300_000;
const RECORD_MS: u32 = 60_000;
const CONFERENCE_MS: u32 = 86_400_000;
/// Attendees of a conference that names no limit, and of the largest.
const ATTENDEES: (usize, i64) = (100, 10_000);

impl Reader<'_> {
    pub(super) fn node(&self, id: &str, field: &Field<'_>) -> Option<Node> {
        let mut table = field.table()?;
        let kind = table.required("type")?;
        let step = self.step(&kind, &mut table, &[]);
        let known = step.is_some() || KINDS.iter().any(|(name, _)| kind.text() == Some(name));
        if known {
            table.finish();
        }
        let id = id.to_owned();
        Some(Node { id, step: step? })
    }

    /// The step of a type; `others` are types that could stand here as well.
    pub(super) fn step(
        &self,
        kind: &Field<'_>,
        table: &mut Table<'_>,
        others: &[&str],
    ) -> Option<Step> {
        if let Some(step) = self.elsewhere(kind, table) {
            return Some(step);
        }
        let word = kind.string()?;
        let Some((_, kind)) = KINDS.iter().find(|(name, _)| *name == word) else {
            let own = || {
                KINDS
                    .iter()
                    .map(|(name, _)| *name)
                    .filter(|name| !others.contains(name))
            };
            let names = || others.iter().copied().chain(own());
            let hint = self.hint(word, names().chain(NOT_BUILT.iter().copied()));
            kind.error(format!(
                "must be {}, but is \"{}\"{hint}",
                quoted(names()),
                shown(word)
            ));
            return None;
        };
        match kind {
            Kind::Play => self.play(table),
            Kind::Collect => self.collect(table),
            Kind::Echo => self.echo(table),
            Kind::SendDigits => self.send_digits(table),
            Kind::Conference => self.conference(table),
            Kind::Record => self.record(table),
            Kind::RecordCall => self.record_call(table),
            Kind::RecordingControl => self.recording_control(table),
            Kind::Stream => self.stream(table),
            Kind::Listen => self.listen(table),
            Kind::WaitForTone => self.wait_for_tone(table),
            Kind::DetectMachine => self.detect_machine(table),
            Kind::StopStream => {
                let then = self.then_key(table);
                then.map(|then| Step::StopStream { then })
            }
            Kind::Set => self.set(table),
            Kind::Branch => self.branch(table),
            Kind::Hangup => {
                let (cause, prompt) = self.ending(table);
                Some(Step::Hangup { cause, prompt })
            }
            Kind::Extension => self.extension(table),
            Kind::User => self.user(table),
            Kind::Group => self.group(table),
            Kind::Outcall => self.outcall(table),
            Kind::Transfer => self.transfer(table),
            Kind::Language => self.language(table),
            Kind::Recording => self.recording_step(table),
            Kind::Schedule => self.schedule_step(table),
            Kind::Hours => self.hours_step(table),
            Kind::Directory => self.directory(table),
            Kind::Queue => self.queue_step(table),
            Kind::Callback => self.callback_step(table),
            Kind::Agent => self.agent_step(table),
            Kind::Voicemail => self.voicemail_step(table),
            Kind::Webhook => self.webhook_step(table),
        }
    }

    fn play(&self, table: &mut Table<'_>) -> Option<Step> {
        let prompt = self.sound_prompt(table);
        let repeat = self.repeat(table);
        let interrupt = self.stop_keys(table, "interrupt", "");
        let volume = table
            .field("volume_db")
            .and_then(|f| f.number(-60.0..=20.0));
        let manner = Manner {
            volume_db: volume.unwrap_or(0.0) as f32,
            from_ms: self.ms(table, "from_seconds", 0.0, DAY, 0),
            fade_in_ms: self.ms(table, "fade_in_seconds", 0.0, 60.0, 0),
        };
        let then = self.then_key(table);
        Some(Step::Play {
            prompt: prompt?,
            repeat,
            interrupt,
            manner,
            then: then?,
        })
    }

    fn collect(&self, table: &mut Table<'_>) -> Option<Step> {
        let prompt = table
            .field("prompt")
            .map_or(Some(Default::default()), |field| self.prompt(&field, false));
        let repeat = self.repeat(table);
        // Not 0: a collect without prompt that leads back to itself must take time.
        let input = self.input(table, &[], 0.1);
        let set = self.text(table, "set");
        let confirm = table
            .field("confirm")
            .and_then(|field| self.confirm(&field));
        let then = self.then_key(table);
        let no_input = table.field("no_input").map(|field| self.then(&field));
        Some(Step::Collect {
            prompt: prompt?,
            repeat,
            input,
            set,
            confirm,
            then: then?,
            no_input: no_input.flatten(),
        })
    }

    /// `confirm` of a `collect`.
    fn confirm(&self, field: &Field<'_>) -> Option<Confirm> {
        let mut table = field.table()?;
        let prompt = table
            .required("prompt")
            .and_then(|field| self.prompt(&field, false));
        let accept = table.field("accept_key").and_then(|field| {
            let mut keys = field.string()?.chars();
            match (keys.next(), keys.next()) {
                (Some(key), None) if KEYS.contains(key) => Some(key),
                _ => field.expected("one key"),
            }
        });
        let tries = table
            .field("max_tries")
            .and_then(|field| field.integer(1..=100));
        let input = Input {
            finish_on: None,
            max_digits: 1,
            ..self.input(&mut table, &[], 0.1)
        };
        let failed = table.field("failed").map(|field| self.then(&field));
        table.finish();
        let failed = match failed {
            Some(failed) => failed?,
            None => Destination::Hangup {
                cause: HangupCause::Normal,
                prompt: Default::default(),
            },
        };
        Some(Confirm {
            prompt: prompt?,
            accept: accept.unwrap_or('1'),
            input,
            max_tries: tries.unwrap_or(3) as u32,
            failed,
        })
    }

    fn echo(&self, table: &mut Table<'_>) -> Option<Step> {
        let echo = Echo {
            stop_keys: self.stop_keys(table, "stop_keys", "#"),
            max_ms: self.limit_ms(table, "max_seconds", ECHO_MS),
        };
        let then = self.then_key(table)?;
        Some(Step::Echo { echo, then })
    }

    fn send_digits(&self, table: &mut Table<'_>) -> Option<Step> {
        let digits = table
            .required("digits")
            .and_then(|field| self.template(&field, field.string()?));
        let tone_ms = self.ms(table, "tone_seconds", 0.04, 60.0, 100);
        let gap_ms = self.ms(table, "gap_seconds", 0.04, 60.0, 100);
        let then = self.then_key(table);
        Some(Step::SendDigits {
            digits: digits?,
            tone_ms,
            gap_ms,
            then: then?,
        })
    }

    fn conference(&self, table: &mut Table<'_>) -> Option<Step> {
        let room = self.named(table, "room", "conference_id");
        let members = table.field("max_members");
        let members = members.and_then(|field| match &field.node.value {
            Value::Int(members) if (1..=ATTENDEES.1).contains(members) => Some(*members as usize),
            _ => field.expected("a whole number from 1 to 10000"),
        });
        let conference = Conference {
            max_members: members.unwrap_or(ATTENDEES.0),
            mute: self.flag(table, "mute", false),
            starts: self.flag(table, "start_on_enter", true),
            ends: self.flag(table, "end_on_exit", false),
            stay_alone: self.flag(table, "stay_alone", true),
            tones: self.flag(table, "tones", true),
            record: self.flag(table, "record", false),
            record_tracks: self.flag(table, "record_tracks", false),
            speakers: self.flag(table, "speakers", false),
            levels_ms: self.ms(table, "levels_seconds", 0.1, 60.0, 0),
            stop_keys: self.stop_keys(table, "stop_keys", ""),
            max_ms: self.limit_ms(table, "max_seconds", CONFERENCE_MS),
            ..Conference::of("")
        };
        let then = self.then_key(table);
        Some(Step::Conference {
            room: room?,
            conference,
            then: then?,
        })
    }

    fn record(&self, table: &mut Table<'_>) -> Option<Step> {
        let record = Record {
            beep: self.flag(table, "beep", true),
            max_ms: self.limit_ms(table, "max_seconds", RECORD_MS),
            silence_ms: self.ms(table, "silence_seconds", 0.0, 3600.0, 0),
            stop_keys: self.stop_keys(table, "stop_keys", "#"),
            // What callers say stays on disk only where the flow says so.
            keep: self.flag(table, "keep", false),
            tracks: self.tracks(table, Tracks::Received),
            format: self.format(table),
        };
        let set = table.required("set").and_then(|field| field.string());
        let then = self.then_key(table);
        Some(Step::Record {
            record,
            set: set?.to_owned(),
            then: then?,
        })
    }

    fn set(&self, table: &mut Table<'_>) -> Option<Step> {
        let variables = table.required("variables").and_then(|field| field.table());
        let then = self.then_key(table);
        let value = |field: &Field<'_>| self.template(field, field.string()?);
        let variables: Vec<(String, Option<Template>)> = variables?
            .entries()
            .map(|(entry, field)| (entry.key.clone(), value(&field)))
            .collect();
        let variables = variables
            .into_iter()
            .map(|(name, value)| Some((name, value?)))
            .collect::<Option<_>>();
        Some(Step::Set {
            variables: variables?,
            then: then?,
        })
    }

    fn branch(&self, table: &mut Table<'_>) -> Option<Step> {
        let on = table
            .required("on")
            .and_then(|field| self.template(&field, field.string()?));
        let cases = table.required("cases").and_then(|field| field.table());
        let otherwise = table.required("else").and_then(|field| self.then(&field));
        let cases: Vec<(String, Option<Destination>)> = cases?
            .entries()
            .map(|(entry, field)| (entry.key.clone(), self.then(&field)))
            .collect();
        let cases: Option<BTreeMap<_, _>> = cases
            .into_iter()
            .map(|(value, then)| Some((value, then?)))
            .collect();
        Some(Step::Branch {
            on: on?,
            cases: cases?,
            otherwise: otherwise?,
        })
    }

    pub(super) fn repeat(&self, table: &mut Table<'_>) -> Repeat {
        let Some(field) = table.field("repeat") else {
            return Repeat::Times(1);
        };
        match &field.node.value {
            Value::Str(text) if text == "forever" => Repeat::Forever,
            Value::Int(times @ 1..=1000) => Repeat::Times(*times as u32),
            _ => field
                .expected("a whole number from 1 to 1000, or \"forever\"")
                .unwrap_or(Repeat::Times(1)),
        }
    }
}
