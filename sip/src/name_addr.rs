//! `"Display" <uri>;params` as in From, To, Contact, Route, Record-Route, Refer-To (RFC 3261 section 20.10).

use std::borrow::Cow;

use crate::lex::{after_quoted, quotes_close, split_once, trim};
use crate::params::Params;
use crate::uri::{Uri, UriError};

/// An address with an optional display name and the parameters of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The display name without its quotes, escapes and folds kept; see [`NameAddr::display_text`].
    pub display: Option<&'a [u8]>,
    /// The address.
    pub uri: Uri<'a>,
    /// Header parameters (`tag`, `expires`, `q` ...), not those of the URI.
    pub params: Params<'a>,
}

impl<'a> NameAddr<'a> {
    /// Reads one value: `name-addr` with parameters, or a bare URI whose `;` parameters belong to the header.
    pub fn parse(value: &'a [u8]) -> Result<Self, UriError> {
        let value = trim(value);
        let (display, rest) = match value {
            [b'"', ..] => {
                let close =
                    after_quoted(value, 0).ok_or(UriError("display name quote is not closed"))?;
                let rest = trim(&value[close..]);
                if rest.first() != Some(&b'<') {
                    return Err(UriError("no < after the display name"));
                }
                (Some(&value[1..close - 1]), rest)
            }
            _ => match memchr::memchr(b'<', value) {
                Some(open) => (
                    Some(trim(&value[..open])).filter(|name| !name.is_empty()),
                    &value[open..],
                ),
                None => return Self::parse_bare(value),
            },
        };
        let inner = &rest[1..];
        let close = memchr::memchr(b'>', inner).ok_or(UriError("< is not closed"))?;
        let params = trim(&inner[close + 1..]);
        if !params.is_empty() && params[0] != b';' {
            return Err(UriError("text after >"));
        }
        Ok(Self {
            display,
            uri: Uri::parse(trim(&inner[..close]))?,
            params: Self::params(params)?,
        })
    }

    fn parse_bare(value: &'a [u8]) -> Result<Self, UriError> {
        let (uri, params) = split_once(value, b';');
        let uri = trim(uri);
        // RFC 3261 section 20: a URI with a question mark must stand in angle brackets.
        if memchr::memchr(b'?', uri).is_some() {
            return Err(UriError("URI with ? must stand in < >"));
        }
        Ok(Self {
            display: None,
            uri: Uri::parse(uri)?,
            params: Self::params(params.unwrap_or_default())?,
        })
    }

    /// A tag may be appended to them.
    fn params(text: &'a [u8]) -> Result<Params<'a>, UriError> {
        match quotes_close(text) {
            true => Ok(Params(text)),
            false => Err(UriError("quote in a parameter is not closed")),
        }
    }

    /// The `tag` parameter, when it has a value.
    pub fn tag(&self) -> Option<&'a [u8]> {
        self.params.value("tag").filter(|tag| !tag.is_empty())
    }

    /// The display name for people: escapes undone, folds to one space, invalid UTF-8 replaced.
    pub fn display_text(&self) -> Option<String> {
        let raw = self.display?;
        let raw: Cow<'_, [u8]> = if memchr::memchr3(b'\\', b'\r', b'\n', raw).is_some() {
            unescaped(raw).into()
        } else {
            raw.into()
        };
        Some(String::from_utf8_lossy(&raw).into_owned())
    }
}

fn unescaped(raw: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(raw.len());
    let mut octets = raw.iter().copied();
    while let Some(octet) = octets.next() {
        match octet {
            b'\\' => plain.extend(octets.next()),
            b'\r' | b'\n' => {}
            _ => plain.push(octet),
        }
    }
    plain
}

/// One value of a Contact header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact<'a> {
    /// `Contact: *`, which a REGISTER with Expires 0 uses to remove all bindings.
    Star,
    /// An address.
    Address(NameAddr<'a>),
}

impl<'a> Contact<'a> {
    /// Reads one value of the list.
    pub fn parse(value: &'a [u8]) -> Result<Self, UriError> {
        if trim(value) == b"*" {
            Ok(Self::Star)
        } else {
            NameAddr::parse(value).map(Self::Address)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::uri::Scheme;

    fn address(text: &str) -> NameAddr<'_> {
        NameAddr::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn forms() {
        let quoted = address(r#""A. \"Al\" B, C <x>" <sip:a@b;p=1>;tag=77"#);
        assert_eq!(
            quoted.display_text().as_deref(),
            Some(r#"A. "Al" B, C <x>"#)
        );
        assert_eq!(quoted.tag(), Some(&b"77"[..]));
        assert!(quoted.uri.params.has("p"));
        assert!(!quoted.params.has("p"));

        let tokens = address("Alice Smith <sip:a@b> ; tag = x");
        assert_eq!(tokens.display, Some(&b"Alice Smith"[..]));
        assert_eq!(tokens.tag(), Some(&b"x"[..]));

        let bare = address("sip:a@b;tag=9");
        assert_eq!((bare.display, bare.tag()), (None, Some(&b"9"[..])));
        assert_eq!(bare.uri.as_bytes(), b"sip:a@b");

        assert_eq!(address("<tel:+123>").uri.scheme, Scheme::Tel);
        assert_eq!(address("\"\"<sip:a@b>").display, Some(&b""[..]));
        assert_eq!(
            address("\"a\r\n b\"\r\n <sip:a@b>")
                .display_text()
                .as_deref(),
            Some("a b")
        );
    }

    #[test]
    fn refused() {
        for bad in [
            "",
            "\"open <sip:a@b>",
            "<sip:a@b",
            "\"x\" sip:a@b",
            "<sip:a@b> trailing",
            "sip:a@b?x=y",
            "<>",
            "*",
            "<*>",
        ] {
            assert!(NameAddr::parse(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn star_is_not_a_domain() {
        assert_eq!(Contact::parse(b" * "), Ok(Contact::Star));
        assert!(matches!(
            Contact::parse(b"<sip:a@b>"),
            Ok(Contact::Address(_))
        ));
    }
}
