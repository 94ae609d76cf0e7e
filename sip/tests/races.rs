//! What goes wrong between two endpoints: lost messages, crossing messages, and peers that fall silent.

#![allow(clippy::unwrap_used)]

mod network;

use network::{Network, SDP};
use std::time::Duration;
use trunkline_sip::{EndCause, Event, LegError, Transport};

#[test]
fn a_cancel_before_the_answer() {
    let mut net = Network::new(Transport::Udp);
    let (caller, _) = net.ring(Some(SDP));
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.run_for(1000);
    let events = net.take(0);
    assert!(
        matches!(
            events[..],
            [Event::Rejected {
                status: 487,
                response: Some(_),
                ..
            }]
        ),
        "{events:?}"
    );
    assert!(matches!(
        net.take(1)[..],
        [Event::Cancelled { reason: None, .. }]
    ));
    net.drain();
}

#[test]
fn a_cancel_waits_for_a_provisional_response() {
    let mut net = Network::new(Transport::Udp);
    net.lose.push(("SIP/2.0 100", 1));
    let caller = net.call(Some(SDP));
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.run_for(200);
    assert_eq!(net.sent(0, "CANCEL"), 0);
    net.run_for(1000);
    assert_eq!(net.sent(0, "CANCEL"), 1);
    assert!(matches!(
        net.take(0)[..],
        [Event::Rejected { status: 487, .. }]
    ));
    net.drain();
}

#[test]
fn a_cancel_that_meets_the_answer_on_its_way() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.ring(Some(SDP));
    net.ends[1].endpoint.answer(net.now, callee, SDP, &[]);
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.run_for(1000);
    // The 2xx wins: ACK, then BYE (RFC 3261 §9.1, §15).
    let sent: Vec<_> = net
        .log
        .iter()
        .filter(|(end, _)| *end == 0)
        .map(|(_, line)| &line[..3])
        .collect();
    assert_eq!(sent, ["INV", "CAN", "ACK", "BYE"]);
    let events = net.take(0);
    assert!(
        matches!(
            events[..],
            [Event::Ended {
                cause: EndCause::ByeSent,
                ..
            }]
        ),
        "{events:?}"
    );
    let events = net.take(1);
    assert!(
        matches!(
            events[..],
            [
                Event::Confirmed { .. },
                Event::Ended {
                    cause: EndCause::ByeReceived,
                    ..
                }
            ]
        ),
        "{events:?}"
    );
    net.drain();
}

#[test]
fn an_answer_after_the_cancel_has_no_effect() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.ring(Some(SDP));
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.run_for(100);
    net.ends[1].endpoint.answer(net.now, callee, SDP, &[]);
    assert_eq!(
        net.ends[1]
            .endpoint
            .provisional(net.now, callee, 180, "", None, &[]),
        Err(LegError::UnknownLeg)
    );
    net.run_for(1000);
    assert_eq!(net.sent(1, "SIP/2.0 200"), 1, "only the one to CANCEL");
    net.drain();
}

#[test]
fn a_2xx_is_repeated_until_its_ack_over_any_transport() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut net = Network::new(transport);
        let (_, callee) = net.ring(Some(SDP));
        net.lose.push(("ACK", 3));
        let start = net.now;
        net.ends[1].endpoint.answer(net.now, callee, SDP, &[]);
        net.run_for(10_000);
        // T1, 2·T1, 4·T1 apart: sent at 0, 500, 1500, 3500 ms.
        assert_eq!(net.sent(1, "SIP/2.0 200"), 4);
        assert_eq!(net.sent(0, "ACK"), 4);
        assert_eq!(net.take(0).len(), 1, "answered once");
        assert!(matches!(net.take(1)[..], [Event::Confirmed { .. }]));
        assert!(net.now - start >= Duration::from_millis(3500));
        net.ends[1].endpoint.hangup(net.now, callee, None);
        net.drain();
    }
}

