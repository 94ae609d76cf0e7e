//! Speech and beeps in what a peer says, told as events where they are asked for.

use trunkline_dsp::beep::BeepDetector;
use trunkline_dsp::speech::SpeechDetector;

use super::event::MediaEvent;

/// Which events are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Listening {
    /// [`MediaEvent::SpeechBegin`] and [`MediaEvent::SpeechEnd`].
    pub speech: bool,
    /// [`MediaEvent::Beep`].
    pub beep: bool,
}

/// The detectors of one channel.
#[derive(Debug)]
pub(crate) struct Ears {
    wanted: Listening,
    rate_hz: u32,
    speech: SpeechDetector,
    beep: BeepDetector,
    /// Frames since speech began.
    speaking: Option<u32>,
}

impl Ears {
    /// `None` where nothing is wanted. Allocates.
    pub(crate) fn new(wanted: Listening) -> Option<Box<Ears>> {
        let ears = || Ears {
            wanted,
            rate_hz: 8000,
            speech: SpeechDetector::new(8000),
            beep: BeepDetector::new(8000),
            speaking: None,
        };
        (wanted != Listening::default()).then(|| Box::new(ears()))
    }

    /// Takes the place of what was wanted before: what both want goes on as it was.
    pub(crate) fn follow(&mut self, before: &Ears) {
        self.rate_hz = before.rate_hz;
        match self.wanted.speech && before.wanted.speech {
            true => (self.speech, self.speaking) = (before.speech.clone(), before.speaking),
            false => self.speech = SpeechDetector::new(self.rate_hz),
        }
        match self.wanted.beep && before.wanted.beep {
            true => self.beep = before.beep.clone(),
            false => self.beep = BeepDetector::new(self.rate_hz),
        }
    }

    /// Takes a received frame, 20 ms.
    pub(crate) fn hear(&mut self, frame: &[i16], mut tell: impl FnMut(MediaEvent)) {
        let rate_hz = frame.len() as u32 * 50;
        if rate_hz != self.rate_hz {
            self.rate_hz = rate_hz;
            self.speech = SpeechDetector::new(rate_hz);
            self.beep = BeepDetector::new(rate_hz);
        }
        if self.wanted.beep {
            self.beep.process(frame, |beep| {
                tell(MediaEvent::Beep {
                    hz: beep.hz,
                    duration_ms: beep.duration_ms,
                });
            });
        }
        if self.wanted.speech {
            let speech = self.speech.process(frame);
            match &mut self.speaking {
                Some(frames) if speech => *frames += 1,
                Some(frames) => {
                    let duration_ms = *frames * 20;
                    self.speaking = None;
                    tell(MediaEvent::SpeechEnd { duration_ms });
                }
                None if speech => {
                    self.speaking = Some(1);
                    tell(MediaEvent::SpeechBegin);
                }
                None => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ears(speech: bool, beep: bool) -> Box<Ears> {
        Ears::new(Listening { speech, beep }).expect("something is wanted")
    }

    #[test]
    fn what_both_want_goes_on_and_the_rest_begins_anew() {
        assert!(Ears::new(Listening::default()).is_none());
        let mut before = ears(true, false);
        before.hear(&[0; 320], |_| {});
        before.speaking = Some(7);
        for (wanted, goes_on) in [((true, true), Some(7)), ((false, true), None)] {
            let mut ears = ears(wanted.0, wanted.1);
            ears.follow(&before);
            assert_eq!((ears.speaking, ears.rate_hz), (goes_on, 16_000));
            // At the rate of before: the detectors are not made anew, and speech that goes on ends once.
            let mut told = Vec::new();
            (0..200).for_each(|_| ears.hear(&[0; 320], |event| told.push(event)));
            let ends = |of: &MediaEvent| matches!(of, MediaEvent::SpeechEnd { duration_ms: 140 });
            assert_eq!(told.len(), usize::from(goes_on.is_some()), "{told:?}");
            assert!(told.iter().all(ends), "{told:?}");
        }
    }
}
