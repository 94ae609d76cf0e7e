//! Speech as an entry: which keys and choices words stand for. Owns the words of digits in English, Spanish, German and French; in other languages only
//! figures are understood as keys. Pure.
use super::model::{Choice, Hearing};
use crate::call::{SPEECH_END_MS, SPEECH_MAX_MS, SpeechInput};
use crate::config::document::Value;
use crate::config::document::field::{Field, Table};
use crate::speech::recognition::{MAX_HINT, MAX_HINTS};
use crate::speech::{Transcript, base_language};

/// What counts as an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Inputs {
    Keys,
    Speech,
    Both,
}

/// The words for it; `dtmf speech` is Plivo's.
pub(super) const INPUTS: [(&str, Inputs); 4] = [
    ("dtmf", Inputs::Keys),
    ("speech", Inputs::Speech),
    ("dtmf speech", Inputs::Both),
    ("both", Inputs::Both),
];

/// The keys that words stand for, by language.
const DIGITS: [(&str, &[(&str, char)]); 4] = [
    (
        "en",
        &[
            ("zero", '0'),
            ("one", '1'),
            ("two", '2'),
            ("three", '3'),
            ("four", '4'),
            ("five", '5'),
            ("six", '6'),
            ("seven", '7'),
            ("eight", '8'),
            ("nine", '9'),
            ("star", '*'),
            ("pound", '#'),
            ("oh", '0'),
            ("hash", '#'),
        ],
    ),
    (
        "es",
        &[
            ("cero", '0'),
            ("uno", '1'),
            ("dos", '2'),
            ("tres", '3'),
            ("cuatro", '4'),
            ("cinco", '5'),
            ("seis", '6'),
            ("siete", '7'),
            ("ocho", '8'),
            ("nueve", '9'),
            ("asterisco", '*'),
            ("almohadilla", '#'),
            ("numeral", '#'),
        ],
    ),
    (
        "de",
        &[
            ("null", '0'),
            ("eins", '1'),
            ("zwei", '2'),
            ("drei", '3'),
            ("vier", '4'),
            ("fünf", '5'),
            ("sechs", '6'),
            ("sieben", '7'),
            ("acht", '8'),
            ("neun", '9'),
            ("stern", '*'),
            ("raute", '#'),
            ("zwo", '2'),
        ],
    ),
    (
        "fr",
        &[
            ("zéro", '0'),
            ("un", '1'),
            ("deux", '2'),
            ("trois", '3'),
            ("quatre", '4'),
            ("cinq", '5'),
            ("six", '6'),
            ("sept", '7'),
            ("huit", '8'),
            ("neuf", '9'),
            ("étoile", '*'),
            ("dièse", '#'),
        ],
    ),
];

fn words_of_digits(language: &str) -> &'static [(&'static str, char)] {
    let base = base_language(language).to_ascii_lowercase();
    let base = if base.is_empty() { "en" } else { &base };
    let found = DIGITS.iter().find(|(language, _)| *language == base);
    found.map_or(&[], |(_, words)| words)
}

/// What is said of a key, for who listens to it.
fn word_of(key: char, language: &str) -> Option<&'static str> {
    let mut words = words_of_digits(language).iter();
    words.find(|(_, of)| *of == key).map(|(word, _)| *word)
}

