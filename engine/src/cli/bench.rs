//! `trunkline bench`: channels per core of this machine, beside the bare cost of its UDP path.
use crate::media::bench::{BenchOptions, run_bench};
use std::io::Write;
use std::process::ExitCode;

/// Arguments of `trunkline bench`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Channels to run at the same time.
    #[arg(long)]
    channels: Option<usize>,
    /// Seconds each measurement lasts.
    #[arg(long)]
    seconds: Option<u32>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let default = BenchOptions::default();
    let options = BenchOptions {
        channels: args.channels.unwrap_or(default.channels),
        seconds: args.seconds.unwrap_or(default.seconds),
        ..default
    };
    writeln!(std::io::stdout(), "{}", run_bench(&options)?)?;
    Ok(ExitCode::SUCCESS)
}
