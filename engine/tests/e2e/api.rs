//! The control API of the real binary: who is let in, how it refuses, and what it does.
use super::server::{BINARY, Server, Settings, trunkline};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// A problem of that kind, in the right dress.
    #[track_caller]
    pub(crate) fn is_problem(&self, status: u16, kind: &str) -> serde_json::Value {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(
            self.headers["content-type"], "application/problem+json",
            "{self:?}"
        );
        let problem = self.json();
        assert_eq!(
            problem["type"],
            format!("/api/v1#problem-{kind}"),
            "{self:?}"
        );
        assert_eq!(problem["status"], status);
        assert!(self.headers.contains_key("x-request-id"));
        problem
    }
}

/// Sends a request with these headers; `Host` is the server's unless given.
pub(crate) fn ask(
    server: &Server,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Answer {
    let at = (server.settings.ip, server.settings.http_port);
    let mut stream = TcpStream::connect(at).expect("connected");
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .expect("a socket");
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers
        .iter()
        .any(|(name, _)| name.eq_ignore_ascii_case("host"))
    {
        head += &format!("Host: {}:{}\r\n", at.0, at.1);
    }
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    stream
        .write_all(format!("{head}\r\n").as_bytes())
        .expect("sent");
    let _ = stream.write_all(body.as_bytes()); // it may be refused before its end
    let mut octets = Vec::new();
    let _ = stream.read_to_end(&mut octets);
    parse(&String::from_utf8_lossy(&octets))
}

fn parse(text: &str) -> Answer {
    let (head, body) = text
        .split_once("\r\n\r\n")
        .unwrap_or_else(|| panic!("no answer: {text:?}"));
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1));
    let headers = lines.filter_map(|line| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_ascii_lowercase(), value.to_owned()))
    });
    Answer {
        status: status
            .and_then(|status| status.parse().ok())
            .expect("a status"),
        headers: headers.collect(),
        body: body.to_owned(),
    }
}

/// The token that the server minted.
pub(crate) fn admin(server: &Server) -> String {
    let path = server.scratch.path().join("api-admin.token");
    std::fs::read_to_string(path)
        .expect("minted")
        .trim()
        .to_owned()
}

/// With that token.
pub(crate) fn with(server: &Server, token: &str, method: &str, path: &str, body: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let headers = [
        ("Authorization", &*bearer),
        ("Content-Type", "application/json"),
    ];
    ask(server, method, path, &headers, body)
}

/// `trunkline token` for that server.
fn token(server: &Server, arguments: &[&str]) -> String {
    let config = server.scratch.path().join("trunkline.toml");
    let config = config.display().to_string();
    let mut all = vec!["token", "--config", &config];
    all.extend(arguments);
    let done = std::process::Command::new(BINARY)
        .args(all)
        .current_dir(server.scratch.path())
        .output()
        .expect("run");
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).trim().to_owned();
    assert!(done.status.success(), "{}", text(&done.stderr));
    // Which file it is in is said beside it.
    text(&done.stdout)
}

