//! Files of menus, prompts and languages, as a later plugin for Wazo has them.
use super::build::{Findings, add, child, entries, entry, items, list, map, text, whole, word};
use crate::config::document::field::shown;
use crate::config::document::problem::{At, did_you_mean, quoted};
use crate::config::document::{Entry, Node, Value};

/// Where calls begin.
const ROOT: &str = "root";
/// The node that asks for the hours first.
const HOURS: &str = "business_hours";
/// How long a call lasts where the file says nothing, in s.
const MAX_CALL_S: i64 = 300;
/// Keys of the whole.
const KEYS: &[&str] = &[
    "id",
    "name",
    "tenant",
    "entry_context",
    "tts_backend",
    "languages",
    "prompts",
    "menus",
    "business_hours",
    "voicemail_fallback",
    "call_recording",
    "recording",
    "max_call_duration",
    "created_at",
    "updated_at",
    "default_queue",
    "default_language",
];
/// Days in the order of their numbers.
const DAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];
/// Actions of options.
const ACTIONS: &[&str] = &[
    "menu",
    "queue",
    "extension",
    "voicemail",
    "hangup",
    "transfer",
    "language",
    "repeat",
];

pub(super) fn convert(tree: &Node, findings: &mut Findings) -> Node {
    findings.unknown_keys(tree, "", KEYS);
    let at = tree.at;
    let menus: &[Entry] = child(tree, "menus").map(entries).unwrap_or_default();
    let mut conversion = Conversion {
        tree,
        menus,
        findings,
    };
    if !conversion.has_menu(ROOT) {
        let hint = did_you_mean(ROOT, menus.iter().map(|menu| menu.key.as_str()));
        conversion.findings.error(
            at,
            "menus",
            format!("there is no menu \"{ROOT}\", where calls begin{hint}"),
        );
    }
    let converted: Vec<Entry> = menus
        .iter()
        .map(|menu| Entry {
            key: menu.key.clone(),
            at: menu.at,
            value: conversion.menu(menu),
        })
        .collect();
    let hours = conversion.hours();
    let mut flow = map(at, [("flow_version", whole(at, 1))]);
    let name = ["name", "id"].iter().find_map(|key| child(tree, key));
    add(
        &mut flow,
        "name",
        name.and_then(|name| Some(text(name.at, word(name)?))),
    );
    add(
        &mut flow,
        "entry",
        Some(text(at, if hours.is_some() { HOURS } else { ROOT })),
    );
    add(&mut flow, "languages", conversion.languages());
    add(
        &mut flow,
        "default_language",
        child(tree, "default_language").cloned(),
    );
    add(&mut flow, "prompts", child(tree, "prompts").cloned());
    let (schedule, node) = hours.unzip();
    add(
        &mut flow,
        "schedules",
        schedule.map(|schedule| map(at, [(HOURS, schedule)])),
    );
    let menus = Node {
        at,
        value: Value::Map(converted),
    };
    add(&mut flow, "menus", Some(menus));
    add(
        &mut flow,
        "nodes",
        node.map(|node| map(at, [(HOURS, node)])),
    );
    add(&mut flow, "recording", conversion.recording());
    let limit = child(tree, "max_call_duration").cloned();
    add(
        &mut flow,
        "max_call_duration",
        Some(limit.unwrap_or_else(|| whole(at, MAX_CALL_S))),
    );
    flow
}

struct Conversion<'c> {
    tree: &'c Node,
    menus: &'c [Entry],
    findings: &'c mut Findings,
}

