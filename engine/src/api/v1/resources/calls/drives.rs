//! What drives a call that is placed over the API: a flow, verbs, a web service, a menu made on the spot.
//!
//! Limits: [`MOST_OPTIONS`] keys of a menu, those of [`verbs_json`] for verbs.
use super::super::super::V1;
use super::super::super::problem::{Fault, Problem};
use super::orders::{program_of, sounds};
use super::say::said;
use crate::call::{Audio, MenuOption, OptionsProgram, Program, Verb, VerbsProgram};
use crate::config::Secret;
use crate::fetch;
use crate::flow::verbs_json;
use crate::flow::webhook::{Webhook, WebhookProgram};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Keys of one menu: 0-9, *, # and A-D.
const MOST_OPTIONS: usize = 16;
/// Longest URL.
const MOST_URL: usize = 2048;

/// Where a webhook program is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookAsked {
    /// Posted to, within [fetch].
    #[schema(max_length = 2048)]
    url: String,
    /// Posted to where the first does not answer well.
    #[schema(max_length = 2048)]
    fallback_url: Option<String>,
    /// Signs what is posted.
    #[schema(max_length = 256)]
    secret: Option<String>,
}

/// What is said, as a text or as audio or both.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Says {
    /// A text to be spoken.
    #[schema(max_length = 10_000)]
    say: Option<String>,
    /// After it: URLs within [fetch], prompts that are loaded, `builtin:…`, `silence:MS`.
    #[schema(max_items = 32)]
    audio: Option<Vec<String>>,
}

/// A menu: said three times at most, until a key is pressed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MenuAsked {
    /// What it begins with.
    #[serde(default)]
    greeting: Says,
    /// What there is.
    #[schema(min_items = 1, max_items = 16)]
    options: Vec<OptionAsked>,
}

/// A key of a menu.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct OptionAsked {
    /// `0-9*#A-D`.
    #[schema(min_length = 1, max_length = 1, pattern = "^[0-9*#A-D]$")]
    key: String,
    /// What the menu says of it, such as "Press 1 for sales".
    #[serde(default)]
    prompt: Says,
    /// Verbs that are done when it is pressed, then the call ends; none: the menu is said again.
    #[serde(default)]
    #[schema(value_type = Vec<Object>, max_items = 100)]
    then: Option<Value>,
}

/// Verbs of a body; mistakes are told with their paths in it.
fn verbs(path: &str, value: &Value) -> Result<Vec<Verb>, Problem> {
    let text = value.to_string();
    verbs_json::verbs(path, text.as_bytes()).map_err(|problems| {
        let count = problems.list.len();
        let fault = |problem: crate::config::Problem| Fault {
            path: match problem.path.as_str() {
                "" => path.to_owned(),
                below if below.starts_with('[') => format!("{path}{below}"),
                below => format!("{path}.{below}"),
            },
            message: problem.message,
            line: None,
            column: None,
            file: None,
        };
        let errors: Vec<Fault> = problems.list.into_iter().take(100).map(fault).collect();
        let first = errors.first().map_or(String::new(), |first| {
            format!(", first {}: {}", first.path, first.message)
        });
        Problem {
            errors,
            ..Problem::invalid(path, format!("{count} mistakes{first}"))
        }
    })
}

impl Says {
    /// Its pieces, none where nothing is said.
    pub(super) fn read(self, v1: &V1, path: &str) -> Result<Vec<Audio>, Problem> {
        let mut all = Vec::new();
        if let Some(text) = self.say {
            all.push(said(v1, &format!("{path}.say"), text)?);
        }
        if let Some(audio) = self.audio {
            all.extend(sounds(v1, &format!("{path}.audio"), &audio)?);
        }
        Ok(all)
    }
}

impl WebhookAsked {
    fn read(self) -> Result<WebhookProgram, Problem> {
        for (path, url) in [
            ("webhook.url", Some(&self.url)),
            ("webhook.fallback_url", self.fallback_url.as_ref()),
        ] {
            let good = |url: &String| fetch::is_url(url) && url.len() <= MOST_URL;
            if url.is_some_and(|url| !good(url)) {
                return Err(Problem::invalid(path, "is an http:// or https:// URL"));
            }
        }
        Ok(WebhookProgram::new(Webhook {
            fallback_url: self.fallback_url,
            secret: self.secret.map(Secret::new),
            ..Webhook::at(self.url)
        }))
    }
}

impl MenuAsked {
    fn read(self, v1: &V1) -> Result<OptionsProgram, Problem> {
        if self.options.is_empty() || self.options.len() > MOST_OPTIONS {
            let text = format!("has 1 to {MOST_OPTIONS} keys");
            return Err(Problem::invalid("menu.options", text));
        }
        let mut options: Vec<MenuOption> = Vec::with_capacity(self.options.len());
        for (index, asked) in self.options.into_iter().enumerate() {
            let path = format!("menu.options[{index}]");
            let mut keys = asked.key.chars();
            let key = match (keys.next(), keys.next()) {
                (Some(key @ ('0'..='9' | '*' | '#' | 'A'..='D')), None) => key,
                _ => {
                    return Err(Problem::invalid(
                        &format!("{path}.key"),
                        "is one of 0-9*#A-D",
                    ));
                }
            };
            if options.iter().any(|other| other.key == key) {
                return Err(Problem::invalid(&format!("{path}.key"), "is there already"));
            }
            options.push(MenuOption {
                key,
                says: asked.prompt.read(v1, &format!("{path}.prompt"))?,
                then: match asked.then {
                    Some(then) => verbs(&format!("{path}.then"), &then)?,
                    None => Vec::new(),
                },
            });
        }
        let says = self.greeting.read(v1, "menu.greeting")?;
        if says.is_empty() && options.iter().all(|option| option.says.is_empty()) {
            return Err(Problem::invalid("menu", "says nothing"));
        }
        Ok(OptionsProgram::new(says, options))
    }
}

/// What drives a call; exactly one.
pub(super) struct Drives {
    pub(super) flow: Option<String>,
    pub(super) verbs: Option<Value>,
    pub(super) webhook: Option<WebhookAsked>,
    pub(super) menu: Option<MenuAsked>,
}

impl Drives {
    /// Whether anything is given.
    pub(super) fn any(&self) -> bool {
        self.flow.is_some() || self.verbs.is_some() || self.webhook.is_some() || self.menu.is_some()
    }

    /// The program.
    pub(super) fn read(self, v1: &V1) -> Result<Box<dyn Program>, Problem> {
        match (self.flow, self.verbs, self.webhook, self.menu) {
            (Some(flow), None, None, None) => program_of(v1, &flow),
            (None, Some(list), None, None) => {
                Ok(Box::new(VerbsProgram::new("verbs", verbs("verbs", &list)?)))
            }
            (None, None, Some(webhook), None) => Ok(Box::new(webhook.read()?)),
            (None, None, None, Some(menu)) => Ok(Box::new(menu.read(v1)?)),
            _ => Err(Problem::invalid(
                "verbs",
                "is given, or flow, webhook, menu or two_party, and only one of them",
            )),
        }
    }
}
