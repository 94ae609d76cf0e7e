//! What all handles share: the way to each shard, free ports and places, and which shard a channel is opened on.
//!
//! Nothing here runs in the hot loop. Limits: [`QUEUE`] commands can wait for each shard.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use crossbeam_channel::Sender;

use super::admission::{self, AdmissionLimits, Pulse, Watched};
use super::channel::{ChannelState, Sockets, Surroundings};
use super::crossing::{Crossing, Door, Whereabouts};
use super::handle::{Busy, MediaConfig, MediaError, OpenError};
use super::path::SendErrors;
use super::ports::{self, Pair, PortPool};
use super::recorder::{self, RecordingStats, WriterOrder};
use super::retire::{ChannelId, Reaper, Registry, Retirement};
use super::room::RoomPlaces;
use super::shard::{Shard, ShardEnds, ShardOrder};
use super::stats::MediaStats;
use super::stock::{Stock, StockCounts};
use super::tap::TapStats;
use crate::net::poller::{Poller, Waker};
use crate::net::{rtp_socket, thread as media_thread};

/// Commands that can wait for a shard; it empties the queue every millisecond or so.
const QUEUE: usize = 16_384;
/// Open files beside the two sockets of each channel: SIP connections, recordings, the rest.
const OTHER_FILES: u64 = 1024;

/// CPU time a new channel is thought to need in a second, µs: a G.711 channel at least.
const CHANNEL_US: u64 = 150;

/// What the handles share.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: MediaConfig,
    pub(crate) shards: Vec<ShardLink>,
    registry: Arc<Mutex<Registry>>,
    pub(crate) rooms: RoomPlaces,
    pub(crate) recordings: Arc<RecordingStats>,
    pub(crate) taps: Arc<TapStats>,
    pub(crate) stock_counts: Arc<StockCounts>,
    pub(crate) writer: Sender<WriterOrder>,
    pub(crate) stop: Arc<AtomicBool>,
    /// Those that run shards; they give them back when they end.
    loops: Mutex<Vec<JoinHandle<Shard>>>,
    /// The reaper, the writer, and the one that watches the shards.
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// A shard as the handles see it.
#[derive(Debug)]
pub(crate) struct ShardLink {
    orders: Sender<ShardOrder>,
    waker: Arc<Waker>,
    pub(crate) stats: Arc<MediaStats>,
    pub(crate) pulse: Arc<Pulse>,
    /// Channels sent there, opened or moved.
    sent: AtomicU64,
}

impl ShardLink {
    /// How busy it is, in twentieths of a core by its last second and what came since; then its channels, those on the way there included.
    fn load(&self) -> (u64, u64) {
        let sent = self.sent.load(Ordering::Relaxed);
        let coming = sent.saturating_sub(self.stats.entered.value());
        let channels = self.stats.channels.value() + coming;
        let expected_us = self.pulse.expected_us(channels, CHANNEL_US);
        (expected_us / (1_000_000 / 20), channels)
    }

    /// Whether one channel more is too many, by the last second and what came since.
    fn is_full(&self, limits: &AdmissionLimits) -> bool {
        let sent = self.sent.load(Ordering::Relaxed);
        let coming = sent.saturating_sub(self.stats.entered.value());
        let channels = self.stats.channels.value() + coming;
        // As many as are on their way are being set up: none of them has cost anything yet.
        let expected_us = self.pulse.expected_us(channels, 0);
        self.pulse.is_full()
            || limits.are_reached(channels, expected_us, self.pulse.late_us.value())
    }
}

