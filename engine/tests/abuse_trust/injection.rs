//! What far ends write must stay text: in the log, in call records, in metrics, in other messages and in the names of files.
use crate::party::{Dialog, Party, header, status};
use crate::trust::alice_over_carrier;
use crate::world::World;
use std::io::Write;

fn same(text: String) -> String {
    text
}

/// What an attacker writes who knows what a log line, a JSON record, a metric and a header look like.
const FORGED: &[&str] = &[
    "\"Evil\\\" INFO call over\" <sip:%0D%0AX-Forged:1%0D%0A@x>",
    "\"a\\\\\" <sip:%22%2C%22origin%22%3A%22endpoint%3Aalice@x>",
    "<sip:x%0a2026-01-01T00:00:00Z%20%20INFO%20FORGED@x>",
    "<sip:x%1b[2J%00%7f%08@x>",
    "\"\u{202e}\u{1f600} }\" <sip:%7D%0Atrunkline_forged%201@x>",
    "<sip:x%3E%3Bforged%3D1@x>",
];

#[test]
fn what_callers_write_forges_no_line_record_metric_or_header() {
    let mut world = World::start();
    world.alice.register();
    let mut stranger = world.stranger();
    for (number, forged) in FORGED.iter().enumerate() {
        let own = format!("<sip:stranger@{}>", stranger.ip);
        let edit = |text: String| {
            text.replacen(&format!("From: {own}"), &format!("From: {forged}"), 1)
                .replacen(
                    "Contact:",
                    "User-Agent: x[31m FORGED\t\"\r\n \r\n\tfolded\r\nSubject: ${call.id} {{7*7}} %n%s\r\nContact:",
                    1,
                )
        };
        let mut asked = stranger.fresh("reception");
        asked.call_id = format!("{}\"FORGED{{}}<>", asked.call_id);
        asked.local = asked.local.replace(&own, forged);
        let sdp = stranger.sdp();
        let text = edit(stranger.text(&mut asked, "INVITE", &sdp));
        stranger.send(&text);
        let invite = world.alice.request_of("INVITE");
        for line in invite
            .split("\r\n\r\n")
            .next()
            .expect("a head")
            .split("\r\n")
            .skip(1)
        {
            let name = line.split(':').next().expect("a name");
            assert!(
                !name.contains("orged") && !line.contains('\n'),
                "{number}: {invite}"
            );
            assert!(
                line.chars().all(|char| !char.is_control()),
                "{number}: {line:?}"
            );
        }
        assert!(!header(&invite, "From").contains(";forged"), "{invite}");
        let called = world.alice.pick_up(&invite, "");
        let answer = stranger.final_response(&asked.call_id.clone(), "1 INVITE");
        stranger.confirm(&mut asked, &answer);
        stranger.hang_up(&mut asked);
        world.alice.is_hung_up(&called);
    }
    // A control character within a header is refused as such.
    for line in [
        "User-Agent: x\u{1b}[31m FORGED",
        "X-A: a\u{0}b",
        "X-A: a\rX-Forged: 1",
        "From\u{8}: x",
    ] {
        let (_, answer) = stranger.call_as("reception", |text| {
            text.replacen("Contact:", &format!("{line}\r\nContact:"), 1)
        });
        assert_eq!(status(&answer), 400, "{line:?}: {answer}");
    }
    // Refused calls are logged and recorded, too.
    for number in ["x%0aFORGED", "%22%7d%0a", "a%00b%1b[2J"] {
        let (_, answer) = stranger.call(number);
        assert!(status(&answer) >= 400, "{answer}");
    }
    world.rests();
    let log = world.server.log_text();
    for line in log.lines() {
        assert!(
            !line.starts_with("FORGED") && !line.starts_with("2026-01-01"),
            "{line}"
        );
        let tame = |char: char| !char.is_control() || char == '\t';
        assert!(line.chars().all(tame), "{line:?}");
    }
    assert!(
        log.contains("FORGED"),
        "what was forged is logged, as text:\n{log}"
    );
    let (_, page) = world.server.http("/metrics").expect("/metrics");
    assert!(!page.to_ascii_lowercase().contains("forged"), "{page}");
    let records = std::fs::read_to_string(world.server.scratch.path().join("cdr.jsonl"));
    for line in records.expect("records").lines() {
        let record: serde_json::Value = serde_json::from_str(line).expect(line);
        assert_ne!(record["origin"], "endpoint:alice", "{line}");
        assert!(
            ["call", "leg"].iter().any(|kind| record["type"] == *kind),
            "{line}"
        );
    }
}

