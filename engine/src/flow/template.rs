//! Text with `${variables}`. Owns the syntax and the names that every call has. A `$` that no `{` follows is itself.
use std::collections::BTreeSet;

/// Variables that each call has without anybody setting them.
pub const CALL_VARIABLES: &[&str] = &[
    "call.direction",
    "call.from",
    "call.id",
    "call.to",
    "answered_by",
    "answered_by_cause",
    "beep",
    "digits",
    "entered_by",
    "speech",
    "speech_confidence",
    "key",
    "key_source",
    "heard",
    "heard_ms",
    "recording_end",
    "recording_lost_ms",
    "conference_end",
    "conference_seconds",
    "dial_seconds",
    "dial_status",
    "language",
    "queue_agent",
    "queue_key",
    "queue_status",
    "voicemail_key",
    "voicemail_message",
    "voicemail_status",
    "queue_wait_seconds",
    "recording_ms",
    "tone",
    "tone_hz",
    "tone_meaning",
];

/// The longest text a template gives or a variable keeps, in characters; what is longer is cut.
pub const MAX_TEXT: usize = 1024;

/// Checked text with variables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TemplateError {
    /// `${` without `}`.
    Unclosed,
    /// No such variable.
    Unknown(String),
}

impl Template {
    /// Reads a template; `known` says which variables there are.
    ///
    /// # Errors
    /// The first mistake.
    pub fn parse(text: &str, known: &BTreeSet<String>) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("${") {
            let Some((name, after)) = after.split_once('}') else {
                return Err(TemplateError::Unclosed);
            };
            if !known.contains(name) {
                return Err(TemplateError::Unknown(name.to_owned()));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Variable(name.to_owned()));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        parts.retain(|part| *part != Part::Text(String::new()));
        Ok(Self(parts))
    }

    /// The text, if there is no variable in it.
    pub fn fixed(&self) -> Option<&str> {
        match &self.0[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text before, the variable and the text behind, if there is exactly one.
    pub fn single(&self) -> Option<(&str, &str, &str)> {
        match &self.0[..] {
            [Part::Variable(name)] => Some(("", name, "")),
            [Part::Text(before), Part::Variable(name)] => Some((before, name, "")),
            [Part::Variable(name), Part::Text(after)] => Some(("", name, after)),
            [Part::Text(before), Part::Variable(name), Part::Text(after)] => {
                Some((before, name, after))
            }
            _ => None,
        }
    }

    /// The text with each variable's value put in, cut at [`MAX_TEXT`].
    pub fn expand<'v>(&self, value: impl Fn(&str) -> &'v str) -> String {
        let texts = self.0.iter().map(|part| match part {
            Part::Text(text) => text,
            Part::Variable(name) => value(name),
        });
        texts.flat_map(str::chars).take(MAX_TEXT).collect()
    }

    /// The same with values that are made on the spot.
    pub fn expand_made(&self, value: impl Fn(&str) -> String) -> String {
        self.expand_within(MAX_TEXT, value)
    }

    /// The same, cut at another length.
    pub fn expand_within(&self, most: usize, value: impl Fn(&str) -> String) -> String {
        let texts = self.0.iter().map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Variable(name) => value(name),
        });
        texts.collect::<String>().chars().take(most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_expand_and_are_cut() {
        let known = ["a", "b"].map(str::to_owned).into();
        let parse = |text| Template::parse(text, &known);
        let value = |name: &str| if name == "a" { "1" } else { "" };
        for (text, expected) in [
            ("", ""),
            ("x", "x"),
            ("$5 {a}", "$5 {a}"),
            ("x${a}y${b}z", "x1yz"),
            ("${a}${a}", "11"),
        ] {
            assert_eq!(parse(text).expect(text).expand(value), expected);
        }
        let long = "é".repeat(2000);
        assert_eq!(
            parse("${a}")
                .expect("good")
                .expand(|_| &long)
                .chars()
                .count(),
            MAX_TEXT
        );
        assert_eq!(parse("${a"), Err(TemplateError::Unclosed));
        assert_eq!(parse("${c}"), Err(TemplateError::Unknown("c".to_owned())));
        assert_eq!(
            parse("d_${a}.wav").expect("good").single(),
            Some(("d_", "a", ".wav"))
        );
        assert_eq!(parse("${a}${b}").expect("good").single(), None);
    }
}
