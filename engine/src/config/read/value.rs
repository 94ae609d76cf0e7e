//! Values that several sections have in common.
use super::{Field, Table};
use crate::config::types::HostPort;
use crate::config::{Network, NetworkError};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::time::Duration;

/// A day in seconds: the longest time any key accepts.
pub(super) const DAY: i64 = 86_400;
/// The longest name of a trunk, endpoint or group, in characters.
const MAX_NAME: usize = 64;

pub(super) fn address(field: &Field<'_>) -> Option<IpAddr> {
    let parsed = field.string()?.parse().ok();
    parsed.or_else(|| field.expected("an IP address such as \"192.0.2.1\" or \"2001:db8::1\""))
}

/// A network of an access list.
pub(super) fn network(field: &Field<'_>) -> Option<Network> {
    match field.string()?.parse() {
        Ok(network) => Some(network),
        Err(NetworkError::HostBits) => field.expected(
            "a network whose address ends where its bits end, such as \"203.0.113.0/24\"",
        ),
        Err(NetworkError::Form | NetworkError::Bits) => field
            .expected("an IP address or network such as \"203.0.113.0/24\" or \"2001:db8::/32\""),
    }
}

pub(super) fn own_address(field: &Field<'_>) -> Option<IpAddr> {
    let address = address(field)?;
    if address.is_unspecified() || address.is_multicast() {
        return field.expected("the IP address of one machine, to which others can send");
    }
    Some(address)
}

/// A host with an optional port: `203.0.113.1`, `sip.example.com:5061`, `[2001:db8::1]:5060`.
pub(super) fn host_port(field: &Field<'_>) -> Option<HostPort> {
    let found = split_host_port(field.string()?).filter(|found| {
        let address = found.host.parse::<IpAddr>().ok();
        !address.is_some_and(|address| address.is_unspecified() || address.is_multicast())
    });
    found.or_else(|| {
        field.expected("the name or IP address of one machine, to which others can send, with or without \":PORT\"")
    })
}

/// Splits text into host and port; `None` where it is neither name nor address.
pub(super) fn split_host_port(text: &str) -> Option<HostPort> {
    if let Ok(address) = text.parse::<IpAddr>() {
        let host = address.to_string();
        return Some(HostPort { host, port: None });
    }
    if let Some(rest) = text.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        let host = host.parse::<std::net::Ipv6Addr>().ok()?.to_string();
        let port = match port {
            "" => None,
            port => Some(port_number(port.strip_prefix(':')?)?),
        };
        return Some(HostPort { host, port });
    }
    let (host, port) = match text.split_once(':') {
        None => (text, None),
        Some((host, port)) => (host, Some(port_number(port)?)),
    };
    is_host(host).then(|| HostPort {
        host: host.to_ascii_lowercase(),
        port,
    })
}

fn port_number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|port| digits && *port > 0)
}

/// A name of RFC 1123 §2.1, or an IPv4 address. A last label of digits only is an address or a slip.
fn is_host(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    let name = text.strip_suffix('.').unwrap_or(text);
    let numeric = name
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    name.len() <= 253 && name.split('.').all(label) && (!numeric || name.parse::<IpAddr>().is_ok())
}

pub(super) fn not_empty<'a>(field: &Field<'a>) -> Option<&'a str> {
    match field.string()? {
        "" => field.expected("text that is not empty"),
        text => Some(text),
    }
}

/// The key of a prompt: a path from the file's folder on, or `builtin:` and a name.
pub(super) fn key_of(text: &str, base: &Path) -> String {
    match text.starts_with("builtin:") {
        true => text.to_owned(),
        false => base.join(text).display().to_string(),
    }
}

/// The name of a trunk, endpoint or group: it stands in SIP addresses and in log lines.
pub(super) fn name<'a>(field: &Field<'a>) -> Option<&'a str> {
    let text = field.string()?;
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.+".contains(&byte);
    if (1..=MAX_NAME).contains(&text.len()) && text.bytes().all(fits) {
        return Some(text);
    }
    field.expected("a name of 1 to 64 letters, digits, \"-\", \"_\", \".\" or \"+\"")
}

/// Text of at most 128 printable characters without quotes or angle brackets: fit for a header.
pub(super) fn header_text<'a>(field: &Field<'a>) -> Option<&'a str> {
    let text = not_empty(field)?;
    let unfit = |char: char| char.is_control() || "\"<>\\".contains(char);
    if text.chars().count() <= 128 && !text.contains(unfit) {
        return Some(text);
    }
    field
        .expected("at most 128 printable characters without quotes, backslashes and angle brackets")
}

/// A list of texts, each checked by `item`; each once.
pub(super) fn list_of<'a, T: PartialEq>(
    field: &Field<'a>,
    item: impl Fn(&Field<'a>) -> Option<T>,
) -> Vec<T> {
    let mut found = Vec::new();
    for each in field.list().unwrap_or_default() {
        let Some(value) = item(&each) else { continue };
        if found.contains(&value) {
            each.error("is given twice");
            continue;
        }
        found.push(value);
    }
    found
}

/// The beginning of a number: digits, perhaps after a `+`.
pub(super) fn prefix(field: &Field<'_>) -> Option<String> {
    let text = field.string()?;
    let digits = text.strip_prefix('+').unwrap_or(text);
    let fits = |byte: u8| byte.is_ascii_digit() || byte == b'*' || byte == b'#';
    if text.len() <= 32 && !text.is_empty() && digits.bytes().all(fits) {
        return Some(text.to_owned());
    }
    field.expected("the beginning of a number such as \"+49\" or \"00\"")
}

pub(super) fn count(
    table: &mut Table<'_>,
    key: &'static str,
    range: RangeInclusive<i64>,
    default: usize,
) -> usize {
    let given = table.field(key).and_then(|f| f.integer(range));
    given.map_or(default, |number| number as usize)
}

/// A whole number in a range; `None` where it is absent.
pub(super) fn optional_count(
    table: &mut Table<'_>,
    key: &'static str,
    range: RangeInclusive<i64>,
) -> Option<usize> {
    let given = table.field(key).and_then(|f| f.integer(range));
    given.map(|number| number as usize)
}

/// `true` or `false`.
pub(super) fn flag(table: &mut Table<'_>, key: &'static str, default: bool) -> bool {
    table
        .field(key)
        .and_then(|f| f.boolean())
        .unwrap_or(default)
}

pub(super) fn seconds(
    table: &mut Table<'_>,
    key: &'static str,
    least: i64,
    default: u64,
) -> Duration {
    let given = table.field(key).and_then(|f| f.integer(least..=DAY));
    Duration::from_secs(given.map_or(default, |number| number as u64))
}

/// A time of which 0 means none.
pub(super) fn seconds_or_none(
    table: &mut Table<'_>,
    key: &'static str,
    default: u64,
) -> Option<Duration> {
    Some(seconds(table, key, 0, default)).filter(|time| !time.is_zero())
}
