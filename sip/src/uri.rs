//! SIP, SIPS and tel URIs (RFC 3261 section 19, RFC 3966) as views on the message. Never resolves, never decodes by
//! itself: [`Uri::user_decoded`] undoes percent escapes on demand.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::lex::{decimal, split_once};
use crate::params::Params;

/// The scheme of a URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme<'a> {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
    /// Any other scheme, as written; legal in To and From, answered with 416 in a Request-URI.
    Other(&'a [u8]),
}

/// The host of a URI or Via.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Host<'a> {
    /// A domain name, as written.
    Name(&'a [u8]),
    /// An IPv4 address or an IPv6 reference without its brackets.
    Ip(IpAddr),
    /// The scheme has no host (`tel:` and unknown schemes).
    Absent,
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(&String::from_utf8_lossy(name)),
            Self::Ip(IpAddr::V4(address)) => address.fmt(f),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Absent => Ok(()),
        }
    }
}

/// Why a URI cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UriError(
    /// The rule that was broken.
    pub &'static str,
);

impl fmt::Display for UriError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for UriError {}

/// A URI, in parts. Parts are as written: escapes are kept, host names keep their case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    raw: &'a [u8],
    /// `sip`, `sips`, `tel` or another.
    pub scheme: Scheme<'a>,
    /// The user (for `tel:` the number, for unknown schemes everything after the colon), `;` parameters of the user
    /// part included.
    pub user: Option<&'a [u8]>,
    /// The password; deprecated, kept only so that a URI can be compared.
    pub password: Option<&'a [u8]>,
    /// The host.
    pub host: Host<'a>,
    /// The port, when written.
    pub port: Option<u16>,
    /// `;` parameters.
    pub params: Params<'a>,
    /// What follows `?`, raw.
    pub headers: Option<&'a [u8]>,
}

impl<'a> Uri<'a> {
    /// Reads a URI without angle brackets. Unknown schemes are taken as they are; `sip:` and `sips:` must have a good
    /// host and port.
    pub fn parse(raw: &'a [u8]) -> Result<Self, UriError> {
        if raw
            .iter()
            .any(|&octet| octet <= b' ' || octet == 0x7f || matches!(octet, b'<' | b'>' | b'"'))
        {
            return Err(UriError("URI holds white space, quotes or angle brackets"));
        }
        let (scheme, rest) = split_once(raw, b':');
        let rest = rest.ok_or(UriError("URI has no scheme"))?;
        let good_scheme = scheme.first().is_some_and(u8::is_ascii_alphabetic)
            && scheme
                .iter()
                .all(|&c| c.is_ascii_alphanumeric() || matches!(c, b'+' | b'-' | b'.'));
        if !good_scheme {
            return Err(UriError("URI scheme is malformed"));
        }
        match () {
            () if scheme.eq_ignore_ascii_case(b"sip") => Self::parse_sip(raw, Scheme::Sip, rest),
            () if scheme.eq_ignore_ascii_case(b"sips") => Self::parse_sip(raw, Scheme::Sips, rest),
            () if scheme.eq_ignore_ascii_case(b"tel") => Self::parse_tel(raw, rest),
            () => Ok(Self::hostless(
                raw,
                Scheme::Other(scheme),
                rest,
                Params::default(),
            )),
        }
    }

    fn hostless(raw: &'a [u8], scheme: Scheme<'a>, user: &'a [u8], params: Params<'a>) -> Self {
        Self {
            raw,
            scheme,
            user: Some(user),
            password: None,
            host: Host::Absent,
            port: None,
            params,
            headers: None,
        }
    }

    fn parse_tel(raw: &'a [u8], rest: &'a [u8]) -> Result<Self, UriError> {
        let (number, params) = split_once(rest, b';');
        if number.is_empty() {
            return Err(UriError("tel URI has no number"));
        }
        Ok(Self::hostless(
            raw,
            Scheme::Tel,
            number,
            Params(params.unwrap_or_default()),
        ))
    }

