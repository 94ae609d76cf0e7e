//! Owns the INVITE client transaction: RFC 3261 §17.1.1 with the Accepted state of RFC 6026 §7.2.
//!
//! The ACK of a refusal is part of it; the ACK of a 2xx is the INVITE usage's. Timers: A retransmits, B gives up,
//! D absorbs repeated refusals, M waits for the 2xx of further forks.

use super::{Arm, End, Step};
use crate::timer::Timers;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Calling { interval: Duration },
    Proceeding,
    Completed,
    Accepted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Provisional,
    Success,
    Failure,
    /// Timer A fired.
    Retransmit,
    /// Timer B, D or M fired.
    Expire,
    TransportError,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientInvite {
    state: State,
    reliable: bool,
}

impl ClientInvite {
    /// The machine and its first step: the INVITE goes out.
    pub(crate) fn new(reliable: bool, timers: &Timers) -> (Self, Step) {
        let retransmit = if reliable {
            Arm::Keep
        } else {
            Arm::Set(timers.t1)
        };
        let step = Step {
            retransmit,
            expire: Arm::Set(timers.lifetime()),
            ..Step::SEND
        };
        (
            Self {
                state: State::Calling {
                    interval: timers.t1,
                },
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
            (State::Calling { .. }, Input::Provisional) => {
                self.state = State::Proceeding;
                Step {
                    retransmit: Arm::Clear,
                    expire: Arm::Clear,
                    ..Step::DELIVER
                }
            }
            (State::Proceeding, Input::Provisional) => Step::DELIVER,
            (State::Calling { .. } | State::Proceeding, Input::Success) => {
                self.state = State::Accepted;
                Step::DELIVER.linger(timers.lifetime())
            }
            (State::Calling { .. } | State::Proceeding, Input::Failure) => self.fail(timers),
            (State::Calling { interval }, Input::Retransmit) => {
                let interval = interval.saturating_mul(2);
                self.state = State::Calling { interval };
                Step {
                    retransmit: Arm::Set(interval),
                    ..Step::SEND
                }
            }
            (State::Calling { .. } | State::Proceeding, Input::Expire) => Step::ended(End::Timeout),
            (State::Completed, Input::Failure) => Step {
                ack: true,
                ..Step::NONE
            },
            (State::Completed | State::Accepted, Input::Expire) => Step::ended(End::Done),
            (State::Accepted, Input::Success) => Step::DELIVER,
            // RFC 6026 §7.2: in Accepted the user is told and the state stays; only timer M ends it.
            (State::Accepted, Input::TransportError) => Step::NONE,
            (_, Input::TransportError) => Step::ended(End::Transport),
            _ => Step::NONE,
        }
    }

    fn fail(&mut self, timers: &Timers) -> Step {
        self.state = State::Completed;
        let absorb = if self.reliable {
            Duration::ZERO
        } else {
            timers.td
        };
        Step {
            ack: true,
            ..Step::DELIVER
        }
        .linger(absorb)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: Duration = Duration::from_millis(500);
    const CALLING: State = State::Calling { interval: T1 };

    #[test]
    fn every_state_and_input_over_udp() {
        use Input::*;
        use State::*;
        let lifetime = Arm::Set(Duration::from_secs(32));
        let quiet = Step {
            retransmit: Arm::Clear,
            expire: Arm::Clear,
            ..Step::DELIVER
        };
        let accepted = Step {
            retransmit: Arm::Clear,
            expire: lifetime,
            ..Step::DELIVER
        };
        let failed = Step {
            ack: true,
            ..accepted
        };
        let again = Step {
            retransmit: Arm::Set(T1 * 2),
            ..Step::SEND
        };
        let ack = Step {
            ack: true,
            ..Step::NONE
        };
        let table = [
            (CALLING, Provisional, Proceeding, quiet),
            (CALLING, Success, Accepted, accepted),
            (CALLING, Failure, Completed, failed),
            (CALLING, Retransmit, Calling { interval: T1 * 2 }, again),
            (CALLING, Expire, CALLING, Step::ended(End::Timeout)),
            (
                CALLING,
                TransportError,
                CALLING,
                Step::ended(End::Transport),
            ),
            (Proceeding, Provisional, Proceeding, Step::DELIVER),
            (Proceeding, Success, Accepted, accepted),
            (Proceeding, Failure, Completed, failed),
            (Proceeding, Retransmit, Proceeding, Step::NONE),
            (Proceeding, Expire, Proceeding, Step::ended(End::Timeout)),
            (
                Proceeding,
                TransportError,
                Proceeding,
                Step::ended(End::Transport),
            ),
            (Completed, Provisional, Completed, Step::NONE),
            (Completed, Success, Completed, Step::NONE),
            (Completed, Failure, Completed, ack),
            (Completed, Retransmit, Completed, Step::NONE),
            (Completed, Expire, Completed, Step::ended(End::Done)),
            (
                Completed,
                TransportError,
                Completed,
                Step::ended(End::Transport),
            ),
            (Accepted, Provisional, Accepted, Step::NONE),
            (Accepted, Success, Accepted, Step::DELIVER),
            (Accepted, Failure, Accepted, Step::NONE),
            (Accepted, Retransmit, Accepted, Step::NONE),
            (Accepted, Expire, Accepted, Step::ended(End::Done)),
            (Accepted, TransportError, Accepted, Step::NONE),
        ];
        for (from, input, to, step) in table {
            let mut machine = ClientInvite {
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
    fn timer_a_doubles_without_a_cap() {
        let (mut machine, first) = ClientInvite::new(false, &Timers::default());
        assert_eq!(first.retransmit, Arm::Set(T1));
        let intervals: Vec<_> = (0..5)
            .map(|_| {
                machine
                    .step(Input::Retransmit, &Timers::default())
                    .retransmit
            })
            .collect();
        assert_eq!(intervals, [2, 4, 8, 16, 32].map(|n| Arm::Set(T1 * n)));
    }

    #[test]
    fn over_tcp_nothing_is_retransmitted_and_a_refusal_ends_it() {
        let (mut machine, first) = ClientInvite::new(true, &Timers::default());
        assert_eq!(
            first,
            Step {
                expire: Arm::Set(T1 * 64),
                ..Step::SEND
            }
        );
        let step = machine.step(Input::Failure, &Timers::default());
        assert_eq!(
            (step.ack, step.deliver, step.end),
            (true, true, Some(End::Done))
        );
    }
}
