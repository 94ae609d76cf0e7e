use super::*;
use crate::header::HeaderId;
use crate::message::Message;
use bytes::Bytes;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

fn message(text: String) -> Message {
    Message::parse(Bytes::from(text)).unwrap()
}

/// A 401 with these challenges.
fn refusal(challenges: &[impl AsRef<str>]) -> Message {
    let lines: String = challenges
        .iter()
        .map(|value| format!("WWW-Authenticate: {}\r\n", value.as_ref()))
        .collect();
    message(format!("SIP/2.0 401 Unauthorized\r\n{lines}\r\n"))
}

/// A REGISTER with these credentials.
fn register(credentials: &str) -> Message {
    request("REGISTER", "sip:example.com", credentials)
}

fn request(method: &str, uri: &str, credentials: &str) -> Message {
    message(format!(
        "{method} {uri} SIP/2.0\r\nAuthorization: {credentials}\r\n\r\n"
    ))
}

fn parameter(value: &str, name: &str) -> Option<String> {
    let fields = fields::Fields::parse(value.as_bytes()).unwrap().unwrap();
    fields
        .value(name)
        .map(|value| String::from_utf8(value.into_owned()).unwrap())
}

fn server(algorithms: &[Algorithm]) -> DigestServer {
    DigestServer::new([7; 32], "example.com", algorithms, MINUTE)
}

fn lookup(user: &[u8]) -> Option<Secret> {
    (user == b"alice").then(|| Secret::new("alice", "example.com", "secret"))
}

fn alice(password: &str) -> Credentials {
    Credentials::new("alice", password, Realm::Exactly("example.com".into()))
}

/// The Authorization value of `credentials` for the server's challenge.
fn answered(
    server: &mut DigestServer,
    now: Instant,
    credentials: &Credentials,
    method: &str,
    uri: &str,
) -> String {
    let challenges: Vec<_> = server
        .challenge(now, false)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    let (header, value) = credentials
        .answer(&refusal(&challenges).frame(), method, uri, "0a4f113b")
        .unwrap();
    assert_eq!(header, HeaderId::Authorization);
    value
}

// RFC 7616 §3.9.1, both algorithms, and the strongest is taken.
#[test]
fn the_examples_of_rfc_7616() {
    let challenge = |algorithm: &str| {
        format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    };
    let (md5, sha256) = (
        "8ca523f5e9506fed4657c9700eebdbec",
        "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
    );
    for (offered, response) in [
        (vec!["MD5"], md5),
        (vec!["SHA-256"], sha256),
        (vec!["MD5", "SHA-256"], sha256),
        (vec!["SHA-256", "MD5"], sha256),
        (vec!["SHA-512-256", "MD5"], md5),
    ] {
        let challenges: Vec<_> = offered.iter().map(|name| challenge(name)).collect();
        let mufasa = Credentials::new("Mufasa", "Circle of Life", Realm::first_seen());
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let (_, value) = mufasa
            .answer(
                &refusal(&challenges).frame(),
                "GET",
                "/dir/index.html",
                cnonce,
            )
            .unwrap();
        assert_eq!(
            parameter(&value, "response").as_deref(),
            Some(response),
            "{offered:?}"
        );
        assert_eq!(parameter(&value, "nc").as_deref(), Some("00000001"));
        assert_eq!(
            parameter(&value, "opaque").as_deref(),
            Some("FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS")
        );
    }
}

// RFC 2617 §3.5; without an algorithm parameter it is MD5.
#[test]
fn the_example_of_rfc_2617() {
    let challenge = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                     nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let mufasa = Credentials::new("Mufasa", "Circle Of Life", Realm::first_seen());
    let (_, value) = mufasa
        .answer(
            &refusal(&[challenge]).frame(),
            "GET",
            "/dir/index.html",
            "0a4f113b",
        )
        .unwrap();
    assert_eq!(
        parameter(&value, "response").as_deref(),
        Some("6629fae49393a05397450978507c4ef1")
    );
}

