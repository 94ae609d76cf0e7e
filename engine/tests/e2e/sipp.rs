//! sipp against the real binary: its built-in scenarios and ours.
use crate::server::{PATIENCE, Server, own_address, wait_end};
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Where the package sip-tester keeps the audio of its scenarios.
const SIPP_DATA: &str = "/usr/share/sip-tester";

/// What a run of sipp came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// Calls that ended as the scenario says.
    pub(crate) successful: u64,
    /// Calls that did not.
    pub(crate) failed: u64,
    /// Messages the scenario did not expect, as sipp wrote them down.
    pub(crate) unexpected: String,
    /// The messages that came and went, if it was asked to keep them (`-trace_msg`).
    pub(crate) messages: String,
    /// Its last screen.
    pub(crate) screen: String,
}

/// One run of sipp.
pub(crate) struct Sipp {
    scenario: Vec<String>,
    file: Option<PathBuf>,
    key: Option<String>,
    calls: u32,
    rate: u32,
    ip: Ipv4Addr,
    port: Option<u16>,
    extra: Vec<String>,
}

impl Sipp {
    /// A scenario built into sipp.
    pub(crate) fn built_in(name: &str) -> Self {
        Self::of(["-sn".into(), name.into()])
    }

    /// A scenario of the folder `scenarios`.
    pub(crate) fn own(name: &str) -> Self {
        // It looks for the audio next to the scenario, so the scenario goes where the link to the audio is.
        let mut run = Self::of(["-sf".into(), name.replace('/', "_")]);
        run.file = Some(scenarios().join(name));
        run
    }

    fn of(scenario: [String; 2]) -> Self {
        Self {
            scenario: scenario.into(),
            file: None,
            key: None,
            calls: 1,
            rate: 1,
            ip: own_address(),
            port: None,
            extra: Vec::new(),
        }
    }

    /// A caller who presses one key, by the name that sipp's recordings have for it, and waits for the end.
    pub(crate) fn pressing(key: &str) -> Self {
        let mut run = Self::own("key.xml");
        run.key = Some(key.to_owned());
        run
    }

    /// How many calls, and how many a second.
    pub(crate) fn calls(mut self, calls: u32, rate: u32) -> Self {
        (self.calls, self.rate) = (calls, rate);
        self
    }

