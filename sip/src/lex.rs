//! Octet classes and the few scanning steps of the SIP grammar (RFC 3261 section 25.1). Never allocates.

/// White space inside a header value: SP, HT, and the CR LF of a folded line.
pub(crate) const fn is_lws(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

/// `token` characters of RFC 3261 section 25.1, by octet.
const TOKEN: [bool; 256] = {
    let mut table = [false; 256];
    let mut octet = 0;
    while octet < table.len() {
        let mark = matches!(
            octet as u8,
            b'-' | b'.' | b'!' | b'%' | b'*' | b'_' | b'+' | b'`' | b'\'' | b'~'
        );
        table[octet] = (octet as u8).is_ascii_alphanumeric() || mark;
        octet += 1;
    }
    table
};

/// Whether a `token` may hold `octet`.
pub(crate) const fn is_token_octet(octet: u8) -> bool {
    TOKEN[octet as usize]
}

/// A whole, non-empty `token`.
pub(crate) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|&octet| is_token_octet(octet))
}

/// `text` without white space at either end.
pub(crate) fn trim(text: &[u8]) -> &[u8] {
    trim_end(trim_start(text))
}

/// `text` without leading white space.
pub(crate) fn trim_start(mut text: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = text {
        if !is_lws(*first) {
            break;
        }
        text = rest;
    }
    text
}

/// `text` without trailing white space.
pub(crate) fn trim_end(mut text: &[u8]) -> &[u8] {
    while let [rest @ .., last] = text {
        if !is_lws(*last) {
            break;
        }
        text = rest;
    }
    text
}

/// Splits at the first `octet`: what stands before it, and what follows when it is there.
pub(crate) fn split_once(text: &[u8], octet: u8) -> (&[u8], Option<&[u8]>) {
    match memchr::memchr(octet, text) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    }
}

/// Position of the first `octet` outside quoted strings and, when `angles` is set, outside `<...>`.
pub(crate) fn find_outside(text: &[u8], octet: u8, angles: bool) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = text.get(at..)?;
        let found = match angles {
            true => memchr::memchr3(octet, b'"', b'<', rest),
            false => memchr::memchr2(octet, b'"', rest),
        };
        at += found?;
        match text[at] {
            here if here == octet => return Some(at),
            b'"' => at = after_quoted(text, at)?,
            _ => at += memchr::memchr(b'>', &text[at..])? + 1,
        }
    }
}

/// Position after the quoted string that opens at `open`; `None` when it never closes.
pub(crate) fn after_quoted(text: &[u8], open: usize) -> Option<usize> {
    let mut at = open + 1;
    while at < text.len() {
        match text[at] {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// Whether every quoted string that opens in `text` also closes there. Where one does not, what is appended later would
/// become part of it.
pub(crate) fn quotes_close(text: &[u8]) -> bool {
    let mut at = 0;
    while let Some(open) = text.get(at..).and_then(|rest| memchr::memchr(b'"', rest)) {
        match after_quoted(text, at + open) {
            Some(after) => at = after,
            None => return false,
        }
    }
    true
}

/// A decimal number of at most ten digits and nothing else; `None` on anything else or above `u32::MAX`.
pub(crate) fn decimal(text: &[u8]) -> Option<u32> {
    // Leading zeros are legal and unbounded in the grammar ("CSeq: 0009"); they carry no value.
    let zeros = text.iter().take_while(|&&octet| octet == b'0').count();
    let digits = &text[zeros..];
    if text.is_empty() || digits.len() > 10 {
        return None;
    }
    let mut value = 0u64;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value * 10 + u64::from(digit - b'0');
    }
    u32::try_from(value).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_angles_hide_separators() {
        assert_eq!(find_outside(br#""a,b",c"#, b',', true), Some(5));
        assert_eq!(find_outside(br#""a\",b",c"#, b',', true), Some(7));
        assert_eq!(find_outside(b"<sip:a,b>,c", b',', true), Some(9));
        assert_eq!(find_outside(br#""open, c"#, b',', true), None);
        assert_eq!(find_outside(br#""ends in backslash\"#, b',', true), None);
    }

    #[test]
    fn decimals() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"000000000000000000007"), Some(7));
        assert_eq!(decimal(b"4294967295"), Some(u32::MAX));
        for bad in [
            &b""[..],
            b"4294967296",
            b"-1",
            b"+1",
            b"1 ",
            b"0x1",
            b"99999999999",
        ] {
            assert_eq!(decimal(bad), None, "{bad:?}");
        }
    }
}
