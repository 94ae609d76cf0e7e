//! Start, errors an operator can act on, limits, and the way out.
use crate::phone::Phone;
use crate::server::{Server, Settings, trunkline};
use std::net::UdpSocket;

/// Runs with a changed configuration that must be refused; returns what was said.
#[track_caller]
fn refused(change: impl Fn(String) -> String) -> String {
    let scratch = tempfile::tempdir().expect("scratch folder");
    let file = scratch.path().join("trunkline.toml");
    std::fs::write(&file, change(Settings::default().toml(scratch.path()))).expect("write");
    let (status, said) = trunkline(&["run", "--config", &file.display().to_string()]);
    assert!(
        !status.success(),
        "started although it should not have: {said}"
    );
    assert!(!said.contains("panicked"), "{said}");
    said
}

#[test]
fn an_unknown_key_names_file_line_and_neighbour() {
    let said = refused(|text| text.replace("[media]\n", "[media]\nprots = \"1-2\"\n"));
    for part in ["trunkline.toml:", "media", "prots", "ports"] {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

#[test]
fn a_wrong_value_names_what_is_allowed() {
    let said = refused(|text| text.replace("format = \"human\"", "format = \"xml\""));
    for part in ["trunkline.toml:", "log.format", "xml", "human", "json"] {
        assert!(said.contains(part), "{part:?} is missing in: {said}");
    }
}

#[test]
fn a_missing_configuration_is_named() {
    let (status, said) = trunkline(&["run", "--config", "/nonexistent/trunkline.toml"]);
    assert!(
        !status.success() && said.contains("/nonexistent/trunkline.toml"),
        "{said}"
    );
}

#[test]
fn a_port_in_use_is_named() {
    let settings = Settings::default();
    let _holder = UdpSocket::bind((settings.ip, settings.sip_port)).expect("bind");
    let taken = format!("{}:{}", settings.ip, settings.sip_port);
    let scratch = tempfile::tempdir().expect("scratch folder");
    let toml = settings.toml(scratch.path());
    let said = refused(|_| toml.clone());
    assert!(
        said.contains(&taken) && said.to_lowercase().contains("in use"),
        "{said}"
    );
}

#[test]
fn an_unreadable_prompt_is_named() {
    let said = refused(|text| {
        let flow = std::env::temp_dir().join(format!("trunkline-e2e-{}.json", std::process::id()));
        let program = r#"{"flow_version":1,"name":"x","entry":"say","prompts":{"hello":{"file":"not-there.sln16"}},
            "nodes":{"say":{"type":"play","prompt":"hello","then":{"type":"hangup"}}}}"#;
        std::fs::write(&flow, program).expect("write");
        text.replace("builtin:demo", &flow.display().to_string())
    });
    assert!(said.contains("not-there.sln16"), "{said}");
}

#[test]
fn without_rtp_ports_the_next_call_is_refused() {
    let server = Server::with(Settings {
        rtp_ports: (12_000, 12_001),
        ..Settings::default()
    });
    let mut first = Phone::new().call(&server, "demo");
    let refusal = Phone::new()
        .try_call(&server, "demo")
        .err()
        .expect("refused");
    assert_eq!(refusal.status(), 503, "{}", refusal.start);
    assert!(refusal.header("Retry-After").is_some(), "{refusal:?}");
    server.wait_log("the RTP range", |line| {
        line.contains("12000") && line.contains("12001")
    });
    first.hang_up();
    server.wait_idle();
    // The port is free again.
    Phone::new().call(&server, "demo").hang_up();
    server.wait_idle();
}

#[test]
fn above_max_calls_the_next_call_is_refused() {
    let server = Server::with(Settings {
        sip_extra: "t1_ms = 100\nmax_calls = 1".into(),
        ..Settings::default()
    });
    let mut first = Phone::new().call(&server, "demo");
    let refusal = Phone::new()
        .try_call(&server, "demo")
        .err()
        .expect("refused");
    assert_eq!(refusal.status(), 503, "{}", refusal.start);
    first.hang_up();
    server.wait_idle();
}

#[test]
fn sigterm_drains() {
    let mut server = Server::with(Settings {
        drain_s: 2,
        ..Settings::default()
    });
    let call = Phone::new().call(&server, "demo");
    call.wait_begin("welcome", &crate::prompt("welcome"), 0);
    server.terminate();
    server.wait_log("drain", |line| line.contains("draining"));
    let refusal = Phone::new()
        .try_call(&server, "demo")
        .err()
        .expect("refused while draining");
    assert_eq!(refusal.status(), 503, "{}", refusal.start);
    // The call in progress goes on, then gets its BYE.
    let bye = call.wait_hang_up();
    assert!(bye.header("Reason").is_some(), "{bye:?}");
    let status = server.wait_end();
    assert!(status.success(), "{status}\n{}", server.log_text());
}

#[test]
fn sigterm_without_calls_ends_at_once() {
    let mut server = Server::with(Settings {
        drain_s: 3600,
        ..Settings::default()
    });
    server.terminate();
    assert!(server.wait_end().success(), "{}", server.log_text());
}

#[test]
fn start_is_told_in_ten_lines() {
    let server = Server::start();
    server.wait_log("how to stop it", |line| line.contains("Stop"));
    let text = server.log_text();
    assert!(text.lines().count() <= 10, "{text}");
    let call = format!("trunkline call sip:demo@{} ", server.sip());
    assert!(text.contains(&call), "{text}");
}

#[test]
fn every_metric_is_documented() {
    let server = Server::start();
    let (_, page) = server.http("/metrics").expect("/metrics answers");
    let documented = std::fs::read_to_string(crate::examples().join("../docs/operations.md"))
        .expect("docs/operations.md");
    let mut seen = 0;
    for (name, kind) in page
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
    {
        let name = if kind == "counter" {
            format!("{}_total", name.trim_end_matches("_total"))
        } else {
            name.to_owned()
        };
        assert!(
            documented.contains(&format!("`{name}")),
            "{name} is missing in docs/operations.md"
        );
        seen += 1;
    }
    assert!(seen >= 10, "{page}");
}

#[test]
fn json_lines_are_objects_that_name_the_call() {
    let server = Server::with(Settings {
        arguments: vec!["--json"],
        ..Settings::default()
    });
    Phone::new().call(&server, "demo").hang_up();
    server.wait_idle();
    let line = server.wait_log("the call's last line", |line| line.contains("call over"));
    let line: serde_json::Value = serde_json::from_str(&line).expect("a JSON object");
    let id = line
        .pointer("/span/id")
        .and_then(serde_json::Value::as_str)
        .expect("the call's id");
    assert!(id.starts_with("c-"), "{line}");
}
