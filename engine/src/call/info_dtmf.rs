//! DTMF in SIP INFO bodies: `application/dtmf-relay` (`Signal=5` and `Duration=160` lines) and `application/dtmf` (the digit alone).
//!
//! No RFC defines these; this is what phones and gateways send. Limits: bodies of up to 256 bytes.
const MAX_BODY: usize = 256;

/// A digit by INFO.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InfoDigit {
    /// `0-9*#A-D`.
    pub digit: char,
    /// Length in ms, where given.
    pub duration_ms: Option<u32>,
}

/// Why a body is no digit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InfoError {
    /// The Content-Type is none of ours.
    #[error("the Content-Type is neither application/dtmf-relay nor application/dtmf")]
    OtherType,
    /// Longer than any digit needs.
    #[error("a DTMF body of more than 256 bytes")]
    TooLong,
    /// No digit in it.
    #[error("no digit 0-9, *, #, A-D (or 10 to 15) in the DTMF body")]
    NoDigit,
}

/// Reads a digit from an INFO body.
pub fn parse(content_type: &[u8], body: &[u8]) -> Result<InfoDigit, InfoError> {
    let kind = content_type
        .split(|&b| b == b';')
        .next()
        .unwrap_or_default()
        .trim_ascii();
    let relay = kind.eq_ignore_ascii_case(b"application/dtmf-relay");
    if !relay && !kind.eq_ignore_ascii_case(b"application/dtmf") {
        return Err(InfoError::OtherType);
    }
    if body.len() > MAX_BODY {
        return Err(InfoError::TooLong);
    }
    let (mut signal, mut duration_ms) = (None, None);
    for line in body.split(|&b| b == b'\n' || b == b'\r') {
        let (name, value) = match line.iter().position(|&b| b == b'=') {
            Some(at) => (line[..at].trim_ascii(), line[at + 1..].trim_ascii()),
            None => (&b""[..], line.trim_ascii()),
        };
        if name.eq_ignore_ascii_case(b"signal")
            || (name.is_empty() && signal.is_none() && !value.is_empty())
        {
            signal = digit(value);
        } else if name.eq_ignore_ascii_case(b"duration") {
            duration_ms = std::str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok());
        }
    }
    signal
        .map(|digit| InfoDigit { digit, duration_ms })
        .ok_or(InfoError::NoDigit)
}

fn digit(value: &[u8]) -> Option<char> {
    match value {
        [one @ (b'0'..=b'9' | b'*' | b'#' | b'A'..=b'D')] => Some(char::from(*one)),
        [one @ b'a'..=b'd'] => Some(char::from(one.to_ascii_uppercase())),
        // Some gateways send the RFC 4733 event number.
        b"10" => Some('*'),
        b"11" => Some('#'),
        b"12" => Some('A'),
        b"13" => Some('B'),
        b"14" => Some('C'),
        b"15" => Some('D'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_seen_in_the_field() {
        let relay = b"application/dtmf-relay";
        let plain = b"application/dtmf";
        let cases: &[(&[u8], &[u8], Result<(char, Option<u32>), InfoError>)] = &[
            (relay, b"Signal=5\r\nDuration=160\r\n", Ok(('5', Some(160)))),
            (relay, b"Signal= 5\nDuration= 160", Ok(('5', Some(160)))),
            (relay, b"signal=#", Ok(('#', None))),
            (relay, b"Duration=100\r\nSignal=*\r\n", Ok(('*', Some(100)))),
            (
                b"Application/DTMF-Relay; charset=utf-8",
                b"Signal=d\r\n",
                Ok(('D', None)),
            ),
            (relay, b"Signal=11\r\n", Ok(('#', None))),
            (plain, b"7", Ok(('7', None))),
            (plain, b"7\r\n", Ok(('7', None))),
            (plain, b"", Err(InfoError::NoDigit)),
            (relay, b"Signal=\r\n", Err(InfoError::NoDigit)),
            (relay, b"Signal=16\r\n", Err(InfoError::NoDigit)),
            (
                relay,
                b"Signal=5\r\nDuration=99999999999\r\n",
                Ok(('5', None)),
            ),
            (relay, &[b'1'; 300], Err(InfoError::TooLong)),
            (b"text/plain", b"5", Err(InfoError::OtherType)),
            (b"", b"5", Err(InfoError::OtherType)),
        ];
        for (kind, body, expected) in cases {
            let got = parse(kind, body).map(|info| (info.digit, info.duration_ms));
            assert_eq!(
                got,
                *expected,
                "{} {:?}",
                String::from_utf8_lossy(kind),
                String::from_utf8_lossy(body)
            );
        }
    }
}
