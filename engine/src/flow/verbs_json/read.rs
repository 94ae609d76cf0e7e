//! Each verb's keys and defaults.
use super::super::read::{FORMATS, TRACKS};
use super::{Instruction, audio, hearing, speech, waiting};
use crate::call::{
    Audio, Conference, Dial, DialOrder, DialTarget, Echo, Fetch, Gather, Hangup, HangupCause,
    Manner, OnMachine, Play, Record, RecordCall, RecordingControl, Refer, Reject, Repeat,
    SendDigits, Stream, Verb, Voicemail, VoicemailPurpose, Wait,
};
use crate::config::Secret;
use crate::config::document::field::{Field, Table};
use crate::fetch;
use crate::media::{Listening, Pause, RecordingFormat, Tracks};
use crate::stream::protocol::Framing;
use crate::stream::{Address, TOKENS, is_token};

/// A day.
pub(super) const MAX_MS: i64 = 86_400_000;
/// Callees of one dial.
const MAX_TARGETS: usize = 32;
/// Longest name or number, characters.
const MAX_NAME: usize = 128;

type Reading = fn(&mut Table<'_>) -> Option<Verb>;

/// All verbs, by name; `redirect` is none.
const VERBS: &[(&str, Reading)] = &[
    ("agent", waiting::agent),
    ("answer", |_| Some(Verb::Answer)),
    ("conference", conference),
    ("detect_machine", hearing::detect_machine),
    ("dial", dial),
    ("early_media", |_| Some(Verb::EarlyMedia)),
    ("echo", echo),
    ("enqueue", waiting::enqueue),
    ("fetch", fetch_verb),
    ("gather", gather),
    ("hangup", hangup),
    ("listen", hearing::listen),
    ("play", play),
    ("record", record),
    ("record_call", record_call),
    ("recording", recording),
    ("refer", refer),
    ("reject", reject),
    ("send_digits", send_digits),
    ("stop_stream", |_| Some(Verb::StopStream)),
    ("stream", stream),
    ("voicemail", voicemail),
    ("wait", wait),
    ("wait_for_tone", hearing::wait_for_tone),
];

/// A table with one verb.
pub(super) fn instruction(field: &Field<'_>) -> Option<Instruction> {
    let table = field.table_or("a table with one verb, such as {\"answer\": {}}")?;
    let mut entries = table.entries();
    let (Some((entry, value)), None) = (entries.next(), entries.next()) else {
        field.error("must have one verb, such as {\"answer\": {}}");
        return None;
    };
    if entry.key == "redirect" {
        return redirect(&value).map(Instruction::Redirect);
    }
    let Some((_, read)) = VERBS.iter().find(|(name, _)| *name == entry.key) else {
        let names = VERBS.iter().map(|(name, _)| *name).chain(["redirect"]);
        let known: Vec<_> = names.clone().collect();
        let hint = crate::config::document::problem::did_you_mean(&entry.key, names);
        field.error(format!(
            "unknown verb \"{}\"{hint}{} known: {}",
            crate::config::document::field::shown(&entry.key),
            if hint.is_empty() { ";" } else { "" },
            known.join(", ")
        ));
        return None;
    };
    let mut table = value.table()?;
    let verb = read(&mut table);
    table.finish();
    verb.map(Instruction::Verb)
}

fn redirect(field: &Field<'_>) -> Option<String> {
    let mut table = field.table()?;
    let url = table.required("url").and_then(|field| url(&field));
    table.finish();
    url
}

fn url(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    if !fetch::is_url(text) || text.len() > 2048 || text.chars().any(char::is_whitespace) {
        return field.expected("a URL that begins with http:// or https://");
    }
    Some(text.to_owned())
}

pub(super) fn ms(table: &mut Table<'_>, key: &'static str, default: u32) -> Option<u32> {
    let field = table.field(key);
    field.map_or(Some(default), |f| f.integer(0..=MAX_MS).map(|ms| ms as u32))
}

pub(super) fn flag(table: &mut Table<'_>, key: &'static str, default: bool) -> Option<bool> {
    let field = table.field(key);
    field.map_or(Some(default), |field| field.boolean())
}

pub(super) fn short(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    if text.is_empty() || text.chars().count() > MAX_NAME || text.chars().any(char::is_control) {
        return field.expected(&format!("1 to {MAX_NAME} characters"));
    }
    Some(text.to_owned())
}

pub(super) fn named(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    let field = table.required(key)?;
    short(&field)
}

pub(super) fn keys(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    let Some(field) = table.field(key) else {
        return Some(String::new());
    };
    let text = field.string()?;
    if text.len() > 16 || !text.chars().all(is_key) {
        return field.expected("keys, of 0-9, *, #, A-D");
    }
    Some(text.to_owned())
}

fn is_key(char: char) -> bool {
    matches!(char, '0'..='9' | '*' | '#' | 'A'..='D')
}

/// `true` is for ever.
pub(super) fn repeat(table: &mut Table<'_>) -> Option<Repeat> {
    let Some(field) = table.field("repeat") else {
        return Some(Repeat::Times(1));
    };
    if let crate::config::document::Value::Bool(true) = field.node.value {
        return Some(Repeat::Forever);
    }
    field
        .integer(1..=1000)
        .map(|times| Repeat::Times(times as u32))
}

pub(super) fn prompts(table: &mut Table<'_>) -> Option<Vec<Audio>> {
    let field = table.field("audio");
    field.map_or(Some(Vec::new()), |field| audio::pieces(&field))
}

fn play(table: &mut Table<'_>) -> Option<Verb> {
    let audio = table.required("audio").and_then(|f| audio::pieces(&f));
    let (repeat, stop_keys) = (repeat(table), keys(table, "stop_keys"));
    let volume = table.field("volume_db");
    let volume_db = volume.map_or(Some(0.0), |f| f.number(-60.0..=20.0));
    let (from_ms, fade_in_ms) = (ms(table, "from_ms", 0), ms(table, "fade_in_ms", 0));
    Some(Verb::Play(Play {
        audio: audio?,
        repeat: repeat?,
        stop_keys: stop_keys?,
        manner: Manner {
            volume_db: volume_db? as f32,
            from_ms: from_ms?,
            fade_in_ms: fade_in_ms?,
        },
    }))
}

fn gather(table: &mut Table<'_>) -> Option<Verb> {
    let (prompts, repeat) = (prompts(table), repeat(table));
    let timeout_ms = ms(table, "timeout_ms", 5000);
    let inter_digit_ms = ms(table, "inter_digit_ms", 2000);
    let max_digits = table.field("max_digits");
    let max_digits = max_digits.map_or(Some(32), |f| f.integer(1..=64));
    let finish = table.field("finish_on");
    let finish_on = finish.map_or(Some(Some('#')), |field| finish_key(&field));
    let barge_in = flag(table, "barge_in", true);
    let typeahead = flag(table, "typeahead", true);
    let sensitive = flag(table, "sensitive", false);
    let speech = speech::input(table);
    let gather = Gather {
        prompts: prompts?,
        repeat: repeat?,
        timeout_ms: timeout_ms?,
        inter_digit_ms: inter_digit_ms?,
        max_digits: max_digits? as usize,
        finish_on: finish_on?,
        barge_in: barge_in?,
        typeahead: typeahead?,
        sensitive: sensitive?,
        speech: speech?.map(Box::new),
    };
    if gather.repeat == Repeat::Forever && gather.prompts.is_empty() {
        table.error("nothing is repeated: \"audio\" is missing");
        return None;
    }
    Some(Verb::Gather(gather))
}

/// A key, or `""` for none.
fn finish_key(field: &Field<'_>) -> Option<Option<char>> {
    let text = field.string()?;
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (None, _) => Some(None),
        (Some(key), None) if is_key(key) => Some(Some(key)),
        _ => field.expected("one key of 0-9, *, #, A-D, or \"\" for none"),
    }
}