impl Engine {
    /// The engine and its shards, which do not run yet.
    pub(crate) fn assemble(config: MediaConfig) -> Result<(Engine, Vec<Shard>), MediaError> {
        let registry = Arc::new(Mutex::new(registry(&config)?));
        let retirement = Retirement {
            registry: registry.clone(),
        };
        let (writer, writer_orders) = crossbeam_channel::unbounded();
        let (reaper, reaped) = Reaper::new();
        let stop = Arc::new(AtomicBool::new(false));
        let count = config.threads.max(1);
        let pollers = (0..count).map(|_| Poller::new());
        let pollers = pollers.collect::<Result<Vec<_>, _>>()?;
        let (doors, arrivals): (Vec<_>, Vec<_>) = pollers
            .iter()
            .map(|poller| {
                let (arrivals, arriving) = crossbeam_channel::bounded(config.max_channels);
                let waker = poller.waker();
                (Door { arrivals, waker }, arriving)
            })
            .unzip();
        let doors: Arc<[Door]> = doors.into();
        let whereabouts = Arc::new(Whereabouts::new(config.max_channels));
        let start = Instant::now();
        let (stock, refill) = Stock::new();
        let stock_counts = stock.counts();
        let (mut shards, mut links) = (Vec::new(), Vec::new());
        for (poller, arrivals) in pollers.into_iter().zip(arrivals) {
            let (orders, shard_orders) = crossbeam_channel::bounded(QUEUE);
            let stats = Arc::new(MediaStats::default());
            let around = Surroundings {
                stats: stats.clone(),
                rtp_timeout: config.rtp_timeout,
                dtmf: config.dtmf,
                stock: stock.clone(),
                reaper: reaper.clone(),
            };
            links.push(ShardLink {
                orders,
                waker: poller.waker(),
                stats,
                pulse: Arc::default(),
                sent: AtomicU64::new(0),
            });
            let ends = ShardEnds {
                poller,
                orders: shard_orders,
                crossing: Crossing {
                    arrivals,
                    doors: doors.clone(),
                    whereabouts: whereabouts.clone(),
                    held: None,
                },
                stop: stop.clone(),
                reaper: reaper.clone(),
                writer: writer.clone(),
            };
            shards.push(Shard::new(ends, around, config.max_channels, start));
        }
        let reaping = retirement.clone();
        let reap = move || reaping.run(&reaped);
        let mut threads = vec![
            named("media-reaper").spawn(reap)?,
            named("media-writer").spawn(move || recorder::run(&writer_orders, &retirement))?,
        ];
        for (name, work) in refill.into_work() {
            threads.push(named(name).spawn(work)?);
        }
        let rooms = RoomPlaces::new(config.max_channels);
        let engine = Engine {
            config,
            shards: links,
            recordings: Arc::default(),
            taps: Arc::default(),
            stock_counts,
            registry,
            rooms,
            writer,
            stop,
            loops: Mutex::default(),
            threads: Mutex::new(threads),
        };
        Ok((engine, shards))
    }

    /// Gives each shard its thread.
    pub(crate) fn run(&self, shards: Vec<Shard>) -> std::io::Result<()> {
        if self.config.lock_memory
            && let Err(error) = media_thread::lock_memory()
        {
            tracing::warn!(%error, "memory cannot be locked (see `ulimit -l`): it may be swapped out");
        }
        let watched = self
            .shards
            .iter()
            .map(|shard| Watched::new(shard.stats.clone(), shard.pulse.clone(), Instant::now()));
        let (watched, limits) = (watched.collect(), self.config.admission);
        let stop = self.stop.clone();
        let watch = named("media-watch").spawn(move || admission::watch(watched, limits, &stop))?;
        lock(&self.threads).push(watch);
        for (index, mut shard) in shards.into_iter().enumerate() {
            let cpu = self.config.pin.get(index).copied();
            let realtime = self.config.realtime;
            let pulse = self.shards.get(index).map(|shard| shard.pulse.clone());
            let thread = named(&format!("media-{index}")).spawn(move || {
                settle_thread(cpu, realtime);
                if let (Some(pulse), Some(schedule)) = (pulse, media_thread::schedule()) {
                    let _ = pulse.schedule.set(schedule);
                }
                shard.run_loop();
                shard
            })?;
            lock(&self.loops).push(thread);
        }
        Ok(())
    }

    /// A free place in the slabs and a bound pair of ports.
    pub(crate) fn take_place(&self) -> Result<(ChannelId, u16, Sockets), OpenError> {
        let limit = self.config.max_channels;
        let place = lock(&self.registry).places.pop();
        let id = place.ok_or(OpenError::AtCapacity { limit })?;
        let (port, (rtp, rtcp)) = self
            .bind_a_pair()
            .inspect_err(|_| lock(&self.registry).places.push(id))?;
        let sockets = Sockets {
            rtp,
            rtcp,
            connected: false,
            is_v6: self.config.bind.is_ipv6(),
            errors: SendErrors::default(),
        };
        Ok((id, port, sockets))
    }

    /// Gives back what [`take_place`](Engine::take_place) gave.
    pub(crate) fn give_place_back(&self, id: ChannelId, port: u16) {
        let mut registry = lock(&self.registry);
        registry.ports.give_back(port);
        registry.places.push(id);
    }

