//! JSON (RFC 8259) into the document tree. Owns the grammar, because positions must survive and tabs, `\/` and surrogate pairs
//! must work. Strict: no comments, no trailing commas. Linear time.
use super::problem::{At, Problems};
use super::{Lines, MAX_DEPTH, MAX_NODES, MapBuilder, Node, Value};

/// Parses JSON.
///
/// # Errors
/// The first syntax error, a repeated key, or the limit that was passed.
pub fn parse(name: &str, text: &str) -> Result<Node, Problems> {
    read(name, text, false).map(|(node, _)| node)
}

/// Parses JSON that was copied from a page: a backslash that Markdown puts before `_`, `*`, `!` and the like is dropped, and its place
/// returned.
///
/// # Errors
/// As [`parse`].
pub fn parse_pasted(name: &str, text: &str) -> Result<(Node, Vec<At>), Problems> {
    read(name, text, true)
}

fn read(name: &str, text: &str, pasted: bool) -> Result<(Node, Vec<At>), Problems> {
    let mut parser = Parser {
        text,
        offset: 0,
        lines: Lines::new(text),
        nodes: 0,
        pasted: pasted.then(Vec::new),
    };
    let read = parser.document();
    let node =
        read.map_err(|(offset, message)| Problems::one(name, parser.lines.at(offset), message))?;
    Ok((node, parser.pasted.unwrap_or_default()))
}

/// What Markdown escapes and JSON does not.
const MARKDOWN: &[u8] = b"_*!#+-.()[]{}<>|~`&'";

type Parsed<T> = Result<T, (usize, String)>;

struct Parser<'a> {
    text: &'a str,
    offset: usize,
    lines: Lines<'a>,
    nodes: usize,
    /// Places of escapes of Markdown, where they are taken.
    pasted: Option<Vec<At>>,
}

