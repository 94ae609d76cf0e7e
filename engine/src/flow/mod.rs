//! Flow v1: call programs written in JSON or YAML; and the flow files of others, which become flow v1 when they are read.
//!
//! Owns the file format and its program. `read` turns text into a [`model::Flow`] in which nothing is missing, or tells every
//! mistake with its place; [`program::FlowProgram`] runs it, without clock, socket or file. Limits: those of the document
//! (1 MiB, 32 levels, 100,000 values) and [`MAX_STEPS`] menus and nodes.
pub mod by_hand;
mod check;
pub mod directory;
pub mod graph;
mod import;
mod listened;
pub mod model;
pub mod pattern;
pub mod program;
mod queue_names;
mod read;
pub mod rehearsal;
pub mod schedule;
mod spoken;
pub mod template;
mod tone_keys;
mod tones;
pub mod verbs_json;
pub mod webhook;
mod write;

#[cfg(test)]
mod tests;

pub use model::Flow;
pub use program::FlowProgram;

use crate::config::document::problem::Problems;
use crate::config::document::{self};
use crate::config::{At, FlowSource, Problem};
use crate::speech::Speech;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// The most menus and nodes of one flow.
pub const MAX_STEPS: usize = 10_000;

/// Names that stand for numbers, as `voicemail_ext`.
pub type Aliases = BTreeMap<String, String>;

/// A flow that was read, and what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The flow, shared by all its calls.
    pub flow: Arc<Flow>,
    /// What kind of file it was.
    pub kind: Kind,
    /// What is odd but allowed: one line each, with file and place.
    pub warnings: Vec<String>,
    /// Every prompt file it can ask for, each once, by key.
    pub prompt_files: Vec<PromptFile>,
    /// Texts that are spoken, as far as no variable stands in them.
    pub texts: Vec<FlowText>,
    /// Texts that a file made from them says, `prompts/ID` beside the flow.
    pub made_texts: Vec<FlowText>,
    /// What this version does not serve; a flow that is loaded to be run has none.
    pub not_served: Vec<Problem>,
    /// Other files it was made from: directories.
    pub watched: Vec<String>,
}

/// Kinds of flow files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Ours.
    V1,
    /// `ivr_flows.json` of the Wazo IVR plugin.
    NodeMap,
    /// The later files of menus, prompts and languages.
    Menus,
}

impl Kind {
    /// What to call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::V1 => "flow v1",
            Self::NodeMap => "Wazo IVR node map",
            Self::Menus => "menus, prompts and languages",
        }
    }
}

/// A prompt file that a flow names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptFile {
    /// The key by which the program asks for it: the path with the flow's folder joined to it, or `builtin:` and a path.
    pub key: String,
    /// Where the flow names it.
    pub at: At,
}

impl PromptFile {
    /// Whether the file is there.
    pub fn is_there(&self) -> bool {
        self.key.starts_with(crate::media::tone_source::TONE) || is_there(Path::new(&self.key))
    }
}

/// A text of a flow that is known before any call, and what speaks it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowText {
    /// The prompt's id, where it is all of it; a file made from the text is found by that: `prompts/ID`, or `prompts/ID.LANGUAGE`.
    pub id: Option<String>,
    /// The language it stands for; `None`: any.
    pub code: Option<String>,
    /// The text in its voice.
    pub speech: Speech,
}

/// What reading a flow may ask of the machine.
trait Surroundings {
    /// Whether there is a prompt file of that key.
    fn is_there(&self, key: &str) -> bool;
    /// The text of a file; an error is the end of a sentence.
    fn text(&self, key: &str) -> Result<String, String>;
    /// The time zone of this machine.
    fn local_zone(&self) -> String;
}

/// No machine at all: for bytes that came from elsewhere.
struct Nowhere;

impl Surroundings for Nowhere {
    fn is_there(&self, _: &str) -> bool {
        false
    }

    fn text(&self, _: &str) -> Result<String, String> {
        Err("cannot be read: there are no files here".to_owned())
    }

    fn local_zone(&self) -> String {
        "UTC".to_owned()
    }
}

/// This machine.
struct Disk;

impl Surroundings for Disk {
    fn is_there(&self, key: &str) -> bool {
        is_there(Path::new(key))
    }

    fn text(&self, key: &str) -> Result<String, String> {
        use std::io::Read;
        let mut text = String::new();
        let limit = DIRECTORY_OCTETS;
        let file = std::fs::File::open(key).map_err(|error| format!("cannot be read: {error}"))?;
        let read = file.take(limit + 1).read_to_string(&mut text);
        read.map_err(|error| format!("cannot be read: {error}"))?;
        if text.len() as u64 > limit {
            return Err(format!("is larger than {limit} octets, the limit"));
        }
        Ok(text)
    }

