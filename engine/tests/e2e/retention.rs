//! Recordings and messages go when their time is over. libfaketime tells the server that it is two days later when it starts again: it looks at
//! what is too old then, and once an hour from then on.
use crate::api::{admin, with};
use crate::call_centre::{recordings, rests};
use crate::clock::clocked;
use crate::customer::{CUSTOMER, talking};
use crate::server::{Server, Settings};

const SECTIONS: &str = "[recordings]\nretention_days = 1\n\
[[voicemail]]\nname = \"office\"\nnumber = \"100\"\nkeep_days = 1\n\
[[voicemail]]\nname = \"archive\"\nnumber = \"101\"\n\
[[number]]\nto = \"8000\"\nvoicemail = \"office\"\n[[number]]\nto = \"8001\"\nvoicemail = \"archive\"\n";

/// One records the call as long as the configuration says, the other for longer; both take a message.
fn flow(days: &str, number: &str) -> String {
    format!(
        "flow_version: 1\nentry: tape\nrecording: {{enabled: true{days}}}\nprompts: {{hello: {{text: \"Hello there.\"}}}}\n\
         nodes: {{tape: {{type: play, prompt: hello, then: {{type: extension, exten: \"{number}\"}}}}}}\n"
    )
}

#[test]
fn what_is_too_old_is_deleted_and_the_rest_stays() {
    let folder = tempfile::tempdir().expect("scratch folder");
    let clock = folder.path().join("clock");
    std::fs::write(&clock, "+0").expect("write");
    let file = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("write the flow");
        path.display().to_string()
    };
    let mut server = Server::with(Settings {
        callers: format!("{SECTIONS}{CUSTOMER}"),
        numbers: vec![
            ("300".into(), file("short.yaml", flow("", "8000"))),
            (
                "301".into(),
                file("long.yaml", flow(", retention_days: 30", "8001")),
            ),
        ],
        environment: clocked(&clock),
        ..Settings::default()
    });
    talking(&server, "300").leaves_a_message(&server, 0);
    talking(&server, "301").leaves_a_message(&server, 0);
    rests(&server);
    assert_eq!(recordings(&server).len(), 2);
    let listed = |server: &Server, path: &str| {
        let list = with(server, &admin(server), "GET", path, "").json();
        list["items"].as_array().expect("a list").len()
    };
    assert_eq!(listed(&server, "/api/v1/recordings"), 2);

    server.kill_and(|| std::fs::write(&clock, format!("+{}", 48 * 3600)).expect("write"));
    server.wait_log("the messages", |line| {
        line.contains("messages of voicemail whose time was over are deleted")
            && line.contains("messages=1")
    });
    assert_eq!(recordings(&server).len(), 1);
    assert_eq!(listed(&server, "/api/v1/recordings"), 1);
    for (mailbox, left) in [("office", 0), ("archive", 1)] {
        let path = format!("/api/v1/voicemail/{mailbox}/messages");
        assert_eq!(listed(&server, &path), left, "{mailbox}");
    }
    let folder = server.scratch.path().join("recordings/voicemail");
    assert_eq!(std::fs::read_dir(folder).expect("a folder").count(), 1);
}
