//! Owns the non-INVITE server transaction: RFC 3261 §17.2.2.
//!
//! One addition bounds it: a request the application never answers is forgotten after 64·T1, when the client's
//! timer F has fired and no answer is of use (RFC 4320 §4.1). A failed transport is no input: the timers end it.

use super::{Arm, End, Step};
use crate::timer::Timers;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Trying,
    Proceeding,
    Completed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The request came again.
    Request,
    Provisional,
    Final,
    /// Timer J fired, or the bound of an unanswered request.
    Expire,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerNonInvite {
    state: State,
    reliable: bool,
}

impl ServerNonInvite {
    /// The machine and its first step.
    pub(crate) fn new(reliable: bool, timers: &Timers) -> (Self, Step) {
        let step = Step {
            expire: Arm::Set(timers.lifetime()),
            ..Step::NONE
        };
        (
            Self {
                state: State::Trying,
                reliable,
            },
            step,
        )
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn step(&mut self, input: Input, timers: &Timers) -> Step {
        match (self.state, input) {
            (State::Trying | State::Proceeding, Input::Final) => {
                self.state = State::Completed;
                Step::SEND.linger(if self.reliable {
                    Duration::ZERO
                } else {
                    timers.lifetime()
                })
            }
            (State::Trying | State::Proceeding, Input::Provisional) => {
                self.state = State::Proceeding;
                Step::SEND
            }
            (State::Proceeding | State::Completed, Input::Request) => Step::SEND,
            (State::Trying | State::Proceeding, Input::Expire) => Step::ended(End::Timeout),
            (State::Completed, Input::Expire) => Step::ended(End::Done),
            (State::Trying, Input::Request)
            | (State::Completed, Input::Provisional | Input::Final) => Step::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_input_over_udp() {
        use Input::*;
        use State::*;
        let j = Step {
            retransmit: Arm::Clear,
            expire: Arm::Set(Duration::from_secs(32)),
            ..Step::SEND
        };
        let table = [
            (Trying, Request, Trying, Step::NONE),
            (Trying, Provisional, Proceeding, Step::SEND),
            (Trying, Final, Completed, j),
            (Trying, Expire, Trying, Step::ended(End::Timeout)),
            (Proceeding, Request, Proceeding, Step::SEND),
            (Proceeding, Provisional, Proceeding, Step::SEND),
            (Proceeding, Final, Completed, j),
            (Proceeding, Expire, Proceeding, Step::ended(End::Timeout)),
            (Completed, Request, Completed, Step::SEND),
            (Completed, Provisional, Completed, Step::NONE),
            (Completed, Final, Completed, Step::NONE),
            (Completed, Expire, Completed, Step::ended(End::Done)),
        ];
        for (from, input, to, step) in table {
            let mut machine = ServerNonInvite {
                state: from,
                reliable: false,
            };
            assert_eq!(
                machine.step(input, &Timers::default()),
                step,
                "{from:?} {input:?}"
            );
            assert_eq!(machine.state(), to, "{from:?} {input:?}");
        }
    }

    #[test]
    fn over_tcp_the_final_response_ends_it() {
        let (mut machine, first) = ServerNonInvite::new(true, &Timers::default());
        assert_eq!(first.expire, Arm::Set(Duration::from_secs(32)));
        let step = machine.step(Input::Final, &Timers::default());
        assert_eq!((step.send, step.end), (true, Some(End::Done)));
    }
}
