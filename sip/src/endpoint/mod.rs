//! The one sans-IO entrance to SIP: octets, application calls and time go in; octets, events and the next deadline
//! come out.
//!
//! This file owns the public face. Requests are screened and dispatched in `requests` and `screening`, responses in
//! `responses`; an INVITE usage lives in `uas`, `uac`, `reliable`, `prack`, `reinvite`, `update`, `refresh`, `referral`, `transfer` and `leave`. The endpoint never resolves names,
//! opens sockets or reads a clock, and it keeps no state for anything it refuses outside a dialog (RFC 3261 §8.2.7).
//!
//! Subscriptions of peers outside calls live in `subscription`.
//!
//! Limits: `max_legs`, `max_transactions`, 16 open INFOs and 8 early dialogs per leg, 16 answering forks per INVITE.
//! Every entry of every table has a deadline, except confirmed legs, which the application ends.

mod ask;
mod clients;
mod config;
mod event;
mod gate;
mod info;
mod io;
mod leave;
mod legs;
mod linger;
mod outside;
mod prack;
mod referral;
mod refresh;
mod reinvite;
mod reliable;
mod requests;
mod responses;
mod retry;
mod screening;
mod servers;
mod session;
mod subscription;
mod transfer;
mod uac;
mod uas;
mod update;

pub use config::{Advertise, Advertised, EndpointConfig, Notifies, Reliability, SessionTimer};
pub use event::{
    Counts, EndCause, Event, HangupReason, InfoId, Invite, LegError, LegId, ReferId, ReferTo,
    Transmit,
};

pub use ask::{OutContact, OutRequest, Series};
pub use gate::{Admission, AdmitAll, Gate, Origin};
pub use outside::RequestId;
pub use subscription::Subscriber;

use crate::flow::Flow;
use crate::message::{Frame, FrameError, StartLine};
use clients::Clients;
use io::{Io, LegTimer, Wake};
use legs::Legs;
use servers::Servers;
use std::time::{Duration, Instant};

/// All SIP state of one process or shard. See the module.
pub struct Endpoint {
    config: EndpointConfig,
    io: Io,
    servers: Servers,
    clients: Clients,
    legs: Legs,
    draining: Option<Duration>,
    overloaded: bool,
    gate: Box<dyn Gate>,
    asked: ask::Asked,
    subscriptions: subscription::Subscriptions,
}

impl Endpoint {
    /// An endpoint without calls, open to everybody. T1, T2 and T4 below 1 ms are raised to it, so that time always
    /// moves.
    pub fn new(config: EndpointConfig) -> Self {
        Self::with_gate(config, Box::new(AdmitAll))
    }

    /// An endpoint without calls that serves whom `gate` admits.
    pub fn with_gate(mut config: EndpointConfig, gate: Box<dyn Gate>) -> Self {
        let floor = Duration::from_millis(1);
        let timers = &mut config.timers;
        for timer in [
            &mut timers.t1,
            &mut timers.t2,
            &mut timers.t4,
            &mut timers.td,
            &mut timers.tc,
        ] {
            *timer = (*timer).max(floor);
        }
        if !crate::wire::is_fit_for_wire(&config.server_name) || config.server_name.is_empty() {
            config.server_name = "Trunkline".to_owned();
        }
        let io = Io::new(config.timers, config.seed);
        Self {
            config,
            io,
            servers: Servers::default(),
            clients: Clients::default(),
            legs: Legs::default(),
            draining: None,
            overloaded: false,
            gate,
            asked: ask::Asked::new(),
            subscriptions: subscription::Subscriptions::default(),
        }
    }

    /// Takes one datagram, or one whole message of a stream.
    pub fn receive(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        let frame = match Frame::parse(bytes) {
            Ok(frame) => frame,
            Err(FrameError::Empty) => return, // a keep-alive
            Err(error) => return self.unframeable(flow, bytes, error),
        };
        match frame.start() {
            StartLine::Request { method, .. } => self.on_request(now, flow, &frame, method),
            StartLine::Response { status, .. } => self.on_response(now, flow, &frame, status),
        }
    }

