//! `trunkline simulate FLOW`: runs a flow with a made-up caller and prints what would be heard, pressed and done; `--explore` walks every
//! way.
use crate::config::document::field::shown;
use crate::flow::rehearsal::explore::{Findings, explore};
use crate::flow::rehearsal::{Setting, Transcript, acts, rehearse};
use crate::flow::schedule;
use serde_json::json;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

/// Arguments of `trunkline simulate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The flow file.
    flow: PathBuf,
    /// When the call comes: "2026-12-24 18:30 Europe/Berlin"; without it, now.
    #[arg(long)]
    at: Option<String>,
    /// What the caller does: keys for one entry after the other, !KEY to interrupt what is played, silence, hangup; and what comes of
    /// calls: answer, busy, noanswer, decline, unreachable; fail. As "1,2,hangup".
    #[arg(long, default_value = "")]
    keys: String,
    /// The caller's number.
    #[arg(long, default_value = "caller")]
    from: String,
    /// The called number.
    #[arg(long, default_value = "flow")]
    to: String,
    /// Walk every way, and say what cannot be reached, where calls are lost, which prompts are missing, and what goes round.
    #[arg(long)]
    explore: bool,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let wrong = |option: &str, message: String| anyhow::anyhow!("--{option} {message}");
    let now = match &args.at {
        None => SystemTime::now(),
        Some(text) => schedule::moment(text).map_err(|message| wrong("at", message))?,
    };
    let acts = acts(&args.keys).map_err(|message| wrong("keys", message))?;
    let setting = Setting {
        now,
        from: args.from.clone(),
        to: args.to.clone(),
    };
    let loaded = super::flow::look_at(&args.flow)?;
    let mut out = std::io::stdout();
    if args.explore {
        let findings = explore(&loaded, &setting);
        if args.json {
            writeln!(out, "{:#}", findings_json(&findings))?;
        } else {
            for line in findings_lines(&findings) {
                writeln!(out, "{line}")?;
            }
        }
        return Ok(if findings.is_clean() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    let transcript = rehearse(&loaded, &setting, &acts);
    if args.json {
        writeln!(out, "{:#}", transcript_json(&transcript))?;
    } else {
        for line in lines(&transcript) {
            writeln!(out, "{line}")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// A transcript as a table: about when, where, what.
pub(super) fn lines(transcript: &Transcript) -> Vec<String> {
    let widest = transcript
        .lines
        .iter()
        .map(|line| line.at.chars().count().min(30))
        .max()
        .unwrap_or(0);
    let one = |line: &crate::flow::rehearsal::Line| {
        let seconds = line.ms / 1000;
        let at = shown(&line.at);
        format!(
            "{:02}:{:02}  {at:widest$}  {:<10} {}",
            seconds / 60,
            seconds % 60,
            line.kind,
            line.text
        )
    };
    transcript
        .lines
        .iter()
        .map(|line| one(line).trim_end().to_owned())
        .collect()
}

fn transcript_json(transcript: &Transcript) -> serde_json::Value {
    let lines = transcript.lines.iter();
    let lines: Vec<_> = lines
        .map(|line| json!({"ms": line.ms, "at": line.at, "kind": line.kind, "text": line.text}))
        .collect();
    json!({"lines": lines, "end": transcript.end.name()})
}

fn findings_lines(findings: &Findings) -> Vec<String> {
    let mut lines = vec![format!(
        "{} of {} menus and nodes reached, {} states{}",
        findings.reached,
        findings.all,
        findings.states,
        if findings.cut {
            ", and there are more: not every way was walked"
        } else {
            ""
        }
    )];
    for (end, count) in &findings.ends {
        lines.push(format!("  ends {end}: {count}"));
    }
    let mut told = |what: &str, list: &mut dyn Iterator<Item = &String>| {
        for each in list {
            lines.push(format!("{what}: {}", shown_long(each)));
        }
    };
    told("unreachable", &mut findings.unreachable.iter());
    told("dead end", &mut findings.dead_ends.iter());
    told("missing prompt", &mut findings.missing_prompts.iter());
    told("loop", &mut findings.loops.iter());
    told("no exit", &mut findings.no_exit.iter());
    if findings.is_clean() {
        lines.push("nothing to complain of".to_owned());
    }
    lines
}

fn shown_long(text: &str) -> String {
    text.chars()
        .map(|char| if char.is_control() { ' ' } else { char })
        .collect()
}

fn findings_json(findings: &Findings) -> serde_json::Value {
    json!({
        "states": findings.states,
        "complete": !findings.cut,
        "reached": findings.reached,
        "all": findings.all,
        "ends": findings.ends,
        "unreachable": findings.unreachable,
        "dead_ends": findings.dead_ends,
        "missing_prompts": findings.missing_prompts,
        "loops": findings.loops,
        "no_exit": findings.no_exit,
    })
}
