//! From the document tree to a typed configuration. Owns the defaults and the rules; one file for each section.
mod api;
mod dtmf;
mod endpoint;
mod login;
mod media;
mod number;
mod process;
mod queue;
mod security;
mod sip;
mod speech;
mod tones;
mod trunk;
mod value;
mod voicemail;
mod webhook;

pub(crate) use queue::{join_when_empty, leave_when_empty, read_callback};

use super::document::field::{Field, Report, Table, shown};
use super::document::problem::{Problems, did_you_mean};
use super::document::{self, Node, toml};
use super::{At, Config};
use std::path::Path;

/// The most entries of one kind, `[[trunk]]` and its like.
const MAX_ENTRIES: usize = 10_000;

/// What was read from a password file.
pub(super) struct ReadSecret {
    /// Its text; `None` where nothing is to be read at all.
    pub(super) text: Option<String>,
    /// Whether users other than its owner and group may read it.
    pub(super) others_may_read: bool,
}

/// Where a configuration finds what lies outside its text.
pub(super) struct Sources<'a> {
    /// The folder that relative paths begin at.
    pub(super) base: &'a Path,
    /// Reads a password file.
    pub(super) read_secret: &'a dyn Fn(&Path) -> std::io::Result<ReadSecret>,
}

/// Reads a whole configuration.
pub(super) fn config(name: &str, sources: &Sources<'_>, text: &str) -> Result<Config, Problems> {
    let tree = toml::parse(name, document::text(name, text.as_bytes())?)?;
    let report = Report::default();
    let config = root(name, sources, &tree, &report);
    let warnings = report.finish(name)?;
    let mut config = config
        .ok_or_else(|| Problems::one(name, At::START, "is not a table of keys".to_owned()))?;
    config.warnings = warnings
        .iter()
        .map(|warning| format!("{name}:{warning}"))
        .collect();
    Ok(config)
}

/// The keys this version knows, as `section.key`: for the tests that hold the default file and the documentation complete.
#[cfg(test)]
pub(super) fn known_keys(text: &str) -> Vec<String> {
    let report = Report::default();
    let tree = toml::parse("test", text).expect("the text is TOML");
    root("test", &Sources::text_only(), &tree, &report);
    report.asked()
}

impl Sources<'static> {
    /// Reads no file: passwords in files of their own stay empty.
    pub(super) fn text_only() -> Self {
        let read_secret = &|_: &Path| {
            Ok(ReadSecret {
                text: None,
                others_may_read: false,
            })
        };
        let base = Path::new("");
        Self { base, read_secret }
    }
}

fn root(name: &str, sources: &Sources<'_>, tree: &Node, report: &Report) -> Option<Config> {
    let mut root = Field::root(tree, report).table()?;
    let sip = sip::sip(section(&mut root, "sip", report));
    let tls = sip::tls(section(&mut root, "tls", report), sources.base);
    let mut media = media::media(section(&mut root, "media", report));
    media.advertise = media.advertise.or(sip.advertise.address());
    let tones = tones::tones(section(&mut root, "tones", report));
    let trunks = trunk::trunks(&mut root, &media, &tones, sources);
    let endpoints = endpoint::endpoints(&mut root, &media, sources);
    let ring_groups = endpoint::ring_groups(&mut root, &endpoints);
    let agents = queue::agents(&mut root, &endpoints, &trunks, sources);
    let served = queue::Known {
        agents: &agents,
        trunks: &trunks,
        base: sources.base,
    };
    let queues = queue::queues(&mut root, &served);
    let mail = voicemail::mail(section(&mut root, "mail", report), sources);
    let voicemail = voicemail::boxes(&mut root, &endpoints, &mail, sources);
    let known = number::Known {
        queues: &queues,
        boxes: &voicemail,
        trunks: &trunks,
        endpoints: &endpoints,
        groups: &ring_groups,
        sources,
    };
    let numbers = number::numbers(&mut root, &known);
    let webhooks = webhook::webhooks(&mut root, sources);
    let store = process::store(section(&mut root, "store", report), &media);
    let http = process::http(section(&mut root, "http", report));
    let api = api::api(
        section(&mut root, "api", report),
        sources.base,
        &media,
        &http,
    );
    let config = Config {
        source: name.to_owned(),
        warnings: Vec::new(),
        sip,
        tls,
        media,
        dtmf: dtmf::dtmf(section(&mut root, "dtmf", report)),
        music: media::music(section(&mut root, "music", report), sources.base),
        tones,
        security: security::security(section(&mut root, "security", report)),
        transfer: security::transfer(section(&mut root, "transfer", report)),
        store,
        recordings: process::recordings(section(&mut root, "recordings", report)),
        cdr: process::cdr(section(&mut root, "cdr", report)),
        http,
        api,
        log: process::log(section(&mut root, "log", report)),
        fetch: process::fetch(section(&mut root, "fetch", report)),
        flow: process::flow(section(&mut root, "flow", report)),
        speech: speech::speech(section(&mut root, "speech", report), sources),
        recognition: speech::recognition(section(&mut root, "recognition", report), sources),
        run: process::run(section(&mut root, "run", report)),
        trunks,
        endpoints,
        ring_groups,
        agents,
        queues,
        mail,
        voicemail,
        webhooks,
        numbers,
    };
    root.finish();
    whole(&config, report);
    Some(config)
}

