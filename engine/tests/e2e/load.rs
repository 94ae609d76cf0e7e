//! `trunkline load` against `trunkline run`: every call is answered, every frame comes, every key is answered.
use crate::server::{BINARY, Server, Settings, own_address};
use serde_json::Value;
use std::process::Command;

/// Runs the generator from an address of its own; its JSON report.
fn load(server: &Server, arguments: &[&str]) -> Value {
    let target = format!("sip:ivr@{}", server.sip());
    let output = Command::new(BINARY)
        .args([
            "load",
            &target,
            "--json",
            "--calls",
            "20",
            "--rate",
            "100",
            "--settle",
            "0.5",
            "--duration",
            "3",
        ])
        .args([
            "--from",
            &own_address().to_string(),
            "--pid",
            &server.pid().to_string(),
        ])
        .args(arguments)
        .output()
        .expect("run trunkline load");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|error| {
        panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr))
    })
}

fn server() -> Server {
    Server::with(Settings {
        numbers: vec![("ivr".into(), "builtin:load-ivr".into())],
        ..Settings::default()
    })
}

#[test]
fn twenty_calls_lose_nothing_and_their_keys_are_answered() {
    let server = server();
    for keys in ["rfc4733", "inband"] {
        let report = load(&server, &["--keys", keys, "--key-every", "1"]);
        let (calls, streams, pressed) = (&report["calls"], &report["streams"], &report["keys"]);
        assert_eq!(
            (&calls["placed"], &calls["answered"], &calls["failed"]),
            (&20.into(), &20.into(), &0.into()),
            "{report:#}"
        );
        assert_eq!(streams["streams"], 20, "{report:#}");
        // Whatever the machine delays comes in the end; nothing is lost on loopback, and nothing stops.
        for none in ["lost", "repeated", "silent_streams"] {
            assert_eq!(streams[none], 0, "{none}: {report:#}");
        }
        let heard = |name: &str| pressed[name].as_u64().unwrap();
        assert!(
            heard("pressed") >= 40 && heard("answered") + 20 >= heard("pressed"),
            "{report:#}"
        );
        assert_eq!(report["hang_up_ms"]["count"], 20, "{report:#}");
    }
}

#[test]
fn set_up_alone_is_counted_without_streams() {
    let server = server();
    let target = format!("sip:nobody@{}", server.sip());
    let refused = Command::new(BINARY)
        .args([
            "load",
            &target,
            "--json",
            "--from",
            &own_address().to_string(),
        ])
        .output()
        .unwrap();
    assert_eq!(refused.status.code(), Some(1));
    let refused: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!(
        (&refused["calls"]["answered"], &refused["calls"]["failed"]),
        (&0.into(), &1.into())
    );
    let target = format!("sip:ivr@{}", server.sip());
    let output = Command::new(BINARY)
        .args([
            "load",
            &target,
            "--json",
            "--cps",
            "20",
            "--hold",
            "0.1",
            "--duration",
            "1",
            "--from",
            &own_address().to_string(),
        ])
        .output()
        .unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&report["calls"]["answered"], &report["set_up_ms"]["count"]),
        (&20.into(), &20.into()),
        "{report:#}"
    );
    assert_eq!(report["streams"]["streams"], 0);
}
