//! Calls that are to be placed later: taken, listed, put to another time, cancelled. `agenda` places them.
use super::super::super::V1;
use super::super::super::book::{Book, Route};
use super::super::super::page::{Page, Paging, cursor};
use super::super::super::problem::{Kind, Problem};
use super::super::super::scope::Scope;
use super::super::super::take::{Asked, Body, Named, read};
use super::super::cdrs::store_failed;
use super::agenda::timely;
use super::place::CallAsked;
use crate::call::events::EventKind;
use crate::flow::schedule::moment;
use crate::store::{MOST_SCHEDULED, Scheduled, ScheduledState, fresh_id, ms_of, stamp, time_of};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::SystemTime;
use utoipa::{IntoParams, ToSchema};

/// How much later a call may be placed, usually, in seconds.
const USUAL_LATE_S: u32 = 300;
/// At most: a day.
const MOST_LATE_S: u32 = 86_400;
/// Longest body that is kept.
const MOST_BODY: usize = 64 * 1024;

/// A call that is to be placed, or was.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ScheduledCall {
    /// Its id; not that of the call.
    id: String,
    /// When it is to be placed (RFC 3339).
    at: String,
    /// How many seconds later it may still be placed.
    late_s: i64,
    /// `waiting`, `placing`, `placed`, `missed` or `failed`.
    state: &'static str,
    /// Whom it calls.
    to: String,
    /// The number shown.
    from: Option<String>,
    /// Tags.
    tags: BTreeSet<String>,
    /// Metadata.
    metadata: BTreeMap<String, String>,
    /// The call's id, once it was placed.
    call: Option<String>,
    /// Why it was not.
    reason: Option<String>,
}

/// Another time.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Rescheduled {
    /// As for a call.
    #[schema(max_length = 64)]
    at: String,
    /// As for a call; absent: as it is.
    #[schema(minimum = 0, maximum = 86_400)]
    late_s: Option<u32>,
}

/// Which scheduled calls.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct Wanted {
    /// Only those in this state.
    state: Option<StateWanted>,
    /// Most of the answer.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// What `next` of the page before said.
    #[param(max_length = 1024)]
    cursor: Option<String>,
}

/// Where a scheduled call stands.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum StateWanted {
    Waiting,
    Placing,
    Placed,
    Missed,
    Failed,
}

pub(super) fn routes(book: Book) -> Book {
    book.add(
        Route::get("/scheduled-calls", "list_scheduled_calls")
            .says("calls", "Calls that are to be placed, or were")
            .more("What became of a call is kept for thirty days.")
            .scope(Scope::CallsRead)
            .query::<Wanted>()
            .refuses(&[503])
            .lists::<ScheduledCall>("Scheduled calls, by their time"),
        list,
    )
    .add(
        Route::get("/scheduled-calls/{id}", "read_scheduled_call")
            .says("calls", "A scheduled call")
            .scope(Scope::CallsRead)
            .refuses(&[503])
            .answers::<ScheduledCall>(200, "The scheduled call"),
        one,
    )
    .add(
        Route::patch("/scheduled-calls/{id}", "reschedule_call")
            .says("calls", "Puts a scheduled call to another time")
            .scope(Scope::CallsWrite)
            .body::<Rescheduled>()
            .answers::<ScheduledCall>(200, "The scheduled call"),
        change,
    )
    .add(
        Route::delete("/scheduled-calls/{id}", "cancel_scheduled_call")
            .says(
                "calls",
                "Cancels a scheduled call, or forgets what became of it",
            )
            .scope(Scope::CallsWrite)
            .answers_nothing(204, "It is gone"),
        cancel,
    )
}

impl From<Scheduled> for ScheduledCall {
    fn from(of: Scheduled) -> ScheduledCall {
        // What another version wrote may be no body to this one; it fails when its time has come.
        let asked = read::<CallAsked>(of.body.as_bytes()).ok();
        let to = asked.as_ref().map_or(String::new(), CallAsked::callee);
        let (from, tags, metadata) = asked.map(CallAsked::notes).unwrap_or_default();
        ScheduledCall {
            id: of.id,
            at: stamp(time_of(of.at_ms)),
            late_s: of.late_ms / 1000,
            state: of.state.word(),
            to,
            from,
            tags,
            metadata,
            call: of.call,
            reason: of.reason,
        }
    }
}

/// RFC 3339, or a local time with its zone; ms since 1970.
fn time(text: &str, late_ms: i64) -> Result<i64, Problem> {
    let exact = text.parse::<jiff::Timestamp>().ok().map(SystemTime::from);
    let at = match exact {
        Some(at) => at,
        None => moment(text).map_err(|message| Problem::invalid("at", message))?,
    };
    timely(ms_of(at), late_ms, SystemTime::now())?;
    Ok(ms_of(at))
}

