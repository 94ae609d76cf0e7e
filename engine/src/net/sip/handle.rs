//! The vocabulary between the pump and the calls: new legs, their events, and what calls ask for.
use super::flows::{Flows, Hop, NoFlow};
use super::outside::Outcome;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{broadcast, mpsc, oneshot};
use trunkline_sip::refer::Replaces;
use trunkline_sip::{
    Event, Flow, HangupReason, InfoId, Invite, LegError, LegId, Message, Origin, OutRequest,
    ReferId, ReferTo, RequestId, Subscriber,
};

/// Events of one leg, in order. They end after the leg's terminal event.
///
/// Boxed on their way: a queue makes room for 32 at a time, which would be most of the memory of a call.
#[derive(Debug)]
pub struct LegEvents(pub(super) mpsc::Receiver<Box<Event>>);

impl LegEvents {
    /// The next event; `None` after the last. Nothing is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Event> {
        self.0.recv().await.map(|event| *event)
    }
}

/// A new incoming leg.
#[derive(Debug)]
pub struct Incoming {
    /// Its name at the endpoint.
    pub leg: LegId,
    /// The INVITE.
    pub request: Message,
    /// Where it came from.
    pub flow: Flow,
    /// Who sent it, as far as the gate knows.
    pub origin: Origin,
    /// The leg whose place it wants (RFC 3891).
    pub replaces: Option<LegId>,
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

/// Further headers: names and values. Those the endpoint owns and unfit ones are left out of responses.
pub type Headers = Vec<(String, String)>;

/// What a call asks of the endpoint.
#[derive(Debug)]
pub enum Command {
    /// Send a provisional response, with early media when there is SDP, and extra headers.
    Provisional(LegId, u16, String, Option<Vec<u8>>, Headers),
    /// Answer with 200, this SDP and extra headers.
    Answer(LegId, Vec<u8>, Headers),
    /// Refuse with a status, a text for the Reason header, and extra headers.
    Reject(LegId, u16, String, Headers),
    /// End the leg, whatever state it is in.
    Hangup(LegId, Option<HangupReason>),
    /// Answer a re-INVITE.
    AnswerReinvite(LegId, Vec<u8>),
    /// Refuse a re-INVITE.
    RejectReinvite(LegId, u16, String),
    /// Send an INFO with this Content-Type and body; its answer is not reported.
    Info(LegId, String, Vec<u8>),
    /// Offer a new session by re-INVITE.
    Reinvite(LegId, Vec<u8>),
    /// Offer a new session by UPDATE, also before the answer.
    Update(LegId, Vec<u8>),
    /// Answer the offer in a reliable provisional response of this fork.
    Prack(LegId, u8, Vec<u8>),
    /// Answer the offer in a 2xx to an INVITE of ours that had none.
    Ack(LegId, Option<Vec<u8>>),
    /// Ask the peer to call somebody else; a failure comes as `ReferProgress` with `done`.
    Refer(LegId, ReferTo),
    /// Accept a REFER of the peer.
    AcceptRefer(LegId, ReferId),
    /// Tell how a REFER of the peer goes: the status of the new call.
    NotifyRefer(LegId, ReferId, u16, String),
    /// Refuse a REFER of the peer: status and the rule.
    RejectRefer(LegId, ReferId, u16, String),
    /// What names the dialog of a leg to its peer, as the value of a Replaces header.
    ReplacesOf(LegId, oneshot::Sender<Option<String>>),
    /// The leg whose dialog that is.
    LegOf(Replaces, oneshot::Sender<Option<LegId>>),
    /// Answer an INFO.
    RespondInfo(LegId, InfoId, u16),
    /// Open an outbound leg.
    Invite(Box<Invite>, oneshot::Sender<Result<NewLeg, LegError>>),
    /// Refuse new INVITEs with 503 and this Retry-After from now on. [`Sip::incoming`](super::Sip::incoming) ends after those taken before.
    Drain(Duration),
    /// Send a request that belongs to no call.
    Request(Box<OutRequest>, oneshot::Sender<Result<Outcome, LegError>>),
    /// Keep a connection from being closed as idle until it is released, or close it as idle again.
    Hold(Flow, bool),
    /// Answer a request of a peer: status, the rule of a refusal, headers.
    Respond(RequestId, u16, String, Headers),
    /// Accept a SUBSCRIBE: of whom, to which topic, and what is told.
    AcceptSubscription(RequestId, Origin, String, Vec<u8>),
    /// Who has subscribed to a topic.
    Subscribers(String, oneshot::Sender<Vec<Subscriber>>),
    /// Tell a subscriber what is true now; `None`: its topic is gone.
    Notify(RequestId, Option<Vec<u8>>),
}

/// Where calls send their commands. Cheap to clone.
///
/// The queue is unbounded, but each call sends a bounded number of commands per event it got, and events are bounded.
#[derive(Clone)]
pub struct SipHandle {
    pub(super) commands: mpsc::UnboundedSender<Command>,
    pub(super) flows: Arc<Flows>,
    pub(super) closed: broadcast::Sender<Flow>,
}

impl std::fmt::Debug for SipHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SipHandle").finish_non_exhaustive()
    }
}

impl SipHandle {
    /// Queues a command; a pump that is gone means that the process is ending, so nothing is reported.
    pub fn send(&self, command: Command) {
        let _ = self.commands.send(command);
    }

    /// The flow on which requests to `hop` leave. Waits for nothing: a connection is opened, or one that is open used, when something
    /// is sent. The same hop has the same flow as long as it is asked for now and then, also after its connection was closed and
    /// opened anew.
    pub fn flow_to(&self, hop: &Hop) -> Result<Flow, NoFlow> {
        self.flows.to(hop)
    }

    /// Opens an outbound leg.
    pub async fn invite(&self, invite: Invite) -> Result<NewLeg, LegError> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Invite(Box::new(invite), reply));
        answer.await.unwrap_or(Err(LegError::UnknownLeg))
    }
}
