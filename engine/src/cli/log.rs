//! Log output: one line per event, for people by default, JSON on request.
use crate::config::{LogFormat, LogLevel};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::Uptime;

/// Starts logging to stderr. `RUST_LOG` wins over the level of the configuration.
pub(super) fn start(format: LogFormat, level: LogLevel) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter(level.as_str()))
        .with_writer(std::io::stderr)
        .with_target(false);
    match format {
        LogFormat::Human => builder
            .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
            .init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}

/// Starts logging for a single call: lines begin with the seconds since the start.
pub(super) fn start_for_call(verbose: bool) {
    tracing_subscriber::fmt()
        .with_env_filter(filter(if verbose { "trace" } else { "info" }))
        .with_writer(std::io::stdout)
        .with_target(false)
        .with_level(false)
        .with_ansi(false)
        .with_timer(Uptime::default())
        .init();
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,trunkline={level},trunkline_sip={level}")))
}
