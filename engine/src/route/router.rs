//! Which called number leads where for whom, and which line of the file says so. Pure.
//!
//! A `[[number]]` exists only for the callers its `from` names; of those that fit, the most exact pattern counts. A phone also
//! reaches the other phones and the ring groups by name and extension. What nothing names is refused.
use super::numbering::{longest_prefix, normalised, without_separators};
use super::refusal::Refusal;
use crate::config::{
    AgentService, Callers, Config, FlowSource, Number, NumberDestination, NumberWebhook,
};
use std::borrow::Cow;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use trunkline_sip::Origin;

/// Who calls.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// As the gate knows it.
    pub origin: &'a Origin,
    /// The number or user the caller is believed to have; empty: unknown.
    pub from: &'a str,
    /// The address it called from, where that is known.
    pub source: Option<IpAddr>,
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Destination {
    /// A program.
    Flow(FlowSource),
    /// A phone, by its user.
    Endpoint(String),
    /// A ring group, by its name.
    RingGroup(String),
    /// A queue, by its name.
    Queue(String),
    /// A service for agents and supervisors.
    Agent(AgentService),
    /// A message is left in this `[[voicemail]]`.
    Voicemail(String),
    /// Messages are heard: of this `[[voicemail]]`, or of the phone's own.
    VoicemailAccess(Option<String>),
    /// A web service.
    Webhook(Box<NumberWebhook>),
    /// A number over a trunk.
    Trunk {
        /// The trunk's name.
        trunk: String,
        /// The number, as `+` and digits where the trunk's rules say how; its `rewrite` comes later.
        number: String,
    },
}

/// What becomes of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// Which rule decided, with its line.
    pub rule: String,
    /// Where the call goes, or why it goes nowhere.
    pub outcome: Result<Destination, Refusal>,
    /// The caller's number after translation.
    pub from: String,
    /// The called number after translation.
    pub to: String,
    /// How that came about, one sentence each; empty unless asked for.
    pub steps: Vec<String>,
}

/// The numbers of a configuration, ready to be searched.
#[derive(Debug)]
pub struct Router {
    config: Arc<Config>,
    /// Entries for one number only, by that number.
    exact: HashMap<String, Vec<usize>>,
    /// All others, the most exact first.
    patterns: Vec<usize>,
}

/// Sentences, where somebody wants to read them.
struct Steps(Option<Vec<String>>);

impl Steps {
    fn say(&mut self, sentence: impl FnOnce() -> String) {
        if let Some(steps) = &mut self.0 {
            steps.push(sentence());
        }
    }
}

impl Router {
    /// A router for this configuration.
    pub fn new(config: Arc<Config>) -> Self {
        let mut exact: HashMap<String, Vec<usize>> = HashMap::new();
        let mut patterns = Vec::new();
        for (index, number) in config.numbers.iter().enumerate() {
            match number.to.is_exact() {
                true => exact
                    .entry(number.to.as_str().to_owned())
                    .or_default()
                    .push(index),
                false => patterns.push(index),
            }
        }
        // The sort is stable: of two equally exact patterns the first of the file counts.
        patterns.sort_by_key(|index| std::cmp::Reverse(config.numbers[*index].to.exactness()));
        Self {
            config,
            exact,
            patterns,
        }
    }

    /// The configuration it routes by.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Where a call to `to` goes.
    pub fn route(&self, caller: &Caller<'_>, to: &str) -> Routed {
        let inside = matches!(caller.origin, Origin::User(_));
        self.decide(caller, to, inside, Steps(None))
    }

    /// Where a program that serves this caller gets to with `to`: as the caller, and besides, whoever calls, to phones and ring groups by name and
    /// extension as phones reach each other. What a program dials is what whoever runs the server wrote.
    pub fn route_of_program(&self, caller: &Caller<'_>, to: &str) -> Routed {
        self.decide(caller, to, true, Steps(None))
    }

    /// As [`Router::route`], with the reasons.
    pub fn explain(&self, caller: &Caller<'_>, to: &str) -> Routed {
        let inside = matches!(caller.origin, Origin::User(_));
        self.decide(caller, to, inside, Steps(Some(Vec::new())))
    }

    /// Whether somebody unknown may call this number.
    pub fn is_open(&self, to: &str) -> bool {
        let stranger = Caller {
            origin: &Origin::Stranger,
            from: "",
            source: None,
        };
        let to = without_separators(to);
        let found = self.find(&stranger, &[&to], false, &mut Steps(None));
        found.is_some()
    }

    /// Whether somebody unknown may call any number.
    pub fn has_open_numbers(&self) -> bool {
        let open = |number: &Number| number.from.iter().any(Callers::admits_strangers);
        self.config.numbers.iter().any(open)
    }

