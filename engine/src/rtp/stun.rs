//! STUN binding requests as an ICE-lite agent gets them (RFC 8489, RFC 8445 section 7.3): read, checked, answered.
//!
//! Sans-IO, allocates nothing. Only a request with the right user name, MESSAGE-INTEGRITY and FINGERPRINT means anything; whatever else comes is
//! dropped without an answer, so that nobody is reflected to and nobody learns that a port is open. Never sends requests.
//! Limits: [`MAX_ATTRIBUTES`] attributes in a message, [`MAX_UNKNOWN`] named back.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use subtle::ConstantTimeEq;

/// Attributes read of one message.
pub const MAX_ATTRIBUTES: usize = 32;
/// Attributes we do not know that an answer names.
pub const MAX_UNKNOWN: usize = 4;
/// Large enough for what [`answer`] writes.
pub const MAX_ANSWER: usize = 128;

const HEADER: usize = 20;
const COOKIE: u32 = 0x2112_A442;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;
const BINDING_ERROR: u16 = 0x0111;

const USERNAME: u16 = 0x0006;
const MESSAGE_INTEGRITY: u16 = 0x0008;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
const MESSAGE_INTEGRITY_SHA256: u16 = 0x001C;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const PRIORITY: u16 = 0x0024;
const USE_CANDIDATE: u16 = 0x0025;
const FINGERPRINT: u16 = 0x8028;
const ICE_CONTROLLED: u16 = 0x8029;
/// From here on an attribute may be ignored by who does not know it.
const OPTIONAL: u16 = 0x8000;

const INTEGRITY_LEN: usize = 20;
/// What the CRC of a message is XORed with (RFC 8489 section 14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// Our credentials of a stream whose peer makes checks.
#[derive(Clone, PartialEq, Eq)]
pub struct IceLite {
    /// Our user fragment: the first half of the user name of every check.
    pub ufrag: String,
    /// Our password: the key of the integrity of checks and answers.
    pub pwd: String,
}

impl fmt::Debug for IceLite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IceLite({})", self.ufrag)
    }
}

/// Why a datagram is not a check for us. It gets no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StunError {
    /// Not a STUN message, or one whose lengths contradict each other, or with too many attributes.
    Malformed,
    /// A response, an indication, or another method than Binding.
    NotARequest,
    /// FINGERPRINT is missing, is not the last attribute, or is wrong.
    Fingerprint,
    /// No user name, or not one that begins with our fragment.
    Username,
    /// MESSAGE-INTEGRITY is missing or not made with our password.
    Integrity,
}

/// An authentic request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check {
    /// Names the request in its answer.
    pub transaction: [u8; 12],
    /// PRIORITY: that of the pair the peer checks; 0 when it says none.
    pub priority: u32,
    /// USE-CANDIDATE: the peer wants media on this pair.
    pub nominates: bool,
    /// The peer believes itself controlled; with a lite agent it cannot be (RFC 8445 section 6.1.1).
    is_controlled: bool,
    unknown: [u16; MAX_UNKNOWN],
}

impl Check {
    /// Whether it is answered with success, so that its USE-CANDIDATE counts.
    pub fn succeeds(&self) -> bool {
        !self.is_controlled && self.unknown[0] == 0
    }
}

/// Whether a datagram on a media port is STUN (RFC 7983, RFC 8489 section 5).
pub fn is_stun(datagram: &[u8]) -> bool {
    datagram.len() >= HEADER && datagram[0] < 4 && word(datagram, 4) == COOKIE
}

/// Big-endian word at an offset the caller has checked.
fn word(octets: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([octets[at], octets[at + 1], octets[at + 2], octets[at + 3]])
}

fn half(octets: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([octets[at], octets[at + 1]])
}

/// One attribute and where it begins in the message.
#[derive(Clone, Copy)]
struct Attribute<'a> {
    at: usize,
    kind: u16,
    value: &'a [u8],
}

/// The attributes of a message whose header was checked; `Err` in place of one that is longer than the message.
fn attributes(message: &[u8]) -> impl Iterator<Item = Result<Attribute<'_>, StunError>> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let header = message.get(at..).filter(|rest| !rest.is_empty())?;
        let parsed = header.get(..4).and_then(|_| {
            let (kind, length) = (half(header, 0), usize::from(half(header, 2)));
            let value = header.get(4..4 + length)?;
            Some((
                Attribute { at, kind, value },
                4 + length.next_multiple_of(4),
            ))
        });
        match parsed {
            Some((attribute, length)) => {
                at += length;
                Some(Ok(attribute))
            }
            None => {
                at = message.len();
                Some(Err(StunError::Malformed))
            }
        }
    })
}

