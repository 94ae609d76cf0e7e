//! Flows offline: what is refused, and what a virtual caller hears.
mod by_hand;
mod caller;
mod conference;
mod converted;
mod demo;
mod dialling;
mod listening;
mod menus;
mod properties;
mod queues;
mod refused;
mod schema;
mod voicemail;
mod warned;
mod webhooks;

use super::*;
use crate::config::BUILTIN_FLOWS;
use std::collections::BTreeSet;

#[test]
fn builtin_flows_load_without_warnings() {
    for name in BUILTIN_FLOWS {
        let loaded = Flow::builtin(name).expect(name);
        assert_eq!(loaded.warnings, [""; 0]);
        assert_eq!(loaded.flow.name, *name);
        assert_eq!(loaded.prompt_files.is_empty(), *name == "load-answer");
    }
    let error = Flow::builtin("demmo").expect_err("there is none");
    assert_eq!(
        error.to_string(),
        "builtin:demmo:1:1 there is no built-in flow \"demmo\""
    );
}

/// The list from which the prompts are made names each file that the built-in flows ask for, and says the same words.
#[test]
fn every_builtin_prompt_is_on_the_list_of_prompts() {
    let list: serde_json::Value =
        serde_json::from_str(include_str!("../../../../examples/prompts/prompts.json"))
            .expect("JSON");
    let file = |entry: &serde_json::Value| {
        format!(
            "builtin:prompts/{}",
            entry["file"].as_str().expect("a file")
        )
    };
    let made: BTreeSet<String> = list
        .as_object()
        .expect("an object")
        .values()
        .map(file)
        .collect();
    for name in BUILTIN_FLOWS {
        for prompt in Flow::builtin(name).expect(name).prompt_files {
            assert!(made.contains(&prompt.key), "{name}: {}", prompt.key);
        }
    }
    let demo: serde_json::Value =
        serde_json::from_str(include_str!("../../../../examples/demo.json")).expect("JSON");
    let texts: BTreeSet<&str> = list
        .as_object()
        .expect("an object")
        .values()
        .filter_map(|entry| entry["text"].as_str())
        .collect();
    for (id, prompt) in demo["prompts"].as_object().expect("an object") {
        assert!(
            prompt["text"]
                .as_str()
                .is_none_or(|text| texts.contains(text)),
            "{id}"
        );
    }
}

#[test]
fn a_file_is_read_from_disk_and_its_prompts_must_be_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("flow.yaml");
    let text = "flow_version: 1\nentry: hello\nnodes:\n  hello: {type: play, prompt: [{file: a}, {file: b.wav}]}\n";
    std::fs::write(&path, text).expect("written");
    std::fs::write(folder.path().join("a.wav"), "").expect("written");
    let error = Flow::load(&path).expect_err("b.wav is absent").to_string();
    let folder = folder.path().display();
    assert_eq!(
        error,
        format!("{folder}/flow.yaml:4:50 there is no file {folder}/b.wav")
    );
    std::fs::write(format!("{folder}/b.wav"), "").expect("written");
    let loaded = Flow::load(&path).expect("good");
    let keys: Vec<_> = loaded
        .prompt_files
        .iter()
        .map(|file| file.key.as_str())
        .collect();
    assert_eq!(keys, [format!("{folder}/a"), format!("{folder}/b.wav")]);
}

#[test]
fn json_with_tabs_and_yaml_say_the_same() {
    let json = b"{\n\t\"flow_version\": 1,\n\t\"name\": \"caf\\u00e9 \\ud83d\\ude00\",\n\t\"entry\": \"n\",\n\t\"nodes\": {\"n\": {\"type\": \"hangup\"}}\n}";
    let yaml = "flow_version: 1\nname: café 😀\nentry: n\nnodes:\n  n: {type: hangup}\n";
    let from_json = Flow::from_bytes("f.json", "", json).expect("good");
    let from_yaml = Flow::from_bytes("f.yaml", "", yaml.as_bytes()).expect("good");
    assert_eq!(from_json.flow, from_yaml.flow);
    assert_eq!(
        Flow::from_bytes("f", "", json).expect("good").flow,
        from_json.flow
    );
}

/// The example of `docs/flow.md` is the first block of YAML in it.
#[test]
fn the_documented_example_loads() {
    let page = include_str!("../../../../docs/flow.md");
    let (_, rest) = page.split_once("```yaml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let loaded = Flow::from_bytes("docs/flow.md.yaml", "examples", example.as_bytes())
        .expect("the example is right");
    assert_eq!(loaded.warnings, [""; 0]);
}
