//! What the builder writes, and what it refuses to write.

#![allow(clippy::unwrap_used)] // a test fails by panicking

use std::net::SocketAddr;

use proptest::prelude::*;
use trunkline_sip::{Frame, HeaderId, MessageBuilder, StreamFramer, StreamItem};

const REQUEST: &[u8] = b"INVITE sip:b@example.org SIP/2.0\r\n\
    v: SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bK1;rport\r\n ;x=\"a,b\", SIP/2.0/TCP p.example.org;branch=z9hG4bK2\r\n\
    Via: SIP/2.0/UDP far.example.org;branch=z9hG4bK3\r\nRecord-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\n\
    f: \"A\" <sip:a@example.org>;tag=1\r\nt: \"B\"\r\n <sip:b@example.org>\r\ni: c1\r\nCSeq: 5 INVITE\r\n\
    Timestamp: 54\r\nContact: <sip:a@192.0.2.1>\r\nMax-Forwards: 70\r\nl: 0\r\n\r\n";

fn source() -> Option<SocketAddr> {
    Some("203.0.113.9:30000".parse().unwrap())
}

fn response(status: u16, tag: Option<&str>, source: Option<SocketAddr>) -> String {
    let request = Frame::parse(REQUEST).unwrap();
    let bytes = MessageBuilder::response_to(&request, status, "Reason", tag, source).finish();
    Frame::parse(&bytes).unwrap().validate().unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[test]
fn a_response_copies_what_it_must() {
    let expected = "SIP/2.0 200 Reason\r\n\
        Via: SIP/2.0/UDP 192.0.2.1:5061;branch=z9hG4bK1;x=\"a,b\";received=203.0.113.9;rport=30000, SIP/2.0/TCP p.example.org;branch=z9hG4bK2\r\n\
        Via: SIP/2.0/UDP far.example.org;branch=z9hG4bK3\r\nRecord-Route: <sip:p1;lr>\r\nRecord-Route: <sip:p2;lr>\r\n\
        From: \"A\" <sip:a@example.org>;tag=1\r\nTo: \"B\" <sip:b@example.org>;tag=ours\r\nCall-ID: c1\r\nCSeq: 5 INVITE\r\n\
        Content-Length: 0\r\n\r\n";
    assert_eq!(response(200, Some("ours"), source()), expected);
}

#[test]
fn which_status_gets_what() {
    for (status, tag, record_route, timestamp) in [
        (100, false, false, true),
        (101, true, true, false),
        (180, true, true, false),
        (299, true, true, false),
        (300, true, false, false),
        (486, true, false, false),
    ] {
        let text = response(status, Some("ours"), source());
        assert_eq!(text.contains(";tag=ours"), tag, "{status}");
        assert_eq!(text.contains("Record-Route"), record_route, "{status}");
        assert_eq!(text.contains("Timestamp"), timestamp, "{status}");
    }
}

#[test]
fn a_tag_that_is_there_stays() {
    let tagged = String::from_utf8(REQUEST.to_vec())
        .unwrap()
        .replace("<sip:b@example.org>\r\n", "<sip:b@example.org>;tag=t2\r\n");
    let bytes = MessageBuilder::response_to(
        &Frame::parse(tagged.as_bytes()).unwrap(),
        200,
        "OK",
        Some("x"),
        None,
    )
    .finish();
    assert_eq!(
        Frame::parse(&bytes).unwrap().to().unwrap().tag(),
        Some(&b"t2"[..])
    );
}

#[test]
fn received_and_rport() {
    let top = |via: &str, source: &str| {
        let text = format!("OPTIONS sip:b SIP/2.0\r\nVia: {via}\r\n\r\n");
        let frame = Frame::parse(text.as_bytes()).unwrap();
        let bytes =
            MessageBuilder::response_to(&frame, 200, "OK", None, Some(source.parse().unwrap()))
                .finish();
        let value = Frame::parse(&bytes)
            .unwrap()
            .header(HeaderId::Via)
            .unwrap()
            .to_vec();
        String::from_utf8(value).unwrap()
    };
    for (via, source, expected) in [
        (
            "SIP/2.0/UDP 192.0.2.1;branch=z",
            "192.0.2.1:5060",
            "SIP/2.0/UDP 192.0.2.1;branch=z",
        ),
        (
            "SIP/2.0/UDP 192.0.2.1;branch=z",
            "192.0.2.2:9",
            "SIP/2.0/UDP 192.0.2.1;branch=z;received=192.0.2.2",
        ),
        (
            "SIP/2.0/UDP h;branch=z",
            "192.0.2.2:9",
            "SIP/2.0/UDP h;branch=z;received=192.0.2.2",
        ),
        // A received that the sender wrote itself would send our answer elsewhere.
        (
            "SIP/2.0/UDP h;received=9.9.9.9;rport=1",
            "192.0.2.2:9",
            "SIP/2.0/UDP h;received=192.0.2.2;rport=9",
        ),
        (
            "SIP/2.0/UDP [2001:db8::1];rport",
            "[2001:db8::2]:9",
            "SIP/2.0/UDP [2001:db8::1];received=2001:db8::2;rport=9",
        ),
        // A sender may compare sent-by with what it wrote.
        (
            "SIP/2.0/UDP [2001:DB8:0:0:0:0:0:1]:5060;rport",
            "[2001:db8::1]:9",
            "SIP/2.0/UDP [2001:DB8:0:0:0:0:0:1]:5060;received=2001:db8::1;rport=9",
        ),
        (
            "SIP/2.0/UDP h",
            "[::ffff:192.0.2.2]:9",
            "SIP/2.0/UDP h;received=192.0.2.2",
        ),
        ("unreadable", "192.0.2.2:9", "unreadable"),
    ] {
        assert_eq!(top(via, source), expected);
    }
}

#[test]
fn nothing_ends_its_line_early() {
    let build = || MessageBuilder::request("OPTIONS", "sip:b@example.org");
    for (name, value) in [
        ("Subject", "a\r\nVia: evil"),
        ("Subject", "a\nVia: evil"),
        ("Subject", "a\rb"),
        ("Subject", "a\0b"),
        ("Sub ject", "a"),
        ("Sub:ject", "a"),
        ("", "a"),
        ("X\r\nVia", "a"),
        ("Content-Length", "7"),
        ("l", "7"),
    ] {
        let builder = build().header(name, value);
        assert_eq!(builder.refused().unwrap().place, name);
        assert_eq!(builder.finish(), build().finish());
        assert!(build().header(name, value).try_finish().is_err());
    }
    for builder in [
        MessageBuilder::request("OPTIONS", "sip:b SIP/2.0\r\nVia: evil\r\nX:"),
        MessageBuilder::request("OPT IONS", "sip:b"),
        MessageBuilder::request("", ""),
        MessageBuilder::response(200, "OK\r\nVia: evil"),
        MessageBuilder::response(7, "x"),
    ] {
        assert!(builder.refused().is_some());
        let bytes = builder.finish();
        let frame = Frame::parse(&bytes).unwrap();
        assert_eq!(
            frame.headers().map(|header| header.id).collect::<Vec<_>>(),
            [HeaderId::ContentLength]
        );
    }
    assert!(
        MessageBuilder::request("BYE", "sip:b")
            .body("a\r\nb", b"x")
            .try_finish()
            .is_err()
    );
}

fn header_name() -> impl Strategy<Value = String> {
    "[A-Za-z][A-Za-z0-9.!%*_+~-]{1,20}".prop_filter("written by the builder", |name| {
        HeaderId::from_name(name.as_bytes()) != HeaderId::ContentLength
    })
}

proptest! {
    /// Build, frame: the same parts; from a stream: the same octets.
    #[test]
    fn what_is_built_is_what_is_framed(
        method in "[A-Z]{1,12}",
        user in "[a-z0-9;?/&=+$,._-]{1,12}",
        headers in prop::collection::vec((header_name(), "[\\PC&&[^\u{7f}]]{0,60}"), 0..40),
        body in prop::collection::vec(any::<u8>(), 0..400),
        cut in any::<prop::sample::Index>(),
    ) {
        let uri = format!("sip:{user}@example.org");
        let mut builder = MessageBuilder::request(&method, &uri);
        for (name, value) in &headers {
            builder = builder.header(name, value);
        }
        let bytes = builder.body("application/octet-stream", &body).try_finish().unwrap();
        let frame = Frame::parse(&bytes).unwrap();
        prop_assert_eq!(frame.bytes(), &bytes[..]);
        prop_assert_eq!(frame.method().unwrap().as_bytes(), method.as_bytes());
        prop_assert_eq!(frame.request_uri().unwrap(), uri.as_bytes());
        prop_assert_eq!(frame.body(), &body[..]);
        let found: Vec<_> = frame.headers().map(|header| (header.name, header.value)).collect();
        prop_assert_eq!(found.len(), headers.len() + 2);
        for ((name, value), (written, sent)) in found.iter().zip(&headers) {
            prop_assert_eq!(*name, written.as_bytes());
            let sent = sent.trim_matches([' ', '\t', '\r', '\n']);
            prop_assert_eq!(*value, sent.as_bytes());
        }
        let (head, tail) = bytes.split_at(cut.index(bytes.len()));
        let mut framer = StreamFramer::new();
        framer.push(head);
        prop_assert_eq!(framer.next_item().unwrap(), None);
        framer.push(tail);
        prop_assert_eq!(framer.next_item().unwrap(), Some(StreamItem::Message(bytes.clone())));
    }

    /// Any octets at all: no panic, and what frames is stable.
    #[test]
    fn framing_is_idempotent(octets in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), any::<u8>()], 0..300)) {
        let mut message = b"OPTIONS sip:a SIP/2.0\r\n".to_vec();
        message.extend_from_slice(&octets);
        if let Ok(frame) = Frame::parse(&message) {
            let _ = frame.validate();
            let again = Frame::parse(frame.bytes()).unwrap();
            prop_assert_eq!(again.bytes(), frame.bytes());
            prop_assert_eq!(again.validate(), frame.validate());
        }
    }
}