/// What is in a request, by attribute.
#[derive(Default)]
struct Parts<'a> {
    username: Option<&'a [u8]>,
    integrity: Option<(usize, &'a [u8])>,
    fingerprint: Option<(usize, &'a [u8])>,
    priority: u32,
    nominates: bool,
    is_controlled: bool,
    unknown: [u16; MAX_UNKNOWN],
}

impl<'a> Parts<'a> {
    fn of(message: &'a [u8]) -> Result<Parts<'a>, StunError> {
        let mut parts = Parts::default();
        for (count, attribute) in attributes(message).enumerate() {
            let attribute = attribute?;
            // Nothing comes after the fingerprint (RFC 8489 section 14.7).
            if count == MAX_ATTRIBUTES || parts.fingerprint.is_some() {
                return Err(StunError::Malformed);
            }
            parts.note(attribute);
        }
        Ok(parts)
    }

    /// The first of each kind counts; after MESSAGE-INTEGRITY only the fingerprint does (RFC 8489 section 14.5).
    fn note(&mut self, attribute: Attribute<'a>) {
        let Attribute { at, kind, value } = attribute;
        match kind {
            FINGERPRINT => self.fingerprint = Some((at, value)),
            _ if self.integrity.is_some() => {}
            USERNAME => _ = self.username.get_or_insert(value),
            MESSAGE_INTEGRITY => self.integrity = Some((at, value)),
            PRIORITY => {
                if let Some(&octets) = value.first_chunk() {
                    self.priority = u32::from_be_bytes(octets);
                }
            }
            USE_CANDIDATE => self.nominates = true,
            ICE_CONTROLLED => self.is_controlled = true,
            MESSAGE_INTEGRITY_SHA256 | OPTIONAL.. => {}
            unknown => {
                // Kind 0 is reserved; it marks a free place here and is named as any other by filling one.
                if let Some(place) = self.unknown.iter_mut().find(|place| **place == 0) {
                    *place = unknown.max(1);
                }
            }
        }
    }
}

/// Reads a request and checks that it is for us and from who knows our password.
///
/// # Errors
/// Names the first rule it breaks.
pub fn check(message: &[u8], ours: &IceLite) -> Result<Check, StunError> {
    if !is_stun(message) {
        return Err(StunError::Malformed);
    }
    let length = usize::from(half(message, 2));
    if length != message.len() - HEADER || !length.is_multiple_of(4) {
        return Err(StunError::Malformed);
    }
    if half(message, 0) != BINDING_REQUEST {
        return Err(StunError::NotARequest);
    }
    let parts = Parts::of(message)?;
    let (at, value) = parts.fingerprint.ok_or(StunError::Fingerprint)?;
    if value != fingerprint(&message[..at]) {
        return Err(StunError::Fingerprint);
    }
    let username = parts.username.ok_or(StunError::Username)?;
    let rest = username.strip_prefix(ours.ufrag.as_bytes());
    if rest.and_then(<[u8]>::first) != Some(&b':') {
        return Err(StunError::Username);
    }
    let (at, value) = parts.integrity.ok_or(StunError::Integrity)?;
    if !bool::from(integrity(&message[..at], &ours.pwd).ct_eq(value)) {
        return Err(StunError::Integrity);
    }
    let mut transaction = [0; 12];
    transaction.copy_from_slice(&message[8..HEADER]);
    Ok(Check {
        transaction,
        priority: parts.priority,
        nominates: parts.nominates,
        is_controlled: parts.is_controlled,
        unknown: parts.unknown,
    })
}

/// MESSAGE-INTEGRITY of a message that ends before it (RFC 8489 section 14.5): its length field counts the attribute already.
fn integrity(message: &[u8], pwd: &str) -> [u8; INTEGRITY_LEN] {
    let length = (message.len() - HEADER + 4 + INTEGRITY_LEN) as u16;
    let mut mac: Hmac<Sha1> =
        Hmac::new_from_slice(pwd.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(&message[..2]);
    mac.update(&length.to_be_bytes());
    mac.update(&message[4..]);
    mac.finalize().into_bytes().into()
}

/// FINGERPRINT of a message that ends before it; its length field must count the attribute already.
fn fingerprint(message: &[u8]) -> [u8; 4] {
    let length = ((message.len() - HEADER + 8) as u16).to_be_bytes();
    let pieces = [&message[..2], &length, &message[4..]];
    let crc = pieces.iter().fold(u32::MAX, |crc, piece| {
        piece.iter().fold(crc, |crc, octet| {
            CRC[((crc ^ u32::from(*octet)) & 0xFF) as usize] ^ (crc >> 8)
        })
    });
    (!crc ^ FINGERPRINT_XOR).to_be_bytes()
}

/// CRC-32 of ISO 3309, an octet at a time.
const CRC: [u32; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let mut crc = octet as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0xEDB8_8320 } else { 0 };
            bit += 1;
        }
        table[octet] = crc;
        octet += 1;
    }
    table
};

