//! The verb that listens: for speech, silence or a beep.
use super::super::leg::Input;
use super::super::listen::{Listen, ListenEnd, Vigil};
use super::super::verb::{Manner, Outcome};
use super::{Executor, VerbResult};
use crate::media::{Command, Listening};
use std::time::Instant;

impl Executor<'_> {
    pub(super) async fn listen(&mut self, listen: &Listen) -> VerbResult {
        self.leg.program_hears(listen.until.listening());
        let outcome = self.keep_vigil(listen).await;
        self.leg.program_hears(Listening::default());
        outcome
    }

    async fn keep_vigil(&mut self, listen: &Listen) -> VerbResult {
        let mut vigil = Vigil::new(listen, Instant::now(), self.leg.is_speaking());
        let mut playing = None;
        if !listen.prompts.is_empty() {
            let manner = Manner::default();
            let began = self
                .start_playing(&listen.prompts, listen.repeat, manner)
                .await;
            match began {
                Ok(id) => playing = Some(id),
                Err(why) => return why.of("listen"),
            }
        }
        let end = loop {
            if let Some(end) = vigil.end(Instant::now()) {
                break end;
            }
            match self.input_until(vigil.deadline()).await? {
                Some(Input::Speech(on)) => vigil.speech(Instant::now(), on),
                Some(Input::Beep) if listen.until.beep => break ListenEnd::Beep,
                Some(Input::PlayDone(done)) if playing == Some(done) => {
                    playing = None;
                    vigil.prompts_done(Instant::now());
                }
                Some(Input::Key(key)) => {
                    self.leg.say_key(&key, false);
                    if listen.stop_keys.contains(key.digit) {
                        break ListenEnd::Key(key);
                    }
                    self.leg.keep(key);
                }
                // Somebody else is there now.
                Some(Input::Replaced) => {
                    self.leg.program_hears(listen.until.listening());
                    vigil.speech(Instant::now(), false);
                }
                _ => {}
            }
        };
        if playing.is_some() {
            let _ = self.leg.media(Command::StopPlay);
        }
        let listened = vigil.listened(Instant::now(), end);
        tracing::info!(?end, after_ms = listened.after_ms, "listened");
        Ok(Outcome::Listened(listened))
    }
}
