//! The ICE attributes of session descriptions (RFC 8839), for an agent that is lite (RFC 8445 section 2.5): it has one host candidate
//! and answers the peer's checks, but makes none itself.
//!
//! Reads what a peer offers and writes our answer to it. Nothing of one leg's attributes ever comes into another's: what is written is
//! made of our own credentials and our own address. Passwords are in no Debug output.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::sdp::{Attribute, MediaDescription, Sdp};

/// Letters of a user fragment and a password (RFC 8839 section 5.4).
const UFRAG_LEN: std::ops::RangeInclusive<usize> = 4..=256;
const PWD_LEN: std::ops::RangeInclusive<usize> = 22..=256;
/// Candidates that are looked at in one media description.
const MAX_CANDIDATES: usize = 64;
/// Type preference 126, local preference 65535, component 1 (RFC 8445 section 5.1.2.1).
const HOST_PRIORITY: u32 = (126 << 24) | (65_535 << 8) | 255;

/// The user fragment and the password of one side of one media stream.
#[derive(Clone, PartialEq, Eq)]
pub struct IceCredentials {
    /// `a=ice-ufrag`.
    pub ufrag: String,
    /// `a=ice-pwd`: the key of the integrity of checks.
    pub pwd: String,
}

impl IceCredentials {
    /// `None` when a part is too short, too long, or has other letters than `ice-char` (RFC 8839 section 5.4).
    pub fn new(ufrag: &str, pwd: &str) -> Option<Self> {
        let is_ice = |text: &str| {
            text.bytes()
                .all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/'))
        };
        let fits = UFRAG_LEN.contains(&ufrag.len()) && PWD_LEN.contains(&pwd.len());
        (fits && is_ice(ufrag) && is_ice(pwd)).then(|| Self {
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
        })
    }

    /// From random octets: 8 letters and 24 letters of six random bits each.
    pub fn from_random(octets: &[u8; 32]) -> Self {
        const LETTERS: &[u8; 64] =
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let letters: String = octets
            .iter()
            .map(|octet| char::from(LETTERS[usize::from(octet & 63)]))
            .collect();
        let (ufrag, pwd) = letters.split_at(8);
        Self {
            ufrag: ufrag.to_owned(),
            pwd: pwd.to_owned(),
        }
    }

    /// Those of a media description, its own or the session's.
    pub fn of(sdp: &Sdp, media: &MediaDescription) -> Option<Self> {
        let find = |name| {
            let own = media.attribute(name).flatten();
            own.or_else(|| sdp.attribute(name).flatten())
        };
        Self::new(find("ice-ufrag")?, find("ice-pwd")?)
    }
}

impl fmt::Debug for IceCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceCredentials({})", self.ufrag)
    }
}

/// What an offer says of ICE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OfferedIce {
    /// Nothing that can be used.
    None,
    /// Its default destination is none of its candidates: somebody between us changed the addresses (RFC 8839 section 4.2.5).
    Mismatch,
    /// The peer makes checks with these credentials.
    Checks(IceCredentials),
}

impl OfferedIce {
    /// Reads an offered media description whose RTP is wanted at `default`.
    pub fn of(sdp: &Sdp, media: &MediaDescription, default: SocketAddr) -> Self {
        let Some(credentials) = IceCredentials::of(sdp, media) else {
            return Self::None;
        };
        // Both lite: nobody would make checks (RFC 8445 section 6.1.1 leaves the roles to full agents).
        if sdp.attribute("ice-lite").is_some() {
            return Self::None;
        }
        let mut candidates = media
            .attributes
            .iter()
            .filter(|attribute| attribute.name.eq_ignore_ascii_case("candidate"))
            .take(MAX_CANDIDATES)
            .filter_map(|attribute| rtp_candidate(attribute.value.as_deref()?));
        match candidates.any(|candidate| candidate == default) {
            true => Self::Checks(credentials),
            false => Self::Mismatch,
        }
    }
}

