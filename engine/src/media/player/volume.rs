//! A gain that changes evenly, so that a change is no click.

use trunkline_dsp::mix;

/// A gain that changes evenly.
#[derive(Debug)]
pub(super) struct Volume {
    pub(super) now: f32,
    pub(super) to: f32,
    /// Samples of 8 kHz until it is reached.
    pub(super) left: u32,
}

impl Volume {
    pub(super) fn go_to(&mut self, ratio: f32, samples: u32) {
        (self.to, self.left) = (ratio, samples.max(1));
    }

    /// Whether it leaves audio as it is.
    pub(super) fn is_neutral(&self) -> bool {
        self.left == 0 && self.now == 1.0
    }

    /// Applies it to samples, of which so many make one of 8 kHz.
    pub(super) fn apply(&mut self, samples: &mut [i16], of_one: usize) {
        let changing = samples.len().min(self.left as usize * of_one);
        let (ramped, rest) = samples.split_at_mut(changing);
        if !ramped.is_empty() {
            let narrow = (changing / of_one) as u32;
            let step = (self.to - self.now) / self.left as f32;
            self.left -= narrow;
            let end = if self.left == 0 {
                self.to
            } else {
                self.now + step * narrow as f32
            };
            mix::ramp(ramped, self.now, end);
            self.now = end;
        }
        if self.now != 1.0 {
            mix::gain(rest, self.now);
        }
    }
}

/// The factor of a level in dB.
pub(super) fn ratio(db: f32) -> f32 {
    10f32.powf(db.clamp(-60.0, 20.0) / 20.0)
}
