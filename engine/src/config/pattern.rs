//! Patterns of called numbers. Owns their grammar, their matching and which of two is the more exact. Pure and linear in the text.
//!
//! `100` one number · `+49*` a beginning · `*` all · `100-199` a range · `+4930XXX`, `0[2-9]X*` digits: `X` any, `[2-9]` one of.
//! Limit: 64 characters.
use std::fmt;

/// The longest pattern, in characters.
pub(super) const MAX_PATTERN: usize = 64;

/// A pattern of called numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberPattern {
    text: String,
    form: Form,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    Exact,
    /// First and last, of as many digits as `width`, after a common lead such as `+`.
    Range {
        width: usize,
        first: u64,
        last: u64,
        plus: bool,
    },
    /// What stands in each place, and whether anything may follow.
    Places {
        places: Vec<Place>,
        open: bool,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Is(char),
    Digit { low: char, high: char },
}

/// Why text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PatternError(pub &'static str);

impl NumberPattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// The rule it breaks.
    pub fn parse(text: &str) -> Result<Self, PatternError> {
        if text.is_empty() {
            return Err(PatternError("must not be empty"));
        }
        if text.chars().count() > MAX_PATTERN {
            return Err(PatternError("may have at most 64 characters"));
        }
        if text
            .chars()
            .any(|char| char.is_control() || char.is_whitespace())
        {
            return Err(PatternError("may not hold spaces or control characters"));
        }
        Ok(Self {
            form: form(text)?,
            text: text.to_owned(),
        })
    }

    /// The pattern as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether `number` is one of those meant.
    pub fn matches(&self, number: &str) -> bool {
        match &self.form {
            Form::Exact => number == self.text,
            Form::Range {
                width,
                first,
                last,
                plus,
            } => {
                let digits = match plus {
                    true => number.strip_prefix('+'),
                    false => Some(number),
                };
                digits.is_some_and(|digits| {
                    digits.len() == *width
                        && digits.bytes().all(|byte| byte.is_ascii_digit())
                        && digits
                            .parse()
                            .is_ok_and(|value: u64| (*first..=*last).contains(&value))
                })
            }
            Form::Places { places, open } => {
                let mut rest = number.chars();
                places.iter().all(|place| {
                    rest.next().is_some_and(|char| match place {
                        Place::Is(only) => char == *only,
                        Place::Digit { low, high } => (*low..=*high).contains(&char),
                    })
                }) && (*open || rest.next().is_none())
            }
        }
    }

    /// How exact the pattern is; of two that match, the greater one is taken: an exact number before a range, that before digits in
    /// places, and those before a beginning; then more fixed characters, then more places.
    pub fn exactness(&self) -> (u8, usize, usize) {
        match &self.form {
            Form::Exact => (3, self.text.len(), self.text.len()),
            Form::Range { width, .. } => (2, *width, *width),
            Form::Places { places, open } => {
                let fixed = places
                    .iter()
                    .filter(|place| matches!(place, Place::Is(_)))
                    .count();
                (u8::from(!open), fixed, places.len())
            }
        }
    }

    /// Whether it stands for one number only.
    pub fn is_exact(&self) -> bool {
        self.form == Form::Exact
    }
}

impl fmt::Display for NumberPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn form(text: &str) -> Result<Form, PatternError> {
    if let Some((first, last)) = text.split_once('-')
        && !text.contains('[')
        && digits(first.strip_prefix('+').unwrap_or(first))
        && digits(last.strip_prefix('+').unwrap_or(last))
    {
        return range(first, last);
    }
    let (body, open) = match text.strip_suffix('*') {
        Some(body) => (body, true),
        None => (text, false),
    };
    let numeric = |char: char| char.is_ascii_digit() || "+*#X[]-".contains(char);
    if body.contains(['[', ']']) && !body.chars().all(numeric) {
        return Err(CLASS);
    }
    if !body.chars().all(numeric) || !body.contains(['X', '[', ']']) {
        // A name, a whole number, or the beginning of either.
        let places = body.chars().map(Place::Is).collect();
        return match open {
            true => Ok(Form::Places { places, open }),
            false => Ok(Form::Exact),
        };
    }
    let places = places(body)?;
    Ok(Form::Places { places, open })
}

fn digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn range(first: &str, last: &str) -> Result<Form, PatternError> {
    let plus = first.starts_with('+');
    let (first, last) = (
        first.trim_start_matches('+'),
        last.strip_prefix('+')
            .filter(|_| plus)
            .unwrap_or_else(|| last.trim_start_matches('+')),
    );
    if first.len() != last.len() {
        return Err(PatternError(
            "is a range whose ends differ in length; both must have as many digits",
        ));
    }
    let (Ok(low), Ok(high)) = (first.parse(), last.parse()) else {
        return Err(PatternError("is a range of too many digits"));
    };
    if low > high {
        return Err(PatternError("is a range whose first end is the greater"));
    }
    Ok(Form::Range {
        width: first.len(),
        first: low,
        last: high,
        plus,
    })
}

