//! Reads `[speech]` and `[recognition]`.
use super::login::secret;
use super::value::{count, list_of, name, not_empty, seconds};
use super::{Field, Sources, Table, entries, repeated};
use crate::config::Secret;
use crate::config::types::*;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Octets of the unit that the sizes are in.
const MIB: u64 = 1 << 20;
/// The most arguments of a program.
const MAX_ARGUMENTS: usize = 64;

pub(super) fn speech(mut table: Table<'_>, sources: &Sources<'_>) -> Speech {
    let cache_dir = match table.field("cache_dir").and_then(|f| not_empty(&f)) {
        Some("off") => None,
        given => Some(PathBuf::from(given.unwrap_or("speech-cache"))),
    };
    let mut backends: Vec<SpeechBackend> = Vec::new();
    for field in entries(&mut table, "backend") {
        let Some((named, backend)) = field.table().and_then(|each| speech_backend(each, sources))
        else {
            continue;
        };
        match backends.iter().find(|each| each.name == backend.name) {
            Some(earlier) => repeated(&named, &backend.name, earlier.at),
            None => backends.push(backend),
        }
    }
    let speech = Speech {
        language: language_key(&mut table),
        voice: text(&mut table, "voice"),
        cache_dir,
        cache_octets: count(&mut table, "cache_mib", 1..=1_048_576, 256) as u64 * MIB,
        parallel: count(&mut table, "parallel", 1..=64, 4),
        backends,
    };
    table.finish();
    speech
}

/// The keys that not every type has.
struct Keys<'a> {
    command: Option<Field<'a>>,
    url: Option<Field<'a>>,
    model: Option<Field<'a>>,
    key: Option<Secret>,
}

impl<'a> Keys<'a> {
    fn read(table: &mut Table<'a>, sources: &Sources<'_>) -> Keys<'a> {
        Keys {
            command: table.field("command"),
            url: table.field("url"),
            model: table.field("model"),
            key: secret(table, sources, "key", "key_file"),
        }
    }

    fn url(&self, table: &Table<'a>, schemes: [&str; 2]) -> Option<String> {
        let Some(field) = &self.url else {
            table.error("needs \"url\"");
            return None;
        };
        let url = not_empty(field)?;
        if schemes.iter().any(|scheme| url.starts_with(scheme)) {
            return Some(url.trim_end_matches('/').to_owned());
        }
        field.expected(&format!(
            "a URL that begins with {} or {}",
            schemes[0], schemes[1]
        ))
    }

    fn command(&self, table: &Table<'a>) -> Option<Vec<String>> {
        let Some(field) = &self.command else {
            table.error("needs \"command\"");
            return None;
        };
        let items = field.list()?;
        if !(1..=MAX_ARGUMENTS).contains(&items.len()) {
            return field.expected("a list of the program and its arguments");
        }
        items
            .iter()
            .map(|item| item.string().map(str::to_owned))
            .collect()
    }

    fn model(&self, default: &str) -> String {
        let given = self.model.as_ref().and_then(not_empty);
        given.unwrap_or(default).to_owned()
    }
}

const HTTP: [&str; 2] = ["https://", "http://"];

fn speech_backend<'a>(
    mut table: Table<'a>,
    sources: &Sources<'_>,
) -> Option<(Field<'a>, SpeechBackend)> {
    let types =
        ["espeak-ng", "flite", "command", "polly", "openai", "http"].map(|kind| (kind, kind));
    let named = table.required("name");
    let kind = table.required("type").and_then(|f| f.choice(&types));
    let keys = Keys::read(&mut table, sources);
    let polly = (
        text(&mut table, "region"),
        text(&mut table, "access_key"),
        text(&mut table, "engine"),
    );
    let post = table
        .field("method")
        .and_then(|f| f.choice(&[("POST", true), ("GET", false)]));
    let headers = table.field("headers").map(|f| list_of(&f, header));
    let body = text(&mut table, "body");
    let languages = languages(&mut table);
    let voices = table.field("voices").map(|f| list_of(&f, named_voice));
    let voice = text(&mut table, "voice");
    let timeout = seconds(&mut table, "timeout_s", 1, 10);
    let kind = match kind? {
        "espeak-ng" => Some(SpeechKind::Espeak),
        "flite" => Some(SpeechKind::Flite),
        "command" => keys
            .command(&table)
            .map(|command| SpeechKind::Command { command }),
        "polly" => polly_kind(&table, &keys, polly),
        "openai" => keys.url(&table, HTTP).map(|url| SpeechKind::OpenAi {
            url,
            model: keys.model("tts-1"),
            key: keys.key.clone(),
        }),
        _ => keys.url(&table, HTTP).map(|url| SpeechKind::Http {
            url,
            post: post.unwrap_or(body.is_some()),
            headers: headers.unwrap_or_default(),
            body,
            key: keys.key.clone(),
        }),
    };
    let at = table.at;
    table.finish();
    let named = named?;
    let backend = SpeechBackend {
        name: name(&named)?.to_owned(),
        kind: kind?,
        languages,
        voices: voices
            .unwrap_or_default()
            .into_iter()
            .collect::<BTreeMap<_, _>>(),
        voice,
        timeout,
        at,
    };
    Some((named, backend))
}

