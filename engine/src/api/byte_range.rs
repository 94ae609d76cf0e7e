//! The `Range` header of a request (RFC 9110 section 14.2): which part of a file is asked for. Owns the reading of that text and nothing else.
//!
//! Limits: one part; numbers of 19 digits.
use std::ops::Range;

/// The part of a file of `length` octets that `range` asks for. `None`: all of it, which may be sent as well where several parts are asked for
/// or the text is not understood.
///
/// # Errors
/// The part lies behind the end (status 416).
pub fn part(range: &str, length: u64) -> Option<Result<Range<u64>, ()>> {
    let number = |text: &str| {
        let digits = (1..=19).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let (unit, set) = range.split_once('=')?;
    // Section 14.1: the names of units are case-insensitive.
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let (first, last) = set.trim().split_once('-')?;
    let (start, end) = match (first, last) {
        ("", last) => (length.saturating_sub(number(last)?), length),
        (first, "") => (number(first)?, length),
        (first, last) if number(first)? <= number(last)? => {
            (number(first)?, length.min(number(last)? + 1))
        }
        _ => return None,
    };
    Some(if start < end { Ok(start..end) } else { Err(()) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_lie_within_the_file_whatever_is_asked_for() {
        for (range, part_of_10) in [
            ("bytes=0-3", Some(Ok(0..4))),
            ("Bytes=0-3", Some(Ok(0..4))),
            ("bytes=8-", Some(Ok(8..10))),
            ("bytes=-4", Some(Ok(6..10))),
            ("bytes=-99", Some(Ok(0..10))),
            ("bytes=9-9999999999999999999", Some(Ok(9..10))),
            ("bytes=10-", Some(Err(()))),
            ("bytes=-0", Some(Err(()))),
            ("bytes=3-2", None),
            ("bytes=+1-2", None),
            ("bytes=0-1,3-4", None),
            ("bytes=99999999999999999999-", None),
            ("bytes=", None),
            ("lines=0-1", None),
        ] {
            assert_eq!(part(range, 10), part_of_10, "{range}");
        }
        assert_eq!(part("bytes=-1", 0), Some(Err(())));
    }
}
