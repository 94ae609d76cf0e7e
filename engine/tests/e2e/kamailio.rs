//! Kamailio as the carrier: a registrar and digest proxy that records its route. This file runs it, and tests registration with it.
use crate::phone::Phone;
use crate::server::log::Log;
use crate::server::{PATIENCE, Server, Settings, wait_end};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Where the Debian package puts it, which is not on everybody's PATH.
const PROGRAM: &str = "/usr/sbin/kamailio";

/// A running Kamailio with `scenarios/kamailio.cfg`. Ends with the value.
pub(crate) struct Kamailio {
    child: Child,
    log: Arc<Log>,
    /// Where it takes SIP, UDP and TCP.
    pub(crate) address: SocketAddr,
    /// Its runtime folder, kept as long as it runs.
    _scratch: tempfile::TempDir,
}

impl Kamailio {
    /// A carrier whose public network is the telephone at `callee`.
    pub(crate) fn start(callee: SocketAddr) -> Self {
        Self::with(new_address(), callee, &[])
    }

    /// The same at an address, with more definitions of its configuration.
    pub(crate) fn with(address: SocketAddr, callee: SocketAddr, defined: &[&str]) -> Self {
        let scratch = tempfile::tempdir().expect("scratch folder");
        let configuration =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/scenarios/kamailio.cfg");
        let ip = address.ip();
        let addresses = [
            format!("CARRIER_ADDRESS={address}"),
            format!("CARRIER_IP={ip}"),
            format!("CALLEE_URI=\"sip:{callee}\""),
        ];
        let definitions = addresses
            .iter()
            .map(String::as_str)
            .chain(defined.iter().copied());
        let packaged = Some(PROGRAM).filter(|path| Path::new(path).exists());
        let mut child = Command::new(packaged.unwrap_or("kamailio"))
            .args(["-DD", "-E", "-m", "16", "-M", "4", "-f"])
            .arg(configuration)
            .arg("-Y")
            .arg(scratch.path())
            .arg("-w")
            .arg(scratch.path())
            .args(definitions.flat_map(|definition| ["-A", definition]))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("kamailio is needed: apt-get install kamailio (make test does it)");
        let log = Arc::new(Log::default());
        log.collect(child.stderr.take().expect("piped"));
        let mut carrier = Self {
            child,
            log,
            address,
            _scratch: scratch,
        };
        carrier.wait_ready();
        carrier
    }

    /// Waits until it answers an OPTIONS.
    fn wait_ready(&mut self) {
        let socket = UdpSocket::bind((crate::server::own_address(), 0)).expect("bind");
        socket
            .set_read_timeout(Some(Duration::from_millis(100)))
            .expect("timeout");
        let (here, there) = (socket.local_addr().expect("bound"), self.address);
        let patience = Instant::now() + PATIENCE;
        for turn in 1.. {
            let options = format!(
                "OPTIONS sip:{there} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKready{turn}\r\nMax-Forwards: 70\r\nFrom: <sip:test@{here}>;tag=ready\r\nTo: <sip:{there}>\r\nCall-ID: ready\r\nCSeq: {turn} OPTIONS\r\nContent-Length: 0\r\n\r\n"
            );
            let _ = socket.send_to(options.as_bytes(), there);
            if socket.recv(&mut [0; 2048]).is_ok() {
                return;
            }
            let ended = self.child.try_wait().expect("wait");
            assert!(
                ended.is_none() && Instant::now() < patience,
                "kamailio does not answer ({ended:?}):\n{}",
                self.log.text()
            );
        }
    }

    /// Waits until it has logged `text` for so many requests.
    #[track_caller]
    pub(crate) fn wait_log(&self, text: &str, times: usize) {
        self.log
            .wait_different(text, times, |line| line.contains(text));
    }

