//! Two makes of real phones at one Trunkline: registered, called by extension, held, transferred, in a group, encrypted or not.
use crate::audio::{Reference, tone};
use crate::baresip::{Baresip, wav};
use crate::linphone::Linphone;
use crate::secure::{certificate, tls};
use crate::server::{PATIENCE, Server, Settings, free_port, own_address};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Phones by user and extension; the password is `secret-of-` and the user.
const PHONES: [(&str, &str); 3] = [("ann", "201"), ("bob", "202"), ("cat", "203")];

/// A server with three phones on all transports, and its certificate.
pub(crate) struct Office {
    pub(crate) server: Server,
    tls: SocketAddr,
    ca: PathBuf,
    folder: tempfile::TempDir,
}

impl Office {
    pub(crate) fn open(more: &str) -> Self {
        Self::open_with(more, |_| String::new())
    }

    /// The same with more lines for each phone, by its user.
    pub(crate) fn open_with(more: &str, of_phone: impl Fn(&str) -> String) -> Self {
        let folder = tempfile::tempdir().expect("scratch folder");
        let ip = own_address();
        let files = certificate(folder.path(), &ip.to_string());
        let port = free_port(ip);
        let music = crate::examples().join("prompts/music.sln16");
        let records = folder.path().join("calls.jsonl");
        let mut callers = format!(
            "{}[music]\non_hold = {music:?}\n[cdr]\nfile = {records:?}\n",
            tls(&files)
        );
        for (user, extension) in PHONES {
            callers.push_str(&format!(
                "[[endpoint]]\nuser = {user:?}\npassword = \"secret-of-{user}\"\nextension = {extension:?}\nsrtp = \"optional\"\n"
            ));
            callers.push_str(&of_phone(user));
        }
        let server = Server::with(Settings {
            ip,
            listen_extra: vec![format!("tls:{ip}:{port}")],
            callers: callers + more,
            ..Settings::default()
        });
        Self {
            server,
            tls: (ip, port).into(),
            ca: files.0,
            folder,
        }
    }

    /// The server as a phone writes it in a URI of that transport.
    pub(crate) fn at(&self, transport: &str) -> String {
        let address = match transport {
            "tls" => self.tls,
            _ => self.server.sip(),
        };
        format!("{address};transport={transport}")
    }

    /// Waits until no call is left; the connections of the phones stay, and refused INVITEs are remembered for 32 s.
    pub(crate) fn rests(&self) {
        self.server.wait_metrics("no call is left", |metrics| {
            metrics.sum("trunkline_calls_active") == 0.0
                && metrics.sum("trunkline_media_channels") == 0.0
        });
    }

