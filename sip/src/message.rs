//! Framing of one SIP message: where the start line, the header fields and the body are. Copies and allocates
//! nothing; understands no header except Content-Length, which decides where the body ends.
//!
//! Limits: [`crate::limits`]. What is merely wrong (a header line without a colon, two different Content-Lengths) is
//! framed all the same and named by [`Frame::validate`], so that it can be answered; only input without a usable
//! start line, without the blank line, or beyond a limit is a [`FrameError`]. The endpoint still answers a request of the
//! latter two kinds by what can be read of it.

use std::fmt;

use bytes::Bytes;

use crate::header::{CommaList, HeaderId};
use crate::lex::{decimal, is_token, is_token_octet, split_once, trim, trim_end, trim_start};
use crate::limits::{MAX_HEADER_LINE, MAX_HEADERS, MAX_MESSAGE};
use crate::method::Method;

/// Why octets are not a SIP message at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Nothing but line ends: a keep-alive.
    Empty,
    /// Longer than [`MAX_MESSAGE`].
    MessageTooLong,
    /// The start line or a header field is longer than [`MAX_HEADER_LINE`].
    LineTooLong,
    /// More than [`MAX_HEADERS`] header field lines.
    TooManyHeaders,
    /// The first line is neither `METHOD URI SIP/x.y` nor `SIP/x.y NNN reason`.
    StartLine,
    /// The status code is not three digits from 100 to 699.
    StatusCode,
    /// No blank line ends the header.
    NoHeaderEnd,
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "no message, only line ends",
            Self::MessageTooLong => "message longer than 65535 octets",
            Self::LineTooLong => "start line or header field longer than 8192 octets",
            Self::TooManyHeaders => "more than 128 header fields",
            Self::StartLine => "first line is not a SIP request or status line",
            Self::StatusCode => "status code is not from 100 to 699",
            Self::NoHeaderEnd => "no blank line ends the header",
        })
    }
}

impl std::error::Error for FrameError {}

/// The first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartLine<'a> {
    /// A request.
    Request {
        /// The method.
        method: Method<'a>,
        /// The Request-URI as written, outer white space removed.
        uri: &'a [u8],
    },
    /// A response.
    Response {
        /// The status code, 100 to 699.
        status: u16,
        /// The reason phrase; may be empty.
        reason: &'a [u8],
    },
}

/// One header field line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawHeader<'a> {
    /// Which header it is.
    pub id: HeaderId,
    /// The name as written, possibly compact.
    pub name: &'a [u8],
    /// The value, outer white space removed, folds kept.
    pub value: &'a [u8],
}

/// Content-Length as the message states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ContentLength {
    Absent,
    Octets(u32),
    Malformed,
    Contradictory,
}

/// Offsets of one header field line; [`MAX_MESSAGE`] keeps them in 16 bits.
#[derive(Clone, Copy)]
struct Span {
    name: (u16, u16),
    value: (u16, u16),
    id: HeaderId,
}

/// Fills the unused slots; all zero octets, so that it is one memset.
const NO_SPAN: Span = Span {
    name: (0, 0),
    value: (0, 0),
    id: HeaderId::Via,
};

/// A view on one message. About 1.3 KiB on the stack, no heap.
#[derive(Clone)]
pub struct Frame<'a> {
    /// Start line to the end of the body: leading line ends and octets after Content-Length are not part of it.
    bytes: &'a [u8],
    start: StartLine<'a>,
    version: &'a [u8],
    spans: [Span; MAX_HEADERS],
    count: usize,
    body: usize,
    content_length: ContentLength,
    malformed_line: bool,
}

impl<'a> Frame<'a> {
    /// Frames one datagram, or one message cut from a stream. Leading line ends are skipped (RFC 3261 section 7.5);
    /// lines may end in CR LF or LF; octets beyond Content-Length are dropped (section 18.3).
    pub fn parse(datagram: &'a [u8]) -> Result<Self, FrameError> {
        if datagram.len() > MAX_MESSAGE {
            return Err(FrameError::MessageTooLong);
        }
        let mut frame = Self::unread(datagram)?;
        match frame.scan() {
            Some(error) => Err(error),
            None => {
                if let ContentLength::Octets(length) = frame.content_length {
                    let end = frame.body.saturating_add(length as usize);
                    frame.bytes = &frame.bytes[..end.min(frame.bytes.len())];
                }
                Ok(frame)
            }
        }
    }

    /// What can be read of a request that [`Frame::parse`] refuses for a limit or for its missing blank line: the
    /// header fields within the limits, and no body. It is good for telling the sender, and for nothing else: a
    /// [`Message`] must never be made of it.
    pub(crate) fn salvage(datagram: &'a [u8]) -> Option<Self> {
        let mut frame = Self::unread(&datagram[..datagram.len().min(MAX_MESSAGE)]).ok()?;
        frame.scan();
        frame.bytes = &frame.bytes[..frame.body];
        frame.method().is_some().then_some(frame)
    }

