//! Who gets the audio of a channel besides its peers: its recording, its tap, and the detectors of speech and beeps. Each is given the
//! received frame and the one that is sent in the same 20 ms.

use trunkline_dsp::resample::{Down2, Up2};

use super::channel::ChannelState;
use super::codec::{FRAME_SAMPLES, Law};
use super::frame::Frame;
use super::recorder::Recording;
use super::retire::ChannelId;
use super::tap::Tap;
use super::voice::Speech;

/// Samples of the longest frame: 20 ms at 16 kHz.
pub(crate) const LONGEST: usize = 320;

/// A side of the frame in the making.
#[derive(Debug)]
pub(crate) struct Side {
    samples: [i16; LONGEST],
    length: usize,
    up: Up2,
    down: Down2,
}

impl Side {
    pub(crate) fn new() -> Side {
        Side {
            samples: [0; LONGEST],
            length: 0,
            up: Up2::new(),
            down: Down2::new(),
        }
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    pub(crate) fn set(&mut self, frame: &[i16]) {
        self.length = frame.len().min(LONGEST);
        self.samples[..self.length].copy_from_slice(&frame[..self.length]);
    }

    /// The frame with `length` samples, silence where none came. The sides of a call may be of different rates as long as it lasts.
    pub(crate) fn take(&mut self, length: usize) -> &[i16] {
        let came = std::mem::take(&mut self.length);
        if came != length {
            let frame = self.samples;
            let written = match came {
                0 => 0,
                _ if came < length => self.up.process(&frame[..came], &mut self.samples[..length]),
                _ => self
                    .down
                    .process(&frame[..came], &mut self.samples[..length]),
            };
            self.samples[written..length].fill(0);
        }
        &self.samples[..length]
    }
}

/// Keeps a frame that is sent, for who wants that side.
pub(crate) fn keep_sent(
    recording: &mut Option<Box<Recording>>,
    tap: &mut Option<Box<Tap>>,
    law: Option<Law>,
    speech: Speech<'_>,
) {
    let recording = recording.as_mut().filter(|of| of.wants_sent());
    let tap = tap.as_mut().filter(|of| of.wants_sent());
    if recording.is_none() && tap.is_none() {
        return;
    }
    let mut decoded = [0; FRAME_SAMPLES];
    let samples = match (speech, law) {
        (Speech::Frame(frame), _) => frame.samples(),
        (Speech::Packet(packet), _) => packet.said().samples(),
        (Speech::Octets(octets), Some(law)) => {
            law.decode(octets, &mut decoded);
            &decoded[..]
        }
        (Speech::Octets(_), None) => return,
    };
    if let Some(recording) = recording {
        recording.say(samples);
    }
    if let Some(tap) = tap {
        tap.say(samples);
    }
}

impl ChannelState {
    /// Whether anybody here wants the received samples.
    pub(crate) fn wants_samples(&self) -> bool {
        let tapped = self.tap.as_ref().is_some_and(|tap| tap.wants_received());
        let detected = self.ears.is_some() || self.attentive.is_some();
        self.recording.is_some() || tapped || self.listener.is_some() || detected
    }

    /// Whether the far side of the bridge wants the received frames for its recording or tap.
    pub(crate) fn is_overheard(&self) -> bool {
        self.bridge.as_ref().is_some_and(|bridge| bridge.overheard)
    }

    pub(crate) fn set_overheard(&mut self, overheard: bool) {
        if overheard {
            self.begin_listening();
        }
        if let Some(bridge) = &mut self.bridge {
            bridge.overheard = overheard;
        }
    }

    /// Whether anybody here wants the samples that are sent.
    pub(crate) fn wants_sent(&self) -> bool {
        self.recording.as_ref().is_some_and(|of| of.wants_sent())
            || self.tap.as_ref().is_some_and(|of| of.wants_sent())
    }

    /// Gives the received frame to all who want it.
    pub(crate) fn share_heard(&mut self, samples: &[i16]) {
        if let Some(recording) = &mut self.recording {
            recording.hear(samples);
        }
        for tap in [&mut self.tap, &mut self.listener].into_iter().flatten() {
            tap.hear(samples);
        }
        if let Some(ears) = &mut self.ears {
            let events = &self.events;
            ears.hear(samples, |event| _ = events.send(event));
        }
        // Of a far end that has sent nothing yet nothing is known, not even that it is silent.
        if let Some(attentive) = &mut self.attentive
            && self.incoming.has_begun()
        {
            let events = &self.events;
            attentive.hear(samples, |event| _ = events.send(event));
        }
    }

    /// Where the received frame is wanted for what is sent there, while packets are relayed as they come.
    pub(crate) fn overhearing(&self) -> Option<ChannelId> {
        let receives = self.stream.as_ref()?.params.receive;
        let bridge = self.bridge.as_ref()?;
        (receives && bridge.overheard && !self.passes_frames()).then_some(bridge.peer)
    }

    /// Takes the frame that the far side's packets are made of.
    pub(crate) fn overhear(&mut self, heard: &Frame) {
        if !self.speaks_itself() {
            let speech = Speech::Frame(heard);
            keep_sent(&mut self.recording, &mut self.tap, None, speech);
        }
    }

    /// Whether the tap's program has audio to send.
    pub(crate) fn tap_plays(&self) -> bool {
        self.tap.as_ref().is_some_and(|tap| tap.has_audio())
    }

    /// The next frame of the tap's program.
    pub(crate) fn play_tap(&mut self, frame: &mut Frame) {
        if let Some(tap) = &mut self.tap {
            tap.play(frame.samples_mut());
        }
    }

    /// The end of a frame.
    pub(crate) fn end_frame(&mut self) {
        if self.recording.as_mut().is_some_and(|of| !of.turn()) {
            let ended = self.recording.take();
            self.scrap(ended);
        }
        if self.tap.as_mut().is_some_and(|of| !of.turn()) {
            let ended = self.tap.take();
            self.scrap(ended);
        }
        if self.listener.as_mut().is_some_and(|of| !of.turn()) {
            let ended = self.listener.take();
            self.scrap(ended);
        }
    }
}
