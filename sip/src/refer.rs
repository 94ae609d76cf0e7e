//! Owns what a transfer is written in: Refer-To (RFC 3515), Replaces (RFC 3891), Referred-By (RFC 3892) and the
//! `message/sipfrag` body that reports progress (RFC 3420). It decides nothing about who may transfer whom.
//!
//! Limits: one Refer-To, 16 headers in its URI; a sipfrag of 8,192 octets.

use std::borrow::Cow;
use std::fmt;

use crate::header::HeaderId;
use crate::lex::{is_token, split_once, trim};
use crate::limits::MAX_HEADER_LINE;
use crate::message::{Frame, StartLine};
use crate::name_addr::NameAddr;
use crate::params::Params;
use crate::uri::{Scheme, Uri, percent_decoded};

/// The Content-Type of a progress report (RFC 3515 §2.4.5).
pub const SIPFRAG: &str = "message/sipfrag;version=2.0";

/// Most headers in the URI of a Refer-To.
const MAX_URI_HEADERS: usize = 16;

/// Why a Refer-To, Replaces or Referred-By cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferError {
    /// The status that says so: 400, or 416 for a scheme we do not call.
    pub status: u16,
    /// The rule.
    pub rule: &'static str,
}

impl fmt::Display for ReferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.rule)
    }
}

impl std::error::Error for ReferError {}

fn bad(rule: &'static str) -> ReferError {
    ReferError { status: 400, rule }
}

/// Where a Refer-To sends us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferTarget {
    /// The URI to call, without the headers it carried and without a `method` parameter.
    pub uri: String,
    /// The dialog whose place the new call takes (attended transfer).
    pub replaces: Option<Replaces>,
}

impl ReferTarget {
    /// Reads the Refer-To of a REFER.
    ///
    /// # Errors
    /// There is none or more than one (RFC 3515 §2.1), it is no sip, sips or tel URI, it asks for another method than
    /// INVITE, or its Replaces cannot be read. Other headers in the URI are ignored: nobody is told to send what a
    /// stranger wrote.
    pub fn parse(request: &Frame<'_>) -> Result<Self, ReferError> {
        let mut values = request.values(HeaderId::ReferTo);
        let value = values.next().ok_or(bad("Refer-To is missing"))?;
        if values.next().is_some() {
            return Err(bad("more than one Refer-To"));
        }
        Self::from_value(value)
    }

    /// Reads one Refer-To value.
    ///
    /// # Errors
    /// As [`ReferTarget::parse`].
    pub fn from_value(value: &[u8]) -> Result<Self, ReferError> {
        let address = NameAddr::parse(value).map_err(|error| bad(error.0))?;
        let uri = address.uri;
        if matches!(uri.scheme, Scheme::Other(_)) {
            return Err(ReferError {
                status: 416,
                rule: "Refer-To is not a sip, sips or tel URI",
            });
        }
        let method = uri.params.value("method");
        if method.is_some_and(|method| method != b"INVITE") {
            return Err(bad("Refer-To asks for another method than INVITE"));
        }
        Ok(Self {
            uri: without_headers(&uri)?,
            replaces: uri.headers.map(replaces_in).transpose()?.flatten(),
        })
    }

    /// The Refer-To value. `None` when the URI is not fit for one.
    pub fn value(&self) -> Option<String> {
        let uri = Uri::parse(self.uri.as_bytes()).ok()?;
        let Some(replaces) = &self.replaces else {
            return Some(format!("<{uri}>"));
        };
        let joint = if uri.headers.is_some() { '&' } else { '?' };
        Some(format!(
            "<{uri}{joint}Replaces={}>",
            escaped(&replaces.to_string())
        ))
    }
}

/// The URI without `?...` and `;method=...`.
fn without_headers(uri: &Uri<'_>) -> Result<String, ReferError> {
    let raw = std::str::from_utf8(uri.as_bytes()).map_err(|_| bad("Refer-To is not UTF-8"))?;
    let Some(headers) = uri.headers else {
        return Ok(without_method(raw, uri));
    };
    let end = raw.len() - headers.len() - 1;
    Ok(without_method(&raw[..end], uri))
}

