//! Messages that are too long, too many, too deep or not text at all: each has its answer, the server lives and answers an OPTIONS after it;
//! and the work is linear in the length.
use crate::server::{Server, Settings, own_address};
use crate::torture_messages::{message, options, options_with};
use crate::wire::Answer::{Closed, Silence, Status};
use crate::wire::{Answer, Connection, Datagrams, number, numbered, probe};

/// What UDP over IPv4 can carry.
const LONGEST_DATAGRAM: usize = 65_507;

/// A server to which everybody here is a trunk, with the demo behind `ben`.
fn server() -> Server {
    let settings = Settings::default();
    Server::with(Settings {
        numbers: vec![("ben".into(), "builtin:demo".into())],
        sip_extra: "t1_ms = 10".into(),
        callers: settings.callers.clone() + "[security]\nrequests_per_second_per_source = 0\n",
        ..settings
    })
}

/// What is odd, the octets, the answer over UDP and over TCP.
struct Case(&'static str, Vec<u8>, Answer, Answer);

/// Sends each over UDP, if it fits into a datagram, and over TCP.
fn check(cases: &[Case]) {
    let server = server();
    let mut udp = Datagrams::new(own_address(), server.sip());
    let mut tcp = Connection::new(&server);
    for Case(name, octets, over_udp, over_tcp) in cases {
        if octets.len() < LONGEST_DATAGRAM {
            udp.exchange(name, octets, *over_udp);
        }
        let (own, after) = (number(), number());
        let mut octets = numbered(octets, own);
        octets.extend(probe(after));
        tcp.send(&octets);
        if !tcp.judge(&format!("{name}, over TCP"), own, after, *over_tcp) {
            tcp = Connection::new(&server);
        }
    }
    drop(tcp);
    server.wait_idle();
}

/// An OPTIONS for UDP and TCP with further lines.
fn with(lines: &[&str]) -> Vec<u8> {
    options(&[&["Content-Length: 0"], lines].concat()).into()
}

/// An INVITE to the demo with a body of a type.
fn invite(kind: &str, body: &str) -> Vec<u8> {
    let lines = [
        "Via: SIP/2.0/UDP t1.example.org;branch=z9hG4bKt1",
        "From: <sip:ann@example.org>;tag=f1",
        "To: <sip:ben@example.org>",
        "Call-ID: torture.1@example.org",
        "CSeq: 7 INVITE",
        "Max-Forwards: 70",
        "Contact: <sip:ann@127.0.0.1:9>",
        &format!("Content-Type: {kind}"),
        &format!("Content-Length: {}", body.len()),
    ];
    message("INVITE sip:ben@example.org SIP/2.0", &lines, body).into()
}

/// A session description with further lines after that of its audio.
fn sdp(formats: &str, lines: &str) -> String {
    format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 9000 RTP/AVP {formats}\r\n{lines}"
    )
}

fn offer(formats: &str, lines: &str) -> Vec<u8> {
    invite("application/sdp", &sdp(formats, lines))
}

fn both(name: &'static str, octets: impl Into<Vec<u8>>, answer: Answer) -> Case {
    Case(name, octets.into(), answer, answer)
}

#[test]
fn headers_too_many_and_too_long() {
    let closed = Closed(Some(513));
    let fold = "X: a".to_owned() + &"\r\n b".repeat(1_000);
    check(&[
        both("100,000 header fields", with(&["X: 1"; 100_000]), closed),
        Case(
            "10,000 header fields",
            with(&["X: 1"; 10_000]),
            Status(513),
            closed,
        ),
        Case(
            "129 header fields",
            with(&["X: 1"; 122]),
            Status(513),
            closed,
        ),
        both("128 header fields", with(&["X: 1"; 121]), Status(200)),
        Case(
            "a header of 64,000 octets",
            with(&[&format!("X: {}", "a".repeat(64_000))]),
            Status(513),
            closed,
        ),
        Case(
            "a header of 1 MB",
            with(&[&format!("X: {}", "a".repeat(1_000_000))]),
            Silence,
            closed,
        ),
        both(
            "a header of 8,000 octets",
            with(&[&format!("X: {}", "a".repeat(8_000))]),
            Status(200),
        ),
        both("1,000 folds", with(&[&fold]), Status(200)),
        Case(
            "15,000 folds",
            with(&[&("X: a\r\n".to_owned() + &" b\r\n".repeat(15_000) + " c")]),
            Status(513),
            closed,
        ),
        both(
            "500 Via in one field",
            with(&[&format!("Via: {}", ["SIP/2.0/UDP h"; 500].join(","))]),
            Silence,
        ),
        Case(
            "1,000 Via fields",
            with(&["Via: SIP/2.0/UDP h;branch=z9hG4bKv"; 1_000]),
            Silence,
            Closed(None),
        ),
        both(
            "a second Via of another",
            with(&["Via: SIP/2.0/UDP other.example.org;branch=z9hG4bKo"]),
            Status(200),
        ),
        both("two CSeq", with(&["CSeq: 7 OPTIONS"]), Status(400)),
        both(
            "500 Contacts in one field",
            with(&[&format!("m: {}", ["<sip:a@b>"; 500].join(","))]),
            Status(200),
        ),
        both(
            "Max-Forwards 0",
            options_with("Max-Forwards: 0"),
            Status(200),
        ),
        both(
            "Max-Forwards 256",
            options_with("Max-Forwards: 256"),
            Status(400),
        ),
        both(
            "Max-Forwards abc",
            options_with("Max-Forwards: abc"),
            Status(400),
        ),
        both(
            "Max-Forwards of 5,000 digits",
            options_with(&format!("Max-Forwards: {}", "9".repeat(5_000))),
            Status(400),
        ),
        both(
            "Max-Forwards twice",
            with(&["Max-Forwards: 70"]),
            Status(400),
        ),
    ]);
}