    /// `inside`: phones and groups are found by name and extension.
    fn decide(&self, caller: &Caller<'_>, dialled: &str, inside: bool, mut steps: Steps) -> Routed {
        steps.say(|| self.introduce(caller));
        let to = self.translated(caller, dialled, &mut steps);
        let found = self.find(caller, &[&to, dialled], inside, &mut steps);
        let (rule, outcome) = match found {
            Some(Found::Number(number)) => (
                self.named(number),
                self.destination(caller, number, &to, &mut steps),
            ),
            Some(Found::Endpoint(user, line)) => (
                format!("[[endpoint]] {user:?} in line {line}"),
                self.endpoint(user),
            ),
            Some(Found::RingGroup(name, line)) => (
                format!("[[ring_group]] {name:?} in line {line}"),
                Ok(Destination::RingGroup(name.to_owned())),
            ),
            None => self.nowhere(caller, &to, &mut steps),
        };
        Routed {
            rule,
            outcome,
            from: caller.from.to_owned(),
            to: to.into_owned(),
            steps: steps.0.unwrap_or_default(),
        }
    }

    fn introduce(&self, caller: &Caller<'_>) -> String {
        let source = caller
            .source
            .map_or(String::new(), |ip| format!(" at {ip}"));
        let line = |at: Option<u32>| at.map_or(String::new(), |line| format!(" (line {line})"));
        match caller.origin {
            Origin::Stranger => format!("the caller{source} is nobody known"),
            Origin::Peer(name) => {
                let at = self.config.trunk(name).map(|trunk| trunk.at.line);
                format!("the caller{source} is trunk {name:?}{}", line(at))
            }
            Origin::User(user) => {
                let at = self.config.endpoint(user).map(|endpoint| endpoint.at.line);
                format!("the caller{source} is endpoint {user:?}{}", line(at))
            }
        }
    }

