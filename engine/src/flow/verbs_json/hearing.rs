//! Verbs that listen: for speech, silence or a beep, for tones, and for who answered.
use super::read::{flag, keys, ms, prompts, repeat};
use crate::call::{Listen, Until, Verb, WaitForTone};
use crate::config::document::field::Table;
use crate::flow::tone_keys::{country, detection, tones};

pub(super) fn listen(table: &mut Table<'_>) -> Option<Verb> {
    let (prompts, repeat) = (prompts(table), repeat(table));
    let (speech, beep) = (flag(table, "speech", false), flag(table, "beep", false));
    let silence_ms = ms(table, "silence_ms", 0);
    let stop_keys = keys(table, "stop_keys");
    let max_ms = ms(table, "max_ms", 30_000);
    Some(Verb::Listen(Listen {
        prompts: prompts?,
        repeat: repeat?,
        until: Until {
            speech: speech?,
            silence_ms: silence_ms?,
            beep: beep?,
        },
        stop_keys: stop_keys?,
        max_ms: max_ms?,
    }))
}

pub(super) fn wait_for_tone(table: &mut Table<'_>) -> Option<Verb> {
    let (prompts, repeat) = (prompts(table), repeat(table));
    let plan = country(table);
    let kinds = table.field("tones").map_or(Some(Vec::new()), |f| tones(&f));
    let stop_keys = keys(table, "stop_keys");
    let max_ms = ms(table, "max_ms", 30_000);
    Some(Verb::WaitForTone(Box::new(WaitForTone {
        prompts: prompts?,
        repeat: repeat?,
        plan: plan?,
        kinds: kinds?,
        stop_keys: stop_keys?,
        max_ms: max_ms?,
    })))
}

pub(super) fn detect_machine(table: &mut Table<'_>) -> Option<Verb> {
    Some(Verb::DetectMachine(Box::new(detection(table)?)))
}
