//! Who is heard when many speak: the loudest, with a margin for those who are heard already, so that two of a kind do not alternate.

/// How much louder than one who is heard somebody must be to take the place, dB.
const MARGIN_DB: f32 = 6.0;
/// A member counts as speaking for so many frames after its last sound: 300 ms.
const HANG_OVER: u8 = 15;
/// The level falls at most so fast, dB per frame.
const DECAY_DB: f32 = 1.0;

/// Whether one member speaks, and how loud.
#[derive(Debug)]
pub(super) struct Voice {
    /// The level, falling slowly, dBm0.
    pub(super) dbm0: f32,
    hang_over: u8,
    /// It has a place among those who are heard.
    pub(super) chosen: bool,
}

impl Voice {
    pub(super) fn new() -> Voice {
        Voice {
            dbm0: trunkline_dsp::level::SILENCE_DBM0,
            hang_over: 0,
            chosen: false,
        }
    }

    /// Takes the level of a frame. Returns whether the member speaks.
    pub(super) fn hear(&mut self, dbm0: f32, gate_dbm0: f32) -> bool {
        self.dbm0 = dbm0.max(self.dbm0 - DECAY_DB);
        self.hang_over = if dbm0 >= gate_dbm0 {
            HANG_OVER
        } else {
            self.hang_over.saturating_sub(1)
        };
        self.speaks()
    }

    /// A frame without any audio.
    pub(super) fn pause(&mut self) {
        self.hear(trunkline_dsp::level::SILENCE_DBM0, 0.0);
    }

    pub(super) fn speaks(&self) -> bool {
        self.hang_over > 0
    }

    fn score(&self) -> f32 {
        self.dbm0 + if self.chosen { MARGIN_DB } else { 0.0 }
    }
}

/// Who speaks in a round, and who of them may be heard in the next.
#[derive(Debug)]
pub(super) struct Talkers {
    max: usize,
    /// Seats and scores of those who spoke in the present round.
    speaking: Vec<(u32, f32)>,
    /// Seats of those who have a place.
    chosen: Vec<u32>,
}

impl Talkers {
    /// Room for `members`, places for `max`.
    pub(super) fn new(max: usize, members: usize) -> Talkers {
        Talkers {
            max: max.max(1),
            speaking: Vec::with_capacity(members),
            chosen: Vec::with_capacity(members),
        }
    }

    /// A member speaks in this round. Returns whether it is heard; a free place is taken at once.
    pub(super) fn speak(&mut self, seat: u32, voice: &mut Voice) -> bool {
        if self.speaking.len() < self.speaking.capacity() {
            self.speaking.push((seat, voice.score()));
        }
        if !voice.chosen && self.chosen.len() < self.max {
            voice.chosen = true;
            self.chosen.push(seat);
        }
        voice.chosen
    }

    /// A member is gone.
    pub(super) fn leave(&mut self, seat: u32) {
        self.speaking.retain(|(speaking, _)| *speaking != seat);
        self.chosen.retain(|chosen| *chosen != seat);
    }

    /// Gives the places of the next round to the loudest of this one; `place` is told who has none any more and then who has one.
    pub(super) fn choose(&mut self, mut place: impl FnMut(u32, bool)) {
        self.chosen.drain(..).for_each(|seat| place(seat, false));
        if self.speaking.len() > self.max {
            self.speaking
                .select_nth_unstable_by(self.max - 1, |a, b| b.1.total_cmp(&a.1));
        }
        for (seat, _) in self.speaking.iter().take(self.max) {
            place(*seat, true);
            self.chosen.push(*seat);
        }
        self.speaking.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One round in which each member has a level; returns who is heard.
    fn round(talkers: &mut Talkers, voices: &mut [Voice], levels: &[f32]) -> Vec<usize> {
        let mut heard = Vec::new();
        for (seat, level) in levels.iter().enumerate() {
            if voices[seat].hear(*level, -50.0) && talkers.speak(seat as u32, &mut voices[seat]) {
                heard.push(seat);
            }
        }
        talkers.choose(|seat, chosen| voices[seat as usize].chosen = chosen);
        heard
    }

    fn cast(members: usize, max: usize) -> (Talkers, Vec<Voice>) {
        (
            Talkers::new(max, members),
            (0..members).map(|_| Voice::new()).collect(),
        )
    }

    #[test]
    fn the_loudest_are_heard_and_places_are_kept_against_equals() {
        let (mut talkers, mut voices) = cast(4, 2);
        // The first come are heard at once; the loudest take over with the next round.
        assert_eq!(
            round(&mut talkers, &mut voices, &[-30.0, -31.0, -10.0, -12.0]),
            [0, 1]
        );
        assert_eq!(
            round(&mut talkers, &mut voices, &[-30.0, -31.0, -10.0, -12.0]),
            [2, 3]
        );
        // 5 dB more are not enough, 8 dB are.
        for _ in 0..50 {
            assert_eq!(
                round(&mut talkers, &mut voices, &[-7.0, -31.0, -10.0, -12.0]),
                [2, 3]
            );
        }
        round(&mut talkers, &mut voices, &[-4.0, -31.0, -10.0, -12.0]);
        assert_eq!(
            round(&mut talkers, &mut voices, &[-4.0, -31.0, -10.0, -12.0]),
            [0, 2]
        );
    }

    #[test]
    fn silence_gives_the_place_away_after_the_hang_over() {
        let (mut talkers, mut voices) = cast(2, 1);
        assert_eq!(round(&mut talkers, &mut voices, &[-20.0, -20.0]), [0]);
        let rounds = (0..100)
            .take_while(|_| round(&mut talkers, &mut voices, &[-90.0, -20.0]) != [1])
            .count();
        assert!(
            (2..=usize::from(HANG_OVER) + 1).contains(&rounds),
            "{rounds}"
        );
    }
}
