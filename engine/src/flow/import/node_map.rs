//! The node map of the Wazo IVR plugin: node ids with a prompt and options, or a prompt and an action.
//!
//! What the plugin's own interpreter does not do well is done otherwise, with a warning: a target that is a node leads to that node,
//! tries are counted, and hours are those of a time zone.
use super::build::{Findings, Sentences, add, child, entries, entry, list, map, text, whole, word};
use crate::config::document::field::shown;
use crate::config::document::problem::{At, did_you_mean};
use crate::config::document::{Entry, Node, Value};
use crate::flow::Surroundings;
use std::collections::BTreeSet;

/// Where calls begin.
const ENTRY: &str = "main_menu";
/// Where they go after hours.
const AFTER_HOURS: &str = "voicemail_menu";
/// What callers hear when they leave.
const GOODBYE: &str = "Thank you for calling. Goodbye.";
/// The key that brings back menus without end.
const ENDLESS: &str = "legacy_infinite_repeat";
/// Every action.
const ACTIONS: &[&str] = &[
    "route_to_queue",
    "transfer_to_queue",
    "transfer_to_extension",
    "repeat_menu",
    "language_selection",
    "call_recording_trigger",
    "play_announcement",
    "time_based_routing",
    "exit",
];
/// Keys of a menu.
const MENU_KEYS: &[&str] = &[
    "prompt",
    "options",
    "fallback",
    "type",
    "timeout",
    "max_tries",
];
/// Every type of node; only that of the hours says anything.
const TYPES: [&str; 2] = ["time_based_routing", "menu"];

pub(super) fn convert(tree: &Node, around: &dyn Surroundings, findings: &mut Findings) -> Node {
    let is_node = |entry: &&Entry| matches!(entry.value.value, Value::Map(_));
    let nodes: Vec<&Entry> = entries(tree).iter().filter(is_node).collect();
    let menus = nodes
        .iter()
        .filter(|entry| is_menu(&entry.value))
        .map(|entry| entry.key.clone())
        .collect();
    let ids = nodes.iter().map(|entry| entry.key.clone()).collect();
    let endless = child(tree, ENDLESS).is_some_and(|node| node.value == Value::Bool(true));
    for entry in entries(tree)
        .iter()
        .filter(|entry| !is_node(entry) && entry.key != ENDLESS)
    {
        findings.warning(entry.at, &shown(&entry.key), "is no node: it has no effect");
    }
    let mut conversion = Conversion {
        ids,
        menus,
        endless,
        findings,
        around,
        sentences: Sentences::default(),
        schedules: Vec::new(),
        has_words: false,
    };
    conversion.tree(tree, &nodes)
}

struct Conversion<'c> {
    ids: BTreeSet<String>,
    menus: BTreeSet<String>,
    endless: bool,
    findings: &'c mut Findings,
    around: &'c dyn Surroundings,
    sentences: Sentences,
    schedules: Vec<Entry>,
    /// The node that is converted has a prompt.
    has_words: bool,
}

fn is_menu(node: &Node) -> bool {
    child(node, "options").is_some() && !is_time(node)
}

fn is_time(node: &Node) -> bool {
    ["type", "action"]
        .iter()
        .any(|key| child(node, key).and_then(word).as_deref() == Some("time_based_routing"))
}

