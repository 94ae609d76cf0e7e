//! Documents as text read back as they were; drawings are well-formed.
use super::super::{graph, write};
use super::*;
use crate::config::document::{self, Entry, Node, Value};
use proptest::prelude::*;

fn tree() -> impl Strategy<Value = Node> {
    let at = At::START;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-1.0e6..1.0e6f64).prop_map(Value::Float),
        any::<String>().prop_map(Value::Str),
        "[ -~\n]{0,150}".prop_map(Value::Str),
        prop::sample::select(vec![
            "yes", "null", "1", "-", "a: b", "#", "'", "0x1", "~", "*", "&a", ""
        ])
        .prop_map(|text| Value::Str(text.to_owned())),
    ];
    let leaf = leaf.prop_map(move |value| Node { at, value });
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let list = prop::collection::vec(inner.clone(), 0..5).prop_map(Value::List);
        let map = prop::collection::btree_map("[a-z_ 0-9#é:]{0,12}", inner, 0..5).prop_map(
            move |entries| {
                let entries = entries
                    .into_iter()
                    .map(|(key, value)| Entry { key, at, value });
                Value::Map(entries.collect())
            },
        );
        prop_oneof![list, map].prop_map(move |value| Node { at, value })
    })
}

/// Without the places.
fn plain(node: &Node) -> String {
    match &node.value {
        Value::List(items) => format!(
            "[{}]",
            items.iter().map(plain).collect::<Vec<_>>().join(",")
        ),
        Value::Map(entries) => {
            let entries = entries
                .iter()
                .map(|entry| format!("{:?}:{}", entry.key, plain(&entry.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        other => format!("{other:?}"),
    }
}

proptest! {
    #[test]
    fn what_is_written_reads_back(tree in tree()) {
        let json = write::json(&tree);
        prop_assert_eq!(plain(&document::json::parse("f", &json).expect("JSON")), plain(&tree));
        // YAML's parser takes some characters for none at all; flow files with them are JSON.
        let printable = |char: char| matches!(char, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..) ;
        if json.chars().all(printable) && matches!(tree.value, Value::Map(_)) {
            let yaml = write::yaml(&tree);
            let read = document::yaml::parse("f", &yaml).map_err(|error| TestCaseError::fail(format!("{error}\n{yaml}")))?;
            prop_assert_eq!(plain(&read), plain(&tree), "{}", yaml);
        }
    }
}

#[test]
fn a_converted_flow_is_the_same_flow() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ivr_flows.json");
    let text = "{\"main_menu\": {\"prompt\": \"Hello: 1\", \"options\": {\"1\": {\"action\": \"transfer_to_extension\", \"target\": \"100\"}}}}";
    std::fs::write(&path, text).expect("written");
    let first = Flow::look_at(&path, &Aliases::new()).expect("good");
    for as_json in [false, true] {
        let (converted, kind) = Flow::convert(&path, as_json).expect("good");
        assert_eq!(kind, Kind::NodeMap);
        let name = if as_json { "f.json" } else { "f.yaml" };
        let second = Flow::look_at_bytes(
            name,
            &folder.path().display().to_string(),
            converted.as_bytes(),
        )
        .expect("good");
        let second_flow = Flow {
            name: first.flow.name.clone(),
            ..(*second.flow).clone()
        };
        assert_eq!(
            (second.kind, &second_flow),
            (Kind::V1, &*first.flow),
            "{converted}"
        );
    }
}

#[test]
fn a_drawing_is_escaped_and_has_every_box() {
    let text = "flow_version: 1\nname: 'a<b>&\"c'\nentry: n<1\nnodes:\n  n<1: {type: branch, on: '${key}', cases: {'<script>': {type: goto, node: n2}}, else: {type: extension, exten: '1&2'}}\n  n2: {type: hangup}\n  alone: {type: hangup}\n";
    let loaded = Flow::look_at_bytes("f.yaml", "", text.as_bytes()).expect("good");
    let svg = graph::svg(&loaded.flow);
    assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    assert!(
        !svg.contains("<script")
            && !svg.contains("n<1")
            && svg.contains("n&lt;1")
            && svg.contains("= &lt;script&gt;")
            && svg.contains("1&amp;2")
    );
    assert_eq!(
        svg.matches("<rect ").count(),
        5,
        "three nodes, a number, and the end"
    );
    for name in BUILTIN_FLOWS {
        let flow = Flow::builtin(name).expect(name).flow;
        let svg = graph::svg(&flow);
        let boxes = svg.matches("<rect ").count();
        assert!(boxes >= flow.menus.len() + flow.nodes.len(), "{name}");
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
    }
}
