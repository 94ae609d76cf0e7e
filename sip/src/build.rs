//! Writes messages. A value can never end its line: CR, LF and NUL are refused, whoever supplied them. Bodies are
//! octets and stay untouched; Content-Length is always written.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::header::HeaderId;
use crate::lex::{is_token, split_once, trim};
use crate::message::Frame;
use crate::via::Via;

/// A header field or start line part that would have broken the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// The header name, or `start line`.
    pub place: String,
    /// The rule.
    pub rule: &'static str,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} refused: {}", self.place.escape_debug(), self.rule)
    }
}

impl std::error::Error for BuildError {}

/// One message in the making.
///
/// A refused header field is left out and remembered: [`MessageBuilder::finish`] sends the message without it,
/// [`MessageBuilder::try_finish`] returns the error.
#[derive(Debug)]
pub struct MessageBuilder {
    head: Vec<u8>,
    body: Vec<u8>,
    refused: Option<BuildError>,
}

impl MessageBuilder {
    /// Starts a request. White space and control octets in the URI are percent-escaped and remembered as refused.
    pub fn request(method: &str, uri: &str) -> Self {
        let mut builder = Self::start_with(format_args!(""));
        if is_token(method.as_bytes()) {
            builder.head.extend_from_slice(method.as_bytes());
        } else {
            builder.refuse("start line", "method is not a token");
            builder.head.extend_from_slice(b"OPTIONS");
        }
        builder.head.push(b' ');
        for &octet in uri.as_bytes() {
            if octet > b' ' && octet != 0x7f {
                builder.head.push(octet);
            } else {
                builder.refuse("start line", "URI holds white space or control characters");
                builder
                    .head
                    .extend_from_slice(format!("%{octet:02X}").as_bytes());
            }
        }
        if uri.is_empty() {
            builder.refuse("start line", "URI is empty");
            builder.head.extend_from_slice(b"sip:invalid");
        }
        builder.head.extend_from_slice(b" SIP/2.0\r\n");
        builder
    }

    /// Starts a response without headers. `status` outside 100..=699 becomes 500; control octets in `reason` become
    /// spaces; both are remembered as refused.
    pub fn response(status: u16, reason: &str) -> Self {
        let good = (100..700).contains(&status);
        let mut builder =
            Self::start_with(format_args!("SIP/2.0 {} ", if good { status } else { 500 }));
        if !good {
            builder.refuse("start line", "status is not from 100 to 699");
        }
        if reason.bytes().any(|octet| octet < b' ' || octet == 0x7f) {
            builder.refuse("start line", "reason holds control characters");
        }
        builder.head.extend(reason.bytes().map(|octet| {
            if octet < b' ' || octet == 0x7f {
                b' '
            } else {
                octet
            }
        }));
        builder.head.extend_from_slice(b"\r\n");
        builder
    }

    /// Starts the response to `request` (RFC 3261 section 8.2.6.2): its Via fields, From, To, Call-ID, CSeq, for 100
    /// its Timestamp, and for 101 to 299 its Record-Route fields, folds unfolded.
    ///
    /// `to_tag` is added when To has no tag and the status is not 100. With `source`, the address the request came
    /// from, the top Via gets `received` and, where asked for, `rport` (RFC 3581 section 4).
    pub fn response_to(
        request: &Frame<'_>,
        status: u16,
        reason: &str,
        to_tag: Option<&str>,
        source: Option<SocketAddr>,
    ) -> Self {
        let mut builder = Self::response(status, reason);
        let mut source = source;
        for header in request.headers() {
            match header.id {
                HeaderId::Via => match source.take() {
                    Some(source) => builder.copy_top_via(header.value, source),
                    None => builder.copy("Via", header.value, ""),
                },
                HeaderId::From | HeaderId::CallId | HeaderId::Cseq => {
                    builder.copy(header.id.name(), header.value, "");
                }
                HeaderId::To => builder.copy_to(request, header.value, status, to_tag),
                HeaderId::RecordRoute if (101..300).contains(&status) => {
                    builder.copy("Record-Route", header.value, "");
                }
                HeaderId::Timestamp if status == 100 => builder.copy("Timestamp", header.value, ""),
                _ => {}
            }
        }
        builder
    }

