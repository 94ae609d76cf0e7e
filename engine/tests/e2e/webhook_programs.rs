//! Numbers that a web service drives: the real binary asks a service of the tests, and does without it when it is gone.
use crate::killed::{genuine, posted};
use crate::phone::Phone;
use crate::server::{Server, Settings, free_port, own_address};
use serde_json::Value;
use std::io::{BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

pub(crate) const SECRET: &str = "between us";

/// Answers each turn with its list of verbs, where the signature is right (`None`: none is wanted), and tells what was posted.
pub(crate) fn service(
    ip: Ipv4Addr,
    secret: Option<&'static str>,
    answers: &'static [&'static str],
) -> (SocketAddr, Receiver<Value>) {
    let listener = TcpListener::bind((ip, 0)).expect("bind");
    let address = listener.local_addr().expect("bound");
    let (asked, questions) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let asked = asked.clone();
            std::thread::spawn(move || serve(&stream, secret, answers, &asked));
        }
    });
    (address, questions)
}

fn serve(
    stream: &TcpStream,
    secret: Option<&str>,
    answers: &[&str],
    asked: &Sender<Value>,
) -> Option<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let (signature, body) = posted(&mut reader)?;
        let question: Value = serde_json::from_slice(&body).ok()?;
        let turn = question["turn"].as_u64()? as usize;
        let (status, answer) = match secret.is_none_or(|secret| genuine(secret, &signature, &body))
        {
            true => ("200 OK", *answers.get(turn)?),
            false => ("403 Forbidden", ""),
        };
        asked.send(question).ok()?;
        let length = answer.len();
        write!(
            &mut &*stream,
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{answer}"
        )
        .ok()?;
    }
}

fn server(ip: Ipv4Addr, number: &str) -> Server {
    let defaults = Settings::default();
    let callers = format!(
        "[fetch]\nallow = [\"127.0.0.0/8\"]\n{}[[number]]\nto = \"hook\"\n{number}",
        defaults.callers
    );
    Server::with(Settings {
        ip,
        sip_port: free_port(ip),
        http_port: free_port(ip),
        callers,
        ..defaults
    })
}

#[test]
fn a_signed_question_is_answered_with_verbs_and_their_outcomes_are_told() {
    let ip = own_address();
    let (address, questions) = service(
        ip,
        Some(SECRET),
        &[
            r#"[{"answer": {}}, {"play": {"audio": "builtin:prompts/welcome.sln16"}},
                {"gather": {"audio": "builtin:prompts/menu.sln16", "max_digits": 1, "timeout_ms": 60000}}]"#,
            r#"[{"play": {"audio": "builtin:prompts/goodbye.sln16"}}, {"hangup": {}}]"#,
        ],
    );
    let number = format!("webhook = \"http://{address}/calls\"\nwebhook_secret = \"{SECRET}\"\n");
    let server = server(ip, &number);
    let call = Phone::new().call(&server, "hook");
    let first = questions.recv().expect("a question");
    assert_eq!(
        (&first["turn"], &first["call"]["to"]),
        (&0.into(), &"hook".into())
    );
    assert_eq!(first["outcomes"].as_array().map(Vec::len), Some(0));
    let welcomed = call.wait_prompt("welcome", 0);
    call.wait_begin("menu", &crate::prompt("menu"), welcomed);
    call.press('5');
    let second = questions.recv().expect("a question");
    assert_eq!(second["turn"], 1);
    let words: Vec<_> = second["outcomes"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|outcome| outcome["outcome"].as_str().expect("a word"))
        .collect();
    assert_eq!(words, ["done", "done", "gathered"]);
    assert_eq!(second["outcomes"][2]["digits"], "5");
    call.wait_prompt("goodbye", welcomed);
    call.wait_hang_up();
    server.wait_idle();
    assert!(questions.try_recv().is_err(), "nothing more is asked");
    assert!(!server.log_text().contains(SECRET));
}

#[test]
fn without_the_service_the_fallback_verbs_are_done() {
    let ip = own_address();
    // Nobody listens there.
    let dead = free_port(ip);
    let number = format!(
        "webhook = \"http://{ip}:{dead}/\"\nfallback_url = \"http://{ip}:{dead}/standby\"\n\
         fallback = '[{{\"play\": {{\"audio\": \"builtin:prompts/goodbye.sln16\"}}}}, {{\"hangup\": {{}}}}]'\n"
    );
    let server = server(ip, &number);
    let call = Phone::new().call(&server, "hook");
    call.wait_prompt("goodbye", 0);
    call.wait_hang_up();
    for rule in ["webhook-fallback", "webhook-dead"] {
        server.wait_log(rule, |line| line.contains(rule));
    }
    server.wait_idle();
}

#[test]
fn mistakes_in_fallback_verbs_are_told_before_any_call() {
    let folder = tempfile::tempdir().expect("folder");
    let file = folder.path().join("t.toml");
    let number = |fallback: &str| {
        format!(
            "[[number]]\nto = \"1\"\nwebhook = \"https://x.example/\"\nfallback = '{fallback}'\n"
        )
    };
    for (fallback, told) in [
        (r#"[{"plai": {}}]"#, "did you mean \"play\""),
        (r#"[{"play": {"audio": "absent.wav"}}]"#, "absent.wav"),
        (
            r#"[{"redirect": {"url": "https://x.example/"}}]"#,
            "redirect",
        ),
    ] {
        std::fs::write(&file, number(fallback)).expect("write");
        let path = file.display().to_string();
        let (status, said) = crate::server::trunkline(&["check", &path]);
        assert!(!status.success() && said.contains(told), "{said}");
        assert!(said.contains(&format!("{path}:4:12 fallback: ")), "{said}");
    }
}
