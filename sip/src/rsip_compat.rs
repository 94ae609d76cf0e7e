//! Conversions to and from the types of the `rsip` crate, for programs that speak them. Never part of the wire path.
//!
//! To rsip: the message is normalised first (long header names, no folds, CR LF) because rsip refuses or misreads the
//! rest, and the body is handed over as octets. What rsip cannot hold without loss is an error, not a silent change:
//! methods outside its list, URIs it would rewrite (`tel:`, IPv6 references, `?headers`), values that are not UTF-8.
//! The reason phrase of a known status code is the exception: rsip has no place for it.
//!
//! From rsip: the body stays octets (rsip's own writer passes it through UTF-8), Content-Length is computed.

use std::fmt;

use bytes::Bytes;

use crate::build::{BuildError, MessageBuilder};
use crate::header::HeaderId;
use crate::lex::is_lws;
use crate::message::{Frame, FrameError, Message, StartLine};

/// Why a message cannot be converted.
#[derive(Debug)]
pub enum ConvertError {
    /// rsip would change or lose this.
    NotRepresentable(&'static str),
    /// rsip refuses the message.
    Rsip(rsip::Error),
    /// The rsip message holds something that must not go on the wire.
    Build(BuildError),
    /// The rsip message does not make a SIP message.
    Frame(FrameError),
}

impl fmt::Display for ConvertError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRepresentable(what) => write!(f, "rsip cannot hold {what} unchanged"),
            Self::Rsip(error) => write!(f, "rsip refuses the message: {error}"),
            Self::Build(error) => error.fmt(f),
            Self::Frame(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ConvertError {}

impl TryFrom<&Frame<'_>> for rsip::SipMessage {
    type Error = ConvertError;

    fn try_from(frame: &Frame<'_>) -> Result<Self, ConvertError> {
        let mut message = Self::try_from(normalised_head(frame)).map_err(ConvertError::Rsip)?;
        *message.body_mut() = frame.body().to_vec();
        let headers = match (&message, frame.start()) {
            (Self::Request(request), StartLine::Request { method, uri }) => {
                if request.method.to_string().as_bytes() != method.as_bytes() {
                    return Err(ConvertError::NotRepresentable("this method"));
                }
                if request.uri.to_string().as_bytes() != uri || uri.contains(&b'?') {
                    return Err(ConvertError::NotRepresentable("this Request-URI"));
                }
                request.headers.iter().count()
            }
            (Self::Response(response), StartLine::Response { status, .. }) => {
                if response.status_code.code() != status {
                    return Err(ConvertError::NotRepresentable("this status code"));
                }
                response.headers.iter().count()
            }
            _ => return Err(ConvertError::NotRepresentable("this start line")),
        };
        if headers != frame.headers().count() {
            return Err(ConvertError::NotRepresentable("the header fields"));
        }
        Ok(message)
    }
}

impl TryFrom<&Message> for rsip::SipMessage {
    type Error = ConvertError;

    fn try_from(message: &Message) -> Result<Self, ConvertError> {
        Self::try_from(&message.frame())
    }
}

impl TryFrom<&rsip::SipMessage> for Message {
    type Error = ConvertError;

