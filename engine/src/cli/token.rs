//! `trunkline token`: who may use the control API. Works on the file of tokens; a running server takes changes up within a second.
use super::{configured, random};
use crate::api::v1::Scope;
use crate::api::v1::tokens::{Token, TokenFile};
use anyhow::Context;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The file of the token that is minted at the first start, beside the tokens.
pub(super) const ADMIN_FILE: &str = "api-admin.token";

/// Arguments of `trunkline token`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    what: What,
    /// Configuration file, which says where the tokens are.
    #[arg(long, short, env = "TRUNKLINE_CONFIG", global = true)]
    config: Option<PathBuf>,
    /// JSON instead of a table.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Make a token and show it, once.
    Create {
        /// What it may do; several are allowed. "trunkline token scopes" lists them.
        #[arg(long = "scope", required = true, value_delimiter = ',')]
        scopes: Vec<String>,
        /// When its time is over: "30d", "12h", or a date and time (RFC 3339). Without it: never.
        #[arg(long)]
        expires: Option<String>,
        /// What it is for.
        #[arg(long, default_value = "")]
        label: String,
    },
    /// List the tokens; their secrets are not kept.
    List,
    /// Take a token out of use.
    Revoke {
        /// Its id, as "trunkline token list" shows it.
        id: String,
    },
    /// List the scopes.
    Scopes,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = configured(args.config.as_ref())?;
    let file = TokenFile::new(&config.api.tokens);
    let mut out = std::io::stdout();
    match &args.what {
        What::Create {
            scopes,
            expires,
            label,
        } => {
            let now = Timestamp::now();
            let expires = expires
                .as_deref()
                .map(|text| expiry(text, now))
                .transpose()?;
            let scopes = scopes
                .iter()
                .map(|name| scope(name))
                .collect::<Result<Vec<_>, _>>()?;
            let (token, text) = Token::mint(random()?, label, scopes, now, expires);
            let id = token.id.clone();
            file.change(|tokens| tokens.push(token))?;
            writeln!(std::io::stderr(), "added to {}", shown(file.path()))?;
            match args.json {
                true => writeln!(out, "{}", json!({ "id": id, "token": text }))?,
                false => writeln!(out, "{text}")?,
            }
        }
        What::List => list(&file, args.json, &mut out)?,
        What::Revoke { id } => {
            let gone = file.change(|tokens| {
                let before = tokens.len();
                tokens.retain(|token| token.id != *id);
                before > tokens.len()
            })?;
            anyhow::ensure!(gone, "there is no token {id} in {}", file.path().display());
            writeln!(out, "{id} is revoked")?;
        }
        What::Scopes => {
            for scope in Scope::ALL {
                writeln!(out, "{scope}")?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The tokens, after an `admin` one was minted if there was no file: its text goes to a file of its own, never to the log.
pub(super) fn load(path: &Path) -> anyhow::Result<(TokenFile, Vec<Token>)> {
    let file = TokenFile::new(path);
    if !file.exists() {
        let minted = Token::mint(
            random()?,
            "minted at the first start",
            vec![Scope::Admin],
            Timestamp::now(),
            None,
        );
        let (token, text) = minted;
        let at = file.write_secret(ADMIN_FILE, &text)?;
        file.change(|tokens| tokens.push(token))?;
        tracing::info!(
            file = %at.display(),
            "the control API has its first token, which may do everything; it is in this file"
        );
    }
    let tokens = file.read()?;
    Ok((file, tokens))
}

/// The whole path, where it can be told.
fn shown(path: &Path) -> String {
    let whole = std::path::absolute(path);
    whole.as_deref().unwrap_or(path).display().to_string()
}

fn scope(name: &str) -> anyhow::Result<Scope> {
    let names = || Scope::ALL.map(Scope::name).join(", ");
    Scope::named(name)
        .with_context(|| format!("there is no scope \"{name}\"; there are {}", names()))
}

fn expiry(text: &str, now: Timestamp) -> anyhow::Result<Timestamp> {
    let refused =
        || format!("\"{text}\" is no time such as 30d, 12h or 2027-01-31T00:00:00Z, in the future");
    let unit = |hours: i64, number: &str| {
        let hours = number.parse::<i64>().ok()?.checked_mul(hours)?;
        Some(SignedDuration::from_secs(hours.checked_mul(3600)?))
    };
    let after = match text.chars().last() {
        Some('d') => unit(24, &text[..text.len() - 1]),
        Some('h') => unit(1, &text[..text.len() - 1]),
        _ => None,
    };
    let at = match after {
        Some(after) => now.checked_add(after).ok(),
        None => text.parse().ok(),
    };
    at.filter(|at| *at > now).with_context(refused)
}

fn list(file: &TokenFile, as_json: bool, out: &mut impl Write) -> anyhow::Result<()> {
    let tokens = file.read()?;
    let scopes = |token: &Token| {
        token
            .scopes
            .iter()
            .map(|scope| scope.name())
            .collect::<Vec<_>>()
    };
    if as_json {
        let list: Vec<_> = tokens
            .iter()
            .map(|token| {
                json!({
                    "id": token.id,
                    "label": token.label,
                    "scopes": scopes(token),
                    "created": token.created.to_string(),
                    "expires": token.expires.map(|at| at.to_string()),
                })
            })
            .collect();
        writeln!(out, "{}", json!(list))?;
        return Ok(());
    }
    writeln!(
        out,
        "{:<12}  {:<20}  {:<20}  {:<24}  LABEL",
        "ID", "CREATED", "EXPIRES", "SCOPES"
    )?;
    for token in &tokens {
        let expires = token
            .expires
            .map_or("never".to_owned(), |at| format!("{at:.0}"));
        let created = format!("{:.0}", token.created);
        let label: String = token.label.chars().filter(|c| !c.is_control()).collect();
        writeln!(
            out,
            "{:<12}  {created:<20}  {expires:<20}  {:<24}  {label}",
            token.id,
            scopes(token).join(",")
        )?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_days_hours_or_as_a_date() {
        let now = Timestamp::from_second(1_000_000).expect("a time");
        let seconds = |text: &str| expiry(text, now).ok().map(Timestamp::as_second);
        assert_eq!(seconds("2h"), Some(1_007_200));
        assert_eq!(seconds("1d"), Some(1_086_400));
        assert_eq!(seconds("1970-01-12T13:46:41Z"), Some(1_000_001));
        for wrong in [
            "",
            "d",
            "0d",
            "-1d",
            "1970-01-12T13:46:40Z",
            "9999999999999999d",
            "soon",
            "99999999999d",
            "é",
        ] {
            assert_eq!(seconds(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_first_token_is_minted_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("tokens.json");
        let (_, tokens) = load(&path).expect("minted");
        assert_eq!(tokens.len(), 1);
        assert!(folder.path().join(ADMIN_FILE).exists());
        let (file, again) = load(&path).expect("read");
        assert_eq!(again, tokens);
        file.change(Vec::clear).expect("written");
        assert_eq!(
            load(&path).expect("read").1,
            [],
            "who revoked it gets no other"
        );
    }
}
