//! Names of voices that programs ask for, whatever speaks: the two of Plivo and those of Amazon Polly. Owns what language and what kind of voice a
//! name means, so that any back end can come near it.

/// What kind of voice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gender {
    /// A woman's.
    Female,
    /// A man's.
    Male,
}

/// Polly's voices: name, language, kind (<https://docs.aws.amazon.com/polly/latest/dg/available-voices.html>).
const POLLY: &[(&str, &str, Gender)] = {
    use Gender::{Female as F, Male as M};
    &[
        ("Zeina", "ar", F),
        ("Hala", "ar-AE", F),
        ("Zayd", "ar-AE", M),
        ("Lisa", "nl-BE", F),
        ("Arlet", "ca-ES", F),
        ("Jitka", "cs-CZ", F),
        ("Hiujin", "yue-CN", F),
        ("Zhiyu", "cmn-CN", F),
        ("Naja", "da-DK", F),
        ("Mads", "da-DK", M),
        ("Sofie", "da-DK", F),
        ("Laura", "nl-NL", F),
        ("Lotte", "nl-NL", F),
        ("Ruben", "nl-NL", M),
        ("Nicole", "en-AU", F),
        ("Olivia", "en-AU", F),
        ("Russell", "en-AU", M),
        ("Amy", "en-GB", F),
        ("Emma", "en-GB", F),
        ("Brian", "en-GB", M),
        ("Arthur", "en-GB", M),
        ("Aditi", "en-IN", F),
        ("Raveena", "en-IN", F),
        ("Kajal", "en-IN", F),
        ("Niamh", "en-IE", F),
        ("Aria", "en-NZ", F),
        ("Ayanda", "en-ZA", F),
        ("Danielle", "en-US", F),
        ("Gregory", "en-US", M),
        ("Ivy", "en-US", F),
        ("Joanna", "en-US", F),
        ("Kendra", "en-US", F),
        ("Kimberly", "en-US", F),
        ("Salli", "en-US", F),
        ("Joey", "en-US", M),
        ("Justin", "en-US", M),
        ("Kevin", "en-US", M),
        ("Matthew", "en-US", M),
        ("Ruth", "en-US", F),
        ("Stephen", "en-US", M),
        ("Geraint", "en-GB-WLS", M),
        ("Suvi", "fi-FI", F),
        ("Celine", "fr-FR", F),
        ("Lea", "fr-FR", F),
        ("Mathieu", "fr-FR", M),
        ("Remi", "fr-FR", M),
        ("Isabelle", "fr-BE", F),
        ("Chantal", "fr-CA", F),
        ("Gabrielle", "fr-CA", F),
        ("Liam", "fr-CA", M),
        ("Marlene", "de-DE", F),
        ("Vicki", "de-DE", F),
        ("Hans", "de-DE", M),
        ("Daniel", "de-DE", M),
        ("Hannah", "de-AT", F),
        ("Sabrina", "de-CH", F),
        ("Dora", "is-IS", F),
        ("Karl", "is-IS", M),
        ("Carla", "it-IT", F),
        ("Bianca", "it-IT", F),
        ("Giorgio", "it-IT", M),
        ("Adriano", "it-IT", M),
        ("Mizuki", "ja-JP", F),
        ("Takumi", "ja-JP", M),
        ("Kazuha", "ja-JP", F),
        ("Tomoko", "ja-JP", F),
        ("Seoyeon", "ko-KR", F),
        ("Liv", "nb-NO", F),
        ("Ida", "nb-NO", F),
        ("Ewa", "pl-PL", F),
        ("Maja", "pl-PL", F),
        ("Jacek", "pl-PL", M),
        ("Jan", "pl-PL", M),
        ("Ola", "pl-PL", F),
        ("Camila", "pt-BR", F),
        ("Vitoria", "pt-BR", F),
        ("Ricardo", "pt-BR", M),
        ("Thiago", "pt-BR", M),
        ("Ines", "pt-PT", F),
        ("Cristiano", "pt-PT", M),
        ("Carmen", "ro-RO", F),
        ("Tatyana", "ru-RU", F),
        ("Maxim", "ru-RU", M),
        ("Conchita", "es-ES", F),
        ("Lucia", "es-ES", F),
        ("Enrique", "es-ES", M),
        ("Sergio", "es-ES", M),
        ("Mia", "es-MX", F),
        ("Andres", "es-MX", M),
        ("Lupe", "es-US", F),
        ("Penelope", "es-US", F),
        ("Miguel", "es-US", M),
        ("Pedro", "es-US", M),
        ("Astrid", "sv-SE", F),
        ("Elin", "sv-SE", F),
        ("Filiz", "tr-TR", F),
        ("Burcu", "tr-TR", F),
        ("Gwyneth", "cy-GB", F),
    ]
};