impl Conversion<'_> {
    fn tree(&mut self, tree: &Node, nodes: &[&Entry]) -> Node {
        if !self.ids.contains(ENTRY) {
            let hint = did_you_mean(ENTRY, self.ids.iter().map(String::as_str));
            self.findings.error(
                tree.at,
                "",
                format!("there is no node \"{ENTRY}\", where calls begin{hint}"),
            );
        }
        let (mut menus, mut steps) = (Vec::new(), Vec::new());
        for node in nodes {
            let made = Entry {
                key: node.key.clone(),
                at: node.at,
                value: if is_time(&node.value) {
                    self.time(node)
                } else if is_menu(&node.value) {
                    self.menu(node)
                } else {
                    self.terminal(node)
                },
            };
            if is_menu(&node.value) {
                menus.push(made);
            } else {
                steps.push(made);
            }
        }
        let at = tree.at;
        let mut flow = map(
            at,
            [("flow_version", whole(at, 1)), ("entry", text(at, ENTRY))],
        );
        let sections = [
            ("prompts", std::mem::take(&mut self.sentences.prompts)),
            ("schedules", std::mem::take(&mut self.schedules)),
            ("menus", menus),
            ("nodes", steps),
        ];
        for (key, entries) in sections
            .into_iter()
            .filter(|(_, entries)| !entries.is_empty())
        {
            let value = Value::Map(entries);
            add(&mut flow, key, Some(Node { at, value }));
        }
        flow
    }

    fn menu(&mut self, node: &Entry) -> Node {
        let (id, value) = (&node.key, &node.value);
        let path = shown(id);
        self.known_type(value, &path);
        self.findings.unknown_keys(value, &path, MENU_KEYS);
        let mut menu = map(node.at, []);
        let prompt = child(value, "prompt");
        let prompt = match prompt {
            Some(prompt) => {
                word(prompt).map(|sentence| self.sentences.say(prompt.at, id, &sentence))
            }
            None => Some(list(node.at, Vec::new())),
        };
        add(&mut menu, "menu_prompt", prompt);
        let goodbye = self.sentences.say(node.at, "goodbye", GOODBYE);
        add(&mut menu, "timeout", child(value, "timeout").cloned());
        add(&mut menu, "max_tries", child(value, "max_tries").cloned());
        let mut choices = Vec::new();
        let options = child(value, "options").unwrap_or(value);
        for option in entries(options) {
            let path = format!("{path}.options.{}", shown(&option.key));
            let destination = self.destination(&option.value, option.at, &path, id);
            choices.push(map(
                option.at,
                [
                    ("exten", text(option.at, option.key.clone())),
                    ("destination", destination),
                ],
            ));
        }
        if choices.is_empty() {
            self.findings
                .error(options.at, &format!("{path}.options"), "has no option");
        }
        add(&mut menu, "choices", Some(list(options.at, choices)));
        let fallback = child(value, "fallback");
        match fallback.filter(|fallback| !comes_back(fallback, id)) {
            Some(fallback) => {
                let destination =
                    self.destination(fallback, fallback.at, &format!("{path}.fallback"), id);
                for key in [
                    "invalid_destination",
                    "timeout_destination",
                    "abort_destination",
                ] {
                    add(&mut menu, key, Some(destination.clone()));
                }
            }
            None => {
                if let Some(fallback) = fallback {
                    self.counted_fallback(&mut menu, fallback, &path, id);
                }
                if self.endless {
                    let again = map(node.at, [("type", text(node.at, "repeat"))]);
                    add(&mut menu, "abort_destination", Some(again));
                } else {
                    add(&mut menu, "abort_prompt", Some(goodbye));
                }
            }
        }
        menu
    }

    /// A fallback that comes back to its menu: the menu counts it, so that a silent line is let go. What it says is said before each try.
    fn counted_fallback(&mut self, menu: &mut Node, fallback: &Node, path: &str, id: &str) {
        let path = format!("{path}.fallback");
        let made = self.destination(fallback, fallback.at, &path, id);
        match child(&made, "type").and_then(word).as_deref() {
            Some("sound") => {
                for key in ["invalid_prompt", "timeout_prompt"] {
                    add(menu, key, child(&made, "prompt").cloned());
                }
            }
            Some("repeat" | "menu") => {}
            _ => self.findings.warning(
                fallback.at,
                &path,
                "is no way out of the menu: the menu is repeated, without it",
            ),
        }
    }

    fn terminal(&mut self, node: &Entry) -> Node {
        let (id, value) = (&node.key, &node.value);
        let path = shown(id);
        self.known_type(value, &path);
        let mut known = vec!["prompt", "action", "target", "type"];
        if action(value).is_none() {
            // It may have been meant to be a menu.
            known.extend(MENU_KEYS);
        }
        self.findings.unknown_keys(value, &path, &known);
        let prompt = child(value, "prompt");
        let prompt =
            prompt.and_then(|prompt| Some(self.sentences.say(prompt.at, id, &word(prompt)?)));
        let Some(action) = action(value) else {
            self.findings.warning(
                node.at,
                &path,
                "has neither options nor an action: the call ends after its prompt",
            );
            let mut hangup = map(node.at, [("type", text(node.at, "hangup"))]);
            add(&mut hangup, "prompt", prompt);
            return hangup;
        };
        self.has_words = prompt.is_some();
        let destination = self.destination(value, node.at, &path, id);
        self.has_words = false;
        let kind = child(&destination, "type")
            .and_then(word)
            .unwrap_or_default();
        // What dials or hangs up says its own prompt; the rest says it first and goes there.
        let says = ["extension", "queue", "hangup"].contains(&kind.as_str());
        let Some(prompt) = prompt else {
            let way = ["menu", "goto", "repeat"].contains(&kind.as_str());
            return if way {
                self.sound(node.at, list(node.at, Vec::new()), destination)
            } else {
                destination
            };
        };
        if says && action != "exit" {
            let mut destination = destination;
            add(&mut destination, "prompt", Some(prompt));
            return destination;
        }
        self.sound(node.at, prompt, destination)
    }

    fn known_type(&mut self, node: &Node, path: &str) {
        let Some(kind) = child(node, "type") else {
            return;
        };
        let name = word(kind).unwrap_or_default();
        if !TYPES.contains(&name.as_str()) {
            let hint = did_you_mean(&name, TYPES);
            let name = shown(&name);
            self.findings.warning(
                kind.at,
                &format!("{path}.type"),
                format!("the type \"{name}\" is not known: it has no effect{hint}"),
            );
        }
    }

    fn sound(&self, at: At, prompt: Node, then: Node) -> Node {
        map(
            at,
            [
                ("type", text(at, "sound")),
                ("prompt", prompt),
                ("then", then),
            ],
        )
    }

    /// What an action does. `from` is the node it stands in.
    fn destination(&mut self, node: &Node, at: At, path: &str, from: &str) -> Node {
        let target_node = child(node, "target");
        let target = target_node.and_then(word);
        let target_at = target_node.map_or(at, |node| node.at);
        let kind = |name: &str| ("type", text(at, name));
        let Some(action) = action(node) else {
            self.findings
                .warning(at, path, format!("has no action: it leads to {ENTRY}"));
            return self.home(at);
        };
        let wanted = |conversion: &mut Self| {
            conversion.findings.error(
                at,
                path,
                format!("the action \"{}\" has no target", shown(&action)),
            );
            String::new()
        };
        match action.as_str() {
            "route_to_queue" | "transfer_to_queue" | "transfer_to_extension" => {
                let target = target.unwrap_or_else(|| wanted(self));
                if self.ids.contains(&target) && target != from {
                    return self.to(target_at, &target);
                }
                let name = text(target_at, target.clone());
                if action == "transfer_to_extension" {
                    let mut made = map(
                        at,
                        [
                            kind("extension"),
                            ("exten", name),
                            ("context", text(at, "default")),
                        ],
                    );
                    let words =
                        self.words(at, "transferring", &target, "Transferring you to extension");
                    add(&mut made, "prompt", words);
                    made
                } else {
                    let mut made = map(at, [kind("queue"), ("queue_name", name)]);
                    let words = self.words(at, "connecting", &target, "Connecting you to");
                    add(&mut made, "prompt", words);
                    made
                }
            }
            "repeat_menu" => map(at, [kind("repeat")]),
            "language_selection" => {
                let language = text(target_at, target.unwrap_or_else(|| wanted(self)));
                let then = self.home(at);
                map(
                    at,
                    [kind("language"), ("language", language), ("then", then)],
                )
            }
            "call_recording_trigger" => {
                let target = target.unwrap_or_else(|| wanted(self));
                let said = match target.as_str() {
                    "start" => "Call recording has started.",
                    "stop" => "Call recording has stopped.",
                    "pause" => "Call recording is paused.",
                    _ => "Call recording goes on.",
                };
                let prompt = self
                    .sentences
                    .say(at, &format!("recording_{}", plain(&target)), said);
                map(
                    at,
                    [
                        kind("recording"),
                        ("action", text(target_at, target)),
                        ("prompt", prompt),
                    ],
                )
            }
            "play_announcement" => {
                let target = target.unwrap_or_else(|| wanted(self));
                let prompt = self.sentences.say(target_at, "announcement", &target);
                map(
                    at,
                    [
                        kind("sound"),
                        ("prompt", prompt),
                        ("then", text(at, "stay")),
                    ],
                )
            }
            "time_based_routing" => match target {
                Some(target) if self.ids.contains(&target) => self.to(target_at, &target),
                _ => self.by_time(node, at, path),
            },
            "exit" => {
                let prompt = self.sentences.say(at, "goodbye", GOODBYE);
                map(at, [kind("hangup"), ("prompt", prompt)])
            }
            other => {
                let hint = did_you_mean(other, ACTIONS.iter().copied());
                let other = shown(other);
                self.findings.warning(
                    at,
                    path,
                    format!("the action \"{other}\" is not known{hint}: it leads to {ENTRY}"),
                );
                self.home(at)
            }
        }
    }

    /// What the plugin says before it transfers, where the node has no words of its own.
    fn words(&mut self, at: At, id: &str, target: &str, sentence: &str) -> Option<Node> {
        (!self.has_words).then(|| {
            self.sentences.say(
                at,
                &format!("{id}_{}", plain(target)),
                &format!("{sentence} {target}."),
            )
        })
    }

    fn home(&self, at: At) -> Node {
        self.to(at, ENTRY)
    }

    fn to(&self, at: At, id: &str) -> Node {
        if self.menus.contains(id) {
            map(at, [("type", text(at, "menu")), ("menu", text(at, id))])
        } else {
            map(at, [("type", text(at, "goto")), ("node", text(at, id))])
        }
    }

    fn time(&mut self, node: &Entry) -> Node {
        let path = shown(&node.key);
        self.by_time(&node.value, node.at, &path)
    }

    /// The node that routes by time. The plugin has 09:00 to 17:00 by the server's clock, every day.
    fn by_time(&mut self, node: &Node, at: At, path: &str) -> Node {
        let known = [
            "type",
            "action",
            "business_hours_target",
            "after_hours_target",
            "prompt",
            "timezone",
            "hours",
            "week_days",
            "target",
        ];
        self.findings.unknown_keys(node, path, &known);
        let id = format!("hours_{}", self.schedules.len() + 1);
        let zone = child(node, "timezone")
            .cloned()
            .unwrap_or_else(|| text(at, self.around.local_zone()));
        if child(node, "timezone").is_none() || child(node, "hours").is_none() {
            let zone = word(&zone).unwrap_or_default();
            self.findings.warning(
                at,
                path,
                format!("these files say no hours: 09:00 to 17:00 in {} (this server's zone) count, every day, until \"hours\", \"week_days\" and \"timezone\" are given here", shown(&zone)),
            );
        }
        let hours = child(node, "hours")
            .and_then(word)
            .unwrap_or_else(|| "09:00-17:00".to_owned());
        let (start, end) = hours.split_once('-').unwrap_or((&hours, ""));
        let mut period = map(
            at,
            [
                ("hours_start", text(at, start.trim())),
                ("hours_end", text(at, end.trim())),
            ],
        );
        add(&mut period, "week_days", child(node, "week_days").cloned());
        let schedule = map(
            at,
            [("timezone", zone), ("open_periods", list(at, vec![period]))],
        );
        self.schedules.push(entry(id.clone(), schedule));
        let open = self.time_target(node, "business_hours_target", ENTRY, at, path);
        let closed = self.time_target(node, "after_hours_target", AFTER_HOURS, at, path);
        map(
            at,
            [
                ("type", text(at, "schedule")),
                ("schedule", text(at, id)),
                ("open_destination", open),
                ("closed_destination", closed),
            ],
        )
    }

    fn time_target(&mut self, node: &Node, key: &str, default: &str, at: At, path: &str) -> Node {
        let target = child(node, key);
        let at = target.map_or(at, |node| node.at);
        let id = target.and_then(word).unwrap_or_else(|| default.to_owned());
        if self.ids.contains(&id) {
            return self.to(at, &id);
        }
        let hint = did_you_mean(&id, self.ids.iter().map(String::as_str));
        let message = format!(
            "\"{key}\" leads to \"{}\", which is no node{hint}",
            shown(&id)
        );
        if target.is_some() {
            self.findings.error(at, path, message);
        } else {
            self.findings
                .warning(at, path, format!("{message}: the call ends"));
        }
        let prompt = self.sentences.say(at, "goodbye", GOODBYE);
        map(at, [("type", text(at, "hangup")), ("prompt", prompt)])
    }
}

/// Whether a fallback of that menu leads to it again.
fn comes_back(fallback: &Node, menu: &str) -> bool {
    match action(fallback).as_deref() {
        Some("repeat_menu" | "play_announcement" | "call_recording_trigger") => true,
        Some("language_selection") => menu == ENTRY,
        Some("time_based_routing") => {
            child(fallback, "target").and_then(word).as_deref() == Some(menu)
        }
        Some(known) if ACTIONS.contains(&known) => false,
        _ => menu == ENTRY,
    }
}

fn action(node: &Node) -> Option<String> {
    child(node, "action").and_then(word)
}

/// A target as part of a prompt's id.
fn plain(target: &str) -> String {
    let right = |char: char| {
        if char.is_ascii_alphanumeric() {
            char
        } else {
            '_'
        }
    };
    target.chars().take(40).map(right).collect()
}
