//! YAML into the document tree. Owns which YAML is accepted: one document of maps, lists and scalars of the core schema. Anchors,
//! aliases and tags are refused, so that a small file cannot unfold into a large one. The grammar is saphyr-parser's.
use super::json::repeated;
use super::problem::{At, Problems};
use super::{MAX_DEPTH, MAX_NODES, MapBuilder, Node, Value};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle};

/// Parses YAML.
///
/// # Errors
/// The first syntax error, what is not accepted, a repeated key, or the limit that was passed.
pub fn parse(name: &str, text: &str) -> Result<Node, Problems> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            Problems::one(name, place(*error.marker()), error.info().to_owned())
        })?;
        let at = place(span.start);
        let ended = event == Event::StreamEnd;
        builder
            .event(event, at)
            .map_err(|message| Problems::one(name, at, message))?;
        if ended {
            break;
        }
    }
    Ok(builder.root.unwrap_or(Node {
        at: At::START,
        value: Value::Null,
    }))
}

fn place(marker: Marker) -> At {
    At {
        line: marker.line().max(1) as u32,
        column: marker.col() as u32 + 1,
    }
}

enum Open {
    List(Vec<Node>),
    Map { map: MapBuilder, key_next: bool },
}

#[derive(Default)]
struct Builder {
    open: Vec<(At, Open)>,
    root: Option<Node>,
    nodes: usize,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, at: At) -> Result<(), String> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => {
                Err("a second document begins here; one is accepted".to_owned())
            }
            Event::DocumentStart(_) => Ok(()),
            Event::Alias(_) => Err(
                "aliases (*name) are not accepted: write the value out, and \"*\" in quotes"
                    .to_owned(),
            ),
            Event::Scalar(text, style, anchor, tag) => {
                plain(anchor, tag.is_some())?;
                self.scalar(&text, style, at)
            }
            Event::SequenceStart(anchor, tag) => {
                plain(anchor, tag.is_some())?;
                self.begin(at, Open::List(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                plain(anchor, tag.is_some())?;
                self.begin(
                    at,
                    Open::Map {
                        map: MapBuilder::default(),
                        key_next: true,
                    },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let Some((at, open)) = self.open.pop() else {
                    return Ok(());
                };
                let value = match open {
                    Open::List(items) => Value::List(items),
                    Open::Map { map, .. } => map.finish(),
                };
                self.place(Node { at, value });
                Ok(())
            }
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, at: At) -> Result<(), String> {
        self.count()?;
        if let Some((
            _,
            Open::Map {
                map,
                key_next: key_next @ true,
            },
        )) = self.open.last_mut()
        {
            *key_next = false;
            return map.key(text.to_owned(), at).map_err(repeated);
        }
        let value = if style == ScalarStyle::Plain {
            core_schema(text)
        } else {
            Value::Str(text.to_owned())
        };
        self.place(Node { at, value });
        Ok(())
    }

    fn begin(&mut self, at: At, open: Open) -> Result<(), String> {
        self.count()?;
        if self.open.len() > MAX_DEPTH {
            return Err(format!(
                "the document is nested deeper than {MAX_DEPTH} levels, the limit"
            ));
        }
        if let Some((_, Open::Map { key_next: true, .. })) = self.open.last() {
            return Err("a key must be text".to_owned());
        }
        self.open.push((at, open));
        Ok(())
    }

    fn place(&mut self, node: Node) {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some((_, Open::List(items))) => items.push(node),
            Some((_, Open::Map { map, key_next })) => {
                *key_next = true;
                map.value(node);
            }
        }
    }

    fn count(&mut self) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > 2 * MAX_NODES {
            return Err(format!(
                "the document has more than {MAX_NODES} values, the limit"
            ));
        }
        Ok(())
    }
}

fn plain(anchor: usize, tagged: bool) -> Result<(), String> {
    if anchor != 0 {
        return Err(
            "anchors (&name) are not accepted: write the value out where it is needed".to_owned(),
        );
    }
    if tagged {
        return Err("tags (!name) are not accepted: text goes in quotes".to_owned());
    }
    Ok(())
}