#[test]
fn octets_that_are_no_text() {
    let raw = |line: &[u8]| {
        let text = with(&["X: HERE"]);
        let at = crate::wire::find(&text, b"X: HERE").unwrap();
        [&text[..at], line, &text[at + 7..]].concat()
    };
    let lf = String::from_utf8(with(&["X: 1"]))
        .unwrap()
        .replace("\r\n", "\n");
    check(&[
        both("bare LF everywhere", lf, Status(200)),
        both("bare CR in a header", raw(b"X: a\rVia: b"), Status(400)),
        both("NUL in a header value", raw(b"X: a\0b"), Status(400)),
        both("NUL in a header name", raw(b"X\0: a"), Status(400)),
        both(
            "octets that are no UTF-8 in a value",
            raw(b"Subject: \xff\xfe\xc3\x28"),
            Status(200),
        ),
        both(
            "octets that are no UTF-8 in a display name",
            {
                let text = options_with("From: \"XX\" <sip:ann@example.org>;tag=1");
                let at = text.find("XX").unwrap();
                [
                    &text.as_bytes()[..at],
                    b"\xf0\x28\x8c",
                    &text.as_bytes()[at + 2..],
                ]
                .concat()
            },
            Status(200),
        ),
        both(
            "octets that are no UTF-8 in a name",
            raw(b"Subj\xff: 1"),
            Status(400),
        ),
        both("DEL in a header", raw(b"X: a\x7fb"), Status(400)),
        both(
            "NUL in a=fmtp",
            offer("0", "a=fmtp:0 a\0b\r\n"),
            Status(400),
        ),
        both(
            "no UTF-8 in a=fmtp",
            {
                let mut octets = offer("0", "a=fmtp:0 XX\r\n");
                let at = crate::wire::find(&octets, b"XX").unwrap();
                octets[at] = 0xff;
                octets
            },
            Status(200),
        ),
    ]);
}

#[test]
fn lengths_that_lie() {
    let length = |value: &str| options_with(&format!("Content-Length: {value}"));
    let none = String::from_utf8(with(&[]))
        .unwrap()
        .replace("Content-Length: 0\r\n", "");
    check(&[
        Case(
            "negative",
            length("-1").into(),
            Status(400),
            Closed(Some(400)),
        ),
        Case(
            "2^32",
            length("4294967296").into(),
            Status(400),
            Closed(Some(400)),
        ),
        Case(
            "2^64",
            length("18446744073709551616").into(),
            Status(400),
            Closed(Some(400)),
        ),
        Case(
            "5,000 digits",
            length(&"9".repeat(5_000)).into(),
            Status(400),
            Closed(Some(400)),
        ),
        Case(
            "more than a message may have",
            length("65536").into(),
            Status(513),
            Closed(Some(513)),
        ),
        Case("+0", length("+0").into(), Status(400), Closed(Some(400))),
        Case("empty", length("").into(), Status(400), Closed(Some(400))),
        both("0000", length("0000"), Status(200)),
        both("twice the same", with(&["l: 0"]), Status(200)),
        Case(
            "twice, different",
            with(&["l: 1"]),
            Status(400),
            Closed(Some(400)),
        ),
        Case("missing", none.into(), Status(200), Closed(Some(400))),
    ]);
}

