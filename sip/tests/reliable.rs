//! Reliable provisional responses and PRACK in both roles (RFC 3262), and UPDATE in both roles (RFC 3311).

#![allow(clippy::unwrap_used)]

mod network;
mod peer;
mod probe;

use network::{Network, SDP, config};
use peer::Peer;
use probe::{Probe, field, invite, request, tag_of};
use trunkline_sip::{
    EndCause, EndpointConfig, Event, Invite, LegError, LegId, Reliability, Transport,
};

const OFFER: &[u8] = b"v=0 offer";
const ANSWER: &[u8] = b"v=0 answer";

fn early_media(net: &mut Network, callee: LegId) {
    let (now, endpoint) = (net.now, &mut net.ends[1].endpoint);
    endpoint
        .provisional(now, callee, 183, "", Some(ANSWER), &[])
        .unwrap();
}

/// The names of events, for the order in which they came.
fn names(events: &[Event]) -> Vec<String> {
    let name = |event: &Event| {
        format!("{event:?}")
            .split([' ', '{'])
            .next()
            .unwrap()
            .to_owned()
    };
    events.iter().map(name).collect()
}

#[test]
fn early_media_is_acknowledged_and_the_answer_describes_nothing_again() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut net = Network::new(transport);
        let (caller, callee) = net.ring(Some(OFFER));
        early_media(&mut net, callee);
        net.run_for(100);
        assert_eq!(net.sent(0, "PRACK"), 1);
        let events = net.take(0);
        assert!(
            matches!(&events[..], [Event::Progress { fork: 0, response, .. }] if response.frame().body() == ANSWER),
            "{events:?}"
        );
        net.ends[1].endpoint.answer(net.now, callee, ANSWER, &[]);
        net.run_for(100);
        let events = net.take(0);
        assert!(
            matches!(&events[..], [Event::Answered { fork: 0, response, .. }] if response.frame().body().is_empty()),
            "{events:?}"
        );
        assert_eq!(names(&net.take(1)), ["Confirmed"]);
        assert_eq!(
            net.sent(1, "SIP/2.0 183"),
            1,
            "not repeated after its PRACK"
        );
        net.ends[0].endpoint.hangup(net.now, caller, None);
        net.drain();
    }
}

#[test]
fn the_2xx_waits_for_the_prack_of_a_description() {
    let mut net = Network::new(Transport::Udp);
    let (_, callee) = net.ring(Some(OFFER));
    net.lose.push(("SIP/2.0 183", 2));
    early_media(&mut net, callee);
    net.ends[1].endpoint.answer(net.now, callee, ANSWER, &[]);
    // Lost at 0 and 500 ms, there at 1500 ms.
    net.run_for(1400);
    assert_eq!(net.sent(1, "SIP/2.0 200"), 0);
    net.run_for(200);
    assert_eq!(net.sent(1, "SIP/2.0 183"), 3);
    assert_eq!(names(&net.take(0)), ["Progress", "Answered"]);
    net.ends[1].endpoint.hangup(net.now, callee, None);
    net.drain();
}

#[test]
fn a_lost_prack_is_repeated_and_a_repeated_18x_is_not_told_twice() {
    let mut net = Network::new(Transport::Udp);
    let (_, callee) = net.ring(Some(OFFER));
    net.lose.push(("PRACK", 2));
    early_media(&mut net, callee);
    net.run_for(5000);
    assert_eq!(net.sent(0, "PRACK"), 3, "T1 and 2·T1 after the first");
    assert_eq!(names(&net.take(0)), ["Progress"]);
    net.ends[1].endpoint.reject(net.now, callee, 486, "", &[]);
    net.drain();
}

#[test]
fn without_a_prack_the_invite_is_refused() {
    let mut net = Network::new(Transport::Udp);
    let (_, callee) = net.ring(Some(OFFER));
    net.lose.push(("PRACK", 1000));
    early_media(&mut net, callee);
    net.run_for(40_000);
    assert!(matches!(
        net.take(1)[..],
        [
            Event::Refused { status: 504, .. },
            Event::Ended {
                cause: EndCause::PrackTimeout,
                ..
            }
        ]
    ));
    assert!(matches!(
        net.take(0)[..],
        [Event::Progress { .. }, Event::Rejected { status: 504, .. }]
    ));
    net.drain();
}