impl Parser<'_> {
    fn document(&mut self) -> Parsed<Node> {
        let node = self.node(0)?;
        self.blank();
        if self.offset < self.text.len() {
            return self.expected("the end of the document");
        }
        Ok(node)
    }

    fn node(&mut self, depth: usize) -> Parsed<Node> {
        self.blank();
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return self.fail(format!(
                "the document has more than {MAX_NODES} values, the limit"
            ));
        }
        if depth > MAX_DEPTH {
            return self.fail(format!(
                "the document is nested deeper than {MAX_DEPTH} levels, the limit"
            ));
        }
        let at = self.at();
        let value = match self.peek() {
            Some(b'{') => self.map(depth)?,
            Some(b'[') => self.list(depth)?,
            Some(b'"') => Value::Str(self.string()?),
            Some(b'-' | b'0'..=b'9') => self.number()?,
            _ => self.word()?,
        };
        Ok(Node { at, value })
    }

    fn map(&mut self, depth: usize) -> Parsed<Value> {
        let mut map = MapBuilder::default();
        self.offset += 1;
        self.blank();
        if self.take(b'}') {
            return Ok(map.finish());
        }
        loop {
            self.blank();
            let (at, offset) = (self.at(), self.offset);
            if self.peek() != Some(b'"') {
                return self.expected("a key in double quotes");
            }
            let key = self.string()?;
            map.key(key, at)
                .map_err(|first| (offset, repeated(first)))?;
            self.blank();
            if !self.take(b':') {
                return self.expected("\":\" after the key");
            }
            map.value(self.node(depth + 1)?);
            self.blank();
            if self.take(b'}') {
                return Ok(map.finish());
            }
            if !self.take(b',') {
                return self.expected("\",\" or \"}\"");
            }
        }
    }

    fn list(&mut self, depth: usize) -> Parsed<Value> {
        let mut items = Vec::new();
        self.offset += 1;
        self.blank();
        if self.take(b']') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.node(depth + 1)?);
            self.blank();
            if self.take(b']') {
                return Ok(Value::List(items));
            }
            if !self.take(b',') {
                return self.expected("\",\" or \"]\"");
            }
        }
    }

    fn string(&mut self) -> Parsed<String> {
        self.offset += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.offset..];
            let plain = rest
                .bytes()
                .position(|byte| byte == b'"' || byte == b'\\' || byte < b' ');
            let Some(plain) = plain else {
                self.offset = self.text.len();
                return self.expected("the closing quote of the text");
            };
            out.push_str(&rest[..plain]);
            self.offset += plain;
            match self.peek() {
                Some(b'"') => {
                    self.offset += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => {
                    return self.fail(
                        "control characters in text must be escaped, as \\n or \\t".to_owned(),
                    );
                }
            }
        }
    }

    fn escape(&mut self) -> Parsed<char> {
        let start = self.offset;
        self.offset += 2;
        let escape = self.text.as_bytes().get(start + 1).copied();
        Ok(match escape {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(start),
            Some(escaped) if self.pasted.is_some() && MARKDOWN.contains(&escaped) => {
                let at = self.lines.at(start);
                self.pasted.get_or_insert_default().push(at);
                char::from(escaped)
            }
            _ => {
                self.offset = start;
                return self.fail(
                    "is not an escape JSON knows: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"
                        .to_owned(),
                );
            }
        })
    }

    /// RFC 8259 §7: beyond the basic plane a character is a pair of surrogates.
    fn unicode(&mut self, start: usize) -> Parsed<char> {
        let wrong = |message: &str| Err((start, message.to_owned()));
        let Some(first) = self.hex4() else {
            return wrong("\\u needs four hexadecimal digits");
        };
        let code = if (0xD800..0xDC00).contains(&first) {
            let second = if self.take(b'\\') && self.take(b'u') {
                self.hex4()
            } else {
                None
            };
            match second {
                Some(second @ 0xDC00..0xE000) => {
                    0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00)
                }
                _ => {
                    return wrong(
                        "is the first half of a surrogate pair, and the second half does not follow",
                    );
                }
            }
        } else {
            first
        };
        char::from_u32(code).map_or_else(
            || wrong("is the second half of a surrogate pair, without the first"),
            Ok,
        )
    }

    fn hex4(&mut self) -> Option<u32> {
        let digits = self.text.get(self.offset..self.offset + 4)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        self.offset += 4;
        u32::from_str_radix(digits, 16).ok()
    }

    fn number(&mut self) -> Parsed<Value> {
        let start = self.offset;
        let negative = self.take(b'-');
        let whole = self.digits();
        let leading_zero = whole > 1 && self.text.as_bytes()[start + usize::from(negative)] == b'0';
        let mut right = whole > 0 && !leading_zero;
        let mut float = false;
        if self.take(b'.') {
            float = true;
            right &= self.digits() > 0;
        }
        if self.take(b'e') || self.take(b'E') {
            float = true;
            let _sign = self.take(b'+') || self.take(b'-');
            right &= self.digits() > 0;
        }
        let text = &self.text[start..self.offset];
        let value = match (float, text.parse::<i64>()) {
            (false, Ok(number)) => Some(Value::Int(number)),
            _ => text
                .parse()
                .ok()
                .filter(|number: &f64| number.is_finite())
                .map(Value::Float),
        };
        value.filter(|_| right).ok_or_else(|| {
            (
                start,
                "is not a JSON number (no leading zero or plus sign, digits around the point)"
                    .to_owned(),
            )
        })
    }

    fn digits(&mut self) -> usize {
        let rest = &self.text.as_bytes()[self.offset..];
        let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.offset += count;
        count
    }

    fn word(&mut self) -> Parsed<Value> {
        for (word, value) in [
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("null", Value::Null),
        ] {
            if self.text[self.offset..].starts_with(word) {
                self.offset += word.len();
                return Ok(value);
            }
        }
        self.expected("a value")
    }

    fn blank(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.offset += 1;
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.offset).copied()
    }

    fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        self.offset += usize::from(there);
        there
    }

    fn at(&self) -> At {
        self.lines.at(self.offset)
    }

    fn fail<T>(&self, message: String) -> Parsed<T> {
        Err((self.offset, message))
    }

    fn expected<T>(&self, what: &str) -> Parsed<T> {
        let found = match self.text[self.offset..].chars().next() {
            None => "the document ends".to_owned(),
            Some(found) => format!("there is \"{}\"", found.escape_debug()),
        };
        self.fail(format!("expected {what}, but {found}"))
    }
}

