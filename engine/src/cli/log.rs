//! Log output: one line per event, for people by default, JSON on request.
use crate::config::{LogFormat, LogLevel};
use std::time::Instant;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

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
        .with_timer(Stopwatch(Instant::now()))
        .init();
}

/// Seconds since the start, to the millisecond.
struct Stopwatch(Instant);

impl FormatTime for Stopwatch {
    fn format_time(&self, out: &mut Writer<'_>) -> std::fmt::Result {
        write!(out, "{:8.3}", self.0.elapsed().as_secs_f64())
    }
}

fn filter(level: &str) -> EnvFilter {
    EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| EnvFilter::new(format!("warn,trunkline={level},trunkline_sip={level}")))
}
