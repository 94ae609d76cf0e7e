//! `trunkline run`: puts the parts together, answers calls, and ends in good order.
use super::flow_shelf::Shelf;
use super::lamps::Lamps;
use super::reload::Reload;
use super::routes::{self, LiveRoutes, RouteTable};
use super::transports::transports;
use super::{
    configured, flow_watch, hours_keeper, housekeeping, keeping, log, queue_keeper, random, token,
};
use crate::api::v1::{self, V1};
use crate::api::{self, Face, Recordings, Sockets, Sources};
use crate::call::{
    CallCounters, CallSettings, Calls, CdrWriter, EventKind, Events, Parts, PhoneBook,
    TransferPolicy, WebAudio, WebAudioLimits,
};
use crate::config::{ApiListen, Config, Fetch, HoldMusic, LogFormat};
use crate::fetch::{FetchLimits, Fetcher};
use crate::media::{AdmissionLimits, Media, MediaAudio, MediaConfig, PromptLibrary};
use crate::net::sip::{Guards, Resolver, Sip};
use crate::registrar::{self, Location};
use crate::route::{LearnedPeers, TrustGate, terms};
use crate::speech::{Failed, Recogniser, Speaker};
use crate::store::{Claim, Store};
use crate::trunk::Trunks;
use crate::voicemail::Clerk;
use anyhow::Context;
use arc_swap::ArcSwap;
use std::collections::HashSet;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;
use trunkline_sip::{EndpointConfig, Timers, Transport};

/// Text messages that may wait to be routed, and subscriptions to voicemail boxes to be begun.
const REQUEST_QUEUE: usize = 256;
/// How often files of prompts are looked at.
const PROMPTS_EVERY: Duration = Duration::from_secs(5);
/// URLs whose audio is kept.
const MOST_URLS: usize = 10_000;
/// A timeout that does not come.
const NEVER: Duration = Duration::from_secs(u32::MAX as u64);

/// Arguments of `trunkline run`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Configuration file; without one the embedded default runs the demo menu.
    #[arg(long, short, env = "TRUNKLINE_CONFIG")]
    config: Option<PathBuf>,
    /// Log lines as JSON, whatever the configuration says.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = Arc::new(configured(args.config.as_ref())?);
    let format = if args.json {
        LogFormat::Json
    } else {
        config.log.format
    };
    log::start(format, config.log.level);
    let prompts = Arc::new(routes::library());
    let (table, flow_warnings) = RouteTable::load(config.clone(), &prompts)?;
    for warning in config.warnings.iter().chain(&flow_warnings) {
        tracing::warn!("{warning}");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?;
    let routes = LiveRoutes::new(table);
    runtime.block_on(serve(config, args.config.clone(), routes, prompts))?;
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(ExitCode::SUCCESS)
}

