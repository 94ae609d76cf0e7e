//! What is played, piece by piece: prompts and recordings are loaded, texts are cut into what is spoken. Owns what of it has to be made first.
use super::super::control::Order;
use super::super::leg::{End, Input, Piece};
use super::super::verb::Audio;
use super::{Executor, VerbResult, failed};
use crate::media::MediaAudio;
use crate::speech::{Part, Speech};

/// Why nothing plays.
#[derive(Debug)]
pub(super) enum Unplayed {
    /// It cannot be had, for that reason.
    Failed(String),
    /// The call ended, or went elsewhere, before it was there.
    Ended(End),
}

impl From<String> for Unplayed {
    fn from(reason: String) -> Unplayed {
        Unplayed::Failed(reason)
    }
}

impl Unplayed {
    /// What that is to the verb.
    pub(super) fn of(self, verb: &'static str) -> VerbResult {
        match self {
            Unplayed::Failed(reason) => Ok(failed(verb, reason)),
            Unplayed::Ended(end) => Err(end),
        }
    }
}

impl Executor<'_> {
    /// The pieces of what is played. A text is left out where nothing speaks. Orders are taken while audio is fetched; keys wait.
    pub(super) async fn pieces(&mut self, audio: &[Audio]) -> Result<Vec<Piece>, Unplayed> {
        let mut pieces = Vec::with_capacity(audio.len());
        for each in audio {
            match each {
                Audio::Speech(speech) => self.said(speech, &mut pieces),
                other => {
                    let loading = self.loading(other)?;
                    let loaded = self.while_loading(loading).await;
                    pieces.push(Piece::Ready(loaded.map_err(Unplayed::Ended)??));
                }
            }
        }
        Ok(pieces)
    }

    async fn while_loading<T>(&mut self, loading: impl Future<Output = T>) -> Result<T, End> {
        tokio::pin!(loading);
        loop {
            let ordered = tokio::select! {
                biased;
                loaded = &mut loading => return Ok(loaded),
                ordered = self.orders.next() => ordered,
            };
            let over = matches!(ordered.order, Order::Hangup(_));
            match self.take_order(ordered, None) {
                Some(Input::Ended(end)) => return Err(end),
                _ if over => return Err(self.leg.farewell().await),
                _ => {}
            }
        }
    }

    fn said(&self, speech: &Speech, pieces: &mut Vec<Piece>) {
        let Some(speaker) = &self.call.calls.speech else {
            tracing::error!(
                rule = "text-not-spoken",
                "a text is left out: nothing speaks here"
            );
            return;
        };
        let script = speaker.script(speech);
        for warning in &script.warnings {
            tracing::warn!(rule = "text-not-understood", "{warning}");
        }
        pieces.extend(script.parts.into_iter().map(|part| match part {
            Part::Pause { ms } => Piece::Ready(MediaAudio::Silence { ms }),
            Part::Say(said) => match speaker.in_memory(&said) {
                Some(prompt) => Piece::Ready(MediaAudio::Prompt(prompt)),
                None => Piece::Say(said),
            },
        }));
    }
}

/// The audio, if all of it is there.
pub(super) fn ready(pieces: &[Piece]) -> Option<Vec<MediaAudio>> {
    let audio = |piece: &Piece| match piece {
        Piece::Ready(audio) => Some(audio.clone()),
        Piece::Say(_) => None,
    };
    pieces.iter().map(audio).collect()
}
