//! What the program is asked, and what reaches it beside the outcomes of its verbs: text messages of the far ends.
use super::super::leg::{Input, hangup_reason};
use super::super::program::{CallInfo, Program, Step};
use super::super::text_message::InCall;
use super::super::verb::Outcome;
use super::{End, Executor};
use std::panic::AssertUnwindSafe;
use std::time::SystemTime;

impl Executor<'_> {
    /// The next thing that happens to the call's leg. Can be dropped at any await without losing anything.
    pub(super) async fn next(&mut self) -> Input {
        loop {
            let next = tokio::select! {
                biased;
                input = self.leg.next() => Ok(input),
                ordered = self.orders.next() => Err(ordered),
            };
            match next {
                Ok(Input::Message(message)) => self.message(message),
                Ok(Input::PlayDone(id)) => return self.played(id),
                Ok(input) => return input,
                Err(ordered) => {
                    if let Some(input) = self.take_order(ordered, None) {
                        return input;
                    }
                }
            }
        }
    }

    /// Waits for something outside the call; keys pressed meanwhile are kept for the next verb.
    pub(super) async fn wait_for<T>(&mut self, what: impl Future<Output = T>) -> Result<T, End> {
        tokio::pin!(what);
        loop {
            tokio::select! {
                biased;
                input = self.next() => match input {
                    Input::Ended(end) => return Err(end),
                    Input::Key(key) => self.leg.keep(key),
                    _ => {}
                },
                got = &mut what => return Ok(got),
            }
        }
    }

    /// Something was played to its end: where an order played it, that counts as the end of what the verb under way played.
    fn played(&mut self, id: u32) -> Input {
        self.playing.take_if(|playing| *playing == id);
        let ordered = self.interrupted.take_if(|(ordered, _)| *ordered == id);
        let verb = ordered.and_then(|(_, verb)| verb);
        Input::PlayDone(verb.unwrap_or(id))
    }

    /// One turn of the program. `None`: it panicked, now or before, which must end this call in good order and no other.
    pub(super) fn turn(&mut self, outcome: Outcome) -> Option<Step> {
        self.asked(|program, call| {
            program.at(SystemTime::now());
            program.next(call, outcome)
        })
    }

    /// Hands a text message of either far end to the program, and answers it.
    pub(super) fn message(&mut self, message: InCall) {
        let verdict = self.asked(|program, call| program.message(call, &message.text));
        let counters = &self.call.calls.counters;
        message.answer(&self.call.calls.sip, counters, verdict);
        if verdict.is_none() {
            let rule = "program-panic";
            self.leg
                .hang_up(rule, Some(hangup_reason("SIP", 500, rule)));
        }
    }

    fn asked<T>(&mut self, ask: impl FnOnce(&mut dyn Program, &CallInfo) -> T) -> Option<T> {
        // A program that panicked is never asked again, so nobody sees what it left half done.
        if self.broken {
            return None;
        }
        let (program, call) = (self.program.as_mut(), &self.info);
        let answer = std::panic::catch_unwind(AssertUnwindSafe(|| ask(program, call)));
        if answer.is_err() {
            self.broken = true;
            tracing::error!(
                rule = "program-panic",
                "the call's program has a defect (see the panic above): hanging up"
            );
        }
        answer.ok()
    }
}
