//! What a room has beside its members' voices: announcements, recordings of the mix and of each member's part, and the reports of who speaks.

use trunkline_dsp::mix;

use super::super::codec::FRAME_MS;
use super::super::frame::Frame;
use super::super::player::Player;
use super::super::recorder::Recording;
use super::RoomEvent;
use super::member::LONGEST;
use super::mix::{PLAYERS, RoomState, SPENT};

/// Levels are not reported more often, ms.
const MIN_LEVELS_MS: u32 = 100;

impl RoomState {
    /// Adds what is announced to all to the complete sum.
    pub(super) fn announce(&mut self) {
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

    /// Plays to all, over what is said. Gives back the oldest announcement where there are too many.
    pub(super) fn play(&mut self, player: Box<Player>) -> Option<Box<Player>> {
        let oldest = (self.players.len() == PLAYERS).then(|| self.players.remove(0));
        self.players.push(player);
        oldest
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
    pub(super) fn record(&mut self) {
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

    /// Reports who speaks, if that is wanted.
    pub(super) fn report(&mut self, seat: u32, dbm0: Option<f32>) {
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
}
