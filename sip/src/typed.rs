//! The headers a user agent acts on, read when asked for. One accessor per header on [`Frame`], each with the rule it
//! enforces; nothing is cached.

use std::fmt;

use crate::header::HeaderId;
use crate::lex::{decimal, is_lws, is_token, split_once, trim};
use crate::limits::{CSEQ_LIMIT, MAX_MAX_FORWARDS};
use crate::message::Frame;
use crate::method::Method;
use crate::name_addr::{Contact, NameAddr};
use crate::params::Params;
use crate::uri::UriError;
use crate::via::Via;

/// A header that is missing or cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderError {
    /// Which header.
    pub header: HeaderId,
    /// What is wrong with it; `"missing"` when it is not there.
    pub rule: &'static str,
}

impl HeaderError {
    /// Whether the header is not there at all.
    pub fn is_missing(&self) -> bool {
        self.rule == MISSING
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.header.name(), self.rule)
    }
}

impl std::error::Error for HeaderError {}

const MISSING: &str = "missing";

/// CSeq, RFC 3261 section 20.16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Sequence number, below 2^31.
    pub number: u32,
    /// Method.
    pub method: Method<'a>,
}

/// One value of a Reason header, RFC 3326.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason<'a> {
    /// `SIP`, `Q.850` or another protocol.
    pub protocol: &'a [u8],
    /// The cause number.
    pub cause: Option<u16>,
    /// The text without quotes, escapes kept.
    pub text: Option<&'a [u8]>,
    /// All parameters.
    pub params: Params<'a>,
}

/// A media type, as in Content-Type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaType<'a> {
    /// Type, as written.
    pub main: &'a [u8],
    /// Subtype, as written.
    pub sub: &'a [u8],
    /// Parameters (`boundary`, `charset`).
    pub params: Params<'a>,
}

impl<'a> MediaType<'a> {
    /// Reads a Content-Type value; `None` when it is not `type/subtype`.
    pub fn parse(value: &'a [u8]) -> Option<Self> {
        let (types, params) = split_once(value, b';');
        let (main, sub) = split_once(types, b'/');
        let (main, sub) = (trim(main), trim(sub.unwrap_or_default()));
        (is_token(main) && is_token(sub)).then(|| Self {
            main,
            sub,
            params: Params(params.unwrap_or_default()),
        })
    }

    /// Whether this is `main/sub`, ASCII case ignored.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main.eq_ignore_ascii_case(main.as_bytes())
            && self.sub.eq_ignore_ascii_case(sub.as_bytes())
    }
}

/// Retry-After, RFC 3261 section 20.33.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryAfter<'a> {
    /// Seconds to wait.
    pub seconds: u32,
    /// Parameters (`duration`).
    pub params: Params<'a>,
}

