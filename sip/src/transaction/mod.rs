//! Owns the four transaction state machines of RFC 3261 §17 with the corrections of RFC 6026.
//!
//! The machines are pure: an input goes in, a [`Step`] says what to do. They hold no message, no address and no
//! clock. Each has two timers: one that retransmits (A, E, G) and one that ends a state (B, D, F, H, I, J, K, L,
//! M); arming one again replaces it.

pub(crate) mod client_invite;
pub(crate) mod client_non_invite;
pub(crate) mod key;
pub(crate) mod server_invite;
pub(crate) mod server_non_invite;

use std::time::Duration;

/// What happens to one of the two timers of a transaction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Arm {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken back.
    Clear,
    /// It fires this much later; a running one is replaced.
    Set(Duration),
}

/// Why a transaction ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its last state ran out, as it should.
    Done,
    /// Timer B or F, H, or a request the application left unanswered.
    Timeout,
    /// The transport cannot deliver.
    Transport,
}

/// What the owner of a transaction does after an input, in this order: send, ack, timers, deliver, end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Send the request (client) or the latest response (server).
    pub(crate) send: bool,
    /// Send the ACK of a refused INVITE (client INVITE only).
    pub(crate) ack: bool,
    /// Hand the message to the transaction's user.
    pub(crate) deliver: bool,
    /// The retransmission timer.
    pub(crate) retransmit: Arm,
    /// The timer that ends the state.
    pub(crate) expire: Arm,
    /// The transaction is gone.
    pub(crate) end: Option<End>,
}

impl Step {
    /// Nothing to do: the input is absorbed.
    pub(crate) const NONE: Step = Step {
        send: false,
        ack: false,
        deliver: false,
        retransmit: Arm::Keep,
        expire: Arm::Keep,
        end: None,
    };

    /// Send and nothing else.
    pub(crate) const SEND: Step = Step {
        send: true,
        ..Step::NONE
    };

    /// Deliver and nothing else.
    pub(crate) const DELIVER: Step = Step {
        deliver: true,
        ..Step::NONE
    };

    /// The transaction ends.
    pub(crate) const fn ended(end: End) -> Step {
        Step {
            retransmit: Arm::Clear,
            expire: Arm::Clear,
            end: Some(end),
            ..Step::NONE
        }
    }

    /// Ends a state after `after`; none at all where the standard makes the timer zero (reliable transports).
    pub(crate) fn linger(mut self, after: Duration) -> Step {
        self.retransmit = Arm::Clear;
        if after.is_zero() {
            self.expire = Arm::Clear;
            self.end = Some(End::Done);
        } else {
            self.expire = Arm::Set(after);
        }
        self
    }
}
