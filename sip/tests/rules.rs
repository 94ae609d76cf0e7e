//! One rule after another against a bare endpoint, outside dialogs: octets in, octets out.

#![allow(clippy::unwrap_used)]

mod network;
mod probe;

use network::{SDP, config};
use probe::{Probe, field, invite, request, tag_of};
use std::net::SocketAddr;
use std::time::Duration;
use trunkline_sip::{Counts, EndpointConfig, Event, Frame, Transport};

#[test]
fn refusals_outside_a_dialog() {
    let with = |line: &str| invite(&format!("{line}\r\n"));
    let table = [
        (
            "405 known method",
            request("PUBLISH", "z9hG4bK1", "", 1, "", ""),
            405,
            Some(("Allow", "INVITE, ACK")),
        ),
        (
            "405 PUBLISH in a call",
            request("PUBLISH", "z9hG4bK1", ";tag=x", 1, "", ""),
            405,
            Some(("Allow", "INVITE, ACK")),
        ),
        (
            "501 unknown method",
            request("JUMP", "z9hG4bK1", "", 1, "", ""),
            501,
            Some(("Allow", "INVITE, ACK")),
        ),
        (
            "501 case matters",
            request("invite", "z9hG4bK1", "", 1, "", ""),
            501,
            None,
        ),
        (
            "420",
            with("Require: 100rel, x-y"),
            420,
            Some(("Unsupported", "x-y")),
        ),
        ("483", with("Max-Forwards: 0"), 483, None),
        ("400 Max-Forwards", with("Max-Forwards: 256"), 400, None),
        (
            "415 type",
            with("Content-Type: text/plain"),
            415,
            Some(("Accept", "application/sdp")),
        ),
        (
            "415 multipart",
            with("Content-Type: multipart/mixed;boundary=x"),
            415,
            Some(("Accept", "application/sdp")),
        ),
        (
            "415 coding",
            with("Content-Encoding: gzip"),
            415,
            Some(("Accept-Encoding", "identity")),
        ),
        (
            "416",
            invite("").replace("INVITE sip:demo", "INVITE mailto:demo"),
            416,
            None,
        ),
        (
            "505",
            invite("").replace(" SIP/2.0\r\nVia", " SIP/3.0\r\nVia"),
            505,
            None,
        ),
        ("400 two Call-IDs", with("Call-ID: other"), 400, None),
        (
            "400 CSeq method",
            invite("").replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
            400,
            None,
        ),
        (
            "400 no Contact",
            invite("").replace("Contact: <sip:a@10.0.0.1:5060>\r\n", ""),
            400,
            None,
        ),
        (
            "481 BYE",
            request("BYE", "z9hG4bK1", ";tag=x", 1, "", ""),
            481,
            None,
        ),
        (
            "481 UPDATE",
            request("UPDATE", "z9hG4bK1", ";tag=x", 1, "", ""),
            481,
            None,
        ),
        (
            "481 PRACK without tag",
            request("PRACK", "z9hG4bK1", "", 1, "", ""),
            481,
            None,
        ),
        (
            "481 INFO",
            request("INFO", "z9hG4bK1", ";tag=x", 1, "", ""),
            481,
            None,
        ),
        (
            "481 re-INVITE",
            request("INVITE", "z9hG4bK1", ";tag=x", 1, "", ""),
            481,
            None,
        ),
        (
            "481 BYE without tag",
            request("BYE", "z9hG4bK1", "", 1, "", ""),
            481,
            None,
        ),
        (
            "481 CANCEL",
            request("CANCEL", "z9hG4bK1", "", 1, "", ""),
            481,
            None,
        ),
    ];
    for (name, text, status, header) in table {
        let mut probe = Probe::new();
        let sent = probe.tell(&text);
        assert_eq!(sent.len(), 1, "{name}");
        assert!(
            sent[0].starts_with(&format!("SIP/2.0 {status} ")),
            "{name}: {}",
            sent[0]
        );
        let reason = field(&sent[0], "Reason").unwrap_or_else(|| panic!("{name}: no Reason"));
        assert!(
            reason.starts_with(&format!("SIP;cause={status};text=\"")),
            "{name}: {reason}"
        );
        if let Some((key, value)) = header {
            assert!(
                field(&sent[0], key).unwrap().starts_with(value),
                "{name}: {}",
                sent[0]
            );
        }
        assert!(
            matches!(probe.events()[..], [Event::Refused { status: told, .. }] if told == status),
            "{name}: told the application"
        );
        assert!(!tag_of(&sent[0]).is_empty(), "{name}: To tag");
        assert_eq!(
            probe.endpoint.counts(),
            Counts::default(),
            "{name}: no state"
        );
        // A retransmission gets the same octets.
        assert_eq!(probe.tell(&text), sent, "{name}");
    }
}

