//! Nodes that listen for tones and find out who answered: their keys and defaults.
use super::super::model::Step;
use super::{DAY, Reader};
use crate::call::{DetectMachine, WaitForTone};
use crate::config::document::Value;
use crate::config::document::field::{Field, Table};
use trunkline_dsp::answering::Settings;
use trunkline_dsp::progress::{COUNTRIES, Plan};

/// How long a node that names no time waits for a tone, ms.
const WAIT_MS: u32 = 30_000;
/// Tones that can be waited for.
const TONES: [&str; 9] = [
    "dial",
    "ringback",
    "busy",
    "congestion",
    "call_waiting",
    "unobtainable",
    "information",
    "fax_calling",
    "fax_answer",
];

impl Reader<'_> {
    pub(super) fn wait_for_tone(&self, table: &mut Table<'_>) -> Option<Step> {
        let prompt = table
            .field("prompt")
            .map_or(Some(Default::default()), |field| self.prompt(&field, false));
        let repeat = self.repeat(table);
        let plan = self.country(table);
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
        let usual = Settings::default();
        let ms = |table: &mut Table<'_>, key, default| millis(table, key, default);
        let settings = Settings {
            initial_silence_ms: ms(table, "initial_silence_ms", usual.initial_silence_ms),
            greeting_ms: ms(table, "greeting_ms", usual.greeting_ms),
            after_greeting_silence_ms: ms(
                table,
                "after_greeting_silence_ms",
                usual.after_greeting_silence_ms,
            ),
            total_analysis_ms: ms(table, "total_analysis_ms", usual.total_analysis_ms),
            min_word_ms: ms(table, "min_word_ms", usual.min_word_ms),
            max_word_ms: ms(table, "max_word_ms", usual.max_word_ms),
            between_words_silence_ms: ms(
                table,
                "between_words_silence_ms",
                usual.between_words_silence_ms,
            ),
            max_words: millis(table, "max_words", usual.max_words),
            silence_threshold_dbm0: level(table, usual.silence_threshold_dbm0),
            wait_for_beep: self.flag(table, "wait_for_beep", false),
            end_silence_ms: ms(table, "end_silence_ms", usual.end_silence_ms),
            max_message_ms: ms(table, "max_message_ms", usual.max_message_ms),
        };
        let plan = self.country(table);
        let then = self.then_key(table);
        Some(Step::DetectMachine {
            detect: Box::new(DetectMachine {
                plan: plan?,
                settings,
            }),
            then: then?,
        })
    }

    /// Whose tones are listened for.
    fn country(&self, table: &mut Table<'_>) -> Option<&'static Plan> {
        let Some(field) = table.field("country") else {
            return Plan::to_hear("any");
        };
        let plan = Plan::to_hear(field.string()?);
        if plan.is_none() {
            let codes: Vec<&str> = COUNTRIES.iter().map(|plan| plan.code).collect();
            return field.expected(&format!("\"any\" or one of {}", codes.join(", ")));
        }
        plan
    }
}

/// A whole number of ms, or of words.
fn millis(table: &mut Table<'_>, key: &'static str, default: u32) -> u32 {
    let own = table.field(key);
    let own = own.and_then(|field| field.integer(1..=600_000));
    own.map_or(default, |ms| ms as u32)
}

fn level(table: &mut Table<'_>, default: i32) -> i32 {
    let own = table.field("silence_threshold_dbm0");
    let own = own.and_then(|field| field.integer(-70..=0));
    own.map_or(default, |level| level as i32)
}

/// One of the names, or a list of them.
fn tones(field: &Field<'_>) -> Option<Vec<String>> {
    let choices = TONES.map(|name| (name, name));
    let one = |field: &Field<'_>| field.choice(&choices).map(str::to_owned);
    match &field.node.value {
        Value::Str(_) => Some(vec![one(field)?]),
        _ => field.list()?.iter().map(one).collect(),
    }
}