    fn try_from(message: &rsip::SipMessage) -> Result<Self, ConvertError> {
        let (builder, headers) = match message {
            rsip::SipMessage::Request(request) => (
                MessageBuilder::request(&request.method.to_string(), &uri_text(&request.uri)),
                &request.headers,
            ),
            rsip::SipMessage::Response(response) => {
                let code = response.status_code.code();
                (
                    MessageBuilder::response(code, &reason_text(&response.status_code)),
                    &response.headers,
                )
            }
        };
        let mut builder = builder;
        for header in headers.iter() {
            let line = header.to_string();
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            if HeaderId::from_name(name.as_bytes()) != HeaderId::ContentLength {
                builder = builder.header(name, value.trim());
            }
        }
        let bytes = builder
            .octets(message.body())
            .try_finish()
            .map_err(ConvertError::Build)?;
        Self::parse(bytes).map_err(ConvertError::Frame)
    }
}

/// Start line and header fields in the one shape rsip reads.
fn normalised_head(frame: &Frame<'_>) -> Bytes {
    let mut head = Vec::with_capacity(frame.head().len() + 64);
    match frame.start() {
        StartLine::Request { method, uri } => {
            head.extend_from_slice(&[method.as_bytes(), b" ", uri, b" ", frame.version()].concat());
        }
        StartLine::Response { status, reason } => {
            let reason = if reason.is_empty() { b"-" } else { reason };
            head.extend_from_slice(
                &[frame.version(), format!(" {status} ").as_bytes(), reason].concat(),
            );
        }
    }
    head.extend_from_slice(b"\r\n");
    for header in frame.headers() {
        let name = if header.id == HeaderId::Other {
            header.name
        } else {
            header.id.name().as_bytes()
        };
        head.extend_from_slice(name);
        head.extend_from_slice(b": ");
        let fold = |octet: &u8| if is_lws(*octet) { b' ' } else { *octet };
        head.extend(header.value.iter().map(fold));
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    Bytes::from(head)
}

/// rsip writes IPv6 hosts without the brackets that make them a reference.
fn uri_text(uri: &rsip::Uri) -> String {
    match uri.host() {
        rsip::Host::IpAddr(std::net::IpAddr::V6(address)) => {
            let mut uri = uri.clone();
            uri.host_with_port.host = rsip::Host::Domain(format!("[{address}]").into());
            uri.to_string()
        }
        _ => uri.to_string(),
    }
}

/// rsip writes the name of its enum variant (`NotFound`) for the reason.
fn reason_text(status: &rsip::StatusCode) -> String {
    if let rsip::StatusCode::Other(_, reason) = status {
        return reason.clone();
    }
    let written = status.to_string();
    let name = written.split_once(' ').map_or("", |(_, name)| name);
    let mut text = String::with_capacity(name.len() + 4);
    let mut after_lower = false;
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && after_lower {
            text.push(' ');
        }
        after_lower = letter.is_ascii_lowercase();
        text.push(letter);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const INVITE: &[u8] =
        b"INVITE sip:bob@example.com SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\
        f: \"A\" <sip:a@example.com>;tag=1\r\nSubject: one\r\n  two\r\nl: 4\r\n\r\n\xff\x00\r\n";

    #[test]
    fn binary_bodies_survive_both_ways() {
        let frame = Frame::parse(INVITE).unwrap();
        let theirs = rsip::SipMessage::try_from(&frame).unwrap();
        assert_eq!(theirs.body().as_slice(), b"\xff\x00\r\n");
        let back = Message::try_from(&theirs).unwrap();
        assert_eq!(back.frame().body(), frame.body());
        assert_eq!(
            back.frame().header(HeaderId::Via),
            frame.header(HeaderId::Via)
        );
        assert_eq!(
            back.frame().header(HeaderId::Subject),
            Some(&b"one    two"[..])
        );
    }

    #[test]
    fn what_rsip_would_change_is_an_error() {
        for uri in ["tel:+123", "sip:a@[2001:db8::1]", "sip:a@b?Replaces=x"] {
            let text = format!("OPTIONS {uri} SIP/2.0\r\nContent-Length: 0\r\n\r\n");
            let frame = Frame::parse(text.as_bytes()).unwrap();
            assert!(rsip::SipMessage::try_from(&frame).is_err(), "{uri}");
        }
        for method in ["options", "PUBLISH2"] {
            let text = format!("{method} sip:a@b SIP/2.0\r\nContent-Length: 0\r\n\r\n");
            let frame = Frame::parse(text.as_bytes()).unwrap();
            assert!(rsip::SipMessage::try_from(&frame).is_err(), "{method}");
        }
    }

    #[test]
    fn injection_through_rsip_types_is_refused() {
        let mut theirs = rsip::SipMessage::try_from(&Frame::parse(INVITE).unwrap()).unwrap();
        if let rsip::SipMessage::Request(request) = &mut theirs {
            request
                .headers
                .push(rsip::Header::Other("X-Note".into(), "a\r\nVia: b".into()));
        }
        assert!(matches!(
            Message::try_from(&theirs),
            Err(ConvertError::Build(_))
        ));
    }

    #[test]
    fn reasons_and_ipv6_from_rsip() {
        let response = rsip::Response {
            status_code: 404.into(),
            ..Default::default()
        };
        let message = Message::try_from(&rsip::SipMessage::Response(response)).unwrap();
        assert_eq!(
            message.frame().start(),
            StartLine::Response {
                status: 404,
                reason: b"Not Found"
            }
        );
        let address: std::net::IpAddr = "2001:db8::1".parse().unwrap();
        let uri: rsip::Uri = (rsip::Scheme::Sip, rsip::Host::IpAddr(address)).into();
        let request = rsip::Request {
            method: rsip::Method::Options,
            uri,
            version: rsip::Version::V2,
            headers: Default::default(),
            body: Vec::new(),
        };
        let message = Message::try_from(&rsip::SipMessage::Request(request)).unwrap();
        assert_eq!(
            message.frame().request_uri(),
            Some(&b"sip:[2001:db8::1]"[..])
        );
    }
}
