//! `trunkline call`: places one call from this machine and prints what happens, with seconds since the start.
use super::script::{Script, Wishes};
use super::{log, random, routes};
use crate::call::Caller;
use crate::call::{
    CallInfo, CallSettings, Calls, NoDirectory, Outbound, Parts, Refusal, Routed, Routes,
    TransferPolicy, outbound,
};
use crate::config::{DtmfMode, SrtpPolicy};
use crate::media::{Media, MediaConfig};
use crate::net::sip::{
    GuardSettings, Guards, Hop, Resolver, Sip, TcpLimits, Tls, TlsSettings, Transports,
};
use anyhow::{Context, bail};
use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use trunkline_sip::offer_answer::Encoding;
use trunkline_sip::{AdmitAll, EndpointConfig, Transport};
use trunkline_sip::{Host, Scheme, Uri};

/// RTP ports of calls placed from the command line: below the default range of the server, which may run on the same machine.
const PORTS: std::ops::RangeInclusive<u16> = 14_000..=15_999;

/// Arguments of `trunkline call`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Whom to call, e.g. sip:demo@127.0.0.1 or "sip:demo@host:5070;transport=tcp".
    target: String,
    /// Audio file to play once the call is answered (WAV, .sln, .sln16).
    #[arg(long)]
    play: Option<PathBuf>,
    /// Keys to press, in groups separated by commas; w and W in a group pause 0.5 s and 1 s.
    #[arg(long, value_delimiter = ',')]
    digits: Vec<String>,
    /// File to record what is heard to: Ogg/Opus if it ends with .opus or .ogg, else WAV.
    #[arg(long)]
    record: Option<PathBuf>,
    /// Seconds to wait before each group of keys.
    #[arg(long, default_value_t = 3.0)]
    pause: f32,
    /// Length of each key in ms.
    #[arg(long, default_value_t = 100)]
    tone_ms: u32,
    /// Seconds to listen after the last key before hanging up.
    #[arg(long, default_value_t = 15.0)]
    listen: f32,
    /// How to press keys: rfc4733 or inband.
    #[arg(long, default_value = "rfc4733", value_parser = ["rfc4733", "inband"])]
    dtmf: String,
    /// The only codec to offer: pcmu, pcma, g722, opus, l16 or l16-16k. The first two by default.
    #[arg(long, value_parser = ["pcmu", "pcma", "g722", "opus", "l16", "l16-16k"])]
    codec: Option<String>,
    /// Who calls.
    #[arg(long, default_value = "sip:trunkline@localhost")]
    from: String,
    /// Over TLS: a PEM file of those who may have signed the other side's certificate. Those the system trusts by default.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Over TLS: accept any certificate.
    #[arg(long, conflicts_with = "ca")]
    no_verify: bool,
    /// Print each SIP message too.
    #[arg(long, short)]
    verbose: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    log::start_for_call(args.verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let code = runtime.block_on(place(args));
    runtime.shutdown_timeout(Duration::from_millis(200));
    code
}

async fn place(args: &Args) -> anyhow::Result<ExitCode> {
    let hop = resolve(&args.target).await?;
    let remote = hop.address;
    let prompts = Arc::new(routes::library());
    let play = args.play.as_ref().map(|path| path.display().to_string());
    if let Some(key) = &play {
        prompts.load(key)?;
    }
    let wishes = Wishes {
        record: args.record.clone(),
        play,
        digits: args.digits.clone(),
        pause_ms: ms(args.pause),
        tone_ms: args.tone_ms,
        listen_ms: ms(args.listen),
    };
    let media = Media::start(MediaConfig {
        bind: any_address(remote).ip(),
        ports: PORTS,
        max_channels: 1,
        ..MediaConfig::default()
    })?;
    let sip = start_sip(remote, args).await?;
    let flow = sip
        .flow_to(&hop)
        .with_context(|| format!("cannot reach {remote}"))?;
    let parts = Parts {
        web_audio: None,
        speech: None,
        recogniser: None,
        sip: sip.handle.clone(),
        media: media.clone(),
        prompts,
        routes: Box::new(NoRoutes),
        directory: Arc::new(NoDirectory),
        music: None,
        cdr: None,
        store: None,
        counters: Arc::default(),
    };
    let calls = Calls::new(parts, settings(args), u32::from_be_bytes(random()?));
    tokio::spawn(calls.clone().serve(sip.incoming));
    let call = Outbound {
        flow,
        target: args.target.clone(),
        from: args.from.clone(),
        program: Box::new(Script::new(wishes)),
    };
    let interrupted = async {
        let _ = tokio::signal::ctrl_c().await;
        tokio::select! {
            () = calls.drain(Duration::ZERO) => Ok(()),
            _ = tokio::signal::ctrl_c() => bail!("told twice to stop: the far end may not know that the call is over"),
        }
    };
    let running = outbound(calls.clone(), call);
    tokio::pin!(running);
    let ended = tokio::select! {
        ended = &mut running => ended,
        in_order = interrupted => {
            in_order?;
            running.await
        }
    };
    media.shutdown();
    report(ended.map_err(anyhow::Error::msg)?, args)
}

/// All addresses of the family of `remote`, port chosen by the system.
fn any_address(remote: SocketAddr) -> SocketAddr {
    match remote {
        SocketAddr::V4(_) => ([0, 0, 0, 0], 0).into(),
        SocketAddr::V6(_) => ([0u16; 8], 0).into(),
    }
}

