//! Destinations and sections that are read in full, and that this version does not serve yet: queues, voicemail, webhooks, other
//! programs. Owns their keys, so that a flow for a later version is checked today; a server refuses the flow and says which.
use super::super::model::{Destination, Step};
use super::Reader;
use crate::config::document::Value;
use crate::config::document::field::{Field, Table, shown};

/// Types that are read and not served.
pub(super) const NOT_BUILT: &[&str] = &[
    "agent",
    "application",
    "custom",
    "queue",
    "switchboard",
    "voicemail",
    "webhook",
    "xml",
];

/// Keys of each, with those of which one must be there.
const KEYS: &[(&str, &[&str], &[&str])] = &[
    ("agent", &["agent", "agent_id"], &["ring_time"]),
    (
        "application",
        &["application"],
        &["context", "pin", "exten"],
    ),
    ("custom", &["command"], &[]),
    (
        "queue",
        &["queue_name", "queue_id"],
        &["ring_time", "skill_rule_id", "skill_rule_variables"],
    ),
    ("switchboard", &["switchboard_uuid"], &["ring_time"]),
    (
        "voicemail",
        &["voicemail", "voicemail_id"],
        &["skip_instructions", "greeting", "context"],
    ),
    (
        "webhook",
        &["url"],
        &["method", "timeout_ms", "set", "headers", "body"],
    ),
    ("xml", &["url"], &["dialect"]),
];

/// How a queue hands out calls.
const STRATEGIES: [(&str, ()); 7] = [
    ("ringall", ()),
    ("linear", ()),
    ("leastrecent", ()),
    ("fewestcalls", ()),
    ("rrmemory", ()),
    ("random", ()),
    ("wrandom", ()),
];

impl Reader<'_> {
    /// Notes what this version does not serve.
    pub(super) fn not_served(&self, field: &Field<'_>, message: String) {
        let mut list = self.not_served.borrow_mut();
        if list.len() < crate::config::document::field::MAX_PROBLEMS {
            list.push(crate::config::Problem {
                at: field.at(),
                path: field.path.clone(),
                message,
            });
        }
    }

    /// A step of a type that is not served; `None`: it is of another type.
    pub(super) fn elsewhere(&self, kind: &Field<'_>, table: &mut Table<'_>) -> Option<Step> {
        let name = kind.text().filter(|name| NOT_BUILT.contains(name))?;
        self.not_served(
            kind,
            format!(
                "the type \"{name}\" is part of the flow schema, but not built into this version"
            ),
        );
        let (_, either, further) = KEYS.iter().find(|(kind, ..)| *kind == name)?;
        let named: Vec<Field<'_>> = either.iter().filter_map(|key| table.field(key)).collect();
        if named.is_empty() {
            table.error(format!("the key \"{}\" is missing", either[0]));
        }
        for key in *further {
            let _known = table.field(key);
        }
        for key in ["prompt", "then", "error_destination", "fallbacks"] {
            self.on_the_way(table, key);
        }
        let which = named.first().map_or_else(String::new, text_of);
        if let ("queue", Some(field)) = (name, named.first())
            && !self.names.queues.is_empty()
            && !self.names.queues.contains(&which)
        {
            let hint = self.hint(&which, self.names.queues.iter().map(String::as_str));
            field.error(format!("there is no queue \"{}\"{hint}", shown(&which)));
        }
        Some(Step::NotServed {
            kind: name.to_owned(),
            what: format!("{name} {which}").trim_end().to_owned(),
        })
    }

    fn on_the_way(&self, table: &mut Table<'_>, key: &'static str) {
        let Some(field) = table.field(key) else {
            return;
        };
        match key {
            "prompt" => {
                let _checked = self.prompt(&field, false);
            }
            "fallbacks" => {
                for (_, field) in field.table().iter().flat_map(Table::entries) {
                    let _checked = self.then(&field);
                }
            }
            _ => {
                let _checked = self.then(&field);
            }
        }
    }

    /// The section `queues`.
    pub(super) fn queues(&self, root: &mut Table<'_>) {
        let Some(section) = root.field("queues") else {
            return;
        };
        self.not_served(
            &section,
            "\"queues\" is part of the flow schema, but not built into this version".to_owned(),
        );
        for (_, field) in section.table().iter().flat_map(Table::entries) {
            if let Some(mut queue) = field.table() {
                self.queue(&mut queue);
                queue.finish();
            }
        }
    }

    fn queue(&self, queue: &mut Table<'_>) {
        let _strategy = queue
            .field("strategy")
            .and_then(|field| field.choice(&STRATEGIES));
        for key in ["label", "music_on_hold", "caller_id_mode", "caller_id_name"] {
            let _text = queue.field(key).and_then(|field| field.string());
        }
        for key in [
            "timeout",
            "max_wait",
            "wrapup_time",
            "announce_frequency",
            "wait_time_threshold",
            "wait_ratio_threshold",
            "service_level",
        ] {
            let _seconds = queue
                .field(key)
                .and_then(|field| field.number(0.0..=super::DAY));
        }
        for key in ["max_length", "weight"] {
            let _count = queue
                .field(key)
                .and_then(|field| field.integer(0..=100_000));
        }
        for key in [
            "announce_position",
            "announce_hold_time",
            "announce_hold_time_on_entry",
            "retry_on_timeout",
            "ring_on_hold",
            "autopause",
            "mark_answered_elsewhere",
            "enabled",
            "join_when_empty",
            "leave_when_empty",
        ] {
            let _flag = queue.field(key).and_then(|field| field.boolean());
        }
        for key in [
            "wait_time_destination",
            "wait_ratio_destination",
            "callback",
        ] {
            let _destination = queue.field(key).and_then(|field| self.then(&field));
        }
        if let Some(mut fallbacks) = queue.field("fallbacks").and_then(|field| field.table()) {
            for key in super::super::model::DIAL_ENDS {
                let _destination: Option<Destination> =
                    fallbacks.field(key).and_then(|field| self.then(&field));
            }
            fallbacks.finish();
        }
        if let Some(mut members) = queue.field("members").and_then(|field| field.table()) {
            for (key, names) in [
                ("agents", ["number", "id"]),
                ("users", ["extension", "user"]),
            ] {
                for member in members
                    .field(key)
                    .and_then(|field| field.list())
                    .unwrap_or_default()
                {
                    let Some(mut member) = member.table() else {
                        continue;
                    };
                    if names
                        .into_iter()
                        .filter_map(|name| member.field(name))
                        .count()
                        == 0
                    {
                        member.error(format!("the key \"{}\" is missing", names[0]));
                    }
                    for key in ["priority", "penalty"] {
                        let _rank = member
                            .field(key)
                            .and_then(|field| field.integer(0..=10_000));
                    }
                    let _skills = member.field("skills").map(|field| field.is_list());
                    member.finish();
                }
            }
            members.finish();
        }
    }
}

fn text_of(field: &Field<'_>) -> String {
    match &field.node.value {
        Value::Str(text) => text.clone(),
        Value::Int(number) => number.to_string(),
        _ => String::new(),
    }
}
