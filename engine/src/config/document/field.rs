//! Typed reading of a document tree. Owns the collecting of mistakes: a reader goes on after each, so that all are told at once.
use super::problem::{At, Problem, Problems, did_you_mean, quoted};
use super::{Entry, Node, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// The most problems reported for one document; further ones are counted only.
pub const MAX_PROBLEMS: usize = 100;

/// Collects what is wrong, what is odd, and which keys were asked for.
#[derive(Debug, Default)]
pub struct Report {
    errors: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
    asked: RefCell<BTreeSet<String>>,
}

impl Report {
    /// Notes a mistake.
    pub fn error(&self, at: At, path: &str, message: impl Into<String>) {
        push(&self.errors, at, path, message.into());
    }

    /// Notes something odd that is allowed.
    pub fn warning(&self, at: At, path: &str, message: impl Into<String>) {
        push(&self.warnings, at, path, message.into());
    }

    /// Whether any mistake was noted.
    pub fn failed(&self) -> bool {
        !self.errors.borrow().is_empty()
    }

    /// Whether further mistakes would not be kept.
    pub fn full(&self) -> bool {
        self.errors.borrow().len() >= MAX_PROBLEMS
    }

    /// Every key that a reader asked for, as `section.key`, lists as `section[].key`.
    pub fn asked(&self) -> Vec<String> {
        self.asked.borrow().iter().cloned().collect()
    }

    /// The warnings, or the mistakes if there are any; both by position.
    ///
    /// # Errors
    /// The mistakes.
    pub fn finish(self, file: &str) -> Result<Vec<Problem>, Problems> {
        let (mut list, mut warnings) = (self.errors.into_inner(), self.warnings.into_inner());
        if list.is_empty() {
            warnings.sort_by_key(|problem| problem.at);
            return Ok(warnings);
        }
        list.sort_by_key(|problem| problem.at);
        let file = file.to_owned();
        Err(Problems { file, list })
    }
}

fn push(list: &RefCell<Vec<Problem>>, at: At, path: &str, message: String) {
    let mut list = list.borrow_mut();
    if list.len() < MAX_PROBLEMS {
        let path = path.to_owned();
        list.push(Problem { at, path, message });
    }
}

/// A value together with its path and the report it complains to.
#[derive(Debug, Clone)]
pub struct Field<'a> {
    /// The value.
    pub node: &'a Node,
    /// Its path.
    pub path: String,
    report: &'a Report,
}

impl<'a> Field<'a> {
    /// The whole document.
    pub fn root(node: &'a Node, report: &'a Report) -> Self {
        let path = String::new();
        Self { node, path, report }
    }

    /// Where the value stands.
    pub fn at(&self) -> At {
        self.node.at
    }

    /// The report this field complains to.
    pub fn report(&self) -> &'a Report {
        self.report
    }

    /// Notes a mistake in this value.
    pub fn error(&self, message: impl Into<String>) {
        self.report.error(self.node.at, &self.path, message);
    }

    /// Notes something odd in this value.
    pub fn warning(&self, message: impl Into<String>) {
        self.report.warning(self.node.at, &self.path, message);
    }

    /// Notes that the value is of the wrong kind.
    pub fn expected<T>(&self, what: &str) -> Option<T> {
        let said = match &self.node.value {
            Value::Str(text) => format!("text, \"{}\"", shown(text)),
            Value::List(items) if items.is_empty() => "an empty list".to_owned(),
            Value::Int(number) => format!("the number {number}"),
            Value::Float(number) => format!("the number {number}"),
            Value::Bool(value) => value.to_string(),
            other => other.kind().to_owned(),
        };
        self.error(format!("must be {what}, but is {said}"));
        None
    }

    /// The text, where it is text; no mistake otherwise.
    pub fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// Whether it is a list.
    pub fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    /// Text.
    pub fn string(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Str(text) => Some(text),
            _ => self.expected("text in quotes"),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<bool> {
        match self.node.value {
            Value::Bool(value) => Some(value),
            _ => self.expected("true or false"),
        }
    }

    /// A whole number within a range.
    pub fn integer(&self, range: RangeInclusive<i64>) -> Option<i64> {
        match self.node.value {
            Value::Int(number) if range.contains(&number) => Some(number),
            _ => self.expected(&format!(
                "a whole number from {} to {}",
                range.start(),
                range.end()
            )),
        }
    }

    /// A number within a range.
    pub fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let number = match self.node.value {
            Value::Int(number) => Some(number as f64),
            Value::Float(number) => Some(number),
            _ => None,
        };
        number.filter(|n| range.contains(n)).or_else(|| {
            self.expected(&format!(
                "a number from {} to {}",
                range.start(),
                range.end()
            ))
        })
    }

    /// One of a few words.
    pub fn choice<T: Copy>(&self, allowed: &[(&'static str, T)]) -> Option<T> {
        let word = self.string()?;
        if let Some((_, value)) = allowed.iter().find(|(name, _)| *name == word) {
            return Some(*value);
        }
        let names = || allowed.iter().map(|(name, _)| *name);
        let hint = did_you_mean(word, names());
        self.error(format!(
            "must be {}, but is \"{}\"{hint}",
            quoted(names()),
            shown(word)
        ));
        None
    }

    /// A list, as one field for each item.
    pub fn list(&self) -> Option<Vec<Field<'a>>> {
        let Value::List(items) = &self.node.value else {
            return self.expected("a list");
        };
        let field = |(index, node)| Field {
            node,
            path: format!("{}[{index}]", self.path),
            report: self.report,
        };
        Some(items.iter().enumerate().map(field).collect())
    }

    /// A map, where `what` says better than "a table of keys" what is expected.
    pub fn table_or(&self, what: &str) -> Option<Table<'a>> {
        match &self.node.value {
            Value::Map(_) => self.table(),
            _ => self.expected(what),
        }
    }

    /// A map.
    pub fn table(&self) -> Option<Table<'a>> {
        let Value::Map(entries) = &self.node.value else {
            return self.expected("a table of keys");
        };
        Some(Table {
            at: self.node.at,
            path: self.path.clone(),
            entries,
            asked: Vec::new(),
            unlisted: Vec::new(),
            report: self.report,
        })
    }
}

