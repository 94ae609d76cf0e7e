//! From a document to a typed flow. Owns the schema: its keys, defaults and limits. Every mistake is noted and reading goes on.
mod audio_node;
mod destination;
mod listen_node;
mod menu;
mod names;
mod node;
mod prompt;
mod tone_node;

use super::model::{Destination, Flow, MenuId, Node, NodeId, Prompt, Target};
use super::{Loaded, PromptFile, check};
use crate::call::HangupCause;
use crate::config::document::field::{Field, Report, Table, shown};
use crate::config::document::problem::{Problems, did_you_mean};
use crate::config::document::{self, Node as Document};
use names::Names;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// A day in seconds: the longest time a flow accepts.
const DAY: f64 = 86_400.0;

/// Parts of the schema that this version knows of and cannot run yet.
const NOT_BUILT: &[&str] = &["languages", "schedules", "queues", "recording"];

/// Reads a flow.
pub(super) fn flow(name: &str, base: &str, text: &str) -> Result<Loaded, Problems> {
    let tree = document::parse(name, text)?;
    let report = Report::default();
    let reader = Reader {
        names: Names::collect(&tree, &report),
        base,
        report: &report,
        prompts: HashMap::new(),
        files: RefCell::default(),
    };
    let read = reader.root(name, &tree);
    let warnings = report.finish(name)?;
    let (flow, prompt_files) = read.ok_or_else(|| {
        Problems::one(
            name,
            document::problem::At::START,
            "is not a flow".to_owned(),
        )
    })?;
    Ok(Loaded {
        flow: Arc::new(flow),
        warnings: warnings
            .iter()
            .map(|warning| format!("{name}:{warning}"))
            .collect(),
        prompt_files,
    })
}

/// What the readers of all parts share.
struct Reader<'a> {
    names: Names,
    base: &'a str,
    report: &'a Report,
    /// Prompts by id, once they are read.
    prompts: HashMap<String, Prompt>,
    files: RefCell<BTreeMap<String, PromptFile>>,
}

impl Reader<'_> {
    fn root(mut self, name: &str, tree: &Document) -> Option<(Flow, Vec<PromptFile>)> {
        let mut root = Field::root(tree, self.report).table()?;
        if let Some(version) = root.required("flow_version") {
            version.integer(1..=1);
        }
        refuse_not_built(&mut root);
        self.prompts = self.prompt_definitions(&mut root);
        let entry = root.required("entry").and_then(|field| self.entry(&field));
        let menus = self.menus(&mut root);
        let nodes = self.nodes(&mut root);
        let failed = Destination::Hangup {
            cause: HangupCause::Congestion,
            prompt: Prompt::default(),
        };
        let flow = Flow {
            name: self
                .text(&mut root, "name")
                .unwrap_or_else(|| name.to_owned()),
            entry: entry.unwrap_or(Target::Node(NodeId(0))),
            default_language: self.text(&mut root, "default_language"),
            max_call_duration: root
                .field("max_call_duration")
                .and_then(|f| f.number(1.0..=DAY))
                .map(Duration::from_secs_f64),
            error_destination: root
                .field("error_destination")
                .and_then(|f| self.destination(&f))
                .unwrap_or(failed),
            variables: self.variables(&mut root),
            prompts: std::mem::take(&mut self.prompts),
            menus: menus?,
            nodes: nodes?,
        };
        root.finish();
        if entry.is_some() && !self.report.failed() {
            check::graph(&flow, &self.names.places, self.report);
        }
        Some((flow, self.files.into_inner().into_values().collect()))
    }

    fn entry(&self, field: &Field<'_>) -> Option<Target> {
        let id = field.string()?;
        let target = self.names.target(id);
        if target.is_none() {
            let hint = self.hint(id, self.names.steps());
            field.error(format!("there is no menu or node \"{}\"{hint}", shown(id)));
        }
        target
    }

    fn menus(&self, root: &mut Table<'_>) -> Option<Vec<super::model::Menu>> {
        let Some(table) = root.field("menus").and_then(|field| field.table()) else {
            return Some(Vec::new());
        };
        // No early stop: the mistakes of every menu are wanted.
        let menus: Vec<_> = table
            .entries()
            .map(|(entry, field)| self.menu(&entry.key, &field))
            .collect();
        menus.into_iter().collect()
    }

    fn nodes(&self, root: &mut Table<'_>) -> Option<Vec<Node>> {
        let Some(table) = root.field("nodes").and_then(|field| field.table()) else {
            return Some(Vec::new());
        };
        let nodes: Vec<_> = table
            .entries()
            .map(|(entry, field)| self.node(&entry.key, &field))
            .collect();
        nodes.into_iter().collect()
    }

    fn variables(&self, root: &mut Table<'_>) -> BTreeMap<String, String> {
        let table = root.field("variables").and_then(|field| field.table());
        let entries = table.iter().flat_map(Table::entries);
        entries
            .filter_map(|(entry, field)| Some((entry.key.clone(), field.string()?.to_owned())))
            .collect()
    }

    fn text(&self, table: &mut Table<'_>, key: &'static str) -> Option<String> {
        table.field(key)?.string().map(str::to_owned)
    }

    /// A time in seconds as ms.
    fn ms(
        &self,
        table: &mut Table<'_>,
        key: &'static str,
        least: f64,
        most: f64,
        default: u32,
    ) -> u32 {
        let seconds = table
            .field(key)
            .and_then(|field| field.number(least..=most));
        seconds.map_or(default, |seconds| (seconds * 1000.0).round() as u32)
    }

    fn flag(&self, table: &mut Table<'_>, key: &'static str, default: bool) -> bool {
        table
            .field(key)
            .and_then(|field| field.boolean())
            .unwrap_or(default)
    }

    fn hint<'n>(&self, word: &str, names: impl IntoIterator<Item = &'n str>) -> String {
        if self.report.full() {
            String::new()
        } else {
            did_you_mean(word, names)
        }
    }

    fn menu_id(&self, field: &Field<'_>) -> Option<MenuId> {
        let id = field.string()?;
        let found = self.names.menus.get(id).copied();
        if found.is_none() {
            let hint = self.hint(id, self.names.menus.keys().map(String::as_str));
            let other = if self.names.nodes.contains_key(id) {
                ", it is a node: use {\"type\": \"goto\", \"node\": …}"
            } else {
                ""
            };
            field.error(format!("there is no menu \"{}\"{other}{hint}", shown(id)));
        }
        found
    }

    fn node_id(&self, field: &Field<'_>) -> Option<NodeId> {
        let id = field.string()?;
        let found = self.names.nodes.get(id).copied();
        if found.is_none() {
            let hint = self.hint(id, self.names.nodes.keys().map(String::as_str));
            let other = if self.names.menus.contains_key(id) {
                ", it is a menu: use {\"type\": \"menu\", \"menu\": …}"
            } else {
                ""
            };
            field.error(format!("there is no node \"{}\"{other}{hint}", shown(id)));
        }
        found
    }
}

fn refuse_not_built(root: &mut Table<'_>) {
    for key in NOT_BUILT {
        if let Some(field) = root.field(key) {
            field.error(format!(
                "\"{key}\" is part of the flow schema, but not built into this version"
            ));
        }
    }
}
