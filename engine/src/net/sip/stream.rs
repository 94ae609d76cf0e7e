//! SIP over a stream (TCP, or TLS above it): one task per connection, framing by Content-Length, keep-alives.
//!
//! Limits: message size (the framer's), the time one message may take, idle time, and what may wait to be sent.
use super::Inbound;
use super::keep_alive::{Due, KeepAlive, Pings};
use super::write_queue::{Sender, WriteQueue, write_queue};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use trunkline_sip::Flow;
use trunkline_sip::stream::{StreamFramer, StreamItem};

/// How long the kernel may refuse our octets before the peer counts as gone.
pub(super) const WRITE_TIME: Duration = Duration::from_secs(5);
/// How long an answer to a message that ended the connection may take, and our good-bye.
pub(super) const LAST_ANSWER_TIME: Duration = Duration::from_millis(500);
/// How long the peer may take to close its side after that.
const READ_OUT_TIME: Duration = Duration::from_secs(2);
/// A connection that lived this long worked: one that ends sooner is not opened again by itself.
const WORKED: Duration = Duration::from_secs(5);
const FRAMING_ERROR: &str = "tcp-framing";
/// Octets read at once.
const CHUNK: usize = 8 * 1024;

/// Why we end connections on our own account: rules with a counter and a log line. Any other end is the peer's or the process's.
pub(super) const RULES: [&str; 5] = [
    FRAMING_ERROR,
    "ws-framing",
    "message-time",
    "keep-alive-unanswered",
    "peer-not-reading",
];

/// Held by the legs of a connection: while there are any, it is not closed as idle, since our BYE has to leave on it.
#[derive(Debug, Clone, Default)]
pub(super) struct InUse(Arc<()>);

impl InUse {
    /// Whether anybody holds it beside the connection's own two ends.
    pub(super) fn by_legs(&self) -> bool {
        Arc::strong_count(&self.0) > 2
    }
}

/// The pump's end of a connection.
#[derive(Debug)]
pub(crate) struct Link {
    /// What is to be sent.
    pub(super) send: Sender,
    pub(super) in_use: InUse,
}

/// The task's end of a connection.
pub(super) struct Connection {
    pub(super) flow: Flow,
    pub(super) queue: WriteQueue,
    pub(super) in_use: InUse,
    pub(super) idle: Duration,
    /// We opened it.
    pub(super) dialled: bool,
    pub(super) out: mpsc::Sender<Inbound>,
}

impl Connection {
    /// Both ends of a connection: the task's and the pump's.
    pub(super) fn new(
        flow: Flow,
        idle: Duration,
        dialled: bool,
        out: mpsc::Sender<Inbound>,
    ) -> (Connection, Link) {
        let (send, queue) = write_queue();
        let in_use = InUse::default();
        let link = Link {
            send,
            in_use: in_use.clone(),
        };
        let connection = Connection {
            flow,
            queue,
            in_use,
            idle,
            dialled,
            out,
        };
        (connection, link)
    }

    /// Tells the pump that the connection is gone. What it had no time to send is handed back when the connection is one that
    /// worked, so that it may leave on a new one.
    pub(super) async fn end(mut self, why: &'static str, worked: bool) {
        let mut unsent = self.queue.close();
        if !(worked && self.dialled) {
            unsent.clear();
        }
        let flow = self.flow;
        let _ = self.out.send(Inbound::Closed { flow, why, unsent }).await;
    }

    /// Reads and writes `stream` until it ends, and says so.
    pub(super) async fn run(mut self, mut stream: impl AsyncRead + AsyncWrite + Unpin + Send) {
        let up_since = Instant::now();
        let why = self.carry(&mut stream).await;
        // Under TLS the peer is told that nothing was cut off.
        let _ = tokio::time::timeout(LAST_ANSWER_TIME, stream.shutdown()).await;
        if why == FRAMING_ERROR {
            let _ = tokio::time::timeout(READ_OUT_TIME, read_out(&mut stream)).await;
        }
        self.end(why, up_since.elapsed() >= WORKED).await;
    }

