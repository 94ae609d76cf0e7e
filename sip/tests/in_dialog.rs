//! One rule after another against a bare endpoint, within dialogs: octets in, octets out.

#![allow(clippy::unwrap_used)]

mod network;
mod probe;

use network::{SDP, config};
use probe::{Probe, field, invite, request, tag_of};
use std::net::SocketAddr;
use trunkline_sip::{Counts, EndCause, EndpointConfig, Event, Transport};

#[test]
fn cseq_numbers_of_a_dialog_only_rise() {
    let mut probe = Probe::new();
    let (_, tag) = probe.talk(&invite(""));
    let to = format!(";tag={tag}");
    let options = |branch: &str, cseq| request("OPTIONS", branch, &to, cseq, "", "");
    assert!(probe.tell(&options("z9hG4bK5", 5))[0].starts_with("SIP/2.0 200 "));
    assert!(
        probe.tell(&options("z9hG4bK5", 5))[0].starts_with("SIP/2.0 200 "),
        "a retransmission"
    );
    assert!(probe.tell(&options("z9hG4bK6", 4))[0].starts_with("SIP/2.0 500 "));
    assert!(probe.tell(&options("z9hG4bK7", 6))[0].starts_with("SIP/2.0 200 "));
    assert!(probe.tell(&request("BYE", "z9hG4bK8", &to, 7, "", ""))[0].starts_with("SIP/2.0 200 "));
    assert!(
        probe.tell(&request("BYE", "z9hG4bK8", &to, 7, "", ""))[0].starts_with("SIP/2.0 200 "),
        "retransmitted"
    );
    assert!(probe.tell(&request("BYE", "z9hG4bK9", &to, 8, "", ""))[0].starts_with("SIP/2.0 481 "));
    probe.drain();
}

#[test]
fn overlapping_reinvites() {
    let mut probe = Probe::new();
    let (leg, tag) = probe.talk(&invite(""));
    let to = format!(";tag={tag}");
    let again = |branch: &str, cseq| request("INVITE", branch, &to, cseq, "", "v=0\r\n");
    assert!(probe.tell(&again("z9hG4bK2", 2)).is_empty());
    let sent = probe.tell(&again("z9hG4bK3", 3));
    assert!(
        sent[0].starts_with("SIP/2.0 500 "),
        "RFC 3261 §14.2: {}",
        sent[0]
    );
    let delay: u32 = field(&sent[0], "Retry-After").unwrap().parse().unwrap();
    assert!(delay <= 10);
    // A CANCEL for the open one.
    let sent = probe.tell(&request("CANCEL", "z9hG4bK2", &to, 2, "", ""));
    assert!(
        sent[0].starts_with("SIP/2.0 200 ") && sent[1].starts_with("SIP/2.0 487 "),
        "{sent:?}"
    );
    probe.endpoint.answer_reinvite(probe.now, leg, SDP);
    assert!(probe.sent().is_empty(), "cancelled: nothing to answer");
    // An answered one whose ACK is still out: 491.
    assert!(probe.tell(&again("z9hG4bK4", 4)).is_empty());
    probe.endpoint.answer_reinvite(probe.now, leg, SDP);
    assert!(probe.sent()[0].starts_with("SIP/2.0 200 "));
    assert!(probe.tell(&again("z9hG4bK5", 5))[0].starts_with("SIP/2.0 491 "));
    probe.events();
    assert!(
        probe
            .tell(&request("ACK", "z9hG4bKa4", &to, 4, "", ""))
            .is_empty()
    );
    assert!(matches!(probe.events()[..], [Event::Confirmed { .. }]));
    // One the application leaves open is refused in time.
    assert!(probe.tell(&again("z9hG4bK6", 6)).is_empty());
    probe.pass(33_000);
    assert!(
        probe
            .sent()
            .iter()
            .any(|text| text.starts_with("SIP/2.0 500 "))
    );
    probe.endpoint.hangup(probe.now, leg, None);
    probe.drain();
}

#[test]
fn a_second_invite_before_the_first_is_answered() {
    let mut probe = Probe::new();
    probe.tell(&invite(""));
    let leg = probe.leg();
    probe
        .endpoint
        .provisional(probe.now, leg, 180, "Ringing", None, &[])
        .unwrap();
    let to = format!(";tag={}", tag_of(&probe.sent()[0]));
    let sent = probe.tell(&request("INVITE", "z9hG4bK2", &to, 2, "", ""));
    assert!(sent[0].starts_with("SIP/2.0 500 ") && field(&sent[0], "Retry-After").is_some());
    probe.endpoint.hangup(probe.now, leg, None);
    assert!(probe.sent()[0].starts_with("SIP/2.0 603 "));
    probe.drain();
}

