//! Calls through Trunkline out over Kamailio, which asks for a password and stays in the way of the call, and over the second of two.
use crate::audio;
use crate::call::Call;
use crate::kamailio::{Kamailio, PASSWORD, customer, new_address, trunk};
use crate::phone::Phone;
use crate::server::Server;
use std::net::SocketAddr;
use std::time::Duration;

/// Two seconds of tones that rise from `lowest`.
fn voice(lowest: f32) -> Vec<i16> {
    (0..16)
        .flat_map(|step| audio::tone(&[lowest + 55.0 * step as f32], 6000.0, 125))
        .collect()
}

/// What each says, the other hears.
#[track_caller]
fn hear_each_other(caller: &Call, callee: &Call) {
    let (low, high) = (voice(400.0), voice(1500.0));
    let (at_caller, at_callee) = (caller.position(), callee.position());
    caller.say(&low);
    callee.say(&high);
    callee.wait_sound("the caller", &audio::Reference::narrow(&low), at_callee);
    caller.wait_sound("the callee", &audio::Reference::narrow(&high), at_caller);
}

/// A server whose carriers are at these addresses, and that lets the telephone `office` call out.
fn exchange(office: &Phone, carriers: &[SocketAddr], transport: &str, password: &str) -> Server {
    let targets: Vec<String> = carriers
        .iter()
        .map(|address| format!("sip:{address};transport={transport}"))
        .collect();
    let ip = office.address().ip();
    let server = customer(format!(
        "{}[[trunk]]\nname = \"office\"\nacl = [\"{ip}/32\"]\n\
         [[number]]\nto = \"*\"\nfrom = [\"trunk:office\"]\ntrunk = \"carrier\"\n",
        trunk(&targets, false, password)
    ));
    server.wait_metrics("the carriers are up", |metrics| {
        metrics.labelled("trunkline_trunk_targets_up", "carrier") == carriers.len() as f64
    });
    server
}

/// A call from `office` to `callee`, which answers it at `carrier`.
#[track_caller]
fn call_out(office: Phone, server: &Server, callee: Phone, carrier: &Kamailio) -> (Call, Call) {
    std::thread::scope(|scope| {
        let caller = scope.spawn(|| office.call(server, "+43123"));
        let callee = callee.take_call(carrier.address);
        (caller.join().expect("the caller's side"), callee)
    })
}

#[track_caller]
fn calls_out_with_a_password_over(transport: &str) {
    let (office, public) = (Phone::new(), Phone::new());
    let carrier = Kamailio::start(public.address());
    let server = exchange(&office, &[carrier.address], transport, PASSWORD);
    let (mut caller, callee) = call_out(office, &server, public, &carrier);
    carrier.wait_log(&format!("challenged INVITE over {transport}"), 1);
    carrier.wait_log(&format!("call out to +43123 over {transport}"), 1);
    hear_each_other(&caller, &callee);
    // The caller ends it: our BYE takes the recorded route.
    caller.hang_up();
    callee.wait_hang_up();
    carrier.wait_log("routed BYE", 1);
    server.wait_no_call();
    carrier.assert_logged("strayed", 0);
    carrier.assert_logged("denied", 0);
}

#[test]
fn a_call_out_is_asked_for_its_password_over_udp() {
    calls_out_with_a_password_over("udp");
}

#[test]
fn a_call_out_is_asked_for_its_password_over_tcp() {
    calls_out_with_a_password_over("tcp");
}

#[test]
fn the_callee_holds_resumes_and_hangs_up_by_the_recorded_route() {
    let (office, public) = (Phone::new(), Phone::new());
    let carrier = Kamailio::start(public.address());
    let server = exchange(&office, &[carrier.address], "udp", PASSWORD);
    let (mut caller, mut callee) = call_out(office, &server, public, &carrier);
    hear_each_other(&caller, &callee);
    hold_and_resume(&mut callee, &caller);
    carrier.wait_log("routed INVITE", 2);
    hold_and_resume(&mut caller, &callee);
    callee.hang_up();
    caller.wait_hang_up();
    carrier.wait_log("routed BYE", 1);
    server.wait_no_call();
    carrier.assert_logged("strayed", 0);
}

/// While one holds, the other hears something else than silence; afterwards they hear each other.
#[track_caller]
fn hold_and_resume(holder: &mut Call, held: &Call) {
    let answer = holder.reinvite("sendonly");
    assert!(answer.contains("a=recvonly"), "{answer}");
    let from = held.position();
    held.wait_position(from + 2 * audio::RATE);
    let heard = held.heard_from(from + audio::RATE);
    assert!(
        heard.iter().any(|sample| sample.abs() > 500),
        "no music on hold"
    );
    let answer = holder.reinvite("sendrecv");
    assert!(answer.contains("a=sendrecv"), "{answer}");
    hear_each_other(holder, held);
}

