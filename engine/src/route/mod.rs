//! Routing, pure: who is served, which call goes where, with which numbers and headers, and what one outbound attempt looks like.
//!
//! Nothing here opens a socket or reads a clock.
pub(crate) mod address;
pub mod gate;
pub mod identity;
pub mod numbering;
pub mod outbound;
mod refusal;
mod router;
pub mod terms;

pub use gate::{LearnedPeers, TrustGate};
pub use outbound::{CallerIdentity, DiversionReason, Diverted, OutboundLeg, Place, SrtpPolicy};
pub use refusal::{Refusal, retry_after_value};
pub use router::{Caller, Destination, Routed, Router};
