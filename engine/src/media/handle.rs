//! The handles through which calls use the media engine: [`Media`] opens channels, [`Channel`] carries commands to one.

use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crossbeam_channel::Sender;
use tokio::sync::mpsc;

use super::bridge::Carriage;
use super::channel::{ChannelState, Order, Sockets, Surroundings};
use super::command::Command;
use super::event::MediaEvent;
use super::path::SendErrors;
use super::ports::{self, Pair, PortPool};
use super::recorder::{self, RecordingStats, WriterOrder};
use super::retire::{ChannelId, Registry, Retirement};
use super::room::RoomPlaces;
use super::shard::{Shard, ShardEnds, ShardOrder};
use super::stats::MediaStats;
use crate::net::poller::Waker;
use crate::net::{rtp_socket, thread as media_thread};

/// Commands that can wait for the shard; it empties the queue every millisecond or so.
const QUEUE: usize = 16_384;
/// Open files beside the two sockets of each channel: SIP connections, recordings, the rest.
const OTHER_FILES: u64 = 1024;

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
    /// The system refuses sockets.
    #[error("cannot open RTP sockets: {0} (see the limit of open files, `ulimit -n`)")]
    Sockets(std::io::Error),
    /// The shard does not follow with its commands.
    #[error("the media shard is overloaded")]
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

/// What the handles share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: MediaConfig,
    stats: Arc<MediaStats>,
    pub(crate) recordings: Arc<RecordingStats>,
    registry: Arc<Mutex<Registry>>,
    orders: Sender<ShardOrder>,
    pub(crate) rooms: RoomPlaces,
    pub(crate) writer: Sender<WriterOrder>,
    waker: Arc<Waker>,
    stop: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Media {
    /// Starts the shard's thread and those that write recordings and close sockets.
    ///
    /// # Errors
    /// When the configuration cannot work on this machine.
    pub fn start(config: MediaConfig) -> Result<Media, MediaError> {
        let pin_cpu = config.pin_cpu;
        let (media, shard) = Media::assemble(config)?;
        let thread = thread::Builder::new().name("media-0".into()).spawn(move || {
            if let Some(cpu) = pin_cpu
                && let Err(error) = media_thread::pin(cpu)
            {
                tracing::warn!(cpu, %error, "the media thread cannot be pinned; it runs on any CPU");
            }
            shard.run();
        })?;
        media.engine.threads().insert(0, thread);
        Ok(media)
    }

    /// As [`start`](Media::start), but leaves the shard to the caller, who has to drive it, and to drop it before the last handle: for tests and
    /// measurements.
    ///
    /// # Errors
    /// When the configuration cannot work on this machine.
    pub fn assemble(config: MediaConfig) -> Result<(Media, Shard), MediaError> {
        let registry = Arc::new(Mutex::new(registry(&config)?));
        let retirement = Retirement {
            registry: registry.clone(),
        };
        let (orders, shard_orders) = crossbeam_channel::bounded(QUEUE);
        let (writer, writer_orders) = crossbeam_channel::unbounded();
        let (reaper, retired) = crossbeam_channel::unbounded();
        let stop = Arc::new(AtomicBool::new(false));
        let stats = Arc::new(MediaStats::default());
        let around = Surroundings {
            stats: stats.clone(),
            rtp_timeout: config.rtp_timeout,
        };
        let ends = ShardEnds {
            orders: shard_orders,
            stop: stop.clone(),
            reaper,
            writer: writer.clone(),
        };
        let shard = Shard::new(ends, around, config.max_channels)?;
        let reaping = retirement.clone();
        let reap = move || reaping.run(&retired);
        let threads = vec![
            named("media-reaper").spawn(reap)?,
            named("media-writer").spawn(move || recorder::run(&writer_orders, &retirement))?,
        ];
        let rooms = RoomPlaces::new(config.max_channels);
        let engine = Engine {
            config,
            stats,
            recordings: Arc::default(),
            registry,
            orders,
            rooms,
            writer,
            waker: shard.waker(),
            stop,
            threads: Mutex::new(threads),
        };
        let engine = Arc::new(engine);
        Ok((Media { engine }, shard))
    }

    /// Opens a channel: a pair of ports that sends and receives after [`Command::Stream`].
    ///
    /// # Errors
    /// When ports or channels are used up.
    pub fn open(&self) -> Result<(Channel, MediaEvents), OpenError> {
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
        if engine.order(ShardOrder::Open(Box::new(state))).is_err() {
            let mut registry = engine.registry();
            registry.ports.give_back(port);
            registry.places.push(id);
            return Err(OpenError::Overloaded);
        }
        let channel = Channel {
            id,
            port,
            events,
            closed,
            engine,
        };
        Ok((channel, receiver))
    }

    /// Bridges two channels: what comes in on one goes out on the other, packet for packet where possible. What either plays or sends
    /// as digits itself has precedence on its own side. Replaces a bridge that either has; bridging the same two again changes what is
    /// carried and nothing else. Ends by [`Command::Unbridge`] on either, or when one closes; the other goes on alone.
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
        let ends = [(a.id, a_to_b), (b.id, b_to_a)];
        Ok(self.engine.order(ShardOrder::Bridge(ends))?)
    }

    /// How it runs.
    pub fn config(&self) -> &MediaConfig {
        &self.engine.config
    }

    /// Counters and gauges.
    pub fn stats(&self) -> &MediaStats {
        &self.engine.stats
    }

    /// Counters of the recordings.
    pub fn recordings(&self) -> &RecordingStats {
        &self.engine.recordings
    }

    /// Ends all channels and the threads, and waits for them: recordings are complete and every channel has its
    /// [`MediaEvent::Closed`] when it returns. Blocks for some milliseconds, or as long as the disk needs.
    pub fn shutdown(&self) {
        self.engine.shutdown();
    }
}