/// `foundation component transport priority address port typ ...`: address and port, if it is a candidate for RTP over UDP.
fn rtp_candidate(value: &str) -> Option<SocketAddr> {
    let mut fields = value.split_ascii_whitespace();
    let (_foundation, component) = (fields.next()?, fields.next()?);
    let (transport, _priority) = (fields.next()?, fields.next()?);
    let (address, port) = (fields.next()?, fields.next()?);
    let is_rtp = component == "1" && transport.eq_ignore_ascii_case("UDP");
    let address: IpAddr = address.parse().ok()?;
    is_rtp.then_some(SocketAddr::new(address, port.parse().ok()?))
}

/// The attributes of our answer: credentials and the one host candidate, of RTCP too where it has its own port.
pub(crate) fn answer_attributes(
    ours: &IceCredentials,
    address: IpAddr,
    port: u16,
    rtcp_mux: bool,
) -> Vec<Attribute> {
    let mut attributes = vec![
        Attribute::with("ice-ufrag", &ours.ufrag),
        Attribute::with("ice-pwd", &ours.pwd),
    ];
    let components = if rtcp_mux { 1 } else { 2 };
    for component in 0..components {
        let Some(port) = port.checked_add(component) else {
            continue;
        };
        let number = component + 1;
        let priority = HOST_PRIORITY - u32::from(component);
        attributes.push(Attribute::with(
            "candidate",
            format_args!("1 {number} UDP {priority} {address} {port} typ host"),
        ));
    }
    attributes
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n";

    fn offered(session: &str, media: &str) -> OfferedIce {
        let text =
            format!("v=0\r\nc=IN IP4 192.0.2.5\r\n{session}m=audio 5004 RTP/AVP 0\r\n{media}");
        let sdp = Sdp::parse(text.as_bytes()).unwrap();
        OfferedIce::of(&sdp, &sdp.media[0], "192.0.2.5:5004".parse().unwrap())
    }

    #[test]
    fn what_an_offer_says() {
        let host = "a=candidate:1 1 UDP 2130706431 192.0.2.5 5004 typ host\r\n";
        let private = "a=candidate:2 1 udp 2130706431 10.0.0.5 5004 typ host\r\n";
        let rtcp = "a=candidate:1 2 UDP 2130706431 192.0.2.5 5004 typ host\r\n";
        let tcp = "a=candidate:1 1 TCP 2130706431 192.0.2.5 5004 typ host tcptype passive\r\n";
        let good = format!("{CREDENTIALS}{private}{host}");
        assert!(matches!(offered("", &good), OfferedIce::Checks(of) if of.ufrag == "8hhY"));
        assert!(matches!(offered(CREDENTIALS, host), OfferedIce::Checks(_)));
        for wrong in [private, rtcp, tcp, "", "a=candidate:1 1 UDP\r\n"] {
            let media = format!("{CREDENTIALS}{wrong}");
            assert_eq!(offered("", &media), OfferedIce::Mismatch, "{wrong}");
        }
        assert_eq!(offered("a=ice-lite\r\n", &good), OfferedIce::None);
        for media in [
            "",
            "a=ice-ufrag:8hhY\r\n",
            "a=ice-ufrag:8hh\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n",
            "a=ice-ufrag:8h:Y\r\na=ice-pwd:asd88fgpdd777uzjYhagZg\r\n",
            "a=ice-ufrag:8hhY\r\na=ice-pwd:asd88fgpdd777uzjYhagZ\r\n",
        ] {
            assert_eq!(offered("", &format!("{media}{host}")), OfferedIce::None);
        }
    }

    #[test]
    fn credentials_are_long_enough_and_the_password_is_not_shown() {
        let credentials = IceCredentials::from_random(&std::array::from_fn(|n| (n * 37) as u8));
        let again = IceCredentials::new(&credentials.ufrag, &credentials.pwd);
        assert_eq!(again.as_ref(), Some(&credentials));
        assert_eq!((credentials.ufrag.len(), credentials.pwd.len()), (8, 24));
        assert!(!format!("{credentials:?}").contains(&credentials.pwd));
    }
}
