//! The documentation names every key, and no key that is none; the examples are right.
use super::*;
use std::collections::BTreeSet;

const PAGE: &str = include_str!("../../../docs/configuration.md");

/// `section.key` of every row of a table below a heading that names a section.
fn documented() -> BTreeSet<String> {
    let mut section = None;
    let mut keys = BTreeSet::new();
    for line in PAGE.lines() {
        if line.starts_with("## ") {
            let name = line
                .strip_prefix("## `[")
                .and_then(|rest| rest.strip_suffix("]`"));
            section = name.map(|name| match name.strip_prefix('[') {
                Some(entry) => format!("{}[]", entry.trim_end_matches(']')),
                None => name.to_owned(),
            });
        }
        let row = line
            .strip_prefix("| `")
            .and_then(|rest| rest.split_once("` | "));
        if let (Some(section), Some((key, _))) = (&section, row) {
            assert!(
                keys.insert(format!("{section}.{key}")),
                "{key} stands twice"
            );
        }
    }
    keys
}

#[test]
fn every_key_is_documented_and_every_documented_key_is_known() {
    let known = read::known_keys(&tests::everything_on());
    let is_section = |key: &String| !key.contains('.') || PAGE.contains(&format!("## `[[{key}]]`"));
    let known: BTreeSet<String> = known.into_iter().filter(|key| !is_section(key)).collect();
    let documented = documented();
    let missing: Vec<_> = known.difference(&documented).collect();
    let made_up: Vec<_> = documented.difference(&known).collect();
    assert!(
        missing.is_empty() && made_up.is_empty(),
        "not documented: {missing:?}\nnot known: {made_up:?}"
    );
}

#[test]
fn the_examples_are_right() {
    for name in ["trunk.toml", "office.toml"] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../examples")
            .join(name);
        let text = std::fs::read_to_string(&path).expect("the example is there");
        let config = Config::from_str(name, &text).unwrap_or_else(|problems| panic!("{problems}"));
        assert_eq!(config.warnings, [""; 0], "{name}");
        assert!(!config.numbers.is_empty() && !config.trunks.is_empty());
        // Nothing of it is open to strangers.
        let open = |number: &Number| number.from.iter().any(Callers::admits_strangers);
        assert!(!config.numbers.iter().any(open), "{name}");
    }
}
