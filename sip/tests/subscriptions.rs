//! Subscriptions of peers (RFC 6665), with made-up time: accepted, told, refreshed, ended by either side, refused and bounded.

#![allow(clippy::unwrap_used)]

mod network;
mod probe;

use probe::{Probe, field, request, tag_of};
use trunkline_sip::{
    Admission, Endpoint, EndpointConfig, Event, Flow, Frame, Gate, HeaderId, Notifies, Origin,
    RequestId, Transport,
};

const EVENT: &str = "Event: message-summary\r\n";

fn config(most: usize) -> EndpointConfig {
    EndpointConfig {
        notifies: Some(Notifies {
            package: "message-summary",
            content_type: "application/simple-message-summary",
            most,
        }),
        ..network::config(1)
    }
}

/// Everybody is who X says.
struct ByName;

impl Gate for ByName {
    fn admit(&mut self, _: std::time::Instant, _: &Flow, request: &Frame<'_>) -> Admission {
        let name = request.header_named("X").unwrap_or_default();
        Admission::Admit(Origin::User(String::from_utf8_lossy(name).into()))
    }
}

fn probe(most: usize) -> Probe {
    let mut probe = Probe::with(config(most), Transport::Udp);
    probe.endpoint = Endpoint::with_gate(config(most), Box::new(ByName));
    probe
}

/// A SUBSCRIBE number `n`, without or within the dialog of a tag.
fn subscribe(n: u32, tag: &str, extra: &str) -> String {
    let to = match tag {
        "" => String::new(),
        tag => format!(";tag={tag}"),
    };
    let branch = format!("z9hG4bK{n}");
    request("SUBSCRIBE", &branch, &to, n, &format!("{EVENT}{extra}"), "")
}

/// Hands it in, and accepts it; what is sent.
fn accepted(probe: &mut Probe, subscribe: &str) -> (RequestId, Vec<String>) {
    assert_eq!(probe.tell(subscribe), [""; 0]);
    let events = probe.events();
    let (id, origin) = match &events[..] {
        [
            Event::Request {
                id,
                leg: None,
                origin,
                ..
            },
        ] => (*id, origin.clone()),
        other => panic!("{other:?}"),
    };
    let body = b"none".to_vec();
    let now = probe.now;
    probe
        .endpoint
        .accept_subscription(now, id, origin, "box".to_owned(), body);
    (id, probe.sent())
}

/// What a subscriber answers to a NOTIFY.
fn answer(probe: &mut Probe, notify: &str, status: u16) -> Vec<String> {
    let line = |name| format!("{name}: {}\r\n", field(notify, name).unwrap());
    let head: String = ["Via", "From", "To", "Call-ID", "CSeq"]
        .into_iter()
        .map(line)
        .collect();
    probe.tell(&format!(
        "SIP/2.0 {status} X\r\n{head}Content-Length: 0\r\n\r\n"
    ))
}

#[track_caller]
fn is_notify(text: &str, state: &str, body: &str) {
    assert!(text.starts_with("NOTIFY sip:a@10.0.0.1:5060 "), "{text}");
    assert_eq!(field(text, "Subscription-State"), Some(state), "{text}");
    assert!(text.ends_with(&format!("\r\n\r\n{body}")), "{text}");
    let kind = "application/simple-message-summary";
    assert_eq!(field(text, "Content-Type"), Some(kind));
}

fn is_over(probe: &mut Probe, why: &str) {
    match &probe.events()[..] {
        [Event::SubscriptionEnded { reason, .. }] => assert_eq!(*reason, why),
        other => panic!("{other:?}"),
    }
    assert_eq!(probe.endpoint.counts().subscriptions, 0);
}

