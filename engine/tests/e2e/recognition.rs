//! Speech as an entry, for real: flite is the caller, pocketsphinx understands, and the flow goes where the word leads.
use crate::phone::Phone;
use crate::server::{Server, Settings};
use std::path::Path;
use std::process::Command;

const FLOW: &str = r#"
flow_version: 1
entry: main
menus:
  main:
    menu_prompt: ask
    timeout: 20
    choices:
      - {exten: "1", phrases: [billing], destination: {type: goto, node: money}}
      - {exten: "2", phrases: [operator], destination: {type: goto, node: person}}
prompts:
  ask: {tone: {hz: 440, ms: 300}}
nodes:
  money: {type: hangup, cause: busy}
  person: {type: set, variables: {said: "${speech} by ${entered_by}"}, then: {type: hangup, cause: congestion}}
"#;

/// What flite says, as a phone sends it: 8 kHz.
#[track_caller]
fn says(folder: &Path, text: &str) -> Vec<i16> {
    let file = folder.join("said.wav");
    let mut flite = Command::new("flite");
    let said = flite.args(["-voice", "rms", "-t", text, "-o"]).arg(&file);
    let status = said.status().expect("flite (make test installs it)");
    assert!(status.success());
    crate::baresip::narrow(&std::fs::read(&file).expect("spoken"))
}

#[test]
fn a_spoken_word_chooses_in_a_menu() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let flow = folder.path().join("words.yaml");
    std::fs::write(&flow, FLOW).expect("write the flow");
    let server = Server::with(Settings {
        callers: "[[trunk]]\nname = \"loopback\"\nacl = [\"127.0.0.0/8\"]\n\
            [[recognition.backend]]\nname = \"local\"\ntype = \"command\"\ntimeout_s = 60\n\
            command = [\"pocketsphinx_continuous\", \"-infile\", \"{wav}\", \"-jsgf\", \"{grammar}\", \"-logfn\", \"/dev/null\"]\n"
            .to_owned(),
        numbers: vec![("300".into(), flow.display().to_string())],
        ..Settings::default()
    });
    for (word, status) in [("billing", "cause=17"), ("operator", "cause=34")] {
        let call = Phone::new().call(&server, "300");
        // The prompt, and the menu waits.
        call.wait_position(8000);
        call.say(&says(folder.path(), word));
        let bye = call.wait_hang_up();
        let reason = bye.header("Reason").unwrap_or_default();
        assert!(
            reason.contains(status),
            "{word}: {reason}\n{}",
            server.log_text()
        );
        server.wait_log("what was understood", |line| {
            line.contains("understood") && line.contains(&format!("text={word:?}"))
        });
    }
    let metrics = server.wait_idle();
    let understood = metrics.labelled("trunkline_recognition_total", "understood");
    assert!((understood - 2.0).abs() < 0.1, "{understood}");
}