/// Writes the answer to a check that came from `source`: where it came from, or what is wrong with it. Returns its length.
pub fn answer(
    check: &Check,
    source: SocketAddr,
    ours: &IceLite,
    out: &mut [u8; MAX_ANSWER],
) -> usize {
    let mut message = Writer { out, length: 0 };
    let kind = match check.succeeds() {
        true => BINDING_SUCCESS,
        false => BINDING_ERROR,
    };
    message.push(&kind.to_be_bytes());
    message.push(&[0, 0]);
    message.push(&COOKIE.to_be_bytes());
    message.push(&check.transaction);
    if check.is_controlled {
        message.error(487, b"Role Conflict");
    } else if check.unknown[0] != 0 {
        message.error(420, b"Unknown Attribute");
        let known = check.unknown.iter().filter(|kind| **kind != 0).count();
        message.header(UNKNOWN_ATTRIBUTES, 2 * known);
        for kind in &check.unknown[..known] {
            message.push(&kind.to_be_bytes());
        }
        message.pad();
    } else {
        message.mapped_address(source, &check.transaction);
    }
    message.finish(&ours.pwd)
}

/// A message being written; everything fits [`MAX_ANSWER`].
struct Writer<'a> {
    out: &'a mut [u8; MAX_ANSWER],
    length: usize,
}

impl Writer<'_> {
    fn push(&mut self, octets: &[u8]) {
        if let Some(room) = self.out.get_mut(self.length..self.length + octets.len()) {
            room.copy_from_slice(octets);
            self.length += octets.len();
        }
    }

    fn header(&mut self, kind: u16, length: usize) {
        self.push(&kind.to_be_bytes());
        self.push(&(length as u16).to_be_bytes());
    }

    fn pad(&mut self) {
        let short = self.length.next_multiple_of(4) - self.length;
        self.push(&[0; 3][..short]);
    }

    fn error(&mut self, code: u16, reason: &[u8]) {
        self.header(ERROR_CODE, 4 + reason.len());
        self.push(&[0, 0, (code / 100) as u8, (code % 100) as u8]);
        self.push(reason);
        self.pad();
    }

    /// XOR-MAPPED-ADDRESS (RFC 8489 section 14.2).
    fn mapped_address(&mut self, source: SocketAddr, transaction: &[u8; 12]) {
        let port = (source.port() ^ (COOKIE >> 16) as u16).to_be_bytes();
        let mut mask = [0; 16];
        mask[..4].copy_from_slice(&COOKIE.to_be_bytes());
        mask[4..].copy_from_slice(transaction);
        let (family, length) = match source.ip() {
            IpAddr::V4(ip) => {
                let octets = ip.octets();
                mask.iter_mut()
                    .zip(octets)
                    .for_each(|(m, octet)| *m ^= octet);
                (1, 4)
            }
            IpAddr::V6(ip) => {
                let octets = ip.octets();
                mask.iter_mut()
                    .zip(octets)
                    .for_each(|(m, octet)| *m ^= octet);
                (2, 16)
            }
        };
        self.header(XOR_MAPPED_ADDRESS, 4 + length);
        self.push(&[0, family, port[0], port[1]]);
        self.push(&mask[..length]);
    }

    /// Adds integrity and fingerprint, and the length field.
    fn finish(mut self, pwd: &str) -> usize {
        let tag = integrity(&self.out[..self.length], pwd);
        self.header(MESSAGE_INTEGRITY, INTEGRITY_LEN);
        self.push(&tag);
        let crc = fingerprint(&self.out[..self.length]);
        self.header(FINGERPRINT, crc.len());
        self.push(&crc);
        let length = ((self.length - HEADER) as u16).to_be_bytes();
        self.out[2..4].copy_from_slice(&length);
        self.length
    }
}

#[cfg(test)]
#[path = "stun_tests.rs"]
mod tests;