#[test]
fn a_subscriber_is_told_at_once_and_of_each_change() {
    let mut probe = probe(9);
    let (id, sent) = accepted(
        &mut probe,
        &subscribe(1, "", "Expires: 600\r\nRecord-Route: <sip:10.0.0.9;lr>\r\n"),
    );
    let [ok, notify] = &sent[..] else {
        panic!("{sent:?}")
    };
    assert!(ok.starts_with("SIP/2.0 200 OK\r\n"), "{ok}");
    assert_eq!(field(ok, "Expires"), Some("600"));
    assert!(field(ok, "Record-Route").is_some() && field(ok, "Contact").is_some());
    is_notify(notify, "active;expires=600", "none");
    assert_eq!(field(notify, "Event"), Some("message-summary"));
    assert_eq!(field(notify, "Route"), Some("<sip:10.0.0.9;lr>"));
    let from = format!("<sip:demo@10.0.0.2>;tag={}", tag_of(ok));
    assert_eq!(field(notify, "From"), Some(&*from));
    assert_eq!(field(notify, "To"), Some("<sip:a@10.0.0.1>;tag=from"));

    // One NOTIFY at a time; what it says is not told twice, and of what is new meanwhile the latest.
    let now = probe.now;
    for body in ["one", "two"] {
        probe.endpoint.notify(now, id, Some(body.into()));
        assert!(probe.sent().is_empty());
    }
    probe.pass(100);
    let second = answer(&mut probe, notify, 200);
    is_notify(&second[0], "active;expires=600", "two");
    assert_eq!(field(&second[0], "CSeq"), Some("2 NOTIFY"));
    assert!(answer(&mut probe, &second[0], 200).is_empty());
    probe.endpoint.notify(probe.now, id, Some(b"two".to_vec()));
    assert!(probe.sent().is_empty());
    let found = probe.endpoint.subscribers("box");
    assert_eq!((found.len(), found[0].id), (1, id));
    assert_eq!(found[0].contact, "sip:a@10.0.0.1:5060");
    assert!(probe.endpoint.subscribers("another").is_empty());

    // There is nothing to subscribe to any more.
    probe.endpoint.notify(probe.now, id, None);
    let last = probe.sent();
    is_notify(&last[0], "terminated;reason=noresource", "two");
    assert!(probe.endpoint.subscribers("box").is_empty());
    answer(&mut probe, &last[0], 200);
    is_over(&mut probe, "noresource");
    probe.drain();
}

#[test]
fn it_is_refreshed_in_its_dialog_and_ends_on_demand_or_by_time() {
    for unsubscribes in [true, false] {
        let mut probe = probe(9);
        let (_, sent) = accepted(&mut probe, &subscribe(1, "", "Expires: 60\r\nX: ann\r\n"));
        let tag = tag_of(&sent[0]);
        answer(&mut probe, &sent[1], 200);
        probe.pass(50_000);
        let refused = [
            (2, "X: ann\r\nExpires: 59\r\n", "423", Some("60")),
            (2, "X: bob\r\n", "403", None),
            (1, "X: ann\r\n", "500", None),
        ];
        for (n, extra, status, least) in refused {
            let text = subscribe(n, &tag, extra).replace("z9hG4bK", "z9hG4bKagain");
            let sent = probe.tell(&text);
            assert_eq!(&sent[0][8..11], status, "{extra}");
            assert_eq!(field(&sent[0], "Min-Expires"), least);
        }
        probe.events();
        let sent = probe.tell(&subscribe(2, &tag, "X: ann\r\nExpires: 100\r\n"));
        assert_eq!(field(&sent[0], "Expires"), Some("100"));
        is_notify(&sent[1], "active;expires=100", "none");
        answer(&mut probe, &sent[1], 200);
        probe.pass(99_000);
        assert_eq!(probe.sent(), [""; 0]);
        let last = if unsubscribes {
            let sent = probe.tell(&subscribe(3, &tag, "X: ann\r\nExpires: 0\r\n"));
            assert_eq!(field(&sent[0], "Expires"), Some("0"));
            sent[1].clone()
        } else {
            probe.pass(1_000);
            probe.sent().remove(0)
        };
        is_notify(&last, "terminated;reason=timeout", "none");
        let late = probe.tell(&subscribe(4, &tag, "X: ann\r\n"));
        assert!(late[0].starts_with("SIP/2.0 481 "), "{}", late[0]);
        probe.events();
        answer(&mut probe, &last, 200);
        is_over(&mut probe, "timeout");
        probe.drain();
    }
}

