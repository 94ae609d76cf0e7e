//! A room: its members, the sums of two rounds, and what each member is sent. Pure arithmetic on frames; it knows neither channels nor time
//! beyond the number of a round.

use std::sync::Arc;

use tokio::sync::mpsc;
use trunkline_dsp::{level, mix};

use super::super::codec::{AudioRate, FRAME_SAMPLES, Law};
use super::super::frame::Frame;
use super::super::player::Player;
use super::super::recorder::Recording;
use super::super::retire::Left;
use super::lines::{LINES, Line};
use super::member::{LONGEST, Member};
use super::rooms::{RoomPlace, RoomShared};
use super::sum::{Encoded, Sum};
use super::talkers::Talkers;
use super::{RoomConfig, RoomEvent};

/// Announcements at the same time.
pub(super) const PLAYERS: usize = 4;
/// What may end within one step: all announcements, the recording, the one of the member, and some tracks: others wait.
pub(super) const SPENT: usize = PLAYERS + 2 + 8;
/// Up to so many members nobody is silenced for being quiet.
const INTIMATE: usize = 3;

/// What a member is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing, while others may hear something.
    Silence,
    /// Nothing, as all do who do not speak.
    Quiet,
    /// What all hear who do not speak.
    Shared,
    /// A mix of its own, in the given samples.
    Own,
}

/// See the module's text. Made by the handle, freed by the reaper.
#[derive(Debug)]
pub(crate) struct RoomState {
    pub(super) place: RoomPlace,
    pub(super) shared: Arc<RoomShared>,
    pub(super) config: RoomConfig,
    pub(super) members: Vec<Option<Box<Member>>>,
    pub(super) free: Vec<u32>,
    pub(super) occupied: usize,
    pub(super) round: u64,
    /// Of the mix: wide while all members are.
    pub(super) rate: AudioRate,
    /// Members whose audio is narrow, and those whose is wide.
    pub(super) narrow: usize,
    pub(super) wide: usize,
    pub(super) sums: [Sum; 2],
    pub(super) encoded: [Encoded; 2],
    pub(super) talkers: Talkers,
    #[allow(clippy::vec_box)]
    // a player comes in its box and leaves in it: unpacking would free memory in the loop
    pub(super) players: Vec<Box<Player>>,
    #[allow(clippy::vec_box)] // made and freed elsewhere, as the players are
    pub(super) lines: Vec<Box<Line>>,
    pub(super) recording: Option<Box<Recording>>,
    /// Members that are recorded each to a file of its own.
    pub(super) tracks: u32,
    /// Rounds recorded so far, of the mix or a track.
    pub(super) recorded: u64,
    pub(super) events: mpsc::Sender<RoomEvent>,
    pub(super) lost_events: u64,
    /// What is to be freed, by another thread.
    pub(super) spent: Vec<Box<dyn Left>>,
}

impl RoomState {
    pub(super) fn new(
        place: RoomPlace,
        config: RoomConfig,
        shared: Arc<RoomShared>,
        events: mpsc::Sender<RoomEvent>,
    ) -> RoomState {
        let sum = || Sum {
            samples: [0; LONGEST],
            parts: 0,
        };
        let encoded = || Encoded {
            round: u64::MAX,
            octets: [0; FRAME_SAMPLES],
        };
        RoomState {
            place,
            members: std::iter::repeat_with(|| None)
                .take(config.max_members)
                .collect(),
            free: (0..config.max_members as u32).rev().collect(),
            occupied: 0,
            round: 0,
            rate: AudioRate::Narrow,
            narrow: 0,
            wide: 0,
            sums: [sum(), sum()],
            encoded: [encoded(), encoded()],
            shared,
            talkers: Talkers::new(config.max_talkers, config.max_members),
            players: Vec::with_capacity(PLAYERS),
            lines: Vec::with_capacity(LINES),
            recording: None,
            tracks: 0,
            recorded: 0,
            events,
            lost_events: 0,
            spent: Vec::with_capacity(SPENT),
            config,
        }
    }

    pub(super) fn tell(&mut self, event: RoomEvent) {
        // A full queue is the reader's fault; nobody who reads is no fault.
        if let Err(mpsc::error::TrySendError::Full(_)) = self.events.try_send(event) {
            self.lost_events += 1;
        }
    }

    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// The rate of the mix.
    pub(super) fn rate(&self) -> AudioRate {
        self.rate
    }

    /// The place of the complete sum.
    pub(super) fn complete(&self) -> usize {
        usize::from(self.round & 1 == 0)
    }

    /// Begins a round, if it is a new one: the sum of the one before is complete.
    pub(super) fn advance(&mut self, round: u64) {
        if round == self.round {
            return;
        }
        let follows = round == self.round + 1;
        self.round = round;
        let sum = &mut self.sums[(round & 1) as usize];
        sum.samples.fill(0);
        sum.parts = 0;
        if !follows {
            // Nobody stepped for a while: what was said then is over.
            let before = self.complete();
            let sum = &mut self.sums[before];
            sum.samples.fill(0);
            sum.parts = 0;
        }
        self.follow_rate();
        self.announce();
        self.record();
        let members = &mut self.members;
        self.talkers.choose(|seat, chosen| {
            if let Some(member) = &mut members[seat as usize] {
                member.voice.chosen = chosen;
            }
        });
    }

