//! Another leg comes in this one's place: whoever owns the leg goes on with the new one, and the old one is seen off.
use super::{Input, Leg};
use crate::call::events::EventKind;
use crate::call::see_off::Escorted;
use crate::media::Command as MediaCommand;
use serde_json::json;
use std::time::Duration;

/// How long the one who was replaced may take to hang up by itself.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a channel does for as long as nobody stops it, so that another can go on with it.
#[derive(Default)]
pub(super) struct Doing {
    playing: Option<(u32, MediaCommand)>,
    echo: bool,
}

impl Doing {
    /// Takes note of a command.
    pub(super) fn note(&mut self, command: &MediaCommand) {
        match command {
            MediaCommand::Play { id, .. } | MediaCommand::PlayIn { id, .. } => {
                self.playing = Some((*id, command.clone()))
            }
            MediaCommand::StopPlay => self.playing = None,
            MediaCommand::Echo(on) => self.echo = *on,
            _ => {}
        }
    }

    /// Whether it ends what is played, and with it what is being made for that.
    pub(super) fn plays_or_stops(command: &MediaCommand) -> bool {
        matches!(
            command,
            MediaCommand::Play { .. } | MediaCommand::PlayIn { .. } | MediaCommand::StopPlay
        )
    }

    pub(super) fn played(&mut self, id: u32) {
        self.playing.take_if(|(playing, _)| *playing == id);
    }
}

impl Leg {
    /// `new` takes this leg's place in its call.
    pub(super) fn replaced_by(&mut self, mut new: Leg) -> Input {
        let doing = std::mem::take(&mut self.doing);
        let feed = self.feed.take();
        new.belong_to(&self.settings.call.clone());
        new.has_music = self.has_music;
        new.transferable = self.transferable;
        new.hung_up = None;
        new.muted = self.muted;
        let old = std::mem::replace(self, new);
        tracing::info!(party = old.settings.label, by = self.settings.label, leg = %self.id, "a leg is replaced");
        self.say(EventKind::LegReplaced, json!({}));
        Escorted::new(old).see_off_after(PATIENCE, "replaced");
        self.apply_stream();
        let playing = doing.playing.map(|(_, play)| play);
        let echo = doing.echo.then_some(MediaCommand::Echo(true));
        for command in playing.into_iter().chain(echo) {
            if let Err(error) = self.media(command) {
                tracing::warn!(
                    error,
                    "the new leg does not go on with what the old one played"
                );
            }
        }
        // What is still being made is played to the new one.
        self.feed = feed;
        Input::Replaced
    }
}
