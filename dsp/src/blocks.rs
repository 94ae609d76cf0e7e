//! Levels of blocks of a fixed length, whatever the length of the slices the audio comes in.
//!
//! A constant offset is not sound: it is taken away.

use crate::level;

/// Gathers samples into blocks.
#[derive(Clone, Debug)]
pub(crate) struct Blocks {
    samples: u32,
    filled: u32,
    sum: i64,
    energy: u64,
}

impl Blocks {
    /// Blocks of so many samples, at least one.
    pub(crate) fn new(samples: u32) -> Blocks {
        Blocks {
            samples: samples.max(1),
            filled: 0,
            sum: 0,
            energy: 0,
        }
    }

    /// Takes samples from the front of `rest` until a block is complete, and tells its level in dBm0; `None`: all are taken and none is.
    pub(crate) fn next(&mut self, rest: &mut &[i16]) -> Option<f32> {
        let wanted = (self.samples - self.filled) as usize;
        let (part, after) = rest.split_at(wanted.min(rest.len()));
        *rest = after;
        self.sum += part.iter().map(|sample| i64::from(*sample)).sum::<i64>();
        self.energy += level::energy(part);
        self.filled += part.len() as u32;
        if self.filled < self.samples {
            return None;
        }
        let count = f64::from(self.samples);
        let mean = self.sum as f64 / count;
        let power = (self.energy as f64 / count - mean * mean).max(0.0);
        (self.filled, self.sum, self.energy) = (0, 0, 0);
        Some(level::power_to_dbm0(power as f32))
    }
}