    /// More arguments.
    pub(crate) fn with(mut self, arguments: &[&str]) -> Self {
        self.extra
            .extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// The address it sends from and answers at.
    pub(crate) fn at(mut self, ip: Ipv4Addr, port: u16) -> Self {
        (self.ip, self.port) = (ip, Some(port));
        self
    }

    /// Calls `user` and runs to its end.
    #[track_caller]
    pub(crate) fn run(self, server: &Server, user: &str) -> Outcome {
        self.start(Some((server, user))).wait()
    }

    /// Waits for calls, in the background.
    #[track_caller]
    pub(crate) fn answer(self) -> Running {
        let at = (self.ip, self.port.expect("a callee has a port"));
        let running = self.start(None);
        // Its socket is open once the port is taken.
        let patience = Instant::now() + PATIENCE;
        while UdpSocket::bind(at).is_ok() {
            assert!(Instant::now() < patience, "sipp does not start");
            std::thread::park_timeout(Duration::from_millis(20));
        }
        running
    }

    /// Starts it, as caller of a user or as callee.
    #[track_caller]
    pub(crate) fn start(self, calls: Option<(&Server, &str)>) -> Running {
        let scratch = tempfile::tempdir().expect("scratch folder");
        std::os::unix::fs::symlink(SIPP_DATA, scratch.path().join("pcap"))
            .expect("link to sipp's audio");
        if let Some(file) = &self.file {
            let text = std::fs::read_to_string(file)
                .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
            let text = text.replace("KEY", self.key.as_deref().unwrap_or("KEY"));
            std::fs::write(scratch.path().join(&self.scenario[1]), text).expect("write");
        }
        let child = self
            .command(calls)
            .current_dir(scratch.path())
            .stdout(std::fs::File::create(scratch.path().join("screen.txt")).expect("create"))
            .spawn()
            .expect("sipp is needed: apt-get install sip-tester (make test does it)");
        Running { child, scratch }
    }

    fn command(&self, calls: Option<(&Server, &str)>) -> Command {
        let ip = self.ip.to_string();
        let number = self.calls.to_string();
        let mut command = Command::new("sipp");
        command.args(&self.scenario).args(["-i", &ip, "-mi", &ip]);
        if let Some((server, user)) = calls {
            command.args([&server.sip().to_string(), "-s", user]);
        }
        if let Some(port) = self.port {
            command.args(["-p", &port.to_string()]);
        }
        let (rate, figures) = (self.rate.to_string(), ["-stf", "stat.csv", "-trace_err"]);
        command
            .args(["-m", &number, "-r", &rate, "-l", &number])
            .args(["-timeout", "120", "-timeout_error", "-nostdin"])
            .arg("-trace_stat")
            .args(figures)
            .args(["-error_file", "errors.log"])
            .args(&self.extra)
            .env("TERM", "dumb")
            .stdin(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

/// sipp at work. Ends with the value: only this very child is killed.
pub(crate) struct Running {
    child: Child,
    scratch: tempfile::TempDir,
}

impl Running {
    /// A file of its scratch folder; empty when there is none.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.scratch.path().join(name)).unwrap_or_default()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(mut self) -> Outcome {
        let status = wait_end(&mut self.child);
        let screen = self.read("screen.txt");
        let status = status.unwrap_or_else(|| {
            let messages = self.read("messages.log");
            panic!("sipp does not end:\n{messages}\n{screen}")
        });
        let (successful, failed) = totals(&self.read("stat.csv"))
            .unwrap_or_else(|| panic!("sipp ended with {status} and wrote no figures:\n{screen}"));
        Outcome {
            status,
            successful,
            failed,
            unexpected: self.read("errors.log"),
            messages: self.read("messages.log"),
            screen,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Outcome {
    /// All calls went as the scenario says and nothing else came.
    #[track_caller]
    pub(crate) fn assert_all(&self, calls: u64) {
        assert_eq!(
            (self.successful, self.failed, self.unexpected.as_str()),
            (calls, 0, ""),
            "{}\n{}",
            self.messages,
            self.screen
        );
        assert!(self.status.success(), "{}", self.status);
    }
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/e2e/scenarios")
}

/// Successful and failed calls from the last line of sipp's statistics.
fn totals(csv: &str) -> Option<(u64, u64)> {
    let mut lines = csv.lines();
    let names: Vec<&str> = lines.next()?.split(';').collect();
    let last: Vec<&str> = lines.last()?.split(';').collect();
    let value = |name: &str| {
        last.get(names.iter().position(|known| *known == name)?)?
            .parse()
            .ok()
    };
    Some((value("SuccessfulCall(C)")?, value("FailedCall(C)")?))
}

/// sipp plays pcap files through a raw socket, which only root or a sipp with that capability may open.
#[track_caller]
pub(crate) fn needs_raw_socket() {
    let root = std::fs::metadata("/proc/self")
        .map(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0)
        .unwrap_or(false);
    let capable = Command::new("/sbin/getcap")
        .arg("/usr/bin/sipp")
        .output()
        .is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains("cap_net_raw"));
    assert!(
        root || capable,
        "sipp plays pcap files through a raw socket: run as root, or once: sudo setcap cap_net_raw+ep /usr/bin/sipp (make test does it)"
    );
}

#[test]
fn uac_100_calls() {
    let server = Server::start();
    Sipp::built_in("uac")
        .calls(100, 20)
        .run(&server, "demo")
        .assert_all(100);
    let metrics = server.wait_idle();
    assert_eq!(metrics.labelled("trunkline_calls_total", "inbound"), 100.0);
}

#[test]
fn uac_pcap_calls_and_their_keys() {
    needs_raw_socket();
    let server = Server::start();
    // Each of these calls speaks for 8 s and then presses 1 (RFC 4733).
    Sipp::built_in("uac_pcap")
        .calls(10, 5)
        .run(&server, "demo")
        .assert_all(10);
    server.wait_idle();
    assert_eq!(server.keys('1', "rfc4733"), 10, "{}", server.log_text());
}

/// Each path through the demo as sipp walks it: the key by RFC 4733 from sipp's own recordings, then `#`, then Trunkline's goodbye and BYE.
#[test]
fn key_paths() {
    needs_raw_socket();
    let server = Server::start();
    let paths = [
        ("1", '1'),
        ("2", '2'),
        ("3", '3'),
        ("4", '4'),
        ("9", '9'),
        ("star", '*'),
        ("pound", '#'),
    ];
    std::thread::scope(|scope| {
        for (name, _) in paths {
            let server = &server;
            scope.spawn(move || {
                Sipp::own(&format!("key_{name}.xml"))
                    .run(server, "demo")
                    .assert_all(1)
            });
        }
    });
    server.wait_idle();
    for (_, key) in paths {
        assert!(
            server.keys(key, "rfc4733") > 0,
            "key {key} was not seen:\n{}",
            server.log_text()
        );
    }
}

#[test]
fn key_by_info() {
    let server = Server::start();
    Sipp::own("key_info.xml").run(&server, "demo").assert_all(1);
    server.wait_idle();
    assert_eq!(
        (server.keys('1', "info"), server.keys('#', "info")),
        (1, 1),
        "{}",
        server.log_text()
    );
}

#[test]
fn three_silent_rounds_end_the_call() {
    let server = Server::start();
    Sipp::own("silent.xml").run(&server, "demo").assert_all(1);
    server.wait_idle();
}

#[test]
fn over_tcp() {
    let server = Server::start();
    Sipp::built_in("uac")
        .calls(10, 10)
        .with(&["-t", "t1"])
        .run(&server, "demo")
        .assert_all(10);
    server.wait_idle();
}
