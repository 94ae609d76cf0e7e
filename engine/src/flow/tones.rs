//! What becomes of the outcomes of nodes that listen for tones: variables.
use super::program::FlowProgram;
use crate::call::{MachineDetected, Outcome, ToneEnd};
use trunkline_dsp::progress::Kind;

impl FlowProgram {
    /// Whether no tone came.
    pub(super) fn note_tone(&mut self, outcome: Outcome) -> bool {
        let end = match outcome {
            Outcome::ToneWaited(end) => end,
            _ => ToneEnd::TimeLimit,
        };
        let (tone, key) = match end {
            ToneEnd::Heard(heard) => (Some(heard), None),
            ToneEnd::Key(key) => (None, Some(key)),
            ToneEnd::TimeLimit => (None, None),
        };
        self.note_key(key);
        let name = tone.map_or("", |heard| heard.kind.name());
        let meaning = match tone.map(|heard| heard.kind) {
            Some(Kind::Information(information)) => information.name(),
            _ => "",
        };
        let hz = tone.map_or(String::new(), |heard| format!("{:.0}", heard.hz));
        self.set("tone", name.to_owned());
        self.set("tone_meaning", meaning.to_owned());
        self.set("tone_hz", hz);
        matches!(end, ToneEnd::TimeLimit)
    }

    pub(super) fn note_answerer(&mut self, outcome: Outcome) {
        let found = match outcome {
            Outcome::MachineDetected(found) => found,
            _ => MachineDetected {
                verdict: None,
                beep: false,
            },
        };
        let verdict = found.verdict;
        let by = verdict.map_or("notsure", |verdict| verdict.answerer.name());
        let cause = verdict.map_or("NOAUDIO", |verdict| verdict.because.name());
        self.set("answered_by", by.to_owned());
        self.set("answered_by_cause", cause.to_owned());
        self.set("beep", found.beep.to_string());
    }
}
