//! What goes wrong around a server that works: no more open files, a signal to stop or to reload in the middle of everything.
use crate::phone::Phone;
use crate::server::{Server, Settings, signal};
use crate::sipp::Sipp;
use std::process::Command;

/// Changes how many files a process may have open. The hard limit stays.
fn allow_files(server: &Server, files: usize) {
    let status = Command::new("prlimit")
        .args(["--pid", &server.pid().to_string()])
        .arg(format!("--nofile={files}:"))
        .status()
        .expect("prlimit (util-linux)");
    assert!(status.success(), "prlimit --nofile={files}: {status}");
}

fn open_files(server: &Server) -> usize {
    let folder = format!("/proc/{}/fd", server.pid());
    std::fs::read_dir(folder).expect("/proc").count()
}

#[test]
fn without_descriptors_the_next_call_is_refused_and_those_in_progress_go_on() {
    let server = Server::start();
    let mut first = Phone::new().call(&server, "demo");
    first.wait_begin("welcome", &crate::prompt("welcome"), 0);
    allow_files(&server, open_files(&server));
    for _ in 0..3 {
        let refusal = Phone::new().try_call(&server, "demo").err();
        let refusal = refusal.expect("no call without a socket");
        assert_eq!(refusal.status(), 503, "{}", refusal.start);
        assert!(refusal.header("Retry-After").is_some(), "{refusal:?}");
    }
    server.wait_log("what to change", |line| {
        line.contains("rule=\"no-open-files\"") && line.contains("LimitNOFILE")
    });
    let from = first.position();
    first.press_info('9');
    first.wait_prompt("goodbye", from);
    first.hang_up();

    allow_files(&server, 4096);
    Phone::new().call(&server, "demo").hang_up();
    server.wait_idle();
}

#[test]
fn signals_at_peak_cost_no_call() {
    const CALLS: u32 = 60;
    let mut server = Server::with(Settings {
        drain_s: 3600,
        ..Settings::default()
    });
    // Each stays until all are there and every signal has come.
    let calls = Sipp::built_in("uac")
        .calls(CALLS, CALLS)
        .with(&["-d", "15000"])
        .start(Some((&server, "demo")));
    server.wait_metrics("half of them are there", |metrics| {
        metrics.sum("trunkline_calls_active") >= f64::from(CALLS / 2)
    });
    for time in 1..=3 {
        signal(server.pid(), "HUP");
        server.wait_log_times("in force", time, |line| line.contains("is in force"));
    }
    server.wait_metrics("all are there", |metrics| {
        metrics.sum("trunkline_calls_active") >= f64::from(CALLS)
    });
    server.terminate();
    server.wait_log("drain", |line| line.contains("draining"));
    let refusal = Phone::new().try_call(&server, "demo").err();
    assert_eq!(refusal.expect("refused while draining").status(), 503);
    calls.wait().assert_all(CALLS.into());
    let status = server.wait_end();
    assert!(status.success(), "{status}\n{}", server.log_text());
}
