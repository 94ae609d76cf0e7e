//! Owns the vocabulary between an endpoint and its application: events, causes and errors.

use super::ask::Series;
use super::config::{Reliability, SessionTimer};
use super::gate::Origin;
use super::outside::RequestId;
use crate::digest::{ChallengeRefused, Credentials};
use crate::flow::Flow;
use crate::message::Message;
use bytes::Bytes;
use std::sync::Arc;

/// One INVITE usage, as server or as client. Never used again within one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub(crate) u64);

impl LegId {
    /// The number that logs and records show.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl std::fmt::Display for LegId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One INFO that waits for [`Endpoint::respond_info`](super::Endpoint::respond_info).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InfoId(pub(crate) u64);

/// One REFER that waits for its answer, or whose outcome is still to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReferId(pub(crate) u64);

/// Where a peer is asked to go (RFC 3515).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReferTo {
    /// The URI to call.
    pub uri: String,
    /// The leg whose place the new call takes (attended transfer, RFC 3891).
    pub replaces: Option<LegId>,
    /// The Referred-By value (RFC 3892).
    pub referred_by: Option<String>,
}

/// Octets to put on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The path. For UDP the remote address may be one nothing was ever received from; for TCP it is the
    /// connection of the request or dialog, which the transport may have to open again when it is gone.
    pub flow: Flow,
    /// One whole message.
    pub bytes: Bytes,
}

/// How many entries the tables of an endpoint hold. All zero after the last call and its timers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// INVITE usages.
    pub legs: usize,
    /// Server transactions.
    pub server_transactions: usize,
    /// Client transactions.
    pub client_transactions: usize,
    /// Dialog identifiers of calls, early ones included.
    pub dialogs: usize,
    /// Subscriptions of peers outside calls.
    pub subscriptions: usize,
    /// Topics and paths by which they are found.
    pub subscriptions_indexed: usize,
    /// Armed deadlines.
    pub timers: usize,
}

/// A new call out.
#[derive(Clone, Debug)]
pub struct Invite {
    /// The path of the INVITE.
    pub flow: Flow,
    /// The Request-URI.
    pub target: String,
    /// The From value without tag: `"Name" <uri>` or a bare URI.
    pub from: String,
    /// The To value: `"Name" <uri>` or a bare URI.
    pub to: String,
    /// The offer; `None` asks the peer for one (late offer, see [`Endpoint::ack`](super::Endpoint::ack)).
    pub sdp: Option<Vec<u8>>,
    /// Further headers. Those the endpoint owns (Via, Call-ID, CSeq, Contact ...) are refused.
    pub headers: Vec<(String, String)>,
    /// The preloaded route set, first hop first; each a loose router (`lr`), RFC 3261 §8.1.1.1.
    pub routes: Vec<String>,
    /// What answers a 401 or 407 to the INVITE and to later requests of the call.
    pub credentials: Option<Arc<Credentials>>,
    /// The user part of our Contact.
    pub contact_user: Option<String>,
    /// What is said about reliable provisional responses (RFC 3262); `None`: what the endpoint says.
    pub reliable: Option<Reliability>,
    /// The session timer asked for; `None`: that of the endpoint.
    pub session_timer: Option<SessionTimer>,
    /// Max-Forwards; `None`: 70. One less than that of the call this one continues (RFC 3261 §16.6).
    pub max_forwards: Option<u8>,
}

impl Invite {
    /// A call without an offer, with nothing special.
    pub fn new(
        flow: Flow,
        target: impl Into<String>,
        from: impl Into<String>,
        to: impl Into<String>,
    ) -> Self {
        Self {
            flow,
            target: target.into(),
            from: from.into(),
            to: to.into(),
            sdp: None,
            headers: Vec::new(),
            routes: Vec::new(),
            credentials: None,
            contact_user: None,
            reliable: None,
            session_timer: None,
            max_forwards: None,
        }
    }
}

/// The content of a Reason header (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HangupReason {
    /// `SIP` or `Q.850`.
    pub protocol: String,
    /// The cause, a status code or a Q.850 value.
    pub cause: u16,
    /// What a person reads.
    pub text: String,
}

/// Why a call of the API was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LegError {
    /// The leg is gone or never was.
    UnknownLeg,
    /// The leg is past the state in which this makes sense.
    WrongState,
    /// A status outside the range of the call.
    Status(u16),
    /// A header name or value that may not go on the wire, or one the endpoint owns.
    Header(String),
    /// The target is no URI.
    Target(String),
    /// `max_legs` or `max_transactions` of the configuration is reached.
    AtCapacity,
}

impl std::fmt::Display for LegError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            LegError::UnknownLeg => f.write_str("the call leg is gone"),
            LegError::WrongState => {
                f.write_str("the call leg is past the state in which this is possible")
            }
            LegError::Status(status) => write!(f, "status {status} does not fit here"),
            LegError::Header(name) => write!(
                f,
                "header {name} is owned by the endpoint or not fit for the wire"
            ),
            LegError::Target(target) => write!(f, "{target} is not a SIP URI"),
            LegError::AtCapacity => {
                f.write_str("the limit of call legs or transactions is reached")
            }
        }
    }
}

impl std::error::Error for LegError {}

