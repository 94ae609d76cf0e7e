//! The check behind target `info_dtmf`: digits in SIP INFO bodies.
use trunkline::call::info_dtmf::{InfoError, parse};

/// The first line is the Content-Type, the rest the body. What is read must be a key, and must be read again from the plain form.
pub fn info_dtmf(octets: &[u8]) {
    let cut = octets
        .iter()
        .position(|&octet| octet == b'\n')
        .unwrap_or(octets.len());
    let (kind, body) = (&octets[..cut], octets.get(cut + 1..).unwrap_or_default());
    match parse(kind, body) {
        Ok(info) => {
            assert!("0123456789*#ABCD".contains(info.digit), "{info:?}");
            let plain = parse(b"application/dtmf", info.digit.to_string().as_bytes());
            assert_eq!(plain.map(|plain| plain.digit), Ok(info.digit));
        }
        Err(InfoError::TooLong) => assert!(body.len() > 256),
        Err(InfoError::OtherType | InfoError::NoDigit) => {}
    }
}
