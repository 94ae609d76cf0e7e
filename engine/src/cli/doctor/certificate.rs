//! When a certificate is good: the Validity of an X.509 certificate in DER (RFC 5280 sections 4.1 and 4.1.2.5), and nothing else of it.
//!
//! The files are the operator's own. Linear time; lengths above 4 octets and anything unexpected give `None`.
use std::ops::RangeInclusive;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const INTEGER: u8 = 0x02;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const SEQUENCE: u8 = 0x30;
const VERSION: u8 = 0xa0;

/// From when to when the certificate is good; `None`: it cannot be read.
pub(super) fn validity(certificate: &[u8]) -> Option<RangeInclusive<SystemTime>> {
    let (outer, _) = expect(SEQUENCE, certificate)?;
    let (mut fields, _) = expect(SEQUENCE, outer)?;
    if let Some((_, rest)) = expect(VERSION, fields) {
        fields = rest;
    }
    let (_, rest) = expect(INTEGER, fields)?; // serial number
    let (_, rest) = expect(SEQUENCE, rest)?; // signature algorithm
    let (_, rest) = expect(SEQUENCE, rest)?; // issuer
    let (times, _) = expect(SEQUENCE, rest)?;
    let (begin, times) = time(times)?;
    let (end, _) = time(times)?;
    Some(begin..=end)
}

/// A value of that type and what follows it.
fn expect(tag: u8, input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, value, rest) = element(input)?;
    (found == tag).then_some((value, rest))
}

fn element(input: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&[tag, first], rest) = input.split_first_chunk()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (octets, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let length = octets
                .iter()
                .fold(0, |length, octet| length << 8 | usize::from(*octet));
            (length, rest)
        }
        _ => return None,
    };
    let (value, rest) = rest.split_at_checked(length)?;
    Some((tag, value, rest))
}

/// `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`.
fn time(input: &[u8]) -> Option<(SystemTime, &[u8])> {
    let (tag, text, rest) = element(input)?;
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    if !text.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (year, text) = match (tag, text.len()) {
        (UTC_TIME, 12) => {
            let year: i64 = text[..2].parse().ok()?;
            // Section 4.1.2.5.1: 50 to 99 are of the last century.
            (
                if year < 50 { 2000 + year } else { 1900 + year },
                &text[2..],
            )
        }
        (GENERALIZED_TIME, 14) => (text[..4].parse().ok()?, &text[4..]),
        _ => return None,
    };
    let part = |at: usize| text[at..at + 2].parse::<i64>().ok();
    let (month, day) = (part(0)?, part(2)?);
    let seconds = days(year, month, day) * 86_400 + part(4)? * 3600 + part(6)? * 60 + part(8)?;
    let since = Duration::from_secs(u64::try_from(seconds).unwrap_or(0));
    Some((UNIX_EPOCH.checked_add(since)?, rest))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> i64 {
    // A year that begins in March has its leap day at the end.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let leap_days = year / 4 - year / 100 + year / 400;
    year * 365 + leap_days + (month * 153 + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, KeyPair, date_time_ymd};

    #[test]
    fn days_since_1970() {
        for (date, expected) in [
            ((1970, 1, 1), 0),
            ((1972, 2, 29), 789),
            ((2000, 3, 1), 11_017),
            ((2026, 11, 21), 20_778),
        ] {
            assert_eq!(days(date.0, date.1, date.2), expected, "{date:?}");
        }
    }

    #[test]
    fn the_validity_is_read_and_no_octets_panic() {
        let mut params = CertificateParams::new(["a.example".to_owned()]).unwrap();
        params.not_before = date_time_ymd(2020, 2, 29);
        params.not_after = date_time_ymd(2050, 1, 1); // written as GeneralizedTime
        let signed = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let der = signed.der().to_vec();
        let at = |days: u64| UNIX_EPOCH + Duration::from_secs(days * 86_400);
        assert_eq!(validity(&der), Some(at(18_321)..=at(29_220)));
        for length in 0..der.len().min(300) {
            let _ = validity(&der[..length]);
            let mut changed = der.clone();
            for octet in [0, 0x7f, 0x80, 0x84, 0xff] {
                changed[length] = octet;
                let _ = validity(&changed);
            }
        }
    }
}