#[test]
fn a_refusal_is_repeated_until_its_ack() {
    let mut probe = Probe::new();
    probe.tell(&invite(""));
    let leg = probe.leg();
    probe.endpoint.reject(probe.now, leg, 404, "Not Found", &[]);
    let tag = tag_of(&probe.sent()[0]);
    probe.pass(1600);
    assert_eq!(probe.sent().len(), 2, "timer G at 500 and 1500 ms");
    probe.tell(&request(
        "ACK",
        "z9hG4bK1",
        &format!(";tag={tag}"),
        1,
        "",
        "",
    ));
    probe.pass(10_000);
    assert!(probe.sent().is_empty());
    assert_eq!(probe.endpoint.counts(), Counts::default());
}

#[test]
fn requests_in_a_dialog_follow_its_routes() {
    let loose = "Record-Route: <sip:10.0.0.9;lr>, <sip:10.0.0.8:5080;lr>\r\n";
    let strict = "Record-Route: <sip:10.0.0.9:5090?x=y>\r\nRecord-Route: <sip:10.0.0.8;lr>\r\n";
    let table = [
        (
            "none",
            "",
            "BYE sip:a@10.0.0.1:5060 SIP/2.0",
            vec![],
            "10.0.0.1:5060",
        ),
        (
            "loose",
            loose,
            "BYE sip:a@10.0.0.1:5060 SIP/2.0",
            vec!["<sip:10.0.0.9;lr>", "<sip:10.0.0.8:5080;lr>"],
            "10.0.0.9:5060",
        ),
        (
            "strict",
            strict,
            "BYE sip:10.0.0.9:5090 SIP/2.0",
            vec!["<sip:10.0.0.8;lr>", "<sip:a@10.0.0.1:5060>"],
            "10.0.0.9:5090",
        ),
    ];
    for (name, extra, line, routes, hop) in table {
        let mut probe = Probe::new();
        let (leg, _) = probe.talk(&invite(extra));
        probe.endpoint.hangup(probe.now, leg, None);
        let bye = probe.endpoint.poll_transmit().unwrap();
        let text = String::from_utf8_lossy(&bye.bytes).into_owned();
        assert!(text.starts_with(line), "{name}: {text}");
        let seen: Vec<_> = text
            .lines()
            .filter_map(|line| line.strip_prefix("Route: "))
            .collect();
        assert_eq!(seen, routes, "{name}");
        assert_eq!(bye.flow.remote, hop.parse().unwrap(), "{name}");
        assert_eq!(
            field(&text, "To"),
            Some("<sip:a@10.0.0.1>;tag=from"),
            "{name}"
        );
        assert_eq!(field(&text, "CSeq"), Some("1 BYE"), "{name}");
    }
}

#[test]
fn a_caller_behind_a_translator_is_answered_where_it_sends_from() {
    let mut probe = Probe::new();
    probe.flow.remote = SocketAddr::from(([192, 0, 2, 7], 40_000));
    let (leg, _) = probe.talk(&invite(""));
    probe.endpoint.hangup(probe.now, leg, None);
    let bye = probe.endpoint.poll_transmit().unwrap();
    assert_eq!(bye.flow.remote, probe.flow.remote);
    assert!(
        bye.bytes.starts_with(b"BYE sip:a@10.0.0.1:5060 "),
        "the target itself stays"
    );
}

#[test]
fn a_new_contact_moves_the_target() {
    let mut probe = Probe::new();
    let (leg, tag) = probe.talk(&invite(""));
    let again = request(
        "INVITE",
        "z9hG4bK2",
        &format!(";tag={tag}"),
        2,
        "",
        "v=0\r\n",
    )
    .replace(
        "Contact: <sip:a@10.0.0.1:5060>",
        "Contact: <sip:a@10.0.0.5:5066>",
    );
    probe.tell(&again);
    probe.endpoint.answer_reinvite(probe.now, leg, SDP);
    probe.tell(&request(
        "ACK",
        "z9hG4bK3",
        &format!(";tag={tag}"),
        2,
        "",
        "",
    ));
    probe.endpoint.hangup(probe.now, leg, None);
    let bye = probe.endpoint.poll_transmit().unwrap();
    assert!(bye.bytes.starts_with(b"BYE sip:a@10.0.0.5:5066 "));
    assert_eq!(bye.flow.remote, SocketAddr::from(([10, 0, 0, 5], 5066)));
}

