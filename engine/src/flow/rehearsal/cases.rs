//! Tests of flows that stand in files (`*.flowtest.yaml`): who calls when, what is pressed, and what must be heard and done.
//!
//! ```yaml
//! flow: front-desk.yaml
//! at: 2026-11-20 10:00 Europe/Berlin
//! tests:
//!   - name: sales by day
//!     keys: 1
//!     expect: [{hears: Welcome}, {dials: "1001"}]
//!     never: [{at: closed}]
//!     ends: normal
//! ```
use super::caller::{Act, acts};
use super::{Setting, Transcript, rehearse};
use crate::config::document::field::{Field, Report, Table};
use crate::config::document::problem::Problems;
use crate::config::document::{self, Value};
use crate::flow::Loaded;
use crate::flow::schedule;
use std::time::SystemTime;

/// The most tests of one file.
const MAX_CASES: usize = 1000;

/// A file of tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cases {
    /// The flow, as the file names it.
    pub flow: String,
    /// The tests.
    pub list: Vec<Case>,
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// What it is called.
    pub name: String,
    /// The line it stands in.
    pub line: u32,
    now: SystemTime,
    from: String,
    to: String,
    acts: Vec<Act>,
    expect: Vec<Wanted>,
    never: Vec<Wanted>,
    ends: Option<String>,
}

/// Something that is in a transcript.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    /// The kind of line; `None`: any.
    kind: Option<&'static str>,
    /// Part of its text, upper and lower case alike; for `at` and `presses` all of it.
    text: String,
}

/// Kinds of lines that can be asked for, and the key for each.
const KINDS: [(&str, &str); 20] = [
    ("at", "at"),
    ("hears", "hears"),
    ("presses", "presses"),
    ("says", "says"),
    ("dials", "dials"),
    ("dial", "dial"),
    ("queues", "queues"),
    ("queue", "queue"),
    ("callback", "callback"),
    ("asks", "asks"),
    ("voicemail", "voicemail"),
    ("schedule", "schedule"),
    ("language", "language"),
    ("looks_up", "looks up"),
    ("records", "records"),
    ("recording", "recording"),
    ("conference", "conference"),
    ("streams", "streams"),
    ("not_served", "not served"),
    ("ends", "ends"),
];
/// How a call can end.
const ENDS: [(&str, ()); 6] = [
    ("normal", ()),
    ("busy", ()),
    ("congestion", ()),
    ("caller", ()),
    ("as the callee", ()),
    ("never", ()),
];

impl Cases {
    /// Reads a file's text.
    ///
    /// # Errors
    /// Every mistake found, by place.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, Problems> {
        let tree = document::parse(name, document::text(name, bytes)?)?;
        let report = Report::default();
        let cases = Field::root(&tree, &report).table().and_then(root);
        report.finish(name)?;
        let at = crate::config::At::START;
        cases.ok_or_else(|| Problems::one(name, at, "is not a file of tests".to_owned()))
    }
}

/// What cases have that do not say otherwise.
struct Usual {
    now: SystemTime,
    from: String,
    to: String,
}

fn root(mut root: Table<'_>) -> Option<Cases> {
    let flow = root.required("flow").and_then(|field| field.string());
    let usual = setting(
        &mut root,
        &Usual {
            now: SystemTime::UNIX_EPOCH,
            from: "caller".to_owned(),
            to: "flow".to_owned(),
        },
    );
    let tests = root.required("tests");
    root.finish();
    let tests = tests?;
    let list = tests.list()?;
    if list.len() > MAX_CASES {
        return tests.expected(&format!("a list of at most {MAX_CASES} tests"));
    }
    let list = list
        .iter()
        .filter_map(|field| case(field, &usual))
        .collect();
    Some(Cases {
        flow: flow?.to_owned(),
        list,
    })
}

fn setting(table: &mut Table<'_>, usual: &Usual) -> Usual {
    let now = table.field("at").and_then(|field| {
        let text = field.string()?;
        schedule::moment(text)
            .map_err(|message| field.error(message))
            .ok()
    });
    let mut text = |key| table.field(key).and_then(|field| word(&field));
    Usual {
        now: now.unwrap_or(usual.now),
        from: text("from").unwrap_or_else(|| usual.from.clone()),
        to: text("to").unwrap_or_else(|| usual.to.clone()),
    }
}

