//! TOML into the document tree. Owns the conversion; the grammar (and its nesting limit) is the `toml` crate's.
use super::field::MAX_PROBLEMS;
use super::problem::{Problem, Problems};
use super::{Entry, Lines, Node, Value};
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parses TOML.
///
/// # Errors
/// Every syntax error the parser could recover from.
pub fn parse(name: &str, text: &str) -> Result<Node, Problems> {
    let lines = Lines::new(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(Node {
            at: super::At::START,
            value: map(table.into_inner(), &lines),
        });
    }
    let problem = |error: &toml::de::Error| Problem {
        at: lines.at(error.span().map_or(0, |span| span.start)),
        path: String::new(),
        message: one_line(error.message()),
    };
    let file = name.to_owned();
    let mut list: Vec<Problem> = errors.iter().take(MAX_PROBLEMS).map(problem).collect();
    list.sort_by_key(|problem| problem.at);
    Err(Problems { file, list })
}

fn map(table: DeTable<'_>, lines: &Lines<'_>) -> Value {
    let mut entries: Vec<(Range<usize>, Entry)> = table
        .into_iter()
        .map(|(key, value)| {
            let span = key.span();
            let entry = Entry {
                at: lines.at(span.start),
                key: key.into_inner().into_owned(),
                value: node(value, lines),
            };
            (span, entry)
        })
        .collect();
    entries.sort_by_key(|(span, _)| span.start);
    Value::Map(entries.into_iter().map(|(_, entry)| entry).collect())
}

fn node(value: Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    let at = lines.at(value.span().start);
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Str(text.into_owned()),
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or_else(|_| Value::Str(number.as_str().to_owned()), Value::Int),
        DeValue::Float(number) => number
            .as_str()
            .parse()
            .map_or_else(|_| Value::Str(number.as_str().to_owned()), Value::Float),
        DeValue::Datetime(moment) => Value::Str(moment.to_string()),
        DeValue::Array(items) => {
            Value::List(items.into_iter().map(|item| node(item, lines)).collect())
        }
        DeValue::Table(table) => map(table, lines),
    };
    Node { at, value }
}

fn one_line(message: &str) -> String {
    let lines: Vec<&str> = message.lines().collect();
    lines
        .join("; ")
        .chars()
        .flat_map(|char| {
            if char.is_control() {
                char.escape_debug().collect()
            } else {
                vec![char]
            }
        })
        .collect()
}
