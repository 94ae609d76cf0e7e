use super::*;
use crate::call::{
    Audio, DialTarget, Hangup, HangupCause, OnMachine, Outcome, QueueEnd, Queued, RecordEnd,
    Recorded, RecordingId,
};
use serde_json::json;

#[test]
fn every_verb_is_read() {
    let text = br##"[
        {"answer": {}}, {"early_media": {}}, {"stop_stream": {}},
        {"play": {"audio": ["welcome.wav", "https://x.example/a.mp3", {"silence_ms": 500}, {"tone": {"hz": 440}}], "repeat": 2, "stop_keys": "#"}},
        {"gather": {"audio": "menu.wav", "max_digits": 4, "finish_on": "", "sensitive": true}},
        {"echo": {"max_ms": 1000}}, {"record": {"beep": false}}, {"record_call": {"tracks": "stereo"}},
        {"recording": {"action": "pause"}}, {"send_digits": {"digits": "12w3"}}, {"wait": {"ms": 5}},
        {"dial": {"to": ["100", {"endpoint": "ann"}, {"trunk": "t", "number": "+49"}], "order": "one_by_one", "ring_ms": 20000, "caller_id": "7"}},
        {"conference": {"room": "r", "mute": true}}, {"listen": {"speech": true}}, {"refer": {"uri": "sip:a@b"}},
        {"reject": {"status": 486}}, {"fetch": {"url": "http://x.example/"}},
        {"stream": {"url": "ws://x.example/s", "rate_hz": 16000, "direction": "both"}},
        {"hangup": {"cause": 34}}, {"redirect": {"url": "https://x.example/next"}},
        {"wait_for_tone": {"tones": ["busy", "congestion"], "country": "us", "max_ms": 10000}},
        {"detect_machine": {"wait_for_beep": true, "background": true, "max_words": 4}},
        {"enqueue": {"queue": "sales", "priority": 5, "max_wait_ms": 60000, "exit_keys": "#"}}, {"enqueue": {"agent": "2001"}},
        {"agent": {"service": "login", "agent": "2001", "pin": "4711"}}, {"agent": {"service": "pause"}}, {"agent": {"service": "listen", "agent": "2001"}},
        {"dial": {"to": "100", "machine_detection": "wait-for-beep"}}
    ]"##;
    let read = instructions("t", text).unwrap();
    assert_eq!(read.len(), 28);
    let Instruction::Verb(Verb::DetectMachine(detect)) = &read[21] else {
        panic!("{read:?}")
    };
    assert!(detect.background && detect.settings.wait_for_beep && detect.settings.max_words == 4);
    let Instruction::Verb(Verb::Dial(dial)) = &read[27] else {
        panic!("{read:?}")
    };
    assert_eq!(dial.on_machine, Some(OnMachine::WaitForBeep));
    let Instruction::Verb(Verb::Play(play)) = &read[3] else {
        panic!("{read:?}")
    };
    assert_eq!(
        (play.audio.len(), &play.audio[2]),
        (4, &Audio::Silence { ms: 500 })
    );
    let Instruction::Verb(Verb::Dial(dial)) = &read[11] else {
        panic!("{read:?}")
    };
    assert_eq!(dial.targets[1], DialTarget::Endpoint("ann".to_owned()));
    let cause = HangupCause::Q850(34);
    assert_eq!(read[18], Instruction::Verb(Verb::Hangup(Hangup { cause })));
    assert!(verbs("t", text).is_err(), "redirect is no verb");
}

#[test]
fn the_token_of_a_stream_is_long_and_never_told() {
    let stream = |token: &str| {
        let text = format!(r#"[{{"stream": {{"url": "ws://x.example/s", "token": {token}}}}}]"#);
        instructions("t", text.as_bytes()).map_err(|told| told.to_string())
    };
    let long = stream(&format!("\"{}\"", "x".repeat(2000))).unwrap();
    let [Instruction::Verb(Verb::Stream(long))] = &long[..] else {
        panic!("{long:?}")
    };
    assert_eq!(long.token.as_ref().unwrap().expose().len(), 2000);
    assert!(long.foreign, "whoever answers names the address");
    for wrong in ["\"s3cret \"", "\"\"", "47114711"] {
        let told = stream(wrong).unwrap_err();
        assert!(told.contains("1 to 4096 visible"), "{told}");
        assert!(!told.contains("s3cret") && !told.contains("4711"), "{told}");
    }
}

#[test]
fn how_a_wait_ended_is_told_by_its_name_and_its_key() {
    let told = |end| {
        let told = outcome_to_json(&Outcome::Queued(Queued { end, waited_s: 7 }));
        (told["end"].clone(), told["key"].clone())
    };
    for (end, name) in [
        (QueueEnd::Hold, "hold"),
        (QueueEnd::Ratio, "ratio"),
        (QueueEnd::Removed, "removed"),
        (QueueEnd::Unknown, "unknown"),
    ] {
        assert_eq!(told(end), (json!(name), json!(null)));
    }
    assert_eq!(told(QueueEnd::Key('*')), (json!("key"), json!("*")));
    let recorded = Outcome::Recorded(Recorded {
        recording: RecordingId(1),
        duration_ms: 5,
        lost_ms: 0,
        end: RecordEnd::Key('5'),
    });
    assert_eq!(outcome_to_json(&recorded)["key"], "5");
}

#[test]
fn mistakes_say_where_they_are_and_what_was_meant() {
    for (text, at, says) in [
        (r#"{"answer": {}}"#, "t:1:1", "must be a list"),
        (r#"[{"anser": {}}]"#, "t:1:2", "answer"),
        (
            r#"[{"answer": {}, "hangup": {}}]"#,
            "t:1:2",
            "must have one verb",
        ),
        ("[\n {\"play\": {\"audo\": \"x\"}}]", "t:2:11", "audio"),
        (
            r#"[{"play": {"audio": "/etc/passwd"}}]"#,
            "t:1:21",
            "leads out",
        ),
        (
            r#"[{"play": {"audio": "a/../../b"}}]"#,
            "t:1:21",
            "leads out",
        ),
        (r#"[{"gather": {"max_digits": 0}}]"#, "t:1:28", "1 to 64"),
        (r#"[{"dial": {"to": []}}]"#, "t:1:18", "1 to 32"),
        (r#"[{"redirect": {"url": "ftp://x"}}]"#, "t:1:23", "http"),
        (r#"[{"enqueue": {}}]"#, "t:1:14", "queue, or agent"),
        (r#"[{"agent": {"service": "listen"}}]"#, "t:1:12", "agent"),
        (
            r#"[{"wait_for_tone": {"tones": "bussy"}}]"#,
            "t:1:30",
            "busy",
        ),
        (
            r#"[{"dial": {"to": "1", "machine_detection": "hang up"}}]"#,
            "t:1:44",
            "hangup",
        ),
        (r#"[{"wait": {"ms": 5}"#, "t:1", ""),
    ] {
        let told = instructions("t", text.as_bytes()).unwrap_err().to_string();
        assert!(
            told.starts_with(at) && told.contains(says),
            "{text}\n{told}"
        );
    }
    let long = format!("[{}]", " ".repeat(MAX_TEXT));
    assert!(instructions("t", long.as_bytes()).is_err());
    let many = format!("[{}]", vec![r#"{"answer":{}}"#; MAX_VERBS + 1].join(","));
    assert!(instructions("t", many.as_bytes()).is_err());
}
