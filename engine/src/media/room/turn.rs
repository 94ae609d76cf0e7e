//! A channel's step in its room: what it heard goes in, what it is sent comes out.

use super::super::channel::{ChannelState, Moment, Surroundings};
use super::super::codec::{AudioRate, FRAME_MS, FRAME_SAMPLES, Law};
use super::super::frame::Frame;
use super::super::stats::RoomStats;
use super::super::voice::{Packet, Voice};
use super::mix::{Heard, RoomState};
use super::rooms::Rooms;

/// What a room has for a peer.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // lives on the stack for one step; a box would allocate
pub(crate) enum Mix<'r> {
    /// In the stream's own law.
    Octets([u8; FRAME_SAMPLES]),
    /// Linear audio.
    Linear(Frame),
    /// What all hear who do not speak, in the stream's own codec and packet time.
    Packet(&'r Packet),
}

/// A mix, or where it is.
#[allow(clippy::large_enum_variant)] // as above
enum Mixed {
    Here(Mix<'static>),
    /// The packet of that line.
    Line(usize),
}

impl ChannelState {
    /// Whether what the peer says is heard in a room.
    pub(crate) fn is_heard_in_room(&self) -> bool {
        self.seat.is_some_and(|seat| seat.heard)
    }

    /// Leaves the received frame with the room. Returns what the room has for the peer, unless there is no room, or nobody to send it to.
    /// A key that is heard as a tone is for us and not for the others.
    pub(crate) fn room_turn<'r>(
        &mut self,
        rooms: &'r mut Rooms,
        around: &Surroundings,
        moment: Moment,
        heard: Option<&Frame>,
    ) -> Option<Mix<'r>> {
        let seat = self.seat?;
        let stream = self.stream.as_mut()?;
        let (params, voice) = (&stream.params, &mut stream.voice);
        let room = rooms.room(seat.room)?;
        room.advance(moment.tick_ms / u64::from(FRAME_MS));
        let says = seat.heard && params.receive && self.tone_down.is_none();
        room.note_rate(seat.seat, params.encoding.audio());
        match heard.filter(|_| says) {
            Some(heard) => room.listen(seat.seat, heard),
            None => room.contribute(seat.seat, None),
        }
        let wanted = params.send && self.player.is_none() && self.digits.is_none();
        let counters = &around.stats.rooms;
        let law = params.encoding.law();
        let equipped = wanted && voice.equip(&around.stock);
        let mix = match equipped {
            true => Some(room.mix_for(seat.seat, law, voice, counters)),
            false => {
                room.go_apart(seat.seat, voice);
                None
            }
        };
        counters
            .lost_events
            .add(std::mem::take(&mut room.lost_events));
        if !room.spent.is_empty() {
            rooms.free_spent(seat.room);
        }
        match mix? {
            Mixed::Here(mix) => Some(mix),
            Mixed::Line(line) => {
                let (packet, fresh) = rooms.room(seat.room)?.line_packet(line)?;
                counters.shared_mixes.add(u64::from(fresh));
                Some(Mix::Packet(packet))
            }
        }
    }
}

impl RoomState {
    /// Takes what a member heard from its peer, at whatever rate.
    fn listen(&mut self, seat: u32, heard: &Frame) {
        let rate = self.rate();
        let mut frame = Frame::silence(rate);
        if let Some(member) = self.member(seat) {
            member.ears.convert(heard, rate, &mut frame);
        }
        self.contribute(seat, Some(frame.samples_mut()));
    }

    /// What a member is sent, in its law or by its codec's line if it has one.
    fn mix_for(
        &mut self,
        seat: u32,
        law: Option<Law>,
        voice: &mut Voice,
        counters: &RoomStats,
    ) -> Mixed {
        let mut frame = Frame::silence(self.rate());
        let heard = self.mix(seat, frame.samples_mut());
        if heard == Heard::Own {
            counters.own_mixes.add(1);
        }
        // One whose audio is narrow hears a wide mix for a round at most.
        if let Some(law) = law
            && self.rate() == AudioRate::Narrow
        {
            return Mixed::Here(Mix::Octets(self.octets(heard, law, &frame, counters)));
        }
        match heard {
            Heard::Shared | Heard::Quiet => {
                if let Some(line) = self.follow(seat, voice) {
                    return Mixed::Line(line);
                }
                counters.own_mixes.add(1);
                self.shared_linear(frame.samples_mut());
            }
            Heard::Silence => {
                self.go_apart(seat, voice);
                frame.silence_at(self.rate());
            }
            Heard::Own => self.go_apart(seat, voice),
        }
        Mixed::Here(Mix::Linear(frame))
    }

    fn octets(
        &mut self,
        heard: Heard,
        law: Law,
        frame: &Frame,
        counters: &RoomStats,
    ) -> [u8; FRAME_SAMPLES] {
        let mut octets = [law.silence(); FRAME_SAMPLES];
        match heard {
            Heard::Silence | Heard::Quiet => {}
            Heard::Shared => {
                let (shared, fresh) = self.shared(law);
                octets.copy_from_slice(shared);
                counters.shared_mixes.add(u64::from(fresh));
            }
            Heard::Own => law.encode(frame.samples(), &mut octets),
        }
        octets
    }
}

#[cfg(test)]
#[path = "turn_tests.rs"]
mod tests;
