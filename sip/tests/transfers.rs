//! REFER and its NOTIFYs in both roles (RFC 3515, RFC 4488), and INVITE with Replaces (RFC 3891).

#![allow(clippy::unwrap_used)]

mod network;
mod peer;
mod probe;

use network::{Network, SDP};
use peer::Peer;
use probe::{Probe, field, invite, request};
use trunkline_sip::{Event, LegError, ReferId, ReferTo, Transport};

fn to(uri: &str) -> ReferTo {
    ReferTo {
        uri: uri.into(),
        ..ReferTo::default()
    }
}

/// The REFER that arrived.
fn referred(events: &[Event]) -> ReferId {
    match events {
        [Event::Refer { id, .. }] => *id,
        other => panic!("{other:?}"),
    }
}

/// Status and `done` of what the sender was told.
fn told(events: &[Event]) -> Vec<(u16, bool)> {
    let told = |event: &Event| match event {
        Event::ReferProgress { status, done, .. } => (*status, *done),
        other => panic!("{other:?}"),
    };
    events.iter().map(told).collect()
}

#[test]
fn a_blind_transfer_and_its_progress() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut net = Network::new(transport);
        let (caller, callee) = net.talk();
        let refer = ReferTo {
            referred_by: Some("sip:a@10.0.0.1".into()),
            ..to("sip:c@10.0.0.3")
        };
        net.ends[0].endpoint.refer(net.now, caller, refer).unwrap();
        net.run_for(50);
        let events = net.take(1);
        let id = referred(&events);
        let [Event::Refer { request, .. }] = &events[..] else {
            panic!()
        };
        let frame = request.frame();
        assert_eq!(
            frame.header_named("Refer-To"),
            Some(&b"<sip:c@10.0.0.3>"[..])
        );
        assert_eq!(
            frame.header_named("Referred-By"),
            Some(&b"<sip:a@10.0.0.1>"[..])
        );
        net.ends[1].endpoint.accept_refer(net.now, callee, id);
        // Faster than the answer to the first NOTIFY: only the last of them counts.
        for status in [180, 181, 183] {
            net.ends[1]
                .endpoint
                .notify_refer(net.now, callee, id, status, "");
        }
        net.run_for(100);
        assert_eq!(
            told(&net.take(0)),
            [(100, false), (100, false), (183, false)]
        );
        net.ends[1]
            .endpoint
            .notify_refer(net.now, callee, id, 200, "OK");
        net.ends[1]
            .endpoint
            .notify_refer(net.now, callee, id, 486, "too late");
        net.run_for(100);
        assert_eq!(told(&net.take(0)), [(200, true)]);
        assert_eq!(net.sent(1, "NOTIFY"), 3);
        net.ends[0].endpoint.hangup(net.now, caller, None);
        net.drain();
    }
}

#[test]
fn a_refused_and_a_forgotten_refer() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.talk();
    net.ends[0]
        .endpoint
        .refer(net.now, caller, to("sip:c@h"))
        .unwrap();
    net.run_for(50);
    let id = referred(&net.take(1));
    net.ends[1]
        .endpoint
        .reject_refer(net.now, callee, id, 403, "no transfers");
    net.ends[1].endpoint.accept_refer(net.now, callee, id);
    net.run_for(50);
    assert_eq!(told(&net.take(0)), [(403, true)]);
    for _ in 0..4 {
        net.ends[0]
            .endpoint
            .refer(net.now, caller, to("sip:c@h"))
            .unwrap();
    }
    assert_eq!(
        net.ends[0].endpoint.refer(net.now, caller, to("sip:c@h")),
        Err(LegError::AtCapacity)
    );
    net.run_for(40_000);
    assert_eq!(told(&net.take(0)), [(408, true); 4], "nobody answered");
    assert!(
        net.ends[0]
            .endpoint
            .refer(net.now, caller, to("http://h"))
            .is_err()
    );
    assert!(
        net.ends[0]
            .endpoint
            .refer(net.now, caller, to("sip:c@h"))
            .is_ok(),
        "room again"
    );
    net.run_for(50);
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.run_for(1000);
    assert!(
        net.sent(1, "SIP/2.0 481") > 0,
        "the open REFER ends with its call"
    );
    net.drain();
}