    /// Adds a header field. Refused: a name that is no token, Content-Length (written by `finish`), and a value with
    /// CR, LF or NUL.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        let value = value.as_ref();
        if !is_token(name.as_bytes()) {
            self.refuse(name, "header name is not a token");
        } else if HeaderId::from_name(name.as_bytes()) == HeaderId::ContentLength {
            self.refuse(name, "Content-Length is written by the builder");
        } else if memchr::memchr3(b'\r', b'\n', 0, value).is_some() {
            self.refuse(name, "value holds CR, LF or NUL");
        } else {
            self.push(name, trim(value), "");
        }
        self
    }

    /// Sets the body and its Content-Type. The octets are sent as they are.
    #[must_use]
    pub fn body(self, content_type: &str, body: &[u8]) -> Self {
        self.header("Content-Type", content_type).octets(body)
    }

    /// Sets the body only; for a Content-Type that is already among the headers.
    #[must_use]
    pub fn octets(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// The first thing that was refused.
    pub fn refused(&self) -> Option<&BuildError> {
        self.refused.as_ref()
    }

    /// The message, without what was refused.
    pub fn finish(mut self) -> Bytes {
        let length = format!("Content-Length: {}\r\n\r\n", self.body.len());
        self.head.reserve_exact(length.len() + self.body.len());
        self.head.extend_from_slice(length.as_bytes());
        self.head.extend_from_slice(&self.body);
        // Messages are kept for their retransmission; spare room would be kept with them.
        self.head.shrink_to_fit();
        Bytes::from(self.head)
    }

    /// The message, or the first thing that was refused.
    pub fn try_finish(mut self) -> Result<Bytes, BuildError> {
        match self.refused.take() {
            Some(error) => Err(error),
            None => Ok(self.finish()),
        }
    }

    fn start_with(line: fmt::Arguments<'_>) -> Self {
        let mut head = Vec::with_capacity(1024);
        head.extend_from_slice(line.to_string().as_bytes());
        Self {
            head,
            body: Vec::new(),
            refused: None,
        }
    }

    fn refuse(&mut self, place: &str, rule: &'static str) {
        self.refused.get_or_insert_with(|| BuildError {
            place: place.to_owned(),
            rule,
        });
    }

    fn push(&mut self, name: &str, value: &[u8], suffix: &str) {
        for part in [name.as_bytes(), b": ", value, suffix.as_bytes(), b"\r\n"] {
            self.head.extend_from_slice(part);
        }
    }

    /// Copies a received value: folds and stray CRs become single spaces, everything else stays octet for octet.
    fn copy(&mut self, name: &str, value: &[u8], suffix: &str) {
        if memchr::memchr2(b'\r', b'\n', value).is_none() {
            return self.push(name, value, suffix);
        }
        let mut unfolded = Vec::with_capacity(value.len());
        for &octet in value {
            let space = crate::lex::is_lws(octet);
            if !space {
                unfolded.push(octet);
            } else if unfolded.last() != Some(&b' ') {
                unfolded.push(b' ');
            }
        }
        self.push(name, &unfolded, suffix);
    }

    fn copy_to(&mut self, request: &Frame<'_>, value: &[u8], status: u16, to_tag: Option<&str>) {
        let tagged = request.to().is_ok_and(|to| to.params.has("tag"));
        let suffix = match to_tag {
            Some(tag) if status != 100 && !tagged && is_token(tag.as_bytes()) => {
                format!(";tag={tag}")
            }
            _ => String::new(),
        };
        self.copy("To", value, &suffix);
    }

    /// Writes the first Via field with `received` and `rport` in its first value.
    fn copy_top_via(&mut self, field: &[u8], source: SocketAddr) {
        let end = crate::lex::find_outside(field, b',', true).unwrap_or(field.len());
        let Ok(via) = Via::parse(&field[..end]) else {
            return self.copy("Via", field, "");
        };
        let rport = via.params.has("rport");
        let sent_by = match via.host {
            crate::uri::Host::Ip(ip) => ip == source.ip(),
            _ => false,
        };
        // Protocol and sent-by stay as they were written: senders compare them with their own.
        let mut hop = trim(split_once(&field[..end], b';').0).to_vec();
        for (name, value) in via.params.iter() {
            if name.eq_ignore_ascii_case(b"received") || name.eq_ignore_ascii_case(b"rport") {
                continue;
            }
            hop.push(b';');
            hop.extend_from_slice(name);
            if let Some(value) = value {
                hop.push(b'=');
                hop.extend_from_slice(value);
            }
        }
        if rport || !sent_by {
            hop.extend_from_slice(format!(";received={}", received(source.ip())).as_bytes());
        }
        if rport {
            hop.extend_from_slice(format!(";rport={}", source.port()).as_bytes());
        }
        hop.extend_from_slice(&field[end..]);
        self.copy("Via", &hop, "");
    }
}

/// `received` has no brackets round IPv6 in RFC 3261's grammar; IPv4-mapped addresses are written as IPv4.
fn received(address: IpAddr) -> IpAddr {
    address.to_canonical()
}