#[test]
fn a_caller_from_the_carrier_holds_and_resumes_by_the_recorded_route() {
    let public = Phone::new();
    let carrier = Kamailio::start(public.address());
    let target = format!("sip:{}", carrier.address);
    let server = customer(trunk(&[target], true, PASSWORD));
    carrier.wait_log("registered over udp", 1);
    let mut call = public.dial(carrier.address, "+4930100").expect("answered");
    let at = call.wait_prompt("welcome", 0);
    assert!(call.reinvite("sendonly").contains("a=recvonly"));
    assert!(call.reinvite("sendrecv").contains("a=sendrecv"));
    call.press('1');
    call.wait_prompt("digit_1", at);
    call.hang_up();
    carrier.wait_log("routed INVITE", 2);
    carrier.wait_log("routed ACK", 3);
    carrier.wait_log("routed BYE", 1);
    server.wait_no_call();
    carrier.assert_logged("strayed", 0);
}

#[test]
fn a_call_that_the_carrier_refuses_for_its_password_is_refused_and_not_repeated() {
    let office = Phone::new();
    let carrier = Kamailio::start(Phone::new().address());
    let server = exchange(&office, &[carrier.address], "udp", "wrong");
    let refusal = office.try_call(&server, "+43123").err().expect("refused");
    assert_eq!(refusal.status(), 503);
    server.wait_log("why", |line| {
        line.contains("does not take ours: check username, password")
            && line.contains("rule=\"password-refused\"")
    });
    server.wait_no_call();
    carrier.assert_logged("challenged INVITE", 1);
    carrier.assert_logged("denied INVITE", 1);
}

/// Two carriers, of which the first takes no calls in the way `defined` says: the second gets the call.
#[track_caller]
fn fails_over_from(defined: &str, line: &str) {
    let (office, public) = (Phone::new(), Phone::new());
    let first = Kamailio::with(new_address(), public.address(), &[defined]);
    let second = Kamailio::start(public.address());
    let server = exchange(&office, &[first.address, second.address], "udp", PASSWORD);
    let (mut caller, callee) = call_out(office, &server, public, &second);
    first.wait_log(line, 1);
    second.wait_log("challenged INVITE", 1);
    hear_each_other(&caller, &callee);
    caller.hang_up();
    callee.wait_hang_up();
    let metrics = server.wait_no_call();
    assert_eq!(
        metrics.labelled("trunkline_trunk_failovers_total", "carrier"),
        1.0
    );
}

#[test]
fn the_second_carrier_takes_the_call_that_the_first_answers_with_503() {
    fails_over_from("OUT_OF_SERVICE", "out of service for INVITE");
}

#[test]
fn the_second_carrier_takes_the_call_that_the_first_does_not_answer() {
    fails_over_from("SILENT", "silent to INVITE");
}

#[test]
fn a_carrier_that_is_down_gets_no_calls_until_it_is_back() {
    let (office, public) = (Phone::new(), Phone::new());
    let callee = public.address();
    let first = Kamailio::start(callee);
    let address = first.address;
    let second = Kamailio::start(callee);
    let server = exchange(&office, &[address, second.address], "udp", PASSWORD);

    drop(first);
    server.wait_log("the first is down", |line| {
        line.contains("target is down") && line.contains(&address.to_string())
    });
    let (mut caller, called) = call_out(office, &server, public, &second);
    hear_each_other(&caller, &called);
    caller.hang_up();
    called.wait_hang_up();
    let metrics = server.wait_no_call();
    // Nothing had to be tried in vain.
    assert_eq!(
        metrics.labelled("trunkline_trunk_failovers_total", "carrier"),
        0.0
    );

    let public = Phone::new();
    let first = Kamailio::with(address, public.address(), &[]);
    server.wait_log_times("the first is back", 2, |line| {
        line.contains("target answers and takes calls") && line.contains(&address.to_string())
    });
    let office = caller.into_phone();
    let (mut caller, called) = call_out(office, &server, public, &first);
    hear_each_other(&caller, &called);
    caller.hang_up();
    called.wait_hang_up();
    first.wait_log("routed BYE", 1);
    server.wait_no_call();
}

