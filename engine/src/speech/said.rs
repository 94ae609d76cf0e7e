//! `say-as` of SSML: digits, characters, numbers, dates, money and telephone numbers as words that any voice says right. English and Spanish; what
//! another language would need words for is left to the voice. Pure.
use super::money;
use super::voices::base;

const ENGLISH_MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const SPANISH_MONTHS: [&str; 12] = [
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "octubre",
    "noviembre",
    "diciembre",
];
/// The longest text that is spelt out, in characters.
const MAX_SPELT: usize = 200;

/// How `text` is said as that kind in that format; `None`: the kind is not understood, or the text is not of it.
pub(super) fn said_as(kind: &str, format: &str, text: &str, language: &str) -> Option<String> {
    let spanish = base(language).eq_ignore_ascii_case("es");
    let english = base(language).eq_ignore_ascii_case("en");
    match kind {
        "digits" | "digit" => Some(apart(text, |char| char.is_ascii_digit())),
        "characters" | "spell-out" | "verbatim" => Some(apart(text, |char| !char.is_whitespace())),
        "telephone" | "vxml:phone" => Some(telephone(text, language)),
        "cardinal" | "number" | "vxml:number" => Some(text.to_owned()),
        "ordinal" if english || spanish => ordinal(text, spanish),
        "date" | "vxml:date" if english || spanish => date(format, text, spanish),
        "currency" | "vxml:currency" => money::said(text, spanish, english),
        // Voices say these as they are written.
        "ordinal" | "date" | "vxml:date" | "time" | "vxml:time" | "fraction" | "unit"
        | "address" => Some(text.to_owned()),
        _ => None,
    }
}

fn apart(text: &str, keep: impl Fn(char) -> bool) -> String {
    let kept = text.chars().filter(|char| keep(*char)).take(MAX_SPELT);
    kept.map(String::from).collect::<Vec<_>>().join(" ")
}

/// Digit by digit, with a breath where the number is written in groups.
fn telephone(text: &str, language: &str) -> String {
    let plus = match base(language) {
        "es" => "más",
        _ => "plus",
    };
    let mut groups: Vec<String> = vec![String::new()];
    for char in text.chars().take(MAX_SPELT) {
        let word = match char {
            '+' => plus.to_owned(),
            digit if digit.is_ascii_digit() => digit.to_string(),
            letter if letter.is_alphabetic() => letter.to_string(),
            _ => {
                groups.push(String::new());
                continue;
            }
        };
        if let Some(group) = groups.last_mut() {
            if !group.is_empty() {
                group.push(' ');
            }
            group.push_str(&word);
        }
    }
    groups.retain(|group| !group.is_empty());
    groups.join(", ")
}

fn ordinal(text: &str, spanish: bool) -> Option<String> {
    let number: u64 = text.trim().trim_end_matches(['.', 'º', 'ª']).parse().ok()?;
    if spanish {
        return Some(format!("{number}º"));
    }
    let suffix = match (number % 10, number % 100) {
        (_, 11..=13) => "th",
        (1, _) => "st",
        (2, _) => "nd",
        (3, _) => "rd",
        _ => "th",
    };
    Some(format!("{number}{suffix}"))
}

/// A date of numbers with `-`, `/` or `.` between, or `YYYYMMDD` with `?` for what is not said, in the order of `format` (`mdy` where it says none).
fn date(format: &str, text: &str, spanish: bool) -> Option<String> {
    let parts: Vec<&str> = text.split(['-', '/', '.']).map(str::trim).collect();
    let compact = text.len() == 8
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'?');
    let (order, parts) = match (compact, format) {
        (true, _) => ("ymd", vec![&text[..4], &text[4..6], &text[6..]]),
        (false, "") if parts.first().is_some_and(|part| part.len() == 4) => ("ymd", parts),
        (false, "") => ("mdy", parts),
        (false, format) => (format, parts),
    };
    if order.len() != parts.len() {
        return None;
    }
    let (mut year, mut month, mut day) = (None, None, None);
    for (field, part) in order.chars().zip(parts) {
        if part.is_empty() || part.contains('?') {
            continue;
        }
        let number: u32 = part.parse().ok()?;
        match field {
            'y' if number < 10_000 => year = Some(number),
            'm' if (1..=12).contains(&number) => month = Some(number as usize - 1),
            'd' if (1..=31).contains(&number) => day = Some(number),
            _ => return None,
        }
    }
    if spanish {
        let parts = [
            day.map(|day| day.to_string()),
            month.map(|month| SPANISH_MONTHS[month].to_owned()),
            year.map(|year| year.to_string()),
        ];
        return joined(parts.into_iter().flatten(), " de ");
    }
    let day = day.and_then(|day| ordinal(&day.to_string(), false));
    let month = month.map(|month| ENGLISH_MONTHS[month].to_owned());
    let front = joined([month, day].into_iter().flatten(), " ");
    joined(
        front.into_iter().chain(year.map(|year| year.to_string())),
        ", ",
    )
}

fn joined(parts: impl Iterator<Item = String>, between: &str) -> Option<String> {
    let parts: Vec<String> = parts.collect();
    (!parts.is_empty()).then(|| parts.join(between))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_in_english_and_spanish() {
        for (kind, format, text, language, expected) in [
            ("digits", "", "12-34", "en-US", Some("1 2 3 4")),
            ("characters", "", "AB 1", "fr-FR", Some("A B 1")),
            (
                "telephone",
                "",
                "+1 (212) 555-0199",
                "en-US",
                Some("plus 1, 2 1 2, 5 5 5, 0 1 9 9"),
            ),
            (
                "telephone",
                "",
                "+34 91 123",
                "es-ES",
                Some("más 3 4, 9 1, 1 2 3"),
            ),
            ("cardinal", "", "12345", "en-US", Some("12345")),
            ("ordinal", "", "1", "en-US", Some("1st")),
            ("ordinal", "", "112", "en-GB", Some("112th")),
            ("ordinal", "", "23", "en", Some("23rd")),
            ("ordinal", "", "3", "es-ES", Some("3º")),
            ("ordinal", "", "three", "en", None),
            (
                "date",
                "mdy",
                "12/24/2026",
                "en-US",
                Some("December 24th, 2026"),
            ),
            (
                "date",
                "dmy",
                "24.12.2026",
                "es-ES",
                Some("24 de diciembre de 2026"),
            ),
            ("date", "", "2026-01-02", "en-US", Some("January 2nd, 2026")),
            ("date", "", "20260102", "es", Some("2 de enero de 2026")),
            ("date", "", "????0102", "en", Some("January 2nd")),
            ("date", "md", "1-31", "en", Some("January 31st")),
            ("date", "y", "2026", "en", Some("2026")),
            ("date", "mdy", "13/1/2026", "en", None),
            ("date", "mdy", "1/2", "en", None),
            ("date", "mdy", "x", "de-DE", Some("x")),
            ("time", "hms12", "2:30pm", "en", Some("2:30pm")),
            ("nonsense", "", "x", "en", None),
        ] {
            let said = said_as(kind, format, text, language);
            assert_eq!(
                said.as_deref(),
                expected,
                "{kind} {format} {text} {language}"
            );
        }
    }

    #[test]
    fn odd_texts_do_no_harm() {
        for text in [
            "",
            "é",
            "99999999999999999999",
            "--",
            "١٢٣٤٥٦٧٨",
            "ééééé",
            "12é4",
        ] {
            for kind in ["digits", "telephone", "ordinal", "date", "currency"] {
                for language in ["en", "es", "", "x"] {
                    let _ = said_as(kind, "mdy", text, language);
                }
            }
        }
    }
}
