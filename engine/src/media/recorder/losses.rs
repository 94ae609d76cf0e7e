//! What a recording lost, and where.
//!
//! Limit: the first [`MAX_GAPS`] places are named; the sum counts them all.

/// Places that are named.
const MAX_GAPS: usize = 16;

/// A stretch of a recording that holds silence because its audio could not be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordingGap {
    /// Where it begins in the file, in ms.
    pub at_ms: u32,
    /// How long it is, in ms.
    pub ms: u32,
}

/// The losses of one recording, in samples at the file's rate.
#[derive(Debug, Default)]
pub(super) struct Losses {
    gaps: Vec<(u64, u64)>,
    total: u64,
}

impl Losses {
    /// Takes note of `samples` missing from the place `at`.
    pub(super) fn note(&mut self, at: u64, samples: u64) {
        self.total += samples;
        if let Some((begin, length)) = self.gaps.last_mut()
            && *begin + *length == at
        {
            *length += samples;
        } else if samples > 0 && self.gaps.len() < MAX_GAPS {
            self.gaps.push((at, samples));
        }
    }

    pub(super) fn total_ms(&self, rate_hz: u32) -> u32 {
        ms(self.total, rate_hz)
    }

    pub(super) fn gaps(&self, rate_hz: u32) -> Vec<RecordingGap> {
        let gap = |(at, samples): &(u64, u64)| RecordingGap {
            at_ms: ms(*at, rate_hz),
            ms: ms(*samples, rate_hz),
        };
        self.gaps.iter().map(gap).collect()
    }

    /// One line for the file itself; nothing if nothing is missing.
    pub(super) fn sentence(&self, rate_hz: u32) -> Option<String> {
        if self.total == 0 {
            return None;
        }
        let places: Vec<String> = self
            .gaps(rate_hz)
            .iter()
            .map(|gap| format!("{} ms at {} ms", gap.ms, gap.at_ms))
            .collect();
        Some(format!(
            "audio lost: {} ms in all; silence stands for it: {}",
            self.total_ms(rate_hz),
            places.join(", ")
        ))
    }
}

/// Samples as time.
pub(super) fn ms(samples: u64, rate_hz: u32) -> u32 {
    u32::try_from(samples * 1000 / u64::from(rate_hz.max(1))).unwrap_or(u32::MAX)
}
