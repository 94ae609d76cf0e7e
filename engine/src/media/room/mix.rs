//! A room: its members, the sums of two rounds, and what each member is sent. Pure arithmetic on frames; it knows neither channels nor time
//! beyond the number of a round.

use std::sync::Arc;

use tokio::sync::mpsc;
use trunkline_dsp::{level, mix};

use super::super::codec::{AudioRate, FRAME_MS, FRAME_SAMPLES, Law};
use super::super::frame::Frame;
use super::super::player::Player;
use super::super::recorder::Recording;
use super::super::retire::{ChannelId, Left};
use super::lines::{LINES, Line};
use super::member::{Edge, LONGEST, Member};
use super::rooms::{RoomPlace, RoomShared};
use super::talkers::Talkers;
use super::{MemberId, RoomConfig, RoomEvent};

/// Announcements at the same time.
const PLAYERS: usize = 4;
/// What may end within one step: all announcements, the recording, the one of the member, and some tracks: others wait.
const SPENT: usize = PLAYERS + 2 + 8;
/// Up to so many members nobody is silenced for being quiet.
const INTIMATE: usize = 3;
/// Levels are not reported more often, ms.
const MIN_LEVELS_MS: u32 = 100;

/// The sum of one round.
#[derive(Debug)]
pub(super) struct Sum {
    samples: [i32; LONGEST],
    /// Members and announcements in it.
    parts: u32,
}

impl Sum {
    /// Writes as many samples as `out` has room for.
    pub(super) fn clip(&self, out: &mut [i16]) {
        mix::clip_sum(&self.samples, out);
    }
}

