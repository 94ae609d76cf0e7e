//! The pump: the single owner of the `Endpoint`. Bytes in, commands in, deadlines; bytes out, events out.
//!
//! It routes events to the leg they belong to and never waits for a call: a leg that does not drain its events has its
//! optional ones refused, and keeps room for those that end it.
use super::{Inbound, tcp, udp};
use bytes::Bytes;
use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, UdpSocket};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use trunkline_sip::{
    Counts, Endpoint, EndpointConfig, Event, Flow, HangupReason, InfoId, Invite, LegError, LegId,
    Message, Transport,
};

/// Datagrams and messages that may wait between readers and pump.
const INBOUND_QUEUE: usize = 4096;
/// Events that may wait at one leg; the last few places are kept for those that end it.
const LEG_QUEUE: usize = 32;
const LEG_RESERVE: usize = 6;
/// New legs that may wait to be accepted.
const ACCEPT_QUEUE: usize = 1024;

/// What could not be set up, with the address an operator must change.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The socket could not be bound.
    #[error(
        "cannot listen for SIP on {transport}:{address}: {cause}. Is another SIP server running? Change [sip] listen in the configuration"
    )]
    Bind {
        /// `udp` or `tcp`.
        transport: &'static str,
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
}

/// Limits of TCP connections.
#[derive(Debug, Clone, Copy)]
pub struct TcpLimits {
    /// Connections open at once.
    pub max_connections: usize,
    /// A connection is closed when nothing came or went for this long.
    pub idle: Duration,
}

/// Counters of the SIP side, read by the metrics page.
#[derive(Debug, Default)]
pub struct PumpCounters {
    /// Messages received.
    pub received: AtomicU64,
    /// Messages sent.
    pub sent: AtomicU64,
    /// Messages that could not be sent (socket buffer full, connection gone).
    pub send_failed: AtomicU64,
    /// Requests the endpoint refused by itself, by rule.
    refused: Mutex<BTreeMap<&'static str, u64>>,
    /// Messages dropped without an answer, by rule.
    dropped: Mutex<BTreeMap<&'static str, u64>>,
    /// Legs, server transactions, client transactions alive now.
    pub legs: AtomicUsize,
    /// Server transactions alive now.
    pub server_transactions: AtomicUsize,
    /// Client transactions alive now.
    pub client_transactions: AtomicUsize,
}

impl PumpCounters {
    /// Requests the endpoint refused by itself, by rule.
    pub fn refused_by(&self) -> Vec<(&'static str, u64)> {
        snapshot(&self.refused)
    }

    /// Messages dropped without an answer, by rule.
    pub fn dropped_by(&self) -> Vec<(&'static str, u64)> {
        snapshot(&self.dropped)
    }
}

/// Events of one leg, in order. The channel closes after the leg's terminal event.
pub type LegEvents = mpsc::Receiver<Event>;

/// A new incoming leg.
#[derive(Debug)]
pub struct Incoming {
    /// Its name at the endpoint.
    pub leg: LegId,
    /// The INVITE.
    pub request: Message,
    /// Where it came from.
    pub flow: Flow,
    /// What happens to it from now on.
    pub events: LegEvents,
}

/// A leg we opened.
#[derive(Debug)]
pub struct NewLeg {
    /// Its name at the endpoint.
    pub leg: LegId,
    /// What happens to it.
    pub events: LegEvents,
}