async fn serve(
    config: Arc<Config>,
    config_file: Option<PathBuf>,
    routes: LiveRoutes,
    prompts: Arc<PromptLibrary>,
) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    // The configuration in force: exchanged as a whole at reload.
    let shared = Arc::new(ArcSwap::new(config.clone()));
    let learned = Arc::new(LearnedPeers::default());
    let config = &*config;
    std::fs::create_dir_all(&config.media.recordings_dir)
        .with_context(|| format!("cannot make the recordings folder {}; change [media] recordings_dir in the configuration", config.media.recordings_dir.display()))?;
    let (_claim, store) = open_store(config)?;
    let media = start_media(config)?;
    let transports = transports(config)?;
    let (guards, tls) = (transports.guards.clone(), transports.tls.clone());
    let trunks_at = learned.clone();
    guards.exempt_also(move |address| trunks_at.trunk_at(address).is_some());
    let gate = gate(&shared, learned.clone(), guards.clone())?;
    let sip = Sip::start_on(transports, endpoint_config(config)?, Box::new(gate)).await?;
    let boot = u32::from_be_bytes(random()?);
    let phones = Location::new(shared.clone());
    let (texts_send, texts) = mpsc::channel(REQUEST_QUEUE);
    let (subscriptions_send, subscriptions) = mpsc::channel(REQUEST_QUEUE);
    tokio::spawn(registrar::serve(
        phones.clone(),
        sip.handle.clone(),
        sip.requests,
        registrar::Others {
            subscriptions: subscriptions_send,
            texts: texts_send,
        },
    ));
    let resolver = Arc::new(Resolver::system());
    let trunks = Trunks::start(config, sip.handle.clone(), resolver, learned);
    let book = PhoneBook::new(routes.router.clone(), trunks.clone(), phones.clone());
    let counters = Arc::new(CallCounters::default());
    let speaker = speaker(config)?;
    let recogniser = Recogniser::new(&config.recognition, &fetcher(&config.fetch)?);
    let parts = Parts {
        sip: sip.handle.clone(),
        media: media.clone(),
        music: music(config, &prompts)?,
        prompts: prompts.clone(),
        web_audio: Some(web_audio(&config.fetch)?),
        speech: Some(speaker.clone()),
        recogniser: Some(recogniser.clone()),
        routes: Box::new(routes.clone()),
        directory: Arc::new(book),
        cdr: match &config.cdr.file {
            Some(path) => Some(CdrWriter::start(path, counters.cdr_lost.clone())?),
            None => None,
        },
        store: Some(store.clone()),
        counters,
    };
    let interrupted =
        keeping::note_interrupted(&store, parts.cdr.as_ref().map(CdrWriter::patient))?;
    let calls = Calls::new(parts, call_settings(config), boot);
    calls.voicemail.apply(&config.voicemail);
    routes.tell(&calls.queues);
    let queue_keeper = queue_keeper::start(&calls, &store).await;
    let known = |flow: &str, schedule: &str| routes.has_schedule(flow, schedule);
    hours_keeper::start(&routes.hours, &store, known).await;
    tell_failures(&speaker, &recogniser, &calls);
    let webhooks = keeping::start(config, &store, &calls, interrupted).await?;
    tokio::spawn(watch_prompts(prompts.clone()));
    tokio::spawn(housekeeping::keep_house(
        shared.load_full(),
        store.clone(),
        calls.voicemail.clone(),
    ));
    let lamps = Lamps {
        boxes: calls.voicemail.clone(),
        phones: phones.clone(),
        sip: sip.handle.clone(),
        config: shared.clone(),
    };
    tokio::spawn(lamps.clone().watch(subscriptions));
    tokio::spawn(lamps.serve());
    let clerk = Clerk::new(calls.voicemail.clone(), store.clone(), config.mail.clone());
    let clerk = clerk.hearing(recogniser.clone());
    let mails = clerk.counters.clone();
    tokio::spawn(clerk.work());
    tokio::spawn(flow_watch::watch(routes.clone(), prompts.clone()));
    let api_parts = v1::Parts {
        calls: calls.clone(),
        trunks: trunks.clone(),
        phones: phones.clone(),
        config: shared.clone(),
        store: store.clone(),
        flows: Arc::new(Shelf::new(routes.clone(), prompts.clone())),
        webhooks: webhooks.clone(),
    };
    let v1 = control_api(config, api_parts, boot)?;
    // Whoever reads the events is there: a back end that fails now is among them.
    routes.speak(&speaker);
    let reload = Reload {
        file: config_file,
        config: shared,
        routes,
        prompts,
        trunks: trunks.clone(),
        guards,
        tls,
        phones: phones.clone(),
        calls: calls.clone(),
    };
    let sources = Sources {
        calls: calls.counters.clone(),
        troubled: calls.troubled.clone(),
        live: calls.live.clone(),
        sip: sip.counters.clone(),
        media: media.clone(),
        streams: calls.streams.clone(),
        queues: calls.queues.clone(),
        trunks: trunks.clone(),
        phones,
        store: store.clone(),
        speaker,
        recogniser,
        webhooks: webhooks.counters().clone(),
        voicemail: calls.voicemail.clone(),
        mails,
        events: calls.events.clone(),
        api: v1.clone(),
        http: Arc::default(),
    };
    let face = Arc::new(Face {
        sources,
        draining: calls.draining.clone(),
        recordings: Recordings {
            signer: store.recording_signer().await?,
            store: store.clone(),
        },
        allowed_hosts: config.api.allowed_hosts.clone(),
    });
    let sockets = Sockets {
        open: config.http.listen,
        api: &config.api.listen,
    };
    let (http, api) = api::start(sockets, face.clone(), v1).await?;
    announce(config, &sip.listening, http, api)?;
    tokio::spawn(calls.clone().serve_texts(texts));
    tokio::spawn(calls.clone().serve(sip.incoming));
    signals.stop(&reload).await;
    // Carriers send no more calls to one who is not registered.
    let drain = reload.config.load().run.drain;
    let drained = async { tokio::join!(calls.drain(drain), trunks.stop()) };
    tokio::select! {
        _ = drained => tracing::info!("all calls are over; good bye"),
        () = signals.stop(&reload) => tracing::warn!("told twice to stop: leaving calls in progress"),
    }
    media.shutdown();
    queue_keeper.finish().await;
    store.flush().await;
    Ok(())
}

