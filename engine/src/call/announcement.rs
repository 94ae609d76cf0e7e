//! What callers in a queue are told, and the files it is said with.
//!
//! A sentence is said whole or not at all: by its prompts, or where one is missing by a voice ([speech](crate::speech)). Its prompts are looked for in the queue's folder: in that of the caller's language (`es-ES`), of
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

/// One thing that is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sentence {
    /// The caller is next.
    Next,
    /// Its place.
    Position(u64),
    /// How long it may take, in minutes.
    Hold(u64),
    /// The queue's own words, by the key of a prompt.
    Comfort(String),
}

/// Everything to be said now, sentence by sentence.
pub(super) fn sentences(
    settings: &Announce,
    position: usize,
    hold: Option<Duration>,
) -> Vec<Sentence> {
    let place = settings.position.then_some(match position {
        1 => Sentence::Next,
        place => Sentence::Position(place as u64),
    });
    let hold = hold.filter(|_| settings.hold_time).map(|hold| {
        let minutes = hold.as_secs().div_ceil(60).clamp(1, MOST_MINUTES);
        Sentence::Hold(minutes)
    });
    let comfort = settings.comfort.clone().map(Sentence::Comfort);
    place.into_iter().chain(hold).chain(comfort).collect()
}

impl Sentence {
    /// The prompts that say it, by their names; a name that contains `:` or `/` is a key as it is.
    pub(super) fn prompts(&self) -> Vec<String> {
        let numbered = |name: &str, number: u64| {
            let digits = number.to_string();
            let digits = digits.chars().map(|digit| format!("digit_{digit}"));
            std::iter::once(name.to_owned()).chain(digits).collect()
        };
        match self {
            Self::Next => vec!["queue_next".to_owned()],
            Self::Position(place) => numbered("queue_position", *place),
            Self::Hold(minutes) => numbered("queue_hold", *minutes),
            Self::Comfort(key) => vec![key.clone()],
        }
    }

    /// The text that says it, for a voice; English where the language has none here.
    pub(super) fn text(&self, language: &str) -> Option<String> {
        let minutes = |count: u64, one: &str, many: &str| match count {
            1 => format!("1 {one}"),
            count => format!("{count} {many}"),
        };
        Some(match (language.get(..2).unwrap_or_default(), self) {
            (_, Self::Comfort(_)) => return None,
            ("es", Self::Next) => "Usted es el siguiente.".to_owned(),
            ("es", Self::Position(place)) => format!("Usted es el número {place} de la cola."),
            ("es", Self::Hold(count)) => {
                format!(
                    "El tiempo de espera es de unos {}.",
                    minutes(*count, "minuto", "minutos")
                )
            }
            ("de", Self::Next) => "Sie sind als Nächstes an der Reihe.".to_owned(),
            ("de", Self::Position(place)) => {
                format!("Sie sind auf Platz {place} der Warteschlange.")
            }
            ("de", Self::Hold(count)) => {
                format!(
                    "Die Wartezeit beträgt etwa {}.",
                    minutes(*count, "Minute", "Minuten")
                )
            }
            (_, Self::Next) => "You are next in line.".to_owned(),
            (_, Self::Position(place)) => format!("You are number {place} in line."),
            (_, Self::Hold(count)) => {
                format!(
                    "It may take about {}.",
                    minutes(*count, "minute", "minutes")
                )
            }
        })
    }
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
            all.iter()
                .map(|sentence| sentence.prompts().join(" "))
                .collect()
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
    fn a_voice_has_words_for_all_but_the_queues_own() {
        let said = |sentence: Sentence, language| sentence.text(language).unwrap();
        assert_eq!(
            said(Sentence::Position(3), "en-GB"),
            "You are number 3 in line."
        );
        assert_eq!(
            said(Sentence::Hold(1), "es_ES"),
            "El tiempo de espera es de unos 1 minuto."
        );
        assert_eq!(
            said(Sentence::Hold(5), "de"),
            "Die Wartezeit beträgt etwa 5 Minuten."
        );
        assert_eq!(said(Sentence::Next, "zz"), "You are next in line.");
        assert_eq!(said(Sentence::Next, ""), "You are next in line.");
        assert_eq!(Sentence::Comfort("x".to_owned()).text("en"), None);
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