    /// The first line is read, the header fields are not: `body` is where they begin.
    fn unread(datagram: &'a [u8]) -> Result<Self, FrameError> {
        let skipped = datagram
            .iter()
            .take_while(|&&octet| matches!(octet, b'\r' | b'\n'))
            .count();
        let bytes = &datagram[skipped..];
        if bytes.is_empty() {
            return Err(FrameError::Empty);
        }
        let (line, body) = line_at(bytes, 0).ok_or(FrameError::NoHeaderEnd)?;
        let (start, version) = start_line(line)?;
        Ok(Self {
            bytes,
            start,
            version,
            spans: [NO_SPAN; MAX_HEADERS],
            count: 0,
            body,
            content_length: ContentLength::Absent,
            malformed_line: false,
        })
    }

    /// Walks the header fields up to the blank line and returns the first rule they break. A field that is too long is
    /// left out; at any other error `body` is where the walk ended.
    fn scan(&mut self) -> Option<FrameError> {
        // The first line has its line end with it.
        let mut error = (self.body > MAX_HEADER_LINE + 2).then_some(FrameError::LineTooLong);
        let mut lines = 0;
        loop {
            let at = self.body;
            let Some((line, mut next)) = line_at(self.bytes, at) else {
                return error.or(Some(FrameError::NoHeaderEnd));
            };
            if line.is_empty() {
                self.body = next;
                return error;
            }
            let mut end = at + line.len();
            while matches!(self.bytes.get(next), Some(b' ' | b'\t')) {
                let Some((folded, after)) = line_at(self.bytes, next) else {
                    return error.or(Some(FrameError::NoHeaderEnd));
                };
                end = next + folded.len();
                next = after;
            }
            lines += 1;
            if lines > MAX_HEADERS {
                return error.or(Some(FrameError::TooManyHeaders));
            }
            if end - at > MAX_HEADER_LINE {
                error = error.or(Some(FrameError::LineTooLong));
            } else {
                self.push_header(at, end);
            }
            self.body = next;
        }
    }

    /// Records the header field in `at..end`, or that it is none.
    fn push_header(&mut self, at: usize, end: usize) {
        let line = &self.bytes[at..end];
        let length = line
            .iter()
            .position(|&octet| !is_token_octet(octet))
            .unwrap_or(line.len());
        let (name, rest) = line.split_at(length);
        // White space is legal before the colon (HCOLON, RFC 3261 section 25.1).
        let Some((b':', value)) = trim_start(rest).split_first().filter(|_| length > 0) else {
            self.malformed_line = true;
            return;
        };
        let value = trim_start(value);
        let from = end - value.len();
        let value = trim_end(value);
        let id = HeaderId::from_name(name);
        // Offsets fit: `parse` refused anything longer than MAX_MESSAGE.
        let span = Span {
            name: (at as u16, (at + length) as u16),
            value: (from as u16, (from + value.len()) as u16),
            id,
        };
        self.spans[self.count] = span;
        self.count += 1;
        if id == HeaderId::ContentLength {
            self.push_content_length(decimal(value));
        }
    }

    fn push_content_length(&mut self, length: Option<u32>) {
        self.content_length = match (self.content_length, length) {
            (ContentLength::Absent, Some(length)) => ContentLength::Octets(length),
            (ContentLength::Octets(before), Some(length)) if before == length => {
                ContentLength::Octets(length)
            }
            (ContentLength::Octets(_) | ContentLength::Contradictory, Some(_)) => {
                ContentLength::Contradictory
            }
            _ => ContentLength::Malformed,
        };
    }

