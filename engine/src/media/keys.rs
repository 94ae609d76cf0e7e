//! Keys as a channel reports them: what the receiver of telephone events and the detector of tones heard, and when.

use std::time::{Duration, Instant};

use trunkline_dsp::dtmf::{Detector, Event as ToneEvent, Key, Profile};

use super::channel::ChannelState;
use super::codec::{AudioRate, ClockRate};
use super::event::{KeySource, MediaEvent};
use super::playout::Pulled;
use crate::rtp::telephone_event::KeyEvent;

/// A key heard as a telephone event whose packet came at `now`; `clock` is what its duration counts in.
pub fn event_key(clock: ClockRate, now: Instant, event: KeyEvent) -> Option<MediaEvent> {
    let source = KeySource::Rfc4733;
    let named = |code| Key::from_event(code).map(Key::to_char);
    Some(match event {
        KeyEvent::Begin {
            code,
            lasted,
            volume,
        } => MediaEvent::KeyBegin {
            key: named(code)?,
            source,
            at: before(now, u64::from(clock.ms(lasted)) * 1000),
            level_dbm0: Some(-f32::from(volume)),
            tone: None,
        },
        KeyEvent::End { code, duration } => MediaEvent::KeyEnd {
            key: named(code)?,
            source,
            at: now,
            duration_ms: clock.ms(duration),
        },
    })
}

/// Where in time the detector is: `heard` samples of the rate were given to it, the last of which came from the peer at `now`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) now: Instant,
    pub(crate) heard: u64,
    pub(crate) rate: AudioRate,
}

impl Place {
    fn at(&self, sample: u64) -> Instant {
        let ago = self.heard.saturating_sub(sample);
        before(self.now, ago * 1_000_000 / u64::from(self.rate.hz()))
    }
}

/// A key heard as tones.
pub(crate) fn tone_key(place: Place, event: &ToneEvent) -> MediaEvent {
    let source = KeySource::InBand;
    match *event {
        ToneEvent::Begin {
            key,
            at_sample,
            measured,
        } => MediaEvent::KeyBegin {
            key: key.to_char(),
            source,
            at: place.at(at_sample),
            level_dbm0: Some(measured.level_dbm0),
            tone: Some(measured),
        },
        ToneEvent::End {
            key,
            at_sample,
            duration_ms,
            ..
        } => MediaEvent::KeyEnd {
            key: key.to_char(),
            source,
            at: place.at(at_sample),
            duration_ms,
        },
    }
}

fn before(now: Instant, us: u64) -> Instant {
    now.checked_sub(Duration::from_micros(us)).unwrap_or(now)
}

impl ChannelState {
    /// Begins looking for tones that keep to a profile, or ends looking for any. A key that is down goes up then. Returns the receiver that is
    /// not needed.
    pub(crate) fn detect(
        &mut self,
        now: Instant,
        wanted: Option<(Box<Detector>, Profile)>,
    ) -> Option<Box<Detector>> {
        if let Some((mut detector, profile)) = wanted {
            if self.detector.is_some() {
                return Some(detector);
            }
            *detector = Detector::new(self.detector_rate.hz(), profile);
            self.detector = Some(detector);
            if let Some(delay) = &mut self.key_delay {
                delay.recount(self.detector_heard);
            }
            self.detector_heard = 0;
            None
        } else {
            if let Some(delay) = &mut self.key_delay {
                delay.key_up(self.detector_heard);
            }
            if let Some((key, since)) = self.tone_down.take() {
                let samples = self.detector_heard.saturating_sub(since);
                let duration_ms = (samples * 1000 / u64::from(self.detector_rate.hz())) as u32;
                self.tell(MediaEvent::KeyEnd {
                    key: key.to_char(),
                    source: KeySource::InBand,
                    at: now,
                    duration_ms,
                });
            }
            self.detector.take()
        }
    }

    /// Looks for tones in what the peer said. In what is made up of it a key neither begins nor ends.
    pub(crate) fn listen_for_keys(&mut self, now: Instant, samples: &[i16], pulled: &Pulled) {
        let Some(detector) = &mut self.detector else {
            return;
        };
        self.detector_heard += samples.len() as u64;
        let place = Place {
            now,
            heard: self.detector_heard,
            rate: self.detector_rate,
        };
        let (events, down, hearing) = (&self.events, &mut self.tone_down, &self.incoming.hearing);
        let delay = &mut self.key_delay;
        let mut on = |event| {
            *down = match event {
                ToneEvent::Begin { key, at_sample, .. } => Some((key, at_sample)),
                ToneEvent::End { .. } => None,
            };
            match (delay.as_deref_mut(), event) {
                (Some(delay), ToneEvent::Begin { at_sample, .. }) => delay.key_down(at_sample),
                (Some(delay), ToneEvent::End { at_sample, .. }) => delay.key_up(at_sample),
                (None, _) => {}
            }
            let buffered = hearing.as_ref().map_or(0, |of| of.stats().0.delay_ms);
            let came = before(place.now, u64::from(buffered) * 1000);
            let place = Place { now: came, ..place };
            let _ = events.send(tone_key(place, &event));
        };
        let Pulled::Concealed(made) = pulled else {
            return detector.process(samples, on);
        };
        detector.process(&samples[..made.start], &mut on);
        detector.process_concealed(&samples[made.clone()], &mut on);
        detector.process(&samples[made.end..], &mut on);
    }
}
