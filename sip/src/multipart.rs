//! Multipart bodies (RFC 5621, RFC 2046), as trunks send that carry ISUP or locations beside the session description.
//! A view on the body; nested multiparts are one opaque part. Limits: [`crate::limits`].

use memchr::memmem;

use crate::header::HeaderId;
use crate::lex::{split_once, trim};
use crate::limits::{MAX_BOUNDARY, MAX_PARTS};
use crate::message::Frame;
use crate::typed::MediaType;

/// One part of a multipart body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part<'a> {
    /// The header lines of the part, raw.
    pub head: &'a [u8],
    /// The content.
    pub body: &'a [u8],
}

impl<'a> Part<'a> {
    /// Cuts a part at its blank line.
    fn new(part: &'a [u8]) -> Self {
        if let Some(body) = part.strip_prefix(b"\r\n").or(part.strip_prefix(b"\n")) {
            return Self { head: b"", body };
        }
        let crlf = memmem::find(part, b"\r\n\r\n").map(|at| (at, at + 4));
        let lf = memmem::find(part, b"\n\n").map(|at| (at, at + 2));
        match crlf.into_iter().chain(lf).min() {
            Some((end, body)) => Self {
                head: &part[..end],
                body: &part[body..],
            },
            None => Self {
                head: part,
                body: b"",
            },
        }
    }

    /// The Content-Type of the part.
    pub fn content_type(&self) -> Option<MediaType<'a>> {
        let value = self.head.split(|&octet| octet == b'\n').find_map(|line| {
            let (name, value) = split_once(line, b':');
            value.filter(|_| HeaderId::from_name(trim(name)) == HeaderId::ContentType)
        })?;
        MediaType::parse(trim(value))
    }
}

/// The parts of `body`, at most [`MAX_PARTS`]; none when the boundary never occurs. A missing closing boundary ends
/// the last part at the end of the body.
pub fn parts<'a>(body: &'a [u8], boundary: &[u8]) -> Vec<Part<'a>> {
    let mut parts = Vec::new();
    if boundary.is_empty() || boundary.len() > MAX_BOUNDARY {
        return parts;
    }
    let delimiter = [b"--", boundary].concat();
    let at_line_start = |&at: &usize| at == 0 || body[at - 1] == b'\n';
    let mut found = memmem::find_iter(body, &delimiter)
        .filter(at_line_start)
        .peekable();
    while let Some(at) = found.next() {
        let after = &body[at + delimiter.len()..];
        if after.starts_with(b"--") || parts.len() == MAX_PARTS {
            break;
        }
        let Some(line) = memchr::memchr(b'\n', after) else {
            break;
        };
        let from = at + delimiter.len() + line + 1;
        let end = found.peek().copied().unwrap_or(body.len()).max(from);
        let part = &body[from..end];
        let part = if end < body.len() {
            without_line_end(part)
        } else {
            part
        };
        parts.push(Part::new(part));
    }
    parts
}

/// The line end before a boundary belongs to the boundary.
fn without_line_end(part: &[u8]) -> &[u8] {
    part.strip_suffix(b"\r\n")
        .or(part.strip_suffix(b"\n"))
        .unwrap_or(part)
}

impl<'a> Frame<'a> {
    /// The session description the message carries: its body when that is `application/sdp`, or the first such part of
    /// a multipart body. `None` when there is none.
    pub fn session_description(&self) -> Option<&'a [u8]> {
        let content = self.content_type().ok().flatten()?;
        if content.is("application", "sdp") {
            return Some(self.body()).filter(|body| !body.is_empty());
        }
        if !content.main.eq_ignore_ascii_case(b"multipart") {
            return None;
        }
        let parts = parts(self.body(), content.params.value("boundary")?);
        let is_sdp = |part: &&Part<'a>| {
            part.content_type()
                .is_some_and(|content| content.is("application", "sdp"))
        };
        parts.iter().find(is_sdp).map(|part| part.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_their_edges() {
        let body = b"preamble\r\n--b\r\nContent-Type: application/sdp\r\n\r\nv=0\r\n\r\n--b \r\nc : x/y\r\nX: 1\r\n\r\n\x01\x00--b\xff\r\n--b--\r\n--b\r\n\r\nepilogue";
        let parts = parts(body, b"b");
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].body, b"v=0\r\n");
        assert_eq!(parts[1].body, b"\x01\x00--b\xff");
        assert!(parts[1].content_type().unwrap().is("x", "y"));
    }

    #[test]
    fn odd_bodies() {
        assert_eq!(parts(b"", b"b"), []);
        assert_eq!(parts(b"--b--", b"b"), []);
        assert_eq!(parts(b"--b", b"b"), []);
        assert_eq!(parts(b"text", b""), []);
        assert_eq!(parts(b"--b\r\n", &[b'b'; 71]), []);
        assert_eq!(
            parts(b"--b\n\nx", b"b"),
            [Part {
                head: b"",
                body: b"x"
            }]
        );
        assert_eq!(
            parts(b"--b\r\nc: a/b", b"b"),
            [Part {
                head: b"c: a/b",
                body: b""
            }]
        );
        assert_eq!(
            parts(&b"--b\r\n\r\nx\r\n".repeat(100), b"b").len(),
            MAX_PARTS
        );
    }

    #[test]
    fn the_session_description_of_a_message() {
        let message = |content: &str, body: &str| {
            format!(
                "INFO sip:a SIP/2.0\r\nContent-Type: {content}\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let isup = "--u-1\r\nContent-Type: application/ISUP;version=x\r\n\r\n\u{1}\r\n--u-1\r\nContent-Type: Application/SDP\r\n\r\nv=0\r\n\r\n--u-1--\r\n";
        for (content, body, expected) in [
            ("application/sdp", "v=0\r\n", Some("v=0\r\n")),
            ("application/sdp", "", None),
            ("text/plain", "v=0\r\n", None),
            ("multipart/mixed;boundary=\"u-1\"", isup, Some("v=0\r\n")),
            ("multipart/mixed;boundary=u-1", isup, Some("v=0\r\n")),
            ("multipart/mixed;boundary=other", isup, None),
            ("multipart/mixed", isup, None),
        ] {
            let text = message(content, body);
            let frame = Frame::parse(text.as_bytes()).unwrap();
            assert_eq!(
                frame.session_description(),
                expected.map(str::as_bytes),
                "{content}"
            );
        }
    }
}
