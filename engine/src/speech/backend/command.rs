//! Programs of this machine that speak: espeak-ng (GPL: only ever run, never linked), flite, and any other that writes a sound file.
use super::super::placeholders::{Written, fill};
use super::super::program::{self, Run};
use super::{Backend, Common, MAX_OCTETS, Sound, Speaking, gender_name};
use crate::speech::voices::{Gender, base};
use crate::speech::{SpeechError, Utterance};
use std::path::{Path, PathBuf};

/// Words per minute of a usual voice.
const WORDS_PER_MINUTE: u32 = 165;

/// A program that speaks.
#[derive(Debug)]
pub(super) struct Spoken {
    common: Common,
    command: Vec<String>,
    preset: Preset,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Preset {
    Espeak,
    Flite,
    Any,
}

impl Spoken {
    pub(super) fn espeak(common: Common) -> Spoken {
        let command = [
            "espeak-ng",
            "--stdin",
            "--stdout",
            "-v",
            "{voice}",
            "-s",
            "{wpm}",
            "-p",
            "{pitch}",
        ];
        Spoken::with(common, &command, Preset::Espeak)
    }

    pub(super) fn flite(common: Common) -> Spoken {
        let command = [
            "flite",
            "-f",
            "{text_file}",
            "-o",
            "{out}",
            "-voice",
            "{voice}",
            "--setf",
            "duration_stretch={length}",
        ];
        Spoken::with(common, &command, Preset::Flite)
    }

    pub(super) fn command(common: Common, command: Vec<String>) -> Spoken {
        Spoken {
            common,
            command,
            preset: Preset::Any,
        }
    }

    fn with(common: Common, command: &[&str], preset: Preset) -> Spoken {
        let command = command.iter().map(ToString::to_string).collect();
        Spoken {
            common,
            command,
            preset,
        }
    }

    /// The program's own name of the voice.
    fn voice(&self, said: &Utterance) -> String {
        if let Some(voice) = self.common.configured_voice(said) {
            return voice.to_owned();
        }
        let language = said.language.to_ascii_lowercase().replace('_', "-");
        match self.preset {
            Preset::Any => self.common.voice(said).unwrap_or_default().to_owned(),
            Preset::Flite => match said.gender {
                Some(Gender::Male) => "rms".to_owned(),
                _ => "slt".to_owned(),
            },
            Preset::Espeak => {
                let variant = match said.gender {
                    Some(Gender::Male) => "m3",
                    _ => "f3",
                };
                format!("{}+{variant}", espeak_language(&language))
            }
        }
    }

    async fn make(&self, said: &Utterance) -> Result<Sound, SpeechError> {
        let uses = |name: &str| self.command.iter().any(|part| part.contains(name));
        let folder = if uses("{out}") || uses("{text_file}") {
            Some(Scratch::new()?)
        } else {
            None
        };
        let path = |name| {
            folder
                .as_ref()
                .map_or(PathBuf::new(), |folder| folder.path.join(name))
        };
        let (out, text_file) = (path("speech.wav"), path("text.txt"));
        if uses("{text_file}") {
            let written = tokio::fs::write(&text_file, &said.text).await;
            written.map_err(|error| {
                SpeechError::Failed(format!("{}: {error}", text_file.display()))
            })?;
        }
        let speed = f64::from(said.rate_percent) / 100.0;
        let (out_name, text_name) = (out.display().to_string(), text_file.display().to_string());
        // Text as an argument must not be taken for an option.
        let text = said.text.trim_start_matches('-');
        let values = [
            ("text", text),
            ("voice", &self.voice(said)),
            ("language", &said.language),
            ("lang", base(&said.language)),
            ("gender", gender_name(said.gender)),
            (
                "wpm",
                &(WORDS_PER_MINUTE * u32::from(said.rate_percent) / 100).to_string(),
            ),
            ("speed", &format!("{speed:.2}")),
            ("length", &format!("{:.2}", 1.0 / speed)),
            ("pitch", &espeak_pitch(said.pitch_percent).to_string()),
            ("out", &out_name),
            ("text_file", &text_name),
        ];
        let command: Vec<String> = self
            .command
            .iter()
            .map(|part| fill(part, &values, Written::Plain))
            .collect();
        let on_input = !uses("{text}") && !uses("{text_file}");
        let output = program::run(Run {
            command: &command,
            input: if on_input {
                said.text.clone().into_bytes()
            } else {
                Vec::new()
            },
            limit: self.common.config.timeout,
            max_octets: MAX_OCTETS,
        })
        .await?;
        let content = match uses("{out}") {
            true => read_bounded(&out).await?,
            false => output,
        };
        if content.is_empty() {
            return Err(SpeechError::Failed(format!(
                "{} wrote no audio",
                command[0]
            )));
        }
        let extension = "wav".to_owned();
        Ok(Sound { extension, content })
    }
}

impl Backend for Spoken {
    fn name(&self) -> &str {
        &self.common.config.name
    }

