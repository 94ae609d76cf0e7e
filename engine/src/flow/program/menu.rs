//! Menus: what is asked, what keys lead to, and how tries are counted (confd's rules).
use super::super::model::{Choice, Input, Menu, MenuId, Prompt, Target};
use super::super::spoken;
use super::notes::Entry;
use super::{FlowProgram, Frame, Move, Waiting};
use crate::call::{Audio, CallInfo, Gather, HangupCause, Outcome, Repeat, Verb};

/// The shortest wait for a key where nothing is played, in ms.
const LEAST_INPUT_MS: u32 = 100;

impl FlowProgram {
    /// A menu that led here already is gone back to, so that the path cannot grow without end.
    pub(super) fn descend(&mut self, menu: MenuId) {
        if let Some(depth) = self.path.iter().position(|frame| frame.menu == menu) {
            self.path.truncate(depth);
        }
        self.path.push(Frame { menu, tries: 0 });
    }

    pub(super) fn restart(&mut self) {
        if let Some(frame) = self.path.last_mut() {
            frame.tries = 0;
        }
    }

    pub(super) fn ask(&mut self, menu: &Menu, id: MenuId, call: &CallInfo, lead: &Prompt) -> Verb {
        self.at = Some(Target::Menu(id));
        self.waiting = Waiting::Menu(id);
        let mut prompts = self.audio(call, lead);
        prompts.extend(self.audio(call, &menu.prompt));
        gather(
            prompts,
            Repeat::Times(1),
            &menu.input,
            &menu.choices,
            &self.language,
        )
    }

    pub(super) fn after_menu<'f>(
        &mut self,
        menu: &'f Menu,
        id: MenuId,
        outcome: Outcome,
    ) -> Move<'f> {
        let entry = self.note_entry(&menu.input, outcome);
        let silent = entry == Entry::Silence;
        let chosen = match &entry {
            Entry::Silence => None,
            Entry::Keys(digits) => menu
                .choices
                .iter()
                .find(|choice| choice.exten.matches(digits)),
            Entry::Words(words) => {
                let language = self.heard_in(&menu.input);
                spoken::chosen(&menu.choices, words, language)
            }
        };
        if let Some(choice) = chosen {
            self.restart();
            return Move::To(&choice.destination);
        }
        let (at_once, lead) = if silent {
            (&menu.timeout_destination, &menu.timeout)
        } else {
            (&menu.invalid_destination, &menu.invalid)
        };
        if let Some(destination) = at_once {
            return Move::To(destination);
        }
        let tries = self.path.last_mut().map_or(menu.max_tries, |frame| {
            frame.tries += 1;
            frame.tries
        });
        match &menu.abort_destination {
            _ if tries < menu.max_tries => Move::Menu(id, lead),
            Some(destination) => {
                // The menu may be gone back to: its tries begin anew, or they would never end it.
                self.restart();
                Move::To(destination)
            }
            None => Move::Part(HangupCause::Normal, &menu.abort),
        }
    }
}

pub(super) fn gather(
    prompts: Vec<Audio>,
    repeat: Repeat,
    input: &Input,
    choices: &[Choice],
    language: &str,
) -> Verb {
    let speech = input.speech.as_ref();
    let speech = speech.map(|hearing| spoken::input(hearing, choices, language));
    // A menu with `timeout: 0` whose prompt came out empty must take some time, or silence that leads back spins.
    let least_ms = if prompts.is_empty() {
        LEAST_INPUT_MS
    } else {
        0
    };
    Verb::Gather(Gather {
        prompts,
        repeat,
        timeout_ms: input.timeout_ms.max(least_ms),
        inter_digit_ms: input.inter_digit_ms,
        max_digits: input.max_digits,
        finish_on: input.finish_on,
        barge_in: input.barge_in,
        typeahead: input.typeahead,
        sensitive: input.sensitive,
        speech: speech.map(Box::new),
    })
}
