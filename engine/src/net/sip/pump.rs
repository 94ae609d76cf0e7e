//! The pump: the single owner of the `Endpoint`. Bytes in, commands in, deadlines; bytes out, events out.
//!
//! It routes events to the leg they belong to and never waits for a call: a leg that does not drain its events has its
//! optional ones refused, and keeps room for those that end it.
use super::counters::count;
use super::guard::Guards;
use super::guard::quiet::Quiet;
use super::handle::{Command, Headers, Incoming, LegEvents, NewLeg};
use super::outside::{IncomingRequest, Waiting};
use super::shown::Shown;
use super::start::INBOUND_QUEUE;
use super::stream::{InUse, RULES};
use super::streams::{Streams, Unsent};
use super::{Inbound, PumpCounters};
use bytes::Bytes;
use std::collections::HashMap;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc};
use trunkline_sip::{Counts, Endpoint, Event, Flow, LegId, Message, Origin, RequestId, Transport};

/// Events that may wait at one leg; the last few places are kept for those that end it.
const LEG_QUEUE: usize = 32;
const LEG_RESERVE: usize = 6;
/// Messages waiting for the pump above which new calls are refused, and below which they are taken again. What waits is to be answered well
/// within T1: beyond it every request comes again, and the more work there is the more is sent.
const OVERLOADED: usize = INBOUND_QUEUE / 2;
const RELIEVED: usize = INBOUND_QUEUE / 8;
/// New legs that may wait to be accepted.
pub(super) const ACCEPT_QUEUE: usize = 1024;

/// Where the events of a leg go.
pub(super) struct LegEntry {
    events: mpsc::Sender<Box<Event>>,
    /// Keeps the connection it came or left on from being closed as idle.
    _in_use: Option<InUse>,
}

pub(super) struct Pump {
    pub(super) endpoint: Endpoint,
    pub(super) sockets: Vec<(SocketAddr, UdpSocket)>,
    pub(super) streams: Streams,
    pub(super) guards: Arc<Guards>,
    pub(super) legs: HashMap<LegId, LegEntry>,
    /// New calls are refused because messages wait.
    pub(super) overloaded: bool,
    /// Gone while draining.
    pub(super) accept: Option<mpsc::Sender<Incoming>>,
    /// Requests of peers that belong to no call.
    pub(super) requests: mpsc::Sender<IncomingRequest>,
    /// Who waits for the outcome of a request of ours.
    pub(super) waiting: HashMap<RequestId, Waiting>,
    pub(super) closed: broadcast::Sender<Flow>,
    /// Connections that somebody may be called over.
    pub(super) held: HashMap<Flow, InUse>,
    pub(super) counters: Arc<PumpCounters>,
    /// Strangers cannot fill the log with what they are refused.
    pub(super) refusals: Quiet,
}

/// Lines about refused requests in ten seconds, for each rule.
pub(super) const REFUSALS_LOGGED: u32 = 20;

impl Pump {
    fn log_refused(&mut self, flow: &Flow, method: &str, status: u16, rule: &'static str) {
        if let Some(not_logged) = self.refusals.speaks(Instant::now(), rule) {
            tracing::info!(remote = %flow.remote, transport = ?flow.transport, method, status, rule, not_logged, "request refused");
        }
    }