pub(crate) fn trunkline_in(folder: &Path, arguments: &[&str]) -> (bool, String) {
    let done = std::process::Command::new(BINARY)
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("run");
    let text = [done.stdout, done.stderr].concat();
    (
        done.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

pub(crate) fn quick() -> Settings {
    Settings {
        callers: format!(
            "[api]\nrequests_per_second = 10000\n{}",
            Settings::default().callers
        ),
        ..Settings::default()
    }
}

/// Waits until the server has taken up what `trunkline token` did.
fn await_status(server: &Server, token: &str, path: &str, wanted: u16) {
    let patience = std::time::Instant::now() + super::server::PATIENCE;
    while with(server, token, "GET", path, "").status != wanted {
        assert!(
            std::time::Instant::now() < patience,
            "{}",
            server.log_text()
        );
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// What of `tl_ID_SECRET` nobody may know; there may be more underscores in it.
fn secret(token: &str) -> &str {
    token.splitn(3, '_').nth(2).expect("a secret")
}

#[test]
fn each_route_asks_for_its_scope() {
    let server = Server::with(quick());
    let admin = admin(&server);
    let log = server.log_text();
    assert!(
        log.contains("api-admin.token"),
        "the log says where the token is"
    );
    assert!(!log.contains(&admin), "and not which it is");
    let expired = token(
        &server,
        &[
            "create",
            "--scope",
            "admin",
            "--expires",
            "1h",
            "--label",
            "soon over",
        ],
    );
    let others = ["cdrs:read", "status:read"].map(|scope| {
        let asked = ["create", "--scope", scope, "--label", "other"];
        (scope, token(&server, &asked))
    });
    let narrow = token(
        &server,
        &["create", "--scope", "conferences:read,flows:read"],
    );
    await_status(&server, &narrow, "/api/v1/token", 200);
    // As if an hour had passed.
    let file = server.scratch.path().join("api-tokens.json");
    let mut kept: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(&file).expect("there")).expect("JSON");
    for of in kept["tokens"].as_array_mut().expect("a list") {
        if of["label"] == "soon over" {
            of["expires"] = "2001-01-01T00:00:00Z".into();
        }
    }
    std::fs::write(&file, kept.to_string()).expect("written");
    await_status(&server, &expired, "/api/v1/token", 401);

    let document = ask(&server, "GET", "/api/v1/openapi.json", &[], "").json();
    let paths = document["paths"].as_object().expect("paths");
    let mut scoped = 0;
    for (path, item) in paths {
        for (method, operation) in item.as_object().expect("operations") {
            let Some(scope) = operation["x-scope"].as_str() else {
                continue;
            };
            scoped += 1;
            let method = method.to_ascii_uppercase();
            let path = path.replace(['{', '}'], "x");
            let status = |token: &str| with(&server, token, &method, &path, "").status;
            ask(&server, &method, &path, &[], "").is_problem(401, "unauthenticated");
            with(&server, &expired, &method, &path, "").is_problem(401, "token-expired");
            let other = others.iter().find(|(other, _)| *other != scope);
            let (_, unscoped) = other.expect("one of another scope");
            with(&server, unscoped, &method, &path, "").is_problem(403, "scope-missing");
            with(&server, "tl_000000000000_AAAA", &method, &path, "")
                .is_problem(401, "unauthenticated");
            if operation["operationId"] == "stream_events" {
                continue; // it does not end for who may
            }
            assert!(
                !matches!(status(&admin), 401 | 403 | 405 | 500..),
                "{method} {path}"
            );
            let allowed = matches!(scope, "conferences:read" | "flows:read");
            assert_eq!(
                status(&narrow) != 403,
                allowed,
                "{method} {path} wants {scope}"
            );
        }
    }
    assert!(scoped >= 15, "only {scoped} routes ask for a scope");
    let document = document.to_string();
    let scopes = token(&server, &["scopes"]);
    assert!(scopes.contains("recordings:write"), "{scopes}");
    for scope in scopes.lines().filter(|scope| *scope != "admin") {
        let asked = format!("\"x-scope\":\"{scope}\"");
        assert!(document.contains(&asked), "no route asks for {scope}");
    }
    assert!(
        !server.log_text().contains(secret(&narrow)),
        "no secret in the log"
    );
}

#[test]
fn tokens_are_made_listed_and_revoked_from_the_shell() {
    let server = Server::with(quick());
    let made = token(
        &server,
        &["create", "--scope", "calls:read", "--label", "wallboard"],
    );
    await_status(&server, &made, "/api/v1/token", 200);
    let shown = with(&server, &made, "GET", "/api/v1/token", "").json();
    assert_eq!(
        (&shown["label"], &shown["scopes"][0]),
        (&"wallboard".into(), &"calls:read".into())
    );
    let id = shown["id"].as_str().expect("an id").to_owned();
    assert!(token(&server, &["list"]).contains("wallboard"));
    assert!(!token(&server, &["list", "--json"]).contains(secret(&made)));
    token(&server, &["revoke", &id]);
    await_status(&server, &made, "/api/v1/token", 401);
    let (status, out) = trunkline(&["token", "create", "--scope", "calls:red"]);
    assert!(!status.success() && out.contains("calls:read"), "{out}");
}

#[test]
fn every_refusal_is_a_problem() {
    let server = Server::with(quick());
    let admin = admin(&server);
    let bearer = format!("Bearer {admin}");
    let json = |method: &str, path: &str, body: &str| with(&server, &admin, method, path, body);
    json("GET", "/api/v1/nothing", "").is_problem(404, "no-such-route");
    json("GET", "/api/v1/trunks/none", "").is_problem(404, "not-found");
    assert!(json("POST", "/api/v1/trunks", "").headers["allow"].contains("GET"));
    json("POST", "/api/v1/trunks", "").is_problem(405, "method-not-allowed");
    let posted = ask(&server, "POST", "/health", &[], "");
    assert_eq!(posted.headers["content-type"], "application/problem+json");
    json("GET", "/api/v1/trunks?limit=0", "").is_problem(400, "bad-parameter");
    json("GET", "/api/v1/trunks?limit=x", "").is_problem(400, "bad-parameter");
    json("GET", "/api/v1/trunks?cursor=!", "").is_problem(400, "bad-parameter");
    json("GET", "/api/v1/trunks/%FF", "").is_problem(400, "bad-parameter");
    let member = "/api/v1/conferences/a/members/b";
    json("PATCH", member, "{").is_problem(400, "malformed");
    let problem = json("PATCH", member, "{\"mute\":\n 7}").is_problem(422, "invalid");
    assert_eq!(
        (&problem["errors"][0]["path"], &problem["errors"][0]["line"]),
        (&"mute".into(), &2.into())
    );
    json("PATCH", member, "{\"loud\": true}").is_problem(422, "invalid");
    json("PATCH", member, "{\"mute\": true}").is_problem(404, "not-found");
    let text = [("Authorization", &*bearer), ("Content-Type", "text/plain")];
    ask(&server, "PATCH", member, &text, "{}").is_problem(415, "unsupported-media-type");
    json("PATCH", member, &" ".repeat((1 << 20) + 1)).is_problem(413, "too-large");
    let foreign = [("Authorization", &*bearer), ("Host", "evil.example")];
    ask(&server, "GET", "/api/v1/trunks", &foreign, "").is_problem(421, "host-not-allowed");
    let elsewhere = ask(&server, "GET", "/diagnosis", &foreign, "");
    assert_eq!(elsewhere.status, 421, "{elsewhere:?}");
    let refused = ask(&server, "GET", "/api/v1/trunks", &[], "");
    assert!(refused.headers["www-authenticate"].starts_with("Bearer"));
    let page = ask(&server, "GET", "/api/v1", &[], "");
    assert!(page.status == 200 && page.body.contains("id=\"problem-too-large\""));
    assert!(!page.headers.contains_key("access-control-allow-origin"));
}

#[test]
fn who_asks_too_often_is_told_when_to_come_back() {
    let settings = Settings {
        callers: format!(
            "[api]\nrequests_per_second = 1\n{}",
            Settings::default().callers
        ),
        ..Settings::default()
    };
    let server = Server::with(settings);
    let admin = admin(&server);
    // Far more in one connection after the other than two at once and one a second allow.
    let mut refused = None;
    for _ in 0..1000 {
        let answer = with(&server, &admin, "GET", "/api/v1/token", "");
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("there is an end to it");
    refused.is_problem(429, "too-many-requests");
    assert_eq!(refused.headers["retry-after"], "1");
    assert_eq!(
        ask(&server, "GET", "/health", &[], "").status,
        200,
        "the open pages are not limited"
    );
}

#[test]
fn a_flow_is_replaced_over_the_api() {
    let scratch = tempfile::tempdir().expect("a folder");
    let file = scratch.path().join("desk.json");
    let text = |name: &str| {
        format!(
            "{{\"flow_version\": 1, \"name\": \"{name}\", \"entry\": \"m\", \"menus\": {{\"m\": {{\"menu_prompt\": {{\"silence_ms\": 10}},\n \"choices\": [{{\"exten\": \"1\", \"destination\": {{\"type\": \"hangup\"}}}}]}}}}}}"
        )
    };
    std::fs::write(&file, text("first")).expect("written");
    let server = Server::with(Settings {
        numbers: vec![("1".into(), file.display().to_string())],
        ..quick()
    });
    let admin = admin(&server);
    let bearer = format!("Bearer {admin}");
    let found = with(&server, &admin, "GET", "/api/v1/flows/desk", "");
    let (flow, etag) = (found.json(), found.headers["etag"].clone());
    assert_eq!(flow["name"], "first");
    let put = |body: &str, tag: &str| {
        let headers = [
            ("Authorization", &*bearer),
            ("Content-Type", "application/json"),
            ("If-Match", tag),
        ];
        ask(&server, "PUT", "/api/v1/flows/desk", &headers, body)
    };
    let broken = text("x").replace("hangup", "hangupp");
    let problem = put(&broken, &etag).is_problem(422, "invalid");
    let error = &problem["errors"][0];
    assert_eq!(error["line"], 2, "{problem}");
    assert!(
        error["path"]
            .as_str()
            .is_some_and(|path| path.starts_with("menus.m.choices")),
        "{problem}"
    );
    put(&text("x"), "\"other\"").is_problem(412, "precondition-failed");
    let replaced = put(&text("second"), &etag);
    assert_eq!(
        (replaced.status, &replaced.json()["name"]),
        (200, &"second".into())
    );
    assert_eq!(
        std::fs::read_to_string(&file).expect("there"),
        text("second")
    );
    let old = format!("/api/v1/flows/desk/versions/{}", etag.trim_matches('"'));
    assert_eq!(with(&server, &admin, "GET", &old, "").body, text("first"));
}

/// The head of an answer that does not end, and its stream.
fn open_stream(server: &Server, path: &str, token: &str, more: &str) -> (String, TcpStream) {
    let at = (server.settings.ip, server.settings.http_port);
    let mut stream = TcpStream::connect(at).expect("connected");
    stream
        .set_read_timeout(Some(super::server::PATIENCE))
        .expect("a socket");
    let head = format!(
        "GET {path} HTTP/1.1\r\nHost: {}:{}\r\nAuthorization: Bearer {token}\r\n{more}\r\n",
        at.0, at.1
    );
    stream.write_all(head.as_bytes()).expect("sent");
    (read_until(&mut stream, "\r\n\r\n"), stream)
}

/// Reads until the text ends so.
fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let (mut octets, mut one) = (Vec::new(), [0]);
    while !octets.ends_with(end.as_bytes()) {
        let count = stream.read(&mut one).expect("more comes");
        assert!(count > 0, "it ended: {}", String::from_utf8_lossy(&octets));
        octets.push(one[0]);
    }
    String::from_utf8_lossy(&octets).into_owned()
}

#[test]
fn events_of_a_call_are_streamed_and_can_be_asked_for_again() {
    let server = Server::with(quick());
    let admin = admin(&server);
    let (head, mut stream) = open_stream(&server, "/api/v1/events?events=call.*", &admin, "");
    assert!(
        head.starts_with("HTTP/1.1 200") && head.contains("text/event-stream"),
        "{head}"
    );
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    let (head, mut socket) = open_stream(
        &server,
        "/api/v1/events/ws?events=call.ended",
        &admin,
        upgrade,
    );
    assert!(head.starts_with("HTTP/1.1 101"), "{head}");
    let to = format!("sip:demo@{}", server.sip());
    let (status, out) = trunkline(&["call", &to, "--digits", "9"]);
    assert!(status.success(), "{out}");
    let told = read_until(&mut stream, "event: call.ended\n");
    let order = [
        "event: call.started",
        "event: call.routed",
        "event: call.answered",
        "event: call.ended",
    ];
    let at: Vec<_> = order
        .iter()
        .map(|event| {
            told.find(event)
                .unwrap_or_else(|| panic!("{event}: {told}"))
        })
        .collect();
    assert!(at.is_sorted(), "{told}");
    assert!(
        !told.contains("event: program.step"),
        "only what was asked for"
    );
    let ended = read_until(&mut socket, "}}");
    assert!(ended.contains("\"event\":\"call.ended\""), "{ended}");
    drop((stream, socket));

    let list = with(
        &server,
        &admin,
        "GET",
        "/api/v1/events/recent?events=call.*&limit=2&after=000000-0",
        "",
    )
    .json();
    assert_eq!(list["items"][0]["event"], "call.started");
    let id = list["items"][0]["id"].as_str().expect("an id");
    let again = format!("Last-Event-ID: {id}\r\n");
    let (_, mut stream) = open_stream(&server, "/api/v1/events?events=call.*", &admin, &again);
    let told = read_until(&mut stream, "event: call.ended\n");
    assert!(
        told.contains("event: call.routed") && !told.contains("event: call.started"),
        "{told}"
    );

    let call = list["items"][0]["call"]
        .as_str()
        .expect("of a call")
        .to_owned();
    let patience = std::time::Instant::now() + super::server::PATIENCE;
    loop {
        let records = with(&server, &admin, "GET", &format!("/api/v1/cdrs/{call}"), "");
        if records.status == 200 && records.json()["items"][0]["state"] != "in_progress" {
            assert_eq!(records.json()["items"][0]["call"], call);
            break;
        }
        assert!(std::time::Instant::now() < patience, "{records:?}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    with(&server, &admin, "GET", "/api/v1/events/ws", "").is_problem(400, "bad-parameter");
    with(
        &server,
        &admin,
        "GET",
        "/api/v1/events?events=call.anwered",
        "",
    )
    .is_problem(400, "bad-parameter");
}

#[test]
fn a_call_is_steered_from_the_shell_and_an_order_with_a_key_is_carried_out_once() {
    let server = Server::with(quick());
    let admin = admin(&server);
    let url = format!(
        "http://{}:{}",
        server.settings.ip, server.settings.http_port
    );
    let ctl = |arguments: &[&str]| {
        let mut all = vec!["ctl", "--url", &url];
        all.extend(arguments);
        trunkline_in(server.scratch.path(), &all)
    };
    let mut caller = std::process::Command::new(BINARY)
        .args([
            "call",
            &format!("sip:demo@{}", server.sip()),
            "--digits",
            "w",
        ])
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("a call");
    server.wait_log("the call is up", |line| line.contains("answered"));
    let (good, out) = ctl(&["calls", "list", "--json"]);
    assert!(good, "{out}");
    let list: serde_json::Value = serde_json::from_str(&out).expect("JSON");
    let id = list["items"][0]["id"].as_str().expect("a call").to_owned();
    let (good, out) = ctl(&["calls", "tag", &id, "--tag", "vip", "--metadata", "order=7"]);
    assert!(good && out.contains("vip"), "{out}");
    let (good, out) = ctl(&["calls", "digits", &id, "12x"]);
    assert!(!good && out.contains("digits"), "{out}");
    let bearer = format!("Bearer {admin}");
    let hang_up = |body: &str| {
        let headers = [
            ("Authorization", &*bearer),
            ("Content-Type", "application/json"),
            ("Idempotency-Key", "first"),
        ];
        ask(
            &server,
            "POST",
            &format!("/api/v1/calls/{id}/hangup"),
            &headers,
            body,
        )
    };
    let first = hang_up("{\"cause\": 17}");
    assert_eq!(first.status, 200, "{first:?}");
    let again = hang_up("{\"cause\": 17}");
    assert_eq!((again.status, &again.body), (200, &first.body));
    assert_eq!(again.headers["idempotency-replayed"], "true");
    hang_up("{}").is_problem(422, "key-reused");
    server.wait_no_call();
    let (good, out) = ctl(&["calls", "hangup", &id]);
    assert!(!good && out.contains("(404)"), "{out}");
    assert!(
        super::server::wait_end(&mut caller).is_some(),
        "the caller hears of it"
    );
}
