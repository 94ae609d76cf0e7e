//! Packets of the mix that members share who only listen: a line for each codec and its settings.
//!
//! A codec with a past (G.722, Opus) makes a stream: what a decoder makes of a packet depends on those before. A member that begins to
//! hear a mix of its own goes on with its own encoder, which takes over the line's past: a copy of it (G.722 and the change of rate), or
//! the frame before, coded once more (Opus). It stays apart for a while, in which both encoders come to say the same.
//!
//! Lines are made by the handle for the second member that needs one; without one a member's own encoder does the work.

use super::super::voice::{Packet, Past, Voice};
use super::mix::RoomState;

/// Lines of a room. Codecs beyond them are encoded for each member.
pub(super) const LINES: usize = 8;
/// Rounds a member stays apart after its last mix of its own: 300 ms.
const APART: u64 = 15;
/// Rounds before a member follows again in which the line is kept going for it: an encoder that stood still would begin with a click.
const WARM: u64 = 3;

/// What encodes the mix for all members of one codec. Made by the handle, freed by the reaper.
#[derive(Debug)]
pub(crate) struct Line {
    voice: Voice,
    /// The encoder's past before the present round.
    before: Past,
    round: u64,
    pub(super) packet: Packet,
}

impl Line {
    pub(super) fn new(voice: Voice) -> Line {
        let packet = Packet::new();
        Line {
            before: voice.past(None),
            voice,
            round: u64::MAX,
            packet,
        }
    }

    /// The past of the stream before that round.
    fn past(&self, round: u64) -> Past {
        match self.round == round {
            true => self.before.clone(),
            false => self.voice.past(Some(self.packet.said())),
        }
    }
}

/// How a member stands to the line of its codec.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Its last packet was the line's.
    follows: bool,
    /// The round from which on it may follow; `None`: it has heard nothing of the room yet.
    apart_until: Option<u64>,
}

impl RoomState {
    /// A new line, unless there are too many.
    pub(super) fn add_line(&mut self, line: Box<Line>) -> Option<Box<Line>> {
        if self.lines.len() == LINES {
            return Some(line);
        }
        self.lines.push(line);
        None
    }

    fn line_of(&self, voice: &Voice) -> Option<usize> {
        let mut lines = self.lines.iter();
        lines.position(|line| line.voice.continues(voice))
    }

    /// The line whose packet a member is sent that hears what all hear; `None`: its own encoder is at work.
    pub(super) fn follow(&mut self, seat: u32, voice: &mut Voice) -> Option<usize> {
        let (line, round) = (self.line_of(voice), self.round());
        let member = self.member(seat)?;
        let until = member.line.apart_until.get_or_insert(round + APART);
        let left = until.saturating_sub(round);
        if left == 0 && line.is_some() {
            member.line.follows = true;
            return line;
        }
        self.take_over(seat, voice);
        if left <= WARM
            && let Some(line) = line
        {
            self.warm_up(line, voice);
        }
        None
    }

    /// Keeps a line going, or has it go on from where a member's encoder is.
    fn warm_up(&mut self, line: usize, voice: &Voice) {
        let round = self.round();
        if let Some(line) = self.lines.get_mut(line)
            && round.wrapping_sub(line.round) > 1
        {
            line.voice.go_on_from(&voice.past(None));
        }
        self.line_packet(line);
    }

    /// In this round the member hears something else than the others, or nothing of the room.
    pub(super) fn go_apart(&mut self, seat: u32, voice: &mut Voice) {
        let round = self.round();
        self.take_over(seat, voice);
        if let Some(member) = self.member(seat) {
            member.line.apart_until = Some(round + APART);
        }
    }

    /// The member's encoder goes on from where the line was, if it followed that.
    fn take_over(&mut self, seat: u32, voice: &mut Voice) {
        let (line, round) = (self.line_of(voice), self.round());
        let followed = self
            .member(seat)
            .is_some_and(|member| std::mem::take(&mut member.line.follows));
        if followed && let Some(line) = line.and_then(|line| self.lines.get(line)) {
            voice.go_on_from(&line.past(round));
        }
    }

    /// The line's packet of the round, which is made now if nobody has needed it yet: then `true`.
    pub(super) fn line_packet(&mut self, line: usize) -> Option<(&Packet, bool)> {
        let (round, rate, before) = (self.round(), self.rate(), self.complete());
        let line = self.lines.get_mut(line)?;
        let fresh = line.round != round;
        if fresh {
            line.round = round;
            line.before = line.voice.past(Some(line.packet.said()));
            self.sums[before].clip(line.packet.say_at(rate));
            line.packet.code(&mut line.voice);
        }
        Some((&line.packet, fresh))
    }
}