fn polly_kind(
    table: &Table<'_>,
    keys: &Keys<'_>,
    (region, access_key, engine): (Option<String>, Option<String>, Option<String>),
) -> Option<SpeechKind> {
    let plain = |region: &str| {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        region.bytes().all(fits)
    };
    let url = match &keys.url {
        Some(_) => Some(keys.url(table, HTTP)?),
        None => None,
    };
    let (Some(region), Some(access_key), Some(secret)) = (
        region.filter(|region| plain(region)),
        access_key,
        keys.key.clone(),
    ) else {
        table.error(
            "needs \"region\" (as \"eu-central-1\"), \"access_key\" and \"key\" or \"key_file\"",
        );
        return None;
    };
    Some(SpeechKind::Polly {
        region,
        access_key,
        secret,
        engine: engine.unwrap_or_else(|| "neural".to_owned()),
        url,
    })
}

pub(super) fn recognition(mut table: Table<'_>, sources: &Sources<'_>) -> Recognition {
    let mut backends: Vec<RecognitionBackend> = Vec::new();
    for field in entries(&mut table, "backend") {
        let Some((named, backend)) = field
            .table()
            .and_then(|each| recognition_backend(each, sources))
        else {
            continue;
        };
        match backends.iter().find(|each| each.name == backend.name) {
            Some(earlier) => repeated(&named, &backend.name, earlier.at),
            None => backends.push(backend),
        }
    }
    let language = language_key(&mut table);
    let parallel = count(&mut table, "parallel", 1..=64, 4);
    table.finish();
    Recognition {
        language,
        parallel,
        backends,
    }
}

fn recognition_backend<'a>(
    mut table: Table<'a>,
    sources: &Sources<'_>,
) -> Option<(Field<'a>, RecognitionBackend)> {
    let types = ["command", "openai", "websocket"].map(|kind| (kind, kind));
    let named = table.required("name");
    let kind = table.required("type").and_then(|f| f.choice(&types));
    let keys = Keys::read(&mut table, sources);
    let languages = languages(&mut table);
    let timeout = seconds(&mut table, "timeout_s", 1, 15);
    let kind = match kind? {
        "command" => keys
            .command(&table)
            .map(|command| RecognitionKind::Command { command }),
        "openai" => keys.url(&table, HTTP).map(|url| RecognitionKind::OpenAi {
            url,
            model: keys.model("whisper-1"),
            key: keys.key.clone(),
        }),
        _ => keys
            .url(&table, ["wss://", "ws://"])
            .map(|url| RecognitionKind::WebSocket {
                url,
                key: keys.key.clone(),
            }),
    };
    let at = table.at;
    table.finish();
    let named = named?;
    let backend = RecognitionBackend {
        name: name(&named)?.to_owned(),
        kind: kind?,
        languages,
        timeout,
        at,
    };
    Some((named, backend))
}

fn text(table: &mut Table<'_>, key: &'static str) -> Option<String> {
    let field = table.field(key)?;
    not_empty(&field).map(str::to_owned)
}

fn language_key(table: &mut Table<'_>) -> String {
    let given = table.field("language").and_then(|f| language(&f));
    given.unwrap_or_else(|| "en-US".to_owned())
}

fn languages(table: &mut Table<'_>) -> Vec<String> {
    let given = table.field("languages").map(|f| list_of(&f, language));
    given.unwrap_or_default()
}

/// A language tag (RFC 5646), loosely.
fn language(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if (2..=35).contains(&text.len()) && text.bytes().all(fits) {
        return Some(text.to_owned());
    }
    field.expected("a language such as \"en-US\" or \"es\"")
}

fn named_voice(field: &Field<'_>) -> Option<(String, String)> {
    let both = field.string()?.split_once('=');
    match both.map(|(name, voice)| (name.trim(), voice.trim())) {
        Some((name, voice)) if !name.is_empty() && !voice.is_empty() => {
            Some((name.to_owned(), voice.to_owned()))
        }
        _ => field.expected("\"NAME=VOICE\" such as \"Polly.Joanna=en-us+f3\" or \"es=es+f2\""),
    }
}

fn header(field: &Field<'_>) -> Option<(String, String)> {
    let both = field.string()?.split_once(':');
    let token = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        !name.is_empty() && name.bytes().all(fits)
    };
    match both.map(|(name, value)| (name.trim(), value.trim())) {
        Some((name, value)) if token(name) && !value.contains(char::is_control) => {
            Some((name.to_owned(), value.to_owned()))
        }
        _ => field.expected("\"NAME: VALUE\" such as \"Content-Type: application/json\""),
    }
}