#[test]
fn a_late_offer_in_a_provisional_response_is_answered_in_prack() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.ring(None);
    let now = net.now;
    net.ends[1]
        .endpoint
        .provisional(now, callee, 183, "", Some(OFFER), &[])
        .unwrap();
    net.run_for(600);
    assert_eq!(names(&net.take(0)), ["Progress"]);
    assert_eq!(net.sent(0, "PRACK"), 0, "the application has the answer");
    let caller_end = &mut net.ends[0].endpoint;
    assert_eq!(
        caller_end.prack(net.now, caller, 1, ANSWER),
        Err(LegError::WrongState)
    );
    caller_end.prack(net.now, caller, 0, ANSWER).unwrap();
    assert_eq!(
        caller_end.prack(net.now, caller, 0, ANSWER),
        Err(LegError::WrongState)
    );
    net.run_for(100);
    let events = net.take(1);
    assert!(
        matches!(&events[..], [Event::Prack { request, .. }] if request.frame().body() == ANSWER),
        "{events:?}"
    );
    net.ends[1].endpoint.answer(net.now, callee, OFFER, &[]);
    net.run_for(100);
    assert_eq!(
        names(&net.take(0)),
        ["Answered"],
        "the ACK goes out by itself"
    );
    assert_eq!(names(&net.take(1)), ["Confirmed"]);
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.drain();
}

#[test]
fn what_is_reliable_depends_on_both_sides() {
    // ours as server, what the INVITE says, status with a description, without one, refused with
    let table = [
        (Reliability::Supported, "", false, false),
        (Reliability::Supported, "Supported: 100rel\r\n", true, false),
        (Reliability::Supported, "Require: 100rel\r\n", true, true),
        (Reliability::Required, "Supported: 100rel\r\n", true, true),
        (Reliability::Off, "Supported: 100rel\r\n", false, false),
    ];
    for (reliable, lines, described, plain) in table {
        for (sdp, expected) in [(Some(SDP), described), (None, plain)] {
            let config = EndpointConfig {
                reliable,
                ..config(1)
            };
            let mut probe = Probe::with(config, Transport::Udp);
            probe.tell(&invite(lines));
            let leg = probe.leg();
            let (now, endpoint) = (probe.now, &mut probe.endpoint);
            endpoint.provisional(now, leg, 180, "", sdp, &[]).unwrap();
            let sent = probe.sent().remove(0);
            assert_eq!(
                field(&sent, "RSeq").is_some(),
                expected,
                "{reliable:?} {lines}"
            );
            assert_eq!(field(&sent, "Require").is_some(), expected);
        }
    }
    for (reliable, lines, status, header) in [
        (Reliability::Off, "Require: 100rel\r\n", 420, "Unsupported"),
        (Reliability::Required, "", 421, "Require"),
    ] {
        let config = EndpointConfig {
            reliable,
            ..config(1)
        };
        let mut probe = Probe::with(config, Transport::Udp);
        let sent = probe.tell(&invite(lines));
        assert!(
            sent[0].starts_with(&format!("SIP/2.0 {status} ")),
            "{}",
            sent[0]
        );
        assert_eq!(field(&sent[0], header), Some("100rel"));
    }
}

#[test]
fn provisional_responses_queue_behind_the_first() {
    let mut probe = Probe::new();
    probe.tell(&invite("Require: 100rel\r\n"));
    let leg = probe.leg();
    let (now, endpoint) = (probe.now, &mut probe.endpoint);
    for _ in 0..9 {
        endpoint.provisional(now, leg, 180, "", None, &[]).unwrap();
    }
    assert_eq!(
        endpoint.provisional(now, leg, 180, "", None, &[]),
        Err(LegError::AtCapacity)
    );
    let first = probe.sent();
    assert_eq!(first.len(), 1);
    let number: u32 = field(&first[0], "RSeq").unwrap().parse().unwrap();
    let tag = format!(";tag={}", tag_of(&first[0]));
    let rack = |number: u32, cseq: u32| format!("RAck: {number} {cseq} INVITE\r\n");
    let wrong = request("PRACK", "z9hG4bKw", &tag, 2, &rack(number + 1, 1), "");
    assert!(probe.tell(&wrong)[0].starts_with("SIP/2.0 481 "));
    let wrong = request("PRACK", "z9hG4bKv", &tag, 3, &rack(number, 2), "");
    assert!(probe.tell(&wrong)[0].starts_with("SIP/2.0 481 "));
    let right = request("PRACK", "z9hG4bKr", &tag, 4, &rack(number, 1), "");
    let sent = probe.tell(&right);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{sent:?}");
    assert_eq!(field(&sent[1], "RSeq"), Some(&*(number + 1).to_string()));
    // The final response needs no PRACK of a plain one; the late PRACK is still welcome.
    probe.endpoint.answer(probe.now, leg, SDP, &[]);
    assert!(probe.sent()[0].starts_with("SIP/2.0 200 "));
    let late = request("PRACK", "z9hG4bKl", &tag, 5, &rack(number + 1, 1), "");
    assert!(probe.tell(&late)[0].starts_with("SIP/2.0 200 "));
    probe.pass(40_000);
    let resent = probe.sent();
    assert!(resent.iter().all(|text| !text.starts_with("SIP/2.0 180")));
    probe.drain();
}

