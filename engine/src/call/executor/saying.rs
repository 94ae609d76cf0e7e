//! What is played, piece by piece: prompts and recordings are loaded, texts are cut into what is spoken. Owns what of it has to be made first.
use super::super::leg::Piece;
use super::super::verb::Audio;
use super::Executor;
use crate::media::MediaAudio;
use crate::speech::{Part, Speech};

impl Executor<'_> {
    /// The pieces of what is played. A text is left out where nothing speaks.
    pub(super) async fn pieces(&mut self, audio: &[Audio]) -> Result<Vec<Piece>, String> {
        let mut pieces = Vec::with_capacity(audio.len());
        for each in audio {
            match each {
                Audio::Speech(speech) => self.said(speech, &mut pieces),
                other => pieces.push(Piece::Ready(self.media_audio(other).await?)),
            }
        }
        Ok(pieces)
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