// RFC 3261 §22.4 item 8: no qop asked for, none written. The value is that of RFC 2069 with its erratum 749.
#[test]
fn a_challenge_without_qop() {
    let challenge = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", \
                     opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let mufasa = Credentials::new("Mufasa", "CircleOfLife", Realm::first_seen());
    let (_, value) = mufasa
        .answer(
            &refusal(&[challenge]).frame(),
            "GET",
            "/dir/index.html",
            "0a4f113b",
        )
        .unwrap();
    assert_eq!(
        parameter(&value, "response").as_deref(),
        Some("1949323746fe6a43ef61f9606e7febea")
    );
    assert_eq!(
        (parameter(&value, "qop"), parameter(&value, "nc")),
        (None, None)
    );
}

#[test]
fn challenges_that_get_no_answer() {
    let ours = Credentials::new("u", "p", Realm::Exactly("a\"b".into()));
    let cases: [(&[&str], ChallengeRefused); 8] = [
        (&[], ChallengeRefused::None),
        (&["Basic realm=\"a\""], ChallengeRefused::None),
        (
            &["Digest realm=\"evil\", nonce=\"1\", qop=\"auth\""],
            ChallengeRefused::Realm("evil".into()),
        ),
        (
            &["Digest realm=\"a\\\"b\", nonce=\"1\", qop=\"auth-int\""],
            ChallengeRefused::Qop,
        ),
        (
            &["Digest realm=\"a\\\"b\", nonce=\"1\", qop=\"auth\", algorithm=MD5-sess"],
            ChallengeRefused::Algorithm("MD5-sess".into()),
        ),
        (
            &["Digest realm=\"a\\\"b\", qop=\"auth\""],
            ChallengeRefused::Malformed("nonce is missing"),
        ),
        (
            &["Digest nonce=\"1\""],
            ChallengeRefused::Malformed("realm is missing"),
        ),
        (
            &["Digest realm=\"a\", realm=\"b\", nonce=\"1\""],
            ChallengeRefused::Malformed("a digest parameter stands twice"),
        ),
    ];
    for (challenges, why) in cases {
        let got = ours.answer(&refusal(challenges).frame(), "REGISTER", "sip:x", "c");
        assert_eq!(got, Err(why), "{challenges:?}");
    }
    let good = "Digest realm=\"a\\\"b\", nonce=\"n\\\\1\", qop=\"auth\"";
    let (_, value) = ours
        .answer(&refusal(&[good]).frame(), "REGISTER", "sip:x", "c")
        .unwrap();
    assert!(
        value.contains(r#"realm="a\"b""#) && value.contains(r#"nonce="n\\1""#),
        "{value}"
    );
}

#[test]
fn the_first_realm_that_was_answered_is_the_only_one() {
    let learning = Credentials::new("u", "p", Realm::first_seen());
    let ask = |realm: &str| {
        let challenge = format!("Digest realm=\"{realm}\", nonce=\"1\", qop=\"auth\"");
        learning.answer(&refusal(&[challenge]).frame(), "REGISTER", "sip:x", "c")
    };
    assert!(ask("carrier").is_ok());
    assert_eq!(ask("other"), Err(ChallengeRefused::Realm("other".into())));
    let nc = |answer: (HeaderId, String)| parameter(&answer.1, "nc");
    assert_eq!(nc(ask("carrier").unwrap()).as_deref(), Some("00000002"));
}

#[test]
fn a_407_is_answered_with_proxy_authorization() {
    let text = "SIP/2.0 407 Proxy Authentication Required\r\n\
                WWW-Authenticate: Digest realm=\"x\", nonce=\"2\"\r\n\
                Proxy-Authenticate: Digest realm=\"example.com\", nonce=\"1\", qop=\"auth\"\r\n\r\n";
    let (header, _) = alice("secret")
        .answer(
            &message(text.into()).frame(),
            "INVITE",
            "sip:bob@example.com",
            "c",
        )
        .unwrap();
    assert_eq!(header, HeaderId::ProxyAuthorization);
}

#[test]
fn both_sides_agree() {
    let now = Instant::now();
    for algorithms in [&[Algorithm::Md5][..], &[Algorithm::Sha256], &[]] {
        let mut server = server(algorithms);
        let good = answered(
            &mut server,
            now,
            &alice("secret"),
            "REGISTER",
            "sip:example.com",
        );
        assert_eq!(
            server.verify(now, &register(&good).frame(), lookup),
            Verdict::Authenticated("alice".into())
        );
        let wrong = answered(
            &mut server,
            now,
            &alice("guess"),
            "REGISTER",
            "sip:example.com",
        );
        assert_eq!(
            server.verify(now, &register(&wrong).frame(), lookup),
            Verdict::Wrong {
                user: "alice".into(),
                known: true
            }
        );
        let stranger = Credentials::new("mallory", "", Realm::first_seen());
        let unknown = answered(&mut server, now, &stranger, "REGISTER", "sip:example.com");
        assert_eq!(
            server.verify(now, &register(&unknown).frame(), lookup),
            Verdict::Wrong {
                user: "mallory".into(),
                known: false
            }
        );
    }
}

#[test]
fn every_part_of_the_answer_is_signed() {
    let now = Instant::now();
    let mut server = server(&[]);
    let credentials = alice("secret");
    let good = answered(
        &mut server,
        now,
        &credentials,
        "REGISTER",
        "sip:example.com",
    );
    for (from, to) in [
        ("nc=00000001", "nc=00000002"),
        ("0a4f113b", "0a4f113c"),
        ("SHA-256", "MD5"),
    ] {
        assert!(good.contains(from), "{good}");
        let changed = good.replace(from, to);
        let verdict = server.verify(now, &register(&changed).frame(), lookup);
        assert!(
            matches!(verdict, Verdict::Wrong { .. }),
            "{changed}: {verdict:?}"
        );
    }
    let other_method = request("INVITE", "sip:example.com", &good);
    assert!(matches!(
        server.verify(now, &other_method.frame(), lookup),
        Verdict::Wrong { .. }
    ));
    let other_target = request("REGISTER", "sip:+1900@example.com", &good);
    assert_eq!(
        server.verify(now, &other_target.frame(), lookup),
        Verdict::Malformed("uri is not the Request-URI")
    );
    // Nothing of this was remembered, and the true one is still good; also for a Request-URI with parameters.
    assert_eq!(server.nonces.remembered(), 0);
    let same_target = request("REGISTER", "sip:EXAMPLE.com:5060;transport=tcp", &good);
    assert!(matches!(
        server.verify(now, &same_target.frame(), lookup),
        Verdict::Authenticated(_)
    ));
}

#[test]
fn what_was_used_once_is_refused_the_second_time() {
    let now = Instant::now();
    let mut server = server(&[Algorithm::Md5]);
    let credentials = alice("secret");
    let challenge: Vec<_> = server
        .challenge(now, false)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    let challenge = refusal(&challenge);
    let uses: Vec<String> = (0..100)
        .map(|_| {
            credentials
                .answer(&challenge.frame(), "REGISTER", "sip:example.com", "c")
                .unwrap()
                .1
        })
        .collect();
    let mut judge = |at: usize| server.verify(now, &register(&uses[at]).frame(), lookup);
    for at in [0, 2, 1, 99, 60] {
        assert_eq!(judge(at), Verdict::Authenticated("alice".into()), "{at}");
        assert_eq!(judge(at), Verdict::Replayed, "{at}");
    }
    assert_eq!(judge(30), Verdict::Replayed, "too far behind to know");
    assert_eq!(server.nonces.remembered(), 1);
}

#[test]
fn nonces_grow_old_and_cannot_be_made_up() {
    let now = Instant::now();
    let mut server = server(&[Algorithm::Md5]);
    let credentials = alice("secret");
    let good = answered(
        &mut server,
        now,
        &credentials,
        "REGISTER",
        "sip:example.com",
    );
    let late = now + MINUTE + Duration::from_millis(1);
    assert_eq!(
        server.verify(late, &register(&good).frame(), lookup),
        Verdict::Stale
    );
    assert!(matches!(
        server.verify(now + MINUTE, &register(&good).frame(), lookup),
        Verdict::Authenticated(_)
    ));

    let nonce = parameter(&good, "nonce").unwrap();
    for forged in [
        nonce.replace('0', "1"),
        "00".repeat(32),
        String::new(),
        nonce[..62].to_owned(),
    ] {
        let forged = good.replace(&nonce, &forged);
        assert_eq!(
            server.verify(now, &register(&forged).frame(), lookup),
            Verdict::Stale
        );
    }
    let mut restarted = DigestServer::new([8; 32], "example.com", &[], MINUTE);
    let _ = restarted.challenge(now, false);
    assert_eq!(
        restarted.verify(
            now,
            &register(&good.replace("MD5", "SHA-256")).frame(),
            lookup
        ),
        Verdict::Stale
    );
    let (_, value) = &server.challenge(now, true)[0];
    assert!(value.ends_with("stale=true"), "{value}");
}

#[test]
fn credentials_that_cannot_be_read() {
    let now = Instant::now();
    let mut server = server(&[]);
    let good = answered(
        &mut server,
        now,
        &alice("secret"),
        "REGISTER",
        "sip:example.com",
    );
    for (from, to, rule) in [
        ("qop=auth, ", "", "qop is missing; auth is demanded"),
        ("qop=auth", "qop=auth-int", "qop is not auth"),
        ("nc=00000001", "nc=1", "nc is not eight hexadecimal digits"),
        (
            "nc=00000001",
            "nc=+0000001",
            "nc is not eight hexadecimal digits",
        ),
        (
            "algorithm=SHA-256",
            "algorithm=SHA-256-sess",
            "algorithm was not offered",
        ),
        ("username=\"alice\", ", "", "username is missing"),
        (
            "uri=\"sip:example.com\"",
            "uri=\"sip:example.org\"",
            "uri is not the Request-URI",
        ),
        ("nc=", "nc=x y z", "a digest parameter is not name=value"),
    ] {
        assert!(good.contains(from), "{good}");
        let changed = good.replace(from, to);
        let verdict = server.verify(now, &register(&changed).frame(), lookup);
        assert_eq!(verdict, Verdict::Malformed(rule), "{changed}");
    }
    for none in [
        "Basic YTpi",
        &good.replace("realm=\"example.com\"", "realm=\"other\""),
    ] {
        assert_eq!(
            server.verify(now, &register(none).frame(), lookup),
            Verdict::NoCredentials
        );
    }
}

#[test]
fn secrets_are_not_printed() {
    let shown = format!(
        "{:?} {:?}",
        alice("hush-hush"),
        Secret::new("alice", "example.com", "hush-hush")
    );
    assert!(
        shown.contains("alice") && !shown.contains("hush"),
        "{shown}"
    );
    let ha1 = Algorithm::Md5.hash(&[b"alice", b"example.com", b"hush-hush"]);
    assert!(!shown.contains(ha1.as_str()));
}

#[test]
fn used_nonces_are_bounded_and_those_forgotten_are_stale() {
    let now = Instant::now();
    let mut nonces = nonce::Nonces::new([1; 32], MINUTE);
    let all: Vec<String> = (0..20_000).map(|_| nonces.make(now)).collect();
    for nonce in &all {
        let fresh = nonces.recognise(now, nonce.as_bytes()).unwrap();
        assert!(nonces.take(now, fresh, 1));
    }
    assert_eq!(nonces.remembered(), 16_384);
    assert_eq!(
        nonces.recognise(now, all[0].as_bytes()),
        None,
        "forgotten, so it must not come back"
    );
    let last = nonces.recognise(now, all[19_999].as_bytes()).unwrap();
    assert!(!nonces.take(now, last, 1));
    let later = now + MINUTE * 2;
    let new = nonces.make(later);
    let new = nonces.recognise(later, new.as_bytes()).unwrap();
    assert!(nonces.take(later, new, 1));
    assert_eq!(nonces.remembered(), 1);
}
