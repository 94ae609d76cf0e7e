//! A program that begins once it is known who answered; to a machine the call may end there.
use super::{hang_up, step};
use crate::call::program::{CallInfo, Program, Step};
use crate::call::text_message::{TextMessage, Verdict};
use crate::call::tones::DetectMachine;
use crate::call::verb::{HangupCause, Outcome, Verb};
use std::time::{Duration, SystemTime};
use trunkline_dsp::answering::Answerer;

/// See the module's text.
pub struct VettedProgram {
    inner: Box<dyn Program>,
    detect: Option<DetectMachine>,
    hang_up_on_machine: bool,
    waits: bool,
}

impl VettedProgram {
    /// `inner` runs after the detection; not to a machine, where the call is to be hung up on one.
    pub fn new(
        inner: Box<dyn Program>,
        detect: DetectMachine,
        hang_up_on_machine: bool,
    ) -> VettedProgram {
        VettedProgram {
            inner,
            detect: Some(detect),
            hang_up_on_machine,
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
            Outcome::MachineDetected(found)
                if self.hang_up_on_machine
                    && found
                        .verdict
                        .is_some_and(|verdict| verdict.answerer == Answerer::Machine) =>
            {
                hang_up(HangupCause::Normal)
            }
            Outcome::HungUp | Outcome::HandedOver => self.inner.next(call, outcome),
            _ => self.inner.next(call, Outcome::Begin),
        }
    }

    fn message(&mut self, call: &CallInfo, message: &TextMessage) -> Verdict {
        self.inner.message(call, message)
    }
}
