//! The registrar: where phones are. Owns the bindings of all `[[endpoint]]` users, answers their REGISTERs, says how each is
//! reached, and which voicemail box it may watch.
//!
//! Who sent a REGISTER was proven by the gate before it gets here. Requests to a phone go back over the path its REGISTER came by,
//! whatever address it wrote into Contact, so that phones behind NAT are reached and nobody can point us at a third party.
//! Limits: those of [`trunkline_sip::registrar`]; one lock, held for the time of one look-up.
mod counters;
mod lamps;
mod location;
mod service;

pub use counters::RegistrarCounters;
pub use lamps::{MESSAGE_SUMMARY, Waiting, access};
pub use location::{Location, PhoneStatus};
pub use service::{Others, serve};
