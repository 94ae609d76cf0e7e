//! The calling side against made-up answers.

use super::*;

const MS: u64 = 1_000_000;

fn callers() -> Callers {
    Callers::new(Parties {
        target: "sip:room%d@192.0.2.9".into(),
        group: 2,
        local: "192.0.2.1:5060".parse().unwrap(),
        run: 0xbeef,
        law: Law::Mu,
    })
}

fn media() -> SocketAddr {
    "192.0.2.1:4000".parse().unwrap()
}

/// What was sent: methods in order, and the last message.
fn sent(callers: &mut Callers) -> (Vec<String>, Bytes) {
    let out: Vec<Bytes> = callers.take_out().collect();
    let method = |message: &Bytes| {
        let line = String::from_utf8_lossy(message).into_owned();
        line.split(' ').next().unwrap_or_default().to_owned()
    };
    (
        out.iter().map(method).collect(),
        out.last().cloned().unwrap_or_default(),
    )
}

/// The response to a request of ours.
fn respond(request: &[u8], status: u16) -> Bytes {
    let frame = Frame::parse(request).unwrap();
    let response = MessageBuilder::response_to(&frame, status, "Said", Some("far"), None)
        .header("Contact", "<sip:room@192.0.2.9:5099>")
        .header("Record-Route", "<sip:one;lr>, <sip:two;lr>");
    let session = describe("192.0.2.9:6000".parse().unwrap(), Law::Mu);
    match status {
        200 => response
            .body("application/sdp", session.as_bytes())
            .finish(),
        _ => response.finish(),
    }
}

fn hear(callers: &mut Callers, message: &[u8], now: u64) -> Option<Event> {
    callers.receive(&Frame::parse(message).unwrap(), now)
}

/// A call that was placed at 0, and its INVITE.
fn placed() -> (Callers, Bytes) {
    let mut callers = callers();
    callers.place(media(), 0);
    let (methods, invite) = sent(&mut callers);
    assert_eq!(methods, ["INVITE"]);
    (callers, invite)
}

/// As above, and answered after 7 ms.
fn up() -> (Callers, Bytes) {
    let (mut callers, invite) = placed();
    let event = hear(&mut callers, &respond(&invite, 200), 7 * MS);
    assert!(matches!(event, Some(Event::Answered(0, Some(remote))) if remote.audio.port() == 6000));
    assert_eq!(sent(&mut callers).0, ["ACK"]);
    (callers, invite)
}

#[test]
fn a_call_is_answered_acknowledged_and_hung_up() {
    let (mut callers, invite) = up();
    assert_eq!((callers.tally.answered, callers.inviting()), (1, false));
    assert!((callers.tally.set_up.max_ms() - 7.0).abs() < 1e-9);
    // The answer again: our ACK was lost.
    assert_eq!(hear(&mut callers, &respond(&invite, 200), 8 * MS), None);
    assert_eq!(sent(&mut callers).0, ["ACK"]);
    callers.hang_up(0, 1000 * MS);
    let (methods, bye) = sent(&mut callers);
    assert_eq!(methods, ["BYE"]);
    let text = String::from_utf8_lossy(&bye).into_owned();
    assert!(
        text.starts_with("BYE sip:room@192.0.2.9:5099 SIP/2.0\r\n"),
        "{text}"
    );
    assert!(
        text.contains("Route: <sip:two;lr>\r\nRoute: <sip:one;lr>\r\n"),
        "{text}"
    );
    assert!(text.contains("tag=far"), "{text}");
    assert_eq!(
        hear(&mut callers, &respond(&bye, 200), 1003 * MS),
        Some(Event::Ended(0))
    );
    callers.expire(u64::MAX / 2, |event| panic!("{event:?}"));
    assert_eq!((callers.under_way(), callers.tally.retransmissions), (0, 0));
}