/// What a name means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// The name without `Polly.`, where it is one of those.
    pub(super) polly: Option<&'static str>,
    /// Its language.
    pub(super) language: Option<&'static str>,
    /// Its kind.
    pub(super) gender: Gender,
}

/// A name that is known; others are a back end's own.
pub(super) fn known(name: &str) -> Option<Known> {
    let plain = |gender| Known {
        polly: None,
        language: None,
        gender,
    };
    if name.eq_ignore_ascii_case("WOMAN") || name.eq_ignore_ascii_case("female") {
        return Some(plain(Gender::Female));
    }
    if name.eq_ignore_ascii_case("MAN") || name.eq_ignore_ascii_case("male") {
        return Some(plain(Gender::Male));
    }
    let short = name.strip_prefix("Polly.")?;
    // `Polly.Joanna-Neural` and accents, as in Lucía.
    let short: String = short
        .split('-')
        .next()?
        .chars()
        .map(without_accent)
        .collect();
    let (polly, language, gender) = POLLY
        .iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(&short))?;
    Some(Known {
        polly: Some(polly),
        language: Some(language),
        gender: *gender,
    })
}

/// A voice of Polly for a language.
pub(super) fn polly_for(language: &str, gender: Option<Gender>) -> Option<&'static str> {
    let rank = |of: &str, kind: Gender| {
        let near = if of.eq_ignore_ascii_case(language) {
            0
        } else if base(of).eq_ignore_ascii_case(base(language)) {
            2
        } else {
            return None;
        };
        Some(near + usize::from(gender.is_some_and(|wanted| wanted != kind)))
    };
    let ranked = POLLY
        .iter()
        .filter_map(|(name, of, kind)| Some((rank(of, *kind)?, *name)));
    ranked.min_by_key(|(rank, _)| *rank).map(|(_, name)| name)
}

/// The language of a tag, without its region.
pub(crate) fn base(tag: &str) -> &str {
    tag.split(['-', '_']).next().unwrap_or(tag)
}

fn without_accent(char: char) -> char {
    match char {
        'á' => 'a',
        'é' => 'e',
        'í' => 'i',
        'ó' | 'ô' => 'o',
        'ê' => 'e',
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_mean_a_language_and_a_kind() {
        for (name, polly, language, gender) in [
            (
                "Polly.Joanna",
                Some("Joanna"),
                Some("en-US"),
                Gender::Female,
            ),
            (
                "Polly.Matthew-Neural",
                Some("Matthew"),
                Some("en-US"),
                Gender::Male,
            ),
            ("Polly.Lucía", Some("Lucia"), Some("es-ES"), Gender::Female),
            ("woman", None, None, Gender::Female),
            ("MAN", None, None, Gender::Male),
        ] {
            let expected = Known {
                polly,
                language,
                gender,
            };
            assert_eq!(known(name), Some(expected), "{name}");
        }
        assert_eq!(known("Joanna"), None);
        assert_eq!(known("Polly.Nobody"), None);
        assert_eq!(polly_for("es-ES", Some(Gender::Male)), Some("Enrique"));
        assert_eq!(polly_for("en-ZW", None), Some("Nicole"));
        assert_eq!(polly_for("xx", None), None);
    }
}
