//! What is refused, with the exact sentence and place.
use super::super::Flow;

const MENU: &str = "flow_version: 1\nentry: m\nprompts: {ask: {file: a}, key_1: {file: b}}\nmenus:\n  m:\n    menu_prompt: ask\n";

fn refused(text: &str) -> String {
    Flow::from_bytes("f.yaml", "", text.as_bytes())
        .expect_err(text)
        .to_string()
}

#[test]
fn mistakes_in_menus_are_told_exactly() {
    for (more, expected) in [
        ("", r#"f.yaml:6:5 menus.m: the key "choices" is missing"#),
        (
            "    choices: []",
            "f.yaml:7:14 menus.m.choices: must be a list of at least one choice, but is an empty list",
        ),
        (
            "    choices: [{exten: 1, destination: {type: repeat}}]",
            "f.yaml:7:23 menus.m.choices[0].exten: must be text in quotes, but is the number 1",
        ),
        (
            "    choices: [{exten: '1', destination: {type: repeet}}]",
            r#"f.yaml:7:48 menus.m.choices[0].destination.type: must be "goto", "menu", "ivr", "repeat", "back", "hangup", "none", "sound", "play", "announcement", "collect", "echo", "send_digits", "listen", "conference", "record_message", "record_call", "recording_control", "stream", "stop_stream", "wait_for_tone", "detect_machine", "set", "branch", "extension", "user", "group", "outcall", "transfer", "language", "recording", "schedule", "hours", "directory", "queue", "callback", "agent", "voicemail" or "webhook", but is "repeet"; did you mean "repeat"?"#,
        ),
        (
            "    choices: [{exten: '1', destination: {type: switchboard, switchboard_uuid: sales}}]",
            r#"f.yaml:7:48 menus.m.choices[0].destination.type: the type "switchboard" is part of the flow schema, but not built into this version: callers wait in a "queue", whose agents take them"#,
        ),
        (
            "    choices: [{exten: '1', destination: {type: menu, menu: n}}]",
            r#"f.yaml:7:60 menus.m.choices[0].destination.menu: there is no menu "n"; did you mean "m"?"#,
        ),
        (
            "    choices: [{exten: '1', destination: {type: goto, node: m}}]",
            r#"f.yaml:7:60 menus.m.choices[0].destination.node: there is no node "m", it is a menu: use {"type": "menu", "menu": …}"#,
        ),
        (
            "    choices: [{exten: '1', destination: {type: repeat}, then: stay}]",
            r#"f.yaml:7:63 menus.m.choices[0].then: this type goes on to nothing else: remove "then""#,
        ),
        (
            "    choices: [{exten: '1', destination: {type: sound, prompt: akk}}]",
            r#"f.yaml:7:63 menus.m.choices[0].destination.prompt: there is no prompt "akk"; did you mean "ask"?"#,
        ),
        (
            "    choices: [{exten: '1', destination: {type: sound, prompt: ask, then: sty}}]",
            r#"f.yaml:7:74 menus.m.choices[0].destination.then: must be "stay" or "return", but is "sty"; did you mean "stay"?"#,
        ),
        (
            "    choices: [{exten: '1', destination: {type: repeat}}, {exten: '1', destination: {type: back}}]",
            "f.yaml:7:66 menus.m.choices[1].exten: is already given in line 7",
        ),
        (
            "    finish_on_key: '#'\n    choices: [{exten: '#', destination: {type: repeat}}]",
            r##"f.yaml:7:20 menus.m.finish_on_key: "#" ends the entry, so the choice "#" could never be made"##,
        ),
        (
            "    finish_on_key: x\n    choices: [{exten: '1', destination: {type: repeat}}]",
            r#"f.yaml:7:20 menus.m.finish_on_key: must be one key, or "" for none, but is text, "x""#,
        ),
        (
            "    timeout: -1\n    choices: [{exten: '1', destination: {type: repeat}}]",
            "f.yaml:7:14 menus.m.timeout: must be a number from 0 to 3600, but is the number -1",
        ),
        (
            "    menu_sound: a.wav\n    choices: [{exten: '1', destination: {type: repeat}}]",
            r#"f.yaml:7:17 menus.m.menu_sound: is the same as "menu_prompt", which is given as well: give one of them"#,
        ),
        (
            "    greting_prompt: ask\n    choices: [{exten: '1', destination: {type: repeat}}]",
            r#"did you mean "greeting_prompt"?"#,
        ),
    ] {
        let told = refused(&format!("{MENU}{more}"));
        assert!(
            told == expected || (!expected.starts_with("f.yaml") && told.contains(expected)),
            "{more}\n told {told}\n want {expected}"
        );
    }
}

#[test]
fn mistakes_in_nodes_and_prompts_are_told_exactly() {
    let head = "flow_version: 1\nentry: n\nprompts: {ask: {file: a}, key_1: {file: b}}\nnodes:\n";
    for (nodes, expected) in [
        (
            "  n: {type: plai, prompt: ask}",
            r#"f.yaml:5:13 nodes.n.type: must be "play", "sound", "announcement", "collect", "echo", "send_digits", "listen", "conference", "record_message", "record_call", "recording_control", "stream", "stop_stream", "wait_for_tone", "detect_machine", "set", "branch", "hangup", "extension", "user", "group", "outcall", "transfer", "language", "recording", "schedule", "hours", "directory", "queue", "callback", "agent", "voicemail" or "webhook", but is "plai"; did you mean "play"?"#,
        ),
        (
            "  n: {type: xml, url: x}",
            r#"f.yaml:5:13 nodes.n.type: the type "xml" is part of the flow schema, but not built into this version: a [[number]] with "webhook" lets a program of yours drive the call, and "extension" leads there"#,
        ),
        (
            "  n: {type: play}",
            r#"f.yaml:5:6 nodes.n: the key "prompt" is missing"#,
        ),
        (
            "  n: {type: play, prompt: {text: hello, say: hello}}",
            r#"f.yaml:5:46 nodes.n.prompt.say: is the same as "text", which is given as well: give one of them"#,
        ),
        (
            "  n: {type: play, prompt: {file: a, silence_ms: 3}}",
            r#"f.yaml:5:27 nodes.n.prompt: must be one of "file", "url", "tone", "silence_ms" or "recording" alone, but is a table of keys"#,
        ),
        (
            "  n: {type: stream, url: 'http://bot.example'}",
            r#"f.yaml:5:26 nodes.n.url: must be "ws://host/…" or "wss://host/…""#,
        ),
        (
            "  n: {type: play, prompt: {recording: note}}",
            r#"f.yaml:5:39 nodes.n.prompt.recording: no record_message sets the recording "note""#,
        ),
        (
            "  n: {type: play, prompt: {tone: {hz: 5000, ms: 10}}}",
            "f.yaml:5:39 nodes.n.prompt.tone.hz: must be a number from 1 to 4000, but is the number 5000",
        ),
        (
            "  n: {type: play, prompt: 'key_${digit}'}",
            r#"f.yaml:5:27 nodes.n.prompt: there is no variable "digit"; did you mean "digits"?"#,
        ),
        (
            "  n: {type: play, prompt: 'kee_${digits}'}",
            "f.yaml:5:27 nodes.n.prompt: there is no prompt that this could become",
        ),
        (
            "  n: {type: play, prompt: '${digits'}",
            r#"f.yaml:5:27 nodes.n.prompt: "${" has no "}""#,
        ),
        (
            "  n: {type: play, prompt: {file: '${call.from}.wav'}}",
            "f.yaml:5:34 nodes.n.prompt.file: the files this can become cannot be told in advance: define each as a prompt and put the variable into the prompt's id",
        ),
        (
            "  n: {type: play, prompt: {url: 'ftp://h/a'}}",
            r#"f.yaml:5:33 nodes.n.prompt.url: must be a URL such as "https://example.com/welcome.wav", but is text, "ftp://h/a""#,
        ),
        (
            "  n: {type: play, prompt: {url: 'http://${digits}/a'}}",
            "f.yaml:5:33 nodes.n.prompt.url: the host of a URL cannot be a variable",
        ),
        (
            "  n: {type: play, prompt: ask, repeat: 0}",
            r#"f.yaml:5:40 nodes.n.repeat: must be a whole number from 1 to 1000, or "forever", but is the number 0"#,
        ),
        (
            "  n: {type: play, prompt: ask, interrupt: 1x}",
            r##"f.yaml:5:43 nodes.n.interrupt: must be keys such as "*#" (of 0-9 * # A-D), or "any", but is text, "1x""##,
        ),
        (
            "  n: {type: collect, set: 'a b'}",
            "f.yaml:5:27 a b: a variable's name has 1 to 64 letters a-z, digits and _",
        ),
        (
            "  n: {type: set, variables: {digits: '1'}}",
            "f.yaml:5:30 digits: this variable is set by the call itself: choose another name",
        ),
        (
            "  n: {type: set, variables: {a: '1'}, then: {type: goto, node: n}}",
            "f.yaml:5:3 nodes.n: leads back to itself without playing, listening or waiting: the call would hang",
        ),
        (
            "  n: {type: branch, on: a, cases: {b: stay}}",
            r#"f.yaml:5:6 nodes.n: the key "else" is missing"#,
        ),
    ] {
        assert_eq!(refused(&format!("{head}{nodes}")), expected, "{nodes}");
    }
}

#[test]
fn every_value_a_prompt_can_become_must_be_there_where_it_can_be_told() {
    let flow = |digits| {
        format!(
            "flow_version: 1\nentry: c\nprompts: {{key_1: {{file: b}}}}\nnodes:\n  c: {{type: collect, max_digits: {digits}, then: {{type: goto, node: p}}}}\n  p: {{type: play, prompt: 'key_${{digits}}'}}\n"
        )
    };
    let told = refused(&flow(1));
    assert!(told.starts_with("f.yaml:6:27 nodes.p.prompt: can become a prompt that is not there: key_#, key_*, key_0, key_2"), "{told}");
    assert!(
        Flow::from_bytes("f.yaml", "", flow(2).as_bytes()).is_ok(),
        "many digits cannot be told"
    );
}

#[test]
fn mistakes_of_the_whole_are_told_exactly() {
    for (text, expected) in [
        ("", "f.yaml:1:1 must be a table of keys, but is nothing"),
        (
            "entry: n\nnodes: {n: {type: hangup}}",
            r#"f.yaml:1:1 the key "flow_version" is missing"#,
        ),
        (
            "flow_version: 2\nentry: n\nnodes: {n: {type: hangup}}",
            "f.yaml:1:15 flow_version: must be a whole number from 1 to 1, but is the number 2",
        ),
        (
            "flow_version: 1\nentry: nn\nnodes: {n: {type: hangup}}",
            r#"f.yaml:2:8 entry: there is no menu or node "nn"; did you mean "n"?"#,
        ),
        (
            "flow_version: 1\nentry: n\nnodes: {n: {type: hangup}}\nqueues: {q: {strategy: ringal}}",
            r#"f.yaml:4:24 queues.q.strategy: must be "ringall", "linear", "leastrecent", "fewestcalls", "rrmemory", "random" or "wrandom", but is "ringal"; did you mean "ringall"?"#,
        ),
        (
            "flow_version: 1\nentry: n\nnode: {n: {type: hangup}}\nnodes: {n: {type: hangup}}",
            r#"f.yaml:3:1 node: unknown key; did you mean "nodes"?"#,
        ),
        (
            "flow_version: 1\nentry: n\nmenus: {n: {menu_prompt: {file: a}, choices: [{exten: '1', destination: {type: repeat}}]}}\nnodes: {n: {type: hangup}}",
            "f.yaml:4:9 nodes.n: a menu has this id as well: each id can be given once",
        ),
    ] {
        let told = refused(text);
        assert!(
            told == expected || (expected.ends_with("?") && told.starts_with(expected)),
            "{text}\n told {told}\n want {expected}"
        );
    }
}

#[test]
fn all_mistakes_are_told_at_once() {
    let told = refused(
        "flow_version: 1\nentry: a\nnodes:\n  b: {type: play}\n  c: {type: hangup, cause: bad}\n  d: {type: echo, then: {type: goto, node: e}}\n",
    );
    let lines: Vec<_> = told
        .lines()
        .map(|line| line.split(' ').next().unwrap_or(line))
        .collect();
    assert_eq!(
        lines,
        ["f.yaml:2:8", "f.yaml:4:6", "f.yaml:5:28", "f.yaml:6:44"],
        "{told}"
    );
}

#[test]
fn what_cannot_be_reached_is_a_warning() {
    let text = "flow_version: 1\nentry: a\nnodes:\n  a: {type: hangup}\n  b: {type: hangup}\n";
    let loaded = Flow::from_bytes("f.yaml", "", text.as_bytes()).expect("good");
    assert_eq!(loaded.warnings, ["f.yaml:5:3 nodes.b: nothing leads here"]);
}

#[test]
fn loops_of_several_instant_nodes_are_refused_and_their_neighbours_are_not() {
    let set = |id: &str, to: &str| {
        format!("  {id}: {{type: set, variables: {{v: x}}, then: {{type: goto, node: {to}}}}}\n")
    };
    let nodes = [set("a", "b"), set("b", "c"), set("c", "b")].concat();
    let told = refused(&format!("flow_version: 1\nentry: a\nnodes:\n{nodes}"));
    let lines: Vec<_> = told
        .lines()
        .map(|line| line.split(": ").next().unwrap_or(line))
        .collect();
    assert_eq!(lines, ["f.yaml:5:3 nodes.b", "f.yaml:6:3 nodes.c"]);
}

#[test]
fn hostile_documents_are_refused_quickly() {
    let many = (0..10_001)
        .map(|n| format!("  n{n}: {{type: hangup}}\n"))
        .collect::<String>();
    assert!(
        refused(&format!("flow_version: 1\nentry: n1\nnodes:\n{many}"))
            .contains("more than 10000 menus and nodes")
    );
    let unknown = (0..20_000)
        .map(|n| format!("k{n}: 1\n"))
        .collect::<String>();
    assert_eq!(refused(&unknown).lines().count(), 100);
    let names = (0..2000)
        .map(|n| format!("  n{n}: {{type: echo, then: {{type: goto, node: m{n}}}}}\n"))
        .collect::<String>();
    assert_eq!(
        refused(&format!("flow_version: 1\nentry: n1\nnodes:\n{names}"))
            .lines()
            .count(),
        100
    );
}
