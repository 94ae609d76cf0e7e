//! The steps `queue` and `agent`, and the section `queues`: their keys and defaults.
use super::super::model::{Destination, FlowQueue, Prompt, Queueing, Step};
use super::super::template::Template;
use super::{DAY, Reader};
use crate::config::document::Value;
use crate::config::document::field::{Field, Table, shown};
use crate::config::{
    Announce, QUEUE_ENDS, Queue, QueueMember, Skill, Strategy, join_when_empty, leave_when_empty,
    read_callback,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// Wazo's names of a queue's fallbacks, and the ends they stand for.
const WAZO_ENDS: [(&str, &[&str]); 4] = [
    ("busy", &["full"]),
    ("congestion", &["empty", "hold", "ratio"]),
    ("fail", &["unknown", "removed"]),
    ("noanswer", &["timeout"]),
];
/// The most skills of one step.
const MAX_SKILLS: usize = 64;

impl Reader<'_> {
    /// `queue`: waits for an agent.
    pub(super) fn queue_step(&self, table: &mut Table<'_>) -> Option<Step> {
        let queue = self.queue_name(table);
        for key in ["skill_rule_id", "skill_rule_variables"] {
            if let Some(field) = table.field(key) {
                field.warning("has no effect here: name what an agent needs with \"skills\"");
            }
        }
        let (priority, skills) = (self.priority(table), self.needed(table));
        let exit_keys = self.stop_keys(table, "exit_keys", "");
        let max_wait_ms = self.ms(table, "ring_time", 1.0, DAY, 0);
        Some(Step::Queue(Queueing {
            max_wait_ms,
            priority,
            skills,
            exit_keys,
            ..self.queueing(table, queue, false)?
        }))
    }

    fn priority(&self, table: &mut Table<'_>) -> i32 {
        let field = table.field("priority");
        let priority = field.and_then(|field| field.integer(-1000..=1000));
        priority.unwrap_or(0) as i32
    }

    fn needed(&self, table: &mut Table<'_>) -> Vec<Skill> {
        let skills = table.field("skills").map(|field| self.skills(&field));
        skills.unwrap_or_default()
    }

    /// The queue of a step; one of the flow's own, where it has some.
    fn queue_name(&self, table: &mut Table<'_>) -> Option<Template> {
        let named = ["queue_name", "queue_id"].map(|key| table.has(key).then_some(key));
        let queue = self.named(table, "queue_name", "queue_id");
        if let (Some(name), Some(key)) = (
            queue.as_ref().and_then(Template::fixed),
            named.into_iter().flatten().next(),
        ) && !self.names.queues.is_empty()
            && !self.names.queues.contains(name)
            && let Some(field) = table.field(key)
        {
            let hint = self.hint(name, self.names.queues.iter().map(String::as_str));
            field.warning(format!(
                "there is no queue \"{}\" here: the server needs one{hint}",
                shown(name)
            ));
        }
        queue
    }

    /// `agent`: calls one agent.
    pub(super) fn agent_step(&self, table: &mut Table<'_>) -> Option<Step> {
        let agent = self.named(table, "agent", "agent_id");
        let ring_ms = self.ms(table, "ring_time", 1.0, 600.0, 0);
        Some(Step::Queue(Queueing {
            ring_ms,
            ..self.queueing(table, agent, true)?
        }))
    }

    /// `callback`: keeps a place in a queue for somebody who is called when it is its turn, and goes on at once.
    pub(super) fn callback_step(&self, table: &mut Table<'_>) -> Option<Step> {
        let queue = self.queue_name(table);
        let number = table.field("number");
        let number = match number {
            Some(field) => self.template(&field, field.string()?),
            None => Template::parse("${call.from}", &self.names.variables).ok(),
        };
        let (priority, skills) = (self.priority(table), self.needed(table));
        let refused = table.field("refused").map(|field| self.then(&field));
        let then = self.then_key(table);
        Some(Step::Queue(Queueing {
            name: queue?,
            alone: false,
            prompt: Prompt::default(),
            priority,
            skills,
            max_wait_ms: 0,
            ring_ms: 0,
            exit_keys: String::new(),
            call_back: Some(number?),
            fallbacks: BTreeMap::from([("callback".to_owned(), then?)]),
            then: match refused {
                Some(None) => return None,
                refused => Some(refused.flatten().unwrap_or(Destination::Repeat)),
            },
        }))
    }

    /// The keys of both.
    fn queueing(
        &self,
        table: &mut Table<'_>,
        name: Option<Template>,
        alone: bool,
    ) -> Option<Queueing> {
        let prompt = table.field("prompt");
        let prompt = prompt.and_then(|field| self.prompt(&field, false));
        let fallbacks = table.field("fallbacks");
        let fallbacks = fallbacks.map(|field| self.queue_ends(&field));
        if let Some(field) = table.field("error_destination") {
            let _checked = self.then(&field);
        }
        let then = table.field("then").map(|field| self.then(&field));
        Some(Queueing {
            name: name?,
            alone,
            prompt: prompt.unwrap_or_default(),
            priority: 0,
            skills: Vec::new(),
            max_wait_ms: 0,
            ring_ms: 0,
            exit_keys: String::new(),
            call_back: None,
            fallbacks: fallbacks.unwrap_or_default(),
            then: match then {
                Some(None) => return None,
                Some(then) => then,
                None => None,
            },
        })
    }

    /// A destination for each end; Wazo's names stand for the ends they mean.
    fn queue_ends(&self, field: &Field<'_>) -> BTreeMap<String, Destination> {
        let mut found = BTreeMap::new();
        let Some(mut table) = field.table() else {
            return found;
        };
        for (name, ends) in WAZO_ENDS {
            if let Some(to) = table.field(name).and_then(|field| self.then(&field)) {
                for end in ends {
                    found.insert((*end).to_owned(), to.clone());
                }
            }
        }
        for end in QUEUE_ENDS.iter().copied().chain(["unknown"]) {
            if let Some(to) = table.field(end).and_then(|field| self.then(&field)) {
                found.insert(end.to_owned(), to);
            }
        }
        table.finish();
        found
    }

    /// `["spanish:50", "billing"]`.
    fn skills(&self, field: &Field<'_>) -> Vec<Skill> {
        let mut skills = Vec::new();
        for item in field
            .list()
            .unwrap_or_default()
            .into_iter()
            .take(MAX_SKILLS)
        {
            let Some(text) = item.string() else { continue };
            let (name, level) = match text.rsplit_once(':') {
                Some((name, level)) => (name, level.parse().ok()),
                None => (text, Some(1)),
            };
            match level.filter(|_| !name.is_empty()) {
                Some(level) => skills.push((name.to_owned(), level)),
                None => {
                    _ = item
                        .expected::<()>("a skill, or a skill and a level, such as \"spanish:50\"")
                }
            }
        }
        skills
    }

    /// The section `queues`.
    pub(super) fn queues(&self, root: &mut Table<'_>) -> Vec<FlowQueue> {
        let Some(section) = root.field("queues") else {
            return Vec::new();
        };
        let mut queues = Vec::new();
        for (entry, field) in section.table().iter().flat_map(Table::entries) {
            if let Some(mut table) = field.table() {
                let mut queue = self.flow_queue(&mut table);
                table.finish();
                queue.settings.name.clone_from(&entry.key);
                queue.settings.at = entry.at;
                queues.push(queue);
            }
        }
        queues
    }

    fn flow_queue(&self, table: &mut Table<'_>) -> FlowQueue {
        let usual = Queue::named("");
        let strategy = table
            .field("strategy")
            .and_then(|field| field.choice(&Strategy::ALL));
        for key in ["name", "label", "caller_id_mode", "caller_id_name"] {
            let _text = table.field(key).and_then(|field| field.string());
        }
        // Turned into keys before, see `import::queue_options`.
        let _options = table.field("options");
        let music = table.field("music_on_hold");
        let music = music
            .and_then(|field| field.string())
            .filter(|name| *name != "default");
        let mut fallbacks = table
            .field("fallbacks")
            .map(|field| self.queue_ends(&field))
            .unwrap_or_default();
        for (key, end) in [
            ("wait_time_destination", "hold"),
            ("wait_ratio_destination", "ratio"),
            ("callback", "callback"),
        ] {
            let to = table.field(key).and_then(|field| self.then(&field));
            fallbacks.extend(to.map(|to| (end.to_owned(), to)));
        }
        for key in [
            "ring_on_hold",
            "mark_answered_elsewhere",
            "retry_on_timeout",
            "enabled",
            "dtmf_hangup_callee_enabled",
            "dtmf_hangup_caller_enabled",
            "dtmf_record_callee_enabled",
            "dtmf_record_caller_enabled",
            "dtmf_record_toggle",
            "dtmf_transfer_callee_enabled",
            "dtmf_transfer_caller_enabled",
        ] {
            let _flag = table.field(key).and_then(|field| field.boolean());
        }
        let (members, users) = self.queue_members(table);
        let settings = Queue {
            members,
            strategy: strategy.unwrap_or(Strategy::RingAll),
            ring: seconds(table, "timeout").unwrap_or(usual.ring),
            retry: seconds(table, "retry").unwrap_or(usual.retry),
            max_wait: seconds(table, "max_wait"),
            wrap_up: seconds(table, "wrapup_time").unwrap_or_default(),
            max_length: count(table, "max_length").filter(|most| *most > 0),
            weight: count(table, "weight").unwrap_or(0) as i32,
            service_level: seconds(table, "service_level").unwrap_or(usual.service_level),
            hold_threshold: seconds(table, "wait_time_threshold"),
            ratio_threshold: table
                .field("wait_ratio_threshold")
                .and_then(|field| field.number(0.0..=DAY))
                .filter(|ratio| *ratio > 0.0),
            announce: announce(table),
            auto_pause: flag(table, "autopause"),
            join_when_empty: join_when_empty(table),
            leave_when_empty: leave_when_empty(table),
            music: music.map(str::to_owned),
            callback: read_callback(table, None),
            ..usual
        };
        FlowQueue {
            settings,
            users,
            fallbacks,
        }
    }

    /// Agents, and users of endpoints, by their names; each with its penalty.
    fn queue_members(&self, table: &mut Table<'_>) -> (Vec<QueueMember>, Vec<QueueMember>) {
        let (mut agents, mut users) = (Vec::new(), Vec::new());
        let Some(mut members) = table.field("members").and_then(|field| field.table()) else {
            return (agents, users);
        };
        for (key, names, list) in [
            ("agents", ["number", "id"], &mut agents),
            ("users", ["extension", "user"], &mut users),
        ] {
            let items = members.field(key).and_then(|field| field.list());
            let mut ranked = Vec::new();
            for item in items.unwrap_or_default() {
                let Some(mut member) = item.table() else {
                    continue;
                };
                let named: Vec<Field<'_>> = names
                    .into_iter()
                    .filter_map(|key| member.field(key))
                    .collect();
                let rank = |field: Option<Field<'_>>| {
                    field
                        .and_then(|field| field.integer(0..=10_000))
                        .unwrap_or(0)
                };
                let priority = rank(member.field("priority"));
                let penalty = rank(member.field("penalty")) as u32;
                let _skills = member.field("skills").map(|field| field.is_list());
                // Wazo's own, which mean nothing here.
                let _own = ["id", "uuid"].map(|key| member.field(key));
                match named.first().and_then(name_of) {
                    Some(agent) => ranked.push((priority, QueueMember { agent, penalty })),
                    None => member.error(format!("the key \"{}\" is missing", names[0])),
                }
                member.finish();
            }
            // Wazo's priority is the place in the list.
            ranked.sort_by_key(|(priority, _)| *priority);
            list.extend(ranked.into_iter().map(|(_, member)| member));
        }
        members.finish();
        (agents, users)
    }
}

