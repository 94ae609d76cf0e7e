use super::*;
use crate::flow::Transport;
use crate::message::Message;
use std::net::SocketAddr;

const MINUTE: Duration = Duration::from_secs(60);

fn flow(port: u16) -> Flow {
    Flow {
        transport: Transport::Udp,
        local: SocketAddr::from(([10, 0, 0, 2], 5060)),
        remote: SocketAddr::from(([10, 0, 0, 1], port)),
        connection: 0,
    }
}

fn stream(connection: u64) -> Flow {
    Flow {
        transport: Transport::Tcp,
        connection,
        ..flow(40_000)
    }
}

/// A registrar and the clock.
struct Bench {
    registrar: Registrar,
    now: Instant,
    cseq: u32,
}

impl Bench {
    fn new() -> Self {
        Self {
            registrar: Registrar::new(RegistrarConfig::default()),
            now: Instant::now(),
            cseq: 0,
        }
    }

    /// A REGISTER of alice with these header lines; `Call-ID: c` and a rising CSeq unless said otherwise.
    fn tell(&mut self, flow: Flow, lines: &str) -> Result<Registered, RegisterRefused> {
        self.cseq += 1;
        let mut text =
            format!("REGISTER sip:example.com SIP/2.0\r\nTo: <sip:alice@example.com>\r\n{lines}");
        if !lines.contains("Call-ID") {
            text.push_str("Call-ID: c\r\n");
        }
        if !lines.contains("CSeq") {
            text.push_str(&format!("CSeq: {} REGISTER\r\n", self.cseq));
        }
        text.push_str("\r\n");
        let message = Message::parse(text.into()).unwrap();
        self.registrar
            .register(self.now, &"alice".into(), 3, flow, &message.frame())
    }

    fn contacts(&self) -> Vec<String> {
        let bindings = self.registrar.bindings(self.now, "alice");
        bindings
            .iter()
            .map(|binding| binding.contact.clone())
            .collect()
    }

    /// Nothing may point to a binding that is gone.
    fn check(&self) {
        let registrar = &self.registrar;
        let count = registrar.len();
        assert_eq!(registrar.by_flow.len(), count);
        assert_eq!(registrar.deadlines.len(), count);
        assert_eq!(
            registrar.by_user.values().map(Vec::len).sum::<usize>(),
            count
        );
        assert!(registrar.by_user.values().all(|ids| !ids.is_empty()));
    }
}

fn contacts_in(done: &Registered) -> Vec<&str> {
    let contacts = done.headers.iter().filter(|(name, _)| *name == "Contact");
    contacts.map(|(_, value)| value.as_str()).collect()
}

