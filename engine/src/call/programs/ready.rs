//! "Press 1 when ready": who presses it joins a conference, which ends when one party is left.
use super::{ROUNDS, hang_up, key_of, one_key, step};
use crate::call::program::{CallInfo, Program, Step};
use crate::call::verb::{Audio, Conference, HangupCause, Outcome, Verb};

/// See the module's text. Without the key the call ends after three rounds.
pub struct ReadyProgram {
    says: Vec<Audio>,
    key: char,
    conference: Conference,
    rounds: u32,
}

impl ReadyProgram {
    /// Says `says` until `key` is pressed, then joins the room.
    pub fn new(says: Vec<Audio>, key: char, room: impl Into<String>) -> ReadyProgram {
        ReadyProgram {
            says,
            key,
            conference: Conference {
                stay_alone: false,
                max_members: 2,
                ..Conference::of(room)
            },
            rounds: 0,
        }
    }
}

impl Program for ReadyProgram {
    fn name(&self) -> &str {
        "press when ready"
    }

    fn next(&mut self, _: &CallInfo, outcome: Outcome) -> Step {
        match outcome {
            Outcome::Begin => return step(Verb::Answer, "answer"),
            Outcome::Conferenced(_) => return hang_up(HangupCause::Normal),
            Outcome::Failed(_) => return hang_up(HangupCause::Congestion),
            Outcome::Gathered(gathered) if key_of(&gathered) == Some(self.key) => {
                return step(Verb::Conference(self.conference.clone()), "conference");
            }
            _ => {}
        }
        if self.rounds >= ROUNDS {
            return hang_up(HangupCause::Normal);
        }
        self.rounds += 1;
        step(one_key(self.says.clone()), "ready")
    }
}
