//! `trunkline check FILE`: reads a configuration, its flows, their prompts and its certificates, and starts nothing.
use super::routes::{self, FlowRoutes};
use crate::config::Config;
use crate::net::sip::{Tls, TlsSettings};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments of `trunkline check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The configuration file.
    file: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Arc::new(Config::load(&args.file)?);
    Tls::load(&TlsSettings::from(&config.tls))?;
    let (_, warnings) = FlowRoutes::load(config.clone(), &routes::library())?;
    let mut out = std::io::stdout();
    for warning in config.warnings.iter().chain(&warnings) {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(
        out,
        "{}: good, {} number{}",
        config.source,
        config.numbers.len(),
        if config.numbers.len() == 1 { "" } else { "s" }
    )?;
    Ok(ExitCode::SUCCESS)
}
