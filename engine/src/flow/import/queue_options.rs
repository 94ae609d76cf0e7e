//! Queues as Wazo's confd has them: `options`, a list of Asterisk's keys and values, becomes keys of the flow's queue. What stands in the
//! queue itself counts before it. Keys without a meaning here are warned of.
use super::build::{Findings, child, entry, items, word};
use crate::config::document::problem::{At, did_you_mean};
use crate::config::document::{Node, Value};

/// How a value is written.
#[derive(Clone, Copy)]
enum Form {
    Number,
    /// `no`, or anything else for yes.
    Flag,
    Text,
}

/// Asterisk's keys, and those of a flow.
const OPTIONS: [(&str, &str, Form); 13] = [
    ("announce-frequency", "announce_frequency", Form::Number),
    ("announce-holdtime", "announce_hold_time", Form::Flag),
    ("announce-position", "announce_position", Form::Flag),
    ("autopause", "autopause", Form::Flag),
    ("joinempty", "join_when_empty", Form::Flag),
    ("leavewhenempty", "leave_when_empty", Form::Flag),
    ("maxlen", "max_length", Form::Number),
    ("retry", "retry", Form::Number),
    ("servicelevel", "service_level", Form::Number),
    ("strategy", "strategy", Form::Text),
    ("timeout", "timeout", Form::Number),
    ("weight", "weight", Form::Number),
    ("wrapuptime", "wrapup_time", Form::Number),
];

/// Replaces `options` in every queue of a flow.
pub(super) fn replace(tree: &mut Node, findings: &mut Findings) {
    let Value::Map(sections) = &mut tree.value else {
        return;
    };
    let section = sections.iter_mut().find(|section| section.key == "queues");
    let Some(Value::Map(queues)) = section.map(|section| &mut section.value.value) else {
        return;
    };
    for queue in queues {
        let path = format!(
            "queues.{}.options",
            crate::config::document::field::shown(&queue.key)
        );
        let Some(options) = child(&queue.value, "options").cloned() else {
            continue;
        };
        let Value::List(pairs) = &options.value else {
            findings.error(options.at, &path, "must be a list of keys and values");
            continue;
        };
        let read: Vec<(&str, Node)> = pairs
            .iter()
            .filter_map(|pair| option(pair, &path, findings))
            .collect();
        let Value::Map(keys) = &mut queue.value.value else {
            continue;
        };
        keys.retain(|key| key.key != "options");
        let rings = read.iter().any(|(key, _)| *key == "timeout");
        for key in keys.iter_mut().filter(|key| rings && key.key == "timeout") {
            // Beside the option, which is how long an agent rings, this is how long a caller waits.
            key.key = "max_wait".to_owned();
        }
        for (key, value) in read {
            if !keys.iter().any(|given| given.key == key) {
                keys.push(entry(key, value));
            }
        }
    }
}

fn option(pair: &Node, path: &str, findings: &mut Findings) -> Option<(&'static str, Node)> {
    let [name, value] = items(pair) else {
        findings.error(pair.at, path, "each must be a key and a value");
        return None;
    };
    let name = word(name).unwrap_or_default();
    let Some((_, key, form)) = OPTIONS.iter().find(|(known, ..)| *known == name) else {
        let hint = did_you_mean(&name, OPTIONS.map(|(known, ..)| known));
        let name = crate::config::document::field::shown(&name);
        findings.warning(pair.at, path, format!("\"{name}\" has no effect{hint}"));
        return None;
    };
    Some((key, read(*form, value, value.at)))
}

/// What cannot be read so stays as it is, to be refused where the key is.
fn read(form: Form, value: &Node, at: At) -> Node {
    let text = word(value).unwrap_or_default();
    let made = match form {
        Form::Number => text.trim().parse().ok().map(Value::Int),
        Form::Flag if !text.is_empty() => {
            Some(Value::Bool(!["no", "false", "0"].contains(&&*text)))
        }
        Form::Flag | Form::Text => None,
    };
    let value = made.unwrap_or_else(|| value.value.clone());
    Node { at, value }
}
