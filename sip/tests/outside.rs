//! Requests that make no dialog: those of peers, and our own with their answers to challenges.

#![allow(clippy::unwrap_used)]

mod network;
mod probe;

use probe::{Probe, field, request};
use std::sync::Arc;
use trunkline_sip::{
    Algorithm, ChallengeRefused, Counts, Credentials, DigestServer, Event, LegError, Message,
    OutContact, OutRequest, Realm, RequestId, Secret, Series, Transport, Verdict,
};

#[test]
fn what_is_not_served_is_refused_politely() {
    let table = [
        ("SUBSCRIBE", 489, Some(("Allow-Events", "refer"))),
        ("PUBLISH", 405, Some(("Allow", "INVITE"))),
        ("REFER", 403, None),
        ("NOTIFY", 481, None),
        ("INFO", 481, None),
        ("BYE", 481, None),
    ];
    for (method, status, header) in table {
        let mut probe = Probe::new();
        let sent = probe.tell(&request(
            method,
            "z9hG4bK1",
            "",
            1,
            "Content-Type: a/b\r\n",
            "",
        ));
        assert!(
            sent[0].starts_with(&format!("SIP/2.0 {status} ")),
            "{method}: {}",
            sent[0]
        );
        assert!(field(&sent[0], "Reason").is_some());
        if let Some((name, begin)) = header {
            assert!(
                field(&sent[0], name).is_some_and(|value| value.starts_with(begin)),
                "{}",
                sent[0]
            );
        }
        assert!(matches!(probe.events()[..], [Event::Refused { .. }]));
        assert_eq!(probe.endpoint.counts(), Counts::default());
    }
}

#[test]
fn a_register_may_require_what_registrars_do() {
    for (lines, status) in [
        ("Require: path\r\n", None),
        (
            "Require: path, outbound\r\nProxy-Require: sec-agree\r\n",
            None,
        ),
        ("Require: gruu\r\n", Some("420")),
    ] {
        let mut probe = Probe::new();
        let sent = probe.tell(&request("REGISTER", "z9hG4bK1", "", 1, lines, ""));
        let found = sent.first().map(|text| &text[8..11]);
        assert_eq!(found, status, "{lines}");
    }
}

