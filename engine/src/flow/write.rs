//! Documents as text: YAML or JSON that reads back as the same tree. Owns the quoting; places and comments are not kept.
use crate::config::document::{Node, Value};
use std::fmt::Write;

/// YAML in block style, short maps and lists in one line.
pub(super) fn yaml(tree: &Node) -> String {
    let mut out = String::new();
    block(tree, 0, &mut out);
    out.trim_start_matches('\n').to_owned()
}

/// JSON, two spaces to a level.
pub(super) fn json(tree: &Node) -> String {
    let mut out = String::new();
    pretty(tree, 0, &mut out);
    out.push('\n');
    out
}

/// The longest line that a map or list is put into.
const LINE: usize = 110;

fn block(node: &Node, depth: usize, out: &mut String) {
    let line = inline(node);
    if depth > 1 && line.len() + depth * 2 <= LINE {
        let _ = writeln!(out, " {line}");
        return;
    }
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => {
            out.push('\n');
            for entry in entries {
                let _ = write!(out, "{}{}:", "  ".repeat(depth), quoted(&entry.key));
                block(&entry.value, depth + 1, out);
            }
        }
        Value::List(items) if !items.is_empty() => {
            out.push('\n');
            for item in items {
                let _ = write!(out, "{}-", "  ".repeat(depth));
                let mut inner = String::new();
                block(item, depth + 1, &mut inner);
                // The first key stands behind the dash.
                let inner = inner.strip_prefix('\n').map_or(inner.clone(), |rest| {
                    format!(" {}", rest.trim_start_matches(' '))
                });
                out.push_str(&inner);
            }
        }
        _ => {
            let _ = writeln!(out, " {line}");
        }
    }
}

fn inline(node: &Node) -> String {
    match &node.value {
        Value::Map(entries) => {
            let inner: Vec<String> = entries
                .iter()
                .map(|entry| format!("{}: {}", quoted(&entry.key), inline(&entry.value)))
                .collect();
            format!("{{{}}}", inner.join(", "))
        }
        Value::List(items) => {
            let inner: Vec<String> = items.iter().map(inline).collect();
            format!("[{}]", inner.join(", "))
        }
        Value::Str(text) => quoted(text),
        other => scalar(other),
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Int(number) => number.to_string(),
        // Always with a point: a whole number would read back as one.
        Value::Float(number) => format!("{number:?}"),
        _ => String::new(),
    }
}

/// Plain where YAML reads it as this text, else in double quotes with the escapes of JSON, which are YAML's as well.
fn quoted(text: &str) -> String {
    let plain = |char: char| char.is_ascii_alphanumeric() || char == '_';
    let word = text
        .chars()
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && text.chars().all(plain);
    let taken = ["null", "true", "false", "yes", "no", "on", "off", "y", "n"];
    if word && !taken.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    json_text(text)
}

fn json_text(text: &str) -> String {
    let mut out = String::from("\"");
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            // Also what YAML takes for a line end or does not print (YAML 1.2.2 §5.1).
            char if char.is_control()
                || matches!(
                    char,
                    '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}'
                ) =>
            {
                let _ = write!(out, "\\u{:04x}", char as u32);
            }
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

fn pretty(node: &Node, depth: usize, out: &mut String) {
    let (open, close, count) = match &node.value {
        Value::Map(entries) => ('{', '}', entries.len()),
        Value::List(items) => ('[', ']', items.len()),
        Value::Str(text) => return out.push_str(&json_text(text)),
        other => return out.push_str(&scalar(other)),
    };
    out.push(open);
    for index in 0..count {
        let _ = write!(
            out,
            "{}\n{}",
            if index > 0 { "," } else { "" },
            "  ".repeat(depth + 1)
        );
        match &node.value {
            Value::Map(entries) => {
                let _ = write!(out, "{}: ", json_text(&entries[index].key));
                pretty(&entries[index].value, depth + 1, out);
            }
            Value::List(items) => pretty(&items[index], depth + 1, out),
            _ => {}
        }
    }
    if count > 0 {
        let _ = write!(out, "\n{}", "  ".repeat(depth));
    }
    out.push(close);
}
