//! Programs that orders from outside need: a list of verbs, a menu made on the spot, "press 1 when ready", a party sent to a conference, and
//! one that first finds out who answered.
mod listed;
mod meet;
mod options;
mod ready;
mod vetted;

pub use listed::VerbsProgram;
pub use meet::MeetProgram;
pub use options::{MenuOption, OptionsProgram};
pub use ready::ReadyProgram;
pub use vetted::VettedProgram;

use super::program::Step;
use super::verb::{Audio, Gather, GatherEnd, Gathered, Hangup, HangupCause, Repeat, Verb};

/// How often a menu is said before it is given up.
const ROUNDS: u32 = 3;

fn step(verb: Verb, at: &str) -> Step {
    Step {
        verb,
        at: at.to_owned(),
    }
}

fn hang_up(cause: HangupCause) -> Step {
    step(Verb::Hangup(Hangup { cause }), "hangup")
}

/// One key, asked for with these prompts.
fn one_key(prompts: Vec<Audio>) -> Verb {
    Verb::Gather(Gather {
        prompts,
        repeat: Repeat::Times(1),
        timeout_ms: 5000,
        inter_digit_ms: 2000,
        max_digits: 1,
        finish_on: None,
        barge_in: true,
        typeahead: false,
        sensitive: false,
        speech: None,
    })
}

/// The key that was pressed.
fn key_of(gathered: &Gathered) -> Option<char> {
    let pressed = gathered.end == GatherEnd::MaxDigits;
    gathered.digits.chars().next().filter(|_| pressed)
}
