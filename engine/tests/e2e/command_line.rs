//! `trunkline call` and the other commands, as a person without a phone uses them.
use crate::audio::Reference;
use crate::server::{Server, trunkline};

/// Samples of a WAV file that `trunkline call` wrote (PCM 16 bit, mono, 8 kHz).
fn wav(path: &std::path::Path) -> Vec<i16> {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert_eq!((&bytes[..4], &bytes[8..12]), (&b"RIFF"[..], &b"WAVE"[..]));
    let at = bytes
        .windows(4)
        .position(|word| word == b"data")
        .expect("a data chunk");
    bytes[at + 8..]
        .chunks_exact(2)
        .map(|pair| i16::from_le_bytes([pair[0], pair[1]]))
        .collect()
}

#[track_caller]
fn assert_heard(heard: &[i16], name: &str, from: usize) -> usize {
    let reference: Reference = crate::prompt(name);
    let start = reference
        .find_start(heard, from)
        .unwrap_or_else(|| panic!("{name} is not in the recording"));
    let agreement = reference.agreement(heard, start);
    assert!(agreement.is_whole(), "{name}: {agreement:?}");
    start
}

#[test]
fn call_plays_presses_and_records() {
    let server = Server::start();
    let recording = server.scratch.path().join("out.wav");
    let hello = server.scratch.path().join("hello.sln16");
    std::fs::copy(crate::examples().join("prompts/digit_8.sln16"), &hello).expect("copy");
    let to = format!("sip:demo@{}", server.sip());
    let (status, said) = trunkline(&[
        "call",
        &to,
        "--play",
        &hello.display().to_string(),
        "--digits",
        "1,9,#",
        "--record",
        &recording.display().to_string(),
    ]);
    assert!(
        status.success(),
        "{said}\n--- server ---\n{}",
        server.log_text()
    );
    server.wait_idle();
    let heard = wav(&recording);
    let welcomed = assert_heard(&heard, "welcome", 0);
    assert_heard(&heard, "digit_1", welcomed);
    assert_heard(&heard, "goodbye", welcomed);
    for key in ['1', '9', '#'] {
        assert_eq!(
            server.keys(key, "rfc4733"),
            1,
            "key {key}\n{}",
            server.log_text()
        );
    }
}

#[test]
fn call_to_nobody_fails_and_says_why() {
    let server = Server::start();
    let (status, said) = trunkline(&["call", &format!("sip:nobody@{}", server.sip())]);
    assert!(
        !status.success() && said.contains("404"),
        "{status}: {said}"
    );
}

#[test]
fn help_names_every_command() {
    let (status, said) = trunkline(&["--help"]);
    assert!(status.success());
    for command in ["run", "check", "call", "bench"] {
        assert!(said.contains(command), "{command} is missing in: {said}");
    }
}

#[test]
fn the_schema_of_flows_is_in_the_program() {
    let (status, said) = trunkline(&["flow", "schema"]);
    assert!(status.success());
    let schema: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(schema["properties"]["flow_version"]["const"], 1);
}

#[test]
fn check_accepts_the_installed_configuration() {
    let packaged = crate::examples().join("../engine/src/config/default.toml");
    let (status, said) = trunkline(&["check", &packaged.display().to_string()]);
    assert!(status.success(), "{said}");
}

#[test]
fn check_tells_every_mistake_of_the_flows_and_the_file() {
    let scratch = tempfile::tempdir().expect("scratch folder");
    let file = scratch.path().join("trunkline.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).expect("write");
        trunkline(&["check", &file.display().to_string()])
    };
    let number = |to: &str, flow: &str| format!("[[number]]\nto = \"{to}\"\nflow = \"{flow}\"\n");
    let (status, said) = check(&(number("1", "absent.json") + &number("2", "missing.json")));
    assert!(!status.success(), "{said}");
    for name in ["absent.json", "missing.json"] {
        assert!(said.contains(name), "{name} is missing in: {said}");
    }
    let (status, said) = check(&number("1", "builtin:demo"));
    assert!(
        status.success() && said.contains("good, 1 number"),
        "{said}"
    );
}

#[test]
fn route_test_says_where_a_call_goes_and_why() {
    let (status, said) = trunkline(&["route-test", "+491", "demo", "--source", "203.0.113.9"]);
    assert!(status.success(), "{said}");
    for part in [
        "nobody known",
        "rule: [[number]] \"demo\" in line ",
        "goes to: flow builtin:demo",
    ] {
        assert!(said.contains(part), "{part} is missing in: {said}");
    }
    let (status, said) = trunkline(&["route-test", "+491", "other"]);
    assert!(
        !status.success() && said.contains("refused: 404 (no-such-number)"),
        "{said}"
    );
}