#[test]
fn the_ack_of_a_stateless_refusal_is_absorbed_and_a_stray_one_never_answered() {
    let mut probe = Probe::new();
    let sent = probe.tell(&invite("Require: x\r\n"));
    probe.events();
    let tag = tag_of(&sent[0]);
    assert!(
        probe
            .tell(&request(
                "ACK",
                "z9hG4bK1",
                &format!(";tag={tag}"),
                1,
                "",
                ""
            ))
            .is_empty()
    );
    assert!(probe.events().is_empty());
    for ack in [
        request("ACK", "z9hG4bK1", ";tag=other", 1, "", ""),
        request("ACK", "z9hG4bK1", "", 1, "Require: x\r\n", ""),
        request("ACK", "z9hG4bK1", "", 1, "Call-ID: two\r\n", ""),
    ] {
        assert!(probe.tell(&ack).is_empty());
        assert!(matches!(probe.events()[..], [Event::Dropped { .. }]));
    }
}

#[test]
fn what_is_no_message_or_has_no_sender_is_dropped() {
    for text in [
        "hello\r\n\r\n",
        "INVITE sip:a@b SIP/2.0\r\n\r\n",
        "INVITE sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1\r\n\r\n",
        "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.2;branch=z9hG4bKx\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>\r\n\
         Call-ID: x\r\nCSeq: 1 INVITE\r\n\r\n",
        // An answer would repeat the whole way.
        &invite(&"v: SIP/2.0/UDP 10.0.0.9\r\n".repeat(71)),
        &invite(&"v: SIP/2.0/UDP 10.0.0.9\r\n".repeat(200)),
    ] {
        let mut probe = Probe::new();
        assert!(probe.tell(text).is_empty(), "{text}");
        assert!(
            matches!(probe.events()[..], [Event::Dropped { .. }]),
            "{text}"
        );
    }
    let mut probe = Probe::new();
    assert!(
        probe.tell("\r\n\r\n").is_empty() && probe.events().is_empty(),
        "a keep-alive is nothing"
    );
}

/// What is no message but a request whose header can be read far enough is refused, so that its sender need not guess.
#[test]
fn requests_that_cannot_be_framed_are_refused_where_possible() {
    let long = "x".repeat(9_000);
    let sound = invite("");
    let cut = &sound[..sound.find("Content-Length").unwrap()];
    for (text, status, rule) in [
        (
            invite(&format!("X: {long}\r\n")),
            "513",
            "header field too long",
        ),
        (
            sound.replacen("sip:demo", &format!("sip:{long}"), 1),
            "513",
            "header field too long",
        ),
        (
            invite(&"X: y\r\n".repeat(200)),
            "513",
            "too many header fields",
        ),
        (
            invite(&format!("X: {}\r\n", "y".repeat(70_000))),
            "513",
            "message too long",
        ),
        (cut.to_owned(), "400", "no blank line"),
    ] {
        // The headers that say where to stand before the trouble, as they nearly always do.
        let mut probe = Probe::new();
        let answers = probe.tell(&text);
        assert_eq!(answers.len(), 1, "{rule}");
        assert!(
            answers[0].starts_with(&format!("SIP/2.0 {status} ")),
            "{rule}: {}",
            answers[0]
        );
        assert!(field(&answers[0], "Reason").unwrap().contains(rule));
        assert!(answers[0].contains("\r\nVia: ") && tag_of(&answers[0]).len() > 8);
        assert!(matches!(
            &probe.events()[..],
            [Event::Refused { rule: told, .. }] if told.contains(rule)
        ));
        // Never an answer to an ACK or to a response, nor without a way back.
        for mute in [
            text.replacen("INVITE", "ACK", 1),
            text.replacen("INVITE sip:demo@10.0.0.2 SIP/2.0", "SIP/2.0 200 OK", 1),
            text.replacen("Via", "X-Via", 1),
            text.replacen("Call-ID", "X-Call", 1),
        ] {
            if mute != text {
                assert_eq!(probe.tell(&mute), [""; 0], "{rule}");
            }
        }
        assert_eq!(probe.endpoint.counts(), Counts::default());
    }
}