/// What a call asks of the endpoint.
#[derive(Debug)]
pub enum Command {
    /// Send a provisional response.
    Provisional(LegId, u16, &'static str),
    /// Answer with 200 and this SDP.
    Answer(LegId, Vec<u8>),
    /// Refuse with a status, a text for the Reason header, and extra headers.
    Reject(LegId, u16, String, Vec<(&'static str, String)>),
    /// End the leg, whatever state it is in.
    Hangup(LegId, Option<HangupReason>),
    /// Answer a re-INVITE.
    AnswerReinvite(LegId, Vec<u8>),
    /// Refuse a re-INVITE.
    RejectReinvite(LegId, u16, String),
    /// Answer an INFO.
    RespondInfo(LegId, InfoId, u16),
    /// Open an outbound leg.
    Invite(Box<Invite>, oneshot::Sender<Result<NewLeg, LegError>>),
    /// Refuse new INVITEs with 503 and this Retry-After from now on. [`Sip::incoming`] ends after those taken before.
    Drain(Duration),
}

/// Where calls send their commands. Cheap to clone.
///
/// The queue is unbounded, but each call sends a bounded number of commands per event it got, and events are bounded.
#[derive(Debug, Clone)]
pub struct SipHandle {
    commands: mpsc::UnboundedSender<Command>,
}

impl SipHandle {
    /// Queues a command; a pump that is gone means that the process is ending, so nothing is reported.
    pub fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// Opens an outbound leg.
    pub async fn invite(&self, invite: Invite) -> Result<NewLeg, LegError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Invite(Box::new(invite), reply));
        answer.await.unwrap_or(Err(LegError::UnknownLeg))
    }
}

/// The running SIP side.
pub struct Sip {
    /// For calls.
    pub handle: SipHandle,
    /// New incoming legs.
    pub incoming: mpsc::Receiver<Incoming>,
    /// Addresses really bound (port 0 resolved).
    pub listening: Vec<(Transport, SocketAddr)>,
    /// Counters for the metrics page.
    pub counters: Arc<PumpCounters>,
    connections: Arc<tcp::Connections>,
    inbound: mpsc::Sender<Inbound>,
}

impl Sip {
    /// Binds the sockets and starts the pump on the current tokio runtime.
    pub async fn start(
        listen: &[(Transport, SocketAddr)],
        limits: TcpLimits,
        config: EndpointConfig,
    ) -> Result<Sip, StartError> {
        let (inbound_send, inbound) = mpsc::channel(INBOUND_QUEUE);
        let (commands_send, commands) = mpsc::unbounded_channel();
        let (accept, incoming) = mpsc::channel(ACCEPT_QUEUE);
        let connections = Arc::new(tcp::Connections {
            open: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            max: limits.max_connections,
            idle: limits.idle,
        });
        let counters = Arc::new(PumpCounters::default());
        let (mut listening, mut sockets) = (Vec::new(), Vec::new());
        for &(transport, address) in listen {
            let bind_error = |transport, cause| StartError::Bind {
                transport,
                address,
                cause,
            };
            match transport {
                Transport::Udp => {
                    let socket = Arc::new(udp::bind(address).map_err(|e| bind_error("udp", e))?);
                    let local = socket.local_addr().map_err(|e| bind_error("udp", e))?;
                    tokio::spawn(udp::read(socket.clone(), local, inbound_send.clone()));
                    listening.push((transport, local));
                    sockets.push((local, socket));
                }
                Transport::Tcp => {
                    let listener = TcpListener::bind(address)
                        .await
                        .map_err(|e| bind_error("tcp", e))?;
                    let local = listener.local_addr().map_err(|e| bind_error("tcp", e))?;
                    tokio::spawn(tcp::accept(
                        listener,
                        connections.clone(),
                        inbound_send.clone(),
                    ));
                    listening.push((transport, local));
                }
            }
        }
        let pump = Pump {
            endpoint: Endpoint::new(config),
            sockets,
            streams: HashMap::new(),
            legs: HashMap::new(),
            accept: Some(accept),
            counters: counters.clone(),
        };
        tokio::spawn(pump.run(inbound, commands));
        Ok(Sip {
            handle: SipHandle {
                commands: commands_send,
            },
            incoming,
            listening,
            counters,
            connections,
            inbound: inbound_send,
        })
    }

