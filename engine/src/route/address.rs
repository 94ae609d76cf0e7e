//! Writes names and numbers as SIP addresses, whatever they hold.
//!
//! Limit: [`MAX_NAME`] characters of a display name.

use trunkline_sip::NameAddr;

/// Longest display name, characters.
const MAX_NAME: usize = 80;
/// RFC 3323 §4.1.1.3.
pub(crate) const ANONYMOUS: &str = "\"Anonymous\" <sip:anonymous@anonymous.invalid>";

/// `"Name" <sip:user@host>`; the name is quoted, the user escaped.
pub(crate) fn name_addr(name: Option<&str>, user: &str, host: &str) -> String {
    let uri = format!("<sip:{}@{host}>", escaped(user));
    match name.map(quoted).filter(|name| name.len() > 2) {
        Some(name) => format!("{name} {uri}"),
        None => uri,
    }
}

/// Host and port of an address; `None` where it has none that is anybody's.
pub(crate) fn domain_of(address: &str) -> Option<String> {
    let address = NameAddr::parse(address.as_bytes()).ok()?;
    let host = address.uri.host_text();
    match (host.as_str(), address.uri.port) {
        ("" | "anonymous.invalid", _) => None,
        (_, Some(port)) => Some(format!("{host}:{port}")),
        (_, None) => Some(host),
    }
}

/// A quoted-string (RFC 3261 §25.1): control characters are left out, since they would end the header.
fn quoted(name: &str) -> String {
    let mut quoted = String::with_capacity(name.len() + 2);
    quoted.push('"');
    for char in name
        .chars()
        .filter(|char| !char.is_control())
        .take(MAX_NAME)
    {
        if matches!(char, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(char);
    }
    quoted.push('"');
    quoted
}

/// The user part of a SIP URI (RFC 3261 §25.1): everything else is percent-escaped.
pub(crate) fn escaped(user: &str) -> String {
    let mut text = String::with_capacity(user.len());
    for byte in user.bytes() {
        match byte {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => text.push(char::from(byte)),
            b'-' | b'_' | b'.' | b'!' | b'~' | b'*' | b'\'' | b'(' | b')' | b'+' => {
                text.push(char::from(byte));
            }
            _ => text.push_str(&format!("%{byte:02X}")),
        }
    }
    text
}
