//! Session descriptions (RFC 8866): a lenient reader with limits and a writer. Judges no offer: that is
//! [`crate::offer_answer`].
//!
//! Lenient in what peers really get wrong: lines ending in LF or CR alone, no final line end, missing `o=`, `s=`, `t=`,
//! trailing white space, octets that are not UTF-8 (read as U+FFFD). Limits: [`crate::limits`].

use std::fmt;
use std::net::IpAddr;

use crate::limits::{
    MAX_SDP, MAX_SDP_ATTRIBUTES, MAX_SDP_FORMATS, MAX_SDP_LINE, MAX_SDP_LINES, MAX_SDP_MEDIA,
};

/// Why a body is not a session description this crate works with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SdpError {
    /// The first line is not `v=0`.
    Version,
    /// A line is not `letter=value`; its number, from 1.
    Line(usize),
    /// A control character other than TAB; the line number, from 1.
    ControlCharacter(usize),
    /// An `m=` line without kind, port and protocol, or with a port above 65535; the line number, from 1.
    Media(usize),
    /// A `c=` or `o=` line with too few fields; the line number, from 1.
    Address(usize),
    /// Beyond the named limit.
    Limit(&'static str),
}

impl fmt::Display for SdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("SDP does not begin with v=0"),
            Self::Line(line) => write!(f, "SDP line {line} is not letter=value"),
            Self::ControlCharacter(line) => write!(f, "SDP line {line} holds a control character"),
            Self::Media(line) => write!(f, "SDP line {line} is not a usable m= line"),
            Self::Address(line) => write!(f, "SDP line {line} has too few fields"),
            Self::Limit(what) => write!(f, "SDP has too many or too long {what}"),
        }
    }
}

impl std::error::Error for SdpError {}

/// `IN IP4 192.0.2.1`, as in `c=` and at the end of `o=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// `IP6` rather than `IP4` (or anything else).
    pub v6: bool,
    /// The address or host name, without the `/ttl` of a multicast address.
    pub address: String,
}

impl Connection {
    /// The connection line for an address.
    pub fn new(address: IpAddr) -> Self {
        Self {
            v6: address.is_ipv6(),
            address: address.to_string(),
        }
    }

    /// The address; `None` for a host name.
    pub fn ip(&self) -> Option<IpAddr> {
        self.address.parse().ok()
    }

    fn parse(value: &str) -> Option<Self> {
        let mut fields = value.split_ascii_whitespace();
        let (_network, kind, address) = (fields.next()?, fields.next()?, fields.next()?);
        let address = address
            .split('/')
            .next()
            .filter(|address| !address.is_empty())?;
        Some(Self {
            v6: kind.eq_ignore_ascii_case("IP6"),
            address: address.to_owned(),
        })
    }
}

impl fmt::Display for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "IN {} {}",
            if self.v6 { "IP6" } else { "IP4" },
            self.address
        )
    }
}

/// The `o=` line. Numbers are text: peers send more digits than 64 bits hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// User name, `-` when there is none.
    pub username: String,
    /// Session id.
    pub session_id: String,
    /// Session version; grows with each changed description (RFC 3264 section 8).
    pub session_version: String,
    /// The address of the originator; names the session, never used to send to.
    pub address: Connection,
}

impl Default for Origin {
    fn default() -> Self {
        let address = Connection {
            v6: false,
            address: "0.0.0.0".into(),
        };
        Self {
            username: "-".into(),
            session_id: "0".into(),
            session_version: "0".into(),
            address,
        }
    }
}

impl Origin {
    fn parse(value: &str) -> Option<Self> {
        let (username, rest) = value.split_once(' ')?;
        let (session_id, rest) = rest.trim_start().split_once(' ')?;
        let (session_version, rest) = rest.trim_start().split_once(' ')?;
        let [username, session_id, session_version] =
            [username, session_id, session_version].map(str::to_owned);
        Some(Self {
            username,
            session_id,
            session_version,
            address: Connection::parse(rest)?,
        })
    }
}

/// `a=name` or `a=name:value`. Debug shows no value that is a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Attribute {
    /// The name, case kept.
    pub name: String,
    /// What follows the colon.
    pub value: Option<String>,
}

impl Attribute {
    /// `a=name`.
    pub fn flag(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: None,
        }
    }

    /// `a=name:value`.
    pub fn with(name: &str, value: impl fmt::Display) -> Self {
        Self {
            name: name.to_owned(),
            value: Some(value.to_string()),
        }
    }

    fn parse(value: &str) -> Self {
        match value.split_once(':') {
            Some((name, value)) => Self::with(name.trim(), value.trim()),
            None => Self::flag(value),
        }
    }
}

impl fmt::Debug for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_secret = ["crypto", "ice-pwd"]
            .iter()
            .any(|secret| self.name.eq_ignore_ascii_case(secret));
        match &self.value {
            Some(_) if is_secret => write!(f, "a={}:...", self.name),
            _ => write!(f, "{self}"),
        }
    }
}

impl fmt::Display for Attribute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.value {
            Some(value) => write!(f, "a={}:{value}", self.name),
            None => write!(f, "a={}", self.name),
        }
    }
}