    /// Binds the oldest free pair of ports, passing over those that other programs hold.
    fn bind_a_pair(&self) -> Result<(u16, Pair), OpenError> {
        let config = &self.config;
        let tries = lock(&self.registry).ports.len();
        for _ in 0..tries {
            let Some(port) = lock(&self.registry).ports.take() else {
                break;
            };
            match ports::bind_pair(config.bind, port, config.dscp) {
                Ok(pair) => return Ok((port, pair)),
                Err(error) => {
                    lock(&self.registry).ports.give_back(port);
                    if error.kind() != std::io::ErrorKind::AddrInUse {
                        return Err(OpenError::Sockets(error));
                    }
                }
            }
        }
        let range = config.ports.clone();
        Err(OpenError::NoPorts { range })
    }

    /// The shard with the least to do.
    pub(crate) fn least_loaded(&self) -> usize {
        let shards = 0..self.shards.len();
        shards
            .min_by_key(|shard| self.shards[*shard].load())
            .unwrap_or(0)
    }

    /// The one with the least to do of those that are not at their limit.
    pub(crate) fn admitting(&self) -> Option<usize> {
        let shards = (0..self.shards.len()).filter(|shard| self.admits(*shard));
        shards.min_by_key(|shard| self.shards[*shard].load())
    }

    /// Whether a shard is not at its limit.
    pub(crate) fn admits(&self, shard: usize) -> bool {
        self.shards
            .get(shard)
            .is_some_and(|shard| !shard.is_full(&self.config.admission))
    }

    /// The one of two shards that has less to do; the first if both have the same.
    pub(crate) fn less_loaded(&self, a: usize, b: usize) -> usize {
        let load = |index: usize| self.shards.get(index).map(ShardLink::load);
        if load(b) < load(a) { b } else { a }
    }

    /// Hands an order to a shard.
    pub(crate) fn order(&self, shard: usize, order: ShardOrder) -> Result<(), Busy> {
        let link = self.shards.get(shard).ok_or(Busy)?;
        link.orders.try_send(order).map_err(|_| Busy)?;
        link.waker.wake();
        Ok(())
    }

    /// Opens a channel on a shard.
    pub(crate) fn open_on(&self, shard: usize, state: ChannelState) -> Result<(), Busy> {
        self.order(shard, ShardOrder::Open(Box::new(state)))?;
        self.shards[shard].sent.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// Sends a channel to another shard; `home` is where it is, and where its orders go from now on.
    pub(crate) fn relocate(&self, id: ChannelId, home: &mut usize, to: usize) -> Result<(), Busy> {
        if *home != to && to < self.shards.len() {
            self.order(*home, ShardOrder::Depart(id, to))?;
            self.shards[to].sent.fetch_add(1, Ordering::Relaxed);
            *home = to;
        }
        Ok(())
    }

    /// The shards go first: the others end when those have handed them everything.
    pub(crate) fn shutdown(&self) {
        self.stop.store(true, Ordering::Release);
        self.shards.iter().for_each(|shard| shard.waker.wake());
        let mut loops = lock(&self.loops);
        // A thread that panicked has said so.
        let ended: Vec<_> = loops.drain(..).map(JoinHandle::join).collect();
        ended
            .into_iter()
            .flatten()
            .for_each(|mut shard| shard.finish());
        let _ = self.writer.send(WriterOrder::Stop);
        lock(&self.threads)
            .iter()
            .for_each(|thread| thread.thread().unpark());
        lock(&self.threads)
            .drain(..)
            .for_each(|thread| _ = thread.join());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.shutdown();
    }
}

/// A lock that was left by a panic holds what it held before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn named(name: &str) -> thread::Builder {
    thread::Builder::new().name(name.into())
}

/// Asks the system for what the shard's thread is to have; it runs without as well.
fn settle_thread(cpu: Option<usize>, realtime: Option<u8>) {
    if let Some(cpu) = cpu
        && let Err(error) = media_thread::pin(cpu)
    {
        tracing::warn!(cpu, %error, "the media thread cannot be pinned; it runs on any CPU");
    }
    // Where it cannot be had the thread runs as others do.
    let _ = media_thread::short_turns();
    if let Some(priority) = realtime
        && let Err(error) = media_thread::realtime(priority)
    {
        tracing::warn!(priority, %error,
            "the media thread gets no real-time priority (CAP_SYS_NICE or `ulimit -r` is lacking); it runs with the usual one");
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
