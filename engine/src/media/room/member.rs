//! One member of a room: what it may hear and say, and its part of the sum, which is taken out of what it is sent.

use std::mem::offset_of;

use trunkline_dsp::{level, mix};

use super::super::codec::AudioRate;
use super::super::convert::Converter;
use super::super::player::Player;
use super::super::recorder::Recording;
use super::super::retire::ChannelId;
use super::MemberId;
use super::lines::Standing;
use super::rooms::RoomId;
use super::talkers::Voice;
use crate::net::prefetch::prefetch;

/// Samples of a frame at 16 kHz, the most there are.
pub(super) const LONGEST: usize = 320;
/// Octets of a frame at 8 kHz.
const NARROW: usize = 320;
/// Gain beyond this is taken for it, dB.
const MAX_GAIN_DB: f32 = 24.0;

/// What lies between a channel and its room.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Edge {
    /// How much louder the others hear the member, dB; −24 to 24.
    pub gain_in_db: f32,
    /// How much louder the member hears the room, dB; −24 to 24.
    pub gain_out_db: f32,
    /// Nobody hears the member.
    pub mute: bool,
    /// The member hears nobody.
    pub deaf: bool,
    /// Both: the member is elsewhere for a while. What its channel plays, it hears.
    pub hold: bool,
    /// Only that member hears this one, which hears all: whisper, coach.
    pub whisper_to: Option<MemberId>,
}

impl Edge {
    /// The amplitude ratio with which the member is heard.
    pub(super) fn ratio_in(&self) -> f32 {
        ratio(self.gain_in_db, self.mute || self.hold)
    }

    /// The amplitude ratio with which the member hears the room.
    pub(super) fn ratio_out(&self) -> f32 {
        ratio(self.gain_out_db, self.deaf || self.hold)
    }
}

fn ratio(db: f32, off: bool) -> f32 {
    match db.clamp(-MAX_GAIN_DB, MAX_GAIN_DB) {
        _ if off => 0.0,
        0.0 => 1.0, // exactly
        db => level::db_to_ratio(db),
    }
}

/// Where a channel sits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seat {
    pub(crate) room: RoomId,
    pub(crate) seat: u32,
    /// Whether anybody may hear the member: if not, what it says need not be decoded.
    pub(crate) heard: bool,
}

/// A gain that changes within 5 ms instead of at once, so that nobody hears a click.
#[derive(Debug)]
pub(super) struct Fader(f32);

impl Fader {
    /// Applies the ratio `to` to a frame. Returns whether anything of the frame is left to be heard.
    pub(super) fn apply(&mut self, samples: &mut [i16], to: f32) -> bool {
        let from = std::mem::replace(&mut self.0, to);
        if from == 0.0 && to == 0.0 {
            return false;
        }
        if from == to {
            if to != 1.0 {
                mix::gain(samples, to);
            }
            return true;
        }
        let (change, rest) = samples.split_at_mut(samples.len() / 4);
        mix::ramp(change, from, to);
        match to {
            1.0 => {}
            0.0 => rest.fill(0),
            to => mix::gain(rest, to),
        }
        true
    }

    /// Whether it leaves a frame as it is.
    pub(super) fn is_through(&self, to: f32) -> bool {
        self.0 == 1.0 && to == 1.0
    }

    /// Nothing came: a change since then is over.
    pub(super) fn settle(&mut self, to: f32) {
        self.0 = to;
    }
}

/// A frame that was left with the room in a round.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) round: u64,
    /// It is in the room's sum; otherwise only the one it is whispered to hears it.
    pub(super) in_sum: bool,
    pub(super) samples: [i16; LONGEST],
}

/// A member. Made by the handle, freed by the reaper. In this order in memory: what every frame touches comes first.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Member {
    pub(super) id: MemberId,
    pub(super) channel: ChannelId,
    pub(super) edge: Edge,
    pub(super) voice: Voice,
    pub(super) fade_in: Fader,
    pub(super) fade_out: Fader,
    /// Who whispers to this member, and how many do.
    pub(super) whispered_by: u32,
    /// The seat it whispers to.
    pub(super) whispers_to: Option<u32>,
    /// Heard by this member alone, over the room.
    pub(super) player: Option<Box<Player>>,
    /// Its part of the mix, in a file of its own.
    pub(super) track: Option<Box<Recording>>,
    /// The rate of its audio, once that is known.
    pub(super) rate: Option<AudioRate>,
    pub(super) line: Standing,
    /// The newest round in which its level was reported.
    pub(super) reported: u64,
    pub(super) speaking: bool,
    /// Its step panics.
    #[cfg(test)]
    pub(super) broken: bool,
    /// What it left in even and in odd rounds.
    pub(super) parts: [Part; 2],
    /// Of what its peer says.
    pub(super) ears: Converter,
}

impl Member {
    pub(super) fn new(id: MemberId, channel: ChannelId, edge: Edge) -> Member {
        let part = || Part {
            round: u64::MAX,
            in_sum: false,
            samples: [0; LONGEST],
        };
        Member {
            id,
            channel,
            edge,
            voice: Voice::new(),
            fade_in: Fader(0.0),
            fade_out: Fader(0.0),
            parts: [part(), part()],
            whispered_by: 0,
            whispers_to: None,
            player: None,
            track: None,
            rate: None,
            ears: Converter::default(),
            line: Standing::default(),
            reported: 0,
            speaking: false,
            #[cfg(test)]
            broken: false,
        }
    }

    /// Begins to fetch what its next frame touches into the cache.
    pub(super) fn fetch_ahead(&self) {
        prefetch(self, offset_of!(Member, parts));
        for part in &self.parts {
            prefetch(&part.round, 1);
            prefetch(&part.samples, NARROW);
        }
    }

    /// What it left in a round.
    pub(super) fn part(&self, round: u64) -> Option<&Part> {
        let part = &self.parts[(round & 1) as usize];
        (part.round == round).then_some(part)
    }

    /// Whether anybody may hear it.
    pub(super) fn is_heard(&self) -> bool {
        !self.edge.mute
            && !self.edge.hold
            && (self.edge.whisper_to.is_none() || self.whispers_to.is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fader_changes_within_a_quarter_of_a_frame_and_is_exact_then() {
        let mut fader = Fader(0.0);
        let mut frame = [1000; 160];
        assert!(fader.apply(&mut frame, 1.0));
        assert!(frame.windows(2).all(|pair| pair[0] <= pair[1]));
        assert!(frame[0] < 50 && frame[40..] == [1000; 120]);
        let mut frame = [1234; 160];
        assert!(fader.apply(&mut frame, 1.0) && fader.is_through(1.0));
        assert_eq!(frame, [1234; 160]);
        assert!(fader.apply(&mut frame, 0.0) && frame[40..] == [0; 120]);
        assert!(!fader.apply(&mut [1; 160], 0.0));
    }

    #[test]
    fn gains_are_limited_and_nothing_is_exactly_one() {
        let edge = Edge {
            gain_in_db: 100.0,
            gain_out_db: -6.0206,
            ..Edge::default()
        };
        assert!((edge.ratio_in() - 15.85).abs() < 0.01 && (edge.ratio_out() - 0.5).abs() < 1e-4);
        assert_eq!(Edge::default().ratio_in(), 1.0);
        let held = Edge { hold: true, ..edge };
        assert_eq!((held.ratio_in(), held.ratio_out()), (0.0, 0.0));
    }
}