pub(super) fn repeated(first: At) -> String {
    format!("this key is already given in line {}", first.line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn refused(text: &str) -> String {
        parse("f", text).expect_err(text).to_string()
    }

    #[test]
    fn mistakes_have_their_place() {
        for (text, expected) in [
            ("", "f:1:1 expected a value, but the document ends"),
            (
                "{\n\t\"a\": 1,\n}",
                "f:3:1 expected a key in double quotes, but there is \"}\"",
            ),
            (
                "{\"a\" 1}",
                "f:1:6 expected \":\" after the key, but there is \"1\"",
            ),
            (
                "{\"a\":1,\n \"a\":2}",
                "f:2:2 this key is already given in line 1",
            ),
            ("[1 2]", "f:1:4 expected \",\" or \"]\", but there is \"2\""),
            (
                "[01]",
                "f:1:2 is not a JSON number (no leading zero or plus sign, digits around the point)",
            ),
            (
                "[1.]",
                "f:1:2 is not a JSON number (no leading zero or plus sign, digits around the point)",
            ),
            (
                "[1e999]",
                "f:1:2 is not a JSON number (no leading zero or plus sign, digits around the point)",
            ),
            (
                "\"a",
                "f:1:3 expected the closing quote of the text, but the document ends",
            ),
            (
                "\"a\tb\"",
                "f:1:3 control characters in text must be escaped, as \\n or \\t",
            ),
            (
                "\"\\_\"",
                "f:1:2 is not an escape JSON knows: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX",
            ),
            (
                "\"\\ud83d x\"",
                "f:1:2 is the first half of a surrogate pair, and the second half does not follow",
            ),
            (
                "\"\\ude00\"",
                "f:1:2 is the second half of a surrogate pair, without the first",
            ),
            ("\"\\u12g4\"", "f:1:2 \\u needs four hexadecimal digits"),
            (
                "{} x",
                "f:1:4 expected the end of the document, but there is \"x\"",
            ),
            ("nul", "f:1:1 expected a value, but there is \"n\""),
        ] {
            assert_eq!(refused(text), expected, "{text}");
        }
        assert!(refused(&"[".repeat(100_000)).contains("nested deeper than 32 levels"));
        assert!(
            refused(&format!("[{}1]", "1,".repeat(MAX_NODES))).contains("more than 100000 values")
        );
    }

    #[test]
    fn tabs_escapes_and_surrogate_pairs_are_read() {
        let node = parse(
            "f",
            "\t{\r\n\t\t\"k\\u00e9\\/\" :\t\"\\ud83d\\ude00 \\u0041\\n\"\t}\n",
        )
        .expect("good");
        let Value::Map(entries) = node.value else {
            panic!("a map")
        };
        assert_eq!(
            (entries[0].key.as_str(), entries[0].at),
            ("ké/", At { line: 2, column: 3 })
        );
        assert_eq!(entries[0].value.value, Value::Str("😀 A\n".to_owned()));
    }

    fn same(node: &Node, json: &serde_json::Value) -> bool {
        match (&node.value, json) {
            (Value::Null, serde_json::Value::Null) => true,
            (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
            // It reads -0 as a float.
            (Value::Int(a), serde_json::Value::Number(b)) => {
                b.as_i64() == Some(*a) || (*a == 0 && b.as_f64() == Some(0.0))
            }
            // Its fast way of reading numbers may be off by the last bit.
            (Value::Float(a), serde_json::Value::Number(b)) => b
                .as_f64()
                .is_some_and(|b| *a == b || (a - b).abs() <= a.abs() * 4.0 * f64::EPSILON),
            (Value::Str(a), serde_json::Value::String(b)) => a == b,
            (Value::List(a), serde_json::Value::Array(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
            }
            (Value::Map(a), serde_json::Value::Object(b)) => {
                a.len() == b.len()
                    && a.iter().all(|entry| {
                        b.get(&entry.key)
                            .is_some_and(|value| same(&entry.value, value))
                    })
            }
            _ => false,
        }
    }

    proptest! {
        /// serde_json is the oracle, except for repeated keys and numbers beyond i64, which it treats in its own way.
        #[test]
        fn agrees_with_serde_json(text in r#"[\[\]{}:, \t"a\\u0e.1tr-]{0,24}|[0-9.eE+-]{1,8}|"(\\u[d0][8c0][0-9]{2}|\\[nx"/]|[a-c]){0,6}""#) {
            match (parse("f", &text), serde_json::from_str::<serde_json::Value>(&text)) {
                (Ok(ours), Ok(theirs)) => prop_assert!(same(&ours, &theirs)),
                (Err(error), Ok(_)) => prop_assert!(error.to_string().contains("already given")),
                (Ok(ours), Err(error)) => prop_assert!(false, "{ours:?} {error}"),
                (Err(_), Err(_)) => {}
            }
        }
    }
}
