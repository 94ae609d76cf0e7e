//! Opening hours that are set by hand while the server runs: over the control API, from a shell, and by a caller's key.
use crate::api::{admin, trunkline_in, with};
use crate::call_centre::{folder, rests, serving};
use crate::customer::customer;
use crate::server::Server;

const FLOW: &str = r#"
flow_version: 1
entry: hours
schedules: {office: {timezone: UTC, open_periods: [{hours_start: "00:00", hours_end: "24:00"}]}}
prompts:
  open: {text: "The workshop is open. Hold the line please."}
  closed: {text: "Nobody works now. Call again tomorrow."}
  is_closed: {text: "Done, the night begins."}
menus:
  desk:
    menu_prompt: open
    timeout: 30
    choices:
      - {exten: "8", destination: {type: hours, schedule: office, override: closed, prompt: is_closed, then: {type: hangup}}}
nodes:
  hours: {type: schedule, schedule: office, open_destination: {type: menu, menu: desk}, closed_destination: {type: hangup, prompt: closed}}
"#;

#[track_caller]
fn is_open(server: &Server, open: bool) {
    let mut call = customer(server);
    match open {
        true => {
            call.hears("The workshop is open. Hold the line please.", "en-US", 0);
            call.hang_up();
        }
        false => {
            call.hears("Nobody works now. Call again tomorrow.", "en-US", 0);
            call.wait_hang_up();
        }
    }
    rests(server);
}

#[track_caller]
fn ctl(server: &Server, line: &[&str]) -> String {
    let url = format!(
        "http://{}:{}",
        server.settings.ip, server.settings.http_port
    );
    let all = [&["ctl", "--url", &url, "flows"], line].concat();
    let (done, said) = trunkline_in(server.scratch.path(), &all);
    assert!(done, "{said}");
    said
}

#[test]
fn hours_are_set_by_hand_and_outlive_a_restart() {
    let (_kept, path) = folder();
    let mut server = serving(&path, "workshop.yaml", FLOW, "");
    is_open(&server, true);
    let token = admin(&server);
    let of = "/api/v1/flows/workshop/schedules";
    let set =
        |server: &Server, body: &str| with(server, &token, "PUT", &format!("{of}/office"), body);
    let done = set(&server, r#"{"override": "closed"}"#);
    assert_eq!(done.status, 200, "{}", done.body);
    is_open(&server, false);
    server.wait_metrics("it is written", |metrics| {
        metrics.sum("trunkline_store_waiting") == 0.0
    });
    server.kill_and_start_again();
    is_open(&server, false);

    let listed = ctl(&server, &["schedules", "workshop"]);
    assert!(
        listed.contains("closed") && listed.contains("set closed by hand"),
        "{listed}"
    );
    ctl(&server, &["hours", "workshop", "office", "auto"]);
    let mut call = customer(&server);
    let at = call.hears("The workshop is open. Hold the line please.", "en-US", 0);
    call.press('8');
    call.hears("Done, the night begins.", "en-US", at);
    call.wait_hang_up();
    rests(&server);
    is_open(&server, false);

    for (path, body, status) in [
        ("workshop/schedules/office", r#"{"override": "shut"}"#, 422),
        ("workshop/schedules/shop", r#"{"override": "open"}"#, 404),
        ("absent/schedules/office", r#"{"override": "open"}"#, 404),
    ] {
        let refused = with(
            &server,
            &token,
            "PUT",
            &format!("/api/v1/flows/{path}"),
            body,
        );
        assert_eq!(refused.status, status, "{}", refused.body);
    }
}
