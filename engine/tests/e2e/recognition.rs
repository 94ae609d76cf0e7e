//! Speech as an entry, for real: flite is the caller, pocketsphinx understands, and the flow goes where the word leads.
use crate::phone::Phone;
use crate::reload::write;
use crate::server::{Server, Settings, free_port, own_address, trunkline};
use crate::webhook_programs::service;
use futures_util::StreamExt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

const SPHINX: &str = "[[recognition.backend]]\nname = \"local\"\ntype = \"command\"\ntimeout_s = 60\n\
    command = [\"pocketsphinx_continuous\", \"-infile\", \"{wav}\", \"-jsgf\", \"{grammar}\", \"-logfn\", \"/dev/null\"]\n";

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
    let defaults = Settings::default();
    let server = Server::with(Settings {
        callers: defaults.callers + SPHINX,
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

#[test]
fn a_rehearsed_caller_says_a_word() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let flow = folder.path().join("words.yaml");
    std::fs::write(&flow, FLOW).expect("write the flow");
    let file = flow.display().to_string();
    let transcript = |word: &str| {
        let (status, told) = trunkline(&["simulate", &file, "--keys", &format!("say:{word}")]);
        assert!(status.success(), "{told}");
        told
    };
    let billing = transcript("billing");
    assert!(
        billing.contains("money") && !billing.contains("person"),
        "{billing}"
    );
    // A sentence that holds the phrase.
    let operator = transcript("the operator please");
    assert!(
        operator.contains("person") && !operator.contains("money"),
        "{operator}"
    );
}

/// A service that hears a call: when the stream is over it tells how many frames came.
fn ear(ip: Ipv4Addr) -> (SocketAddr, Receiver<usize>) {
    let listener = std::net::TcpListener::bind((ip, 0)).expect("bind");
    let address = listener.local_addr().expect("bound");
    let (tell, frames) = channel();
    let hear = async move {
        listener.set_nonblocking(true).expect("a socket");
        let listener = tokio::net::TcpListener::from_std(listener).expect("a socket");
        let (socket, _) = listener.accept().await.expect("a connection");
        let mut stream = tokio_tungstenite::accept_async(socket)
            .await
            .expect("a WebSocket");
        let mut frames = 0;
        while let Some(Ok(message)) = stream.next().await {
            frames += usize::from(message.to_string().contains("\"media\",\"track\":\"in\""));
        }
        let _ = tell.send(frames);
    };
    std::thread::spawn(move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().build().expect("a runtime");
        runtime.block_on(hear);
    });
    (address, frames)
}

#[test]
fn a_webhook_program_listens_to_words_while_a_service_hears_the_call() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let ip = own_address();
    let (ear, frames) = ear(ip);
    let first = format!(
        r#"[{{"answer": {{}}}}, {{"stream": {{"url": "ws://{ear}/", "direction": "in", "background": true}}}},
            {{"gather": {{"audio": {{"tone": {{"hz": 440, "ms": 300}}}}, "input": "dtmf speech", "hints": "billing, operator",
              "language": "en-US", "speech_end_ms": 800, "max_speech_ms": 10000, "timeout_ms": 60000}}}}]"#
    );
    let first: &'static str = first.leak();
    let answers = vec![first, r#"[{"hangup": {}}]"#].leak();
    let (program, questions) = service(ip, None, answers);
    let defaults = Settings::default();
    let server = Server::with(Settings {
        ip,
        sip_port: free_port(ip),
        http_port: free_port(ip),
        callers: format!(
            "[fetch]\nallow = [\"127.0.0.0/8\"]\n{}{SPHINX}[[number]]\nto = \"hook\"\nwebhook = \"http://{program}/\"\n",
            defaults.callers
        ),
        ..defaults
    });
    let call = Phone::new().call(&server, "hook");
    call.wait_position(8000);
    call.say(&says(folder.path(), "operator"));
    assert_eq!(questions.recv().expect("a question")["turn"], 0);
    let second = questions.recv().expect("a question");
    let gathered = second["outcomes"].as_array().expect("a list").last();
    let gathered = gathered.expect("an outcome");
    assert_eq!(
        (&gathered["speech"], &gathered["end"], &gathered["digits"]),
        (&"operator".into(), &"speech".into(), &"".into()),
        "{second}"
    );
    call.wait_hang_up();
    // More than a second of it, the word included.
    let frames = frames.recv().expect("the stream's end");
    assert!(frames > 50, "{frames}");
    server.wait_idle();
}

/// What is a text's voice and what understands are those of the file that is in force.
#[test]
fn voices_and_recognisers_are_exchanged_while_the_server_runs() {
    const SAID: &str = "Say a word after the tone.";
    let folder = tempfile::tempdir().expect("scratch folder");
    let flow = folder.path().join("words.yaml");
    let text = FLOW.replace(
        "{tone: {hz: 440, ms: 300}}",
        &format!("{{text: \"{SAID}\"}}"),
    );
    std::fs::write(&flow, text).expect("write the flow");
    let defaults = Settings::default();
    let server = Server::with(Settings {
        callers: defaults.callers + "[speech]\nlanguage = \"en-US\"\n",
        numbers: vec![("300".into(), flow.display().to_string())],
        ..Settings::default()
    });
    let word = says(folder.path(), "billing");
    let mut call = Phone::new().call(&server, "300");
    call.wait_begin(SAID, &crate::spoken::spoken(SAID, "en-US"), 0);
    server.wait_log("nobody understands", |line| line.contains("no-recogniser"));
    call.hang_up();

    // Whatever is said, it understands the same.
    let backend = "[[recognition.backend]]\nname = \"deaf\"\ntype = \"command\"\ncommand = [\"echo\", \"operator\"]\n";
    write(&server, |text| text.replace("en-US", "es-ES") + backend);
    server.wait_log("in force", |line| line.contains("is in force"));
    let call = Phone::new().call(&server, "300");
    call.wait_begin(SAID, &crate::spoken::spoken(SAID, "es-ES"), 0);
    call.say(&word);
    let bye = call.wait_hang_up();
    let reason = bye.header("Reason").unwrap_or_default();
    assert!(reason.contains("cause=34"), "{reason}");
    crate::call_centre::rests(&server);
}

#[test]
fn a_voice_that_fails_when_the_server_starts_is_among_the_events() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let flow = folder.path().join("words.yaml");
    let text = "flow_version: 1\nentry: n\nnodes: {n: {type: play, prompt: {text: Hello.}, then: {type: hangup}}}\n";
    std::fs::write(&flow, text).expect("write the flow");
    let quick = crate::api::quick();
    let server = Server::with(Settings {
        callers: format!(
            "{}[[speech.backend]]\nname = \"broken\"\ntype = \"command\"\ncommand = [\"false\"]\n\
             [[speech.backend]]\nname = \"local\"\ntype = \"espeak-ng\"\n",
            quick.callers
        ),
        numbers: vec![("300".into(), flow.display().to_string())],
        ..quick
    });
    let token = crate::api::admin(&server);
    let failed = crate::api_calls::await_that(&server, &token, "speech.failed", |_| true);
    let data = &failed["data"];
    assert_eq!(
        (&data["backend"], &data["next"], &data["task"]),
        (&"broken".into(), &"local".into(), &"speak".into()),
        "{failed}"
    );
}
