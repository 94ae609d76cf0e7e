//! The checks behind the fuzz targets. One module per family, each free of libFuzzer, so that a stable test can include
//! the file with `#[path]` and replay the corpus.

pub mod audio;
pub mod codec;
pub mod endpoint;
pub mod flow;
pub mod info;
pub mod speech;
pub mod stream;
pub mod rtp;
pub mod services;
pub mod sdes;
pub mod sip;
pub mod stun;
