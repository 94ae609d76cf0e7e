//! Reads `[sip]` and `[tls]`.
use super::value::{count, flag, host_port, not_empty, seconds};
use super::{Field, Table};
use crate::config::document::problem::{did_you_mean, quoted};
use crate::config::types::*;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// RFC 4028 §5: the least Min-SE there may be.
const MIN_SE: i64 = 90;

pub(super) fn sip(mut table: Table<'_>) -> Sip {
    let default = || {
        [Transport::Udp, Transport::Tcp]
            .map(|transport| Listen {
                transport,
                address: SocketAddr::from(([0, 0, 0, 0], 5060)),
            })
            .to_vec()
    };
    let reliable = [
        ("supported", ReliableProvisional::Supported),
        ("off", ReliableProvisional::Off),
        ("required", ReliableProvisional::Required),
    ];
    let sip = Sip {
        listen: table
            .field("listen")
            .and_then(|f| listens(&f))
            .unwrap_or_else(default),
        advertise: table
            .field("advertise")
            .and_then(|f| advertise(&f))
            .unwrap_or_default(),
        server_name: table
            .field("server_name")
            .and_then(|f| server_name(&f))
            .unwrap_or_else(|| "Trunkline".to_owned()),
        max_calls: count(&mut table, "max_calls", 1..=100_000, 2000),
        max_transactions: count(&mut table, "max_transactions", 1000..=10_000_000, 500_000),
        t1: Duration::from_millis(count(&mut table, "t1_ms", 10..=10_000, 500) as u64),
        tcp_max_connections: count(&mut table, "tcp_max_connections", 1..=100_000, 1024),
        tcp_idle_timeout: seconds(&mut table, "tcp_idle_timeout_s", 1, 600),
        session_expires: session_expires(&mut table),
        min_se: seconds(&mut table, "min_se_s", MIN_SE, MIN_SE as u64),
        reliable_provisional: table
            .field("reliable_provisional")
            .and_then(|f| f.choice(&reliable))
            .unwrap_or(ReliableProvisional::Supported),
    };
    table.finish();
    sip
}

fn session_expires(table: &mut Table<'_>) -> Option<Duration> {
    let Some(field) = table.field("session_expires_s") else {
        return Some(Duration::from_secs(1800));
    };
    let seconds = field.integer(0..=86_400)?;
    if (1..MIN_SE).contains(&seconds) {
        return field.expected("0 (no session timer) or at least 90 (RFC 4028)");
    }
    (seconds > 0).then(|| Duration::from_secs(seconds as u64))
}

/// One text for all transports, or a table with one for each.
fn advertise(field: &Field<'_>) -> Option<Advertise> {
    if field.text().is_some() {
        let all = host_port(field);
        let each = Vec::new();
        return Some(Advertise { all, each });
    }
    let mut table = field.table_or("\"203.0.113.7\", or a table such as { udp = \"203.0.113.7:5060\", tls = \"sip.example.com\" }")?;
    let mut each = Vec::new();
    for transport in Transport::ALL {
        let host = table.field(transport.as_str()).and_then(|f| host_port(&f));
        each.extend(host.map(|host| (transport, host)));
    }
    table.finish();
    Some(Advertise { all: None, each })
}

/// Reads `[tls]`.
pub(super) fn tls(mut table: Table<'_>, base: &Path) -> Tls {
    let file = |table: &mut Table<'_>, key: &'static str| -> Option<PathBuf> {
        let path = table.field(key).and_then(|f| not_empty(&f))?;
        Some(base.join(path))
    };
    let (certificate, key) = (file(&mut table, "certificate"), file(&mut table, "key"));
    let identity = match (certificate, key) {
        (Some(certificate), Some(key)) => Some(TlsIdentity { certificate, key }),
        (None, None) => None,
        (one, _) => {
            let missing = if one.is_some() { "key" } else { "certificate" };
            table.error(format!(
                "\"certificate\" and \"key\" go together: \"{missing}\" is missing"
            ));
            None
        }
    };
    let client_ca = file(&mut table, "client_ca");
    let verify = flag(&mut table, "verify", true);
    let ca = match table.field("ca").and_then(|f| not_empty(&f)) {
        None | Some("system") => CertificateAuthorities::System,
        Some(path) => CertificateAuthorities::File(base.join(path)),
    };
    if !verify {
        table.warning(
            "verify = false: whoever answers is taken for the trunk, and learns what is said and dialled",
        );
    }
    table.finish();
    Tls {
        identity,
        client_ca,
        verify,
        ca,
    }
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
    const FORM: &str = "\"udp:ADDRESS:PORT\" (or tcp, tls, ws, wss), IPv6 in brackets";
    let Some((transport, address)) = field.string()?.split_once(':') else {
        return field.expected(FORM);
    };
    let transport = transport_named(field, transport)?;
    let Ok(address) = address.parse() else {
        return field.expected(FORM);
    };
    Some(Listen { transport, address })
}

/// A transport by its name.
pub(super) fn transport_named(field: &Field<'_>, name: &str) -> Option<Transport> {
    let found = Transport::ALL
        .into_iter()
        .find(|each| each.as_str() == name);
    if found.is_none() {
        let names = || Transport::ALL.map(Transport::as_str);
        let hint = did_you_mean(name, names());
        let known = quoted(names());
        field.error(format!(
            "the transport must be {known}, but is \"{}\"{hint}",
            super::shown(name)
        ));
    }
    found
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
