//! What rsip 0.4 gets wrong, one test each that we get it right. The `rsip` assertions pin its behaviour, so that a
//! release that mends one of them is noticed and the differential check can be widened.

use trunkline_sip::name_addr::Contact;
use trunkline_sip::{Frame, HeaderId, Host, Message, Method, Scheme, StartLine, Uri};

fn text(start: &str, extra: &str) -> String {
    format!(
        "{start}\r\nVia: SIP/2.0/UDP h.example.org;branch=z9hG4bK1\r\nFrom: <sip:a@example.org>;tag=1\r\n\
         To: <sip:b@example.org>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n{extra}Content-Length: 0\r\n\r\n"
    )
}

fn options(extra: &str) -> String {
    text("OPTIONS sip:b@example.org SIP/2.0", extra)
}

fn rsip_parses(octets: &[u8]) -> bool {
    rsip::SipMessage::try_from(octets).is_ok()
}

#[test]
fn compact_names() {
    use rsip::prelude::HeadersExt;
    let compact = options("")
        .replace("Via", "v")
        .replace("From", "f")
        .replace("To:", "t:")
        .replace("Call-ID", "i");
    let theirs = rsip::Request::try_from(compact.as_bytes()).unwrap();
    assert!(theirs.from_header().is_err(), "rsip sees no From");
    Frame::parse(compact.as_bytes())
        .unwrap()
        .validate()
        .unwrap();
}

#[test]
fn messages_rsip_rejects_whole() {
    let plain = options("");
    assert!(rsip_parses(plain.as_bytes()));
    let rejected = [
        options("Subject: one\r\n two\r\n"),
        plain.replace("From:", "From  :"),
        plain.replace("\r\n", "\n"),
        format!("\r\n\r\n{plain}"),
        text("PUBLISH2 sip:b@example.org SIP/2.0", "").replace("1 OPTIONS", "1 PUBLISH2"),
        text("OPTIONS tel:+4930123 SIP/2.0", ""),
        text("OPTIONS nobodyKnows:totally//off SIP/2.0", ""),
        text("OPTIONS sip:[2001:db8::10] SIP/2.0", ""),
    ];
    for message in rejected {
        assert!(!rsip_parses(message.as_bytes()), "rsip: {message}");
        Frame::parse(message.as_bytes())
            .unwrap()
            .validate()
            .unwrap_or_else(|error| panic!("{error:?}: {message}"));
    }
    let mut latin = options("Subject: caf?\r\n").into_bytes();
    let at = latin.iter().position(|&octet| octet == b'?').unwrap();
    latin[at] = 0xe9;
    assert!(!rsip_parses(&latin));
    let frame = Frame::parse(&latin).unwrap();
    frame.validate().unwrap();
    assert_eq!(frame.header(HeaderId::Subject), Some(&b"caf\xe9"[..]));
}

#[test]
fn two_via_on_one_line_and_ipv6() {
    let message = options("").replace(
        "z9hG4bK1",
        "z9hG4bK1, SIP/2.0/TCP [2001:db8::1]:5070;branch=z9hG4bK2",
    );
    let frame = Frame::parse(message.as_bytes()).unwrap();
    assert_eq!(frame.values(HeaderId::Via).count(), 2);
    let second = trunkline_sip::Via::parse(frame.values(HeaderId::Via).nth(1).unwrap()).unwrap();
    assert_eq!(second.host, Host::Ip("2001:db8::1".parse().unwrap()));
}

#[test]
fn contact_lists_and_star() {
    let message = options("Contact: \"A, B\" <sip:a@h>;q=1, <sip:c@d>\r\n");
    let frame = Frame::parse(message.as_bytes()).unwrap();
    assert_eq!(frame.contacts().filter_map(Result::ok).count(), 2);
    assert_eq!(
        frame.contact().unwrap().unwrap().display_text().as_deref(),
        Some("A, B")
    );
    let star = options("Contact: *\r\n");
    assert_eq!(
        Frame::parse(star.as_bytes()).unwrap().contacts().next(),
        Some(Ok(Contact::Star))
    );
}