/// The words of a text in small letters, without signs; apostrophes join.
pub(super) fn words(text: &str) -> String {
    let letters: String = text
        .to_lowercase()
        .chars()
        .filter(|char| !matches!(char, '\'' | '’'))
        .map(|char| if char.is_alphanumeric() { char } else { ' ' })
        .collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The keys that the words stand for; `None` where any of them is no digit.
pub(super) fn digits(words: &str, language: &str) -> Option<String> {
    let known = words_of_digits(language);
    let mut keys = String::new();
    for word in words.split(' ').filter(|word| !word.is_empty()) {
        if word.bytes().all(|byte| byte.is_ascii_digit()) {
            keys.push_str(word);
        } else {
            let found = known.iter().find(|(known, _)| *known == word);
            keys.push(found?.1);
        }
    }
    (!keys.is_empty()).then_some(keys)
}

/// The choice that words mean: whose phrase they are, whose keys they say, or whose phrase is among them (the longest one).
pub(super) fn chosen<'c>(choices: &'c [Choice], words: &str, language: &str) -> Option<&'c Choice> {
    let whole = choices
        .iter()
        .find(|choice| choice.phrases.iter().any(|phrase| phrase == words));
    let by_keys = || {
        let keys = digits(words, language)?;
        choices.iter().find(|choice| choice.exten.matches(&keys))
    };
    let padded = format!(" {words} ");
    let within = || {
        let longest = |choice: &Choice| {
            let phrases = choice.phrases.iter();
            let said = phrases.filter(|phrase| padded.contains(&format!(" {phrase} ")));
            said.map(String::len).max()
        };
        let said = choices
            .iter()
            .filter_map(|choice| Some((longest(choice)?, choice)));
        // Of several as long, the first in the file.
        said.rev()
            .max_by_key(|(length, _)| *length)
            .map(|(_, choice)| choice)
    };
    whole.or_else(by_keys).or_else(within)
}

/// What speech counts, and what may be said: the phrases of the choices, the digits that are keys of one, and the hints.
pub(super) fn input(hearing: &Hearing, choices: &[Choice], language: &str) -> SpeechInput {
    let language = hearing.language.as_deref().unwrap_or(language);
    let mut hints: Vec<String> = hearing.hints.clone();
    for choice in choices {
        hints.extend(choice.phrases.iter().cloned());
        let mut keys = choice.exten.as_str().chars();
        if let (Some(key), None) = (keys.next(), keys.next()) {
            hints.extend(word_of(key, language).map(str::to_owned));
        }
    }
    hints.truncate(MAX_HINTS);
    SpeechInput {
        keys: hearing.keys,
        language: Some(language.to_owned()).filter(|language| !language.is_empty()),
        hints,
        end_ms: hearing.end_ms,
        max_ms: hearing.max_ms,
    }
}

/// The words of what was said, where it is sure enough; else none.
pub(super) fn heard(transcript: &Transcript, least_confidence: f32) -> String {
    match transcript.confidence {
        Some(sure) if sure < least_confidence => String::new(),
        _ => words(&transcript.text),
    }
}

/// A list of words and phrases, or one text with commas between.
pub(super) fn hints(field: &Field<'_>) -> Option<Vec<String>> {
    let phrases: Vec<String> = match &field.node.value {
        Value::List(_) => {
            let each = field.list()?;
            let each = each.iter().map(|item| item.string().map(str::to_owned));
            each.collect::<Option<_>>()?
        }
        _ => field.string()?.split(',').map(str::to_owned).collect(),
    };
    let phrases: Vec<String> = phrases.iter().map(|it| it.trim().to_owned()).collect();
    let fits = |phrase: &String| {
        (1..=MAX_HINT).contains(&phrase.chars().count()) && !phrase.chars().any(char::is_control)
    };
    if phrases.len() > MAX_HINTS || !phrases.iter().all(fits) {
        return field.expected(&format!(
            "at most {MAX_HINTS} words or phrases of 1 to {MAX_HINT} characters"
        ));
    }
    Some(phrases)
}

/// Words that a phrase is made of; `None`: there are none.
pub(super) fn phrases(field: &Field<'_>) -> Option<Vec<String>> {
    let phrases: Vec<String> = hints(field)?.iter().map(|phrase| words(phrase)).collect();
    if phrases.iter().any(String::is_empty) {
        return field.expected("phrases with letters or digits in them");
    }
    Some(phrases)
}

