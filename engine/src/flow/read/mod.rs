//! From a document to a typed flow. Owns the schema: its keys, defaults and limits. Every mistake is noted and reading goes on.
mod audio_node;
mod destination;
mod elsewhere;
mod listen_node;
mod menu;
mod names;
mod node;
mod prompt;
mod queue_node;
mod schedule;
mod steps;
mod tone_node;
mod voicemail_node;
mod webhook_node;

pub(super) use audio_node::{FORMATS, TRACKS};

use super::directory::Directory;
use super::model::{
    Destination, Flow, Language, MenuId, Node, NodeId, Prompt, Target, same_language,
};
use super::schedule::Schedule;
use super::template::Template;
use super::{FlowText, Kind, Loaded, PromptFile, Surroundings, check};
use crate::call::HangupCause;
use crate::config::document::field::{Field, Report, Table, shown};
use crate::config::document::problem::{Problem, Problems, did_you_mean};
use crate::config::document::{self, Node as Document};
use names::Names;
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// A day in seconds: the longest time a flow accepts.
const DAY: f64 = 86_400.0;

/// What is read, and how.
pub(super) struct Source<'a> {
    /// The file's name, for messages.
    pub(super) name: &'a str,
    /// What stands before the names of its files.
    pub(super) base: &'a str,
    /// What is around it.
    pub(super) around: &'a dyn Surroundings,
    /// Names that stand for numbers.
    pub(super) aliases: &'a BTreeMap<String, String>,
    /// Whether what is not served is a mistake.
    pub(super) strict: bool,
}

/// Reads flow v1 from a document; `warnings` come before its own.
pub(super) fn flow(
    source: &Source<'_>,
    tree: &Document,
    kind: Kind,
    warnings: Vec<Problem>,
) -> Result<Loaded, Problems> {
    let name = source.name;
    let report = Report::default();
    for warning in warnings {
        report.warning(warning.at, &warning.path, warning.message);
    }
    let reader = Reader::new(source, tree, &report);
    let read = reader.root(name, tree);
    if let Some((.., read)) = &read
        && source.strict
    {
        for problem in &read.not_served {
            report.error(problem.at, &problem.path, problem.message.clone());
        }
    }
    let warnings = report.finish(name)?;
    let Some((flow, read)) = read else {
        let at = document::problem::At::START;
        return Err(Problems::one(name, at, "is not a flow".to_owned()));
    };
    Ok(Loaded {
        flow: Arc::new(flow),
        kind,
        warnings: warnings
            .iter()
            .map(|warning| format!("{name}:{warning}"))
            .collect(),
        prompt_files: read.files,
        texts: read.texts,
        made_texts: read.made_texts,
        not_served: read.not_served,
        watched: read.watched,
    })
}

/// What was found beside the flow itself.
struct Found {
    files: Vec<PromptFile>,
    texts: Vec<FlowText>,
    made_texts: Vec<FlowText>,
    not_served: Vec<Problem>,
    watched: Vec<String>,
}

/// What the readers of all parts share.
struct Reader<'a> {
    names: Names,
    base: &'a str,
    around: &'a dyn Surroundings,
    report: &'a Report,
    aliases: BTreeMap<String, String>,
    /// Prompts by id, once they are read.
    prompts: HashMap<String, Prompt>,
    languages: Vec<Language>,
    schedules: Vec<Schedule>,
    files: RefCell<BTreeMap<String, PromptFile>>,
    spoken: RefCell<BTreeMap<String, String>>,
    texts: RefCell<Vec<FlowText>>,
    made_texts: RefCell<Vec<FlowText>>,
    default_language: Option<String>,
    not_served: RefCell<Vec<Problem>>,
    directories: RefCell<HashMap<(String, String), Arc<Directory>>>,
    watched: RefCell<Vec<String>>,
}

/// Every key that the reader asks for in a document, as `nodes.ID.key`: for the test that holds the schema equal to it.
#[cfg(test)]
pub(super) fn asked(source: &Source<'_>, tree: &Document) -> Vec<String> {
    let report = Report::default();
    let _read = Reader::new(source, tree, &report).root(source.name, tree);
    report.asked()
}

