//! The verbs that play and send: play, echo, send_digits, and what turns their audio into media commands.
use super::super::events::EventKind;
use super::super::leg::{Input, KeyPath};
use super::super::sounds;
use super::super::verb::{Audio, Echo, Manner, Outcome, Play, Refer, Repeat, SendDigits};
use super::saying::{self, Unplayed};
use super::{Executor, VerbResult, deadline_in, failed};
use crate::media::{Command, DigitPiece, DigitText, MediaAudio};
use serde_json::json;

/// How long a far end may take with a transfer, ms.
const REFER_MS: u32 = 180_000;

impl Executor<'_> {
    pub(super) async fn play(&mut self, play: Play) -> VerbResult {
        let id = match self
            .start_playing(&play.audio, play.repeat, play.manner)
            .await
        {
            Ok(id) => id,
            Err(why) => return why.of("play"),
        };
        loop {
            match self.next().await {
                Input::PlayDone(done) if done == id => return Ok(Outcome::Done),
                Input::KeyDown(digit, _) if play.stop_keys.contains(digit) => {
                    let _ = self.leg.media(Command::StopPlay);
                }
                Input::Key(key) => {
                    if play.stop_keys.contains(key.digit) {
                        self.leg.say_key(&key, false);
                        let _ = self.leg.media(Command::StopPlay);
                        return Ok(Outcome::Interrupted(key));
                    }
                    self.leg.keep(key);
                }
                Input::Ended(end) => return Err(end),
                _ => {}
            }
        }
    }

    pub(super) async fn echo(&mut self, echo: Echo) -> VerbResult {
        if let Err(reason) = self.leg.media(Command::Echo(true)) {
            return Ok(failed("echo", reason));
        }
        let outcome = self.until_key(&echo.stop_keys, echo.max_ms).await;
        let _ = self.leg.media(Command::Echo(false));
        outcome
    }

    /// Waits for one of `keys` or for `ms` to pass. Other keys are part of what is echoed, and go with it.
    async fn until_key(&mut self, keys: &str, ms: u32) -> VerbResult {
        let deadline = deadline_in(ms);
        loop {
            match self.input_until(deadline).await? {
                None => return Ok(Outcome::Done),
                Some(Input::Key(key)) => {
                    self.leg.say_key(&key, false);
                    if keys.contains(key.digit) {
                        return Ok(Outcome::Interrupted(key));
                    }
                }
                Some(_) => {}
            }
        }
    }

    pub(super) async fn send_digits(&mut self, send: SendDigits) -> VerbResult {
        if self.leg.key_path() == KeyPath::Info {
            return self.send_infos(send).await;
        }
        let id = self.fresh_id();
        let command = Command::SendDigits {
            id,
            digits: send.digits,
            tone_ms: send.tone_ms,
            gap_ms: send.gap_ms,
        };
        if let Err(reason) = self.leg.media(command) {
            return Ok(failed("send_digits", reason));
        }
        self.sending = Some(id);
        loop {
            match self.idle(None).await? {
                Some(Input::DigitsSent(done)) if done == id => break,
                // They were not meant for whoever came in between.
                Some(Input::Replaced) => break,
                _ => {}
            }
        }
        self.sending = None;
        Ok(Outcome::Done)
    }

    /// Sends digits as SIP INFO, at the pace that they would have as tones.
    async fn send_infos(&mut self, send: SendDigits) -> VerbResult {
        for piece in DigitText::new(send.digits) {
            let ms = match piece {
                DigitPiece::Pause(ms) => ms,
                DigitPiece::Key(key, ms) => {
                    let ms = ms.unwrap_or(send.tone_ms).clamp(40, 60_000);
                    self.leg.inform(key.to_char(), ms);
                    ms + send.gap_ms.clamp(40, 60_000)
                }
            };
            let deadline = deadline_in(ms);
            loop {
                match self.idle(deadline).await? {
                    None => break,
                    Some(Input::Replaced) => return Ok(Outcome::Done),
                    Some(_) => {}
                }
            }
        }
        Ok(Outcome::Done)
    }

    pub(super) async fn send_refer(&mut self, refer: Refer) -> VerbResult {
        self.leg.refer(refer.uri);
        let deadline = deadline_in(REFER_MS);
        loop {
            match self.idle(deadline).await? {
                Some(Input::ReferProgress { status, done: true }) => {
                    return Ok(match status {
                        200..=299 => Outcome::Done,
                        status => failed("refer", format!("the far end reports {status}")),
                    });
                }
                Some(Input::ReferProgress { status, .. }) => {
                    tracing::info!(status, "the far end reports progress of its transfer");
                }
                Some(_) => {}
                None => {
                    return Ok(failed(
                        "refer",
                        "the far end did not say in time how it went",
                    ));
                }
            }
        }
    }

    pub(super) async fn start_playing(
        &mut self,
        audio: &[Audio],
        repeat: Repeat,
        manner: Manner,
    ) -> Result<u32, Unplayed> {
        // Boxed: a call that hears something long does not carry what fetching it took.
        let pieces = Box::pin(self.pieces(audio)).await?;
        let repeat = match repeat {
            Repeat::Times(times) => Some(times),
            Repeat::Forever => None,
        };
        let id = self.fresh_id();
        match (saying::ready(&pieces), &self.call.calls.speech) {
            (None, Some(speaker)) => {
                let speaker = speaker.clone();
                self.leg.feed(id, manner, repeat, pieces, speaker);
            }
            (audio, _) => self.leg.media(Command::PlayIn {
                manner,
                id,
                audio: audio.unwrap_or_default(),
                repeat,
            })?,
        }
        self.plays(id);
        let pieces = audio.len();
        self.call.tell(
            EventKind::PlayStarted,
            || json!({"play": id, "pieces": pieces}),
        );
        Ok(id)
    }

    pub(super) fn play_media(
        &mut self,
        audio: Vec<MediaAudio>,
        repeat: Option<u32>,
    ) -> Result<u32, String> {
        let id = self.fresh_id();
        self.leg.media(Command::Play { id, audio, repeat })?;
        self.plays(id);
        Ok(id)
    }

    /// The verb under way plays this now, and nobody else anything.
    fn plays(&mut self, id: u32) {
        (self.playing, self.interrupted) = (Some(id), None);
    }

    pub(super) async fn media_audio(&mut self, piece: &Audio) -> Result<MediaAudio, String> {
        self.loading(piece)?.await
    }

    /// Makes a piece of audio ready, apart from the call.
    pub(super) fn loading(
        &self,
        piece: &Audio,
    ) -> Result<impl Future<Output = Result<MediaAudio, String>> + use<>, String> {
        let calls = self.call.calls.clone();
        let file = match piece {
            Audio::Recording(id) => Some(self.recordings.path(*id)?),
            _ => None,
        };
        let piece = piece.clone();
        Ok(async move {
            match file {
                Some(path) => sounds::file(&calls, path).await,
                None => sounds::load(&calls, &piece).await,
            }
        })
    }
}