fn header<'a>(headers: &'a [(&'static str, String)], name: &str) -> Option<&'a str> {
    headers
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.as_str())
}

#[test]
fn a_phone_comes_stays_and_goes() {
    let mut bench = Bench::new();
    let done = bench
        .tell(
            flow(1),
            "Contact: <sip:alice@192.168.1.2:5060>;expires=120\r\n",
        )
        .unwrap();
    assert_eq!((done.added, done.refreshed, done.removed), (1, 0, 0));
    assert_eq!(
        contacts_in(&done),
        ["<sip:alice@192.168.1.2:5060>;expires=120"]
    );
    bench.now += MINUTE;
    // A query changes nothing and says what is left.
    let done = bench.tell(flow(9), "").unwrap();
    assert_eq!(
        contacts_in(&done),
        ["<sip:alice@192.168.1.2:5060>;expires=60"]
    );
    // The NAT gave it another port: requests go there from now on.
    let done = bench
        .tell(
            flow(2),
            "Contact: <sip:alice@192.168.1.2:5060>\r\nExpires: 300\r\n",
        )
        .unwrap();
    assert_eq!((done.added, done.refreshed), (0, 1));
    assert_eq!(
        bench.registrar.bindings(bench.now, "alice")[0].flow,
        flow(2)
    );
    let done = bench
        .tell(
            flow(2),
            "Contact: <sip:alice@192.168.1.2:5060>;expires=0\r\nExpires: 300\r\n",
        )
        .unwrap();
    assert_eq!((done.removed, contacts_in(&done).len()), (1, 0));
    assert!(bench.registrar.is_empty());
    bench.check();
}

#[test]
fn bindings_end_by_time() {
    let mut bench = Bench::new();
    bench
        .tell(
            flow(1),
            "Contact: <sip:a@h1>;expires=60, <sip:a@h2>;expires=120\r\n",
        )
        .unwrap();
    assert_eq!(bench.registrar.next_timeout(), Some(bench.now + MINUTE));
    bench.now += MINUTE;
    assert_eq!(bench.contacts(), ["sip:a@h2"]);
    let over = bench.registrar.expire(bench.now);
    assert_eq!(over.len(), 1);
    assert_eq!(
        (&*over[0].user, &*over[0].aor),
        ("alice", "sip:alice@example.com")
    );
    bench.check();
    bench.now += MINUTE;
    assert_eq!(bench.registrar.expire(bench.now).len(), 1);
    assert!(bench.registrar.is_empty() && bench.registrar.next_timeout().is_none());
    bench.check();
}

#[test]
fn intervals() {
    // Header, parameter: granted seconds, or 423.
    let table = [
        (None, None, Ok(3_600)),
        (Some("90"), None, Ok(90)),
        (Some("90"), Some("120"), Ok(120)),
        (Some("4294967295"), None, Ok(3_600)),
        (Some("99999999999999"), None, Ok(3_600)),
        (Some("soon"), None, Ok(3_600)),
        (Some("59"), None, Err(423)),
        (None, Some("1"), Err(423)),
        (Some("1"), Some("60"), Ok(60)),
    ];
    for (header_value, param, granted) in table {
        let mut bench = Bench::new();
        let header_line = header_value
            .map(|value| format!("Expires: {value}\r\n"))
            .unwrap_or_default();
        let param = param
            .map(|value| format!(";expires={value}"))
            .unwrap_or_default();
        let got = bench.tell(
            flow(1),
            &format!("{header_line}Contact: <sip:a@h>{param}\r\n"),
        );
        match granted {
            Ok(seconds) => assert_eq!(
                contacts_in(&got.unwrap()),
                [format!("<sip:a@h>;expires={seconds}")]
            ),
            Err(status) => {
                let refused = got.unwrap_err();
                assert_eq!(
                    (refused.status, header(&refused.headers, "Min-Expires")),
                    (status, Some("60"))
                );
                assert!(bench.registrar.is_empty());
            }
        }
    }
}

#[test]
fn what_is_refused_changes_nothing() {
    let many: String = (0..17).map(|n| format!("<sip:a@h{n}>,")).collect();
    let billion: String = (0..8)
        .map(|_| format!("Contact: {}\r\n", "<sip:a@h>,".repeat(700)))
        .collect();
    let long = format!("Contact: <sip:{}@h>\r\n", "a".repeat(600));
    let table = [
        ("Contact: *\r\n", 400),
        ("Contact: *\r\nExpires: 60\r\n", 400),
        ("Contact: *, <sip:a@h>\r\nExpires: 0\r\n", 400),
        ("Contact: <sip:a@h>, *\r\nExpires: 0\r\n", 400),
        ("Contact: <mailto:a@h>\r\n", 400),
        ("Contact: <tel:+1>\r\n", 400),
        ("Contact: <sip:a@>\r\n", 400),
        ("Contact: <sip:a@h>, <sip:a@H>\r\n", 400),
        ("Contact: <sip:new@h>, <sip:b@h>;expires=3\r\n", 423),
        ("Contact: <sip:a@h>\r\nPath: <sip:strict.example>\r\n", 400),
        ("Contact: <sip:a@h>;+sip.instance=\"a b\"\r\n", 400),
        ("Contact: <sip:c1@h>, <sip:c2@h>, <sip:c3@h>\r\n", 403),
        (&format!("Contact: {many}\r\n"), 400),
        (&billion, 400),
        (&long, 400),
    ];
    for (lines, status) in table {
        let mut bench = Bench::new();
        bench.tell(flow(1), "Contact: <sip:kept@h>\r\n").unwrap();
        let refused = bench.tell(flow(1), lines).unwrap_err();
        assert_eq!(
            refused.status,
            status,
            "{}: {}",
            &lines[..lines.len().min(80)],
            refused.rule
        );
        assert_eq!(bench.contacts(), ["sip:kept@h"]);
        bench.check();
    }
}

#[test]
fn nobody_registers_for_somebody_else() {
    let mut bench = Bench::new();
    for to in [
        "<sip:bob@example.com>",
        "<sip:example.com>",
        "<tel:alice>",
        "<sip:Alice@example.com>",
    ] {
        let text = format!(
            "REGISTER sip:x SIP/2.0\r\nTo: {to}\r\nCall-ID: c\r\nCSeq: 1 REGISTER\r\nContact: <sip:a@h>\r\n\r\n"
        );
        let message = Message::parse(text.into()).unwrap();
        let got =
            bench
                .registrar
                .register(bench.now, &"alice".into(), 3, flow(1), &message.frame());
        match to {
            "<tel:alice>" => assert!(got.is_ok(), "a tel URI of the same name"),
            _ => assert_eq!(got.unwrap_err().status, 403, "{to}"),
        }
    }
}

#[test]
fn older_requests_fail() {
    let mut bench = Bench::new();
    bench
        .tell(flow(1), "Contact: <sip:a@h>\r\nCSeq: 5 REGISTER\r\n")
        .unwrap();
    for lines in [
        "Contact: <sip:a@h>;expires=0\r\nCSeq: 5 REGISTER\r\n",
        "Contact: <sip:new@h>, <sip:a@h>;expires=0\r\nCSeq: 4 REGISTER\r\n",
        "Contact: *\r\nExpires: 0\r\nCSeq: 5 REGISTER\r\n",
    ] {
        assert_eq!(
            bench.tell(flow(1), lines).unwrap_err().status,
            500,
            "{lines}"
        );
        assert_eq!(bench.contacts(), ["sip:a@h"]);
    }
    // Another Call-ID has numbers of its own.
    let done = bench
        .tell(
            flow(2),
            "Contact: *\r\nExpires: 0\r\nCSeq: 1 REGISTER\r\nCall-ID: d\r\n",
        )
        .unwrap();
    assert_eq!(done.removed, 1);
}

#[test]
fn the_best_contact_comes_first() {
    let mut bench = Bench::new();
    bench
        .tell(
            flow(1),
            "Contact: <sip:low@h>;q=0.25, <sip:old@h>, <sip:odd@h>;q=2\r\n",
        )
        .unwrap();
    assert_eq!(bench.contacts(), ["sip:odd@h", "sip:old@h", "sip:low@h"]);
    let done = bench
        .tell(flow(1), "Contact: <sip:old@h>;q=1.0\r\n")
        .unwrap();
    assert_eq!(bench.contacts(), ["sip:old@h", "sip:odd@h", "sip:low@h"]);
    assert_eq!(contacts_in(&done)[2], "<sip:low@h>;expires=3600;q=0.250");
}

#[test]
fn equal_uris() {
    use super::binding::same_uri;
    // RFC 3261 §19.1.4
    for (one, other, same) in [
        (
            "sip:%61lice@atlanta.com;transport=TCP",
            "sip:alice@AtLanTa.CoM;Transport=tcp",
            true,
        ),
        (
            "sip:carol@chicago.com",
            "sip:carol@chicago.com;newparam=5",
            true,
        ),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;newparam=5",
            true,
        ),
        ("SIP:ALICE@AtLanTa.CoM", "sip:alice@AtLanTa.CoM", false),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", false),
        (
            "sip:bob@biloxi.com",
            "sip:bob@biloxi.com;transport=udp",
            false,
        ),
        (
            "sip:carol@chicago.com;security=on",
            "sip:carol@chicago.com;security=off",
            false,
        ),
        ("sip:a@h", "sips:a@h", false),
        ("sip:a@192.0.2.1", "sip:a@192.0.2.1", true),
        ("sip:a@h?x=y", "sip:a@h", false),
    ] {
        assert_eq!(same_uri(one, other), same, "{one} {other}");
        assert_eq!(same_uri(other, one), same, "{other} {one}");
    }
}

