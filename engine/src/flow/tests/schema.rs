//! The published schema (`docs/flow.schema.json`) and the reader know the same keys and types, and flows that are right are right by both.
use super::*;
use crate::config::document::{self, Node, Value};
use serde_json::Value as Json;
use std::sync::LazyLock;

static SCHEMA: LazyLock<Json> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../../docs/flow.schema.json")).expect("JSON")
});

/// Every type of step with what it must have.
const STEPS: &str = "
flow_version: 1
entry: play
prompts:
  form: {tone: {hz: 400, ms: 10}}
schedules: {s: {timezone: UTC, open_periods: [{week_days: [1]}], exceptional_periods: [{dates: ['12-25']}]}}
languages: [{code: en}]
recording: {enabled: false}
menus: {m: {menu_prompt: form, choices: [{exten: '1', destination: {type: repeat}}]}}
queues: {q: {fallbacks: {busy: stay}, members: {agents: [{number: '1'}], users: [{user: a}]}}}
nodes:
  play: {type: play, prompt: form}
  sound: {type: sound, prompt: form}
  announcement: {type: announcement, prompt: form}
  collect: {type: collect, confirm: {prompt: form}}
  echo: {type: echo}
  send_digits: {type: send_digits, digits: '1'}
  conference: {type: conference, room: a}
  record_message: {type: record_message, set: a}
  record_call: {type: record_call}
  recording_control: {type: recording_control, action: stop}
  stream: {type: stream, url: 'ws://a'}
  stop_stream: {type: stop_stream}
  listen: {type: listen, until: speech}
  wait_for_tone: {type: wait_for_tone}
  detect_machine: {type: detect_machine}
  set: {type: set, variables: {v: x}}
  branch: {type: branch, on: x, cases: {x: stay}, else: stay}
  hangup: {type: hangup}
  extension: {type: extension, exten: '1', fallbacks: {busy: stay}}
  user: {type: user, user: a}
  group: {type: group, group: a}
  outcall: {type: outcall, trunk: a, exten: '1'}
  transfer: {type: transfer, destination: '1'}
  language: {type: language, language: en}
  recording: {type: recording, action: start}
  schedule: {type: schedule, schedule: s, open_destination: stay, closed_destination: stay}
  hours: {type: hours, schedule: s, override: open}
  directory: {type: directory, file: a}
  agent: {type: agent, agent: a}
  application: {type: application, application: a}
  custom: {type: custom, command: a}
  queue: {type: queue, queue_name: q}
  callback: {type: callback, queue_name: q}
  switchboard: {type: switchboard, switchboard_uuid: a}
  voicemail: {type: voicemail, voicemail: a}
  webhook: {type: webhook, url: 'https://a'}
  xml: {type: xml, url: a}
";

fn def(name: &str) -> &'static Json {
    &SCHEMA["$defs"][name]
}

fn properties(schema: &Json) -> BTreeSet<String> {
    let keys = schema["properties"]
        .as_object()
        .unwrap_or_else(|| panic!("{schema}"))
        .keys();
    keys.cloned().collect()
}

/// The schema of a key, where it may be null.
fn of<'s>(schema: &'s Json, key: &str) -> &'s Json {
    let value = &schema["properties"][key];
    value["anyOf"]
        .get(0)
        .filter(|_| value["anyOf"][1]["type"] == "null")
        .unwrap_or(value)
}