#[test]
fn without_an_ack_the_call_ends_with_bye() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut net = Network::new(transport);
        let (_, callee) = net.ring(Some(SDP));
        net.lose.push(("ACK", 1000));
        net.ends[1].endpoint.answer(net.now, callee, SDP, &[]);
        net.run_for(31_900);
        assert_eq!(net.sent(1, "BYE"), 0);
        assert!(net.take(1).is_empty());
        net.run_for(1000);
        assert!(matches!(
            net.take(1)[..],
            [Event::Ended {
                cause: EndCause::AckTimeout,
                ..
            }]
        ));
        let events = net.take(0);
        assert!(
            matches!(
                events[..],
                [
                    Event::Answered { .. },
                    Event::Ended {
                        cause: EndCause::ByeReceived,
                        ..
                    }
                ]
            ),
            "{events:?}"
        );
        net.drain();
    }
}

#[test]
fn a_hangup_before_the_ack_waits_for_it() {
    let mut net = Network::new(Transport::Udp);
    let (_, callee) = net.ring(Some(SDP));
    net.lose.push(("ACK", 1));
    net.ends[1].endpoint.answer(net.now, callee, SDP, &[]);
    net.ends[1].endpoint.hangup(net.now, callee, None);
    net.run_for(400);
    assert_eq!(net.sent(1, "BYE"), 0, "RFC 3261 §15: no BYE before the ACK");
    net.run_for(1000);
    assert_eq!(net.sent(1, "BYE"), 1);
    assert!(matches!(
        net.take(1)[..],
        [Event::Ended {
            cause: EndCause::ByeSent,
            ..
        }]
    ));
    net.drain();
}

#[test]
fn both_ends_hang_up_at_once() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.talk();
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.ends[1].endpoint.hangup(net.now, callee, None);
    net.run_for(1000);
    assert!(matches!(net.take(0)[..], [Event::Ended { .. }]));
    assert!(matches!(net.take(1)[..], [Event::Ended { .. }]));
    net.drain();
}

#[test]
fn a_bye_that_meets_a_reinvite() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.talk();
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.ends[1].endpoint.reinvite(net.now, callee, SDP);
    net.run_for(1000);
    assert_eq!(net.sent(0, "SIP/2.0 481"), 1, "{:?}", net.log);
    assert!(
        net.take(0)
            .iter()
            .filter(|event| network::is_last(event))
            .count()
            == 1
    );
    let events = net.take(1);
    assert!(
        matches!(
            events[..],
            [Event::Ended {
                cause: EndCause::ByeReceived,
                ..
            }]
        ),
        "{events:?}"
    );
    net.drain();
}

#[test]
fn a_reinvite_changes_the_session() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let mut net = Network::new(transport);
        let (caller, callee) = net.talk();
        net.ends[0].endpoint.reinvite(net.now, caller, SDP);
        net.run_for(100);
        assert!(matches!(net.take(1)[..], [Event::Reinvite { .. }]));
        net.ends[1].endpoint.answer_reinvite(net.now, callee, SDP);
        net.run_for(100);
        assert!(matches!(net.take(0)[..], [Event::ReinviteAnswered { .. }]));
        assert!(matches!(net.take(1)[..], [Event::Confirmed { .. }]));
        net.ends[1].endpoint.reinvite(net.now, callee, SDP);
        net.run_for(100);
        net.ends[0]
            .endpoint
            .reject_reinvite(net.now, caller, 488, "Not Acceptable Here");
        net.run_for(100);
        assert!(matches!(
            net.take(1)[..],
            [Event::ReinviteRejected { status: 488, .. }]
        ));
        net.ends[0].endpoint.hangup(net.now, caller, None);
        net.drain();
    }
}

#[test]
fn both_ends_reinvite_at_once_and_try_again() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.talk();
    net.ends[0].endpoint.reinvite(net.now, caller, SDP);
    net.ends[1].endpoint.reinvite(net.now, callee, SDP);
    net.run_for(50);
    assert_eq!(
        (net.sent(0, "SIP/2.0 491"), net.sent(1, "SIP/2.0 491")),
        (1, 1)
    );
    // The callee does not own the Call-ID, so it tries within 2 s; the caller not before 2.1 s.
    net.run_for(2000);
    assert!(
        net.take(0)
            .iter()
            .any(|event| matches!(event, Event::Reinvite { .. }))
    );
    assert!(
        !net.take(1)
            .iter()
            .any(|event| matches!(event, Event::Reinvite { .. }))
    );
    net.ends[0].endpoint.answer_reinvite(net.now, caller, SDP);
    net.run_for(3000);
    assert!(
        net.take(1)
            .iter()
            .any(|event| matches!(event, Event::ReinviteAnswered { .. }))
    );
    let events = net.take(0);
    // What the caller wanted to offer is out of date now.
    assert!(
        events
            .iter()
            .any(|event| matches!(event, Event::ReinviteRejected { status: 491, .. })),
        "{events:?}"
    );
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.drain();
}

