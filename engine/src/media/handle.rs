//! The handles through which calls use the media engine: [`Media`] opens channels, [`Channel`] carries commands to one.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use trunkline_dsp::dtmf::{Detector, Profile};

use super::admission::{AdmissionLimits, Pulse};
use super::attention::Attentive;
use super::bridge::{BridgeEnd, Carriage};
use super::channel::{ChannelState, NewStream, Order};
use super::codec::Encoding;
use super::codec::opus::OpusSettings;
use super::command::{Command, Manner};
use super::digits::DigitSender;
use super::ears::Ears;
use super::engine::{Engine, lock};
use super::event::MediaEvent;
use super::player::List;
use super::quality::LiveQuality;
use super::recorder::{self, RecordingSpec, RecordingStats, WriterOrder};
use super::retire::ChannelId;
use super::shard::{Shard, ShardOrder};
use super::stats::MediaStats;
use super::stock::StockCounts;
use super::tap::{self, TapEnds, TapSpec, TapStats};

/// How to run the media engine.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Local address of all RTP and RTCP sockets.
    pub bind: IpAddr,
    /// UDP ports for RTP (even) and RTCP (the odd one above).
    pub ports: RangeInclusive<u16>,
    /// Shards, each a thread with its share of the channels; at least one.
    pub threads: usize,
    /// The CPU each shard's thread is pinned to, in their order; those beyond the list are not pinned.
    pub pin: Vec<usize>,
    /// Real-time priority (`SCHED_FIFO`, 1 to 99) of the shards' threads. Refused by the system: a warning, and the usual priority.
    pub realtime: Option<u8>,
    /// From where on a shard takes no new channels.
    pub admission: AdmissionLimits,
    /// Whether the memory of the process is kept from being swapped out (`mlockall`).
    pub lock_memory: bool,
    /// After this long without RTP on a channel that expects some, [`MediaEvent::RtpTimeout`] is sent.
    pub rtp_timeout: Duration,
    /// Channels that can be open at once.
    pub max_channels: usize,
    /// What counts as a key in the audio.
    pub dtmf: Profile,
    /// DiffServ code point of what is sent, 0 to 63; 46 is Expedited Forwarding (RFC 3246).
    pub dscp: Option<u8>,
}

