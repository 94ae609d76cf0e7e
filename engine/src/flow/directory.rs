//! Directories in files: rows of a CSV (RFC 4180) or JSON file, found by a caller's number. Owns the reading and the comparison of
//! numbers. Limits: [`MAX_ROWS`] rows, [`MAX_COLUMNS`] columns, and those of a document for the text.
use std::collections::HashMap;

/// The most rows.
pub const MAX_ROWS: usize = 50_000;
/// The most columns.
pub const MAX_COLUMNS: usize = 100;
/// Digits at the end of a number by which two are the same, whatever their prefix (`+49 30 …` and `030 …`).
const SAME_DIGITS: usize = 9;

/// A directory, by the values of one column.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directory {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    by_value: HashMap<String, usize>,
    by_number: HashMap<String, usize>,
}

/// What is wrong with a directory's file: line and sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

impl Directory {
    /// Reads a file's text; `.json` in the name, or a first `[` or `{`, says that it is JSON: a list of objects. Else CSV with a
    /// line of column names, separated by `,` or `;`.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(name: &str, text: &str, key: &str) -> Result<Self, Unreadable> {
        let is_json = name.ends_with(".json") || text.trim_start().starts_with(['[', '{']);
        let (columns, rows) = if is_json {
            json(name, text)?
        } else {
            csv(text)?
        };
        let Some(place) = columns.iter().position(|column| column == key) else {
            let known = columns.join(", ");
            return Err(unreadable(
                1,
                format!("has no column \"{key}\"; its columns: {known}"),
            ));
        };
        let mut directory = Self {
            columns,
            ..Self::default()
        };
        for (index, row) in rows.iter().enumerate() {
            let value = row.get(place).map_or("", String::as_str).trim();
            if value.is_empty() {
                continue;
            }
            directory.by_value.entry(value.to_owned()).or_insert(index);
            if let Some(number) = number(value) {
                directory.by_number.entry(number).or_insert(index);
            }
        }
        directory.rows = rows;
        Ok(directory)
    }

    /// Whether there is such a column.
    pub fn has_column(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column == name)
    }

    /// Column names.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether it has no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Some value that is found, for rehearsals.
    pub fn sample(&self) -> Option<&str> {
        let least = self.by_value.iter().min_by_key(|(_, row)| **row);
        least.map(|(value, _)| value.as_str())
    }

    /// The row of a value: the same text, or the same number in another form.
    pub fn find(&self, value: &str) -> Option<Row<'_>> {
        let value = value.trim();
        let by_number = || self.by_number.get(&number(value)?);
        let index = self.by_value.get(value).or_else(by_number)?;
        Some(Row {
            directory: self,
            index: *index,
        })
    }
}

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'d> {
    directory: &'d Directory,
    index: usize,
}

impl<'d> Row<'d> {
    /// The value of a column; empty where there is none.
    pub fn value(&self, column: &str) -> &'d str {
        let columns = &self.directory.columns;
        let place = columns.iter().position(|name| name == column);
        let row = &self.directory.rows[self.index];
        place
            .and_then(|place| row.get(place))
            .map_or("", String::as_str)
    }
}

/// The last digits of what looks like a telephone number.
fn number(value: &str) -> Option<String> {
    let fits = |char: char| char.is_ascii_digit() || " +-./()".contains(char);
    if !value.chars().all(fits) {
        return None;
    }
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    (digits.len() >= SAME_DIGITS).then(|| digits[digits.len() - SAME_DIGITS..].to_owned())
}

fn unreadable(line: usize, message: impl Into<String>) -> Unreadable {
    Unreadable {
        line,
        message: message.into(),
    }
}

type Rows = (Vec<String>, Vec<Vec<String>>);

fn csv(text: &str) -> Result<Rows, Unreadable> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let head = text.lines().next().unwrap_or_default();
    let separator = if head.matches(';').count() > head.matches(',').count() {
        ';'
    } else {
        ','
    };
    let mut records = records(text, separator)?;
    if records.is_empty() || records[0].iter().all(String::is_empty) {
        return Err(unreadable(
            1,
            "begins with a line of column names, such as \"number,name\"",
        ));
    }
    let columns: Vec<String> = records
        .remove(0)
        .iter()
        .map(|name| name.trim().to_owned())
        .collect();
    if columns.len() > MAX_COLUMNS {
        return Err(unreadable(
            1,
            format!("has more than {MAX_COLUMNS} columns, the limit"),
        ));
    }
    Ok((columns, records))
}

