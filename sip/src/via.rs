//! One Via value (RFC 3261 section 20.42, RFC 3581 `rport`).

use std::net::IpAddr;

use crate::lex::{decimal, is_lws, is_token, quotes_close, split_once, trim};
use crate::params::Params;
use crate::uri::{Host, UriError, host_port, ip_lenient};

/// The first octets of a branch made by an RFC 3261 element.
pub const BRANCH_COOKIE: &[u8] = b"z9hG4bK";

/// One hop of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// Transport token as written: `UDP`, `TCP`, `TLS`, or one nobody knows.
    pub transport: &'a [u8],
    /// The host of sent-by.
    pub host: Host<'a>,
    /// The port of sent-by, when written.
    pub port: Option<u16>,
    /// All parameters.
    pub params: Params<'a>,
}

impl<'a> Via<'a> {
    /// Reads one value of the list. White space is legal round the slashes and round the colon of the port.
    pub fn parse(value: &'a [u8]) -> Result<Self, UriError> {
        let (protocol, rest) = split_once(value, b'/');
        let (version, rest) = split_once(rest.ok_or(UriError("Via has no protocol"))?, b'/');
        if !trim(protocol).eq_ignore_ascii_case(b"SIP") || trim(version) != b"2.0" {
            return Err(UriError("Via protocol is not SIP/2.0"));
        }
        let rest = trim(rest.ok_or(UriError("Via has no transport"))?);
        let end = rest
            .iter()
            .position(|&octet| is_lws(octet))
            .ok_or(UriError("Via has no sent-by"))?;
        let transport = &rest[..end];
        if !is_token(transport) {
            return Err(UriError("Via transport is not a token"));
        }
        let (sent_by, params) = split_once(&rest[end..], b';');
        let (host, port) = sent_by_parts(trim(sent_by))?;
        let params = params.unwrap_or_default();
        // Our received and rport come after them.
        if !quotes_close(params) {
            return Err(UriError("quote in a Via parameter is not closed"));
        }
        let params = Params(params);
        let via = Self {
            transport,
            host,
            port,
            params,
        };
        if via
            .branch()
            .is_some_and(|branch| branch.iter().any(|&octet| is_lws(octet)))
        {
            return Err(UriError("Via branch holds white space"));
        }
        Ok(via)
    }

    /// The branch, when it has a value.
    pub fn branch(&self) -> Option<&'a [u8]> {
        self.params
            .value("branch")
            .filter(|branch| !branch.is_empty())
    }

    /// Whether the branch starts with the RFC 3261 magic cookie (ASCII case ignored).
    pub fn has_cookie(&self) -> bool {
        self.branch()
            .and_then(|branch| branch.get(..7))
            .is_some_and(|head| head.eq_ignore_ascii_case(BRANCH_COOKIE))
    }

    /// The `received` address, IPv6 with or without brackets.
    pub fn received(&self) -> Option<IpAddr> {
        ip_lenient(self.params.value("received")?)
    }

    /// `rport`: outer `None` absent, inner `None` asked for but not filled in.
    pub fn rport(&self) -> Option<Option<u16>> {
        let value = self.params.find("rport")?;
        Some(
            value
                .and_then(decimal)
                .and_then(|port| u16::try_from(port).ok())
                .filter(|&port| port != 0),
        )
    }

    /// The `maddr` value: a name or an address.
    pub fn maddr(&self) -> Option<&'a [u8]> {
        self.params.value("maddr")
    }

    /// The multicast time to live, 0 to 255.
    pub fn ttl(&self) -> Option<u8> {
        self.params
            .value("ttl")
            .and_then(decimal)
            .and_then(|ttl| u8::try_from(ttl).ok())
    }
}

/// `host [LWS : LWS port]`.
fn sent_by_parts(sent_by: &[u8]) -> Result<(Host<'_>, Option<u16>), UriError> {
    if !sent_by.iter().any(|&octet| is_lws(octet)) {
        return host_port(sent_by);
    }
    let colon = match sent_by {
        [b'[', ..] => memchr::memchr(b']', sent_by)
            .map(|close| close + 1)
            .and_then(|from| memchr::memchr(b':', &sent_by[from..]).map(|at| from + at)),
        _ => memchr::memchr(b':', sent_by),
    };
    let colon = colon.ok_or(UriError("white space inside sent-by"))?;
    let (host, none) = host_port(trim(&sent_by[..colon]))?;
    let port = decimal(trim(&sent_by[colon + 1..])).and_then(|port| u16::try_from(port).ok());
    match (none, port) {
        (None, Some(port)) if port != 0 => Ok((host, Some(port))),
        _ => Err(UriError("port is not a number from 1 to 65535")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn via(text: &str) -> Via<'_> {
        Via::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn plain() {
        let hop = via(
            "SIP/2.0/UDP pc33.example.com:5066;branch=z9hG4bK776;rport;received=192.0.2.1;ttl=16;maddr=224.0.1.75",
        );
        assert_eq!(hop.transport, b"UDP");
        assert_eq!(
            (hop.host, hop.port),
            (Host::Name(b"pc33.example.com"), Some(5066))
        );
        assert_eq!(hop.branch(), Some(&b"z9hG4bK776"[..]));
        assert!(hop.has_cookie());
        assert_eq!(hop.rport(), Some(None));
        assert_eq!(hop.received(), Some("192.0.2.1".parse().unwrap()));
        assert_eq!(hop.ttl(), Some(16));
        assert_eq!(hop.maddr(), Some(&b"224.0.1.75"[..]));
        assert_eq!(via("SIP/2.0/UDP h;rport=5555").rport(), Some(Some(5555)));
        assert_eq!(via("SIP/2.0/UDP h").rport(), None);
    }

    #[test]
    fn spaces_folds_and_unknown_transports() {
        let hop = via("SIP  / 2.0\r\n /  UNKNOWN\r\n 192.0.2.2 :\t5060 ; branch = 390skdjuw");
        assert_eq!(hop.transport, b"UNKNOWN");
        assert_eq!(
            (hop.host, hop.port),
            (Host::Ip("192.0.2.2".parse().unwrap()), Some(5060))
        );
        assert_eq!(hop.branch(), Some(&b"390skdjuw"[..]));
        assert!(!hop.has_cookie());
    }

    #[test]
    fn ipv6() {
        let address: IpAddr = "2001:db8::9:1".parse().unwrap();
        let hop = via("SIP/2.0/TCP [2001:db8::9:1]:5070;received=[2001:db8::9:1];branch=z9hG4bKx");
        assert_eq!(
            (hop.host, hop.port, hop.received()),
            (Host::Ip(address), Some(5070), Some(address))
        );
        assert_eq!(
            via("SIP/2.0/TCP [2001:db8::9:1];received=2001:db8::9:1").received(),
            Some(address)
        );
        assert_eq!(via("SIP/2.0/TCP [2001:db8::9:1] : 5070").port, Some(5070));
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "SIP/2.0",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/7.0/UDP h",
            "HTTP/1.1/TCP h",
            "SIP/2.0/UDP h h2",
            "SIP/2.0/UDP h:0",
            "SIP/2.0/UDP h:99999",
            "SIP/2.0/UDP ;branch=x",
            "SIP/2.0/(UDP) h",
            "SIP/2.0/UDP h;branch=z9hG4bK1\r\n 2",
            "SIP/2.0/UDP [::1",
        ] {
            assert!(Via::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }
}
