//! Trunks: carriers and other exchanges. Owns which of their targets are alive, whether we are registered there, how much may go
//! through them and what a call out to them looks like.
//!
//! One task per trunk resolves names, asks for life by OPTIONS and keeps the registration; what it learns is what
//! [`Trunks::dial`] answers from at once. Nothing here knows what a call does with its attempts.
mod attempts;
mod counters;
mod identity;
mod limits;
mod net;
mod numbers;
mod register;
mod registration;
mod state;
mod status;
mod targets;
mod trunks;
mod watch;

pub use attempts::{Outcome, TrunkCall};
pub use limits::Permit;
pub use net::{LookUp, Numeric, Resolve};
pub use status::{RegistrationStatus, TargetStatus, TrunkStatus};
pub use targets::State;
pub use trunks::Trunks;

use crate::net::sip::Hop;
use crate::route::Refusal;
use net::TrunkNet;
use std::fmt;
use std::time::Duration;

/// What a final outcome of a request says about the hop it went to.
fn outcome_heard(status: u16, response: Option<&trunkline_sip::Message>) -> targets::Heard {
    Outcome::rejected(status, response).heard()
}

/// Why a trunk does not take a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// SIP status for the caller.
    pub status: u16,
    /// A short, fixed name for log, counter and Reason header.
    pub rule: &'static str,
    /// What an operator should know.
    pub text: String,
    /// When it may make sense to try again.
    pub retry_after: Option<Duration>,
}

impl Refused {
    fn new(status: u16, rule: &'static str, text: String) -> Self {
        Refused {
            status,
            rule,
            text,
            retry_after: None,
        }
    }

    fn after(mut self, time: Duration) -> Self {
        self.retry_after = Some(time);
        self
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        Refusal::new(refused.status, refused.rule, refused.text).after(refused.retry_after)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (rule {})", self.text, self.rule)
    }
}

impl std::error::Error for Refused {}
