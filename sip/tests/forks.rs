//! The client side against a hand-made peer: forks, early dialogs, and answers that come late or wrong.

#![allow(clippy::unwrap_used)]

mod network;
mod peer;

use network::{SDP, config};
use peer::{Peer, field};
use std::time::Instant;
use trunkline_sip::{Counts, EndCause, Endpoint, Event, Invite};

#[test]
fn the_first_2xx_wins_and_the_others_are_taken_back() {
    let mut peer = Peer::called(true);
    peer.respond(180, "one", "");
    peer.respond(183, "two", "");
    assert_eq!(peer.endpoint.counts().dialogs, 2);
    let sent = peer.respond(200, "two", "");
    assert_eq!(sent.len(), 1);
    assert!(
        sent[0].starts_with("ACK sip:two@10.0.0.2:5062 "),
        "{}",
        sent[0]
    );
    assert_eq!(field(&sent[0], "CSeq"), Some("1 ACK"));
    assert_eq!(
        peer.endpoint.counts().dialogs,
        1,
        "the early dialogs are gone"
    );
    let again = peer.respond(200, "two", "");
    assert_eq!(again, sent, "the same ACK for the same 2xx");
    let losers = peer.respond(200, "one", "");
    assert!(
        losers[0].starts_with("ACK sip:one@") && losers[1].starts_with("BYE sip:one@"),
        "{losers:?}"
    );
    assert_eq!(field(&losers[1], "CSeq"), Some("2 BYE"));
    assert_eq!(
        peer.respond(200, "one", ""),
        losers[..1],
        "ACK again, BYE once"
    );
    let events = peer.events();
    assert!(
        matches!(
            events[..],
            [
                Event::Progress { .. },
                Event::Progress { .. },
                Event::Answered { .. }
            ]
        ),
        "{events:?}"
    );
    peer.respond_to(&losers[1], 200, "", "");
    peer.endpoint.hangup(peer.now, peer.leg, None);
    peer.drain();
}

#[test]
fn a_fork_that_answers_after_the_call_is_taken_back() {
    let mut peer = Peer::called(true);
    peer.respond(200, "one", "");
    peer.endpoint.hangup(peer.now, peer.leg, None);
    let bye = peer.sent().remove(0);
    peer.respond_to(&bye, 200, "", "");
    assert!(matches!(
        peer.events()[..],
        [
            Event::Answered { .. },
            Event::Ended {
                cause: EndCause::ByeSent,
                ..
            }
        ]
    ));
    let sent = peer.respond(200, "two", "");
    assert!(
        sent[0].starts_with("ACK sip:two@") && sent[1].starts_with("BYE sip:two@"),
        "{sent:?}"
    );
    assert!(peer.events().is_empty());
    peer.drain();
}

#[test]
fn a_response_that_went_astray_is_dropped() {
    let mut peer = Peer::called(true);
    let astray = peer.respond(
        180,
        "x",
        "Via: SIP/2.0/UDP 10.9.9.9;branch=z9hG4bKother\r\n",
    );
    assert!(astray.is_empty());
    assert!(matches!(
        peer.events()[..],
        [Event::Dropped {
            rule: "response has more than one Via",
            ..
        }]
    ));
    peer.respond(404, "x", "");
    assert!(matches!(
        peer.events()[..],
        [Event::Rejected { status: 404, .. }]
    ));
    peer.drain();
}

#[test]
fn forks_are_bounded() {
    let mut peer = Peer::called(true);
    for fork in 0..100 {
        peer.respond(180, &format!("e{fork}"), "");
    }
    assert_eq!(peer.endpoint.counts().dialogs, 8);
    for fork in 0..100 {
        peer.respond(200, &format!("f{fork}"), "");
    }
    assert!(peer.endpoint.counts().client_transactions <= 17);
    peer.endpoint.hangup(peer.now, peer.leg, None);
    peer.drain();
}

