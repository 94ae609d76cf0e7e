//! The call flows of RFC 3665 and RFC 5359 and the rules of SIP that are easy to get wrong, as sipp plays both ends of them
//! (`scenarios/README.md` lists them). Each end is a scenario; one message it does not expect, or one that does not come, fails it.
use crate::server::{Server, Settings, free_port, own_address};
use crate::sipp::{Outcome, Running, Sipp};
use std::net::{Ipv4Addr, UdpSocket};

/// A server and places for callees: the number `callee-N` leads over a trunk to the port of place N, where a scenario answers.
struct Stage {
    server: Server,
    ip: Ipv4Addr,
    ports: Vec<u16>,
}

/// Phones that register; their password is `secret-of-` and the name.
const PHONES: &str = "\
[[endpoint]]\nuser = \"alice\"\npassword = \"secret-of-alice\"\n\
[[endpoint]]\nuser = \"bob\"\npassword = \"secret-of-bob\"\n\
[[endpoint]]\nuser = \"busy\"\npassword = \"secret-of-busy\"\ndnd = true\n\
[[ring_group]]\nname = \"all\"\nmembers = [\"alice\", \"bob\"]\n\
[[ring_group]]\nname = \"hunt\"\nmembers = [\"alice\", \"bob\"]\norder = \"one-by-one\"\nring_s = 1\n";

impl Stage {
    /// The callers are a trunk.
    fn new(places: usize) -> Self {
        Self::with(places, &Settings::default().callers)
    }

    /// The callers are phones.
    fn of_phones(places: usize) -> Self {
        Self::with(places, PHONES)
    }

    fn with(places: usize, callers: &str) -> Self {
        let ip = own_address();
        let ports: Vec<u16> = (0..places).map(|_| free_port(ip)).collect();
        let mut sections = callers.to_owned();
        for (place, port) in ports.iter().enumerate() {
            sections.push_str(&format!(
                "[[trunk]]\nname = \"place-{place}\"\ntarget = \"sip:{ip}:{port}\"\noptions_interval_s = 0\nfailover_timeout_s = 2\n\
                 [[number]]\nto = \"callee-{place}\"\ntrunk = \"place-{place}\"\nfrom = [\"trunk\", \"endpoint\"]\n"
            ));
        }
        let server = Server::with(Settings {
            callers: sections,
            sip_extra: "t1_ms = 50".into(),
            ..Settings::default()
        });
        Self { server, ip, ports }
    }

    /// A scenario that answers at a place.
    #[track_caller]
    fn answer(&self, place: usize, scenario: &str) -> Running {
        play(scenario).at(self.ip, self.ports[place]).answer()
    }

    /// A scenario that calls.
    #[track_caller]
    fn call(&self, scenario: &str, user: &str) -> Outcome {
        play(scenario).run(&self.server, user)
    }

    /// Waits until no call is left. A refused INVITE is remembered for 32 s however short T1 is (RFC 3261 timer D).
    #[track_caller]
    fn rests(&self) {
        let left = |name: &str| !name.contains("transactions");
        self.server.wait_metrics("no call is left", |metrics| {
            metrics.busy_gauges().iter().all(|(name, _)| !left(name))
        });
    }

    /// Plays a caller and a callee to their ends.
    #[track_caller]
    fn play(&self, place: usize, caller: &str, callee: &str) {
        let answering = self.answer(place, callee);
        good(caller, &self.call(caller, &format!("callee-{place}")));
        good(callee, &answering.wait());
    }
}

fn play(scenario: &str) -> Sipp {
    let keep = ["-trace_msg", "-message_file", "messages.log"];
    Sipp::own(&format!("{scenario}.xml"))
        .calls(1, 50)
        .with(&keep)
}

#[track_caller]
fn good(scenario: &str, outcome: &Outcome) {
    eprintln!("{scenario} ended with {}", outcome.status);
    outcome.assert_all(1);
}

/// Plays pairs of scenarios at the same time, each at a place of its own.
fn play_all(pairs: &[(&str, &str)]) {
    let stage = Stage::new(pairs.len());
    std::thread::scope(|scope| {
        for (place, (caller, callee)) in pairs.iter().enumerate() {
            let stage = &stage;
            scope.spawn(move || stage.play(place, caller, callee));
        }
    });
    stage.rests();
}

#[test]
fn sessions_are_set_up_changed_and_ended() {
    play_all(&[
        ("rfc3665/session_caller", "rfc3665/session_callee"),
        ("rfc3665/session_caller", "rfc3665/record_route_callee"),
        (
            "rfc3665/session_late_offer_caller",
            "rfc3665/session_callee",
        ),
        ("rfc3665/session_reinvite_caller", "rfc3665/session_callee"),
        ("rfc5359/hold_caller", "rfc3665/session_callee"),
        (
            "rfc5359/hold_by_callee_caller",
            "rfc5359/hold_by_callee_callee",
        ),
    ]);
}

#[test]
fn sessions_that_do_not_come_about() {
    play_all(&[
        ("rfc3665/no_answer_caller", "rfc3665/no_answer_callee"),
        ("rfc3665/busy_caller", "rfc3665/busy_callee"),
        ("rfc3665/unavailable_caller", "rfc3665/unavailable_callee"),
    ]);
}

#[test]
fn a_callee_from_whom_nothing_comes() {
    let stage = Stage::new(1);
    let _silent = UdpSocket::bind((stage.ip, stage.ports[0])).expect("bind");
    let name = "rfc3665/no_response_caller";
    good(name, &stage.call(name, "callee-0"));
}

#[test]
fn registrations() {
    for name in [
        "register",
        "register_second_contact",
        "register_query",
        "register_cancel",
        "register_wrong_password",
    ] {
        let stage = Stage::of_phones(0);
        let name = format!("rfc3665/{name}");
        good(&name, &stage.call(&name, "alice"));
    }
}

#[test]
fn a_phone_calls_with_its_password() {
    let stage = Stage::of_phones(1);
    let (caller, callee) = (
        "rfc3665/session_authenticated_caller",
        "rfc3665/session_callee",
    );
    let answering = stage.answer(0, callee);
    // sipp hashes another URI than the one it sends, unless it is told.
    let uri = format!("callee-0@{}", stage.server.sip());
    let calling = play(caller).with(&["-auth_uri", &uri]);
    good(caller, &calling.run(&stage.server, "callee-0"));
    good(callee, &answering.wait());
}