impl<'a> Frame<'a> {
    fn required(&self, id: HeaderId) -> Result<&'a [u8], HeaderError> {
        self.header(id).ok_or(HeaderError {
            header: id,
            rule: MISSING,
        })
    }

    /// The Via of the hop that sent the message here.
    pub fn top_via(&self) -> Result<Via<'a>, HeaderError> {
        let id = HeaderId::Via;
        let value = self.values(id).next().ok_or(HeaderError {
            header: id,
            rule: MISSING,
        })?;
        Via::parse(value).map_err(wrong(id))
    }

    /// From.
    pub fn from(&self) -> Result<NameAddr<'a>, HeaderError> {
        NameAddr::parse(self.required(HeaderId::From)?).map_err(wrong(HeaderId::From))
    }

    /// To.
    pub fn to(&self) -> Result<NameAddr<'a>, HeaderError> {
        NameAddr::parse(self.required(HeaderId::To)?).map_err(wrong(HeaderId::To))
    }

    /// Call-ID: one word.
    pub fn call_id(&self) -> Result<&'a [u8], HeaderError> {
        let value = self.required(HeaderId::CallId)?;
        if value.is_empty() || value.iter().any(|&octet| octet <= b' ' || octet == 0x7f) {
            return Err(HeaderError {
                header: HeaderId::CallId,
                rule: "is not one word",
            });
        }
        Ok(value)
    }

    /// CSeq.
    pub fn cseq(&self) -> Result<CSeq<'a>, HeaderError> {
        let fail = |rule| HeaderError {
            header: HeaderId::Cseq,
            rule,
        };
        let value = self.required(HeaderId::Cseq)?;
        let end = value
            .iter()
            .position(|&octet| is_lws(octet))
            .ok_or(fail("is not a number and a method"))?;
        let number = decimal(&value[..end]).filter(|&number| number < CSEQ_LIMIT);
        let number = number.ok_or(fail("number is not below 2147483648"))?;
        let method = trim(&value[end..]);
        if !is_token(method) {
            return Err(fail("method is not a token"));
        }
        Ok(CSeq {
            number,
            method: Method::from_bytes(method),
        })
    }

    /// Max-Forwards, 0 to 255; `None` when absent (RFC 2543 senders).
    pub fn max_forwards(&self) -> Result<Option<u8>, HeaderError> {
        let Some(value) = self.header(HeaderId::MaxForwards) else {
            return Ok(None);
        };
        let hops = decimal(value)
            .filter(|&hops| hops <= MAX_MAX_FORWARDS)
            .and_then(|hops| u8::try_from(hops).ok());
        hops.map(Some).ok_or(HeaderError {
            header: HeaderId::MaxForwards,
            rule: "is not a number from 0 to 255",
        })
    }

    /// The first Contact address; `None` when there is no Contact. `Contact: *` is an error here, see
    /// [`Frame::contacts`].
    pub fn contact(&self) -> Result<Option<NameAddr<'a>>, HeaderError> {
        match self.contacts().next().transpose()? {
            None => Ok(None),
            Some(Contact::Address(address)) => Ok(Some(address)),
            Some(Contact::Star) => Err(HeaderError {
                header: HeaderId::Contact,
                rule: "* is for REGISTER only",
            }),
        }
    }

    /// All Contact values.
    pub fn contacts(&self) -> impl Iterator<Item = Result<Contact<'a>, HeaderError>> + use<'a, '_> {
        self.values(HeaderId::Contact)
            .map(|value| Contact::parse(value).map_err(wrong(HeaderId::Contact)))
    }

    /// Record-Route values in message order.
    pub fn record_routes(
        &self,
    ) -> impl Iterator<Item = Result<NameAddr<'a>, HeaderError>> + use<'a, '_> {
        self.addresses(HeaderId::RecordRoute)
    }

    /// Route values in message order.
    pub fn routes(&self) -> impl Iterator<Item = Result<NameAddr<'a>, HeaderError>> + use<'a, '_> {
        self.addresses(HeaderId::Route)
    }

    /// All values of a header whose values are addresses (P-Asserted-Identity, Diversion, Path ...).
    pub fn addresses(
        &self,
        id: HeaderId,
    ) -> impl Iterator<Item = Result<NameAddr<'a>, HeaderError>> + use<'a, '_> {
        self.values(id)
            .map(move |value| NameAddr::parse(value).map_err(wrong(id)))
    }

    /// Whether a token list (Require, Supported, Allow, Accept-Encoding ...) holds `token`, ASCII case ignored.
    pub fn lists(&self, id: HeaderId, token: &str) -> bool {
        self.values(id)
            .any(|value| value.eq_ignore_ascii_case(token.as_bytes()))
    }

    /// Option tags that Require (and for proxies Proxy-Require) demands and `supported` does not hold; for the
    /// Unsupported header of a 420.
    pub fn unsupported<'s>(
        &'s self,
        supported: &'s [&str],
    ) -> impl Iterator<Item = &'a [u8]> + use<'a, 's> {
        let known = |tag: &[u8]| {
            supported
                .iter()
                .any(|known| known.as_bytes().eq_ignore_ascii_case(tag))
        };
        self.values(HeaderId::Require)
            .filter(move |tag| !known(tag))
    }

    /// Content-Type; `None` when absent.
    pub fn content_type(&self) -> Result<Option<MediaType<'a>>, HeaderError> {
        let Some(value) = self.header(HeaderId::ContentType) else {
            return Ok(None);
        };
        let parsed = MediaType::parse(value);
        parsed.map(Some).ok_or(HeaderError {
            header: HeaderId::ContentType,
            rule: "is not type/subtype",
        })
    }

    /// Reason values.
    pub fn reasons(&self) -> impl Iterator<Item = Reason<'a>> + use<'a, '_> {
        self.values(HeaderId::Reason).map(|value| {
            let (protocol, params) = split_once(value, b';');
            let params = Params(params.unwrap_or_default());
            let cause = params
                .value("cause")
                .and_then(decimal)
                .and_then(|cause| u16::try_from(cause).ok());
            Reason {
                protocol: trim(protocol),
                cause,
                text: params.value("text"),
                params,
            }
        })
    }

    /// Retry-After; `None` when absent or unreadable, which a client may ignore.
    pub fn retry_after(&self) -> Option<RetryAfter<'a>> {
        let value = self.header(HeaderId::RetryAfter)?;
        let end = value
            .iter()
            .position(|octet| !octet.is_ascii_digit())
            .unwrap_or(value.len());
        let seconds = decimal(&value[..end])?;
        let params =
            memchr::memchr(b';', value).map_or(Params::default(), |at| Params(&value[at..]));
        Some(RetryAfter { seconds, params })
    }

    /// Expires in seconds; `None` when absent or malformed (RFC 3261 section 20.19 lets 3600 stand for both).
    pub fn expires(&self) -> Option<u32> {
        decimal(self.header(HeaderId::Expires)?)
    }
}

