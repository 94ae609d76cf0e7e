//! The messages to and from a service that hears speech as it is spoken, as `docs/voices.md` has them. Text in, meaning out; no socket here.
//!
//! Limits: texts are cut at [`MAX_TEXT`](super::MAX_TEXT) characters; the size of a message is limited by who reads it.
use super::spoken::RATE_HZ;
use super::{Words, tidy};
use serde_json::{Value, json};

/// A message of the service.
#[derive(Debug, Clone, PartialEq)]
pub enum FromService {
    /// What is understood so far: the whole of it.
    Partial(String),
    /// What was understood: the last message.
    Final(Words),
    /// It cannot understand this.
    Error(String),
}

/// Why a message of the service was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// Not a JSON object.
    #[error("not a JSON object")]
    NotJson,
    /// No `event`, or none of ours.
    #[error("\"event\" must be partial, final or error")]
    Event,
    /// No text.
    #[error("\"text\" must be a string")]
    Text,
    /// No number from 0 to 1.
    #[error("\"confidence\" must be a number from 0 to 1")]
    Confidence,
}

/// Reads a text message of the service.
///
/// # Errors
/// When it is not understood.
pub fn parse(message: &str) -> Result<FromService, Malformed> {
    let Ok(Value::Object(message)) = serde_json::from_str(message) else {
        return Err(Malformed::NotJson);
    };
    let text = |key| message.get(key).and_then(Value::as_str);
    let said = || text("text").map(tidy).ok_or(Malformed::Text);
    match text("event").unwrap_or_default() {
        "partial" => said().map(FromService::Partial),
        "final" => Ok(FromService::Final(Words {
            text: said()?,
            confidence: confidence(message.get("confidence"))?,
        })),
        "error" => Ok(FromService::Error(tidy(text("reason").unwrap_or_default()))),
        _ => Err(Malformed::Event),
    }
}

/// A confidence; absent or `null`: none.
pub(super) fn confidence(value: Option<&Value>) -> Result<Option<f32>, Malformed> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match value.as_f64() {
            Some(sure) if (0.0..=1.0).contains(&sure) => Ok(Some(sure as f32)),
            _ => Err(Malformed::Confidence),
        },
    }
}

/// The first message.
pub fn start(language: &str, hints: &[String], partial: bool) -> String {
    json!({
        "event": "start",
        "version": 1,
        "language": language,
        "media": {"encoding": "l16", "rate": RATE_HZ},
        "hints": hints,
        "partial": partial,
    })
    .to_string()
}

/// The last message: all of the speech was sent.
pub fn end() -> String {
    json!({"event": "end"}).to_string()
}

#[cfg(test)]
mod tests {
    use super::super::MAX_TEXT;
    use super::*;

    #[test]
    fn what_a_service_may_say() {
        use FromService::*;
        let words = |text: &str, confidence| {
            let text = text.to_owned();
            Ok(Final(Words { text, confidence }))
        };
        for (text, expected) in [
            (
                r#"{"event":"partial","text":" I want\n to "}"#,
                Ok(Partial("I want to".into())),
            ),
            (r#"{"event":"partial","text":""}"#, Ok(Partial("".into()))),
            (r#"{"event":"partial"}"#, Err(Malformed::Text)),
            (
                r#"{"event":"final","text":"sales","confidence":0.5,"more":[]}"#,
                words("sales", Some(0.5)),
            ),
            (
                r#"{"event":"final","text":"","confidence":null}"#,
                words("", None),
            ),
            (r#"{"event":"final","text":7}"#, Err(Malformed::Text)),
            (
                r#"{"event":"final","text":"x","confidence":1.1}"#,
                Err(Malformed::Confidence),
            ),
            (
                r#"{"event":"final","text":"x","confidence":"1"}"#,
                Err(Malformed::Confidence),
            ),
            (
                r#"{"event":"error","reason":"no \u0007 Latin"}"#,
                Ok(Error("no Latin".into())),
            ),
            (r#"{"event":"error"}"#, Ok(Error("".into()))),
            (r#"{"event":"start"}"#, Err(Malformed::Event)),
            ("[]", Err(Malformed::NotJson)),
            ("", Err(Malformed::NotJson)),
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        let long = json!({"event": "partial", "text": "x".repeat(MAX_TEXT + 1)});
        assert_eq!(parse(&long.to_string()), Ok(Partial("x".repeat(MAX_TEXT))));
        assert_eq!(parse(&"[".repeat(100_000)), Err(Malformed::NotJson));
    }

    #[test]
    fn what_the_service_is_told() {
        let hints = ["sales \"team\"".to_owned()];
        let start: Value = serde_json::from_str(&start("en-US", &hints, true)).unwrap();
        let expected = json!({
            "event": "start", "version": 1, "language": "en-US", "media": {"encoding": "l16", "rate": 16_000},
            "hints": ["sales \"team\""], "partial": true,
        });
        assert_eq!(start, expected);
        assert_eq!(end(), r#"{"event":"end"}"#);
    }
}
