//! What callers in a queue are told, and the files it is said with.
//!
//! A sentence is said whole or not at all. Its prompts are looked for in the queue's folder: in that of the caller's language (`es-ES`), of
//! that language without its region (`es`), then in the folder itself.
//!
//! | prompt | said |
//! |---|---|
//! | `queue_position` | "you are number", before the digits of the place |
//! | `queue_next` | "you are next", where the place is the first; without it as for any other |
//! | `queue_hold` | "it may take, in minutes", before the digits of the minutes |
//! | `digit_0` … `digit_9` | one digit each |
use crate::config::Announce;
use std::time::Duration;

/// Where prompts are by default.
const USUAL: &str = "builtin:prompts";
/// The longest wait that is told, in minutes.
const MOST_MINUTES: u64 = 99;

/// One prompt, by its name; a name that contains `:` or `/` is a key as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spoken(pub(super) String);

/// Everything to be said now, sentence by sentence.
pub(super) fn sentences(
    settings: &Announce,
    position: usize,
    hold: Option<Duration>,
) -> Vec<Vec<Spoken>> {
    let mut sentences = Vec::new();
    let word = |name: &str| Spoken(name.to_owned());
    let numbered = |name: &str, number: u64| -> Vec<Spoken> {
        let digits = number.to_string();
        let digits = digits.chars().map(|digit| Spoken(format!("digit_{digit}")));
        std::iter::once(word(name)).chain(digits).collect()
    };
    if settings.position {
        sentences.push(match position {
            1 => vec![word("queue_next")],
            place => numbered("queue_position", place as u64),
        });
    }
    if let Some(hold) = hold.filter(|_| settings.hold_time) {
        let minutes = hold.as_secs().div_ceil(60).clamp(1, MOST_MINUTES);
        sentences.push(numbered("queue_hold", minutes));
    }
    if let Some(comfort) = &settings.comfort {
        sentences.push(vec![word(comfort)]);
    }
    sentences
}

/// The keys under which a prompt may be found, the most wanted first.
pub(super) fn keys(settings: &Announce, language: &str, name: &str) -> Vec<String> {
    if name.contains([':', '/']) {
        return vec![name.to_owned()];
    }
    let folder = settings.prompts.as_deref().unwrap_or(USUAL);
    let folder = folder.trim_end_matches('/');
    let spelt = language.replace('_', "-");
    let base = spelt.split('-').next().unwrap_or_default();
    let fits = |tag: &&str| {
        !tag.is_empty()
            && tag
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    let mut tags: Vec<&str> = [spelt.as_str(), base].into_iter().filter(fits).collect();
    tags.dedup();
    let in_language = tags.into_iter().map(|tag| format!("{folder}/{tag}/{name}"));
    in_language.chain([format!("{folder}/{name}")]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_and_a_time_are_said_digit_by_digit() {
        let settings = Announce {
            position: true,
            hold_time: true,
            comfort: Some("builtin:prompts/music".to_owned()),
            ..Announce::default()
        };
        let said = |position, hold: Option<u64>| -> Vec<String> {
            let all = sentences(&settings, position, hold.map(Duration::from_secs));
            let line = |sentence: Vec<Spoken>| {
                let names: Vec<String> = sentence.into_iter().map(|Spoken(name)| name).collect();
                names.join(" ")
            };
            all.into_iter().map(line).collect()
        };
        let comfort = "builtin:prompts/music";
        assert_eq!(said(1, None), ["queue_next", comfort]);
        let twelfth = "queue_position digit_1 digit_2";
        assert_eq!(said(12, Some(61)), [twelfth, "queue_hold digit_2", comfort]);
        assert_eq!(said(1, Some(0))[1], "queue_hold digit_1");
        assert_eq!(said(1, Some(1_000_000))[1], "queue_hold digit_9 digit_9");
        let silent = sentences(&Announce::default(), 3, Some(Duration::from_secs(9)));
        assert!(silent.is_empty());
    }

    #[test]
    fn the_language_of_the_caller_comes_first() {
        let mut settings = Announce::default();
        assert_eq!(keys(&settings, "", "digit_1"), ["builtin:prompts/digit_1"]);
        settings.prompts = Some("/p/".to_owned());
        assert_eq!(
            keys(&settings, "es_ES", "x"),
            ["/p/es-ES/x", "/p/es/x", "/p/x"]
        );
        assert_eq!(keys(&settings, "es", "x"), ["/p/es/x", "/p/x"]);
        assert_eq!(keys(&settings, "../etc", "x"), ["/p/x"]);
        assert_eq!(keys(&settings, "es", "/q/x.wav"), ["/q/x.wav"]);
    }
}
