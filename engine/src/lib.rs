//! The Trunkline engine: sockets, media shards, calls and the programs that drive them.
//!
//! Arrows point one way: `cli → api → flow → call → media → rtp → dsp`, `media → net → sip`, `call → sip`;
//! the types of `config` are used by all.
pub mod api;
pub mod archive;
pub mod call;
pub mod cli;
pub mod config;
pub mod fetch;
pub mod flow;
pub mod load;
pub mod media;
pub mod net;
pub mod queue;
pub mod registrar;
pub mod route;
pub mod rtp;
pub mod speech;
pub mod store;
pub mod stream;
pub mod trunk;
pub mod voicemail;
pub mod webhook;
