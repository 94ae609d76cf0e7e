//! Registration at a carrier: digest, 423, Service-Route, a rogue's challenge, lost connections, reload and stop.
use crate::PATIENCE;
use crate::carrier::{Carrier, Request, reply, response};
use crate::rig::{Rig, config};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use trunkline_sip::Frame;
use trunkline_sip::digest::{Algorithm, DigestServer, Secret, Verdict};

const ROUTE: &str = "<sip:edge.carrier.example;lr>";

/// A registrar for the user `acct` with the password `opensesame`.
struct Registrar {
    digest: DigestServer,
    /// Bindings shorter than this get 423.
    least_s: u32,
    service_route: &'static str,
    /// Whether the next good nonce is called stale.
    stale: bool,
}

impl Registrar {
    fn new(realm: &str) -> Registrar {
        let algorithms = [Algorithm::Sha256, Algorithm::Md5];
        Registrar {
            digest: DigestServer::new([3; 32], realm, &algorithms, Duration::from_secs(60)),
            least_s: 0,
            service_route: ROUTE,
            stale: false,
        }
    }

    fn answer(&mut self, request: &Request) -> Option<String> {
        match request.method.as_str() {
            "ACK" => None,
            "REGISTER" => self.register(request),
            "INVITE" => reply(486, &[]),
            _ => reply(200, &[]),
        }
    }

    fn register(&mut self, request: &Request) -> Option<String> {
        let now = Instant::now();
        let frame = Frame::parse(request.text.as_bytes()).unwrap();
        let realm = self.digest.realm().to_owned();
        let lookup =
            |user: &[u8]| (user == b"acct").then(|| Secret::new("acct", &realm, "opensesame"));
        let verdict = self.digest.verify(now, &frame, lookup);
        if !matches!(verdict, Verdict::Authenticated(_)) || std::mem::take(&mut self.stale) {
            let stale = matches!(verdict, Verdict::Authenticated(_));
            let challenge = self.digest.challenge(now, stale);
            let headers: Vec<_> = challenge
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            return reply(401, &headers);
        }
        let asked = request.header("Expires").unwrap().parse::<u32>().unwrap();
        if asked != 0 && asked < self.least_s {
            return reply(423, &[("Min-Expires", &self.least_s.to_string())]);
        }
        let contact = format!("{};expires={asked}", bare_contact(request));
        reply(
            200,
            &[("Contact", &contact), ("Service-Route", self.service_route)],
        )
    }
}

/// The Contact without its parameters.
fn bare_contact(request: &Request) -> &str {
    let contact = request.header("Contact").unwrap();
    &contact[..=contact.find('>').unwrap()]
}

fn lines(carrier: &Carrier, more: &str) -> String {
    format!(
        "target = \"sip:{}\"\nusername = \"acct\"\npassword = \"opensesame\"\nauth_realm = \"carrier.example\"\nregister = true\noptions_interval_s = 0\n{more}",
        carrier.address
    )
}

async fn registrar(mut registrar: Registrar) -> Carrier {
    Carrier::start(move |request| registrar.answer(request)).await
}

fn registered(status: &trunkline::trunk::TrunkStatus) -> bool {
    status
        .registration
        .as_ref()
        .is_some_and(|it| it.valid_for.is_some())
}

#[tokio::test]
async fn registers_with_digest_and_calls_take_the_service_route() {
    let mut carrier = registrar(Registrar {
        least_s: 600,
        ..Registrar::new("carrier.example")
    })
    .await;
    let rig = Rig::start(&config(&lines(&carrier, ""))).await;
    assert_eq!(rig.dial("1").err(), Some("trunk-not-registered"));
    let status = rig.until(registered).await;
    assert!(status.registration.unwrap().valid_for > Some(Duration::from_secs(500)));
    let peer = rig.learned.trunk_at(carrier.address.ip());
    assert_eq!(
        peer.as_deref(),
        Some("carrier"),
        "the gate knows where it calls from"
    );
    // Bare, challenged, too brief, long enough.
    let first = carrier.next("REGISTER").await;
    assert_eq!(first.header("Authorization"), None);
    assert!(
        first
            .header("Contact")
            .unwrap()
            .starts_with("<sip:acct@127.0.0.1:")
    );
    let mut last = first.clone();
    while last.header("Expires") != Some("600") || last.digest("response").is_none() {
        last = carrier.next("REGISTER").await;
    }
    assert_eq!(last.digest("algorithm").as_deref(), Some("SHA-256"));
    // RFC 3261 §10.2.4: one Call-ID, rising CSeq.
    assert_eq!(last.header("Call-ID"), first.header("Call-ID"));
    let number = |request: &Request| {
        request
            .header("CSeq")
            .unwrap()
            .split(' ')
            .next()
            .unwrap()
            .parse::<u32>()
            .unwrap()
    };
    assert!(number(&last) > number(&first));
    let mut call = rig.dial("+4930").unwrap();
    assert_eq!(rig.call(&mut call).await, 486);
    let invite = carrier.next("INVITE").await;
    assert_eq!(invite.header("Route"), Some(ROUTE));
    assert!(
        invite
            .header("Contact")
            .unwrap()
            .starts_with("<sip:acct@127.0.0.1:")
    );
}