fn wrong(header: HeaderId) -> impl Fn(UriError) -> HeaderError {
    move |UriError(rule)| HeaderError { header, rule }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with these header lines.
    fn with<T>(lines: &str, read: impl FnOnce(&Frame<'_>) -> T) -> T {
        let text = format!("OPTIONS sip:a@b SIP/2.0\r\n{lines}\r\n\r\n");
        read(&Frame::parse(text.as_bytes()).unwrap())
    }

    #[test]
    fn missing_is_told_from_malformed() {
        with("X: y", |frame| {
            assert!(frame.top_via().unwrap_err().is_missing());
            assert!(frame.cseq().unwrap_err().is_missing());
            assert_eq!(frame.contact(), Ok(None));
            assert_eq!(frame.max_forwards(), Ok(None));
            assert_eq!(frame.content_type(), Ok(None));
            assert_eq!(frame.retry_after(), None);
        });
        with("CSeq: x\r\nContact: *", |frame| {
            assert!(!frame.cseq().unwrap_err().is_missing());
            assert_eq!(
                frame.contact().unwrap_err().to_string(),
                "Contact: * is for REGISTER only"
            );
        });
    }

    #[test]
    fn cseq_bounds() {
        for (value, number) in [
            ("1 ACK", Some(1)),
            ("2147483647\tACK", Some(2_147_483_647)),
            ("0\r\n ACK", Some(0)),
        ] {
            assert_eq!(
                with(&format!("CSeq: {value}"), |frame| frame
                    .cseq()
                    .ok()
                    .map(|cseq| cseq.number)),
                number
            );
        }
        for bad in [
            "",
            "1",
            "ACK",
            "2147483648 ACK",
            "-1 ACK",
            "1 A CK",
            "1ACK",
            "1 (ACK)",
        ] {
            assert!(
                with(&format!("CSeq: {bad}"), |frame| frame.cseq().is_err()),
                "{bad}"
            );
        }
    }

    #[test]
    fn reasons() {
        with(
            "Reason: Q.850 ;cause=16 ;text=\"a, b; c\", SIP;cause=abc\r\nReason: X",
            |frame| {
                let all: Vec<_> = frame.reasons().collect();
                assert_eq!(all.len(), 3);
                assert_eq!(
                    (all[0].protocol, all[0].cause, all[0].text),
                    (&b"Q.850"[..], Some(16), Some(&b"a, b; c"[..]))
                );
                assert_eq!((all[1].protocol, all[1].cause), (&b"SIP"[..], None));
            },
        );
    }

    #[test]
    fn tokens_and_option_tags() {
        with(
            "Require: 100rel, TIMER\r\nRequire: nothing\r\nAllow: INVITE,BYE",
            |frame| {
                assert!(frame.lists(HeaderId::Allow, "BYE"));
                assert!(!frame.lists(HeaderId::Allow, "INFO"));
                assert_eq!(
                    frame.unsupported(&["timer"]).collect::<Vec<_>>(),
                    [&b"100rel"[..], b"nothing"]
                );
            },
        );
    }

    #[test]
    fn media_types_and_retry_after() {
        with(
            "c: Application/SDP ; charset=x\r\nRetry-After: 120 (busy);duration=60",
            |frame| {
                assert!(
                    frame
                        .content_type()
                        .unwrap()
                        .unwrap()
                        .is("application", "sdp")
                );
                let retry = frame.retry_after().unwrap();
                assert_eq!(
                    (retry.seconds, retry.params.value("duration")),
                    (120, Some(&b"60"[..]))
                );
            },
        );
        assert!(with("c: sdp", |frame| frame.content_type().is_err()));
        assert!(with("Retry-After: soon", |frame| frame
            .retry_after()
            .is_none()));
    }
}
