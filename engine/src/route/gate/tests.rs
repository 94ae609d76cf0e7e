//! Everybody knocks: trunks, phones, strangers and those who guess.
use super::*;
use std::sync::Mutex;
use trunkline_sip::{Credentials, Realm};

const OFFICE: &str = r#"
[security]
ban_after_failures = 2
ban_s = 60
[[trunk]]
name = "carrier"
acl = ["192.0.2.0/24"]
[[trunk]]
name = "branch"
acl = ["192.0.2.128/25", "198.51.100.1"]
username = "branch"
password = "branch secret"
authenticate_inbound = true
[[trunk]]
name = "registered"
target = "sip:203.0.113.9"
username = "us"
password = "ours"
register = true
[[endpoint]]
user = "alice"
password = "alice secret"
transports = ["udp", "tcp"]
"#;

const OPEN: &str = "[[number]]\nto = \"demo\"\nfrom = [\"anyone\"]\nflow = \"builtin:demo\"\n";
const SILENT: &str = "[security]\nstrangers = \"drop\"\n[[endpoint]]\nuser = \"alice\"\npassword = \"alice secret\"\n";

struct Door {
    gate: TrustGate,
    config: Arc<ArcSwap<Config>>,
    learned: Arc<LearnedPeers>,
    bans: Arc<Mutex<Vec<IpAddr>>>,
    now: Instant,
}

impl Door {
    fn new(text: &str) -> Self {
        let config = Config::from_str("t", text).unwrap_or_else(|problems| panic!("{problems}"));
        let config = Arc::new(ArcSwap::from_pointee(config));
        let (learned, bans) = (Arc::new(LearnedPeers::default()), Arc::default());
        let told: Arc<Mutex<Vec<IpAddr>>> = Arc::clone(&bans);
        let on_ban = move |source, _| told.lock().expect("unpoisoned").push(source);
        Self {
            gate: TrustGate::new(config.clone(), [7; 32], learned.clone(), Box::new(on_ban)),
            config,
            learned,
            bans,
            now: Instant::now(),
        }
    }

    fn knock(&mut self, from: &str, request: &str) -> Admission {
        self.knock_over(Transport::Udp, from, request)
    }

    fn knock_over(&mut self, transport: Transport, from: &str, request: &str) -> Admission {
        let flow = Flow {
            transport,
            local: "10.0.0.1:5060".parse().expect("an address"),
            remote: std::net::SocketAddr::new(from.parse().expect("an address"), 5060),
            connection: 0,
        };
        let frame = Frame::parse(request.as_bytes()).expect("a frame");
        self.gate.admit(self.now, &flow, &frame)
    }

    /// Knocks, answers the challenge, knocks again.
    fn with_password(
        &mut self,
        from: &str,
        ask: &Ask<'_>,
        user: &str,
        password: &str,
    ) -> Admission {
        let challenge = self.knock(from, &ask.text());
        let answered = answered(ask, &challenge, user, password);
        self.knock(from, &answered)
    }
}

#[derive(Clone, Copy)]
struct Ask<'a> {
    method: &'a str,
    to: &'a str,
    from: &'a str,
    tag: &'a str,
}

impl Ask<'_> {
    fn text(&self) -> String {
        self.with("")
    }

    fn with(&self, extra: &str) -> String {
        let Ask {
            method,
            to,
            from,
            tag,
        } = self;
        format!(
            "{method} sip:{to}@h SIP/2.0\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bK1\r\nFrom: <sip:{from}@h>;tag=1\r\nTo: <sip:{to}@h>{tag}\r\nCall-ID: a\r\nCSeq: 1 {method}\r\n{extra}\r\n"
        )
    }
}

fn ask<'a>(method: &'a str, to: &'a str, from: &'a str) -> Ask<'a> {
    Ask {
        method,
        to,
        from,
        tag: "",
    }
}

