//! Requests of a leg that are refused in a way that can be met: challenges (RFC 3261 §22.2, §22.3), and connections that
//! are gone.

#![allow(clippy::unwrap_used)]

mod network;
mod peer;
mod probe;

use network::{SDP, config};
use peer::{Peer, field};
use probe::{Probe, invite, request};
use std::net::SocketAddr;
use std::sync::Arc;
use trunkline_sip::{Credentials, Event, Flow, Invite, Realm, Transport};

const WWW: &str =
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n1\", qop=\"auth\", algorithm=SHA-256\r\n";
const STALE: &str =
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n2\", qop=\"auth\", stale=TRUE\r\n";
const PROXY: &str = "Proxy-Authenticate: Digest realm=\"r\", nonce=\"p1\", qop=\"auth\"\r\n";
const ROGUE: &str = "WWW-Authenticate: Digest realm=\"other\", nonce=\"n1\", qop=\"auth\"\r\n";

fn calling(transport: Transport) -> Peer {
    let flow = Flow {
        transport,
        local: SocketAddr::from(([10, 0, 0, 1], 5060)),
        remote: SocketAddr::from(([10, 0, 0, 2], 5060)),
        connection: u64::from(transport.is_reliable()),
    };
    let to = "sip:b@10.0.0.2";
    let credentials = Credentials::new("alice", "secret", Realm::Exactly("r".into()));
    let invite = Invite {
        sdp: Some(SDP.to_vec()),
        credentials: Some(Arc::new(credentials)),
        headers: vec![("X-Mark".into(), "1".into())],
        ..Invite::new(flow, to, "sip:a@10.0.0.1", to)
    };
    Peer::calling(config(1), invite)
}

/// Takes the next try out of what was sent: an ACK, then the request.
fn next_try(sent: &[String], method: &str) -> String {
    let found = sent.iter().find(|text| text.starts_with(method));
    found.unwrap_or_else(|| panic!("{sent:?}")).clone()
}

#[test]
fn a_challenged_invite_goes_out_again_with_the_answer() {
    let mut peer = calling(Transport::Udp);
    let first = peer.invite.clone();
    let sent = peer.respond(407, "p", PROXY);
    assert!(sent[0].starts_with("ACK "), "{sent:?}");
    let again = next_try(&sent, "INVITE");
    assert_eq!(field(&again, "CSeq"), Some("2 INVITE"));
    assert_eq!(field(&again, "Call-ID"), field(&first, "Call-ID"));
    assert_eq!(field(&again, "From"), field(&first, "From"));
    assert_eq!(field(&again, "X-Mark"), Some("1"));
    assert_ne!(field(&again, "Via"), field(&first, "Via"));
    assert!(again.ends_with(std::str::from_utf8(SDP).unwrap()));
    let proxy = field(&again, "Proxy-Authorization").unwrap();
    assert!(proxy.contains("uri=\"sip:b@10.0.0.2\"") && !again.contains("secret"));
    // The server behind the proxy asks for itself; both answers travel on.
    let sent = peer.respond_to(&again, 401, "s", WWW);
    let third = next_try(&sent, "INVITE");
    assert_eq!(field(&third, "CSeq"), Some("3 INVITE"));
    assert!(field(&third, "Authorization").unwrap().contains("SHA-256"));
    assert!(field(&third, "Proxy-Authorization").is_some());
    assert!(peer.events().is_empty());
    let sent = peer.respond_to(&third, 200, "s", "");
    assert_eq!(field(&sent[0], "CSeq"), Some("3 ACK"));
    for name in ["Authorization", "Proxy-Authorization"] {
        // RFC 3261 §13.2.2.4
        assert_eq!(field(&sent[0], name), field(&third, name));
    }
    assert!(matches!(peer.events()[..], [Event::Answered { .. }]));
    // BYE is challenged, too.
    peer.endpoint.hangup(peer.now, peer.leg, None);
    let bye = peer.sent().remove(0);
    assert_eq!(field(&bye, "CSeq"), Some("4 BYE"));
    let sent = peer.respond_to(&bye, 401, "", WWW);
    let bye = next_try(&sent, "BYE");
    assert_eq!(field(&bye, "CSeq"), Some("5 BYE"));
    assert!(
        field(&bye, "Authorization")
            .unwrap()
            .contains("nc=00000002")
    );
    peer.respond_to(&bye, 200, "", "");
    assert!(matches!(peer.events()[..], [Event::Ended { .. }]));
    peer.drain();
}

