//! The checks behind the fuzz targets. One module per family, each free of libFuzzer, so that a stable test can include
//! the file with `#[path]` and replay the corpus.

pub mod audio;
pub mod byte_range;
pub mod codec;
pub mod endpoint;
pub mod flow;
pub mod info;
pub mod rtp;
pub mod sdes;
pub mod services;
pub mod sip;
pub mod speech;
pub mod stream;
pub mod stun;