const CLASS: PatternError =
    PatternError("has a [ ] that is not of the form [2-9] or [5]: one digit, or two and a dash");

fn places(body: &str) -> Result<Vec<Place>, PatternError> {
    let mut places = Vec::new();
    let mut rest = body.chars();
    while let Some(char) = rest.next() {
        places.push(match char {
            'X' => Place::Digit {
                low: '0',
                high: '9',
            },
            '[' => {
                let inside: String = rest.by_ref().take_while(|char| *char != ']').collect();
                let inside: Vec<char> = inside.chars().collect();
                let (low, high) = match inside.as_slice() {
                    [one] => (*one, *one),
                    [low, '-', high] => (*low, *high),
                    _ => return Err(CLASS),
                };
                if !low.is_ascii_digit() || !high.is_ascii_digit() || low > high {
                    return Err(CLASS);
                }
                Place::Digit { low, high }
            }
            ']' | '-' => return Err(CLASS),
            '*' => return Err(PatternError("may have a * at its end only")),
            other => Place::Is(other),
        });
    }
    if body.matches('[').count() != body.matches(']').count() {
        return Err(CLASS);
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(text: &str) -> NumberPattern {
        NumberPattern::parse(text).unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    #[test]
    fn numbers_match_or_do_not() {
        for (text, yes, no) in [
            ("demo", &["demo"][..], &["Demo", "demo1", ""][..]),
            ("*", &["", "x", "+49"], &[]),
            ("+49*", &["+49", "+4930"], &["49", "0049", "+4"]),
            (
                "100-199",
                &["100", "150", "199"],
                &["99", "200", "0150", "+150", "1500", "15x"],
            ),
            ("+4910-+4912", &["+4911"], &["4911", "+4913"]),
            ("0XX", &["000", "099"], &["0", "01", "0123", "0ab"]),
            ("0[2-9]X*", &["020", "0999"], &["010", "02"]),
            ("1[5]", &["15"], &["14"]),
            ("XENA", &["XENA"], &["1ENA"]),
            ("*21", &["*21"], &["21", "121"]),
        ] {
            for number in yes {
                assert!(pattern(text).matches(number), "{text} {number}");
            }
            for number in no {
                assert!(!pattern(text).matches(number), "{text} {number}");
            }
        }
    }

    #[test]
    fn bad_patterns_are_refused() {
        for text in [
            "", "a b", "10-100", "200-100", "0[", "0]", "0[2-", "0[9-2]", "0[ab]X", "0*X", "0[]",
        ] {
            assert!(NumberPattern::parse(text).is_err(), "{text}");
        }
        assert!(NumberPattern::parse(&"1".repeat(MAX_PATTERN + 1)).is_err());
    }

    proptest! {
        #[test]
        fn a_pattern_means_what_it_says(digits in "[0-9]{3,12}", cut in 0usize..3, other in "[0-9]{3,12}") {
            let beginning = pattern(&format!("{}*", &digits[..cut]));
            prop_assert!(beginning.matches(&digits));
            prop_assert_eq!(beginning.matches(&other), other.starts_with(&digits[..cut]));
            prop_assert_eq!(pattern(&digits).matches(&other), digits == other);
            let places = pattern(&"X".repeat(digits.len()));
            prop_assert!(places.matches(&digits));
            prop_assert_eq!(places.matches(&other), other.len() == digits.len());
        }

        #[test]
        fn a_range_holds_what_lies_between(low in 0u32..1000, high in 0u32..1000, number in 0u32..1000) {
            let text = format!("{low:03}-{high:03}");
            match NumberPattern::parse(&text) {
                Ok(range) => prop_assert_eq!(range.matches(&format!("{number:03}")), (low..=high).contains(&number)),
                Err(_) => prop_assert!(low > high),
            }
        }

        #[test]
        fn any_text_is_read_or_refused_and_matched_without_harm(text in "[-0-9X*+#a-c\\[\\] ]{0,16}", number in ".{0,16}") {
            if let Ok(pattern) = NumberPattern::parse(&text) {
                pattern.matches(&number);
                prop_assert_eq!(pattern.as_str(), text);
            }
        }
    }

    #[test]
    fn the_more_exact_pattern_is_the_greater() {
        let order = ["*", "0*", "00*", "0X*", "XXX", "1XX", "100-199", "150"];
        for pair in ["*", "0*", "00*", "XXX", "1XX", "100-199", "150"].windows(2) {
            assert!(
                pattern(pair[0]).exactness() < pattern(pair[1]).exactness(),
                "{pair:?}"
            );
        }
        assert!(order.iter().all(|text| NumberPattern::parse(text).is_ok()));
    }
}
