//! What drives calls that are placed over the control API: two parties, web services, flows, texts that are spoken; and flows that ask services.
use super::api::{admin, quick, with};
use super::api_calls::{await_event, await_json, registered};
use crate::phone::Phone;
use crate::server::{Server, Settings, own_address};
use crate::spoken::spoken;
use crate::webhook_programs::{SECRET, service};
use serde_json::json;
use std::net::Ipv4Addr;

/// A server with users ann and bob that may fetch from loopback.
fn server(ip: Ipv4Addr, numbers: Vec<(String, String)>) -> Server {
    let users = ["ann", "bob"]
        .map(|user| format!("[[endpoint]]\nuser = {user:?}\npassword = \"secret-of-{user}\"\n"));
    let quick = quick();
    Server::with(Settings {
        callers: format!(
            "[fetch]\nallow = [\"127.0.0.0/8\"]\ntimeout_s = 300\n{}{}",
            quick.callers,
            users.concat()
        ),
        numbers,
        ip,
        sip_port: crate::server::free_port(ip),
        http_port: crate::server::free_port(ip),
        ..quick
    })
}

fn place(server: &Server, token: &str, body: &serde_json::Value) -> serde_json::Value {
    let answer = with(server, token, "POST", "/api/v1/calls", &body.to_string());
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

#[test]
fn two_talk_once_both_have_pressed_one_and_until_one_is_left() {
    let server = server(own_address(), Vec::new());
    let admin = admin(&server);
    let (ann, bob) = (registered(&server, "ann"), registered(&server, "bob"));
    let prompt = json!({"audio": ["builtin:prompts/welcome.sln16"]});
    let body = json!({"to": {"endpoint": "ann"}, "two_party": {"to": {"endpoint": "bob"}, "prompt": prompt}});
    let placed = place(&server, &admin, &body);
    let (mut ann, bob) = (ann.take_call(server.sip()), bob.take_call(server.sip()));
    for call in [&ann, &bob] {
        call.wait_prompt("welcome", 0);
        call.press('1');
    }
    let list = await_json(&server, &admin, "/api/v1/conferences", |list| {
        list["items"][0]["members"].as_array().map(Vec::len) == Some(2)
    });
    assert!(
        list.to_string()
            .contains(placed["other"].as_str().expect("an id"))
    );
    ann.hang_up();
    bob.wait_hang_up();
    server.wait_no_call();
}

#[test]
fn a_web_service_drives_a_call_that_was_placed() {
    let ip = own_address();
    let (address, questions) = service(
        ip,
        Some(SECRET),
        &[
            r#"[{"play": {"audio": "builtin:prompts/welcome.sln16"}}, {"gather": {"max_digits": 1, "timeout_ms": 60000}}]"#,
            r#"[{"hangup": {}}]"#,
        ],
    );
    let server = server(ip, Vec::new());
    let admin = admin(&server);
    let ann = registered(&server, "ann");
    let webhook = json!({"url": format!("http://{address}/"), "secret": SECRET});
    place(
        &server,
        &admin,
        &json!({"to": {"endpoint": "ann"}, "webhook": webhook}),
    );
    let call = ann.take_call(server.sip());
    let first = questions.recv().expect("a question");
    assert_eq!(first["call"]["direction"], "outbound", "{first}");
    call.wait_prompt("welcome", 0);
    call.press('7');
    let second = questions.recv().expect("a question");
    let outcomes = second["outcomes"].as_array().expect("a list");
    assert_eq!(
        outcomes.last().map(|last| &last["digits"]),
        Some(&"7".into())
    );
    call.wait_hang_up();
    server.wait_no_call();
}

#[test]
fn a_flow_drives_a_call_that_was_placed_and_a_text_is_said() {
    let demo = ("demo".to_owned(), "builtin:demo".to_owned());
    let server = server(own_address(), vec![demo]);
    let admin = admin(&server);
    let ann = registered(&server, "ann");
    let flows = with(&server, &admin, "GET", "/api/v1/flows", "").json();
    let flow = &flows["items"][0]["id"];
    let placed = place(
        &server,
        &admin,
        &json!({"to": {"endpoint": "ann"}, "flow": flow}),
    );
    let id = placed["call"].as_str().expect("an id");
    let mut call = ann.take_call(server.sip());
    await_event(&server, &admin, "call.answered", id);
    let welcomed = call.wait_prompt("welcome", 0);
    let text = "One moment please, we are looking for somebody.";
    let say = json!({"text": text, "language": "en-US"}).to_string();
    let said = with(
        &server,
        &admin,
        "POST",
        &format!("/api/v1/calls/{id}/say"),
        &say,
    );
    assert_eq!(said.status, 200, "{said:?}");
    call.wait_begin(text, &spoken(text, "en-US"), welcomed);
    call.hang_up();
    server.wait_no_call();
}

#[test]
fn a_flow_asks_a_service_and_goes_on_by_its_answer() {
    let ip = own_address();
    let (address, questions) = service(ip, None, &[r#"{"customer": {"level": "gold"}}"#]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("level.yaml");
    let prompts = crate::examples().join("prompts").display().to_string();
    let flow = format!(
        r#"
flow_version: 1
entry: ask
prompts: {{welcome: {{file: "{prompts}/welcome.sln16"}}, goodbye: {{file: "{prompts}/goodbye.sln16"}}}}
nodes:
  ask:
    type: webhook
    url: "http://{address}/customers"
    method: POST
    body: '{{"turn": 0, "from": "${{call.from}}"}}'
    set: {{level: customer.level}}
    error_destination: {{type: hangup}}
    then: {{type: branch, on: "${{level}}", cases: {{gold: {{type: play, prompt: welcome, then: {{type: hangup}}}}}}, else: {{type: play, prompt: goodbye, then: {{type: hangup}}}}}}
"#
    );
    std::fs::write(&file, flow).expect("written");
    let server = server(ip, vec![("200".into(), file.display().to_string())]);
    let call = Phone::new().call(&server, "200");
    let asked = questions.recv().expect("a question");
    assert_eq!(asked["from"], "phone", "{asked}");
    call.wait_prompt("welcome", 0);
    call.wait_hang_up();
    server.wait_idle();
}

#[test]
fn an_order_is_taken_while_a_prompt_is_fetched() {
    let ip = own_address();
    // It takes the question and never answers.
    let silent = std::net::TcpListener::bind((ip, 0)).expect("bind");
    let address = silent.local_addr().expect("bound");
    let server = server(ip, Vec::new());
    let admin = admin(&server);
    let ann = registered(&server, "ann");
    let url = format!("http://{address}/a.wav");
    let body = json!({"to": {"endpoint": "ann"}, "verbs": [{"play": {"audio": url}}]});
    let placed = place(&server, &admin, &body);
    let path = format!(
        "/api/v1/calls/{}/hangup",
        placed["call"].as_str().expect("an id")
    );
    let call = ann.take_call(server.sip());
    let (_held, _) = silent.accept().expect("asked");
    assert_eq!(with(&server, &admin, "POST", &path, "").status, 200);
    call.wait_hang_up();
    server.wait_no_call();
}
