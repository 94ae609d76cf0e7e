//! Voicemail: a caller leaves a message and hangs up, it is mailed, its lamp is told, and the phone it is for hears it and deletes it. A process that is
//! killed in the midst of a message keeps it.
use crate::api_calls::ctl;
use crate::audio;
use crate::call::Call;
use crate::phone::Phone;
use crate::server::{Server, Settings};
use crate::spoken::spoken;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const GREETING: &str = "This is sales. Please leave a message.";

pub(crate) fn phone(user: &str) -> String {
    format!("[[endpoint]]\nuser = {user:?}\npassword = \"secret-of-{user}\"\n")
}

/// A server with a box, two phones, and a mail program that keeps what it is given in `mails`.
pub(crate) fn serving(folder: &Path) -> Server {
    let program = folder.join("mail");
    let mails = folder.join("mails").display().to_string();
    let script = format!("#!/bin/sh\necho \"$@\" >> {mails}\ncat >> {mails}\n");
    std::fs::write(&program, script).expect("write the program");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o755)).expect("chmod");
    let sections = format!(
        "{}{}[mail]\nfrom = \"pbx@example.com\"\nby = {:?}\n\
         [[voicemail]]\nname = \"sales\"\nnumber = \"100\"\npin = \"4711\"\nendpoints = [\"ann\"]\n\
         greeting_text = {GREETING:?}\nlanguage = \"en-US\"\nemail = [\"ann@example.com\"]\nmax_messages = 1\n\
         [[number]]\nto = \"8000\"\nvoicemail = \"sales\"\n[[number]]\nto = \"*97\"\nvoicemail_access = \"own\"\n",
        phone("ann"),
        phone("bob"),
        format!("command:{}", program.display()),
    );
    Server::with(Settings {
        callers: sections,
        numbers: Vec::new(),
        ..Settings::default()
    })
}

#[track_caller]
fn calls(server: &Server, user: &str, number: &str) -> Call {
    Phone::of(server, user, &format!("secret-of-{user}")).call(server, number)
}

#[track_caller]
fn hears(call: &Call, text: &str, from: usize) -> usize {
    call.wait_begin(text, &spoken(text, "en-US"), from)
}

/// The files of messages.
fn messages(server: &Server) -> Vec<PathBuf> {
    let folder = server.scratch.path().join("recordings/voicemail");
    let files = std::fs::read_dir(folder).into_iter().flatten();
    files.map(|file| file.expect("a file").path()).collect()
}

/// Waits until a phone is told that so many messages wait.
#[track_caller]
fn lamp(server: &Server, phone: &Phone, lit: &str, counts: &str) {
    let notify = phone.wait("NOTIFY", |message| {
        message.method() == "NOTIFY"
            && message.header("Event") == Some("message-summary")
            && message.body.contains(counts)
    });
    phone.respond(server.sip(), &notify, "200 OK", "");
    let body = &notify.body;
    assert!(body.starts_with(lit), "{body}");
    assert!(body.contains("Message-Account: sip:*97@"), "{body}");
}

/// Leaves four seconds of a tone.
#[track_caller]
pub(crate) fn leaves_a_message(server: &Server, user: &str) -> Call {
    let call = calls(server, user, "8000");
    hears(&call, GREETING, 0);
    call.press('#');
    call.wait_said();
    call.say(&audio::tone(&[440.0], 8000.0, 4000));
    call
}

