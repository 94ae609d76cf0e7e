//! The steps `webhook`, and `directory` with a `url`: their keys and defaults. Whoever fills in a variable chooses neither the server nor a header.
use super::super::model::{Asking, Step};
use super::super::template::Template;
use super::Reader;
use crate::config::Secret;
use crate::config::document::field::{Field, Table};
use crate::fetch;

/// The most headers, and the most variables, of one step.
const MAX_ENTRIES: usize = 20;

impl Reader<'_> {
    pub(super) fn webhook_step(&self, table: &mut Table<'_>) -> Option<Step> {
        let prompt = table.field("prompt");
        let prompt = prompt.and_then(|field| self.prompt(&field, false));
        let url = table.required("url").and_then(|field| self.address(&field));
        let method = table.field("method");
        let posts = method.map(|field| field.choice(&[("GET", false), ("POST", true)]));
        let body = table.field("body");
        if let (Some(Some(false)), Some(field)) = (posts, &body) {
            field.error("is posted: the method must be POST");
        }
        let body = match (body, posts) {
            (Some(field), _) => Some(self.template(&field, field.string()?)),
            (None, Some(Some(true))) => Some(Template::parse("", &self.names.variables).ok()),
            (None, _) => None,
        };
        let timeout = table.field("timeout_ms");
        let timeout_ms = timeout.and_then(|field| field.integer(100..=30_000));
        let headers = entries(table, "headers", header);
        let set = entries(table, "set", |_, field| pointer(field));
        let error = table.field("error_destination");
        let error = error.map(|field| self.then(&field));
        let then = self.then_key(table);
        Some(Step::Webhook(Box::new(Asking {
            prompt: prompt.unwrap_or_default(),
            url: url?,
            body: match body {
                Some(body) => Some(body?),
                None => None,
            },
            headers,
            timeout_ms: timeout_ms.unwrap_or(5000) as u32,
            set,
            then: then?,
            not_found: None,
            error: match error {
                Some(error) => Some(error?),
                None => None,
            },
        })))
    }

    /// A directory that a web service has.
    pub(super) fn directory_service(&self, table: &mut Table<'_>) -> Option<Step> {
        for key in ["file", "key", "find"] {
            if let Some(field) = table.field(key) {
                field.error("goes with a directory in a file: the URL says what is looked for");
            }
        }
        let not_found = table.field("not_found").map(|field| self.then(&field));
        let step = self.webhook_step(table)?;
        let Step::Webhook(asking) = step else {
            return None;
        };
        let not_found = match not_found {
            Some(given) => given?,
            None => asking.then.clone(),
        };
        Some(Step::Webhook(Box::new(Asking {
            not_found: Some(not_found),
            ..*asking
        })))
    }

    /// A variable may stand after the host only.
    fn address(&self, field: &Field<'_>) -> Option<Template> {
        let url = field.string()?;
        let host = url.split_once("://").map(|(_, rest)| rest);
        let host = host.map(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default());
        if !fetch::is_url(url) || host.is_none_or(str::is_empty) {
            return field.expected("a URL such as \"https://example.com/customers\"");
        }
        if host.is_some_and(|host| host.contains('$')) {
            field.error("the host of a URL cannot be a variable");
            return None;
        }
        self.template(field, url)
    }
}

fn entries<T>(
    table: &mut Table<'_>,
    key: &'static str,
    read: impl Fn(&str, &Field<'_>) -> Option<T>,
) -> Vec<(String, T)> {
    let Some(field) = table.field(key) else {
        return Vec::new();
    };
    let Some(inside) = field.table() else {
        return Vec::new();
    };
    if inside.entries().count() > MAX_ENTRIES {
        field.error(format!("has more than {MAX_ENTRIES} entries"));
        return Vec::new();
    }
    let entries = inside.entries();
    entries
        .filter_map(|(entry, field)| Some((entry.key.clone(), read(&entry.key, &field)?)))
        .collect()
}

fn header(name: &str, field: &Field<'_>) -> Option<Secret> {
    let value = field.string()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if name.is_empty() || name.len() > 64 || !name.bytes().all(fits) {
        field.error("the name of a header has 1 to 64 letters, digits, - and _");
        return None;
    }
    // The value may be a secret: it is not shown.
    if value.len() > 1024 || !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        field.error("must be at most 1024 printable ASCII characters");
        return None;
    }
    Some(Secret::new(value))
}

/// `customer.orders[0].id` or `[0].id`, with or without `$` before it, as a JSON pointer.
fn pointer(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let dotted = text.replace('[', ".").replace(']', "");
    let path = dotted
        .strip_prefix('$')
        .filter(|rest| rest.starts_with('.'));
    let path = path.unwrap_or(&dotted);
    let parts = || path.strip_prefix('.').unwrap_or(path).split('.');
    if text.len() > 256 || parts().any(str::is_empty) {
        return field.expected("a path in the answer such as \"customer.orders[0].id\"");
    }
    let escaped = parts().map(|part| part.replace('~', "~0").replace('/', "~1"));
    Some(escaped.map(|part| format!("/{part}")).collect())
}
