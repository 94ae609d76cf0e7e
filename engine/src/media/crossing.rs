//! How channels go from one shard to another, and how no order to them is lost or overtaken.
//!
//! ```text
//!  handle ──Depart(id, B)──► orders of A ──► A takes it out ──► arrivals of B ──► B takes it in, frame on time
//!     └─────what follows───► orders of B    (waits there, in its order, until the channel has come)
//! ```
//!
//! A handle sends `Depart` to the shard where the channel is, and everything after it to the shard it goes to. A shard that comes to an order
//! for a channel which is alive and not here carries out nothing more until the channel has come: the order of orders is kept by keeping it.
//! No two shards can wait for each other, because each waits for something that was sent before what it holds.
//!
//! Limits: a channel is on its way once at a time, so the queue of arrivals is never full.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::channel::{ChannelState, Moment};
use super::codec::FRAME_MS;
use super::retire::ChannelId;
use super::shard::{Shard, ShardOrder, present};
use crate::net::poller::Waker;

/// A channel that has not come after this long never will: its shard has died of a defect.
const PATIENCE: Duration = Duration::from_secs(2);

/// Which channels have ended; who is neither here nor ended is on its way.
#[derive(Debug)]
pub(crate) struct Whereabouts {
    /// For each place the generation of the channel that is alive in it or will be the next.
    generations: Box<[AtomicU32]>,
}

impl Whereabouts {
    pub(crate) fn new(capacity: usize) -> Whereabouts {
        let generations = std::iter::repeat_with(AtomicU32::default).take(capacity);
        Whereabouts {
            generations: generations.collect(),
        }
    }

    /// Told by the shard where it ended.
    pub(crate) fn ended(&self, id: ChannelId) {
        if let Some(generation) = self.generations.get(id.index as usize) {
            generation.store(id.generation.wrapping_add(1), Ordering::Release);
        }
    }

    fn is_alive(&self, id: ChannelId) -> bool {
        let generation = self.generations.get(id.index as usize);
        generation.is_some_and(|generation| generation.load(Ordering::Acquire) == id.generation)
    }
}

/// The way into a shard.
#[derive(Debug)]
pub(crate) struct Door {
    pub(crate) arrivals: Sender<Box<ChannelState>>,
    pub(crate) waker: Arc<Waker>,
}

/// A shard's part in it.
#[derive(Debug)]
pub(crate) struct Crossing {
    pub(crate) arrivals: Receiver<Box<ChannelState>>,
    /// The ways into all shards of the engine, this one included.
    pub(crate) doors: Arc<[Door]>,
    pub(crate) whereabouts: Arc<Whereabouts>,
    /// The order that waits for a channel to come, and since when.
    pub(crate) held: Option<(ShardOrder, Instant)>,
}

impl Crossing {
    /// Whether there is nothing to do but wait.
    pub(crate) fn is_idle(&self, orders: &Receiver<ShardOrder>) -> bool {
        self.arrivals.is_empty() && (self.held.is_some() || orders.is_empty())
    }
}

impl Shard {
    /// Takes in who has come, and carries out the orders in their order until one waits for somebody who has not.
    pub(super) fn apply_orders(&mut self, now: Instant) {
        let moment = self.moment(now);
        for _ in 0..self.crossing.arrivals.len() {
            if let Ok(channel) = self.crossing.arrivals.try_recv() {
                self.arrive(channel, now);
            }
        }
        if let Some((order, since)) = self.crossing.held.take() {
            if !self.awaits(&order) {
                self.carry_out(order, moment);
            } else if now.saturating_duration_since(since) < PATIENCE {
                self.crossing.held = Some((order, since));
                return;
            } else {
                self.around.stats.orders_lost.add(1);
            }
        }
        for _ in 0..self.orders.len() {
            let Ok(order) = self.orders.try_recv() else {
                return;
            };
            if self.awaits(&order) {
                self.crossing.held = Some((order, now));
                return;
            }
            self.carry_out(order, moment);
        }
    }

    /// The same when no shard runs any more: nobody departs, and who was on the way has come.
    pub(super) fn apply_last_orders(&mut self, now: Instant) {
        let moment = self.moment(now);
        while let Ok(channel) = self.crossing.arrivals.try_recv() {
            self.take_in(channel);
        }
        let held = self.crossing.held.take().map(|(order, _)| order);
        let orders = held.into_iter().chain(self.orders.try_iter());
        for order in orders.collect::<Vec<_>>() {
            if !matches!(order, ShardOrder::Depart(..)) {
                self.carry_out(order, moment);
            }
        }
    }

    fn moment(&self, now: Instant) -> Moment {
        let tick_ms = self.wheel.ms_at(now);
        Moment { now, tick_ms }
    }

    /// Whether somebody whom the order is for is on the way.
    fn awaits(&self, order: &ShardOrder) -> bool {
        let absent = |id: ChannelId| {
            let here = self.slab.get(id.index as usize).and_then(Option::as_ref);
            here.is_none_or(|channel| channel.id != id) && self.crossing.whereabouts.is_alive(id)
        };
        match order {
            ShardOrder::Open(_) => false,
            ShardOrder::Channel(id, _) | ShardOrder::Depart(id, _) => absent(*id),
            ShardOrder::Bridge(ends) => ends.iter().any(|end| absent(end.id)),
            // Only who joins is known to come: a member may have gone elsewhere meanwhile.
            ShardOrder::Room(order) => order.joins().is_some_and(absent),
        }
    }

    /// Sends a channel to another shard. Its bridge ends: the far side stays.
    pub(super) fn depart(&mut self, id: ChannelId, to: usize, now: Instant) {
        if present(&mut self.slab, id).is_none() {
            return;
        }
        let doors = self.crossing.doors.clone();
        let Some(door) = doors.get(to) else { return };
        let Some(channel) = self.take_out(id.index as usize) else {
            return;
        };
        match door.arrivals.try_send(channel) {
            Ok(()) => door.waker.wake(),
            // That shard has died.
            Err(refused) => {
                let channel = refused.into_inner();
                channel.closed.store(true, Ordering::Relaxed);
                self.arrive(channel, now);
            }
        }
    }

    /// Takes in a channel. It keeps its time on the wheel; a frame that came due on the way is sent at once.
    fn arrive(&mut self, channel: Box<ChannelState>, now: Instant) {
        let (index, stepped_ms) = (channel.id.index, channel.stepped_ms);
        self.take_in(channel);
        self.around.stats.moved.add(1);
        match stepped_ms {
            None => self.wheel.add(index, now),
            Some(stepped_ms) => {
                self.wheel.add_at(stepped_ms, index, now);
                let tick_ms = stepped_ms + u64::from(FRAME_MS);
                if self.wheel.is_past(tick_ms) {
                    self.step(index as usize, Moment { now, tick_ms });
                }
            }
        }
        self.count_channels();
    }
}
