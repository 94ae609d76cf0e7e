//! Text with `{placeholders}` for programs and services: only names that are known are replaced, once, so that braces of JSON and of what was put in
//! stay as they are. Pure.

/// How a value is written where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// As it is.
    Plain,
    /// As part of a URL (RFC 3986 section 2.3), or as a value of a form (application/x-www-form-urlencoded).
    Url,
    /// Between the quotes of JSON (RFC 8259 section 7).
    Json,
    /// As text of XML.
    Xml,
}

/// `text` with each `{name}` of `values` replaced.
pub(super) fn fill(text: &str, values: &[(&str, &str)], written: Written) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('{') {
        out.push_str(&rest[..at]);
        let after = &rest[at + 1..];
        let found = values.iter().find_map(|(name, value)| {
            let behind = after.strip_prefix(name)?.strip_prefix('}')?;
            Some((*value, behind))
        });
        match found {
            Some((value, behind)) => {
                out.push_str(&write(value, written));
                rest = behind;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}

pub(crate) fn write(value: &str, written: Written) -> String {
    match written {
        Written::Plain => value.to_owned(),
        Written::Url => escaped(value),
        Written::Json => {
            let quoted = serde_json::Value::from(value).to_string();
            quoted[1..quoted.len() - 1].to_owned()
        }
        Written::Xml => {
            let value = value.replace('&', "&amp;").replace('<', "&lt;");
            value.replace('>', "&gt;").replace('"', "&quot;")
        }
    }
}

fn escaped(value: &str) -> String {
    let octets = value.bytes().map(|byte| match byte {
        b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' | b'.' | b'_' | b'~' => {
            char::from(byte).to_string()
        }
        _ => format!("%{byte:02X}"),
    });
    octets.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_names_are_replaced_and_only_once() {
        let values = [("text", "a {voice} \"b\"\n&<é"), ("voice", "v")];
        for (text, written, expected) in [
            (
                "{\"t\": \"{text}\", \"x\": {}}",
                Written::Json,
                "{\"t\": \"a {voice} \\\"b\\\"\\n&<é\", \"x\": {}}",
            ),
            (
                "http://h/{voice}?t={text}",
                Written::Url,
                "http://h/v?t=a%20%7Bvoice%7D%20%22b%22%0A%26%3C%C3%A9",
            ),
            ("{unknown}{voice}{", Written::Plain, "{unknown}v{"),
            (
                "<v>{text}</v>",
                Written::Xml,
                "<v>a {voice} &quot;b&quot;\n&amp;&lt;é</v>",
            ),
        ] {
            assert_eq!(fill(text, &values, written), expected);
        }
    }
}
