//! Verbs written in JSON, and outcomes: what webhook programs answer and what the control API takes; see `docs/webhook-programs.md`.
//!
//! A list of tables with one verb each: `[{"answer": {}}, {"play": {"audio": "welcome.wav"}}, {"hangup": {}}]`. Every mistake is told with
//! its line, column and path, what was expected, and the nearest name.
//! Limits: 64 KiB of text, [`MAX_VERBS`] verbs, [`MAX_AUDIO`] pieces of audio in each.
mod audio;
mod hearing;
mod outcome;
mod read;
mod speech;
#[cfg(test)]
mod tests;
mod waiting;

pub use audio::MAX_SOUND_MS;
pub use outcome::outcome_to_json;

use crate::call::Verb;
use crate::config::document::field::{Field, Report};
use crate::config::document::{self, json};
use crate::config::{At, Problem, Problems};

/// Verbs of one list.
pub const MAX_VERBS: usize = 100;
/// Pieces of audio of one verb.
pub const MAX_AUDIO: usize = 100;
/// Longest text, octets.
pub const MAX_TEXT: usize = 64 * 1024;

/// What a list can ask for.
#[derive(Debug, Clone, PartialEq)]
pub enum Instruction {
    /// Do this.
    Verb(Verb),
    /// Ask this address how to go on. Only for webhook programs; what follows it is never reached.
    Redirect(String),
}

/// Reads a list of instructions. `name` is what mistakes call the text.
///
/// # Errors
/// Every mistake in it.
pub fn instructions(name: &str, octets: &[u8]) -> Result<Vec<Instruction>, Problems> {
    if octets.len() > MAX_TEXT {
        return Err(one_problem(
            name,
            format!("is longer than {MAX_TEXT} octets"),
        ));
    }
    let text = document::text(name, octets)?;
    let node = json::parse(name, text)?;
    let report = Report::default();
    let read = list(&Field::root(&node, &report));
    report.finish(name)?;
    Ok(read.unwrap_or_default())
}

/// As [`instructions`], where there is no program to be asked again.
///
/// # Errors
/// Every mistake in it; `redirect` is one.
pub fn verbs(name: &str, octets: &[u8]) -> Result<Vec<Verb>, Problems> {
    let read = instructions(name, octets)?.into_iter();
    read.map(|instruction| match instruction {
        Instruction::Verb(verb) => Ok(verb),
        Instruction::Redirect(_) => {
            let text = "\"redirect\" is for the answers of webhook programs".to_owned();
            Err(one_problem(name, text))
        }
    })
    .collect()
}

fn one_problem(name: &str, message: String) -> Problems {
    let at = At { line: 1, column: 1 };
    let path = String::new();
    Problems {
        file: name.to_owned(),
        list: vec![Problem { at, path, message }],
    }
}

fn list(root: &Field<'_>) -> Option<Vec<Instruction>> {
    let items = root.list()?;
    if items.len() > MAX_VERBS {
        root.error(format!("has more than {MAX_VERBS} verbs"));
        return None;
    }
    // All are read, so that all mistakes are told.
    let read: Vec<_> = items.iter().map(read::instruction).collect();
    read.into_iter().collect()
}
