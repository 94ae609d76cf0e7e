//! Calls that are placed over the API, and participants that are added to a call.
//!
//! Owns what a request may say of a new call; ringing and driving it is `call::originate`'s. Limits: [`MOST_OPTIONS`] keys of a menu, those of
//! [`verbs_json`] for verbs.
use super::super::super::V1;
use super::super::super::book::{Book, Route};
use super::super::super::problem::{Fault, Problem};
use super::super::super::scope::Scope;
use super::super::super::take::{Body, Named};
use super::Carried;
use super::orders::{Target, sounds};
use super::say::said;
use crate::call::control::{Annotation, Done};
use crate::call::{
    AddParticipant, Audio, MenuOption, OptionsProgram, Originate, Program, Verb, VerbsProgram,
};
use crate::config::Secret;
use crate::fetch;
use crate::flow::verbs_json;
use crate::flow::webhook::{Webhook, WebhookProgram};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// Keys of one menu: 0-9, *, # and A-D.
const MOST_OPTIONS: usize = 16;
/// Longest number that is shown.
const MOST_CALLER_ID: usize = 64;
/// Longest ringing, seconds.
const MOST_RING_S: u32 = 180;
/// Longest URL.
const MOST_URL: usize = 2048;

/// A call to be placed. What drives it once it is answered is exactly one of `flow`, `verbs`, `webhook`, `menu`, `two_party`.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CallAsked {
    /// Whom to call. A number that leads to a flow cannot be called.
    to: Target,
    /// The number shown; absent: none.
    #[schema(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z+*#._-]+$")]
    from: Option<String>,
    /// By the rights of this user with phones; absent: by the server's own, which reach what any of them may.
    #[schema(max_length = 256)]
    as_endpoint: Option<String>,
    /// How long it rings, usually 180 s.
    #[schema(minimum = 1, maximum = 180)]
    ring_s: Option<u32>,
    /// The flow that drives it.
    #[schema(max_length = 256)]
    flow: Option<String>,
    /// Verbs, one after the other, then the call ends; docs/webhook-programs.md has them.
    #[schema(value_type = Option<Vec<Object>>, max_items = 100)]
    verbs: Option<Value>,
    /// A web service that is asked what to do.
    webhook: Option<WebhookAsked>,
    /// A menu made on the spot.
    menu: Option<MenuAsked>,
    /// Somebody else who is called as well; the two are joined once both have pressed 1.
    two_party: Option<TwoPartyAsked>,
    /// Tags.
    #[schema(max_items = 32)]
    tags: Option<BTreeSet<String>>,
    /// Metadata.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// Where a webhook program is.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WebhookAsked {
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
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Says {
    /// A text to be spoken.
    #[schema(max_length = 10_000)]
    say: Option<String>,
    /// After it: URLs within [fetch], prompts that are loaded, `builtin:…`, `silence:MS`.
    #[schema(max_items = 32)]
    audio: Option<Vec<String>>,
}

/// A menu: said three times at most, until a key is pressed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct MenuAsked {
    /// What it begins with.
    #[serde(default)]
    greeting: Says,
    /// What there is.
    #[schema(min_items = 1, max_items = 16)]
    options: Vec<OptionAsked>,
}

/// A key of a menu.
#[derive(Debug, Deserialize, ToSchema)]
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

/// The other of two who are to talk.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct TwoPartyAsked {
    /// Whom to call as well.
    to: Target,
    /// What both hear until they press 1.
    prompt: Says,
}

/// A call that was placed; it rings.
#[derive(Debug, Serialize, ToSchema)]
struct PlacedCall {
    /// Its id.
    call: String,
    /// The id of the call to the other of two who are to talk.
    other: Option<String>,
}

/// Somebody to be added to a call.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ParticipantAsked {
    /// Whom to call.
    to: Target,
    /// The number shown; absent: none.
    #[schema(min_length = 1, max_length = 64, pattern = "^[0-9A-Za-z+*#._-]+$")]
    from: Option<String>,
    /// As for a call.
    #[schema(max_length = 256)]
    as_endpoint: Option<String>,
    /// How long it rings, usually 180 s.
    #[schema(minimum = 1, maximum = 180)]
    ring_s: Option<u32>,
    /// The others do not hear it at first.
    #[serde(default)]
    mute: bool,
}

