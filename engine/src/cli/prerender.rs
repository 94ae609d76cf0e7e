//! `trunkline flow prerender`: the texts of a flow as files beside it. A file that was made from the same text in the same voice is left as it is, and so is one
//! that was not made here: a recording of somebody's own counts.
use super::flow::look_at;
use super::run::speaker;
use super::{configured, runtime};
use crate::flow::{FlowText, made_file};
use crate::media::Prompt;
use crate::speech::{Speaker, Speech};
use anyhow::Context;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Begins the comment in files that were made here.
const MARK: &str = "trunkline text ";

/// Arguments of `trunkline flow prerender`.
#[derive(Debug, clap::Args)]
pub(super) struct PrerenderArgs {
    /// The flow file.
    file: PathBuf,
    /// Make files anew that are there already, unless somebody else made them.
    #[arg(long)]
    force: bool,
    /// Configuration file with [speech].
    #[arg(long, short, env = "TRUNKLINE_CONFIG")]
    config: Option<PathBuf>,
}

pub(super) fn run(args: &PrerenderArgs) -> anyhow::Result<ExitCode> {
    let speaker = speaker(&configured(args.config.as_ref())?)?;
    let loaded = look_at(&args.file)?;
    let base = args.file.parent().unwrap_or(Path::new(""));
    let mut out = std::io::stdout();
    let runtime = runtime()?;
    let (mut made, mut failed) = (0, 0);
    // What files say already is not among the texts: those made here are looked at by their prompts.
    for text in loaded.texts.iter().chain(&loaded.made_texts) {
        match runtime.block_on(one(&speaker, base, text, args.force)) {
            Ok(Some(line)) => {
                made += 1;
                writeln!(out, "{line}")?;
            }
            Ok(None) => {}
            Err(error) => {
                failed += 1;
                writeln!(std::io::stderr(), "{error:#}")?;
            }
        }
    }
    writeln!(out, "{made} made, {failed} failed")?;
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What was made of one text; `None`: nothing had to be.
async fn one(
    speaker: &Speaker,
    base: &Path,
    text: &FlowText,
    force: bool,
) -> anyhow::Result<Option<String>> {
    let code = text.code.as_deref().unwrap_or_default();
    let name = text.id.as_deref().and_then(|id| made_file(id, code));
    let shown: String = text.speech.text.chars().take(50).collect();
    let Some(name) = name else {
        // Without a name of its own it goes to the cache.
        speaker
            .whole(&text.speech)
            .await
            .with_context(|| format!("\"{shown}\""))?;
        return Ok(Some(format!("[kept] \"{shown}\"")));
    };
    let path = base.join(format!("{name}.wav"));
    let mark = mark(&text.speech);
    if let Ok(there) = std::fs::read(&path) {
        let ours = contains(&there, MARK.as_bytes());
        if !ours || (contains(&there, mark.as_bytes()) && !force) {
            return Ok(None);
        }
    }
    let prompt = speaker
        .whole(&text.speech)
        .await
        .with_context(|| format!("\"{shown}\""))?;
    write(&path, &prompt, &mark).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(Some(format!("{} \"{shown}\"", path.display())))
}

fn write(path: &Path, prompt: &Prompt, mark: &str) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let unfinished = path.with_extension("wav.part");
    std::fs::write(&unfinished, prompt.to_wav_with(mark))?;
    std::fs::rename(unfinished, path)
}

/// What tells whether a file was made from this text in this voice.
fn mark(speech: &Speech) -> String {
    let told = format!(
        "{}\u{1f}{}\u{1f}{:?}\u{1f}{:?}\u{1f}{}",
        speech.text, speech.ssml, speech.voice, speech.language, speech.rate_percent
    );
    let hash = Sha256::digest(told.as_bytes());
    format!("{MARK}{}", HEXLOWER.encode(&hash[..16]))
}

fn contains(content: &[u8], part: &[u8]) -> bool {
    memchr::memmem::find(content, part).is_some()
}