#[test]
fn a_message_is_left_mailed_heard_and_deleted() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = serving(folder.path());
    let ann = Phone::of(&server, "ann", "secret-of-ann");
    ann.register(&server);
    lamp(&server, &ann, "Messages-Waiting: no", "0/0");
    let mut bob = leaves_a_message(&server, "bob");
    bob.wait_said();
    bob.hang_up();
    lamp(&server, &ann, "Messages-Waiting: yes", "1/0");
    server.wait_log("the message", |line| line.contains("a message was left"));
    server.wait_log("its mail", |line| line.contains("mail of a message sent"));
    let mail = std::fs::read_to_string(folder.path().join("mails")).expect("a mail");
    for part in [
        "-i -f pbx@example.com -- ann@example.com",
        "Subject: Voice message from bob",
        "Content-Type: audio/wav",
    ] {
        assert!(mail.contains(part), "{part}\n{mail}");
    }
    assert_eq!(messages(&server).len(), 1);

    // The box holds one message only.
    let full = calls(&server, "bob", "8000");
    hears(&full, "This mailbox is full.", 0);
    full.wait_hang_up();

    let listed = ctl(&server, &["voicemail", "messages", "100", "--state", "new"]);
    let message = &listed["items"][0];
    assert_eq!(message["from"], "bob", "{listed}");
    assert!(message["ms"].as_i64() > Some(2000), "{listed}");
    let id = message["id"].as_str().expect("an id");
    let changed = ctl(&server, &["voicemail", "save", "sales", id]);
    assert_eq!(changed["state"], "saved");
    ctl(&server, &["voicemail", "renew", "sales", id]);

    let ann = ann.call(&server, "*97");
    let at = hears(&ann, "Please enter your PIN, then hash.", 0);
    for key in "4711#".chars() {
        ann.press(key);
    }
    let at = hears(&ann, "You have one new message.", at);
    ann.press('7');
    hears(&ann, "There are no more messages.", at);
    ann.wait_hang_up();
    assert_eq!(messages(&server), [""; 0].map(PathBuf::from));
}

#[test]
fn the_voicemail_of_a_pasted_wazo_file_takes_messages() {
    const WAZO: &str = r#"{
    "main\_menu": {
        "prompt": "Press 1 to leave a message.",
        "options": {"1": {"action": "transfer\_to\_extension", "target": "voicemail\_menu"}},
        "fallback": {"action": "repeat\_menu"}
    },
    "voicemail\_menu": {
        "prompt": "Our offices are closed.",
        "action": "transfer\_to\_extension",
        "target": "voicemail\_ext"
    }
}"#;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ivr_flows.json");
    std::fs::write(&file, WAZO).expect("write the flow");
    let sections = "[[voicemail]]\nname = \"office\"\n[[number]]\nto = \"8000\"\nvoicemail = \"office\"\n\
                    [flow]\naliases = [\"voicemail_ext=8000\"]\n";
    let server = Server::with(Settings {
        callers: phone("bob") + sections,
        numbers: vec![("300".into(), file.display().to_string())],
        ..Settings::default()
    });
    let mut bob = calls(&server, "bob", "300");
    let at = hears(&bob, "Press 1 to leave a message.", 0);
    bob.press('1');
    let at = hears(&bob, "Our offices are closed.", at);
    hears(&bob, "The person you are calling is not available.", at);
    bob.press('#');
    bob.wait_said();
    bob.say(&audio::tone(&[440.0], 8000.0, 4000));
    bob.wait_said();
    bob.hang_up();
    server.wait_log("the message", |line| line.contains("a message was left"));
    assert_eq!(messages(&server).len(), 1);
}

#[test]
fn a_message_of_a_killed_process_is_kept() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut server = serving(folder.path());
    let bob = leaves_a_message(&server, "bob");
    bob.wait_said();
    // Three seconds are on the disk.
    let written = |file: &PathBuf| file.metadata().is_ok_and(|about| about.len() > 48_000);
    while !messages(&server).iter().any(written) {
        std::thread::yield_now();
    }
    server.kill_and_start_again();
    server.wait_log("the message", |line| line.contains("a message was left"));
    assert_eq!(messages(&server).len(), 1);
    let ann = calls(&server, "ann", "*97");
    let at = hears(&ann, "Please enter your PIN, then hash.", 0);
    for key in "4711#".chars() {
        ann.press(key);
    }
    hears(&ann, "You have one new message.", at);
}
