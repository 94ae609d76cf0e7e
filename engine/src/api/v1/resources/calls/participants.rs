//! Participants of a call: who was called to join it. Each is a call of its own, and is removed by hanging that up.
use super::super::super::V1;
use super::super::super::book::{Book, Route};
use super::super::super::page::{Page, Paging};
use super::super::super::problem::Problem;
use super::super::super::scope::Scope;
use super::super::super::take::{Asked, Body, Named};
use super::orders::Target;
use super::place::{caller_id, ring};
use super::shown::Call;
use super::{Carried, carried};
use crate::call::control::{Order, OrderError, Snapshot};
use crate::call::{AddParticipant, DialTarget, HangupCause};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;
use utoipa::ToSchema;

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
        Route::post("/calls/{id}/participants", "add_participant")
            .says("calls", "Calls somebody who joins the call, in a conference")
            .scope(Scope::CallsWrite)
            .body::<ParticipantAsked>()
            .answers::<Carried>(200, "It rings"),
        add,
    )
    .add(
        Route::get("/calls/{id}/participants", "list_participants")
            .says("calls", "Who was added to a call, also those who ring")
            .scope(Scope::CallsRead)
            .query::<Paging>()
            .lists::<Call>("Their calls"),
        list,
    )
    .add(
        Route::delete("/calls/{id}/participants/{who}", "remove_participant")
            .says("calls", "Removes a participant: hangs up their call")
            .more("`who` is the id of that call, or whom it was placed to: a number, a user, or `agent:ID`.")
            .scope(Scope::CallsWrite)
            .answers_nothing(204, "It is hung up"),
        remove,
    )
}

async fn add(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Body(asked): Body<ParticipantAsked>,
) -> Result<Json<Carried>, Problem> {
    let participant = AddParticipant {
        to: asked.to.read(&v1, "to")?,
        caller_id: caller_id(asked.from)?,
        as_endpoint: asked.as_endpoint,
        ring: ring(asked.ring_s)?,
        mute: asked.mute,
    };
    let done = v1.parts.calls.add_participant(&id, participant).await?;
    Ok(Json(carried(id, done)))
}

/// The participants of a call in progress.
fn participants(v1: &V1, id: &str) -> Result<Vec<Snapshot>, Problem> {
    let control = &v1.parts.calls.control;
    if control.get(id).is_none() {
        return Err(Problem::not_found("call in progress", id));
    }
    let mut all = control.list();
    all.retain(|call| call.added_to.as_deref() == Some(id));
    Ok(all)
}

async fn list(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<Call>>, Problem> {
    let found = participants(&v1, &id)?;
    let page = paging.of(found, |call| call.id.clone())?;
    Ok(Json(Page {
        items: page.items.into_iter().map(Call::from).collect(),
        next: page.next,
    }))
}

/// What the call to them says of whom it was placed to.
fn callee(v1: &V1, who: &str) -> String {
    let reach = who
        .strip_prefix("agent:")
        .and_then(|agent| v1.parts.calls.queues.reach(agent));
    match reach {
        Some(reach) => DialTarget::from(reach).name().to_owned(),
        None => who.to_owned(),
    }
}

async fn remove(
    State(v1): State<Arc<V1>>,
    Named((id, who)): Named<(String, String)>,
) -> Result<StatusCode, Problem> {
    let callee = callee(&v1, &who);
    let mut found = participants(&v1, &id)?;
    found.retain(|call| call.id == who || call.to == callee);
    if found.is_empty() {
        return Err(Problem::not_found("participant", &who));
    }
    for call in found {
        let hang_up = Order::Hangup(HangupCause::Normal);
        match v1.parts.calls.order(&call.id, hang_up).await {
            // It was faster.
            Err(OrderError::NoSuchCall | OrderError::Gone) | Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(StatusCode::NO_CONTENT)
}