#[test]
fn the_schema_has_the_keys_that_the_reader_asks_for() {
    let asked = asked(STEPS);
    let below = |path: &str| -> BTreeSet<String> {
        let prefix = if path.is_empty() {
            String::new()
        } else {
            format!("{path}.")
        };
        let inside = asked.iter().filter_map(|asked| asked.strip_prefix(&prefix));
        inside
            .filter(|key| !key.contains('.'))
            .map(str::to_owned)
            .collect()
    };
    let same = |path: &str, schema: &Json| assert_eq!(below(path), properties(schema), "{path}");
    same("", &SCHEMA);
    for (place, name) in [
        ("menus.m", "menu"),
        ("menus.m.choices[]", "choice"),
        ("schedules.s", "schedule"),
        ("prompts.form", "prompt_form"),
        ("languages[]", "language"),
        ("recording", "recording"),
        ("queues.q", "queue"),
    ] {
        same(place, def(name));
    }
    let (schedule, queue) = (def("schedule"), def("queue"));
    same(
        "schedules.s.open_periods[]",
        &of(schedule, "open_periods")["items"],
    );
    same(
        "schedules.s.exceptional_periods[]",
        &of(schedule, "exceptional_periods")["items"],
    );
    same(
        "prompts.form.tone",
        &of(def("prompt_form"), "tone")["anyOf"][0],
    );
    same("queues.q.members", of(queue, "members"));
    for key in ["agents", "users"] {
        same(
            &format!("queues.q.members.{key}[]"),
            &of(of(queue, "members"), key)["items"],
        );
    }
    same("queues.q.fallbacks", of(queue, "fallbacks"));
    same(
        "nodes.extension.fallbacks",
        of(def("step_extension"), "fallbacks"),
    );
    same("nodes.collect.confirm", of(def("step_collect"), "confirm"));
    let tree = document::parse("f.yaml", STEPS).expect("YAML");
    let Value::Map(sections) = &tree.value else {
        panic!("a map")
    };
    let nodes = sections
        .iter()
        .find(|entry| entry.key == "nodes")
        .expect("nodes");
    let Value::Map(nodes) = &nodes.value.value else {
        panic!("a map")
    };
    for node in nodes {
        same(
            &format!("nodes.{}", node.key),
            def(&format!("step_{}", node.key)),
        );
    }
}