#[test]
fn a_reinvite_goes_out_again_after_a_refused_one_of_the_peer() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.talk();
    net.ends[0].endpoint.reinvite(net.now, caller, SDP);
    net.ends[1].endpoint.reinvite(net.now, callee, SDP);
    net.run_for(2060);
    net.ends[0]
        .endpoint
        .reject_reinvite(net.now, caller, 488, "");
    net.run_for(3000);
    net.ends[1].endpoint.answer_reinvite(net.now, callee, SDP);
    net.run_for(1000);
    assert!(
        net.take(0)
            .iter()
            .any(|event| matches!(event, Event::ReinviteAnswered { .. }))
    );
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.drain();
}

#[test]
fn a_reinvite_nobody_answers_ends_the_call() {
    let mut net = Network::new(Transport::Udp);
    let (caller, _) = net.talk();
    net.lose.push(("SIP/2.0 100", 1000));
    net.lose.push(("SIP/2.0 500", 1000));
    net.ends[0].endpoint.reinvite(net.now, caller, SDP);
    net.run_for(40_000);
    // What the peer still repeats finds nobody.
    let events = net.take(0);
    assert!(
        matches!(
            events[..],
            [
                Event::Ended {
                    cause: EndCause::RequestTimeout,
                    ..
                },
                ..
            ]
        ),
        "{events:?}"
    );
    assert!(
        events[1..]
            .iter()
            .all(|event| matches!(event, Event::Dropped { .. })),
        "{events:?}"
    );
    net.drain();
    let events = net.take(1);
    assert_eq!(
        events
            .iter()
            .filter(|event| network::is_last(event))
            .count(),
        1
    );
}

#[test]
fn a_reinvite_that_is_only_ever_tried_ends_the_call() {
    let mut net = Network::new(Transport::Udp);
    let (caller, _) = net.talk();
    net.lose.push(("SIP/2.0 500", 1000));
    net.lose.push(("BYE", 1000));
    net.ends[0].endpoint.reinvite(net.now, caller, SDP);
    net.run_for(170_000);
    assert!(net.take(0).is_empty());
    net.run_for(20_000);
    let events = net.take(0);
    assert!(
        matches!(
            events[..],
            [Event::Ended {
                cause: EndCause::RequestTimeout,
                ..
            }]
        ),
        "{events:?}"
    );
}

#[test]
fn a_late_offer() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.ring(None);
    net.ends[1]
        .endpoint
        .answer(net.now, callee, b"v=0 offer", &[]);
    net.run_for(600);
    assert_eq!(net.sent(0, "ACK"), 0, "the answer is the application's");
    let events = net.take(0);
    assert!(
        matches!(&events[..], [Event::Answered { response, .. }] if response.frame().body() == b"v=0 offer")
    );
    net.ends[0]
        .endpoint
        .ack(net.now, caller, Some(b"v=0 answer"));
    net.run_for(100);
    let events = net.take(1);
    assert!(
        matches!(&events[..], [Event::Confirmed { ack, .. }] if ack.frame().body() == b"v=0 answer")
    );
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.drain();
}

#[test]
fn a_late_offer_the_application_never_answers() {
    let mut net = Network::new(Transport::Udp);
    let (_, callee) = net.ring(None);
    net.ends[1].endpoint.answer(net.now, callee, SDP, &[]);
    net.drain();
    // The callee's time for an ACK runs out first by the delay of the network.
    assert!(matches!(
        net.take(0)[..],
        [
            Event::Answered { .. },
            Event::Ended {
                cause: EndCause::ByeReceived,
                ..
            }
        ]
    ));
    assert!(matches!(
        net.take(1)[..],
        [Event::Ended {
            cause: EndCause::AckTimeout,
            ..
        }]
    ));
}