    fn local_zone(&self) -> String {
        let zone = jiff::tz::TimeZone::try_system().ok();
        let name = zone.as_ref().and_then(|zone| zone.iana_name());
        name.filter(|name| schedule::zone(name).is_ok())
            .unwrap_or("UTC")
            .to_owned()
    }
}

/// The largest directory file.
const DIRECTORY_OCTETS: u64 = 8 << 20;

impl Flow {
    /// Reads a file; its prompts are taken from its folder, and each must be there.
    ///
    /// # Errors
    /// Every mistake found, by place.
    pub fn load(path: &Path) -> Result<Loaded, Problems> {
        Self::load_with(path, &Aliases::new())
    }

    /// The same with names for numbers.
    ///
    /// # Errors
    /// As [`Flow::load`].
    pub fn load_with(path: &Path, aliases: &Aliases) -> Result<Loaded, Problems> {
        let name = path.display().to_string();
        let text = document::read_text(path, &name)?;
        Self::load_text(path, &text, aliases)
    }

    fn load_text(path: &Path, text: &str, aliases: &Aliases) -> Result<Loaded, Problems> {
        let loaded = Self::read_as(path, text, aliases, true)?;
        let absent = |file: &&PromptFile| !file.is_there();
        let list: Vec<Problem> = loaded
            .prompt_files
            .iter()
            .filter(absent)
            .map(absent_file)
            .collect();
        if list.is_empty() {
            Ok(loaded)
        } else {
            let file = path.display().to_string();
            Err(Problems { file, list })
        }
    }

    /// Reads a file to look at it: prompts may be absent, and what is not served is listed in what is returned.
    ///
    /// # Errors
    /// Every mistake found, by place.
    pub fn look_at(path: &Path, aliases: &Aliases) -> Result<Loaded, Problems> {
        Self::read_file(path, aliases, false)
    }

    fn read_file(path: &Path, aliases: &Aliases, strict: bool) -> Result<Loaded, Problems> {
        let name = path.display().to_string();
        let text = document::read_text(path, &name)?;
        Self::read_as(path, &text, aliases, strict)
    }

    fn read_as(
        path: &Path,
        text: &str,
        aliases: &Aliases,
        strict: bool,
    ) -> Result<Loaded, Problems> {
        let name = path.display().to_string();
        let base = path
            .parent()
            .map_or_else(String::new, |folder| folder.display().to_string());
        let source = read::Source {
            name: &name,
            base: &base,
            around: &Disk,
            aliases,
            strict,
        };
        understood(&source, text)
    }

    /// Reads bytes that came from elsewhere. `name` stands for the file in messages, and its ending tells JSON from YAML; `base`
    /// is put before the names of prompt files: a folder, or `builtin:`. Looks at no file.
    ///
    /// # Errors
    /// Every mistake found, by place.
    pub fn from_bytes(name: &str, base: &str, bytes: &[u8]) -> Result<Loaded, Problems> {
        Self::bytes(name, base, bytes, true)
    }

    /// Reads bytes as [`Flow::look_at`] reads a file.
    ///
    /// # Errors
    /// Every mistake found, by place.
    pub fn look_at_bytes(name: &str, base: &str, bytes: &[u8]) -> Result<Loaded, Problems> {
        Self::bytes(name, base, bytes, false)
    }

    fn bytes(name: &str, base: &str, bytes: &[u8], strict: bool) -> Result<Loaded, Problems> {
        let source = read::Source {
            name,
            base,
            around: &Nowhere,
            aliases: &Aliases::new(),
            strict,
        };
        understood(&source, document::text(name, bytes)?)
    }

    /// Reads a flow that is part of the binary.
    ///
    /// # Errors
    /// There is none of that name. (As shipped they have no mistakes; a test holds it.)
    pub fn builtin(name: &str) -> Result<Loaded, Problems> {
        let text = builtin_text(name)?;
        Self::from_bytes(&format!("builtin:{name}.json"), "builtin:", text.as_bytes())
    }

    /// The text of what a number of the configuration names.
    ///
    /// # Errors
    /// It cannot be read, or is too large.
    pub fn source_text(source: &FlowSource) -> Result<String, Problems> {
        match source {
            FlowSource::Builtin(name) => builtin_text(name).map(str::to_owned),
            FlowSource::File(path) => document::read_text(path, &path.display().to_string()),
        }
    }