    /// Waits for the records of so many legs, which are written after their calls, and asserts that the last of them had these codecs, in
    /// any order.
    #[track_caller]
    pub(crate) fn assert_codecs<const LAST: usize>(&self, legs: usize, mut expected: [&str; LAST]) {
        let file = self.folder.path().join("calls.jsonl");
        let patience = Instant::now() + PATIENCE;
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            // The last line may be half a one.
            let whole = text.rsplit_once('\n').unwrap_or_default().0;
            let records = whole.lines().map(serde_json::from_str);
            let codecs: Vec<String> = records
                .map(|record| record.expect("JSON"))
                .filter(|record: &serde_json::Value| record["type"] == "leg")
                .map(|record| record["codec"].as_str().expect("a codec").to_owned())
                .collect();
            if codecs.len() >= legs {
                let mut last: Vec<String> = codecs[legs - LAST..].into();
                last.sort_unstable();
                expected.sort_unstable();
                assert_eq!(last, expected);
                return;
            }
            assert!(Instant::now() < patience, "not {legs} legs:\n{text}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    pub(crate) fn wait_registered(&self, phones: f64) {
        self.server.wait_metrics("registered phones", |metrics| {
            metrics.sum("trunkline_phones_registered") == phones
        });
    }

    pub(crate) fn linphone(&self, user: &str, transport: &str) -> Linphone {
        let mut phone = Linphone::start(transport, &self.ca);
        phone.register(user, &self.at(transport));
        phone
    }

    pub(crate) fn baresip(&self, user: &str, transport: &str, says: &[i16], more: &str) -> Baresip {
        let registered = |line: &str| {
            line.contains("phone registered") && line.contains(&format!("user={user:?}"))
        };
        let before = self.server.count_log(registered);
        let phone = Baresip::registering(user, &self.at(transport), says, more, &self.ca);
        let log = &self.server;
        log.wait_log_times("a registration", before + 1, registered);
        phone
    }
}

#[test]
fn both_register_and_unregister_over_every_transport() {
    let office = Office::open("");
    for transport in ["udp", "tcp", "tls"] {
        let mut linphone = office.linphone("ann", transport);
        let baresip = office.baresip("bob", transport, &[], "");
        office.wait_registered(2.0);
        linphone.command("unregister ALL");
        office.wait_registered(1.0);
        baresip.quit();
        office.wait_registered(0.0);
    }
    let over = |line: &str, transport: &str| {
        line.contains("phone registered") && line.contains(&format!("transport={transport:?}"))
    };
    for transport in ["udp", "tcp", "tls"] {
        let times = office.server.count_log(|line| over(line, transport));
        assert!(times >= 2, "{transport}");
    }
}

/// Words of its own for each phone: two seconds of changing tones.
pub(crate) fn words(base: f32) -> Vec<i16> {
    (0..8)
        .flat_map(|step| tone(&[base + 130.0 * step as f32], 6000.0, 250))
        .collect()
}

/// Ann, a linphone, calls bob, a baresip. Returns her number of the call as well.
#[track_caller]
fn ann_calls_bob(office: &Office, over: [&str; 2], more: [&str; 2]) -> (Linphone, String, Baresip) {
    let mut ann = office.linphone("ann", over[0]);
    if !more[0].is_empty() {
        ann.command(more[0]);
    }
    let (call, bob) = she_calls_bob(office, &mut ann, over, more[1]);
    (ann, call, bob)
}

/// The same where she is there.
#[track_caller]
pub(crate) fn she_calls_bob(
    office: &Office,
    ann: &mut Linphone,
    over: [&str; 2],
    account: &str,
) -> (String, Baresip) {
    let mut bob = office.baresip("bob", over[1], &[], account);
    let call = ann.call(&format!("sip:202@{}", office.at(over[0])));
    bob.wait_event("CALL_INCOMING");
    bob.command("accept", "");
    ann.wait_call("StreamsRunning");
    (call, bob)
}

/// A phone answers a linphone's call.
#[track_caller]
fn answer(phone: &mut Linphone) -> String {
    let call = phone.wait_call("IncomingReceived");
    phone.command(&format!("answer {call}"));
    phone.wait_call("StreamsRunning");
    call
}

/// Says something and waits until it is heard; returns where its end was.
#[track_caller]
pub(crate) fn says(
    phone: &mut Linphone,
    call: &str,
    hears: &Baresip,
    base: f32,
    from: usize,
) -> usize {
    let said = words(base);
    phone.say(&wav(&said), call);
    hears.wait_sound("linphone", &Reference::narrow(&said), from)
}

#[test]
fn they_call_each_other_by_extension() {
    let office = Office::open("");
    let (mut ann, call, mut bob) = ann_calls_bob(&office, ["udp", "tcp"], ["", ""]);
    says(&mut ann, &call, &bob, 400.0, 0);
    ann.command("terminate");
    bob.wait_event("CALL_CLOSED");
    ann.wait_call("Released");
    ann.assert_heard(50);
    bob.command("dial", &format!("sip:201@{}", office.at("tcp")));
    let call = answer(&mut ann);
    bob.wait_event("CALL_ESTABLISHED");
    says(&mut ann, &call, &bob, 700.0, 0);
    bob.command("hangup", "");
    ann.wait_call("Released");
    office.rests();
}

#[test]
fn one_leg_is_encrypted_and_the_other_is_not() {
    let office = Office::open("");
    let plain_and_secret = [
        (["tls", "udp"], ["media-encryption srtp", ""]),
        (["udp", "tls"], ["", ";mediaenc=srtp"]),
    ];
    for (over, more) in plain_and_secret {
        let (mut ann, call, mut bob) = ann_calls_bob(&office, over, more);
        says(&mut ann, &call, &bob, 400.0, 0);
        ann.command("terminate");
        bob.wait_event("CALL_CLOSED");
        ann.wait_call("Released");
        ann.assert_heard(50);
        bob.quit();
        office.rests();
        office.wait_registered(1.0);
        ann.command("unregister ALL");
        office.wait_registered(0.0);
    }
    office.server.wait_log("an encrypted caller", |line| {
        line.contains(": answered") && line.contains("srtp=\"AES")
    });
    let refused = |cause: &str| {
        let metric = "trunkline_rtp_packets_dropped_total";
        let label = format!("cause=\"{cause}\"");
        office.server.metrics().labelled(metric, &label)
    };
    // The RTCP of baresip that opens NATs is in the clear.
    assert!(refused("srtp_auth_failed") <= 4.0);
}

#[test]
fn a_linphone_holds_and_resumes() {
    let office = Office::open("");
    let (mut ann, call, mut bob) = ann_calls_bob(&office, ["udp", "udp"], ["", ""]);
    let at = says(&mut ann, &call, &bob, 400.0, 0);
    ann.command(&format!("call-pause {call}"));
    ann.wait_call("Paused");
    let change = |line: &str| line.contains("media changed by the far end");
    office.server.wait_log("hold", change);
    let at = bob.wait_music(at);
    ann.command(&format!("call-resume {call}"));
    office.server.wait_log_times("resume", 2, change);
    ann.wait_call("StreamsRunning");
    says(&mut ann, &call, &bob, 700.0, at);
    bob.command("hangup", "");
    ann.wait_call("Released");
    office.rests();
}

#[test]
fn a_linphone_transfers_blindly() {
    let office = Office::open("");
    let mut cat = office.linphone("cat", "tcp");
    let (mut ann, call, mut bob) = ann_calls_bob(&office, ["udp", "udp"], ["", ""]);
    ann.command(&format!(
        "call-transfer {call} sip:203@{}",
        office.at("udp")
    ));
    let call = answer(&mut cat);
    ann.wait_call("Released");
    says(&mut cat, &call, &bob, 700.0, 0);
    bob.command("hangup", "");
    cat.wait_call("Released");
    office.rests();
}

#[test]
fn a_linphone_transfers_after_asking() {
    let office = Office::open("");
    let mut cat = office.linphone("cat", "tcp");
    let (mut ann, to_bob, mut bob) = ann_calls_bob(&office, ["udp", "udp"], ["", ""]);
    let to_cat = ann.call(&format!("sip:203@{}", office.at("udp")));
    let call = answer(&mut cat);
    ann.wait_call("StreamsRunning");
    ann.command(&format!("call-transfer {to_bob} {to_cat}"));
    ann.wait_call("Released");
    ann.wait_call("Released");
    says(&mut cat, &call, &bob, 700.0, 0);
    cat.command("terminate");
    bob.wait_event("CALL_CLOSED");
    office.rests();
}

#[test]
fn of_a_group_the_first_that_answers_has_the_call() {
    let office = Office::open("[[ring_group]]\nname = \"sales\"\nmembers = [\"ann\", \"bob\"]\n");
    let mut ann = office.linphone("ann", "udp");
    let mut bob = office.baresip("bob", "udp", &[], "");
    let mut cat = office.linphone("cat", "udp");
    for ann_answers in [true, false] {
        let call = cat.call(&format!("sip:sales@{}", office.at("udp")));
        bob.wait_event("CALL_INCOMING");
        if ann_answers {
            answer(&mut ann);
            bob.wait_event("CALL_CLOSED");
            cat.wait_call("StreamsRunning");
        } else {
            ann.wait_call("IncomingReceived");
            bob.command("accept", "");
            ann.wait_call("Released");
            cat.wait_call("StreamsRunning");
            says(&mut cat, &call, &bob, 700.0, 0);
        }
        cat.command("terminate");
        cat.wait_call("Released");
        if ann_answers {
            ann.wait_call("Released");
        } else {
            bob.wait_event("CALL_CLOSED");
        }
        office.rests();
    }
}

#[test]
fn a_user_who_does_not_want_to_be_disturbed() {
    let office = Office::open(
        "[[endpoint]]\nuser = \"dan\"\npassword = \"secret-of-dan\"\nextension = \"204\"\ndnd = true\n",
    );
    let _dan = office.baresip("dan", "udp", &[], "");
    let mut ann = office.linphone("ann", "udp");
    ann.call(&format!("sip:204@{}", office.at("udp")));
    ann.wait_call("Released");
    let log = ann.log();
    assert!(log.contains("SIP/2.0 603 "), "{log}");
    assert!(!log.contains("SIP/2.0 180 "), "{log}");
    office.rests();
}
