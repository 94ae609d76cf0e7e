//! Routing, pure: which call goes where, with which numbers and headers, and what one outbound attempt looks like.
//!
//! Nothing here opens a socket or reads a clock.
pub mod outbound;
pub mod terms;

pub use outbound::{CallerIdentity, DiversionReason, Diverted, OutboundLeg, SrtpPolicy};