/// The control API, unless it is off; its first token is minted when there is none.
fn control_api(config: &Config, parts: v1::Parts, boot: u32) -> anyhow::Result<Option<Arc<V1>>> {
    let off = match config.api.listen {
        ApiListen::Off => true,
        ApiListen::Beside => config.http.listen.is_none(),
        ApiListen::Own { .. } => false,
    };
    let settings = v1::Settings {
        allowed_hosts: config.api.allowed_hosts.clone(),
        requests_per_second: config.api.requests_per_second,
    };
    if off {
        // What was scheduled while it was on is placed all the same.
        tokio::spawn(V1::new(parts, settings, Vec::new(), boot).keep_agenda());
        return Ok(None);
    }
    let (file, tokens) =
        token::load(&config.api.tokens).context("see [api] tokens in the configuration")?;
    let v1 = V1::new(parts, settings, tokens, boot);
    v1.keep_events();
    tokio::spawn(v1.clone().watch_tokens(file));
    tokio::spawn(v1.clone().keep_agenda());
    Ok(Some(v1))
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Signals> {
        let on = |kind| signal(kind).context("cannot listen for signals");
        Ok(Signals {
            terminate: on(SignalKind::terminate())?,
            interrupt: on(SignalKind::interrupt())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    /// Returns when the process is told to stop; reloads whenever it is told to.
    async fn stop(&mut self, reload: &Reload) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                // Files are read: other tasks of this thread move over meanwhile.
                _ = self.hangup.recv() => tokio::task::block_in_place(|| reload.run()),
            }
        }
    }
}

/// What outlives the process, claimed for this one.
fn open_store(config: &Config) -> anyhow::Result<(Option<Claim>, Store)> {
    let Some(file) = &config.store.file else {
        return Ok((None, Store::in_memory()?));
    };
    Ok((Some(Claim::take(file)?), Store::open(file)?))
}

/// Takes up changed prompt files. What cannot be read is told once.
async fn watch_prompts(prompts: Arc<PromptLibrary>) {
    let mut told = HashSet::new();
    loop {
        tokio::time::sleep(PROMPTS_EVERY).await;
        let library = prompts.clone();
        let Ok((exchanged, errors)) = tokio::task::spawn_blocking(move || library.refresh()).await
        else {
            return;
        };
        for key in exchanged {
            tracing::info!(
                key,
                "the prompt's file has changed: calls hear it from now on"
            );
        }
        let errors: HashSet<String> = errors.iter().map(ToString::to_string).collect();
        for error in errors.difference(&told) {
            tracing::warn!(
                rule = "prompt-kept",
                "what was read before stays in force: {error}"
            );
        }
        told = errors;
    }
}

/// What reaches services of others.
fn fetcher(config: &Fetch) -> anyhow::Result<Fetcher> {
    Ok(Fetcher::new(&FetchLimits::from(config))?)
}

/// What speaks texts.
pub(super) fn speaker(config: &Config) -> anyhow::Result<Speaker> {
    Ok(Speaker::new(&config.speech, &fetcher(&config.fetch)?))
}

/// Failures of back ends are events.
fn tell_failures(speaker: &Speaker, recogniser: &Recogniser, calls: &Arc<Calls>) {
    let told = |events: Arc<Events>| {
        move |failed: &Failed| {
            events.tell(EventKind::SpeechFailed, failed.call.as_deref(), || {
                serde_json::json!({
                    "task": failed.task,
                    "backend": failed.backend,
                    "reason": failed.reason,
                    "next": failed.next,
                })
            });
        }
    };
    speaker.on_failed(told(calls.events.clone()));
    recogniser.on_failed(told(calls.events.clone()));
}

/// What fetches audio that programs name by URL.
fn web_audio(config: &Fetch) -> anyhow::Result<WebAudio> {
    let limits = WebAudioLimits {
        kept_octets: config.cache_octets,
        kept_urls: MOST_URLS,
    };
    Ok(WebAudio::new(fetcher(config)?, limits))
}

/// What a held party hears.
pub(super) fn music(
    config: &Config,
    prompts: &PromptLibrary,
) -> anyhow::Result<Option<Vec<MediaAudio>>> {
    let HoldMusic::File(path) = &config.music.on_hold else {
        return Ok(None);
    };
    let prompt = prompts
        .load_file(path)
        .context("see [music] on_hold in the configuration")?;
    Ok(Some(vec![MediaAudio::Prompt(prompt)]))
}

fn start_media(config: &Config) -> anyhow::Result<Media> {
    let media = &config.media;
    let settings = MediaConfig {
        bind: media.bind,
        ports: media.ports.first..=media.ports.last,
        threads: media.threads,
        pin: media.pin.clone(),
        realtime: media.realtime,
        lock_memory: media.lock_memory,
        admission: AdmissionLimits {
            late_ms: media.late_limit_ms,
            busy_percent: media.busy_limit,
            ..AdmissionLimits::default()
        },
        rtp_timeout: media.rtp_timeout.unwrap_or(NEVER),
        dtmf: config.dtmf,
        // One for each leg: most calls are between two parties.
        max_channels: config.sip.max_calls.saturating_mul(2),
        ..MediaConfig::default()
    };
    Media::start(settings).context("see [media] in the configuration")
}