pub(super) fn routes(book: Book) -> Book {
    book.add(
        Route::post("/calls", "place_call")
            .says("calls", "Places a call")
            .more("It answers at once, with the id under which events tell how it rings and is answered.")
            .scope(Scope::CallsWrite)
            .body::<CallAsked>()
            .answers::<PlacedCall>(201, "It rings"),
        place,
    )
    .add(
        Route::post("/calls/{id}/participants", "add_participant")
            .says("calls", "Calls somebody who joins the call, in a conference")
            .more("To remove the participant, hang up `new_call`.")
            .scope(Scope::CallsWrite)
            .body::<ParticipantAsked>()
            .answers::<Carried>(200, "It rings"),
        add,
    )
}

fn caller_id(from: Option<String>) -> Result<Option<String>, Problem> {
    let known = |c: char| c.is_ascii_alphanumeric() || "+*#._-".contains(c);
    match from {
        Some(from) if !(1..=MOST_CALLER_ID).contains(&from.len()) || !from.chars().all(known) => {
            let text = format!("is 1 to {MOST_CALLER_ID} letters, digits or +*#._-");
            Err(Problem::invalid("from", text))
        }
        from => Ok(from),
    }
}

fn ring(ring_s: Option<u32>) -> Result<Option<Duration>, Problem> {
    match ring_s {
        None => Ok(None),
        Some(seconds @ 1..=MOST_RING_S) => Ok(Some(Duration::from_secs(seconds.into()))),
        Some(_) => Err(Problem::invalid(
            "ring_s",
            format!("is 1 to {MOST_RING_S} seconds"),
        )),
    }
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
    fn read(self, v1: &V1, path: &str) -> Result<Vec<Audio>, Problem> {
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
struct Drives {
    flow: Option<String>,
    verbs: Option<Value>,
    webhook: Option<WebhookAsked>,
    menu: Option<MenuAsked>,
}

impl Drives {
    fn read(self, v1: &V1) -> Result<Box<dyn Program>, Problem> {
        match (self.flow, self.verbs, self.webhook, self.menu) {
            (Some(flow), None, None, None) => {
                let program = v1.parts.flows.program(&flow);
                program.ok_or_else(|| Problem::invalid("flow", "is the id of no flow in force"))
            }
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

async fn place(
    State(v1): State<Arc<V1>>,
    Body(asked): Body<CallAsked>,
) -> Result<(StatusCode, Json<PlacedCall>), Problem> {
    let to = asked.to.read("to")?;
    let (caller_id, ring) = (caller_id(asked.from)?, ring(asked.ring_s)?);
    let metadata = asked.metadata.into_iter();
    let annotation = Annotation {
        tags: asked.tags,
        metadata: metadata.map(|(name, value)| (name, Some(value))).collect(),
    };
    let drives = Drives {
        flow: asked.flow,
        verbs: asked.verbs,
        webhook: asked.webhook,
        menu: asked.menu,
    };
    let placed = match asked.two_party {
        None => {
            let order = Originate {
                caller_id,
                as_endpoint: asked.as_endpoint,
                ring,
                annotation,
                ..Originate::to(to, drives.read(&v1)?)
            };
            let placed = v1.parts.calls.originate(order).await?;
            PlacedCall {
                call: placed.id,
                other: None,
            }
        }
        Some(two) => {
            let driven = drives.flow.is_some()
                || drives.verbs.is_some()
                || drives.webhook.is_some()
                || drives.menu.is_some();
            if driven
                || ring.is_some()
                || asked.as_endpoint.is_some()
                || annotation != Annotation::default()
            {
                let text = "goes with to and from only";
                return Err(Problem::invalid("two_party", text));
            }
            let other = two.to.read("two_party.to")?;
            let says = two.prompt.read(&v1, "two_party.prompt")?;
            if says.is_empty() {
                return Err(Problem::invalid("two_party.prompt", "says nothing"));
            }
            let [call, other] = v1
                .parts
                .calls
                .two_party([to, other], says, caller_id)
                .await?;
            PlacedCall {
                call,
                other: Some(other),
            }
        }
    };
    Ok((StatusCode::CREATED, Json(placed)))
}

async fn add(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Body(asked): Body<ParticipantAsked>,
) -> Result<Json<Carried>, Problem> {
    let participant = AddParticipant {
        to: asked.to.read("to")?,
        caller_id: caller_id(asked.from)?,
        as_endpoint: asked.as_endpoint,
        ring: ring(asked.ring_s)?,
        mute: asked.mute,
    };
    let done = v1.parts.calls.add_participant(&id, participant).await?;
    let new_call = match done {
        Done::Call(new) => Some(new),
        _ => None,
    };
    Ok(Json(Carried {
        call: id,
        new_call,
        ..Carried::default()
    }))
}
