//! Owns the INVITE server transaction: RFC 3261 §17.2.1 with the Accepted state of RFC 6026 §7.1.
//!
//! A 2xx is retransmitted by the INVITE usage, never here. Timers: G retransmits a refusal, H waits for its ACK,
//! I absorbs repeated ACKs, L absorbs repeated INVITEs after a 2xx. A failed transport is no input: the state stays
//! (RFC 6026 §7.1), and the endpoint tells the usage.

use super::{Arm, End, Step};
use crate::timer::Timers;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Proceeding,
    Completed { interval: Duration },
    Confirmed,
    Accepted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// The INVITE came again.
    Request,
    Ack,
    /// The user responds 1xx, 2xx or 300–699.
    Provisional,
    Success,
    Failure,
    /// The retransmission timer (G) fired.
    Retransmit,
    /// The state timer (H, I or L) fired.
    Expire,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ServerInvite {
    state: State,
    reliable: bool,
}

impl ServerInvite {
    pub(crate) fn new(reliable: bool) -> Self {
        Self {
            state: State::Proceeding,
            reliable,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    pub(crate) fn step(&mut self, input: Input, timers: &Timers) -> Step {
        match (self.state, input) {
            (State::Proceeding, Input::Request | Input::Provisional) => Step::SEND,
            (State::Proceeding, Input::Success) => {
                self.state = State::Accepted;
                Step::SEND.linger(timers.lifetime())
            }
            (State::Proceeding, Input::Failure) => self.fail(timers),
            (State::Completed { .. }, Input::Request) => Step::SEND,
            (State::Completed { .. }, Input::Ack) => {
                self.state = State::Confirmed;
                Step::NONE.linger(if self.reliable {
                    Duration::ZERO
                } else {
                    timers.t4
                })
            }
            (State::Completed { interval }, Input::Retransmit) => {
                let interval = interval.saturating_mul(2).min(timers.t2);
                self.state = State::Completed { interval };
                Step {
                    retransmit: Arm::Set(interval),
                    ..Step::SEND
                }
            }
            (State::Completed { .. }, Input::Expire) => Step::ended(End::Timeout),
            (State::Confirmed | State::Accepted, Input::Expire) => Step::ended(End::Done),
            (State::Accepted, Input::Ack) => Step::DELIVER,
            (State::Accepted, Input::Success) => Step::SEND,
            _ => Step::NONE,
        }
    }

    fn fail(&mut self, timers: &Timers) -> Step {
        self.state = State::Completed {
            interval: timers.t1,
        };
        // RFC 3261 §17.2.1: timer G runs over unreliable transports only, timer H always.
        let retransmit = if self.reliable {
            Arm::Clear
        } else {
            Arm::Set(timers.t1)
        };
        Step {
            retransmit,
            expire: Arm::Set(timers.lifetime()),
            ..Step::SEND
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> Duration = Duration::from_millis;
    const COMPLETED: State = State::Completed { interval: MS_500 };
    const MS_500: Duration = Duration::from_millis(500);
    const L: Arm = Arm::Set(Duration::from_secs(32));

    fn run(reliable: bool, from: State, input: Input) -> (State, Step) {
        let mut machine = ServerInvite {
            state: from,
            reliable,
        };
        let step = machine.step(input, &Timers::default());
        (machine.state(), step)
    }

    #[test]
    fn every_state_and_input_over_udp() {
        use Input::*;
        use State::*;
        let accepted = Step {
            retransmit: Arm::Clear,
            expire: L,
            ..Step::SEND
        };
        let failed = Step {
            retransmit: Arm::Set(MS_500),
            expire: L,
            ..Step::SEND
        };
        let again = Step {
            retransmit: Arm::Set(MS(1000)),
            ..Step::SEND
        };
        let acked = Step {
            retransmit: Arm::Clear,
            expire: Arm::Set(MS(5000)),
            ..Step::NONE
        };
        let table = [
            (Proceeding, Request, Proceeding, Step::SEND),
            (Proceeding, Ack, Proceeding, Step::NONE),
            (Proceeding, Provisional, Proceeding, Step::SEND),
            (Proceeding, Success, Accepted, accepted),
            (Proceeding, Failure, COMPLETED, failed),
            (Proceeding, Retransmit, Proceeding, Step::NONE),
            (Proceeding, Expire, Proceeding, Step::NONE),
            (COMPLETED, Request, COMPLETED, Step::SEND),
            (COMPLETED, Ack, Confirmed, acked),
            (COMPLETED, Provisional, COMPLETED, Step::NONE),
            (COMPLETED, Success, COMPLETED, Step::NONE),
            (COMPLETED, Failure, COMPLETED, Step::NONE),
            (
                COMPLETED,
                Retransmit,
                Completed { interval: MS(1000) },
                again,
            ),
            (COMPLETED, Expire, COMPLETED, Step::ended(End::Timeout)),
            (Confirmed, Request, Confirmed, Step::NONE),
            (Confirmed, Ack, Confirmed, Step::NONE),
            (Confirmed, Provisional, Confirmed, Step::NONE),
            (Confirmed, Success, Confirmed, Step::NONE),
            (Confirmed, Failure, Confirmed, Step::NONE),
            (Confirmed, Retransmit, Confirmed, Step::NONE),
            (Confirmed, Expire, Confirmed, Step::ended(End::Done)),
            (Accepted, Request, Accepted, Step::NONE),
            (Accepted, Ack, Accepted, Step::DELIVER),
            (Accepted, Provisional, Accepted, Step::NONE),
            (Accepted, Success, Accepted, Step::SEND),
            (Accepted, Failure, Accepted, Step::NONE),
            (Accepted, Retransmit, Accepted, Step::NONE),
            (Accepted, Expire, Accepted, Step::ended(End::Done)),
        ];
        for (from, input, to, step) in table {
            assert_eq!(run(false, from, input), (to, step), "{from:?} {input:?}");
        }
    }

    #[test]
    fn timer_g_doubles_up_to_t2() {
        let mut machine = ServerInvite::new(false);
        machine.step(Input::Failure, &Timers::default());
        let intervals: Vec<_> = (0..5)
            .map(|_| {
                machine
                    .step(Input::Retransmit, &Timers::default())
                    .retransmit
            })
            .collect();
        assert_eq!(
            intervals,
            [1000, 2000, 4000, 4000, 4000].map(|ms| Arm::Set(MS(ms)))
        );
    }

    #[test]
    fn over_tcp_nothing_is_retransmitted_and_the_ack_ends_it() {
        let (_, step) = run(true, State::Proceeding, Input::Failure);
        assert_eq!(
            step,
            Step {
                retransmit: Arm::Clear,
                expire: L,
                ..Step::SEND
            }
        );
        let (_, step) = run(true, COMPLETED, Input::Ack);
        assert_eq!(step, Step::ended(End::Done));
        // RFC 6026 §7.1: L does not depend on the transport.
        let (_, step) = run(true, State::Proceeding, Input::Success);
        assert_eq!(step.expire, L);
    }
}
