//! Calls through the real binary from one trunk out over another.
use crate::message::Message;
use crate::phone::Phone;
use crate::server::{PATIENCE, Server, Settings, trunkline};
use std::net::{SocketAddr, UdpSocket};

/// A carrier that answers each INVITE with one status, and everything else with 200. Its thread ends with the test's process.
fn carrier(status: &'static str) -> (SocketAddr, std::sync::mpsc::Receiver<String>) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let address = socket.local_addr().expect("bound");
    let (tell, invites) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 65_536];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let request = Message::parse(text.as_bytes());
            if request.method() == "ACK" || text.trim().is_empty() {
                continue;
            }
            let invite = request.method() == "INVITE";
            let status = if invite { status } else { "200 OK" };
            let _ = socket.send_to(response(&request, status).as_bytes(), from);
            if invite && tell.send(text).is_err() {
                return;
            }
        }
    });
    (address, invites)
}

fn response(request: &Message, status: &str) -> String {
    let mut text = format!("SIP/2.0 {status}\r\n");
    for name in ["Via", "From", "Call-ID", "CSeq"] {
        let value = request.header(name).expect(name);
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    let to = request.header("To").expect("To");
    text.push_str(&format!(
        "To: {to};tag=carrier\r\nContent-Length: 0\r\n\r\n"
    ));
    text
}

#[test]
fn a_call_fails_over_to_the_second_target_and_its_refusal_is_the_callers() {
    let (first, to_first) = carrier("503 Service Unavailable");
    let (second, to_second) = carrier("486 Busy Here");
    let server = Server::with(Settings {
        callers: format!(
            "[[trunk]]\nname = \"loopback\"\nacl = [\"127.0.0.0/8\"]\n\
             [[trunk]]\nname = \"out\"\ncountry_code = \"49\"\ndenied_prefixes = [\"+49900\"]\nfrom_domain = \"us.example\"\n\
             rewrite = [{{ prefix = \"+49\", replace = \"0\" }}]\n\
             targets = [{{ uri = \"sip:{first}\", priority = 1 }}, {{ uri = \"sip:{second}\", priority = 2 }}]\n\
             [[number]]\nto = \"*\"\ntrunk = \"out\"\nfrom = [\"trunk:loopback\"]\n"
        ),
        numbers: Vec::new(),
        // A trunk listens on the address it sends from.
        ip: [127, 0, 0, 1].into(),
        sip_port: crate::server::free_port([127, 0, 0, 1].into()),
        http_port: crate::server::free_port([127, 0, 0, 1].into()),
        ..Settings::default()
    });
    server.wait_metrics("both targets are up", |metrics| {
        metrics.labelled("trunkline_trunk_targets_up", "out") == 2.0
    });
    let refusal = Phone::new().try_call(&server, "+4930123").err();
    assert_eq!(refusal.expect("refused").status(), 486);
    let tried = to_first.recv_timeout(PATIENCE).expect("an INVITE");
    let invite = to_second.recv_timeout(PATIENCE).expect("an INVITE");
    assert!(
        tried.starts_with(&format!("INVITE sip:030123@{first} ")),
        "{tried}"
    );
    assert!(
        invite.starts_with(&format!("INVITE sip:030123@{second} ")),
        "{invite}"
    );
    assert!(invite.contains("P-Asserted-Identity: "), "{invite}");
    let from = Message::parse(invite.as_bytes());
    assert!(
        from.header("From").expect("From").contains("@us.example>"),
        "{invite}"
    );
    let refusal = Phone::new().try_call(&server, "0900123").err();
    assert_eq!(refusal.expect("refused").status(), 403);
    assert!(to_first.try_recv().is_err() && to_second.try_recv().is_err());
    let metrics = server.wait_metrics("no call is left", |metrics| {
        metrics.sum("trunkline_calls_active") == 0.0 && metrics.sum("trunkline_trunk_calls") == 0.0
    });
    assert_eq!(
        metrics.labelled("trunkline_trunk_failovers_total", "out"),
        1.0
    );
    assert_eq!(
        metrics.labelled("trunkline_trunk_refused_total", "trunk-prefix-denied"),
        1.0
    );
}

/// A trunk that takes no calls is refused with the time after which it may, and one of several that refuse leaves its time, too.
#[test]
fn a_caller_is_told_when_a_trunk_may_take_calls_again() {
    let (carrier, invites) = carrier("503 Service Unavailable\r\nRetry-After: 60");
    let server = Server::with(Settings {
        callers: format!(
            "[[trunk]]\nname = \"loopback\"\nacl = [\"127.0.0.0/8\"]\n\
             [[trunk]]\nname = \"out\"\ntarget = \"sip:{carrier}\"\n\
             [[number]]\nto = \"*\"\ntrunk = \"out\"\nfrom = [\"trunk:loopback\"]\n"
        ),
        numbers: Vec::new(),
        // A trunk listens on the address it sends from.
        ip: [127, 0, 0, 1].into(),
        sip_port: crate::server::free_port([127, 0, 0, 1].into()),
        http_port: crate::server::free_port([127, 0, 0, 1].into()),
        ..Settings::default()
    });
    server.wait_metrics("the target is up", |metrics| {
        metrics.labelled("trunkline_trunk_targets_up", "out") == 1.0
    });
    // The carrier refuses the first; the second does not get there.
    for _ in 0..2 {
        let refusal = Phone::new()
            .try_call(&server, "123")
            .err()
            .expect("refused");
        assert_eq!(refusal.status(), 503, "{refusal:?}");
        let after = refusal.header("Retry-After").expect("Retry-After");
        let after: u32 = after.parse().expect("seconds");
        assert!((1..=60).contains(&after), "{after}");
    }
    assert!(invites.recv_timeout(PATIENCE).is_ok() && invites.try_recv().is_err());
}

#[test]
fn the_example_is_good() {
    let file = crate::examples().join("trunks.toml");
    let file = file.to_str().expect("UTF-8");
    let (status, said) = trunkline(&["check", file]);
    assert!(status.success(), "{said}");
    let (status, said) = trunkline(&[
        "route-test",
        "--as",
        "alice",
        "100",
        "030123456",
        "-c",
        file,
    ]);
    assert!(status.success(), "{said}");
    assert!(
        said.contains("\"+4930123456\" over trunk \"carrier\""),
        "{said}"
    );
}
