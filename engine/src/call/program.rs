//! The `Program` trait: a pure state machine that drives a call. Outcome in, verb out; it holds no clock, socket or file.
use super::text_message::{TextMessage, Verdict};
use super::verb::{Outcome, Verb};
use std::time::{Duration, SystemTime};

/// Which way a call was set up, seen from Trunkline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// The far end called us.
    Inbound,
    /// We placed the call.
    Outbound,
}

impl Direction {
    /// `inbound` or `outbound`.
    pub fn word(self) -> &'static str {
        match self {
            Direction::Inbound => "inbound",
            Direction::Outbound => "outbound",
        }
    }
}

/// What a program may know of the call it drives.
#[derive(Debug, Clone)]
pub struct CallInfo {
    /// The id by which logs, metrics and records name this call, e.g. `c-4f2a91`.
    pub id: String,
    /// Which way the call was set up.
    pub direction: Direction,
    /// The caller: user part of the From URI, or the whole URI where it has none.
    pub from: String,
    /// The called number or name: user part of the Request-URI.
    pub to: String,
}

/// One decision of a program.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What to do next.
    pub verb: Verb,
    /// Where in the program this came from (a node id), for the log.
    pub at: String,
}

/// A program that drives one call.
///
/// The executor calls [`next`](Program::next) with [`Outcome::Begin`] first, then with the outcome of each verb it was
/// given. After [`Outcome::HungUp`] or [`Outcome::HandedOver`] the returned step is ignored and the program is dropped: it may use that turn to
/// settle its state. A program must never answer [`Outcome::Failed`] with the same verb for ever: the executor ends a call whose
/// program makes more than 1,000 steps without media, input or waiting in between.
pub trait Program: Send {
    /// The program's name, for the log.
    fn name(&self) -> &str;

    /// How long a call may last with this program; the executor ends it then.
    fn max_duration(&self) -> Option<Duration> {
        None
    }

    /// Days that what it has recorded stays; `None`: as `[recordings]` says.
    fn keep_days(&self) -> Option<u32> {
        None
    }

    /// The time of day of the turn that follows: a program has no clock of its own.
    fn at(&mut self, now: SystemTime) {
        let _ = now;
    }

    /// Takes the outcome of the last verb and decides on the next one.
    fn next(&mut self, call: &CallInfo, outcome: Outcome) -> Step;

    /// Takes a text message of a far end of the call, or not. Also asked of a fresh program when somebody known sends one to its number
    /// outside any call: then it is the only thing the program is ever told.
    fn message(&mut self, call: &CallInfo, message: &TextMessage) -> Verdict {
        let (_, _) = (call, message);
        Verdict::NotTaken
    }
}
