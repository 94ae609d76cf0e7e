//! Guessing, replaying and listening at the digest's door: nothing gives away who is a user, and no answer is good twice.
use crate::caller::{Ask, Caller, ask, authorization, status};
use crate::server::{Server, Settings, own_address};

/// A closed server with one phone.
fn office(security: &str) -> Server {
    Server::with(Settings {
        sip_extra: "t1_ms = 10".into(),
        callers: format!(
            "[security]\nrequests_per_second_per_source = 0\nban_after_failures = 0\n{security}\n[[endpoint]]\nuser = \"alice\"\npassword = \"alice secret\"\n"
        ),
        ..Settings::default()
    })
}

/// An answer without what differs between any two: the numbers of the request, tags, nonces, and the name that was asked for.
fn shape(answer: &str, name: &str) -> String {
    let mut shape = String::new();
    for line in answer.replace(name, "NAME").lines() {
        let field = line.split(':').next().unwrap();
        let of_the_request = ["Via", "Call-ID", "CSeq", "From", "To"].contains(&field);
        let line = if of_the_request { field } else { line };
        let mut parts = line.split("nonce=\"");
        shape += parts.next().unwrap();
        for part in parts {
            shape += "nonce=\"\"";
            shape += part.split_once('"').unwrap().1;
        }
        shape += "\n";
    }
    shape
}

#[test]
fn known_and_unknown_users_are_answered_alike() {
    let server = office("");
    let caller = Caller::at(own_address(), server.sip());
    for method in [
        "REGISTER",
        "INVITE",
        "OPTIONS",
        "MESSAGE",
        "SUBSCRIBE",
        "PUBLISH",
        "NOTIFY",
        "REFER",
    ] {
        let shapes = ["alice", "mallo", "demo"].map(|name| {
            let (to, from) = (ask(method, name, "x"), ask(method, "demo", name));
            let mut shapes = Vec::new();
            for ask in [to, from] {
                let answer = caller.asks(&ask);
                assert_eq!(status(&answer), 401, "{method}: {answer}");
                shapes.push(shape(&answer, name));
                let line = authorization(&answer, &ask, name, "a guess");
                let answer = caller.asks(&ask.with(&line));
                assert_eq!(status(&answer), 403, "{method}: {answer}");
                shapes.push(shape(&answer, name));
            }
            shapes
        });
        assert_eq!(shapes[0], shapes[1], "{method}");
        assert_eq!(shapes[0], shapes[2], "{method}");
    }
    server.wait_idle();
}

#[test]
fn an_answer_to_a_challenge_is_good_once() {
    let server = office("nonce_life_s = 5");
    let caller = Caller::at(own_address(), server.sip());
    let options = ask("OPTIONS", "alice", "alice");
    let (line, answer) = caller.asks_as(&options, "alice", "alice secret");
    assert_eq!(status(&answer), 200, "{answer}");
    // The very same nonce count again, from there and from elsewhere, a hundred times.
    let thief = Caller::at(own_address(), server.sip());
    for caller in [&caller, &thief] {
        for _ in 0..50 {
            let answer = caller.asks(&options.with(&line));
            assert_eq!(status(&answer), 401, "{answer}");
            assert!(answer.contains("stale=true"), "{answer}");
        }
    }
    // Another request under the same credentials.
    let other: Ask = ask("OPTIONS", "demo", "alice").with(&line);
    assert!([400, 401, 403].contains(&status(&caller.asks(&other))));
    server.wait_idle();
}

