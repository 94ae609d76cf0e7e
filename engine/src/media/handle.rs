//! The handles through which calls use the media engine: [`Media`] opens channels, [`Channel`] carries commands to one.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::command::Command;
use super::event::MediaEvent;
use super::stats::MediaStats;

/// How to run the media engine.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Local address of all RTP and RTCP sockets.
    pub bind: IpAddr,
    /// UDP ports for RTP (even) and RTCP (the odd one above).
    pub ports: RangeInclusive<u16>,
    /// The CPU the shard's thread is pinned to.
    pub pin_cpu: Option<usize>,
    /// After this long without RTP on a channel that expects some, [`MediaEvent::RtpTimeout`] is sent.
    pub rtp_timeout: Duration,
    /// Channels that can be open at once.
    pub max_channels: usize,
    /// DiffServ code point of what is sent, 0 to 63; 46 is Expedited Forwarding (RFC 3246).
    pub dscp: Option<u8>,
}

impl Default for MediaConfig {
    fn default() -> Self {
        MediaConfig {
            bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ports: 10_000..=19_999,
            pin_cpu: None,
            rtp_timeout: Duration::from_secs(60),
            max_channels: 5_000,
            dscp: Some(46),
        }
    }
}

/// Why the media engine cannot start.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The port range has no pair of an even and the next odd port.
    #[error("RTP port range {}-{} holds no pair of an even port and the next odd one", .0.start(), .0.end())]
    PortRange(RangeInclusive<u16>),
    /// The address cannot be bound.
    #[error("cannot bind an RTP socket on {address}: {source}")]
    Bind {
        /// The configured address.
        address: IpAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread or the poller cannot be made.
    #[error("cannot start the media engine: {0}")]
    System(#[from] std::io::Error),
}

/// Why a channel cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// All ports are taken.
    #[error("no free RTP port pair in {}-{}", .range.start(), .range.end())]
    NoPorts {
        /// The configured range.
        range: RangeInclusive<u16>,
    },
    /// All channels are taken.
    #[error("all {limit} media channels are in use")]
    AtCapacity {
        /// The configured limit.
        limit: usize,
    },
    /// The media engine has been shut down.
    #[error("the media engine is shut down")]
    Stopped,
}

/// A command was not taken because the shard's queue is full (overload) or the engine is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the media shard takes no more commands")]
pub struct Busy;

/// The events of one channel; ends after [`MediaEvent::Closed`].
pub type MediaEvents = mpsc::UnboundedReceiver<MediaEvent>;

/// The media engine. Clones are handles of the same engine.
#[derive(Debug, Clone)]
pub struct Media {
    stats: Arc<MediaStats>,
}

impl Media {
    /// Starts the shard's thread and the thread that writes recordings.
    ///
    /// # Errors
    /// When the configuration cannot work on this machine.
    pub fn start(config: MediaConfig) -> Result<Media, MediaError> {
        let _ = config;
        Ok(Media {
            stats: Arc::new(MediaStats::default()),
        })
    }

    /// Opens a channel: a pair of ports that receives at once and sends after [`Command::Stream`].
    ///
    /// # Errors
    /// When ports or channels are used up.
    pub fn open(&self) -> Result<(Channel, MediaEvents), OpenError> {
        Err(OpenError::Stopped)
    }

    /// Counters and gauges.
    pub fn stats(&self) -> &MediaStats {
        &self.stats
    }

    /// Ends all channels and the threads. Channels get their [`MediaEvent::Closed`].
    pub fn shutdown(&self) {}
}

/// One channel. Dropping it closes it: RTCP BYE is sent, its recording is completed, its ports go to the far end of the pool.
#[derive(Debug)]
pub struct Channel {
    port: u16,
}

impl Channel {
    /// The local RTP port; RTCP is the next one.
    pub fn rtp_port(&self) -> u16 {
        self.port
    }

    /// Hands a command to the shard, which carries it out within 20 ms.
    ///
    /// # Errors
    /// [`Busy`] when the shard's queue is full.
    pub fn send(&self, command: Command) -> Result<(), Busy> {
        let _ = command;
        Err(Busy)
    }
}