    /// The flow on which requests to `remote` leave; opens a TCP connection where needed.
    pub async fn flow_to(&self, transport: Transport, remote: SocketAddr) -> std::io::Result<Flow> {
        match transport {
            Transport::Tcp => {
                tcp::connect(remote, self.connections.clone(), self.inbound.clone()).await
            }
            Transport::Udp => {
                let bound = self
                    .listening
                    .iter()
                    .find(|(t, address)| {
                        *t == Transport::Udp && address.is_ipv4() == remote.is_ipv4()
                    })
                    .ok_or_else(|| {
                        std::io::Error::new(
                            std::io::ErrorKind::AddrNotAvailable,
                            "no UDP socket of that address family in [sip] listen",
                        )
                    })?;
                Ok(Flow {
                    transport,
                    local: udp::LocalAddresses::default().towards(remote, bound.1),
                    remote,
                    connection: 0,
                })
            }
        }
    }
}

/// Where the events of a leg go.
struct LegEntry {
    events: mpsc::Sender<Event>,
    /// Keeps the TCP connection it came or left on from being closed as idle.
    _in_use: Option<tcp::InUse>,
}

struct Pump {
    endpoint: Endpoint,
    sockets: Vec<(SocketAddr, Arc<UdpSocket>)>,
    streams: HashMap<u64, tcp::Stream>,
    legs: HashMap<LegId, LegEntry>,
    /// Gone while draining.
    accept: Option<mpsc::Sender<Incoming>>,
    counters: Arc<PumpCounters>,
}

impl Pump {
    async fn run(
        mut self,
        mut inbound: mpsc::Receiver<Inbound>,
        mut commands: mpsc::UnboundedReceiver<Command>,
    ) {
        let mut batch = Vec::with_capacity(64);
        loop {
            let deadline = self.endpoint.next_timeout();
            tokio::select! {
                got = inbound.recv_many(&mut batch, 64) => {
                    if got == 0 {
                        return;
                    }
                    let now = Instant::now();
                    for item in batch.drain(..) {
                        self.inbound(now, item);
                    }
                }
                command = commands.recv() => match command {
                    None => return,
                    Some(command) => {
                        self.command(Instant::now(), command);
                        while let Ok(more) = commands.try_recv() {
                            self.command(Instant::now(), more);
                        }
                    }
                },
                () = sleep_until(deadline) => {}
            }
            let now = Instant::now();
            if deadline.is_some_and(|at| at <= now) {
                self.endpoint.handle_timeout(now);
            }
            self.flush();
        }
    }

    fn inbound(&mut self, now: Instant, item: Inbound) {
        match item {
            Inbound::Message(flow, bytes) => {
                self.counters.received.fetch_add(1, Ordering::Relaxed);
                tracing::trace!(remote = %flow.remote, message = %Shown(&bytes), "SIP in");
                self.endpoint.receive(now, flow, &bytes);
            }
            Inbound::Connected(flow, stream) => {
                self.streams.insert(flow.connection, stream);
            }
            Inbound::Closed(flow, why) => {
                tracing::debug!(remote = %flow.remote, why, "TCP connection ended");
                self.streams.remove(&flow.connection);
                self.endpoint.transport_failed(now, flow);
            }
        }
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Provisional(leg, status, reason) => {
                if let Err(error) = self.endpoint.provisional(now, leg, status, reason, None) {
                    tracing::debug!(?leg, %error, "provisional response not sent");
                }
            }
            Command::Answer(leg, sdp) => self.endpoint.answer(now, leg, &sdp),
            Command::Reject(leg, status, reason, extra) => {
                self.endpoint.reject(now, leg, status, &reason, &extra)
            }
            Command::Hangup(leg, reason) => self.endpoint.hangup(now, leg, reason),
            Command::AnswerReinvite(leg, sdp) => self.endpoint.answer_reinvite(now, leg, &sdp),
            Command::RejectReinvite(leg, status, reason) => {
                self.endpoint.reject_reinvite(now, leg, status, &reason)
            }
            Command::RespondInfo(leg, id, status) => {
                self.endpoint.respond_info(now, leg, id, status)
            }
            Command::Invite(invite, reply) => {
                let flow = invite.flow;
                let made = self.endpoint.invite(now, *invite).map(|leg| NewLeg {
                    leg,
                    events: self.enter(leg, &flow),
                });
                if let Err(Ok(orphan)) = reply.send(made) {
                    self.endpoint.hangup(now, orphan.leg, None);
                }
            }
            Command::Drain(retry_after) => {
                self.endpoint.set_draining(Some(retry_after));
                self.accept = None;
            }
        }
    }

