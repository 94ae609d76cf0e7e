//! Flow v1: call programs written in JSON or YAML.
//!
//! Owns the file format and its program. `read` turns text into a [`model::Flow`] in which nothing is missing, or tells every
//! mistake with its place; [`program::FlowProgram`] runs it, without clock, socket or file. Limits: those of the document
//! (1 MiB, 32 levels, 100,000 values) and [`MAX_STEPS`] menus and nodes.
mod check;
mod listened;
pub mod model;
pub mod pattern;
pub mod program;
mod read;
pub mod template;
mod tones;

#[cfg(test)]
mod tests;

pub use model::Flow;
pub use program::FlowProgram;

use crate::config::document::{self, problem::Problems};
use crate::config::{At, FlowSource, Problem};
use std::path::Path;
use std::sync::Arc;

/// The most menus and nodes of one flow.
pub const MAX_STEPS: usize = 10_000;

/// A flow that was read, and what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The flow, shared by all its calls.
    pub flow: Arc<Flow>,
    /// What is odd but allowed: one line each, with file and place.
    pub warnings: Vec<String>,
    /// Every prompt file it can ask for, each once, by key.
    pub prompt_files: Vec<PromptFile>,
}

/// A prompt file that a flow names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PromptFile {
    /// The key by which the program asks for it: the path with the flow's folder joined to it, or `builtin:` and a path.
    pub key: String,
    /// Where the flow names it.
    pub at: At,
}

impl Flow {
    /// Reads a file; its prompts are taken from its folder, and each must be there.
    ///
    /// # Errors
    /// Every mistake found, by place.
    pub fn load(path: &Path) -> Result<Loaded, Problems> {
        let name = path.display().to_string();
        let text = document::read_text(path, &name)?;
        let base = path
            .parent()
            .map_or_else(String::new, |folder| folder.display().to_string());
        let loaded = read::flow(&name, &base, &text)?;
        let absent = |file: &&PromptFile| !is_there(Path::new(&file.key));
        let list: Vec<Problem> = loaded
            .prompt_files
            .iter()
            .filter(absent)
            .map(absent_file)
            .collect();
        if list.is_empty() {
            Ok(loaded)
        } else {
            Err(Problems { file: name, list })
        }
    }

    /// Reads bytes that came from elsewhere. `name` stands for the file in messages, and its ending tells JSON from YAML; `base`
    /// is put before the names of prompt files: a folder, or `builtin:`. Looks at no file.
    ///
    /// # Errors
    /// Every mistake found, by place.
    pub fn from_bytes(name: &str, base: &str, bytes: &[u8]) -> Result<Loaded, Problems> {
        read::flow(name, base, document::text(name, bytes)?)
    }

    /// Reads a flow that is part of the binary.
    ///
    /// # Errors
    /// There is none of that name. (As shipped they have no mistakes; a test holds it.)
    pub fn builtin(name: &str) -> Result<Loaded, Problems> {
        let text = match name {
            "demo" => include_str!("../../../examples/demo.json"),
            "load-ivr" => include_str!("../../../examples/load-ivr.json"),
            "load-answer" => include_str!("../../../examples/load-answer.json"),
            _ => {
                let message = format!("there is no built-in flow \"{name}\"");
                return Err(Problems::one(
                    &format!("builtin:{name}"),
                    At::START,
                    message,
                ));
            }
        };
        read::flow(&format!("builtin:{name}.json"), "builtin:", text)
    }

    /// Reads what a number of the configuration names.
    ///
    /// # Errors
    /// As [`Flow::load`] and [`Flow::builtin`].
    pub fn from_source(source: &FlowSource) -> Result<Loaded, Problems> {
        match source {
            FlowSource::Builtin(name) => Self::builtin(name),
            FlowSource::File(path) => Self::load(path),
        }
    }
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
