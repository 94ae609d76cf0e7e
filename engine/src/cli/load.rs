//! `trunkline load`: many calls with audio from one core, and what a listener of each would have missed.
use anyhow::{Context, bail};
use std::io::Write;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use trunkline_sip::{Scheme, Uri};

use crate::load::{Keys, Law, LoadOptions, run_load};

/// Arguments of `trunkline load`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Ctrl-C hangs up all calls and reports. Ends with 1 when calls failed or the run does not count. See docs/load.md."
)]
pub(super) struct Args {
    /// Whom to call: sip:USER@HOST[:PORT]. %d becomes the number of the call divided by --group, for rooms.
    target: String,
    /// Calls at the same time.
    #[arg(long, default_value_t = 1)]
    calls: u32,
    /// Calls placed in a second.
    #[arg(long, default_value_t = 50.0)]
    rate: f64,
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10.0)]
    duration: f64,
    /// Seconds between the last answer and the measuring.
    #[arg(long, default_value_t = 3.0)]
    settle: f64,
    /// Measure set-up only: this many calls a second for --duration, without audio.
    #[arg(long, conflicts_with_all = ["calls", "rate", "keys", "audio"])]
    cps: Option<f64>,
    /// With --cps: seconds after its answer that each call is hung up.
    #[arg(long, default_value_t = 0.5, requires = "cps")]
    hold: f64,
    /// Also answer calls at this address, with audio: for servers that bridge to it.
    #[arg(long, value_name = "IP:PORT")]
    uas: Option<SocketAddr>,
    /// Calls that share a %d: the size of the rooms.
    #[arg(long, default_value_t = 1)]
    group: u32,
    /// "pcmu" or "pcma".
    #[arg(long, default_value = "pcmu", value_parser = ["pcmu", "pcma"])]
    codec: String,
    /// A sound file that talkers repeat. Without it: something as busy as speech.
    #[arg(long)]
    audio: Option<PathBuf>,
    /// Only the first so many callers talk, the others send silence.
    #[arg(long, default_value_t = u32::MAX, hide_default_value = true)]
    talkers: u32,
    /// Press keys: "rfc4733" or "inband". The time to the steady tone that answers (builtin:load-ivr) is measured.
    #[arg(long, value_parser = ["rfc4733", "inband"])]
    keys: Option<String>,
    /// Seconds between two keys of a caller.
    #[arg(long, default_value_t = 5.0)]
    key_every: f64,
    /// A stream that is silent for longer than this many ms has stopped.
    #[arg(long, default_value_t = 500)]
    stopped_ms: u64,
    /// Process id of the server, for its CPU time and memory.
    #[arg(long)]
    pid: Option<u32>,
    /// CPU of the server, for its busy time.
    #[arg(long)]
    server_cpu: Option<usize>,
    /// CPU of this generator.
    #[arg(long)]
    cpu: Option<usize>,
    /// Our own address.
    #[arg(long)]
    from: Option<IpAddr>,
    /// Our own SIP port.
    #[arg(long, default_value_t = 0)]
    sip_port: u16,
    /// RTP sockets of each side; from the number of calls on each call has its own.
    #[arg(long, default_value_t = 8)]
    sockets: usize,
    /// Report one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let options = options(args)?;
    let stop = Arc::new(AtomicBool::new(false));
    watch_for_interrupt(stop.clone())?;
    let report = run_load(&options, &stop)?;
    let mut out = std::io::stdout();
    if args.json {
        writeln!(out, "{:#}", report.json())?;
    } else {
        writeln!(out, "{report}")?;
    }
    let fine = report.failed() == 0 && report.answered > 0 && report.does_not_count().is_none();
    Ok(if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn options(args: &Args) -> anyhow::Result<LoadOptions> {
    let seconds = |name: &str, value: f64| {
        Duration::try_from_secs_f64(value)
            .with_context(|| format!("--{name} {value} is no number of seconds"))
    };
    let audio = match &args.audio {
        Some(path) => Some(samples(path)?),
        None => None,
    };
    Ok(LoadOptions {
        from: args.from,
        sip_port: args.sip_port,
        uas: args.uas,
        calls: args.calls,
        rate: args.cps.unwrap_or(args.rate),
        settle: seconds("settle", args.settle)?,
        duration: seconds("duration", args.duration)?,
        hold: args.cps.map(|_| seconds("hold", args.hold)).transpose()?,
        group: args.group,
        law: if args.codec == "pcma" {
            Law::A
        } else {
            Law::Mu
        },
        audio,
        talkers: args.talkers,
        keys: args.keys.as_deref().map(|keys| {
            if keys == "inband" {
                Keys::Tones
            } else {
                Keys::Events
            }
        }),
        key_every: seconds("key-every", args.key_every)?,
        stopped_after: Duration::from_millis(args.stopped_ms),
        sockets: args.sockets,
        own_cpu: args.cpu,
        server_cpu: args.server_cpu,
        server_pid: args.pid,
        ..LoadOptions::new(&args.target, server(&args.target)?)
    })
}

/// A sound file as 8 kHz samples.
fn samples(path: &std::path::Path) -> anyhow::Result<Vec<i16>> {
    let prompt = super::routes::library().load_file(path)?;
    let octets = prompt.encoded(crate::media::Law::Mu);
    Ok(octets
        .iter()
        .map(|octet| trunkline_dsp::g711::ulaw_decode(*octet))
        .collect())
}

/// Where requests for the called URI go.
fn server(target: &str) -> anyhow::Result<SocketAddr> {
    let plain = target.replace("%d", "0");
    let uri = Uri::parse(plain.as_bytes())
        .ok()
        .filter(|uri| uri.scheme == Scheme::Sip);
    let uri = uri.with_context(|| {
        format!("{target:?} is no SIP address; write it like sip:ivr@127.0.0.1")
    })?;
    if uri
        .params
        .value("transport")
        .is_some_and(|transport| !transport.eq_ignore_ascii_case(b"udp"))
    {
        bail!("the load generator speaks UDP only");
    }
    let host = uri.host_text();
    let mut addresses = (host.trim_matches(['[', ']']), uri.port.unwrap_or(5060))
        .to_socket_addrs()
        .with_context(|| format!("the host {host} has no address"))?;
    addresses
        .next()
        .with_context(|| format!("the host {host} has no address"))
}

/// Ctrl-C asks the run to end; a second one ends the process.
fn watch_for_interrupt(stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot watch for Ctrl-C")?;
    std::thread::spawn(move || {
        runtime.block_on(async {
            while tokio::signal::ctrl_c().await.is_ok() {
                if stop.swap(true, Ordering::Relaxed) {
                    std::process::exit(1);
                }
            }
        });
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_read_from_the_target() {
        for (target, expected) in [
            ("sip:ivr@127.0.0.1", Some("127.0.0.1:5060")),
            ("sip:room-%d@127.0.0.1:5070", Some("127.0.0.1:5070")),
            ("sip:a@[::1]:7", Some("[::1]:7")),
            ("sips:a@127.0.0.1", None),
            ("sip:a@127.0.0.1;transport=tcp", None),
            ("ivr", None),
        ] {
            let got = server(target).ok().map(|address| address.to_string());
            assert_eq!(got.as_deref(), expected, "{target}");
        }
    }
}