#[test]
fn the_ack_of_a_refusal_and_the_cancel_are_the_invites_own() {
    let mut peer = Peer::called(true);
    peer.respond(100, "", "");
    peer.endpoint.hangup(peer.now, peer.leg, None);
    let cancel = peer.sent().remove(0);
    let ack = peer.respond(487, "one", "").remove(0);
    for (text, method) in [(&cancel, "CANCEL"), (&ack, "ACK")] {
        assert!(
            text.starts_with(&format!("{method} sip:b@10.0.0.2 SIP/2.0\r\n")),
            "{text}"
        );
        assert_eq!(field(text, "Via"), field(&peer.invite, "Via"));
        assert_eq!(field(text, "From"), field(&peer.invite, "From"));
        assert_eq!(field(text, "Route"), Some("<sip:10.0.0.2;lr>"));
        assert_eq!(field(text, "CSeq"), Some(format!("1 {method}").as_str()));
    }
    assert_eq!(field(&cancel, "To"), field(&peer.invite, "To"));
    assert_eq!(field(&ack, "To"), Some("<sip:b@10.0.0.2>;tag=one"));
    assert_eq!(
        peer.respond(487, "one", ""),
        [ack],
        "again for each retransmission"
    );
    assert!(matches!(
        peer.events()[..],
        [Event::Trying { .. }, Event::Rejected { status: 487, .. }]
    ));
    peer.respond_to(&cancel, 200, "", "");
    peer.drain();
}

#[test]
fn a_2xx_with_routes_nobody_can_read_ends_the_leg() {
    let mut peer = Peer::called(true);
    peer.respond(200, "one", "Record-Route: <not a uri>\r\n");
    assert!(matches!(
        peer.events()[..],
        [Event::Rejected { status: 500, .. }]
    ));
    peer.drain();
}

#[test]
fn the_route_set_of_a_caller_is_reversed() {
    let mut peer = Peer::called(true);
    let routes = "Record-Route: <sip:10.0.0.8;lr>\r\nRecord-Route: <sip:10.0.0.9;lr>\r\n";
    let ack = peer.respond(200, "one", routes).remove(0);
    let seen: Vec<_> = ack
        .lines()
        .filter_map(|line| line.strip_prefix("Route: "))
        .collect();
    assert_eq!(seen, ["<sip:10.0.0.9;lr>", "<sip:10.0.0.8;lr>"]);
    peer.endpoint.hangup(peer.now, peer.leg, None);
    peer.drain();
}

