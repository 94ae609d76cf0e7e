//! The recent past of a stream: a ring of its last samples.

/// Milliseconds that are kept.
const KEPT_MS: usize = 50;
/// Samples that are kept at 16 kHz.
pub(crate) const LONGEST: usize = KEPT_MS * 16;

/// The last 50 ms, silence before anything came.
#[derive(Clone, Debug)]
pub(crate) struct History {
    ring: [i16; LONGEST],
    length: usize,
    /// Where the next sample goes; the oldest is there.
    at: usize,
}

impl History {
    /// Silence at `per_ms` samples a millisecond, 16 at most.
    pub(crate) fn new(per_ms: usize) -> History {
        History {
            ring: [0; LONGEST],
            length: (KEPT_MS * per_ms).min(LONGEST),
            at: 0,
        }
    }

    /// Takes samples in the place of the oldest.
    pub(crate) fn keep(&mut self, samples: &[i16]) {
        let recent = &samples[samples.len().saturating_sub(self.length)..];
        let (before_end, from_start) = recent.split_at(recent.len().min(self.length - self.at));
        self.ring[self.at..self.at + before_end.len()].copy_from_slice(before_end);
        self.ring[..from_start.len()].copy_from_slice(from_start);
        self.at = (self.at + recent.len()) % self.length;
    }

    /// Writes the past into `out`, oldest first; returns the part that was written.
    pub(crate) fn unroll<'a>(&self, out: &'a mut [f32; LONGEST]) -> &'a mut [f32] {
        let (newer, older) = self.ring[..self.length].split_at(self.at);
        for (value, sample) in out.iter_mut().zip(older.iter().chain(newer)) {
            *value = f32::from(*sample);
        }
        &mut out[..self.length]
    }
}
