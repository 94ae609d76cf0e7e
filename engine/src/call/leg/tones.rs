//! Tones of the far end's network, and who answered: what is listened for, and what is kept of it.
use super::{Input, Leg};
use crate::call::events::EventKind;
use crate::call::tones::{full_name, refusal_of};
use crate::media::{Attention, Command};
use serde_json::json;
use trunkline_dsp::answering::Finding;
use trunkline_dsp::progress::{Heard, Kind, Plan};

/// Tones of one leg that are kept for its record.
const KEPT: usize = 16;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Tones {
    /// Whose tones are listened for as long as the leg lasts.
    progress: Option<&'static Plan>,
    /// What was heard.
    heard: Vec<String>,
    /// The newest that says that nobody was reached.
    refusal: Option<Kind>,
    /// Who answered.
    answered_by: Option<&'static str>,
}

impl Leg {
    /// What is listened for from now on, besides what the leg is listened to for as a whole.
    pub(in super::super) fn attend(&mut self, wanted: Attention) -> Result<(), String> {
        let wanted = Attention {
            tones: wanted.tones.or(self.tones.progress),
            ..wanted
        };
        self.media(Command::Attend(wanted))
    }

    /// Listens for the tones of a network until the leg is over; `None`: no more.
    pub(in super::super) fn follow_progress(&mut self, plan: Option<&'static Plan>) {
        if plan == self.tones.progress {
            return;
        }
        self.tones.progress = plan;
        // Refused only where the channel is gone or its shard far behind: the call goes on without it.
        let _ = self.attend(Attention::default());
    }

    /// Whose tones its far end is to hear.
    pub(in super::super) fn tone_plan(&self) -> &'static Plan {
        self.settings.tones
    }

    /// The tone that says that nobody was reached, where the leg is listened to for that.
    pub(in super::super) fn refused_by(&self, heard: Heard) -> Option<(u16, u8)> {
        self.tones.progress.and_then(|_| refusal_of(heard.kind))
    }

    pub(super) fn tone_heard(&mut self, heard: Heard) -> Option<Input> {
        let name = full_name(heard.kind);
        tracing::info!(
            tone = name,
            hz = heard.hz,
            dbm0 = heard.dbm0,
            on_ms = heard.on_ms,
            party = self.settings.label,
            "tone heard"
        );
        self.say(EventKind::ToneHeard, json!({ "tone": name }));
        self.settings.call.calls.counters.tone(heard.kind);
        if refusal_of(heard.kind).is_some() {
            self.tones.refusal = Some(heard.kind);
        }
        if self.tones.heard.len() < KEPT {
            self.tones.heard.push(name);
        }
        Some(Input::Tone(heard))
    }

    pub(super) fn answerer_found(&mut self, finding: Finding) -> Option<Input> {
        match finding {
            Finding::Verdict(verdict) => {
                let by = verdict.answerer.name();
                tracing::info!(
                    answered_by = by,
                    because = verdict.because.name(),
                    after_ms = verdict.after_ms,
                    words = verdict.words,
                    voice_ms = verdict.voice_ms,
                    "who answered"
                );
                self.settings.call.calls.counters.answered_by(by);
                self.tones.answered_by = Some(by);
                self.say(
                    EventKind::MachineDetected,
                    json!({"answered_by": by, "because": verdict.because.name(), "after_ms": verdict.after_ms}),
                );
            }
            Finding::GreetingOver { beep, after_ms } => {
                tracing::info!(beep, after_ms, "the greeting is over");
                self.say(
                    EventKind::GreetingOver,
                    json!({"beep": beep, "after_ms": after_ms}),
                );
            }
        }
        Some(Input::Answerer(finding))
    }

    /// What was heard, for records.
    pub(super) fn tones_heard(&self) -> &[String] {
        &self.tones.heard
    }

    /// The newest tone that says that nobody was reached.
    pub(super) fn refusal_heard(&self) -> Option<Kind> {
        self.tones.refusal
    }

    /// Who answered, where somebody wanted to know.
    pub(super) fn answered_by(&self) -> Option<&'static str> {
        self.tones.answered_by
    }
}