    /// The called number as the rules are written for it.
    fn translated<'t>(
        &self,
        caller: &Caller<'_>,
        dialled: &'t str,
        steps: &mut Steps,
    ) -> Cow<'t, str> {
        let trunk = match caller.origin {
            Origin::Peer(name) => self.config.trunk(name),
            _ => None,
        };
        let to = match trunk {
            Some(trunk) => normalised(&trunk.numbering, dialled),
            None => without_separators(dialled),
        };
        if to != dialled {
            steps.say(|| match trunk {
                Some(trunk) => format!(
                    "{dialled:?} is {to:?} by the country_code and prefixes of trunk {:?} (line {})",
                    trunk.name, trunk.at.line
                ),
                None => format!("{dialled:?} is {to:?} without separators"),
            });
        }
        to
    }

    /// The rule for the first of these spellings that has one.
    fn find(
        &self,
        caller: &Caller<'_>,
        spellings: &[&str],
        inside: bool,
        steps: &mut Steps,
    ) -> Option<Found<'_>> {
        let admitting = |index: &usize, steps: &mut Steps| {
            let number = &self.config.numbers[*index];
            if admits(number, caller.origin) {
                return Some(Found::Number(number));
            }
            steps.say(|| {
                format!(
                    "{} fits, but admits only {}",
                    self.named(number),
                    listed(&number.from)
                )
            });
            None
        };
        let mut spellings = spellings.to_vec();
        spellings.dedup();
        for to in &spellings {
            let exact = self.exact.get(*to).into_iter().flatten();
            for index in exact {
                if let Some(found) = admitting(index, steps) {
                    return Some(found);
                }
            }
        }
        if inside {
            let named = spellings.iter().find_map(|to| self.phone_or_group(to));
            if named.is_some() {
                steps.say(|| "phones reach each other by name and extension".to_owned());
                return named;
            }
        }
        for index in &self.patterns {
            let pattern = &self.config.numbers[*index].to;
            if spellings.iter().any(|to| pattern.matches(to))
                && let Some(found) = admitting(index, steps)
            {
                return Some(found);
            }
        }
        None
    }

    fn phone_or_group(&self, name: &str) -> Option<Found<'_>> {
        if let Some(endpoint) = self.config.endpoint_called(name) {
            return Some(Found::Endpoint(&endpoint.user, endpoint.at.line));
        }
        let group = self.config.ring_group(name)?;
        Some(Found::RingGroup(&group.name, group.at.line))
    }

    fn destination(
        &self,
        caller: &Caller<'_>,
        number: &Number,
        to: &str,
        steps: &mut Steps,
    ) -> Result<Destination, Refusal> {
        match &number.destination {
            NumberDestination::Flow(source) => Ok(Destination::Flow(source.clone())),
            NumberDestination::Endpoint(user) => self.endpoint(user),
            NumberDestination::RingGroup(name) => Ok(Destination::RingGroup(name.clone())),
            NumberDestination::Queue(name) => Ok(Destination::Queue(name.clone())),
            NumberDestination::Agent(service) => Ok(Destination::Agent(*service)),
            NumberDestination::Voicemail(name) => Ok(Destination::Voicemail(name.clone())),
            NumberDestination::VoicemailAccess(name) => {
                Ok(Destination::VoicemailAccess(name.clone()))
            }
            NumberDestination::Webhook(hook) => Ok(Destination::Webhook(hook.clone())),
            NumberDestination::Trunk(name) => self.over_trunk(caller, name, to, steps),
        }
    }

    fn endpoint(&self, user: &str) -> Result<Destination, Refusal> {
        match self.config.endpoint(user) {
            Some(endpoint) if endpoint.dnd => Err(Refusal::new(
                603,
                "do-not-disturb",
                format!(
                    "endpoint {user:?} (line {}) has dnd = true",
                    endpoint.at.line
                ),
            )),
            _ => Ok(Destination::Endpoint(user.to_owned())),
        }
    }

    fn over_trunk(
        &self,
        caller: &Caller<'_>,
        name: &str,
        to: &str,
        steps: &mut Steps,
    ) -> Result<Destination, Refusal> {
        // The file is checked for this; it must hold whatever else changes.
        if *caller.origin == Origin::Stranger {
            let text = "a stranger never reaches a trunk".to_owned();
            return Err(Refusal::new(403, "stranger-to-trunk", text));
        }
        let Some(trunk) = self.config.trunk(name) else {
            let text = format!("there is no [[trunk]] {name:?}");
            return Err(Refusal::new(500, "no-such-trunk", text));
        };
        let number = normalised(&trunk.numbering, to);
        if number != to {
            steps.say(|| {
                format!(
                    "{to:?} is {number:?} by the country_code and prefixes of trunk {name:?} (line {})",
                    trunk.at.line
                )
            });
        }
        if let Origin::User(user) = caller.origin
            && let Some(endpoint) = self.config.endpoint(user)
            && let Some(allowed) = &endpoint.allow_outbound
        {
            let Some(prefix) = longest_prefix(allowed, &number) else {
                let text = format!(
                    "{number:?} begins with nothing in allow_outbound of endpoint {user:?} (line {})",
                    endpoint.at.line
                );
                return Err(Refusal::new(403, "allow-outbound", text));
            };
            steps.say(|| format!("allow_outbound of endpoint {user:?} has {prefix:?}"));
        }
        self.rewriting(name, &number, steps);
        Ok(Destination::Trunk {
            trunk: name.to_owned(),
            number: number.into_owned(),
        })
    }

    /// Tells what the trunk will make of the number when it is dialled.
    fn rewriting(&self, trunk: &str, number: &str, steps: &mut Steps) {
        let Some(trunk) = self.config.trunk(trunk) else {
            return;
        };
        let mut changes = trunk.numbering.rewrite.iter();
        if let Some(change) = changes.find(|change| number.starts_with(&change.prefix)) {
            steps.say(|| {
                format!(
                    "rewrite of trunk {:?} (line {}) sends {:?}",
                    trunk.name,
                    trunk.at.line,
                    format!("{}{}", change.replace, &number[change.prefix.len()..])
                )
            });
        }
    }

    /// The same answer whether the number exists for others or not: who may not call it learns nothing.
    fn nowhere(
        &self,
        caller: &Caller<'_>,
        to: &str,
        steps: &mut Steps,
    ) -> (String, Result<Destination, Refusal>) {
        let who = match caller.origin {
            Origin::Stranger => "strangers".to_owned(),
            Origin::Peer(name) => format!("trunk {name:?}"),
            Origin::User(user) => format!("endpoint {user:?}"),
        };
        let text = format!(
            "no [[number]] for {to:?} admits {who} in {}",
            self.config.source
        );
        steps.say(|| text.clone());
        let refusal = Refusal::new(404, "no-such-number", text);
        ("no rule".to_owned(), Err(refusal))
    }

    fn named(&self, number: &Number) -> String {
        format!(
            "[[number]] {:?} in line {}",
            number.to.as_str(),
            number.at.line
        )
    }
}

/// A rule that was found.
enum Found<'a> {
    Number(&'a Number),
    /// A user, with its line.
    Endpoint(&'a str, u32),
    /// A name, with its line.
    RingGroup(&'a str, u32),
}

/// Whether the entry is there for this caller.
fn admits(number: &Number, origin: &Origin) -> bool {
    number.from.iter().any(|callers| match (callers, origin) {
        (Callers::Anyone, _) | (Callers::Stranger, Origin::Stranger) => true,
        (Callers::AnyTrunk, Origin::Peer(_)) | (Callers::AnyEndpoint, Origin::User(_)) => true,
        (Callers::Trunk(name), Origin::Peer(peer)) => **peer == **name,
        (Callers::Endpoint(name), Origin::User(user)) => **user == **name,
        _ => false,
    })
}

fn listed(callers: &[Callers]) -> String {
    let callers: Vec<String> = callers.iter().map(|each| format!("\"{each}\"")).collect();
    callers.join(", ")
}

#[cfg(test)]
#[path = "router_tests.rs"]
mod tests;
