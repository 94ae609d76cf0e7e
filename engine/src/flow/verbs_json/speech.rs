//! What speech counts as an entry: the keys `input`, `language`, `hints`, `speech_end_ms` and `max_speech_ms` of `gather`.
use super::super::spoken::{INPUTS, Inputs, hints};
use super::read::short;
use crate::call::{SPEECH_END_MS, SPEECH_MAX_MS, SpeechInput};
use crate::config::document::field::Table;

/// `Some(None)`: keys alone; `None`: there is a mistake.
pub(super) fn input(table: &mut Table<'_>) -> Option<Option<SpeechInput>> {
    let input = table.field("input");
    let input = input.map_or(Some(Inputs::Keys), |field| field.choice(&INPUTS));
    let language = table.field("language").map(|field| short(&field));
    let hints = table.field("hints").map(|field| hints(&field));
    let end = table.field("speech_end_ms");
    let end_ms = end.map_or(Some(SPEECH_END_MS.into()), |f| f.integer(400..=10_000));
    let max = table.field("max_speech_ms");
    let max_ms = max.map_or(Some(SPEECH_MAX_MS.into()), |f| f.integer(1000..=60_000));
    let input = input?;
    let speech = SpeechInput {
        keys: input == Inputs::Both,
        language: match language {
            Some(language) => Some(language?),
            None => None,
        },
        hints: match hints {
            Some(hints) => hints?,
            None => Vec::new(),
        },
        end_ms: end_ms? as u32,
        max_ms: max_ms? as u32,
    };
    Some((input != Inputs::Keys).then_some(speech))
}
