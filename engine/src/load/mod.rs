//! A load generator: thousands of SIP calls with G.711 both ways from one thread, and what each stream of the answer lacks.
//!
//! Knows nothing of calls, flows and shards of the server it shares a binary with: it is a party of its own, on the sans-IO pieces of SIP
//! and RTP. Limits: UDP, one G.711 codec, no SRTP, no challenges answered.

mod callee;
mod caller;
mod histogram;
mod meter;
mod plant;
mod process;
mod report;
mod run;
mod session;
mod sound;
mod speaker;

pub use histogram::Histogram;
pub use meter::{Counts, Meter};
pub use process::{ProcessSample, cpu_busy_s};
pub use report::{Generator, LoadReport, ServerUse};
pub use run::{LoadError, run_load};
pub use sound::Law;
pub use speaker::Keys;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// What to do.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The called URI; `%d` is replaced by the number of the call's group.
    pub target: String,
    /// Where requests go.
    pub server: SocketAddr,
    /// Our address; `None`: the one the system would use towards the server.
    pub from: Option<IpAddr>,
    /// Our SIP port; 0: the system chooses.
    pub sip_port: u16,
    /// Where calls are answered as well, for bridged runs.
    pub uas: Option<SocketAddr>,
    /// Calls at the same time; not used by a set-up run.
    pub calls: u32,
    /// Calls placed in a second.
    pub rate: f64,
    /// Wait between the last answer and the measured time.
    pub settle: Duration,
    /// The measured time; of a set-up run the time in which calls are placed.
    pub duration: Duration,
    /// `Some`: a set-up run without media; each call is hung up that long after its answer.
    pub hold: Option<Duration>,
    /// Calls that share a `%d`.
    pub group: u32,
    /// Codec.
    pub law: Law,
    /// What talkers say: samples at 8 kHz; `None`: a pattern as busy as a prompt.
    pub audio: Option<Vec<i16>>,
    /// Callers that talk, from the first one; the others send silence.
    pub talkers: u32,
    /// Whether and how keys are pressed.
    pub keys: Option<Keys>,
    /// Time between two keys of a caller.
    pub key_every: Duration,
    /// Silence after which a stream counts as stopped.
    pub stopped_after: Duration,
    /// RTP sockets of each side.
    pub sockets: usize,
    /// CPU of this thread.
    pub own_cpu: Option<usize>,
    /// CPU of the server, whose busy time is told.
    pub server_cpu: Option<usize>,
    /// Process of the server.
    pub server_pid: Option<u32>,
}

impl LoadOptions {
    /// One call with audio for ten seconds.
    pub fn new(target: impl Into<String>, server: SocketAddr) -> LoadOptions {
        LoadOptions {
            target: target.into(),
            server,
            from: None,
            sip_port: 0,
            uas: None,
            calls: 1,
            rate: 50.0,
            settle: Duration::from_secs(3),
            duration: Duration::from_secs(10),
            hold: None,
            group: 1,
            law: Law::Mu,
            audio: None,
            talkers: u32::MAX,
            keys: None,
            key_every: Duration::from_secs(5),
            stopped_after: Duration::from_millis(500),
            sockets: 8,
            own_cpu: None,
            server_cpu: None,
            server_pid: None,
        }
    }
}
