//! SIP over WebSocket, server side (RFC 7118): the handshake with subprotocol `sip`, then one message per frame.
//!
//! Limits: 64 KiB per message, one handshake's time, idle time, and what may wait to be sent.
use super::Inbound;
use super::keep_alive::{Due, KeepAlive, Pings};
use super::stream::{Connection, LAST_ANSWER_TIME, WRITE_TIME};
use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Bytes as Payload, Error, Message};
use trunkline_sip::limits::MAX_MESSAGE;

const SUBPROTOCOL: &str = "Sec-WebSocket-Protocol";

/// Answers the HTTP request of a peer; without the subprotocol `sip` it is refused (RFC 7118 §4.1).
pub(super) async fn handshake<S>(stream: S) -> Result<WebSocketStream<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let limits = WebSocketConfig::default()
        .read_buffer_size(8 * 1024)
        .write_buffer_size(0)
        .max_write_buffer_size(4 * MAX_MESSAGE)
        .max_message_size(Some(MAX_MESSAGE))
        .max_frame_size(Some(MAX_MESSAGE));
    tokio_tungstenite::accept_hdr_async_with_config(stream, choose, Some(limits)).await
}

// The refusal's size is the library's choice.
#[expect(clippy::result_large_err)]
fn choose(request: &Request, mut response: Response) -> Result<Response, ErrorResponse> {
    let offered = request.headers().get_all(SUBPROTOCOL);
    let sip = offered
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|protocol| protocol.trim().eq_ignore_ascii_case("sip"));
    if sip {
        let chosen = HeaderValue::from_static("sip");
        response.headers_mut().insert(SUBPROTOCOL, chosen);
        return Ok(response);
    }
    let why = "This WebSocket speaks SIP only: ask for the subprotocol sip (RFC 7118).\n";
    let mut refusal = ErrorResponse::new(Some(why.to_owned()));
    *refusal.status_mut() = StatusCode::BAD_REQUEST;
    Err(refusal)
}

/// Reads and writes messages until the connection ends, and says so.
pub(super) async fn run<S>(mut connection: Connection, mut socket: WebSocketStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let why = carry(&mut connection, &mut socket).await;
    let _ = tokio::time::timeout(LAST_ANSWER_TIME, socket.close(None)).await;
    connection.end(why, false).await;
}

async fn carry<S>(connection: &mut Connection, socket: &mut WebSocketStream<S>) -> &'static str
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut clock = KeepAlive::new(Instant::now(), connection.idle, Pings::WebSocket);
    loop {
        let wake = tokio::time::sleep_until(clock.next().into());
        let ended = tokio::select! {
            frame = socket.next() => match frame {
                None => Some("closed by the peer"),
                Some(Ok(frame)) => received(connection, &mut clock, frame).await,
                Some(Err(error)) => Some(broken(connection, &error)),
            },
            message = connection.queue.recv() => match message {
                None => Some("closed by us"),
                Some(bytes) => {
                    clock.sent(Instant::now());
                    write(socket, framed(bytes)).await
                }
            },
            () = wake => match clock.due(Instant::now()) {
                Due::Nothing => None,
                Due::Idle if connection.in_use.by_legs() => None,
                Due::Idle => Some("idle"),
                Due::Dead(why) => Some(why),
                Due::Ping => write(socket, Message::Ping(Payload::new())).await,
            },
        };
        if let Some(why) = ended {
            return why;
        }
    }
}

async fn received(
    connection: &Connection,
    clock: &mut KeepAlive,
    frame: Message,
) -> Option<&'static str> {
    let bytes = match frame {
        Message::Text(text) => Bytes::from(text),
        Message::Binary(bytes) => bytes,
        Message::Pong(_) => {
            clock.answered();
            return None;
        }
        // The library answers pings and closes.
        Message::Ping(_) | Message::Close(_) | Message::Frame(_) => return None,
    };
    clock.received(Instant::now(), false, true);
    let message = Inbound::Message(connection.flow, bytes);
    match connection.out.send(message).await {
        Ok(()) => None,
        Err(_) => Some("shutting down"),
    }
}

fn broken(connection: &Connection, error: &Error) -> &'static str {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => "closed by the peer",
        Error::Io(_) => "connection reset",
        error => {
            tracing::debug!(remote = %connection.flow.remote, rule = "ws-framing", %error, "WebSocket closed: what came is no frame, or too long");
            "ws-framing"
        }
    }
}

/// RFC 7118 §5: text frames where the message is UTF-8, binary ones otherwise.
fn framed(bytes: Bytes) -> Message {
    match tokio_tungstenite::tungstenite::Utf8Bytes::try_from(bytes.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Binary(bytes),
    }
}

async fn write<S>(socket: &mut WebSocketStream<S>, message: Message) -> Option<&'static str>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    match tokio::time::timeout(WRITE_TIME, socket.send(message)).await {
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some("connection reset"),
        Err(_) => Some("peer-not-reading"),
    }
}