#[tokio::test]
async fn a_stale_nonce_is_answered_anew_and_a_refresh_may_bring_another_route() {
    let mut carrier = registrar(Registrar::new("carrier.example")).await;
    // Refreshed before that.
    let mut settings = config(&lines(&carrier, ""));
    settings.trunks[0].register.as_mut().unwrap().expires = Duration::from_secs(2);
    let rig = Rig::start(&settings).await;
    rig.until(registered).await;
    let mut changed = Registrar {
        stale: true,
        service_route: "<sip:other.carrier.example;lr>",
        ..Registrar::new("carrier.example")
    };
    carrier.behave(move |request| changed.answer(request));
    carrier.so_far();
    let refresh = carrier.next("REGISTER").await;
    let again = carrier.next("REGISTER").await;
    assert_ne!(refresh.digest("nonce"), again.digest("nonce"));
    // The answer is on its way when the request has been seen.
    let mut changes = rig.trunks.changes();
    let found = async {
        loop {
            changes.borrow_and_update();
            let leg = rig.dial("1").ok().and_then(|mut call| call.next_leg());
            if leg.is_some_and(|leg| leg.routes == ["<sip:other.carrier.example;lr>"]) {
                return;
            }
            changes.changed().await.unwrap();
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap();
}

#[tokio::test]
async fn a_rogue_realm_gets_nothing() {
    let mut carrier = registrar(Registrar::new("rogue.example")).await;
    let rig = Rig::start(&config(&lines(&carrier, ""))).await;
    let refused = |status: &trunkline::trunk::TrunkStatus| status.registrations_failed > 0;
    let status = rig.until(refused).await;
    let detail = status.registration.unwrap().detail;
    assert!(detail.contains("401"), "{detail}");
    let sent = carrier.so_far();
    assert!(!sent.is_empty());
    for request in sent {
        assert!(!request.text.contains("uthorization"), "{}", request.text);
    }
}

#[tokio::test]
async fn a_rogue_challenge_to_a_call_gets_nothing_either() {
    let mut carrier = registrar(Registrar::new("carrier.example")).await;
    let rig = Rig::start(&config(&lines(&carrier, ""))).await;
    rig.until(registered).await;
    carrier.behave(|request| match request.method.as_str() {
        "INVITE" => reply(
            407,
            &[(
                "Proxy-Authenticate",
                "Digest realm=\"rogue.example\", nonce=\"n\", qop=\"auth\"",
            )],
        ),
        _ => None,
    });
    let mut call = rig.dial("1").unwrap();
    assert_eq!(rig.call(&mut call).await, 407);
    carrier.next("INVITE").await;
    let sent = carrier.so_far();
    assert!(
        sent.iter()
            .all(|request| !request.text.contains("uthorization"))
    );
}

#[tokio::test]
async fn a_call_answers_the_challenge_of_its_own_realm() {
    let mut carrier = registrar(Registrar::new("carrier.example")).await;
    let rig = Rig::start(&config(&lines(&carrier, ""))).await;
    rig.until(registered).await;
    carrier.behave(
        |request| match (request.method.as_str(), request.digest("response")) {
            ("INVITE", None) => reply(
                407,
                &[(
                    "Proxy-Authenticate",
                    "Digest realm=\"carrier.example\", nonce=\"n\", qop=\"auth\"",
                )],
            ),
            ("INVITE", Some(_)) => reply(486, &[]),
            _ => None,
        },
    );
    let mut call = rig.dial("1").unwrap();
    assert_eq!(rig.call(&mut call).await, 486);
    let first = carrier.next("INVITE").await;
    assert_eq!(first.digest("response"), None);
}

#[tokio::test]
async fn a_wrong_password_is_not_tried_again_and_again() {
    let mut carrier = registrar(Registrar::new("carrier.example")).await;
    let text = lines(&carrier, "").replace("opensesame", "letmein");
    let rig = Rig::start(&config(&text)).await;
    let status = rig.until(|status| status.registrations_failed == 1).await;
    let detail = status.registration.unwrap().detail;
    assert!(detail.contains("password"), "{detail}");
    assert!(!detail.contains("letmein"), "{detail}");
    let sent = carrier.so_far();
    let with_answer = sent
        .iter()
        .filter(|request| request.digest("response").is_some());
    assert!(with_answer.count() <= 2, "{sent:#?}");
}

#[tokio::test]
async fn a_second_registrar_address_takes_over() {
    let silent = Carrier::start(|_| None).await;
    let carrier = registrar(Registrar::new("carrier.example")).await;
    let text = lines(&silent, "").replace(
        "target =",
        &format!(
            "targets = [\"sip:{}\", \"sip:{}\"]\n#",
            silent.address, carrier.address
        ),
    );
    let rig = Rig::start(&config(&text)).await;
    let status = rig.until(registered).await;
    let detail = status.registration.unwrap().detail;
    assert!(detail.contains(&carrier.address.to_string()), "{detail}");
}

#[tokio::test]
async fn stopping_takes_the_registration_back() {
    let mut carrier = registrar(Registrar::new("carrier.example")).await;
    let rig = Rig::start(&config(&lines(&carrier, ""))).await;
    rig.until(registered).await;
    carrier.so_far();
    rig.trunks.stop().await;
    let last = carrier.so_far().pop().unwrap();
    assert_eq!(
        (last.method.as_str(), last.header("Expires")),
        ("REGISTER", Some("0"))
    );
    assert!(rig.trunks.status().is_empty());
    // A reload while the last calls end must not register again.
    rig.trunks.apply(&config(&lines(&carrier, "")));
    assert!(rig.trunks.status().is_empty());
}

#[tokio::test]
async fn an_address_of_before_a_reload_is_not_believed_any_more() {
    let carrier = registrar(Registrar::new("carrier.example")).await;
    let rig = Rig::start(&config(&lines(&carrier, ""))).await;
    rig.until(registered).await;
    let before = carrier.address.ip();
    assert!(rig.learned.trunk_at(before).is_some());
    let gone =
        "target = \"sip:nowhere.invalid\"\nusername = \"acct\"\npassword = \"p\"\nregister = true";
    rig.trunks.apply(&config(gone));
    assert_eq!(rig.learned.trunk_at(before), None);
}

#[tokio::test]
async fn a_reload_registers_anew_only_what_changed() {
    let mut carrier = registrar(Registrar::new("carrier.example")).await;
    let before = config(&lines(&carrier, ""));
    let rig = Rig::start(&before).await;
    rig.until(registered).await;
    carrier.so_far();
    let held = rig.dial("1").unwrap();
    rig.trunks
        .apply(&config(&format!("\n\n{}", lines(&carrier, ""))));
    assert!(
        registered(&rig.status()),
        "only its place in the file changed"
    );
    rig.trunks.apply(&config(&lines(
        &carrier,
        "max_calls = 1\nregister_expires_s = 900",
    )));
    assert!(registered(&rig.status()), "without a gap");
    assert_eq!(
        rig.dial("1").err(),
        Some("trunk-max-calls"),
        "the call of before counts"
    );
    let anew = carrier.next("REGISTER").await;
    assert_eq!(
        anew.header("Expires"),
        Some("900"),
        "not taken back, and nothing sent before"
    );
    drop(held);
    assert!(rig.dial("1").is_ok());
    rig.trunks.apply(&config("acl = [\"192.0.2.1\"]"));
    loop {
        if carrier.next("REGISTER").await.header("Expires") == Some("0") {
            break;
        }
    }
}

#[tokio::test]
async fn a_lost_connection_is_made_and_registered_anew() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let text = format!(
        "target = \"sip:{address};transport=tcp\"\nusername = \"acct\"\npassword = \"p\"\nregister = true\noptions_interval_s = 0"
    );
    let rig = Rig::start(&config(&text)).await;
    for round in 0..3 {
        let waited = tokio::time::timeout(PATIENCE, listener.accept()).await;
        let (mut stream, _) = waited
            .unwrap_or_else(|_| panic!("no connection {round}"))
            .unwrap();
        let mut text = String::new();
        while !text.ends_with("\r\n\r\n") {
            let mut octet = [0];
            stream.read_exact(&mut octet).await.unwrap();
            text.push(char::from(octet[0]));
        }
        let request = Request::new(text.trim_start().to_owned());
        assert_eq!(request.method, "REGISTER");
        let contact = format!("{};expires=3600", bare_contact(&request));
        let accepted = reply(200, &[("Contact", &contact)]).unwrap();
        stream
            .write_all(response(&request, &accepted).as_bytes())
            .await
            .unwrap();
        rig.until(registered).await;
    }
}
