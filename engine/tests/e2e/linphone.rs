//! linphone-daemon, a real phone, against the real binary: headless, driven by commands on its standard input.
//!
//! It needs no sound card: what it says is a file played into the call, what it hears is told from its count of packets at the end.
use crate::server::{PATIENCE, free_port};
use std::io::{Read, Write};
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

/// Everything it wrote so far.
#[derive(Default)]
struct Output {
    text: Mutex<String>,
    grown: Condvar,
}

/// A phone. Ends with the value: only this very child is killed.
pub(crate) struct Linphone {
    child: Child,
    input: ChildStdin,
    output: Arc<Output>,
    /// How many of its call events were waited for.
    seen: usize,
    scratch: tempfile::TempDir,
}

impl Linphone {
    /// A phone with a socket of that transport, which trusts the certificates of `ca`.
    pub(crate) fn start(transport: &str, ca: &Path) -> Self {
        let scratch = tempfile::tempdir().expect("scratch folder");
        let folder = scratch.path();
        std::fs::create_dir_all(folder.join(".local/share/linphone")).expect("create");
        std::fs::write(folder.join("linphonerc"), configuration(ca)).expect("write");
        let mut child = Command::new("linphone-daemon")
            .args(["--config", "linphonerc", "--log", "log.txt"])
            .arg("--disable-stats-events")
            .current_dir(folder)
            .env("HOME", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(folder.join("stderr.txt")).expect("create"))
            .spawn()
            .expect("linphone-daemon is needed: apt-get install linphone-cli (make test does it)");
        let output = Arc::new(Output::default());
        collect(child.stdout.take().expect("piped"), &output);
        let mut phone = Self {
            input: child.stdin.take().expect("piped"),
            child,
            output,
            seen: 0,
            scratch,
        };
        let port = free_port(Ipv4Addr::LOCALHOST);
        phone.command(&format!("port sip {port} {transport}"));
        phone
    }

    /// Gives a command and returns what it answers.
    #[track_caller]
    pub(crate) fn command(&mut self, text: &str) -> String {
        let from = self.text().len();
        writeln!(self.input, "{text}").expect("write to linphone");
        let answer = self.wait(text, |all| {
            let (_, after) = all.get(from..)?.split_once("Status: ")?;
            after.contains("daemon-linphone>").then(|| after.to_owned())
        });
        assert!(answer.starts_with("Ok"), "linphone: {text}: {answer}");
        answer
    }

    /// Registers a user with `secret-of-` and its name as password, and waits until it is registered.
    #[track_caller]
    pub(crate) fn register(&mut self, user: &str, server: &str) {
        self.command(&format!(
            "register sip:{user}@{server} <sip:{server}> secret-of-{user}"
        ));
        self.wait_registered(true);
    }

    /// Waits until it is registered, or not any more.
    #[track_caller]
    pub(crate) fn wait_registered(&mut self, registered: bool) {
        let patience = Instant::now() + PATIENCE;
        let state = [
            "State: LinphoneRegistrationCleared",
            "State: LinphoneRegistrationOk",
        ][usize::from(registered)];
        loop {
            let answer = self.command("register-info ALL");
            if answer.contains(state) {
                return;
            }
            assert!(
                Instant::now() < patience,
                "linphone: {answer}\n{}",
                self.log()
            );
            std::thread::park_timeout(std::time::Duration::from_millis(100));
        }
    }

    /// Calls and returns its number of the call.
    #[track_caller]
    pub(crate) fn call(&mut self, uri: &str) -> String {
        let answer = self.command(&format!("call {uri}"));
        let (_, id) = answer.split_once("Id: ").expect("the id of a call");
        id.split_whitespace().next().expect("a number").to_owned()
    }

    /// Waits for the next event that says this about a call; returns its number of the call.
    #[track_caller]
    pub(crate) fn wait_call(&mut self, state: &str) -> String {
        let seen = self.seen;
        let (at, id) = self.wait(state, |all| {
            let events = all.split("Event: LinphoneCall").skip(1).enumerate();
            events.skip(seen).find_map(|(at, event)| {
                let (_, rest) = event.split_once("\nId: ")?;
                let id = rest.split_whitespace().next()?;
                let same = event.lines().next() == Some(state);
                same.then(|| (at, id.to_owned()))
            })
        });
        self.seen = at + 1;
        id
    }

    /// Plays a WAV file into the current call.
    #[track_caller]
    pub(crate) fn say(&mut self, wav: &[u8], call: &str) {
        let file = self.scratch.path().join("says.wav");
        std::fs::write(&file, wav).expect("write");
        self.command(&format!("incall-player-start {} {call}", file.display()));
    }

    /// Of its last call it has received at least so many packets of audio, and understood all of them.
    #[track_caller]
    pub(crate) fn assert_heard(&self, packets: u64) {
        let log = self.log();
        let count = |what: &str| -> u64 {
            let line = log.lines().rev().find(|line| line.contains(what));
            let line = line.unwrap_or_else(|| panic!("linphone does not say {what}:\n{log}"));
            let number = line.split_whitespace().rev().nth(1).expect("a number");
            number.parse().expect("a number")
        };
        let heard = count("ortp-message-received    ");
        assert!(heard >= packets, "linphone received {heard} packets");
        assert_eq!(count("incoming bad formatted"), 0);
    }

    /// Its log, which also holds every SIP message.
    pub(crate) fn log(&self) -> String {
        let log = std::fs::read(self.scratch.path().join("log.txt")).unwrap_or_default();
        String::from_utf8_lossy(&log).into_owned()
    }

    #[track_caller]
    fn wait<T>(&self, what: &str, wanted: impl Fn(&str) -> Option<T>) -> T {
        let patience = Instant::now() + PATIENCE;
        let mut text = self
            .output
            .text
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = wanted(&text) {
                return found;
            }
            let left = patience.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "linphone: {what} did not come:\n{text}\n{}",
                self.log()
            );
            let grown = self.output.grown.wait_timeout(text, left);
            text = grown.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn text(&self) -> String {
        let text = self.output.text.lock();
        text.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Linphone {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- linphone ---\n{}", self.text());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn collect(mut stream: impl Read + Send + 'static, output: &Arc<Output>) {
    let output = Arc::clone(output);
    std::thread::spawn(move || {
        let mut chunk = [0; 4096];
        while let Ok(length @ 1..) = stream.read(&mut chunk) {
            let mut text = output.text.lock().unwrap_or_else(PoisonError::into_inner);
            text.push_str(&String::from_utf8_lossy(&chunk[..length]));
            output.grown.notify_all();
        }
    });
}

/// The audio port is drawn by the system (-1).
fn configuration(ca: &Path) -> String {
    let ca = ca.display();
    format!(
        "[sip]\nsip_port=-1\nsip_tcp_port=-1\nsip_tls_port=-1\nuse_ipv6=0\nguess_hostname=0\nregister_only_when_network_is_up=0\nroot_ca={ca}\n\
         [rtp]\naudio_rtp_port=-1\n[misc]\n"
    )
}
