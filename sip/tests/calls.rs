//! Whole calls between two endpoints over an undisturbed network, with made-up time.

#![allow(clippy::unwrap_used)]

mod network;

use network::{Network, SDP};
use trunkline_sip::{EndCause, Event, HangupReason, Transport};

#[test]
fn a_call_from_invite_to_bye() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut net = Network::new(transport);
        let (caller, callee) = net.ring(Some(SDP));
        net.ends[1]
            .endpoint
            .provisional(net.now, callee, 180, "Ringing", None, &[])
            .unwrap();
        net.run_for(1000);
        let events = net.take_all(0);
        assert!(
            matches!(&events[..], [Event::Trying { leg: tried }, Event::Progress { leg, response, .. }]
            if (*tried, *leg) == (caller, caller) && response.frame().status() == Some(180)),
            "{events:?}"
        );
        net.ends[1].endpoint.answer(net.now, callee, SDP, &[]);
        net.run_for(1000);
        assert!(
            matches!(&net.take(0)[..], [Event::Answered { leg, response, .. }]
            if *leg == caller && response.frame().body() == SDP)
        );
        assert!(matches!(net.take(1)[..], [Event::Confirmed { leg, .. }] if leg == callee));
        net.ends[0].endpoint.hangup(net.now, caller, None);
        net.run_for(1000);
        assert!(matches!(
            net.take(0)[..],
            [Event::Ended {
                cause: EndCause::ByeSent,
                ..
            }]
        ));
        assert!(matches!(
            net.take(1)[..],
            [Event::Ended {
                cause: EndCause::ByeReceived,
                message: Some(_),
                ..
            }]
        ));
        let lines: Vec<_> = net
            .log
            .iter()
            .map(|(_, line)| line.split(" sip:").next().unwrap())
            .collect();
        let expected = [
            "INVITE",
            "SIP/2.0 100 Trying",
            "SIP/2.0 180 Ringing",
            "SIP/2.0 200 OK",
            "ACK",
            "BYE",
            "SIP/2.0 200 OK",
        ];
        assert_eq!(lines, expected);
        net.drain();
    }
}

#[test]
fn the_callee_hangs_up_with_a_reason() {
    let mut net = Network::new(Transport::Udp);
    let (_, callee) = net.talk();
    let reason = HangupReason {
        protocol: "Q.850".into(),
        cause: 16,
        text: "Normal \"clearing\"".into(),
    };
    net.ends[1].endpoint.hangup(net.now, callee, Some(reason));
    net.run_for(100);
    let events = net.take(0);
    let [
        Event::Ended {
            cause: EndCause::ByeReceived,
            message: Some(bye),
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    let reason = bye
        .frame()
        .header_named("Reason")
        .map(|value| String::from_utf8_lossy(value).into_owned());
    assert_eq!(
        reason.as_deref(),
        Some(r#"Q.850;cause=16;text="Normal \"clearing\"""#)
    );
    net.drain();
}

#[test]
fn a_refused_call() {
    let mut net = Network::new(Transport::Udp);
    let (_, callee) = net.ring(Some(SDP));
    net.ends[1].endpoint.reject(
        net.now,
        callee,
        486,
        "Busy Here",
        &[("X-Why", "tests".into())],
    );
    net.run_for(100);
    let events = net.take(0);
    let [
        Event::Rejected {
            status: 486,
            response: Some(response),
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    let frame = response.frame();
    assert_eq!(
        frame.header_named("Reason"),
        Some(&b"SIP;cause=486;text=\"Busy Here\""[..])
    );
    assert_eq!(frame.header_named("X-Why"), Some(&b"tests"[..]));
    assert!(matches!(
        net.take(1)[..],
        [Event::Ended {
            cause: EndCause::RejectSent,
            ..
        }]
    ));
    assert_eq!(net.sent(0, "ACK"), 1);
    net.drain();
}