#[test]
fn an_offer_in_prack_is_answered_in_its_2xx() {
    let mut probe = Probe::new();
    probe.tell(&invite("Supported: 100rel\r\n"));
    let leg = probe.leg();
    let (now, endpoint) = (probe.now, &mut probe.endpoint);
    endpoint
        .provisional(now, leg, 183, "", Some(ANSWER), &[])
        .unwrap();
    let early = probe.sent().remove(0);
    let tag = format!(";tag={}", tag_of(&early));
    let rack = format!("RAck: {} 1 INVITE\r\n", field(&early, "RSeq").unwrap());
    let prack = request("PRACK", "z9hG4bKp", &tag, 2, &rack, "v=0 more");
    assert!(probe.tell(&prack).is_empty(), "the application is asked");
    assert!(matches!(probe.events()[..], [Event::Reinvite { .. }]));
    probe.endpoint.answer_reinvite(probe.now, leg, ANSWER);
    let ok = probe.sent().remove(0);
    assert!(
        ok.starts_with("SIP/2.0 200 ") && ok.ends_with("v=0 answer"),
        "{ok}"
    );
    assert_eq!(field(&ok, "CSeq"), Some("2 PRACK"));
    probe.endpoint.answer(probe.now, leg, ANSWER, &[]);
    assert_eq!(field(&probe.sent()[0], "Content-Length"), Some("0"));
    probe.drain();
}

#[test]
fn what_an_invite_says_about_reliability() {
    for (own, invited, supported, required) in [
        (Reliability::Supported, None, true, None),
        (Reliability::Off, None, false, None),
        (Reliability::Required, None, true, Some("100rel")),
        (
            Reliability::Off,
            Some(Reliability::Required),
            true,
            Some("100rel"),
        ),
        (Reliability::Required, Some(Reliability::Off), false, None),
    ] {
        let config = EndpointConfig {
            reliable: own,
            ..config(1)
        };
        let flow = Peer::called(true).flow;
        let to = "sip:b@10.0.0.2";
        let invite = Invite {
            reliable: invited,
            ..Invite::new(flow, to, to, to)
        };
        let peer = Peer::calling(config, invite);
        let said = field(&peer.invite, "Supported").unwrap().contains("100rel");
        assert_eq!(
            (said, field(&peer.invite, "Require")),
            (supported, required)
        );
    }
}

