//! Owns the non-INVITE client transaction: RFC 3261 §17.1.2. Timers: E retransmits, F gives up, K absorbs
//! repeated final responses.

use super::{Arm, End, Step};
use crate::timer::Timers;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Trying { interval: Duration },
    Proceeding,
    Completed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    Provisional,
    Final,
    /// Timer E fired.
    Retransmit,
    /// Timer F or K fired.
    Expire,
    TransportError,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientNonInvite {
    state: State,
    reliable: bool,
}

impl ClientNonInvite {
    /// The machine and its first step: the request goes out.
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
                state: State::Trying {
                    interval: timers.t1,
                },
                reliable,
            },
            step,
        )
    }

    #[cfg(test)]
    fn state(&self) -> State {
        self.state
    }

    pub(crate) fn step(&mut self, input: Input, timers: &Timers) -> Step {
        match (self.state, input) {
            (State::Trying { .. } | State::Proceeding, Input::Provisional) => {
                self.state = State::Proceeding;
                Step::DELIVER
            }
            (State::Trying { .. } | State::Proceeding, Input::Final) => {
                self.state = State::Completed;
                Step::DELIVER.linger(if self.reliable {
                    Duration::ZERO
                } else {
                    timers.t4
                })
            }
            (State::Trying { interval }, Input::Retransmit) => {
                let interval = interval.saturating_mul(2).min(timers.t2);
                self.state = State::Trying { interval };
                Step {
                    retransmit: Arm::Set(interval),
                    ..Step::SEND
                }
            }
            (State::Proceeding, Input::Retransmit) => Step {
                retransmit: Arm::Set(timers.t2),
                ..Step::SEND
            },
            (State::Trying { .. } | State::Proceeding, Input::Expire) => Step::ended(End::Timeout),
            (State::Completed, Input::Expire) => Step::ended(End::Done),
            (State::Trying { .. } | State::Proceeding, Input::TransportError) => {
                Step::ended(End::Transport)
            }
            (State::Completed, _) => Step::NONE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T1: Duration = Duration::from_millis(500);
    const TRYING: State = State::Trying { interval: T1 };

    #[test]
    fn every_state_and_input_over_udp() {
        use Input::*;
        use State::*;
        let k = Step {
            retransmit: Arm::Clear,
            expire: Arm::Set(Duration::from_secs(5)),
            ..Step::DELIVER
        };
        let doubled = Step {
            retransmit: Arm::Set(T1 * 2),
            ..Step::SEND
        };
        let slow = Step {
            retransmit: Arm::Set(Duration::from_secs(4)),
            ..Step::SEND
        };
        let table = [
            (TRYING, Provisional, Proceeding, Step::DELIVER),
            (TRYING, Final, Completed, k),
            (TRYING, Retransmit, Trying { interval: T1 * 2 }, doubled),
            (TRYING, Expire, TRYING, Step::ended(End::Timeout)),
            (TRYING, TransportError, TRYING, Step::ended(End::Transport)),
            (Proceeding, Provisional, Proceeding, Step::DELIVER),
            (Proceeding, Final, Completed, k),
            (Proceeding, Retransmit, Proceeding, slow),
            (Proceeding, Expire, Proceeding, Step::ended(End::Timeout)),
            (
                Proceeding,
                TransportError,
                Proceeding,
                Step::ended(End::Transport),
            ),
            (Completed, Provisional, Completed, Step::NONE),
            (Completed, Final, Completed, Step::NONE),
            (Completed, Retransmit, Completed, Step::NONE),
            (Completed, Expire, Completed, Step::ended(End::Done)),
            (Completed, TransportError, Completed, Step::NONE),
        ];
        for (from, input, to, step) in table {
            let mut machine = ClientNonInvite {
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
    fn timer_e_doubles_up_to_t2() {
        let (mut machine, _) = ClientNonInvite::new(false, &Timers::default());
        let intervals: Vec<_> = (0..5)
            .map(|_| {
                machine
                    .step(Input::Retransmit, &Timers::default())
                    .retransmit
            })
            .collect();
        assert_eq!(
            intervals,
            [1000, 2000, 4000, 4000, 4000].map(|ms| Arm::Set(Duration::from_millis(ms)))
        );
    }

    #[test]
    fn over_tcp_the_final_response_ends_it() {
        let (mut machine, first) = ClientNonInvite::new(true, &Timers::default());
        assert_eq!(first.retransmit, Arm::Keep);
        assert_eq!(
            machine.step(Input::Final, &Timers::default()).end,
            Some(End::Done)
        );
    }
}
