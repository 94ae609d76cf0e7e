//! A frame: 20 ms of linear audio at one of two rates, as it goes from part to part of the loop. Fixed size, never allocates.

use super::codec::AudioRate;

/// Samples of the longest frame.
pub const LONGEST_FRAME: usize = 320;

/// 20 ms of linear audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    rate: AudioRate,
    /// Known to be digital silence.
    silent: bool,
    samples: [i16; LONGEST_FRAME],
}

impl Frame {
    /// Silence.
    pub const fn silence(rate: AudioRate) -> Frame {
        Frame {
            rate,
            silent: true,
            samples: [0; LONGEST_FRAME],
        }
    }

    /// The sampling rate.
    pub const fn rate(&self) -> AudioRate {
        self.rate
    }

    /// The samples: 160 at 8 kHz, 320 at 16 kHz.
    pub fn samples(&self) -> &[i16] {
        &self.samples[..self.rate.samples_per_frame()]
    }

    /// The samples, to be written; the frame counts as sounding from now on.
    pub fn samples_mut(&mut self) -> &mut [i16] {
        self.silent = false;
        &mut self.samples[..self.rate.samples_per_frame()]
    }

    /// Makes it silence, at a rate. Costs nothing where it is known to be.
    pub fn silence_at(&mut self, rate: AudioRate) {
        self.rate = rate;
        if !std::mem::replace(&mut self.silent, true) {
            self.samples.fill(0);
        }
    }

    /// The samples at a rate, to be written in full: what was there before is left as it is.
    pub fn fill_at(&mut self, rate: AudioRate) -> &mut [i16] {
        self.rate = rate;
        self.samples_mut()
    }

    /// Whether it is known to be digital silence. `false` says nothing.
    pub const fn is_silence(&self) -> bool {
        self.silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_as_long_as_its_rate_says() {
        let mut frame = Frame::silence(AudioRate::Narrow);
        assert_eq!((frame.samples().len(), frame.is_silence()), (160, true));
        frame.fill_at(AudioRate::Wide).fill(7);
        assert_eq!(
            (frame.samples(), frame.is_silence()),
            (&[7; 320][..], false)
        );
        frame.silence_at(AudioRate::Narrow);
        assert_eq!(frame, Frame::silence(AudioRate::Narrow));
    }
}
