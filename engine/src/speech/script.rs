//! A text as a list of what is said in one breath, and pauses. Owns the order and the limits; says nothing itself.
use super::voices::{self, Gender};
use super::{MAX_TEXT, Speech, sentences, ssml};

/// The most parts of one text.
pub const MAX_PARTS: usize = 500;

/// What a back end says in one go.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Utterance {
    /// Plain text: a sentence or a few.
    pub text: String,
    /// An IETF tag.
    pub language: String,
    /// The voice asked for; empty: any of the language.
    pub voice: String,
    /// The back end that is asked first, by its name or type; empty: as the configuration has it.
    pub by: String,
    /// What kind of voice, where that is known.
    pub gender: Option<Gender>,
    /// How fast, in percent of the usual, 20 to 400.
    pub rate_percent: u16,
    /// How much higher, in percent, -50 to 100.
    pub pitch_percent: i8,
    /// How much louder, in dB, -60 to 12: not asked of the back end.
    pub volume_db: i8,
}

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Something said.
    Say(Utterance),
    /// A pause.
    Pause {
        /// In ms.
        ms: u32,
    },
}

/// The parts of a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// In order.
    pub parts: Vec<Part>,
    /// What of the text was not understood and was left out: one sentence each.
    pub warnings: Vec<String>,
}

/// What texts are spoken in that say nothing of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usual {
    /// An IETF tag.
    pub language: String,
    /// A voice.
    pub voice: Option<String>,
}

impl Script {
    /// The parts of a text.
    pub fn of(speech: &Speech, usual: &Usual) -> Script {
        let voice = speech.voice.as_ref().or(usual.voice.as_ref());
        let voice = voice.cloned().unwrap_or_default();
        let known = voices::known(&voice);
        let of_voice = known.and_then(|known| known.language);
        // A voice of Polly speaks its own language, whatever is said beside it.
        let language = of_voice
            .filter(|_| speech.voice.is_some())
            .or(speech.language.as_deref())
            .or(of_voice)
            .unwrap_or(&usual.language);
        let mut script = Script::default();
        // Back ends put it into paths and arguments.
        let language = if ssml::is_language(language) {
            language
        } else {
            script.warn("the language is none, the usual one is taken".to_owned());
            &usual.language
        };
        let base = Utterance {
            text: String::new(),
            language: language.to_owned(),
            gender: known.map(|known| known.gender),
            voice,
            by: speech.by.clone().unwrap_or_default(),
            rate_percent: match speech.rate_percent {
                0 => 100,
                percent => percent.clamp(20, 400),
            },
            pitch_percent: 0,
            volume_db: 0,
        };
        let text: String = speech.text.chars().take(MAX_TEXT).collect();
        if text.len() < speech.text.len() {
            script.warn(format!("the text is cut at {MAX_TEXT} characters"));
        }
        if speech.ssml {
            ssml::read(&text, &base, &mut script);
        } else {
            script.say(&text, &base);
        }
        script
    }

    /// Whether nothing of it is said.
    pub fn is_silent(&self) -> bool {
        !self.parts.iter().any(|part| matches!(part, Part::Say(_)))
    }

    /// The words alone.
    pub fn words(&self) -> String {
        let words = self.parts.iter().filter_map(|part| match part {
            Part::Say(said) => Some(said.text.as_str()),
            Part::Pause { .. } => None,
        });
        words.collect::<Vec<_>>().join(" ")
    }

    pub(super) fn say(&mut self, text: &str, manner: &Utterance) {
        for text in sentences::split(text) {
            // Signs alone are nothing to say, and some back ends refuse them.
            if text.chars().any(char::is_alphanumeric) {
                let text = text.to_owned();
                self.push(Part::Say(Utterance {
                    text,
                    ..manner.clone()
                }));
            }
        }
    }

    pub(super) fn push(&mut self, part: Part) {
        if self.parts.len() < MAX_PARTS {
            self.parts.push(part);
        } else {
            self.warn(format!("the text is cut after {MAX_PARTS} parts"));
        }
    }

    /// Each once, and not too many.
    pub(super) fn warn(&mut self, warning: String) {
        if self.warnings.len() < 20 && !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usual() -> Usual {
        Usual {
            language: "de-DE".to_owned(),
            voice: None,
        }
    }

    #[test]
    fn the_voice_of_polly_decides_the_language_and_else_the_text_does() {
        for (voice, language, expected) in [
            (None, None, "de-DE"),
            (None, Some("fr-FR"), "fr-FR"),
            (Some("Polly.Conchita"), Some("en-US"), "es-ES"),
            (Some("WOMAN"), Some("en-US"), "en-US"),
            (Some("alloy"), None, "de-DE"),
        ] {
            let speech = Speech::plain("Hola").in_voice(language, voice);
            let script = Script::of(&speech, &usual());
            let [Part::Say(said)] = &script.parts[..] else {
                panic!("{script:?}");
            };
            assert_eq!(said.language, expected, "{voice:?} {language:?}");
        }
    }

    #[test]
    fn what_is_no_language_reaches_no_back_end() {
        for (language, expected) in [
            ("en_GB", "en_GB"),
            ("zh-Hant-TW", "zh-Hant-TW"),
            ("-w/tmp/x", "de-DE"),
            ("../../x", "de-DE"),
            ("x", "de-DE"),
        ] {
            let speech = Speech::plain("Hola").in_voice(Some(language), None);
            let script = Script::of(&speech, &usual());
            let [Part::Say(said)] = &script.parts[..] else {
                panic!("{script:?}");
            };
            assert_eq!(said.language, expected, "{language}");
            assert_eq!(script.warnings.is_empty(), language == expected);
        }
    }

    #[test]
    fn what_is_nothing_to_say_is_silent_and_what_is_too_long_is_cut() {
        assert!(Script::of(&Speech::plain(" … !"), &usual()).is_silent());
        let long = Script::of(&Speech::plain("word. ".repeat(5000)), &usual());
        assert_eq!(long.warnings.len(), 1);
        assert!(long.words().chars().count() <= MAX_TEXT);
    }
}
