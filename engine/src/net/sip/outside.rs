//! Requests that belong to no call: those of peers go to one queue, ours give their outcome to whoever asked.
//!
//! It knows no phones and no trunks. Limits: [`REQUEST_QUEUE`] requests of peers wait to be taken, more get 503; ours are
//! bounded by the endpoint's `max_transactions`.
use super::counters::count;
use super::handle::{Command, Headers, SipHandle};
use super::pump::{Pump, borrowed};
use std::time::Instant;
use tokio::sync::{broadcast, mpsc, oneshot};
use trunkline_sip::{
    ChallengeRefused, Event, Flow, LegError, Message, Origin, OutRequest, RequestId, Series,
    Subscriber,
};

/// Requests of peers that may wait.
pub(super) const REQUEST_QUEUE: usize = 1024;
/// Ends of paths that a listener may be behind.
pub(super) const CLOSED_QUEUE: usize = 4096;

/// A REGISTER, MESSAGE or SUBSCRIBE of a peer, to be answered with [`SipHandle::respond`] or [`SipHandle::accept_subscription`].
#[derive(Debug)]
pub struct IncomingRequest {
    /// Its name at the endpoint.
    pub id: RequestId,
    /// The whole message.
    pub request: Message,
    /// Where it came from.
    pub flow: Flow,
    /// Who sent it, as far as the gate knows.
    pub origin: Origin,
}

/// What became of a request of ours.
#[derive(Debug)]
pub struct Outcome {
    /// The path of the answer.
    pub flow: Flow,
    /// The final status; 408 and 503 without a response for silence and a transport that failed.
    pub status: u16,
    /// The final response.
    pub response: Option<Message>,
    /// For the next request of the kind: the same Call-ID, the next CSeq.
    pub series: Series,
    /// Why a challenge was not answered.
    pub refused: Option<ChallengeRefused>,
}

/// Who waits for the outcome of a request.
pub(super) type Waiting = oneshot::Sender<Result<Outcome, LegError>>;

impl SipHandle {
    /// Sends a request that belongs to no call and waits for its outcome: at most 64·T1 for each of up to three attempts.
    ///
    /// # Errors
    /// The request cannot be sent at all, see [`trunkline_sip::Endpoint::request`].
    pub async fn request(&self, request: OutRequest) -> Result<Outcome, LegError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Request(Box::new(request), reply));
        answer.await.unwrap_or(Err(LegError::UnknownLeg))
    }

    /// Answers a request of a peer: 200 to 699. `rule` says why it is refused, in the Reason header.
    pub fn respond(&self, id: RequestId, status: u16, rule: &str, headers: Headers) {
        self.send(Command::Respond(id, status, rule.to_owned(), headers));
    }

    /// Accepts a SUBSCRIBE of a peer; `topic` finds it again, see [`trunkline_sip::Endpoint::accept_subscription`].
    pub fn accept_subscription(&self, incoming: IncomingRequest, topic: String, body: Vec<u8>) {
        let IncomingRequest { id, origin, .. } = incoming;
        self.send(Command::AcceptSubscription(id, origin, topic, body));
    }

    /// Who has subscribed to a topic.
    pub async fn subscribers(&self, topic: &str) -> Vec<Subscriber> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Subscribers(topic.to_owned(), reply));
        answer.await.unwrap_or_default()
    }

    /// Tells a subscriber what is true now, unless it knows; `None`: its topic is gone.
    pub fn notify(&self, subscriber: &Subscriber, body: Option<Vec<u8>>) {
        self.send(Command::Notify(subscriber.id, body));
    }

    /// Keeps the connection of a registered phone from being closed as idle, since we cannot open it anew. It ends with the
    /// connection, or with [`SipHandle::release`].
    pub fn hold(&self, flow: Flow) {
        if flow.transport.is_reliable() {
            self.send(Command::Hold(flow, true));
        }
    }

    /// The connection may be closed as idle again.
    pub fn release(&self, flow: Flow) {
        self.send(Command::Hold(flow, false));
    }

    /// The connections that end from now on. A listener that is more than 4096 behind is told so and loses the oldest.
    pub fn closed_flows(&self) -> broadcast::Receiver<Flow> {
        self.closed.subscribe()
    }
}

impl Pump {
    pub(super) fn ask(&mut self, now: Instant, request: OutRequest, reply: Waiting) {
        match self.endpoint.request(now, request) {
            Ok(id) => drop(self.waiting.insert(id, reply)),
            // Whoever asked may be gone.
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    pub(super) fn answer_request(
        &mut self,
        now: Instant,
        id: RequestId,
        status: u16,
        rule: &str,
        headers: &Headers,
    ) {
        self.endpoint
            .respond(now, id, status, rule, &borrowed(headers), None);
    }

    pub(super) fn hold(&mut self, flow: Flow, hold: bool) {
        match self.streams.hold(flow) {
            Some(in_use) if hold => drop(self.held.insert(flow, in_use)),
            // It ended before anybody asked; whoever holds it now must hear of it once more.
            None if hold => drop(self.closed.send(flow)),
            _ => drop(self.held.remove(&flow)),
        }
    }

    /// A request of a peer, or the outcome of one of ours.
    pub(super) fn outside_event(&mut self, event: Event) {
        match event {
            Event::Request {
                id,
                request,
                flow,
                origin,
                ..
            } => self.take_request(IncomingRequest {
                id,
                request,
                flow,
                origin,
            }),
            Event::Response {
                id,
                flow,
                status,
                response,
                series,
                refused,
            } => {
                let outcome = Outcome {
                    flow,
                    status,
                    response,
                    series,
                    refused,
                };
                if let Some(waiting) = self.waiting.remove(&id) {
                    // Whoever asked may be gone.
                    let _ = waiting.send(Ok(outcome));
                }
            }
            _ => {}
        }
    }

    fn take_request(&mut self, incoming: IncomingRequest) {
        let (id, flow) = (incoming.id, incoming.flow);
        let (status, rule) = match self.requests.try_send(incoming) {
            Ok(()) => return,
            Err(mpsc::error::TrySendError::Full(_)) => (503, "request-queue-full"),
            Err(mpsc::error::TrySendError::Closed(_)) => (405, "request-not-served"),
        };
        tracing::info!(remote = %flow.remote, status, rule, "request refused");
        count(&self.counters.refused, rule);
        self.endpoint
            .respond(Instant::now(), id, status, rule, &[], None);
    }
}