/// Why a leg ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EndCause {
    /// The peer sent BYE.
    ByeReceived,
    /// We sent BYE and it was answered, or no answer came in 64·T1.
    ByeSent,
    /// The application refused the INVITE, or hung up before it answered.
    RejectSent,
    /// Our 2xx was never acknowledged in 64·T1; BYE was sent (RFC 3261 §13.3.1.4).
    AckTimeout,
    /// Nobody answered the INVITE in time: the application gave no final response within `Timers::tc`.
    AnswerTimeout,
    /// The peer does not know the dialog any more (481 to a request of ours).
    DialogGone,
    /// A request within the dialog was never answered (RFC 3261 §12.2.1.2).
    RequestTimeout,
    /// The transport cannot deliver.
    TransportFailed,
    /// A reliable provisional response of ours was never acknowledged in 64·T1; 504 was sent (RFC 3262 §3).
    PrackTimeout,
    /// The session timer ran out without a refresh; BYE was sent (RFC 4028 §10).
    SessionExpired,
}

/// What happened. Each leg gets exactly one of `Cancelled`, `Rejected`, `Ended`, as its last event.
#[derive(Clone, Debug)]
#[allow(missing_docs)] // the fields are named alike throughout: the leg, the message that caused it
pub enum Event {
    /// A new call; 100 is sent already. `replaces` is the leg whose place it wants (RFC 3891): after the answer, hang
    /// that one up.
    Invite {
        leg: LegId,
        request: Message,
        flow: Flow,
        origin: Origin,
        replaces: Option<LegId>,
    },
    /// The caller gave up; 487 is sent. `reason` is the value of its Reason header.
    Cancelled { leg: LegId, reason: Option<String> },
    /// The ACK to our 2xx; it may carry the answer to a late offer. Also for the 2xx to a re-INVITE.
    Confirmed { leg: LegId, ack: Message },
    /// 100 on our INVITE: somebody has it in hand (RFC 3261 §17.1.1.2). Once for each 100 that comes.
    Trying { leg: LegId },
    /// 101 to 199 on our INVITE. `fork` numbers the early dialogs from 0 in the order in which they came.
    Progress {
        leg: LegId,
        fork: u8,
        response: Message,
    },
    /// 2xx on our INVITE. With a late offer it waits for [`Endpoint::ack`](super::Endpoint::ack).
    Answered {
        leg: LegId,
        fork: u8,
        response: Message,
    },
    /// The answer to our offer in a reliable provisional response, within its PRACK (RFC 3262 §5).
    Prack { leg: LegId, request: Message },
    /// 300 to 699 on our INVITE; 408 for a timeout, 503 for a transport failure, 487 when we cancelled.
    Rejected {
        leg: LegId,
        status: u16,
        response: Option<Message>,
    },
    /// The peer wants to change the session, by re-INVITE, UPDATE or PRACK with an offer: answer or reject it.
    Reinvite { leg: LegId, request: Message },
    /// 2xx on our re-INVITE or UPDATE; also on a re-INVITE by which the endpoint refreshed the session timer, where it has a
    /// description: the answer to our last one.
    ReinviteAnswered { leg: LegId, response: Message },
    /// Our re-INVITE or UPDATE was refused; the session is as before.
    ReinviteRejected { leg: LegId, status: u16 },
    /// INFO within the dialog: answer it with [`Endpoint::respond_info`](super::Endpoint::respond_info).
    Info {
        leg: LegId,
        id: InfoId,
        request: Message,
    },
    /// The peer asks us to call somebody else (RFC 3515): accept or reject it.
    Refer {
        leg: LegId,
        id: ReferId,
        request: Message,
        origin: Origin,
    },
    /// How the peer fares with our REFER: a status of its call, or of the REFER itself. Nothing follows `done`.
    ReferProgress { leg: LegId, status: u16, done: bool },
    /// REGISTER, MESSAGE or SUBSCRIBE outside a dialog, or MESSAGE within one (`leg`): answer it with
    /// [`Endpoint::respond`](super::Endpoint::respond), or accept a SUBSCRIBE with
    /// [`Endpoint::accept_subscription`](super::Endpoint::accept_subscription).
    Request {
        id: RequestId,
        leg: Option<LegId>,
        request: Message,
        flow: Flow,
        origin: Origin,
    },
    /// The outcome of [`Endpoint::request`](super::Endpoint::request): a final response, or 408 and 503 without one for
    /// a timeout and a transport that failed. `flow` is the path of the answer. `series` is for the next request of the kind; `refused` tells why a
    /// challenge was not answered.
    Response {
        id: RequestId,
        flow: Flow,
        status: u16,
        response: Option<Message>,
        series: Series,
        refused: Option<ChallengeRefused>,
    },
    /// The leg is over. `message` is the BYE that ended it, when one did.
    Ended {
        leg: LegId,
        cause: EndCause,
        message: Option<Message>,
    },
    /// A subscription is over: `timeout` and `noresource` were told to the subscriber, `refused` is its answer to a NOTIFY or none, `replaced` by a new one,
    /// `unreachable` without its connection, `unfit` for the wire.
    SubscriptionEnded {
        origin: Origin,
        flow: Flow,
        reason: &'static str,
    },
    /// The endpoint answered a request with an error by itself. The method is cut at 32 characters.
    Refused {
        flow: Flow,
        method: String,
        status: u16,
        rule: &'static str,
    },
    /// Something that cannot or must not be answered.
    Dropped { flow: Flow, rule: &'static str },
}
