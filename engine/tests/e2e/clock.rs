//! The clock of the machine is set while calls go on: an hour forth, and two hours back. libfaketime changes what the server is told is the
//! time of day; time that passes goes on as it did.
use crate::killed::{Receiver, SECRET};
use crate::phone::Phone;
use crate::server::{PATIENCE, Server, Settings, free_port, own_address, signal};
use jiff::Timestamp;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// The library, wherever Debian puts it for this kind of machine.
fn library() -> PathBuf {
    let folders = std::fs::read_dir("/usr/lib").expect("/usr/lib");
    let files = folders.map(|folder| {
        let folder = folder.expect("a folder").path();
        folder.join("faketime/libfaketimeMT.so.1")
    });
    files
        .into_iter()
        .find(|file| file.exists())
        .expect("libfaketime (make test installs it)")
}

/// The environment of a server that goes by a clock which the file `clock` sets: seconds beside ours, such as `+3600`.
pub(crate) fn clocked(clock: &Path) -> Vec<(&'static str, String)> {
    vec![
        ("LD_PRELOAD", library().display().to_string()),
        ("FAKETIME_TIMESTAMP_FILE", clock.display().to_string()),
        ("FAKETIME_CACHE_DURATION", "1".into()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".into()),
    ]
}

fn server(clock: &Path, hook: SocketAddr) -> Server {
    let ip = own_address();
    let defaults = Settings::default();
    let sections = format!(
        "[fetch]\nallow = [\"127.0.0.0/8\"]\n[cdr]\nfile = \"cdr.jsonl\"\n\
         [[webhook]]\nname = \"test\"\nurl = \"http://{hook}/\"\nsecret = \"{SECRET}\"\nevents = [\"call.ended\"]\n\
         [[endpoint]]\nuser = \"alice\"\npassword = \"secret-of-alice\"\n{}",
        defaults.callers
    );
    Server::with(Settings {
        ip,
        sip_port: free_port(ip),
        http_port: free_port(ip),
        callers: sections,
        environment: clocked(clock),
        ..defaults
    })
}

/// Sets the server's clock to so many hours beside ours, and waits until it goes by that.
#[track_caller]
fn set(server: &Server, clock: &Path, hours: i64) {
    std::fs::write(clock, format!("{:+}", hours * 3600)).expect("write");
    let patience = Instant::now() + PATIENCE;
    loop {
        let beside = now(server).duration_since(Timestamp::now()).as_secs();
        if (beside - hours * 3600).abs() < 600 {
            return;
        }
        assert!(Instant::now() < patience, "{beside} s beside ours");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// The server's clock, as its log tells it.
fn now(server: &Server) -> Timestamp {
    let in_force = |line: &str| line.contains("is in force");
    let times = server.count_log(in_force) + 1;
    signal(server.pid(), "HUP");
    let line = server.wait_log_times("in force", times, in_force);
    let time = line.split_whitespace().next().expect("a time");
    time.parse().expect("a time")
}

#[test]
fn a_step_of_the_clock_changes_no_call() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let clock = folder.path().join("clock");
    std::fs::write(&clock, "+0").expect("write");
    let (receiver, hook) = Receiver::start(own_address());
    let server = server(&clock, hook);
    let phone = |server: &Server| Phone::of(server, "alice", "secret-of-alice");
    for (hours, calls) in [(1, 2), (-1, 4)] {
        let before = phone(&server).call(&server, "demo");
        before.wait_begin("welcome", &crate::prompt("welcome"), 0);
        set(&server, &clock, hours);
        let from = before.position();
        before.press('#');
        before.wait_begin("goodbye", &crate::prompt("goodbye"), from);
        before.wait_hang_up();
        phone(&server).call(&server, "demo").hang_up();
        server.wait_metrics("the calls are over", |metrics| {
            metrics.sum("trunkline_calls_active") == 0.0
                && metrics.sum("trunkline_webhooks_waiting") == f64::from(calls)
        });
    }
    // What was to be tried again later is not put off for hours.
    receiver.open.store(true, Ordering::SeqCst);
    assert_eq!(receiver.wait(4).len(), 4);
    let lines = std::fs::read_to_string(server.scratch.path().join("cdr.jsonl")).expect("records");
    let calls: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("whole lines"))
        .filter(|record: &Value| record["type"] == "call")
        .collect();
    assert_eq!(calls.len(), 4);
    for call in &calls {
        let seconds = call["seconds"].as_f64().expect("a number");
        assert!(seconds > 0.0 && seconds < 600.0, "{call}");
    }
}
