//! What Trunkline answers to requests that are not a plain call.
use crate::phone::{Abilities, Phone};
use crate::server::{Server, Settings};

/// A server that needs no program, for requests that reach none.
fn without_numbers() -> Server {
    Server::with(Settings {
        numbers: Vec::new(),
        ..Settings::default()
    })
}

fn unchanged(text: String) -> String {
    text
}

#[test]
fn options_are_answered() {
    let server = without_numbers();
    let answer = Phone::new().request(server.sip(), "OPTIONS", "demo", "", unchanged);
    assert_eq!(answer.status(), 200);
    let allow = answer.header("Allow").expect("Allow");
    for method in ["INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "INFO"] {
        assert!(allow.contains(method), "{method} is missing in {allow}");
    }
    server.wait_idle();
}

#[test]
fn an_unknown_user_is_not_found() {
    let server = without_numbers();
    let refusal = Phone::new()
        .try_call(&server, "nobody")
        .err()
        .expect("refused");
    assert_eq!(refusal.status(), 404, "{}", refusal.start);
    assert!(
        refusal.header("Reason").is_some(),
        "every refusal has a Reason header: {refusal:?}"
    );
    server.wait_idle();
}

#[test]
fn unsupported_codecs_are_not_acceptable() {
    let server = Server::start();
    let phone = Phone::with(Abilities {
        payloads: vec![18, 4],
        telephone_event: false,
    });
    let refusal = phone.try_call(&server, "demo").err().expect("refused");
    assert_eq!(refusal.status(), 488, "{}", refusal.start);
    assert!(
        refusal.header("Warning").is_some(),
        "a 488 says why: {refusal:?}"
    );
    server.wait_idle();
}

/// What is odd, the method, the change to an ordinary request, the status it must get.
type Case = (&'static str, &'static str, fn(String) -> String, u16);

#[test]
fn odd_requests_get_the_status_of_the_rfc() {
    let server = without_numbers();
    let phone = Phone::new();
    let cases: [Case; 6] = [
        ("an unknown method", "FROBNICATE", unchanged, 501),
        (
            "BYE outside a dialog",
            "BYE",
            |text| text.replacen("\r\nCall-ID", ";tag=unknown\r\nCall-ID", 1),
            481,
        ),
        (
            "an unsupported extension",
            "OPTIONS",
            |text| text.replacen("Contact:", "Require: teleportation\r\nContact:", 1),
            420,
        ),
        (
            "an unknown body type",
            "INVITE",
            |text| {
                text.replacen("Contact:", "Content-Type: text/plain\r\nContact:", 1)
                    .replacen("Content-Length: 0", "Content-Length: 2", 1)
                    + "hi"
            },
            415,
        ),
        (
            "no hops left",
            "INVITE",
            |text| text.replacen("Max-Forwards: 70", "Max-Forwards: 0", 1),
            483,
        ),
        (
            "a CSeq of another method",
            "OPTIONS",
            |text| text.replacen("CSeq: 1 OPTIONS", "CSeq: 1 INVITE", 1),
            400,
        ),
    ];
    for (what, method, edit, status) in cases {
        let answer = phone.request(server.sip(), method, "demo", "", edit);
        assert_eq!(answer.status(), status, "{what}: {}", answer.start);
    }
    server.wait_idle();
}

#[test]
fn rubbish_is_survived() {
    let server = without_numbers();
    let phone = Phone::new();
    for rubbish in [
        "",
        "\r\n\r\n",
        "hello",
        "INVITE\r\n\r\n",
        "SIP/2.0 200 OK\r\n\r\n",
        &"x".repeat(60_000),
    ] {
        phone.send(server.sip(), rubbish);
    }
    assert_eq!(
        phone
            .request(server.sip(), "OPTIONS", "demo", "", unchanged)
            .status(),
        200
    );
    server.wait_idle();
}

#[test]
fn a_retransmitted_invite_is_one_call() {
    let server = Server::start();
    let phone = Phone::new();
    let invite = phone.invite_text(server.sip(), "demo");
    for _ in 0..5 {
        phone.send(server.sip(), &invite);
    }
    phone.wait("200", |message| message.status() == 200);
    assert_eq!(server.metrics().sum("trunkline_calls_active"), 1.0);
    // No ACK ever comes: after 64 * T1 Trunkline gives the call up with BYE (RFC 3261 13.3.1.4).
    phone.wait("BYE", |message| message.method() == "BYE");
    server.wait_idle();
    assert_eq!(
        server
            .metrics()
            .labelled("trunkline_calls_total", "inbound"),
        1.0
    );
}

#[test]
fn a_cancel_after_the_answer_changes_nothing() {
    let server = Server::start();
    let phone = Phone::new();
    let invite = phone.invite_text(server.sip(), "demo");
    phone.send(server.sip(), &invite);
    phone.wait("200", |message| {
        message.status() == 200 && message.header("CSeq") == Some("1 INVITE")
    });
    let (head, _) = invite.split_once("\r\n\r\n").expect("end of headers");
    let cancel: String = head
        .lines()
        .filter(|line| !line.starts_with("Content-"))
        .map(|line| line.replace("INVITE", "CANCEL") + "\r\n")
        .collect();
    phone.send(server.sip(), &(cancel + "Content-Length: 0\r\n\r\n"));
    // RFC 3261 9.2: the CANCEL is answered, and has no effect on a request with a final response.
    let answer = phone.wait("an answer to CANCEL", |message| {
        message.header("CSeq") == Some("1 CANCEL")
    });
    assert_eq!(answer.status(), 200);
    assert_eq!(server.metrics().sum("trunkline_calls_active"), 1.0);
    phone.wait("BYE", |message| message.method() == "BYE");
    server.wait_idle();
}

/// What a stranger gets who may call `demo` and nothing else.
#[test]
fn strangers_reach_what_is_open_to_them() {
    let server = Server::with(Settings {
        callers: "[[number]]\nto = \"open\"\nfrom = [\"anyone\"]\nflow = \"builtin:demo\"\n".into(),
        ..Settings::default()
    });
    let phone = Phone::new();
    phone.call(&server, "open").hang_up();
    // `demo` is there, but only for trunks and endpoints.
    for number in ["demo", "nobody"] {
        let refusal = Phone::new()
            .try_call(&server, number)
            .err()
            .expect("refused");
        assert_eq!(refusal.status(), 404, "{number}: {}", refusal.start);
    }
    server.wait_idle();
}

#[test]
fn a_closed_server_refuses_strangers_shortly_and_all_alike() {
    let server = Server::with(Settings {
        callers: String::new(),
        ..Settings::default()
    });
    for number in ["demo", "nobody"] {
        let refusal = Phone::new()
            .try_call(&server, number)
            .err()
            .expect("refused");
        assert_eq!(refusal.status(), 403, "{number}: {}", refusal.start);
    }
    for method in ["OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE"] {
        let answer = Phone::new().request(server.sip(), method, "demo", "", unchanged);
        assert_eq!(answer.status(), 403, "{method}: {}", answer.start);
    }
    server.wait_idle();
}
