//! Cuts a byte stream (TCP, TLS) into SIP messages by Content-Length (RFC 3261 section 18.3) and counts keep-alives
//! (RFC 5626 section 3.5.1). Owns the bytes that are not yet a message, never more than [`MAX_MESSAGE`] and one push.
//!
//! How the stream is cut into pushes makes no difference to what comes out, and every octet is looked at a bounded
//! number of times: a peer that sends one octet at a time costs no more than one that sends all at once.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

use crate::limits::MAX_MESSAGE;
use crate::message::{ContentLength, Frame, FrameError};

/// What a stream holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StreamItem {
    /// One whole message.
    Message(Bytes),
    /// A keep-alive ping (CR LF CR LF) to answer with one CR LF.
    Ping,
}

/// Why a stream cannot be cut any further; the connection is to be closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamError {
    /// The rule that was broken.
    pub rule: StreamRule,
    /// The octets the rule was broken in, without any body: the endpoint can refuse a request by what can be read of it.
    pub head: Bytes,
}

/// The rules of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRule {
    /// Content-Length is missing.
    NoContentLength,
    /// Content-Length is no number, or there are two that differ.
    BadContentLength,
    /// Header and Content-Length together exceed [`MAX_MESSAGE`].
    TooLong,
    /// The header is no SIP header.
    Frame(FrameError),
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.rule {
            StreamRule::NoContentLength => f.write_str("no Content-Length on a stream"),
            StreamRule::BadContentLength => f.write_str("unusable Content-Length on a stream"),
            StreamRule::TooLong => f.write_str("message longer than 65535 octets on a stream"),
            StreamRule::Frame(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for StreamError {}

/// The receiving side of one connection.
#[derive(Debug, Default)]
pub struct StreamFramer {
    buffer: BytesMut,
    /// Octets of `buffer` already searched for the blank line.
    searched: usize,
    /// Length of the message at the front of `buffer`, once its header is complete.
    message: Option<usize>,
    /// Line ends seen since the last message.
    line_ends: u8,
    failed: Option<StreamError>,
}

impl StreamFramer {
    /// A new connection.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was read. Call [`StreamFramer::next_item`] until it has no more before reading again.
    pub fn push(&mut self, octets: &[u8]) {
        if self.failed.is_none() {
            self.buffer.extend_from_slice(octets);
        }
    }

    /// Octets held back because their message is not complete.
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }

    /// The next message or ping; `None` until more octets come. After an error, always that error.
    pub fn next_item(&mut self) -> Result<Option<StreamItem>, StreamError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if self.message.is_none() {
            if self.skip_line_ends() {
                return Ok(Some(StreamItem::Ping));
            }
            match self.find_message() {
                Ok(length) => self.message = length,
                Err(error) => {
                    self.buffer = BytesMut::new();
                    return Err(self.failed.insert(error).clone());
                }
            }
        }
        match self.message {
            Some(length) if self.buffer.len() >= length => {
                self.message = None;
                self.searched = 0;
                self.line_ends = 0;
                Ok(Some(StreamItem::Message(
                    self.buffer.split_to(length).freeze(),
                )))
            }
            _ => Ok(None),
        }
    }

    /// Drops line ends before a message; true at each second LF of an unbroken run.
    fn skip_line_ends(&mut self) -> bool {
        if self.searched > 0 {
            return false;
        }
        while let Some(&octet @ (b'\r' | b'\n')) = self.buffer.first() {
            self.buffer.advance(1);
            if octet == b'\n' {
                self.line_ends += 1;
                if self.line_ends == 2 {
                    self.line_ends = 0;
                    return true;
                }
            }
        }
        false
    }

    /// The length of the message at the front; `None` while its header is incomplete.
    fn find_message(&mut self) -> Result<Option<usize>, StreamError> {
        let Some(head) = self.find_blank_line() else {
            return match self.buffer.len() {
                0..=MAX_MESSAGE => Ok(None),
                _ => Err(self.broken(StreamRule::TooLong, MAX_MESSAGE + 1)),
            };
        };
        if head > MAX_MESSAGE {
            return Err(self.broken(StreamRule::TooLong, MAX_MESSAGE + 1));
        }
        let frame = Frame::parse(&self.buffer[..head])
            .map_err(|error| self.broken(StreamRule::Frame(error), head))?;
        let rule = match frame.content_length() {
            ContentLength::Octets(length) if length as usize <= MAX_MESSAGE - head => {
                return Ok(Some(head + length as usize));
            }
            ContentLength::Octets(_) => StreamRule::TooLong,
            ContentLength::Absent => StreamRule::NoContentLength,
            ContentLength::Malformed | ContentLength::Contradictory => StreamRule::BadContentLength,
        };
        Err(self.broken(rule, head))
    }

    fn broken(&self, rule: StreamRule, head: usize) -> StreamError {
        StreamError {
            rule,
            head: Bytes::copy_from_slice(&self.buffer[..head]),
        }
    }

    /// Position after the blank line. Remembers how far it looked.
    fn find_blank_line(&mut self) -> Option<usize> {
        while let Some(offset) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
            let line_end = self.searched + offset;
            match &self.buffer[line_end + 1..] {
                [b'\n', ..] => return Some(line_end + 2),
                [b'\r', b'\n', ..] => return Some(line_end + 3),
                [] | [b'\r'] => {
                    // Not decided: look at this LF again when more has come.
                    self.searched = line_end;
                    return None;
                }
                _ => self.searched = line_end + 1,
            }
        }
        self.searched = self.buffer.len();
        None
    }
}