fn answered(ask: &Ask<'_>, challenge: &Admission, user: &str, password: &str) -> String {
    let Admission::Refuse {
        status: 401,
        headers,
        ..
    } = challenge
    else {
        panic!("no challenge: {challenge:?}");
    };
    let mut response = String::from(
        "SIP/2.0 401 Unauthorized\r\nVia: SIP/2.0/UDP 1.2.3.4;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\nCall-ID: a\r\nCSeq: 1 INVITE\r\n",
    );
    for (name, value) in headers {
        response.push_str(&format!("{name}: {value}\r\n"));
    }
    response.push_str("\r\n");
    let credentials = Credentials::new(user, password, Realm::first_seen());
    let frame = Frame::parse(response.as_bytes()).expect("a frame");
    let uri = format!("sip:{}@h", ask.to);
    let (name, value) = credentials
        .answer(&frame, ask.method, &uri, "c0ffee")
        .expect("an answer");
    ask.with(&format!("{}: {value}\r\n", name.name()))
}

fn shown(admission: &Admission) -> String {
    match admission {
        Admission::Admit(Origin::Stranger) => "stranger".to_owned(),
        Admission::Admit(Origin::Peer(name)) => format!("trunk {name}"),
        Admission::Admit(Origin::User(name)) => format!("user {name}"),
        Admission::Refuse { status, rule, .. } => format!("{status} {rule}"),
        Admission::Drop { rule } => format!("dropped {rule}"),
    }
}

#[test]
fn trunks_are_known_by_address() {
    let mut door = Door::new(OFFICE);
    let invite = ask("INVITE", "100", "1").text();
    for (from, expected) in [
        ("192.0.2.1", "trunk carrier"),
        ("::ffff:192.0.2.1", "trunk carrier"),
        ("192.0.3.1", "401 unauthenticated"),
        ("192.0.2.200", "401 unauthenticated"),
        ("203.0.113.9", "trunk registered"),
    ] {
        assert_eq!(shown(&door.knock(from, &invite)), expected, "{from}");
    }
}

#[test]
fn a_looked_up_address_counts_for_trunks_that_register() {
    let mut door = Door::new(OFFICE);
    let invite = ask("INVITE", "100", "1").text();
    let address = "203.0.113.77".parse().expect("an address");
    door.learned.set("registered", &[address]);
    assert_eq!(
        shown(&door.knock("203.0.113.77", &invite)),
        "trunk registered"
    );
    door.learned.set("registered", &[]);
    door.learned.set("carrier", &[address]);
    assert_eq!(
        shown(&door.knock("203.0.113.77", &invite)),
        "401 unauthenticated"
    );
}

/// Two accounts with one carrier, and a third trunk there that only calls out.
#[test]
fn of_several_accounts_at_one_address_the_one_that_is_called_calls() {
    let account = |name: &str, more: &str| {
        format!(
            "[[trunk]]\nname = \"{name}\"\ntarget = \"sip:sip.carrier.example\"\nusername = \"{name}-user\"\npassword = \"x\"\n{more}\n"
        )
    };
    let text =
        account("out", "") + &account("a", "register = true") + &account("b", "register = true");
    for numeric in [false, true] {
        let text = match numeric {
            true => text.replace("sip.carrier.example", "203.0.113.77"),
            false => text.clone(),
        };
        let mut door = Door::new(&text);
        for name in ["out", "a", "b"].into_iter().filter(|_| !numeric) {
            let address = "203.0.113.77".parse().expect("an address");
            door.learned.set(name, &[address]);
        }
        for (called, expected) in [
            ("a-user", "trunk a"),
            ("b-user", "trunk b"),
            ("49301234", "trunk a"),
        ] {
            let invite = ask("INVITE", called, "1").text();
            assert_eq!(
                shown(&door.knock("203.0.113.77", &invite)),
                expected,
                "{called}"
            );
        }
        door.learned.set("a", &[]);
        let invite = ask("INVITE", "49301234", "1").text();
        let left = shown(&door.knock("203.0.113.77", &invite));
        assert_eq!(left, if numeric { "trunk a" } else { "trunk b" });
    }
}

#[test]
fn a_trunk_may_need_address_and_password() {
    let mut door = Door::new(OFFICE);
    let invite = ask("INVITE", "100", "1");
    let at_home = door.with_password("198.51.100.1", &invite, "branch", "branch secret");
    assert_eq!(shown(&at_home), "trunk branch");
    let elsewhere = door.with_password("198.51.100.2", &invite, "branch", "branch secret");
    assert_eq!(shown(&elsewhere), "403 trunk-elsewhere");
}

