//! What was spoken, in memory: what was used longest ago makes room. Limit: [`MEMORY_OCTETS`] of audio.
use super::script::Utterance;
use crate::media::Prompt;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

/// The most audio in memory, in octets.
const MEMORY_OCTETS: usize = 64 << 20;

/// See the module's text.
#[derive(Default)]
pub(super) struct Memory {
    kept: HashMap<Utterance, Kept>,
    octets: usize,
}

struct Kept {
    prompt: Arc<Prompt>,
    used: Instant,
    /// Made by a fallback: good until then.
    until: Option<Instant>,
}

impl Memory {
    /// The audio of an utterance, if it is there and still good.
    pub(super) fn recall(&mut self, said: &Utterance) -> Option<Arc<Prompt>> {
        let (kept, now) = (self.kept.get_mut(said)?, Instant::now());
        if kept.until.is_some_and(|until| until <= now) {
            return None;
        }
        kept.used = now;
        Some(kept.prompt.clone())
    }

    /// Keeps it; what was made by a fallback only `until` then. What is larger than all there is room for is not kept.
    pub(super) fn keep(&mut self, said: &Utterance, prompt: Arc<Prompt>, until: Option<Instant>) {
        self.forget(said);
        let octets = prompt.octets();
        if octets > MEMORY_OCTETS {
            return;
        }
        if self.octets + octets > MEMORY_OCTETS {
            // A tenth more than is needed: the table is sorted for many at a time.
            let mut all: Vec<_> = self
                .kept
                .iter()
                .map(|(said, kept)| (kept.used, said.clone()))
                .collect();
            all.sort_by_key(|(used, _)| *used);
            for (_, said) in all {
                if self.octets + octets <= MEMORY_OCTETS / 10 * 9 {
                    break;
                }
                self.forget(&said);
            }
        }
        self.octets += octets;
        let used = Instant::now();
        let kept = Kept {
            prompt,
            used,
            until,
        };
        self.kept.insert(said.clone(), kept);
    }

    fn forget(&mut self, said: &Utterance) {
        if let Some(kept) = self.kept.remove(said) {
            self.octets -= kept.prompt.octets();
        }
    }
}
