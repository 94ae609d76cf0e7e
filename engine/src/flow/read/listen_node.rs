//! The node that listens for speech, silence or a beep: its keys and defaults.
use super::super::model::Step;
use super::{DAY, Reader};
use crate::call::{Listen, Until};
use crate::config::document::Value;
use crate::config::document::field::{Field, Table};

/// What a node that names no time waits for it, and how long a silence has to be, in ms.
const TIMEOUT_MS: u32 = 30_000;
const SILENCE_MS: u32 = 1000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum What {
    Speech,
    Silence,
    Beep,
}

const WHATS: [(&str, What); 3] = [
    ("speech", What::Speech),
    ("silence", What::Silence),
    ("beep", What::Beep),
];

impl Reader<'_> {
    pub(super) fn listen(&self, table: &mut Table<'_>) -> Option<Step> {
        let prompt = table
            .field("prompt")
            .map_or(Some(Default::default()), |field| self.prompt(&field, false));
        let repeat = self.repeat(table);
        let silence_ms = self.ms(table, "silence_seconds", 0.5, 60.0, SILENCE_MS);
        let until = table
            .required("until")
            .and_then(|field| until(&field, silence_ms));
        let stop_keys = self.stop_keys(table, "stop_keys", "");
        // Not 0: a node that leads back to itself must take time.
        let max_ms = self.ms(table, "timeout", 0.1, DAY, TIMEOUT_MS);
        let then = self.then_key(table);
        let timeout = table
            .field("timeout_destination")
            .map(|field| self.then(&field));
        Some(Step::Listen {
            prompt: prompt?,
            listen: Listen {
                prompts: Vec::new(),
                repeat,
                until: until?,
                stop_keys,
                max_ms,
            },
            then: then?,
            timeout: timeout.flatten(),
        })
    }
}

/// One of the words, or a list of them.
fn until(field: &Field<'_>, silence_ms: u32) -> Option<Until> {
    let chosen: Vec<What> = match &field.node.value {
        Value::Str(_) => vec![field.choice(&WHATS)?],
        _ => {
            let each = field.list()?;
            if each.is_empty() {
                return field.expected("\"speech\", \"silence\", \"beep\", or a list of these");
            }
            let each = each.iter().map(|field| field.choice(&WHATS));
            each.collect::<Option<_>>()?
        }
    };
    Some(Until {
        speech: chosen.contains(&What::Speech),
        silence_ms: match chosen.contains(&What::Silence) {
            true => silence_ms,
            false => 0,
        },
        beep: chosen.contains(&What::Beep),
    })
}
