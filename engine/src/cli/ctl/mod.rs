//! `trunkline ctl`: what the control API does, from a shell. Tables for people, `--json` for programs.
//!
//! Exit codes are those of the command line: 1 when the server refused or could not be reached, and one sentence on stderr says why.
mod ask;
mod client;
mod deliveries;
mod place;
mod queues;
mod scheduled;
mod show;

use ask::{Asked, Columns};
use client::Client;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `trunkline ctl`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: ask::What,
    /// Where the server is.
    #[arg(
        long,
        global = true,
        env = "TRUNKLINE_URL",
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,
    /// File of the token; TRUNKLINE_TOKEN may hold the token itself.
    #[arg(long, global = true, env = "TRUNKLINE_TOKEN_FILE", default_value = super::token::ADMIN_FILE)]
    token_file: PathBuf,
    /// Certificates (PEM) of who may have signed the server's, for https.
    #[arg(long, global = true)]
    ca: Option<PathBuf>,
    /// What is placed or ordered under the same key is done once, however often it is asked for.
    #[arg(long, global = true)]
    key: Option<String>,
    /// The answer as JSON.
    #[arg(long, global = true)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    super::runtime()?.block_on(async {
        let client = Client::new(&args.url, &args.token_file, args.ca.as_deref())?;
        let client = client.once_only(args.key.clone());
        let mut out = std::io::stdout();
        match args.what.asked()? {
            Asked::Follow(path) => client.follow(&path, args.json, &mut out).await?,
            Asked::File(path, to) => {
                client.save(&path, &to).await?;
                writeln!(out, "{}", to.display())?;
            }
            Asked::Once {
                method,
                path,
                body,
                columns,
            } => {
                let answer = client.ask(method, &path, body).await?;
                match (args.json, columns) {
                    (true, _) => writeln!(out, "{}", answer.trim_end())?,
                    (false, Columns::Text) => writeln!(out, "{}", answer.trim_end())?,
                    (false, Columns::Of(columns)) => show::table(&answer, columns, &mut out)?,
                    (false, Columns::All) => show::fields(&answer, &mut out)?,
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    })
}
