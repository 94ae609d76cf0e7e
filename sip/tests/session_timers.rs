//! Session timers in both roles (RFC 4028).

#![allow(clippy::unwrap_used)]

mod network;
mod peer;
mod probe;

use network::{Network, SDP, config};
use peer::{Peer, field};
use probe::{Probe, invite, request};
use trunkline_sip::{EndCause, EndpointConfig, Event, Flow, Invite, SessionTimer, Transport};

const TIMER: SessionTimer = SessionTimer {
    expires_s: 600,
    min_se_s: 90,
};

fn timed() -> EndpointConfig {
    EndpointConfig {
        session_timer: Some(TIMER),
        ..config(1)
    }
}

fn calling(timer: SessionTimer) -> Peer {
    let flow = Flow {
        transport: Transport::Udp,
        local: "10.0.0.1:5060".parse().unwrap(),
        remote: "10.0.0.2:5060".parse().unwrap(),
        connection: 0,
    };
    let to = "sip:b@10.0.0.2";
    let invite = Invite {
        sdp: Some(SDP.to_vec()),
        session_timer: Some(timer),
        ..Invite::new(flow, to, "sip:a@10.0.0.1", to)
    };
    Peer::calling(config(1), invite)
}

#[test]
fn a_long_call_is_refreshed_by_update_and_lives() {
    let mut net = Network::with(Transport::Udp, |config| config.session_timer = Some(TIMER));
    let (caller, _) = net.talk();
    net.run_for(3_600_000);
    assert!(net.take(0).is_empty() && net.take(1).is_empty());
    // The caller refreshes: each 300 s.
    assert_eq!((net.sent(0, "UPDATE"), net.sent(1, "UPDATE")), (12, 0));
    assert_eq!(net.sent(0, "INVITE"), 1);
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.drain();
}

#[test]
fn a_peer_without_update_is_refreshed_by_reinvite_with_the_last_description() {
    let mut peer = calling(TIMER);
    assert_eq!(field(&peer.invite, "Session-Expires"), Some("600"));
    assert_eq!(field(&peer.invite, "Min-SE"), Some("90"));
    peer.respond(200, "t", "Session-Expires: 200;refresher=uac\r\n");
    peer.events();
    peer.pass(99_999);
    assert!(peer.sent().is_empty());
    peer.pass(1);
    let refresh = peer.sent().remove(0);
    assert!(refresh.starts_with("INVITE ") && refresh.ends_with(std::str::from_utf8(SDP).unwrap()));
    assert_eq!(
        field(&refresh, "Session-Expires"),
        Some("200;refresher=uac")
    );
    let sent = peer.respond_to(&refresh, 200, "", "Session-Expires: 400;refresher=uac\r\n");
    assert!(sent[0].starts_with("ACK "));
    assert!(
        peer.events().is_empty(),
        "the application knows nothing of it"
    );
    // The peer has moved its media: the application has to follow.
    peer.pass(200_000);
    let refresh = peer.sent().remove(0);
    let moved = "v=0\r\no=- 1 2 IN IP4 10.0.0.3\r\n";
    let described = format!(
        "Session-Expires: 400;refresher=uac\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{moved}",
        moved.len()
    );
    // What follows the length is none of it (RFC 3261 §18.3).
    peer.respond_to(&refresh, 200, "", &described);
    let [Event::ReinviteAnswered { response, .. }] = &peer.events()[..] else {
        panic!("no answer")
    };
    assert_eq!(response.frame().body(), moved.as_bytes());
    // Refused: again after a while, and then nobody answers for good.
    peer.pass(200_000);
    let refresh = peer.sent().remove(0);
    peer.respond_to(&refresh, 500, "", "");
    assert!(peer.events().is_empty());
    peer.pass(50_000);
    let again = peer.sent().remove(0);
    assert!(again.starts_with("INVITE "));
    peer.respond_to(&again, 200, "", "");
    peer.pass(1_000_000);
    assert!(
        peer.sent().is_empty(),
        "no Session-Expires: nothing expires"
    );
    peer.endpoint.hangup(peer.now, peer.leg, None);
    peer.drain();
}

#[test]
fn what_the_failure_of_a_refresh_means() {
    for (status, cause) in [
        (481, EndCause::DialogGone),
        (408, EndCause::RequestTimeout),
        (0, EndCause::RequestTimeout),
        (500, EndCause::SessionExpired),
        (491, EndCause::SessionExpired),
    ] {
        let mut peer = calling(TIMER);
        let allow = "Allow: INVITE, UPDATE\r\nSession-Expires: 100;refresher=uac\r\n";
        peer.respond(200, "t", allow);
        peer.events();
        for _ in 0..400 {
            peer.pass(500);
            for sent in peer.sent() {
                if status > 0 && sent.starts_with("UPDATE ") {
                    peer.respond_to(&sent, status, "", "");
                }
            }
        }
        let events = peer.events();
        assert!(
            matches!(events[..], [Event::Ended { cause: found, .. }] if found == cause),
            "{status}: {events:?}"
        );
        peer.drain();
    }
}

