//! Why something is refused: one shape for routes, trunks and calls.

use std::time::Duration;

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// SIP status.
    pub status: u16,
    /// A short, fixed name for log, counter and Reason header.
    pub rule: &'static str,
    /// What an operator should know.
    pub text: String,
    /// When it may make sense to try again, for Retry-After (RFC 3261 section 20.33).
    pub retry_after: Option<Duration>,
}

impl Refusal {
    /// A refusal by `rule`.
    pub fn new(status: u16, rule: &'static str, text: String) -> Self {
        Refusal {
            status,
            rule,
            text,
            retry_after: None,
        }
    }

    /// No new calls are taken: the server is about to stop.
    pub fn draining() -> Self {
        Refusal::new(503, "draining", "the server is about to stop".to_owned())
    }

    /// The same, to be tried again after that time.
    pub fn after(self, time: Option<Duration>) -> Self {
        Refusal {
            retry_after: time,
            ..self
        }
    }
}

/// The value of a Retry-After header: whole seconds, at least one.
pub fn retry_after_value(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    seconds.max(1).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_never_too_early() {
        for (ms, value) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2"), (77_000, "77")] {
            assert_eq!(retry_after_value(Duration::from_millis(ms)), value);
        }
    }
}
