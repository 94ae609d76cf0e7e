//! Events over a WebSocket (RFC 6455): a text message for each; what the far end says is not listened to, but for its signs of life.
use super::feed::{Feed, Next};
use super::{Cut, SEND_TIME, Wanted, Watchers, watch};
use crate::api::v1::V1;
use crate::api::v1::problem::{Kind, Problem};
use crate::api::v1::take::Asked;
use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocketUpgrade};
use axum::response::Response;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Largest message of a watcher.
const MAX_HEARD: usize = 4096;
/// Between two pings; who sent nothing from one to the second after is gone.
const PING: Duration = Duration::from_secs(20);
/// Try again later (RFC 6455 section 7.4.1, IANA).
const TRY_AGAIN: u16 = 1013;
/// Against the rules.
const POLICY: u16 = 1008;

pub(super) async fn upgrade(
    State(v1): State<Arc<V1>>,
    Asked(wanted): Asked<Wanted>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let upgrade = upgrade.map_err(|rejected| {
        Problem::new(
            Kind::BadParameter,
            format!("this is for WebSockets: {}", rejected.body_text()),
        )
    })?;
    let (feed, place) = watch(&v1, wanted, None)?;
    Ok(upgrade
        .max_message_size(MAX_HEARD)
        .max_frame_size(MAX_HEARD)
        .on_upgrade(move |socket| async move {
            serve(socket, feed, &v1.watchers, SEND_TIME).await;
            drop(place);
        }))
}

/// Sends until either side has enough. Returns why it was cut off, if it was.
pub(super) async fn serve<S, E>(
    mut socket: S,
    mut feed: Feed,
    watchers: &Watchers,
    patience: Duration,
) -> Option<Cut>
where
    S: Sink<Message> + Stream<Item = Result<Message, E>> + Unpin,
{
    let mut ping = tokio::time::interval(PING);
    let mut alive = true;
    ping.tick().await;
    let (why, missed) = loop {
        let message = tokio::select! {
            heard = socket.next() => match heard {
                None | Some(Err(_)) | Some(Ok(Message::Close(_))) => return None,
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {
                    alive = true;
                    continue;
                }
                Some(Ok(_)) => break (Cut::Odd, 0),
            },
            _ = ping.tick() => {
                if !std::mem::take(&mut alive) {
                    break (Cut::Silent, 0);
                }
                Message::Ping(Default::default())
            }
            next = feed.next() => match next {
                Next::Event(event) => text(&feed.shown(&event)),
                Next::Away(missed) => text(&json!({ "event": "missed", "data": { "missed": missed } })),
                Next::TooSlow(missed) => break (Cut::TooSlow, missed),
            },
        };
        match tokio::time::timeout(patience, socket.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) => return None,
            Err(_) => break (Cut::Stuck, 0),
        }
    };
    watchers.cut(why, missed);
    let code = if why == Cut::Odd { POLICY } else { TRY_AGAIN };
    let close = Message::Close(Some(CloseFrame {
        code,
        reason: why.name().into(),
    }));
    let _ = tokio::time::timeout(patience, socket.send(close)).await;
    Some(why)
}

fn text(what: &impl serde::Serialize) -> Message {
    Message::Text(serde_json::to_string(what).unwrap_or_default().into())
}
