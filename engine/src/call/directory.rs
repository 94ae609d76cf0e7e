//! Where a dialled target is found: the seam between calls and those who know phones, trunks and numbers.
use super::Refusal;
use super::caller::Caller;
use super::dial::DialTarget;
use super::program::CallInfo;
use crate::route::{OutboundLeg, Place};
use crate::trunk::{self, TrunkCall};
use std::pin::Pin;
use std::time::Duration;
use trunkline_sip::Origin;

/// A future without a name.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Knows where targets are and who may call them.
pub trait Directory: Send + Sync {
    /// What to ring for `target`, dialled by the call `call`; `caller_id` is shown to the callee instead of the caller's number.
    ///
    /// # Errors
    /// There is no such target, or this caller may not call it.
    fn find<'a>(
        &'a self,
        call: &'a CallInfo,
        caller: &'a Caller,
        target: &'a DialTarget,
        caller_id: Option<&'a str>,
    ) -> Boxed<'a, Result<Found, Refusal>>;

    /// The phones that a text message of this caller for `user` is sent to; never empty.
    ///
    /// # Errors
    /// There is no such user, or none of its phones is registered.
    fn phones(&self, caller: &Caller, user: &str) -> Result<Vec<OutboundLeg>, Refusal> {
        let _ = caller;
        let text = format!("endpoint {user}: nobody can be reached from here");
        Err(Refusal::new(404, "no-directory", text))
    }

    /// The place of a call that comes in, in the limits of whoever sends it; kept as long as its leg lives.
    ///
    /// # Errors
    /// A limit is reached.
    fn admit(&self, caller: &Caller) -> Result<Option<Place>, Refusal> {
        let _ = caller;
        Ok(None)
    }
}

/// What rings for one target.
pub struct Found {
    /// One after the other; what is in one stage rings at once.
    pub stages: Vec<Vec<Branch>>,
    /// How long each stage rings; `None`: as the dial says.
    pub ring: Option<Duration>,
    /// Nobody rings: the program of this number takes over the leg that is to be connected.
    pub program_of: Option<String>,
}

impl Found {
    /// All branches at once, for as long as the dial says.
    pub fn all(branches: Vec<Branch>) -> Found {
        Found {
            stages: vec![branches],
            ring: None,
            program_of: None,
        }
    }

    /// The program of a number.
    pub fn program_of(number: &str) -> Found {
        Found {
            program_of: Some(number.to_owned()),
            ..Found::all(Vec::new())
        }
    }
}

/// One phone or one trunk.
pub struct Branch {
    /// For logs and the CDR.
    pub label: String,
    /// The ways to it, tried one after the other.
    pub attempts: Box<dyn Attempts>,
    /// Who is behind it: what it may do, should it ask for something.
    pub party: Origin,
    /// Headers of every INVITE to it beside those of its ways.
    pub headers: Vec<(String, String)>,
    /// Who has transferred the call to it: the number that a phone of ours is shown.
    pub referred_by: Option<String>,
}

impl Branch {
    /// A branch that is a call through a trunk.
    pub fn trunk(call: TrunkCall) -> Branch {
        Branch {
            label: format!("trunk {}", call.trunk()),
            party: Origin::Peer(call.trunk().into()),
            headers: Vec::new(),
            referred_by: None,
            attempts: Box::new(call),
        }
    }

    /// A phone of a user.
    pub fn phone(user: &str, leg: OutboundLeg) -> Branch {
        Branch {
            party: Origin::User(user.into()),
            ..Branch::single(leg)
        }
    }

    /// A branch with one way to it.
    pub fn single(leg: OutboundLeg) -> Branch {
        Branch {
            label: leg.label.clone(),
            attempts: Box::new(Single(Some(leg))),
            party: Origin::Stranger,
            headers: Vec::new(),
            referred_by: None,
        }
    }
}

/// The ways to one callee, in order.
pub trait Attempts: Send + Sync {
    /// The next way and how long to wait for a first response on it; `None`: there is none left.
    fn next(&mut self) -> Option<(OutboundLeg, Option<Duration>)>;

    /// What became of the way handed out last; whether the next is worth trying.
    fn report(&mut self, outcome: AttemptOutcome) -> bool;

    /// When there may be a way again, once none is left.
    fn retry_after(&self) -> Option<Duration> {
        None
    }
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// Answered.
    Answered,
    /// No response in time.
    Timeout,
    /// Refused with that status, and what its Retry-After said.
    Status(u16, Option<Duration>),
    /// It could not be sent.
    Transport,
    /// Given up from our side while it rang.
    Cancelled,
}

struct Single(Option<OutboundLeg>);

impl Attempts for Single {
    fn next(&mut self) -> Option<(OutboundLeg, Option<Duration>)> {
        self.0.take().map(|leg| (leg, None))
    }

    fn report(&mut self, _: AttemptOutcome) -> bool {
        false
    }
}

impl Attempts for TrunkCall {
    fn next(&mut self) -> Option<(OutboundLeg, Option<Duration>)> {
        let leg = self.next_leg()?;
        Some((leg, Some(self.silence_limit())))
    }

    fn report(&mut self, outcome: AttemptOutcome) -> bool {
        self.learn(match outcome {
            AttemptOutcome::Answered => trunk::Outcome::Answered,
            AttemptOutcome::Timeout => trunk::Outcome::Timeout,
            AttemptOutcome::Status(status, retry_after) => {
                trunk::Outcome::Status(status, retry_after)
            }
            AttemptOutcome::Transport => trunk::Outcome::Transport,
            // Whoever gives up while it rings has learnt nothing about the target.
            AttemptOutcome::Cancelled => return false,
        })
    }

    fn retry_after(&self) -> Option<Duration> {
        self.exhausted().retry_after
    }
}

/// Nobody can be dialled.
pub struct NoDirectory;

impl Directory for NoDirectory {
    fn find<'a>(
        &'a self,
        _: &'a CallInfo,
        _: &'a Caller,
        target: &'a DialTarget,
        _: Option<&'a str>,
    ) -> Boxed<'a, Result<Found, Refusal>> {
        let text = format!("{target}: nobody can be dialled from here");
        Box::pin(async { Err(Refusal::new(404, "no-directory", text)) })
    }
}