    /// So many requests are logged with `text`, once they are here, and no more so far.
    #[track_caller]
    pub(crate) fn assert_logged(&self, text: &str, times: usize) {
        self.wait_log(text, times);
        let lines = self.log.different(|line| line.contains(text));
        assert_eq!(lines, times, "{text}");
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- kamailio's log ---\n{}", self.log.text());
        }
        // Its own processes end with it when it is asked to, not when it is killed.
        if matches!(self.child.try_wait(), Ok(None)) {
            let pid = self.child.id().to_string();
            let _ = Command::new("kill").args(["-TERM", &pid]).status();
            let _ = wait_end(&mut self.child);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address for a carrier that no other test has.
pub(crate) fn new_address() -> SocketAddr {
    let ip = crate::server::own_address();
    (ip, crate::server::free_port(ip)).into()
}

/// A trunk section for carriers at these URIs, first choice first, which registers at the first when `register` says so.
pub(crate) fn trunk(targets: &[String], register: bool, password: &str) -> String {
    let targets: Vec<String> = (1..)
        .zip(targets)
        .map(|(priority, uri)| format!("{{ uri = {uri:?}, priority = {priority} }}"))
        .collect();
    format!(
        "[[trunk]]\nname = \"carrier\"\ntargets = [{}]\nregister = {register}\nusername = \"customer\"\npassword = {password:?}\n\
         auth_realm = \"carrier.test\"\nfrom_user = \"customer\"\nfrom_domain = \"carrier.test\"\noptions_interval_s = 1\nfailover_timeout_s = 2\n",
        targets.join(", ")
    )
}

/// The password of the carrier's customer.
pub(crate) const PASSWORD: &str = "s3cret-of-the-test";

/// A server with that trunk, whose number +4930100 is the demo.
pub(crate) fn customer(callers: String) -> Server {
    Server::with(Settings {
        callers,
        numbers: vec![("+4930100".into(), "builtin:demo".into())],
        ..Settings::default()
    })
}

/// Registers, takes a call from the public network that goes through a menu, refreshes and takes the registration back.
#[track_caller]
fn registers_and_is_called_over(transport: &str) {
    let public = Phone::new();
    let carrier = Kamailio::start(public.address());
    let target = format!("sip:{};transport={transport}", carrier.address);
    let mut server = customer(trunk(&[target], true, PASSWORD));
    server.wait_log("the registration", |line| {
        line.contains("registered trunk=\"carrier\"")
    });
    carrier.assert_logged("challenged REGISTER", 1);
    carrier.wait_log(&format!("registered over {transport}"), 1);

    let mut call = public.dial(carrier.address, "+4930100").expect("answered");
    let welcomed = call.wait_prompt("welcome", 0);
    call.press('1');
    let pressed = call.wait_prompt("digit_1", welcomed);
    let informed = call.wait_prompt("info", pressed);
    call.press_info('#');
    call.wait_prompt("goodbye", informed);
    call.wait_hang_up();
    for method in ["ACK", "INFO", "BYE"] {
        carrier.wait_log(&format!("routed {method}"), 1);
    }
    server.wait_no_call();
    Phone::new()
        .dial(carrier.address, "+4930100")
        .expect("answered")
        .hang_up();
    carrier.wait_log("routed BYE", 2);

    // The carrier grants 20 s only, and judges itself whether the refresh comes before they are over.
    carrier.wait_log(&format!("refreshed over {transport}"), 1);
    carrier.assert_logged(&format!(" registered over {transport}"), 1);
    server.terminate();
    assert!(server.wait_end().success());
    carrier.wait_log(&format!("unregistered over {transport}"), 1);
    let refusal = Phone::new().dial(carrier.address, "+4930100").err();
    assert_eq!(refusal.expect("refused").status(), 480);
    carrier.assert_logged("strayed", 0);
    carrier.assert_logged("denied", 0);
}

#[test]
fn registers_and_is_called_over_udp() {
    registers_and_is_called_over("udp");
}

#[test]
fn registers_and_is_called_over_tcp() {
    registers_and_is_called_over("tcp");
}

#[test]
fn a_wrong_password_is_told_once_and_not_tried_again_and_again() {
    let carrier = Kamailio::start(Phone::new().address());
    let target = format!("sip:{}", carrier.address);
    let server = customer(trunk(&[target], true, "wrong"));
    let line = server.wait_log("the refusal", |line| line.contains("registration-failed"));
    assert!(
        line.contains("401 Unauthorized: username or password is wrong"),
        "{line}"
    );
    let next = line
        .split("next_s=")
        .nth(1)
        .and_then(|rest| rest.split(' ').next());
    let next: u32 = next.and_then(|next| next.parse().ok()).expect("next_s");
    assert!(next >= 60, "{line}");
    assert!(
        !server.log_text().contains("wrong\""),
        "the password is in the log"
    );
    // The health checks go on, the registration rests.
    server.wait_metrics("the target is up", |metrics| {
        metrics.labelled("trunkline_trunk_targets_up", "carrier") == 1.0
    });
    carrier.assert_logged("challenged REGISTER", 1);
    carrier.assert_logged("denied REGISTER", 1);
}

#[test]
fn a_challenge_for_another_realm_gets_no_answer() {
    let carrier = Kamailio::start(Phone::new().address());
    let target = format!("sip:{}", carrier.address);
    let section = trunk(&[target], true, PASSWORD).replace(
        "\"carrier.test\"\nfrom_user",
        "\"elsewhere.test\"\nfrom_user",
    );
    let server = customer(section);
    let line = server.wait_log("the refusal", |line| line.contains("registration-failed"));
    assert!(
        line.contains("401 Unauthorized") && line.contains("realm"),
        "{line}"
    );
    carrier.assert_logged("challenged REGISTER", 1);
    carrier.assert_logged("denied REGISTER", 0);
}

/// Registered at the first of two over TCP; when it goes, the lost connection tells, and the second gets the registration and the calls.
#[test]
fn the_registration_moves_to_the_second_carrier_when_the_first_goes() {
    let public = Phone::new();
    let first = Kamailio::start(public.address());
    let second = Kamailio::start(public.address());
    let targets = [&first, &second].map(|carrier| format!("sip:{};transport=tcp", carrier.address));
    let server = customer(trunk(&targets, true, PASSWORD));
    first.wait_log("registered over tcp", 1);
    second.assert_logged("REGISTER", 0);
    drop(first);
    second.wait_log("registered over tcp", 1);
    let mut call = public.dial(second.address, "+4930100").expect("answered");
    call.wait_prompt("welcome", 0);
    call.hang_up();
    second.wait_log("routed BYE", 1);
    server.wait_no_call();
}