#[test]
fn what_is_not_answered_stands() {
    for (challenges, rejected) in [
        (&[WWW, WWW][..], 2),
        (&[WWW, STALE, STALE], 3),
        (&[STALE, STALE, STALE], 3),
        (&[ROGUE], 1),
        (&["WWW-Authenticate: Basic realm=\"r\"\r\n"], 1),
        (&[""], 1),
    ] {
        let mut peer = calling(Transport::Udp);
        let mut request = peer.invite.clone();
        for (round, challenge) in challenges.iter().enumerate() {
            let sent = peer.respond_to(&request, 401, "s", challenge);
            let again = sent.iter().find(|text| text.starts_with("INVITE"));
            assert_eq!(again.is_none(), round + 1 == rejected, "{challenges:?}");
            request = again.cloned().unwrap_or_default();
        }
        let events = peer.events();
        let last = events.last().unwrap();
        assert!(
            matches!(
                last,
                Event::Rejected {
                    status: 401,
                    response: Some(_),
                    ..
                }
            ),
            "{events:?}"
        );
        peer.drain();
    }
}

#[test]
fn a_cancelled_call_is_not_tried_again() {
    let mut peer = calling(Transport::Udp);
    peer.endpoint.hangup(peer.now, peer.leg, None);
    let sent = peer.respond(401, "s", WWW);
    assert!(sent.iter().all(|text| text.starts_with("ACK")), "{sent:?}");
    assert!(matches!(
        peer.events()[..],
        [Event::Rejected { status: 401, .. }]
    ));
    peer.drain();
}

#[test]
fn cancel_and_early_dialogs_belong_to_the_latest_try() {
    let mut peer = calling(Transport::Udp);
    peer.respond(180, "early", "");
    assert_eq!(peer.endpoint.counts().dialogs, 1);
    let sent = peer.respond(401, "s", WWW);
    assert_eq!(peer.endpoint.counts().dialogs, 0);
    let again = next_try(&sent, "INVITE");
    peer.respond_to(&again, 180, "late", "");
    peer.endpoint.hangup(peer.now, peer.leg, None);
    let cancel = peer.sent().remove(0);
    assert_eq!(field(&cancel, "CSeq"), Some("2 CANCEL"));
    assert_eq!(field(&cancel, "Via"), field(&again, "Via"));
    peer.respond_to(&cancel, 200, "x", "");
    peer.respond_to(&again, 487, "late", "");
    peer.drain();
}

#[test]
fn a_reinvite_is_challenged() {
    let mut peer = calling(Transport::Tcp);
    peer.respond(200, "s", "");
    peer.events();
    peer.endpoint.reinvite(peer.now, peer.leg, SDP);
    let first = peer.sent().remove(0);
    let sent = peer.respond_to(&first, 401, "", WWW);
    let again = next_try(&sent, "INVITE");
    assert_eq!(field(&again, "CSeq"), Some("3 INVITE"));
    let sent = peer.respond_to(&again, 200, "", "");
    assert_eq!(field(&sent[0], "CSeq"), Some("3 ACK"));
    assert!(matches!(
        peer.events()[..],
        [Event::ReinviteAnswered { .. }]
    ));
    peer.endpoint.hangup(peer.now, peer.leg, None);
    peer.drain();
}

