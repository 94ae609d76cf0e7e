//! What waits to be delivered to webhooks: seen, tried at once, given up.
use super::super::V1;
use super::super::book::{Book, Route};
use super::super::page::{Page, Paging, cursor};
use super::super::problem::{Kind, Problem};
use super::super::scope::Scope;
use super::super::take::{Asked, Named};
use super::cdrs::store_failed;
use crate::store::{Spooled, stamp, time_of};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::sync::Arc;
use utoipa::{IntoParams, ToSchema};

/// Which deliveries.
#[derive(Debug, Default, Deserialize, IntoParams)]
struct Wanted {
    /// Those of this webhook.
    #[param(max_length = 256)]
    webhook: Option<String>,
    /// Most deliveries of the answer.
    #[param(minimum = 1, maximum = 200)]
    limit: Option<usize>,
    /// What `next` of the page before said.
    #[param(max_length = 1024)]
    cursor: Option<String>,
}

/// A delivery that waits.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
struct Delivery {
    /// Its id, which the receiver gets as `Trunkline-Delivery`.
    id: String,
    /// The webhook's name.
    webhook: String,
    /// The event's name.
    event: String,
    /// The call it happened to.
    call: Option<String>,
    /// When it happened (RFC 3339).
    created: String,
    /// Times it was tried.
    attempts: u32,
    /// When it is tried next (RFC 3339); null: when those of its call are through that came before it.
    due: Option<String>,
    /// What is sent.
    #[schema(value_type = Object)]
    body: Value,
}

/// What waits for a webhook.
#[derive(Debug, Serialize, ToSchema)]
struct WebhookBacklog {
    /// The webhook's name.
    webhook: String,
    /// Deliveries that wait.
    waiting: u64,
}

pub(super) fn routes(book: Book) -> Book {
    let one = "/webhooks/deliveries/{id}";
    book.add(
        Route::get("/webhooks/waiting", "list_waiting_deliveries")
            .says("records", "How many deliveries wait for each webhook")
            .more("Webhooks for which nothing waits are not listed.")
            .scope(Scope::WebhooksRead)
            .query::<Paging>()
            .refuses(&[503])
            .lists::<WebhookBacklog>("Webhooks, by name"),
        waiting,
    )
    .add(
        Route::get("/webhooks/deliveries", "list_deliveries")
            .says("records", "Deliveries that wait, the oldest first")
            .scope(Scope::WebhooksRead)
            .query::<Wanted>()
            .refuses(&[503])
            .lists::<Delivery>("Deliveries"),
        list,
    )
    .add(
        Route::get(one, "read_delivery")
            .says("records", "A delivery that waits")
            .more("One that has arrived, or was given up, is not there any more.")
            .scope(Scope::WebhooksRead)
            .refuses(&[503])
            .answers::<Delivery>(200, "The delivery"),
        read,
    )
    .add(
        Route::post("/webhooks/deliveries/{id}/retry", "retry_delivery")
            .says("records", "Tries a delivery at once")
            .more("Those of its call that came before go first.")
            .scope(Scope::WebhooksWrite)
            .answers_nothing(204, "It is tried"),
        retry,
    )
    .add(
        Route::delete(one, "delete_delivery")
            .says("records", "Gives up a delivery")
            .more("One that is under way may still arrive.")
            .scope(Scope::WebhooksWrite)
            .refuses(&[503])
            .answers_nothing(204, "It is gone"),
        delete,
    )
}

impl From<Spooled> for Delivery {
    fn from(of: Spooled) -> Delivery {
        let due = of.due().map(stamp);
        Delivery {
            id: of.id,
            webhook: of.hook,
            event: of.event,
            call: Some(of.call).filter(|call| !call.is_empty()),
            created: stamp(time_of(of.created_ms)),
            attempts: of.attempts,
            due,
            body: serde_json::from_str(&of.body).unwrap_or_default(),
        }
    }
}

async fn list(
    State(v1): State<Arc<V1>>,
    Asked(wanted): Asked<Wanted>,
) -> Result<Json<Page<Delivery>>, Problem> {
    let paging = Paging {
        limit: wanted.limit,
        cursor: wanted.cursor,
    };
    let (limit, after) = (paging.limit()?, paging.after()?);
    let after = after.map_or(Ok(0), |number| number.parse::<i64>());
    let after =
        after.map_err(|_| Problem::new(Kind::BadParameter, "the cursor is none of ours"))?;
    let store = &v1.parts.store;
    let found = store.webhook_spool(wanted.webhook, after, limit + 1).await;
    let mut found = found.map_err(store_failed)?;
    let more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().filter(|_| more);
    Ok(Json(Page {
        next: last.map(|last| cursor(&last.number.to_string())),
        items: found.into_iter().map(Delivery::from).collect(),
    }))
}

fn none(id: &str) -> Problem {
    Problem::not_found("delivery that waits", id)
}

async fn read(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
) -> Result<Json<Delivery>, Problem> {
    let found = v1.parts.store.webhook_delivery(&id).await;
    let found = found.map_err(store_failed)?;
    found.map(|of| Json(of.into())).ok_or_else(|| none(&id))
}

async fn retry(State(v1): State<Arc<V1>>, Named(id): Named<String>) -> Result<StatusCode, Problem> {
    match v1.parts.webhooks.retry(&id).await.map_err(store_failed)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(none(&id)),
    }
}

async fn delete(
    State(v1): State<Arc<V1>>,
    Named(id): Named<String>,
) -> Result<StatusCode, Problem> {
    match v1.parts.webhooks.delete(&id).await.map_err(store_failed)? {
        true => Ok(StatusCode::NO_CONTENT),
        false => Err(none(&id)),
    }
}

async fn waiting(
    State(v1): State<Arc<V1>>,
    Asked(paging): Asked<Paging>,
) -> Result<Json<Page<WebhookBacklog>>, Problem> {
    let waiting = v1.parts.store.webhooks_waiting().await;
    let mut all = waiting.map_err(store_failed)?;
    all.sort();
    let backlog = |(webhook, waiting): (String, usize)| WebhookBacklog {
        webhook,
        waiting: waiting as u64,
    };
    let all = all.into_iter().map(backlog);
    paging.of(all, |of| of.webhook.clone()).map(Json)
}