/// YAML 1.2.2 §10.3.2.
fn core_schema(text: &str) -> Value {
    let radix = |prefix, radix| {
        text.strip_prefix(prefix)
            .and_then(|digits| whole(digits, radix))
    };
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" => return Value::Bool(true),
        "false" | "False" | "FALSE" => return Value::Bool(false),
        _ => {}
    }
    let decimal = text.strip_prefix(['-', '+']).unwrap_or(text);
    if decimal.bytes().all(|byte| byte.is_ascii_digit())
        && let Ok(number) = text.parse()
    {
        return Value::Int(number);
    }
    if let Some(number) = radix("0x", 16).or_else(|| radix("0o", 8)) {
        return Value::Int(number);
    }
    let numeric = decimal.starts_with(|first: char| first.is_ascii_digit() || first == '.')
        && decimal
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    match text.parse() {
        Ok(number) if numeric => Value::Float(number),
        _ => Value::Str(text.to_owned()),
    }
}

fn whole(digits: &str, radix: u32) -> Option<i64> {
    let right = digits.chars().all(|digit| digit.is_digit(radix));
    right
        .then(|| i64::from_str_radix(digits, radix).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse("f", text).expect_err(text).to_string()
    }

    #[test]
    fn what_is_not_accepted_has_its_place() {
        for (text, expected) in [
            (
                "a: &x 1\nb: *x",
                "f:1:4 anchors (&name) are not accepted: write the value out where it is needed",
            ),
            (
                "a: !!str 1",
                "f:1:4 tags (!name) are not accepted: text goes in quotes",
            ),
            ("a: 1\na: 2", "f:2:1 this key is already given in line 1"),
            ("? [1]\n: 2", "f:1:3 a key must be text"),
            (
                "a: 1\n---\nb: 2",
                "f:2:1 a second document begins here; one is accepted",
            ),
        ] {
            assert_eq!(refused(text), expected, "{text}");
        }
        assert!(
            refused("a: *x").starts_with("f:1:4 "),
            "{}",
            refused("a: *x")
        );
        assert!(
            refused("a:\n\t- b").starts_with("f:2:2 tabs"),
            "{}",
            refused("a:\n\t- b")
        );
        assert!(
            refused(&format!("a: {}", "[".repeat(60))).contains("nested deeper than 32 levels")
        );
        assert!(refused(&"- ".repeat(60)).contains("nested deeper than 32 levels"));
        assert!(refused(&"- 1\n".repeat(200_001)).contains("more than 100000 values"));
    }

    #[test]
    fn scalars_follow_the_core_schema() {
        for (text, expected) in [
            ("1", Value::Int(1)),
            ("-7", Value::Int(-7)),
            ("0x1F", Value::Int(31)),
            ("0o17", Value::Int(15)),
            ("0x+1", Value::Str("0x+1".to_owned())),
            ("1.5", Value::Float(1.5)),
            (".5", Value::Float(0.5)),
            ("infinity", Value::Str("infinity".to_owned())),
            ("e1", Value::Str("e1".to_owned())),
            ("yes", Value::Str("yes".to_owned())),
            ("'1'", Value::Str("1".to_owned())),
            ("~", Value::Null),
            ("True", Value::Bool(true)),
            ("[a, {b: c}]", Value::Null),
        ] {
            let node = parse("f", &format!("k: {text}")).expect(text);
            let Value::Map(entries) = node.value else {
                panic!("a map")
            };
            assert_eq!(entries[0].key, "k");
            if text.starts_with('[') {
                assert!(
                    matches!(&entries[0].value.value, Value::List(items) if items.len() == 2),
                    "{text}"
                );
            } else {
                assert_eq!(entries[0].value.value, expected, "{text}");
            }
        }
        assert_eq!(parse("f", "").expect("empty").value, Value::Null);
    }
}