#[test]
fn uri_headers_and_escaped_quotes() {
    let uri = "sip:b@example.org?Replaces=1%40x";
    let theirs = rsip::Uri::try_from(uri).unwrap();
    assert_ne!(
        theirs.host().to_string(),
        "example.org",
        "rsip takes the headers for host name"
    );
    assert_eq!(
        Uri::parse(uri.as_bytes()).unwrap().host,
        Host::Name(b"example.org")
    );
    let message = options("").replace("<sip:a@", "\"say \\\"hi\\\"\" <sip:a@");
    let frame = Frame::parse(message.as_bytes()).unwrap();
    assert_eq!(
        frame.from().unwrap().display_text().as_deref(),
        Some("say \"hi\"")
    );
}

#[test]
fn content_length_counts() {
    for (length, status) in [
        ("5", Some(400)),
        ("-1", Some(400)),
        ("1\r\nContent-Length: 2", Some(400)),
        ("0", None),
    ] {
        let message =
            options("").replace("Content-Length: 0", &format!("Content-Length: {length}")) + "abc";
        assert!(
            rsip_parses(message.as_bytes()),
            "rsip ignores Content-Length"
        );
        let verdict = Frame::parse(message.as_bytes()).unwrap().validate();
        assert_eq!(
            verdict.err().map(|rejection| rejection.status),
            status,
            "{length}"
        );
    }
    let trailing = options("") + "abc";
    assert_eq!(Frame::parse(trailing.as_bytes()).unwrap().body(), b"");
}

#[test]
fn a_cut_header_is_no_message() {
    let cut = options("")
        .trim_end()
        .replace("Content-Length: 0", "X: y\r\n");
    let cut = &cut[..cut.len() - 1];
    assert!(Frame::parse(cut.as_bytes()).is_err());
}

#[test]
fn bodies_and_reasons_are_untouched() {
    let mut octets = options("")
        .replace("Content-Length: 0", "Content-Length: 3")
        .into_bytes();
    octets.extend_from_slice(b"\xff\xfe\0");
    let theirs = rsip::SipMessage::try_from(&octets[..]).unwrap();
    assert_ne!(
        Vec::from(theirs.to_string()),
        octets,
        "rsip writes bodies through UTF-8"
    );
    assert_eq!(
        Message::parse(octets.clone().into()).unwrap().bytes()[..],
        octets[..]
    );
    for reason in ["My Own Words", ""] {
        let message = text(&format!("SIP/2.0 200 {reason}"), "");
        let frame = Frame::parse(message.as_bytes()).unwrap();
        assert_eq!(
            frame.start(),
            StartLine::Response {
                status: 200,
                reason: reason.as_bytes()
            }
        );
    }
}

#[test]
fn unknown_transport_and_lower_case_method() {
    let message = options("").replace("SIP/2.0/UDP", "SIP/2.0/UNKNOWN");
    assert_eq!(
        Frame::parse(message.as_bytes())
            .unwrap()
            .top_via()
            .unwrap()
            .transport,
        b"UNKNOWN"
    );
    let lower = text("options sip:b@example.org SIP/2.0", "").replace("1 OPTIONS", "1 options");
    assert_eq!(
        Frame::parse(lower.as_bytes()).unwrap().method(),
        Some(Method::Other(b"options"))
    );
    assert_eq!(Uri::parse(b"tel:+1").unwrap().scheme, Scheme::Tel);
}

#[test]
fn digest_algorithms_are_values_like_any_other() {
    let message = options(
        "Authorization: Digest username=\"a\", realm=\"r\", algorithm=SHA-256, nonce=\"n\"\r\n",
    );
    let frame = Frame::parse(message.as_bytes()).unwrap();
    frame.validate().unwrap();
    assert!(
        frame
            .header(HeaderId::Authorization)
            .unwrap()
            .ends_with(b"nonce=\"n\"")
    );
}
