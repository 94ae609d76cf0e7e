//! Events to whoever watches: server-sent events, WebSocket, and the latest ones as a list. What there is to tell is declared in `call::events`.
//!
//! Limits: [`MOST_WATCHERS`] at the same time; the latest [`KEPT`] events can be asked for again. Who is too slow for the bus's ring, or takes nothing
//! for [`SEND_TIME`], is cut off, told why where that is possible, and counted.
mod feed;
mod socket;
mod sse;

pub(super) use feed::Recent;

use super::V1;
use super::book::{Book, Route};
use super::page::{self, Page};
use super::problem::{Kind, Problem};
use super::scope::Scope;
use super::take::Asked;
use crate::call::EventKind;
use axum::Json;
use axum::extract::State;
use feed::{Feed, Filter};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{IntoParams, PartialSchema, ToSchema};

/// Watchers at the same time.
const MOST_WATCHERS: usize = 256;
/// Events that can be asked for again.
const KEPT: usize = 4096;
/// Longest time for a watcher to take one event.
const SEND_TIME: Duration = Duration::from_secs(10);

/// Why a watcher was cut off.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    /// It missed events.
    TooSlow,
    /// It took nothing.
    Stuck,
    /// It sent something that no watcher sends.
    Odd,
    /// It did not answer pings.
    Silent,
}

impl Cut {
    pub(super) const ALL: [Cut; 4] = [Cut::TooSlow, Cut::Stuck, Cut::Odd, Cut::Silent];

    pub(super) fn name(self) -> &'static str {
        match self {
            Cut::TooSlow => "too-slow",
            Cut::Stuck => "stuck",
            Cut::Odd => "odd",
            Cut::Silent => "silent",
        }
    }
}

/// Who watches, and who was cut off.
#[derive(Debug, Default)]
pub(super) struct Watchers {
    now: AtomicUsize,
    cut: [AtomicU64; Cut::ALL.len()],
}

impl Watchers {
    /// A place among them.
    fn enter(self: &Arc<Self>) -> Result<Place, Problem> {
        let taken = self.now.fetch_add(1, Ordering::Relaxed);
        let place = Place(self.clone());
        match taken < MOST_WATCHERS {
            true => Ok(place),
            false => Err(Problem::new(
                Kind::Unavailable,
                format!("{MOST_WATCHERS} watch already, the limit"),
            )),
        }
    }

    fn cut(&self, why: Cut, missed: u64) {
        self.cut[why as usize].fetch_add(1, Ordering::Relaxed);
        tracing::info!(rule = why.name(), missed, "a watcher of events was cut off");
    }

    /// How many were cut off, by reason.
    pub(super) fn cut_by(&self) -> [(&'static str, u64); Cut::ALL.len()] {
        Cut::ALL.map(|why| (why.name(), self.cut[why as usize].load(Ordering::Relaxed)))
    }
}

/// Given back when it is dropped.
#[derive(Debug)]
struct Place(Arc<Watchers>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The name of an event, one of the declared list.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct EventName(&'static str);

impl PartialSchema for EventName {
    fn schema() -> RefOr<Schema> {
        let names: Vec<&str> = EventKind::ALL.iter().map(|kind| kind.name()).collect();
        let rows: Vec<String> = EventKind::ALL
            .iter()
            .map(|kind| format!("* `{}`: {}", kind.name(), kind.doc()))
            .collect();
        ObjectBuilder::new()
            .schema_type(Type::String)
            .enum_values(Some(names))
            .description(Some(rows.join("\n")))
            .into()
    }
}

impl ToSchema for EventName {}

/// Something that happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Event)]
pub(super) struct EventShown {
    /// Names it: the run of the server and a number.
    id: String,
    /// What happened.
    event: EventName,
    /// When (RFC 3339, UTC).
    at: String,
    /// The call it happened to; null: to none.
    call: Option<String>,
    /// What there is to say of it, as the name's text tells.
    #[schema(value_type = Object)]
    data: Value,
}

/// Which events.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct Wanted {
    /// Names, separated by commas; `call.*` means all that begin so. Without it: all.
    #[param(max_length = 2000)]
    events: Option<String>,
    /// Only those of this call.
    #[param(max_length = 128)]
    call: Option<String>,
}

/// Which events of those before.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct Before {
    /// Names, separated by commas; `call.*` means all that begin so. Without it: all.
    #[param(max_length = 2000)]
    events: Option<String>,
    /// Only those of this call.
    #[param(max_length = 128)]
    call: Option<String>,
    /// Only those after the event of this id, the oldest first. Without it: the latest.
    #[param(max_length = 64)]
    after: Option<String>,
    /// Most events of the answer.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
}

pub(super) fn routes(book: Book) -> Book {
    let tag = "events";
    let stream = json!({ "text/event-stream": { "schema": { "type": "string" } } });
    let more = "Each event is an `Event` as JSON in `data`, its name in `event`, its id in `id`. With `Last-Event-ID` it goes on after that event, as far as it is still known (the latest 4096); \
        what is lost is told by an event `missed`. A watcher that is too slow gets `cut` and is cut off.";
    book.add(
        Route::get("/events", "stream_events")
            .says(tag, "Events as they happen, as server-sent events")
            .more(more)
            .scope(Scope::EventsRead)
            .query::<Wanted>()
            .header("Last-Event-ID", "The last event that was got.")
            .refuses(&[503])
            .answers_of(200, "The stream", stream),
        sse::stream,
    )
    .add(
        Route::get("/events/ws", "watch_events")
            .says(tag, "Events as they happen, over a WebSocket")
            .more("A text message for each event, an `Event` as JSON. A watcher that is too slow is closed with 1013 and the reason `too-slow`.")
            .scope(Scope::EventsRead)
            .query::<Wanted>()
            .refuses(&[503])
            .answers_nothing(101, "The WebSocket"),
        socket::upgrade,
    )
    .add(
        Route::get("/events/recent", "list_events")
            .says(tag, "The latest events, oldest first")
            .scope(Scope::EventsRead)
            .query::<Before>()
            .lists::<EventShown>("Events; next is the id to ask for what follows (after)"),
        recent,
    )
}

async fn recent(
    State(v1): State<Arc<V1>>,
    Asked(asked): Asked<Before>,
) -> Result<Json<Page<EventShown>>, Problem> {
    let filter = Filter::new(asked.events.as_deref(), asked.call)?;
    let limit = page::Paging {
        limit: asked.limit,
        cursor: None,
    };
    let limit = limit.limit()?;
    let mut found = match &asked.after {
        Some(id) => v1.recent.after(v1.recent.number(id)?, &filter, limit + 1),
        None => v1.recent.latest(&filter, limit),
    };
    let more = found.len() > limit;
    found.truncate(limit);
    let items: Vec<EventShown> = found.iter().map(|of| v1.recent.shown(of)).collect();
    let next = items.last().filter(|_| more).map(|last| last.id.clone());
    Ok(Json(Page { items, next }))
}

/// Someone begins to watch.
fn watch(v1: &V1, wanted: Wanted, last: Option<&str>) -> Result<(Feed, Place), Problem> {
    let filter = Filter::new(wanted.events.as_deref(), wanted.call)?;
    let place = v1.watchers.enter()?;
    let feed = Feed::new(&v1.parts.calls.events, v1.recent.clone(), filter, last);
    Ok((feed, place))
}

#[cfg(test)]
mod tests;