#[test]
fn what_a_refer_must_be() {
    for (extra, status) in [
        ("", 400),
        ("Refer-To: <sip:a@h>, <sip:b@h>\r\n", 400),
        ("Refer-To: <http://h>\r\n", 416),
        ("Refer-To: <sip:a@h>\r\nRequire: multiple-refer\r\n", 420),
    ] {
        let mut probe = Probe::new();
        let (_, tag) = probe.talk(&invite(""));
        let refer = request("REFER", "z9hG4bKr", &format!(";tag={tag}"), 2, extra, "");
        let sent = probe.tell(&refer);
        assert!(
            sent[0].starts_with(&format!("SIP/2.0 {status} ")),
            "{}",
            sent[0]
        );
    }
    let mut probe = Probe::new();
    probe.tell(&invite(""));
    let leg = probe.leg();
    let (now, endpoint) = (probe.now, &mut probe.endpoint);
    endpoint.provisional(now, leg, 180, "", None, &[]).unwrap();
    let tag = probe::tag_of(&probe.sent()[0]);
    let refer = request(
        "REFER",
        "z9hG4bKr",
        &format!(";tag={tag}"),
        2,
        "Refer-To: <sip:a@h>\r\n",
        "",
    );
    assert!(
        probe.tell(&refer)[0].starts_with("SIP/2.0 403 "),
        "before the answer"
    );
}

#[test]
fn a_second_refer_is_named_and_a_silent_one_is_not_told() {
    let mut probe = Probe::new();
    let (leg, tag) = probe.talk(&invite(""));
    let tag = format!(";tag={tag}");
    for (cseq, extra, event) in [
        (2, "", Some("refer")),
        (3, "", Some("refer;id=3")),
        (4, "Refer-Sub: false\r\n", None),
    ] {
        let lines = format!("Refer-To: <sip:c@h>\r\n{extra}");
        probe.tell(&request(
            "REFER",
            &format!("z9hG4bKr{cseq}"),
            &tag,
            cseq,
            &lines,
            "",
        ));
        let id = referred(&probe.events());
        probe.endpoint.accept_refer(probe.now, leg, id);
        let sent = probe.sent();
        assert!(sent[0].starts_with("SIP/2.0 202 "), "{sent:?}");
        assert_eq!(field(&sent[0], "Refer-Sub").is_some(), event.is_none());
        assert_eq!(sent.get(1).and_then(|notify| field(notify, "Event")), event);
        probe.endpoint.notify_refer(probe.now, leg, id, 200, "OK");
    }
    probe.endpoint.hangup(probe.now, leg, None);
    probe.drain();
}

#[test]
fn notify_needs_a_subscription() {
    let mut peer = Peer::called(true);
    peer.respond(200, "t", "");
    peer.events();
    let notify = |peer: &mut Peer, cseq: u32, event: &str, state: &str, body: &str| {
        let invite = peer.invite.clone();
        let text = format!(
            "NOTIFY sip:a@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKn{cseq}\r\nFrom: {};tag=t\r\n\
             To: {}\r\nCall-ID: {}\r\nCSeq: {cseq} NOTIFY\r\nContact: <sip:b@10.0.0.2>\r\nEvent: {event}\r\n\
             Subscription-State: {state}\r\nContent-Type: message/sipfrag\r\nContent-Length: {}\r\n\r\n{body}",
            field(&invite, "To").unwrap(),
            field(&invite, "From").unwrap(),
            field(&invite, "Call-ID").unwrap(),
            body.len(),
        );
        peer.endpoint.receive(peer.now, peer.flow, text.as_bytes());
        peer.sent().remove(0)[8..11].to_owned()
    };
    assert_eq!(
        notify(&mut peer, 1, "refer", "active", "SIP/2.0 180 X"),
        "481"
    );
    peer.endpoint
        .refer(peer.now, peer.leg, to("sip:c@h"))
        .unwrap();
    let refer = peer.sent().remove(0);
    let id = field(&refer, "CSeq").unwrap().split(' ').next().unwrap();
    // It may overtake the 202.
    assert_eq!(
        notify(&mut peer, 2, "refer", "active", "SIP/2.0 180 Ringing"),
        "200"
    );
    peer.respond_to(&refer, 202, "", "");
    assert_eq!(notify(&mut peer, 3, "presence", "active", ""), "489");
    assert_eq!(
        notify(&mut peer, 4, "refer;id=77", "active", "SIP/2.0 180 X"),
        "481"
    );
    assert_eq!(notify(&mut peer, 5, "refer", "active", "no status"), "200");
    let event = format!("refer;id={id}");
    assert_eq!(
        notify(
            &mut peer,
            6,
            &event,
            "Terminated;reason=noresource",
            "SIP/2.0 603 Decline"
        ),
        "200"
    );
    assert_eq!(
        notify(&mut peer, 7, &event, "terminated", "SIP/2.0 200 OK"),
        "481"
    );
    let told_now: Vec<_> = peer
        .events()
        .into_iter()
        .filter(|event| matches!(event, Event::ReferProgress { .. }))
        .collect();
    assert_eq!(told(&told_now), [(180, false), (100, false), (603, true)]);
    peer.endpoint.hangup(peer.now, peer.leg, None);
    peer.drain();
}