    fn parse_sip(raw: &'a [u8], scheme: Scheme<'a>, rest: &'a [u8]) -> Result<Self, UriError> {
        // The user part may hold ';' and '?', parameters and headers may not hold '@' (RFC 3261 section 25.1), so
        // the first '@' ends the user part.
        let (userinfo, hostpart) = match split_once(rest, b'@') {
            (userinfo, Some(hostpart)) => (Some(userinfo), hostpart),
            (hostpart, None) => (None, hostpart),
        };
        let (user, password) = match userinfo.map(|userinfo| split_once(userinfo, b':')) {
            Some((user, password)) => (Some(user), password),
            None => (None, None),
        };
        if user.is_some_and(<[u8]>::is_empty) {
            return Err(UriError("URI has an empty user before @"));
        }
        let (hostpart, headers) = split_once(hostpart, b'?');
        let (hostport, params) = split_once(hostpart, b';');
        let (host, port) = host_port(hostport)?;
        Ok(Self {
            raw,
            scheme,
            user,
            password,
            host,
            port,
            params: Params(params.unwrap_or_default()),
            headers,
        })
    }

    /// The URI as written.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.raw
    }

    /// The user without user parameters (`+4930;phone-context=x` gives `+4930`) and with percent escapes undone.
    pub fn user_decoded(&self) -> Option<Cow<'a, [u8]>> {
        self.user
            .map(|user| percent_decoded(split_once(user, b';').0))
    }

    /// The host as text, IPv6 in brackets; for logs and configuration matches.
    pub fn host_text(&self) -> String {
        self.host.to_string()
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.raw))
    }
}

/// `%41` becomes `A`; an escape that is not two hexadecimal digits stays as written.
pub(crate) fn percent_decoded(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'%', text).is_none() {
        return Cow::Borrowed(text);
    }
    let digit = |octet: u8| char::from(octet).to_digit(16).map(|value| value as u8);
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (*first, tail) {
            (b'%', [high, low, after @ ..]) => match (digit(*high), digit(*low)) {
                (Some(high), Some(low)) => {
                    decoded.push(high << 4 | low);
                    rest = after;
                }
                _ => decoded.push(b'%'),
            },
            (octet, _) => decoded.push(octet),
        }
    }
    Cow::Owned(decoded)
}

/// `host`, `host:port`, `[v6]`, `[v6]:port`; white space round the colon is the caller's to remove.
pub(crate) fn host_port(text: &[u8]) -> Result<(Host<'_>, Option<u16>), UriError> {
    let (host, port) = match text {
        [b'[', inner @ ..] => {
            let close =
                memchr::memchr(b']', inner).ok_or(UriError("IPv6 reference is not closed"))?;
            let address = ip_v6(&inner[..close]).ok_or(UriError("IPv6 reference is malformed"))?;
            let after = match &inner[close + 1..] {
                [] => None,
                [b':', port @ ..] => Some(port),
                _ => return Err(UriError("text between ] and port")),
            };
            (Host::Ip(IpAddr::V6(address)), after)
        }
        _ => {
            let (host, port) = split_once(text, b':');
            (host_name(host)?, port)
        }
    };
    let port = match port {
        None => None,
        Some(digits) => {
            let port = decimal(digits).and_then(|port| u16::try_from(port).ok());
            Some(
                port.filter(|&port| port != 0)
                    .ok_or(UriError("port is not a number from 1 to 65535"))?,
            )
        }
    };
    Ok((host, port))
}

/// A domain name or an IPv4 address. Underscores are tolerated: they occur in private domains.
fn host_name(host: &[u8]) -> Result<Host<'_>, UriError> {
    if host.is_empty() {
        return Err(UriError("host is empty"));
    }
    let good = |&c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    if !host.iter().all(good) {
        return Err(UriError("host holds a character that no host name has"));
    }
    let address = std::str::from_utf8(host)
        .ok()
        .and_then(|text| text.parse::<std::net::Ipv4Addr>().ok());
    Ok(address.map_or(Host::Name(host), |address| Host::Ip(IpAddr::V4(address))))
}

