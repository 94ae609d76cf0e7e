//! Flow files of others, turned into flow v1: the node map of the Wazo IVR plugin (`ivr_flows.json`) and the later files of menus,
//! prompts and languages. Owns what each of their words means; a document comes out in which every value keeps its place.
mod build;
mod menus;
mod node_map;
mod queue_options;
#[cfg(test)]
mod tests;

use super::{Kind, Surroundings};
use crate::config::document::problem::{At, Problem, Problems};
use crate::config::document::{self, Node, Value, json};
use build::{Findings, child, entries};

/// A document as flow v1.
pub(super) struct Understood {
    /// Flow v1.
    pub(super) tree: Node,
    /// What it was before.
    pub(super) kind: Kind,
    /// What is odd in it, or was taken otherwise than its makers did.
    pub(super) warnings: Vec<Problem>,
}

/// Parses a flow of any kind.
///
/// # Errors
/// The first syntax error, or every mistake that the conversion found.
pub(super) fn understand(
    name: &str,
    text: &str,
    around: &dyn Surroundings,
) -> Result<Understood, Problems> {
    let mut pasted = Vec::new();
    let tree = match document::parse(name, text) {
        Ok(tree) => tree,
        Err(problems) => {
            // Only files of others may come out of a web page; ours are JSON or they are not.
            let (tree, places) = match json::parse_pasted(name, text) {
                Ok(read) => read,
                // What stops both readers is the mistake; what stops the strict one before it is an escape that Markdown made.
                Err(pasted) if pasted.list[0].at > problems.list[0].at => return Err(pasted),
                Err(_) => return Err(problems),
            };
            if places.is_empty() || kind(&tree) == Kind::V1 {
                return Err(problems);
            }
            pasted = places;
            tree
        }
    };
    let kind = kind(&tree);
    let mut findings = Findings::default();
    let converted = match kind {
        Kind::V1 => {
            let mut tree = tree;
            queue_options::replace(&mut tree, &mut findings);
            tree
        }
        Kind::NodeMap => node_map::convert(&tree, around, &mut findings),
        Kind::Menus => menus::convert(&tree, &mut findings),
    };
    if !findings.errors.is_empty() {
        findings.errors.sort_by_key(|problem| problem.at);
        let file = name.to_owned();
        return Err(Problems {
            file,
            list: findings.errors,
        });
    }
    let mut warnings = findings.warnings;
    warnings.extend(pasted.first().map(|at| unescaped(*at, pasted.len())));
    Ok(Understood {
        tree: converted,
        kind,
        warnings,
    })
}

fn unescaped(at: At, count: usize) -> Problem {
    Problem {
        at,
        path: String::new(),
        message: format!(
            "the file was pasted from a page with Markdown escapes such as \"\\_\": {count} of them, from here on, are read without the backslash"
        ),
    }
}

/// What kind of flow a document is; v1 where it is none of the others.
fn kind(tree: &Node) -> Kind {
    let has = |key: &str| child(tree, key).is_some();
    let all = entries(tree);
    if has("flow_version") || has("entry") || all.is_empty() {
        return Kind::V1;
    }
    let menus = child(tree, "menus").map(entries).unwrap_or_default();
    let second = [
        "entry_context",
        "tts_backend",
        "business_hours",
        "voicemail_fallback",
        "call_recording",
    ];
    let optional = menus
        .iter()
        .any(|menu| child(&menu.value, "options").is_some());
    if !menus.is_empty() && (optional || second.iter().any(|key| has(key))) {
        return Kind::Menus;
    }
    let is_node = |node: &Node| {
        ["prompt", "options", "action"]
            .iter()
            .any(|key| child(node, key).is_some())
    };
    let nodes = all
        .iter()
        .filter(|entry| matches!(entry.value.value, Value::Map(_)));
    if nodes.clone().count() > 0
        && nodes
            .clone()
            .all(|entry| is_node(&entry.value) || child(&entry.value, "type").is_some())
        && nodes.clone().any(|entry| is_node(&entry.value))
    {
        return Kind::NodeMap;
    }
    Kind::V1
}
