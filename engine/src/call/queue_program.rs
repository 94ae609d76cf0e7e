//! The program behind a number that leads to a queue: answers, waits, and goes on where the queue says for each end.
use super::dial::{Dial, DialTarget};
use super::enqueue::{Enqueue, QueueEnd};
use super::program::{CallInfo, Program, Step};
use super::verb::{Hangup, HangupCause, Outcome, Verb};
use crate::queue::CallerId;

/// See the module's text.
pub struct QueueProgram {
    enqueue: Enqueue,
    /// Numbers by the end they are for.
    then: Vec<(String, String)>,
}

impl QueueProgram {
    /// Waits in a queue; `then` has the number to go on to for each end, by [`QueueEnd::name`].
    pub fn new(queue: &str, then: Vec<(String, String)>) -> QueueProgram {
        let enqueue = Enqueue::queue(queue);
        QueueProgram { enqueue, then }
    }

    /// Goes on with the place of somebody who was called back.
    pub(super) fn resume(queue: &str, caller: CallerId) -> QueueProgram {
        let mut program = QueueProgram::new(queue, Vec::new());
        program.enqueue.resume = Some(caller);
        program
    }

    fn after(&self, end: &QueueEnd) -> (Verb, &'static str) {
        let number = self.then.iter().find(|(name, _)| name == end.name());
        match (number, end) {
            (Some((_, number)), _) => {
                let target = DialTarget::Number(number.clone());
                (Verb::Dial(Dial::one(target)), "goes on")
            }
            (None, QueueEnd::Answered { .. } | QueueEnd::Key(_) | QueueEnd::Callback) => {
                (hangup(HangupCause::Normal), "over")
            }
            (None, QueueEnd::Unknown) => (hangup(HangupCause::Congestion), "no queue"),
            (None, _) => (hangup(HangupCause::Busy), "not served"),
        }
    }
}

impl Program for QueueProgram {
    fn name(&self) -> &str {
        "queue"
    }

    fn next(&mut self, _: &CallInfo, outcome: Outcome) -> Step {
        let (verb, at) = match outcome {
            Outcome::Begin => (Verb::Answer, "answer"),
            Outcome::Done => (Verb::Enqueue(Box::new(self.enqueue.clone())), "queue"),
            Outcome::Queued(queued) => self.after(&queued.end),
            Outcome::Dialled(dialled) => (hangup(HangupCause::Q850(dialled.cause)), "over"),
            _ => (hangup(HangupCause::Congestion), "failed"),
        };
        let at = at.to_owned();
        Step { verb, at }
    }
}

fn hangup(cause: HangupCause) -> Verb {
    Verb::Hangup(Hangup { cause })
}

#[cfg(test)]
mod tests {
    use super::super::enqueue::Queued;
    use super::*;
    use crate::call::Direction;

    #[test]
    fn each_end_leads_on_or_hangs_up() {
        let call = CallInfo {
            id: "c-1".to_owned(),
            direction: Direction::Inbound,
            from: "100".to_owned(),
            to: "200".to_owned(),
        };
        let then = vec![("timeout".to_owned(), "300".to_owned())];
        let mut program = QueueProgram::new("sales", then);
        assert_eq!(program.next(&call, Outcome::Begin).verb, Verb::Answer);
        let wait = program.next(&call, Outcome::Done).verb;
        assert!(
            matches!(&wait, Verb::Enqueue(one) if one.queue == "sales"),
            "{wait:?}"
        );
        let mut after = |end| {
            let waited_s = 9;
            program
                .next(&call, Outcome::Queued(Queued { end, waited_s }))
                .verb
        };
        let on = Verb::Dial(Dial::one(DialTarget::Number("300".to_owned())));
        assert_eq!(after(QueueEnd::Timeout), on);
        assert_eq!(after(QueueEnd::Full), hangup(HangupCause::Busy));
        assert_eq!(after(QueueEnd::Key('*')), hangup(HangupCause::Normal));
    }
}
