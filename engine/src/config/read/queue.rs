//! Reads `[[agent]]` and `[[queue]]`.
use super::value::{count, flag, header_text, list_of, name, optional_count, prefix, seconds};
use super::value::{key_of, not_empty, seconds_or_none};
use super::{Field, Sources, Table, entries, repeated, shown, unknown};
use crate::config::document::Value;
use crate::config::types::*;
use std::path::Path;
use std::time::Duration;

/// The most members of a queue.
const MAX_MEMBERS: usize = 1000;
/// The most skills of one agent or queue.
const MAX_SKILLS: usize = 64;
/// Keys of a phone.
const KEYS: &str = "0123456789*#ABCD";

/// Reads every `[[agent]]`.
pub(super) fn agents(
    root: &mut Table<'_>,
    endpoints: &[Endpoint],
    trunks: &[Trunk],
    sources: &Sources<'_>,
) -> Vec<Agent> {
    let mut agents: Vec<Agent> = Vec::new();
    for field in entries(root, "agent") {
        let Some(table) = field.table() else { continue };
        let Some((id, agent)) = agent(table, endpoints, trunks, sources) else {
            continue;
        };
        if let Some(earlier) = agents.iter().find(|each| each.id == agent.id) {
            repeated(&id, &agent.id, earlier.at);
            continue;
        }
        agents.push(agent);
    }
    agents
}

fn agent<'a>(
    mut table: Table<'a>,
    endpoints: &[Endpoint],
    trunks: &[Trunk],
    sources: &Sources<'_>,
) -> Option<(Field<'a>, Agent)> {
    let id = table.required("id");
    let reach = reach(&mut table, endpoints, trunks);
    let outside = matches!(reach, Some(Reach::Outside { .. }));
    let agent = Agent {
        id: String::new(),
        name: table
            .field("name")
            .and_then(|field| header_text(&field))
            .map(str::to_owned),
        pin: pin(&mut table, sources),
        skills: skills(&mut table),
        logged_in: flag(&mut table, "logged_in", true),
        confirm: flag(&mut table, "confirm", outside),
        wrap_up: optional_count(&mut table, "wrap_up_s", 0..=86_400)
            .map(|seconds| Duration::from_secs(seconds as u64)),
        // Replaced where it is known.
        reach: Reach::Endpoint(String::new()),
        at: table.at,
    };
    table.finish();
    let field = id?;
    let id = name(&field)?.to_owned();
    let agent = Agent {
        id,
        reach: reach?,
        at: field.at(),
        ..agent
    };
    Some((field, agent))
}

fn reach(table: &mut Table<'_>, endpoints: &[Endpoint], trunks: &[Trunk]) -> Option<Reach> {
    let (endpoint, number, trunk) = (
        table.field("endpoint"),
        table.field("number"),
        table.field("trunk"),
    );
    match (endpoint, number, trunk) {
        (Some(field), None, None) => {
            let name = field.string()?;
            let called =
                |each: &&Endpoint| each.user == name || each.extension.as_deref() == Some(name);
            let found = endpoints.iter().find(called);
            if found.is_none() {
                unknown(
                    &field,
                    "endpoint",
                    name,
                    endpoints.iter().map(|each| each.user.as_str()),
                );
            }
            Some(Reach::Endpoint(found?.user.clone()))
        }
        (None, Some(number), Some(trunk)) => {
            let name = trunk.string()?;
            if !trunks.iter().any(|each| each.name == name) {
                unknown(
                    &trunk,
                    "trunk",
                    name,
                    trunks.iter().map(|each| each.name.as_str()),
                );
            }
            Some(Reach::Outside {
                trunk: name.to_owned(),
                number: prefix(&number)?,
            })
        }
        _ => {
            table.error("is called at an \"endpoint\", or at a \"number\" over a \"trunk\": give one of these");
            None
        }
    }
}

/// `pin` or `pin_file`: digits that are keyed in.
pub(super) fn pin(table: &mut Table<'_>, sources: &Sources<'_>) -> Option<crate::config::Secret> {
    let pin = super::login::secret(table, sources, "pin", "pin_file")?;
    let digits = pin.expose().bytes().all(|byte| byte.is_ascii_digit());
    if !digits || pin.expose().len() > 32 {
        // The value itself is not shown.
        table.error("has a \"pin\" that cannot be keyed in: it is 1 to 32 digits");
        return None;
    }
    Some(pin)
}

/// `["spanish:50", "billing"]`.
fn skills(table: &mut Table<'_>) -> Vec<Skill> {
    let Some(field) = table.field("skills") else {
        return Vec::new();
    };
    let found = list_of(&field, |item| rated(item, 1));
    if found.len() > MAX_SKILLS {
        field.error(format!("has more than {MAX_SKILLS} entries, the limit"));
    }
    found
}

