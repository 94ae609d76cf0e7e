//! From the document tree to a typed configuration. Owns the defaults and the rules.
use super::document::field::{Field, Report, Table};
use super::document::problem::{Problems, did_you_mean, quoted};
use super::document::{self, Node, toml};
use super::types::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A day in seconds: the longest time any key accepts.
const DAY: i64 = 86_400;

/// Reads a whole configuration; relative flow paths are joined to `base`.
pub(super) fn config(name: &str, base: &Path, text: &str) -> Result<Config, Problems> {
    let tree = toml::parse(name, document::text(name, text.as_bytes())?)?;
    let report = Report::default();
    let config = root(name, base, &tree, &report);
    let warnings = report.finish(name)?;
    let mut config = config.ok_or_else(|| {
        Problems::one(name, super::At::START, "is not a table of keys".to_owned())
    })?;
    config.warnings = warnings
        .iter()
        .map(|warning| format!("{name}:{warning}"))
        .collect();
    Ok(config)
}

/// The keys this version knows, as `section.key`: for the test that holds the default file complete.
#[cfg(test)]
pub(super) fn known_keys(text: &str) -> Vec<String> {
    let report = Report::default();
    let tree = toml::parse("test", text).expect("the text is TOML");
    root("test", Path::new(""), &tree, &report);
    report.asked()
}

fn root(name: &str, base: &Path, tree: &Node, report: &Report) -> Option<Config> {
    let mut root = Field::root(tree, report).table()?;
    let sip = sip(section(&mut root, "sip", report));
    let mut media = media(section(&mut root, "media", report));
    media.advertise = media.advertise.or(sip.advertise);
    let http = http(section(&mut root, "http", report));
    let log = log(section(&mut root, "log", report));
    let run = run(section(&mut root, "run", report));
    let numbers = numbers(&mut root, base);
    if numbers.is_empty() && !report.failed() {
        report.warning(
            super::At::START,
            "number",
            "there is no [[number]]: every call will be answered 404",
        );
    }
    if sip.max_calls > media.ports.pairs() && !report.failed() {
        let message = format!(
            "is {}, but media.ports has room for {} calls: the one after gets 503",
            sip.max_calls,
            media.ports.pairs()
        );
        report.warning(root.at, "sip.max_calls", message);
    }
    let ipv6 = sip.listen.iter().any(|listen| listen.address.is_ipv6());
    if ipv6 && media.bind.is_ipv4() && !report.failed() {
        let message = format!(
            "is {}, so calls over IPv6 ([sip] listen) will have no audio; \"::\" takes both",
            media.bind
        );
        report.warning(root.at, "media.bind", message);
    }
    root.finish();
    let source = name.to_owned();
    let warnings = Vec::new();
    Some(Config {
        source,
        warnings,
        sip,
        media,
        http,
        log,
        run,
        numbers,
    })
}

/// An absent section reads as an empty one, so that defaults stand in one place only.
fn section<'a>(root: &mut Table<'a>, key: &'static str, report: &'a Report) -> Table<'a> {
    const EMPTY: &Node = &Node {
        at: super::At::START,
        value: document::Value::Map(Vec::new()),
    };
    let found = root.field(key).and_then(|field| field.table());
    let mut empty = Field::root(EMPTY, report);
    empty.path = key.to_owned();
    found.or_else(|| empty.table()).expect("EMPTY is a map")
}

fn sip(mut table: Table<'_>) -> Sip {
    let default = || {
        [Transport::Udp, Transport::Tcp]
            .map(|transport| Listen {
                transport,
                address: SocketAddr::from(([0, 0, 0, 0], 5060)),
            })
            .to_vec()
    };
    let sip = Sip {
        listen: table
            .field("listen")
            .and_then(|f| listens(&f))
            .unwrap_or_else(default),
        advertise: table.field("advertise").and_then(|f| public_address(&f)),
        server_name: table
            .field("server_name")
            .and_then(|f| server_name(&f))
            .unwrap_or_else(|| "Trunkline".to_owned()),
        max_calls: count(&mut table, "max_calls", 1..=100_000, 2000),
        t1: Duration::from_millis(count(&mut table, "t1_ms", 10..=10_000, 500) as u64),
        tcp_max_connections: count(&mut table, "tcp_max_connections", 1..=100_000, 1024),
        tcp_idle_timeout: seconds(&mut table, "tcp_idle_timeout_s", 1, 600),
    };
    table.finish();
    sip
}

