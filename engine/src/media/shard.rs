//! The hot loop: one thread that owns its channels, their sockets and their time.
//!
//! No lock, no allocation, no log and no wake-up per channel in the steady state: `tests/no_alloc.rs` holds that for the allocations.
//! With few channels it wakes at once for every packet; with many it sleeps to its next millisecond, and channels take theirs in their step
//! (`intake.rs`).

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender};

use super::bridge::{Bridge, BridgeEnd, Wants};
use super::channel::{ChannelState, Moment, Order, Surroundings};
use super::codec::AudioRate;
use super::command::Command;
use super::crossing::Crossing;
use super::frame::Frame;
use super::intake::LONGEST_DATAGRAM;
use super::recorder::WriterOrder;
use super::retire::{ChannelId, Reaper, Retired};
use super::room::{RoomOrder, Rooms};
use super::wheel::{Due, Wheel};
use crate::net::poller::Poller;
use crate::net::{batch, thread as media_thread};

/// Channels from which on packets wait for the next millisecond.
const MANY: usize = 50;
/// Channels that are fetched into the cache ahead of the one whose turn it is.
const AHEAD: usize = 3;
/// Slots worked on before the sockets are looked at again.
const SLOTS_PER_TURN: usize = 20;
/// Between two looks at the thread's CPU clock.
const CPU_LOOK: Duration = Duration::from_millis(250);

/// Between two looks for rooms whose handle is gone.
const SWEEP_MS: u64 = 1000;

/// What handles send to the shard.
#[derive(Debug)]
pub(crate) enum ShardOrder {
    Open(Box<ChannelState>),
    Channel(ChannelId, Order),
    /// Joins two channels; what each sends to the other.
    Bridge([BridgeEnd; 2]),
    Room(RoomOrder),
    /// The channel goes to that shard.
    Depart(ChannelId, usize),
}

/// One media thread's work. [`run`](Shard::run) is the loop; tests and the bench drive [`turn`](Shard::turn) themselves.
#[derive(Debug)]
pub struct Shard {
    pub(super) poller: Poller,
    pub(super) orders: Receiver<ShardOrder>,
    pub(super) crossing: Crossing,
    stop: Arc<AtomicBool>,
    pub(super) slab: Vec<Option<Box<ChannelState>>>,
    pub(super) wheel: Wheel,
    rooms: Rooms,
    rooms_swept_ms: u64,
    pub(super) around: Surroundings,
    tick_ms: u64,
    cpu_looked: Instant,
    pub(super) buffer: Box<[u8; LONGEST_DATAGRAM]>,
    /// The wall time at which the present slot began, for the kernel's stamps.
    pub(super) wall_ns: u64,
    /// What the channel whose turn it is has received.
    heard: Frame,
    reaper: Reaper,
    writer: Sender<WriterOrder>,
}

/// Where the shard's parts connect to the handles.
#[derive(Debug)]
pub(crate) struct ShardEnds {
    pub(crate) poller: Poller,
    pub(crate) orders: Receiver<ShardOrder>,
    pub(crate) crossing: Crossing,
    pub(crate) stop: Arc<AtomicBool>,
    pub(crate) reaper: Reaper,
    pub(crate) writer: Sender<WriterOrder>,
}

impl Shard {
    /// `start` is the beginning of media time, the same for all shards of an engine.
    pub(crate) fn new(
        ends: ShardEnds,
        around: Surroundings,
        capacity: usize,
        start: Instant,
    ) -> Shard {
        Shard {
            poller: ends.poller,
            orders: ends.orders,
            crossing: ends.crossing,
            stop: ends.stop,
            slab: std::iter::repeat_with(|| None).take(capacity).collect(),
            wheel: Wheel::new(start, capacity),
            rooms: Rooms::new(capacity, around.stats.clone(), ends.reaper.clone()),
            rooms_swept_ms: 0,
            around,
            tick_ms: 0,
            cpu_looked: start,
            buffer: Box::new([0; LONGEST_DATAGRAM]),
            wall_ns: 0,
            heard: Frame::silence(AudioRate::Narrow),
            reaper: ends.reaper,
            writer: ends.writer,
        }
    }

    /// Runs until the engine is shut down.
    pub fn run(mut self) {
        self.run_loop();
        self.finish();
    }

    /// Runs until the engine is shut down, and leaves its channels as they are.
    pub(crate) fn run_loop(&mut self) {
        while !self.stop.load(Ordering::Acquire) {
            self.pass();
        }
    }