/// The words that the reader's own sentence lists as types.
fn types(document: &str) -> BTreeSet<String> {
    let told = Flow::from_bytes("f.yaml", "", document.as_bytes())
        .expect_err("no type")
        .to_string();
    let (_, list) = told.split_once("must be ").expect("a list");
    let (list, _) = list.split_once(", but is").expect("its end");
    list.split('"')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn the_schema_has_the_types_that_the_reader_takes() {
    let served = |list: &Json, prefix: &str| -> BTreeSet<String> {
        let names = list["oneOf"].as_array().expect("a list").iter();
        let names = names.filter_map(|each| each["$ref"].as_str()?.strip_prefix("#/$defs/"));
        let served = names.filter(|name| def(name).get("description").is_none());
        served
            .filter_map(|name| name.strip_prefix(prefix))
            .map(str::to_owned)
            .collect()
    };
    let node = types("flow_version: 1\nentry: a\nnodes: {a: {type: '?'}}");
    assert_eq!(node, served(def("node"), "step_"));
    let destination =
        types("flow_version: 1\nentry: a\nnodes: {a: {type: echo, then: {type: '?'}}}");
    let (ways, steps) = (
        served(def("destination"), "way_"),
        served(def("destination"), "step_"),
    );
    assert_eq!(destination, ways.union(&steps).cloned().collect());
}

/// Enough of JSON Schema for this one; patterns are the reader's to check.
fn valid(schema: &Json, node: &Node) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("{}:{} {what}", node.at.line, node.at.column));
    if let Some(name) = schema["$ref"].as_str() {
        return valid(def(name.trim_start_matches("#/$defs/")), node);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(list) = schema[key].as_array() {
            let fit: Vec<_> = list.iter().map(|schema| valid(schema, node)).collect();
            if !fit.iter().any(Result::is_ok) {
                return wrong(&format!("fits none of {fit:?}"));
            }
        }
    }
    let is = |name: &Json| {
        let name = name.as_str().unwrap_or_default();
        match &node.value {
            Value::Str(_) => name == "string",
            Value::Bool(_) => name == "boolean",
            Value::Null => name == "null",
            Value::List(_) => name == "array",
            Value::Map(_) => name == "object",
            Value::Int(_) => name == "integer" || name == "number",
            Value::Float(_) => name == "number",
        }
    };
    match &schema["type"] {
        Json::Null => {}
        Json::Array(names) if names.iter().any(is) => {}
        name if is(name) => {}
        name => return wrong(&format!("is not {name}")),
    }
    let same = |json: &Json| match &node.value {
        Value::Str(text) => json.as_str() == Some(text),
        Value::Int(number) => json.as_i64() == Some(*number),
        _ => false,
    };
    let constant = schema.get("const").is_none_or(same);
    if !constant
        || schema["enum"]
            .as_array()
            .is_some_and(|list| !list.iter().any(same))
    {
        return wrong("is another word");
    }
    let number = match node.value {
        Value::Int(number) => Some(number as f64),
        Value::Float(number) => Some(number),
        _ => None,
    };
    if let Some(number) = number
        && (schema["minimum"]
            .as_f64()
            .is_some_and(|least| number < least)
            || schema["maximum"].as_f64().is_some_and(|most| number > most))
    {
        return wrong("is out of range");
    }
    match &node.value {
        Value::List(items) => items
            .iter()
            .filter(|_| schema.get("items").is_some())
            .try_for_each(|item| valid(&schema["items"], item)),
        Value::Map(entries) => {
            let required = schema["required"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Json::as_str);
            for key in required {
                if !entries.iter().any(|entry| entry.key == key) {
                    return wrong(&format!("has no {key}"));
                }
            }
            entries.iter().try_for_each(|entry| {
                match (
                    schema["properties"].get(&entry.key),
                    &schema["additionalProperties"],
                ) {
                    (Some(schema), _) => valid(schema, &entry.value),
                    (None, Json::Bool(false)) => Err(format!(
                        "{}:{} unknown key {}",
                        entry.at.line, entry.at.column, entry.key
                    )),
                    (None, Json::Object(_)) => valid(&schema["additionalProperties"], &entry.value),
                    _ => Ok(()),
                }
            })
        }
        _ => Ok(()),
    }
}

fn by_schema(name: &str, text: &str) -> Result<(), String> {
    valid(&SCHEMA, &document::parse(name, text).expect("a document"))
}

#[test]
fn flows_that_are_right_are_right_by_the_schema_and_wrong_ones_wrong() {
    by_schema("f.yaml", STEPS).expect("every type");
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(examples).expect("examples").flatten() {
        let path = entry.path();
        let name = path.display().to_string();
        let is_flow = name.ends_with(".json")
            || (name.ends_with(".yaml") && !name.ends_with(".flowtest.yaml"));
        if is_flow {
            let text = std::fs::read_to_string(&path).expect("text");
            by_schema(&name, &text).unwrap_or_else(|error| panic!("{name}: {error}"));
            seen += 1;
        }
    }
    assert!(seen >= 4, "{seen} examples");
    let page = include_str!("../../../../docs/flow.md");
    let example = page
        .split("```yaml\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    by_schema("f.yaml", example.expect("an example")).expect("the documented example");
    let good = "flow_version: 1\nentry: a\nnodes: {a: {type: echo, then: null}}";
    by_schema("f.yaml", good).expect("null is absence");
    for (from, to) in [
        ("flow_version: 1", "flow_version: 2"),
        ("entry: a", "entri: a"),
        ("type: echo", "type: ecko"),
        ("then: null", "then: never"),
        ("then: null", "max_seconds: 0"),
        ("then: null", "stop_keyz: '1'"),
    ] {
        let bad = good.replace(from, to);
        assert!(by_schema("f.yaml", &bad).is_err(), "{bad}");
        assert!(
            Flow::from_bytes("f.yaml", "", bad.as_bytes()).is_err(),
            "{bad}"
        );
    }
}
