//! A list of verbs, one after the other, then the end of the call.
use super::{hang_up, step};
use crate::call::program::{CallInfo, Program, Step};
use crate::call::verb::{HangupCause, Outcome, Verb};
use std::collections::VecDeque;

/// See the module's text. A call that is not answered is answered before the first verb that needs it; a verb that fails is passed over.
pub struct VerbsProgram {
    name: String,
    verbs: VecDeque<Verb>,
    answered: bool,
}

impl VerbsProgram {
    /// These verbs, under a name for logs.
    pub fn new(name: impl Into<String>, verbs: Vec<Verb>) -> VerbsProgram {
        VerbsProgram {
            name: name.into(),
            verbs: verbs.into(),
            answered: false,
        }
    }
}

impl Program for VerbsProgram {
    fn name(&self) -> &str {
        &self.name
    }

    fn next(&mut self, _: &CallInfo, _: Outcome) -> Step {
        let Some(verb) = self.verbs.front() else {
            return hang_up(HangupCause::Normal);
        };
        if verb.needs_answer() && !self.answered {
            self.answered = true;
            return step(Verb::Answer, "answer");
        }
        match self.verbs.pop_front() {
            Some(verb) => {
                let at = verb.name();
                step(verb, at)
            }
            None => hang_up(HangupCause::Normal),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::call::{Direction, Wait};

    pub(crate) fn call() -> CallInfo {
        CallInfo {
            id: "c-1".to_owned(),
            direction: Direction::Outbound,
            from: "100".to_owned(),
            to: "200".to_owned(),
        }
    }

    #[test]
    fn verbs_come_in_order_and_what_needs_an_answer_gets_one() {
        let digits = Verb::SendDigits(crate::call::SendDigits {
            digits: "1".to_owned(),
            tone_ms: 100,
            gap_ms: 100,
        });
        let verbs = vec![Verb::Wait(Wait { ms: 1 }), digits.clone(), digits];
        let mut program = VerbsProgram::new("test", verbs);
        let names: Vec<_> = (0..6)
            .map(|_| program.next(&call(), Outcome::Done).verb.name())
            .collect();
        assert_eq!(
            names,
            [
                "wait",
                "answer",
                "send_digits",
                "send_digits",
                "hangup",
                "hangup"
            ]
        );
    }
}