#[test]
fn bodies_that_may_be_ignored_are() {
    let optional = "Content-Type: multipart/mixed;boundary=x\r\nContent-Disposition: session;handling=optional\r\n";
    let mut probe = Probe::new();
    assert!(probe.tell(&invite(optional)).is_empty());
    assert!(matches!(probe.events()[..], [Event::Invite { .. }]));
}

#[test]
fn a_multipart_body_with_a_session_description_is_taken() {
    let parts = "--x\r\nContent-Type: application/isup\r\n\r\n\x01\r\n--x\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--x--\r\n";
    let kind = "Content-Type: multipart/mixed;boundary=x\r\n";
    let mut probe = Probe::new();
    assert!(
        probe
            .tell(&request("INVITE", "z9hG4bK1", "", 1, kind, parts))
            .is_empty()
    );
    let events = probe.events();
    let [Event::Invite { request, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(request.frame().session_description(), Some(&b"v=0\r\n"[..]));
}

#[test]
fn options_outside_a_dialog_say_what_we_do_and_keep_no_state() {
    let mut probe = Probe::new();
    let options = request("OPTIONS", "z9hG4bK1", "", 1, "Max-Forwards: 0\r\n", "");
    let sent = probe.tell(&options);
    assert!(sent[0].starts_with("SIP/2.0 200 OK\r\n"), "{}", sent[0]);
    assert_eq!(
        field(&sent[0], "Allow"),
        Some(
            "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, REGISTER"
        )
    );
    assert_eq!(field(&sent[0], "Accept"), Some("application/sdp"));
    assert!(field(&sent[0], "Supported") == Some("replaces, norefersub, timer, 100rel"));
    assert_eq!(probe.endpoint.counts(), Counts::default());
    probe.endpoint.set_draining(Some(Duration::from_secs(7)));
    let sent = probe.tell(&options);
    assert!(sent[0].starts_with("SIP/2.0 503 ") && field(&sent[0], "Retry-After") == Some("7"));
}

#[test]
fn an_overloaded_endpoint_takes_no_new_call_and_goes_on_with_the_others() {
    let mut probe = Probe::new();
    probe.tell(&invite(""));
    assert!(matches!(probe.events()[..], [Event::Invite { .. }]));
    probe.endpoint.set_overloaded(true);
    let other = invite("").replace("Call-ID: ", "Call-ID: other-");
    let other = other.replace("z9hG4bK", "z9hG4bKother");
    let sent = probe.tell(&other);
    assert!(sent[0].starts_with("SIP/2.0 503 "), "{}", sent[0]);
    assert_eq!(field(&sent[0], "Retry-After"), Some("2"));
    // A repeated INVITE of a call that is taken is none: its latest response again.
    probe.events();
    probe
        .endpoint
        .receive(probe.now, probe.flow, invite("").as_bytes());
    assert!(probe.sent()[0].starts_with("SIP/2.0 100 "));
    probe.endpoint.set_overloaded(false);
    probe.tell(&other);
    assert!(matches!(probe.events()[..], [Event::Invite { .. }]));
    probe.drain();
}

#[test]
fn the_same_request_over_another_path_is_merged() {
    let mut probe = Probe::new();
    probe.tell(&invite(""));
    assert!(matches!(probe.events()[..], [Event::Invite { .. }]));
    let sent = probe.tell(&request("INVITE", "z9hG4bK2", "", 1, "", "v=0\r\n"));
    assert!(sent[0].starts_with("SIP/2.0 482 "), "{}", sent[0]);
    // The same branch is a retransmission: the latest response again, no second call.
    probe.events();
    probe
        .endpoint
        .receive(probe.now, probe.flow, invite("").as_bytes());
    assert!(probe.sent()[0].starts_with("SIP/2.0 100 "));
    assert!(probe.events().is_empty());
    probe.drain();
}

#[test]
fn limits_answer_503_without_state() {
    for (legs, transactions) in [(1, 100), (100, 1)] {
        let limited = EndpointConfig {
            max_legs: legs,
            max_transactions: transactions,
            ..config(1)
        };
        let mut probe = Probe::with(limited, Transport::Udp);
        probe.tell(&invite(""));
        let other = invite("")
            .replace("call@", "other@")
            .replace("z9hG4bK1", "z9hG4bK2");
        let sent = probe.tell(&other);
        assert!(sent[0].starts_with("SIP/2.0 503 ") && field(&sent[0], "Retry-After").is_some());
        assert_eq!(probe.endpoint.counts().server_transactions, 1);
        // A BYE takes state away and is served.
        let leg = match &probe.events()[0] {
            Event::Invite { leg, .. } => *leg,
            other => panic!("{other:?}"),
        };
        probe
            .endpoint
            .provisional(probe.now, leg, 180, "Ringing", None, &[])
            .unwrap();
        let tag = tag_of(&probe.sent()[0]);
        let sent = probe.tell(&request(
            "BYE",
            "z9hG4bK3",
            &format!(";tag={tag}"),
            2,
            "",
            "",
        ));
        assert!(
            sent[0].starts_with("SIP/2.0 200 ") && sent[1].starts_with("SIP/2.0 487 "),
            "{sent:?}"
        );
        probe.drain();
    }
}

#[test]
fn responses_go_where_rfc_3581_sends_them() {
    let source = SocketAddr::from(([192, 0, 2, 7], 40_000));
    let table = [
        (
            "10.0.0.1:5070;branch=z9hG4bK1;rport",
            source,
            ";received=192.0.2.7;rport=40000",
        ),
        (
            "10.0.0.1:5070;branch=z9hG4bK1",
            SocketAddr::from(([192, 0, 2, 7], 5070)),
            ";received=192.0.2.7",
        ),
        (
            "10.0.0.1;branch=z9hG4bK1",
            SocketAddr::from(([192, 0, 2, 7], 5060)),
            ";received=192.0.2.7",
        ),
        (
            "phone.example;branch=z9hG4bK1;rport=9",
            source,
            ";received=192.0.2.7;rport=40000",
        ),
        (
            "10.0.0.1;maddr=10.9.9.9;branch=z9hG4bK1;rport",
            source,
            ";received=192.0.2.7;rport=40000",
        ),
    ];
    for (via, to, stamp) in table {
        let mut probe = Probe::new();
        probe.flow.remote = source;
        let options = request("OPTIONS", "z9hG4bK1", "", 1, "", "")
            .replace("10.0.0.1:5060;branch=z9hG4bK1", via);
        probe
            .endpoint
            .receive(probe.now, probe.flow, options.as_bytes());
        let transmit = probe.endpoint.poll_transmit().unwrap();
        assert_eq!(transmit.flow.remote, to, "{via}");
        let text = String::from_utf8_lossy(&transmit.bytes).into_owned();
        assert!(
            field(&text, "Via").unwrap().ends_with(stamp),
            "{via}: {text}"
        );
    }
    let mut probe = Probe::with(config(1), Transport::Tcp);
    probe
        .endpoint
        .receive(probe.now, probe.flow, invite("").as_bytes());
    assert_eq!(
        probe.endpoint.poll_transmit().map(|transmit| transmit.flow),
        Some(probe.flow)
    );
}

#[test]
fn an_rfc_2543_caller_without_branch_cookie_and_tags() {
    let old = |text: String| {
        text.replace("branch=z9hG4bK1", "branch=1")
            .replace(";tag=from", "")
    };
    let mut probe = Probe::new();
    probe.tell(&old(invite("")));
    let leg = probe.leg();
    assert!(
        probe.tell(&old(invite(""))).is_empty(),
        "100 again, no second call"
    );
    assert!(probe.events().is_empty());
    probe.endpoint.reject(probe.now, leg, 486, "Busy Here", &[]);
    let tag = tag_of(&probe.sent()[0]);
    probe.tell(&old(request(
        "ACK",
        "z9hG4bK1",
        &format!(";tag={tag}"),
        1,
        "",
        "",
    )));
    probe.pass(10_000);
    assert!(probe.sent().is_empty(), "the ACK was matched");
    assert_eq!(probe.endpoint.counts(), Counts::default());
}

#[test]
fn every_message_sent_is_valid() {
    let mut probe = Probe::new();
    let folded = invite("").replace(
        "From: <sip:a@10.0.0.1>;tag=from",
        "From: \"A\r\n B\"\r\n <sip:a@10.0.0.1>;tag=from",
    );
    let (leg, _) = probe.talk(&folded);
    probe.endpoint.info(probe.now, leg, "text/plain", b"x");
    probe.endpoint.reinvite(probe.now, leg, SDP);
    probe.endpoint.hangup(probe.now, leg, None);
    let sent = probe.sent();
    assert_eq!(sent.len(), 3);
    for text in &sent {
        Frame::parse(text.as_bytes()).unwrap().validate().unwrap();
        assert_eq!(field(text, "To"), Some("\"A B\" <sip:a@10.0.0.1>;tag=from"));
    }
}
