//! TCP for SIP: a listener, one task per connection, framing by Content-Length.
//!
//! Limits: connections in all, idle time, message size (the framer's), and what may wait to be sent on one connection.
use super::Inbound;
use bytes::Bytes;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::OwnedWriteHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use trunkline_sip::stream::{StreamFramer, StreamItem};
use trunkline_sip::{Flow, Transport};

/// Messages that may wait to be written on one connection.
const WRITE_QUEUE: usize = 64;
/// How long one message may take to arrive once it has begun: a peer that sends an octet a second is let go.
const MESSAGE_TIME: Duration = Duration::from_secs(32);
/// How long the kernel may refuse our octets before the peer counts as gone.
const WRITE_TIME: Duration = Duration::from_secs(5);

/// How long an answer to a message that ended the connection may take.
const LAST_ANSWER_TIME: Duration = Duration::from_millis(500);
const FRAMING_ERROR: &str = "framing error";

/// Held by the legs of a connection: while there are any, it is not closed as idle, since our BYE has to leave on it.
#[derive(Debug, Clone, Default)]
pub(super) struct InUse(Arc<()>);

impl InUse {
    /// Whether anybody holds it beside the connection's own two ends.
    fn by_legs(&self) -> bool {
        Arc::strong_count(&self.0) > 2
    }
}

/// The pump's end of a connection.
#[derive(Debug)]
pub(crate) struct Stream {
    /// What is to be sent.
    pub(super) send: mpsc::Sender<Bytes>,
    pub(super) in_use: InUse,
}

/// One of the connections that count against the limit.
struct Place(Arc<Connections>);

