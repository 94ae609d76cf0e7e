//! Numbers as guards compare them, and as a carrier wants them. Pure.
use crate::config::Numbering;

/// The number in international form (ITU-T E.164 with `+`), where the trunk's numbering says how; any other as it is.
pub(super) fn international(numbering: &Numbering, number: &str) -> String {
    let number = &*without_separators(number);
    let Some(country) = numbering.country_code.as_deref() else {
        return number.to_owned();
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit()) || number.is_empty() {
        return number.to_owned();
    }
    let international = numbering.international_prefix.as_str();
    let abroad = number.strip_prefix(international);
    if let Some(rest) = abroad.filter(|rest| !international.is_empty() && !rest.is_empty()) {
        return format!("+{rest}");
    }
    match number.strip_prefix(numbering.national_prefix.as_str()) {
        Some(rest) if !rest.is_empty() => format!("+{country}{rest}"),
        _ => number.to_owned(),
    }
}

/// RFC 3966 §5.1.1: visual separators in a number mean nothing. Names keep theirs.
fn without_separators(number: &str) -> String {
    let separator = |char: char| matches!(char, '-' | '.' | '(' | ')' | ' ');
    let digits = number.strip_prefix('+').unwrap_or(number);
    if digits
        .chars()
        .all(|char| char.is_ascii_digit() || separator(char))
    {
        number.chars().filter(|char| !separator(*char)).collect()
    } else {
        number.to_owned()
    }
}

/// The number as this carrier wants it: the first change that fits is made.
pub(super) fn rewritten(numbering: &Numbering, number: &str) -> String {
    let made = numbering.rewrite.iter().find_map(|change| {
        let rest = number.strip_prefix(&*change.prefix)?;
        Some(format!("{}{rest}", change.replace))
    });
    made.unwrap_or_else(|| number.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Rewrite;

    fn numbering(country: &str, international: &str, national: &str) -> Numbering {
        Numbering {
            country_code: (!country.is_empty()).then(|| country.to_owned()),
            international_prefix: international.to_owned(),
            national_prefix: national.to_owned(),
            rewrite: Vec::new(),
        }
    }

    #[test]
    fn numbers_are_brought_into_international_form() {
        let germany = numbering("49", "00", "0");
        let america = numbering("1", "011", "1");
        let italy = numbering("39", "00", "");
        let unknown = numbering("", "00", "0");
        for (numbering, number, expected) in [
            (&germany, "+4930123", "+4930123"),
            (&germany, "+49 (30) 1-2.3", "+4930123"),
            (&germany, "030 123", "+4930123"),
            (&germany, "0043123", "+43123"),
            (&germany, "110", "110"),
            (&germany, "0", "0"),
            (&germany, "00", "+490"),
            (&germany, "", ""),
            (&germany, "0a-b", "0a-b"),
            (&germany, "*21#", "*21#"),
            (&america, "1900555", "+1900555"),
            (&america, "0111900555", "+1900555"),
            (&america, "911", "911"),
            (&italy, "0612345", "+390612345"),
            (&italy, "0043123", "+43123"),
            (&unknown, "0049-30", "004930"),
        ] {
            assert_eq!(international(numbering, number), expected, "{number}");
        }
    }

    #[test]
    fn the_first_change_that_fits_is_made() {
        let change = |prefix: &str, replace: &str| Rewrite {
            prefix: prefix.to_owned(),
            replace: replace.to_owned(),
        };
        let numbering = Numbering {
            rewrite: vec![change("+49", "0"), change("+", "00"), change("", "9")],
            ..numbering("49", "00", "0")
        };
        for (number, expected) in [("+4930", "030"), ("+4330", "004330"), ("110", "9110")] {
            assert_eq!(rewritten(&numbering, number), expected);
        }
    }
}