/// `a=rtpmap`: what a payload type number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpMap<'a> {
    /// Encoding name.
    pub name: &'a str,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Channels, 1 when not written.
    pub channels: u8,
}

/// One `m=` line and what belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaDescription {
    /// `audio`, `video`, `image`, `text`, `application`, ...
    pub kind: String,
    /// The port; 0 refuses or switches off the stream.
    pub port: u16,
    /// The count of `port/count`.
    pub port_count: Option<u16>,
    /// `RTP/AVP`, `RTP/SAVP`, `udptl`, ...
    pub protocol: String,
    /// Formats as written; payload type numbers for RTP.
    pub formats: Vec<String>,
    /// The first `c=` of this description.
    pub connection: Option<Connection>,
    /// Attributes in order.
    pub attributes: Vec<Attribute>,
    /// The other lines (`i`, `b`, `k`) in order.
    pub lines: Vec<(char, String)>,
}

impl MediaDescription {
    fn parse(value: &str) -> Result<Option<Self>, SdpError> {
        let mut fields = value.split_ascii_whitespace();
        let (Some(kind), Some(port), Some(protocol)) =
            (fields.next(), fields.next(), fields.next())
        else {
            return Ok(None);
        };
        let (port, count) = match port.split_once('/') {
            Some((port, count)) => (port, Some(count)),
            None => (port, None),
        };
        let (Ok(port), Ok(port_count)) = (port.parse(), count.map(str::parse).transpose()) else {
            return Ok(None);
        };
        let formats: Vec<String> = fields
            .take(MAX_SDP_FORMATS + 1)
            .map(str::to_owned)
            .collect();
        if formats.len() > MAX_SDP_FORMATS {
            return Err(SdpError::Limit("formats on an m= line"));
        }
        Ok(Some(Self {
            kind: kind.to_owned(),
            port,
            port_count,
            protocol: protocol.to_owned(),
            formats,
            connection: None,
            attributes: Vec::new(),
            lines: Vec::new(),
        }))
    }

    /// The first attribute of this name: outer `None` absent, inner `None` without a value.
    pub fn attribute(&self, name: &str) -> Option<Option<&str>> {
        attribute(&self.attributes, name)
    }

    /// The payload types of the `m=` line in order; formats that are no number from 0 to 127 are left out.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + '_ {
        self.formats
            .iter()
            .filter_map(|format| format.parse().ok())
            .filter(|&number: &u8| number < 128)
    }

    /// The rtpmaps by payload type number, found in one pass; the first of each number counts.
    pub fn rtpmaps(&self) -> [Option<RtpMap<'_>>; 128] {
        let mut maps = [None; 128];
        for attribute in self
            .attributes
            .iter()
            .filter(|attribute| attribute.name.eq_ignore_ascii_case("rtpmap"))
        {
            if let Some((number, map)) = attribute.value.as_deref().and_then(rtpmap) {
                maps[usize::from(number)].get_or_insert(map);
            }
        }
        maps
    }
}

/// `97 opus/48000/2`.
fn rtpmap(value: &str) -> Option<(u8, RtpMap<'_>)> {
    let (number, encoding) = value.split_once([' ', '\t'])?;
    let number = number.parse().ok().filter(|&number: &u8| number < 128)?;
    let mut parts = encoding.trim().split('/');
    let (name, clock_rate) = (parts.next()?, parts.next()?.trim().parse().ok()?);
    let channels = parts
        .next()
        .map_or(Some(1), |channels| channels.trim().parse().ok())?;
    Some((
        number,
        RtpMap {
            name,
            clock_rate,
            channels,
        },
    ))
}

pub(crate) fn attribute<'a>(attributes: &'a [Attribute], name: &str) -> Option<Option<&'a str>> {
    let found = attributes
        .iter()
        .find(|attribute| attribute.name.eq_ignore_ascii_case(name))?;
    Some(found.value.as_deref())
}

/// `letter=value`, white space round both removed.
fn letter_and_value(line: &str) -> Option<(char, &str)> {
    let (letter, value) = line.trim().split_once('=')?;
    let mut letters = letter.trim_end().chars();
    match (letters.next(), letters.next()) {
        (Some(letter), None) => Some((letter, value.trim())),
        _ => None,
    }
}

/// A session description.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sdp {
    /// `o=`.
    pub origin: Origin,
    /// `s=`, `-` when there is none.
    pub session_name: String,
    /// Session-level `c=`.
    pub connection: Option<Connection>,
    /// Session-level attributes in order.
    pub attributes: Vec<Attribute>,
    /// Other session-level lines (`i u e p b t r z k`) in order.
    pub lines: Vec<(char, String)>,
    /// Media descriptions in order.
    pub media: Vec<MediaDescription>,
}