fn lateness_ms(late_s: u32) -> Result<i64, Problem> {
    if late_s > MOST_LATE_S {
        let text = format!("is at most {MOST_LATE_S} seconds");
        return Err(Problem::invalid("late_s", text));
    }
    Ok(i64::from(late_s) * 1000)
}

/// Takes a call that is to be placed at that time. All of it is checked now, and again then.
pub(super) async fn schedule(
    v1: &V1,
    asked: CallAsked,
    at: &str,
    late_s: Option<u32>,
) -> Result<ScheduledCall, Problem> {
    let late_ms = lateness_ms(late_s.unwrap_or(USUAL_LATE_S))?;
    let at_ms = time(at, late_ms)?;
    let body = serde_json::to_string(&asked)
        .map_err(|error| Problem::new(Kind::Internal, error.to_string()))?;
    if body.len() > MOST_BODY {
        let text = format!("a scheduled call has at most {MOST_BODY} octets");
        return Err(Problem::new(Kind::Invalid, text));
    }
    let to = asked.callee();
    asked.prepare(v1)?;
    let scheduled = Scheduled {
        id: fresh_id::<8>("s-"),
        at_ms,
        late_ms,
        state: ScheduledState::Waiting,
        body,
        call: None,
        reason: None,
    };
    let taken = v1.parts.store.schedule(scheduled.clone()).await;
    if !taken.map_err(store_failed)? {
        tracing::warn!(
            rule = "schedule-full",
            limit = MOST_SCHEDULED,
            "a call is not scheduled: too many wait"
        );
        let text = format!("{MOST_SCHEDULED} calls wait to be placed already");
        return Err(Problem::new(Kind::Unavailable, text));
    }
    let (id, at) = (&scheduled.id, stamp(time_of(at_ms)));
    v1.parts.calls.events.tell(
        EventKind::ScheduleCreated,
        None,
        || json!({"scheduled": id, "at": at, "to": to}),
    );
    v1.agenda.notify_one();
    Ok(scheduled.into())
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<ScheduledCall>>, Problem> {
    let paging = Paging {
        limit: wanted.limit,
        cursor: wanted.cursor,
    };
    let limit = paging.limit()?;
    let after = paging
        .after()?
        .map_or(Some((i64::MIN, String::new())), |key| {
            let (at, id) = key.split_once(' ')?;
            Some((at.parse().ok()?, id.to_owned()))
        });
    let odd = || Problem::new(Kind::BadParameter, "the cursor is none of ours");
    let state = wanted.state.map(|state| match state {
        StateWanted::Waiting => ScheduledState::Waiting,
        StateWanted::Placing => ScheduledState::Placing,
        StateWanted::Placed => ScheduledState::Placed,
        StateWanted::Missed => ScheduledState::Missed,
        StateWanted::Failed => ScheduledState::Failed,
    });
    let found = v1
        .parts
        .store
        .all_scheduled(state, after.ok_or_else(odd)?, limit + 1)
        .await;
    let mut found = found.map_err(store_failed)?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    Ok(Json(Page {
        next: last.map(|last| cursor(&format!("{} {}", last.at_ms, last.id))),
        items: found.into_iter().map(ScheduledCall::from).collect(),
    }))
}

async fn found(v1: &V1, id: &str) -> Result<Scheduled, Problem> {
    let found = v1.parts.store.scheduled(id).await.map_err(store_failed)?;
    found.ok_or_else(|| Problem::not_found("scheduled call", id))
}

async fn one(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
) -> Result<Json<ScheduledCall>, Problem> {
    Ok(Json(found(&v1, &id).await?.into()))
}

async fn change(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Body(asked): Body<Rescheduled>,
) -> Result<Json<ScheduledCall>, Problem> {
    let before = found(&v1, &id).await?;
    let late_ms = match asked.late_s {
        Some(late_s) => lateness_ms(late_s)?,
        None => before.late_ms,
    };
    let at_ms = time(&asked.at, late_ms)?;
    let done = v1.parts.store.reschedule(&id, at_ms, late_ms).await;
    if !done.map_err(store_failed)? {
        return Err(Problem::new(
            Kind::Conflict,
            "it does not wait any more; place another",
        ));
    }
    v1.parts.calls.events.tell(
        EventKind::ScheduleChanged,
        None,
        || json!({"scheduled": id, "at": stamp(time_of(at_ms))}),
    );
    v1.agenda.notify_one();
    Ok(Json(found(&v1, &id).await?.into()))
}

async fn cancel(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    let before = found(&v1, &id).await?;
    let done = v1.parts.store.unschedule(&id, before.state).await;
    if !done.map_err(store_failed)? {
        return Err(Problem::new(
            Kind::Conflict,
            "it is being placed, or was just now",
        ));
    }
    if before.state == ScheduledState::Waiting {
        v1.parts.calls.events.tell(
            EventKind::ScheduleCancelled,
            None,
            || json!({"scheduled": id}),
        );
    }
    Ok(StatusCode::NO_CONTENT)
}
