//! Calls in progress: what is known of them, and orders to them.
mod agenda;
mod drives;
pub(super) mod orders;
mod participants;
mod place;
mod say;
mod scheduled;
mod shown;

use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging};
use super::super::problem::{Fault, Kind, Problem};
use super::super::scope::Scope;
use super::super::take::{Asked, Body, Named};
use crate::call::control::{Annotation, Done, Order, OrderError};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use shown::Call;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use utoipa::{IntoParams, ToSchema};

/// Which calls.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct Wanted {
    /// Only those with this tag.
    #[param(max_length = 64)]
    tag: Option<String>,
    /// Only those from or to this number.
    #[param(max_length = 256)]
    number: Option<String>,
    /// Most calls of the answer.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// What `next` of the page before said.
    #[param(max_length = 1024)]
    cursor: Option<String>,
}

/// Tags and metadata to be set.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CallChange {
    /// All tags from now on; absent: as they are.
    #[schema(max_items = 32)]
    tags: Option<BTreeSet<String>>,
    /// Entries that are set, or removed where the value is null; others stay.
    #[serde(default)]
    metadata: BTreeMap<String, Option<String>>,
}

/// An order was carried out.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = OrderDone)]
struct Carried {
    /// The call it was done to.
    call: String,
    /// Under which number audio plays; events name it.
    play: Option<u32>,
    /// Under which number the call is recorded.
    recording: Option<u32>,
    /// The recording's file.
    file: Option<String>,
    /// The id of a call that there is now.
    new_call: Option<String>,
}

pub(super) fn routes(book: Book) -> Book {
    let book = book
        .add(
            Route::get("/calls", "list_calls")
                .says("calls", "Calls in progress")
                .scope(Scope::CallsRead)
                .query::<Wanted>()
                .lists::<Call>("Calls, by id"),
            list,
        )
        .add(
            Route::get("/calls/{id}", "read_call")
                .says("calls", "A call in progress")
                .scope(Scope::CallsRead)
                .answers::<Call>(200, "The call"),
            read,
        )
        .add(
            Route::patch("/calls/{id}", "change_call")
                .says("calls", "Sets tags and metadata")
                .scope(Scope::CallsWrite)
                .body::<CallChange>()
                .answers::<Call>(200, "The call"),
            change,
        );
    let book = place::routes(book);
    let book = participants::routes(book);
    let book = orders::routes(book);
    let book = say::routes(book);
    scheduled::routes(book)
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<Call>>, Problem> {
    let paging = Paging {
        limit: wanted.limit,
        cursor: wanted.cursor,
    };
    let all = v1.parts.calls.control.list().into_iter();
    let found = all
        .filter(|call| {
            wanted
                .tag
                .as_ref()
                .is_none_or(|tag| call.tags.contains(tag))
        })
        .filter(|call| {
            wanted
                .number
                .as_ref()
                .is_none_or(|number| [&call.from, &call.to].contains(&number))
        });
    let page = paging.of(found, |call| call.id.clone())?;
    Ok(Json(Page {
        items: page.items.into_iter().map(Call::from).collect(),
        next: page.next,
    }))
}

async fn read(State(v1): State<Arc<V1>>, Named(id): Named<String>) -> Result<Json<Call>, Problem> {
    let found = v1.parts.calls.control.get(&id);
    found
        .map(|call| Json(call.into()))
        .ok_or_else(|| Problem::not_found("call in progress", &id))
}

async fn change(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Body(asked): Body<CallChange>,
) -> Result<Json<Call>, Problem> {
    let annotation = Annotation {
        tags: asked.tags,
        metadata: asked.metadata,
    };
    Ok(Json(
        v1.parts.calls.control.annotate(&id, annotation)?.into(),
    ))
}

/// Sends an order and tells what came of it.
async fn order(v1: &V1, id: String, order: Order) -> Result<Json<Carried>, Problem> {
    let done = v1.parts.calls.order(&id, order).await?;
    Ok(Json(carried(id, done)))
}

/// What came of an order to a call.
fn carried(call: String, done: Done) -> Carried {
    let carried = Carried {
        call,
        ..Carried::default()
    };
    match done {
        Done::Done => carried,
        Done::Playing(play) => Carried {
            play: Some(play),
            ..carried
        },
        Done::Recording { number, file } => Carried {
            recording: Some(number),
            file: Some(file.display().to_string()),
            ..carried
        },
        Done::Call(new) => Carried {
            new_call: Some(new),
            ..carried
        },
    }
}

/// When a call may have taken the orders that wait for it.
const AFTER_BUSY: Duration = Duration::from_secs(1);

impl From<OrderError> for Problem {
    fn from(error: OrderError) -> Problem {
        let kind = match error.http_status() {
            403 => Kind::Forbidden,
            404 => Kind::NotFound,
            422 => Kind::Invalid,
            429 => Kind::TooManyRequests,
            503 => Kind::Unavailable,
            _ => Kind::Conflict,
        };
        let (rule, text) = (error.rule(), error.to_string());
        let fault = Fault {
            path: String::new(),
            message: rule.to_owned(),
            line: None,
            column: None,
            file: None,
        };
        Problem {
            errors: vec![fault],
            retry_after: (kind == Kind::TooManyRequests).then_some(AFTER_BUSY),
            ..Problem::new(kind, text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Refusal;

    #[test]
    fn refusals_keep_their_status_and_who_is_too_fast_is_told_when() {
        let refused = |status| Refusal::new(status, "foreign-target", "x".to_owned());
        for (error, kind, retry_after) in [
            (OrderError::Refused(refused(403)), Kind::Forbidden, None),
            (OrderError::Refused(refused(503)), Kind::Unavailable, None),
            (OrderError::Busy, Kind::TooManyRequests, Some(AFTER_BUSY)),
            (OrderError::NotAnswered, Kind::Conflict, None),
        ] {
            let problem = Problem::from(error);
            assert_eq!((problem.kind, problem.retry_after), (kind, retry_after));
        }
    }
}