    /// Reads and writes one connection; returns why it ended.
    async fn carry(
        &mut self,
        stream: &mut (impl AsyncRead + AsyncWrite + Unpin + Send),
    ) -> &'static str {
        let mut framer = StreamFramer::new();
        let mut chunk = vec![0u8; CHUNK];
        let pings = match self.dialled {
            true => Pings::LineEnds,
            false => Pings::None,
        };
        let mut clock = KeepAlive::new(Instant::now(), self.idle, pings);
        loop {
            let wake = tokio::time::sleep_until(clock.next().into());
            let ended = tokio::select! {
                read = stream.read(&mut chunk) => match read {
                    Ok(0) => Some("closed by the peer"),
                    Err(_) => Some("connection reset"),
                    Ok(length) => {
                        framer.push(&chunk[..length]);
                        let (messages, ended) = self.deliver(&mut framer, stream).await;
                        clock.received(Instant::now(), framer.pending() > 0, messages > 0);
                        ended
                    }
                },
                message = self.queue.recv() => match message {
                    None => Some("closed by us"),
                    Some(bytes) => {
                        clock.sent(Instant::now());
                        write(stream, &bytes).await
                    }
                },
                () = wake => match clock.due(Instant::now()) {
                    Due::Nothing => None,
                    Due::Idle if self.in_use.by_legs() => None,
                    Due::Idle => Some("idle"),
                    Due::Dead(why) => Some(why),
                    Due::Ping => write(stream, b"\r\n\r\n").await,
                },
            };
            if let Some(why) = ended {
                if why == FRAMING_ERROR {
                    self.last_answers(stream).await;
                }
                return why;
            }
        }
    }

    /// What is answered to the messages before the broken one and to what could be read of that. The pump ends a peer's queue after it;
    /// on a connection of ours one answer may leave.
    async fn last_answers(&mut self, stream: &mut (impl AsyncWrite + Unpin)) {
        let most = match self.dialled {
            true => LAST_ANSWER_TIME,
            false => WRITE_TIME,
        };
        while let Ok(Some(bytes)) = tokio::time::timeout(most, self.queue.recv()).await {
            if write(stream, &bytes).await.is_some() || self.dialled {
                return;
            }
        }
    }

    /// Hands on every whole message; returns how many, and why the connection must end, if it must.
    async fn deliver(
        &self,
        framer: &mut StreamFramer,
        stream: &mut (impl AsyncWrite + Unpin),
    ) -> (usize, Option<&'static str>) {
        let mut messages = 0;
        loop {
            match framer.next_item() {
                Ok(None) => return (messages, None),
                // RFC 5626 §4.4.1: a double CRLF is answered by a single one. On what we opened we ping; two of the peer's answers are no ping.
                Ok(Some(StreamItem::Ping)) if self.dialled => {}
                Ok(Some(StreamItem::Ping)) => {
                    if let Some(why) = write(stream, b"\r\n").await {
                        return (messages, Some(why));
                    }
                }
                Ok(Some(StreamItem::Message(bytes))) => {
                    messages += 1;
                    let message = Inbound::Message(self.flow, bytes);
                    if self.out.send(message).await.is_err() {
                        return (messages, Some("shutting down"));
                    }
                }
                Err(error) => {
                    tracing::debug!(remote = %self.flow.remote, rule = FRAMING_ERROR, %error, "connection closed: its stream cannot be framed any more");
                    // The endpoint refuses what can be read of a request (RFC 3261 §18.3), then the connection goes.
                    let message = Inbound::Last(self.flow, error.head);
                    let _ = self.out.send(message).await;
                    return (messages, Some(FRAMING_ERROR));
                }
            }
        }
    }
}

/// Reads until the peer has closed too. Closing with octets unread would reset the connection, and the peer might lose our last answer.
async fn read_out(stream: &mut (impl AsyncRead + Unpin)) {
    let mut chunk = [0u8; 4096];
    while matches!(stream.read(&mut chunk).await, Ok(1..)) {}
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> Option<&'static str> {
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    match tokio::time::timeout(WRITE_TIME, written).await {
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some("connection reset"),
        Err(_) => Some("peer-not-reading"),
    }
}
