//! Audio in JSON: a file's name or URL, a recording, a tone, silence.
use super::MAX_AUDIO;
use crate::call::{Audio, RecordingId, ToneSpec};
use crate::config::document::Value;
use crate::config::document::field::{Field, Table, shown};
use crate::fetch;
use crate::speech::Speech;

/// Longest tone or silence, ms.
pub const MAX_SOUND_MS: u32 = 600_000;
/// Longest text that is spoken, octets.
const MAX_SAID: usize = 4096;
/// Longest name of a file or URL, octets.
const MAX_NAME: usize = 2048;

/// One piece or a list of them.
pub(super) fn pieces(field: &Field<'_>) -> Option<Vec<Audio>> {
    let items = match &field.node.value {
        Value::List(_) => field.list()?,
        _ => vec![field.clone()],
    };
    if items.len() > MAX_AUDIO {
        field.error(format!("has more than {MAX_AUDIO} pieces of audio"));
        return None;
    }
    let read: Vec<_> = items.iter().map(piece).collect();
    read.into_iter().collect()
}

fn piece(field: &Field<'_>) -> Option<Audio> {
    if let Some(name) = field.text() {
        return prompt(field, name);
    }
    let mut table = field.table_or(
        "a file's name, a URL, or a table such as {\"file\": …}, {\"recording\": 1}, {\"tone\": {…}}, {\"silence_ms\": 500}",
    )?;
    let file = table.field("file").map(|f| prompt(&f, f.string()?));
    let recording = table.field("recording").map(|f| {
        let number = f.integer(0..=i64::from(u32::MAX))?;
        Some(Audio::Recording(RecordingId(number as u32)))
    });
    let silence = table.field("silence_ms").map(|f| {
        let ms = f.integer(1..=i64::from(MAX_SOUND_MS))? as u32;
        Some(Audio::Silence { ms })
    });
    let tone = table.field("tone").map(|f| tone(&f));
    let say = table.field("say").map(|f| f.string());
    let mut word = |key| table.field(key).map(|f| f.string());
    let (voice, language) = (word("voice"), word("language"));
    let say = say.map(|text| {
        let text = text.filter(|text| !text.is_empty() && text.len() <= MAX_SAID)?;
        Some(Audio::Speech(Box::new(Speech {
            voice: voice.flatten().map(str::to_owned),
            language: language.flatten().map(str::to_owned),
            ..Speech::plain(text)
        })))
    });
    if say == Some(None) {
        table.error(format!("\"say\" must have 1 to {MAX_SAID} octets"));
    }
    let given: Vec<_> = [file, recording, silence, tone, say]
        .into_iter()
        .flatten()
        .collect();
    let only = given.len() == 1;
    if !only {
        table.error("must have one of file, recording, say, silence_ms, tone");
    }
    table.finish();
    given.into_iter().next().flatten().filter(|_| only)
}

/// A file below the folder of prompts, or a URL. What comes from elsewhere names no other file of this machine.
fn prompt(field: &Field<'_>, name: &str) -> Option<Audio> {
    let leads_out = name.starts_with('/') || name.split(['/', '\\']).any(|part| part == "..");
    let wrong = match () {
        () if name.is_empty() || name.len() > MAX_NAME => {
            format!("must have 1 to {MAX_NAME} octets")
        }
        () if name.chars().any(char::is_control) => "must not have control characters".to_owned(),
        () if !fetch::is_url(name) && leads_out => {
            format!("\"{}\" leads out of the folder of prompts", shown(name))
        }
        () => return Some(Audio::Prompt(name.to_owned())),
    };
    field.error(wrong);
    None
}

fn tone(field: &Field<'_>) -> Option<Audio> {
    let mut table = field.table()?;
    let hz = |table: &mut Table<'_>, key, least| {
        let field = table.field(key);
        field.map(|field| field.number(least..=4000.0))
    };
    let (one, two) = (hz(&mut table, "hz", 1.0), hz(&mut table, "hz2", 0.0));
    let level = table
        .field("dbm0")
        .map_or(Some(-10.0), |f| f.number(-60.0..=3.0));
    let ms = table
        .field("ms")
        .map_or(Some(1000), |f| f.integer(1..=i64::from(MAX_SOUND_MS)));
    if one.is_none() {
        table.error("the key \"hz\" is missing");
    }
    table.finish();
    Some(Audio::Tone(ToneSpec {
        hz: [one?? as f32, two.unwrap_or(Some(0.0))? as f32],
        dbm0: level? as f32,
        ms: ms? as u32,
    }))
}