    /// The connection of `flow` is closed or its peer cannot be reached: requests that wait for an answer on it
    /// fail, and so do its calls that were not answered yet. Confirmed calls live on; their next request fails if
    /// the transport cannot reach the peer anew: it leaves on a flow with connection 0 to the address of the remote target.
    pub fn transport_failed(&mut self, now: Instant, flow: Flow) {
        self.subscribers_unreachable(flow);
        for id in self.clients.on_flow(flow) {
            if let Some(end) = self.clients.failed(&mut self.io, now, id) {
                self.client_ended(now, id, end);
            }
        }
        for id in self.legs.on_flow(flow) {
            self.incoming_unreachable(now, id);
            self.legs.disconnected(id, flow);
        }
    }

    /// The transport has a connection for what it was asked to send over `old`, a flow with connection 0: whoever
    /// used that name uses `new` from now on.
    pub fn opened(&mut self, old: Flow, new: Flow) {
        self.clients.moved(old, new);
        self.legs.moved(old, new);
    }

    /// The next message to send, in order.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.io.transmits.pop_front()
    }

    /// The next event, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.io.events.pop_front()
    }

    /// When [`Endpoint::handle_timeout`] has something to do.
    pub fn next_timeout(&self) -> Option<Instant> {
        self.io.timers.next()
    }

    /// Fires all deadlines up to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(wake) = self.io.timers.pop_due(now) {
            match wake {
                Wake::Server(id, slot) => self.servers.fired(&mut self.io, now, id, slot),
                Wake::Client(id, slot) => {
                    if let Some(end) = self.clients.fired(&mut self.io, now, id, slot) {
                        self.client_ended(now, id, end);
                    }
                }
                Wake::Leg(id, timer) => self.leg_timer(now, id, timer),
                Wake::Subscription(id) => self.subscription_expired(now, id),
            }
        }
    }

    /// While set, new INVITEs get 503 with this Retry-After (rounded up to seconds).
    pub fn set_draining(&mut self, retry_after: Option<Duration>) {
        self.draining = retry_after;
    }

    /// While set, new INVITEs and OPTIONS get 503: messages wait too long before they are received.
    pub fn set_overloaded(&mut self, overloaded: bool) {
        self.overloaded = overloaded;
    }

    /// The sizes of the tables.
    pub fn counts(&self) -> Counts {
        Counts {
            legs: self.legs.len(),
            server_transactions: self.servers.len(),
            client_transactions: self.clients.len(),
            dialogs: self.legs.dialogs(),
            subscriptions: self.subscriptions.len(),
            subscriptions_indexed: self.subscriptions.indexed(),
            timers: self.io.timers.len(),
        }
    }

    fn leg_timer(&mut self, now: Instant, id: LegId, timer: LegTimer) {
        match timer {
            LegTimer::Retransmit => self.repeat_success(now, id),
            LegTimer::AckLimit => self.ack_missing(now, id),
            LegTimer::AnswerLimit => self.unanswered(now, id),
            LegTimer::CancelLimit => self.cancel_unanswered(now, id),
            LegTimer::ReinviteLimit => self.reinvite_unanswered(now, id),
            LegTimer::Glare => self.glare_over(now, id),
            LegTimer::Provisional => self.repeat_provisional(now, id),
            LegTimer::PrackLimit => self.prack_missing(now, id),
            LegTimer::Refresh => self.refresh(now, id),
            LegTimer::SessionLimit => self.session_expired(now, id),
        }
    }

    fn transactions(&self) -> usize {
        self.servers.len() + self.clients.len()
    }

    fn is_full(&self) -> bool {
        self.transactions() >= self.config.max_transactions
    }

    fn dropped(&mut self, flow: Flow, rule: &'static str) {
        self.io.tell(Event::Dropped { flow, rule });
    }
}
