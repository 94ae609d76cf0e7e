//! Calls that are placed later: taken, put to another time, cancelled, placed in time or late, missed, over a kill.
use super::api::{admin, with};
use super::api_calls::{await_that, ctl, registered, server};
use crate::server::Server;
use serde_json::{Value, json};
use std::time::{Duration, SystemTime};
use trunkline::store::{Scheduled, ScheduledState, Store, ms_of, stamp};

fn soon(seconds: u64) -> String {
    stamp(SystemTime::now() + Duration::from_secs(seconds))
}

fn schedule(server: &Server, token: &str, at: &str) -> Value {
    let body = json!({
        "to": {"endpoint": "ann"}, "at": at, "tags": ["reminder"],
        "verbs": [{"play": {"audio": "builtin:prompts/welcome.sln16"}}, {"hangup": {}}],
    });
    let answer = with(server, token, "POST", "/api/v1/calls", &body.to_string());
    assert_eq!(answer.status, 202, "{answer:?}");
    answer.json()
}

/// Waits until an event tells of that scheduled call.
#[track_caller]
fn await_schedule(server: &Server, token: &str, name: &str, id: &Value) -> Value {
    await_that(server, token, name, |event| {
        event["data"]["scheduled"] == *id
    })
}

#[test]
fn a_call_is_placed_when_its_time_has_come() {
    let server = server();
    let admin = admin(&server);
    let ann = registered(&server, "ann");
    let scheduled = schedule(&server, &admin, &soon(3600));
    assert_eq!(scheduled["state"], "waiting", "{scheduled}");
    assert_eq!(scheduled["to"], "endpoint ann");
    let id = scheduled["id"].as_str().expect("an id");
    let path = format!("/api/v1/scheduled-calls/{id}");
    let now = json!({ "at": soon(1) }).to_string();
    let moved = with(&server, &admin, "PATCH", &path, &now);
    assert_eq!(moved.status, 200, "{moved:?}");
    let call = ann.take_call(server.sip());
    call.wait_prompt("welcome", 0);
    call.wait_hang_up();
    let placed = await_schedule(&server, &admin, "schedule.placed", &id.into());
    let shown = super::api_calls::await_json(&server, &admin, &path, |of| of["state"] == "placed");
    assert_eq!(shown["call"], placed["call"], "{shown}");
    // It is over: there is nothing to be put to another time.
    let later = json!({ "at": soon(60) }).to_string();
    with(&server, &admin, "PATCH", &path, &later).is_problem(409, "conflict");
    server.wait_no_call();
}

#[test]
fn moments_are_read_as_people_write_them_and_refused_with_their_place() {
    let server = server();
    let admin = admin(&server);
    let day = stamp(SystemTime::now() + Duration::from_secs(7 * 86_400));
    let local = format!("{} 08:00 Europe/Berlin", &day[..10]);
    let verbs = server.scratch.path().join("v.json");
    std::fs::write(verbs, r#"[{"hangup": {}}]"#).expect("written");
    let created = ctl(
        &server,
        &[
            "calls",
            "create",
            "--to",
            "endpoint:ann",
            "--at",
            &local,
            "--late",
            "60",
            "--verbs",
            "v.json",
        ],
    );
    let at = created["at"].as_str().expect("a time");
    assert!(
        at.ends_with("T07:00:00.000Z") || at.ends_with("T06:00:00.000Z"),
        "{created}"
    );
    assert_eq!(
        (&created["late_s"], &created["state"]),
        (&60.into(), &"waiting".into())
    );
    let refused = |more: Value, path: &str| {
        let mut body = json!({"to": {"endpoint": "ann"}, "verbs": [{"hangup": {}}]});
        body.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("one").clone());
        let answer = with(&server, &admin, "POST", "/api/v1/calls", &body.to_string());
        let problem = answer.is_problem(422, "invalid");
        assert_eq!(problem["errors"][0]["path"], path, "{body}: {problem}");
    };
    refused(json!({"at": "2001-01-01T00:00:00Z"}), "at");
    refused(json!({"at": "2999-01-01T00:00:00Z"}), "at");
    refused(json!({"at": "tomorrow"}), "at");
    refused(json!({"at": soon(9), "late_s": 86_401}), "late_s");
    refused(json!({"late_s": 5}), "late_s");
    refused(json!({"at": soon(9), "verbs": [{"dance": {}}]}), "verbs[0]");
    refused(json!({"at": soon(9), "to": {"agent": "none"}}), "to");
}

#[test]
fn over_a_kill_late_ones_are_placed_and_older_ones_are_missed() {
    let mut server = server();
    let admin = admin(&server);
    let ann = registered(&server, "ann");
    let waits = schedule(&server, &admin, &soon(3600));
    let file = server.scratch.path().join("trunkline.db");
    let made = |id: &str, ago_s: u64, state| Scheduled {
        id: id.to_owned(),
        at_ms: ms_of(SystemTime::now() - Duration::from_secs(ago_s)),
        late_ms: 300_000,
        state,
        body: r#"{"to": {"endpoint": "ann"}, "verbs": [{"hangup": {}}]}"#.to_owned(),
        call: None,
        reason: None,
    };
    server.kill_and(|| {
        // As if it had been off for a while.
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let store = Store::open(&file).expect("the store");
            for (id, ago_s) in [("s-late", 60), ("s-old", 3000), ("s-cut", 60)] {
                let of = made(id, ago_s, ScheduledState::Waiting);
                assert!(store.schedule(of).await.expect("written"));
            }
            // This one was being placed.
            let claimed = store.claim_scheduled(SystemTime::now(), 9).await;
            assert_eq!(claimed.expect("read").0.len(), 3);
            for id in ["s-late", "s-old"] {
                let now = SystemTime::now();
                store.put_off_scheduled(id, now).await.expect("written");
            }
            store.flush().await;
        });
    });
    // It is tried again until the phone is there.
    ann.register(&server);
    let call = ann.take_call(server.sip());
    call.wait_hang_up();
    let placed = await_schedule(&server, &admin, "schedule.placed", &"s-late".into());
    assert!(placed["data"]["late_s"].as_u64() >= Some(60), "{placed}");
    await_schedule(&server, &admin, "schedule.missed", &"s-old".into());
    await_schedule(&server, &admin, "schedule.failed", &"s-cut".into());
    let listed = ctl(&server, &["scheduled", "list", "--state", "waiting"]);
    assert_eq!(listed["items"][0]["id"], waits["id"], "{listed}");
    let id = waits["id"].as_str().expect("an id");
    assert_eq!(ctl(&server, &["scheduled", "cancel", id]), Value::Null);
    await_schedule(&server, &admin, "schedule.cancelled", &waits["id"]);
    let path = format!("/api/v1/scheduled-calls/{id}");
    with(&server, &admin, "GET", &path, "").is_problem(404, "not-found");
}

#[test]
fn with_the_api_off_what_was_scheduled_is_placed() {
    let mut server = server();
    let admin = admin(&server);
    let ann = registered(&server, "ann");
    schedule(&server, &admin, &soon(5));
    let config = server.scratch.path().join("trunkline.toml");
    server.kill_and(|| {
        let text = std::fs::read_to_string(&config).expect("the configuration");
        let off = text.replace("requests_per_second = 10000", "listen = \"off\"");
        assert_ne!(text, off);
        std::fs::write(&config, off).expect("written");
    });
    ann.register(&server);
    ann.take_call(server.sip()).wait_hang_up();
}