#[test]
fn requests_are_repeated_and_given_up() {
    let (mut callers, _) = placed();
    let mut ended = Vec::new();
    for ms in (0..40_000).step_by(10) {
        callers.expire(ms * MS, |event| ended.push(event));
    }
    // 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s (RFC 3261 section 17.1.1.2).
    assert_eq!(sent(&mut callers).0.len(), 6);
    assert_eq!((ended, callers.tally.timeouts), (vec![Event::Ended(0)], 1));
    let (mut callers, invite) = placed();
    assert_eq!(hear(&mut callers, &respond(&invite, 180), 10 * MS), None);
    callers.expire(60_000 * MS, |event| panic!("{event:?}"));
    assert!(sent(&mut callers).0.is_empty());
    callers.expire(91_000 * MS, |_| {});
    assert_eq!(sent(&mut callers).0, ["CANCEL"]);
}

#[test]
fn refusals_are_counted_by_status_and_acknowledged() {
    let (mut callers, invite) = placed();
    assert_eq!(
        hear(&mut callers, &respond(&invite, 503), MS),
        Some(Event::Ended(0))
    );
    let (methods, ack) = sent(&mut callers);
    assert_eq!(methods, ["ACK"]);
    let via = |message: &[u8]| {
        Frame::parse(message)
            .unwrap()
            .header(HeaderId::Via)
            .unwrap()
            .to_vec()
    };
    assert_eq!(via(&ack), via(&invite));
    assert_eq!(hear(&mut callers, &respond(&invite, 503), 2 * MS), None);
    assert_eq!(callers.tally.refused.get(&503), Some(&1));
    assert_eq!(sent(&mut callers).0, ["ACK"]);
}

#[test]
fn a_call_that_is_given_up_is_cancelled_once_it_rings() {
    let (mut callers, invite) = placed();
    callers.hang_up(0, MS);
    assert!(sent(&mut callers).0.is_empty());
    hear(&mut callers, &respond(&invite, 180), 2 * MS);
    assert_eq!(sent(&mut callers).0, ["CANCEL"]);
    assert_eq!(
        hear(&mut callers, &respond(&invite, 487), 3 * MS),
        Some(Event::Ended(0))
    );
    assert!(callers.tally.refused.is_empty());
    // The answer crosses the CANCEL.
    let (mut callers, invite) = placed();
    callers.hang_up(0, MS);
    assert_eq!(hear(&mut callers, &respond(&invite, 200), 2 * MS), None);
    assert_eq!(sent(&mut callers).0, ["ACK", "BYE"]);
}

#[test]
fn the_far_end_may_hang_up_and_others_are_ignored() {
    let (mut callers, _) = up();
    let bye = MessageBuilder::request("BYE", "sip:load@192.0.2.1")
        .header("Via", "SIP/2.0/UDP 192.0.2.9;branch=z9hG4bKx")
        .header("From", "<sip:b@b>;tag=far")
        .header("To", "<sip:a@a>;tag=a")
        .header("Call-ID", "0-beef@load")
        .header("CSeq", "1 BYE")
        .finish();
    let foreign = String::from_utf8_lossy(&bye).replace("0-beef@load", "0-beed@load");
    assert_eq!(hear(&mut callers, foreign.as_bytes(), MS), None);
    assert_eq!(hear(&mut callers, &bye, MS), Some(Event::Ended(0)));
    assert_eq!(hear(&mut callers, &bye, 2 * MS), None);
    assert_eq!(callers.tally.ended_by_far_end, 1);
    assert_eq!(sent(&mut callers).0, ["SIP/2.0", "SIP/2.0"]);
}

#[test]
fn groups_share_a_target() {
    let mut callers = callers();
    (0..4).for_each(|_| callers.place(media(), 0));
    let targets: Vec<String> = callers
        .take_out()
        .map(|invite| {
            String::from_utf8_lossy(Frame::parse(&invite).unwrap().request_uri().unwrap())
                .into_owned()
        })
        .collect();
    assert_eq!(
        targets,
        [
            "sip:room0@192.0.2.9",
            "sip:room0@192.0.2.9",
            "sip:room1@192.0.2.9",
            "sip:room1@192.0.2.9"
        ]
    );
}