fn echo(table: &mut Table<'_>) -> Option<Verb> {
    let (stop_keys, max_ms) = (keys(table, "stop_keys"), ms(table, "max_ms", 60_000));
    Some(Verb::Echo(Echo {
        stop_keys: stop_keys?,
        max_ms: max_ms?,
    }))
}

fn tracks(table: &mut Table<'_>, default: Tracks) -> Option<Tracks> {
    let field = table.field("tracks");
    field.map_or(Some(default), |field| field.choice(&TRACKS))
}

fn format(table: &mut Table<'_>) -> Option<RecordingFormat> {
    let field = table.field("format");
    field.map_or(Some(RecordingFormat::Wav), |field| field.choice(&FORMATS))
}

fn record(table: &mut Table<'_>) -> Option<Verb> {
    let (beep, keep) = (flag(table, "beep", true), flag(table, "keep", true));
    let (max_ms, silence_ms) = (ms(table, "max_ms", 120_000), ms(table, "silence_ms", 0));
    let stop_keys = keys(table, "stop_keys");
    let (tracks, format) = (tracks(table, Tracks::Received), format(table));
    Some(Verb::Record(Record {
        beep: beep?,
        max_ms: max_ms?,
        silence_ms: silence_ms?,
        stop_keys: stop_keys?,
        keep: keep?,
        tracks: tracks?,
        format: format?,
    }))
}