    pub(super) async fn run(
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
                    self.feel(inbound.len());
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

    /// Takes note of how many messages wait.
    fn feel(&mut self, waiting: usize) {
        let overloaded = waiting
            > if self.overloaded {
                RELIEVED
            } else {
                OVERLOADED
            };
        if overloaded != self.overloaded {
            self.overloaded = overloaded;
            self.endpoint.set_overloaded(overloaded);
            match overloaded {
                true => tracing::warn!(
                    waiting,
                    rule = "overloaded",
                    "SIP messages come faster than they can be served: new calls get 503"
                ),
                false => tracing::warn!(waiting, "new calls are taken again"),
            }
        }
    }

    fn inbound(&mut self, now: Instant, item: Inbound) {
        match item {
            Inbound::Message(flow, _) | Inbound::Last(flow, _)
                if flow.transport.is_reliable() && self.guards.is_banned(now, flow.remote.ip()) =>
            {
                count(&self.counters.dropped, "banned");
                self.streams.close(flow);
            }
            Inbound::Message(flow, bytes) => self.message(now, flow, &bytes),
            Inbound::Last(flow, bytes) => {
                self.message(now, flow, &bytes);
                self.flush();
                self.streams.close(flow);
            }
            Inbound::Connected(flow, link) => self.streams.connected(flow, link),
            Inbound::Closed { flow, why, unsent } => {
                tracing::debug!(remote = %flow.remote, transport = flow.transport.uri_param(), why, "connection ended");
                if RULES.contains(&why) {
                    count(&self.counters.dropped, why);
                    self.guards.log(now, why, flow.remote);
                }
                // Nobody may be listening.
                let _ = self.closed.send(flow);
                self.held.remove(&flow);
                if self.streams.closed(flow, unsent) {
                    self.endpoint.transport_failed(now, flow);
                }
            }
        }
    }

    fn message(&mut self, now: Instant, flow: Flow, bytes: &Bytes) {
        self.counters.received.fetch_add(1, Ordering::Relaxed);
        tracing::trace!(remote = %flow.remote, message = %Shown(bytes), "SIP in");
        self.endpoint.receive(now, flow, bytes);
    }

    fn command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Provisional(leg, status, reason, sdp, headers) => {
                let (sdp, headers) = (sdp.as_deref(), borrowed(&headers));
                let endpoint = &mut self.endpoint;
                if let Err(error) = endpoint.provisional(now, leg, status, &reason, sdp, &headers) {
                    tracing::debug!(?leg, %error, "provisional response not sent");
                }
            }
            Command::Answer(leg, sdp, headers) => {
                self.endpoint.answer(now, leg, &sdp, &borrowed(&headers))
            }
            Command::Reject(leg, status, reason, headers) => {
                let headers = borrowed(&headers);
                self.endpoint.reject(now, leg, status, &reason, &headers)
            }
            Command::Hangup(leg, reason) => self.endpoint.hangup(now, leg, reason),
            Command::AnswerReinvite(leg, sdp) => self.endpoint.answer_reinvite(now, leg, &sdp),
            Command::RejectReinvite(leg, status, reason) => {
                self.endpoint.reject_reinvite(now, leg, status, &reason)
            }
            Command::Reinvite(leg, sdp) => self.endpoint.reinvite(now, leg, &sdp),
            Command::Update(leg, sdp) => self.endpoint.update(now, leg, &sdp),
            Command::Prack(leg, fork, sdp) => {
                if let Err(error) = self.endpoint.prack(now, leg, fork, &sdp) {
                    tracing::debug!(?leg, %error, "PRACK not sent");
                }
            }
            Command::Ack(leg, sdp) => self.endpoint.ack(now, leg, sdp.as_deref()),
            Command::Refer(leg, to) => {
                if let Err(error) = self.endpoint.refer(now, leg, to) {
                    tracing::info!(?leg, %error, "REFER not sent");
                    let (status, done) = (500, true);
                    self.leg_event(Event::ReferProgress { leg, status, done });
                }
            }
            Command::AcceptRefer(leg, id) => self.endpoint.accept_refer(now, leg, id),
            Command::NotifyRefer(leg, id, status, reason) => {
                self.endpoint.notify_refer(now, leg, id, status, &reason)
            }
            Command::RejectRefer(leg, id, status, rule) => {
                self.endpoint.reject_refer(now, leg, id, status, &rule)
            }
            Command::ReplacesOf(leg, reply) => {
                // The asker may be gone.
                let _ = reply.send(self.endpoint.replaces_of(leg));
            }
            Command::LegOf(replaces, reply) => {
                // The asker may be gone.
                let _ = reply.send(self.endpoint.leg_of(&replaces));
            }
            Command::Info(leg, kind, body) => self.endpoint.info(now, leg, &kind, &body),
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
            Command::Request(request, reply) => self.ask(now, *request, reply),
            Command::Respond(id, status, rule, headers) => {
                self.answer_request(now, id, status, &rule, &headers)
            }
            Command::AcceptSubscription(id, origin, topic, body) => self
                .endpoint
                .accept_subscription(now, id, origin, topic, body),
            Command::Subscribers(topic, reply) => {
                // The asker may be gone.
                let _ = reply.send(self.endpoint.subscribers(&topic));
            }
            Command::Notify(id, body) => self.endpoint.notify(now, id, body),
            Command::Hold(flow, hold) => self.hold(flow, hold),
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
        self.counters
            .connections
            .store(self.streams.len(), Ordering::Relaxed);
        let Counts {
            legs,
            server_transactions,
            client_transactions,
            subscriptions,
            ..
        } = self.endpoint.counts();
        self.counters.legs.store(legs, Ordering::Relaxed);
        self.counters
            .subscriptions
            .store(subscriptions, Ordering::Relaxed);
        self.counters
            .server_transactions
            .store(server_transactions, Ordering::Relaxed);
        self.counters
            .client_transactions
            .store(client_transactions, Ordering::Relaxed);
    }

