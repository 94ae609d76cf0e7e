//! The program behind a number that leads to a phone, a ring group or a trunk: dials, and tells the caller what the callee said.
use super::dial::{Dial, DialEnd, DialOrder, DialTarget, Dialled};
use super::program::{CallInfo, Program, Step};
use super::verb::{Hangup, HangupCause, Outcome, Reject, Verb};

/// See the module's text.
pub struct DialProgram {
    dial: Dial,
}

impl DialProgram {
    /// Dials `target`.
    pub fn new(target: DialTarget) -> DialProgram {
        DialProgram {
            dial: Dial::one(target),
        }
    }

    /// Dials as told.
    pub fn with(dial: Dial) -> DialProgram {
        DialProgram { dial }
    }
}

impl Program for DialProgram {
    fn name(&self) -> &str {
        match (self.dial.targets.first(), self.dial.order) {
            (Some(DialTarget::Trunk { .. }), _) => "dial trunk",
            (Some(DialTarget::RingGroup(_)), _) => "dial ring group",
            (_, DialOrder::All | DialOrder::OneByOne) => "dial",
        }
    }

    fn next(&mut self, _: &CallInfo, outcome: Outcome) -> Step {
        let (verb, at) = match outcome {
            Outcome::Begin => (Verb::Dial(self.dial.clone()), "dial"),
            Outcome::Dialled(dialled) => (after(&dialled), "dialled"),
            _ => (end(HangupCause::Congestion), "failed"),
        };
        Step {
            verb,
            at: at.to_owned(),
        }
    }
}

/// The caller learns what the callee said.
fn after(dialled: &Dialled) -> Verb {
    match dialled.how {
        DialEnd::Answered { .. } => end(HangupCause::Q850(dialled.cause)),
        _ => Verb::Reject(Reject {
            status: dialled.status,
            reason: super::causes::name_of(dialled.cause).to_owned(),
            cause: Some(dialled.cause),
            retry_after: dialled.retry_after,
        }),
    }
}

fn end(cause: HangupCause) -> Verb {
    Verb::Hangup(Hangup { cause })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Direction;
    use std::time::Duration;

    #[test]
    fn the_caller_learns_what_the_callee_said() {
        let call = CallInfo {
            id: "c-1".to_owned(),
            direction: Direction::Inbound,
            from: "100".to_owned(),
            to: "200".to_owned(),
        };
        let dialled = |how, status, cause| {
            let target = "endpoint bob".to_owned();
            Outcome::Dialled(Dialled {
                how,
                target,
                status,
                cause,
                tone: None,
                retry_after: Some(Duration::from_secs(7)),
            })
        };
        let mut program = DialProgram::new(DialTarget::Endpoint("bob".to_owned()));
        let first = program.next(&call, Outcome::Begin).verb;
        assert!(matches!(first, Verb::Dial(_)), "{first:?}");
        for (how, status, cause) in [
            (DialEnd::Busy, 486, 17),
            (DialEnd::NoAnswer, 480, 19),
            (DialEnd::Refused(404), 404, 1),
        ] {
            let verb = program.next(&call, dialled(how, status, cause)).verb;
            let Verb::Reject(reject) = verb else {
                panic!("{verb:?}");
            };
            assert_eq!((reject.status, reject.cause), (status, Some(cause)));
            assert_eq!(reject.retry_after, Some(Duration::from_secs(7)));
        }
        let answered = dialled(DialEnd::Answered { seconds: 3 }, 200, 16);
        let cause = HangupCause::Q850(16);
        assert_eq!(
            program.next(&call, answered).verb,
            Verb::Hangup(Hangup { cause })
        );
        let failed = program.next(&call, Outcome::Done).verb;
        assert!(matches!(failed, Verb::Hangup(_)), "{failed:?}");
    }
}