/// `NAME` or `NAME:NUMBER`.
fn rated(field: &Field<'_>, usual: u32) -> Option<(String, u32)> {
    let text = field.string()?;
    let (name, number) = match text.rsplit_once(':') {
        Some((name, number)) => (name, number.parse().ok()),
        None => (text, Some(usual)),
    };
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    let named = (1..=64).contains(&name.len()) && name.bytes().all(fits);
    match number.filter(|number| named && *number <= 10_000) {
        Some(number) => Some((name.to_owned(), number)),
        None => {
            field.expected("a name, or a name and a number from 0 to 10000, such as \"NAME:5\"")
        }
    }
}

/// What a queue may refer to.
pub(super) struct Known<'a> {
    pub(super) agents: &'a [Agent],
    pub(super) trunks: &'a [Trunk],
    pub(super) base: &'a Path,
}

/// Reads every `[[queue]]`.
pub(super) fn queues(root: &mut Table<'_>, known: &Known<'_>) -> Vec<Queue> {
    let mut queues: Vec<Queue> = Vec::new();
    for field in entries(root, "queue") {
        let Some(table) = field.table() else { continue };
        let Some((named, queue)) = queue(table, known) else {
            continue;
        };
        if let Some(earlier) = queues.iter().find(|each| each.name == queue.name) {
            repeated(&named, &queue.name, earlier.at);
            continue;
        }
        queues.push(queue);
    }
    queues
}

fn queue<'a>(mut table: Table<'a>, known: &Known<'_>) -> Option<(Field<'a>, Queue)> {
    let named = table.required("name");
    let usual = Queue::named("");
    let weight = table.field("weight");
    let ratio = table.field("ratio_threshold");
    let queue = Queue {
        members: members(&mut table, known),
        strategy: table
            .field("strategy")
            .and_then(|field| field.choice(&Strategy::ALL))
            .unwrap_or(usual.strategy),
        ring: seconds(&mut table, "ring_s", 1, usual.ring.as_secs()),
        retry: seconds(&mut table, "retry_s", 0, usual.retry.as_secs()),
        rounds: None,
        wrap_up: seconds(&mut table, "wrap_up_s", 0, 0),
        max_length: optional_count(&mut table, "max_length", 0..=100_000),
        max_wait: seconds_or_none(&mut table, "max_wait_s", 0),
        weight: weight
            .and_then(|field| field.integer(-1000..=1000))
            .unwrap_or(0) as i32,
        max_penalty: optional_count(&mut table, "max_penalty", 0..=10_000).map(|most| most as u32),
        skills: skills(&mut table),
        skills_relax: seconds_or_none(&mut table, "skills_relax_s", 0),
        join_when_empty: join_when_empty(&mut table),
        leave_when_empty: leave_when_empty(&mut table),
        auto_pause: flag(&mut table, "auto_pause", false),
        hold_threshold: seconds_or_none(&mut table, "hold_threshold_s", 0),
        ratio_threshold: ratio.and_then(|field| field.number(0.1..=1000.0)),
        service_level: seconds(
            &mut table,
            "service_level_s",
            1,
            usual.service_level.as_secs(),
        ),
        announce: announce(&mut table, known.base),
        music: prompt_file(&mut table, "music", known.base),
        exit_keys: exit_keys(&mut table),
        whisper: prompt_file(&mut table, "whisper", known.base),
        callback: read_callback(&mut table, Some(known.trunks)),
        then: then(&mut table),
        ..usual
    };
    table.finish();
    let named = named?;
    let queue = Queue {
        name: name(&named)?.to_owned(),
        at: named.at(),
        ..queue
    };
    Some((named, queue))
}

/// `["2001", "2002:5"]`: agents, and their penalties.
fn members(table: &mut Table<'_>, known: &Known<'_>) -> Vec<QueueMember> {
    let Some(field) = table.field("members") else {
        return Vec::new();
    };
    let ids = || known.agents.iter().map(|agent| agent.id.as_str());
    let mut members: Vec<QueueMember> = Vec::new();
    for item in field.list().unwrap_or_default() {
        let Some((agent, penalty)) = rated(&item, 0) else {
            continue;
        };
        if !ids().any(|id| id == agent) {
            unknown(&item, "agent", &agent, ids());
        }
        if members.iter().any(|member| member.agent == agent) {
            item.error("is given twice");
        }
        members.push(QueueMember { agent, penalty });
    }
    if members.len() > MAX_MEMBERS {
        field.error(format!("has more than {MAX_MEMBERS} members, the limit"));
    }
    members
}

/// A word for a rule, `true` for `"yes"` and `false` for `"no"`, or a list of the states that count as being away.
fn when_empty(
    table: &mut Table<'_>,
    key: &'static str,
    never: &'static str,
    usual: &'static str,
) -> Option<Absent> {
    let field = table.field(key)?;
    if field.is_list() {
        let words = list_of(&field, |item| item.choice(&Absent::WORDS));
        return Some(words.into_iter().fold(Absent::default(), Absent::with));
    }
    let rules = [
        (never, None),
        (usual, Some(Absent::USUAL)),
        ("loose", Some(Absent::LOOSE)),
        ("strict", Some(Absent::STRICT)),
    ];
    if let Value::Bool(yes) = field.node.value {
        let word = if yes { "yes" } else { "no" };
        return rules.iter().find(|(rule, _)| *rule == word)?.1;
    }
    field.choice(&rules).flatten()
}

