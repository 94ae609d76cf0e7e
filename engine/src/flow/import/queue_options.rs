//! Queues as Wazo's confd has them: `options`, a list of Asterisk's keys and values, becomes keys of the flow's queue. What stands in the
//! queue itself counts before it. Keys without a meaning here are warned of.
use super::build::{Findings, child, entry, items, list, text, word};
use crate::config::document::field::shown;
use crate::config::document::problem::did_you_mean;
use crate::config::document::{Node, Value};

/// How a value is written.
#[derive(Clone, Copy)]
enum Form {
    Number,
    /// `no`, or anything else for yes.
    Flag,
    Text,
    /// `yes`, `no`, `strict`, `loose`, or states of agents with commas between: who counts as away.
    Away,
}

/// Asterisk's keys, and those of a flow.
const OPTIONS: [(&str, &str, Form); 13] = [
    ("announce-frequency", "announce_frequency", Form::Number),
    ("announce-holdtime", "announce_hold_time", Form::Flag),
    ("announce-position", "announce_position", Form::Flag),
    ("autopause", "autopause", Form::Flag),
    ("joinempty", "join_when_empty", Form::Away),
    ("leavewhenempty", "leave_when_empty", Form::Away),
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
        let path = format!("queues.{}.options", shown(&queue.key));
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
        if read.iter().any(|(key, _)| *key == "timeout") {
            // Beside the option, which is how long an agent rings, the key is how long a caller waits.
            let waits = keys.iter().any(|key| key.key == "max_wait");
            keys.retain(|key| !waits || key.key != "timeout");
            for key in keys.iter_mut().filter(|key| key.key == "timeout") {
                key.key = "max_wait".to_owned();
            }
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
        let name = shown(&name);
        findings.warning(pair.at, path, format!("\"{name}\" has no effect{hint}"));
        return None;
    };
    Some((key, read(*form, value)))
}

/// What cannot be read so stays as it is, to be refused where the key is.
fn read(form: Form, value: &Node) -> Node {
    let said = word(value).unwrap_or_default();
    let made = match form {
        Form::Number => said.trim().parse().ok().map(Value::Int),
        Form::Flag if !said.is_empty() => {
            Some(Value::Bool(!["no", "false", "0"].contains(&&*said)))
        }
        Form::Away => away(value, &said.to_ascii_lowercase()),
        Form::Flag | Form::Text => None,
    };
    let at = value.at;
    let value = made.unwrap_or_else(|| value.value.clone());
    Node { at, value }
}

/// Asterisk's words for our own.
fn away(value: &Node, said: &str) -> Option<Value> {
    match said.trim() {
        "" => return None,
        "yes" | "true" | "1" | "on" => return Some(Value::Bool(true)),
        "no" | "false" | "0" | "off" => return Some(Value::Bool(false)),
        rule @ ("loose" | "strict") => return Some(Value::Str(rule.to_owned())),
        _ => {}
    }
    let states = said.split(',').map(str::trim);
    let ours = states.filter_map(|state| match state {
        // Our agents are never such.
        "invalid" | "unknown" => None,
        "inuse" => Some("in-use"),
        "wrapup" => Some("wrap-up"),
        state => Some(state),
    });
    let ours = ours.map(|state| text(value.at, state)).collect();
    Some(list(value.at, ours).value)
}
