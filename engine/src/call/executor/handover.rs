//! One program after the other: a leg that is dialled or transferred to the number of a program goes on in that.
//!
//! Limit: 32 programs for one call, so that two that dial each other come to an end.
use super::super::caller::Caller;
use super::super::events::{EventKind, cut};
use super::super::program::{CallInfo, Program};
use super::super::verb::Outcome;
use super::super::{Refusal, Routed};
use super::Executor;
use serde_json::json;
use std::time::Instant;

/// Programs of one call.
const MAX_PROGRAMS: u32 = 32;

/// The program that goes on, and what it is told of the call.
pub(super) struct NextProgram {
    program: Box<dyn Program>,
    info: CallInfo,
    /// What led to it.
    rule: String,
}

impl NextProgram {
    /// One that an order names.
    pub(super) fn ordered(program: Box<dyn Program>, info: CallInfo, rule: String) -> NextProgram {
        NextProgram {
            program,
            info,
            rule,
        }
    }
}

impl Executor<'_> {
    /// `next` runs the call once the verb under way is over.
    pub(super) fn set_successor(&mut self, next: NextProgram) {
        self.successor = Some(next);
    }

    /// The program of a number, by the rights of this caller.
    ///
    /// # Errors
    /// The number leads nowhere for it, or the call has had too many programs.
    pub(super) fn program_at(
        &mut self,
        number: &str,
        caller: &Caller,
    ) -> Result<NextProgram, Refusal> {
        if self.programs >= MAX_PROGRAMS {
            let text = format!("the call has gone through {MAX_PROGRAMS} programs");
            return Err(Refusal::new(482, "too-many-programs", text));
        }
        let mut info = CallInfo {
            to: number.to_owned(),
            ..self.call.info.clone()
        };
        if !caller.identity.number.is_empty() {
            info.from.clone_from(&caller.identity.number);
        }
        let Routed { rule, program } = self.call.calls.routes.program(&info, caller)?;
        tracing::info!(to = info.to, rule, program = program.name(), "goes on");
        Ok(NextProgram {
            program,
            info,
            rule,
        })
    }

    /// The verb under way is over, and `next` runs the call from now on.
    pub(super) fn hand_to(&mut self, next: NextProgram) -> Outcome {
        self.successor = Some(next);
        Outcome::HandedOver
    }

    /// Lets the program that was handed the call begin.
    pub(super) fn succeed(&mut self) {
        if let Some(NextProgram {
            program,
            info,
            rule,
        }) = self.successor.take()
        {
            self.call.tell(
                EventKind::CallHandedOver,
                || json!({"program": program.name(), "to": cut(&info.to), "rule": rule}),
            );
            self.programs += 1;
            self.call
                .diary
                .step(Instant::now(), program.name(), "program");
            self.call
                .facts(|facts| program.name().clone_into(&mut facts.program));
            self.program = program;
            self.info = info;
        }
    }
}
