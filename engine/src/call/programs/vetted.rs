//! A program that begins once it is known who answered; to a machine the call may end there.
use super::{hang_up, step};
use crate::call::program::{CallInfo, Program, Step};
use crate::call::text_message::{TextMessage, Verdict};
use crate::call::tones::{DetectMachine, OnMachine};
use crate::call::verb::{HangupCause, Outcome, Verb};
use std::time::{Duration, SystemTime};

/// See the module's text.
pub struct VettedProgram {
    inner: Box<dyn Program>,
    detect: Option<DetectMachine>,
    hang_up_on_machine: bool,
    waits: bool,
}

impl VettedProgram {
    /// `inner` runs after the detection, or beside it; not to a machine that is to be hung up on.
    pub fn new(inner: Box<dyn Program>, on: OnMachine) -> VettedProgram {
        VettedProgram {
            inner,
            detect: Some(on.detect()),
            hang_up_on_machine: on == OnMachine::Hangup,
            waits: false,
        }
    }
}

impl Program for VettedProgram {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn max_duration(&self) -> Option<Duration> {
        self.inner.max_duration()
    }

    fn keep_days(&self) -> Option<u32> {
        self.inner.keep_days()
    }

    fn at(&mut self, now: SystemTime) {
        self.inner.at(now);
    }

    fn next(&mut self, call: &CallInfo, outcome: Outcome) -> Step {
        if let Some(detect) = self.detect.take() {
            self.waits = true;
            return step(Verb::DetectMachine(Box::new(detect)), "who answers");
        }
        if !std::mem::take(&mut self.waits) {
            return self.inner.next(call, outcome);
        }
        match outcome {
            Outcome::MachineDetected(found) if self.hang_up_on_machine && found.is_machine() => {
                hang_up(HangupCause::Normal)
            }
            Outcome::HungUp | Outcome::HandedOver => self.inner.next(call, outcome),
            // Who answered is known, or is told by events.
            _ => self.inner.next(call, Outcome::Begin),
        }
    }

    fn message(&mut self, call: &CallInfo, message: &TextMessage) -> Verdict {
        self.inner.message(call, message)
    }
}

#[cfg(test)]
mod tests {
    use super::super::listed::{VerbsProgram, tests::call};
    use super::*;
    use crate::call::{MachineDetected, Verb, Wait};
    use trunkline_dsp::answering::{Answerer, Because, Verdict};

    #[test]
    fn a_machine_is_hung_up_on_only_where_that_is_asked_for() {
        let found = |answerer| {
            Outcome::MachineDetected(MachineDetected {
                verdict: Some(Verdict {
                    answerer,
                    because: Because::MaxWords,
                    after_ms: 1,
                    voice_ms: 1,
                    words: 1,
                    beep: false,
                }),
                beep: false,
            })
        };
        for (on, outcome, next) in [
            (OnMachine::Hangup, found(Answerer::Machine), "hangup"),
            (OnMachine::Hangup, found(Answerer::Human), "wait"),
            (OnMachine::WaitForBeep, found(Answerer::Machine), "wait"),
            (OnMachine::Continue, Outcome::Done, "wait"),
        ] {
            let inner = VerbsProgram::new("inner", vec![Verb::Wait(Wait { ms: 1 })]);
            let mut program = VettedProgram::new(Box::new(inner), on);
            let Verb::DetectMachine(detect) = program.next(&call(), Outcome::Begin).verb else {
                panic!("{on:?}")
            };
            assert_eq!(detect.background, on == OnMachine::Continue);
            assert_eq!(program.next(&call(), outcome).verb.name(), next, "{on:?}");
        }
    }
}
