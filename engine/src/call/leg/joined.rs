//! A leg joined with another: their channels in the shard, the keys that cross, and music while the other is on hold.
use super::Leg;
use crate::call::crossing::Crossing;
use crate::call::verb::DigitSource;
use crate::media::{
    Carriage, Command as MediaCommand, Edge, MediaAudio, MediaEvents, MemberId, Room,
};
use std::path::PathBuf;

/// The id of music on hold; plays of verbs count from 1.
const MUSIC: u32 = 0;
/// Why nothing can be done with a room.
const CLOSED: &str = "the media channel is closed";

impl Leg {
    /// Joins both channels, in the way that their streams ask for now. Again after every change of either.
    pub(in super::super) fn join(&mut self, other: &mut Leg) {
        let (out, back) = (self.crossing_to(other), other.crossing_to(self));
        let (Some(ours), Some(theirs)) = (&self.channel, &other.channel) else {
            return;
        };
        let media = &self.settings.call.calls.media;
        if let Err(error) = media.bridge(
            ours,
            theirs,
            carriage(out, self.is_muted()),
            carriage(back, other.is_muted()),
        ) {
            tracing::error!(%error, "the legs hear nothing of each other");
        }
        for (leg, crossing) in [(self, out), (other, back)] {
            let inband = crossing.convert_tones;
            let _ = leg.media(MediaCommand::Detect { inband });
        }
    }

    /// Parts the channel from whatever it is joined with.
    pub(in super::super) fn part(&mut self) {
        self.set_transferable(false);
        self.let_keys_go();
        let _ = self.media(MediaCommand::Unbridge);
        self.music(false);
        let inband = self.settings.dtmf.inband();
        let _ = self.media(MediaCommand::Detect { inband });
    }

    /// Lets the channel into a room. Keys go on being heard.
    pub(in super::super) fn take_seat(
        &mut self,
        room: &Room,
        edge: Edge,
    ) -> Result<MemberId, String> {
        let channel = self.channel.as_ref().ok_or(CLOSED)?;
        room.join(channel, edge).map_err(|error| error.to_string())
    }

    /// Changes what lies between the channel and its room.
    pub(in super::super) fn change_edge(&self, room: &Room, edge: Edge) -> Result<(), String> {
        let channel = self.channel.as_ref().ok_or(CLOSED)?;
        room.edge(channel, edge).map_err(|error| error.to_string())
    }

    /// Records what the channel says in a room.
    pub(in super::super) fn record_in_room(
        &self,
        room: &Room,
        id: u32,
        path: PathBuf,
    ) -> Result<MediaEvents, String> {
        let channel = self.channel.as_ref().ok_or(CLOSED)?;
        let recorded = room.record_track(channel, id, path);
        recorded.map_err(|error| error.to_string())
    }

    /// Takes the channel out of a room.
    pub(in super::super) fn leave_room(&self, room: &Room) {
        // A channel that is closed, or closes soon, is out or will be.
        let _ = self.channel.as_ref().map(|channel| room.leave(channel));
    }

    fn crossing_to(&self, other: &Leg) -> Crossing {
        Crossing::new(self.settings.dtmf, self.hears_events(), other.key_path())
    }

    /// Whether a key of this leg is to be pressed on the other.
    pub(in super::super) fn crosses(&mut self, other: &Leg, source: DigitSource) -> bool {
        let seen = self.events_seen;
        self.events_seen |= source == DigitSource::Rfc4733;
        self.crossing_to(other).presses(source, seen)
    }

    /// Plays music on hold, or stops it.
    pub(in super::super) fn music(&mut self, on: bool) {
        if on == self.has_music {
            return;
        }
        self.has_music = on;
        let command = match on {
            true => MediaCommand::Play {
                id: MUSIC,
                audio: self.settings.call.in_force.music.clone(),
                repeat: None,
            },
            false => MediaCommand::StopPlay,
        };
        tracing::info!(to = self.settings.label, on, "music on hold");
        if let Err(error) = self.media(command) {
            tracing::warn!(error, "music on hold");
        }
    }
}

fn carriage(crossing: Crossing, muted: bool) -> Carriage {
    Carriage {
        muted,
        events: crossing.relay_events,
        mute_inband_keys: crossing.convert_tones,
    }
}

/// Music on hold where none is configured: a soft figure of four notes.
pub(in super::super) fn plain_music() -> Vec<MediaAudio> {
    let note = |hz, ms| MediaAudio::Tone {
        hz: [hz, 0.0],
        dbm0: -24.0,
        ms,
    };
    let rest = |ms| MediaAudio::Silence { ms };
    vec![
        note(392.0, 400),
        rest(100),
        note(493.9, 400),
        rest(100),
        note(587.3, 400),
        rest(100),
        note(493.9, 400),
        rest(2100),
    ]
}
