//! What speaks: one back end behind one trait. Owns which voice of its own a back end takes for the one that was asked for.
mod command;
mod http;
mod openai;
mod polly;

pub(super) use command::Scratch;
pub(super) use openai::bearer;

use super::script::Utterance;
use super::voices::{self, base};
use super::{SpeechError, voices::Gender};
use crate::config::{SpeechBackend, SpeechKind};
use crate::fetch::{Answer, Fetcher};
use std::fmt::Debug;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

/// Audio of a back end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// The ending a file of it would have; tells the rate of headerless audio.
    pub extension: String,
    /// The file.
    pub content: Vec<u8>,
}

/// Audio to come.
pub type Speaking<'a> = Pin<Box<dyn Future<Output = Result<Sound, SpeechError>> + Send + 'a>>;

/// Something that speaks. Asked by several tasks at once.
pub trait Backend: Send + Sync + Debug {
    /// Its name in the configuration.
    fn name(&self) -> &str;
    /// Its type in the configuration.
    fn kind(&self) -> &'static str {
        ""
    }
    /// Whether it speaks that language.
    fn speaks(&self, language: &str) -> bool;
    /// What tells its audio of an utterance from others' and from its own under other settings, the text aside.
    fn tells(&self, said: &Utterance) -> String;
    /// Makes the audio of an utterance, within its own time limit.
    fn speak<'a>(&'a self, said: &'a Utterance) -> Speaking<'a>;
}

/// Largest answer: half an hour at 16 kHz.
pub(super) const MAX_OCTETS: usize = 60 << 20;

/// Makes the back ends of a configuration. Without any: what is installed of espeak-ng and flite.
pub(super) fn build(configured: &[SpeechBackend], fetcher: &Fetcher) -> Vec<Arc<dyn Backend>> {
    if !configured.is_empty() {
        return configured.iter().map(|each| one(each, fetcher)).collect();
    }
    let usual = [
        ("espeak-ng", SpeechKind::Espeak),
        ("flite", SpeechKind::Flite),
    ];
    let found = usual
        .into_iter()
        .filter(|(program, _)| is_installed(program));
    let plain = |name: &str, kind| SpeechBackend {
        name: name.to_owned(),
        kind,
        languages: Vec::new(),
        voices: std::collections::BTreeMap::new(),
        voice: None,
        timeout: std::time::Duration::from_secs(10),
        at: crate::config::At::START,
    };
    found
        .map(|(name, kind)| one(&plain(name, kind), fetcher))
        .collect()
}

fn one(config: &SpeechBackend, fetcher: &Fetcher) -> Arc<dyn Backend> {
    let common = Common {
        config: config.clone(),
    };
    let fetcher = fetcher.clone();
    match &config.kind {
        SpeechKind::Espeak => Arc::new(command::Spoken::espeak(common)),
        SpeechKind::Flite => Arc::new(command::Spoken::flite(common)),
        SpeechKind::Command { command } => {
            Arc::new(command::Spoken::command(common, command.clone()))
        }
        SpeechKind::Polly { .. } => Arc::new(polly::Polly::new(common, fetcher)),
        SpeechKind::OpenAi { .. } => Arc::new(openai::OpenAi::new(common, fetcher)),
        SpeechKind::Http { .. } => Arc::new(http::Http::new(common, fetcher)),
    }
}

/// Whether a program is where commands are looked for.
pub(super) fn is_installed(program: &str) -> bool {
    if program.contains('/') {
        return Path::new(program).is_file();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// What all back ends have of the configuration.
#[derive(Debug, Clone)]
struct Common {
    config: SpeechBackend,
}

impl Common {
    fn speaks(&self, language: &str) -> bool {
        let languages = &self.config.languages;
        languages.is_empty() || languages.iter().any(|each| covers(each, language))
    }

    /// The voice that the configuration names for an utterance.
    fn configured_voice(&self, said: &Utterance) -> Option<&str> {
        let named = |name: &str| {
            let same = |(key, _): &(&String, &String)| key.eq_ignore_ascii_case(name);
            let found = self.config.voices.iter().find(same);
            found.map(|(_, voice)| voice.as_str())
        };
        let of_language = || named(&said.language).or_else(|| named(base(&said.language)));
        named(&said.voice)
            .filter(|_| !said.voice.is_empty())
            .or_else(of_language)
    }

    /// That, or the name asked for where it can only be a back end's own, or the back end's usual one.
    fn voice<'u>(&'u self, said: &'u Utterance) -> Option<&'u str> {
        let own = Some(said.voice.as_str())
            .filter(|name| !name.is_empty() && is_plain(name) && voices::known(name).is_none());
        self.configured_voice(said)
            .or(own)
            .or(self.config.voice.as_deref())
    }
}

/// Whether `of` (a language with or without its region) stands for `language`.
pub(super) fn covers(of: &str, language: &str) -> bool {
    let same = |one: &str, other: &str| {
        one.replace('_', "-")
            .eq_ignore_ascii_case(&other.replace('_', "-"))
    };
    same(of, language) || (base(of) == of && same(of, base(language)))
}

/// A voice's name that came from a flow or the network: nothing that a program could take for an option or a path.
fn is_plain(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    name.len() <= 64 && !name.starts_with(['-', '.']) && name.bytes().all(fits)
}

/// A gender as programs write it.
fn gender_name(gender: Option<Gender>) -> &'static str {
    match gender {
        Some(Gender::Male) => "male",
        _ => "female",
    }
}

/// The audio of an answer; what the service says instead goes to the log.
fn sound(answer: Answer, fallback: &str) -> Result<Sound, SpeechError> {
    if answer.status != 200 {
        return Err(refused(answer.status, &answer.body));
    }
    let extension = match answer.media_type.as_str() {
        "audio/mpeg" | "audio/mp3" => "mp3",
        "audio/flac" | "audio/x-flac" => "flac",
        "audio/ogg" | "application/ogg" | "audio/opus" => "ogg",
        "audio/wav" | "audio/x-wav" | "audio/wave" | "audio/vnd.wave" => "wav",
        _ => fallback,
    };
    Ok(Sound {
        extension: extension.to_owned(),
        content: answer.body,
    })
}

/// A status that is no success: 400 to 422 mean this text, all else the service.
pub(super) fn refused(status: u16, body: &[u8]) -> SpeechError {
    let text = String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned();
    let text: String = text
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(200)
        .collect();
    let reason = format!("answered {status} {}", text.trim());
    match status {
        400 | 413 | 415 | 422 => SpeechError::Refused(reason),
        _ => SpeechError::Failed(reason),
    }
}

#[cfg(test)]
pub(super) mod fake;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_language_covers_its_regions() {
        for (of, language, expected) in [
            ("en", "en-US", true),
            ("en-US", "en_us", true),
            ("en-US", "en-GB", false),
            ("es", "en", false),
        ] {
            assert_eq!(covers(of, language), expected, "{of} {language}");
        }
    }

    #[test]
    fn names_from_outside_are_no_options() {
        for name in ["--help", "../x", "a b", ".x", "", "x/y"] {
            assert!(!is_plain(name) || name.is_empty(), "{name}");
        }
    }
}