#[test]
fn requests_of_the_peer_within_an_early_dialog() {
    let mut peer = Peer::called(true);
    peer.respond(183, "one", "");
    peer.events();
    let from_tag = field(&peer.invite, "From")
        .unwrap()
        .split(";tag=")
        .nth(1)
        .unwrap()
        .to_owned();
    let call_id = field(&peer.invite, "Call-ID").unwrap().to_owned();
    let request = |method: &str, cseq: u32| {
        format!(
            "{method} sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK{method}{cseq}\r\n\
             From: <sip:b@10.0.0.2>;tag=one\r\nTo: <sip:a@10.0.0.1>;tag={from_tag}\r\nCall-ID: {call_id}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:b@10.0.0.2>\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let answer = |peer: &mut Peer, method: &str, cseq| {
        peer.endpoint
            .receive(peer.now, peer.flow, request(method, cseq).as_bytes());
        peer.sent()
    };
    assert!(answer(&mut peer, "OPTIONS", 10)[0].starts_with("SIP/2.0 200 "));
    assert!(
        answer(&mut peer, "INVITE", 11)[0].starts_with("SIP/2.0 491 "),
        "our INVITE is not answered yet"
    );
    peer.respond(200, "one", "");
    assert!(
        answer(&mut peer, "OPTIONS", 9)[0].starts_with("SIP/2.0 500 "),
        "numbers go on from the early dialog"
    );
    assert!(answer(&mut peer, "BYE", 12)[0].starts_with("SIP/2.0 200 "));
    assert!(peer.events().iter().any(|event| matches!(
        event,
        Event::Ended {
            cause: EndCause::ByeReceived,
            ..
        }
    )));
    peer.drain();
}

#[test]
fn a_bye_that_overtakes_the_2xx() {
    for arrives in [true, false] {
        bye_first(arrives);
    }
}

fn bye_first(arrives: bool) {
    let mut peer = Peer::called(true);
    peer.respond(183, "one", "");
    let from_tag = field(&peer.invite, "From")
        .unwrap()
        .split(";tag=")
        .nth(1)
        .unwrap()
        .to_owned();
    let call_id = field(&peer.invite, "Call-ID").unwrap().to_owned();
    let bye = format!(
        "BYE sip:10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKbye\r\n\
         From: <sip:b@10.0.0.2>;tag=one\r\nTo: <sip:a@10.0.0.1>;tag={from_tag}\r\nCall-ID: {call_id}\r\n\
         CSeq: 7 BYE\r\nContent-Length: 0\r\n\r\n"
    );
    peer.endpoint.receive(peer.now, peer.flow, bye.as_bytes());
    let sent = peer.sent();
    assert!(
        sent[0].starts_with("SIP/2.0 200 ") && sent[1].starts_with("CANCEL "),
        "{sent:?}"
    );
    let events = peer.events();
    assert!(matches!(
        events[..],
        [
            Event::Progress { .. },
            Event::Ended {
                cause: EndCause::ByeReceived,
                ..
            }
        ]
    ));
    if !arrives {
        return peer.drain();
    }
    // The 2xx that was overtaken is still acknowledged, so that the peer stops repeating it.
    let sent = peer.respond(200, "one", "");
    assert!(
        sent[0].starts_with("ACK ") && sent[1].starts_with("BYE "),
        "{sent:?}"
    );
    peer.drain();
}

#[test]
fn requests_in_a_dialog_that_the_peer_forgot() {
    let mut peer = Peer::called(true);
    peer.respond(200, "one", "");
    peer.endpoint.info(peer.now, peer.leg, "text/plain", b"x");
    let info = peer.sent().remove(0);
    peer.respond_to(&info, 481, "", "");
    let events = peer.events();
    assert!(matches!(
        events[..],
        [
            Event::Answered { .. },
            Event::Ended {
                cause: EndCause::DialogGone,
                ..
            }
        ]
    ));
    peer.drain();
}

#[test]
fn a_reinvite_that_crosses_the_hangup() {
    let mut peer = Peer::called(true);
    peer.respond(200, "one", "");
    peer.endpoint.reinvite(peer.now, peer.leg, SDP);
    peer.endpoint.hangup(peer.now, peer.leg, None);
    let sent = peer.sent();
    let ack = peer.respond_to(&sent[0], 200, "", "");
    assert!(ack[0].starts_with("ACK "), "a 2xx is acknowledged even now");
    assert!(
        peer.events()
            .iter()
            .all(|event| !matches!(event, Event::ReinviteAnswered { .. }))
    );
    peer.respond_to(&sent[1], 200, "", "");
    assert!(matches!(
        peer.events()[..],
        [Event::Ended {
            cause: EndCause::ByeSent,
            ..
        }]
    ));
    peer.drain();
}

#[test]
fn unfit_calls_are_refused_before_anything_is_sent() {
    let flow = Peer::called(true).flow;
    let mut endpoint = Endpoint::new(config(1));
    let to = "sip:b@10.0.0.2";
    let good = Invite::new(flow, to, "sip:a@10.0.0.1", to);
    let bad = [
        Invite {
            target: "b".into(),
            ..good.clone()
        },
        Invite {
            target: "sip:b@h SIP/2.0\r\nX: y".into(),
            ..good.clone()
        },
        Invite {
            from: "<sip:a@h>\r\nX: y".into(),
            ..good.clone()
        },
        Invite {
            from: "<sip:a@h>;tag=mine".into(),
            ..good.clone()
        },
        Invite {
            to: String::new(),
            ..good.clone()
        },
        Invite {
            from: "<sip:a@h>;x=1, <sip:b@h>".into(),
            ..good.clone()
        },
        Invite {
            from: "sip:a@h>;x=1".into(),
            ..good.clone()
        },
        Invite {
            to: "Doe, J <sip:a@h>".into(),
            ..good.clone()
        },
        Invite {
            target: "http://example.com".into(),
            ..good.clone()
        },
        Invite {
            headers: vec![("X".into(), "a\r\nY: b".into())],
            ..good.clone()
        },
        Invite {
            headers: vec![("X Y".into(), "a".into())],
            ..good.clone()
        },
        Invite {
            headers: vec![("v".into(), "SIP/2.0/UDP h".into())],
            ..good.clone()
        },
        Invite {
            headers: vec![("Contact".into(), "<sip:h>".into())],
            ..good.clone()
        },
        Invite {
            headers: vec![("Route".into(), "<sip:h;lr>".into())],
            ..good.clone()
        },
        Invite {
            routes: vec!["<sip:h>".into()],
            ..good.clone()
        },
        Invite {
            contact_user: Some("a@b".into()),
            ..good.clone()
        },
    ];
    for invite in bad {
        assert!(
            endpoint.invite(Instant::now(), invite.clone()).is_err(),
            "{invite:?}"
        );
        assert!(endpoint.poll_transmit().is_none());
        assert_eq!(endpoint.counts(), Counts::default());
    }
    assert!(endpoint.invite(Instant::now(), good).is_ok());
}
