//! A flow asks that somebody be called back: the request waits for an agent, is placed over the trunk, and both talk, after the agent has
//! heard the queue's whisper.
use crate::api::admin;
use crate::api_calls::{await_json, ctl};
use crate::audio::tone;
use crate::call_centre::{answer, folder, registered_saying, rests};
use crate::customer::{CUSTOMER, customer};
use crate::phone::Phone;
use crate::server::{Server, Settings};
use std::path::Path;

const FLOW: &str = r#"
flow_version: 1
entry: ask
prompts:
  noted: {text: "We call you back. Goodbye."}
  abroad: {text: "We do not call abroad. Goodbye."}
nodes:
  ask: {type: callback, queue_name: counter, number: "+4930123456", then: {type: hangup, prompt: noted}, refused: {type: goto, node: never}}
  never: {type: hangup}
  other: {type: callback, queue_name: counter, number: "+16135550100", then: {type: goto, node: never}, refused: {type: hangup, prompt: abroad}}
"#;

/// An agent who is not at work yet, its queue, and the trunk over which `home` is called.
fn serving(folder: &Path, home: &Phone) -> Server {
    let flow = |name: &str, text: &str| {
        let file = folder.join(name);
        std::fs::write(&file, text).expect("write the flow");
        file.display().to_string()
    };
    let numbers = vec![
        ("300".into(), flow("home.yaml", FLOW)),
        (
            "301".into(),
            flow("abroad.yaml", &FLOW.replace("entry: ask", "entry: other")),
        ),
    ];
    let whisper = crate::examples().join("prompts/info.sln16");
    let sections = format!(
        "{CUSTOMER}[[endpoint]]\nuser = \"agent\"\npassword = \"secret-of-agent\"\n\
         [[agent]]\nid = \"71\"\nendpoint = \"agent\"\nlogged_in = false\n\
         [[trunk]]\nname = \"out\"\ntarget = \"sip:{}\"\noptions_interval_s = 0\n\
         [[queue]]\nname = \"counter\"\nmembers = [\"71\"]\nwhisper = {whisper:?}\n\
         callback_key = \"2\"\ncallback_trunk = \"out\"\ncallback_allow = [\"+49\"]\n",
        home.address()
    );
    Server::with(Settings {
        callers: sections,
        numbers,
        ..Settings::default()
    })
}

#[test]
fn who_asks_for_it_is_called_back_when_an_agent_is_there() {
    let (_kept, path) = folder();
    let home = Phone::new();
    let server = serving(&path, &home);
    let admin = admin(&server);
    let queue = "/api/v1/queues/counter";
    let mut agent = registered_saying(
        &server,
        "agent",
        "secret-of-agent",
        &tone(&[700.0], 8000.0, 60_000),
    );

    // Where the queue calls nobody the flow says so.
    let mut abroad = crate::customer::calling(&server, "customer", "301", &[]);
    abroad.hears("We do not call abroad. Goodbye.", "en-US", 0);
    abroad.wait_hang_up();
    let mut caller = customer(&server);
    caller.hears("We call you back. Goodbye.", "en-US", 0);
    caller.wait_hang_up();
    await_json(&server, &admin, queue, |queue| queue["callbacks"] == 1);
    assert_eq!(agent.count_events("CALL_INCOMING"), 0);

    ctl(&server, &["agents", "login", "71"]);
    let home = home.take_call(server.sip());
    answer(&mut agent);
    agent.wait_prompt("info", 0);
    home.hears_tone(700.0, 0.5, || ());
    await_json(&server, &admin, queue, |queue| queue["callbacks"] == 0);
    agent.command("hangup", "");
    home.wait_hang_up();
    rests(&server);
}