fn media(mut table: Table<'_>) -> Media {
    let rtp_timeout = seconds(&mut table, "rtp_timeout_s", 0, 60);
    let media = Media {
        bind: table
            .field("bind")
            .and_then(|f| address(&f))
            .unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        advertise: table.field("advertise").and_then(|f| public_address(&f)),
        ports: table
            .field("ports")
            .and_then(|f| ports(&f))
            .unwrap_or(PortRange {
                first: 16_384,
                last: 32_767,
            }),
        pin_cpu: table
            .field("pin_cpu")
            .and_then(|f| f.integer(0..=1023))
            .map(|cpu| cpu as usize),
        rtp_timeout: (!rtp_timeout.is_zero()).then_some(rtp_timeout),
        codecs: table
            .field("codecs")
            .and_then(|f| codecs(&f))
            .unwrap_or_else(|| vec![Codec::Pcmu, Codec::Pcma]),
        dtmf: table
            .field("dtmf")
            .and_then(|f| f.choice(&DTMF_MODES))
            .unwrap_or(DtmfMode::Auto),
        recordings_dir: PathBuf::from(
            table
                .field("recordings_dir")
                .and_then(|f| not_empty(&f))
                .unwrap_or("recordings"),
        ),
    };
    table.finish();
    media
}

const DTMF_MODES: [(&str, DtmfMode); 4] = [
    ("auto", DtmfMode::Auto),
    ("rfc4733", DtmfMode::Rfc4733),
    ("inband", DtmfMode::InBand),
    ("info", DtmfMode::Info),
];

fn http(mut table: Table<'_>) -> Http {
    let listen = match table.field("listen") {
        None => Some(SocketAddr::from(([127, 0, 0, 1], 8080))),
        Some(field) => http_listen(&field),
    };
    table.finish();
    Http { listen }
}

fn http_listen(field: &Field<'_>) -> Option<SocketAddr> {
    let text = field.string()?;
    if text == "off" {
        return None;
    }
    let Ok(address) = text.parse::<SocketAddr>() else {
        return field.expected("\"ADDRESS:PORT\" such as \"127.0.0.1:8080\", or \"off\"");
    };
    if !address.ip().is_loopback() {
        field.warning("is not a loopback address, and there is no password: anybody who reaches it can read it");
    }
    Some(address)
}

fn log(mut table: Table<'_>) -> Log {
    let formats = [("human", LogFormat::Human), ("json", LogFormat::Json)];
    let levels = [
        LogLevel::Error,
        LogLevel::Warn,
        LogLevel::Info,
        LogLevel::Debug,
        LogLevel::Trace,
    ]
    .map(|level| (level.as_str(), level));
    let log = Log {
        format: table
            .field("format")
            .and_then(|f| f.choice(&formats))
            .unwrap_or(LogFormat::Human),
        level: table
            .field("level")
            .and_then(|f| f.choice(&levels))
            .unwrap_or(LogLevel::Info),
    };
    table.finish();
    log
}

fn run(mut table: Table<'_>) -> Run {
    let drain = seconds(&mut table, "drain_s", 0, 10);
    table.finish();
    Run { drain }
}

fn numbers(root: &mut Table<'_>, base: &Path) -> Vec<Number> {
    let mut numbers: Vec<Number> = Vec::new();
    for field in root
        .field("number")
        .and_then(|f| f.list())
        .unwrap_or_default()
    {
        let Some(mut table) = field.table() else {
            continue;
        };
        let to = table.required("to");
        let flow = table.required("flow").and_then(|f| flow_source(&f, base));
        table.finish();
        let Some((to, text)) = to.and_then(|f| Some((f.clone(), not_empty(&f)?))) else {
            continue;
        };
        if let Some(earlier) = numbers.iter().find(|number| number.to == text) {
            to.error(format!(
                "\"{text}\" is already given in line {}: a number can have one flow only",
                earlier.at.line
            ));
            continue;
        }
        let flow = flow.unwrap_or_else(|| FlowSource::Builtin(String::new()));
        numbers.push(Number {
            to: text.to_owned(),
            flow,
            at: to.at(),
        });
    }
    numbers
}