fn without_method(raw: &str, uri: &Uri<'_>) -> String {
    if !uri.params.has("method") {
        return raw.to_owned();
    }
    let is_method = |part: &&str| {
        !part
            .split('=')
            .next()
            .unwrap_or_default()
            .eq_ignore_ascii_case("method")
    };
    let (user, host) = raw
        .split_once('@')
        .map_or(("", raw), |(user, host)| (user, host));
    let host: Vec<&str> = host.split(';').filter(is_method).collect();
    match user {
        "" => host.join(";"),
        user => format!("{user}@{}", host.join(";")),
    }
}

/// The Replaces among the headers of a URI.
fn replaces_in(headers: &[u8]) -> Result<Option<Replaces>, ReferError> {
    let mut found = None;
    for (count, header) in headers.split(|octet| *octet == b'&').enumerate() {
        if count == MAX_URI_HEADERS {
            return Err(bad("more than 16 headers in the URI of Refer-To"));
        }
        let (name, value) = split_once(header, b'=');
        if !percent_decoded(name).eq_ignore_ascii_case(b"Replaces") {
            continue;
        }
        if found.is_some() {
            return Err(bad("Replaces stands twice"));
        }
        let value = percent_decoded(value.unwrap_or_default());
        found = Some(Replaces::parse(&value)?);
    }
    Ok(found)
}

/// `hvalue` of RFC 3261 §25.1: everything else as `%XX`.
fn escaped(text: &str) -> String {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.!~*'()[]/?:+$".contains(&octet);
    text.bytes()
        .fold(String::with_capacity(text.len() * 2), |mut all, octet| {
            match plain(octet) {
                true => all.push(char::from(octet)),
                false => all.push_str(&format!("%{octet:02X}")),
            }
            all
        })
}

/// A dialog that is to be replaced, named as the receiver of the new INVITE sees it (RFC 3891 §6.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of the receiver of the INVITE.
    pub to_tag: String,
    /// The tag of the other side.
    pub from_tag: String,
    /// Only while nobody answered.
    pub early_only: bool,
}

impl Replaces {
    /// Reads a header value.
    ///
    /// # Errors
    /// No Call-ID, not exactly one `to-tag` and one `from-tag` (RFC 3891 §6.1), or a part that no header may hold.
    pub fn parse(value: &[u8]) -> Result<Self, ReferError> {
        let (call_id, params) = split_once(value, b';');
        let params = Params(params.unwrap_or_default());
        let (call_id, to_tag, from_tag) = (
            word(trim(call_id)).ok_or(bad("Replaces has no Call-ID"))?,
            only(&params, "to-tag").ok_or(bad("Replaces needs one to-tag"))?,
            only(&params, "from-tag").ok_or(bad("Replaces needs one from-tag"))?,
        );
        Ok(Self {
            call_id,
            to_tag,
            from_tag,
            early_only: params.has("early-only"),
        })
    }

    /// The Replaces header of an INVITE; `None` when there is none.
    ///
    /// # Errors
    /// More than one (RFC 3891 §3), or one that cannot be read.
    pub fn of(request: &Frame<'_>) -> Result<Option<Self>, ReferError> {
        let Some(value) = request.header(HeaderId::Replaces) else {
            return Ok(None);
        };
        if request.field_count(HeaderId::Replaces) > 1 {
            return Err(bad("more than one Replaces"));
        }
        Self::parse(value).map(Some)
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            call_id,
            to_tag,
            from_tag,
            early_only,
        } = self;
        write!(f, "{call_id};to-tag={to_tag};from-tag={from_tag}")?;
        match early_only {
            true => f.write_str(";early-only"),
            false => Ok(()),
        }
    }
}

/// The only parameter of this name, which must be a token: one that stands twice is read differently by different people.
fn only(params: &Params<'_>, name: &str) -> Option<String> {
    let mut all = params
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name.as_bytes()));
    let (_, value) = all.next()?;
    let value = value.filter(|value| is_token(value))?;
    all.next().is_none().then(|| text(value))?
}

