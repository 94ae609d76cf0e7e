//! Reads `[[number]]` and holds it against the trunks, endpoints and groups there are.
use super::login::{from_env, secret};
use super::value::{count, not_empty};
use super::webhook::address;
use super::{Field, Sources, Table, entries, shown, unknown};
use crate::config::NumberPattern;
use crate::config::document::problem::{did_you_mean, quoted};
use crate::config::types::*;
use std::path::Path;

/// The kinds of destination, in the order in which messages name them.
const KINDS: [&str; 9] = [
    "flow",
    "endpoint",
    "ring_group",
    "queue",
    "agent",
    "trunk",
    "voicemail",
    "voicemail_access",
    "webhook",
];
/// What belongs to a `webhook`.
const OF_WEBHOOK: [&str; 6] = [
    "webhook_secret",
    "webhook_secret_file",
    "webhook_secret_env",
    "webhook_timeout_ms",
    "fallback_url",
    "fallback",
];
/// Longest text of fallback verbs, octets.
const MAX_FALLBACK: usize = 64 * 1024;
/// Kinds that have a name already and no code yet.
const NOT_BUILT: [&str; 1] = ["app"];

/// What a number may refer to.
pub(super) struct Known<'a> {
    pub(super) trunks: &'a [Trunk],
    pub(super) endpoints: &'a [Endpoint],
    pub(super) groups: &'a [RingGroup],
    pub(super) queues: &'a [Queue],
    pub(super) boxes: &'a [VoicemailBox],
    pub(super) sources: &'a Sources<'a>,
}

impl Known<'_> {
    fn trunk_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.trunks.iter().map(|trunk| trunk.name.as_str())
    }

    fn users(&self) -> impl Iterator<Item = &str> + Clone {
        self.endpoints.iter().map(|endpoint| endpoint.user.as_str())
    }

    fn voicemail(&self, field: &Field<'_>, name: &str) -> Option<String> {
        let names = self.boxes.iter().map(|each| each.name.as_str());
        check_known(field, "voicemail", name, names)?;
        Some(name.to_owned())
    }

    fn group_names(&self) -> impl Iterator<Item = &str> + Clone {
        self.groups.iter().map(|group| group.name.as_str())
    }
}

/// Reads every `[[number]]`.
pub(super) fn numbers(root: &mut Table<'_>, known: &Known<'_>) -> Vec<Number> {
    let mut numbers: Vec<Number> = Vec::new();
    for field in entries(root, "number") {
        let Some(table) = field.table() else { continue };
        let Some((to, number)) = number(table, known) else {
            continue;
        };
        let rival = numbers.iter().find(|earlier| {
            earlier.to == number.to
                && earlier
                    .from
                    .iter()
                    .any(|one| number.from.iter().any(|other| one.overlaps(other)))
        });
        if let Some(earlier) = rival {
            to.error(format!(
                "\"{}\" is already given in line {} for the same callers: a call can go to one place only",
                shown(number.to.as_str()),
                earlier.at.line
            ));
            continue;
        }
        numbers.push(number);
    }
    numbers
}

fn number<'a>(mut table: Table<'a>, known: &Known<'_>) -> Option<(Field<'a>, Number)> {
    let to = table.required("to");
    let from = table.field("from");
    let mut destination = destination(&mut table, known);
    webhook_keys(&mut table, known, destination.as_mut());
    table.finish();
    let to = to?;
    let text = to.string()?;
    let pattern = match NumberPattern::parse(text) {
        Ok(pattern) => pattern,
        Err(error) => {
            to.error(format!("\"{}\" {}", shown(text), error.0));
            return None;
        }
    };
    let callers = match &from {
        Some(field) => callers(field, known),
        None => default_callers(destination.as_ref()),
    };
    let leads_out = matches!(destination, Some((_, NumberDestination::Trunk(_))));
    if leads_out && callers.iter().any(Callers::admits_strangers) {
        from.as_ref().unwrap_or(&to).error(
            "opens a trunk to everybody: a number that leads to a trunk may be called by \"endpoint\" and \"trunk\" only",
        );
    }
    if let Some((field, NumberDestination::Agent(service))) = &destination {
        check_service(field, *service, from.as_ref(), &callers);
    }
    let (_, destination) = destination?;
    let number = Number {
        to: pattern,
        from: callers,
        destination,
        at: to.at(),
    };
    Some((to, number))
}