/// `join_when_empty`: whom those must be who are there, for a caller to be let in; `None`: everybody is.
pub(crate) fn join_when_empty(table: &mut Table<'_>) -> Option<Absent> {
    when_empty(table, "join_when_empty", "yes", "no")
}

/// `leave_when_empty`: the same for callers who wait; `None`: everybody stays.
pub(crate) fn leave_when_empty(table: &mut Table<'_>) -> Option<Absent> {
    when_empty(table, "leave_when_empty", "no", "yes")
}

fn announce(table: &mut Table<'_>, base: &Path) -> Announce {
    let usual = Announce::default();
    let prompts = table.field("announce_prompts");
    Announce {
        position: flag(table, "announce_position", false),
        hold_time: flag(table, "announce_hold_time", false),
        first: seconds(table, "announce_first_s", 1, usual.first.as_secs()),
        every: seconds(table, "announce_every_s", 0, usual.every.as_secs()),
        prompts: prompts.and_then(|field| Some(key_of(not_empty(&field)?, base))),
        comfort: prompt_file(table, "announce_comfort", base),
    }
}

fn exit_keys(table: &mut Table<'_>) -> String {
    let Some(field) = table.field("exit_keys") else {
        return String::new();
    };
    match field.string() {
        Some(keys) if keys.chars().all(|key| KEYS.contains(key)) => keys.to_owned(),
        Some(_) => field
            .expected("keys of a phone, such as \"*0\"")
            .unwrap_or_default(),
        None => String::new(),
    }
}

fn prompt_file(table: &mut Table<'_>, key: &'static str, base: &Path) -> Option<String> {
    let field = table.field(key)?;
    Some(key_of(not_empty(&field)?, base))
}

/// The keys `callback_…`, which queues of flows have as well; those do not know what trunks there are.
pub(crate) fn read_callback(table: &mut Table<'_>, trunks: Option<&[Trunk]>) -> Option<Callback> {
    let (key, trunk) = (table.field("callback_key"), table.field("callback_trunk"));
    let allow = table.field("callback_allow");
    let caller_id = table.field("callback_caller_id");
    let ring = seconds(table, "callback_ring_s", 5, 30);
    let attempts = count(table, "callback_attempts", 1..=20, 3) as u32;
    let retry = seconds(table, "callback_retry_s", 10, 300);
    let allow = allow
        .map(|field| list_of(&field, prefix))
        .unwrap_or_default();
    let caller_id = caller_id.and_then(|field| prefix(&field));
    let Some(key) = key else {
        if trunk.is_some() || !allow.is_empty() {
            table.error("calls nobody back without \"callback_key\", the key that asks for it");
        }
        return None;
    };
    let pressed = key.string().and_then(|text| {
        let mut keys = text.chars();
        match (keys.next(), keys.next()) {
            (Some(one), None) if KEYS.contains(one) => Some(one),
            _ => key.expected("one key of a phone, such as \"2\""),
        }
    });
    let Some(trunk) = trunk else {
        key.error("needs \"callback_trunk\": callers are called back over it");
        return None;
    };
    let name = trunk.string()?;
    if let Some(trunks) = trunks
        && !trunks.iter().any(|each| each.name == name)
    {
        let known = trunks.iter().map(|each| each.name.as_str());
        unknown(&trunk, "trunk", name, known);
    }
    if allow.is_empty() {
        key.error("needs \"callback_allow\": the beginnings of the numbers that may be called back; others would call at your cost");
    }
    Some(Callback {
        key: pressed?,
        trunk: name.to_owned(),
        allow,
        caller_id,
        ring,
        attempts,
        retry,
    })
}

/// `on_full = "300"` and its like: numbers that callers are sent to.
fn then(table: &mut Table<'_>) -> Vec<(String, String)> {
    const ENDS: [(&str, &str); 8] = [
        ("on_callback", "callback"),
        ("on_empty", "empty"),
        ("on_full", "full"),
        ("on_hold", "hold"),
        ("on_key", "key"),
        ("on_ratio", "ratio"),
        ("on_removed", "removed"),
        ("on_timeout", "timeout"),
    ];
    let mut then = Vec::new();
    for (key, end) in ENDS {
        if let Some(field) = table.field(key)
            && let Some(number) = not_empty(&field)
        {
            if number.len() > 64 || number.contains(char::is_control) {
                field.error(format!("\"{}\" is no number", shown(number)));
            }
            then.push((end.to_owned(), number.to_owned()));
        }
    }
    then
}