/// The only event, which must be a request.
fn asked(probe: &mut Probe) -> RequestId {
    match &probe.events()[..] {
        [Event::Request { id, leg: None, .. }] => *id,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_register_is_answered_by_the_application_once() {
    let mut probe = Probe::new();
    let register = request("REGISTER", "z9hG4bK1", "", 1, "", "");
    assert!(probe.tell(&register).is_empty());
    let id = asked(&mut probe);
    assert!(
        probe.tell(&register).is_empty() && probe.events().is_empty(),
        "a retransmission"
    );
    let headers = [
        ("Contact", "<sip:a@10.0.0.1:5060>;expires=60".to_owned()),
        ("Server", "another".to_owned()),
        ("X", "a\r\nb".to_owned()),
    ];
    let now = probe.now;
    probe
        .endpoint
        .respond(now, id, 200, "", &headers, Some(("text/plain", b"hello")));
    let sent = probe.sent();
    assert!(
        sent[0].starts_with("SIP/2.0 200 OK\r\n") && sent[0].ends_with("\r\n\r\nhello"),
        "{}",
        sent[0]
    );
    assert_eq!(
        field(&sent[0], "Contact"),
        Some("<sip:a@10.0.0.1:5060>;expires=60")
    );
    assert_ne!(field(&sent[0], "Server"), Some("another"));
    assert_eq!(
        (field(&sent[0], "X"), field(&sent[0], "Reason")),
        (None, None)
    );
    probe.endpoint.respond(now, id, 500, "", &[], None);
    assert!(probe.sent().is_empty(), "one final response");
    assert_eq!(
        probe.tell(&register),
        sent,
        "a retransmission gets the same answer"
    );
    probe.drain();
}

#[test]
fn a_request_nobody_answers_is_forgotten() {
    let mut probe = Probe::new();
    probe.tell(&request(
        "MESSAGE",
        "z9hG4bK1",
        "",
        1,
        "Content-Type: text/plain\r\n",
        "hi",
    ));
    let id = asked(&mut probe);
    probe.pass(40_000);
    assert_eq!(probe.endpoint.counts(), Counts::default());
    probe.endpoint.respond(probe.now, id, 200, "", &[], None);
    assert!(probe.sent().is_empty());
}

#[test]
fn waiting_requests_are_bounded() {
    let mut config = network::config(1);
    config.max_transactions = 3;
    let mut probe = Probe::with(config, Transport::Udp);
    let tell = |probe: &mut Probe, n: u32| {
        let text = request("REGISTER", &format!("z9hG4bK{n}"), "", n, "", "");
        probe.tell(&text)
    };
    for n in 1..=3 {
        assert!(tell(&mut probe, n).is_empty());
    }
    let full = tell(&mut probe, 4);
    assert!(full[0].starts_with("SIP/2.0 503 ") && field(&full[0], "Retry-After").is_some());
    let ours = OutRequest::new(probe.flow, "OPTIONS", "sip:x", "sip:a@b", "sip:x");
    assert_eq!(
        probe.endpoint.request(probe.now, ours),
        Err(LegError::AtCapacity)
    );
    probe.drain();
}

#[test]
fn a_message_within_a_call_names_its_leg() {
    let mut probe = Probe::new();
    let (talking, tag) = probe.talk(&probe::invite(""));
    let text = request(
        "MESSAGE",
        "z9hG4bKm",
        &format!(";tag={tag}"),
        2,
        "Content-Type: text/plain\r\n",
        "hi",
    );
    assert!(probe.tell(&text).is_empty());
    match &probe.events()[..] {
        [
            Event::Request {
                id, leg: Some(leg), ..
            },
        ] if *leg == talking => {
            probe
                .endpoint
                .respond(probe.now, *id, 415, "no text here", &[], None);
        }
        other => panic!("{other:?}"),
    }
    let sent = probe.sent();
    assert_eq!(
        field(&sent[0], "Reason"),
        Some("SIP;cause=415;text=\"no text here\"")
    );
}

fn register(probe: &Probe, credentials: Option<Credentials>, series: Option<Series>) -> OutRequest {
    OutRequest {
        contact: Some(OutContact {
            user: Some("trunk".into()),
            params: ";expires=300".into(),
        }),
        headers: vec![("Expires".into(), "300".into())],
        credentials: credentials.map(Arc::new),
        series,
        ..OutRequest::new(
            probe.flow,
            "REGISTER",
            "sip:carrier.example",
            "sip:u@carrier.example",
            "sip:u@carrier.example",
        )
    }
}

/// What the carrier answers to a request.
fn response(request: &str, status: u16, extra: &str) -> String {
    let line = |name| format!("{name}: {}\r\n", field(request, name).unwrap());
    let head: String = ["Via", "From", "To", "Call-ID", "CSeq"]
        .into_iter()
        .map(line)
        .collect();
    format!("SIP/2.0 {status} X\r\n{head}{extra}Content-Length: 0\r\n\r\n")
}

fn carrier() -> DigestServer {
    let day = std::time::Duration::from_secs(86_400);
    DigestServer::new([9; 32], "carrier.example", &[Algorithm::Md5], day)
}

fn challenge(server: &mut DigestServer, probe: &Probe, stale: bool) -> String {
    let (name, value) = server.challenge(probe.now, stale).remove(0);
    format!("{name}: {value}\r\n")
}

fn credentials(password: &str) -> Option<Credentials> {
    Some(Credentials::new(
        "u",
        password,
        Realm::Exactly("carrier.example".into()),
    ))
}

fn verdict(server: &mut DigestServer, probe: &Probe, request: &str) -> Verdict {
    let message = Message::parse(request.to_owned().into()).unwrap();
    server.verify(probe.now, &message.frame(), |_| {
        Some(Secret::new("u", "carrier.example", "secret"))
    })
}

/// The only event, which must be an outcome: status and series.
fn outcome(probe: &mut Probe, of: RequestId) -> (u16, Series, Option<ChallengeRefused>) {
    match probe.events().pop() {
        Some(Event::Response {
            id,
            status,
            series,
            refused,
            ..
        }) if id == of => (status, series, refused),
        other => panic!("{other:?}"),
    }
}

#[test]
fn our_register_is_sent_again_with_credentials() {
    let mut probe = Probe::new();
    let mut server = carrier();
    let request = register(&probe, credentials("secret"), None);
    let id = probe.endpoint.request(probe.now, request).unwrap();
    let first = probe.sent().remove(0);
    assert!(
        first.starts_with("REGISTER sip:carrier.example SIP/2.0\r\n"),
        "{first}"
    );
    assert_eq!(
        field(&first, "Contact"),
        Some("<sip:trunk@10.0.0.2:5060>;expires=300")
    );
    assert_eq!(field(&first, "CSeq"), Some("1 REGISTER"));
    assert_eq!(field(&first, "To"), Some("<sip:u@carrier.example>"));
    assert_eq!(verdict(&mut server, &probe, &first), Verdict::NoCredentials);

    let asks = challenge(&mut server, &probe, false);
    let second = probe.tell(&response(&first, 401, &asks)).remove(0);
    assert!(probe.events().is_empty(), "not over yet");
    assert_eq!(field(&second, "CSeq"), Some("2 REGISTER"));
    for same in ["Call-ID", "From", "Contact", "Expires"] {
        assert_eq!(field(&second, same), field(&first, same));
    }
    assert_ne!(field(&second, "Via"), field(&first, "Via"));
    assert_eq!(
        verdict(&mut server, &probe, &second),
        Verdict::Authenticated("u".into())
    );

    // The nonce grew old on the way: once more, and no further.
    let asks = challenge(&mut server, &probe, true);
    let third = probe.tell(&response(&second, 401, &asks)).remove(0);
    assert_eq!(
        verdict(&mut server, &probe, &third),
        Verdict::Authenticated("u".into())
    );
    assert_eq!(third.matches("\r\nAuthorization: ").count(), 1);
    probe.tell(&response(&third, 100, ""));
    probe.tell(&response(&third, 200, ""));
    let (status, series, _) = outcome(&mut probe, id);
    assert_eq!(status, 200);

    let next = register(&probe, None, Some(series));
    probe.endpoint.request(probe.now, next).unwrap();
    let next = probe.sent().remove(0);
    assert_eq!(field(&next, "CSeq"), Some("4 REGISTER"));
    assert_eq!(field(&next, "Call-ID"), field(&first, "Call-ID"));
    probe.drain();
}

#[test]
fn a_challenge_from_another_host_is_not_answered_and_says_so() {
    let mut probe = Probe::new();
    let mut server = carrier();
    let request = register(&probe, credentials("secret"), None);
    let id = probe.endpoint.request(probe.now, request).unwrap();
    let first = probe.sent().remove(0);
    let asks = challenge(&mut server, &probe, false);
    probe.flow.remote = "10.0.0.66:5060".parse().unwrap();
    assert_eq!(probe.tell(&response(&first, 401, &asks)), [""; 0]);
    let (status, _, refused) = outcome(&mut probe, id);
    assert_eq!((status, refused), (401, Some(ChallengeRefused::Elsewhere)));
    probe.drain();
}

#[test]
fn a_wrong_password_is_said_once() {
    let mut probe = Probe::new();
    let mut server = carrier();
    let id = probe
        .endpoint
        .request(probe.now, register(&probe, credentials("guess"), None))
        .unwrap();
    let mut sent = probe.sent().remove(0);
    for _ in 0..2 {
        let asks = challenge(&mut server, &probe, false);
        sent = match probe.tell(&response(&sent, 401, &asks)).pop() {
            Some(again) => again,
            None => break,
        };
    }
    let (status, _, refused) = outcome(&mut probe, id);
    assert_eq!((status, refused), (401, None));
    assert_eq!(field(&sent, "CSeq"), Some("2 REGISTER"));
    probe.drain();
}

#[test]
fn a_rogue_challenge_gets_no_hash() {
    let mut probe = Probe::new();
    let id = probe
        .endpoint
        .request(probe.now, register(&probe, credentials("secret"), None))
        .unwrap();
    let sent = probe.sent().remove(0);
    let rogue = "WWW-Authenticate: Digest realm=\"evil\", nonce=\"1\", qop=\"auth\"\r\n";
    assert!(probe.tell(&response(&sent, 401, rogue)).is_empty());
    let (status, _, refused) = outcome(&mut probe, id);
    assert_eq!(
        (status, refused),
        (401, Some(ChallengeRefused::Realm("evil".into())))
    );
}

#[test]
fn a_proxy_and_the_registrar_both_ask() {
    let mut probe = Probe::new();
    let mut server = carrier();
    let id = probe
        .endpoint
        .request(probe.now, register(&probe, credentials("secret"), None))
        .unwrap();
    let first = probe.sent().remove(0);
    let asks = challenge(&mut server, &probe, false).replace("WWW-", "Proxy-");
    let second = probe.tell(&response(&first, 407, &asks)).remove(0);
    let asks = challenge(&mut server, &probe, false);
    let third = probe.tell(&response(&second, 401, &asks)).remove(0);
    assert!(field(&third, "Authorization").is_some());
    assert_eq!(
        field(&third, "Proxy-Authorization"),
        field(&second, "Proxy-Authorization")
    );
    probe.tell(&response(&third, 403, ""));
    assert_eq!(outcome(&mut probe, id).0, 403);
}

#[test]
fn silence_is_408_and_a_broken_path_503() {
    let mut probe = Probe::new();
    let id = probe
        .endpoint
        .request(probe.now, register(&probe, None, None))
        .unwrap();
    probe.pass(32_000);
    assert_eq!(outcome(&mut probe, id).0, 408);
    probe.sent();
    let id = probe
        .endpoint
        .request(probe.now, register(&probe, None, None))
        .unwrap();
    probe.endpoint.transport_failed(probe.now, probe.flow);
    assert_eq!(outcome(&mut probe, id).0, 503);
    probe.drain();
}

#[test]
fn requests_that_cannot_be_sent() {
    let mut probe = Probe::new();
    let good = register(&probe, None, None);
    let with = |change: fn(&mut OutRequest)| {
        let mut request = good.clone();
        change(&mut request);
        request
    };
    for bad in [
        with(|request| request.method = "INVITE"),
        with(|request| request.method = "BAD METHOD"),
        with(|request| request.target = "http://x".into()),
        with(|request| request.from = "sip:a@b\r\nEvil: x".into()),
        with(|request| request.headers.push(("Call-ID".into(), "x".into()))),
        with(|request| request.headers.push(("X".into(), "a\r\nb".into()))),
        with(|request| {
            request.contact = Some(OutContact {
                user: Some("a b".into()),
                params: String::new(),
            })
        }),
        with(|request| request.routes.push("<sip:strict.example>".into())),
    ] {
        assert!(
            probe.endpoint.request(probe.now, bad.clone()).is_err(),
            "{bad:?}"
        );
    }
    assert!(probe.sent().is_empty());
    assert_eq!(probe.endpoint.counts(), Counts::default());
}