/// What a configuration allows to be opened; refuses one that allows nothing.
fn registry(config: &MediaConfig) -> Result<Registry, MediaError> {
    let ports = PortPool::new(&config.ports);
    if ports.len() == 0 {
        return Err(MediaError::PortRange(config.ports.clone()));
    }
    // Whether the address is ours shows on any port.
    rtp_socket::bind(config.bind, 0, None).map_err(|source| MediaError::Bind {
        address: config.bind,
        source,
    })?;
    let wanted = config.max_channels as u64 * 2 + OTHER_FILES;
    let files = media_thread::raise_open_files(wanted);
    if files < wanted {
        tracing::warn!(
            files,
            wanted,
            "the limit of open files allows fewer channels than configured (`ulimit -n`)"
        );
    }
    let indexes = (0..config.max_channels as u32).rev();
    let places = indexes
        .map(|index| ChannelId {
            index,
            generation: 0,
        })
        .collect();
    Ok(Registry { ports, places })
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.into())
}

impl Engine {
    fn registry(&self) -> std::sync::MutexGuard<'_, Registry> {
        self.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A free place in the slab and a bound pair of ports.
    fn take_place(&self) -> Result<(ChannelId, u16, Sockets), OpenError> {
        let limit = self.config.max_channels;
        let place = self.registry().places.pop();
        let id = place.ok_or(OpenError::AtCapacity { limit })?;
        let (port, (rtp, rtcp)) = self
            .bind_a_pair()
            .inspect_err(|_| self.registry().places.push(id))?;
        let sockets = Sockets {
            rtp,
            rtcp,
            connected: false,
            is_v6: self.config.bind.is_ipv6(),
            errors: SendErrors::default(),
        };
        Ok((id, port, sockets))
    }

    /// Binds the oldest free pair of ports, passing over those that other programs hold.
    fn bind_a_pair(&self) -> Result<(u16, Pair), OpenError> {
        let config = &self.config;
        let tries = self.registry().ports.len();
        for _ in 0..tries {
            let Some(port) = self.registry().ports.take() else {
                break;
            };
            match ports::bind_pair(config.bind, port, config.dscp) {
                Ok(pair) => return Ok((port, pair)),
                Err(error) => {
                    self.registry().ports.give_back(port);
                    if error.kind() != std::io::ErrorKind::AddrInUse {
                        return Err(OpenError::Sockets(error));
                    }
                }
            }
        }
        let range = config.ports.clone();
        Err(OpenError::NoPorts { range })
    }

    pub(crate) fn order(&self, order: ShardOrder) -> Result<(), Busy> {
        self.orders.try_send(order).map_err(|_| Busy)?;
        self.waker.wake();
        Ok(())
    }

    fn threads(&self) -> std::sync::MutexGuard<'_, Vec<JoinHandle<()>>> {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The shard goes first: the others end when it has handed them everything.
    fn shutdown(&self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
        let mut threads = self.threads();
        if threads.len() == 3 {
            // A thread that panicked has said so.
            let _ = threads.remove(0).join();
        }
        let _ = self.writer.send(WriterOrder::Stop);
        threads.drain(..).for_each(|thread| _ = thread.join());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// One channel. Dropping it closes it: RTCP BYE is sent, its recording is completed, its ports go to the far end of the pool.
#[derive(Debug)]
pub struct Channel {
    pub(crate) id: ChannelId,
    port: u16,
    events: mpsc::UnboundedSender<MediaEvent>,
    closed: Arc<AtomicBool>,
    pub(crate) engine: Arc<Engine>,
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
        let Command::Record(spec) = command else {
            return self
                .engine
                .order(ShardOrder::Channel(self.id, Order::Plain(command)));
        };
        let stats = self.engine.recordings.clone();
        let (recording, writer_half) = recorder::recording(*spec, self.events.clone(), stats);
        self.engine.order(ShardOrder::Channel(
            self.id,
            Order::Record(Box::new(recording)),
        ))?;
        self.engine
            .writer
            .send(WriterOrder::Begin(Box::new(writer_half)))
            .map_err(|_| Busy)
    }
}

impl Drop for Channel {
    fn drop(&mut self) {
        // Seen by the shard at the channel's next frame; unlike a command it cannot be refused.
        self.closed.store(true, Ordering::Relaxed);
    }
}