#[test]
fn a_lost_connection_takes_its_bindings_along() {
    let mut bench = Bench::new();
    bench
        .tell(
            stream(7),
            "Contact: <sip:a@h1;transport=tcp>\r\nCall-ID: one\r\n",
        )
        .unwrap();
    bench
        .tell(
            stream(8),
            "Contact: <sip:a@h2;transport=tcp>\r\nCall-ID: two\r\n",
        )
        .unwrap();
    assert_eq!(bench.registrar.flow_closed(stream(9)).len(), 0);
    assert_eq!(bench.registrar.flow_closed(stream(7)).len(), 1);
    assert_eq!(bench.registrar.take_idle_flows(), [stream(7)]);
    assert_eq!(bench.contacts(), ["sip:a@h2;transport=tcp"]);
    // A binding that moved on does not go with its old connection.
    bench
        .tell(
            stream(10),
            "Contact: <sip:a@h2;transport=tcp>\r\nCall-ID: two\r\n",
        )
        .unwrap();
    assert_eq!(bench.registrar.flow_closed(stream(8)).len(), 0);
    assert_eq!(
        bench.registrar.take_idle_flows(),
        [stream(8)],
        "left behind"
    );
    assert_eq!(bench.contacts().len(), 1);
    // A refresh over the same connection leaves none behind.
    bench
        .tell(
            stream(10),
            "Contact: <sip:a@h2;transport=tcp>\r\nCall-ID: two\r\n",
        )
        .unwrap();
    assert!(bench.registrar.take_idle_flows().is_empty());
    bench.check();
}

