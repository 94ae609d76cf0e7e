//! How numbers are written: from a trunk's way to E.164 with `+` (ITU-T E.164 §6), and beginnings of numbers. Pure, linear.
use crate::config::Numbering;
use std::borrow::Cow;

/// ITU-T E.164 §6.1: the most digits of an international number.
const MAX_DIGITS: usize = 15;
/// Numbers of up to so many digits are short codes (112, 110, 911, 116116): they belong to no country and stay as they are where no
/// prefix tells what they are.
const SHORT_CODE: usize = 6;
/// RFC 3966 §5.1.1: marks for the eye only.
const VISUAL: [char; 4] = ['-', '.', '(', ')'];

/// A number that came from a trunk, as `+` and digits where the trunk's rules say how; else as it came, without visual separators.
/// Applied twice it changes nothing more.
pub fn normalised<'a>(numbering: &Numbering, number: &'a str) -> Cow<'a, str> {
    let plain = without_separators(number);
    let Some(country) = &numbering.country_code else {
        return plain;
    };
    match international(numbering, country, &plain) {
        Some(number) => Cow::Owned(number),
        None => plain,
    }
}

fn international(numbering: &Numbering, country: &str, number: &str) -> Option<String> {
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (abroad, inland) = (
        &*numbering.international_prefix,
        &*numbering.national_prefix,
    );
    let after = |prefix: &str| number.strip_prefix(prefix).filter(|_| !prefix.is_empty());
    let digits = if let Some(rest) = after(abroad) {
        rest.to_owned()
    } else if let Some(rest) = after(inland) {
        format!("{country}{rest}")
    } else if number.len() <= SHORT_CODE {
        return None;
    } else if abroad.is_empty() {
        number.to_owned()
    } else if inland.is_empty() {
        format!("{country}{number}")
    } else {
        return None;
    };
    // No country code begins with 0 (E.164 §6.2.1), and an operator's "0" or "00" alone is no number.
    let fits = (4..=MAX_DIGITS).contains(&digits.len()) && !digits.starts_with('0');
    fits.then(|| format!("+{digits}"))
}

/// A number without the separators of RFC 3966, `+49-30-123`. A name that only happens to hold a dash stays as it is.
pub fn without_separators(number: &str) -> Cow<'_, str> {
    let rest = number.strip_prefix('+').unwrap_or(number);
    let of_digits = rest
        .chars()
        .all(|char| char.is_ascii_digit() || VISUAL.contains(&char));
    let digits = rest.bytes().any(|byte| byte.is_ascii_digit());
    match of_digits && digits && rest.contains(VISUAL) {
        true => Cow::Owned(number.replace(VISUAL, "")),
        false => Cow::Borrowed(number),
    }
}

/// The longest of the beginnings that `number` has.
pub fn longest_prefix<'p>(prefixes: &'p [String], number: &str) -> Option<&'p str> {
    let fitting = prefixes
        .iter()
        .filter(|prefix| number.starts_with(prefix.as_str()));
    fitting
        .max_by_key(|prefix| prefix.len())
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn numbering(country: &str, abroad: &str, inland: &str) -> Numbering {
        Numbering {
            country_code: Some(country.to_owned()),
            international_prefix: abroad.to_owned(),
            national_prefix: inland.to_owned(),
            rewrite: Vec::new(),
        }
    }

    #[test]
    fn numbers_become_international() {
        let germany = numbering("49", "00", "0");
        let america = numbering("1", "011", "1");
        let spain = numbering("34", "00", "");
        let bare = numbering("49", "", "0");
        for (rules, number, expected) in [
            (&germany, "+4930123456", "+4930123456"),
            (&germany, "004930123456", "+4930123456"),
            (&germany, "0043 1", "0043 1"),
            (&germany, "030123456", "+4930123456"),
            (&germany, "030-123.456", "+4930123456"),
            (&germany, "30123456", "30123456"),
            (&germany, "112", "112"),
            (&germany, "0", "0"),
            (&germany, "00", "00"),
            (&germany, "*21#", "*21#"),
            (&germany, "anna-maria", "anna-maria"),
            (&germany, "0049301234567890123", "0049301234567890123"),
            (&america, "12125551212", "+12125551212"),
            (&america, "0114930123456", "+4930123456"),
            (&spain, "911234567", "+34911234567"),
            (&spain, "00441234567", "+441234567"),
            (&spain, "112", "112"),
            (&bare, "4930123456", "+4930123456"),
            (&bare, "030123456", "+4930123456"),
        ] {
            assert_eq!(normalised(rules, number), expected, "{number}");
        }
    }

    #[test]
    fn without_a_country_nothing_changes_but_separators() {
        let none = Numbering::default();
        assert_eq!(normalised(&none, "0049301"), "0049301");
        assert_eq!(normalised(&none, "+49(30)-1"), "+49301");
    }

    #[test]
    fn the_longest_prefix_is_found() {
        let prefixes = ["+49", "+4930", "+1"].map(str::to_owned);
        assert_eq!(longest_prefix(&prefixes, "+49301"), Some("+4930"));
        assert_eq!(longest_prefix(&prefixes, "+4940"), Some("+49"));
        assert_eq!(longest_prefix(&prefixes, "4930"), None);
    }

    proptest! {
        #[test]
        fn normalising_twice_is_normalising_once(
            number in "[+]?[0-9().*# a-z-]{0,24}",
            country in "[1-9][0-9]{0,2}",
            abroad in "[0-9]{0,3}",
            inland in "[0-9]{0,2}",
        ) {
            let rules = numbering(&country, &abroad, &inland);
            let once = normalised(&rules, &number).into_owned();
            prop_assert_eq!(normalised(&rules, &once), once.as_str());
        }

        #[test]
        fn what_becomes_international_is_e164(number in "[0-9]{1,24}", abroad in "(00|011|)", inland in "[01]?") {
            let rules = numbering("49", &abroad, &inland);
            let found = normalised(&rules, &number);
            if let Some(digits) = found.strip_prefix('+') {
                prop_assert!(digits.len() <= MAX_DIGITS && !digits.starts_with('0'));
            } else {
                prop_assert_eq!(found, number.as_str());
            }
        }
    }
}