#[test]
fn phones_are_known_by_password_and_only_on_their_transports() {
    let mut door = Door::new(OFFICE);
    for method in ["REGISTER", "INVITE", "MESSAGE"] {
        let right = door.with_password(
            "10.9.9.9",
            &ask(method, "h", "alice"),
            "alice",
            "alice secret",
        );
        assert_eq!(shown(&right), "user alice", "{method}");
    }
    let register = ask("REGISTER", "h", "alice");
    let challenge = door.knock_over(Transport::Tls, "10.9.9.9", &register.text());
    let answer = answered(&register, &challenge, "alice", "alice secret");
    let over_tls = door.knock_over(Transport::Tls, "10.9.9.9", &answer);
    assert_eq!(shown(&over_tls), "403 endpoint-transport");
}

#[test]
fn registering_needs_a_password_even_from_a_trunk() {
    let mut door = Door::new(OFFICE);
    let register = ask("REGISTER", "h", "alice");
    assert_eq!(
        shown(&door.knock("192.0.2.1", &register.text())),
        "401 unauthenticated"
    );
    let branch = door.with_password("198.51.100.1", &register, "branch", "branch secret");
    assert_eq!(shown(&branch), "403 trunk-elsewhere");
}

#[test]
fn nobody_learns_who_exists() {
    let mut door = Door::new(OFFICE);
    let mut seen = Vec::new();
    for user in ["alice", "nobody"] {
        for method in ["REGISTER", "INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE"] {
            seen.push((
                method,
                shown(&door.knock("10.9.9.9", &ask(method, user, user).text())),
            ));
        }
        let wrong = door.with_password("10.9.9.9", &ask("REGISTER", "h", user), user, "wrong");
        seen.push(("wrong", shown(&wrong)));
        door.now += Duration::from_secs(700);
    }
    let (alice, nobody) = seen.split_at(seen.len() / 2);
    assert_eq!(alice, nobody);
    assert_eq!(alice[0].1, "401 unauthenticated");
    assert_eq!(alice[5].1, "403 wrong-password");
}

#[test]
fn strangers_reach_what_is_open_and_nothing_else() {
    let mut door = Door::new(OPEN);
    for (request, expected) in [
        (ask("INVITE", "demo", "1"), "stranger"),
        (ask("INVITE", "other", "1"), "404 no-such-number"),
        (ask("OPTIONS", "demo", "1"), "stranger"),
        (ask("REGISTER", "h", "1"), "403 stranger"),
        (ask("MESSAGE", "demo", "1"), "403 stranger"),
        (ask("SUBSCRIBE", "demo", "1"), "403 stranger"),
        (
            Ask {
                tag: ";tag=9",
                ..ask("REFER", "demo", "1")
            },
            "403 stranger",
        ),
    ] {
        assert_eq!(
            shown(&door.knock("10.9.9.9", &request.text())),
            expected,
            "{}",
            request.method
        );
    }
    let mut closed = Door::new("");
    assert_eq!(
        shown(&closed.knock("10.9.9.9", &ask("INVITE", "demo", "1").text())),
        "403 stranger"
    );
}

#[test]
fn a_closed_door_may_be_silent_but_for_phones() {
    let mut door = Door::new(SILENT);
    let invite = ask("INVITE", "100", "alice");
    assert_eq!(
        shown(&door.knock("10.9.9.9", &invite.text())),
        "dropped stranger"
    );
    let right = door.with_password(
        "10.9.9.9",
        &ask("REGISTER", "h", "alice"),
        "alice",
        "alice secret",
    );
    assert_eq!(shown(&right), "user alice");
    assert_eq!(
        shown(&door.knock("10.9.9.9", &invite.text())),
        "401 unauthenticated"
    );
    assert_eq!(
        shown(&door.knock("10.9.9.8", &invite.text())),
        "dropped stranger"
    );
}

#[test]
fn a_phone_that_was_here_shows_who_it_is_also_on_open_numbers() {
    let mut door = Door::new(&format!("{OPEN}{SILENT}"));
    let invite = ask("INVITE", "demo", "alice");
    assert_eq!(shown(&door.knock("10.9.9.9", &invite.text())), "stranger");
    door.with_password(
        "10.9.9.9",
        &ask("REGISTER", "h", "alice"),
        "alice",
        "alice secret",
    );
    assert_eq!(
        shown(&door.knock("10.9.9.9", &invite.text())),
        "401 unauthenticated"
    );
    assert_eq!(shown(&door.knock("10.9.9.8", &invite.text())), "stranger");
}

