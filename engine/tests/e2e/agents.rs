//! Agents at the numbers for them: what they are asked and told in words, and what becomes of it.
use crate::api::admin;
use crate::api_calls::await_json;
use crate::call_centre::rests;
use crate::customer::calling;
use crate::server::{Server, Settings};

const SECTIONS: &str = "\
[[endpoint]]\nuser = \"ann\"\npassword = \"secret-of-ann\"\n\
[[endpoint]]\nuser = \"desk\"\npassword = \"secret-of-desk\"\n\
[[agent]]\nid = \"71\"\nendpoint = \"ann\"\npin = \"4711\"\nlogged_in = false\n\
[[queue]]\nname = \"counter\"\nmembers = [\"71\"]\n\
[[number]]\nto = \"*45\"\nagent = \"login\"\n[[number]]\nto = \"*46\"\nagent = \"pause\"\n[[number]]\nto = \"*47\"\nagent = \"unpause\"\n";

#[test]
fn agents_are_asked_and_told_in_words_what_they_do() {
    let server = Server::with(Settings {
        callers: SECTIONS.into(),
        numbers: Vec::new(),
        ..Settings::default()
    });
    let admin = admin(&server);
    let is = |state: &str| {
        await_json(&server, &admin, "/api/v1/agents/71", |agent| {
            agent["state"] == state
        });
    };
    const ID: &str = "Please enter the number of the agent, then press the hash key.";
    const PIN: &str = "Please enter your PIN, then press the hash key.";
    // At its own phone: the PIN alone, a wrong one first.
    let mut ann = calling(&server, "ann", "*45", &[]);
    let mut at = 0;
    for pin in ["1#", "4711#"] {
        ann.hears(PIN, "en-US", at);
        at = ann.position();
        pin.chars().for_each(|key| ann.press(key));
    }
    ann.hears("You are logged in.", "en-US", at);
    ann.wait_hang_up();
    is("free");
    // Elsewhere: who it is as well.
    for (number, told, state) in [
        ("*46", "Your break begins.", "paused"),
        ("*47", "Your break is over.", "free"),
    ] {
        let mut desk = calling(&server, "desk", number, &[]);
        let mut at = 0;
        for (asked, keys) in [(ID, "71#"), (PIN, "4711#")] {
            at = desk.hears(asked, "en-US", at);
            keys.chars().for_each(|key| desk.press(key));
        }
        desk.hears(told, "en-US", at);
        desk.wait_hang_up();
        is(state);
    }
    rests(&server);
}