/// The keys about speech of a menu or `collect`; `wanted` where nothing says whether speech counts.
pub(super) fn hearing(table: &mut Table<'_>, wanted: bool) -> Option<Box<Hearing>> {
    let input = table.field("input");
    let usual = match wanted || table.has("hints") {
        true => Inputs::Both,
        false => Inputs::Keys,
    };
    let input = input.map_or(Some(usual), |field| field.choice(&INPUTS));
    let language = table.field("speech_language");
    let language = language.and_then(|field| field.string().map(str::to_owned));
    let given = table.field("hints").and_then(|field| hints(&field));
    let mut seconds = |key, least: f64, most: f64, usual: u32| {
        let given = table.field(key).and_then(|f| f.number(least..=most));
        given.map_or(usual, |seconds| (seconds * 1000.0).round() as u32)
    };
    let end_ms = seconds("speech_end_timeout", 0.4, 10.0, SPEECH_END_MS);
    let max_ms = seconds("max_speech", 1.0, 60.0, SPEECH_MAX_MS);
    let sure = table.field("min_confidence");
    let sure = sure.and_then(|field| field.number(0.0..=1.0));
    let input = input.filter(|input| *input != Inputs::Keys)?;
    Some(Box::new(Hearing {
        keys: input == Inputs::Both,
        language,
        hints: given.unwrap_or_default(),
        end_ms,
        max_ms,
        least_confidence: sure.unwrap_or(0.0) as f32,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::HangupCause;
    use crate::flow::model::{Destination, Prompt};
    use crate::flow::pattern::Pattern;

    fn choice(exten: &str, phrases: &[&str]) -> Choice {
        Choice {
            exten: Pattern::parse(exten).unwrap(),
            phrases: phrases.iter().map(|phrase| words(phrase)).collect(),
            destination: Destination::Hangup {
                cause: HangupCause::Normal,
                prompt: Prompt::default(),
            },
        }
    }

    #[test]
    fn words_stand_for_keys() {
        for (text, language, expected) in [
            ("One.", "en-US", Some("1")),
            ("one, two; THREE 45", "en", Some("12345")),
            ("oh seven star", "", Some("07*")),
            ("uno", "es-MX", Some("1")),
            ("uno", "en", None),
            ("zwo fünf", "de_DE", Some("25")),
            ("7", "ja", Some("7")),
            ("one please", "en", None),
            ("", "en", None),
        ] {
            assert_eq!(
                digits(&words(text), language).as_deref(),
                expected,
                "{text}"
            );
        }
    }

    #[test]
    fn a_phrase_a_key_or_what_holds_the_phrase_chooses() {
        let choices = [
            choice("1", &["sales", "I'd like to buy"]),
            choice("2", &["support", "sales support"]),
            choice("_3X", &[]),
        ];
        for (text, expected) in [
            ("Sales!", Some("1")),
            ("id like to buy", Some("1")),
            ("two", Some("2")),
            ("three five", Some("_3X")),
            ("I want sales support, please", Some("2")),
            ("could I talk to sales", Some("1")),
            ("wholesales", None),
            ("nothing", None),
        ] {
            let found = chosen(&choices, &words(text), "en-US");
            let found = found.map(|choice| choice.exten.as_str());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_may_be_said_is_told_to_who_listens() {
        let hearing = Hearing {
            keys: true,
            language: None,
            hints: vec!["operator".to_owned()],
            end_ms: 1000,
            max_ms: 15_000,
            least_confidence: 0.5,
        };
        let choices = [choice("1", &["ventas"]), choice("_2X", &[])];
        let input = input(&hearing, &choices, "es-ES");
        assert_eq!(input.hints, ["operator", "ventas", "uno"]);
        assert_eq!(input.language.as_deref(), Some("es-ES"));
        let said = |confidence| Transcript {
            text: "Ventas.".to_owned(),
            confidence,
            ..Transcript::default()
        };
        assert_eq!(heard(&said(Some(0.4)), 0.5), "");
        assert_eq!(heard(&said(Some(0.5)), 0.5), "ventas");
        assert_eq!(heard(&said(None), 0.5), "ventas");
    }
}