#[test]
fn a_refused_update_without_a_description_to_offer_is_not_sent_again_at_once() {
    let mut peer = Peer::called(false);
    peer.respond(200, "t", "Session-Expires: 200;refresher=uac\r\n");
    peer.endpoint.ack(peer.now, peer.leg, None);
    peer.sent();
    peer.pass(100_000);
    let refresh = peer.sent().remove(0);
    assert!(refresh.starts_with("UPDATE "), "{refresh}");
    assert_eq!(peer.respond_to(&refresh, 405, "", ""), [""; 0]);
    peer.pass(25_000);
    assert!(peer.sent()[0].starts_with("UPDATE "));
}

#[test]
fn a_session_that_the_peer_does_not_refresh_ends_in_time() {
    let mut probe = Probe::with(timed(), Transport::Udp);
    let lines = "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n";
    let (_, tag) = probe.talk(&invite(lines));
    probe.pass(87_000);
    // A refresh in time moves the end.
    let lines = format!("Allow: UPDATE\r\n{lines}");
    let refresh = request("UPDATE", "z9hG4bKu", &format!(";tag={tag}"), 2, &lines, "");
    let sent = probe.tell(&refresh);
    assert_eq!(
        field(&sent[0], "Session-Expires"),
        Some("120;refresher=uac")
    );
    assert_eq!(field(&sent[0], "Require"), Some("timer"));
    probe.pass(87_900);
    assert!(probe.events().is_empty());
    probe.pass(200);
    let sent = probe.sent();
    let bye = sent.iter().find(|text| text.starts_with("BYE ")).unwrap();
    assert!(field(bye, "Reason").unwrap().contains("session expired"));
    assert!(matches!(
        probe.events()[..],
        [Event::Ended {
            cause: EndCause::SessionExpired,
            ..
        }]
    ));
    probe.drain();
}

#[test]
fn the_server_tells_who_refreshes() {
    for (lines, expected) in [
        ("", Some("600;refresher=uas")),
        (
            "Supported: timer\r\nSession-Expires: 300\r\n",
            Some("300;refresher=uac"),
        ),
        (
            "Supported: timer\r\nx: 300;refresher=uas\r\n",
            Some("300;refresher=uas"),
        ),
    ] {
        let mut probe = Probe::with(timed(), Transport::Udp);
        probe.tell(&invite(lines));
        let leg = probe.leg();
        probe.endpoint.answer(probe.now, leg, SDP, &[]);
        assert_eq!(
            field(&probe.sent()[0], "Session-Expires"),
            expected,
            "{lines}"
        );
    }
}

#[test]
fn an_interval_that_is_too_small() {
    let mut probe = Probe::with(timed(), Transport::Udp);
    let small = "Supported: timer\r\nSession-Expires: 60\r\n";
    let sent = probe.tell(&invite(small));
    assert!(sent[0].starts_with("SIP/2.0 422 ") && field(&sent[0], "Min-SE") == Some("90"));
    probe.events();
    let (_, tag) = probe.talk(&invite(""));
    let tag = format!(";tag={tag}");
    for (n, method) in (2..).zip(["UPDATE", "INVITE"]) {
        let body = if method == "INVITE" { "v=0\r\n" } else { "" };
        let text = request(method, &format!("z9hG4bKs{n}"), &tag, n, small, body);
        assert!(probe.tell(&text)[0].starts_with("SIP/2.0 422 "), "{method}");
    }
    // As client: once with the larger one.
    let mut peer = calling(TIMER);
    let first = peer.invite.clone();
    let sent = peer.respond_to(&first, 422, "t", "Min-SE: 1800\r\n");
    let again = sent
        .iter()
        .find(|text| text.starts_with("INVITE "))
        .unwrap()
        .clone();
    assert_eq!(field(&again, "Session-Expires"), Some("1800"));
    assert_eq!(field(&again, "Min-SE"), Some("1800"));
    assert_eq!(field(&again, "CSeq"), Some("2 INVITE"));
    peer.respond_to(&again, 422, "t", "Min-SE: 1800\r\n");
    assert!(matches!(
        peer.events()[..],
        [Event::Rejected { status: 422, .. }]
    ));
    peer.drain();
}