fn record_call(table: &mut Table<'_>) -> Option<Verb> {
    const PAUSES: [(&str, Pause); 2] = [("nothing", Pause::Nothing), ("silence", Pause::Silence)];
    let (tracks, format) = (tracks(table, Tracks::Mixed), format(table));
    let pause = table.field("pause");
    let pause = pause.map_or(Some(Pause::Nothing), |field| field.choice(&PAUSES));
    Some(Verb::RecordCall(RecordCall {
        path: None,
        tracks: tracks?,
        format: format?,
        pause: pause?,
    }))
}

fn recording(table: &mut Table<'_>) -> Option<Verb> {
    const ACTIONS: [(&str, RecordingControl); 3] = [
        ("pause", RecordingControl::Pause),
        ("resume", RecordingControl::Resume),
        ("stop", RecordingControl::Stop),
    ];
    let action = table.required("action")?.choice(&ACTIONS)?;
    Some(Verb::RecordingControl(action))
}

fn send_digits(table: &mut Table<'_>) -> Option<Verb> {
    let digits = named(table, "digits");
    let (tone_ms, gap_ms) = (ms(table, "tone_ms", 100), ms(table, "gap_ms", 100));
    Some(Verb::SendDigits(SendDigits {
        digits: digits?,
        tone_ms: tone_ms?,
        gap_ms: gap_ms?,
    }))
}

fn wait(table: &mut Table<'_>) -> Option<Verb> {
    let ms = table.required("ms")?.integer(0..=MAX_MS)?;
    Some(Verb::Wait(Wait { ms: ms as u32 }))
}

fn dial(table: &mut Table<'_>) -> Option<Verb> {
    const ORDERS: [(&str, DialOrder); 2] =
        [("all", DialOrder::All), ("one_by_one", DialOrder::OneByOne)];
    let to = table.required("to").and_then(|field| targets(&field));
    let order = table.field("order");
    let order = order.map_or(Some(DialOrder::All), |field| field.choice(&ORDERS));
    let ring_timeout_ms = ms(table, "ring_ms", 0);
    let caller_id = table.field("caller_id").map(|field| short(&field));
    let on_machine = table.field("machine_detection");
    let on_machine = on_machine.map(|field| field.choice(&OnMachine::ALL));
    Some(Verb::Dial(Dial {
        targets: to?,
        order: order?,
        ring_timeout_ms: ring_timeout_ms?,
        caller_id: match caller_id {
            Some(id) => Some(id?),
            None => None,
        },
        on_machine: match on_machine {
            Some(on) => Some(on?),
            None => None,
        },
    }))
}

