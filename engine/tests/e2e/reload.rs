//! SIGHUP: a new configuration counts for new calls, a bad one changes nothing, and calls in progress notice neither.
use crate::phone::Phone;
use crate::server::{Server, Settings, signal};

/// Changes the configuration file and has it read.
pub(crate) fn write(server: &Server, change: impl Fn(String) -> String) {
    let text = change(server.settings.toml(server.scratch.path()));
    std::fs::write(server.scratch.path().join("trunkline.toml"), text).expect("write");
    signal(server.pid(), "HUP");
}

fn status(server: &Server, number: &str) -> Option<u16> {
    let refused = Phone::new().try_call(server, number).err();
    refused.map(|refusal| refusal.status())
}

#[test]
fn numbers_change_while_calls_go_on() {
    let server = Server::with(Settings::default());
    let mut call = Phone::new().call(&server, "demo");
    assert_eq!(status(&server, "later"), Some(404));

    write(&server, |text| {
        text.replace("to = \"demo\"", "to = \"later\"")
            + "\n[transfer]\nblind = false\n[cdr]\nfile = \"later.jsonl\"\n"
    });
    server.wait_log("in force", |line| line.contains("is in force"));
    server.wait_log("a key that needs a restart", |line| {
        line.contains("count from the next start only: cdr.file")
    });
    assert_eq!(status(&server, "demo"), Some(404));
    Phone::new().call(&server, "later").hang_up();

    // The call from before goes on: it answers a key.
    let from = call.position();
    call.press_info('9');
    call.wait_prompt("goodbye", from);
    call.hang_up();
    server.wait_idle();
}

#[test]
fn a_bad_file_changes_nothing_and_every_mistake_is_logged() {
    let server = Server::with(Settings::default());
    write(&server, |text| {
        text.replace("to = \"demo\"", "too = \"other\"") + "\n[log2]\n"
    });
    server.wait_log("refused as a whole", |line| {
        line.contains("was not taken") && line.contains("stays in force")
    });
    let log = server.log_text();
    for mistake in ["number[0].too: unknown key", "log2: unknown key"] {
        assert!(log.contains(mistake), "{mistake}\n{log}");
    }
    Phone::new().call(&server, "demo").hang_up();

    // The same for a flow that cannot be read.
    write(&server, |text| text.replace("builtin:demo", "absent.json"));
    server.wait_log("the flow", |line| line.contains("absent.json"));
    Phone::new().call(&server, "demo").hang_up();
    server.wait_idle();
}
