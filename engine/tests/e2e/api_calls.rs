//! Calls that the control API of the real binary places: a registered phone is called, answers, and hears what was asked for.
use super::api::{admin, ask, quick, trunkline_in, with};
use super::call_centre;
use super::phone::Phone;
use super::server::{PATIENCE, Server, Settings};
use serde_json::Value;
use std::time::{Duration, Instant};

/// A server with users ann, bob, cat and dan, who is the agent 71.
pub(crate) fn server() -> Server {
    let users = ["ann", "bob", "cat", "dan"]
        .map(|user| format!("[[endpoint]]\nuser = {user:?}\npassword = \"secret-of-{user}\"\n"));
    let quick = quick();
    Server::with(Settings {
        callers: format!(
            "{}{}[[agent]]\nid = \"71\"\nendpoint = \"dan\"\n",
            quick.callers,
            users.concat()
        ),
        ..quick
    })
}

pub(crate) fn registered(server: &Server, user: &str) -> Phone {
    let phone = Phone::of(server, user, &format!("secret-of-{user}"));
    phone.register(server);
    phone
}

/// Waits for an event of the call.
#[track_caller]
pub(crate) fn await_event(server: &Server, token: &str, name: &str, call: &str) -> Value {
    await_that(server, token, name, |event| event["call"] == call)
}

