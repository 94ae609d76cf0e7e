//! The verb dial: finds whom to call, hunts for somebody who answers, passes back what happens meanwhile, and joins both.
use super::super::dial::{Dial, DialEnd, DialOrder, DialTarget, Dialled};
use super::super::directory::Found;
use super::super::hunt::{Hunt, Hunted};
use super::super::leg::{End, Input, hangup_reason};
use super::super::verb::Outcome;
use super::super::{Refusal, causes};
use super::{Executor, VerbResult};
use crate::media::tone_source::TONE;
use crate::media::{Command, MediaAudio};
use std::time::Duration;
use trunkline_sip::HangupReason;

/// What the caller hears while it rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Hears {
    Nothing,
    Ringing,
    Callee,
}

impl Executor<'_> {
    pub(super) async fn dial(&mut self, dial: Dial) -> VerbResult {
        let found = match self.find(&dial).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Outcome::Dialled(self.not_dialled(&refusal))),
        };
        if let Some(number) = &found.program_of {
            let caller = self.caller.clone();
            return Ok(match self.program_at(number, &caller) {
                Ok(next) => self.hand_to(next),
                Err(refusal) => Outcome::Dialled(self.not_dialled(&refusal)),
            });
        }
        let limit = Some(dial.ring_timeout_ms).filter(|ms| *ms > 0);
        let limit = limit.map(|ms| Duration::from_millis(ms.into()));
        let prefer = self.leg.encoding();
        let mut hunt = Hunt::new(self.call.clone(), found, limit, prefer);
        let mut hears = Hears::Nothing;
        loop {
            tokio::select! {
                biased;
                input = self.next() => match input {
                    Input::Ended(end) => {
                        hunt.cancel("caller-gone", Some(passed_on(&end)));
                        return Err(end);
                    }
                    Input::Key(key) => self.leg.keep(key),
                    _ => {}
                },
                hunted = hunt.next() => match hunted {
                    Hunted::Progress { status, early } => {
                        self.pass_progress(status, early, &mut hunt, &mut hears);
                    }
                    Hunted::Answered(mut callee, label) => {
                        if let Some(on) = dial.on_machine
                            && let Some(dialled) = self.vet(on, &mut callee, &label).await?
                        {
                            self.stop_ringing(hears);
                            callee.see_off("machine", Some(causes::q850_reason(16)));
                            tracing::info!(how = ?dialled.how, target = label, rule = "machine-detection", "nobody to be joined with answered");
                            return Ok(Outcome::Dialled(dialled));
                        }
                        self.stop_ringing(hears);
                        // Joined before the caller has its answer: its first words and keys get through.
                        self.leg.prefer(callee.encoding());
                        self.leg.join(&mut callee);
                        self.leg.answer(callee.encoding());
                        return self.bridge(callee, label).await;
                    }
                    Hunted::Nobody(dialled) => {
                        self.stop_ringing(hears);
                        tracing::info!(how = ?dialled.how, target = dialled.target, status = dialled.status, q850 = dialled.cause, "nobody answered");
                        return Ok(Outcome::Dialled(dialled));
                    }
                },
            }
        }
    }

    /// Everybody the targets stand for. A single target brings its own order and time with it.
    async fn find(&mut self, dial: &Dial) -> Result<Result<Found, Refusal>, End> {
        let (call, caller) = (self.call.clone(), self.caller.clone());
        if caller.hops_left == 0 {
            let text =
                "the call has gone through as many servers as its Max-Forwards allows".to_owned();
            return Ok(Err(Refusal::new(483, "too-many-hops", text)));
        }
        let finding = async {
            let directory = &call.calls.directory;
            let mut stages = Vec::new();
            let mut refused = None;
            for target in &dial.targets {
                let caller_id = dial.caller_id.as_deref();
                match directory.find(&call.info, &caller, target, caller_id).await {
                    Ok(found) if dial.targets.len() == 1 => return Ok(found),
                    Ok(found) if found.program_of.is_some() => {
                        tracing::info!(
                            to = target.to_string(),
                            rule = "program-not-alone",
                            "target not called: a program takes the caller over, and nobody can ring beside it"
                        );
                        refused = Some(program_not_alone(target));
                    }
                    Ok(found) => stages.extend(found.stages),
                    Err(refusal) => {
                        tracing::info!(
                            to = target.to_string(),
                            status = refusal.status,
                            rule = refusal.rule,
                            reason = refusal.text,
                            "target not called"
                        );
                        refused = Some(refusal);
                    }
                }
            }
            if dial.order == DialOrder::All {
                stages = vec![stages.into_iter().flatten().collect()];
            }
            match refused {
                Some(refusal) if stages.iter().all(Vec::is_empty) => Err(refusal),
                _ => Ok(Found {
                    stages,
                    ..Found::all(Vec::new())
                }),
            }
        };
        self.wait_for(finding).await
    }

    fn not_dialled(&self, refusal: &Refusal) -> Dialled {
        self.call.calls.counters.refused(refusal.rule);
        Dialled {
            how: match refusal.status {
                480 => DialEnd::Unreachable,
                486 => DialEnd::Busy,
                603 => DialEnd::Declined,
                status => DialEnd::Refused(status),
            },
            target: "nobody".to_owned(),
            status: refusal.status,
            cause: causes::q850_of(refusal.status).unwrap_or(16),
            tone: None,
            retry_after: refusal.retry_after,
        }
    }

    /// The caller is told of ringing, and hears the callee where it has something to say before it answers.
    fn pass_progress(&mut self, status: u16, early: bool, hunt: &mut Hunt, hears: &mut Hears) {
        if early
            && let Some(callee) = hunt.early()
            && (self.leg.answered || self.leg.early_media(callee.encoding()))
        {
            if *hears == Hears::Ringing {
                let _ = self.leg.media(Command::StopPlay);
            }
            *hears = Hears::Callee;
            self.leg.join(callee);
            return;
        }
        if *hears != Hears::Nothing || status < 180 {
            return;
        }
        if !self.leg.answered {
            return self.leg.provisional(180, "Ringing");
        }
        *hears = Hears::Ringing;
        let plan = self.leg.tone_plan();
        // Made once for all calls; what is missing is a sound, not the call.
        match self
            .call
            .calls
            .prompts
            .load(&format!("{TONE}ringback/{}", plan.code))
        {
            Ok(tone) => _ = self.play_media(vec![MediaAudio::Prompt(tone)], None),
            Err(error) => tracing::error!(%error, "no ringing tone"),
        }
    }

    fn stop_ringing(&mut self, hears: Hears) {
        match hears {
            Hears::Nothing => {}
            Hears::Ringing => {
                let _ = self.leg.media(Command::StopPlay);
            }
            Hears::Callee => self.leg.part(),
        }
    }
}

fn program_not_alone(target: &DialTarget) -> Refusal {
    let text = format!("{target} leads to a program, which is dialled alone or not at all");
    Refusal::new(501, "program-not-alone", text)
}

/// Why one party is gone, as the other is told.
pub(super) fn passed_on(end: &End) -> HangupReason {
    match end.q850 {
        Some(cause) => causes::q850_reason(cause),
        None if end.by == "network" => hangup_reason("Q.850", 41, "Temporary failure"),
        None => hangup_reason("Q.850", 16, "Normal call clearing"),
    }
}