    fn transmit(&mut self, mut flow: Flow, bytes: Bytes) {
        if flow.connection == 0
            && flow.transport.is_reliable()
            && let Ok(named) = self.streams.name(flow)
        {
            self.endpoint.opened(flow, named);
            flow = named;
        }
        tracing::trace!(remote = %flow.remote, message = %Shown(&bytes), "SIP out");
        let sent = match flow.transport {
            Transport::Udp => {
                let socket = self.sockets.iter().find(|(local, _)| {
                    local.port() == flow.local.port()
                        && local.is_ipv4() == flow.remote.is_ipv4()
                        && (local.ip() == flow.local.ip() || local.ip().is_unspecified())
                });
                socket.is_some_and(|(_, socket)| socket.send_to(&bytes, flow.remote).is_ok())
            }
            _ => match self.streams.send(flow, bytes) {
                Ok(()) => true,
                Err(Unsent(rule)) => {
                    count(&self.counters.dropped, rule);
                    false
                }
            },
        };
        if !sent && flow.transport.is_reliable() {
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
            Event::Invite {
                leg,
                request,
                flow,
                origin,
                replaces,
            } => self.accept(leg, request, flow, origin, replaces),
            Event::Refused {
                flow,
                method,
                status,
                rule,
            } => {
                // A challenge is how every registration begins.
                if status == 401 {
                    tracing::debug!(remote = %flow.remote, transport = ?flow.transport, method, status, rule, "request challenged");
                } else {
                    self.log_refused(&flow, &method, status, rule);
                }
                count(&self.counters.refused, rule);
            }
            Event::Dropped { flow, rule } => {
                tracing::debug!(remote = %flow.remote, transport = ?flow.transport, rule, "message dropped");
                count(&self.counters.dropped, rule);
            }
            Event::SubscriptionEnded {
                origin,
                flow,
                reason,
            } => {
                tracing::debug!(?origin, remote = %flow.remote, reason, "subscription ended");
                count(&self.counters.subscriptions_ended, reason);
            }
            Event::Cancelled { leg, .. }
            | Event::Rejected { leg, .. }
            | Event::Ended { leg, .. } => {
                if let Some(entry) = self.legs.remove(&leg) {
                    // Nobody may listen any more; and one whose queue is full learns it from the end of the channel.
                    let _ = entry.events.try_send(Box::new(event));
                }
            }
            Event::Response { .. } | Event::Request { leg: None, .. } => self.outside_event(event),
            event => self.leg_event(event),
        }
    }

    /// A new leg is handed to the acceptor, or refused.
    fn accept(
        &mut self,
        leg: LegId,
        request: Message,
        flow: Flow,
        origin: Origin,
        replaces: Option<LegId>,
    ) {
        let events = self.enter(leg, &flow);
        let incoming = Incoming {
            leg,
            request,
            flow,
            origin,
            replaces,
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
        let entry = LegEntry {
            events: send,
            _in_use: self.streams.hold(*flow),
        };
        self.legs.insert(leg, entry);
        LegEvents(events)
    }

    fn leg_event(&mut self, event: Event) {
        let Some(leg) = leg_of(&event) else { return };
        let Some(entry) = self.legs.get(&leg) else {
            return;
        };
        let optional = matches!(
            event,
            Event::Info { .. }
                | Event::Reinvite { .. }
                | Event::Request { .. }
                | Event::Trying { .. }
                | Event::Progress { .. }
                | Event::Refer { .. }
                | Event::ReferProgress { done: false, .. }
        );
        if optional && entry.events.capacity() <= LEG_RESERVE {
            return self.refuse_optional(event);
        }
        if let Err(lost) = entry.events.try_send(Box::new(event)) {
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
            Event::Refer { leg, id, .. } => {
                self.endpoint
                    .reject_refer(now, leg, id, 503, "leg-queue-full")
            }
            Event::Request { id, .. } => {
                self.endpoint
                    .respond(now, id, 503, "leg-queue-full", &[], None)
            }
            _ => {}
        }
    }
}

fn leg_of(event: &Event) -> Option<LegId> {
    match event {
        Event::Invite { leg, .. }
        | Event::Cancelled { leg, .. }
        | Event::Confirmed { leg, .. }
        | Event::Trying { leg }
        | Event::Progress { leg, .. }
        | Event::Answered { leg, .. }
        | Event::Rejected { leg, .. }
        | Event::Reinvite { leg, .. }
        | Event::ReinviteAnswered { leg, .. }
        | Event::ReinviteRejected { leg, .. }
        | Event::Info { leg, .. }
        | Event::Prack { leg, .. }
        | Event::Refer { leg, .. }
        | Event::ReferProgress { leg, .. }
        | Event::Ended { leg, .. } => Some(*leg),
        Event::Request { leg, .. } => *leg,
        Event::Response { .. }
        | Event::SubscriptionEnded { .. }
        | Event::Refused { .. }
        | Event::Dropped { .. } => None,
    }
}

pub(super) fn borrowed(headers: &Headers) -> Vec<(&str, String)> {
    let headers = headers.iter();
    headers
        .map(|(name, value)| (name.as_str(), value.clone()))
        .collect()
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