/// A reason phrase, a Reason header and a Warning of a callee reach the caller at most as text.
#[test]
fn what_callees_write_forges_no_header_either() {
    let mut world = World::start();
    world.alice.register();
    let mut stranger = world.stranger();
    for (line, extra) in [
        (
            "486 Busy\u{1b}[2J \"FORGED",
            "Reason: Q.850;cause=17;text=\"x\\\"\r\n\tFORGED: 1\"\r\n",
        ),
        (
            "603 ${call.id}",
            "Warning: 399 x \"a\"\r\nX-Forged: 1\r\nProxy-Authenticate: Digest realm=\"x\"\r\n",
        ),
        (
            "488 No",
            "Reason: SIP;cause=200;text=\"FORGED\", X-Forged;cause=1\r\n",
        ),
    ] {
        let (_, text) = stranger.begin("reception");
        let invite = world.alice.request_of("INVITE");
        let refusal = world.alice.response(&invite, line, "x", extra, "");
        world.alice.send(&refusal);
        let answer = stranger.final_response(header(&text, "Call-ID"), header(&text, "CSeq"));
        assert!(status(&answer) >= 400, "{answer}");
        for line in answer.trim_end().split("\r\n").skip(1) {
            let name = line.split(':').next().expect("a name");
            assert!(!name.to_ascii_lowercase().contains("forged"), "{answer}");
            assert!(line.chars().all(|char| !char.is_control()), "{line:?}");
        }
        assert!(!answer.contains("Proxy-Authenticate"), "{answer}");
    }
    let (_, page) = world.server.http("/metrics").expect("/metrics");
    assert!(!page.to_ascii_lowercase().contains("forged"), "{page}");
    world.rests();
}

/// A trunk's list of headers to pass carries what is said from end to end, never what steers a dialog or says who calls.
#[test]
fn the_list_of_passed_headers_smuggles_nothing() {
    let mut world = World::start();
    let evil = world.stranger();
    let smuggled = format!(
        "Route: <sip:{0};lr>\r\nP-Asserted-Identity: <sip:+491@boss>\r\nP-Preferred-Identity: <sip:+491@boss>\r\n\
         Remote-Party-ID: <sip:+491@boss>\r\nPrivacy: none\r\nDiversion: <sip:+49boss@x>\r\nProxy-Authorization: Digest username=\"boss\"\r\n\
         Path: <sip:{0};lr>\r\nService-Route: <sip:{0};lr>\r\nHistory-Info: <sip:boss@x>\r\nAllow-Events: boss\r\nUser-Agent: boss\r\nX-Kept: yes\r\nSubject: hello\r\n",
        evil.address()
    );
    let mut ours = world.alice.fresh("+4930123");
    let sdp = world.alice.sdp();
    let challenge = world.alice.ask_unproven(&mut ours, &sdp);
    world.alice.extra.clone_from(&smuggled);
    world.alice.begin_proven(&mut ours, &sdp, &challenge);
    let invite = world.carrier.request_of("INVITE");
    assert_eq!(header(&invite, "X-Kept"), "yes", "{invite}");
    for part in [
        "boss",
        "+491",
        "Route:",
        "Authorization:",
        "Path:",
        &evil.address().to_string(),
    ] {
        assert!(!invite.contains(part), "{part}: {invite}");
    }
    assert_eq!(invite.matches("\r\nVia:").count(), 1, "{invite}");
    assert!(
        header(&invite, "P-Asserted-Identity").contains("sip:201@"),
        "{invite}"
    );
    // The same of a response.
    world.carrier.respond(&invite, "180 Ringing");
    let theirs = world
        .carrier
        .answer(&invite, &smuggled.replace("Record-Route", "X-Record"));
    let cseq = format!("{} INVITE", ours.cseq);
    let answer = world.alice.final_response(&ours.call_id.clone(), &cseq);
    for part in [
        "boss",
        "+491",
        "Route:",
        "Authorization",
        &evil.address().to_string(),
    ] {
        assert!(!answer.contains(part), "{part}: {answer}");
    }
    world.alice.confirm(&mut ours, &answer);
    world.alice.hang_up(&mut ours);
    world.carrier.is_hung_up(&theirs);
    world.rests();
}

/// A flow that names a prompt by what the caller says (a file cannot be named so: `check` refuses that), and sorts by what is pressed.
const FLOW: &str = r#"
flow_version: 1
entry: named
prompts:
  known: {file: sounds/known}
nodes:
  named: {type: play, prompt: ["${call.from}"], then: {type: goto, node: ask}}
  ask: {type: collect, prompt: [{tone: {hz: 440, ms: 20, dbm0: -10}}], max_digits: 8, set: pin, then: {type: goto, node: sort}, no_input: {type: hangup, cause: congestion}}
  sort: {type: branch, on: "${pin}", cases: {"123": {type: hangup, cause: busy}}, else: {type: hangup}}
error_destination: {type: goto, node: ask}
"#;

