//! Reads `[http]`, `[log]`, `[fetch]`, `[flow]`, `[run]`, `[store]` and `[cdr]`.
use super::value::{count, list_of, network, not_empty, seconds};
use super::{Field, Table};
use crate::config::types::*;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub(super) fn http(mut table: Table<'_>) -> Http {
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

pub(super) fn log(mut table: Table<'_>) -> Log {
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

/// Octets of the unit that the sizes are in.
const MIB: usize = 1 << 20;

pub(super) fn fetch(mut table: Table<'_>) -> Fetch {
    let allow = table.field("allow").map(|f| list_of(&f, network));
    let fetch = Fetch {
        allow: allow.unwrap_or_default(),
        max_octets: count(&mut table, "max_mib", 1..=64, 16) * MIB,
        timeout: seconds(&mut table, "timeout_s", 1, 10),
        cache_octets: count(&mut table, "cache_mib", 0..=65_536, 256) * MIB,
    };
    table.finish();
    fetch
}

pub(super) fn flow(mut table: Table<'_>) -> Flows {
    let alias = |field: &Field<'_>| {
        let both = field.string()?.split_once('=');
        let both = both.map(|(name, number)| (name.trim(), number.trim()));
        match both {
            Some((name, number)) if !name.is_empty() && !number.is_empty() => {
                Some((name.to_owned(), number.to_owned()))
            }
            _ => field.expected("\"NAME=NUMBER\" such as \"voicemail_ext=8000\""),
        }
    };
    let aliases = table.field("aliases").map(|f| list_of(&f, alias));
    table.finish();
    Flows {
        aliases: aliases.unwrap_or_default().into_iter().collect(),
    }
}

pub(super) fn run(mut table: Table<'_>) -> Run {
    let drain = seconds(&mut table, "drain_s", 0, 10);
    table.finish();
    Run { drain }
}

/// Reads `[store]`: its file is beside the folder of recordings where nothing else is said.
pub(super) fn store(mut table: Table<'_>, media: &Media) -> Store {
    let file = match table.field("file").and_then(|f| not_empty(&f)) {
        Some("memory") => None,
        Some(file) => Some(PathBuf::from(file)),
        None => Some(media.recordings_dir.with_file_name("trunkline.db")),
    };
    table.finish();
    Store { file }
}

/// Reads `[recordings]`.
pub(super) fn recordings(mut table: Table<'_>) -> Recordings {
    let keep = days(&mut table, "retention_days", 0);
    let most = count(&mut table, "max_mib", 0..=1 << 30, 0);
    table.finish();
    Recordings {
        keep,
        most_octets: (most > 0).then(|| (most * MIB) as u64),
    }
}

/// A number of days; 0 stands for ever.
fn days(table: &mut Table<'_>, key: &'static str, default: usize) -> Option<Duration> {
    let days = count(table, key, 0..=36_500, default);
    (days > 0).then(|| Duration::from_secs(days as u64 * 86_400))
}

/// Reads `[cdr]`.
pub(super) fn cdr(mut table: Table<'_>) -> Cdr {
    let file = match table.field("file").and_then(|f| not_empty(&f)) {
        None | Some("off") => None,
        Some(file) => Some(PathBuf::from(file)),
    };
    let keep = days(&mut table, "keep_days", 400);
    table.finish();
    Cdr { file, keep }
}
