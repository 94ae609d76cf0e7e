//! The program of a party that an order has sent into a conference: stays until that is over.
use crate::call::program::{CallInfo, Program, Step};
use crate::call::verb::{
    Conference, ConferenceEnd, Conferenced, Hangup, HangupCause, Outcome, Verb, Wait,
};

/// How long a party waits for a further order that was taken out of the conference by one, ms.
const PARKED_MS: u32 = 600_000;

/// See the module's text.
pub struct MeetProgram {
    conference: Conference,
}

impl MeetProgram {
    /// Answers where that is still to be done, and joins.
    pub fn new(conference: Conference) -> MeetProgram {
        MeetProgram { conference }
    }
}

impl Program for MeetProgram {
    fn name(&self) -> &str {
        "conference"
    }

    fn next(&mut self, _: &CallInfo, outcome: Outcome) -> Step {
        let hang_up = |cause| Verb::Hangup(Hangup { cause });
        let (verb, at) = match outcome {
            Outcome::Begin => (Verb::Answer, "answer"),
            Outcome::Conferenced(Conferenced {
                end: ConferenceEnd::Removed,
                ..
            }) => (Verb::Wait(Wait { ms: PARKED_MS }), "parked"),
            Outcome::Conferenced(_) => (hang_up(HangupCause::Normal), "over"),
            Outcome::Failed(_) => (hang_up(HangupCause::Congestion), "failed"),
            // The answer, or the end of the wait.
            _ if self.conference.room.is_empty() => (hang_up(HangupCause::Normal), "unclaimed"),
            _ => {
                let room = std::mem::take(&mut self.conference.room);
                let conference = Conference {
                    room,
                    ..self.conference.clone()
                };
                (Verb::Conference(conference), "conference")
            }
        };
        Step {
            verb,
            at: at.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::{Direction, Failure};

    #[test]
    fn it_joins_once_and_ends_with_the_conference() {
        let call = CallInfo {
            id: "c-1".to_owned(),
            direction: Direction::Inbound,
            from: "100".to_owned(),
            to: "200".to_owned(),
        };
        let over = |end| Outcome::Conferenced(Conferenced { end, seconds: 1 });
        let failed = || {
            Outcome::Failed(Failure {
                verb: "conference",
                reason: "full".to_owned(),
            })
        };
        for (outcomes, last) in [
            (vec![Outcome::Begin, Outcome::Done], "conference"),
            (
                vec![Outcome::Begin, Outcome::Done, over(ConferenceEnd::Over)],
                "hangup",
            ),
            (
                vec![Outcome::Begin, Outcome::Done, over(ConferenceEnd::Removed)],
                "wait",
            ),
            (
                vec![
                    Outcome::Begin,
                    Outcome::Done,
                    over(ConferenceEnd::Removed),
                    Outcome::Done,
                ],
                "hangup",
            ),
            (vec![Outcome::Begin, Outcome::Done, failed()], "hangup"),
        ] {
            let mut program = MeetProgram::new(Conference::of("table"));
            let steps = outcomes
                .into_iter()
                .map(|outcome| program.next(&call, outcome));
            assert_eq!(steps.last().map(|step| step.verb.name()), Some(last));
        }
    }
}
