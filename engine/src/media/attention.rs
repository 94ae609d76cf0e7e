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
    /// Who answers, in a network of that plan: [`MediaEvent::AnsweringBegins`] and [`MediaEvent::Answering`].
    pub answering: Option<(&'static Plan, answering::Settings)>,
}

/// The detectors of one channel.
#[derive(Debug)]
pub(crate) struct Attentive {
    wanted: Attention,
    rate_hz: u32,
    tones: Option<Listener>,
    answering: Option<Detector>,
    /// It is not told yet that the times of `answering` run.
    untold: bool,
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
            untold: true,
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
            if std::mem::take(&mut self.untold) {
                tell(MediaEvent::AnsweringBegins);
            }
            answering.process(frame, |finding| tell(MediaEvent::Answering(finding)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_with_the_first_frame_that_the_times_run() {
        let plan = Plan::to_hear("any").unwrap();
        let wanted = Attention {
            tones: None,
            answering: Some((plan, answering::Settings::default())),
        };
        let mut attentive = Attentive::new(wanted).unwrap();
        let mut begun = |samples: usize| {
            let mut told = Vec::new();
            attentive.hear(&vec![0; samples], |event| told.push(event));
            told == [MediaEvent::AnsweringBegins]
        };
        assert_eq!(
            [160, 160, 320, 320].map(&mut begun),
            [true, false, true, false]
        );
    }
}