#[test]
fn the_state_can_be_fetched_once() {
    let mut probe = probe(9);
    let (_, sent) = accepted(&mut probe, &subscribe(1, "", "Expires: 0\r\n"));
    is_notify(&sent[1], "terminated;reason=timeout", "none");
    answer(&mut probe, &sent[1], 200);
    is_over(&mut probe, "timeout");
}

#[test]
fn a_notify_that_is_refused_or_not_answered_ends_it() {
    for status in [Some(481), Some(603), None] {
        let mut probe = probe(9);
        let (_, sent) = accepted(&mut probe, &subscribe(1, "", ""));
        is_notify(&sent[1], "active;expires=3600", "none");
        match status {
            Some(status) => drop(answer(&mut probe, &sent[1], status)),
            None => probe.pass(33_000),
        }
        is_over(&mut probe, "refused");
        probe.sent();
        probe.drain();
    }
}

#[test]
fn what_cannot_be_subscribed_to_is_refused() {
    let table = [
        (
            "Event: presence\r\n",
            489,
            "Allow-Events",
            "message-summary, refer",
        ),
        ("", 489, "Allow-Events", "message-summary, refer"),
        (
            "Event: message-summary\r\nExpires: 59\r\n",
            423,
            "Min-Expires",
            "60",
        ),
    ];
    for (lines, status, name, value) in table {
        let mut probe = probe(9);
        let sent = probe.tell(&request("SUBSCRIBE", "z9hG4bK1", "", 1, lines, ""));
        assert!(
            sent[0].starts_with(&format!("SIP/2.0 {status} ")),
            "{lines}"
        );
        assert_eq!(field(&sent[0], name), Some(value));
        assert!(matches!(probe.events()[..], [Event::Refused { .. }]));
    }
    // A call has none.
    let mut probe = probe(9);
    let (_, tag) = probe.talk(&probe::invite(""));
    let sent = probe.tell(&subscribe(2, &tag, ""));
    assert!(sent[0].starts_with("SIP/2.0 489 "), "{}", sent[0]);
}

/// The same SUBSCRIBE in another dialog, and maybe of another contact.
fn another(n: u32, who: &str, contact: &str) -> String {
    let text = subscribe(n, "", &format!("X: {who}\r\n"));
    text.replace("call@", &format!("call{n}@"))
        .replace("Contact: <sip:a@", &format!("Contact: <sip:{contact}@"))
}

#[test]
fn subscriptions_are_bounded_and_a_phone_that_forgot_its_own_has_one() {
    let mut probe = probe(20);
    for n in 1..=16 {
        let (_, sent) = accepted(&mut probe, &another(n, "ann", &format!("a{n}")));
        assert!(sent[0].starts_with("SIP/2.0 200 "), "{n}: {}", sent[0]);
        probe.events();
    }
    let full = |probe: &mut Probe, text: &str| {
        let (_, sent) = accepted(probe, text);
        assert!(sent[0].starts_with("SIP/2.0 503 "), "{}", sent[0]);
        assert!(field(&sent[0], "Retry-After").is_some());
        match &probe.events()[..] {
            [Event::Refused { rule, .. }] => *rule,
            other => panic!("{other:?}"),
        }
    };
    let rule = full(&mut probe, &another(17, "ann", "a17"));
    assert_eq!(rule, "subscription limit of one origin reached");
    let (_, sent) = accepted(&mut probe, &another(18, "ann", "a16"));
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{}", sent[0]);
    let ended = probe.events();
    assert!(
        matches!(
            &ended[..],
            [Event::SubscriptionEnded {
                reason: "replaced",
                ..
            }]
        ),
        "{ended:?}"
    );
    for n in 19..=22 {
        accepted(&mut probe, &another(n, "bob", &format!("b{n}")));
        probe.events();
    }
    let rule = full(&mut probe, &another(23, "cid", "c"));
    assert_eq!(rule, "subscription limit reached");
    assert_eq!(probe.endpoint.counts().subscriptions, 20);
    probe.drain();
}