/// SIP on a port of the system's choice, over the address family of `remote`.
async fn start_sip(remote: SocketAddr, args: &Args) -> anyhow::Result<Sip> {
    let endpoint = EndpointConfig {
        max_legs: 16,
        max_transactions: 64,
        ..EndpointConfig::new("Trunkline", random()?)
    };
    let tls = TlsSettings {
        ca: args.ca.clone(),
        verify: !args.no_verify,
        ..TlsSettings::default()
    };
    let transports = Transports {
        listen: vec![(Transport::Udp, any_address(remote))],
        limits: TcpLimits {
            max_connections: 4,
            idle: Duration::from_secs(3600),
        },
        tls: Some(Tls::load(&tls)?),
        guards: Guards::new(GuardSettings::default()),
    };
    Ok(Sip::start_on(transports, endpoint, Box::new(AdmitAll)).await?)
}

fn settings(args: &Args) -> CallSettings {
    let codecs = match args.codec.as_deref() {
        Some("pcmu") => vec![Encoding::Pcmu],
        Some("g722") => vec![Encoding::G722],
        Some("opus") => vec![Encoding::Opus],
        Some("l16") => vec![Encoding::L16Narrow],
        Some("l16-16k") => vec![Encoding::L16Wide],
        Some(_) => vec![Encoding::Pcma],
        None => vec![Encoding::Pcmu, Encoding::Pcma],
    };
    let dtmf = if args.dtmf == "inband" {
        DtmfMode::InBand
    } else {
        DtmfMode::Rfc4733
    };
    CallSettings {
        max_calls: 1,
        media_address: None,
        codecs,
        opus: crate::config::Opus::default(),
        dtmf,
        srtp: SrtpPolicy::Never,
        tones: trunkline_dsp::progress::Plan::recommended(),
        recordings_dir: std::env::temp_dir(),
        transfer: TransferPolicy::KNOWN,
    }
}

fn report(
    (end, stats): (crate::call::End, Option<crate::media::ChannelStats>),
    args: &Args,
) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout();
    if let Some(line) = unanswered(&end, &args.target) {
        writeln!(out, "{line}")?;
        return Ok(ExitCode::FAILURE);
    }
    let heard = stats.unwrap_or_default();
    let seconds = heard.packets_in as f64 * 0.02;
    writeln!(
        out,
        "Ended by {} ({}). Heard about {seconds:.1} s of audio in {} packets, {} lost.",
        end.by, end.cause, heard.packets_in, heard.lost
    )?;
    if let Some(path) = &args.record {
        writeln!(out, "Recorded to {}.", path.display())?;
    }
    let fine = matches!(end.cause, "bye" | "program");
    Ok(if fine {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What is said of a call that was never answered; `None`: it was, or we gave it up.
fn unanswered(end: &crate::call::End, target: &str) -> Option<String> {
    let status = end.status?;
    match (end.by, end.cause) {
        ("us", _) => None,
        ("network", "no-response") => Some(format!(
            "Nobody answers at {target}: is the address right, and does a firewall let SIP through?"
        )),
        ("network", _) => Some(format!(
            "The call could not be sent to {target}: the line above says why."
        )),
        _ => Some(format!("The call was refused with {status}.")),
    }
}

/// Nobody may call us while we place a call.
struct NoRoutes;

impl Routes for NoRoutes {
    fn program(&self, _: &CallInfo, _: &Caller) -> Result<Routed, Refusal> {
        Err(Refusal::new(
            486,
            "calling",
            "this process places a call and takes none".to_owned(),
        ))
    }
}

/// Where a call to a SIP URI goes (RFC 3263): the first of several.
async fn resolve(target: &str) -> anyhow::Result<Hop> {
    let uri = Uri::parse(target.as_bytes())
        .ok()
        .filter(|uri| matches!(uri.scheme, Scheme::Sip | Scheme::Sips))
        .with_context(|| {
            format!("{target:?} is no SIP address; write it like sip:demo@127.0.0.1")
        })?;
    let written = uri.params.value("transport");
    let transport = match written.map(|value| value.to_ascii_lowercase()).as_deref() {
        None => None,
        Some(b"udp") => Some(Transport::Udp),
        Some(b"tcp") => Some(Transport::Tcp),
        Some(b"tls") => Some(Transport::Tls),
        Some(other) => bail!(
            "transport {:?} cannot be called: use udp, tcp or tls",
            String::from_utf8_lossy(other)
        ),
    };
    let host = match uri.host {
        Host::Absent => bail!("{target:?} names no host"),
        Host::Ip(ip) => ip.to_string(),
        Host::Name(name) => String::from_utf8_lossy(name).into_owned(),
    };
    let secure = matches!(uri.scheme, Scheme::Sips);
    let resolver = Resolver::system();
    let hops = resolver.resolve(&host, uri.port, transport, secure).await?;
    let first = hops.into_iter().next();
    first.with_context(|| format!("the host {host} has no address"))
}

fn ms(seconds: f32) -> u32 {
    (seconds.max(0.0) * 1000.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::End;

    #[test]
    fn who_refuses_and_who_is_not_reached_are_told_apart() {
        for (by, cause, status, expected) in [
            ("callee", "rejected", Some(486), Some("refused with 486")),
            ("network", "transport", Some(503), Some("could not be sent")),
            ("network", "no-response", Some(408), Some("Nobody answers")),
            ("us", "no-answer", Some(487), None),
            ("far-end", "bye", None, None),
        ] {
            let end = End {
                by,
                cause,
                status,
                q850: None,
                retry_after: None,
            };
            let said = unanswered(&end, "sip:a@b");
            assert_eq!(said.is_some(), expected.is_some(), "{said:?}");
            assert!(said.unwrap_or_default().contains(expected.unwrap_or("")));
        }
    }
}
