//! Sans-IO SIP: bytes and time in; bytes, events and the next deadline out.

pub mod build;
mod dialog;
pub mod digest;
pub mod direction;
pub mod encoding;
pub mod endpoint;
pub mod flow;
pub mod header;
pub mod ice;
mod identity;
mod lex;
pub mod limits;
pub mod message;
pub mod method;
pub mod multipart;
pub mod name_addr;
pub mod offer_answer;
pub mod params;
pub mod refer;
pub mod registrar;
#[cfg(feature = "rsip")]
pub mod rsip_compat;
pub mod sdes;
pub mod sdp;
pub mod stream;
pub mod timer;
mod transaction;
pub mod typed;
pub mod uri;
pub mod validate;
pub mod via;
mod wire;

pub use build::{BuildError, MessageBuilder};
pub use digest::{Algorithm, ChallengeRefused, Credentials, DigestServer, Realm, Secret, Verdict};
pub use endpoint::{
    Admission, AdmitAll, Advertise, Advertised, Counts, EndCause, Endpoint, EndpointConfig, Event,
    Gate, HangupReason, InfoId, Invite, LegError, LegId, Notifies, Origin, OutContact, OutRequest,
    ReferId, ReferTo, Reliability, RequestId, Series, SessionTimer, Subscriber, Transmit,
};
pub use flow::{Flow, Transport};
pub use header::HeaderId;
pub use message::{Frame, FrameError, Message, StartLine};
pub use method::Method;
pub use name_addr::NameAddr;
pub use offer_answer::{Direction, Encoding, LocalMedia, Negotiated, Refusal};
pub use sdes::{SrtpKey, SrtpPolicy};
pub use sdp::Sdp;
pub use stream::{StreamError, StreamFramer, StreamItem};
pub use timer::Timers;
pub use typed::HeaderError;
pub use uri::{Host, Scheme, Uri};
pub use validate::Rejection;
pub use via::Via;
pub use wire::ALLOW;