impl Conversion<'_> {
    fn has_menu(&self, id: &str) -> bool {
        self.menus.iter().any(|menu| menu.key == id)
    }

    /// Each language with the back end of the whole file.
    fn languages(&self) -> Option<Node> {
        let languages = child(self.tree, "languages")?;
        let backend = child(self.tree, "tts_backend");
        let with_backend = |language: &Node| {
            let mut language = match word(language) {
                Some(code) => map(language.at, [("code", text(language.at, code))]),
                None => language.clone(),
            };
            if child(&language, "tts").is_none() {
                add(&mut language, "tts", backend.cloned());
            }
            language
        };
        let list_of = items(languages).iter().map(with_backend).collect();
        Some(list(languages.at, list_of))
    }

    fn recording(&self) -> Option<Node> {
        let either = ["call_recording", "recording"]
            .iter()
            .find_map(|key| child(self.tree, key))?;
        let mut recording = map(either.at, []);
        add(&mut recording, "enabled", child(either, "enabled").cloned());
        add(&mut recording, "format", child(either, "format").cloned());
        Some(recording)
    }

    fn menu(&mut self, entry: &Entry) -> Node {
        let (menu, at) = (&entry.value, entry.at);
        let path = format!("menus.{}", shown(&entry.key));
        let known = [
            "id",
            "prompt",
            "timeout_sec",
            "max_retries",
            "options",
            "fallback_action",
            "parent_menu",
        ];
        self.findings.unknown_keys(menu, &path, &known);
        let mut made = map(at, []);
        let prompt = child(menu, "prompt").cloned();
        add(
            &mut made,
            "menu_prompt",
            Some(prompt.unwrap_or_else(|| list(at, Vec::new()))),
        );
        add(&mut made, "timeout", child(menu, "timeout_sec").cloned());
        add(&mut made, "max_tries", child(menu, "max_retries").cloned());
        let options = child(menu, "options").unwrap_or(menu);
        let choices = entries(options)
            .iter()
            .filter(|_| child(menu, "options").is_some())
            .map(|option| {
                let path = format!("{path}.options.{}", shown(&option.key));
                let destination = self.option(&option.value, option.at, &path);
                map(
                    option.at,
                    [
                        ("exten", text(option.at, option.key.clone())),
                        ("destination", destination),
                    ],
                )
            });
        let choices = choices.collect();
        add(&mut made, "choices", Some(list(options.at, choices)));
        let fallback = child(menu, "fallback_action");
        let fallback = fallback.and_then(|fallback| self.fallback(fallback, menu, &path));
        add(&mut made, "abort_destination", fallback);
        made
    }

    /// Where tries that are used up lead: the file names the kind, not the place.
    fn fallback(&mut self, fallback: &Node, menu: &Node, path: &str) -> Option<Node> {
        let (at, path) = (fallback.at, format!("{path}.fallback_action"));
        let action = word(fallback)
            .or_else(|| child(fallback, "action").and_then(word))
            .unwrap_or_default();
        match action.as_str() {
            "hangup" => Some(map(at, [("type", text(at, "hangup"))])),
            "voicemail" => {
                let voicemail = self.voicemail_fallback();
                if voicemail.is_none() {
                    self.findings.error(
                        at,
                        &path,
                        "is \"voicemail\", and the file has no \"voicemail_fallback\"",
                    );
                }
                voicemail
            }
            "menu" => {
                let parent = child(menu, "parent_menu")
                    .and_then(word)
                    .unwrap_or_else(|| ROOT.to_owned());
                Some(map(
                    at,
                    [("type", text(at, "menu")), ("menu", text(at, parent))],
                ))
            }
            "queue" => {
                let options = child(menu, "options").map(entries).unwrap_or_default();
                let queue = options.iter().find(|option| {
                    child(&option.value, "action").and_then(word).as_deref() == Some("queue")
                });
                let name = queue
                    .and_then(|option| named(&option.value, &["queue_ref", "queue", "target"]));
                let name = name.or_else(|| child(self.tree, "default_queue").and_then(word));
                if name.is_none() {
                    self.findings.error(at, &path, "is \"queue\", but the menu has no option that leads to a queue, and the file no \"default_queue\"");
                }
                Some(map(
                    at,
                    [("type", text(at, "queue")), ("queue_name", text(at, name?))],
                ))
            }
            other => {
                let hint = did_you_mean(other, ["voicemail", "queue", "hangup", "menu"]);
                self.findings.error(at, &path, format!("must be \"voicemail\", \"queue\", \"hangup\" or \"menu\", but is \"{}\"{hint}", shown(other)));
                None
            }
        }
    }

    fn voicemail_fallback(&self) -> Option<Node> {
        let fallback = child(self.tree, "voicemail_fallback")?;
        let name = word(fallback)
            .or_else(|| named(fallback, &["voicemail_box", "box", "voicemail", "id"]))?;
        let at = fallback.at;
        Some(map(
            at,
            [
                ("type", text(at, "voicemail")),
                ("voicemail", text(at, name)),
            ],
        ))
    }

    fn option(&mut self, option: &Node, at: At, path: &str) -> Node {
        let action = child(option, "action").and_then(word).unwrap_or_default();
        let kind = |name: &str| ("type", text(at, name));
        let mut wanted = |keys: &[&'static str]| {
            let name = named(option, keys);
            if name.is_none() {
                self.findings
                    .error(at, path, format!("the key \"{}\" is missing", keys[0]));
            }
            text(at, name.unwrap_or_default())
        };
        let mut made = match action.as_str() {
            "menu" => map(
                at,
                [
                    kind("menu"),
                    ("menu", wanted(&["menu_ref", "menu", "target"])),
                ],
            ),
            "queue" => map(
                at,
                [
                    kind("queue"),
                    ("queue_name", wanted(&["queue_ref", "queue", "target"])),
                ],
            ),
            "voicemail" => map(
                at,
                [
                    kind("voicemail"),
                    (
                        "voicemail",
                        wanted(&["voicemail_box", "voicemail", "target"]),
                    ),
                ],
            ),
            "extension" => map(
                at,
                [
                    kind("extension"),
                    ("exten", wanted(&["extension", "exten", "target"])),
                ],
            ),
            "transfer" => map(
                at,
                [
                    kind("transfer"),
                    ("destination", wanted(&["destination", "target"])),
                ],
            ),
            "language" => map(
                at,
                [
                    kind("language"),
                    ("language", wanted(&["language", "target"])),
                ],
            ),
            "hangup" => map(at, [kind("hangup")]),
            "repeat" | "repeat_menu" => map(at, [kind("repeat")]),
            other => {
                let hint = did_you_mean(other, ACTIONS.iter().copied());
                let known = quoted(ACTIONS.iter().copied());
                let at = child(option, "action").map_or(at, |action| action.at);
                self.findings.error(
                    at,
                    &format!("{path}.action"),
                    format!("must be {known}, but is \"{}\"{hint}", shown(other)),
                );
                map(at, [kind("repeat")])
            }
        };
        if ["voicemail", "extension"].contains(&action.as_str()) {
            add(&mut made, "context", child(option, "context").cloned());
        }
        if ["hangup", "language", "transfer", "queue", "extension"].contains(&action.as_str()) {
            add(&mut made, "prompt", child(option, "prompt").cloned());
        }
        add(
            &mut made,
            "timeout",
            child(option, "timeout")
                .cloned()
                .filter(|_| action == "transfer"),
        );
        let keys = [
            "action",
            "menu_ref",
            "queue_ref",
            "context",
            "extension",
            "voicemail_box",
            "prompt",
            "destination",
            "timeout",
            "language",
            "menu",
            "queue",
            "voicemail",
            "exten",
            "target",
            "label",
            "description",
        ];
        self.findings.unknown_keys(option, path, &keys);
        made
    }

    /// The schedule, and the node that asks it. Their makers looked at the clock when the file was made, not when a call came.
    fn hours(&mut self) -> Option<(Node, Node)> {
        let hours = child(self.tree, "business_hours")?;
        let at = hours.at;
        self.findings
            .unknown_keys(hours, "business_hours", &["name", "timeframes", "timezone"]);
        let zone = child(hours, "timezone").cloned().unwrap_or_else(|| {
            self.findings
                .warning(at, "business_hours", "has no \"timezone\": UTC counts");
            text(at, "UTC")
        });
        let mut periods = Vec::new();
        for frame in child(hours, "timeframes").map(entries).unwrap_or_default() {
            let path = format!("business_hours.timeframes.{}", shown(&frame.key));
            let day = DAYS
                .iter()
                .position(|day| *day == frame.key.to_ascii_lowercase());
            let Some(day) = day else {
                let hint = did_you_mean(&frame.key, DAYS);
                self.findings
                    .error(frame.at, &path, format!("is no day of the week{hint}"));
                continue;
            };
            for span in items(&frame.value) {
                let text_of = word(span).unwrap_or_default();
                match text_of.split_once('-') {
                    Some((start, end)) => periods.push(map(
                        span.at,
                        [
                            ("hours_start", text(span.at, start.trim())),
                            ("hours_end", text(span.at, end.trim())),
                            (
                                "week_days",
                                list(frame.at, vec![whole(frame.at, day as i64 + 1)]),
                            ),
                        ],
                    )),
                    None => {
                        self.findings
                            .error(span.at, &path, "must be hours such as \"09:00-17:00\"")
                    }
                }
            }
        }
        let closed = self.voicemail_fallback().unwrap_or_else(|| {
            self.findings.warning(
                at,
                "business_hours",
                "the file has no \"voicemail_fallback\": calls outside the hours end",
            );
            map(at, [("type", text(at, "hangup"))])
        });
        let open = map(at, [("type", text(at, "menu")), ("menu", text(at, ROOT))]);
        let mut schedule = map(
            at,
            [("timezone", zone), ("open_periods", list(at, periods))],
        );
        add(&mut schedule, "name", child(hours, "name").cloned());
        let asks = [
            entry("type", text(at, "schedule")),
            entry("schedule", text(at, HOURS)),
            entry("open_destination", open),
            entry("closed_destination", closed),
        ];
        let node = Node {
            at,
            value: Value::Map(asks.into()),
        };
        Some((schedule, node))
    }
}

fn named(node: &Node, keys: &[&str]) -> Option<String> {
    keys.iter().find_map(|key| child(node, key).and_then(word))
}