/// RFC 4180 §2: fields in quotes may hold separators, line ends and doubled quotes.
fn records(text: &str, separator: char) -> Result<Vec<Vec<String>>, Unreadable> {
    let (mut records, mut record, mut field) = (Vec::new(), Vec::new(), String::new());
    let (mut quoted, mut line, mut opened) = (false, 1, 1);
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        line += usize::from(char == '\n');
        match char {
            '"' if quoted && chars.next_if_eq(&'"').is_some() => field.push('"'),
            '"' if quoted => quoted = false,
            _ if quoted => field.push(char),
            '"' if field.is_empty() => (quoted, opened) = (true, line),
            '\r' if chars.peek() == Some(&'\n') => {}
            '\n' => {
                record.push(std::mem::take(&mut field));
                keep(&mut records, std::mem::take(&mut record), line)?;
            }
            _ if char == separator => record.push(std::mem::take(&mut field)),
            _ => field.push(char),
        }
    }
    if quoted {
        return Err(unreadable(
            opened,
            "a quote that begins here is never closed",
        ));
    }
    record.push(field);
    keep(&mut records, record, line)?;
    Ok(records)
}

fn keep(
    records: &mut Vec<Vec<String>>,
    record: Vec<String>,
    line: usize,
) -> Result<(), Unreadable> {
    if record.iter().all(String::is_empty) && !records.is_empty() {
        return Ok(());
    }
    if records.len() > MAX_ROWS {
        return Err(unreadable(
            line,
            format!("has more than {MAX_ROWS} rows, the limit"),
        ));
    }
    records.push(record);
    Ok(())
}

fn json(name: &str, text: &str) -> Result<Rows, Unreadable> {
    use crate::config::document::{Value, json};
    let tree = json::parse(name, text).map_err(|problems| {
        let first = problems.list.first();
        let line = first.map_or(1, |problem| problem.at.line as usize);
        unreadable(
            line,
            first.map_or_else(String::new, |problem| problem.message.clone()),
        )
    })?;
    let Value::List(items) = tree.value else {
        return Err(unreadable(1, "must be a list of objects"));
    };
    let (mut columns, mut rows): (Vec<String>, _) = (Vec::new(), Vec::new());
    for item in items {
        let Value::Map(entries) = item.value else {
            return Err(unreadable(
                item.at.line as usize,
                "must be an object such as {\"number\": \"1001\"}",
            ));
        };
        let mut row = vec![String::new(); columns.len()];
        for entry in entries {
            let place = columns.iter().position(|column| *column == entry.key);
            let place = place.unwrap_or_else(|| {
                columns.push(entry.key.clone());
                columns.len() - 1
            });
            if columns.len() > MAX_COLUMNS {
                return Err(unreadable(
                    entry.at.line as usize,
                    format!("has more than {MAX_COLUMNS} columns, the limit"),
                ));
            }
            row.resize(columns.len(), String::new());
            row[place] = match entry.value.value {
                Value::Str(text) => text,
                Value::Int(number) => number.to_string(),
                Value::Float(number) => number.to_string(),
                Value::Bool(value) => value.to_string(),
                _ => String::new(),
            };
        }
        if rows.len() >= MAX_ROWS {
            return Err(unreadable(
                item.at.line as usize,
                format!("has more than {MAX_ROWS} rows, the limit"),
            ));
        }
        rows.push(row);
    }
    Ok((columns, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_and_json_are_found_by_text_and_by_number() {
        let csv =
            "number,name,vip\r\n\"+49 30 123456789\",\"Müller, Anna \"\"A\"\"\",yes\n1001,Bob\n\n";
        let json = "[{\"number\": \"+49 30 123456789\", \"name\": \"Müller, Anna \\\"A\\\"\", \"vip\": \"yes\"}, {\"number\": 1001, \"name\": \"Bob\"}]";
        for (file, text) in [("a.csv", csv), ("a.json", json)] {
            let directory = Directory::parse(file, text, "number").expect(file);
            assert_eq!(
                (directory.len(), directory.sample()),
                (2, Some("+49 30 123456789"))
            );
            for value in [
                "+49 30 123456789",
                "+4930123456789",
                "030123456789",
                "0049-30-123456789",
            ] {
                let row = directory.find(value).expect(value);
                assert_eq!(
                    (row.value("name"), row.value("vip"), row.value("x")),
                    ("Müller, Anna \"A\"", "yes", "")
                );
            }
            assert_eq!(directory.find("1001").expect("Bob").value("vip"), "");
            assert!(
                directory.find("01001").is_none()
                    && directory.find("").is_none()
                    && directory.find("anna").is_none()
            );
        }
        let semicolons = Directory::parse("a.csv", "name;number\nA, B;7", "number").expect("good");
        assert_eq!(semicolons.find("7").expect("there").value("name"), "A, B");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, line, message) in [
            ("", 1, "begins with a line of column names"),
            ("a,b\n1,\"x\ny", 2, "never closed"),
            ("a,b\n1,2", 1, "has no column \"number\"; its columns: a, b"),
            ("[{\"number\": 1},\n 2]", 2, "must be an object"),
            ("{}", 1, "must be a list of objects"),
            ("[1", 1, "expected"),
        ] {
            let told = Directory::parse("d", text, "number").expect_err(text);
            assert!(
                told.line == line && told.message.contains(message),
                "{text}: {told:?}"
            );
        }
        let many = format!("number\n{}", "1\n".repeat(MAX_ROWS + 1));
        assert!(
            Directory::parse("d", &many, "number")
                .expect_err("many")
                .message
                .contains("the limit")
        );
    }
}