/// The rules that concern several sections.
fn whole(config: &Config, report: &Report) {
    let secure = config.sip.listen.iter().find(|l| l.transport.is_secure());
    if let (Some(listen), None, false) = (secure, &config.tls.identity, report.failed()) {
        let message = format!(
            "listens on {} and needs [tls] certificate and key",
            listen.transport.as_str()
        );
        report.error(At::START, "sip.listen", message);
    }
    for trunk in config.trunks.iter().filter(|t| t.authenticate_inbound) {
        let username = trunk.login.as_ref().map(|login| &*login.username);
        if let Some(endpoint) = username.and_then(|name| config.endpoint(name)) {
            let message = format!(
                "\"{}\" is the username of trunk \"{}\" (line {}) as well: whose password would it be?",
                endpoint.user, trunk.name, trunk.at.line
            );
            report.error(endpoint.at, "endpoint", message);
        }
    }
    if report.failed() {
        return;
    }
    if config.numbers.is_empty() {
        let message = match config.endpoints.is_empty() {
            true => "there is no [[number]]: every call will be answered 404",
            false => {
                "there is no [[number]]: phones reach each other, and nobody else is let in or out"
            }
        };
        report.warning(At::START, "number", message);
    }
    if config.sip.max_calls > config.media.ports.pairs() {
        let message = format!(
            "is {}, but media.ports has room for {} calls: the one after gets 503",
            config.sip.max_calls,
            config.media.ports.pairs()
        );
        report.warning(At::START, "sip.max_calls", message);
    }
    let ipv6 = config.sip.listen.iter().any(|l| l.address.is_ipv6());
    if ipv6 && config.media.bind.is_ipv4() {
        let message = format!(
            "is {}, so calls over IPv6 ([sip] listen) will have no audio; \"::\" takes both",
            config.media.bind
        );
        report.warning(At::START, "media.bind", message);
    }
    if config.media.advertise.is_none() && !config.sip.advertise.is_empty() {
        report.warning(
            At::START,
            "media.advertise",
            "is not given, and [sip] advertise holds names only: SDP will carry the local address",
        );
    }
}

/// An absent section reads as an empty one, so that defaults stand in one place only.
fn section<'a>(root: &mut Table<'a>, key: &'static str, report: &'a Report) -> Table<'a> {
    const EMPTY: &Node = &Node {
        at: At::START,
        value: document::Value::Map(Vec::new()),
    };
    let found = root.field(key).and_then(|field| field.table());
    let mut empty = Field::root(EMPTY, report);
    empty.path = key.to_owned();
    found.or_else(|| empty.table()).expect("EMPTY is a map")
}

/// Every entry of `[[key]]`.
fn entries<'a>(root: &mut Table<'a>, key: &'static str) -> Vec<Field<'a>> {
    let Some(field) = root.field(key) else {
        return Vec::new();
    };
    let mut list = field.list().unwrap_or_default();
    if list.len() > MAX_ENTRIES {
        field.error(format!("has more than {MAX_ENTRIES} entries, the limit"));
        list.truncate(MAX_ENTRIES);
    }
    list
}

/// A name that stands there already.
fn repeated(field: &Field<'_>, name: &str, earlier: At) {
    field.error(format!(
        "\"{}\" is already given in line {}",
        shown(name),
        earlier.line
    ));
}

/// A name that nothing has.
fn unknown<'n>(field: &Field<'_>, kind: &str, name: &str, known: impl Iterator<Item = &'n str>) {
    field.error(format!(
        "there is no [[{kind}]] \"{}\"{}",
        shown(name),
        did_you_mean(name, known)
    ));
}
