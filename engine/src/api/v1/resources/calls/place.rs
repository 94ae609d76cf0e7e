//! Calls that are placed over the API.
//!
//! Owns what a request may say of a new call; what drives it is `drives`', ringing it is `call::originate`'s.
use super::super::super::V1;
use super::super::super::book::{Book, Route};
use super::super::super::problem::Problem;
use super::super::super::scope::Scope;
use super::super::super::take::Body;
use super::drives::{Drives, MenuAsked, Says, WebhookAsked};
use super::orders::Target;
use super::scheduled::{ScheduledCall, schedule};
use crate::call::control::{Annotation, OrderError};
use crate::call::{Audio, DialTarget, OnMachine, Originate, Program, VettedProgram};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use utoipa::ToSchema;

/// Longest number that is shown.
const MOST_CALLER_ID: usize = 64;
/// Longest ringing, seconds.
const MOST_RING_S: u32 = 180;

/// A call to be placed. What drives it once it is answered is exactly one of `flow`, `verbs`, `webhook`, `menu`, `two_party`.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CallAsked {
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
    /// When it is to be placed: `2026-12-24T18:30:00+01:00`, or `2026-12-24 18:30 Europe/Berlin`; absent: now.
    #[serde(skip_serializing)]
    #[schema(max_length = 64)]
    at: Option<String>,
    /// How many seconds later it may still be placed, usually 300; after that it is missed.
    #[serde(skip_serializing)]
    #[schema(minimum = 0, maximum = 86_400)]
    late_s: Option<u32>,
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
    /// Whether it is found out first who answered, and what is done then; not with `two_party`.
    machine_detection: Option<MachineDetection>,
    /// Somebody else who is called as well; the two are joined once both have pressed 1.
    two_party: Option<TwoPartyAsked>,
    /// Tags.
    #[schema(max_items = 32)]
    tags: Option<BTreeSet<String>>,
    /// Metadata.
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// What is done once it is known who answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
enum MachineDetection {
    /// A machine is hung up on.
    Hangup,
    /// Nothing: the call goes on meanwhile, and the event `machine.detected` tells it.
    Continue,
    /// The call goes on at once with a human, and with a machine when it has beeped.
    WaitForBeep,
}

impl From<MachineDetection> for OnMachine {
    fn from(of: MachineDetection) -> OnMachine {
        match of {
            MachineDetection::Hangup => OnMachine::Hangup,
            MachineDetection::Continue => OnMachine::Continue,
            MachineDetection::WaitForBeep => OnMachine::WaitForBeep,
        }
    }
}

/// The other of two who are to talk.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
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

pub(super) fn routes(book: Book) -> Book {
    book.add(
        Route::post("/calls", "place_call")
            .says("calls", "Places a call")
            .more("It answers at once, with the id under which events tell how it rings and is answered.")
            .scope(Scope::CallsWrite)
            .body::<CallAsked>()
            .answers::<PlacedCall>(201, "It rings")
            .answers::<ScheduledCall>(202, "It rings at that time"),
        place,
    )
}

pub(super) fn caller_id(from: Option<String>) -> Result<Option<String>, Problem> {
    let known = |c: char| c.is_ascii_alphanumeric() || "+*#._-".contains(c);
    match from {
        Some(from) if !(1..=MOST_CALLER_ID).contains(&from.len()) || !from.chars().all(known) => {
            let text = format!("is 1 to {MOST_CALLER_ID} letters, digits or +*#._-");
            Err(Problem::invalid("from", text))
        }
        from => Ok(from),
    }
}

pub(super) fn ring(ring_s: Option<u32>) -> Result<Option<Duration>, Problem> {
    match ring_s {
        None => Ok(None),
        Some(seconds @ 1..=MOST_RING_S) => Ok(Some(Duration::from_secs(seconds.into()))),
        Some(_) => Err(Problem::invalid(
            "ring_s",
            format!("is 1 to {MOST_RING_S} seconds"),
        )),
    }
}

/// A call that is ready to be placed.
pub(super) enum Prepared {
    One(Box<Originate>),
    Two {
        parties: [DialTarget; 2],
        says: Vec<Audio>,
        caller_id: Option<String>,
    },
}

impl CallAsked {
    /// When it is to be placed, if not now, and how much later still.
    pub(super) fn time(&mut self) -> (Option<String>, Option<u32>) {
        (self.at.take(), self.late_s.take())
    }

    /// Whom it calls, for lists.
    pub(super) fn callee(&self) -> String {
        self.to.to_string()
    }

    /// What is only for lists: the number shown, tags, metadata.
    pub(super) fn notes(self) -> (Option<String>, BTreeSet<String>, BTreeMap<String, String>) {
        (self.from, self.tags.unwrap_or_default(), self.metadata)
    }

    /// Checks all of it.
    pub(super) fn prepare(self, v1: &V1) -> Result<Prepared, Problem> {
        let to = self.to.read(v1, "to")?;
        let (caller_id, ring) = (caller_id(self.from)?, ring(self.ring_s)?);
        let metadata = self.metadata.into_iter();
        let annotation = Annotation {
            tags: self.tags,
            metadata: metadata.map(|(name, value)| (name, Some(value))).collect(),
        };
        annotation
            .check()
            .map_err(|text| Problem::invalid("tags", text))?;
        let drives = Drives {
            flow: self.flow,
            verbs: self.verbs,
            webhook: self.webhook,
            menu: self.menu,
        };
        let Some(two) = self.two_party else {
            let program = drives.read(v1)?;
            let program: Box<dyn Program> = match self.machine_detection {
                Some(on) => Box::new(VettedProgram::new(program, on.into())),
                None => program,
            };
            return Ok(Prepared::One(Box::new(Originate {
                caller_id,
                as_endpoint: self.as_endpoint,
                ring,
                annotation,
                ..Originate::to(to, program)
            })));
        };
        let plain = ring.is_none()
            && self.as_endpoint.is_none()
            && self.machine_detection.is_none()
            && annotation == Annotation::default();
        if drives.any() || !plain {
            return Err(Problem::invalid("two_party", "goes with to and from only"));
        }
        let other = two.to.read(v1, "two_party.to")?;
        let says = two.prompt.read(v1, "two_party.prompt")?;
        if says.is_empty() {
            return Err(Problem::invalid("two_party.prompt", "says nothing"));
        }
        Ok(Prepared::Two {
            parties: [to, other],
            says,
            caller_id,
        })
    }
}

impl Prepared {
    /// Places it: its id, and that of the other of two.
    pub(super) async fn place(self, v1: &V1) -> Result<(String, Option<String>), OrderError> {
        let calls = &v1.parts.calls;
        match self {
            Prepared::One(order) => Ok((calls.originate(*order).await?.id, None)),
            Prepared::Two {
                parties,
                says,
                caller_id,
            } => {
                let [call, other] = calls.two_party(parties, says, caller_id).await?;
                Ok((call, Some(other)))
            }
        }
    }
}

async fn place(
    State(v1): State<Arc<V1>>,
    Body(mut asked): Body<CallAsked>,
) -> Result<Response, Problem> {
    let (at, late_s) = asked.time();
    if let Some(at) = at {
        let scheduled = schedule(&v1, asked, &at, late_s).await?;
        return Ok((StatusCode::ACCEPTED, Json(scheduled)).into_response());
    }
    if late_s.is_some() {
        return Err(Problem::invalid("late_s", "goes with at"));
    }
    let (call, other) = asked.prepare(&v1)?.place(&v1).await?;
    let placed = PlacedCall { call, other };
    Ok((StatusCode::CREATED, Json(placed)).into_response())
}
