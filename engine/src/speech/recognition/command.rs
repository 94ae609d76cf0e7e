//! Programs of this machine that understand speech: whatever reads a WAV file and writes what was said.
use super::super::backend::Scratch;
use super::super::placeholders::{Written, fill};
use super::super::program::{self, Run};
use super::super::voices::base;
use super::spoken::RATE_HZ;
use super::{Backend, Common, Understanding, Wanted, Words, grammar, protocol};
use crate::media::wav_file;
use crate::speech::SpeechError;
use serde_json::Value;

/// The most it may write, in octets.
const MAX_OCTETS: usize = 64 * 1024;
const GRAMMAR: &str = "{grammar}";

/// A program that understands.
#[derive(Debug)]
pub(super) struct Command {
    common: Common,
    command: Vec<String>,
}

impl Command {
    pub(super) fn new(common: Common, command: Vec<String>) -> Command {
        Command { common, command }
    }

    async fn ask(&self, wanted: &Wanted, language: &str) -> Result<Words, SpeechError> {
        let samples = wanted.spoken.all().await;
        let sound = wav_file(RATE_HZ, &samples);
        self.common
            .within(self.understand_sound(wanted, &sound, language))
            .await
    }

    async fn understand_sound(
        &self,
        wanted: &Wanted,
        sound: &[u8],
        language: &str,
    ) -> Result<Words, SpeechError> {
        // Never closed.
        let _turn = self.common.turns.acquire().await;
        let uses_grammar = self.command.iter().any(|part| part.contains(GRAMMAR));
        let grammar = grammar::of(&wanted.hints).filter(|_| uses_grammar);
        let first = self.run(sound, language, grammar.as_deref()).await;
        match first {
            // A program may not know a word of the grammar.
            Err(SpeechError::Failed(reason)) if grammar.is_some() => {
                tracing::debug!(backend = self.name(), reason, "asked again without hints");
                self.run(sound, language, None).await
            }
            words => words,
        }
    }

    async fn run(
        &self,
        sound: &[u8],
        language: &str,
        grammar: Option<&str>,
    ) -> Result<Words, SpeechError> {
        let folder = Scratch::new()?;
        let uses = |name: &str| self.command.iter().any(|part| part.contains(name));
        let (wav, hints) = (
            folder.path.join("speech.wav"),
            folder.path.join("hints.gram"),
        );
        let from_file = uses("{wav}");
        let files = [
            (&wav, Some(sound).filter(|_| from_file)),
            (&hints, grammar.map(str::as_bytes)),
        ];
        for (path, content) in files {
            if let Some(content) = content {
                let written = tokio::fs::write(path, content).await;
                written
                    .map_err(|error| SpeechError::Failed(format!("{}: {error}", path.display())))?;
            }
        }
        let values = [
            ("wav", &*wav.display().to_string()),
            ("grammar", &*hints.display().to_string()),
            ("language", language),
            ("lang", base(language)),
        ];
        let command = parts(&self.command, grammar.is_some());
        let command: Vec<String> = command
            .into_iter()
            .map(|part| fill(part, &values, Written::Plain))
            .collect();
        let output = program::run(Run {
            command: &command,
            input: if from_file {
                Vec::new()
            } else {
                sound.to_vec()
            },
            // What is asked of it ends before, see `Common::within`, and kills it.
            limit: 2 * self.common.config.timeout,
            max_octets: MAX_OCTETS,
        });
        read(&output.await?)
    }
}

/// The parts of a command. Without a grammar, what names it goes, and so does the option before it.
fn parts(command: &[String], has_grammar: bool) -> Vec<&String> {
    let mut parts: Vec<&String> = Vec::with_capacity(command.len());
    for part in command {
        if has_grammar || !part.contains(GRAMMAR) {
            parts.push(part);
        } else if part == GRAMMAR && parts.len() > 1 {
            parts.pop_if(|option| option.starts_with('-'));
        }
    }
    parts
}

/// What a program wrote: an object with `text` and, if it likes, `confidence`, or the words themselves.
fn read(output: &[u8]) -> Result<Words, SpeechError> {
    let text = String::from_utf8_lossy(output);
    let malformed =
        |error: protocol::Malformed| SpeechError::Failed(format!("wrote JSON: {error}"));
    if let Ok(Value::Object(object)) = serde_json::from_str(&text) {
        let text = object.get("text").and_then(Value::as_str);
        let confidence = protocol::confidence(object.get("confidence"));
        return Ok(Words {
            text: text.ok_or(malformed(protocol::Malformed::Text))?.to_owned(),
            confidence: confidence.map_err(malformed)?,
        });
    }
    Ok(Words {
        text: text.into_owned(),
        confidence: None,
    })
}

impl Backend for Command {
    fn name(&self) -> &str {
        &self.common.config.name
    }

    fn understands(&self, language: &str) -> bool {
        self.common.understands(language)
    }