fn announce(table: &mut Table<'_>) -> Announce {
    let usual = Announce::default();
    let on_entry = flag(table, "announce_hold_time_on_entry");
    let every = seconds(table, "announce_frequency");
    Announce {
        position: flag(table, "announce_position"),
        hold_time: flag(table, "announce_hold_time") || on_entry,
        first: match on_entry {
            true => Duration::from_secs(1),
            false => every.unwrap_or(usual.first),
        },
        every: every.unwrap_or(usual.every),
        ..usual
    }
}

/// A name that may be written as a number.
pub(super) fn name_of(field: &Field<'_>) -> Option<String> {
    match &field.node.value {
        Value::Str(text) if !text.is_empty() => Some(text.clone()),
        Value::Int(number) => Some(number.to_string()),
        _ => None,
    }
}

/// A time in seconds of which 0 means none.
fn seconds(table: &mut Table<'_>, key: &'static str) -> Option<Duration> {
    let field = table.field(key)?;
    let seconds = field.number(0.0..=DAY)?;
    Some(Duration::from_secs_f64(seconds)).filter(|time| !time.is_zero())
}

fn count(table: &mut Table<'_>, key: &'static str) -> Option<usize> {
    let field = table.field(key)?;
    Some(field.integer(0..=100_000)? as usize)
}

fn flag(table: &mut Table<'_>, key: &'static str) -> bool {
    let field = table.field(key);
    field.and_then(|field| field.boolean()) == Some(true)
}