    /// Ends all channels, also those on their way here. No shard of the engine runs any more.
    pub(crate) fn finish(&mut self) {
        let now = Instant::now();
        self.apply_last_orders(now);
        for index in 0..self.slab.len() {
            self.retire(index, now);
        }
    }

    /// Sleeps until there is something to do, and does it.
    pub(crate) fn pass(&mut self) {
        self.wait();
        let now = Instant::now();
        self.turn(now);
        if now.saturating_duration_since(self.cpu_looked) >= CPU_LOOK {
            self.cpu_looked = now;
            let cpu_us = media_thread::cpu_time().as_micros() as u64;
            self.around.stats.cpu_us.set(cpu_us);
        }
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
        let (orders, crossing, stop) = (&self.orders, &self.crossing, &self.stop);
        self.poller.sleep(timeout, || {
            crossing.is_idle(orders) && !stop.load(Ordering::Acquire)
        });
    }

    /// One pass: commands, received packets, and all slots that are due.
    pub fn turn(&mut self, now: Instant) {
        self.apply_orders(now);
        self.receive(now);
        if self.tick_ms >= self.rooms_swept_ms + SWEEP_MS {
            self.rooms_swept_ms = self.tick_ms;
            self.rooms.sweep(&mut self.slab);
        }
        for _ in 0..SLOTS_PER_TURN {
            let now = Instant::now().max(now);
            let Some((due, skipped)) = self.wheel.next_due(now) else {
                return;
            };
            self.tick_ms = due.tick_ms;
            self.wall_ns = batch::wall_ns();
            self.around.stats.skipped_slots.add(skipped);
            self.around
                .stats
                .lateness
                .record(now.saturating_duration_since(due.at).as_micros() as u64);
            let mut place = 0;
            (0..AHEAD).for_each(|place| self.fetch_ahead(due, place));
            // A channel that leaves is replaced by another in its place of the slot.
            while let Some(&index) = self.wheel.members(due).get(place) {
                self.fetch_ahead(due, place + AHEAD);
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

    /// Begins to fetch the channel in that place of the slot into the cache, and what those before it lead to. The system calls of the
    /// channels before them leave time for it.
    fn fetch_ahead(&self, due: Due, place: usize) {
        let members = self.wheel.members(due);
        let channel = |back: usize| {
            let index = *members.get(place.checked_sub(back)?)?;
            self.slab[index as usize].as_deref()
        };
        if let Some(channel) = channel(0) {
            channel.fetch_ahead();
        }
        if let Some(channel) = channel(1) {
            channel.fetch_further();
            if let Some(seat) = channel.seat {
                self.rooms.fetch_ahead(seat);
            }
        }
        if let Some(channel) = channel(2) {
            channel.fetch_furthest();
        }
    }

    /// One frame of one channel. Returns whether the channel remains.
    pub(super) fn step(&mut self, index: usize, moment: Moment) -> bool {
        let Some(channel) = &mut self.slab[index] else {
            self.wheel.remove(index as u32);
            return false;
        };
        if !channel.spent.is_empty() {
            free_spent(channel, &self.reaper);
        }
        self.take_in_step(index, moment);
        let Some(channel) = &mut self.slab[index] else {
            return false;
        };
        channel.stepped_ms = Some(moment.tick_ms);
        let (around, rooms, heard) = (&self.around, &mut self.rooms, &mut self.heard);
        let stepped = match channel.is_closed() {
            true => None,
            false => contained(around, || channel.step(around, moment, rooms, heard)),
        };
        let Some(passes) = stepped else {
            self.retire(index, moment.now);
            return false;
        };
        if let Some(to) = passes
            && let Some(far) = present(&mut self.slab, to)
        {
            far.sound(around, |far| far.pass_frame(around, moment, heard));
        } else if let Some(channel) = &self.slab[index]
            && let Some(to) = channel.overhearing()
            && let Some(far) = present(&mut self.slab, to)
        {
            far.sound(around, |far| far.overhear(heard));
        }
        true
    }

    /// Carries out one order. Whom it is for is here or has left for good.
    pub(super) fn carry_out(&mut self, order: ShardOrder, moment: Moment) {
        match order {
            ShardOrder::Open(channel) => {
                let index = channel.id.index;
                self.take_in(channel);
                self.wheel.add(index, moment.now);
                self.count_channels();
            }
            ShardOrder::Channel(id, Order::Plain(Command::Unbridge)) => self.part(id),
            ShardOrder::Channel(id, order) => {
                if let Some(channel) = present(&mut self.slab, id) {
                    channel.obey(&self.around, order, moment);
                    self.tell_far_side(id);
                }
            }
            ShardOrder::Bridge(ends) => self.join(ends),
            ShardOrder::Room(order) => self.obey_room(order),
            ShardOrder::Depart(id, to) => self.depart(id, to, moment.now),
        }
    }

    /// Carries out an order to a room. Whoever joins one leaves a bridge.
    fn obey_room(&mut self, order: RoomOrder) {
        if let Some(channel) = order.joins() {
            self.part(channel);
        }
        self.rooms.obey(order, &mut self.slab);
    }

    /// Bridges two channels. A bridge that either has with a third one ends; one that they have goes on with what is carried now.
    fn join(&mut self, ends: [BridgeEnd; 2]) {
        let [a, b] = [ends[0].id, ends[1].id];
        if [a, b]
            .iter()
            .any(|id| present(&mut self.slab, *id).is_none())
        {
            // One has closed meanwhile.
            let delays = ends.into_iter().filter_map(|end| end.key_delay);
            delays.for_each(|delay| self.around.scrap(delay));
            return;
        }
        for (end, far) in ends.into_iter().zip([b, a]) {
            let BridgeEnd {
                id,
                carriage,
                key_delay,
            } = end;
            let Some(channel) = present(&mut self.slab, id) else {
                continue;
            };
            match &mut channel.bridge {
                Some(bridge) if bridge.peer == far => bridge.carriage = carriage,
                _ => {
                    self.part(id);
                    if let Some(channel) = present(&mut self.slab, id) {
                        self.rooms.leave(channel);
                        channel.bridge = Some(Bridge::new(far, carriage));
                    }
                }
            }
            if let Some(channel) = present(&mut self.slab, id) {
                channel.hold_back(key_delay);
            }
        }
        self.tell_far_side(a);
        self.tell_far_side(b);
    }

    /// Ends the bridge of a channel, for both ends.
    pub(super) fn part(&mut self, id: ChannelId) {
        let Some(channel) = present(&mut self.slab, id) else {
            return;
        };
        channel.inlet.disconnect();
        channel.hold_back(None);
        let Some(bridge) = channel.bridge.take() else {
            return;
        };
        if let Some(far) = present(&mut self.slab, bridge.peer)
            && far.bridge.take_if(|bridge| bridge.peer == id).is_some()
        {
            far.inlet.disconnect();
            far.hold_back(None);
        }
    }

    /// Tells the far side of a bridge what the channel's stream wants to have.
    fn tell_far_side(&mut self, id: ChannelId) {
        let Some(channel) = present(&mut self.slab, id) else {
            return;
        };
        let (Some(stream), Some(bridge)) = (&channel.stream, &channel.bridge) else {
            return;
        };
        let (wants, far) = (Wants::of(&stream.params), bridge.peer);
        let wants_sent = channel.wants_sent();
        if let Some(far) = present(&mut self.slab, far) {
            let listening = far.is_listened_to();
            if let Some(bridge) = &mut far.bridge {
                bridge.far = Some(wants);
            }
            far.set_overheard(wants_sent);
            // What it heard before it was last relayed is of another time.
            if !listening && far.is_listened_to() {
                far.forget_audio();
            }
        }
    }

    /// Puts a channel into its place and watches its sockets.
    pub(super) fn take_in(&mut self, mut channel: Box<ChannelState>) {
        let index = channel.id.index;
        self.watch(&mut channel);
        self.slab[index as usize] = Some(channel);
        self.around.stats.entered.add(1);
    }

    /// Takes a channel out of its place, off the wheel and out of the poller. A bridge it is in ends, and it leaves its room.
    pub(super) fn take_out(&mut self, index: usize) -> Option<Box<ChannelState>> {
        if let Some(id) = self.slab[index].as_ref().map(|channel| channel.id) {
            self.part(id);
        }
        let mut channel = self.slab[index].take()?;
        self.rooms.leave(&mut channel);
        self.wheel.remove(index as u32);
        self.count_channels();
        self.forget_sockets(&channel);
        Some(channel)
    }

    pub(super) fn count_channels(&self) {
        self.around.stats.channels.set(self.wheel.len() as u64);
    }

    pub(super) fn retire(&mut self, index: usize, now: Instant) {
        let Some(mut channel) = self.take_out(index) else {
            return;
        };
        self.crossing.whereabouts.ended(channel.id);
        let (around, tick_ms) = (&self.around, self.tick_ms);
        contained(around, || channel.send_bye(around, Moment { now, tick_ms }));
        let (recording, tap) = (channel.recording.take(), channel.tap.take());
        let listener = channel.listener.take();
        free_spent(&mut channel, &self.reaper);
        channel.scrap(recording);
        channel.scrap(tap);
        channel.scrap(listener);
        free_spent(&mut channel, &self.reaper);
        self.around.stats.lost.add(channel.stats().lost);
        let retired = Retired::Channel(channel);
        // The other ends live until this thread has ended.
        if retired.recordings_complete() {
            self.reaper.send(retired);
        } else {
            let _ = self.writer.send(WriterOrder::Retire(retired));
        }
    }
}

/// Has freed what the channel is done with.
fn free_spent(channel: &mut ChannelState, reaper: &Reaper) {
    for spent in channel.spent.drain(..) {
        reaper.send(Retired::Left(spent));
    }
}

/// The channel of that id, unless it has left.
pub(super) fn present(
    slab: &mut [Option<Box<ChannelState>>],
    id: ChannelId,
) -> Option<&mut ChannelState> {
    let channel = slab.get_mut(id.index as usize)?.as_deref_mut()?;
    (channel.id == id).then_some(channel)
}

impl ChannelState {
    /// Does the channel's work; a panic in it closes the channel.
    pub(super) fn sound<T>(
        &mut self,
        around: &Surroundings,
        work: impl FnOnce(&mut ChannelState) -> T,
    ) -> Option<T> {
        let done = contained(around, || work(self));
        if done.is_none() {
            self.closed.store(true, Ordering::Relaxed);
        }
        done
    }
}

/// Does one channel's work. A panic in it, which is a defect of ours, ends that channel and no other: `None`, and it is counted.
fn contained<T>(around: &Surroundings, work: impl FnOnce() -> T) -> Option<T> {
    let done = std::panic::catch_unwind(AssertUnwindSafe(work)).ok();
    if done.is_none() {
        around.stats.panics.add(1);
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::stock::Stock;

    #[test]
    fn a_panic_is_contained_and_counted() {
        let around = Surroundings {
            stats: Arc::default(),
            rtp_timeout: Duration::from_secs(1),
            dtmf: trunkline_dsp::dtmf::Profile::TELEPHONE,
            stock: Stock::new().0,
            reaper: Reaper::new().0,
        };
        assert_eq!(contained(&around, || 7), Some(7));
        assert_eq!(contained(&around, || panic!("made up")), None::<u8>);
        assert_eq!(around.stats.panics.value(), 1);
    }

    /// A defect that shows in one member's step takes that one out; the room is whole for the others.
    #[test]
    fn a_panic_in_a_room_costs_one_member_its_seat() {
        use crate::media::{Edge, Encoding, Media, MediaConfig, RoomConfig, StreamParams};
        let config = MediaConfig {
            bind: [127, 0, 0, 1].into(),
            ports: 26_900..=26_919,
            max_channels: 4,
            dscp: None,
            ..MediaConfig::default()
        };
        let (media, mut shard) = Media::assemble(config).unwrap();
        let (room, mut events) = media.room(RoomConfig::default()).unwrap();
        let peer = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let channels: Vec<_> = (0..3).map(|_| media.open().unwrap()).collect();
        let mut members = Vec::new();
        for (channel, _) in &channels {
            let params = StreamParams::plain(Encoding::Pcmu, 0, peer.local_addr().unwrap());
            channel.send(Command::Stream(Box::new(params))).unwrap();
            members.push(room.join(channel, Edge::default()).unwrap());
        }
        let rooms = |shard: &Shard| shard.around.stats.rooms.members.value();
        while rooms(&shard) < 3 {
            shard.pass();
        }
        let id = channels[1].0.id;
        let seat = present(&mut shard.slab, id).unwrap().seat.unwrap();
        shard.rooms.break_member(seat);
        while rooms(&shard) == 3 {
            shard.pass();
        }
        assert_eq!(shard.around.stats.panics.value(), 1);
        assert!(present(&mut shard.slab, id).is_none());
        let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
        assert_eq!(
            told.last(),
            Some(&crate::media::RoomEvent::Left(members[1]))
        );
        // The others go on, and hear each other.
        let sent = shard.around.stats.packets_out.value();
        while shard.around.stats.packets_out.value() < sent + 20 {
            shard.pass();
        }
        assert_eq!((rooms(&shard), room.members()), (2, 2));
        assert_eq!(shard.around.stats.panics.value(), 1);
    }

    #[test]
    fn a_channel_is_small() {
        // What it has beside itself is in docs/media.md, measured by tests/alloc_per_channel.rs.
        assert!(
            size_of::<ChannelState>() < 8 * 1024,
            "{}",
            size_of::<ChannelState>()
        );
    }
}