#[test]
fn a_registered_phone_calls_out_and_is_called_over_the_carrier() {
    let public = Phone::new();
    let carrier = Kamailio::start(public.address());
    let target = format!("sip:{}", carrier.address);
    let server = customer(format!(
        "{}[[endpoint]]\nuser = \"alice\"\npassword = \"hers\"\n\
         [[number]]\nto = \"+4930200\"\nendpoint = \"alice\"\n\
         [[number]]\nto = \"+43*\"\ntrunk = \"carrier\"\n",
        trunk(&[target], true, PASSWORD)
    ));
    carrier.wait_log("registered over udp", 1);
    server.wait_log("the registration", |line| {
        line.contains("registered trunk=")
    });
    let alice = Phone::of(&server, "alice", "hers");
    alice.register(&server);

    let (alices, mut callee) = call_out(alice, &server, public, &carrier);
    hear_each_other(&alices, &callee);
    callee.hang_up();
    alices.wait_hang_up();

    let (alice, public) = (alices.into_phone(), callee.into_phone());
    let (callers, mut alices) = std::thread::scope(|scope| {
        let call = scope.spawn(|| public.dial(carrier.address, "+4930200"));
        let alices = alice.take_call(server.sip());
        (
            call.join().expect("the caller's side").expect("answered"),
            alices,
        )
    });
    hear_each_other(&callers, &alices);
    alices.hang_up();
    callers.wait_hang_up();
    carrier.wait_log("routed BYE", 2);
    server.wait_no_call();
    carrier.assert_logged("strayed", 0);

    // A stranger with her name is nobody, and costs the carrier nothing.
    let stranger = Phone::of(&server, "alice", "guessed");
    let refusal = stranger.try_call(&server, "+43123").err().expect("refused");
    assert_eq!(refusal.status(), 403);
    carrier.assert_logged("call out", 1);
}

#[test]
fn a_busy_callee_behind_the_carrier_is_the_callers_answer() {
    let (office, public) = (Phone::new(), Phone::new());
    let carrier = Kamailio::start(public.address());
    let server = exchange(&office, &[carrier.address], "udp", PASSWORD);
    let refusal = std::thread::scope(|scope| {
        let caller = scope.spawn(|| office.try_call(&server, "+43123").err());
        let invite = public.wait("INVITE", |message| message.method() == "INVITE");
        public.respond(carrier.address, &invite, "486 Busy Here", "");
        public.wait("ACK", |message| message.method() == "ACK");
        caller.join().expect("the caller's side").expect("refused")
    });
    assert_eq!(refusal.status(), 486);
    server.wait_no_call();
    carrier.assert_logged("challenged INVITE", 1);
}

#[test]
fn a_caller_who_gives_up_silences_the_telephone_behind_the_carrier() {
    let (office, public) = (Phone::new(), Phone::new());
    let carrier = Kamailio::start(public.address());
    let server = exchange(&office, &[carrier.address], "udp", PASSWORD);
    let invite = office.invite_text(server.sip(), "+43123");
    office.send(server.sip(), &invite);
    let rings = public.wait("INVITE", |message| message.method() == "INVITE");
    public.respond(carrier.address, &rings, "180 Ringing", "");
    office.wait("180", |message| message.status() == 180);

    office.send(server.sip(), &cancel(&invite));
    let cancelled = public.wait("CANCEL", |message| message.method() == "CANCEL");
    public.respond(carrier.address, &cancelled, "200 OK", "");
    public.respond(carrier.address, &rings, "487 Request Terminated", "");
    public.wait("ACK", |message| message.method() == "ACK");
    let refusal = office.wait("487", |message| message.status() == 487);
    office.send(
        server.sip(),
        &office.ack_of_refusal(server.sip(), "+43123", &refusal),
    );
    server.wait_no_call();
}

/// 100 says that the call is in somebody's hands: however long it then takes to ring, no other carrier gets it as well.
#[test]
fn a_carrier_that_has_said_100_keeps_the_call() {
    let (office, public) = (Phone::new(), Phone::new());
    let first = Kamailio::start(public.address());
    let second = Kamailio::start(public.address());
    let server = exchange(&office, &[first.address, second.address], "udp", PASSWORD);
    let (mut caller, callee) = std::thread::scope(|scope| {
        let call = scope.spawn(|| office.call(&server, "+43123"));
        // Kamailio's 100 came; the telephone takes longer than `failover_timeout_s` to say anything.
        let invite = public.wait("INVITE", |message| message.method() == "INVITE");
        std::thread::park_timeout(Duration::from_secs(3));
        let callee = public.answer(first.address, &invite);
        (call.join().expect("the caller's side"), callee)
    });
    hear_each_other(&caller, &callee);
    caller.hang_up();
    callee.wait_hang_up();
    let metrics = server.wait_no_call();
    let failovers = metrics.labelled("trunkline_trunk_failovers_total", "carrier");
    assert_eq!(failovers, 0.0);
    second.assert_logged("INVITE", 0);
}

/// What takes an INVITE back (RFC 3261 §9.1).
fn cancel(invite: &str) -> String {
    let kept = ["Via:", "Max-Forwards:", "From:", "To:", "Call-ID:", "CSeq:"];
    let lines = invite
        .split("\r\n")
        .enumerate()
        .filter(|(number, line)| *number == 0 || kept.iter().any(|name| line.starts_with(name)));
    let head: String = lines.map(|(_, line)| format!("{line}\r\n")).collect();
    head.replace("INVITE", "CANCEL") + "Content-Length: 0\r\n\r\n"
}