    /// Takes the frame that a member heard from its peer in this round; `None`: nothing. The frame is used up.
    pub(super) fn contribute(&mut self, seat: u32, frame: Option<&mut [i16]>) {
        let intimate = self.occupied <= INTIMATE;
        let round = self.round;
        let Some(member) = self
            .members
            .get_mut(seat as usize)
            .and_then(Option::as_deref_mut)
        else {
            return;
        };
        #[cfg(test)]
        assert!(!member.broken, "made up");
        let watched = self.config.speakers || self.config.levels_ms > 0;
        let Some(samples) = frame else {
            member.fade_in.settle(0.0);
            member.voice.pause();
            return self.report(seat, None);
        };
        let mut heard = true;
        let mut dbm0 = None;
        if !intimate || watched {
            let loud = level::dbm0(samples);
            dbm0 = Some(loud);
            heard = member.voice.hear(loud, self.config.gate_dbm0) || intimate;
        }
        let target = member.edge.ratio_in();
        let whispers = member.edge.whisper_to.is_some();
        heard &= target > 0.0 && (!whispers || member.whispers_to.is_some());
        if heard && !whispers && !intimate {
            heard = self.talkers.speak(seat, &mut member.voice);
        }
        if member
            .fade_in
            .apply(samples, if heard { target } else { 0.0 })
        {
            let part = &mut member.parts[(round & 1) as usize];
            part.round = round;
            part.in_sum = !whispers;
            part.samples[..samples.len()].copy_from_slice(samples);
            if !whispers {
                let sum = &mut self.sums[(round & 1) as usize];
                mix::add_to_sum(&mut sum.samples, samples);
                sum.parts += 1;
            }
        }
        self.report(seat, dbm0);
    }

    /// What a member is sent in this round; a mix of its own is written to `out`.
    pub(super) fn mix(&mut self, seat: u32, out: &mut [i16]) -> Heard {
        let before = self.round.wrapping_sub(1);
        let sum = &self.sums[(before & 1) as usize];
        let Some(member) = self
            .members
            .get_mut(seat as usize)
            .and_then(Option::as_deref_mut)
        else {
            return Heard::Silence;
        };
        let ratio = member.edge.ratio_out();
        let own = member.part(before).filter(|part| part.in_sum);
        let others = sum.parts - u32::from(own.is_some());
        let whispers = member.whispered_by > 0;
        if others == 0 && !whispers && member.player.is_none() {
            let listens = own.is_none() && ratio == 1.0;
            member.fade_out.settle(ratio);
            return match listens {
                true => Heard::Quiet,
                false => Heard::Silence,
            };
        }
        let alone = member.player.is_none() && !whispers;
        if own.is_none() && alone && member.fade_out.is_through(ratio) {
            return Heard::Shared;
        }
        match own {
            Some(own) => mix::clip_sum_without(&sum.samples, &own.samples, out),
            None => mix::clip_sum(&sum.samples, out),
        }
        let sounds = self.finish_mix(seat, ratio, out);
        if sounds { Heard::Own } else { Heard::Silence }
    }

    /// Adds what only this member hears, and fades the rest.
    fn finish_mix(&mut self, seat: u32, ratio: f32, out: &mut [i16]) -> bool {
        let (before, rate) = (self.round.wrapping_sub(1), self.rate);
        let Some(member) = self.member(seat) else {
            return false;
        };
        let mut sounds = member.fade_out.apply(out, ratio);
        if !sounds {
            out.fill(0);
        }
        let whispers = member.whispered_by > 0 && ratio > 0.0;
        if let Some(player) = &mut member.player {
            let mut said = Frame::silence(rate);
            sounds |= player.fill_frame(&mut said);
            mix::add_saturating(out, said.samples());
            if player.is_done() {
                let id = player.id();
                let spent = member.player.take();
                self.spent
                    .extend(spent.map(|player| player as Box<dyn Left>));
                self.tell(RoomEvent::PlayDone { id });
            }
        }
        if whispers {
            for other in self.members.iter().flatten() {
                if other.whispers_to == Some(seat)
                    && let Some(part) = other.part(before)
                {
                    mix::add_saturating(out, &part.samples);
                    sounds = true;
                }
            }
        }
        sounds
    }

    /// What all hear who do not speak, encoded once in a round, and whether that was now. Only of a narrow mix.
    pub(super) fn shared(&mut self, law: Law) -> (&[u8], bool) {
        let before = self.complete();
        let encoded = &mut self.encoded[match law {
            Law::Mu => 0,
            Law::A => 1,
        }];
        let fresh = encoded.round != self.round;
        if fresh {
            let mut samples = [0; LONGEST];
            let samples = &mut samples[..FRAME_SAMPLES];
            mix::clip_sum(&self.sums[before].samples, samples);
            law.encode(samples, &mut encoded.octets);
            encoded.round = self.round;
        }
        (&encoded.octets, fresh)
    }

    /// The same for those whose codec is none of both laws.
    pub(super) fn shared_linear(&mut self, out: &mut [i16]) {
        let before = self.complete();
        mix::clip_sum(&self.sums[before].samples, out);
    }
}

#[cfg(test)]
#[path = "mix_tests.rs"]
mod tests;