#[test]
fn nobody_there() {
    let mut net = Network::new(Transport::Udp);
    net.lose.push(("INVITE", 1000));
    net.call(Some(SDP));
    net.run_for(33_000);
    assert_eq!(net.sent(0, "INVITE"), 7, "RFC 3261 §17.1.1.2");
    assert!(matches!(
        net.take(0)[..],
        [Event::Rejected {
            status: 408,
            response: None,
            ..
        }]
    ));
    net.drain();
}

#[test]
fn an_application_that_never_answers() {
    let mut net = Network::new(Transport::Udp);
    net.ring(Some(SDP));
    net.run_for(200_000);
    // Both limits are 180 s; the caller's runs out first and its CANCEL meets the 480.
    assert_eq!(
        net.take(1)
            .iter()
            .filter(|event| network::is_last(event))
            .count(),
        1
    );
    let events = net.take(0);
    assert!(
        matches!(events[..], [Event::Rejected { status: 408, .. }]),
        "{events:?}"
    );
    net.drain();
}

#[test]
fn a_cancel_nobody_answers() {
    let mut net = Network::new(Transport::Udp);
    let (caller, _) = net.ring(Some(SDP));
    net.lose.push(("CANCEL", 1000));
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.run_for(40_000);
    assert!(matches!(
        net.take(0)[..],
        [Event::Rejected {
            status: 487,
            response: None,
            ..
        }]
    ));
    net.drain();
}

#[test]
fn a_connection_that_breaks() {
    let mut net = Network::new(Transport::Tcp);
    net.ring(Some(SDP));
    let (there, back) = (net.flow(0, 1), net.flow(1, 0));
    net.ends[0].endpoint.transport_failed(net.now, there);
    net.ends[1].endpoint.transport_failed(net.now, back);
    assert!(matches!(
        net.take(0)[..],
        [Event::Rejected {
            status: 503,
            response: None,
            ..
        }]
    ));
    assert!(matches!(
        net.take(1)[..],
        [Event::Ended {
            cause: EndCause::TransportFailed,
            ..
        }]
    ));
    net.drain();
}

#[test]
fn a_bye_over_a_broken_connection_still_ends_the_leg() {
    let mut net = Network::new(Transport::Tcp);
    let (caller, callee) = net.talk();
    net.lose.push(("BYE", 1000));
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.collect();
    let there = net.flow(0, 1);
    net.ends[0].endpoint.transport_failed(net.now, there);
    assert!(matches!(
        net.take(0)[..],
        [Event::Ended {
            cause: EndCause::ByeSent,
            ..
        }]
    ));
    net.ends[1].endpoint.hangup(net.now, callee, None);
    net.drain();
}

#[test]
fn info_both_ways() {
    let mut net = Network::new(Transport::Udp);
    let (caller, callee) = net.talk();
    net.ends[0].endpoint.info(
        net.now,
        caller,
        "application/dtmf-relay",
        b"Signal=5\r\nDuration=160\r\n",
    );
    net.run_for(100);
    let events = net.take(1);
    let [Event::Info { leg, id, request }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(
        (*leg, request.frame().body()),
        (callee, &b"Signal=5\r\nDuration=160\r\n"[..])
    );
    net.ends[1].endpoint.respond_info(net.now, callee, *id, 200);
    net.run_for(100);
    assert_eq!(net.sent(1, "SIP/2.0 200"), 2);
    // One the application leaves unanswered is refused when the call ends.
    net.ends[0]
        .endpoint
        .info(net.now, caller, "text/plain", b"x");
    net.run_for(100);
    net.ends[1].endpoint.hangup(net.now, callee, None);
    net.drain();
    assert_eq!(net.sent(1, "SIP/2.0 481"), 1);
}

#[test]
fn draining_refuses_new_calls_and_keeps_old_ones() {
    let mut net = Network::new(Transport::Udp);
    let (caller, _) = net.talk();
    net.ends[1]
        .endpoint
        .set_draining(Some(Duration::from_millis(1500)));
    net.call(Some(SDP));
    net.run_for(100);
    let events = net.take(0);
    let [
        Event::Rejected {
            status: 503,
            response: Some(response),
            ..
        },
    ] = &events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        response.frame().header_named("Retry-After"),
        Some(&b"2"[..])
    );
    assert_eq!(net.ends[1].endpoint.counts().legs, 1);
    net.ends[0].endpoint.hangup(net.now, caller, None);
    net.run_for(100);
    assert!(net.take(1).iter().any(network::is_last));
    net.drain();
}
