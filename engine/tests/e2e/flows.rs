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
        Self::with(places, &Settings::default().callers, 500)
    }

    /// The callers are phones.
    fn of_phones(places: usize) -> Self {
        Self::with(places, PHONES, 500)
    }

    /// A trunk calls, and the server gives up soon: 64 * T1 is 3.2 s.
    fn impatient(places: usize) -> Self {
        Self::with(places, &Settings::default().callers, 50)
    }

    /// T1 in milliseconds. sipp repeats what it said last when the far end repeats something, so that must be rare.
    fn with(places: usize, callers: &str, t1: u32) -> Self {
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
            sip_extra: format!("t1_ms = {t1}"),
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

    /// Plays callers of the folder `rules` at the same time.
    fn call_all(&self, user: &str, rules: &[&str]) {
        std::thread::scope(|scope| {
            for rule in rules {
                let name = format!("rules/{rule}_caller");
                scope.spawn(move || good(&name, &self.call(&name, user)));
            }
        });
        self.rests();
    }

    /// Waits until no call is left. Refused INVITEs are remembered for 32 s (RFC 3261 timer D).
    #[track_caller]
    fn rests(&self) {
        self.server.wait_metrics("no call is left", |metrics| {
            metrics.sum("trunkline_calls_active") == 0.0
                && metrics.sum("trunkline_media_channels") == 0.0
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

/// What sipp shows in calls to the demo, which answers everybody.
#[test]
fn rules_of_calls_that_are_answered() {
    let stage = Stage::new(0);
    stage.call_all(
        "demo",
        &[
            "unknown_dialog",
            "merged",
            "reinvite_before_ack",
            "late_offer_update",
            "update",
            "session_interval",
            "zero_address",
            "refused_media",
            "old_cseq",
        ],
    );
}

#[test]
fn what_is_never_acknowledged() {
    let stage = Stage::impatient(1);
    let name = "rules/no_ack_caller";
    let outcome = stage.call(name, "demo");
    good(name, &outcome);
    // The first, its repetitions, and the one by which sipp answers BYE.
    let answers = outcome.messages.matches("SIP/2.0 200 OK").count();
    assert!(answers > 3, "{}", outcome.messages);
    stage.play(
        0,
        "rules/no_prack_caller",
        "rules/early_media_without_end_callee",
    );
    stage.rests();
}

#[test]
fn rules_of_requests_that_are_refused() {
    let stage = Stage::new(0);
    stage.call_all(
        "demo",
        &[
            "no_codec",
            "extension_required",
            "no_hops",
            "cancel_unknown",
            "events",
        ],
    );
    let name = "rfc5359/screened_caller";
    good(name, &stage.call(name, "nobody"));
}

#[test]
fn rules_of_calls_between_two() {
    play_all(&[
        ("rules/prack_caller", "rules/early_media_callee"),
        ("rules/prack_offer_caller", "rules/early_media_callee"),
        ("rules/prack_unknown_caller", "rules/early_media_callee"),
        ("rules/prack_callee_caller", "rules/prack_callee"),
        ("rules/bye_cause_caller", "rules/bye_cause_callee"),
        ("rfc5359/transfer_refused_caller", "rfc3665/session_callee"),
    ]);
}

#[test]
fn a_transfer_to_a_third() {
    let stage = Stage::new(2);
    let (caller, transferred, target) = (
        "rfc5359/transfer_caller",
        "rfc5359/transfer_callee",
        "rfc3665/session_callee",
    );
    let answering = [stage.answer(0, transferred), stage.answer(1, target)];
    let calling = play(caller).with(&["-key", "target", "callee-1"]);
    good(caller, &calling.run(&stage.server, "callee-0"));
    for (name, callee) in [transferred, target].into_iter().zip(answering) {
        good(name, &callee.wait());
    }
    stage.rests();
}

/// Both ring, or one after the other: the second answers.
#[test]
fn groups_of_two() {
    for group in ["all", "hunt"] {
        let stage = Stage::of_phones(2);
        for (place, user) in ["alice", "bob"].into_iter().enumerate() {
            let register = play("rfc5359/register_here").at(stage.ip, stage.ports[place]);
            let password = ["-au", user, "-ap", &format!("secret-of-{user}")].map(str::to_owned);
            let register = register.with(&password.each_ref().map(String::as_str));
            good(user, &register.run(&stage.server, user));
        }
        let (first, second) = ("rfc5359/group_first_callee", "rfc3665/session_callee");
        let answering = [stage.answer(0, first), stage.answer(1, second)];
        let caller = "rfc3665/session_authenticated_caller";
        let uri = format!("{group}@{}", stage.server.sip());
        let calling = play(caller).with(&["-auth_uri", &uri]);
        good(caller, &calling.run(&stage.server, group));
        for (name, callee) in [first, second].into_iter().zip(answering) {
            good(name, &callee.wait());
        }
        stage.rests();
    }
}

#[test]
fn sessions_that_do_not_come_about() {
    play_all(&[
        ("rfc3665/no_answer_caller", "rfc3665/no_answer_callee"),
        ("rfc3665/busy_caller", "rfc3665/busy_callee"),
        ("rfc3665/unavailable_caller", "rfc3665/unavailable_callee"),
        ("rfc5359/declined_caller", "rfc5359/declined_callee"),
        ("rfc5359/redirect_caller", "rfc5359/redirect_callee"),
    ]);
}

#[test]
fn a_callee_from_whom_nothing_comes() {
    let stage = Stage::impatient(1);
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