    /// The message, start line to end of body.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The first line.
    pub fn start(&self) -> StartLine<'a> {
        self.start
    }

    /// The method of a request, `None` for a response.
    pub fn method(&self) -> Option<Method<'a>> {
        match self.start {
            StartLine::Request { method, .. } => Some(method),
            StartLine::Response { .. } => None,
        }
    }

    /// The status of a response, `None` for a request.
    pub fn status(&self) -> Option<u16> {
        match self.start {
            StartLine::Request { .. } => None,
            StartLine::Response { status, .. } => Some(status),
        }
    }

    /// The Request-URI as written, `None` for a response.
    pub fn request_uri(&self) -> Option<&'a [u8]> {
        match self.start {
            StartLine::Request { uri, .. } => Some(uri),
            StartLine::Response { .. } => None,
        }
    }

    /// The protocol version as written, normally `SIP/2.0`.
    pub fn version(&self) -> &'a [u8] {
        self.version
    }

    /// All header fields in order. Lines that are no header field are left out; [`Frame::validate`] refuses them.
    pub fn headers(&self) -> impl Iterator<Item = RawHeader<'a>> + Clone + use<'a, '_> {
        let bytes = self.bytes;
        self.spans[..self.count].iter().map(move |span| RawHeader {
            id: span.id,
            name: &bytes[usize::from(span.name.0)..usize::from(span.name.1)],
            value: &bytes[usize::from(span.value.0)..usize::from(span.value.1)],
        })
    }

    /// The value of the first field of this header, outer white space removed, not split at commas.
    pub fn header(&self, id: HeaderId) -> Option<&'a [u8]> {
        self.headers()
            .find(|header| header.id == id)
            .map(|header| header.value)
    }

    /// The value of the first field with this name (long name, ASCII case ignored); for headers without an id.
    pub fn header_named(&self, name: &str) -> Option<&'a [u8]> {
        self.headers()
            .find(|header| header.name.eq_ignore_ascii_case(name.as_bytes()))
            .map(|header| header.value)
    }

    /// How many fields of this header there are.
    pub fn field_count(&self, id: HeaderId) -> usize {
        self.spans[..self.count]
            .iter()
            .filter(|span| span.id == id)
            .count()
    }

    /// All values of a list header over all its fields, split at commas outside quotes and `<...>`. Only for headers
    /// whose grammar is a list: Date, Subject, Authorization and the like have commas of their own.
    pub fn values(&self, id: HeaderId) -> impl Iterator<Item = &'a [u8]> + Clone + use<'a, '_> {
        self.headers()
            .filter(move |header| header.id == id)
            .flat_map(|header| CommaList::new(header.value))
    }

    /// The body: as many octets as Content-Length says, or as there are.
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.body..]
    }

    /// Start line and header fields, the blank line included.
    pub fn head(&self) -> &'a [u8] {
        &self.bytes[..self.body]
    }

    pub(crate) fn content_length(&self) -> ContentLength {
        self.content_length
    }

    pub(crate) fn has_malformed_line(&self) -> bool {
        self.malformed_line
    }
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame")
            .field("start", &self.start)
            .field("headers", &self.count)
            .finish_non_exhaustive()
    }
}

/// The line that starts at `at`, without its line end, and the position after it; `None` when no LF follows.
fn line_at(bytes: &[u8], at: usize) -> Option<(&[u8], usize)> {
    let rest = bytes.get(at..)?;
    let length = memchr::memchr(b'\n', rest)?;
    let line = &rest[..length];
    Some((line.strip_suffix(b"\r").unwrap_or(line), at + length + 1))
}

/// Reads the first line.
fn start_line(line: &[u8]) -> Result<(StartLine<'_>, &[u8]), FrameError> {
    let (first, rest) = split_once(line, b' ');
    let rest = rest.ok_or(FrameError::StartLine)?;
    if is_version(first) {
        Ok((status_line(rest)?, first))
    } else {
        request_line(first, trim(rest))
    }
}

fn is_version(text: &[u8]) -> bool {
    text.get(..4)
        .is_some_and(|head| head.eq_ignore_ascii_case(b"SIP/"))
}

fn status_line(rest: &[u8]) -> Result<StartLine<'_>, FrameError> {
    let (code, reason) = split_once(rest, b' ');
    let status = decimal(code)
        .filter(|status| code.len() == 3 && (100..700).contains(status))
        .and_then(|status| u16::try_from(status).ok())
        .ok_or(FrameError::StatusCode)?;
    let reason = trim(reason.unwrap_or_default());
    Ok(StartLine::Response { status, reason })
}

/// White space inside the URI is kept for `validate` to refuse, so that the sender gets a 400.
fn request_line<'a>(
    method: &'a [u8],
    rest: &'a [u8],
) -> Result<(StartLine<'a>, &'a [u8]), FrameError> {
    let last = memchr::memrchr2(b' ', b'\t', rest).ok_or(FrameError::StartLine)?;
    let (uri, version) = (trim(&rest[..last]), &rest[last + 1..]);
    if !is_token(method) || !is_version(version) || uri.is_empty() {
        return Err(FrameError::StartLine);
    }
    let method = Method::from_bytes(method);
    Ok((StartLine::Request { method, uri }, version))
}

/// A whole message that owns its octets; cheap to clone and to send between threads.
#[derive(Clone, PartialEq, Eq)]
pub struct Message(Bytes);

impl Message {
    /// Takes one framed message out of `bytes`.
    pub fn parse(bytes: Bytes) -> Result<Self, FrameError> {
        let framed = Frame::parse(&bytes)?.bytes();
        Ok(Self(bytes.slice_ref(framed)))
    }

    /// The view on it.
    pub fn frame(&self) -> Frame<'_> {
        Frame::parse(&self.0).expect("only built from octets that were framed before")
    }

    /// The octets, start line to end of body.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl From<&Frame<'_>> for Message {
    /// Copies the message.
    fn from(frame: &Frame<'_>) -> Self {
        Self(Bytes::copy_from_slice(frame.bytes()))
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}