#[test]
fn a_phone_that_started_anew_replaces_itself() {
    let mut bench = Bench::new();
    for turn in 0..5 {
        let done = bench
            .tell(
                flow(1),
                &format!("Contact: <sip:random{turn}@h>\r\nCall-ID: boot{turn}\r\n"),
            )
            .unwrap();
        assert_eq!(done.removed, usize::from(turn > 0));
    }
    assert_eq!(bench.contacts(), ["sip:random4@h"]);
    // Behind a proxy several phones share a flow.
    let path = "Path: <sip:edge.example;lr>\r\n";
    bench
        .tell(
            flow(5),
            &format!("Contact: <sip:p1@h>\r\nCall-ID: p1\r\n{path}"),
        )
        .unwrap();
    bench
        .tell(
            flow(5),
            &format!("Contact: <sip:p2@h>\r\nCall-ID: p2\r\n{path}"),
        )
        .unwrap();
    assert_eq!(bench.contacts().len(), 3);
    bench.check();
}

#[test]
fn a_phone_that_moves_takes_one_place() {
    let mut bench = Bench::new();
    let instance = |contact: &str, id: u8| {
        format!("Contact: <sip:{contact}>;+sip.instance=\"<urn:uuid:{id}>\"\r\n")
    };
    for port in 40_001..40_010 {
        let lines = format!("{}Call-ID: {port}\r\n", instance(&format!("a@h:{port}"), 1));
        bench.tell(flow(port), &lines).unwrap();
        assert_eq!(bench.contacts(), [format!("sip:a@h:{port}")]);
    }
    // Another phone is another one; two contacts of one instance in one REGISTER are both wanted, and stay.
    bench.tell(flow(1), &instance("a@i", 2)).unwrap();
    let both = instance("a@h:2", 1) + &instance("a@h:2;transport=tcp", 1);
    for _ in 0..2 {
        bench.tell(flow(2), &both).unwrap();
        let mut contacts = bench.contacts();
        contacts.sort();
        assert_eq!(
            contacts,
            ["sip:a@h:2", "sip:a@h:2;transport=tcp", "sip:a@i"]
        );
    }
    bench.check();
}

#[test]
fn path_and_outbound() {
    let mut bench = Bench::new();
    let contact = "Contact: <sip:a@h>;+sip.instance=\"<urn:uuid:1>\";reg-id=1\r\n";
    let lines = format!(
        "{contact}Supported: path, outbound\r\nPath: <sip:p1;lr>, \"x\" <sip:p2;lr;ob>;y=z\r\n"
    );
    let done = bench.tell(flow(1), &lines).unwrap();
    assert_eq!(
        contacts_in(&done),
        ["<sip:a@h>;expires=3600;+sip.instance=\"<urn:uuid:1>\";reg-id=1"]
    );
    let paths: Vec<_> = done
        .headers
        .iter()
        .filter(|(name, _)| *name == "Path")
        .map(|(_, path)| path.as_str())
        .collect();
    assert_eq!(paths, ["<sip:p1;lr>", "<sip:p2;lr;ob>"]);
    assert_eq!(header(&done.headers, "Require"), Some("outbound"));
    assert_eq!(header(&done.headers, "Flow-Timer"), Some("120"));
    assert_eq!(bench.registrar.bindings(bench.now, "alice")[0].path, paths);

    // The same instance and reg-id with another address and Call-ID is the same binding, another reg-id is not.
    let moved = contact.replace("a@h", "a@new");
    let done = bench
        .tell(
            flow(2),
            &format!("{moved}Supported: outbound\r\nCall-ID: e\r\n"),
        )
        .unwrap();
    assert_eq!(
        (done.added, done.refreshed, header(&done.headers, "Path")),
        (0, 1, None)
    );
    let second = moved.replace("reg-id=1", "reg-id=2");
    let done = bench
        .tell(
            flow(3),
            &format!("{second}Supported: outbound\r\nCall-ID: f\r\n"),
        )
        .unwrap();
    assert_eq!(done.added, 1);
    // An edge that keeps no flows: reg-id means nothing.
    let mut bench = Bench::new();
    let done = bench
        .tell(
            flow(1),
            &format!("{contact}Supported: outbound\r\nPath: <sip:p1;lr>\r\n"),
        )
        .unwrap();
    assert_eq!(
        (
            header(&done.headers, "Require"),
            contacts_in(&done)[0].contains("reg-id")
        ),
        (None, false)
    );
}

#[test]
fn limits_and_users_who_are_no_more() {
    let mut bench = Bench::new();
    bench.registrar = Registrar::new(RegistrarConfig {
        max_bindings: 2,
        ..RegistrarConfig::default()
    });
    bench
        .tell(flow(1), "Contact: <sip:a@h1>, <sip:a@h2>\r\n")
        .unwrap();
    assert_eq!(
        bench
            .tell(flow(1), "Contact: <sip:a@h3>\r\n")
            .unwrap_err()
            .status,
        503
    );
    bench
        .tell(flow(1), "Contact: <sip:a@h2>\r\n")
        .expect("a refresh needs no place");
    bench.registrar.retain_users(|user| user == "bob");
    assert!(bench.registrar.is_empty());
    bench.check();
}
