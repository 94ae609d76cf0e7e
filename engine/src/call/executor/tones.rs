//! The verbs that listen for tones and find out who answered.
use super::super::leg::Input;
use super::super::tones::{DetectMachine, ToneEnd, Vetting, WaitForTone};
use super::super::verb::{Manner, Outcome};
use super::{Executor, VerbResult, deadline_in, failed};
use crate::media::{Attention, Command};
use std::time::Instant;

impl Executor<'_> {
    pub(super) async fn wait_for_tone(&mut self, wait: &WaitForTone) -> VerbResult {
        let attention = Attention {
            tones: Some(wait.plan),
            answering: None,
        };
        if let Err(reason) = self.leg.attend(attention) {
            return Ok(failed("wait_for_tone", reason));
        }
        let mut playing = None;
        if !wait.prompts.is_empty() {
            let manner = Manner::default();
            match self.start_playing(&wait.prompts, wait.repeat, manner).await {
                Ok(id) => playing = Some(id),
                Err(why) => {
                    let _ = self.leg.attend(Attention::default());
                    return why.of("wait_for_tone");
                }
            }
        }
        let end = self.until_tone(wait, &mut playing).await;
        let _ = self.leg.attend(Attention::default());
        if playing.is_some() {
            let _ = self.leg.media(Command::StopPlay);
        }
        Ok(Outcome::ToneWaited(end?))
    }

    async fn until_tone(
        &mut self,
        wait: &WaitForTone,
        playing: &mut Option<u32>,
    ) -> Result<ToneEnd, super::End> {
        let deadline = deadline_in(wait.max_ms);
        loop {
            match self.input_until(deadline).await? {
                None => return Ok(ToneEnd::TimeLimit),
                Some(Input::Tone(heard)) => {
                    let name = heard.kind.name();
                    if wait.kinds.is_empty() || wait.kinds.iter().any(|kind| kind == name) {
                        return Ok(ToneEnd::Heard(heard));
                    }
                }
                Some(Input::Key(key)) => {
                    if wait.stop_keys.contains(key.digit) {
                        self.leg.say_key(&key, false);
                        return Ok(ToneEnd::Key(key));
                    }
                    self.leg.keep(key);
                }
                Some(Input::PlayDone(done)) if *playing == Some(done) => *playing = None,
                Some(_) => {}
            }
        }
    }

    pub(super) async fn detect_machine(&mut self, detect: DetectMachine) -> VerbResult {
        if let Err(reason) = self.leg.attend(detect.attention()) {
            return Ok(failed("detect_machine", reason));
        }
        if detect.background {
            return Ok(Outcome::Done);
        }
        let mut vetting = Vetting::new(Instant::now(), &detect);
        let ended = loop {
            match self.idle(Some(vetting.deadline)).await {
                Ok(Some(Input::Answerer(finding))) if vetting.take(Instant::now(), finding) => {
                    break None;
                }
                Ok(Some(Input::AnswererBegins)) => vetting.begin(Instant::now()),
                Ok(Some(_)) => {}
                Ok(None) => break None,
                Err(end) => break Some(end),
            }
        };
        let _ = self.leg.attend(Attention::default());
        ended.map_or(Ok(Outcome::MachineDetected(vetting.found)), Err)
    }
}
