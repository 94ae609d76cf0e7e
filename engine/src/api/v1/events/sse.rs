//! Server-sent events (WHATWG HTML, section 9.2).
use super::feed::{Feed, Next};
use super::{Cut, Place, SEND_TIME, Wanted, watch};
use crate::api::v1::V1;
use crate::api::v1::problem::Problem;
use crate::api::v1::take::Asked;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde_json::json;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

/// Between two signs of life.
const ALIVE: Duration = Duration::from_secs(15);

struct Watching {
    v1: Arc<V1>,
    feed: Feed,
    _place: Place,
    over: bool,
}

pub(super) async fn stream(
    State(v1): State<Arc<V1>>,
    Asked(wanted): Asked<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let (feed, place) = watch(&v1, wanted, last)?;
    let watching = Watching {
        v1,
        feed,
        _place: place,
        over: false,
    };
    let events = stream::unfold(watching, |mut watching| async move {
        let event = watching.next().await?;
        Some((Ok::<_, Infallible>(event), watching))
    });
    let alive = KeepAlive::new().interval(ALIVE);
    Ok(Sse::new(events).keep_alive(alive).into_response())
}

impl Watching {
    /// The next event; `None`: the stream is over.
    async fn next(&mut self) -> Option<Event> {
        if self.over {
            return None;
        }
        Some(match self.feed.next().await {
            Next::Event(event) => {
                let shown = self.feed.shown(&event);
                let data = serde_json::to_string(&shown).unwrap_or_default();
                Event::default()
                    .id(shown.id)
                    .event(shown.event.0)
                    .data(data)
            }
            Next::Away(missed) => {
                let data = json!({ "missed": missed }).to_string();
                Event::default().event("missed").data(data)
            }
            Next::TooSlow(missed) => {
                self.over = true;
                self.v1.watchers.cut(Cut::TooSlow, missed);
                let data = json!({ "reason": Cut::TooSlow.name(), "missed": missed });
                Event::default().event("cut").data(data.to_string())
            }
        })
    }
}

// A peer that takes nothing at all is cut off by the socket's own limit, which is longer.
const _: () = assert!(SEND_TIME.as_secs() <= crate::api::v1::serve::WRITE_TIME.as_secs());
