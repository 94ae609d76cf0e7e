//! The served OpenAPI document against the running server: schemathesis makes up requests from it, with a fixed seed, and no answer may be a
//! server's error, have an undocumented status or media type, or differ from its schema.
use super::api::{admin, quick};
use super::server::{Server, Settings};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where `scripts/setup test` puts it, or what `TRUNKLINE_SCHEMATHESIS` says.
fn program() -> PathBuf {
    let given = std::env::var_os("TRUNKLINE_SCHEMATHESIS").map(PathBuf::from);
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache");
    let made = || {
        cache
            .unwrap_or_else(home)
            .join("trunkline/schemathesis/bin/schemathesis")
    };
    let program = given.unwrap_or_else(made);
    assert!(
        program.exists(),
        "{} is missing: run scripts/setup test",
        program.display()
    );
    program
}

#[test]
fn no_request_gets_an_answer_that_is_not_documented() {
    let program = program();
    let scratch = tempfile::tempdir().expect("a folder");
    let flow = scratch.path().join("desk.json");
    let text = "{\"flow_version\": 1, \"entry\": \"m\", \"menus\": {\"m\": {\"menu_prompt\": {\"silence_ms\": 10}, \"choices\": [{\"exten\": \"1\", \"destination\": {\"type\": \"hangup\"}}]}}}";
    std::fs::write(&flow, text).expect("written");
    let mut settings = quick();
    settings
        .numbers
        .push(("1".into(), flow.display().to_string()));
    settings.callers = format!(
        "{}[[endpoint]]\nuser = \"ann\"\npassword = \"secret\"\nextension = \"201\"\n",
        settings.callers
    );
    let server = Server::with(settings);
    let Settings { ip, http_port, .. } = server.settings;
    let done = Command::new(program)
        .args(["run", &format!("http://{ip}:{http_port}/api/v1/openapi.json")])
        .args(["--header", &format!("Authorization: Bearer {}", admin(&server))])
        .args(["--checks", "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"])
        .args(["--phases", "examples,coverage,fuzzing", "--workers", "1"])
        .args(["--seed", "20260101", "--generation-database", "none", "--max-examples", "12"])
        // The two that never end, and are tested by themselves.
        .args(["--exclude-operation-id", "stream_events", "--exclude-operation-id", "watch_events"])
        .args(["--continue-on-failure", "--suppress-health-check", "all", "--request-timeout", "30"])
        .current_dir(scratch.path())
        .env("NO_COLOR", "1")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .expect("schemathesis runs");
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(
        done.status.success(),
        "{said}\n{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert!(
        tested(&said) >= 15,
        "too few operations were tested:\n{said}"
    );
    assert!(Path::new(&flow).exists());
}

/// Operations of the summary, `Tested: 42`.
fn tested(said: &str) -> usize {
    let line = said.lines().find(|line| line.contains("Tested:"));
    let number = line.and_then(|line| line.split(':').nth(1));
    number
        .and_then(|number| number.trim().parse().ok())
        .unwrap_or(0)
}