#[test]
fn each_fork_has_its_own_numbers() {
    let mut peer = Peer::called(true);
    let reliable = |number: u32| format!("Require: 100rel\r\nRSeq: {number}\r\n");
    let sent = peer.respond(183, "one", &reliable(10));
    assert!(
        sent[0].starts_with("PRACK sip:one@10.0.0.2:5062 "),
        "{sent:?}"
    );
    assert_eq!(field(&sent[0], "RAck"), Some("10 1 INVITE"));
    assert_eq!(field(&sent[0], "CSeq"), Some("2 PRACK"));
    let sent = peer.respond(183, "two", &reliable(500));
    assert_eq!(field(&sent[0], "RAck"), Some("500 1 INVITE"));
    assert!(
        peer.respond(183, "one", &reliable(10)).is_empty(),
        "came before"
    );
    assert!(
        peer.respond(183, "one", &reliable(12)).is_empty(),
        "11 is missing"
    );
    let sent = peer.respond(183, "one", &reliable(11));
    assert_eq!(field(&sent[0], "CSeq"), Some("3 PRACK"));
    let forks: Vec<_> = peer
        .events()
        .iter()
        .map(|event| match event {
            Event::Progress { fork, .. } => *fork,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(forks, [0, 1, 0]);
    peer.respond(200, "two", "");
    assert!(matches!(
        peer.events()[..],
        [Event::Answered { fork: 1, .. }]
    ));
    // What the loser saw in its early dialog counts: BYE is above its last PRACK.
    let sent = peer.respond(200, "one", "");
    assert_eq!(field(&sent[1], "CSeq"), Some("4 BYE"));
    peer.endpoint.hangup(peer.now, peer.leg, None);
    let bye = peer.sent().remove(0);
    assert_eq!(field(&bye, "CSeq"), Some("3 BYE"));
    peer.drain();
}

#[test]
fn update_before_the_answer_in_both_directions() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.ring(Some(OFFER));
    net.ends[1]
        .endpoint
        .update(net.now, callee, b"v=0 too early");
    net.run_for(10);
    assert!(matches!(
        net.take(1)[..],
        [Event::ReinviteRejected {
            status: 491 | 405,
            ..
        }]
    ));
    early_media(&mut net, callee);
    net.run_for(100);
    net.take(0);
    for (from, leg, to, other) in [(0, caller, 1, callee), (1, callee, 0, caller)] {
        net.ends[from]
            .endpoint
            .update(net.now, leg, b"v=0 new offer");
        net.run_for(100);
        let events = net.take(to);
        assert!(
            matches!(&events[..], [Event::Reinvite { request, .. }] if request.frame().body() == b"v=0 new offer"),
            "{events:?}"
        );
        net.ends[to]
            .endpoint
            .answer_reinvite(net.now, other, b"v=0 new answer");
        net.run_for(100);
        let events = net.take(from);
        assert!(
            matches!(&events[..], [Event::ReinviteAnswered { response, .. }] if response.frame().body() == b"v=0 new answer"),
            "{events:?}"
        );
    }
    net.ends[1].endpoint.answer(net.now, callee, ANSWER, &[]);
    net.run_for(100);
    assert_eq!(names(&net.take(0)), ["Answered"]);
    net.ends[0].endpoint.update(net.now, caller, OFFER);
    net.run_for(100);
    net.ends[1]
        .endpoint
        .reject_reinvite(net.now, callee, 488, "");
    net.run_for(100);
    assert!(matches!(
        net.take(0)[..],
        [Event::ReinviteRejected { status: 488, .. }]
    ));
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.drain();
}

#[test]
fn updates_that_cross_are_sent_again_by_role() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.talk();
    net.ends[0].endpoint.update(net.now, caller, b"v=0 a");
    net.ends[1].endpoint.update(net.now, callee, b"v=0 b");
    net.run_for(50);
    assert_eq!(net.sent(0, "SIP/2.0 491") + net.sent(1, "SIP/2.0 491"), 2);
    let mut answered = 0;
    for _ in 0..80 {
        net.run_for(100);
        for (end, leg) in [(0, caller), (1, callee)] {
            for event in net.take(end) {
                match event {
                    Event::Reinvite { .. } => {
                        net.ends[end].endpoint.answer_reinvite(net.now, leg, SDP);
                    }
                    Event::ReinviteAnswered { .. } | Event::ReinviteRejected { .. } => {
                        answered += 1
                    }
                    _ => {}
                }
            }
        }
    }
    assert_eq!(answered, 2);
    assert_eq!(net.sent(0, "INVITE"), 1);
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.drain();
}

#[test]
fn update_and_reinvite_share_one_place() {
    let mut probe = Probe::new();
    let (leg, tag) = probe.talk(&invite("Allow: INVITE, UPDATE\r\n"));
    let tag = format!(";tag={tag}");
    // Without an offer it only refreshes the target.
    let plain = request("UPDATE", "z9hG4bKp", &tag, 2, "", "")
        .replace("<sip:a@10.0.0.1:5060>", "<sip:new@10.0.0.1:5090>");
    assert!(probe.tell(&plain)[0].starts_with("SIP/2.0 200 "));
    assert!(probe.events().is_empty());
    probe.endpoint.update(probe.now, leg, SDP);
    let ours = probe.sent().remove(0);
    assert!(ours.starts_with("UPDATE sip:new@10.0.0.1:5090 "), "{ours}");
    for method in ["UPDATE", "INVITE"] {
        let crossing = request(
            method,
            &format!("z9hG4bK{method}"),
            &tag,
            3 + u32::from(method == "INVITE"),
            "",
            "v=0\r\n",
        );
        assert!(probe.tell(&crossing)[0].starts_with("SIP/2.0 491 "));
    }
    probe.endpoint.reinvite(probe.now, leg, SDP);
    let events = probe.events();
    assert!(
        matches!(
            events.last(),
            Some(Event::ReinviteRejected { status: 491, .. })
        ),
        "{events:?}"
    );
    probe.endpoint.hangup(probe.now, leg, None);
    probe.drain();
}

#[test]
fn a_peer_without_update_gets_a_reinvite() {
    let mut probe = Probe::new();
    let (leg, _) = probe.talk(&invite("Allow: INVITE\r\n"));
    probe.endpoint.update(probe.now, leg, SDP);
    assert!(probe.sent()[0].starts_with("INVITE "));
    probe.endpoint.hangup(probe.now, leg, None);
    probe.drain();
}