impl Sdp {
    /// Reads a session description.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MAX_SDP {
            return Err(SdpError::Limit("octets"));
        }
        let mut sdp = Self {
            origin: Origin::default(),
            session_name: "-".into(),
            connection: None,
            attributes: Vec::new(),
            lines: Vec::new(),
            media: Vec::new(),
        };
        let lines = body
            .split(|&octet| matches!(octet, b'\r' | b'\n'))
            .filter(|line| !line.trim_ascii().is_empty());
        let mut count = 0;
        for line in lines {
            count += 1;
            if count > MAX_SDP_LINES {
                return Err(SdpError::Limit("lines"));
            }
            if line.len() > MAX_SDP_LINE {
                return Err(SdpError::Limit("octets on a line"));
            }
            if line
                .iter()
                .any(|&octet| octet != b'\t' && octet.is_ascii_control())
            {
                return Err(SdpError::ControlCharacter(count));
            }
            sdp.push_line(&String::from_utf8_lossy(line), count)?;
        }
        if count == 0 {
            Err(SdpError::Version)
        } else {
            Ok(sdp)
        }
    }

    fn push_line(&mut self, line: &str, number: usize) -> Result<(), SdpError> {
        let (letter, value) = letter_and_value(line).ok_or(SdpError::Line(number))?;
        if (number == 1) != (letter == 'v') || (letter == 'v' && value != "0") {
            return Err(SdpError::Version);
        }
        match letter {
            'm' => {
                if self.media.len() == MAX_SDP_MEDIA {
                    return Err(SdpError::Limit("m= lines"));
                }
                self.media
                    .push(MediaDescription::parse(value)?.ok_or(SdpError::Media(number))?);
            }
            'a' => self.push_attribute(value)?,
            'c' => {
                let parsed = Connection::parse(value).ok_or(SdpError::Address(number))?;
                let connection = self
                    .media
                    .last_mut()
                    .map_or(&mut self.connection, |media| &mut media.connection);
                connection.get_or_insert(parsed);
            }
            'o' if self.media.is_empty() => {
                self.origin = Origin::parse(value).ok_or(SdpError::Address(number))?
            }
            's' if self.media.is_empty() && !value.is_empty() => {
                self.session_name = value.to_owned()
            }
            'i' | 'u' | 'e' | 'p' | 'b' | 't' | 'r' | 'z' | 'k' => {
                let lines = self
                    .media
                    .last_mut()
                    .map_or(&mut self.lines, |media| &mut media.lines);
                lines.push((letter, value.to_owned()));
            }
            // RFC 8866 section 5: unknown letters are ignored.
            _ => {}
        }
        Ok(())
    }

    fn push_attribute(&mut self, value: &str) -> Result<(), SdpError> {
        let attributes = self
            .media
            .last_mut()
            .map_or(&mut self.attributes, |media| &mut media.attributes);
        if attributes.len() == MAX_SDP_ATTRIBUTES {
            return Err(SdpError::Limit("attributes"));
        }
        attributes.push(Attribute::parse(value));
        Ok(())
    }

    /// The connection that counts for a media description: its own, else the session's.
    pub fn connection_of<'a>(&'a self, media: &'a MediaDescription) -> Option<&'a Connection> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// The session-level attribute of this name: outer `None` absent, inner `None` without a value.
    pub fn attribute(&self, name: &str) -> Option<Option<&str>> {
        attribute(&self.attributes, name)
    }

    /// The description as a body, lines in the order of RFC 8866 section 9.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_string().into_bytes()
    }
}

fn write_lines(f: &mut fmt::Formatter<'_>, lines: &[(char, String)], letters: &str) -> fmt::Result {
    for (letter, value) in lines.iter().filter(|(letter, _)| letters.contains(*letter)) {
        write!(f, "{letter}={value}\r\n")?;
    }
    Ok(())
}

impl fmt::Display for Sdp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Origin {
            username,
            session_id,
            session_version,
            address,
        } = &self.origin;
        write!(
            f,
            "v=0\r\no={username} {session_id} {session_version} {address}\r\ns={}\r\n",
            self.session_name
        )?;
        write_lines(f, &self.lines, "iuep")?;
        if let Some(connection) = &self.connection {
            write!(f, "c={connection}\r\n")?;
        }
        write_lines(f, &self.lines, "b")?;
        if !self.lines.iter().any(|(letter, _)| *letter == 't') {
            f.write_str("t=0 0\r\n")?;
        }
        write_lines(f, &self.lines, "trzk")?;
        for attribute in &self.attributes {
            write!(f, "{attribute}\r\n")?;
        }
        self.media.iter().try_for_each(|media| media.fmt(f))
    }
}

impl fmt::Display for MediaDescription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m={} {}", self.kind, self.port)?;
        if let Some(count) = self.port_count {
            write!(f, "/{count}")?;
        }
        write!(f, " {}", self.protocol)?;
        for format in &self.formats {
            write!(f, " {format}")?;
        }
        f.write_str("\r\n")?;
        write_lines(f, &self.lines, "iueptrz")?;
        if let Some(connection) = &self.connection {
            write!(f, "c={connection}\r\n")?;
        }
        write_lines(f, &self.lines, "bk")?;
        for attribute in &self.attributes {
            write!(f, "{attribute}\r\n")?;
        }
        Ok(())
    }
}
