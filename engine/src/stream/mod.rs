//! Audio streams: a leg's audio to a WebSocket service and the service's audio back, in the protocol of `docs/streams.md`.
//!
//! ```text
//!  media::Tap ◄══► TapEnds ─ session (a task per stream) ─ WebSocket ─ service
//!                              ▲ keys, stop
//!                            StreamHandle (the leg)
//! ```
//!
//! Owns the connection and its protocol; never blocks a call: a service that does not read loses frames, which are counted, and memory is
//! bounded by what a tap and two queues hold. The token is sent to the service and shown to nobody else.

mod connect;
pub mod protocol;
mod session;

#[cfg(test)]
mod tests;

pub use connect::{Address, AddressError, TOKENS, is_token};
pub(crate) use connect::{Socket, client_config, open};
pub use session::{StreamEnd, StreamHandle};

use crate::config::Secret;
use crate::fetch::Fetcher;
use crate::media::TapEnds;
use protocol::{CallFacts, Framing};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use tokio_rustls::rustls::ClientConfig;

/// A stream to begin.
#[derive(Debug, Clone)]
pub struct StreamSpec {
    /// Where the service is.
    pub address: Address,
    /// Where set, no connection is made to an address that this may not reach; where not, to any.
    pub within: Option<Fetcher>,
    /// Sent as `Authorization: Bearer …`.
    pub token: Option<Secret>,
    /// The call, for the service.
    pub call: CallFacts,
    /// Samples per second both ways: 8000 or 16,000.
    pub rate_hz: u32,
    /// The service gets what the far end says.
    pub received: bool,
    /// The service gets what the far end is sent.
    pub sent: bool,
    /// The service's audio is played.
    pub playback: bool,
    /// How audio is framed to the service.
    pub framing: Framing,
    /// Given to the service as they are.
    pub parameters: Vec<(String, String)>,
}

/// What all streams share.
#[derive(Debug, Default)]
pub struct Streams {
    tls: OnceLock<Arc<ClientConfig>>,
    /// Counters.
    pub stats: StreamStats,
}

/// Counters of all streams.
#[derive(Debug, Default)]
pub struct StreamStats {
    active: AtomicU64,
    connected: AtomicU64,
    ended: [AtomicU64; 4],
    lost_frames: AtomicU64,
    malformed: AtomicU64,
}

impl StreamStats {
    /// Streams in progress.
    pub fn active(&self) -> u64 {
        self.active.load(Ordering::Relaxed)
    }

    /// Connections made, again ones included.
    pub fn connected(&self) -> u64 {
        self.connected.load(Ordering::Relaxed)
    }

    /// Streams that ended, by cause.
    pub fn ended(&self) -> [(&'static str, u64); 4] {
        let mut at = 0;
        StreamEnd::NAMES.map(|name| {
            at += 1;
            (name, self.ended[at - 1].load(Ordering::Relaxed))
        })
    }

    /// Frames that services did not take in time.
    pub fn lost_frames(&self) -> u64 {
        self.lost_frames.load(Ordering::Relaxed)
    }

    /// Messages of services that were not understood.
    pub fn malformed(&self) -> u64 {
        self.malformed.load(Ordering::Relaxed)
    }
}

impl Streams {
    /// Begins a stream on a tap. It ends when the handle is dropped, the channel is closed, or the service says so.
    pub fn begin(self: &Arc<Self>, spec: StreamSpec, tap: TapEnds) -> StreamHandle {
        session::begin(self.clone(), spec, tap)
    }
}
