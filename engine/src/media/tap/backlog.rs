//! Audio of a program that waits to be played, and the marks in it.
//!
//! Limits: [`LONGEST_S`] seconds of audio, [`MARKS`] marks; what is beyond is refused.

use std::collections::VecDeque;

/// Seconds of audio that can wait: ten minutes.
pub(super) const LONGEST_S: u64 = 600;
/// Marks that can wait.
pub(super) const MARKS: usize = 10_000;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    samples: VecDeque<i16>,
    /// Marks, each with the number of the sample before which it stands, counted from the first ever queued.
    marks: VecDeque<(u64, u32)>,
    /// Samples taken so far.
    taken: u64,
    limit: usize,
}

impl Backlog {
    pub(super) fn new(rate_hz: u32) -> Backlog {
        Backlog {
            limit: (LONGEST_S * u64::from(rate_hz)) as usize,
            ..Backlog::default()
        }
    }

    pub(super) fn samples(&self) -> usize {
        self.samples.len()
    }

    /// Queues what there is room for and returns how many samples that is.
    pub(super) fn queue(&mut self, samples: &[i16]) -> usize {
        let fits = samples.len().min(self.limit - self.samples.len());
        self.samples.extend(&samples[..fits]);
        fits
    }

    /// Queues a mark behind everything. Returns whether there was room.
    pub(super) fn mark(&mut self, mark: u32) -> bool {
        if self.marks.len() >= MARKS {
            return false;
        }
        let at = self.taken + self.samples.len() as u64;
        self.marks.push_back((at, mark));
        true
    }

    /// Takes up to `out.len()` samples and returns how many there were.
    pub(super) fn take(&mut self, out: &mut [i16]) -> usize {
        let count = out.len().min(self.samples.len());
        for (place, sample) in out.iter_mut().zip(self.samples.drain(..count)) {
            *place = sample;
        }
        self.taken += count as u64;
        if self.samples.is_empty() && self.samples.capacity() > 1 << 16 {
            self.samples = VecDeque::new();
        }
        count
    }

    /// The next mark, if nothing is queued before it any more.
    pub(super) fn take_mark(&mut self) -> Option<u32> {
        let due = |(at, _): &mut (u64, u32)| *at <= self.taken;
        self.marks.pop_front_if(due).map(|(_, mark)| mark)
    }

    /// Forgets everything and returns the marks that were queued.
    pub(super) fn clear(&mut self) -> Vec<u32> {
        self.samples = VecDeque::new();
        self.marks.drain(..).map(|(_, mark)| mark).collect()
    }
}