/// Waits for an event, the newest that is meant.
#[track_caller]
pub(crate) fn await_that(
    server: &Server,
    token: &str,
    name: &str,
    meant: impl Fn(&Value) -> bool,
) -> Value {
    let path = format!("/api/v1/events/recent?events={name}&limit=200");
    let patience = Instant::now() + PATIENCE;
    loop {
        let list = with(server, token, "GET", &path, "").json();
        let items = list["items"].as_array().expect("a list");
        if let Some(found) = items.iter().rfind(|event| meant(event)) {
            return found.clone();
        }
        assert!(Instant::now() < patience, "no such {name}: {list}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Waits until a GET answers with what is meant.
#[track_caller]
pub(crate) fn await_json(
    server: &Server,
    token: &str,
    path: &str,
    meant: impl Fn(&Value) -> bool,
) -> Value {
    let patience = Instant::now() + PATIENCE;
    loop {
        let found = with(server, token, "GET", path, "").json();
        if meant(&found) {
            return found;
        }
        assert!(Instant::now() < patience, "{path}: {found}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// `trunkline ctl` against that server; its answer.
#[track_caller]
pub(crate) fn ctl(server: &Server, arguments: &[&str]) -> Value {
    let url = format!(
        "http://{}:{}",
        server.settings.ip, server.settings.http_port
    );
    let mut all = vec!["ctl", "--url", &url, "--json"];
    all.extend(arguments);
    let (good, out) = trunkline_in(server.scratch.path(), &all);
    assert!(good, "{arguments:?}: {out}\n{}", server.log_text());
    match out.trim() {
        "" => Value::Null,
        text => serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}")),
    }
}

#[test]
fn a_call_is_placed_once_and_hears_its_verbs() {
    let server = server();
    let admin = admin(&server);
    let ann = registered(&server, "ann");
    let bearer = format!("Bearer {admin}");
    let place = || {
        let headers = [
            ("Authorization", &*bearer),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "reminder-7"),
        ];
        let body = r#"{"to": {"endpoint": "ann"}, "from": "4711", "ring_s": 30, "tags": ["reminder"],
            "verbs": [{"play": {"audio": "builtin:prompts/welcome.sln16"}}, {"hangup": {}}]}"#;
        ask(&server, "POST", "/api/v1/calls", &headers, body)
    };
    let first = place();
    assert_eq!(first.status, 201, "{first:?}");
    let id = first.json()["call"].as_str().expect("an id").to_owned();
    let again = place();
    assert_eq!((again.status, &again.body), (201, &first.body));
    let path = format!("/api/v1/calls/{id}");
    let shown = with(&server, &admin, "GET", &path, "").json();
    assert_eq!(shown["tags"][0], "reminder", "{shown}");
    let call = ann.take_call(server.sip());
    await_event(&server, &admin, "call.answered", &id);
    call.wait_prompt("welcome", 0);
    call.wait_hang_up();
    server.wait_no_call();
    await_event(&server, &admin, "call.ended", &id);
    let started = "/api/v1/events/recent?events=call.started";
    let started = with(&server, &admin, "GET", started, "").json();
    assert_eq!(started["items"].as_array().map(Vec::len), Some(1), "once");
}

#[test]
fn a_menu_is_answered_from_the_shell_and_somebody_is_added() {
    let server = server();
    let admin = admin(&server);
    let (ann, bob) = (registered(&server, "ann"), registered(&server, "bob"));
    let ctl = |arguments: &[&str]| ctl(&server, arguments);
    let placed = ctl(&[
        "calls",
        "create",
        "--to",
        "endpoint:ann",
        "--from",
        "4711",
        "--say",
        "builtin:prompts/welcome.sln16",
        "--option",
        "1=silence:100:endpoint=bob",
    ]);
    let id = placed["call"].as_str().expect("an id");
    let mut ann = ann.take_call(server.sip());
    ann.wait_prompt("welcome", 0);
    ann.press('1');
    let bob = bob.take_call(server.sip());
    // Who only rings does not come along.
    await_event(&server, &admin, "call.bridged", id);
    let cat = registered(&server, "cat");
    let added = ctl(&["calls", "add", id, "--to", "endpoint:cat"]);
    let new = added["new_call"].as_str().expect("an id");
    let cat = cat.take_call(server.sip());
    await_event(&server, &admin, "call.answered", new);
    await_json(&server, &admin, "/api/v1/conferences", |list| {
        list["items"][0]["members"].as_array().map(Vec::len) == Some(3)
    });
    let path = format!("/api/v1/calls/{id}/participants");
    let list = with(&server, &admin, "GET", &path, "").json();
    assert_eq!(
        (
            &list["items"][0]["id"],
            list["items"].as_array().map(Vec::len)
        ),
        (&new.into(), Some(1)),
        "{list}"
    );
    with(&server, &admin, "DELETE", &format!("{path}/bob"), "").is_problem(404, "not-found");
    ctl(&["calls", "remove", id, "cat"]);
    cat.wait_hang_up();
    let dan = registered(&server, "dan");
    ctl(&["calls", "add", id, "--to", "agent:71"]);
    let dan = dan.take_call(server.sip());
    with(&server, &admin, "DELETE", &format!("{path}/agent:72"), "").is_problem(404, "not-found");
    ctl(&["calls", "remove", id, "agent:71"]);
    dan.wait_hang_up();
    ann.hang_up();
    drop(bob);
}

#[test]
fn what_cannot_be_placed_is_refused_with_its_place() {
    let server = server();
    let admin = admin(&server);
    let refused = |body: &str, path: &str| {
        let answer = with(&server, &admin, "POST", "/api/v1/calls", body);
        let problem = answer.is_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["path"], path, "{body}: {problem}");
    };
    let to = r#""to": {"endpoint": "ann"}"#;
    refused(&format!("{{{to}}}"), "verbs");
    refused(
        &format!("{{{to}, \"flow\": \"x\", \"verbs\": []}}"),
        "verbs",
    );
    refused(&format!("{{{to}, \"flow\": \"none\"}}"), "flow");
    refused(
        &format!("{{{to}, \"from\": \"1\\r\\nX: y\", \"verbs\": []}}"),
        "from",
    );
    refused(
        &format!("{{{to}, \"ring_s\": 181, \"verbs\": []}}"),
        "ring_s",
    );
    refused(
        &format!("{{{to}, \"webhook\": {{\"url\": \"file:///etc/passwd\"}}}}"),
        "webhook.url",
    );
    refused(
        &format!("{{{to}, \"verbs\": [{{\"hangup\": {{}}}}, {{\"dance\": {{}}}}]}}"),
        "verbs[1]",
    );
    refused(
        &format!("{{{to}, \"menu\": {{\"options\": [{{\"key\": \"12\"}}]}}}}"),
        "menu.options[0].key",
    );
    refused(r#"{"to": {"number": "1\r\n2"}, "verbs": []}"#, "to");
    // Nobody there: no phone of ann is registered.
    let answer = with(
        &server,
        &admin,
        "POST",
        "/api/v1/calls",
        &format!("{{{to}, \"verbs\": [{{\"hangup\": {{}}}}]}}"),
    );
    answer.is_problem(422, "invalid");
    let path = "/api/v1/calls/c-0/participants";
    with(&server, &admin, "POST", path, &format!("{{{to}}}")).is_problem(404, "not-found");
    let path = "/api/v1/calls/c-0/say";
    with(&server, &admin, "POST", path, "{\"text\": \"\"}").is_problem(422, "invalid");
    with(&server, &admin, "POST", path, "{\"text\": \"hello\"}").is_problem(404, "not-found");
}

#[test]
fn a_recording_is_found_and_heard_at_its_signed_address() {
    let server = server();
    let admin = admin(&server);
    let ann = registered(&server, "ann");
    let body = r#"{"to": {"endpoint": "ann"}, "verbs": [{"record_call": {}},
        {"play": {"audio": {"tone": {"hz": 440, "ms": 600}}}}, {"hangup": {}}]}"#;
    let placed = with(&server, &admin, "POST", "/api/v1/calls", body).json();
    let id = placed["call"].as_str().expect("an id");
    let call = ann.take_call(server.sip());
    call.wait_hang_up();
    server.wait_no_call();
    let path = format!("/api/v1/recordings?call={id}");
    let list = await_json(&server, &admin, &path, |list| {
        list["items"][0]["state"] == "complete"
    });
    let found = list["items"][0].clone();
    assert_eq!(found["format"], "wav");
    assert!(found["ms"].as_i64().is_some_and(|ms| ms > 0), "{found}");
    let path = format!("/api/v1/recordings/{}", found["id"].as_str().expect("one"));
    assert_eq!(with(&server, &admin, "GET", &path, "").json(), found);
    let sign = |path: &str, body: &str| {
        let path = format!("{path}/address");
        with(&server, &admin, "POST", &path, body)
    };
    let signed = sign(&path, "{\"valid_s\": 60}").json();
    let address = signed["address"].as_str().expect("an address");
    let heard = ask(&server, "GET", address, &[], "");
    assert_eq!(heard.status, 200, "{address}");
    assert!(heard.body.starts_with("RIFF") && heard.headers["content-type"] == "audio/wav");
    sign(&path, "{\"valid_s\": 604801}").is_problem(422, "invalid");
    sign("/api/v1/recordings/r-0", "").is_problem(404, "not-found");
    assert_eq!(with(&server, &admin, "DELETE", &path, "").status, 204);
    with(&server, &admin, "GET", &path, "").is_problem(404, "not-found");
    assert_eq!(ask(&server, "GET", address, &[], "").status, 404);
    assert_eq!(
        call_centre::recordings(&server).len(),
        0,
        "its file is gone, too"
    );
    let path = "/api/v1/webhooks/waiting";
    assert_eq!(
        with(&server, &admin, "GET", path, "").json()["items"],
        serde_json::json!([])
    );
}
