//! Who sits in a room: seats, edges, who whispers to whom, and how many have wide audio.

use super::super::codec::AudioRate;
use super::super::retire::ChannelId;
use super::member::{Edge, Member};
use super::mix::RoomState;
use super::{MemberId, RoomEvent};

impl RoomState {
    /// Seats a member; gives it back when the room is full.
    pub(super) fn join(&mut self, member: Box<Member>) -> Result<u32, Box<Member>> {
        let Some(seat) = self.free.pop() else {
            return Err(member);
        };
        let (id, edge) = (member.id, member.edge);
        self.members[seat as usize] = Some(member);
        self.occupied += 1;
        self.set_edge(seat, edge);
        self.tell(RoomEvent::Joined(id));
        Ok(seat)
    }

    /// Takes a member out. What it said in this round is still heard.
    pub(super) fn leave(&mut self, seat: u32) -> Option<Box<Member>> {
        let member = self.members.get_mut(seat as usize)?.take()?;
        self.free.push(seat);
        self.occupied -= 1;
        self.count_rate(member.rate, false);
        self.talkers.leave(seat);
        self.tracks -= u32::from(member.track.is_some());
        if let Some(listener) = self.whispered_to(&member) {
            listener.whispered_by -= 1;
        }
        // Mostly nobody whispers: a large room is not looked through for that.
        if member.whispered_by > 0 {
            for other in self.members.iter_mut().flatten() {
                if other.whispers_to == Some(seat) {
                    other.whispers_to = None;
                }
            }
        }
        self.tell(RoomEvent::Left(member.id));
        Some(member)
    }

    /// The rate of a member's audio, as it is now.
    pub(super) fn note_rate(&mut self, seat: u32, rate: AudioRate) {
        let Some(member) = self.member(seat) else {
            return;
        };
        let before = member.rate.replace(rate);
        if before != Some(rate) {
            self.count_rate(before, false);
            self.count_rate(Some(rate), true);
        }
    }

    fn count_rate(&mut self, rate: Option<AudioRate>, comes: bool) {
        let count = match rate {
            None => return,
            Some(AudioRate::Narrow) => &mut self.narrow,
            Some(AudioRate::Wide) => &mut self.wide,
        };
        *count = if comes { *count + 1 } else { *count - 1 };
    }

    fn whispered_to(&mut self, member: &Member) -> Option<&mut Member> {
        let seat = member.whispers_to?;
        self.members.get_mut(seat as usize)?.as_deref_mut()
    }

    pub(super) fn member(&mut self, seat: u32) -> Option<&mut Member> {
        self.members.get_mut(seat as usize)?.as_deref_mut()
    }

    /// Seats of all members, with their channels.
    pub(super) fn seated(&self) -> impl Iterator<Item = (u32, ChannelId)> {
        let seats = self.members.iter().enumerate();
        seats.filter_map(|(seat, member)| Some((seat as u32, member.as_ref()?.channel)))
    }

    /// Changes an edge. Returns whether anybody may hear the member now.
    pub(super) fn set_edge(&mut self, seat: u32, edge: Edge) -> bool {
        let target = edge.whisper_to.and_then(|id| self.seat_of(id));
        let Some(member) = self.member(seat) else {
            return false;
        };
        let before = std::mem::replace(&mut member.whispers_to, target.filter(|to| *to != seat));
        member.edge = edge;
        let (now, heard) = (member.whispers_to, member.is_heard());
        if let Some(listener) = before.and_then(|seat| self.member(seat)) {
            listener.whispered_by -= 1;
        }
        if let Some(listener) = now.and_then(|seat| self.member(seat)) {
            listener.whispered_by += 1;
        }
        heard
    }

    fn seat_of(&self, id: MemberId) -> Option<u32> {
        let members = self.members.iter();
        let seat = members
            .map(|member| member.as_ref().map(|member| member.id))
            .position(|member| member == Some(id))?;
        Some(seat as u32)
    }
}
