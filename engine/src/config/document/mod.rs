//! Documents with positions: TOML, YAML and JSON become one tree in which each key and value knows its line and column.
//!
//! Owns the tree and the doors into it. It knows nothing of what a document means; [`field`] reads typed values out of the
//! tree and collects every mistake. Limits: [`MAX_TEXT`] bytes, [`MAX_DEPTH`] levels, [`MAX_NODES`] values.
pub mod field;
pub mod json;
pub mod problem;
pub mod toml;
pub mod yaml;

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

/// Parses JSON or YAML: by the name's ending, else JSON where the first character is `{` or `[`.
///
/// # Errors
/// The first syntax error, or the limit that was passed.
pub fn parse(name: &str, text: &str) -> Result<Node, Problems> {
    let ending = Path::new(name)
        .extension()
        .and_then(|ending| ending.to_str());
    match ending {
        Some("json") => json::parse(name, text),
        Some("yaml" | "yml") => yaml::parse(name, text),
        _ if text.trim_start().starts_with(['{', '[']) => json::parse(name, text),
        _ => yaml::parse(name, text),
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

/// Turns byte offsets into lines and columns, each in constant time.
pub(crate) struct Lines<'a> {
    text: &'a [u8],
    starts: Vec<usize>,
    /// Characters before each block of [`BLOCK`] bytes.
    blocks: Vec<usize>,
}

const BLOCK: usize = 128;

impl<'a> Lines<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        let text = text.as_bytes();
        let ends = memchr::memchr_iter(b'\n', text);
        let starts = std::iter::once(0).chain(ends.map(|end| end + 1)).collect();
        let count = |total: &mut usize, block: &[u8]| {
            let before = *total;
            *total += characters(block);
            Some(before)
        };
        // One block more than the text has, so that its very end has one as well.
        let blocks = text
            .chunks(BLOCK)
            .chain([&[][..], &[][..]])
            .scan(0, count)
            .collect();
        Self {
            text,
            starts,
            blocks,
        }
    }

    /// Columns count characters from 1.
    pub(crate) fn at(&self, offset: usize) -> At {
        let offset = offset.min(self.text.len());
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts[line - 1];
        At {
            line: line as u32,
            column: (self.before(offset) - self.before(start)) as u32 + 1,
        }
    }

    fn before(&self, offset: usize) -> usize {
        let block = offset / BLOCK;
        self.blocks[block] + characters(&self.text[block * BLOCK..offset])
    }
}

fn characters(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| (**byte & 0xC0) != 0x80).count()
}

/// Gathers the entries of a map and refuses a key that is there already.
#[derive(Default)]
pub(crate) struct MapBuilder {
    entries: Vec<Entry>,
    seen: std::collections::HashMap<String, At>,
}

impl MapBuilder {
    /// Adds a key whose value follows; gives the first place of a key that is there already.
    pub(crate) fn key(&mut self, key: String, at: At) -> Result<(), At> {
        if let Some(first) = self.seen.insert(key.clone(), at) {
            return Err(first);
        }
        let value = Node {
            at,
            value: Value::Null,
        };
        self.entries.push(Entry { key, at, value });
        Ok(())
    }

    /// The value of the key added last.
    pub(crate) fn value(&mut self, value: Node) {
        if let Some(entry) = self.entries.last_mut() {
            entry.value = value;
        }
    }

    pub(crate) fn finish(self) -> Value {
        Value::Map(self.entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_over_blocks_and_lines() {
        let text = format!("ä\n{}x\nlast", "é".repeat(500));
        let lines = Lines::new(&text);
        let at = |what: &str| {
            let at = lines.at(text.find(what).expect("is there"));
            (at.line, at.column)
        };
        assert_eq!((at("ä"), at("x"), at("last")), ((1, 1), (2, 501), (3, 1)));
        let end = lines.at(text.len());
        assert_eq!((end.line, end.column), (3, 5));
        assert_eq!(Lines::new("").at(99), At::START);
        let exact = "a".repeat(BLOCK * 2);
        assert_eq!(
            Lines::new(&exact).at(exact.len()).column as usize,
            BLOCK * 2 + 1
        );
    }

    #[test]
    fn text_is_checked() {
        let told = |bytes: &[u8]| text("f", bytes).expect_err("bad").to_string();
        assert_eq!(told(b"ab\ncd\xff"), "f:2:3 is not UTF-8 here");
        assert_eq!(
            told(&vec![b' '; MAX_TEXT + 1]),
            "f:1:1 is larger than 1048576 bytes, the limit"
        );
        assert_eq!(text("f", "\u{feff}x".as_bytes()).expect("good"), "x");
    }
}
