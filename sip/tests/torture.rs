//! Torture messages (RFC 4475, RFC 5118): the verdict of framing and validation on each.

#![allow(clippy::unwrap_used)] // a test fails by panicking

mod torture_messages;

use torture_messages::Verdict::{self, NoFrame, Refused, Valid};
use torture_messages::{Case, SHORT_TORTUOUS, ipv6, others, refused, valid};
use trunkline_sip::{Frame, HeaderId, Host, Scheme, Uri};

fn verdict(octets: &[u8]) -> Verdict {
    match Frame::parse(octets) {
        Err(error) => NoFrame(error),
        Ok(frame) => match frame.validate() {
            Ok(()) => Valid,
            Err(rejection) => Refused(rejection.status, rejection.reason),
        },
    }
}

fn check(cases: &[Case]) {
    for (name, octets, expected) in cases {
        assert_eq!(&verdict(octets.as_bytes()), expected, "{name}:\n{octets}");
    }
}

#[test]
fn valid_messages() {
    check(&valid());
}

#[test]
fn wsinv_is_read_right() {
    let frame = Frame::parse(SHORT_TORTUOUS.as_bytes()).unwrap();
    assert_eq!(frame.to().unwrap().tag(), Some(&b"1918n"[..]));
    assert_eq!(
        frame.from().unwrap().display_text().as_deref(),
        Some("J \\\"R")
    );
    assert_eq!(frame.max_forwards(), Ok(Some(68)));
    assert_eq!(frame.cseq().unwrap().number, 9);
    assert_eq!(frame.values(HeaderId::Via).count(), 3);
    assert_eq!(frame.top_via().unwrap().branch(), Some(&b"390skdjuw"[..]));
    assert_eq!(
        frame.contact().unwrap().unwrap().params.value("q"),
        Some(&b"0.33"[..])
    );
    assert_eq!(frame.header(HeaderId::Subject), Some(&b""[..]));
    assert_eq!(frame.body(), b"v=0");
}

#[test]
fn refused_with_400() {
    check(&refused());
}

#[test]
fn other_verdicts() {
    check(&others());
}

#[test]
fn ipv6_as_in_rfc_5118() {
    check(&ipv6());
    let inside = Uri::parse(b"sip:[2001:db8::10:5070]").unwrap();
    assert_eq!(
        (inside.host, inside.port),
        (Host::Ip("2001:db8::10:5070".parse().unwrap()), None)
    );
    assert_eq!(inside.scheme, Scheme::Sip);
}
