//! The names a flow defines, gathered before anything refers to them. Owns the rules for names and how many there may be.
use super::super::MAX_STEPS;
use super::super::model::{MenuId, NodeId, ScheduleId, Target};
use super::super::template::CALL_VARIABLES;
use crate::config::document::field::{Report, shown};
use crate::config::document::problem::At;
use crate::config::document::{Entry, Node, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// Every name that can be referred to.
#[derive(Debug, Default)]
pub(super) struct Names {
    pub(super) menus: BTreeMap<String, MenuId>,
    pub(super) nodes: BTreeMap<String, NodeId>,
    /// Where each menu and node stands.
    pub(super) places: HashMap<Target, At>,
    pub(super) variables: BTreeSet<String>,
    pub(super) recordings: BTreeSet<String>,
    pub(super) schedules: BTreeMap<String, ScheduleId>,
    pub(super) queues: BTreeSet<String>,
    pub(super) prompts: BTreeSet<String>,
    /// What each variable can hold, where that is a known list: constants, and keys collected one by one.
    pub(super) values: BTreeMap<String, Option<BTreeSet<String>>>,
}

impl Names {
    pub(super) fn collect(tree: &Node, report: &Report) -> Self {
        let variables = CALL_VARIABLES.iter().map(|name| (*name).to_owned());
        let mut names = Self {
            variables: variables.collect(),
            ..Self::default()
        };
        for (index, entry) in children(tree, "menus").iter().enumerate() {
            names.places.insert(Target::Menu(MenuId(index)), entry.at);
            names.menus.insert(entry.key.clone(), MenuId(index));
            names.may_hold("digits", one_key(&entry.value, true));
            names.within(&entry.value, report);
        }
        for (index, entry) in children(tree, "schedules").iter().enumerate() {
            names.schedules.insert(entry.key.clone(), ScheduleId(index));
        }
        for section in ["schedules", "queues", "aliases", "error_destination"] {
            if let Some(section) = child(tree, section) {
                names.within(section, report);
            }
        }
        let queues = children(tree, "queues").iter();
        names.queues = queues.map(|entry| entry.key.clone()).collect();
        let prompts = children(tree, "prompts").iter();
        names.prompts = prompts.map(|entry| entry.key.clone()).collect();
        for entry in children(tree, "variables") {
            names.define(entry, report);
            names.may_hold(&entry.key, constant(&entry.value));
        }
        for (index, entry) in children(tree, "nodes").iter().enumerate() {
            if names.menus.contains_key(&entry.key) {
                report.error(
                    entry.at,
                    &format!("nodes.{}", shown(&entry.key)),
                    "a menu has this id as well: each id can be given once",
                );
            }
            names.places.insert(Target::Node(NodeId(index)), entry.at);
            names.nodes.insert(entry.key.clone(), NodeId(index));
            names.within(&entry.value, report);
        }
        if names.places.len() > MAX_STEPS {
            report.error(
                tree.at,
                "",
                format!("the flow has more than {MAX_STEPS} menus and nodes, the limit"),
            );
        }
        names
    }

    pub(super) fn target(&self, id: &str) -> Option<Target> {
        let menu = || self.menus.get(id).map(|menu| Target::Menu(*menu));
        self.nodes
            .get(id)
            .map(|node| Target::Node(*node))
            .or_else(menu)
    }

    pub(super) fn steps(&self) -> impl Iterator<Item = &str> {
        self.nodes
            .keys()
            .chain(self.menus.keys())
            .map(String::as_str)
    }

    /// What the steps in a part of the document define, however deep they stand.
    fn within(&mut self, part: &Node, report: &Report) {
        match &part.value {
            Value::List(items) => items.iter().for_each(|item| self.within(item, report)),
            Value::Map(entries) => {
                self.defined_by(part, report);
                let free = ["variables", "parameters", "prompt", "set"];
                for entry in entries
                    .iter()
                    .filter(|entry| !free.contains(&entry.key.as_str()))
                {
                    self.within(&entry.value, report);
                }
            }
            _ => {}
        }
    }

    fn defined_by(&mut self, node: &Node, report: &Report) {
        let set = child(node, "set").and_then(|set| Some((set, text(set)?)));
        match (child(node, "type").and_then(text), set) {
            (Some("set"), _) => {
                for entry in children(node, "variables") {
                    self.define(entry, report);
                    self.may_hold(&entry.key, constant(&entry.value));
                }
            }
            (Some("record_message"), Some((set, name))) => {
                check(name, set.at, report);
                self.recordings.insert(name.to_owned());
            }
            (Some("collect"), set) => {
                self.may_hold("digits", one_key(node, false));
                if let Some((set, name)) = set {
                    check(name, set.at, report);
                    self.variables.insert(name.to_owned());
                    self.may_hold(name, one_key(node, false));
                }
            }
            (Some("directory" | "webhook"), _) => {
                for entry in children(node, "set") {
                    self.define(entry, report);
                    self.may_hold(&entry.key, None);
                }
            }
            (Some("play" | "sound" | "announcement" | "echo" | "listen"), _) => {
                self.may_hold("key", Some(keys()))
            }
            _ => {}
        }
    }

    fn define(&mut self, entry: &Entry, report: &Report) {
        check(&entry.key, entry.at, report);
        self.variables.insert(entry.key.clone());
    }

    fn may_hold(&mut self, variable: &str, values: Option<BTreeSet<String>>) {
        let held = self
            .values
            .entry(variable.to_owned())
            .or_insert_with(|| Some(BTreeSet::new()));
        match (held.as_mut(), values) {
            (Some(held), Some(values)) => held.extend(values),
            _ => *held = None,
        }
    }
}

/// Names of variables and recordings must be fit to stand in `${…}`, and are not those of the call.
fn check(name: &str, at: At, report: &Report) {
    let right = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if name.is_empty() || name.len() > 64 || !name.bytes().all(right) {
        report.error(
            at,
            &shown(name),
            "a variable's name has 1 to 64 letters a-z, digits and _",
        );
    } else if CALL_VARIABLES.contains(&name) {
        report.error(
            at,
            name,
            "this variable is set by the call itself: choose another name",
        );
    }
}

fn constant(value: &Node) -> Option<BTreeSet<String>> {
    let text = text(value)?;
    (!text.contains("${")).then(|| BTreeSet::from([text.to_owned()]))
}

/// The values of an entry that ends with its first key.
fn one_key(input: &Node, is_menu: bool) -> Option<BTreeSet<String>> {
    let single = |exten: &str| {
        exten.chars().count() == 1
            || (exten.starts_with('_')
                && exten.chars().count() == 2
                && !exten.ends_with(['.', '!']))
    };
    let choices = || match child(input, "choices").map(|choices| &choices.value) {
        Some(Value::List(choices)) => choices
            .iter()
            .all(|choice| child(choice, "exten").and_then(text).is_some_and(single)),
        _ => false,
    };
    let one = match child(input, "max_digits").map(|count| &count.value) {
        Some(Value::Int(1)) | None => !is_menu || choices(),
        Some(_) => false,
    };
    let finish = child(input, "finish_on_key")
        .and_then(text)
        .unwrap_or_default();
    one.then(|| keys().into_iter().filter(|key| key != finish).collect())
}

fn keys() -> BTreeSet<String> {
    super::super::pattern::KEYS
        .chars()
        .map(String::from)
        .collect()
}

fn child<'a>(node: &'a Node, key: &str) -> Option<&'a Node> {
    let Value::Map(entries) = &node.value else {
        return None;
    };
    entries
        .iter()
        .find(|entry| entry.key == key)
        .map(|entry| &entry.value)
}

fn children<'a>(node: &'a Node, key: &str) -> &'a [Entry] {
    match child(node, key).map(|child| &child.value) {
        Some(Value::Map(entries)) => entries,
        _ => &[],
    }
}

fn text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Str(text) => Some(text),
        _ => None,
    }
}