/// A Call-ID: no white space, no separators that would end it in a header.
fn word(octets: &[u8]) -> Option<String> {
    let fits = |octet: &u8| octet.is_ascii_graphic() && !matches!(octet, b';' | b',' | b'"');
    (!octets.is_empty() && octets.iter().all(fits)).then(|| text(octets))?
}

fn text(octets: &[u8]) -> Option<String> {
    std::str::from_utf8(octets).ok().map(str::to_owned)
}

/// Who asked for the transfer, as a value fit to be passed on; `None` when the request does not say.
///
/// # Errors
/// More than one (RFC 3892 §3), or one that is no address.
pub fn referred_by(request: &Frame<'_>) -> Result<Option<String>, ReferError> {
    let mut values = request.values(HeaderId::ReferredBy);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(bad("more than one Referred-By"));
    }
    let address = NameAddr::parse(value).map_err(|error| bad(error.0))?;
    Ok(Some(format!("<{}>", address.uri)))
}

/// The status a `message/sipfrag` body reports; `None` when it begins with no status line.
pub fn sipfrag_status(body: &[u8]) -> Option<u16> {
    let line = split_once(body.get(..body.len().min(MAX_HEADER_LINE))?, b'\n').0;
    // A fragment may end with its first line, or without a line end at all (RFC 3420 §2.1).
    let whole: Cow<'_, [u8]> = [line.strip_suffix(b"\r").unwrap_or(line), b"\r\n\r\n"]
        .concat()
        .into();
    match Frame::parse(&whole).ok()?.start() {
        StartLine::Response { status, .. } => Some(status),
        StartLine::Request { .. } => None,
    }
}

