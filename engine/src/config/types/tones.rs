//! `[tones]`: the tones of the network.
use trunkline_dsp::progress::Plan;

/// `[tones]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tones {
    /// Whose tones callers hear.
    pub country: &'static Plan,
}
