//! `trunkline bench`: channels per core of this machine, beside the bare cost of its UDP path.
use crate::media::bench::{BenchOptions, run_bench};
use anyhow::Context;
use std::io::Write;
use std::process::ExitCode;

/// Arguments of `trunkline bench`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Channels open at the same time; without it as many for each measurement as keep half of the core busy.
    #[arg(long)]
    channels: Option<usize>,
    /// Seconds each of the measurements lasts, after two of settling (ten with Opus).
    #[arg(long, default_value_t = BenchOptions::default().seconds)]
    seconds: u32,
    /// CPU of the media thread.
    #[arg(long, default_value_t = BenchOptions::default().shard_cpu)]
    shard_cpu: usize,
    /// CPU of the load generator; another one than that of the media thread.
    #[arg(long, default_value_t = BenchOptions::default().generator_cpu)]
    generator_cpu: usize,
    /// First of the UDP ports used on loopback, two for each channel.
    #[arg(long, default_value_t = BenchOptions::default().first_port)]
    first_port: u16,
    /// Only measure work whose name holds this, such as "room".
    #[arg(long)]
    only: Option<String>,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = BenchOptions {
        channels: args.channels,
        seconds: args.seconds,
        shard_cpu: args.shard_cpu,
        generator_cpu: args.generator_cpu,
        first_port: args.first_port,
        only: args.only.clone(),
    };
    let report = run_bench(&options).context("cannot measure")?;
    writeln!(std::io::stdout(), "{report}")?;
    Ok(ExitCode::SUCCESS)
}
