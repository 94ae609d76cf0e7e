//! What a channel's recording gets: the received frame and the one that is sent in the same 20 ms.

use super::channel::ChannelState;
use super::codec::{FRAME_SAMPLES, Law};
use super::recorder::Recording;

/// Keeps a frame that is sent, if the recording holds that side.
pub(crate) fn keep_sent(
    recording: &mut Option<Box<Recording>>,
    law: Option<Law>,
    octets: &[u8; FRAME_SAMPLES],
) {
    let Some(recording) = recording.as_mut().filter(|of| of.wants_sent()) else {
        return;
    };
    let Some(law) = law else { return };
    let mut samples = [0; FRAME_SAMPLES];
    law.decode(octets, &mut samples);
    recording.say(&samples);
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
