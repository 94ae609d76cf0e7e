//! `trunkline doctor`: what is wrong with this machine, its trunks and the audio of recent calls, in sentences that say what to change.
//!
//! It asks the machine, the name servers about configured names, and the running server over HTTP; it sends nothing to anybody else.
//! `machine.rs` holds the configuration against the machine, `certificate.rs` reads when certificates end, `server.rs` asks the server.
mod certificate;
mod machine;
mod server;

use super::{configured, runtime};
use crate::net::sip::Resolver;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::SystemTime;

/// Arguments of `trunkline doctor`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file; without one the embedded default.
    #[arg(long, short, env = "TRUNKLINE_CONFIG")]
    config: Option<PathBuf>,
    /// Where the running server answers HTTP; by default where the configuration says that it listens.
    #[arg(long)]
    url: Option<String>,
}

/// What was found about one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Finding {
    /// As it should be.
    Good(String),
    /// Worth knowing.
    Note(String),
    /// To be repaired: the exit code is 1.
    Wrong(String),
}

impl Finding {
    fn parts(&self) -> (&'static str, &str) {
        match self {
            Finding::Good(text) => ("ok", text),
            Finding::Note(text) => ("note", text),
            Finding::Wrong(text) => ("WRONG", text),
        }
    }
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = configured(args.config.as_ref())?;
    let url = args.url.clone().or_else(|| url_of(config.http.listen?));
    let page = url.as_deref().map(server::ask);
    let now = SystemTime::now();
    let mut report = Report::default();
    report.section(&format!("Configuration ({})", config.source));
    report.add(config.warnings.iter().cloned().map(Finding::Note));
    report.add(machine::listening(&config, matches!(page, Some(Ok(_)))));
    report.add(machine::media(&config));
    report.add(machine::limits(&config));
    report.add(machine::certificates(&config.tls, now));
    let runtime = runtime()?;
    let resolver = Resolver::system();
    report.section("Addresses");
    report.add(runtime.block_on(machine::advertised(&config, &resolver)));
    report.add(runtime.block_on(machine::trunk_hosts(&config, &resolver)));
    report.section("Running server");
    match page {
        None => report.add([Finding::Note(
            "not asked: [http] listen is \"off\"; name its address with --url".to_owned(),
        )]),
        Some(Err(why)) => report.add([Finding::Wrong(why)]),
        Some(Ok(page)) => {
            report.add([Finding::Good(format!(
                "Trunkline {} answers",
                page["version"].as_str().unwrap_or("?")
            ))]);
            report.add(server::trunks(&page));
            report.section("Audio of recent calls");
            report.add(server::audio(&page, now));
        }
    }
    report.print()
}

/// The server on this machine; one that listens everywhere is asked over loopback.
fn url_of(listen: SocketAddr) -> Option<String> {
    let ip: IpAddr = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    Some(format!("http://{}", SocketAddr::new(ip, listen.port())))
}

#[derive(Default)]
struct Report {
    lines: Vec<String>,
    wrong: usize,
}

impl Report {
    fn section(&mut self, title: &str) {
        self.lines.push(title.to_owned());
    }

    fn add(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            self.wrong += usize::from(matches!(finding, Finding::Wrong(_)));
            let (word, text) = finding.parts();
            // Texts of far ends are among them: they cannot forge a line or steer the terminal.
            let text: String = text
                .chars()
                .map(|c| if c.is_control() { ' ' } else { c })
                .collect();
            self.lines.push(format!("  {word:<6}{text}"));
        }
    }

    fn print(self) -> anyhow::Result<ExitCode> {
        let mut out = std::io::stdout();
        for line in &self.lines {
            writeln!(out, "{line}")?;
        }
        Ok(match self.wrong {
            0 => {
                writeln!(out, "Nothing is wrong as far as this can be seen.")?;
                ExitCode::SUCCESS
            }
            1 => {
                writeln!(out, "1 thing is wrong.")?;
                ExitCode::FAILURE
            }
            more => {
                writeln!(out, "{more} things are wrong.")?;
                ExitCode::FAILURE
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_asked_where_it_listens() {
        for (listen, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:80", "http://[::1]:80"),
        ] {
            assert_eq!(url_of(listen.parse().unwrap()).as_deref(), Some(url));
        }
    }
}