    /// Reads a text as that of what a number of the configuration names.
    ///
    /// # Errors
    /// As [`Flow::load`] and [`Flow::builtin`].
    pub fn from_text(
        source: &FlowSource,
        text: &str,
        aliases: &Aliases,
    ) -> Result<Loaded, Problems> {
        match source {
            FlowSource::Builtin(name) => Self::builtin(name),
            FlowSource::File(path) => Self::load_text(path, text, aliases),
        }
    }

    /// A flow of any kind as a document of flow v1, and its kind. It is checked as [`Flow::look_at`] checks it.
    ///
    /// # Errors
    /// Every mistake found, by place.
    pub fn convert(path: &Path, as_json: bool) -> Result<(String, Kind), Problems> {
        Self::look_at(path, &Aliases::new())?;
        let name = path.display().to_string();
        written(&name, &document::read_text(path, &name)?, &Disk, as_json)
    }

    /// The same of bytes that came from elsewhere.
    ///
    /// # Errors
    /// Every mistake found, by place.
    pub fn convert_bytes(
        name: &str,
        bytes: &[u8],
        as_json: bool,
    ) -> Result<(String, Kind), Problems> {
        Self::look_at_bytes(name, "", bytes)?;
        written(name, document::text(name, bytes)?, &Nowhere, as_json)
    }
}

fn builtin_text(name: &str) -> Result<&'static str, Problems> {
    match name {
        "demo" => Ok(include_str!("../../../examples/demo.json")),
        "load-ivr" => Ok(include_str!("../../../examples/load-ivr.json")),
        "load-answer" => Ok(include_str!("../../../examples/load-answer.json")),
        _ => {
            let message = format!("there is no built-in flow \"{name}\"");
            Err(Problems::one(
                &format!("builtin:{name}"),
                At::START,
                message,
            ))
        }
    }
}

fn written(
    name: &str,
    text: &str,
    around: &dyn Surroundings,
    as_json: bool,
) -> Result<(String, Kind), Problems> {
    let understood = import::understand(name, text, around)?;
    let tree = &understood.tree;
    let text = if as_json {
        write::json(tree)
    } else {
        write::yaml(tree)
    };
    Ok((text, understood.kind))
}

/// The keys that the reader asks for in a flow.
#[cfg(test)]
fn asked(text: &str) -> Vec<String> {
    let tree = document::parse("f.yaml", text).expect("the text is YAML");
    let source = read::Source {
        name: "f.yaml",
        base: "",
        around: &Nowhere,
        aliases: &Aliases::new(),
        strict: false,
    };
    read::asked(&source, &tree)
}

fn understood(source: &read::Source<'_>, text: &str) -> Result<Loaded, Problems> {
    let understood = import::understand(source.name, text, source.around)?;
    read::flow(
        source,
        &understood.tree,
        understood.kind,
        understood.warnings,
    )
}

/// Whether there is a file of that name, as written or with some extension: which ones can be read is the prompt library's to say.
fn is_there(path: &Path) -> bool {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let named =
        |entry: std::fs::DirEntry| Path::new(&entry.file_name()).file_stem() == path.file_name();
    let mut entries = std::fs::read_dir(folder.unwrap_or(Path::new(".")))
        .into_iter()
        .flatten()
        .flatten();
    path.is_file() || entries.any(named)
}

fn absent_file(file: &PromptFile) -> Problem {
    Problem {
        at: file.at,
        path: String::new(),
        message: format!("there is no file {}", file.key.escape_debug()),
    }
}

/// The key of a file: `base` is a folder, or ends with `:` as `builtin:` does.
fn file_key(base: &str, name: &str) -> String {
    if base.is_empty() || base.ends_with(':') {
        return format!("{base}{name}");
    }
    Path::new(base).join(name).display().to_string()
}

/// The file, without its ending, that is made from a prompt's text; `None`: the id is no name of a file.
pub fn made_file(id: &str, code: &str) -> Option<String> {
    let fit = |char: char| char.is_ascii_alphanumeric() || "_-.".contains(char);
    if !id.chars().all(fit) {
        return None;
    }
    Some(match code {
        "" => format!("prompts/{id}"),
        code => format!("prompts/{id}.{code}"),
    })
}

/// The id of the prompt that says a key.
fn key_prompt(key: char) -> String {
    match key {
        '*' => "digit_star".to_owned(),
        '#' => "digit_hash".to_owned(),
        key => format!("digit_{key}"),
    }
}
