//! A channel's step in its room: what it heard goes in, what it is sent comes out.

use super::super::channel::{ChannelState, Moment};
use super::super::codec::{AudioRate, FRAME_MS, FRAME_SAMPLES};
use super::super::frame::Frame;
use super::mix::Heard;
use super::rooms::Rooms;

/// What a room has for a peer.
#[derive(Debug)]
#[allow(clippy::large_enum_variant)] // lives on the stack for one step; a box would allocate
pub(crate) enum Mix {
    /// In the stream's own law.
    Octets([u8; FRAME_SAMPLES]),
    /// Linear audio.
    Linear(Frame),
}

impl ChannelState {
    /// Whether what the peer says is heard in a room.
    pub(crate) fn is_heard_in_room(&self) -> bool {
        self.seat.is_some_and(|seat| seat.heard)
    }

    /// Leaves the received frame with the room. Returns what the room has for the peer, unless there is no room, or nobody to send it to.
    pub(crate) fn room_turn(
        &mut self,
        rooms: &mut Rooms,
        moment: Moment,
        heard: Option<&Frame>,
    ) -> Option<Mix> {
        let seat = self.seat?;
        let room = rooms.room(seat.room)?;
        room.advance(moment.tick_ms / u64::from(FRAME_MS));
        let params = &self.stream.as_ref()?.params;
        let mut frame = Frame::silence(AudioRate::Narrow);
        match heard.filter(|_| seat.heard && params.receive) {
            Some(heard) => {
                let ears = &mut self.incoming.converter;
                ears.convert(heard, AudioRate::Narrow, &mut frame);
                room.contribute(seat.seat, Some(frame.samples_mut()));
            }
            None => room.contribute(seat.seat, None),
        }
        if !params.send || self.player.is_some() || self.digits.is_some() {
            return None;
        }
        let mixed = room.mix(seat.seat, frame.samples_mut());
        let Some(law) = params.encoding.law() else {
            match mixed {
                Heard::Silence => frame.silence_at(AudioRate::Narrow),
                Heard::Shared => room.shared_linear(frame.samples_mut()),
                Heard::Own => {}
            }
            return Some(Mix::Linear(frame));
        };
        let mut octets = [law.silence(); FRAME_SAMPLES];
        match mixed {
            Heard::Silence => {}
            Heard::Shared => octets.copy_from_slice(room.shared(law)),
            Heard::Own => law.encode(frame.samples(), &mut octets),
        }
        Some(Mix::Octets(octets))
    }
}