impl<'a> Reader<'a> {
    fn new(source: &Source<'a>, tree: &Document, report: &'a Report) -> Self {
        Reader {
            names: Names::collect(tree, report),
            base: source.base,
            around: source.around,
            report,
            aliases: source.aliases.clone(),
            prompts: HashMap::new(),
            languages: Vec::new(),
            schedules: Vec::new(),
            files: RefCell::default(),
            spoken: RefCell::default(),
            texts: RefCell::default(),
            made_texts: RefCell::default(),
            default_language: None,
            not_served: RefCell::default(),
            directories: RefCell::default(),
            watched: RefCell::default(),
        }
    }
}

impl Reader<'_> {
    fn root(mut self, name: &str, tree: &Document) -> Option<(Flow, Found)> {
        let mut root = Field::root(tree, self.report).table()?;
        if let Some(version) = root.required("flow_version") {
            version.integer(1..=1);
        }
        self.read_aliases(&mut root);
        self.languages = self.language_list(&mut root);
        let default_language = self.default_language(&mut root);
        self.default_language.clone_from(&default_language);
        self.prompts = self.prompt_definitions(&mut root);
        let queues = self.queues(&mut root);
        let recording = self.recording_section(&mut root);
        self.schedules = self.schedule_definitions(&mut root);
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
            default_language,
            max_call_duration: root
                .field("max_call_duration")
                .and_then(|f| f.number(1.0..=DAY))
                .map(Duration::from_secs_f64),
            error_destination: root
                .field("error_destination")
                .and_then(|f| self.destination(&f))
                .unwrap_or(failed),
            variables: self.variables(&mut root),
            languages: std::mem::take(&mut self.languages),
            recording,
            schedules: std::mem::take(&mut self.schedules),
            spoken: self.spoken.take(),
            prompts: std::mem::take(&mut self.prompts),
            queues,
            menus: menus?,
            nodes: nodes?,
        };
        root.finish();
        if entry.is_some() && !self.report.failed() {
            check::graph(&flow, &self.names.places, self.report);
        }
        let found = Found {
            files: self.files.into_inner().into_values().collect(),
            texts: self.texts.into_inner(),
            made_texts: self.made_texts.into_inner(),
            not_served: self.not_served.into_inner(),
            watched: self.watched.into_inner(),
        };
        Some((flow, found))
    }

    /// `aliases`: names that stand for numbers; those of the configuration come after them.
    fn read_aliases(&mut self, root: &mut Table<'_>) {
        let table = root.field("aliases").and_then(|field| field.table());
        for (entry, field) in table.iter().flat_map(Table::entries) {
            if let Some(number) = field.string() {
                self.aliases.insert(entry.key.clone(), number.to_owned());
            }
        }
    }

    /// What a name stands for.
    fn alias(&self, name: &str) -> Option<Template> {
        let number = self.aliases.get(name)?;
        Template::parse(number, &self.names.variables).ok()
    }

    fn language_list(&self, root: &mut Table<'_>) -> Vec<Language> {
        let list = root
            .field("languages")
            .and_then(|field| field.list())
            .unwrap_or_default();
        let mut languages: Vec<Language> = Vec::new();
        for field in list {
            let Some(mut table) = field.table() else {
                continue;
            };
            let code = table.required("code");
            let code = code.and_then(|field| {
                let code = field.string()?;
                if !is_language(code) {
                    return field.expected("a language such as \"en-US\"");
                }
                if languages
                    .iter()
                    .any(|language| same_language(&language.code, code))
                {
                    field.error("is given twice");
                }
                Some(code.to_owned())
            });
            let (voice, tts) = (self.text(&mut table, "voice"), self.text(&mut table, "tts"));
            table.finish();
            languages.extend(code.map(|code| Language { code, voice, tts }));
        }
        languages
    }

    fn default_language(&self, root: &mut Table<'_>) -> Option<String> {
        let Some(field) = root.field("default_language") else {
            return self.languages.first().map(|language| language.code.clone());
        };
        let code = field.string()?;
        let known = self
            .languages
            .iter()
            .any(|language| same_language(&language.code, code));
        if !known && !self.languages.is_empty() {
            let hint = self.hint(
                code,
                self.languages.iter().map(|language| language.code.as_str()),
            );
            field.error(format!("\"languages\" has no \"{}\"{hint}", shown(code)));
        }
        Some(code.to_owned())
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

/// Whether it has the shape of a language tag (RFC 5646); Wazo writes `en_US`.
fn is_language(code: &str) -> bool {
    let right = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    !code.is_empty() && code.len() <= 35 && code.bytes().all(right)
}