    fn kind(&self) -> &'static str {
        self.common.config.kind.name()
    }

    fn speaks(&self, language: &str) -> bool {
        let english = base(language).eq_ignore_ascii_case("en");
        self.common.speaks(language) && (self.preset != Preset::Flite || english)
    }

    fn tells(&self, said: &Utterance) -> String {
        format!(
            "command {} {}",
            self.command.join("\u{1f}"),
            self.voice(said)
        )
    }

    fn speak<'a>(&'a self, said: &'a Utterance) -> Speaking<'a> {
        Box::pin(self.make(said))
    }
}

/// The language as espeak-ng has it: it knows few regions.
fn espeak_language(language: &str) -> &str {
    match language {
        "en-us" | "en-gb" | "es-419" | "fr-be" | "fr-ch" | "pt-br" => language,
        "es-mx" | "es-us" | "es-ar" | "es-co" | "es-cl" => "es-419",
        "en-au" | "en-nz" | "en-ie" | "en-in" | "en-za" => "en-gb",
        "nb-no" | "no" => "nb",
        "cmn-cn" | "zh-cn" | "zh" => "cmn",
        other => base(other),
    }
}

/// The scale of espeak-ng: 0 to 99, 50 is usual.
fn espeak_pitch(percent: i8) -> u8 {
    (50 + i32::from(percent)).clamp(0, 99) as u8
}

async fn read_bounded(path: &Path) -> Result<Vec<u8>, SpeechError> {
    let failed = |reason: String| SpeechError::Failed(format!("what the program wrote: {reason}"));
    let length = tokio::fs::metadata(path).await;
    let length = length.map_err(|error| failed(error.to_string()))?.len();
    if length > MAX_OCTETS as u64 {
        return Err(failed(format!("longer than {MAX_OCTETS} octets")));
    }
    let content = tokio::fs::read(path).await;
    content.map_err(|error| failed(error.to_string()))
}

/// A folder that only we can look into, gone when it is dropped.
pub(in super::super) struct Scratch {
    pub(in super::super) path: PathBuf,
}

impl Scratch {
    pub(in super::super) fn new() -> Result<Scratch, SpeechError> {
        use std::os::unix::fs::DirBuilderExt;
        let failed = |reason: String| SpeechError::Failed(format!("no scratch folder: {reason}"));
        let mut number = [0; 8];
        getrandom::fill(&mut number).map_err(|error| failed(error.to_string()))?;
        let name = format!("trunkline-speech-{:016x}", u64::from_be_bytes(number));
        let path = std::env::temp_dir().join(name);
        let made = std::fs::DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| failed(error.to_string()))?;
        Ok(Scratch { path })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::{backend, said};
    use super::*;
    use crate::config::SpeechKind;
    use crate::media::Prompt;

    fn program(command: &[&str]) -> Spoken {
        let command: Vec<String> = command.iter().map(ToString::to_string).collect();
        let config = backend(SpeechKind::Command {
            command: command.clone(),
        });
        Spoken::command(Common { config }, command)
    }

