//! The command line: run, call, check, flow, simulate, route-test, ctl, token, doctor, bench, load.
//!
//! Exit codes: 0 done; 1 it could not be done (one sentence on stderr says why); 2 the command line itself is wrong.
mod bench;
mod builtin;
mod call;
mod check;
mod ctl;
mod doctor;
mod flow;
mod flow_shelf;
mod flow_watch;
mod hours_keeper;
mod housekeeping;
mod keeping;
mod lamps;
mod load;
mod log;
mod number_webhook;
mod prerender;
mod queue_keeper;
mod queue_table;
mod reload;
mod route_test;
mod routes;
mod run;
mod say;
mod script;
mod simulate;
mod token;
mod transports;

use crate::config::Config;
use anyhow::Context;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// One binary that answers SIP calls, plays, listens, records, and runs your call programs.
#[derive(Debug, Parser)]
#[command(name = "trunkline", version, about)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Answer calls.
    Run(run::Args),
    /// Place one call from here, without a phone.
    Call(call::Args),
    /// Speak a text into a file, to hear what calls would.
    Say(say::Args),
    /// Check a configuration file and the flows it names, and start nothing.
    Check(check::Args),
    /// Look at flow files: what is understood, what is wrong, as a drawing, as tests.
    Flow(flow::Args),
    /// Run a flow with a made-up caller, without a call.
    Simulate(simulate::Args),
    /// Say what would happen to a call, and which rule of the configuration says so.
    RouteTest(route_test::Args),
    /// See and steer a running server over its control API.
    Ctl(ctl::Args),
    /// Make, list and revoke tokens of the control API.
    Token(token::Args),
    /// Say what is wrong: with this machine, with the trunks, and with the audio of recent calls.
    Doctor(doctor::Args),
    /// Measure how many channels one core of this machine carries.
    Bench(bench::Args),
    /// Place many calls with audio at a server, and count what a listener of each would have missed.
    Load(load::Args),
}

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    let command = CommandLine::parse().command;
    let done = match command {
        Command::Run(args) => run::run(&args),
        Command::Call(args) => call::run(&args),
        Command::Say(args) => say::run(&args),
        Command::Check(args) => check::run(&args),
        Command::Flow(args) => flow::run(&args),
        Command::Simulate(args) => simulate::run(&args),
        Command::RouteTest(args) => route_test::run(&args),
        Command::Ctl(args) => ctl::run(&args),
        Command::Token(args) => token::run(&args),
        Command::Doctor(args) => doctor::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Load(args) => load::run(&args),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "trunkline: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The configuration of a file, or the embedded one.
fn configured(file: Option<&PathBuf>) -> anyhow::Result<Config> {
    Ok(match file {
        Some(path) => Config::load(path)?,
        None => Config::embedded()?,
    })
}

/// A runtime for one task.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder
        .enable_all()
        .build()
        .context("cannot start the runtime")
}

/// Random octets from the system.
fn random<const N: usize>() -> anyhow::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)
        .map_err(|error| anyhow::anyhow!("the system gives no random numbers: {error}"))?;
    Ok(bytes)
}
