//! Documents with positions: TOML, YAML and JSON become one tree in which each key and value knows its line and column.
//!
//! Owns the tree and the doors into it. It knows nothing of what a document means; [`field`] reads typed values out of the
//! tree and collects every mistake. Limits: [`MAX_TEXT`] bytes, [`MAX_DEPTH`] levels, [`MAX_NODES`] values.
pub mod field;
pub mod problem;
pub mod toml;

use problem::{At, Problems};
use std::io::Read;
use std::path::Path;

/// The largest document, in bytes.
pub const MAX_TEXT: usize = 1 << 20;
/// The deepest nesting.
pub const MAX_DEPTH: usize = 32;
/// The most values (scalars, lists and maps) in one document.
pub const MAX_NODES: usize = 100_000;

/// A value and where it begins.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// Where it begins.
    pub at: At,
    /// What it is.
    pub value: Value,
}

/// What a document can say.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`, `~`, or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    List(Vec<Node>),
    /// A map, in the document's order; keys are unique.
    Map(Vec<Entry>),
}

/// A key of a map with its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub at: At,
    /// The value.
    pub value: Node,
}

impl Value {
    /// What to call it in a message.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Str(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a table of keys",
        }
    }
}

/// Reads a text file of at most [`MAX_TEXT`] bytes.
///
/// # Errors
/// One problem at 1:1: cannot be read, too large; or at the place where it is not UTF-8.
pub fn read_text(path: &Path, name: &str) -> Result<String, Problems> {
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes))
        .map_err(|error| Problems::one(name, At::START, format!("cannot be read: {error}")))?;
    text(name, &bytes).map(str::to_owned)
}

/// Checks size and encoding. A byte order mark at the start is dropped.
///
/// # Errors
/// One problem: too large, or not UTF-8 (with the place).
pub fn text<'a>(name: &str, bytes: &'a [u8]) -> Result<&'a str, Problems> {
    if bytes.len() > MAX_TEXT {
        let message = format!("is larger than {MAX_TEXT} bytes, the limit");
        return Err(Problems::one(name, At::START, message));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let before = String::from_utf8_lossy(&bytes[..error.valid_up_to()]);
        let at = Lines::new(&before).at(before.len());
        Problems::one(name, at, "is not UTF-8 here".to_owned())
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

/// Turns byte offsets into lines and columns.
pub(crate) struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let starts = std::iter::once(0)
            .chain(ends.map(|(end, _)| end + 1))
            .collect();
        Self { text, starts }
    }

    /// Columns count characters; an offset within a character counts as its end.
    pub(crate) fn at(&self, offset: usize) -> At {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        let before = &self.text.as_bytes()[start..offset.clamp(start, self.text.len().max(start))];
        let continuation = |byte: &&u8| (**byte & 0xC0) != 0x80;
        At {
            line: line as u32,
            column: before.iter().filter(continuation).count() as u32 + 1,
        }
    }
}