/// The far end of a call says where requests go. It must not get the trunk's password for that.
#[test]
fn a_challenge_from_elsewhere_is_never_answered() {
    let elsewhere = "Record-Route: <sip:10.0.0.66;lr>\r\n";
    for (leads, asks, answered) in [
        ("", "10.0.0.2:5060", true),
        ("", "10.0.0.2:5099", true),
        ("", "10.0.0.66:5060", false),
        (elsewhere, "10.0.0.66:5060", false),
        (elsewhere, "10.0.0.2:5060", false),
    ] {
        let mut peer = calling(Transport::Udp);
        let sent = peer.respond(401, "s", WWW);
        let invite = next_try(&sent, "INVITE");
        let ack = peer.respond_to(&invite, 200, "s", leads).remove(0);
        let elsewhere = !leads.is_empty();
        assert_eq!(field(&ack, "Authorization").is_none(), elsewhere, "{ack}");
        peer.events();
        peer.endpoint.reinvite(peer.now, peer.leg, SDP);
        let sent = peer.endpoint.poll_transmit().unwrap();
        let request = String::from_utf8_lossy(&sent.bytes).into_owned();
        let there = match leads.is_empty() {
            true => "10.0.0.2:5062",
            false => "10.0.0.66:5060",
        };
        assert_eq!(sent.flow.remote, there.parse().unwrap());
        assert_eq!(field(&request, "Authorization"), None);
        peer.flow.remote = asks.parse().unwrap();
        let sent = peer.respond_to(&request, 401, "", WWW);
        let again = sent.iter().any(|text| text.contains("Authorization:"));
        assert_eq!(again, answered, "{leads:?} {asks}: {sent:?}");
        let refused = peer.events().iter().any(
            |event| matches!(event, Event::Dropped { rule, .. } if rule.contains("another host")),
        );
        assert_eq!(refused, !answered, "{leads:?} {asks}");
        peer.endpoint.hangup(peer.now, peer.leg, None);
        peer.drain();
    }
    // The same for the INVITE itself.
    let mut peer = calling(Transport::Udp);
    peer.flow.remote = "10.0.0.66:5060".parse().unwrap();
    let sent = peer.respond(401, "s", WWW);
    assert!(sent.iter().all(|text| text.starts_with("ACK")), "{sent:?}");
    peer.drain();
}

/// A call over a connection that went away: BYE asks for a new one to where Contact says.
#[test]
fn a_lost_connection_is_dialled_again() {
    let mut probe = Probe::with(config(1), Transport::Tcp);
    let (leg, tag) = probe.talk(&invite(""));
    let old = probe.flow;
    probe.endpoint.transport_failed(probe.now, old);
    assert!(probe.events().is_empty(), "the call lives on");
    probe.endpoint.reinvite(probe.now, leg, SDP);
    let sent = probe.endpoint.poll_transmit().unwrap();
    let asked = Flow {
        remote: "10.0.0.1:5060".parse().unwrap(),
        connection: 0,
        ..old
    };
    assert_eq!(sent.flow, asked);
    let new = Flow {
        connection: 9,
        ..asked
    };
    probe.endpoint.opened(asked, new);
    probe.flow = new;
    let text = String::from_utf8_lossy(&sent.bytes).into_owned();
    let ok = format!(
        "SIP/2.0 200 OK\r\nVia: {}\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:a@10.0.0.1>\r\nContent-Length: 0\r\n\r\n",
        field(&text, "Via").unwrap(),
        field(&text, "From").unwrap(),
        field(&text, "To").unwrap(),
        field(&text, "Call-ID").unwrap(),
        field(&text, "CSeq").unwrap(),
    );
    probe.endpoint.receive(probe.now, new, ok.as_bytes());
    let ack = probe.endpoint.poll_transmit().unwrap();
    assert!(ack.bytes.starts_with(b"ACK ") && ack.flow == new);
    assert!(matches!(
        probe.events()[..],
        [Event::ReinviteAnswered { .. }]
    ));
    // The peer may as well come back by itself.
    let newer = Flow {
        remote: "10.0.0.1:40000".parse().unwrap(),
        connection: 10,
        ..old
    };
    probe.flow = newer;
    let info = request("INFO", "z9hG4bKi", &format!(";tag={tag}"), 2, "", "");
    probe.tell(&info);
    probe.endpoint.transport_failed(probe.now, newer);
    probe.endpoint.hangup(probe.now, leg, None);
    let bye = probe.endpoint.poll_transmit().unwrap();
    assert!(bye.bytes.starts_with(b"BYE ") && bye.flow.connection == 0);
    // Nobody can be reached: the call is over at once.
    probe.endpoint.transport_failed(probe.now, bye.flow);
    assert!(
        probe
            .events()
            .iter()
            .any(|event| matches!(event, Event::Ended { .. }))
    );
    probe.drain();
}