/// The mix of all, encoded once for those who only listen.
#[derive(Debug)]
struct Encoded {
    round: u64,
    octets: [u8; FRAME_SAMPLES],
}

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
    members: Vec<Option<Box<Member>>>,
    free: Vec<u32>,
    occupied: usize,
    round: u64,
    /// Of the mix: wide while all members are.
    rate: AudioRate,
    /// Members whose audio is narrow, and those whose is wide.
    narrow: usize,
    wide: usize,
    pub(super) sums: [Sum; 2],
    encoded: [Encoded; 2],
    talkers: Talkers,
    #[allow(clippy::vec_box)]
    // a player comes in its box and leaves in it: unpacking would free memory in the loop
    pub(super) players: Vec<Box<Player>>,
    #[allow(clippy::vec_box)] // made and freed elsewhere, as the players are
    pub(super) lines: Vec<Box<Line>>,
    pub(super) recording: Option<Box<Recording>>,
    /// Members that are recorded each to a file of its own.
    tracks: u32,
    /// Rounds recorded so far, of the mix or a track.
    recorded: u64,
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

    pub(super) fn round(&self) -> u64 {
        self.round
    }

    /// The rate of the mix.
    pub(super) fn rate(&self) -> AudioRate {
        self.rate
    }

    /// Mixes at the rate that fits the members. What was said in the round before is brought to it, roughly: it is one frame.
    fn follow_rate(&mut self) {
        let rate = match (self.narrow, self.wide) {
            (0, 1..) => AudioRate::Wide,
            _ => AudioRate::Narrow,
        };
        if rate == self.rate {
            return;
        }
        self.rate = rate;
        let (before, round) = (self.complete(), self.round.wrapping_sub(1));
        let sum = &mut self.sums[before].samples;
        stretch(sum, rate, |a, b| (a + b) / 2);
        for member in self.members.iter_mut().flatten() {
            let part = &mut member.parts[before];
            if part.round == round {
                stretch(&mut part.samples, rate, |a, b| {
                    ((i32::from(a) + i32::from(b)) / 2) as i16
                });
            }
        }
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

    /// Adds what is announced to all to the complete sum.
    fn announce(&mut self) {
        if self.players.is_empty() {
            return;
        }
        let before = self.complete();
        let mut said = Frame::silence(self.rate);
        let mut place = 0;
        while place < self.players.len() {
            let player = &mut self.players[place];
            if player.fill_frame(&mut said) {
                let sum = &mut self.sums[before];
                mix::add_to_sum(&mut sum.samples, said.samples());
                sum.parts += 1;
            }
            if player.is_done() {
                let player = self.players.remove(place);
                let id = player.id();
                self.spent.push(player);
                self.tell(RoomEvent::PlayDone { id });
            } else {
                place += 1;
            }
        }
    }

    /// Records the mix from now on. Gives back what is not needed any more.
    pub(super) fn begin_record(&mut self, mut recording: Box<Recording>) -> Option<Box<Recording>> {
        if self.tracks > 0 {
            recording.begin_late(self.recorded);
        } else {
            self.recorded = 0;
        }
        self.recording.replace(recording)
    }

    /// Records a member's part from now on. Gives back what is not needed any more.
    pub(super) fn begin_track(
        &mut self,
        seat: u32,
        mut track: Box<Recording>,
    ) -> Option<Box<Recording>> {
        track.begin_late(self.recorded);
        let Some(member) = self.member(seat) else {
            return Some(track);
        };
        let before = member.track.replace(track);
        self.tracks += u32::from(before.is_none());
        before
    }

    /// Records the round that is complete.
    fn record(&mut self) {
        if self.recording.is_none() && self.tracks == 0 {
            self.recorded = 0;
            return;
        }
        self.recorded += 1;
        self.record_mix();
        if self.tracks > 0 {
            self.record_tracks();
        }
    }

    /// Each file gets what of its member is in the sum, so that all together, with the announcements, are the mix.
    fn record_tracks(&mut self) {
        let (before, length) = (self.round.wrapping_sub(1), self.rate.samples_per_frame());
        for member in self.members.iter_mut().flatten() {
            let Some(mut track) = member.track.take() else {
                continue;
            };
            let part = member.part(before).filter(|part| part.in_sum);
            track.hear(part.map_or(&[0; LONGEST][..length], |part| &part.samples[..length]));
            let ended = !track.turn() && self.spent.len() < SPENT - PLAYERS - 2;
            if ended {
                self.tracks -= 1;
                self.spent.push(track);
            } else {
                member.track = Some(track);
            }
        }
    }

    fn record_mix(&mut self) {
        let before = self.complete();
        let Some(recording) = &mut self.recording else {
            return;
        };
        let mut samples = [0; LONGEST];
        let sum = &self.sums[before];
        mix::clip_sum(&sum.samples, &mut samples);
        let frame = &samples[..self.rate.samples_per_frame()];
        recording.hear(frame);
        if !recording.turn()
            && let Some(recording) = self.recording.take()
        {
            self.spent.push(recording);
        }
    }

    /// Plays to all, over what is said. Gives back the oldest announcement where there are too many.
    pub(super) fn play(&mut self, player: Box<Player>) -> Option<Box<Player>> {
        let oldest = (self.players.len() == PLAYERS).then(|| self.players.remove(0));
        self.players.push(player);
        oldest
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

    /// Reports who speaks, if that is wanted.
    fn report(&mut self, seat: u32, dbm0: Option<f32>) {
        let (config, round) = (self.config, self.round);
        let Some(member) = self.member(seat) else {
            return;
        };
        let (id, speaks) = (
            member.id,
            member.voice.speaks() && member.edge.ratio_in() > 0.0,
        );
        let changed = std::mem::replace(&mut member.speaking, speaks) != speaks;
        let every = u64::from(config.levels_ms.max(MIN_LEVELS_MS) / FRAME_MS);
        let level = dbm0.filter(|_| config.levels_ms > 0 && speaks);
        let level = level.filter(|_| round >= member.reported + every);
        if level.is_some() {
            member.reported = round;
        }
        if changed && config.speakers {
            self.tell(RoomEvent::Speaking {
                member: id,
                on: speaks,
            });
        }
        if let Some(dbm0) = level {
            self.tell(RoomEvent::Level { member: id, dbm0 });
        }
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
}

impl RoomState {
    /// The same for those whose codec is none of both laws.
    pub(super) fn shared_linear(&mut self, out: &mut [i16]) {
        let before = self.complete();
        mix::clip_sum(&self.sums[before].samples, out);
    }
}

/// Brings a frame to a rate from the other.
fn stretch<T: Copy>(samples: &mut [T; LONGEST], to: AudioRate, between: impl Fn(T, T) -> T) {
    let half = LONGEST / 2;
    match to {
        AudioRate::Wide => {
            for at in (0..half).rev() {
                let next = samples[if at + 1 < half { 2 * at + 2 } else { at }];
                let this = samples[at];
                samples[2 * at + 1] = between(this, next);
                samples[2 * at] = this;
            }
        }
        AudioRate::Narrow => {
            for at in 0..half {
                samples[at] = between(samples[2 * at], samples[2 * at + 1]);
            }
        }
    }
}

#[cfg(test)]
#[path = "mix_tests.rs"]
mod tests;
