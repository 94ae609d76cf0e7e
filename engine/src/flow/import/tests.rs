//! Files of others: what they become, word by word.
use super::super::rehearsal::{Setting, acts, rehearse};
use super::super::schedule::moment;
use super::super::{Flow, Kind, Loaded};
use crate::config::Absent;

/// A node map as people paste it from a page: every underscore escaped, two blanks at the ends of lines.
const PASTED: &str = r#"{  
    "main\_menu": {  
        "prompt": "Good day. 1 is bread, 2 is cake\!",  
        "options": {  
            "1": {"action": "route\_to\_queue", "target": "bread\_desk"},  
            "2": {"action": "transfer\_to\_extension", "target": "2002"},  
            "3": {"action": "language\_selection", "target": "es\_ES"},  
            "4": {"action": "call\_recording\_trigger", "target": "start"},  
            "5": {"action": "play\_announcement", "target": "We bake at four."},  
            "6": {"action": "time\_based\_routing", "target": "clock"},  
            "8": {"action": "no\_such\_thing"},  
            "9": {"action": "repeat\_menu"},  
            "0": {"action": "exit"}  
        },  
        "fallback": {"action": "repeat\_menu"}  
    },  
    "bread\_desk": {"prompt": "To the bread desk.", "action": "transfer\_to\_extension", "target": "1001"},  
    "clock": {"type": "time\_based\_routing", "action": "time\_based\_routing"},  
    "voicemail\_menu": {"prompt": "We are closed.", "action": "transfer\_to\_extension", "target": "voicemail\_ext"}  
}"#;

/// A file of the second generation, ids inside the menus included.
const SECOND: &str = r#"
id: bakery
tenant: t1
entry_context: from-extern
tts_backend: polly
languages: [{code: en_US, voice: Joanna}, {code: es_ES, voice: Lucia}]
prompts:
  welcome: {text: {en_US: "Welcome.", es_ES: "Bienvenido."}}
  more: {text: {en_US: "More.", es_ES: "Mas."}}
  bye: {text: {en_US: "Bye.", es_ES: "Adios."}}
menus:
  root:
    id: root
    prompt: welcome
    timeout_sec: 4
    max_retries: 2
    options:
      "1": {action: menu, menu_ref: sub}
      "2": {action: extension, context: default, extension: 1001}
      "3": {action: transfer, destination: "+4930123456", timeout: 20}
      "4": {action: language, language: es_ES, prompt: welcome}
      "5": {action: hangup, prompt: bye}
    fallback_action: hangup
  sub: {id: sub, prompt: more, options: {"9": {action: hangup}}, fallback_action: menu, parent_menu: root}
business_hours:
  name: shop
  timezone: Europe/Madrid
  timeframes: {monday: ["09:00-13:00", "15:00-19:00"], tuesday: ["22:00-02:00"]}
call_recording: {enabled: false, format: wav}
created_at: "2025-01-01"
"#;

