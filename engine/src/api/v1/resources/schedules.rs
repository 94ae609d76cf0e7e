//! The schedules of flows: whether they are open now, and setting them by hand.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging};
use super::super::problem::Problem;
use super::super::scope::Scope;
use super::super::take::{Asked, Body, Named};
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use utoipa::ToSchema;

/// What is set by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Override {
    /// Nothing: the hours count.
    Auto,
    /// It is open.
    Open,
    /// It is closed.
    Closed,
}

impl Override {
    /// Of open, closed or nothing.
    pub fn of(by_hand: Option<bool>) -> Override {
        match by_hand {
            None => Override::Auto,
            Some(true) => Override::Open,
            Some(false) => Override::Closed,
        }
    }

    /// The reverse.
    pub fn by_hand(self) -> Option<bool> {
        match self {
            Override::Auto => None,
            Override::Open => Some(true),
            Override::Closed => Some(false),
        }
    }
}

/// A schedule as it is now.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub struct ScheduleFound {
    /// Its name in the flow.
    pub id: String,
    /// What is set by hand.
    #[serde(rename = "override")]
    pub set: Override,
    /// Whether a call would find it open.
    pub open: bool,
    /// An exceptional period has its own destination.
    pub exception: bool,
    /// Why, as `within the hours`.
    pub why: String,
    /// What the clock shows there.
    pub local_time: String,
    /// Where its hours count.
    pub timezone: String,
}

/// What to set.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Setting {
    #[serde(rename = "override")]
    to: Override,
}

pub(super) fn routes(book: Book) -> Book {
    book.add(
        Route::get("/flows/{id}/schedules", "list_schedules")
            .says("flows", "The schedules of a flow, and whether they are open")
            .scope(Scope::FlowsRead)
            .query::<Paging>()
            .lists::<ScheduleFound>("Schedules, by name"),
        list,
    )
    .add(
        Route::put("/flows/{id}/schedules/{schedule}", "set_schedule")
            .says("flows", "Sets a schedule by hand: open, closed, or auto")
            .more("It counts for calls from then on, outlives a restart, and comes before the hours and exceptional periods until it is `auto` again.")
            .scope(Scope::FlowsWrite)
            .body::<Setting>()
            .refuses(&[409])
            .answers::<ScheduleFound>(200, "The schedule as it is now"),
        set,
    )
}

async fn list(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<ScheduleFound>>, Problem> {
    let found = v1.parts.flows.schedules(&id);
    let found = found.ok_or_else(|| Problem::not_found("flow", &id))?;
    paging.of(found, |schedule| schedule.id.clone()).map(Json)
}

async fn set(
    State(v1): State<Arc<V1>>,
    Named((id, schedule)): Named<(String, String)>,
    Body(setting): Body<Setting>,
) -> Result<Json<ScheduleFound>, Problem> {
    let flows = &v1.parts.flows;
    flows
        .set_schedule(&id, &schedule, setting.to.by_hand())
        .map(Json)
}