/// A map that is being read; [`finish`](Table::finish) refuses the keys that nobody asked for.
#[derive(Debug)]
pub struct Table<'a> {
    /// Where it stands.
    pub at: At,
    /// Its path.
    pub path: String,
    entries: &'a [Entry],
    asked: Vec<&'static str>,
    unlisted: Vec<&'static str>,
    report: &'a Report,
}

impl<'a> Table<'a> {
    /// The value of a key; `None` where it is absent or null.
    pub fn field(&mut self, key: &'static str) -> Option<Field<'a>> {
        if !self.asked.contains(&key) {
            self.asked.push(key);
            let path = without_indices(&join(&self.path, key));
            self.report.asked.borrow_mut().insert(path);
        }
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        (entry.value.value != Value::Null).then(|| self.entry(entry))
    }

    /// The value of a key that is known but not offered in messages.
    pub fn field_unlisted(&mut self, key: &'static str) -> Option<Field<'a>> {
        if !self.unlisted.contains(&key) {
            self.unlisted.push(key);
        }
        let entry = self.entries.iter().find(|entry| entry.key == key)?;
        Some(self.entry(entry))
    }

    /// Whether a key is there, with whatever value.
    pub fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Whether any mistake was noted in the document so far.
    pub fn failed(&self) -> bool {
        self.report.failed()
    }

    /// The value of a key that must be there.
    pub fn required(&mut self, key: &'static str) -> Option<Field<'a>> {
        let field = self.field(key);
        if field.is_none() {
            self.error(format!("the key \"{key}\" is missing"));
        }
        field
    }

    /// Every entry of a map whose keys are free names.
    pub fn entries(&self) -> impl Iterator<Item = (&'a Entry, Field<'a>)> {
        self.entries.iter().map(|entry| (entry, self.entry(entry)))
    }

    /// Notes a mistake in this table.
    pub fn error(&self, message: impl Into<String>) {
        self.report.error(self.at, &self.path, message);
    }

    /// Notes something odd in this table.
    pub fn warning(&self, message: impl Into<String>) {
        self.report.warning(self.at, &self.path, message);
    }

    /// Refuses the keys that nobody asked for.
    pub fn finish(mut self) {
        self.asked.sort_unstable();
        for entry in self.entries {
            if self.report.full() {
                return;
            }
            let key = entry.key.as_str();
            if !self.asked.contains(&key) && !self.unlisted.contains(&key) {
                let hint = did_you_mean(&entry.key, self.asked.iter().copied());
                let known = self.asked.join(", ");
                let message = format!(
                    "unknown key{hint}{} known here: {known}",
                    if hint.is_empty() { ";" } else { "" }
                );
                let path = join(&self.path, &shown(&entry.key));
                self.report.error(entry.at, &path, message);
            }
        }
    }

    fn entry(&self, entry: &'a Entry) -> Field<'a> {
        Field {
            node: &entry.value,
            path: join(&self.path, &shown(&entry.key)),
            report: self.report,
        }
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() {
        return key.to_owned();
    }
    format!("{path}.{key}")
}

/// Text from a file as it may stand in a message: one line, printable, not long.
pub fn shown(text: &str) -> String {
    const LONGEST: usize = 80;
    let mut chars = text.chars();
    let mut out: String = chars
        .by_ref()
        .take(LONGEST)
        .flat_map(char::escape_debug)
        .collect();
    if chars.next().is_some() {
        out.push('…');
    }
    out
}

fn without_indices(path: &str) -> String {
    let outside = |part: &str| {
        part.split_once(']')
            .map_or(String::new(), |(_, rest)| format!("[]{rest}"))
    };
    let mut parts = path.split('[');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + &outside(part))
}
