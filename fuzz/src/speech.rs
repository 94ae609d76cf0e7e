//! The checks behind the targets of `speech`: SSML, as it comes from flows and programs, and what services say that understand speech.
use trunkline::speech::recognition;
use trunkline::speech::recognition::protocol::{self, FromService};
use trunkline::speech::script::{MAX_PARTS, Part, Script, Usual};
use trunkline::speech::{MAX_TEXT, Speech, ssml};

/// Whatever the text is: its parts stay within their limits, nothing that is said holds a control character of the markup, and text that is
/// escaped is said as it is.
pub fn ssml(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    let usual = Usual {
        language: "en-US".to_owned(),
        voice: None,
    };
    let script = Script::of(&speech(text), &usual);
    assert!(script.parts.len() <= MAX_PARTS && script.warnings.len() <= 20);
    for part in &script.parts {
        match part {
            Part::Pause { ms } => assert!((1..=300_000).contains(ms)),
            Part::Say(said) => {
                assert!(!said.text.is_empty());
                assert!((20..=400).contains(&said.rate_percent));
                assert!((-50..=100).contains(&said.pitch_percent));
                assert!((-60..=12).contains(&said.volume_db));
            }
        }
    }
    let short: String = text.chars().take(MAX_TEXT / 8).collect();
    if short
        .chars()
        .any(|char| char.is_control() || char.is_whitespace())
    {
        return;
    }
    let plain = Script::of(&Speech::plain(&short), &usual);
    let tagged = format!("<speak>{}</speak>", ssml::escaped(&short));
    let escaped = Script::of(&speech(&tagged), &usual);
    assert_eq!(escaped.words(), plain.words());
}

fn speech(text: &str) -> Speech {
    Speech {
        ssml: true,
        ..Speech::plain(text)
    }
}

/// A text is one line of words within its limit, also when it is said again; a confidence is one.
pub fn recognition_message(octets: &[u8]) {
    let Ok(text) = std::str::from_utf8(octets) else {
        return;
    };
    let said = match protocol::parse(text) {
        Ok(FromService::Final(words)) => {
            assert!(
                words
                    .confidence
                    .is_none_or(|sure| (0.0..=1.0).contains(&sure))
            );
            words.text
        }
        Ok(FromService::Partial(text) | FromService::Error(text)) => text,
        Err(_) => return,
    };
    assert!(said.chars().count() <= recognition::MAX_TEXT);
    assert!(!said.chars().any(char::is_control) && !said.contains("  "));
    let quoted: String = said
        .chars()
        .flat_map(|char| match char {
            '"' | '\\' => vec!['\\', char],
            char => vec![char],
        })
        .collect();
    let again = format!("{{\"event\":\"partial\",\"text\":\"{quoted}\"}}");
    let trimmed = said.trim_end().to_owned();
    assert_eq!(protocol::parse(&again), Ok(FromService::Partial(trimmed)));
}
