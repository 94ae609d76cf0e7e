//! Reads `[[webhook]]`.
use super::login::{from_env, secret};
use super::value::{count, list_of, name, seconds};
use super::{Field, Sources, Table, entries, repeated};
use crate::config::types::Webhook;
use std::time::Duration;

/// Every `[[webhook]]`.
pub(super) fn webhooks(root: &mut Table<'_>, sources: &Sources<'_>) -> Vec<Webhook> {
    let mut hooks: Vec<Webhook> = Vec::new();
    for field in entries(root, "webhook") {
        let Some(table) = field.table() else { continue };
        let Some((named, hook)) = webhook(table, sources) else {
            continue;
        };
        match hooks.iter().find(|each| each.name == hook.name) {
            Some(earlier) => repeated(&named, &hook.name, earlier.at),
            None => hooks.push(hook),
        }
    }
    hooks
}

fn webhook<'a>(mut table: Table<'a>, sources: &Sources<'_>) -> Option<(Field<'a>, Webhook)> {
    let at = table.at;
    let (named, url) = (table.required("name"), table.required("url"));
    let given = ["secret", "secret_file"].map(|key| table.field(key).is_some());
    let env = table.field("secret_env");
    let secret = match (&env, given) {
        (Some(env), [false, false]) => from_env(env),
        (Some(env), _) => {
            env.error("is given beside \"secret\" or \"secret_file\"; keep one");
            None
        }
        (None, _) => secret(&mut table, sources, "secret", "secret_file"),
    };
    if env.is_none() && given == [false, false] {
        table.error(
            "needs \"secret\", \"secret_file\" or \"secret_env\": what is sent is signed with it",
        );
    }
    let events = table.field("events").map(|f| list_of(&f, event));
    let timeout = seconds(&mut table, "timeout_s", 1, 10);
    let give_up = count(&mut table, "give_up_hours", 1..=720, 72);
    table.finish();
    let (named, url) = (named?, url?);
    let name = name(&named)?.to_owned();
    let hook = Webhook {
        name,
        url: address(&url)?,
        secret: secret?,
        events: events.unwrap_or_else(|| vec!["call.*".to_owned()]),
        timeout,
        give_up: Duration::from_secs(give_up as u64 * 3600),
        at,
    };
    Some((named, hook))
}

fn event(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let named = text.strip_suffix('*').unwrap_or(text);
    let fits = |byte: u8| byte.is_ascii_lowercase() || b"._".contains(&byte);
    if !text.is_empty() && named.bytes().all(fits) {
        return Some(text.to_owned());
    }
    field.expected("the name of an event such as \"call.answered\", or the beginning of names such as \"call.*\"")
}

/// The address of a web service.
pub(super) fn address(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    let fits = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
    if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some(text.to_owned());
    }
    field.expected("an address such as \"https://example.com/hook\"")
}
