//! A menu made on the spot: says what there is, takes a key, and does what that stands for.
use super::{ROUNDS, hang_up, key_of, one_key, step};
use crate::call::program::{CallInfo, Program, Step};
use crate::call::verb::{Audio, HangupCause, Outcome, Verb};
use std::collections::VecDeque;

/// What a key stands for.
#[derive(Debug, Clone, PartialEq)]
pub struct MenuOption {
    /// The key.
    pub key: char,
    /// Said in the menu, such as "Press 1 for sales".
    pub says: Vec<Audio>,
    /// Done one after the other when it is pressed; none: the menu is said again.
    pub then: Vec<Verb>,
}

/// See the module's text. A wrong key or none, and the menu is said again; after three rounds the call ends.
pub struct OptionsProgram {
    says: Vec<Audio>,
    options: Vec<MenuOption>,
    rounds: u32,
    chosen: VecDeque<Verb>,
    has_chosen: bool,
}

impl OptionsProgram {
    /// A menu that begins with `says`. Without options it is said once.
    pub fn new(says: Vec<Audio>, options: Vec<MenuOption>) -> OptionsProgram {
        OptionsProgram {
            says,
            options,
            rounds: 0,
            chosen: VecDeque::new(),
            has_chosen: false,
        }
    }

    fn menu(&mut self) -> Step {
        let said_once = self.options.is_empty() && self.rounds > 0;
        if said_once || self.rounds >= ROUNDS {
            return hang_up(HangupCause::Normal);
        }
        self.rounds += 1;
        let says = self.options.iter().flat_map(|option| &option.says);
        let prompts = self.says.iter().chain(says).cloned().collect();
        step(one_key(prompts), "menu")
    }

    fn go_on(&mut self) -> Step {
        match self.chosen.pop_front() {
            Some(verb) => step(verb, "option"),
            None => hang_up(HangupCause::Normal),
        }
    }
}

impl Program for OptionsProgram {
    fn name(&self) -> &str {
        "options"
    }

    fn next(&mut self, _: &CallInfo, outcome: Outcome) -> Step {
        match outcome {
            _ if self.has_chosen => self.go_on(),
            Outcome::Begin => step(Verb::Answer, "answer"),
            Outcome::Gathered(gathered) => {
                let key = key_of(&gathered);
                let option = self.options.iter().find(|option| Some(option.key) == key);
                match option.filter(|option| !option.then.is_empty()) {
                    Some(option) => {
                        self.chosen = option.then.clone().into();
                        self.has_chosen = true;
                        self.go_on()
                    }
                    None => self.menu(),
                }
            }
            Outcome::Failed(_) => hang_up(HangupCause::Congestion),
            _ => self.menu(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::listed::tests::call;
    use super::*;
    use crate::call::{GatherEnd, Gathered, Wait};

    fn gathered(digits: &str) -> Outcome {
        let end = if digits.is_empty() {
            GatherEnd::NoInput
        } else {
            GatherEnd::MaxDigits
        };
        Outcome::Gathered(Gathered {
            digits: digits.to_owned(),
            end,
            keys: vec![],
            speech: None,
        })
    }

    #[test]
    fn a_key_leads_on_and_three_wrong_ones_end_the_call() {
        let option = MenuOption {
            key: '1',
            says: vec![Audio::Silence { ms: 1 }],
            then: vec![Verb::Wait(Wait { ms: 7 })],
        };
        for (outcomes, last) in [
            (vec![], "gather"),
            (vec![gathered("1")], "wait"),
            (vec![gathered("1"), Outcome::Done], "hangup"),
            (vec![gathered("2"), gathered("")], "gather"),
            (vec![gathered("2"), gathered(""), gathered("3")], "hangup"),
        ] {
            let says = vec![Audio::Silence { ms: 1 }];
            let mut program = OptionsProgram::new(says, vec![option.clone()]);
            assert_eq!(program.next(&call(), Outcome::Begin).verb, Verb::Answer);
            let mut step = program.next(&call(), Outcome::Done);
            let Verb::Gather(menu) = &step.verb else {
                panic!("{step:?}")
            };
            assert_eq!(menu.prompts.len(), 2);
            for outcome in outcomes {
                step = program.next(&call(), outcome);
            }
            assert_eq!(step.verb.name(), last);
        }
    }
}
