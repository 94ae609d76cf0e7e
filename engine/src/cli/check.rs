//! `trunkline check FILE`: reads a configuration, its flows, their prompts and its certificates, and starts nothing.
use super::routes::{self, RouteTable};
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
    let (_, warnings) = RouteTable::load(config.clone(), &routes::library())?;
    Tls::load(&TlsSettings::from(&config.tls))?;
    let mut out = std::io::stdout();
    for warning in config.warnings.iter().chain(&warnings) {
        writeln!(out, "warning: {warning}")?;
    }
    writeln!(out, "{}: good, {}", config.source, counted(&config))?;
    Ok(ExitCode::SUCCESS)
}

/// How much there is of everything: `2 trunks, 1 number`.
fn counted(config: &Config) -> String {
    let kinds = [
        (config.trunks.len(), "trunk"),
        (config.endpoints.len(), "endpoint"),
        (config.ring_groups.len(), "ring group"),
        (config.numbers.len(), "number"),
    ];
    let told = kinds
        .iter()
        .filter(|(count, kind)| *count > 0 || *kind == "number")
        .map(|(count, kind)| format!("{count} {kind}{}", if *count == 1 { "" } else { "s" }));
    told.collect::<Vec<_>>().join(", ")
}
