//! Four times as long is at most four times the work: allocations and allocated octets of the real endpoint (framing, validation, refusal
//! or a call) and of the parsers behind it, at a length and at four times that. No clock is read.
use crate::counting_alloc::{Work, counted};
use std::time::Instant;
use trunkline_sip::stream::StreamFramer;
use trunkline_sip::{Endpoint, EndpointConfig, Flow, Sdp, Transport};

/// What a table or a buffer that doubles may add.
const SLACK: Work = Work {
    calls: 16,
    octets: 8_192,
};

#[track_caller]
fn check(what: &str, work: impl Fn(usize), length: usize) {
    work(length); // what is made once
    let once = counted(|| work(length));
    let four = counted(|| work(4 * length));
    assert!(
        four.calls <= 4 * once.calls + SLACK.calls && four.octets <= 4 * once.octets + SLACK.octets,
        "{what}: {once:?} at {length}, {four:?} at four times that"
    );
}

/// What an endpoint open to all does with a message.
fn received(octets: &[u8]) {
    let mut endpoint = Endpoint::new(EndpointConfig::new("Trunkline", [7; 32]));
    let flow = Flow {
        transport: Transport::Udp,
        local: ([127, 0, 0, 1], 5060).into(),
        remote: ([192, 0, 2, 1], 5060).into(),
        connection: 0,
    };
    endpoint.receive(Instant::now(), flow, octets);
    while endpoint.poll_transmit().is_some() {}
    while endpoint.poll_event().is_some() {}
}

fn request(method: &str, lines: &str, body: &str) -> Vec<u8> {
    format!(
        "{method} sip:ben@example.org SIP/2.0\r\nVia: SIP/2.0/UDP t1.example.org;branch=z9hG4bKt1\r\nFrom: <sip:ann@example.org>;tag=f1\r\n\
         To: <sip:ben@example.org>\r\nCall-ID: linear\r\nCSeq: 7 {method}\r\nContact: <sip:ann@192.0.2.1>\r\n{lines}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into()
}

#[test]
fn work_is_linear_in_the_headers() {
    let cases: [(&str, &dyn Fn(usize) -> String, usize); 9] = [
        ("headers", &|n| "X: 1\r\n".repeat(n), 28),
        ("headers beyond the limit", &|n| "X: 1\r\n".repeat(n), 2_500),
        (
            "a long header",
            &|n| format!("X: {}\r\n", "a".repeat(n)),
            2_000,
        ),
        (
            "a header beyond the limit",
            &|n| format!("X: {}\r\n", "a".repeat(n)),
            15_000,
        ),
        ("folds", &|n| format!("X: a{}\r\n", "\r\n b".repeat(n)), 500),
        (
            "Via",
            &|n| "Via: SIP/2.0/UDP h;branch=z9hG4bKv\r\n".repeat(n),
            17,
        ),
        (
            "Via in one field",
            &|n| format!("Via: {}\r\n", vec!["SIP/2.0/UDP h"; n].join(",")),
            17,
        ),
        (
            "Contacts",
            &|n| format!("Contact: {}\r\n", vec!["<sip:a@b>"; n].join(",")),
            150,
        ),
        (
            "Record-Routes",
            &|n| format!("Record-Route: {}\r\n", vec!["<sip:a@b;lr>"; n].join(",")),
            17,
        ),
    ];
    for (what, lines, length) in cases {
        for method in ["OPTIONS", "INVITE", "REGISTER"] {
            check(
                &format!("{what} in {method}"),
                |n| received(&request(method, &lines(n), "")),
                length,
            );
        }
    }
}

#[test]
fn work_is_linear_in_quotes_escapes_and_parameters() {
    let cases: [(&str, &dyn Fn(usize) -> String, usize); 4] = [
        (
            "an open quote",
            &|n| format!("Contact: \"{}\r\n", "\\\"".repeat(n)),
            900,
        ),
        (
            "parameters",
            &|n| format!("Contact: <sip:a@b>{}\r\n", ";a=b".repeat(n)),
            450,
        ),
        (
            "commas in quotes",
            &|n| format!("Contact: \"{}\" <sip:a@b>\r\n", ",".repeat(n)),
            1_800,
        ),
        (
            "open brackets",
            &|n| format!("Contact: {}\r\n", "<".repeat(n)),
            1_800,
        ),
    ];
    for (what, lines, length) in cases {
        check(
            what,
            |n| received(&request("INVITE", &lines(n), "")),
            length,
        );
    }
}

#[test]
fn work_is_linear_in_the_body() {
    let head = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";
    let sdp = |lines: &str| format!("{head}m=audio 9 RTP/AVP 0\r\n{lines}");
    let cases: [(&str, &dyn Fn(usize) -> String, usize); 5] = [
        (
            "media lines",
            &|n| sdp(&"m=audio 9 RTP/AVP 0\r\n".repeat(n)),
            7,
        ),
        (
            "media lines beyond the limit",
            &|n| sdp(&"m=audio 9 RTP/AVP 0\r\n".repeat(n)),
            2_500,
        ),
        ("rtpmaps", &|n| sdp(&"a=rtpmap:96 X/8000\r\n".repeat(n)), 60),
        (
            "rtpmaps beyond the limit",
            &|n| sdp(&"a=rtpmap:96 X/8000\r\n".repeat(n)),
            2_500,
        ),
        (
            "formats",
            &|n| format!("{head}m=audio 9 RTP/AVP{}\r\n", " 0".repeat(n)),
            30,
        ),
    ];
    for (what, body, length) in cases {
        check(
            what,
            |n| {
                let body = body(n);
                drop(Sdp::parse(body.as_bytes()));
                received(&request(
                    "INVITE",
                    "Content-Type: application/sdp\r\n",
                    &body,
                ));
            },
            length,
        );
    }
    let part = "--b\r\nContent-Type: text/plain\r\n\r\nx\r\n";
    check(
        "parts",
        |n| {
            let kind = "Content-Type: multipart/mixed;boundary=b\r\n";
            received(&request("INVITE", kind, &part.repeat(n)));
        },
        400,
    );
}

/// A peer that sends an octet at a time costs what one costs that sends all at once: each octet once.
#[test]
fn work_is_linear_in_the_pieces_of_a_stream() {
    check(
        "octets one by one",
        |n| {
            let mut framer = StreamFramer::new();
            for octet in request("OPTIONS", "", &"x".repeat(n)) {
                framer.push(&[octet]);
                while let Ok(Some(_)) = framer.next_item() {}
            }
            assert_eq!(framer.pending(), 0);
        },
        15_000,
    );
}