#[test]
fn an_invite_takes_the_place_of_a_call() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.talk();
    let replaces = net.ends[0].endpoint.replaces_of(caller).unwrap();
    let own = net.ends[1].endpoint.replaces_of(callee).unwrap();
    assert_ne!(replaces, own, "each names it as the other one sees it");
    for (header, status) in [
        (replaces.clone(), 0),
        (format!("{replaces};early-only"), 486),
        (own, 481),
        ("nobody;to-tag=a;from-tag=b".to_owned(), 481),
        ("nobody;to-tag=a".to_owned(), 400),
    ] {
        let (flow, to) = (net.flow(0, 1), "sip:demo@10.0.0.2");
        let invite = trunkline_sip::Invite {
            sdp: Some(SDP.to_vec()),
            headers: vec![("Replaces".into(), header.clone())],
            ..trunkline_sip::Invite::new(flow, to, "sip:a@10.0.0.1", to)
        };
        let leg = net.ends[0].endpoint.invite(net.now, invite).unwrap();
        net.run_for(100);
        let events = net.take(1);
        if status == 0 {
            assert!(
                matches!(events[..], [Event::Invite { replaces: Some(old), .. }] if old == callee),
                "{events:?}"
            );
            net.ends[0].endpoint.hangup(net.now, leg, None);
            net.run_for(1000);
            net.take(1);
            net.take(0);
            continue;
        }
        let events = net.take(0);
        assert!(
            matches!(events[..], [Event::Rejected { status: found, .. }] if found == status),
            "{header}: {events:?}"
        );
    }
    // To a third party it goes as a header of the Refer-To URI.
    let (other, _) = net.talk();
    let refer = ReferTo {
        replaces: Some(other),
        ..to("sip:b@10.0.0.2")
    };
    net.ends[0].endpoint.refer(net.now, caller, refer).unwrap();
    net.run_for(100);
    let events = net.take(1);
    let [Event::Refer { request, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    let value = request.frame().header_named("Refer-To").unwrap().to_vec();
    let value = String::from_utf8(value).unwrap();
    let named = net.ends[0].endpoint.replaces_of(other).unwrap();
    let escaped = named.replace(';', "%3B").replace('=', "%3D");
    assert_eq!(value, format!("<sip:b@10.0.0.2?Replaces={escaped}>"));
    for leg in [caller, other] {
        net.ends[0].endpoint.hangup(net.now, leg, None);
    }
    net.drain();
}

#[test]
fn only_a_ringing_call_of_our_own_is_replaced() {
    // An early dialog that the peer initiated is not.
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.ring(Some(SDP));
    let (now, ringing) = (net.now, &mut net.ends[1].endpoint);
    ringing
        .provisional(now, callee, 180, "", None, &[])
        .unwrap();
    net.run_for(50);
    let theirs = net.ends[0].endpoint.replaces_of(caller).unwrap();
    let ours = net.ends[1].endpoint.replaces_of(callee).unwrap();
    net.take(0);
    for (from, to, header, taken) in [(0, 1, theirs, false), (1, 0, ours, true)] {
        let (flow, uri) = (net.flow(from, to), "sip:x@10.0.0.9");
        let invite = trunkline_sip::Invite {
            headers: vec![("Replaces".into(), header)],
            ..trunkline_sip::Invite::new(flow, uri, uri, uri)
        };
        net.ends[from].endpoint.invite(net.now, invite).unwrap();
        net.run_for(50);
        let events = net.take(to);
        let found = events.iter().any(|event| {
            matches!(
                event,
                Event::Invite {
                    replaces: Some(_),
                    ..
                }
            )
        });
        assert_eq!(found, taken, "{events:?}");
    }
}