#[test]
fn contact_and_via_carry_the_advertised_address_and_the_transport() {
    let advertised = EndpointConfig {
        advertise: Some("198.51.100.1".parse().unwrap()).into(),
        ..config(1)
    };
    for (config, transport, contact) in [
        (config(1), Transport::Udp, "<sip:10.0.0.2:5060>"),
        (
            config(1),
            Transport::Tcp,
            "<sip:10.0.0.2:5060;transport=tcp>",
        ),
        (advertised, Transport::Udp, "<sip:198.51.100.1:5060>"),
    ] {
        let mut probe = Probe::with(config, transport);
        probe.tell(&invite("Record-Route: <sip:10.0.0.9;lr>\r\n"));
        let leg = probe.leg();
        probe.endpoint.answer(probe.now, leg, SDP, &[]);
        let ok = probe.sent().remove(0);
        assert_eq!(field(&ok, "Contact"), Some(contact));
        assert_eq!(field(&ok, "Record-Route"), Some("<sip:10.0.0.9;lr>"));
    }
}

#[test]
fn an_invite_that_expires_unanswered() {
    for (extra, ms, status) in [
        ("Expires: 20\r\n", 20_000, 487),
        ("", 180_000, 480),
        ("Expires: 9999\r\n", 180_000, 480),
    ] {
        let mut probe = Probe::new();
        probe.tell(&invite(extra));
        probe.events();
        probe.pass(ms - 1);
        assert!(probe.sent().is_empty(), "{extra}");
        probe.pass(1);
        assert!(
            probe.sent()[0].starts_with(&format!("SIP/2.0 {status} ")),
            "{extra}"
        );
        let events = probe.events();
        assert!(
            matches!(
                events[..],
                [
                    Event::Refused { .. },
                    Event::Ended {
                        cause: EndCause::AnswerTimeout,
                        ..
                    }
                ]
            ),
            "{events:?}"
        );
        probe.drain();
    }
}

#[test]
fn a_peer_within_a_dialog_cannot_fill_the_tables() {
    let limited = EndpointConfig {
        max_transactions: 10,
        ..config(1)
    };
    let mut probe = Probe::with(limited, Transport::Udp);
    let (leg, tag) = probe.talk(&invite(""));
    let to = format!(";tag={tag}");
    for turn in 0..200u32 {
        for (method, cseq) in [
            ("INFO", turn + 2),
            ("OPTIONS", turn + 2),
            ("BYE", 1),
            ("INVITE", turn + 2),
        ] {
            let branch = format!("z9hG4bK{method}{turn}");
            probe.tell(&request(method, &branch, &to, cseq, "", ""));
        }
        assert!(probe.endpoint.counts().server_transactions <= 10);
    }
    probe.endpoint.hangup(probe.now, leg, None);
    probe.drain();
}

#[test]
fn a_bye_before_the_answer() {
    let mut probe = Probe::new();
    probe.tell(&invite(""));
    let leg = probe.leg();
    probe
        .endpoint
        .provisional(probe.now, leg, 183, "Session Progress", Some(SDP), &[])
        .unwrap();
    let to = format!(";tag={}", tag_of(&probe.sent()[0]));
    let sent = probe.tell(&request("BYE", "z9hG4bK2", &to, 2, "", ""));
    assert!(
        sent[0].starts_with("SIP/2.0 200 ") && sent[1].starts_with("SIP/2.0 487 "),
        "{sent:?}"
    );
    assert!(matches!(
        probe.events()[..],
        [Event::Ended {
            cause: EndCause::ByeReceived,
            ..
        }]
    ));
    probe.drain();
}

#[test]
fn the_reason_of_a_cancel_reaches_the_application() {
    let mut probe = Probe::new();
    probe.tell(&invite(""));
    probe.leg();
    let reason = "SIP;cause=200;text=\"Call completed elsewhere\"";
    let sent = probe.tell(&request(
        "CANCEL",
        "z9hG4bK1",
        "",
        1,
        &format!("Reason: {reason}\r\n"),
        "",
    ));
    assert!(
        sent[0].starts_with("SIP/2.0 200 ") && sent[1].starts_with("SIP/2.0 487 "),
        "{sent:?}"
    );
    assert_eq!(
        tag_of(&sent[0]),
        tag_of(&sent[1]),
        "RFC 3261 §9.2: the same To tag"
    );
    let events = probe.events();
    assert!(
        matches!(&events[..], [Event::Cancelled { reason: Some(told), .. }] if told == reason),
        "{events:?}"
    );
    probe.drain();
}

#[test]
fn an_info_with_an_unknown_body_is_told_what_is_taken() {
    let mut probe = Probe::new();
    let (leg, tag) = probe.talk(&invite(""));
    let tag = format!(";tag={tag}");
    let kind = "Content-Type: text/plain\r\n";
    let info = request("INFO", "z9hG4bK2", &tag, 2, kind, "x");
    assert!(probe.tell(&info).is_empty());
    let [Event::Info { id, .. }] = probe.events()[..] else {
        panic!("no INFO")
    };
    probe.endpoint.respond_info(probe.now, leg, id, 415);
    let answer = &probe.sent()[0];
    assert!(answer.starts_with("SIP/2.0 415 "));
    assert!(field(answer, "Accept").unwrap().contains("dtmf-relay"));
}