impl Place {
    fn take(shared: &Arc<Connections>) -> Place {
        shared.open.fetch_add(1, Ordering::Relaxed);
        Place(shared.clone())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What all connections share.
pub(super) struct Connections {
    pub(super) open: AtomicUsize,
    pub(super) next_id: AtomicU64,
    pub(super) max: usize,
    pub(super) idle: Duration,
}

/// Accepts connections until the pump goes away.
pub(super) async fn accept(
    listener: TcpListener,
    shared: Arc<Connections>,
    out: mpsc::Sender<Inbound>,
) {
    loop {
        let (stream, remote) = match listener.accept().await {
            Ok(got) => got,
            Err(error) => {
                tracing::warn!(%error, "TCP accept refused by the system; trying again in 100 ms");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        if shared.open.load(Ordering::Relaxed) >= shared.max {
            tracing::warn!(%remote, rule = "tcp-max-connections", limit = shared.max, "TCP connection refused; raise [sip] tcp_max_connections");
            continue;
        }
        // Taken before its task runs: a burst must not pass the limit.
        let place = Place::take(&shared);
        tokio::spawn(serve(stream, remote, place, out.clone()));
    }
}

/// Opens a connection to `remote`; its flow arrives at the pump as `Connected`.
pub(super) async fn connect(
    remote: SocketAddr,
    shared: Arc<Connections>,
    out: mpsc::Sender<Inbound>,
) -> io::Result<Flow> {
    let stream = tokio::time::timeout(Duration::from_secs(5), TcpStream::connect(remote))
        .await
        .map_err(|_| {
            io::Error::new(
                io::ErrorKind::TimedOut,
                "no answer to the TCP connection request within 5 s",
            )
        })??;
    let place = Place::take(&shared);
    let flow = flow_of(&stream, remote, &shared)?;
    let (queue, in_use) = introduce(flow, &out).await;
    tokio::spawn(run(stream, flow, queue, in_use, place, out));
    Ok(flow)
}

/// Tells the pump of a connection; what it wants to send comes out of the queue.
async fn introduce(flow: Flow, out: &mpsc::Sender<Inbound>) -> (mpsc::Receiver<Bytes>, InUse) {
    let (send, queue) = mpsc::channel(WRITE_QUEUE);
    let in_use = InUse::default();
    let stream = Stream {
        send,
        in_use: in_use.clone(),
    };
    // A pump that is gone has dropped the queue's other end, which ends the connection.
    let _ = out.send(Inbound::Connected(flow, stream)).await;
    (queue, in_use)
}

fn flow_of(stream: &TcpStream, remote: SocketAddr, shared: &Connections) -> io::Result<Flow> {
    let connection = shared.next_id.fetch_add(1, Ordering::Relaxed);
    Ok(Flow {
        transport: Transport::Tcp,
        local: stream.local_addr()?,
        remote,
        connection,
    })
}

async fn serve(stream: TcpStream, remote: SocketAddr, place: Place, out: mpsc::Sender<Inbound>) {
    let Ok(flow) = flow_of(&stream, remote, &place.0) else {
        return;
    };
    let (queue, in_use) = introduce(flow, &out).await;
    run(stream, flow, queue, in_use, place, out).await;
}

async fn run(
    stream: TcpStream,
    flow: Flow,
    queue: mpsc::Receiver<Bytes>,
    in_use: InUse,
    place: Place,
    out: mpsc::Sender<Inbound>,
) {
    let _ = stream.set_nodelay(true);
    let why = pump_stream(stream, flow, queue, (place.0.idle, in_use), &out).await;
    drop(place);
    let _ = out.send(Inbound::Closed(flow, why)).await;
}

/// Reads and writes one connection; returns why it ended.
async fn pump_stream(
    stream: TcpStream,
    flow: Flow,
    mut queue: mpsc::Receiver<Bytes>,
    (idle, in_use): (Duration, InUse),
    out: &mpsc::Sender<Inbound>,
) -> &'static str {
    let (mut reader, mut writer) = stream.into_split();
    let mut framer = StreamFramer::new();
    let mut chunk = vec![0u8; 8 * 1024];
    let mut partial_since = None;
    loop {
        let patience = match partial_since {
            None => idle,
            Some(since) => MESSAGE_TIME
                .saturating_sub(Instant::now().duration_since(since))
                .min(idle),
        };
        let ended = tokio::select! {
            read = reader.read(&mut chunk) => match read {
                Ok(0) => Some("closed by the peer"),
                Err(_) => Some("connection reset"),
                Ok(length) => {
                    framer.push(&chunk[..length]);
                    let ended = deliver(&mut framer, flow, &mut writer, out).await;
                    partial_since = (framer.pending() > 0).then(|| partial_since.unwrap_or_else(Instant::now));
                    ended
                }
            },
            message = queue.recv() => match message {
                None => Some("closed by us"),
                Some(bytes) => write(&mut writer, &bytes).await,
            },
            () = tokio::time::sleep(patience) => match partial_since {
                Some(_) => Some("message not completed in time"),
                None if in_use.by_legs() => None,
                None => Some("idle"),
            },
        };
        if let Some(why) = ended {
            if why == FRAMING_ERROR {
                // One answer may still leave: the 400 to what could be read.
                if let Ok(Some(bytes)) = tokio::time::timeout(LAST_ANSWER_TIME, queue.recv()).await
                {
                    write(&mut writer, &bytes).await;
                }
            }
            return why;
        }
    }
}

/// Hands on every whole message; returns why the connection must end, if it must.
async fn deliver(
    framer: &mut StreamFramer,
    flow: Flow,
    writer: &mut OwnedWriteHalf,
    out: &mpsc::Sender<Inbound>,
) -> Option<&'static str> {
    loop {
        match framer.next_item() {
            Ok(None) => return None,
            // RFC 5626 §4.4.1: a double CRLF is answered by a single one.
            Ok(Some(StreamItem::Ping)) => {
                if let Some(why) = write(writer, b"\r\n").await {
                    return Some(why);
                }
            }
            Ok(Some(StreamItem::Message(bytes))) => {
                if out.send(Inbound::Message(flow, bytes)).await.is_err() {
                    return Some("shutting down");
                }
            }
            Err(error) => {
                tracing::info!(remote = %flow.remote, rule = "tcp-framing", %error, "TCP connection closed: its stream cannot be framed any more");
                // The endpoint refuses what can be read of a request (RFC 3261 §18.3), then the connection goes.
                let _ = out.send(Inbound::Message(flow, error.head)).await;
                return Some(FRAMING_ERROR);
            }
        }
    }
}

async fn write(writer: &mut OwnedWriteHalf, bytes: &[u8]) -> Option<&'static str> {
    match tokio::time::timeout(WRITE_TIME, writer.write_all(bytes)).await {
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some("connection reset"),
        Err(_) => Some("the peer does not read"),
    }
}
