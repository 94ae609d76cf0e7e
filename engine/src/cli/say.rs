//! `trunkline say`: a text spoken into a WAV file, by the back ends of the configuration.
use super::run::speaker;
use super::{configured, runtime};
use crate::speech::Speech;
use anyhow::Context;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `trunkline say`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The text.
    text: String,
    /// Where to write; without it, to the terminal or the next program.
    #[arg(long, short)]
    output: Option<PathBuf>,
    /// The voice: Polly.Joanna, WOMAN, MAN, or a back end's own name.
    #[arg(long)]
    voice: Option<String>,
    /// The language, as es-ES.
    #[arg(long)]
    language: Option<String>,
    /// How fast, 1 is usual.
    #[arg(long)]
    rate: Option<f64>,
    /// The text is SSML.
    #[arg(long)]
    ssml: bool,
    /// Configuration file with [speech].
    #[arg(long, short, env = "TRUNKLINE_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = configured(args.config.as_ref())?;
    let speech = Speech {
        ssml: args.ssml,
        rate_percent: args
            .rate
            .map_or(0, |rate| (rate.clamp(0.2, 4.0) * 100.0) as u16),
        ..Speech::plain(args.text.clone())
    };
    let speech = speech.in_voice(args.language.as_deref(), args.voice.as_deref());
    let speaker = speaker(&config)?;
    let mut errors = std::io::stderr();
    let script = speaker.script(&speech);
    for warning in &script.warnings {
        writeln!(errors, "{warning}")?;
    }
    anyhow::ensure!(!script.is_silent(), "there is nothing to say in that text");
    let wav = runtime()?.block_on(speaker.whole(&speech))?.to_wav();
    match &args.output {
        Some(path) => {
            std::fs::write(path, wav)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
        None => std::io::stdout().write_all(&wav)?,
    }
    Ok(ExitCode::SUCCESS)
}
