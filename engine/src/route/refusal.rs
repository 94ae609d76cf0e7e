//! Why something is refused: one shape for routes, trunks and calls.

/// Why a call is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// SIP status.
    pub status: u16,
    /// A short, fixed name for log, counter and Reason header.
    pub rule: &'static str,
    /// What an operator should know.
    pub text: String,
}

impl Refusal {
    /// A refusal by `rule`.
    pub fn new(status: u16, rule: &'static str, text: String) -> Self {
        Refusal { status, rule, text }
    }
}