#[test]
fn who_proved_its_address_is_banned_and_a_third_party_is_not() {
    let mut door = Door::new(OFFICE);
    let register = ask("REGISTER", "h", "alice");
    // The challenge went to 10.9.9.9; the answers claim to come from 10.1.1.1.
    let challenge = door.knock("10.9.9.9", &register.text());
    let wrong = answered(&register, &challenge, "alice", "guess");
    let seen: Vec<_> = (0..4)
        .map(|_| shown(&door.knock("10.1.1.1", &wrong)))
        .collect();
    // Who keeps back what a challenge brought is not heard any more, lest it guess for ever.
    assert_eq!(seen[..2], ["403 wrong-password"; 2]);
    assert_eq!(seen[2..], ["401 stale-nonce"; 2]);
    let right = answered(&register, &challenge, "alice", "alice secret");
    assert_eq!(shown(&door.knock("10.1.1.1", &right)), "401 stale-nonce");
    // Who is there really loses nothing.
    let there = door.with_password("10.1.1.1", &register, "alice", "alice secret");
    assert_eq!(shown(&there), "user alice");
    assert!(door.bans.lock().expect("unpoisoned").is_empty());
    // A connection proves the address by itself.
    for _ in 0..2 {
        assert_eq!(shown(&door.knock("10.9.9.9", &wrong)), "403 wrong-password");
        door.knock_over(Transport::Tcp, "10.2.2.2", &wrong);
    }
    let banned = ["10.9.9.9", "10.2.2.2"].map(|ip| ip.parse::<IpAddr>().expect("an address"));
    assert_eq!(*door.bans.lock().expect("unpoisoned"), banned);
}

#[test]
fn a_nonce_is_used_once_and_not_for_ever() {
    let mut door = Door::new(OFFICE);
    let register = ask("REGISTER", "h", "alice");
    let challenge = door.knock("10.9.9.9", &register.text());
    let answer = answered(&register, &challenge, "alice", "alice secret");
    assert_eq!(shown(&door.knock("10.9.9.9", &answer)), "user alice");
    assert_eq!(shown(&door.knock("10.9.9.9", &answer)), "401 stale-nonce");
    let challenge = door.knock("10.9.9.9", &register.text());
    let answer = answered(&register, &challenge, "alice", "alice secret");
    door.now += Duration::from_secs(61);
    assert_eq!(shown(&door.knock("10.9.9.9", &answer)), "401 stale-nonce");
}

#[test]
fn one_source_asks_only_so_often_and_a_trunk_as_often_as_it_likes() {
    let mut door = Door::new(&format!(
        "[security]\nrequests_per_second_per_source = 3\n{OPEN}[[trunk]]\nname = \"t\"\nacl = [\"192.0.2.1\"]\n"
    ));
    let invite = ask("INVITE", "demo", "1").text();
    let mut seen: Vec<String> = (0..4)
        .map(|_| shown(&door.knock("10.9.9.9", &invite)))
        .collect();
    assert_eq!(seen.pop().as_deref(), Some("dropped source-rate"));
    assert_eq!(seen, ["stranger"; 3]);
    assert!((0..9).all(|_| shown(&door.knock("192.0.2.1", &invite)) == "trunk t"));
    door.now += Duration::from_secs(1);
    assert_eq!(shown(&door.knock("10.9.9.9", &invite)), "stranger");
}

#[test]
fn a_new_configuration_counts_from_the_next_request_on() {
    let mut door = Door::new(OFFICE);
    let invite = ask("INVITE", "demo", "1").text();
    assert_eq!(
        shown(&door.knock("10.9.9.9", &invite)),
        "401 unauthenticated"
    );
    door.config
        .store(Arc::new(Config::from_str("t", OPEN).expect("good")));
    assert_eq!(shown(&door.knock("10.9.9.9", &invite)), "stranger");
    assert_eq!(shown(&door.knock("192.0.2.1", &invite)), "stranger");
}
