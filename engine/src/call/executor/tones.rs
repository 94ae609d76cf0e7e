//! The verbs that listen for tones and find out who answered.
use super::super::leg::Input;
use super::super::tones::{DetectMachine, MachineDetected, ToneEnd, WaitForTone};
use super::super::verb::{Manner, Outcome};
use super::{Executor, VerbResult, deadline_in, failed};
use crate::media::{Attention, Command};
use trunkline_dsp::answering::{Answerer, Finding};

/// Audio that comes late does not make us miss a verdict, ms.
const GRACE_MS: u32 = 2000;

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
                Err(reason) => {
                    let _ = self.leg.attend(Attention::default());
                    return Ok(failed("wait_for_tone", reason));
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
        let attention = Attention {
            tones: None,
            answering: Some((detect.plan, detect.settings)),
        };
        if let Err(reason) = self.leg.attend(attention) {
            return Ok(failed("detect_machine", reason));
        }
        let found = self.until_verdict(&detect).await;
        let _ = self.leg.attend(Attention::default());
        Ok(Outcome::MachineDetected(found?))
    }

    async fn until_verdict(
        &mut self,
        detect: &DetectMachine,
    ) -> Result<MachineDetected, super::End> {
        let settings = &detect.settings;
        let mut deadline = deadline_in(settings.total_analysis_ms.saturating_add(GRACE_MS));
        let mut found = MachineDetected {
            verdict: None,
            beep: false,
        };
        loop {
            match self.idle(deadline).await? {
                None => return Ok(found),
                Some(Input::Answerer(Finding::Verdict(verdict))) => {
                    found.verdict = Some(verdict);
                    found.beep = verdict.beep;
                    let machine = verdict.answerer == Answerer::Machine && !verdict.beep;
                    if !machine || !settings.wait_for_beep {
                        return Ok(found);
                    }
                    deadline = deadline_in(settings.max_message_ms.saturating_add(GRACE_MS));
                }
                Some(Input::Answerer(Finding::GreetingOver { beep, .. })) => {
                    found.beep = beep;
                    return Ok(found);
                }
                Some(_) => {}
            }
        }
    }
}
