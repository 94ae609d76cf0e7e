//! Reads `[api]`.
use super::value::{count, list_of, not_empty};
use super::{Field, Table};
use crate::config::types::*;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Its tokens are beside the folder of recordings where nothing else is said.
pub(super) fn api(mut table: Table<'_>, base: &Path, media: &Media, http: &Http) -> Api {
    let address = table.field("listen").and_then(|field| address(&field));
    let tls = tls(&mut table, base);
    let listen = match address {
        None => ApiListen::Beside,
        Some(None) => ApiListen::Off,
        Some(Some(address)) => ApiListen::Own {
            address,
            tls: tls.clone(),
        },
    };
    warn(&mut table, &listen, tls.is_some(), http);
    let tokens = table
        .field("tokens")
        .and_then(|f| not_empty(&f))
        .map(PathBuf::from);
    let hosts = table.field("allowed_hosts").map(|f| list_of(&f, host));
    let api = Api {
        listen,
        tokens: tokens.unwrap_or_else(|| media.recordings_dir.with_file_name("api-tokens.json")),
        allowed_hosts: hosts.unwrap_or_default(),
        requests_per_second: count(&mut table, "requests_per_second", 1..=100_000, 50) as u32,
    };
    table.finish();
    api
}

fn warn(table: &mut Table<'_>, listen: &ApiListen, tls: bool, http: &Http) {
    let plain = match listen {
        ApiListen::Own { address, tls: None } => Some(*address),
        ApiListen::Beside => http.listen,
        _ => None,
    };
    if tls && !matches!(listen, ApiListen::Own { .. }) {
        table.error("\"certificate\" and \"key\" need a \"listen\" of its own: the socket of [http] is without TLS".to_owned());
    }
    if plain.is_some_and(|address| !address.ip().is_loopback()) {
        table.warning("is served without TLS on an address that is not loopback: tokens can be read on the way; give it a listen of its own with certificate and key");
    }
}

/// `Some(None)`: off.
fn address(field: &Field<'_>) -> Option<Option<SocketAddr>> {
    let text = field.string()?;
    if text == "off" {
        return Some(None);
    }
    match text.parse::<SocketAddr>() {
        Ok(address) => Some(Some(address)),
        Err(_) => field.expected("\"ADDRESS:PORT\" such as \"127.0.0.1:8443\", or \"off\""),
    }
}

fn tls(table: &mut Table<'_>, base: &Path) -> Option<TlsFiles> {
    let mut file = |key: &'static str| -> Option<PathBuf> {
        let path = table.field(key).and_then(|f| not_empty(&f))?;
        Some(base.join(path))
    };
    match (file("certificate"), file("key")) {
        (Some(certificate), Some(key)) => Some(TlsFiles { certificate, key }),
        (None, None) => None,
        _ => {
            table.error("\"certificate\" and \"key\" go together".to_owned());
            None
        }
    }
}

fn host(field: &Field<'_>) -> Option<String> {
    let name = field.string()?;
    let good = !name.is_empty()
        && name.len() <= 253
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-'));
    match good {
        true => Some(name.to_owned()),
        false => field.expected("a host name without port such as \"pbx.example.com\""),
    }
}
