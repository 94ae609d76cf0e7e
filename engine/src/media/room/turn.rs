//! A channel's step in its room: what it heard goes in, what it is sent comes out.

use super::super::channel::{ChannelState, Moment};
use super::super::codec::{FRAME_MS, FRAME_SAMPLES, Law};
use super::mix::Heard;
use super::rooms::Rooms;

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
        law: Law,
        heard: Option<&[u8; FRAME_SAMPLES]>,
    ) -> Option<[u8; FRAME_SAMPLES]> {
        let seat = self.seat?;
        let room = rooms.room(seat.room)?;
        room.advance(moment.tick_ms / u64::from(FRAME_MS));
        let params = &self.stream.as_ref()?.params;
        let mut samples = [0; FRAME_SAMPLES];
        match heard.filter(|_| seat.heard && params.receive) {
            Some(octets) => {
                law.decode(octets, &mut samples);
                room.contribute(seat.seat, Some(&mut samples));
            }
            None => room.contribute(seat.seat, None),
        }
        if !params.send || self.player.is_some() || self.digits.is_some() {
            return None;
        }
        let mut frame = [law.silence(); FRAME_SAMPLES];
        match room.mix(seat.seat, &mut samples) {
            Heard::Silence => {}
            Heard::Shared => frame.copy_from_slice(room.shared(law)),
            Heard::Own => law.encode(&samples, &mut frame),
        }
        Some(frame)
    }
}