impl Default for MediaConfig {
    fn default() -> Self {
        MediaConfig {
            bind: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            ports: 10_000..=19_999,
            threads: 1,
            pin: Vec::new(),
            realtime: None,
            admission: AdmissionLimits::default(),
            lock_memory: false,
            rtp_timeout: Duration::from_secs(60),
            max_channels: 5_000,
            dtmf: Profile::TELEPHONE,
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
    /// The system refuses sockets.
    #[error("cannot open RTP sockets: {0}")]
    Sockets(std::io::Error),
    /// All shards are at their limit, or do not follow with their commands.
    #[error("the media threads are at their limit")]
    Overloaded,
    /// The media engine has been shut down.
    #[error("the media engine is shut down")]
    Stopped,
}

/// A command was not taken because the shard's queue is full (overload) or the engine is shut down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the media shard takes no more commands")]
pub struct Busy;

/// Why two channels cannot be bridged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// Both are the same channel.
    #[error("a media channel cannot be bridged with itself")]
    Itself,
    /// They belong to different media engines.
    #[error("the media channels belong to different media engines")]
    Elsewhere,
    /// The shard takes no more commands.
    #[error(transparent)]
    Busy(#[from] Busy),
}

/// The events of one channel; ends after [`MediaEvent::Closed`].
pub type MediaEvents = mpsc::UnboundedReceiver<MediaEvent>;

/// The media engine. Clones are handles of the same engine; it ends with the last of them and of its channels.
#[derive(Debug, Clone)]
pub struct Media {
    pub(crate) engine: Arc<Engine>,
}

impl Media {
    /// Starts the shards' threads and those that write recordings and close sockets.
    ///
    /// # Errors
    /// When the configuration cannot work on this machine.
    pub fn start(config: MediaConfig) -> Result<Media, MediaError> {
        let (engine, shards) = Engine::assemble(config)?;
        engine.run(shards)?;
        let engine = Arc::new(engine);
        Ok(Media { engine })
    }

    /// As [`start`](Media::start) with one shard, but leaves the shard to the caller, who has to drive it, and to drop it before the last
    /// handle: for tests and measurements.
    ///
    /// # Errors
    /// When the configuration cannot work on this machine.
    pub fn assemble(config: MediaConfig) -> Result<(Media, Shard), MediaError> {
        let config = MediaConfig {
            threads: 1,
            ..config
        };
        let (engine, mut shards) = Engine::assemble(config)?;
        let shard = shards
            .pop()
            .ok_or_else(|| std::io::Error::other("no shard"))?;
        let engine = Arc::new(engine);
        Ok((Media { engine }, shard))
    }

    /// Opens a channel: a pair of ports that sends and receives after [`Command::Stream`]. It is placed on the shard with the least to do.
    ///
    /// # Errors
    /// When ports or channels are used up.
    pub fn open(&self) -> Result<(Channel, MediaEvents), OpenError> {
        let shard = self.engine.admitting();
        self.open_on(shard.ok_or(OpenError::Overloaded)?)
    }

    /// The same on that shard, where the channel is with which it will be bridged; if it is at its limit, on another.
    ///
    /// # Errors
    /// As [`open`](Media::open).
    pub fn open_near(&self, shard: usize) -> Result<(Channel, MediaEvents), OpenError> {
        match self.engine.admits(shard) {
            true => self.open_on(shard),
            false => self.open(),
        }
    }

    fn open_on(&self, shard: usize) -> Result<(Channel, MediaEvents), OpenError> {
        let engine = self.engine.clone();
        if engine.stop.load(Ordering::Acquire) {
            return Err(OpenError::Stopped);
        }
        let mut seed = [0; 32];
        getrandom::fill(&mut seed)
            .map_err(|error| OpenError::Sockets(std::io::Error::other(error.to_string())))?;
        let (id, port, sockets) = engine.take_place()?;
        let (events, receiver) = mpsc::unbounded_channel();
        let closed = Arc::new(AtomicBool::new(false));
        let (state_events, state_closed) = (events.clone(), closed.clone());
        let now = Instant::now();
        let state = ChannelState::new(id, port, sockets, state_events, state_closed, seed, now);
        let quality = state.quality.live.clone();
        if engine.open_on(shard, state).is_err() {
            engine.give_place_back(id, port);
            return Err(OpenError::Overloaded);
        }
        let channel = Channel {
            id,
            port,
            events,
            closed,
            quality,
            home: Mutex::new(shard),
            coding: Mutex::default(),
            engine,
        };
        Ok((channel, receiver))
    }

    /// Bridges two channels: what comes in on one goes out on the other, packet for packet where possible. What either plays or sends
    /// as digits itself has precedence on its own side. Replaces a bridge that either has; bridging the same two again changes what is
    /// carried and nothing else. Ends by [`Command::Unbridge`] on either, or when one closes or goes to another shard; the other goes on
    /// alone. If they are on different shards, one of them goes to the other's.
    ///
    /// # Errors
    /// When they are the same channel or of another engine, or the shard takes no commands.
    pub fn bridge(
        &self,
        a: &Channel,
        b: &Channel,
        a_to_b: Carriage,
        b_to_a: Carriage,
    ) -> Result<(), BridgeError> {
        if !Arc::ptr_eq(&self.engine, &a.engine) || !Arc::ptr_eq(&self.engine, &b.engine) {
            return Err(BridgeError::Elsewhere);
        }
        if a.id == b.id {
            return Err(BridgeError::Itself);
        }
        let ends = [BridgeEnd::new(a.id, a_to_b), BridgeEnd::new(b.id, b_to_a)];
        // Always in the same order, so that two who do this at once do not wait for each other.
        let (first, second) = if a.id.index < b.id.index {
            (a, b)
        } else {
            (b, a)
        };
        let (mut first_home, mut second_home) = (lock(&first.home), lock(&second.home));
        let shard = self.engine.less_loaded(*first_home, *second_home);
        self.engine.relocate(first.id, &mut first_home, shard)?;
        self.engine.relocate(second.id, &mut second_home, shard)?;
        Ok(self.engine.order(shard, ShardOrder::Bridge(ends))?)
    }

    /// How it runs.
    pub fn config(&self) -> &MediaConfig {
        &self.engine.config
    }

    /// Counters and gauges of all shards together, as they are now.
    pub fn stats(&self) -> MediaStats {
        MediaStats::sum(self.shard_stats())
    }

    /// Counters and gauges of each shard.
    pub fn shard_stats(&self) -> impl Iterator<Item = &MediaStats> {
        self.engine.shards.iter().map(|shard| &*shard.stats)
    }

    /// Counters of the recordings.
    pub fn recordings(&self) -> &RecordingStats {
        &self.engine.recordings
    }

    /// Counters of the taps.
    pub fn taps(&self) -> &TapStats {
        &self.engine.taps
    }

    /// How often channels took something from the stock, or found nothing.
    pub fn stock_counts(&self) -> &StockCounts {
        &self.engine.stock_counts
    }

    /// How each shard was in the last second.
    pub fn pulses(&self) -> impl Iterator<Item = &Pulse> {
        self.engine.shards.iter().map(|shard| &*shard.pulse)
    }

    /// Ends all channels and the threads, and waits for them: recordings are complete and every channel has its
    /// [`MediaEvent::Closed`] when it returns. Blocks for some milliseconds, or as long as the disk needs.
    pub fn shutdown(&self) {
        self.engine.shutdown();
    }
}

/// One channel. Dropping it closes it: RTCP BYE is sent, its recording is completed, its ports go to the far end of the pool.
#[derive(Debug)]
pub struct Channel {
    pub(crate) id: ChannelId,
    port: u16,
    events: mpsc::UnboundedSender<MediaEvent>,
    closed: Arc<AtomicBool>,
    quality: Arc<LiveQuality>,
    /// The shard it is on or on the way to, held while an order is sent: orders and moves of a channel have one order.
    pub(crate) home: Mutex<usize>,
    /// The codec of its stream where several can share an encoding of it: not G.711, for which a room needs no encoder.
    pub(crate) coding: Mutex<Option<(Encoding, OpusSettings)>>,
    pub(crate) engine: Arc<Engine>,
}

impl Channel {
    /// The local RTP port; RTCP is the next one.
    pub fn rtp_port(&self) -> u16 {
        self.port
    }

    /// How it sounds, brought up to date every 5 s.
    pub fn quality(&self) -> &Arc<LiveQuality> {
        &self.quality
    }

    /// The shard it is on, or on the way to.
    pub fn shard(&self) -> usize {
        *lock(&self.home)
    }

    /// Sends it to another shard, where it goes on with its next frame. A bridge it is in ends. Commands keep their order. Nothing happens if it
    /// is there already, or there is no such shard.
    ///
    /// # Errors
    /// [`Busy`] when the queue of its shard is full: it stays.
    pub fn move_to(&self, shard: usize) -> Result<(), Busy> {
        self.engine.relocate(self.id, &mut lock(&self.home), shard)
    }

    fn order(&self, order: Order) -> Result<(), Busy> {
        let home = lock(&self.home);
        self.engine
            .order(*home, ShardOrder::Channel(self.id, order))
    }

    /// Hands a command to the shard, which carries it out within 20 ms.
    ///
    /// # Errors
    /// [`Busy`] when the shard's queue is full.
    pub fn send(&self, command: Command) -> Result<(), Busy> {
        let order = match command {
            Command::Record(spec) => return self.record(*spec),
            Command::Stream(params) => {
                let opus = match params.encoding {
                    Encoding::Opus => params.opus,
                    _ => OpusSettings::default(),
                };
                *lock(&self.coding) = match params.encoding.law() {
                    Some(_) => None,
                    None => Some((params.encoding, opus)),
                };
                Order::Stream(NewStream::new(params).map_err(|error| {
                    tracing::error!(%error, "no codec for a media stream: is there no memory left?");
                    Busy
                })?)
            }
            Command::Listen(wanted) => Order::Listen(Ears::new(wanted)),
            Command::Attend(wanted) => Order::Attend(Attentive::new(wanted)),
            Command::Detect { inband } => {
                let detector = || Box::new(Detector::new(8000, Profile::default()));
                Order::Detect(inband.then(detector))
            }
            Command::Play { id, audio, repeat } => {
                Order::Play(Box::new(List::new(id, audio, repeat)), Manner::default())
            }
            Command::PlayIn {
                manner,
                id,
                audio,
                repeat,
            } => Order::Play(Box::new(List::new(id, audio, repeat)), manner),
            Command::Append { id, audio, repeat } => {
                Order::Append(Box::new(List::new(id, audio, repeat)))
            }
            Command::SendDigits {
                id,
                digits,
                tone_ms,
                gap_ms,
            } => Order::Digits(Box::new(DigitSender::new(id, digits, tone_ms, gap_ms))),
            command => Order::Plain(command),
        };
        self.order(order)
    }

    fn record(&self, spec: RecordingSpec) -> Result<(), Busy> {
        let stats = self.engine.recordings.clone();
        let (recording, writer_half) = recorder::recording(spec, self.events.clone(), stats);
        self.order(Order::Record(Box::new(recording)))?;
        self.engine
            .writer
            .send(WriterOrder::Begin(Box::new(writer_half)))
            .map_err(|_| Busy)
    }
}

impl Channel {
    /// Opens a tap on the channel; one that it has ends. Ends when what is returned is dropped.
    ///
    /// # Errors
    /// [`Busy`] when the shard's queue is full.
    pub fn tap(&self, spec: TapSpec) -> Result<TapEnds, Busy> {
        let (tap, ends) = tap::tap(spec, self.engine.taps.clone());
        self.order(Order::Tap(Box::new(tap)))?;
        Ok(ends)
    }

    /// Opens one beside it that gets what the peer says, at `rate_hz` samples per second, and plays nothing. Otherwise as [`Channel::tap`].
    ///
    /// # Errors
    /// As [`Channel::tap`].
    pub fn hear(&self, rate_hz: u32) -> Result<TapEnds, Busy> {
        let spec = TapSpec {
            rate_hz,
            received: true,
            sent: false,
        };
        let (tap, ends) = tap::tap(spec, self.engine.taps.clone());
        self.order(Order::Hear(Box::new(tap)))?;
        Ok(ends)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // Seen by the shard at the channel's next frame; unlike a command it cannot be refused.
        self.closed.store(true, Ordering::Relaxed);
    }
}