    fn understand<'a>(&'a self, wanted: &'a Wanted, language: &'a str) -> Understanding<'a> {
        Box::pin(self.ask(wanted, language))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Spoken;
    use super::super::tests::common;
    use super::*;
    use std::time::Duration;

    fn program(command: &[&str], timeout: Duration) -> Command {
        let command: Vec<String> = command.iter().map(ToString::to_string).collect();
        Command::new(common(timeout), command)
    }

    async fn heard(command: &[&str], hints: &[&str]) -> Result<Words, SpeechError> {
        let hints: Vec<String> = hints.iter().map(ToString::to_string).collect();
        let wanted = Wanted {
            hints: hints.into(),
            ..Wanted::of(Spoken::whole(vec![7; 16_000]), None)
        };
        program(command, Duration::from_secs(30))
            .ask(&wanted, "es-ES")
            .await
    }

    #[tokio::test]
    async fn speech_comes_by_input_or_by_file_at_16_khz() {
        for command in [
            &["sh", "-c", "head -c 4; tail -c +41 | wc -c"][..],
            &["sh", "-c", "head -c 4 $0; tail -c +45 $0 | wc -c", "{wav}"],
        ] {
            let words = heard(command, &[]).await.unwrap();
            assert_eq!(words.text.trim(), "RIFF32000", "{command:?}");
        }
        let values = heard(&["printf", "%s %s", "{lang}", "{language}"], &[]).await;
        assert_eq!(values.unwrap().text, "es es-ES");
    }

    #[tokio::test]
    async fn what_is_written_is_words_or_json() {
        for (written, expected) in [
            ("two\nlines\n", Ok(("two\nlines\n", None))),
            ("", Ok(("", None))),
            (
                r#"{"text": "one", "confidence": 0.5}"#,
                Ok(("one", Some(0.5))),
            ),
            (r#"{"txt": "one"}"#, Err(())),
            (r#"{"text": "one", "confidence": 2}"#, Err(())),
        ] {
            let words = heard(&["printf", "%s", written], &[]).await;
            let words = words.as_ref().map(|it| (it.text.as_str(), it.confidence));
            assert_eq!(words.map_err(|_| ()), expected, "{written}");
        }
    }

    #[tokio::test]
    async fn hints_are_a_grammar_and_a_program_that_chokes_on_them_is_asked_without() {
        let cat = &["sh", "-c", "tail -n 1 $2", "x", "-jsgf", "{grammar}"][..];
        let words = heard(cat, &["sales", "Support"]).await.unwrap();
        assert_eq!(words.text, "public <said> = ( sales | support ) ;\n");
        // Neither the option nor its value is there.
        let count = &["sh", "-c", "echo $#", "x", "-jsgf", "{grammar}", "y"][..];
        assert_eq!(heard(count, &[]).await.unwrap().text, "1\n");
        let chokes = &[
            "sh",
            "-c",
            "[ $# = 0 ] && echo fine",
            "x",
            "-jsgf",
            "{grammar}",
        ][..];
        assert_eq!(heard(chokes, &["sales"]).await.unwrap().text, "fine\n");
    }

    #[tokio::test]
    async fn a_program_that_hangs_floods_or_fails_is_an_error() {
        let wanted = Wanted::of(Spoken::whole(vec![0; 10]), None);
        let hangs = program(&["sleep", "1000"], Duration::from_millis(300));
        let error = hangs.ask(&wanted, "en").await.unwrap_err().to_string();
        assert!(error.contains("no answer within 0.3 s"), "{error}");
        for (command, says) in [
            (&["cat", "/dev/zero"][..], "more than 65536 octets"),
            (&["false"], "exit status: 1"),
        ] {
            let error = heard(command, &[]).await.unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }

    /// What scripts/setup installs for the tests.
    #[tokio::test]
    async fn pocketsphinx_understands_what_flite_says() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("said.wav");
        let said = ["-t", "support", "-voice", "slt", "-o"];
        let mut flite = std::process::Command::new("flite");
        let status = flite.args(said).arg(&file).status();
        let status = status.expect("flite (make test installs it)");
        assert!(status.success());
        let sound = std::fs::read(&file).unwrap();
        let sound = crate::media::Prompt::from_file("said", "wav", &sound).unwrap();
        let hints = ["sales", "support", "billing"].map(str::to_owned);
        let wanted = Wanted {
            hints: hints.to_vec().into(),
            ..Wanted::of(Spoken::whole(sound.wide_samples()), None)
        };
        let command = &[
            "pocketsphinx_continuous",
            "-infile",
            "{wav}",
            "-jsgf",
            "{grammar}",
            "-logfn",
            "/dev/null",
        ];
        let sphinx = program(command, Duration::from_secs(60));
        let words = sphinx.ask(&wanted, "en-US").await.unwrap();
        assert_eq!(words.text.trim(), "support");
    }
}
