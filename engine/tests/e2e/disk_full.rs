//! A disk without room: the store loses what it should have written, by name, and no call notices. Its files lie on a small file system of
//! their own, which only the server and those who look through /proc see.
use crate::api::{admin, with};
use crate::killed::{Receiver, SECRET};
use crate::phone::Phone;
use crate::server::{Server, Settings, free_port, own_address};
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

/// Mounts the file system and becomes the server; the namespace goes with the process.
const ON_A_SMALL_DISK: &str =
    "mkdir small && mount -t tmpfs -o size=4m none small && exec \"$0\" \"$@\"";

fn server(hook: SocketAddr) -> Server {
    let ip = own_address();
    let defaults = Settings::default();
    let sections = format!(
        "[store]\nfile = \"small/trunkline.db\"\n[fetch]\nallow = [\"127.0.0.0/8\"]\n\
         [[webhook]]\nname = \"test\"\nurl = \"http://{hook}/\"\nsecret = \"{SECRET}\"\nevents = [\"call.ended\"]\n{}",
        defaults.callers
    );
    Server::with(Settings {
        ip,
        sip_port: free_port(ip),
        http_port: free_port(ip),
        callers: sections,
        run_by: vec![
            "unshare",
            "--user",
            "--map-root-user",
            "--mount",
            "sh",
            "-c",
            ON_A_SMALL_DISK,
        ],
        ..defaults
    })
}

/// A file on the small disk.
fn small(server: &Server, name: &str) -> PathBuf {
    let folder = server.scratch.path().join("small");
    let inside = folder.strip_prefix("/").expect("an absolute path");
    let root = PathBuf::from(format!("/proc/{}/root", server.pid()));
    root.join(inside).join(name)
}

/// A call in which a prompt is heard, a key is pressed and another prompt is heard.
#[track_caller]
fn call(server: &Server) {
    let call = Phone::new().call(server, "demo");
    call.wait_begin("welcome", &crate::prompt("welcome"), 0);
    let from = call.position();
    call.press('#');
    call.wait_begin("goodbye", &crate::prompt("goodbye"), from);
    call.wait_hang_up();
    server.wait_idle();
}

#[test]
fn a_store_without_room_costs_what_it_should_have_written_and_no_call() {
    let (receiver, hook) = Receiver::start(own_address());
    receiver.open.store(true, Ordering::SeqCst);
    let server = server(hook);
    call(&server);
    receiver.wait(1);

    let ballast = small(&server, "ballast");
    let mut file = File::create(&ballast).expect("user namespaces are needed");
    while file.write_all(&[0; 4096]).is_ok() {}
    call(&server);
    server.wait_metrics("what is lost is counted by name", |metrics| {
        metrics.labelled("trunkline_store_failed_total", "disk-full") > 0.0
            && metrics.labelled("trunkline_webhooks_dropped_total", "\"store\"") == 1.0
    });
    server.wait_log("what is full", |line| {
        line.contains("rule=\"store-failed\"")
            && line.contains("small/trunkline.db: the disk is full")
    });

    std::fs::remove_file(&ballast).expect("remove");
    drop(file);
    call(&server);
    let told = receiver.wait(2);
    assert_eq!(told.len(), 2, "{told:?}");
    let records = with(&server, &admin(&server), "GET", "/api/v1/cdrs", "");
    let ended = records.body.matches("\"state\":\"complete\"").count();
    assert_eq!((records.status, ended), (200, 2), "{}", records.body);
}
