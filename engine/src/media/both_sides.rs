//! What a channel's recording gets: the received frame and the one that is sent in the same 20 ms.

use super::channel::ChannelState;
use super::codec::{FRAME_SAMPLES, Law};
use super::recorder::Recording;
use super::voice::Speech;

/// Keeps a frame that is sent, if the recording holds that side.
pub(crate) fn keep_sent(
    recording: &mut Option<Box<Recording>>,
    law: Option<Law>,
    speech: Speech<'_>,
) {
    let Some(recording) = recording.as_mut().filter(|of| of.wants_sent()) else {
        return;
    };
    match (speech, law) {
        (Speech::Frame(frame), _) => recording.say(frame.samples()),
        (Speech::Octets(octets), Some(law)) => {
            let mut samples = [0; FRAME_SAMPLES];
            law.decode(octets, &mut samples);
            recording.say(&samples);
        }
        (Speech::Octets(_), None) => {}
    }
}

impl ChannelState {
    /// The end of a frame for the recording.
    pub(crate) fn record_turn(&mut self) {
        if self
            .recording
            .as_mut()
            .is_some_and(|recording| !recording.turn())
        {
            self.recording = None;
        }
    }
}
