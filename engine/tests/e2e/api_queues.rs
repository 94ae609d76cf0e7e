//! Queues over the control API and from the shell: callers seen, moved and sent away, agents made members, supervised, added to calls.
use super::api::{admin, quick, with};
use super::api_calls::{await_event, await_json, ctl, registered};
use crate::audio::tone;
use crate::call::Call;
use crate::phone::Phone;
use crate::server::{Server, Settings};
use serde_json::{Value, json};

/// Agent 2001 is ann, who is not at work; the queue `other` has nobody.
const QUEUES: &str = "[[agent]]\nid = \"2001\"\nendpoint = \"ann\"\nlogged_in = false\n\
    [[queue]]\nname = \"sales\"\nmembers = [\"2001\"]\n[[queue]]\nname = \"other\"\nmembers = []\n\
    [[number]]\nto = \"sales\"\nqueue = \"sales\"\n";

fn server() -> Server {
    let users = ["ann", "bob", "boss"]
        .map(|user| format!("[[endpoint]]\nuser = {user:?}\npassword = \"secret-of-{user}\"\n"));
    let quick = quick();
    Server::with(Settings {
        callers: format!("{}{}{QUEUES}", quick.callers, users.concat()),
        ..quick
    })
}

/// The ids of the calls that wait in a queue, once there are so many.
#[track_caller]
fn waiting(server: &Server, admin: &str, queue: &str, many: usize) -> Vec<String> {
    let path = format!("/api/v1/queues/{queue}/callers");
    let list = await_json(server, admin, &path, |list| {
        list["items"].as_array().map(Vec::len) == Some(many)
    });
    let items = list["items"].as_array().expect("a list").iter();
    items
        .map(|caller| caller["call"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn callers_are_moved_and_sent_away_and_an_agent_serves_and_is_supervised() {
    let mut server = server();
    let admin = admin(&server);
    let (first, second) = (Phone::new().call(&server, "sales"), Phone::new());
    let one = waiting(&server, &admin, "sales", 1).remove(0);
    let second = second.call(&server, "sales");
    let before = waiting(&server, &admin, "sales", 2);
    assert_eq!(before[0], one);
    let two = before[1].clone();
    ctl(
        &server,
        &["queues", "move", "sales", &two, "--position", "1"],
    );
    assert_eq!(
        waiting(&server, &admin, "sales", 2),
        [two.clone(), one.clone()]
    );
    ctl(&server, &["queues", "remove", "sales", &one]);
    first.wait_hang_up();
    ctl(
        &server,
        &["queues", "move", "sales", &two, "--queue", "other"],
    );
    assert_eq!(waiting(&server, &admin, "other", 1).first(), Some(&two));
    assert!(waiting(&server, &admin, "sales", 0).is_empty());

    let ann = registered(&server, "ann");
    let boss = registered(&server, "boss");
    let path = "/api/v1/agents/2001/supervise";
    let idle = r#"{"to": {"endpoint": "boss"}}"#;
    with(&server, &admin, "POST", path, idle).is_problem(409, "conflict");
    let member = ctl(
        &server,
        &["queues", "add", "other", "2001", "--penalty", "2"],
    );
    assert_eq!(
        (&member["penalty"], &member["state"]),
        (&2.into(), &"logged-out".into())
    );
    ctl(&server, &["agents", "login", "2001"]);
    let ann = ann.take_call(server.sip());
    await_event(&server, &admin, "queue.served", &two);
    let today = &ctl(&server, &["queues", "get", "other"])["today"];
    assert_eq!(
        (&today["offered"], &today["answered"]),
        (&1.into(), &1.into())
    );
    assert_eq!(today["service_level"], 1.0);
    assert_eq!(ctl(&server, &["queues", "get", "sales"])["hour"]["left"], 2);
    let agent = ctl(&server, &["agents", "get", "2001"]);
    assert_eq!(agent["today"]["answered"], 1);
    let supervising = ctl(
        &server,
        &["agents", "supervise", "2001", "--to", "endpoint:boss"],
    );
    assert_eq!(supervising["agent_call"], two.as_str(), "{supervising}");
    let mut boss = boss.take_call(server.sip());
    server.wait_log("the supervisor", |line| {
        line.contains("a supervisor joins an agent's call")
    });
    let says = |who: &Call| {
        who.say(&tone(&[700.0], 8000.0, 500));
        who.wait_said();
    };
    boss.hears_tone(700.0, 0.3, || says(&ann));
    let by = supervising["call"].as_str().expect("an id");
    let mode = |call: &str| {
        let path = format!("/api/v1/agents/2001/supervise/{call}");
        with(&server, &admin, "PATCH", &path, "{\"mode\": \"barge\"}")
    };
    mode(&two).is_problem(409, "conflict");
    assert_eq!(mode(by).json(), supervising);
    ann.hears_tone(700.0, 0.3, || says(&boss));
    boss.hang_up();
    drop(second);
    drop(ann);
    server.kill_and_start_again();
    let members = ctl(&server, &["queues", "members", "other"]);
    assert_eq!(members["items"][0]["agent"], "2001", "{members}");
    assert_eq!(
        ctl(&server, &["queues", "drop", "other", "2001"]),
        Value::Null
    );
    let members = ctl(&server, &["queues", "members", "other"]);
    assert_eq!(members["items"], json!([]));
}

#[test]
fn an_agent_joins_a_call() {
    let server = server();
    let admin = admin(&server);
    let (ann, bob) = (registered(&server, "ann"), registered(&server, "bob"));
    let body = r#"{"to": {"endpoint": "bob"}, "verbs": [{"wait": {"ms": 600000}}]}"#;
    let placed = with(&server, &admin, "POST", "/api/v1/calls", body).json();
    let id = placed["call"].as_str().expect("an id");
    let _bob = bob.take_call(server.sip());
    await_event(&server, &admin, "call.answered", id);
    ctl(&server, &["calls", "add", id, "--to", "agent:2001"]);
    let mut ann = ann.take_call(server.sip());
    await_json(&server, &admin, "/api/v1/conferences", |list| {
        list["items"][0]["members"].as_array().map(Vec::len) == Some(2)
    });
    ann.hang_up();
}