#[test]
fn notifies_go_where_the_phone_sends_from_and_end_with_its_connection() {
    let mut probe = Probe::with(config(9), Transport::Tcp);
    probe.endpoint = Endpoint::with_gate(config(9), Box::new(ByName));
    let text = subscribe(1, "", "").replace("/UDP", "/TCP");
    let elsewhere = text.replace("<sip:a@10.0.0.1:5060>", "<sip:a@192.0.2.1:9>");
    probe
        .endpoint
        .receive(probe.now, probe.flow, elsewhere.as_bytes());
    let id = match &probe.events()[..] {
        [Event::Request { id, .. }] => *id,
        other => panic!("{other:?}"),
    };
    let (now, topic) = (probe.now, "box".to_owned());
    probe
        .endpoint
        .accept_subscription(now, id, Origin::Stranger, topic, Vec::new());
    let notify = std::iter::from_fn(|| probe.endpoint.poll_transmit())
        .last()
        .unwrap();
    assert_eq!(notify.flow, probe.flow);
    let frame = Frame::parse(&notify.bytes).unwrap();
    assert_eq!(frame.request_uri(), Some(&b"sip:a@192.0.2.1:9"[..]));
    assert!(frame.header(HeaderId::Event).is_some());
    probe.endpoint.transport_failed(probe.now, probe.flow);
    is_over(&mut probe, "unreachable");
    probe.drain();
}

#[test]
fn a_subscription_ends_with_the_connection_of_its_latest_refresh() {
    let mut probe = Probe::with(config(9), Transport::Tcp);
    probe.endpoint = Endpoint::with_gate(config(9), Box::new(ByName));
    let first = subscribe(1, "", "X: ann\r\n").replace("/UDP", "/TCP");
    let (_, sent) = accepted(&mut probe, &first);
    let tag = tag_of(&sent[0]);
    answer(&mut probe, &sent[1], 200);
    let old = probe.flow;
    probe.flow.connection += 1;
    let again = subscribe(2, &tag, "X: ann\r\n").replace("/UDP", "/TCP");
    let sent = probe.tell(&again);
    assert!(sent[0].starts_with("SIP/2.0 200 "), "{}", sent[0]);
    answer(&mut probe, &sent[1], 200);
    probe.endpoint.transport_failed(probe.now, old);
    assert!(probe.events().is_empty());
    let found = probe.endpoint.subscribers("box");
    assert_eq!(found[0].flow, probe.flow);
    probe.endpoint.transport_failed(probe.now, probe.flow);
    is_over(&mut probe, "unreachable");
    probe.drain();
}

#[test]
fn what_one_may_have_counts_for_each_topic() {
    let mut probe = probe(99);
    for n in 1..=34 {
        let text = another(n, "ann", &format!("a{n}"));
        assert_eq!(probe.tell(&text), [""; 0]);
        let (id, origin) = match &probe.events()[..] {
            [Event::Request { id, origin, .. }] => (*id, origin.clone()),
            other => panic!("{other:?}"),
        };
        let (now, topic) = (probe.now, format!("box {}", n % 2));
        probe
            .endpoint
            .accept_subscription(now, id, origin, topic, Vec::new());
        let status = if n <= 32 { "200" } else { "503" };
        assert_eq!(&probe.sent()[0][8..11], status, "{n}");
        probe.events();
    }
    assert_eq!(probe.endpoint.subscribers("box 0").len(), 16);
    probe.drain();
}