fn look(name: &str, text: &str) -> Loaded {
    Flow::look_at_bytes(name, "", text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
}

fn went(loaded: &Loaded, at: &str, keys: &str) -> Vec<String> {
    let setting = Setting {
        now: moment(at).expect(at),
        from: "alice".to_owned(),
        to: "1".to_owned(),
    };
    let transcript = rehearse(loaded, &setting, &acts(keys).expect(keys));
    let lines = transcript.lines.iter().skip(1);
    lines
        .map(|line| {
            format!("{} {}", line.kind, line.text.clone())
                .trim_end()
                .to_owned()
        })
        .collect()
}

#[test]
fn a_node_map_runs_as_it_was_pasted() {
    let loaded = look("ivr_flows.json", PASTED);
    assert_eq!(loaded.kind, Kind::NodeMap);
    assert_eq!(loaded.flow.menus.len(), 1);
    let at = "2026-11-20 10:00";
    let menu = "hears \"Good day. 1 is bread, 2 is cake!\"";
    let desk = [
        "hears \"To the bread desk.\"",
        "dials number 1001",
        "dial busy",
    ];
    assert_eq!(
        went(&loaded, at, "1,busy")[..6],
        [
            &["at main_menu", menu, "presses 1", "at bread_desk"][..],
            &desk[..2]
        ]
        .concat()
    );
    assert_eq!(
        went(&loaded, at, "2")[3..5],
        [
            "hears \"Transferring you to extension 2002.\"",
            "dials number 2002"
        ]
    );
    assert_eq!(
        went(&loaded, at, "3,hangup")[3..6],
        ["language es_ES", "at main_menu", menu]
    );
    assert_eq!(
        went(&loaded, at, "4,hangup")[3..6],
        [
            "hears \"Call recording has started.\"",
            "recording starts",
            menu
        ]
    );
    assert_eq!(
        went(&loaded, at, "5,hangup")[3..5],
        ["hears \"We bake at four.\"", menu]
    );
    assert_eq!(
        went(&loaded, at, "8,hangup")[3..5],
        ["at main_menu", menu],
        "an unknown action leads home"
    );
    assert_eq!(
        went(&loaded, at, "0")[3..],
        [
            "hears \"Thank you for calling. Goodbye.\"",
            "ends the flow hangs up"
        ]
    );
    let open = "schedule hours_1 is open: within the hours";
    let closed = "schedule hours_1 is closed: outside the hours";
    assert_eq!(
        went(&loaded, at, "6")[3..6],
        ["at clock", open, "at main_menu"]
    );
    let closed_way = went(&loaded, "2026-11-20 17:00", "6,hangup");
    assert_eq!(
        closed_way[4..8],
        [
            closed,
            "at voicemail_menu",
            "hears \"We are closed.\"",
            "dials number voicemail_ext"
        ]
    );
}

#[test]
fn a_silent_caller_is_let_go_after_three_tries_unless_the_file_says_otherwise() {
    let loaded = look("ivr_flows.json", PASTED);
    let heard = went(&loaded, "2026-11-20 10:00", "7");
    assert_eq!(
        heard
            .iter()
            .filter(|line| line.contains("Good day"))
            .count(),
        3
    );
    assert_eq!(
        heard.last().map(String::as_str),
        Some("ends the flow hangs up")
    );
    let endless = PASTED.replacen('{', "{\"legacy_infinite_repeat\": true,", 1);
    let endless = went(&look("f.json", &endless), "2026-11-20 10:00", "");
    assert!(
        endless
            .last()
            .is_some_and(|line| line.contains("still going on")),
        "{endless:?}"
    );
    let elsewhere = PASTED.replace(
        "\"fallback\": {\"action\": \"repeat\\_menu\"}",
        "\"fallback\": {\"action\": \"transfer_to_extension\", \"target\": \"bread\\_desk\"}",
    );
    assert_eq!(
        went(&look("f.json", &elsewhere), "2026-11-20 10:00", "7")[3],
        "at bread_desk"
    );
}

#[test]
fn what_is_odd_in_a_node_map_is_said_with_its_place() {
    let warnings = look("f.json", PASTED).warnings;
    for expected in [
        "f.json:2:10 the file was pasted from a page with Markdown escapes such as \"\\_\"",
        "f.json:11:13 main_menu.options.8: the action \"no_such_thing\" is not known: it leads to main_menu",
        "f.json:18:5 clock: these files say no hours: 09:00 to 17:00 in UTC (this server's zone) count",
        "f.json:19:100 nodes.voicemail_menu.exten: \"voicemail_ext\" is no number and no alias",
    ] {
        assert!(
            warnings.iter().any(|line| line.starts_with(expected)),
            "{expected}\n{warnings:#?}"
        );
    }
    for (text, expected) in [
        (
            "{\"main_meny\": {\"prompt\": \"x\", \"options\": {\"1\": {\"action\": \"exit\"}}}}",
            "there is no node \"main_menu\", where calls begin; did you mean \"main_meny\"?",
        ),
        (
            "{\"main_menu\": {\"prompt\": \"x\", \"options\": {\"1\": {\"action\": \"transfer_to_extension\"}}}}",
            "f.json:1:43 main_menu.options.1: the action \"transfer_to_extension\" has no target",
        ),
        (
            "{\"main_menu\": {\"prompt\": \"x\", \"options\": {\"12x\": {\"action\": \"exit\"}}}}",
            "f.json:1:43 menus.main_menu.choices[0].exten: \"x\" is not a key",
        ),
        (
            "{\"main_menu\": {\"prompt\": \"x\", \"options\": {}}}",
            "main_menu.options: has no option",
        ),
        (
            "{\"main_menu\": {\"type\": \"time_based_routing\", \"action\": \"time_based_routing\", \"after_hours_target\": \"voicemail\"}, \"voice_mail\": {\"prompt\": \"x\"}}",
            "\"after_hours_target\" leads to \"voicemail\", which is no node; did you mean \"voice_mail\"?",
        ),
    ] {
        let told = Flow::look_at_bytes("f.json", "", text.as_bytes())
            .expect_err(text)
            .to_string();
        assert!(told.contains(expected), "{told}\n{expected}");
    }
}

#[test]
fn a_queue_that_is_no_node_is_waited_in() {
    let text = PASTED.replace("\"target\": \"bread\\_desk\"", "\"target\": \"bread\"");
    let loaded = look("f.json", &text);
    assert_eq!(loaded.not_served.len(), 0);
    assert!(Flow::from_bytes("f.json", "", text.as_bytes()).is_ok());
    assert_eq!(
        loaded.flow.waits_for().into_iter().collect::<Vec<_>>(),
        ["bread"]
    );
    let went = went(&loaded, "2026-11-20 10:00", "1,timeout");
    assert!(
        went.contains(&"queues for queue bread".to_owned()),
        "{went:?}"
    );
    assert!(went.contains(&"queue timeout".to_owned()), "{went:?}");
}

#[test]
fn markdown_escapes_are_taken_in_files_of_others_only() {
    let ours =
        "{\"flow_version\": 1, \"entry\": \"a\\_b\", \"nodes\": {\"a_b\": {\"type\": \"hangup\"}}}";
    let told = Flow::from_bytes("f.json", "", ours.as_bytes())
        .expect_err("strict")
        .to_string();
    assert!(
        told.starts_with("f.json:1:32 is not an escape JSON knows"),
        "{told}"
    );
    let broken = PASTED.replace("\"0\"", "0");
    let told = Flow::from_bytes("f.json", "", broken.as_bytes())
        .expect_err("no JSON")
        .to_string();
    assert!(
        told.starts_with("f.json:13:13 expected a key in double quotes"),
        "{told}"
    );
}

#[test]
fn a_file_of_the_second_generation_runs_as_it_is() {
    let loaded = look("bakery.yaml", SECOND);
    assert_eq!(loaded.kind, Kind::Menus);
    assert_eq!(loaded.flow.name, "bakery");
    assert_eq!(
        loaded.flow.max_call_duration.map(|limit| limit.as_secs()),
        Some(300)
    );
    assert_eq!(loaded.flow.languages[1].voice.as_deref(), Some("Lucia"));
    assert_eq!(loaded.flow.languages[1].tts.as_deref(), Some("polly"));
    let open = "2026-11-23 10:00 Europe/Madrid";
    let began = [
        "at business_hours",
        "schedule business_hours is open: within the hours",
        "at root",
        "hears \"Welcome.\"",
    ];
    assert_eq!(went(&loaded, open, "hangup")[..4], began);
    assert_eq!(
        went(&loaded, open, "1,9")[5..8],
        ["at sub", "hears \"More.\"", "presses 9"]
    );
    assert_eq!(went(&loaded, open, "2")[5], "dials number 1001");
    assert_eq!(went(&loaded, open, "3")[5], "dials number +4930123456");
    assert_eq!(
        went(&loaded, open, "4,5")[5..10],
        [
            "language es_ES",
            "hears \"Bienvenido.\"",
            "hears \"Bienvenido.\"",
            "presses 5",
            "hears \"Adios.\""
        ]
    );
    assert_eq!(
        went(&loaded, open, "")[4..],
        [
            "silent no key",
            "hears \"Welcome.\"",
            "silent no key",
            "ends the flow hangs up"
        ]
    );
    for (at, is_open) in [
        ("2026-11-23 14:00 Europe/Madrid", false),
        ("2026-11-23 18:59 Europe/Madrid", true),
        ("2026-11-25 01:00 Europe/Madrid", true),
        ("2026-11-25 02:00 Europe/Madrid", false),
    ] {
        assert_eq!(
            went(&loaded, at, "hangup")[1].contains("is open"),
            is_open,
            "{at}"
        );
    }
}

#[test]
fn what_is_wrong_in_a_file_of_the_second_generation_is_said() {
    for (from, to, expected) in [
        (
            "fallback_action: hangup",
            "fallback_action: voicemail",
            "menus.root.fallback_action: is \"voicemail\", and the file has no \"voicemail_fallback\"",
        ),
        (
            "fallback_action: hangup",
            "fallback_action: queue",
            "menus.root.fallback_action: is \"queue\", but the menu has no option that leads to a queue",
        ),
        (
            "fallback_action: hangup",
            "fallback_action: hangpu",
            "did you mean \"hangup\"?",
        ),
        (
            "menu_ref: sub",
            "menu_ref: sbu",
            "there is no menu \"sbu\"; did you mean \"sub\"?",
        ),
        (
            "prompt: more",
            "prompt: mor",
            "there is no prompt \"mor\"; did you mean \"more\"?",
        ),
        (
            "monday:",
            "mondy:",
            "is no day of the week; did you mean \"monday\"?",
        ),
        (
            "Europe/Madrid",
            "Europe/Madird",
            "there is no time zone \"Europe/Madird\"; did you mean \"Europe/Madrid\"?",
        ),
        (
            "  root:\n",
            "  rot:\n",
            "there is no menu \"root\", where calls begin; did you mean \"rot\"?",
        ),
        (
            "language: es_ES",
            "language: fr_FR",
            "\"languages\" has no \"fr_FR\"",
        ),
    ] {
        let text = SECOND.replacen(from, to, 1);
        let told = Flow::look_at_bytes("f.yaml", "", text.as_bytes())
            .expect_err(to)
            .to_string();
        assert!(told.contains(expected), "{to}: {told}\n{expected}");
    }
    let voicemail = format!(
        "{}voicemail_fallback: {{voicemail_box: \"100\", context: default}}\n",
        SECOND
    );
    let loaded = look("f.yaml", &voicemail);
    assert_eq!(
        went(&loaded, "2026-11-22 10:00", "")[1..3],
        [
            "schedule business_hours is closed: outside the hours",
            "voicemail a message in box 100"
        ]
    );
    assert!(Flow::from_bytes("f.yaml", "", voicemail.as_bytes()).is_ok());
}

#[test]
fn a_mistake_behind_the_escapes_is_the_one_that_is_told() {
    let told = |text: &str| {
        Flow::look_at_bytes("f.json", "", text.as_bytes())
            .expect_err(text)
            .to_string()
    };
    let comma =
        "{\n\"main\\_menu\": {\"prompt\": \"a\", \"options\": {\"1\": {\"action\": \"exit\",}}}}";
    assert_eq!(
        told(comma),
        "f.json:2:66 expected a key in double quotes, but there is \"}\""
    );
    let escape = "{\"flow_version\": 1, \"a\\_b\": 2}";
    assert!(told(escape).starts_with("f.json:1:23 is not an escape JSON knows"));
}

#[test]
fn misspelt_words_of_others_are_told_with_the_nearest() {
    let warned = |text: &str| look("f.json", text).warnings.join("\n");
    let node = |inside: &str| format!("{{\"main_menu\": {{{inside}}}}}");
    for (inside, expected) in [
        (
            r#""prompt": "a", "optoins": {}, "fallback": {}"#,
            "f.json:1:31 main_menu.optoins: is not a key of these files: it has no effect; did you mean \"options\"?",
        ),
        (
            r#""prompt": "a", "type": "time_based_routin", "action": "exit""#,
            "f.json:1:39 main_menu.type: the type \"time_based_routin\" is not known: it has no effect; did you mean \"time_based_routing\"?",
        ),
    ] {
        let told = warned(&node(inside));
        assert!(
            told.contains(expected) && !told.contains("fallback: is not"),
            "{told}"
        );
    }
    let wrong = SECOND.replace("action: transfer,", "action: trans,");
    let told = Flow::look_at_bytes("f.yaml", "", wrong.as_bytes()).expect_err("wrong");
    assert!(told.to_string().contains("menus.root.options.3.action: must be \"menu\", \"queue\", \"extension\", \"voicemail\", \"hangup\", \"transfer\", \"language\" or \"repeat\", but is \"trans\""), "{told}");
    let language = node(
        r#""prompt": "a", "options": {"1": {"action": "language_selection", "target": "e n"}}"#,
    );
    let told = Flow::look_at_bytes("f.json", "", language.as_bytes()).expect_err("no language");
    assert!(
        told.to_string()
            .contains("must be a language such as \"en-US\", but is text, \"e n\""),
        "{told}"
    );
}

#[test]
fn a_queue_as_wazo_has_it_becomes_one_of_the_flow() {
    let text = |options: &str| {
        format!(
            "flow_version: 1\nentry: n\nnodes: {{n: {{type: queue, queue_name: q}}}}\nqueues:\n  q:\n    name: q\n    label: Q\n    timeout: 90\n    dtmf_record_toggle: true\n    members: {{users: [{{id: 3, uuid: abc, extension: '1001'}}]}}\n    options: [{options}]\n"
        )
    };
    let options = "[strategy, linear], [timeout, '15'], [retry, 7], [wrapuptime, '10'], [maxlen, '5'], [servicelevel, '30'], [joinempty, 'no'], [leavewhenempty, 'yes'], [announce-frequency, '40'], [announce-position, 'yes'], [announce-holdtime, 'no'], [weight, '3'], [autopause, 'yes'], [min-announce-frequency, '9']";
    let loaded = look("f.yaml", &text(options));
    let queue = &loaded.flow.queues[0].settings;
    let seconds = std::time::Duration::from_secs;
    assert_eq!(queue.strategy, crate::config::Strategy::Linear);
    assert_eq!(
        (queue.ring, queue.max_wait),
        (seconds(15), Some(seconds(90)))
    );
    assert_eq!((queue.retry, queue.wrap_up), (seconds(7), seconds(10)));
    assert_eq!(
        (queue.max_length, queue.weight, queue.service_level),
        (Some(5), 3, seconds(30))
    );
    assert!(queue.join_when_empty.is_some() && queue.leave_when_empty.is_some());
    assert!(queue.announce.position && !queue.announce.hold_time && queue.auto_pause);
    assert_eq!(queue.announce.every, seconds(40));
    let warned = loaded.warnings.join("\n");
    assert!(
        warned.contains("f.yaml:11:")
            && warned.contains("queues.q.options: \"min-announce-frequency\" has no effect"),
        "{warned}"
    );
    // The queue's own key for it counts before Wazo's.
    let both =
        text("[timeout, '15']").replace("    timeout: 90\n", "    timeout: 90\n    max_wait: 60\n");
    let loaded = look("f.yaml", &both);
    let queue = &loaded.flow.queues[0].settings;
    assert_eq!(
        (queue.ring, queue.max_wait),
        (seconds(15), Some(seconds(60)))
    );
    for (wrong, expected) in [
        (
            "[joinempty, never]",
            "f.yaml:11:27 queues.q.join_when_empty[0]: must be",
        ),
        (
            "[strategy, linar]",
            "f.yaml:11:26 queues.q.strategy: must be",
        ),
        (
            "[strategy]",
            "f.yaml:11:15 queues.q.options: each must be a key and a value",
        ),
        (
            "[maxlen, many]",
            "queues.q.max_length: must be a whole number from 0 to 100000, but is text, \"many\"",
        ),
    ] {
        let told = Flow::look_at_bytes("f.yaml", "", text(wrong).as_bytes()).expect_err(wrong);
        assert!(told.to_string().contains(expected), "{told}");
    }
}

#[test]
fn who_counts_as_away_in_a_queue_of_wazo_is_said_in_words_of_asterisk() {
    let word = |name: &str| {
        let word = Absent::WORDS.iter().find(|(word, _)| *word == name);
        word.unwrap().1
    };
    let states = word("paused").with(word("in-use")).with(word("wrap-up"));
    // The word, who is not let in by it, and who leaves by it.
    for (said, join, leave) in [
        ("yes", None, Some(Absent::USUAL)),
        ("no", Some(Absent::USUAL), None),
        ("'1'", None, Some(Absent::USUAL)),
        ("false", Some(Absent::USUAL), None),
        ("Strict", Some(Absent::STRICT), Some(Absent::STRICT)),
        ("loose", Some(Absent::LOOSE), Some(Absent::LOOSE)),
        ("'paused, inuse,wrapup'", Some(states), Some(states)),
        ("penalty", Some(word("penalty")), Some(word("penalty"))),
        (
            "'invalid,unavailable'",
            Some(word("unavailable")),
            Some(word("unavailable")),
        ),
    ] {
        let text = format!(
            "flow_version: 1\nentry: n\nnodes: {{n: {{type: queue, queue_name: q}}}}\nqueues:\n  q:\n    options: [[joinempty, {said}], [leavewhenempty, {said}]]\n"
        );
        let loaded = look("f.yaml", &text);
        let queue = &loaded.flow.queues[0].settings;
        assert_eq!(
            (queue.join_when_empty, queue.leave_when_empty),
            (join, leave),
            "{said}"
        );
    }
}

#[test]
fn a_silent_line_is_let_go_whatever_the_fallback_is() {
    let file = |fallback: &str| {
        format!(
            r#"{{"main_menu": {{"prompt": "Main.", "options": {{"1": {{"action": "exit"}}}}, "fallback": {fallback}}}}}"#
        )
    };
    for (fallback, said) in [
        (r#"{"action": "repeat_menu"}"#, ""),
        (
            r#"{"action": "play_announcement", "target": "Wrong."}"#,
            "hears \"Wrong.\"",
        ),
        (
            r#"{"action": "call_recording_trigger", "target": "start"}"#,
            "",
        ),
        (r#"{"action": "language_selection", "target": "es"}"#, ""),
        (r#"{"action": "no_such"}"#, ""),
        (r#""repeat_menu""#, ""),
    ] {
        let loaded = look("f.json", &file(fallback));
        let went = went(&loaded, "2026-11-20 10:00", "");
        assert_eq!(
            went.last().map(String::as_str),
            Some("ends the flow hangs up"),
            "{fallback} {went:?}"
        );
        let silent = went
            .iter()
            .filter(|line| line.starts_with("silent"))
            .count();
        assert_eq!(silent, 3, "{fallback} {went:?}");
        assert!(
            said.is_empty() || went.iter().any(|line| line.starts_with(said)),
            "{fallback} {went:?}"
        );
    }
}