/// An IPv6 address, with or without brackets and zone.
pub(crate) fn ip_v6(text: &[u8]) -> Option<Ipv6Addr> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// An address parameter value (`received`, `maddr`): IPv4, IPv6, or IPv6 in brackets (RFC 5118 section 4.5).
pub(crate) fn ip_lenient(text: &[u8]) -> Option<IpAddr> {
    let text = match text {
        [b'[', inner @ .., b']'] => inner,
        _ => text,
    };
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri<'_> {
        Uri::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn parts() {
        let full =
            uri("SIP:alice:secret@Example.COM:5070;transport=tcp;lr?Subject=x&Replaces=a%40b");
        assert_eq!(full.scheme, Scheme::Sip);
        assert_eq!(full.user, Some(&b"alice"[..]));
        assert_eq!(full.password, Some(&b"secret"[..]));
        assert_eq!(full.host, Host::Name(b"Example.COM"));
        assert_eq!(full.port, Some(5070));
        assert_eq!(full.params.value("transport"), Some(&b"tcp"[..]));
        assert!(full.params.has("lr"));
        assert_eq!(full.headers, Some(&b"Subject=x&Replaces=a%40b"[..]));
        assert_eq!(uri("sip:gw.example.com").user, None);
        assert_eq!(
            uri("sips:1@10.0.0.1").host,
            Host::Ip("10.0.0.1".parse().unwrap())
        );
    }

    #[test]
    fn headers_are_not_part_of_the_host() {
        let replaces = uri("sip:bob@example.com?Replaces=12345%40host");
        assert_eq!(replaces.host, Host::Name(b"example.com"));
    }

    #[test]
    fn ipv6_references() {
        let address: IpAddr = "2001:db8::10".parse().unwrap();
        assert_eq!(uri("sip:[2001:db8::10]").host, Host::Ip(address));
        let with_port = uri("sip:u@[2001:db8::10]:5070;x");
        assert_eq!(
            (with_port.host, with_port.port),
            (Host::Ip(address), Some(5070))
        );
        // Without brackets the last group would be taken for a port; this must not pass as another address.
        assert!(Uri::parse(b"sip:2001:db8::10:5070").is_err());
        assert_eq!(
            uri("sip:[::ffff:192.0.2.10]").host_text(),
            "[::ffff:192.0.2.10]"
        );
    }

    #[test]
    fn semicolons_and_question_marks_in_the_user() {
        let semi = uri("sip:user;par=u%40example.net@example.com");
        assert_eq!(semi.user, Some(&b"user;par=u%40example.net"[..]));
        assert_eq!(semi.params.iter().count(), 0);
        assert_eq!(semi.user_decoded().unwrap().as_ref(), b"user");
        assert_eq!(uri("sip:a?b@h").user, Some(&b"a?b"[..]));
        assert_eq!(
            uri("sip:a%20b%zz@h").user_decoded().unwrap().as_ref(),
            b"a b%zz"
        );
    }

    #[test]
    fn tel_and_unknown_schemes() {
        let tel = uri("tel:+49-30-1234;phone-context=example.com");
        assert_eq!(
            (tel.scheme, tel.user),
            (Scheme::Tel, Some(&b"+49-30-1234"[..]))
        );
        assert_eq!(tel.host, Host::Absent);
        assert_eq!(
            uri("nobodyKnows:totally//off").scheme,
            Scheme::Other(b"nobodyKnows")
        );
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "sip",
            "sip:",
            "sip:@host",
            "sip:host:",
            "sip:host:0",
            "sip:host:65536",
            "sip:host:-1",
            "sip:[::1",
            "sip:[::1]x",
            "sip:[zz]",
            "<sip:a@b>",
            "sip:a b@c",
            "sip:a@b@c",
            "sip:a@",
            "1sip:a",
            ":x",
            "tel:",
        ] {
            assert!(Uri::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