fn targets(field: &Field<'_>) -> Option<Vec<DialTarget>> {
    let items = match field.is_list() {
        true => field.list()?,
        false => vec![field.clone()],
    };
    if items.is_empty() || items.len() > MAX_TARGETS {
        field.error(format!("must be 1 to {MAX_TARGETS} whom to call"));
        return None;
    }
    let read: Vec<_> = items.iter().map(target).collect();
    read.into_iter().collect()
}

/// A number as text, or a table.
fn target(field: &Field<'_>) -> Option<DialTarget> {
    if field.text().is_some() {
        return short(field).map(DialTarget::Number);
    }
    let mut table = field.table_or(
        "a number in quotes, or a table such as {\"endpoint\": \"ann\"}, {\"ring_group\": …}, {\"trunk\": …, \"number\": …}",
    )?;
    let mut name = |key| table.field(key).map(|field| short(&field));
    let (endpoint, group, trunk, number) = (
        name("endpoint"),
        name("ring_group"),
        name("trunk"),
        name("number"),
    );
    let target = match (endpoint, group, trunk, number) {
        (Some(endpoint), None, None, None) => endpoint.map(DialTarget::Endpoint),
        (None, Some(group), None, None) => group.map(DialTarget::RingGroup),
        (None, None, None, Some(number)) => number.map(DialTarget::Number),
        (None, None, Some(trunk), Some(number)) => trunk
            .zip(number)
            .map(|(trunk, number)| DialTarget::Trunk { trunk, number }),
        _ => {
            table.error("must have endpoint, or ring_group, or number with or without trunk");
            None
        }
    };
    table.finish();
    target
}

fn conference(table: &mut Table<'_>) -> Option<Verb> {
    let room = named(table, "room");
    let usual = Conference::of(String::new());
    let members = table.field("max_members");
    let members = members.map_or(Some(100), |field| field.integer(2..=1000));
    let mute = flag(table, "mute", usual.mute);
    let (starts, ends) = (flag(table, "starts", true), flag(table, "ends", false));
    let stay_alone = flag(table, "stay_alone", true);
    let (tones, record) = (flag(table, "tones", true), flag(table, "record", false));
    let record_tracks = flag(table, "record_tracks", false);
    let speakers = flag(table, "speakers", false);
    let levels = table.field("levels_ms");
    let levels_ms = levels.map_or(Some(0), |field| field.integer(100..=60_000));
    let stop_keys = keys(table, "stop_keys");
    let max = table.field("max_ms");
    let max_ms = max.map_or(Some(i64::from(u32::MAX)), |f| f.integer(1..=MAX_MS));
    Some(Verb::Conference(Conference {
        room: room?,
        max_members: members? as usize,
        mute: mute?,
        starts: starts?,
        ends: ends?,
        stay_alone: stay_alone?,
        tones: tones?,
        record: record?,
        record_tracks: record_tracks?,
        speakers: speakers?,
        levels_ms: levels_ms? as u32,
        stop_keys: stop_keys?,
        max_ms: max_ms? as u32,
    }))
}

fn refer(table: &mut Table<'_>) -> Option<Verb> {
    let uri = named(table, "uri")?;
    Some(Verb::Refer(Refer { uri }))
}

fn reject(table: &mut Table<'_>) -> Option<Verb> {
    let status = table.field("status");
    let status = status.map_or(Some(603), |field| field.integer(300..=699));
    let reason = table.field("reason");
    let reason = reason.map_or(Some("rejected".to_owned()), |field| short(&field));
    Some(Verb::Reject(Reject {
        status: status? as u16,
        reason: reason?,
        cause: None,
        retry_after: None,
    }))
}