    #[tokio::test]
    async fn text_comes_by_input_by_argument_or_by_file() {
        for command in [
            &["cat"][..],
            &["printf", "%s", "{text}"],
            &["cat", "{text_file}"],
            &["cp", "{text_file}", "{out}"],
        ] {
            let sound = program(command)
                .speak(&said("--Hola; $(id)"))
                .await
                .unwrap();
            let text = String::from_utf8(sound.content).unwrap();
            assert_eq!(text.trim_start_matches('-'), "Hola; $(id)", "{command:?}");
        }
        let values = program(&[
            "printf",
            "%s ",
            "{lang}",
            "{language}",
            "{wpm}",
            "{length}",
            "{gender}",
            "{pitch}",
        ]);
        let slow = Utterance {
            rate_percent: 50,
            gender: Some(Gender::Male),
            pitch_percent: 10,
            ..said("x")
        };
        let sound = values.speak(&slow).await.unwrap();
        assert_eq!(sound.content, b"en en-US 82 2.00 male 60 ");
        let error = program(&["true"]).speak(&said("x")).await.unwrap_err();
        assert!(error.to_string().contains("no audio"), "{error}");
    }

    #[test]
    fn voices_of_the_presets() {
        let espeak = |language: &str, gender| {
            let common = Common {
                config: backend(SpeechKind::Espeak),
            };
            let said = Utterance {
                language: language.to_owned(),
                gender,
                ..said("x")
            };
            Spoken::espeak(common).voice(&said)
        };
        assert_eq!(espeak("en-US", None), "en-us+f3");
        assert_eq!(espeak("es-MX", Some(Gender::Male)), "es-419+m3");
        assert_eq!(espeak("de-DE", None), "de+f3");
        let flite = Spoken::flite(Common {
            config: backend(SpeechKind::Flite),
        });
        assert!(flite.speaks("en-GB") && !flite.speaks("es-ES"));
        let mut config = backend(SpeechKind::Espeak);
        config.voices = [("Polly.Joanna", "en+f5"), ("es", "es+m1")]
            .map(|(a, b)| (a.to_owned(), b.to_owned()))
            .into();
        let spoken = Spoken::espeak(Common { config });
        let joanna = Utterance {
            voice: "polly.joanna".to_owned(),
            ..said("x")
        };
        let spanish = Utterance {
            language: "es-ES".to_owned(),
            ..said("x")
        };
        assert_eq!(
            (
                spoken.voice(&joanna).as_str(),
                spoken.voice(&spanish).as_str()
            ),
            ("en+f5", "es+m1")
        );
    }

    /// What scripts/setup installs for the tests.
    #[tokio::test]
    async fn espeak_and_flite_speak() {
        let speak = async |backend: Spoken, language: &str, text: &str| {
            let said = Utterance {
                language: language.to_owned(),
                ..said(text)
            };
            let sound = backend.speak(&said).await.unwrap();
            Prompt::from_file("x", &sound.extension, &sound.content)
                .unwrap()
                .duration_ms()
        };
        let espeak = || {
            Spoken::espeak(Common {
                config: backend(SpeechKind::Espeak),
            })
        };
        let flite = Spoken::flite(Common {
            config: backend(SpeechKind::Flite),
        });
        let short = speak(espeak(), "en-US", "Hello.").await;
        let long = speak(
            espeak(),
            "en-US",
            "Hello, this is a much longer sentence than that.",
        )
        .await;
        assert!(
            (300..2500).contains(&short) && long > 2 * short,
            "{short} {long}"
        );
        let spanish = speak(espeak(), "es-ES", "Buenos días, ¿en qué puedo ayudarle?").await;
        assert!((1000..6000).contains(&spanish), "{spanish}");
        let other = speak(flite, "en-US", "Hello, how are you?").await;
        assert!((500..4000).contains(&other), "{other}");
    }
}