    /// Hands out what the endpoint has to say, until it has no more.
    fn flush(&mut self) {
        loop {
            while let Some(out) = self.endpoint.poll_transmit() {
                self.transmit(out.flow, out.bytes);
            }
            let Some(event) = self.endpoint.poll_event() else {
                break;
            };
            self.event(event);
        }
        let Counts {
            legs,
            server_transactions,
            client_transactions,
            ..
        } = self.endpoint.counts();
        self.counters.legs.store(legs, Ordering::Relaxed);
        self.counters
            .server_transactions
            .store(server_transactions, Ordering::Relaxed);
        self.counters
            .client_transactions
            .store(client_transactions, Ordering::Relaxed);
    }

    fn transmit(&mut self, flow: Flow, bytes: Bytes) {
        tracing::trace!(remote = %flow.remote, message = %Shown(&bytes), "SIP out");
        let sent = match flow.transport {
            Transport::Udp => {
                let socket = self.sockets.iter().find(|(local, _)| {
                    local.port() == flow.local.port()
                        && (local.ip() == flow.local.ip() || local.ip().is_unspecified())
                });
                socket.is_some_and(|(_, socket)| socket.try_send_to(&bytes, flow.remote).is_ok())
            }
            Transport::Tcp => self
                .streams
                .get(&flow.connection)
                .is_some_and(|stream| stream.send.try_send(bytes).is_ok()),
        };
        if !sent && flow.transport == Transport::Tcp {
            // Gone, or its peer does not read: what waits for an answer on it need not wait for its timer.
            self.endpoint.transport_failed(Instant::now(), flow);
        }
        let counter = if sent {
            &self.counters.sent
        } else {
            &self.counters.send_failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Invite { leg, request, flow } => self.accept(leg, request, flow),
            Event::Refused {
                flow,
                method,
                status,
                rule,
            } => {
                tracing::info!(remote = %flow.remote, transport = ?flow.transport, method, status, rule, "request refused");
                count(&self.counters.refused, rule);
            }
            Event::Dropped { flow, rule } => {
                tracing::debug!(remote = %flow.remote, transport = ?flow.transport, rule, "message dropped");
                count(&self.counters.dropped, rule);
            }
            Event::Cancelled { leg, .. }
            | Event::Rejected { leg, .. }
            | Event::Ended { leg, .. } => {
                if let Some(entry) = self.legs.remove(&leg) {
                    // Nobody may listen any more; and one whose queue is full learns it from the end of the channel.
                    let _ = entry.events.try_send(event);
                }
            }
            event => self.leg_event(event),
        }
    }

    /// A new leg is handed to the acceptor, or refused.
    fn accept(&mut self, leg: LegId, request: Message, flow: Flow) {
        let events = self.enter(leg, &flow);
        let incoming = Incoming {
            leg,
            request,
            flow,
            events,
        };
        let taken = match &self.accept {
            Some(accept) => accept.try_send(incoming).is_ok(),
            None => false,
        };
        if !taken {
            tracing::warn!(remote = %flow.remote, rule = "accept-queue-full", "call refused with 503: calls come faster than they can be started");
            count(&self.counters.refused, "accept-queue-full");
            let retry = [("Retry-After", "2".to_owned())];
            self.endpoint
                .reject(Instant::now(), leg, 503, "accept-queue-full", &retry);
        }
    }