/// A `message/sipfrag` body that reports `status`; control characters of the phrase become spaces.
pub fn sipfrag(status: u16, phrase: &str) -> Vec<u8> {
    let phrase: String = phrase
        .chars()
        .map(|sign| if sign.is_control() { ' ' } else { sign })
        .collect();
    format!("SIP/2.0 {status} {phrase}\r\n").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(value: &str) -> Result<ReferTarget, ReferError> {
        ReferTarget::from_value(value.as_bytes())
    }

    fn replaces() -> Replaces {
        Replaces {
            call_id: "425928@bobster.example.org".into(),
            to_tag: "7743".into(),
            from_tag: "6472".into(),
            early_only: false,
        }
    }

    // RFC 3891 §6.1, RFC 5589 §7.
    #[test]
    fn the_examples_of_the_standards() {
        let value = b"425928@bobster.example.org;to-tag=7743;from-tag=6472";
        assert_eq!(Replaces::parse(value), Ok(replaces()));
        let early = b"98732@sip.example.com\r\n ;from-tag=r33th4x0r\r\n ;to-tag=ff87ff;early-only";
        let early = Replaces::parse(early).unwrap();
        assert!(
            early.early_only
                && early.to_tag == "ff87ff"
                && early.call_id == "98732@sip.example.com"
        );

        let attended = "<sips:3ld812adkjw@biloxi.example.com;gr=3413kj2ha?Replaces=425928%40bobster.example.org%3Bto-tag%3D7743%3Bfrom-tag%3D6472>";
        let attended = target(attended).unwrap();
        assert_eq!(
            attended.uri,
            "sips:3ld812adkjw@biloxi.example.com;gr=3413kj2ha"
        );
        assert_eq!(attended.replaces, Some(replaces()));
        assert_eq!(target(&attended.value().unwrap()), Ok(attended));
    }

    #[test]
    fn refer_to_forms() {
        let table = [
            ("sip:bob@example.com", "sip:bob@example.com"),
            (
                "\"Bob\" <sip:bob@example.com;user=phone>;x=y",
                "sip:bob@example.com;user=phone",
            ),
            (
                "<sip:bob@example.com;method=INVITE;user=phone?Subject=hi&Accept-Contact=x>",
                "sip:bob@example.com;user=phone",
            ),
            ("<tel:+4930123;method=INVITE>", "tel:+4930123"),
            ("<sip:a;method=x@example.com>", "sip:a;method=x@example.com"),
        ];
        for (value, uri) in table {
            let read = target(value).unwrap_or_else(|error| panic!("{value}: {error}"));
            assert_eq!((read.uri.as_str(), read.replaces), (uri, None), "{value}");
        }
    }

    #[test]
    fn refer_to_refused() {
        let many = format!("<sip:a@b?{}>", vec!["x=y"; 20].join("&"));
        let table = [
            ("", 400),
            ("<http://example.com/>", 416),
            ("<file:///etc/passwd>", 416),
            ("<sip:a@b;method=BYE>", 400),
            ("<sip:a@b;method=invite>", 400),
            ("<sip:a@b?Replaces=x>", 400),
            ("<sip:a@b?Replaces=x%3Bto-tag=1>", 400),
            (
                "<sip:a@b?Replaces=x%3Bto-tag=1%3Bto-tag=2%3Bfrom-tag=3>",
                400,
            ),
            (
                "<sip:a@b?Replaces=x%0D%0AEvil:1%3Bto-tag=1%3Bfrom-tag=3>",
                400,
            ),
            (
                "<sip:a@b?Replaces=x%3Bto-tag=1%0D%0AEvil:2%3Bfrom-tag=3>",
                400,
            ),
            (
                "<sip:a@b?Replaces=x%3Bto-tag=1%3Bfrom-tag=3&Replaces=x%3Bto-tag=1%3Bfrom-tag=3>",
                400,
            ),
            (&many, 400),
        ];
        for (value, status) in table {
            assert_eq!(
                target(value).map_err(|error| error.status),
                Err(status),
                "{value}"
            );
        }
    }

    #[test]
    fn headers_that_may_stand_only_once() {
        let with = |lines: &str| {
            let text = format!("REFER sip:a@b SIP/2.0\r\n{lines}\r\n\r\n");
            let frame = Frame::parse(text.as_bytes()).unwrap();
            (
                ReferTarget::parse(&frame)
                    .map(|target| target.uri)
                    .map_err(|error| error.rule),
                referred_by(&frame).map_err(|error| error.rule),
                Replaces::of(&frame)
                    .map(|replaces| replaces.is_some())
                    .map_err(|error| error.rule),
            )
        };
        assert_eq!(
            with("X: y"),
            (Err("Refer-To is missing"), Ok(None), Ok(false))
        );
        assert_eq!(
            with("r: sip:c@d\r\nb: \"N\" <sip:e@f>;cid=\"x\"\r\nReplaces: x;to-tag=1;from-tag=2"),
            (Ok("sip:c@d".into()), Ok(Some("<sip:e@f>".into())), Ok(true))
        );
        assert_eq!(
            with(
                "Refer-To: sip:c@d, sip:e@f\r\nReferred-By: sip:a@b\r\nb: sip:a@b\r\nReplaces: x\r\nReplaces: y"
            ),
            (
                Err("more than one Refer-To"),
                Err("more than one Referred-By"),
                Err("more than one Replaces")
            )
        );
    }

    #[test]
    fn fragments() {
        for (body, status) in [
            ("SIP/2.0 200 OK", Some(200)),
            ("SIP/2.0 100 Trying\r\n", Some(100)),
            (
                "SIP/2.0 503 Service Unavailable\r\nRetry-After: 3\r\n",
                Some(503),
            ),
            ("SIP/2.0 603\r\n", Some(603)),
            ("SIP/2.0 603 \n", Some(603)),
            ("INVITE sip:a@b SIP/2.0\r\n", None),
            ("SIP/2.0 99 x\r\n", None),
            ("", None),
            ("Subject: x\r\n", None),
        ] {
            assert_eq!(sipfrag_status(body.as_bytes()), status, "{body}");
        }
        assert_eq!(
            sipfrag(486, "Busy\r\nEvil: x"),
            b"SIP/2.0 486 Busy  Evil: x\r\n"
        );
        assert_eq!(sipfrag_status(&sipfrag(200, "OK")), Some(200));
    }
}
