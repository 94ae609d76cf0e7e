//! Owns the grammar of challenges and credentials: `Digest name=value, name="value"` (RFC 7616 §3.3, §3.4).

use std::borrow::Cow;

use crate::lex::{find_outside, is_token, split_once, trim, trim_start};

/// Most parameters of one field.
const MAX_PARAMETERS: usize = 32;

/// The parameters of one challenge or credentials field.
pub(super) struct Fields<'a>(Vec<(&'a [u8], &'a [u8])>);

impl<'a> Fields<'a> {
    /// Reads a header value. `None` when the scheme is not Digest; the rule when the parameters cannot be read.
    pub(super) fn parse(value: &'a [u8]) -> Option<Result<Self, &'static str>> {
        let value = trim(value);
        let end = value
            .iter()
            .position(|octet| crate::lex::is_lws(*octet))
            .unwrap_or(value.len());
        let (scheme, rest) = value.split_at(end);
        scheme
            .eq_ignore_ascii_case(b"Digest")
            .then(|| Self::parameters(trim_start(rest)))
    }

    fn parameters(text: &'a [u8]) -> Result<Self, &'static str> {
        let mut all: Vec<(&[u8], &[u8])> = Vec::with_capacity(12);
        let mut rest = Some(text);
        while let Some(text) = rest {
            let item = match find_outside(text, b',', false) {
                Some(at) => {
                    rest = Some(&text[at + 1..]);
                    &text[..at]
                }
                None => {
                    rest = None;
                    text
                }
            };
            let item = trim(item);
            if item.is_empty() {
                continue;
            }
            let (name, value) = split_once(item, b'=');
            let (name, value) = (trim(name), trim(value.unwrap_or_default()));
            if !is_token(name) || !is_value(value) {
                return Err("a digest parameter is not name=value");
            }
            if all
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(name))
            {
                return Err("a digest parameter stands twice");
            }
            if all.len() == MAX_PARAMETERS {
                return Err("more than 32 digest parameters");
            }
            all.push((name, value));
        }
        Ok(Self(all))
    }

    /// The value of a parameter: quotes removed, escapes undone.
    pub(super) fn value(&self, name: &str) -> Option<Cow<'a, [u8]>> {
        let (_, value) = self
            .0
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))?;
        Some(unquoted(value))
    }
}

/// A token, or a quoted string that ends where the value ends.
fn is_value(value: &[u8]) -> bool {
    match value {
        [b'"', ..] => crate::lex::after_quoted(value, 0) == Some(value.len()),
        // Wider than a token: senders leave the quotes off URIs and base64 nonces.
        _ => {
            !value.is_empty()
                && value
                    .iter()
                    .all(|octet| octet.is_ascii_graphic() && *octet != b'"')
        }
    }
}

fn unquoted(value: &[u8]) -> Cow<'_, [u8]> {
    let [b'"', inner @ .., b'"'] = value else {
        return Cow::Borrowed(value);
    };
    if memchr::memchr(b'\\', inner).is_none() {
        return Cow::Borrowed(inner);
    }
    let mut plain = Vec::with_capacity(inner.len());
    let mut octets = inner.iter();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' => plain.extend(octets.next()),
            octet => plain.push(*octet),
        }
    }
    Cow::Owned(plain)
}

/// A quoted string with this content; `None` when the content has control characters, which could end the line.
pub(super) fn quoted(content: &[u8]) -> Option<Vec<u8>> {
    if content.iter().any(|octet| *octet < b' ' || *octet == 0x7f) {
        return None;
    }
    let mut text = Vec::with_capacity(content.len() + 2);
    text.push(b'"');
    for octet in content {
        if matches!(octet, b'"' | b'\\') {
            text.push(b'\\');
        }
        text.push(*octet);
    }
    text.push(b'"');
    Some(text)
}
