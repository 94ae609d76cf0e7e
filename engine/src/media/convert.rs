//! Brings a frame to the rate that is wanted. Owns the filters' past for one direction of one stream; never allocates.

use trunkline_dsp::resample::{Down2, Up2};

use super::codec::AudioRate;
use super::frame::Frame;

/// Rate conversion both ways, with silence in its past.
#[derive(Debug, Clone, Default)]
pub(crate) struct Converter {
    up: Up2,
    down: Down2,
}

impl Converter {
    /// Writes the frame to `out` at a rate. Digital silence stays that.
    pub(crate) fn convert(&mut self, frame: &Frame, rate: AudioRate, out: &mut Frame) {
        match (frame.rate(), rate) {
            (AudioRate::Narrow, AudioRate::Wide) => {
                self.up.process(frame.samples(), out.fill_at(rate));
            }
            (AudioRate::Wide, AudioRate::Narrow) => {
                self.down.process(frame.samples(), out.fill_at(rate));
            }
            (AudioRate::Narrow, AudioRate::Narrow) | (AudioRate::Wide, AudioRate::Wide) => {
                out.clone_from(frame);
            }
        }
    }
}
