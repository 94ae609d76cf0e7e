//! Answers for people. What came from far ends is shown without control characters.
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write;

/// Longest cell, in characters.
const CELL: usize = 48;

fn cell(value: &Value) -> String {
    let text = match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(list) if list.iter().all(Value::is_string) => list
            .iter()
            .filter_map(Value::as_str)
            .collect::<Vec<_>>()
            .join(","),
        Value::Array(list) => list.len().to_string(),
        other => other.to_string(),
    };
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// What a column shows; one of a part is `part.name`.
fn inside<'v>(item: &'v Value, column: &str) -> &'v Value {
    column.split('.').fold(item, |value, name| &value[name])
}

/// A list as a table.
pub(super) fn table(answer: &str, columns: &[&str], out: &mut impl Write) -> anyhow::Result<()> {
    let answer: Value = serde_json::from_str(answer)?;
    let rows: Vec<Vec<String>> = answer["items"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|item| {
            columns
                .iter()
                .map(|column| cell(inside(item, column)).chars().take(CELL).collect())
                .collect()
        })
        .collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(columns[column].len())
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let line = |cells: Vec<String>| {
        let mut line = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            let _ = write!(line, "{cell:<width$}  ");
        }
        line.trim_end().to_owned()
    };
    let head = columns
        .iter()
        .map(|column| column.to_ascii_uppercase())
        .collect();
    writeln!(out, "{}", line(head))?;
    for row in rows {
        writeln!(out, "{}", line(row))?;
    }
    if let Some(next) = answer["next"].as_str() {
        writeln!(out, "(more: --cursor {next})")?;
    }
    Ok(())
}

/// One thing, a line for each of its fields.
pub(super) fn fields(answer: &str, out: &mut impl Write) -> anyhow::Result<()> {
    if answer.is_empty() {
        writeln!(out, "done")?;
        return Ok(());
    }
    let answer: Value = serde_json::from_str(answer)?;
    for (name, value) in answer.as_object().into_iter().flatten() {
        let nested = value
            .as_array()
            .is_some_and(|list| list.iter().any(Value::is_object));
        if nested {
            for item in value.as_array().into_iter().flatten() {
                writeln!(out, "{name}:  {}", cell(item))?;
            }
        } else if let Value::Object(parts) = value {
            for (part, value) in parts.iter().filter(|(_, value)| !value.is_null()) {
                let part = cell(&Value::from(part.as_str()));
                writeln!(out, "{name}.{part}:  {}", cell(value))?;
            }
        } else if !value.is_null() {
            writeln!(out, "{name}:  {}", cell(value))?;
        }
    }
    Ok(())
}

/// An event on a line.
pub(super) fn event(event: &Value, out: &mut impl Write) -> anyhow::Result<()> {
    let mut line = format!(
        "{}  {}  {}",
        cell(&event["at"]),
        cell(&event["event"]),
        cell(&event["call"])
    );
    for (name, value) in event["data"].as_object().into_iter().flatten() {
        let _ = write!(line, "  {name}={}", cell(value));
    }
    writeln!(out, "{line}")?;
    Ok(())
}

/// A refusal as sentences.
pub(super) fn problem(status: u16, text: &str) -> String {
    let Ok(problem) = serde_json::from_str::<Value>(text) else {
        return format!("the server answered {status}");
    };
    let mut said = format!("{} ({status})", cell(&problem["detail"]));
    for error in problem["errors"].as_array().into_iter().flatten() {
        let _ = write!(said, "\n  ");
        for place in ["file", "line", "column"] {
            if !error[place].is_null() {
                let _ = write!(said, "{}:", cell(&error[place]));
            }
        }
        let _ = write!(
            said,
            " {} {}",
            cell(&error["path"]),
            cell(&error["message"])
        );
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_aligned_and_nothing_of_a_far_end_reaches_the_terminal() {
        let answer = "{\"items\": [{\"id\": \"c-1\", \"from\": \"\\u001b[2Jann\", \"tags\": [\"a\", \"b\"], \"day\": {\"calls\": 3}}, {\"id\": \"c-22\", \"from\": null}], \"next\": \"xyz\"}";
        let mut out = Vec::new();
        table(answer, &["id", "from", "tags", "day.calls"], &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(
            text,
            "ID    FROM     TAGS  DAY.CALLS\nc-1   \u{fffd}[2Jann  a,b   3\nc-22  -        -     -\n(more: --cursor xyz)\n"
        );
    }

    #[test]
    fn what_is_nested_reaches_the_terminal_without_control_characters_too() {
        let mut out = Vec::new();
        fields("{\"legs\": [{\"party\": \"\u{9b}2Jann\"}]}", &mut out).expect("written");
        assert_eq!(
            String::from_utf8(out).expect("text"),
            "legs:  {\"party\":\"\u{fffd}2Jann\"}\n"
        );
    }

    #[test]
    fn parts_of_one_thing_have_a_line_each() {
        let answer = "{\"name\": \"q\", \"today\": {\"answered\": 2, \"mean_talk_s\": null}}";
        let mut out = Vec::new();
        fields(answer, &mut out).expect("written");
        let text = String::from_utf8(out).expect("text");
        assert_eq!(text, "name:  q\ntoday.answered:  2\n");
    }

    #[test]
    fn a_problem_is_told_with_its_places() {
        let text = "{\"detail\": \"1 mistakes\", \"errors\": [{\"path\": \"menus.m\", \"message\": \"is empty\", \"line\": 3, \"column\": 7, \"file\": \"f.yaml\"}]}";
        assert_eq!(
            problem(422, text),
            "1 mistakes (422)\n  f.yaml:3:7: menus.m is empty"
        );
        assert_eq!(problem(502, "<html>"), "the server answered 502");
    }
}
