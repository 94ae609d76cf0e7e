//! Nodes that listen for tones and find out who answered: their keys and defaults.
use super::super::model::Step;
use super::super::tone_keys::{country, detection, tones};
use super::{DAY, Reader};
use crate::call::WaitForTone;
use crate::config::document::field::Table;

/// How long a node that names no time waits for a tone, ms.
const WAIT_MS: u32 = 30_000;
impl Reader<'_> {
    pub(super) fn wait_for_tone(&self, table: &mut Table<'_>) -> Option<Step> {
        let prompt = table
            .field("prompt")
            .map_or(Some(Default::default()), |field| self.prompt(&field, false));
        let repeat = self.repeat(table);
        let plan = country(table);
        let kinds = table.field("tones").map_or(Some(Vec::new()), |f| tones(&f));
        let wait = WaitForTone {
            prompts: Vec::new(),
            repeat,
            plan: plan?,
            kinds: kinds?,
            stop_keys: self.stop_keys(table, "stop_keys", ""),
            // Not 0: a node that leads back to itself must take time.
            max_ms: self.ms(table, "timeout", 0.1, DAY, WAIT_MS),
        };
        let then = self.then_key(table);
        let timeout = table
            .field("timeout_destination")
            .map(|field| self.then(&field));
        Some(Step::WaitForTone {
            prompt: prompt?,
            wait: Box::new(wait),
            then: then?,
            timeout: timeout.flatten(),
        })
    }

    pub(super) fn detect_machine(&self, table: &mut Table<'_>) -> Option<Step> {
        let detect = detection(table);
        let then = self.then_key(table);
        Some(Step::DetectMachine {
            detect: Box::new(detect?),
            then: then?,
        })
    }
}
