//! Parts of a document made by hand: every value keeps the place of what it was made from, so that mistakes are told there.
use crate::config::document::problem::{At, Problem};
use crate::config::document::{Entry, Node, Value};
use std::collections::BTreeSet;

/// Text.
pub(super) fn text(at: At, text: impl Into<String>) -> Node {
    Node {
        at,
        value: Value::Str(text.into()),
    }
}

/// A whole number.
pub(super) fn whole(at: At, number: i64) -> Node {
    Node {
        at,
        value: Value::Int(number),
    }
}

/// A list.
pub(super) fn list(at: At, items: Vec<Node>) -> Node {
    Node {
        at,
        value: Value::List(items),
    }
}

/// A map.
pub(super) fn map<'k>(at: At, entries: impl IntoIterator<Item = (&'k str, Node)>) -> Node {
    let entries = entries.into_iter().map(|(key, value)| entry(key, value));
    Node {
        at,
        value: Value::Map(entries.collect()),
    }
}

/// An entry whose key stands where its value does.
pub(super) fn entry(key: impl Into<String>, value: Node) -> Entry {
    Entry {
        key: key.into(),
        at: value.at,
        value,
    }
}

/// Adds an entry, unless there is nothing to add.
pub(super) fn add(to: &mut Node, key: &str, value: Option<Node>) {
    if let (Value::Map(entries), Some(value)) = (&mut to.value, value) {
        entries.push(entry(key, value));
    }
}

/// The value of a key, where there is one that is not null.
pub(super) fn child<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    let found = entries(node).iter().find(|entry| entry.key == key);
    found
        .map(|entry| &entry.value)
        .filter(|node| node.value != Value::Null)
}

/// The entries of a map; none of what is no map.
pub(super) fn entries(node: &Node) -> &[Entry] {
    match &node.value {
        Value::Map(entries) => entries,
        _ => &[],
    }
}

/// The items of a list.
pub(super) fn items(node: &Node) -> &[Node] {
    match &node.value {
        Value::List(items) => items,
        _ => &[],
    }
}

/// Text, also of a number: targets and extensions are often written as one.
pub(super) fn word(node: &Node) -> Option<String> {
    match &node.value {
        Value::Str(text) => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// What is wrong or odd in a file of others.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) errors: Vec<Problem>,
    pub(super) warnings: Vec<Problem>,
}

impl Findings {
    pub(super) fn error(&mut self, at: At, path: &str, message: impl Into<String>) {
        push(&mut self.errors, at, path, message.into());
    }

    pub(super) fn warning(&mut self, at: At, path: &str, message: impl Into<String>) {
        push(&mut self.warnings, at, path, message.into());
    }

    /// Warns of the keys that are not in `known`.
    pub(super) fn unknown_keys(&mut self, node: &Node, path: &str, known: &[&str]) {
        use crate::config::document::field::shown;
        use crate::config::document::problem::did_you_mean;
        for entry in entries(node)
            .iter()
            .filter(|entry| !known.contains(&entry.key.as_str()))
        {
            let hint = did_you_mean(&entry.key, known.iter().copied());
            let key = shown(&entry.key);
            let path = if path.is_empty() {
                key
            } else {
                format!("{path}.{key}")
            };
            self.warning(
                entry.at,
                &path,
                format!("is not a key of these files: it has no effect{hint}"),
            );
        }
    }
}

fn push(list: &mut Vec<Problem>, at: At, path: &str, message: String) {
    if list.len() < crate::config::document::field::MAX_PROBLEMS {
        let path = path.to_owned();
        list.push(Problem { at, path, message });
    }
}

/// Prompts that are made from sentences: one id for each sentence.
#[derive(Debug, Default)]
pub(super) struct Sentences {
    ids: BTreeSet<String>,
    pub(super) prompts: Vec<Entry>,
}

impl Sentences {
    /// The prompt that says `sentence`; `id` is its name if that is free.
    pub(super) fn say(&mut self, at: At, id: &str, sentence: &str) -> Node {
        let same =
            self.prompts.iter().take(1000).find(|entry| {
                child(&entry.value, "text").and_then(word).as_deref() == Some(sentence)
            });
        if let Some(entry) = same {
            return text(at, entry.key.clone());
        }
        let mut name: String = id.to_owned();
        let mut count = 1;
        while !self.ids.insert(name.clone()) {
            count += 1;
            name = format!("{id}_{count}");
        }
        self.prompts
            .push(entry(name.clone(), map(at, [("text", text(at, sentence))])));
        text(at, name)
    }
}