    /// Remembers a leg until its last event.
    fn enter(&mut self, leg: LegId, flow: &Flow) -> LegEvents {
        let (send, events) = mpsc::channel(LEG_QUEUE);
        let stream = self.streams.get(&flow.connection);
        let entry = LegEntry {
            events: send,
            _in_use: stream.map(|stream| stream.in_use.clone()),
        };
        self.legs.insert(leg, entry);
        events
    }

    fn leg_event(&mut self, event: Event) {
        let Some(leg) = leg_of(&event) else { return };
        let Some(entry) = self.legs.get(&leg) else {
            return;
        };
        let optional = matches!(
            event,
            Event::Info { .. } | Event::Reinvite { .. } | Event::Progress { .. }
        );
        if optional && entry.events.capacity() <= LEG_RESERVE {
            return self.refuse_optional(event);
        }
        if let Err(lost) = entry.events.try_send(event) {
            // Its call is gone without a hang-up, or cannot be told what it must know: nobody may stay in a dead call.
            if matches!(lost, TrySendError::Full(_)) {
                tracing::error!(%leg, rule = "leg-queue-full", "hanging up: the call does not take its events");
            }
            self.endpoint.hangup(Instant::now(), leg, None);
        }
    }

    /// Answers what a leg that is behind would have to answer.
    fn refuse_optional(&mut self, event: Event) {
        count(&self.counters.refused, "leg-queue-full");
        let now = Instant::now();
        match event {
            Event::Info { leg, id, .. } => self.endpoint.respond_info(now, leg, id, 503),
            Event::Reinvite { leg, .. } => {
                self.endpoint
                    .reject_reinvite(now, leg, 503, "leg-queue-full")
            }
            _ => {}
        }
    }
}

/// A SIP message for the trace log: its lines are indented and its control characters escaped, so that no peer can forge a
/// line of the log or speak to the terminal.
struct Shown<'a>(&'a [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        use std::fmt::Write;
        let text = String::from_utf8_lossy(self.0);
        for line in text.trim_end().split('\n') {
            f.write_str("\n    ")?;
            for character in line.trim_end_matches('\r').chars() {
                match character.is_control() && character != '\t' {
                    true => write!(f, "{}", character.escape_default())?,
                    false => f.write_char(character)?,
                }
            }
        }
        Ok(())
    }
}

fn leg_of(event: &Event) -> Option<LegId> {
    match event {
        Event::Invite { leg, .. }
        | Event::Cancelled { leg, .. }
        | Event::Confirmed { leg, .. }
        | Event::Progress { leg, .. }
        | Event::Answered { leg, .. }
        | Event::Rejected { leg, .. }
        | Event::Reinvite { leg, .. }
        | Event::ReinviteAnswered { leg, .. }
        | Event::ReinviteRejected { leg, .. }
        | Event::Info { leg, .. }
        | Event::Ended { leg, .. } => Some(*leg),
        Event::Refused { .. } | Event::Dropped { .. } => None,
    }
}

fn count(counters: &Mutex<BTreeMap<&'static str, u64>>, rule: &'static str) {
    *counters
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .entry(rule)
        .or_default() += 1;
}

fn snapshot(counters: &Mutex<BTreeMap<&'static str, u64>>) -> Vec<(&'static str, u64)> {
    counters
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .iter()
        .map(|(rule, count)| (*rule, *count))
        .collect()
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_in_the_log_stays_within_its_lines() {
        let shown = Shown(b"BYE sip:a SIP/2.0\r\nX: \x1b[2J\rWARN forged\r\n\r\n").to_string();
        assert_eq!(
            shown,
            "\n    BYE sip:a SIP/2.0\n    X: \\u{1b}[2J\\rWARN forged"
        );
    }
}