/// Who is served; see [`TrustGate`].
fn gate(
    config: &Arc<ArcSwap<Config>>,
    learned: Arc<LearnedPeers>,
    guards: Arc<Guards>,
) -> anyhow::Result<TrustGate> {
    let on_ban = move |source: IpAddr, time| guards.bans().ban(Instant::now(), source, time);
    Ok(TrustGate::new(
        config.clone(),
        random()?,
        learned,
        Box::new(on_ban),
    ))
}

fn endpoint_config(config: &Config) -> anyhow::Result<EndpointConfig> {
    Ok(EndpointConfig {
        advertise: terms::advertise(&config.sip.advertise),
        reliable: terms::reliability(config.sip.reliable_provisional),
        session_timer: terms::session_timer(&config.sip),
        notifies: Some(registrar::MESSAGE_SUMMARY),
        timers: Timers {
            t1: config.sip.t1,
            ..Timers::default()
        },
        // Legs outlive their calls by a transaction's length; those few must not refuse new ones.
        max_legs: config.sip.max_calls + config.sip.max_calls / 2 + 64,
        max_transactions: config.sip.max_transactions,
        ..EndpointConfig::new(config.sip.server_name.as_str(), random()?)
    })
}

pub(super) fn call_settings(config: &Config) -> CallSettings {
    CallSettings {
        max_calls: config.sip.max_calls,
        media_address: config
            .media
            .advertise
            .or((!config.media.bind.is_unspecified()).then_some(config.media.bind)),
        codecs: terms::encodings(&config.media.codecs),
        opus: config.media.opus,
        dtmf: config.media.dtmf,
        srtp: config.media.srtp,
        tones: config.tones.country,
        recordings_dir: config.media.recordings_dir.clone(),
        transfer: TransferPolicy {
            blind: config.transfer.blind,
            attended: config.transfer.attended,
            strangers: config.transfer.strangers,
        },
    }
}

/// Says in a few lines where we listen, how to call, and how to stop.
fn announce(
    config: &Config,
    listening: &[(Transport, SocketAddr)],
    http: Option<SocketAddr>,
    api: Option<SocketAddr>,
) -> anyhow::Result<()> {
    let sip: Vec<String> = listening
        .iter()
        .map(|(transport, address)| {
            format!("{} {address}", transport.via_token().to_ascii_lowercase())
        })
        .collect();
    let port = listening
        .first()
        .map_or(5060, |(_, address)| address.port());
    let at = |host: &str| {
        if port == 5060 {
            host.to_owned()
        } else {
            format!("{host}:{port}")
        }
    };
    let own = listening.first().map(|(_, address)| address.ip());
    let own = own.filter(|ip| ip.is_ipv4() && !ip.is_unspecified());
    let here = own.map_or_else(|| "127.0.0.1".to_owned(), |ip| ip.to_string());
    let user = config.numbers.first().map_or("demo", |number| {
        if number.to.is_exact() {
            number.to.as_str()
        } else {
            "any"
        }
    });
    let mut out = std::io::stdout();
    writeln!(
        out,
        "Trunkline {} is answering calls ({})",
        env!("CARGO_PKG_VERSION"),
        config.source
    )?;
    writeln!(out, "  SIP   {}", sip.join(", "))?;
    writeln!(
        out,
        "  RTP   udp {} ports {}-{}",
        config.media.bind, config.media.ports.first, config.media.ports.last
    )?;
    match http {
        Some(address) => writeln!(out, "  HTTP  http://{address}/health and /metrics")?,
        None => writeln!(out, "  HTTP  off")?,
    }
    if let Some(address) = api {
        let tls = matches!(config.api.listen, ApiListen::Own { tls: Some(_), .. });
        let scheme = if tls { "https" } else { "http" };
        writeln!(
            out,
            "  API   {scheme}://{address}/api/v1 (with a token: trunkline token)"
        )?;
    }
    writeln!(
        out,
        "  Call  sip:{user}@{} with any SIP phone, or from here:",
        at("THIS-HOST")
    )?;
    writeln!(
        out,
        "        trunkline call sip:{user}@{} --digits 1,2,9,#",
        at(&here)
    )?;
    writeln!(
        out,
        "  Stop  Ctrl-C (calls in progress may go on for {} s; a second Ctrl-C ends at once)",
        config.run.drain.as_secs()
    )?;
    out.flush()?;
    Ok(())
}