#[test]
fn bodies_of_many_parts() {
    let mixed = "multipart/mixed;boundary=b";
    let part = |body: &str| format!("--b\r\nContent-Type: application/sdp\r\n\r\n{body}\r\n");
    let nested = |depth: usize| {
        let mut body = sdp("0", "");
        for level in 0..depth {
            body = format!(
                "--n{level}\r\nContent-Type: {}\r\n\r\n{body}\r\n--n{level}--\r\n",
                match level {
                    0 => "application/sdp".to_owned(),
                    _ => format!("multipart/mixed;boundary=n{}", level - 1),
                }
            );
        }
        invite(&format!("multipart/mixed;boundary=n{}", depth - 1), &body)
    };
    check(&[
        both("no part", invite(mixed, "--b--\r\n"), Status(415)),
        both("nothing at all", invite(mixed, "x"), Status(415)),
        both(
            "no boundary",
            invite("multipart/mixed", &part("v=0")),
            Status(415),
        ),
        both(
            "empty boundary",
            invite("multipart/mixed;boundary=\"\"", "----\r\n"),
            Status(415),
        ),
        both(
            "5,000 empty parts",
            invite(mixed, &"--b\r\n\r\n\r\n".repeat(5_000)),
            Status(415),
        ),
        both(
            "a part without an end",
            invite(mixed, "--b\r\nContent-Type: application/sdp"),
            Status(400),
        ),
        both("nested once", nested(2), Status(415)),
        both("nested a hundred times", nested(100), Status(415)),
        both(
            "one good part",
            invite(mixed, &(part(&sdp("0", "")) + "--b--\r\n")),
            Status(200),
        ),
    ]);
}

#[test]
fn giant_and_odd_session_descriptions() {
    let lines =
        |count: usize, line: &dyn Fn(usize) -> String| (0..count).map(line).collect::<String>();
    check(&[
        both(
            "1,400 media lines",
            offer(
                "0",
                &lines(1_400, &|n| format!("m=audio {} RTP/AVP 0\r\n", n + 1)),
            ),
            Status(400),
        ),
        Case(
            "10,000 media lines",
            offer(
                "0",
                &lines(10_000, &|n| format!("m=audio {} RTP/AVP 0\r\n", n + 1)),
            ),
            Silence,
            Closed(Some(513)),
        ),
        both(
            "1,000 rtpmaps",
            offer(
                "0",
                &lines(1_000, &|n| format!("a=rtpmap:{} X/8000\r\n", n % 128)),
            ),
            Status(400),
        ),
        Case(
            "10,000 rtpmaps",
            offer("0", &lines(10_000, &|n| format!("a=rtpmap:{n} X/8000\r\n"))),
            Silence,
            Closed(Some(513)),
        ),
        both(
            "payload type 2^32",
            offer("4294967296 0", "a=rtpmap:4294967296 X/8000\r\n"),
            Status(200),
        ),
        both(
            "only payload type 2^32",
            offer("4294967296", "a=rtpmap:4294967296 PCMU/8000\r\n"),
            Status(488),
        ),
        both(
            "payload type -1",
            offer("-1 0", "a=rtpmap:-1 X/8000\r\n"),
            Status(200),
        ),
        both(
            "the same codec twice",
            offer(
                "0 0 8 8 0",
                "a=rtpmap:0 PCMU/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n",
            ),
            Status(200),
        ),
        both(
            "the same codec under 30 numbers",
            offer(
                &lines(30, &|n| format!("{} ", 96 + n)),
                &lines(30, &|n| format!("a=rtpmap:{} PCMU/8000\r\n", 96 + n)),
            ),
            Status(200),
        ),
        both(
            "500 formats",
            offer(&vec!["0"; 500].join(" "), ""),
            Status(400),
        ),
        both("empty b=", offer("0", "b=\r\n"), Status(200)),
        both("b= without a number", offer("0", "b=AS:\r\n"), Status(200)),
        both(
            "clock of 0",
            offer("96", "a=rtpmap:96 PCMU/0\r\n"),
            Status(488),
        ),
        both(
            "port 65536",
            invite("application/sdp", &sdp("0", "").replace("9000", "65536")),
            Status(400),
        ),
        both("ptime 0", offer("0", "a=ptime:0\r\n"), Status(200)),
        both(
            "ptime 10^20",
            offer("0", "a=ptime:100000000000000000000\r\n"),
            Status(200),
        ),
        both(
            "a line of 5,000 octets",
            offer("0", &format!("a={}\r\n", "x".repeat(5_000))),
            Status(400),
        ),
        both("rubbish", invite("application/sdp", "rubbish"), Status(400)),
        both(
            "no media",
            invite(
                "application/sdp",
                "v=0\r\no=- 1 1 IN IP4 1.2.3.4\r\ns=-\r\nt=0 0\r\n",
            ),
            Status(488),
        ),
    ]);
}