fn flow_source(field: &Field<'_>, base: &Path) -> Option<FlowSource> {
    let text = not_empty(field)?;
    let Some(name) = text.strip_prefix("builtin:") else {
        return Some(FlowSource::File(base.join(text)));
    };
    if BUILTIN_FLOWS.contains(&name) {
        return Some(FlowSource::Builtin(name.to_owned()));
    }
    let hint = did_you_mean(name, BUILTIN_FLOWS.iter().copied());
    let known = quoted(BUILTIN_FLOWS.iter().copied());
    field.error(format!(
        "there is no built-in flow \"{name}\"; there is {known}{hint}"
    ));
    None
}

fn listens(field: &Field<'_>) -> Option<Vec<Listen>> {
    let mut listens: Vec<Listen> = Vec::new();
    for item in field.list()? {
        let Some(listen) = listen(&item) else {
            continue;
        };
        if listen.address.port() != 0 && listens.contains(&listen) {
            item.error("is given twice");
        }
        listens.push(listen);
    }
    if field.list()?.is_empty() {
        return field.expected("a list of at least one socket such as \"udp:0.0.0.0:5060\"");
    }
    Some(listens)
}

fn listen(field: &Field<'_>) -> Option<Listen> {
    const FORM: &str = "\"udp:ADDRESS:PORT\" or \"tcp:ADDRESS:PORT\", IPv6 in brackets";
    let Some((transport, address)) = field.string()?.split_once(':') else {
        return field.expected(FORM);
    };
    let transport = match transport {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        other => {
            let hint = did_you_mean(other, ["udp", "tcp"]);
            field.error(format!(
                "the transport must be \"udp\" or \"tcp\", but is \"{other}\"{hint}"
            ));
            return None;
        }
    };
    let Ok(address) = address.parse() else {
        return field.expected(FORM);
    };
    Some(Listen { transport, address })
}

fn address(field: &Field<'_>) -> Option<IpAddr> {
    let parsed = field.string()?.parse().ok();
    parsed.or_else(|| field.expected("an IP address such as \"192.0.2.1\" or \"2001:db8::1\""))
}

fn public_address(field: &Field<'_>) -> Option<IpAddr> {
    let address = address(field)?;
    if address.is_unspecified() || address.is_multicast() {
        return field.expected("the IP address of one machine, to which others can send");
    }
    Some(address)
}

fn server_name(field: &Field<'_>) -> Option<String> {
    let text = not_empty(field)?;
    if text.len() > 64
        || !text
            .bytes()
            .all(|byte| byte == b' ' || byte.is_ascii_graphic())
    {
        return field.expected("at most 64 printable ASCII characters");
    }
    Some(text.to_owned())
}

fn ports(field: &Field<'_>) -> Option<PortRange> {
    let parse = |text: &str| {
        let (first, last) = text.split_once('-')?;
        Some((
            first.trim().parse::<u16>().ok()?,
            last.trim().parse::<u16>().ok()?,
        ))
    };
    let Some((first, last)) = parse(field.string()?) else {
        return field.expected("a range of ports such as \"16384-32767\", each from 1024 to 65535");
    };
    if first < 1024 {
        return field.expected("a range of ports from 1024 to 65535");
    }
    if first % 2 == 1 {
        return field.expected(
            "a range that begins with an even port (RTP is even, RTCP the odd one above)",
        );
    }
    if last <= first {
        return field.expected("a range of at least two ports, the lower one first");
    }
    Some(PortRange { first, last })
}

fn codecs(field: &Field<'_>) -> Option<Vec<Codec>> {
    let mut codecs = Vec::new();
    let items = field.list()?;
    for item in &items {
        let Some(codec) = item.choice(&[("pcmu", Codec::Pcmu), ("pcma", Codec::Pcma)]) else {
            continue;
        };
        if codecs.contains(&codec) {
            item.error("is given twice");
        }
        codecs.push(codec);
    }
    if items.is_empty() {
        return field.expected("a list of at least one codec: \"pcmu\", \"pcma\"");
    }
    Some(codecs)
}

fn not_empty<'a>(field: &Field<'a>) -> Option<&'a str> {
    match field.string()? {
        "" => field.expected("text that is not empty"),
        text => Some(text),
    }
}

fn count(
    table: &mut Table<'_>,
    key: &'static str,
    range: std::ops::RangeInclusive<i64>,
    default: usize,
) -> usize {
    let given = table.field(key).and_then(|f| f.integer(range));
    given.map_or(default, |number| number as usize)
}

fn seconds(table: &mut Table<'_>, key: &'static str, least: i64, default: u64) -> Duration {
    let given = table.field(key).and_then(|f| f.integer(least..=DAY));
    Duration::from_secs(given.map_or(default, |number| number as u64))
}
