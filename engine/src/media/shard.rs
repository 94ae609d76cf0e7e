//! The hot loop: one thread that owns its channels, their sockets and their time.
//!
//! No lock, no allocation, no log and no wake-up per channel in the steady state: `tests/no_alloc.rs` holds that for the allocations.
//! With few channels it wakes at once for every packet; with many it sleeps to its next millisecond and takes them in one go.

use std::io;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::channel::{ChannelState, Moment, Order, Surroundings};
use super::recorder::WriterOrder;
use super::retire::{ChannelId, Retired};
use super::wheel::Wheel;
use crate::net::poller::{Poller, Waker};
use crate::net::rtp_socket;

/// Octets of a datagram that are read; longer ones are dropped.
const LONGEST_DATAGRAM: usize = 2048;
/// Channels from which on packets wait for the next millisecond.
const MANY: usize = 50;
/// Slots worked on before the sockets are looked at again.
const SLOTS_PER_TURN: usize = 20;

/// What handles send to the shard.
#[derive(Debug)]
pub(crate) enum ShardOrder {
    Open(Box<ChannelState>),
    Channel(ChannelId, Order),
}

/// One media thread's work. [`run`](Shard::run) is the loop; tests and the bench drive [`turn`](Shard::turn) themselves.
#[derive(Debug)]
pub struct Shard {
    poller: Poller,
    orders: Receiver<ShardOrder>,
    stop: Arc<AtomicBool>,
    slab: Vec<Option<Box<ChannelState>>>,
    wheel: Wheel,
    around: Surroundings,
    tick_ms: u64,
    buffer: Box<[u8; LONGEST_DATAGRAM]>,
    reaper: Sender<Retired>,
    writer: Sender<WriterOrder>,
}

/// Where the shard's parts connect to the handles.
#[derive(Debug)]
pub(crate) struct ShardEnds {
    pub(crate) orders: Receiver<ShardOrder>,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) reaper: Sender<Retired>,
    pub(crate) writer: Sender<WriterOrder>,
}

impl Shard {
    pub(crate) fn new(ends: ShardEnds, around: Surroundings, capacity: usize) -> io::Result<Shard> {
        Ok(Shard {
            poller: Poller::new()?,
            orders: ends.orders,
            stop: ends.stop,
            slab: std::iter::repeat_with(|| None).take(capacity).collect(),
            wheel: Wheel::new(Instant::now(), capacity),
            around,
            tick_ms: 0,
            buffer: Box::new([0; LONGEST_DATAGRAM]),
            reaper: ends.reaper,
            writer: ends.writer,
        })
    }

    pub(crate) fn waker(&self) -> Arc<Waker> {
        self.poller.waker()
    }

    /// Runs until the engine is shut down.
    pub fn run(mut self) {
        while !self.stop.load(Ordering::Acquire) {
            self.pass();
        }
        self.apply_orders(Instant::now());
        let now = Instant::now();
        for index in 0..self.slab.len() {
            self.retire(index, now);
        }
    }

    /// Sleeps until there is something to do, and does it.
    pub(crate) fn pass(&mut self) {
        self.wait();
        self.turn(Instant::now());
    }

    /// Sleeps until there is something to do.
    fn wait(&mut self) {
        let timeout = self
            .wheel
            .next_deadline()
            .map(|at| at.saturating_duration_since(Instant::now()));
        if timeout == Some(Duration::ZERO) {
            return;
        }
        if let (Some(timeout), true) = (timeout, self.wheel.len() >= MANY) {
            std::thread::sleep(timeout);
            return;
        }
        let (orders, stop) = (&self.orders, &self.stop);
        self.poller.sleep(timeout, || {
            orders.is_empty() && !stop.load(Ordering::Acquire)
        });
    }

    /// One pass: commands, received packets, and all slots that are due.
    pub fn turn(&mut self, now: Instant) {
        self.apply_orders(now);
        self.receive(now);
        for _ in 0..SLOTS_PER_TURN {
            let now = Instant::now().max(now);
            let Some((due, skipped)) = self.wheel.next_due(now) else {
                return;
            };
            self.tick_ms = due.tick_ms;
            self.around.stats.skipped_slots.add(skipped);
            self.around
                .stats
                .lateness
                .record(now.saturating_duration_since(due.at).as_micros() as u64);
            let mut place = 0;
            // A channel that leaves is replaced by another in its place of the slot.
            while let Some(&index) = self.wheel.members(due).get(place) {
                if self.step(
                    index as usize,
                    Moment {
                        now,
                        tick_ms: due.tick_ms,
                    },
                ) {
                    place += 1;
                }
            }
        }
    }

