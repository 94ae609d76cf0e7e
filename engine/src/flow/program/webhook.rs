//! Asking a web service: the verb, and what becomes of the answer.
use super::super::model::{Asking, Destination, Flow};
use super::super::template::MAX_TEXT;
use super::{FlowProgram, Note};
use crate::call::{CallInfo, Fetch, Fetched, Verb};
use crate::speech::{Written, write};
use serde_json::Value;

/// The longest body, in characters.
const MAX_BODY: usize = 16 * 1024;

impl FlowProgram {
    pub(super) fn fetch(&self, call: &CallInfo, asking: &Asking) -> Verb {
        let url = asking
            .url
            .expand_made(|name| write(self.look_up(call, name), Written::Url));
        let body = asking.body.as_ref().map(|body| {
            body.expand_within(MAX_BODY, |name| {
                write(self.look_up(call, name), Written::Json)
            })
        });
        Verb::Fetch(Box::new(Fetch {
            body,
            headers: asking.headers.clone(),
            timeout_ms: asking.timeout_ms,
            ..Fetch::get(url)
        }))
    }

    /// What the answer does not hold becomes empty. A good answer of no octets holds nothing.
    pub(super) fn after_fetch<'f>(
        &mut self,
        flow: &'f Flow,
        asking: &'f Asking,
        fetched: &Fetched,
    ) -> &'f Destination {
        let unread = asking.set.is_empty() && asking.not_found.is_none();
        let nothing = fetched.body.trim().is_empty() || unread;
        let answer = match nothing {
            true => Some(Value::Null),
            false => serde_json::from_str(&fetched.body).ok(),
        };
        let mut answer = answer.filter(|_| fetched.is_good());
        if asking.not_found.is_some() {
            answer = match fetched.status {
                404 => Some(Value::Null),
                _ => answer.map(first_of_list),
            };
        }
        for (name, pointer) in &asking.set {
            let value = answer.as_ref().and_then(|answer| answer.pointer(pointer));
            self.set(name, value.map_or_else(String::new, text_of));
        }
        match (answer, &asking.not_found) {
            (Some(answer), Some(nobody)) => {
                let found = is_somebody(&answer);
                self.note(|| Note::Looked {
                    value: "the service's answer".to_owned(),
                    found,
                });
                if found { &asking.then } else { nobody }
            }
            (Some(_), None) => &asking.then,
            (None, _) => asking.error.as_ref().unwrap_or(&flow.error_destination),
        }
    }
}

/// Who was found: of several the first.
fn first_of_list(answer: Value) -> Value {
    match answer {
        Value::Array(list) => list.into_iter().next().unwrap_or(Value::Null),
        one => one,
    }
}

fn is_somebody(answer: &Value) -> bool {
    match answer {
        Value::Null => false,
        Value::Object(fields) => !fields.is_empty(),
        _ => true,
    }
}

fn text_of(value: &Value) -> String {
    let text = match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    text.chars().take(MAX_TEXT).collect()
}