/// Who listens to others' calls is written down; a stranger does nothing of the kind.
fn check_service(
    field: &Field<'_>,
    service: AgentService,
    from: Option<&Field<'_>>,
    callers: &[Callers],
) {
    if service.supervises() && from.is_none() {
        field.error("lets a caller into other people's calls: say with \"from\" who may, such as [\"endpoint:boss\"]");
    }
    if callers.iter().any(Callers::admits_strangers) {
        from.unwrap_or(field).error(
            "opens agents' services to everybody: they are for \"endpoint\" and \"trunk\" only",
        );
    }
}

/// Calls from a trunk go out over a trunk only where the file says so: that is how toll fraud pays.
fn default_callers(destination: Option<&(Field<'_>, NumberDestination)>) -> Vec<Callers> {
    match destination {
        Some((
            _,
            NumberDestination::Trunk(_)
            | NumberDestination::Agent(_)
            | NumberDestination::VoicemailAccess(_),
        )) => vec![Callers::AnyEndpoint],
        _ => vec![Callers::AnyTrunk, Callers::AnyEndpoint],
    }
}

fn destination<'a>(
    table: &mut Table<'a>,
    known: &Known<'_>,
) -> Option<(Field<'a>, NumberDestination)> {
    for kind in NOT_BUILT {
        if let Some(field) = table.field_unlisted(kind) {
            field.error(format!(
                "leads to a kind of program that is not built yet in this version; use {}",
                quoted(KINDS)
            ));
        }
    }
    let given: Vec<(&str, Field<'a>)> = KINDS
        .into_iter()
        .filter_map(|kind| Some((kind, table.field(kind)?)))
        .collect();
    match given.as_slice() {
        [] if NOT_BUILT.iter().any(|kind| table.has(kind)) => None,
        [] => {
            table.error(format!(
                "leads nowhere: one of {} is missing",
                quoted(KINDS)
            ));
            None
        }
        [(kind, field)] => Some((field.clone(), read_destination(kind, field, known)?)),
        [_, (kind, second), ..] => {
            second.error(format!(
                "is one destination too many: keep \"{}\" or \"{kind}\"",
                given[0].0
            ));
            None
        }
    }
}

fn read_destination(kind: &str, field: &Field<'_>, known: &Known<'_>) -> Option<NumberDestination> {
    let name = not_empty(field)?;
    match kind {
        "flow" => Some(NumberDestination::Flow(flow_source(
            field,
            known.sources.base,
        )?)),
        "endpoint" => {
            let found = known
                .endpoints
                .iter()
                .find(|each| each.user == name || each.extension.as_deref() == Some(name));
            if found.is_none() {
                unknown(field, "endpoint", name, known.users());
            }
            Some(NumberDestination::Endpoint(found?.user.clone()))
        }
        "ring_group" => {
            check_known(field, "ring_group", name, known.group_names())?;
            Some(NumberDestination::RingGroup(name.to_owned()))
        }
        "queue" => {
            let names = known.queues.iter().map(|queue| queue.name.as_str());
            check_known(field, "queue", name, names)?;
            Some(NumberDestination::Queue(name.to_owned()))
        }
        "voicemail" => Some(NumberDestination::Voicemail(known.voicemail(field, name)?)),
        "voicemail_access" => Some(NumberDestination::VoicemailAccess(match name {
            "own" => None,
            name => Some(known.voicemail(field, name)?),
        })),
        "agent" => Some(NumberDestination::Agent(field.choice(&AgentService::ALL)?)),
        "webhook" => Some(NumberDestination::Webhook(Box::new(NumberWebhook {
            url: address(field)?,
            secret: None,
            timeout_ms: 5000,
            fallback_url: None,
            fallback: None,
            at: field.at(),
        }))),
        _ => {
            check_known(field, "trunk", name, known.trunk_names())?;
            let trunk = known.trunks.iter().find(|trunk| trunk.name == name)?;
            if trunk.targets.is_empty() && !field.report().failed() {
                field.error(format!(
                    "trunk \"{name}\" (line {}) has no target, so no call can be sent there",
                    trunk.at.line
                ));
            }
            Some(NumberDestination::Trunk(name.to_owned()))
        }
    }
}

/// What belongs to a webhook, and to nothing else.
fn webhook_keys(
    table: &mut Table<'_>,
    known: &Known<'_>,
    destination: Option<&mut (Field<'_>, NumberDestination)>,
) {
    let given = OF_WEBHOOK.map(|key| table.field(key));
    let elsewhere =
        matches!(&destination, Some((_, other)) if !matches!(other, NumberDestination::Webhook(_)));
    if let (Some(field), true) = (given.iter().flatten().next(), elsewhere) {
        field.error("is for a number that leads to a \"webhook\"");
    }
    let secret = match &given[..3] {
        [None, None, Some(env)] => from_env(env),
        [_, _, Some(env)] => {
            env.error("is given beside \"webhook_secret\" or \"webhook_secret_file\"; keep one");
            None
        }
        _ => secret(
            table,
            known.sources,
            "webhook_secret",
            "webhook_secret_file",
        ),
    };
    let timeout_ms = count(table, "webhook_timeout_ms", 100..=30_000, 5000) as u32;
    let [_, _, _, _, fallback_url, fallback] = given;
    let fallback_url = fallback_url.and_then(|field| address(&field));
    let verbs = fallback.as_ref().and_then(|field| {
        let text = not_empty(field)?;
        if text.len() > MAX_FALLBACK {
            field.error(format!("has more than {MAX_FALLBACK} octets"));
        }
        Some(text.to_owned())
    });
    if let Some((_, NumberDestination::Webhook(hook))) = destination {
        let at = fallback.as_ref().map_or(hook.at, Field::at);
        **hook = NumberWebhook {
            url: std::mem::take(&mut hook.url),
            secret,
            timeout_ms,
            fallback_url,
            fallback: verbs,
            at,
        };
    }
}

fn check_known<'n>(
    field: &Field<'_>,
    kind: &str,
    name: &str,
    known: impl Iterator<Item = &'n str> + Clone,
) -> Option<()> {
    if known.clone().any(|each| each == name) {
        return Some(());
    }
    unknown(field, kind, name, known);
    None
}

fn callers(field: &Field<'_>, known: &Known<'_>) -> Vec<Callers> {
    let found = super::value::list_of(field, |item| caller(item, known));
    if field.list().is_some_and(|items| items.is_empty()) {
        field.expected::<()>(
            "a list of at least one kind of caller such as \"trunk\", \"endpoint\" or \"anyone\"",
        );
    }
    found
}

fn caller(field: &Field<'_>, known: &Known<'_>) -> Option<Callers> {
    const PLAIN: [(&str, Callers); 4] = [
        ("anyone", Callers::Anyone),
        ("stranger", Callers::Stranger),
        ("trunk", Callers::AnyTrunk),
        ("endpoint", Callers::AnyEndpoint),
    ];
    let text = field.string()?;
    if let Some(name) = text.strip_prefix("trunk:") {
        check_known(field, "trunk", name, known.trunk_names())?;
        return Some(Callers::Trunk(name.to_owned()));
    }
    if let Some(user) = text.strip_prefix("endpoint:") {
        check_known(field, "endpoint", user, known.users())?;
        return Some(Callers::Endpoint(user.to_owned()));
    }
    if let Some((_, callers)) = PLAIN.iter().find(|(name, _)| *name == text) {
        return Some(callers.clone());
    }
    let names = || PLAIN.iter().map(|(name, _)| *name);
    let forms = quoted(names().chain(["trunk:NAME", "endpoint:USER"]));
    let hint = did_you_mean(text, names());
    field.error(format!("must be {forms}, but is \"{}\"{hint}", shown(text)));
    None
}

fn flow_source(field: &Field<'_>, base: &Path) -> Option<FlowSource> {
    let text = not_empty(field)?;
    let Some(name) = text.strip_prefix("builtin:") else {
        return Some(FlowSource::File(base.join(text)));
    };
    if BUILTIN_FLOWS.contains(&name) {
        return Some(FlowSource::Builtin(name.to_owned()));
    }
    let hint = did_you_mean(name, BUILTIN_FLOWS.iter().copied());
    let known = quoted(BUILTIN_FLOWS.iter().copied());
    field.error(format!(
        "there is no built-in flow \"{}\"; there is {known}{hint}",
        shown(name)
    ));
    None
}
