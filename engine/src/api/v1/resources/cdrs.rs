//! Call records out of the store.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging, cursor};
use super::super::problem::{Kind, Problem};
use super::super::scope::Scope;
use super::super::take::{Asked, Named};
use crate::store::{CdrQuery, StoreError};
use axum::Json;
use axum::extract::State;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use std::time::SystemTime;
use utoipa::openapi::schema::{Object, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// A call record; docs/cdr.md has its fields.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Record(Value);

impl PartialSchema for Record {
    fn schema() -> RefOr<Schema> {
        let text = |name| {
            Object::builder()
                .schema_type(Type::String)
                .description(Some(name))
        };
        Object::builder()
            .schema_type(Type::Object)
            .description(Some("A call record; docs/cdr.md has its fields."))
            .property("type", text("`call`, `leg` or `conference`."))
            .required("type")
            .property("call", text("The call's id."))
            .into()
    }
}

impl ToSchema for Record {}

/// Which records.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct Wanted {
    /// Of calls (usual), of their legs, or of conferences.
    #[param(inline)]
    kind: Option<RecordKind>,
    /// Calls from or to this number, as it stands in the record.
    #[param(max_length = 256)]
    number: Option<String>,
    /// That began then or later (RFC 3339).
    #[param(format = "date-time")]
    since: Option<String>,
    /// That began earlier (RFC 3339).
    #[param(format = "date-time")]
    until: Option<String>,
    /// Most records of the answer.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// What `next` of the page before said.
    #[param(max_length = 1024)]
    cursor: Option<String>,
}

/// Kinds of records.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum RecordKind {
    Call,
    Leg,
    Conference,
}

pub(super) fn routes(book: Book) -> Book {
    book.add(
        Route::get("/cdrs", "list_cdrs")
            .says("records", "Call records, the newest first")
            .more("A call has its record from its beginning.")
            .scope(Scope::CdrsRead)
            .query::<Wanted>()
            .refuses(&[503])
            .lists::<Record>("Records"),
        list,
    )
    .add(
        Route::get("/cdrs/{call}", "read_cdrs")
            .says("records", "The records of one call and its legs")
            .scope(Scope::CdrsRead)
            .refuses(&[503])
            .lists::<Record>("Records, in the order in which they began"),
        read,
    )
}

/// The store's trouble as a problem.
pub(super) fn store_failed(error: StoreError) -> Problem {
    Problem::new(Kind::Unavailable, error.to_string())
}

fn time(name: &str, text: Option<&String>) -> Result<Option<SystemTime>, Problem> {
    let Some(text) = text else {
        return Ok(None);
    };
    let parsed = text.parse::<Timestamp>();
    let parsed = parsed.ok().map(SystemTime::from);
    let refused = || {
        Problem::new(
            Kind::BadParameter,
            format!("{name} is a date and time such as 2026-01-31T08:00:00Z"),
        )
    };
    parsed.map(Some).ok_or_else(refused)
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<Record>>, Problem> {
    let paging = Paging {
        limit: wanted.limit,
        cursor: wanted.cursor,
    };
    let (limit, after) = (paging.limit()?, paging.after()?);
    let before = after.map(|id| id.parse::<i64>()).transpose();
    let kind = wanted.kind.map(|kind| match kind {
        RecordKind::Call => "call",
        RecordKind::Leg => "leg",
        RecordKind::Conference => "conference",
    });
    let query = CdrQuery {
        kind: kind.map(str::to_owned),
        number: wanted.number,
        since: time("since", wanted.since.as_ref())?,
        until: time("until", wanted.until.as_ref())?,
        before: before
            .map_err(|_| Problem::new(Kind::BadParameter, "the cursor is none of ours"))?,
        limit: limit + 1,
    };
    let mut found = v1.parts.store.cdrs(query).await.map_err(store_failed)?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    let next = last.map(|last| cursor(&last.id.to_string()));
    let items = found.into_iter().map(|of| Record(of.record)).collect();
    Ok(Json(Page { items, next }))
}

async fn read(
    State(v1): State<Arc<V1>>,
    Named(call): Named<String>,
) -> Result<Json<Page<Record>>, Problem> {
    let found = v1
        .parts
        .store
        .cdrs_of_call(&call)
        .await
        .map_err(store_failed)?;
    if found.is_empty() {
        return Err(Problem::not_found("record of a call", &call));
    }
    let items = found.into_iter().map(|of| Record(of.record)).collect();
    Ok(Json(Page { items, next: None }))
}
