//! A stream gives the same messages however it is cut, the same as datagrams, within the same limits.

use trunkline_sip::limits::MAX_MESSAGE;
use trunkline_sip::stream::StreamRule;
use trunkline_sip::{Frame, StreamFramer, StreamItem};

const OPTIONS: &str =
    "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bK1\r\nl: 4\r\n\r\n\r\n\r\n";
const RINGING: &str = "SIP/2.0 180 Ringing\r\nX: folded\r\n value\r\nContent-Length: 0\r\n\r\n";

/// Everything the framer gives for these pushes; the error as text.
fn items<'a>(pushes: impl Iterator<Item = &'a [u8]>) -> (Vec<StreamItem>, Option<String>) {
    let mut framer = StreamFramer::new();
    let mut items = Vec::new();
    for push in pushes {
        framer.push(push);
        loop {
            match framer.next_item() {
                Ok(Some(item)) => items.push(item),
                Ok(None) => break,
                Err(error) => return (items, Some(error.to_string())),
            }
        }
    }
    (items, None)
}

#[test]
fn every_cut_gives_the_same() {
    let bare_lf = RINGING.replace("\r\n", "\n");
    let stream =
        format!("\r\n\r\n{OPTIONS}\r\n{RINGING}\r\n\r\n\r\n\r\n{OPTIONS}{bare_lf}\r\n{OPTIONS}");
    let whole = items(std::iter::once(stream.as_bytes()));
    let message = |text: &str| StreamItem::Message(text.to_owned().into());
    let ping = StreamItem::Ping;
    let expected = vec![
        ping.clone(),
        message(OPTIONS),
        message(RINGING),
        ping.clone(),
        ping,
        message(OPTIONS),
        message(&bare_lf),
        message(OPTIONS),
    ];
    assert_eq!(whole, (expected, None));
    for at in 0..=stream.len() {
        let (head, tail) = stream.as_bytes().split_at(at);
        assert_eq!(items([head, tail].into_iter()), whole, "cut at {at}");
    }
    for size in 1..8 {
        assert_eq!(
            items(stream.as_bytes().chunks(size)),
            whole,
            "pieces of {size}"
        );
    }
}

#[test]
fn messages_equal_their_datagrams() {
    for text in [OPTIONS, RINGING] {
        let (found, _) = items(text.as_bytes().chunks(3));
        let [StreamItem::Message(bytes)] = &found[..] else {
            panic!("{found:?}")
        };
        assert_eq!(
            Frame::parse(bytes).unwrap().bytes(),
            Frame::parse(text.as_bytes()).unwrap().bytes()
        );
    }
}

#[test]
fn broken_streams_name_the_rule_and_stay_broken() {
    let long_header = format!("OPTIONS sip:a@b SIP/2.0\r\nX: {}", "a".repeat(MAX_MESSAGE));
    let many_headers = format!("OPTIONS sip:a@b SIP/2.0\r\n{}\r\n", "X: 1\r\n".repeat(200));
    let cases = [
        (
            "OPTIONS sip:a@b SIP/2.0\r\nX: y\r\n\r\n",
            "no Content-Length",
        ),
        (
            "OPTIONS sip:a@b SIP/2.0\r\nl: -1\r\n\r\n",
            "unusable Content-Length",
        ),
        (
            "OPTIONS sip:a@b SIP/2.0\r\nl: 1\r\nContent-Length: 2\r\n\r\n",
            "unusable Content-Length",
        ),
        (
            "OPTIONS sip:a@b SIP/2.0\r\nl: 4294967295\r\n\r\n",
            "longer than 65535",
        ),
        (
            "OPTIONS sip:a@b SIP/2.0\r\nl: 99999999999999999999\r\n\r\n",
            "unusable Content-Length",
        ),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not a SIP request"),
        (&long_header, "longer than 65535"),
        (&many_headers, "more than 128"),
    ];
    for (stream, rule) in cases {
        for size in [1, 7, 70_000] {
            let mut framer = StreamFramer::new();
            let error = stream.as_bytes().chunks(size).find_map(|piece| {
                framer.push(piece);
                framer.next_item().err()
            });
            let error = error.unwrap_or_else(|| panic!("{rule}: accepted"));
            assert!(
                error.to_string().contains(rule),
                "{error} instead of {rule}"
            );
            framer.push(OPTIONS.as_bytes());
            assert_eq!(framer.next_item(), Err(error));
            assert_eq!(framer.pending(), 0);
        }
    }
}

#[test]
fn a_request_without_length_can_still_be_answered() {
    let mut framer = StreamFramer::new();
    framer.push(b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/TCP h\r\n\r\n");
    let error = framer.next_item().unwrap_err();
    assert_eq!(error.rule, StreamRule::NoContentLength);
    assert!(Frame::parse(&error.head).unwrap().top_via().is_ok());
}

#[test]
fn the_buffer_stays_bounded() {
    let mut framer = StreamFramer::new();
    let mut octets = 0usize;
    while framer.next_item().is_ok() {
        assert!(framer.pending() <= MAX_MESSAGE, "{octets}");
        framer.push(b"A: b\r\n");
        octets += 6;
        assert!(
            octets < 2 * MAX_MESSAGE,
            "a header without end is never refused"
        );
    }
}