    /// One frame of one channel. Returns whether the channel remains.
    fn step(&mut self, index: usize, moment: Moment) -> bool {
        let Some(channel) = &mut self.slab[index] else {
            self.wheel.remove(index as u32);
            return false;
        };
        let around = &self.around;
        let remains = !channel.is_closed() && contained(around, || channel.step(around, moment));
        if !remains {
            self.retire(index, moment.now);
        }
        remains
    }

    fn apply_orders(&mut self, now: Instant) {
        let moment = Moment {
            now,
            tick_ms: self.tick_ms,
        };
        for _ in 0..self.orders.len() {
            match self.orders.try_recv() {
                Ok(ShardOrder::Open(channel)) => self.open(channel, now),
                Ok(ShardOrder::Channel(id, order)) => {
                    if let Some(Some(channel)) = self.slab.get_mut(id.index as usize)
                        && channel.id == id
                    {
                        channel.obey(order, moment);
                    }
                }
                Err(_) => return,
            }
        }
    }

    fn open(&mut self, channel: Box<ChannelState>, now: Instant) {
        let index = channel.id.index;
        let token = u64::from(index) << 1;
        let watched = self
            .poller
            .add(&channel.sockets.rtp, token)
            .and_then(|()| self.poller.add(&channel.sockets.rtcp, token | 1));
        if let Err(error) = watched {
            // Possible only when the system is out of memory for watches; the call sees no audio and says so.
            tracing::error!(port = channel.port, %error, "an RTP socket cannot be watched");
        }
        self.slab[index as usize] = Some(channel);
        self.wheel.add(index, now);
        self.around.stats.channels.set(self.wheel.len() as u64);
    }

    fn retire(&mut self, index: usize, now: Instant) {
        let Some(mut channel) = self.slab[index].take() else {
            return;
        };
        self.wheel.remove(index as u32);
        self.around.stats.channels.set(self.wheel.len() as u64);
        let (around, tick_ms) = (&self.around, self.tick_ms);
        contained(around, || channel.send_bye(around, Moment { now, tick_ms }));
        channel.recording = None;
        // Also forgotten by closing them; a fork of the process could keep them open.
        let _ = self.poller.remove(&channel.sockets.rtp);
        let _ = self.poller.remove(&channel.sockets.rtcp);
        self.around.stats.lost.add(channel.stats().lost);
        let retired = Retired(channel);
        // The other ends live until this thread has ended.
        if retired.recordings_complete() {
            let _ = self.reaper.send(retired);
        } else {
            let _ = self.writer.send(WriterOrder::Retire(retired));
        }
    }

    /// Takes one datagram of each ready socket; what is left is reported again.
    fn receive(&mut self, now: Instant) {
        let (slab, around, buffer) = (&mut self.slab, &self.around, &mut self.buffer);
        let moment = Moment {
            now,
            tick_ms: self.tick_ms,
        };
        self.poller.ready(|token| {
            let Some(Some(channel)) = slab.get_mut((token >> 1) as usize) else {
                return;
            };
            let is_rtcp = token & 1 == 1;
            let socket = if is_rtcp {
                &channel.sockets.rtcp
            } else {
                &channel.sockets.rtp
            };
            // An error is an ICMP message about what we sent, or nothing to read after all.
            let Ok((length, source)) = socket.recv_from(&mut buffer[..]) else {
                return;
            };
            if length == buffer.len() {
                around.stats.dropped.oversize.add(1);
                return;
            }
            let (datagram, source) = (&buffer[..length], rtp_socket::plain(source));
            let sound = contained(around, || match is_rtcp {
                true => channel.receive_rtcp(around, moment, datagram, source),
                false => channel.receive_rtp(around, moment, datagram, source),
            });
            if !sound {
                channel.closed.store(true, Ordering::Relaxed);
            }
        });
    }
}

/// Does one channel's work. A panic in it, which is a defect of ours, ends that channel and no other; returns whether there was none.
fn contained(around: &Surroundings, work: impl FnOnce()) -> bool {
    let sound = std::panic::catch_unwind(AssertUnwindSafe(work)).is_ok();
    if !sound {
        around.stats.panics.add(1);
    }
    sound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_contained_and_counted() {
        let around = Surroundings {
            stats: Arc::default(),
            rtp_timeout: Duration::from_secs(1),
        };
        assert!(contained(&around, || ()));
        assert!(!contained(&around, || panic!("made up")));
        assert_eq!(around.stats.panics.value(), 1);
    }

    #[test]
    fn a_channel_is_small() {
        // Beside it: 4 KiB of jitter buffer, 32 KiB while a recording runs, and the kernel's sockets.
        assert!(
            size_of::<ChannelState>() < 8 * 1024,
            "{}",
            size_of::<ChannelState>()
        );
    }
}