/// A word, or a Q.850 cause.
fn hangup(table: &mut Table<'_>) -> Option<Verb> {
    const CAUSES: [(&str, HangupCause); 3] = [
        ("normal", HangupCause::Normal),
        ("busy", HangupCause::Busy),
        ("congestion", HangupCause::Congestion),
    ];
    let cause = match table.field("cause") {
        None => HangupCause::Normal,
        Some(field) if field.text().is_some() => field.choice(&CAUSES)?,
        Some(field) => HangupCause::Q850(field.integer(1..=127)? as u8),
    };
    Some(Verb::Hangup(Hangup { cause }))
}

fn fetch_verb(table: &mut Table<'_>) -> Option<Verb> {
    let url = table.required("url").and_then(|field| url(&field));
    let body = table.field("body").map(|field| field.string());
    let timeout = table.field("timeout_ms");
    let timeout_ms = timeout.map_or(Some(5000), |field| field.integer(100..=30_000));
    Some(Verb::Fetch(Box::new(Fetch {
        body: match body {
            Some(body) => Some(body?.to_owned()),
            None => None,
        },
        timeout_ms: timeout_ms? as u32,
        ..Fetch::get(url?)
    })))
}

/// What is sent as `Bearer`; a mistake is told without it.
fn bearer(field: &Field<'_>) -> Option<Secret> {
    let token = field.text().filter(|text| is_token(text));
    if token.is_none() {
        field.error(format!("must be {TOKENS}"));
    }
    token.map(Secret::new)
}

fn voicemail(table: &mut Table<'_>) -> Option<Verb> {
    let listens = table.field("action");
    let listens = listens.map_or(Some(false), |field| {
        field.choice(&[("leave", false), ("listen", true)])
    })?;
    let busy = flag(table, "busy", false);
    let skip_instructions = flag(table, "skip_instructions", false);
    let exit_keys = keys(table, "exit_keys");
    let language = table.field("language");
    let language = language.map_or(Some(String::new()), |field| short(&field));
    let own = listens && !table.has("mailbox");
    let mailbox = match own {
        true => None,
        false => Some(named(table, "mailbox")?),
    };
    Some(Verb::Voicemail(Box::new(Voicemail {
        mailbox,
        purpose: match listens {
            true => VoicemailPurpose::Listen,
            false => VoicemailPurpose::Leave {
                busy: busy?,
                skip_instructions: skip_instructions?,
            },
        },
        language: language?,
        exit_keys: exit_keys?,
    })))
}

fn stream(table: &mut Table<'_>) -> Option<Verb> {
    const DIRECTIONS: [(&str, (bool, bool)); 3] = [
        ("in", (true, false)),
        ("out", (false, true)),
        ("both", (true, true)),
    ];
    const FRAMINGS: [(&str, Framing); 2] = [("json", Framing::Json), ("binary", Framing::Binary)];
    let address = table.required("url").and_then(|field| {
        let text = field.string()?;
        Address::parse(text)
            .map_err(|error| field.error(error.to_string()))
            .ok()
    });
    let token = table.field("token").map(|field| bearer(&field));
    let rate = table.field("rate_hz");
    let rate = rate.map_or(Some(8000), |field| {
        field
            .integer(8000..=16_000)
            .filter(|hz| matches!(hz, 8000 | 16_000))
            .or_else(|| field.expected("8000 or 16000"))
    });
    let direction = table.field("direction");
    let direction = direction.map_or(Some((true, false)), |field| field.choice(&DIRECTIONS));
    let playback = flag(table, "playback", true);
    let framing = table.field("framing");
    let framing = framing.map_or(Some(Framing::Json), |field| field.choice(&FRAMINGS));
    let speech = flag(table, "speech", false);
    let beep = flag(table, "beep", false);
    let background = flag(table, "background", false);
    let (received, sent) = direction?;
    Some(Verb::Stream(Box::new(Stream {
        address: address?,
        foreign: true,
        token: match token {
            Some(token) => Some(token?),
            None => None,
        },
        rate_hz: rate? as u32,
        received,
        sent,
        playback: playback?,
        framing: framing?,
        listen: Listening {
            speech: speech?,
            beep: beep?,
        },
        background: background?,
        parameters: Vec::new(),
    })))
}
