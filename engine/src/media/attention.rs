//! What is listened for in the audio of a peer besides keys, speech and beeps: tones of the network and of fax machines, and who answered.
//!
//! Made by the handle, since both detectors are too large for a channel that has none; freed elsewhere.

use trunkline_dsp::answering::{self, Detector};
use trunkline_dsp::progress::{Listener, Plan};

use super::event::MediaEvent;

/// What is wanted of [`Command::Attend`](super::Command::Attend).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Attention {
    /// The tones of that plan: [`MediaEvent::Tone`].
    pub tones: Option<&'static Plan>,
    /// Who answers, in a network of that plan: [`MediaEvent::Answering`].
    pub answering: Option<(&'static Plan, answering::Settings)>,
}

/// The detectors of one channel.
#[derive(Debug)]
pub(crate) struct Attentive {
    wanted: Attention,
    rate_hz: u32,
    tones: Option<Listener>,
    answering: Option<Detector>,
}

impl Attentive {
    /// `None` where nothing is wanted.
    pub(crate) fn new(wanted: Attention) -> Option<Box<Attentive>> {
        (wanted != Attention::default()).then(|| Box::new(Attentive::at(wanted, 8000)))
    }

    fn at(wanted: Attention, rate_hz: u32) -> Attentive {
        Attentive {
            wanted,
            rate_hz,
            tones: wanted.tones.map(|plan| Listener::new(rate_hz, plan)),
            answering: wanted
                .answering
                .map(|(plan, settings)| Detector::new(rate_hz, plan, settings)),
        }
    }

    /// Takes a received frame, 20 ms.
    pub(crate) fn hear(&mut self, frame: &[i16], mut tell: impl FnMut(MediaEvent)) {
        let rate_hz = frame.len() as u32 * 50;
        if rate_hz != self.rate_hz {
            *self = Attentive::at(self.wanted, rate_hz);
        }
        if let Some(tones) = &mut self.tones {
            tones.process(frame, |heard| tell(MediaEvent::Tone(heard)));
        }
        if let Some(answering) = &mut self.answering {
            answering.process(frame, |finding| tell(MediaEvent::Answering(finding)));
        }
    }
}
