//! The keys of what listens for tones and finds out who answered: the same in nodes of flows and in verbs.
use crate::call::DetectMachine;
use crate::config::document::Value;
use crate::config::document::field::{Field, Table};
use trunkline_dsp::answering::Settings;
use trunkline_dsp::progress::{COUNTRIES, Plan};

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

/// Who answered: every key but what follows.
pub(super) fn detection(table: &mut Table<'_>) -> Option<DetectMachine> {
    let usual = Settings::default();
    let ms = |table: &mut Table<'_>, key, default| millis(table, key, default);
    let flag = |table: &mut Table<'_>, key| {
        let field = table.field(key);
        field.and_then(|field| field.boolean()).unwrap_or(false)
    };
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
        wait_for_beep: flag(table, "wait_for_beep"),
        end_silence_ms: ms(table, "end_silence_ms", usual.end_silence_ms),
        max_message_ms: ms(table, "max_message_ms", usual.max_message_ms),
    };
    let background = flag(table, "background");
    Some(DetectMachine {
        plan: country(table)?,
        settings,
        background,
    })
}

/// Whose tones are listened for.
pub(super) fn country(table: &mut Table<'_>) -> Option<&'static Plan> {
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
pub(super) fn tones(field: &Field<'_>) -> Option<Vec<String>> {
    let choices = TONES.map(|name| (name, name));
    let one = |field: &Field<'_>| field.choice(&choices).map(str::to_owned);
    match &field.node.value {
        Value::Str(_) => Some(vec![one(field)?]),
        _ => field.list()?.iter().map(one).collect(),
    }
}