#[test]
fn a_stale_nonce_is_refused_as_stale() {
    let server = office("nonce_life_s = 5");
    let caller = Caller::at(own_address(), server.sip());
    let options = ask("OPTIONS", "alice", "alice");
    let challenge = caller.asks(&options);
    let credentials = trunkline_sip::Credentials::new(
        "alice",
        "alice secret",
        trunkline_sip::Realm::first_seen(),
    );
    let frame = trunkline_sip::Frame::parse(challenge.as_bytes()).unwrap();
    // One nonce, rising counts: good until its life is over, then for ever stale.
    let mut good = 0;
    let refused = loop {
        let (_, value) = credentials
            .answer(&frame, "OPTIONS", "sip:alice@pbx", "cnonce")
            .unwrap();
        let answer = caller.asks(&options.with(&format!("Authorization: {value}")));
        match status(&answer) {
            200 => good += 1,
            _ => break answer,
        }
        std::thread::park_timeout(std::time::Duration::from_millis(100)); // gently; what is waited for is the refusal
    };
    assert!(good > 0);
    assert_eq!(status(&refused), 401, "{refused}");
    assert!(refused.contains("stale=true"), "{refused}");
    server.wait_idle();
}

#[test]
fn a_flood_of_made_up_nonces_costs_nothing_and_bans_nobody() {
    let server = office("");
    let caller = Caller::at(own_address(), server.sip());
    let register = ask("REGISTER", "alice", "alice");
    let before = crate::flood::rss_kib(server.pid());
    for number in 0..5_000 {
        let line = format!(
            "Authorization: Digest username=\"alice\", realm=\"trunkline\", nonce=\"{number:064x}\", uri=\"sip:alice@pbx\", \
             response=\"{number:032x}\", algorithm=MD5, cnonce=\"c\", qop=auth, nc=00000001"
        );
        let answer = caller.asks(&register.with(&line));
        assert_eq!(status(&answer), 401, "{answer}");
    }
    let grown = crate::flood::rss_kib(server.pid()) - before;
    assert!(grown < 8 * 1024, "{grown} KiB for made-up nonces");
    let (_, answer) = caller.asks_as(&ask("OPTIONS", "alice", "alice"), "alice", "alice secret");
    assert_eq!(status(&answer), 200, "{answer}");
    server.wait_idle();
}

#[test]
fn a_billion_contacts_are_refused() {
    let server = office("");
    let caller = Caller::at(own_address(), server.sip());
    let register = ask("REGISTER", "alice", "alice").with("Expires: 60");
    let contacts = |count: usize, name: &str| {
        (0..count)
            .map(|n| format!("<sip:{name}{n}@127.0.0.1>"))
            .collect::<Vec<_>>()
            .join(",")
    };
    for (count, expected) in [(17, 400), (350, 400)] {
        let ask = register.with(&format!("m: {}", contacts(count, "c")));
        let (_, answer) = caller.asks_as(&ask, "alice", "alice secret");
        assert_eq!(status(&answer), expected, "{count} contacts: {answer}");
    }
    // Few at a time, but again and again: no more than max_contacts are ever kept.
    for round in 0..20 {
        let ask = register.with(&format!("m: {}", contacts(3, &format!("r{round}"))));
        let (_, answer) = caller.asks_as(&ask, "alice", "alice secret");
        assert!([200, 403].contains(&status(&answer)), "{answer}");
        assert!(answer.matches("Contact:").count() <= 6, "{answer}");
    }
    let kept = server.metrics().sum("trunkline_phones_registered");
    assert!((1.0..=5.0).contains(&kept), "{kept} contacts are kept");
    let mut off = ask("REGISTER", "alice", "alice").text();
    off = off.replacen("<sip:alice@127.0.0.1:9>", "*", 1).replacen(
        "Max-Forwards",
        "Expires: 0\r\nMax-Forwards",
        1,
    );
    caller.send(&off);
    let challenge = caller.answer(&off);
    let line = authorization(
        &challenge,
        &ask("REGISTER", "alice", "alice"),
        "alice",
        "alice secret",
    );
    let number = crate::wire::number();
    let call = off.split("torture.").nth(1).unwrap()[..7].to_owned();
    let off = off.replace(&call, &format!("{number:07}")).replacen(
        "Max-Forwards",
        &format!("{line}\r\nMax-Forwards"),
        1,
    );
    caller.send(&off);
    let answer = caller.answer(&off);
    assert_eq!(status(&answer), 200, "{answer}");
    server.wait_idle();
}
