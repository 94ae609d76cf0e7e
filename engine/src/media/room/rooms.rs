//! The rooms of a shard, and what orders do to them.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::super::channel::ChannelState;
use super::super::player::Player;
use super::super::recorder::Recording;
use super::super::retire::{ChannelId, Reaper, Retired};
use super::super::stats::MediaStats;
use super::lines::Line;
use super::member::{Edge, Member, Seat};
use super::mix::RoomState;

/// The place of a room in its shard. The generation tells it from earlier rooms in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoomId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// Free places for rooms.
#[derive(Debug, Clone)]
pub(crate) struct RoomPlaces(Arc<Mutex<Vec<RoomId>>>);

impl RoomPlaces {
    /// Places for so many rooms.
    pub(crate) fn new(limit: usize) -> RoomPlaces {
        let places = (0..limit as u32).rev().map(|index| RoomId {
            index,
            generation: 0,
        });
        RoomPlaces(Arc::new(Mutex::new(places.collect())))
    }

    pub(super) fn take(&self) -> Option<RoomPlace> {
        let id = self.free().pop()?;
        Some(RoomPlace {
            id,
            places: self.clone(),
        })
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<RoomId>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place that is taken; free again when this is dropped, which the reaper does.
#[derive(Debug)]
pub(crate) struct RoomPlace {
    pub(super) id: RoomId,
    places: RoomPlaces,
}

impl Drop for RoomPlace {
    fn drop(&mut self) {
        let generation = self.id.generation.wrapping_add(1);
        self.places.free().push(RoomId {
            generation,
            ..self.id
        });
    }
}

/// What a room's handle and its state share.
#[derive(Debug, Default)]
pub(super) struct RoomShared {
    /// The handle is gone.
    pub(super) closed: AtomicBool,
    /// Members, and those whose order to join is under way.
    pub(super) members: AtomicU32,
}

/// What handles ask of rooms.
#[derive(Debug)]
pub(crate) enum RoomOrder {
    Open(Box<RoomState>),
    Close(RoomId),
    Join(RoomId, Box<Member>),
    /// An encoder that members share.
    Line(RoomId, Box<Line>),
    Edge(RoomId, ChannelId, Edge),
    Leave(RoomId, ChannelId),
    /// To all, or to one member.
    Play(RoomId, Option<ChannelId>, Box<Player>),
    StopPlay(RoomId, u32),
    Record(RoomId, Box<Recording>),
    StopRecord(RoomId, u32),
    /// A member's part, beside the mix.
    Track(RoomId, ChannelId, Box<Recording>),
}

impl RoomOrder {
    /// The channel that is to join a room.
    pub(crate) fn joins(&self) -> Option<ChannelId> {
        match self {
            RoomOrder::Join(_, member) => Some(member.channel),
            _ => None,
        }
    }
}

/// See the module's text.
#[derive(Debug)]
pub(crate) struct Rooms {
    slab: Vec<Option<Box<RoomState>>>,
    open: u64,
    stats: Arc<MediaStats>,
    reaper: Reaper,
}

type Channels = [Option<Box<ChannelState>>];

impl Rooms {
    pub(crate) fn new(limit: usize, stats: Arc<MediaStats>, reaper: Reaper) -> Rooms {
        Rooms {
            slab: std::iter::repeat_with(|| None).take(limit).collect(),
            open: 0,
            stats,
            reaper,
        }
    }

    /// The room of that id, unless it is closed.
    pub(super) fn room(&mut self, id: RoomId) -> Option<&mut RoomState> {
        let room = self.slab.get_mut(id.index as usize)?.as_deref_mut()?;
        (room.place.id == id).then_some(room)
    }

    /// Begins to fetch a member into the cache.
    pub(crate) fn fetch_ahead(&self, seat: Seat) {
        let room = self.slab.get(seat.room.index as usize);
        let members = room.and_then(Option::as_ref).map(|room| &room.members);
        let member = members.and_then(|members| members.get(seat.seat as usize));
        if let Some(Some(member)) = member {
            member.fetch_ahead();
        }
    }

    /// Carries out an order.
    pub(crate) fn obey(&mut self, order: RoomOrder, channels: &mut Channels) {
        match order {
            RoomOrder::Open(room) => {
                let index = room.place.id.index as usize;
                self.slab[index] = Some(room);
                self.count(1);
            }
            RoomOrder::Close(id) => self.close(id, channels),
            RoomOrder::Join(id, member) => self.join(id, member, channels),
            RoomOrder::Line(id, line) => {
                let refused = match self.room(id) {
                    Some(room) => room.add_line(line),
                    None => Some(line),
                };
                refused.into_iter().for_each(|line| self.scrap(line));
            }
            RoomOrder::Edge(id, channel, edge) => self.set_edge(id, channel, edge, channels),
            RoomOrder::Leave(id, channel) => {
                if let Some(channel) = present(channels, channel)
                    && channel.seat.is_some_and(|seat| seat.room == id)
                {
                    self.leave(channel);
                }
            }
            RoomOrder::Play(id, to, player) => {
                let left = self.play(id, to, player, channels);
                left.into_iter().for_each(|player| self.scrap(player));
            }
            RoomOrder::StopPlay(id, play) => {
                if let Some(room) = self.room(id)
                    && let Some(place) = room.players.iter().position(|is| is.id() == play)
                {
                    let player = room.players.remove(place);
                    self.scrap(player);
                }
            }
            RoomOrder::Record(id, recording) => {
                let before = match self.room(id) {
                    Some(room) => room.begin_record(recording),
                    None => Some(recording),
                };
                before.into_iter().for_each(|gone| self.scrap(gone));
            }
            RoomOrder::Track(id, channel, track) => {
                let before = self.track(id, channel, track, channels);
                before.into_iter().for_each(|gone| self.scrap(gone));
            }
            RoomOrder::StopRecord(id, recording) => {
                if let Some(room) = self.room(id)
                    && let Some(gone) = room.recording.take_if(|is| is.id() == recording)
                {
                    self.scrap(gone);
                }
            }
        }
    }

    fn join(&mut self, id: RoomId, member: Box<Member>, channels: &mut Channels) {
        let channel = present(channels, member.channel);
        let (Some(channel), Some(_)) = (channel, self.room(id)) else {
            return self.let_go(id, member);
        };
        self.leave(channel);
        let Some(room) = self.room(id) else { return };
        match room.join(member) {
            Ok(seat) => {
                channel.begin_listening();
                let heard = room.member(seat).is_some_and(|member| member.is_heard());
                channel.seat = Some(Seat {
                    room: id,
                    seat,
                    heard,
                });
                self.stats.rooms.members.add(1);
            }
            Err(member) => self.let_go(id, member),
        }
    }

    /// A member that is not, or not any more, in the room.
    fn let_go(&mut self, id: RoomId, member: Box<Member>) {
        if let Some(room) = self.room(id) {
            room.shared.members.fetch_sub(1, Ordering::AcqRel);
        }
        self.scrap(member);
    }

    fn set_edge(&mut self, id: RoomId, channel: ChannelId, edge: Edge, channels: &mut Channels) {
        let Some(channel) = present(channels, channel) else {
            return;
        };
        let Some(mut seat) = channel.seat.filter(|seat| seat.room == id) else {
            return;
        };
        let Some(room) = self.room(id) else { return };
        seat.heard = room.set_edge(seat.seat, edge);
        if seat.heard {
            channel.begin_listening();
        }
        channel.seat = Some(seat);
    }

    fn play(
        &mut self,
        id: RoomId,
        to: Option<ChannelId>,
        player: Box<Player>,
        channels: &mut Channels,
    ) -> Option<Box<Player>> {
        let Some(room) = self.room(id) else {
            return Some(player);
        };
        let Some(to) = to else {
            return room.play(player);
        };
        let seat = present(channels, to).and_then(|channel| channel.seat);
        match seat.filter(|seat| seat.room == id) {
            Some(seat) => match room.member(seat.seat) {
                Some(member) => member.player.replace(player),
                None => Some(player),
            },
            None => Some(player),
        }
    }

    fn track(
        &mut self,
        id: RoomId,
        channel: ChannelId,
        track: Box<Recording>,
        channels: &mut Channels,
    ) -> Option<Box<Recording>> {
        let seat = present(channels, channel).and_then(|channel| channel.seat);
        match (seat.filter(|seat| seat.room == id), self.room(id)) {
            (Some(seat), Some(room)) => room.begin_track(seat.seat, track),
            _ => Some(track),
        }
    }

    /// Takes a channel out of its room, if it is in one.
    pub(crate) fn leave(&mut self, channel: &mut ChannelState) {
        let Some(seat) = channel.seat.take() else {
            return;
        };
        let member = self.room(seat.room).and_then(|room| room.leave(seat.seat));
        if let Some(member) = member {
            self.stats.rooms.members.take(1);
            self.let_go(seat.room, member);
        }
    }

    fn close(&mut self, id: RoomId, channels: &mut Channels) {
        if self.room(id).is_none() {
            return;
        }
        let Some(mut room) = self.slab[id.index as usize].take() else {
            return;
        };
        let mut left = 0;
        for (_, member) in room.seated() {
            if let Some(channel) = present(channels, member) {
                channel.seat.take_if(|seat| seat.room == id);
            }
            left += 1;
        }
        self.stats.rooms.members.take(left);
        self.count(-1);
        room.recording = None;
        self.scrap(room);
    }

    /// Closes rooms whose order to close was refused.
    pub(crate) fn sweep(&mut self, channels: &mut Channels) {
        for index in 0..self.slab.len() {
            let room = self.slab[index].as_deref();
            let gone = room.filter(|room| room.shared.closed.load(Ordering::Relaxed));
            if let Some(id) = gone.map(|room| room.place.id) {
                self.close(id, channels);
            }
        }
    }

    fn count(&mut self, change: i64) {
        self.open = self.open.saturating_add_signed(change);
        self.stats.rooms.open.set(self.open);
    }

    /// Has freed what a room is done with.
    pub(super) fn free_spent(&mut self, id: RoomId) {
        while let Some(spent) = self.room(id).and_then(|room| room.spent.pop()) {
            self.reaper.send(Retired::Left(spent));
        }
    }

    /// Has it freed elsewhere.
    fn scrap(&self, left: Box<impl std::fmt::Debug + Send + 'static>) {
        self.reaper.send(Retired::Left(left));
    }
}

/// The channel of that id, unless it has left.
fn present(channels: &mut Channels, id: ChannelId) -> Option<&mut ChannelState> {
    let channel = channels.get_mut(id.index as usize)?.as_deref_mut()?;
    (channel.id == id).then_some(channel)
}

#[cfg(test)]
impl Rooms {
    /// From now on the member's step panics in the middle of its contribution.
    pub(crate) fn break_member(&mut self, seat: Seat) {
        let room = self.room(seat.room).expect("a room");
        room.member(seat.seat).expect("a member").broken = true;
    }
}