/// 100 ms of a tone, as a WAV file of 16 bits and 8 kHz.
fn wav(path: &std::path::Path) {
    let samples: Vec<u8> = (0..800_i16)
        .flat_map(|n| ((n % 8) * 2000).to_le_bytes())
        .collect();
    let mut file = std::fs::File::create(path).expect("create");
    let mut head = b"RIFF".to_vec();
    head.extend((36 + samples.len() as u32).to_le_bytes());
    head.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    head.extend((samples.len() as u32).to_le_bytes());
    file.write_all(&[head, samples].concat()).expect("write");
}

#[test]
fn no_caller_leads_a_prompt_out_of_its_folder_and_keys_stay_keys() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir_all(at("flow/sounds")).expect("folders");
    std::fs::write(at("flow/ivr.yaml"), FLOW).expect("write");
    wav(&at("flow/sounds/known.wav"));
    wav(&at("flow/secret.wav"));
    wav(&at("outside.wav"));
    let flow = at("flow/ivr.yaml").display().to_string();
    let world = World::with(&format!(
        "[[number]]\nto = \"ivr\"\nflow = {flow:?}\nfrom = [\"anyone\"]\n"
    ));
    let absolute = at("outside").display().to_string().replace('/', "%2F");
    let mut stranger = world.stranger();
    for (user, is_there) in [
        ("known", true),
        ("..%2Fsecret", false),
        ("..%2F..%2Foutside", false),
        ("..%2fsounds%2f..%2fsecret", false),
        (".%2F..%2Fsecret", false),
        (absolute.as_str(), false),
        ("%2e%2e%2fsecret", false),
        ("..%5C..%5Csecret", false),
        ("known%00", false),
        ("file%3A%2F%2F%2Fetc%2Fpasswd", false),
        ("http%3A%2F%2F169.254.169.254%2F", false),
    ] {
        stranger.user = "stranger".into();
        let own = format!("sip:stranger@{}", stranger.ip);
        let mut asked = stranger.fresh("ivr");
        asked.local = asked.local.replace(&own, &format!("sip:{user}@x"));
        let sdp = stranger.sdp();
        let answer = stranger.ask(&mut asked, "INVITE", &sdp, same);
        assert_eq!(status(&answer), 200, "{user}: {answer}");
        stranger.confirm(&mut asked, &answer);
        // The question comes after the prompt, or after the error that it is not there.
        let call = call_of(&world, &asked);
        let asks = |line: &str| line.contains(&call) && line.contains("at=ask");
        world.server.wait_log(user, asks);
        let failed = world
            .server
            .count_log(|line| line.contains(&call) && line.contains("verb failed"));
        assert_eq!(
            failed == 0,
            is_there,
            "{user}:\n{}",
            world.server.log_text()
        );
        press_what_is_no_key(&mut stranger, &mut asked);
        // The right keys, and nothing else, were the pin.
        let bye = stranger.is_hung_up(&asked);
        assert!(bye.contains("cause=17"), "{user}: {bye}");
    }
    world.rests();
}

/// The id of the call that this dialog is, as it stands in the log.
fn call_of(world: &World, dialog: &Dialog) -> String {
    let line = world.server.wait_log("call in", |line| {
        line.contains(&format!("\"{}\"", dialog.call_id))
    });
    let from = line.find("call{id=").expect("an id");
    line[from..].split('}').next().expect("an id").to_owned()
}

/// Keys by INFO that are none are refused or mean nothing; the right ones still count.
fn press_what_is_no_key(stranger: &mut Party, asked: &mut Dialog) {
    for signal in [
        "${call.id}",
        "../x",
        "1\u{0}2",
        "\"}",
        "1234567890",
        "",
        "%31",
        "&#49;",
    ] {
        let body = format!("Signal={signal}\r\nDuration=100\r\n");
        let answer = stranger.ask(asked, "INFO", &body, same);
        assert!(status(&answer) >= 200, "{signal:?}: {answer}");
    }
    for signal in ["1", "2", "3", "#"] {
        let body = format!("Signal={signal}\r\nDuration=100\r\n");
        let answer = stranger.ask(asked, "INFO", &body, same);
        assert_eq!(status(&answer), 200, "{answer}");
    }
}

#[test]
fn a_smuggling_call_id_is_nobody_elses() {
    // Call-IDs are the caller's to choose: one that looks like another call's is another call.
    let mut world = World::start();
    let (mut ours, theirs, invite) = alice_over_carrier(&mut world, "+4930123", "");
    let mut mallory = world.stranger();
    for call_id in [&ours.call_id, header(&invite, "Call-ID")] {
        let mut own = mallory.fresh("demo");
        call_id.clone_into(&mut own.call_id);
        let sdp = mallory.sdp();
        let answer = mallory.ask(&mut own, "INVITE", &sdp, same);
        assert_eq!(status(&answer), 200, "{answer}");
        mallory.confirm(&mut own, &answer);
        mallory.hang_up(&mut own);
    }
    assert_eq!(world.alice.came("BYE") + world.carrier.came("BYE"), 0);
    world.alice.hang_up(&mut ours);
    world.carrier.is_hung_up(&theirs);
    world.rests();
}
