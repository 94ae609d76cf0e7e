//! Numbers as a carrier wants them. Pure.
use crate::config::Numbering;

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

    #[test]
    fn the_first_change_that_fits_is_made() {
        let change = |prefix: &str, replace: &str| Rewrite {
            prefix: prefix.to_owned(),
            replace: replace.to_owned(),
        };
        let numbering = Numbering {
            rewrite: vec![change("+49", "0"), change("+", "00"), change("", "9")],
            ..Numbering::default()
        };
        for (number, expected) in [("+4930", "030"), ("+4330", "004330"), ("110", "9110")] {
            assert_eq!(rewritten(&numbering, number), expected);
        }
    }
}