fn case(field: &Field<'_>, usual: &Usual) -> Option<Case> {
    let mut table = field.table()?;
    let name = table.required("name").and_then(|field| word(&field));
    let Usual { now, from, to } = setting(&mut table, usual);
    let keys = table.field("keys").map(|field| keys(&field));
    let expect = wanted_list(&mut table, "expect");
    let never = wanted_list(&mut table, "never");
    let ends = table.field("ends").and_then(|field| {
        field.choice(&ENDS)?;
        field.text().map(str::to_owned)
    });
    if expect.is_empty() && never.is_empty() && ends.is_none() {
        table.error("expects nothing: give \"expect\", \"never\" or \"ends\"");
    }
    table.finish();
    Some(Case {
        name: name?,
        line: field.at().line,
        now,
        from,
        to,
        acts: match keys {
            None => Vec::new(),
            Some(keys) => keys?,
        },
        expect,
        never,
        ends,
    })
}

/// Text, or a number that YAML made of it.
fn word(field: &Field<'_>) -> Option<String> {
    match &field.node.value {
        Value::Int(number) => Some(number.to_string()),
        _ => field.string().map(str::to_owned),
    }
}

/// `1,2,hangup`, or a list of these.
fn keys(field: &Field<'_>) -> Option<Vec<Act>> {
    let read = |field: &Field<'_>| {
        let text = word(field)?;
        acts(&text).map_err(|message| field.error(message)).ok()
    };
    if !field.is_list() {
        return read(field);
    }
    let lists: Option<Vec<Vec<Act>>> = field.list()?.iter().map(read).collect();
    Some(lists?.concat())
}

fn wanted_list(table: &mut Table<'_>, key: &'static str) -> Vec<Wanted> {
    let Some(field) = table.field(key) else {
        return Vec::new();
    };
    let items = if field.is_list() {
        field.list().unwrap_or_default()
    } else {
        vec![field]
    };
    items.iter().filter_map(wanted).collect()
}

fn wanted(field: &Field<'_>) -> Option<Wanted> {
    if !matches!(field.node.value, Value::Map(_)) {
        return Some(Wanted {
            kind: None,
            text: word(field)?,
        });
    }
    let mut table = field.table()?;
    let mut found = None;
    for (key, kind) in KINDS {
        if let Some(field) = table.field(key) {
            if found.is_some() {
                field.error("one thing at a time: begin a new item for the next");
            }
            found = word(&field).map(|text| Wanted {
                kind: Some(kind),
                text,
            });
        }
    }
    table.finish();
    found.or_else(|| field.expected("text, or a table such as {\"hears\": \"Welcome\"}"))
}

impl Wanted {
    fn is(&self, line: &super::Line) -> bool {
        let right = self.kind.is_none_or(|kind| kind == line.kind);
        let whole = matches!(self.kind, Some("at" | "presses" | "language"));
        let found = if whole {
            line.text == self.text
        } else {
            line.text.to_lowercase().contains(&self.text.to_lowercase())
        };
        right && found
    }

    fn words(&self) -> String {
        match self.kind {
            Some(kind) => format!("{kind} \"{}\"", self.text),
            None => format!("\"{}\"", self.text),
        }
    }
}

impl Case {
    /// Runs it; gives the transcript, and what is wrong with it, a sentence each.
    pub fn run(&self, loaded: &Loaded) -> (Transcript, Vec<String>) {
        let setting = Setting {
            now: self.now,
            from: self.from.clone(),
            to: self.to.clone(),
        };
        let transcript = rehearse(loaded, &setting, &self.acts);
        let mut wrong = Vec::new();
        let mut lines = transcript.lines.iter();
        for wanted in &self.expect {
            let mut behind = lines.clone();
            if behind.any(|line| wanted.is(line)) {
                lines = behind;
                continue;
            }
            let earlier = transcript.lines.iter().any(|line| wanted.is(line));
            let when = if earlier {
                "comes too early"
            } else {
                "does not happen"
            };
            wrong.push(format!("{} {when}", wanted.words()));
        }
        for wanted in &self.never {
            if let Some(line) = transcript.lines.iter().find(|line| wanted.is(line)) {
                wrong.push(format!("{} happens, at {}", wanted.words(), line.at));
            }
        }
        let end = transcript.end.name();
        if self.ends.as_ref().is_some_and(|ends| ends != end) {
            wrong.push(format!(
                "ends \"{end}\", not \"{}\"",
                self.ends.as_deref().unwrap_or_default()
            ));
        }
        (transcript, wrong)
    }
}
