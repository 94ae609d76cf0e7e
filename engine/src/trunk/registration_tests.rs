//! The timetable of a registration with made-up time.
use super::*;
use bytes::Bytes;

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn response(status: u16, headers: &str) -> Message {
    let text = format!("SIP/2.0 {status} Some Reason\r\n{headers}Content-Length: 0\r\n\r\n");
    Message::parse(Bytes::from(text)).expect("a good response")
}

fn learn(timetable: &mut Timetable, now: Instant, status: u16, headers: &str) -> Meaning {
    let response = response(status, headers);
    let answer = Answer {
        status,
        response: Some(&response),
        refused: None,
    };
    timetable.learn(now, &answer, "acct", 0)
}

/// For how long, and when it is refreshed.
fn held(meaning: Meaning, now: Instant) -> (u64, u64) {
    match meaning {
        Meaning::Held {
            until, refresh_at, ..
        } => ((until - now).as_secs(), (refresh_at - now).as_secs()),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_granted_expiry_counts() {
    let now = Instant::now();
    for (headers, until, refresh) in [
        ("Contact: <sip:acct@192.0.2.9>;expires=100\r\n", 100, 80),
        ("Contact: <sip:acct@192.0.2.9>;expires=3600\r\n", 3600, 2880),
        (
            "Contact: <sip:acct@192.0.2.9>;expires=86400\r\n",
            86_400,
            3600,
        ),
        // Others' bindings say nothing about ours; of several of ours the first to go counts.
        (
            "Contact: <sip:b@h>;expires=9, <sip:acct@h>;expires=60, <sip:acct@i>;expires=50\r\n",
            50,
            40,
        ),
        ("Contact: <sip:acct@h>\r\nExpires: 200\r\n", 200, 160),
        (
            "Contact: <sip:acct@h>;expires=x\r\nExpires: y\r\n",
            300,
            240,
        ),
        ("", 300, 240),
    ] {
        let mut timetable = Timetable::new(seconds(300));
        let meaning = learn(&mut timetable, now, 200, headers);
        assert_eq!(held(meaning, now), (until, refresh), "{headers}");
    }
    let mut timetable = Timetable::new(seconds(300));
    let gone = learn(&mut timetable, now, 200, "Expires: 0\r\n");
    assert!(matches!(gone, Meaning::Refused(_)), "{gone:?}");
}

#[test]
fn refreshes_are_spread_by_lot() {
    let now = Instant::now();
    let response = response(200, "");
    let answer = Answer {
        status: 200,
        response: Some(&response),
        refused: None,
    };
    let mut timetable = Timetable::new(seconds(300));
    let latest = timetable.learn(now, &answer, "acct", u32::MAX);
    assert_eq!(held(latest, now), (300, 269));
}

#[test]
fn too_brief_is_answered_with_what_the_registrar_wants_and_only_once() {
    let now = Instant::now();
    let mut timetable = Timetable::new(seconds(300));
    let brief = "Min-Expires: 600\r\n";
    assert_eq!(learn(&mut timetable, now, 423, brief), Meaning::AskLonger);
    assert_eq!(timetable.expires(), 600);
    let again = learn(&mut timetable, now, 423, "Min-Expires: 900\r\n");
    assert!(matches!(again, Meaning::Refused(text) if text.contains("register_expires_s")));
    held(learn(&mut timetable, now, 200, ""), now);
    let later = learn(&mut timetable, now, 423, "Min-Expires: 900\r\n");
    assert_eq!(
        later,
        Meaning::AskLonger,
        "after a success it may ask for more"
    );
    for nonsense in [
        "",
        "Min-Expires: 900\r\n",
        "Min-Expires: 0\r\n",
        "Min-Expires: x\r\n",
        "Min-Expires: 4294967295\r\n",
    ] {
        let mut timetable = Timetable::new(seconds(1000));
        let meaning = learn(&mut timetable, now, 423, nonsense);
        assert!(matches!(meaning, Meaning::Refused(_)), "{nonsense}");
        assert_eq!(timetable.expires(), 1000);
    }
}

#[test]
fn a_server_that_ails_is_no_refusal() {
    for (status, headers) in [(408, ""), (500, ""), (503, "Retry-After: 9\r\n"), (504, "")] {
        let mut timetable = Timetable::new(seconds(300));
        let meaning = learn(&mut timetable, Instant::now(), status, headers);
        let expected = Meaning::Elsewhere(format!("{status} Some Reason"));
        assert_eq!(meaning, expected);
    }
}

#[test]
fn failures_wait_longer_each_time_and_a_success_forgets_them() {
    let mut timetable = Timetable::new(seconds(300));
    let mut waits = |refused, lot| -> Vec<u64> {
        (0..9)
            .map(|_| timetable.wait(refused, lot).as_secs())
            .collect()
    };
    assert_eq!(waits(false, 0), [5, 10, 20, 40, 80, 160, 320, 640, 900]);
    held(
        learn(&mut timetable, Instant::now(), 200, ""),
        Instant::now(),
    );
    assert_eq!(
        timetable.wait(false, u32::MAX).as_secs(),
        9,
        "half of it by lot"
    );
    let mut timetable = Timetable::new(seconds(300));
    assert_eq!(
        timetable.wait(true, 0),
        seconds(60),
        "insisting gets one banned"
    );
    for _ in 0..100 {
        assert!(timetable.wait(false, u32::MAX) <= RETRY_MOST);
    }
}

#[test]
fn a_registrar_that_asks_for_patience_gets_it() {
    let now = Instant::now();
    let mut timetable = Timetable::new(seconds(300));
    let meaning = learn(&mut timetable, now, 503, "Retry-After: 77\r\n");
    assert!(matches!(meaning, Meaning::Elsewhere(_)));
    assert_eq!(timetable.wait(false, 0), seconds(77));
    assert_eq!(timetable.wait(false, 0), seconds(10), "once");
    learn(&mut timetable, now, 500, "Retry-After: 999999999\r\n");
    assert_eq!(timetable.wait(false, 0), RETRY_MOST);
}

#[test]
fn refusals_say_what_to_change() {
    let now = Instant::now();
    for (status, word) in [
        (401, "password"),
        (403, "password"),
        (404, "from_domain"),
        (301, "redirects"),
        (600, "600 Some Reason"),
    ] {
        let mut timetable = Timetable::new(seconds(300));
        match learn(&mut timetable, now, status, "") {
            Meaning::Refused(text) => assert!(text.contains(word), "{text}"),
            other => panic!("{other:?}"),
        }
    }
    let rogue = ChallengeRefused::Realm("rogue".to_owned());
    let challenge = response(401, "");
    let answer = Answer {
        status: 401,
        response: Some(&challenge),
        refused: Some(&rogue),
    };
    match Timetable::new(seconds(300)).learn(now, &answer, "acct", 0) {
        Meaning::Refused(text) => assert!(text.contains("realm"), "{text}"),
        other => panic!("{other:?}"),
    }
    for (status, response) in [(408, None), (503, None)] {
        let answer = Answer {
            status,
            response,
            refused: None,
        };
        let meaning = Timetable::new(seconds(300)).learn(now, &answer, "acct", 0);
        assert!(matches!(meaning, Meaning::Elsewhere(_)));
    }
}

#[test]
fn a_service_route_is_kept_in_order_and_only_what_is_good_of_it() {
    let now = Instant::now();
    let mut timetable = Timetable::new(seconds(300));
    let headers = "Service-Route: <sip:a;lr>, <sip:strict>\r\nService-Route: \"N, N\" <sip:b:5070;lr;x=1>;y, nonsense\r\n";
    match learn(&mut timetable, now, 200, headers) {
        Meaning::Held { service_route, .. } => {
            assert_eq!(
                service_route,
                ["<sip:a;lr>", "\"N, N\" <sip:b:5070;lr;x=1>;y"]
            );
        }
        other => panic!("{other:?}"),
    }
    let many = "Service-Route: <sip:a;lr>\r\n".repeat(50);
    match learn(&mut timetable, now, 200, &many) {
        Meaning::Held { service_route, .. } => assert_eq!(service_route.len(), MAX_SERVICE_ROUTE),
        other => panic!("{other:?}"),
    }
}
