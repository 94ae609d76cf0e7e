//! Who is served: the gate is asked once for each request outside a dialog, before anything is remembered.

#![allow(clippy::unwrap_used)]

mod network;
mod probe;

use network::config;
use probe::{Probe, invite, request};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use trunkline_sip::{
    Admission, Algorithm, Counts, Credentials, DigestServer, Endpoint, Event, Flow, Frame, Gate,
    Message, Origin, Realm, Secret, Verdict,
};

/// Answers what it is told, and remembers the methods it was asked about.
struct Scripted {
    answer: Admission,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Gate for Scripted {
    fn admit(&mut self, _: Instant, _: &Flow, request: &Frame<'_>) -> Admission {
        let method = request.method().unwrap().to_string();
        self.asked.lock().unwrap().push(method);
        self.answer.clone()
    }
}

fn gated(answer: Admission) -> (Probe, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::default();
    let gate = Scripted {
        answer,
        asked: Arc::clone(&asked),
    };
    let mut probe = Probe::new();
    probe.endpoint = Endpoint::with_gate(config(1), Box::new(gate));
    (probe, asked)
}

const METHODS: [&str; 9] = [
    "INVITE",
    "REGISTER",
    "MESSAGE",
    "REFER",
    "SUBSCRIBE",
    "PUBLISH",
    "NOTIFY",
    "OPTIONS",
    "JUMP",
];

#[test]
fn a_refusal_is_stateless_and_carries_its_headers() {
    let refuse = Admission::Refuse {
        status: 401,
        rule: "no credentials",
        headers: vec![
            ("WWW-Authenticate", "Digest one".into()),
            ("WWW-Authenticate", "Digest two".into()),
        ],
    };
    let (mut probe, asked) = gated(refuse);
    for method in METHODS {
        let sent = probe.tell(&request(method, "z9hG4bK1", "", 1, "", ""));
        assert_eq!(sent.len(), 1, "{method}");
        assert!(
            sent[0].starts_with("SIP/2.0 401 Unauthorized\r\n"),
            "{}",
            sent[0]
        );
        assert_eq!(sent[0].matches("WWW-Authenticate: Digest").count(), 2);
        assert!(matches!(
            &probe.events()[..],
            [Event::Refused {
                status: 401,
                rule: "no credentials",
                ..
            }]
        ));
        assert_eq!(probe.endpoint.counts(), Counts::default());
    }
    assert_eq!(*asked.lock().unwrap(), METHODS);
    probe.drain();
}

#[test]
fn what_is_dropped_gets_no_answer() {
    let (mut probe, _) = gated(Admission::Drop { rule: "stranger" });
    for method in METHODS {
        assert!(
            probe
                .tell(&request(method, "z9hG4bK1", "", 1, "", ""))
                .is_empty()
        );
        assert!(matches!(
            &probe.events()[..],
            [Event::Dropped {
                rule: "stranger",
                ..
            }]
        ));
    }
    assert_eq!(probe.endpoint.counts(), Counts::default());
}

#[test]
fn the_origin_comes_with_the_call_and_nobody_is_asked_within_it() {
    let user = Origin::User("alice".into());
    let (mut probe, asked) = gated(Admission::Admit(user.clone()));
    assert!(probe.tell(&invite("")).is_empty());
    assert!(probe.tell(&invite("")).is_empty(), "a retransmission");
    let events = probe.events();
    let [Event::Invite { leg, origin, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(origin, &user);
    probe.endpoint.reject(probe.now, *leg, 486, "busy", &[]);
    probe.sent();
    probe.tell(&request("ACK", "z9hG4bK1", ";tag=x", 1, "", ""));
    probe.tell(&request("CANCEL", "z9hG4bK1", "", 1, "", ""));
    probe.tell(&request("BYE", "z9hG4bK2", ";tag=unknown", 2, "", ""));
    assert_eq!(*asked.lock().unwrap(), ["INVITE"]);
}

#[test]
fn a_merged_request_is_told_so_before_its_credentials_are_used_up() {
    let (mut probe, asked) = gated(Admission::Admit(Origin::Stranger));
    assert!(probe.tell(&invite("")).is_empty());
    let again = invite("").replace("z9hG4bK1", "z9hG4bK-other-path");
    assert!(probe.tell(&again)[0].starts_with("SIP/2.0 482 "));
    assert_eq!(asked.lock().unwrap().len(), 1);
}

/// A registrar's gate in small.
struct Digest(DigestServer);

impl Gate for Digest {
    fn admit(&mut self, now: Instant, _: &Flow, request: &Frame<'_>) -> Admission {
        let lookup =
            |user: &[u8]| (user == b"alice").then(|| Secret::new("alice", "example.com", "secret"));
        let stale = match self.0.verify(now, request, lookup) {
            Verdict::Authenticated(user) => return Admission::Admit(Origin::User(user.into())),
            verdict => matches!(verdict, Verdict::Stale | Verdict::Replayed),
        };
        Admission::Refuse {
            status: 401,
            rule: "credentials are demanded",
            headers: self.0.challenge(now, stale),
        }
    }
}

#[test]
fn a_challenged_caller_gets_through_with_the_right_password_only() {
    for (password, admitted) in [("secret", true), ("guess", false)] {
        let server = DigestServer::new(
            [3; 32],
            "example.com",
            &[Algorithm::Md5],
            std::time::Duration::from_secs(60),
        );
        let mut probe = Probe::new();
        probe.endpoint = Endpoint::with_gate(config(1), Box::new(Digest(server)));
        let challenge = probe.tell(&invite("")).remove(0);
        probe.events();
        let credentials = Credentials::new("alice", password, Realm::first_seen());
        let challenge = Message::parse(challenge.into_bytes().into()).unwrap();
        let (_, answer) = credentials
            .answer(&challenge.frame(), "INVITE", "sip:demo@10.0.0.2", "c")
            .unwrap();
        let second = request(
            "INVITE",
            "z9hG4bK2",
            "",
            2,
            &format!("Authorization: {answer}\r\n"),
            "v=0\r\n",
        );
        let refused = probe.tell(&second);
        assert_eq!(refused.is_empty(), admitted, "{refused:?}");
        let events = probe.events();
        match &events[..] {
            [
                Event::Invite {
                    origin: Origin::User(user),
                    ..
                },
            ] if admitted => assert_eq!(&**user, "alice"),
            [Event::Refused { status: 401, .. }] if !admitted => {}
            other => panic!("{other:?}"),
        }
    }
}
