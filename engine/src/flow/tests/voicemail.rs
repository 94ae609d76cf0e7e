//! The step that leads to a voicemail box.
use super::super::FlowProgram;
use super::super::rehearsal::{Setting, acts, rehearse};
use super::caller::{call, yaml};
use crate::call::*;
use std::time::SystemTime;

fn first(node: &str) -> (FlowProgram, Verb) {
    let text = format!(
        "flow_version: 1\nentry: v\nlanguages: [{{code: es-ES}}]\ndefault_language: es-ES\nnodes:\n  v: {node}\n  full: {{type: branch, on: '${{voicemail_status}}', cases: {{full: {{type: hangup, cause: busy}}}}, else: {{type: hangup}}}}\n"
    );
    let mut program = FlowProgram::new(yaml(&text).flow);
    program.next(&call(), Outcome::Begin);
    let verb = program.next(&call(), Outcome::Done).verb;
    (program, verb)
}

fn done(end: VoicemailEnd) -> Outcome {
    let message = (end == VoicemailEnd::Left).then(|| "v-1".to_owned());
    Outcome::Voicemailed(Voicemailed { end, message })
}

#[test]
fn a_step_leads_to_a_box_as_it_says() {
    let spanish = |wanted| Voicemail {
        language: "es-ES".to_owned(),
        ..wanted
    };
    let leave = |busy, skip_instructions| VoicemailPurpose::Leave {
        busy,
        skip_instructions,
    };
    for (node, wanted) in [
        (
            "{type: voicemail, voicemail: sales}",
            spanish(Voicemail::leave("sales")),
        ),
        (
            "{type: voicemail, voicemail_id: 100, context: default, skip_instructions: true, greeting: busy, exit_keys: '0'}",
            Voicemail {
                purpose: leave(true, true),
                exit_keys: "0".to_owned(),
                ..spanish(Voicemail::leave("100"))
            },
        ),
        (
            "{type: voicemail, action: listen}",
            spanish(Voicemail::listen(None)),
        ),
        (
            "{type: voicemail, action: listen, voicemail: '${call.from}'}",
            spanish(Voicemail::listen(Some(call().from))),
        ),
    ] {
        assert_eq!(first(node).1, Verb::Voicemail(Box::new(wanted)), "{node}");
    }
}

#[test]
fn each_end_has_its_way() {
    let node = "{type: voicemail, voicemail: sales, fallbacks: {full: {type: goto, node: full}}}";
    for (end, cause) in [
        (VoicemailEnd::Left, HangupCause::Normal),
        (VoicemailEnd::Full, HangupCause::Busy),
        (VoicemailEnd::Unknown, HangupCause::Congestion),
    ] {
        let mut program = first(node).0;
        let verb = program.next(&call(), done(end)).verb;
        assert_eq!(verb, Verb::Hangup(Hangup { cause }), "{end:?}");
    }
}

#[test]
fn a_made_up_caller_leaves_a_message() {
    let text = "flow_version: 1\nentry: v\nnodes: {v: {type: voicemail, voicemail: sales, then: {type: hangup, cause: busy}}}\n";
    let setting = Setting {
        now: SystemTime::UNIX_EPOCH,
        from: "201".to_owned(),
        to: "300".to_owned(),
    };
    for (keys, became) in [("", "left"), ("full", "full"), ("silence", "empty")] {
        let transcript = rehearse(&yaml(text), &setting, &acts(keys).unwrap());
        let lines: Vec<String> = (transcript.lines.iter())
            .map(|line| format!("{} {}", line.kind, line.text))
            .collect();
        for line in [
            "voicemail a message in box sales",
            &format!("voicemail {became}"),
        ] {
            assert!(lines.iter().any(|each| each == line), "{keys}: {lines:?}");
        }
    }
}
